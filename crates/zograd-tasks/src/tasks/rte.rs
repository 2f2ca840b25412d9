use crate::{Cloze, DataError, Row, Sample, Task};

/// Whether a premise entails a hypothesis (RTE, as in SuperGLUE): `Yes` (0) or `No` (1).
///
/// Fields `premise`, `hypothesis` and `label`.
#[derive(Clone, Copy, Debug)]
pub struct Rte;

const ENDINGS: [&str; 2] = ["Yes", "No"];

impl Task for Rte {
    fn name(&self) -> &str {
        "rte"
    }

    fn sample(&self, row: &Row) -> Result<Sample, DataError> {
        let (premise, hypothesis) = (row.text("premise")?, row.text("hypothesis")?);
        let context =
            format!("{premise}\nDoes this mean that \"{hypothesis}\" is true? Yes or No?\n");
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
