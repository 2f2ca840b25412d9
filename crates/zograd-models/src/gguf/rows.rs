//! The order of the rows of queries and keys.
//!
//! Rotary positions turn pairs of rows of a head. Hugging Face pairs a row of the first half of a head with one of the
//! second; llama.cpp, for the family of Llama, pairs neighbours, and its files have the rows in that order.

/// From the order of GGUF to that of Hugging Face: `values` are whole heads of `2 pairs` rows of `row` of them.
pub(super) fn from_gguf<T: Copy>(values: &mut [T], pairs: usize, row: usize) {
    reorder(values, pairs, row, |place| {
        2 * (place % pairs) + place / pairs
    });
}

/// The reverse of [`from_gguf`].
pub(super) fn to_gguf<T: Copy>(values: &mut [T], pairs: usize, row: usize) {
    reorder(values, pairs, row, |place| place % 2 * pairs + place / 2);
}

/// Gives each head, with a copy of one at a time, the row that `from` names at each place.
fn reorder<T: Copy>(values: &mut [T], pairs: usize, row: usize, from: impl Fn(usize) -> usize) {
    let size = 2 * pairs * row;
    if size == 0 {
        return;
    }
    let mut old = Vec::with_capacity(size);
    for head in values.chunks_exact_mut(size) {
        old.clear();
        old.extend_from_slice(head);
        for (place, new) in head.chunks_exact_mut(row).enumerate() {
            new.copy_from_slice(&old[from(place) * row..][..row]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_become_halves_and_neighbours_again() {
        // two heads of three pairs, rows of two
        let head = |first: u8| -> Vec<u8> { (first..first + 12).collect() };
        let mut rows = [head(0), head(100)].concat();
        let before = rows.clone();
        from_gguf(&mut rows, 3, 2);
        assert_eq!(rows[..12], [0, 1, 4, 5, 8, 9, 2, 3, 6, 7, 10, 11]);
        assert_eq!(rows[12..16], [100, 101, 104, 105]);
        to_gguf(&mut rows, 3, 2);
        assert_eq!(rows, before);
        from_gguf(&mut rows, 0, 2);
        assert_eq!(rows, before);
    }
}
