use crate::metrics::Metric;
use crate::whitespace::strip;
use crate::{AnswerEnd, DataError, Row, Sample, Task};

/// A question about a paragraph, answered in words of the paragraph (SQuAD 1.1).
///
/// Fields `title`, `context`, `question` and `answers.text`. Answers end with a line break.
#[derive(Clone, Copy, Debug)]
pub struct Squad;

impl Task for Squad {
    fn name(&self) -> &str {
        "squad"
    }

    fn sample(&self, row: &Row) -> Result<Sample, DataError> {
        let (title, paragraph) = (row.text("title")?, row.text("context")?);
        let question = strip(row.text("question")?);
        let context =
            format!("Title: {title}\nContext: {paragraph}\nQuestion: {question}\nAnswer:");
        let answers = match row.is_unlabelled("answers.text") {
            true => vec![],
            false => row.texts("answers.text")?,
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
