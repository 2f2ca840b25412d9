use crate::{Cloze, DataError, Row, Sample, Task};

/// Whether a word means the same in two sentences (WiC, as in SuperGLUE): `No` (0) or `Yes` (1).
///
/// Fields `word`, `sentence1`, `sentence2` and `label`.
#[derive(Clone, Copy, Debug)]
pub struct Wic;

const ENDINGS: [&str; 2] = ["No", "Yes"];

impl Task for Wic {
    fn name(&self) -> &str {
        "wic"
    }

    fn sample(&self, row: &Row) -> Result<Sample, DataError> {
        let word = row.text("word")?;
        let (first, second) = (row.text("sentence1")?, row.text("sentence2")?);
        let context = format!(
            "Does the word \"{word}\" have the same meaning in these two sentences? Yes, No?\n\
             {first}\n{second}\n"
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
