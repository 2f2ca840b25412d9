use crate::whitespace::strip;
use crate::{Cloze, DataError, Row, Sample, Task};

/// Sentiment of a sentence of a film review (SST-2, as in GLUE): `terrible` (0) or `great` (1).
///
/// Fields `sentence` and `label`; prompt `SENTENCE It was great`.
#[derive(Clone, Copy, Debug)]
pub struct Sst2 {
    name: &'static str,
}

impl Sst2 {
    /// The task `sst2`.
    pub const fn new() -> Self {
        Self::named("sst2")
    }

    /// The same fields and prompt under another name, for another data set.
    pub const fn named(name: &'static str) -> Self {
        Self { name }
    }
}

impl Default for Sst2 {
    fn default() -> Self {
        Self::new()
    }
}

const ENDINGS: [&str; 2] = [" terrible", " great"];

impl Task for Sst2 {
    fn name(&self) -> &str {
        self.name
    }

    fn sample(&self, row: &Row) -> Result<Sample, DataError> {
        let sentence = strip(row.text("sentence")?);
        Ok(Sample {
            row: row.number(),
            cloze: Cloze::new(format!("{sentence} It was"), ENDINGS),
            calibration: Some(Cloze::new(" It was", ENDINGS)),
            correct: row.correct("label", ENDINGS.len())?,
            answers: vec![],
            chat: None,
        })
    }
}
