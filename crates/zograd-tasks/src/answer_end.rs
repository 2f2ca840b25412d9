use serde::Deserialize;

/// Where an answer that the model writes ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AnswerEnd {
    /// At a line break, so that answers have one line. The tasks of the MeZO paper.
    #[default]
    Line,
    /// At the model's end-of-text token; answers may have several lines.
    Eos,
}
