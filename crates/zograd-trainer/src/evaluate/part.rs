//! What came of a few prompts, and how a rank sends it.

use super::{Answer, Prediction};
use zograd_ranks::{Incoming, Outgoing, RankError};

/// What a rank can send.
pub(super) trait Sent: Sized {
    fn send(&self, to: &mut Outgoing);
    fn receive(from: &mut Incoming<'_>) -> Result<Self, RankError>;
}

/// The loss of a few prompts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct LossPart {
    /// The sum.
    pub loss: f64,
    /// What it is divided by in the end: examples or tokens.
    pub weight: f64,
}

impl Sent for LossPart {
    fn send(&self, to: &mut Outgoing) {
        to.real(self.loss);
        to.real(self.weight);
    }

    fn receive(from: &mut Incoming<'_>) -> Result<Self, RankError> {
        Ok(Self {
            loss: from.real("a loss")?,
            weight: from.real("a weight")?,
        })
    }
}

/// What came of a few prompts.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Part {
    pub predictions: Vec<Prediction>,
    pub loss: f64,
    /// What the loss is divided by in the end: examples or tokens.
    pub weight: f64,
    pub non_finite: usize,
}

impl Sent for Part {
    fn send(&self, to: &mut Outgoing) {
        to.real(self.loss);
        to.real(self.weight);
        to.number(self.non_finite as u64);
        to.number(self.predictions.len() as u64);
        for prediction in &self.predictions {
            send(prediction, to);
        }
    }

    fn receive(from: &mut Incoming<'_>) -> Result<Self, RankError> {
        let (loss, weight) = (from.real("a loss")?, from.real("a weight")?);
        let non_finite = whole(from)?;
        let count = from.count(8, "predictions")?;
        let predictions = (0..count)
            .map(|_| receive(from))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            predictions,
            loss,
            weight,
            non_finite,
        })
    }
}

const CHOICE: u64 = 0;
const TEXT: u64 = 1;

fn send(prediction: &Prediction, to: &mut Outgoing) {
    to.number(prediction.index as u64);
    to.real(prediction.score);
    match &prediction.answer {
        Answer::Choice {
            label,
            correct,
            prediction,
            scores,
        } => {
            to.number(CHOICE);
            to.number(*label as u64);
            to.number(correct.len() as u64);
            correct.iter().for_each(|right| to.number(*right as u64));
            to.number(*prediction as u64);
            to.number(scores.len() as u64);
            scores.iter().for_each(|score| to.real(*score));
        }
        Answer::Text {
            prediction,
            answers,
            f1,
            exact_match,
        } => {
            to.number(TEXT);
            to.text(prediction.as_deref());
            to.number(answers.len() as u64);
            answers
                .iter()
                .for_each(|answer| to.bytes(answer.as_bytes()));
            to.real(*f1);
            to.number(u64::from(*exact_match));
        }
    }
}

fn receive(from: &mut Incoming<'_>) -> Result<Prediction, RankError> {
    let (index, score) = (whole(from)?, from.real("a score")?);
    let answer = match from.number("an answer")? {
        CHOICE => {
            let label = whole(from)?;
            let count = from.count(8, "right candidates")?;
            let correct = (0..count).map(|_| whole(from)).collect::<Result<_, _>>()?;
            let prediction = whole(from)?;
            let count = from.count(8, "scores")?;
            let scores = (0..count).map(|_| from.real("a score"));
            Answer::Choice {
                label,
                correct,
                prediction,
                scores: scores.collect::<Result<_, _>>()?,
            }
        }
        TEXT => {
            let prediction = from.text("an answer")?;
            let count = from.count(8, "right answers")?;
            let mut answers = Vec::with_capacity(count);
            for _ in 0..count {
                let bytes = from.bytes("a right answer")?.to_vec();
                let text = String::from_utf8(bytes);
                answers.push(text.map_err(|_| from.unreadable("a right answer"))?);
            }
            Answer::Text {
                prediction,
                answers,
                f1: from.real("a score")?,
                exact_match: from.number("a score")? != 0,
            }
        }
        _ => return Err(from.unreadable("an answer")),
    };
    Ok(Prediction {
        index,
        answer,
        score,
    })
}

fn whole(from: &mut Incoming<'_>) -> Result<usize, RankError> {
    let number = from.number("a number")?;
    usize::try_from(number).map_err(|_| from.unreadable("a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_arrive_as_they_were() {
        let choice = Answer::Choice {
            label: 1,
            correct: vec![1, 2],
            prediction: 0,
            scores: vec![-0.1, f64::NEG_INFINITY],
        };
        let text = |prediction| Answer::Text {
            prediction,
            answers: vec!["a".into(), "b c".into()],
            f1: 0.3,
            exact_match: true,
        };
        let answers = [choice, text(Some("a\u{1f600}".into())), text(None)];
        let predictions = answers.into_iter().enumerate();
        let part = Part {
            predictions: predictions
                .map(|(index, answer)| Prediction {
                    index,
                    answer,
                    score: 1.0,
                })
                .collect(),
            loss: 0.1,
            weight: 3.0,
            non_finite: 1,
        };
        let mut sent = Outgoing::new();
        part.send(&mut sent);
        let mut from = Incoming::of(0, sent.as_bytes());
        assert_eq!(Part::receive(&mut from), Ok(part));
        assert!(from.is_empty());
        let half = &sent.as_bytes()[..sent.as_bytes().len() - 1];
        assert!(Part::receive(&mut Incoming::of(0, half)).is_err());
    }
}
