use crate::whitespace::strip_end;
use crate::{Cloze, DataError, Row, Sample, Task};

/// The more plausible cause or effect of two (COPA, as in SuperGLUE): the first (0) or the second
/// (1).
///
/// Fields `premise`, `choice1`, `choice2`, `question` (`cause` or `effect`) and `label`; prompt
/// `PREMISE because CHOICE` or `PREMISE so CHOICE`.
#[derive(Clone, Copy, Debug)]
pub struct Copa;

impl Task for Copa {
    fn name(&self) -> &str {
        "copa"
    }

    fn sample(&self, row: &Row) -> Result<Sample, DataError> {
        let conjunction = match row.text("question")? {
            "cause" => "because",
            "effect" => "so",
            other => {
                return Err(DataError::UnknownValue {
                    location: row.location().to_owned(),
                    field: "question".to_owned(),
                    found: other.to_owned(),
                    expected: "\"cause\" or \"effect\"".to_owned(),
                });
            }
        };
        let premise = strip_end(row.text("premise")?);
        let premise = premise.strip_suffix('.').unwrap_or(premise);
        let choices = [row.text("choice1")?, row.text("choice2")?].map(mid_sentence);
        Ok(Sample {
            row: row.number(),
            cloze: Cloze::new(format!("{premise} {conjunction} "), choices.clone()),
            calibration: Some(Cloze::new(format!("{conjunction} "), choices)),
            correct: row.correct("label", 2)?,
            answers: vec![],
            chat: None,
        })
    }

    fn trains_as_classification(&self) -> bool {
        false
    }
}

/// With the first word in lower case, unless it is `I`.
fn mid_sentence(choice: &str) -> String {
    let end = choice.find(' ').unwrap_or(choice.len());
    let (first, rest) = choice.split_at(end);
    match first {
        "I" => choice.to_owned(),
        _ => format!("{}{rest}", first.to_lowercase()),
    }
}
