use crate::{Cloze, DataError, Row, Sample, Task};
use std::collections::HashMap;

/// What stands for the gap in a statement.
const GAP: &str = "@placeholder";

/// The most text that the options of a row may have together, the passage with each: gaps, entities and
/// passage multiply.
const MAX_TEXT_BYTES: usize = 4 << 20;

/// The entity that fills a gap in a statement about a passage (ReCoRD, as in SuperGLUE). Options are
/// the whole statement, with each entity in the gap; several can be right.
///
/// Fields `passage`, `query` (with `@placeholder`), `entities` and `answers`; the prompt is GPT-3's,
/// in which the statement is one more of the passage's highlights.
#[derive(Clone, Copy, Debug)]
pub struct ReCoRd;

impl Task for ReCoRd {
    fn name(&self) -> &str {
        "record"
    }

    fn sample(&self, row: &Row) -> Result<Sample, DataError> {
        let passage = row.text("passage")?.replace("@highlight\n", "- ");
        let query = row.text("query")?;
        let entities = row.texts("entities")?;
        let mut numbers = HashMap::new();
        for (number, entity) in entities.iter().enumerate() {
            numbers.entry(*entity).or_insert(number);
        }
        let gaps = query.matches(GAP).count();
        let filled = entities
            .iter()
            .map(|entity| passage.len() + query.len() + gaps * entity.len());
        if filled.sum::<usize>() > MAX_TEXT_BYTES {
            return Err(DataError::WrongType {
                location: row.location().to_owned(),
                field: "query".into(),
                expected: "a statement with a gap",
                found: "one that fills megabytes with passage and entities",
            });
        }
        let answers = match row.is_unlabelled("answers") {
            true => vec![],
            false => row.texts("answers")?,
        };
        let correct = answers
            .into_iter()
            .map(|answer| {
                let entity = numbers.get(answer).copied();
                entity.ok_or_else(|| DataError::UnknownValue {
                    location: row.location().to_owned(),
                    field: "answers".to_owned(),
                    found: answer.to_owned(),
                    expected: "one of the entities".to_owned(),
                })
            })
            .collect::<Result<_, _>>()?;
        let endings = entities
            .iter()
            .map(|entity| format!(" {}", query.replace(GAP, entity)));
        let cloze = Cloze::new(format!("{passage}\n-"), endings);
        Ok(Sample {
            row: row.number(),
            calibration: Some(Cloze::new("-", cloze.endings.clone())),
            cloze,
            correct,
            answers: vec![],
            chat: None,
        })
    }

    fn trains_as_classification(&self) -> bool {
        false
    }
}
