use crate::{AnswerEnd, Row};
use zograd_chat::Chat;

/// A text and the texts that may follow it.
///
/// The full text of an option is `context + endings[i]`, joined as they are: whatever blank or line
/// break stands between them belongs to one of the two. That every option of a sample starts with
/// the same context is what lets a model run the context once and branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cloze {
    /// What all options share (MeZO's `Template.encode`).
    pub context: String,
    /// What each option adds (MeZO's `Template.verbalize`, less the context).
    pub endings: Vec<String>,
}

impl Cloze {
    /// A context with its endings.
    pub fn new(
        context: impl Into<String>,
        endings: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        Self {
            context: context.into(),
            endings: endings.into_iter().map(Into::into).collect(),
        }
    }

    /// The whole text of option `option` (MeZO's `Template.verbalize`), `None` if there is none.
    pub fn verbalize(&self, option: usize) -> Option<String> {
        let ending = self.endings.get(option)?;
        Some(format!("{}{ending}", self.context))
    }
}

/// One example of a task, ready to be made into prompts.
///
/// Classification and multiple choice: one ending per option and in `correct` the right ones.
/// Generation: `answers` are the acceptable texts, and the only ending is the first of them, so
/// that training on a gold answer is a choice with one option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Row number in its split of the data set, from 0.
    pub row: usize,
    /// The prompt without demonstrations.
    pub cloze: Cloze,
    /// The prompt without the input, for surface form competition ("sfc") calibration; `None`
    /// where it is not defined.
    pub calibration: Option<Cloze>,
    /// Indices of the right endings. The first is the one that training and demonstrations use. None if the row does not
    /// say what is right.
    pub correct: Vec<usize>,
    /// Acceptable answers of a generation task; empty for the others.
    pub answers: Vec<String>,
    /// The chat, in a task of chats ([`ChatTask`](crate::ChatTask)): what the model reads is what its template makes of it,
    /// and `cloze` is for people.
    pub chat: Option<Chat>,
}

impl Sample {
    /// Of a task whose answers are written: the ending is the first of the right answers behind a blank, with the line
    /// break at which answers `end`, if they do.
    pub fn written(row: &Row, context: String, answers: Vec<String>, end: AnswerEnd) -> Self {
        let ending = answers.first().map(|answer| match end {
            AnswerEnd::Line => format!(" {answer}\n"),
            AnswerEnd::Eos => format!(" {answer}"),
        });
        Self {
            row: row.number(),
            correct: ending.iter().map(|_| 0).collect(),
            cloze: Cloze::new(context, ending),
            calibration: None,
            answers,
            chat: None,
        }
    }
}
