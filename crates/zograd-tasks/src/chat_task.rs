//! Chats as a task.

use crate::metrics::Metric;
use crate::whitespace::strip;
use crate::{AnswerEnd, Cloze, DataError, Row, Sample, Task};
use zograd_chat::{Chat, FIELDS, Role, RowError};

/// Chats, and instructions with their answers: the model learns every turn of the assistant, and is asked for the last one.
///
/// Which fields rows may have says [`Chat::of_row`]; what the model reads of them is what its own template makes of the
/// chat ([`PromptEncoder::with_chat_template`](crate::PromptEncoder::with_chat_template)).
///
/// ```
/// use zograd_tasks::{ChatTask, Row, Task};
///
/// let fields = serde_json::from_str(r#"{"prompt": "2+2?", "response": "4"}"#)?;
/// let sample = ChatTask.sample(&Row::new(0, "chats.jsonl:1", fields))?;
/// assert_eq!(sample.answers, ["4"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct ChatTask;

impl ChatTask {
    /// Its name.
    pub const NAME: &str = "chat";

    /// The fields that a row's place among the splits depends on.
    pub fn fields() -> Vec<String> {
        FIELDS.map(String::from).to_vec()
    }

    /// Whether a row is one of chats, right or wrong.
    pub fn has(row: &Row) -> bool {
        Chat::is_in(row.fields())
    }
}

impl Task for ChatTask {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn sample(&self, row: &Row) -> Result<Sample, DataError> {
        let chat = match row.is_label_optional() {
            true => Chat::of_row_to_answer(row.fields()),
            false => Chat::of_row(row.fields()),
        };
        let location = || row.location().to_owned();
        let chat = chat.map_err(|source| match source {
            RowError::NothingAsked => DataError::EmptyPrompt {
                location: location(),
                fields: "all but the assistant's turns".into(),
            },
            source => DataError::Chat {
                location: location(),
                source,
            },
        })?;
        let answer = chat.answer();
        let ending = answer.map(|answer| format!("\n{}: {answer}", Role::Assistant));
        Ok(Sample {
            row: row.number(),
            correct: ending.iter().map(|_| 0).collect(),
            answers: answer
                .iter()
                .map(|answer| strip(answer).to_owned())
                .collect(),
            cloze: Cloze::new(chat.question().to_string(), ending),
            calibration: None,
            chat: Some(chat),
        })
    }

    fn metric(&self) -> Metric {
        Metric::F1
    }

    fn is_generation(&self) -> bool {
        true
    }

    fn answer_end(&self) -> AnswerEnd {
        AnswerEnd::Eos
    }

    fn is_chat(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(json: &str) -> Row {
        Row::new(2, "c.jsonl:3", serde_json::from_str(json).expect(json))
    }

    #[test]
    fn the_last_turn_is_the_answer() {
        let json = r#"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b\n"}]}"#;
        let sample = ChatTask.sample(&row(json)).expect("a chat");
        assert_eq!(sample.cloze.context, "user: a");
        assert_eq!(sample.cloze.endings, ["\nassistant: b\n"]);
        assert_eq!(
            (sample.answers, sample.correct),
            (vec!["b".into()], vec![0])
        );
        let asked = row(r#"{"prompt": "a"}"#).label_optional();
        let asked = ChatTask.sample(&asked).expect("a question");
        assert!(asked.correct.is_empty() && asked.answers.is_empty());
    }

    #[test]
    fn a_wrong_row_is_named() {
        for (json, said) in [
            (
                r#"{"prompt": "a"}"#,
                "c.jsonl:3: the chat has no turn of the assistant",
            ),
            (
                r#"{"prompt": "", "response": "b"}"#,
                "c.jsonl:3: nothing of this row would stand",
            ),
            (r#"{"text": "a"}"#, "c.jsonl:3: it is no chat"),
            (
                r#"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": " "}]}"#,
                "c.jsonl:3: the last turn of the assistant is blank",
            ),
        ] {
            let error = ChatTask.sample(&row(json)).expect_err(json).to_string();
            assert!(error.starts_with(said), "{error}");
        }
    }
}
