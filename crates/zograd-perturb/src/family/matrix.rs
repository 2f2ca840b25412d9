use crate::ParameterSpec;

/// A parameter as a matrix: all dimensions but the last one, and the last one. `None` for one of a single dimension, or
/// with no elements.
pub(crate) fn as_matrix(shape: &[usize]) -> Option<[usize; 2]> {
    let [rows @ .., columns] = shape else {
        return None;
    };
    let rows_together = rows.iter().product();
    (!rows.is_empty() && rows_together > 0 && *columns > 0).then_some([rows_together, *columns])
}

/// The matrix `[rows, columns]` that a family of this rank sees in a parameter: as it is, if its smaller side is at least
/// twice the rank; else, as the factors of adapters are, in the most square shape with as many elements, if that is large
/// enough. `None` for what is too small for the rank, and for vectors: noise on them is dense.
pub(super) fn matrix_of(parameter: &ParameterSpec, rank: usize) -> Option<[usize; 2]> {
    let [rows, columns] = as_matrix(&parameter.shape)?;
    let fits = |side: &usize| *side >= 2 * rank;
    if fits(&rows.min(columns)) {
        return Some([rows, columns]);
    }
    let elements = rows * columns;
    let rows = (1..=elements.isqrt())
        .rev()
        .find(|side| elements.is_multiple_of(*side))
        .filter(fits)?;
    Some([rows, elements / rows])
}

/// [`matrix_of`] where that is the parameter in its own shape.
pub(super) fn own_matrix_of(parameter: &ParameterSpec, rank: usize) -> Option<[usize; 2]> {
    matrix_of(parameter, rank).filter(|shape| parameter.shape == *shape)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::DType;

    fn matrix(shape: &[usize], rank: usize) -> Option<[usize; 2]> {
        let spec = ParameterSpec::new("w".into(), shape.to_vec(), DType::F32);
        matrix_of(&spec, rank)
    }

    #[test]
    fn thin_matrices_are_made_square() {
        assert_eq!(matrix(&[64, 256], 32), Some([64, 256]));
        assert_eq!(matrix(&[3, 4, 64], 6), Some([12, 64]));
        // a LoRA factor: 8 * 768 = 64 * 96
        assert_eq!(matrix(&[8, 768], 8), Some([64, 96]));
        assert_eq!(matrix(&[8, 768], 33), None);
        // a prime has no other shape
        assert_eq!(matrix(&[1, 101], 1), None);
        assert_eq!(matrix(&[256], 1), None);
        assert_eq!(matrix(&[], 1), None);
        assert_eq!(matrix(&[0, 5], 1), None);
    }
}
