/// The share of predictions that are among the right ones, `None` if there are no predictions.
///
/// ```
/// use zograd_tasks::metrics::accuracy;
///
/// let right = [vec![0], vec![2, 3]];
/// assert_eq!(accuracy(right.iter().map(Vec::as_slice).zip([1, 3])), Some(0.5));
/// ```
pub fn accuracy<'a, T: PartialEq + 'a>(
    samples: impl IntoIterator<Item = (&'a [T], T)>,
) -> Option<f64> {
    let (mut right, mut all) = (0u64, 0u64);
    for (correct, predicted) in samples {
        right += u64::from(correct.contains(&predicted));
        all += 1;
    }
    (all > 0).then(|| right as f64 / all as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_has_no_accuracy() {
        assert_eq!(accuracy(std::iter::empty::<(&[usize], usize)>()), None);
    }
}
