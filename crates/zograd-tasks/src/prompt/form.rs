use crate::whitespace::strip;
use crate::{Sample, Task};

/// Solved samples to put before a question, joined into one text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demonstrations(String);

impl Demonstrations {
    /// Each sample with its right ending (the first, if several are right), joined by the task's
    /// separator; samples without one are passed over.
    pub fn new(task: &dyn Task, samples: &[Sample]) -> Self {
        let solved: Vec<String> = samples
            .iter()
            .filter_map(|sample| sample.cloze.verbalize(*sample.correct.first()?))
            .map(|text| strip(&text).to_owned())
            .collect();
        Self(strip(&solved.join(task.separator())).to_owned())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The forms a sample can be made into.
#[derive(Clone, Copy, Debug)]
pub enum Form<'a> {
    /// To train on. For choices the same as [`ZeroShot`](Self::ZeroShot); for generation with the
    /// gold answer.
    Train,
    /// The question alone. For generation without an answer.
    ZeroShot,
    /// The question after demonstrations. For generation without an answer.
    InContext(&'a Demonstrations),
    /// The prompt without the input (`sfc`): what the model thinks of the options by themselves, to
    /// be subtracted from what it thinks of them after the question (Holtzman et al. 2021).
    Calibration,
    /// As [`Calibration`](Self::Calibration), after demonstrations (`icl_sfc`).
    InContextCalibration(&'a Demonstrations),
}

impl<'a> Form<'a> {
    pub(super) fn is_calibration(self) -> bool {
        matches!(self, Self::Calibration | Self::InContextCalibration(_))
    }

    pub(super) fn demonstrations(self) -> Option<&'a Demonstrations> {
        match self {
            Self::InContext(shown) | Self::InContextCalibration(shown) => Some(shown),
            Self::Train | Self::ZeroShot | Self::Calibration => None,
        }
    }
}
