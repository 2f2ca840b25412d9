use std::collections::HashMap;
use zograd_direction::Seed;

/// The first `count` entries of a seeded random permutation of `0..rows`; all of them if `count` is
/// larger.
///
/// Fisher and Yates' shuffle from the front, with `seed.child(i)` as the random number of swap `i`:
/// position `i` is swapped with position `i + floor(r * (rows - i) / 2^64)`. So the numbers depend
/// on nothing but `seed` and `rows`, and asking for fewer gives a prefix of asking for more. The
/// bias of the multiplication is below `rows / 2^64`. Memory is that of `count` entries, whatever a
/// file claims its number of rows to be.
pub fn sample_indices(seed: Seed, rows: usize, count: usize) -> Vec<usize> {
    let count = count.min(rows);
    // what swaps have put at positions that are still to come; elsewhere, position p holds p
    let mut moved: HashMap<usize, usize> = HashMap::new();
    (0..count)
        .zip(0u64..)
        .map(|(position, child)| {
            let random = u128::from(seed.child(child).value());
            // below rows - position, so it fits
            let ahead = ((random * (rows - position) as u128) >> 64) as usize;
            let here = moved.remove(&position).unwrap_or(position);
            match ahead {
                0 => here,
                _ => moved
                    .insert(position + ahead, here)
                    .unwrap_or(position + ahead),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Which rows a seed picks is part of a run's identity: a change here changes all runs.
    #[test]
    fn value_stability() {
        assert_eq!(
            sample_indices(Seed::new(0), 10, 10),
            [1, 5, 6, 3, 9, 2, 7, 0, 4, 8]
        );
        assert_eq!(
            sample_indices(Seed::new(42).child(0), 67_349, 4),
            [57152, 62301, 40090, 4043]
        );
    }

    /// Each of the 6 orders of 3 rows, over 6000 seeds: 1000 expected, standard deviation 29.
    #[test]
    fn all_orders_are_about_equally_frequent() {
        let mut seen = std::collections::HashMap::new();
        for seed in 0..6000 {
            *seen
                .entry(sample_indices(Seed::new(seed), 3, 3))
                .or_insert(0) += 1;
        }
        assert_eq!(seen.len(), 6);
        for (order, times) in seen {
            assert!((850..1150).contains(&times), "{order:?} came {times} times");
        }
    }

    proptest! {
        #[test]
        fn is_a_prefix_of_a_permutation(seed: u64, rows in 0usize..300, count in 0usize..400) {
            let all = sample_indices(Seed::new(seed), rows, rows);
            let some = sample_indices(Seed::new(seed), rows, count);
            prop_assert_eq!(&some[..], &all[..count.min(rows)]);
            let mut sorted = all;
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..rows).collect::<Vec<_>>());
        }
    }
}
