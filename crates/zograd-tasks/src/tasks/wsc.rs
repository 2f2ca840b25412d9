use crate::{Cloze, DataError, Row, Sample, Task};

/// Whether a pronoun refers to somebody (the Winograd schema challenge, as in SuperGLUE, `wsc.fixed`):
/// `No` (0) or `Yes` (1).
///
/// Fields `text`, `span1_text` (somebody), `span2_text` (the pronoun) and `label`.
#[derive(Clone, Copy, Debug)]
pub struct Wsc;

const ENDINGS: [&str; 2] = ["No", "Yes"];

impl Task for Wsc {
    fn name(&self) -> &str {
        "wsc"
    }

    fn sample(&self, row: &Row) -> Result<Sample, DataError> {
        let text = row.text("text")?;
        let (somebody, pronoun) = (row.text("span1_text")?, row.text("span2_text")?);
        let context = format!(
            "{text}\nIn the previous sentence, does the pronoun \"{}\" refer to {somebody}? \
             Yes or No?\n",
            pronoun.to_lowercase()
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
