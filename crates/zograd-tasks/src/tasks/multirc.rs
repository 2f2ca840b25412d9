use crate::{Cloze, DataError, Row, Sample, Task};

/// Whether an answer to a question about a paragraph is right (MultiRC, as in SuperGLUE, one row per
/// answer): `No` (0) or `Yes` (1).
///
/// Fields `paragraph`, `question`, `answer` and `label`.
#[derive(Clone, Copy, Debug)]
pub struct MultiRc;

const ENDINGS: [&str; 2] = ["No", "Yes"];

impl Task for MultiRc {
    fn name(&self) -> &str {
        "multirc"
    }

    fn sample(&self, row: &Row) -> Result<Sample, DataError> {
        let (paragraph, question) = (row.text("paragraph")?, row.text("question")?);
        let answer = row.text("answer")?;
        let context = format!(
            "{paragraph}\nQuestion: {question}\nI found this answer \"{answer}\". \
             Is that correct? Yes or No?\n"
        );
        Ok(Sample {
            row: row.number(),
            cloze: Cloze::new(context, ENDINGS),
            calibration: Some(Cloze::new("", ENDINGS)),
            correct: row.correct("label", ENDINGS.len())?,
            answers: vec![],
            chat: None,
        })
    }
}
