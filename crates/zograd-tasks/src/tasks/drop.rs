use crate::metrics::Metric;
use crate::{AnswerEnd, DataError, Row, Sample, Task};

/// A question about a passage that may need counting or arithmetic (DROP).
///
/// Fields `passage`, `question` and `answers_spans.spans`. Answers end with a line break.
#[derive(Clone, Copy, Debug)]
pub struct DropQa;

impl Task for DropQa {
    fn name(&self) -> &str {
        "drop"
    }

    fn sample(&self, row: &Row) -> Result<Sample, DataError> {
        let (passage, question) = (row.text("passage")?, row.text("question")?);
        let context = format!("Passage: {passage}\nQuestion: {question}\nAnswer:");
        let answers = match row.is_unlabelled("answers_spans.spans") {
            true => vec![],
            false => row.texts("answers_spans.spans")?,
        };
        let answers = answers.into_iter().map(str::to_owned).collect();
        Ok(Sample::written(row, context, answers, AnswerEnd::Line))
    }

    fn metric(&self) -> Metric {
        Metric::F1
    }

    fn is_generation(&self) -> bool {
        true
    }
}
