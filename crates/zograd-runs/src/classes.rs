//! How a model does class by class.

use serde::Serialize;
use zograd_tasks::{Sample, Task};
use zograd_trainer::{Answer, Prediction};

/// How a model does class by class.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ClassReport {
    /// The classes, in the task's order.
    pub classes: Vec<ClassScores>,
    /// Mean F1 of the classes that are right or predicted somewhere.
    pub macro_f1: f64,
    /// How often each class (row) was predicted as each (column), both in the order of `classes`.
    pub confusion: Vec<Vec<usize>>,
}

/// How a model does on a class. What would be divided by 0 is 0.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ClassScores {
    /// What it is called.
    pub name: String,
    /// Of the rows that were predicted to be of it, the share that are.
    pub precision: f64,
    /// Of the rows that are of it, the share that were predicted to be.
    pub recall: f64,
    /// The harmonic mean of the two.
    pub f1: f64,
    /// How many rows are of it.
    pub rows: usize,
}

impl ClassReport {
    /// Of these predictions; none where answers are written, or rows have options of their own.
    pub(crate) fn new(
        task: &dyn Task,
        samples: &[Sample],
        predictions: &[Prediction],
    ) -> Option<Self> {
        let names = names(task, samples)?;
        let mut confusion = vec![vec![0; names.len()]; names.len()];
        let mut unanswered = vec![0; names.len()];
        for prediction in predictions {
            let Answer::Choice {
                label,
                prediction,
                scores,
                ..
            } = &prediction.answer
            else {
                return None;
            };
            // scores that are no numbers predict no class
            match scores.iter().all(|score| score.is_finite()) {
                true => *confusion.get_mut(*label)?.get_mut(*prediction)? += 1,
                false => *unanswered.get_mut(*label)? += 1,
            }
        }
        Some(Self::of(names, confusion, &unanswered))
    }

    /// Of how often each class was predicted as each, and for how many rows of each no class was.
    fn of(names: Vec<String>, confusion: Vec<Vec<usize>>, unanswered: &[usize]) -> Self {
        let share = |part: usize, whole: usize| match whole {
            0 => 0.0,
            whole => part as f64 / whole as f64,
        };
        let mut occurring = Vec::new();
        let classes = names.into_iter().enumerate().map(|(k, name)| {
            let hits = confusion[k][k];
            let rows = confusion[k].iter().sum::<usize>() + unanswered[k];
            let predicted: usize = confusion.iter().map(|row| row[k]).sum();
            let f1 = share(2 * hits, rows + predicted);
            if rows + predicted > 0 {
                occurring.push(f1);
            }
            ClassScores {
                name,
                precision: share(hits, predicted),
                recall: share(hits, rows),
                f1,
                rows,
            }
        });
        let classes = classes.collect();
        Self {
            classes,
            macro_f1: occurring.iter().sum::<f64>() / occurring.len().max(1) as f64,
            confusion,
        }
    }
}

/// What the options are called, if all rows have the same.
fn names(task: &dyn Task, samples: &[Sample]) -> Option<Vec<String>> {
    if task.is_generation() {
        return None;
    }
    let endings = &samples.first()?.cloze.endings;
    let named = task.option_names();
    if named.is_none()
        && samples
            .iter()
            .any(|sample| sample.cloze.endings != *endings)
    {
        return None;
    }
    let texts = || {
        endings
            .iter()
            .map(|ending| ending.trim().to_owned())
            .collect()
    };
    Some(named.unwrap_or_else(texts))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers are those of `sklearn.metrics.classification_report` by its definitions: right are 0 0 0 1 1 2,
    /// predicted 0 0 1 1 1 0.
    #[test]
    fn scores_of_classes() {
        let names = ["a", "b", "c", "d"].map(String::from).to_vec();
        let confusion = vec![
            vec![2, 1, 0, 0],
            vec![0, 2, 0, 0],
            vec![1, 0, 0, 0],
            vec![0; 4],
        ];
        let report = ClassReport::of(names, confusion, &[0; 4]);
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
        for (class, (precision, recall, f1, rows)) in report.classes.iter().zip([
            (2.0 / 3.0, 2.0 / 3.0, 2.0 / 3.0, 3),
            (2.0 / 3.0, 1.0, 0.8, 2),
            (0.0, 0.0, 0.0, 1),
            (0.0, 0.0, 0.0, 0),
        ]) {
            near(class.precision, precision);
            near(class.recall, recall);
            near(class.f1, f1);
            assert_eq!(class.rows, rows);
        }
        // the last class is nowhere
        near(report.macro_f1, (2.0 / 3.0 + 0.8) / 3.0);
    }

    /// Rows without a prediction are of their class all the same.
    #[test]
    fn rows_without_a_prediction_count_as_missed() {
        let names = ["a", "b"].map(String::from).to_vec();
        let report = ClassReport::of(names, vec![vec![0, 0], vec![0, 1]], &[3, 1]);
        let told = |k: usize| (report.classes[k].recall, report.classes[k].rows);
        assert_eq!((told(0), told(1)), ((0.0, 3), (0.5, 2)));
        assert_eq!(report.classes[1].precision, 1.0);
    }
}
