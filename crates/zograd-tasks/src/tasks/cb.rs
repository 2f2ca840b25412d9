use crate::{Cloze, DataError, Row, Sample, Task};

/// Whether a text commits its author to a hypothesis (CommitmentBank, as in SuperGLUE): `Yes` (0),
/// `No` (1) or `Maybe` (2).
///
/// Fields `premise`, `hypothesis` and `label`.
#[derive(Clone, Copy, Debug)]
pub struct Cb;

const ENDINGS: [&str; 3] = ["Yes", "No", "Maybe"];

impl Task for Cb {
    fn name(&self) -> &str {
        "cb"
    }

    fn sample(&self, row: &Row) -> Result<Sample, DataError> {
        let (premise, hypothesis) = (row.text("premise")?, row.text("hypothesis")?);
        let context =
            format!("Suppose {premise} Can we infer that \"{hypothesis}\"? Yes, No, or Maybe?\n");
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
