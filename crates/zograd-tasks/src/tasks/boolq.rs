use crate::{Cloze, DataError, Row, Sample, Task};

/// A yes/no question about a passage (BoolQ, as in SuperGLUE): label 1 is yes.
///
/// Fields `passage`, `question` and `label`. Option 0 is `Yes`, as in MeZO's code.
#[derive(Clone, Copy, Debug)]
pub struct BoolQ;

const ENDINGS: [&str; 2] = ["Yes", "No"];

impl Task for BoolQ {
    fn name(&self) -> &str {
        "boolq"
    }

    fn sample(&self, row: &Row) -> Result<Sample, DataError> {
        let (passage, question) = (row.text("passage")?, row.text("question")?);
        let question = sentence(question);
        let correct = row.correct("label", 2)?;
        Ok(Sample {
            row: row.number(),
            cloze: Cloze::new(format!("{passage} {question}\n"), ENDINGS),
            calibration: Some(Cloze::new("", ENDINGS)),
            correct: correct.into_iter().map(|label| 1 - label).collect(),
            answers: vec![],
            chat: None,
        })
    }
}

/// With a capital letter in front and a question mark behind.
fn sentence(question: &str) -> String {
    let mut letters = question.chars();
    let capital = letters.next().into_iter().flat_map(char::to_uppercase);
    let mut sentence: String = capital.chain(letters).collect();
    if !sentence.ends_with('?') {
        sentence.push('?');
    }
    sentence
}
