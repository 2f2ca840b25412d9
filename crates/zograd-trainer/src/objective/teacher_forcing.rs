use super::{Objective, Scored};
use zograd_tasks::Prompt;

/// Negative log-likelihood of the option tokens of the right candidate, mean over all option tokens of the
/// batch, so that longer options weigh more, as in MeZO's code.
#[derive(Clone, Copy, Debug, Default)]
pub struct TeacherForcing;

impl Objective for TeacherForcing {
    fn candidates(&self, prompt: &Prompt) -> Vec<usize> {
        prompt.correct.first().copied().into_iter().collect()
    }

    fn loss(&self, batch: &[Scored<'_>]) -> f64 {
        -tokens(batch).map(|t| f64::from(*t)).sum::<f64>() / self.terms(batch) as f64
    }

    fn slope(&self, batch: &[Scored<'_>]) -> Option<Vec<f64>> {
        let terms = self.terms(batch);
        Some(vec![-1.0 / terms as f64; terms])
    }

    fn terms(&self, batch: &[Scored<'_>]) -> usize {
        tokens(batch).count()
    }
}

/// The log-probabilities of all option tokens.
fn tokens<'a>(batch: &'a [Scored<'_>]) -> impl Iterator<Item = &'a f32> {
    let candidates = batch.iter().flat_map(|example| &example.candidates);
    candidates.flat_map(|(_, tokens)| tokens)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::tests::{prompt, scored};

    #[test]
    fn weighs_tokens_not_examples() {
        let (a, b) = (prompt(2, 0), prompt(2, 1));
        assert_eq!(TeacherForcing.candidates(&b), [1]);
        let batch = [scored(&a, &[&[-1.0, -2.0, -3.0]]), scored(&b, &[&[-6.0]])];
        assert_eq!(TeacherForcing.loss(&batch), 3.0);
    }
}
