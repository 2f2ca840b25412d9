//! When to give up making prompts of rows.

/// How many rows are tried at least, where the prompt of each fails for the same reason: a chat template that does not end
/// takes seconds for each.
const TRIED: usize = 3;

/// The prompts so far, if each of them failed for the same reason.
#[derive(Default)]
pub(super) struct Failing {
    /// One was made, or failed for another reason.
    is_over: bool,
    reason: Option<String>,
    rows: usize,
}

impl Failing {
    /// One more, which failed for this reason, or did not.
    pub(super) fn tell(&mut self, reason: Option<&str>) {
        self.is_over |= match (&self.reason, reason) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(known), Some(reason)) => known != reason,
        };
        self.rows += 1;
        self.reason = reason.map(str::to_owned);
    }

    /// Whether it is time to give up.
    pub(super) fn is_enough(&self) -> bool {
        !self.is_over && self.rows >= TRIED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_failure_from_the_first_row_on_is_enough() {
        let after = |told: &[Option<&str>]| {
            let mut failing = Failing::default();
            told.iter().for_each(|reason| failing.tell(*reason));
            failing.is_enough()
        };
        assert!(!after(&[Some("endless"); TRIED - 1]));
        assert!(after(&[Some("endless"); TRIED]));
        let same = Some("endless");
        assert!(!after(&[None, same, same, same, same]));
        assert!(!after(&[same, Some("role"), same, same, same]));
    }
}
