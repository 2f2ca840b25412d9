use super::{Objective, Scored};
use zograd_tasks::{Prompt, metrics};

/// Minus the mean word overlap ([`metrics::f1`]) of what the model writes with the gold answers: a
/// loss without a gradient. (MeZO's `zo_forward_nondiff`.)
///
/// The model writes its answers in every evaluation of a step. Where two of them are equally good
/// the step measures no difference, changes nothing, and is counted as flat.
#[derive(Clone, Copy, Debug, Default)]
pub struct AnswerF1;

impl Objective for AnswerF1 {
    fn candidates(&self, _prompt: &Prompt) -> Vec<usize> {
        vec![]
    }

    fn needs_answers(&self) -> bool {
        true
    }

    fn loss(&self, batch: &[Scored<'_>]) -> f64 {
        let overlap = |example: &Scored<'_>| {
            let (question, answer) = (example.prompt.question.as_ref()?, example.answer.as_ref()?);
            Some(metrics::f1(answer, &question.answers))
        };
        let scores = batch
            .iter()
            .map(|example| overlap(example).unwrap_or(f64::NAN));
        -scores.sum::<f64>() / batch.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::tests::{prompt, scored};
    use zograd_tasks::Question;

    #[test]
    fn is_minus_the_mean_overlap() {
        let mut asked = prompt(1, 0);
        asked.question = Some(Question {
            prompt: asked.candidates[0].clone(),
            answers: vec!["a red car".into(), "bus".into()],
            ..Question::default()
        });
        let answered = |answer: Option<&str>| Scored {
            answer: answer.map(String::from),
            ..scored(&asked, &[])
        };
        let batch = [answered(Some("the bus")), answered(Some("car in red"))];
        assert!((AnswerF1.loss(&batch) + 0.9).abs() < 1e-12);
        // an answer that could not be written
        assert!(AnswerF1.loss(&[answered(None)]).is_nan());
    }
}
