//! What the pretrained model already knows of the task, before any tuning.

use crate::corpus::Row;
use crate::pretrain::Cpu;
use anyhow::{Result, anyhow};
use std::fmt;
use tokenizers::Tokenizer;
use zograd_models::{Model, Plan, Sequence, Sharing};

/// How well `ln p(great) - ln p(terrible)` after "It was" separates the labels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Probe {
    /// Accuracy of the zero-shot answer, the likelier of the two words.
    pub accuracy: f64,
    /// Accuracy if the margin is compared with its median instead of 0: what a mere change of bias
    /// would reach.
    pub at_median: f64,
    /// The probability that a positive row has a larger margin than a negative one.
    pub area: f64,
    /// Rows for which the answer is "great".
    pub great: f64,
}

impl Probe {
    /// Probes `model` on `rows`.
    ///
    /// # Errors
    ///
    /// A row cannot be encoded or is longer than the position table.
    pub fn new(model: &Model<Cpu>, tokenizer: &Tokenizer, rows: &[Row]) -> Result<Self> {
        let mut scored = Vec::with_capacity(rows.len());
        for rows in rows.chunks(64) {
            let options = rows
                .iter()
                .flat_map(|row| {
                    ["great", "terrible"].map(|word| format!("{} It was {word}", row.sentence))
                })
                .map(|text| {
                    let encoding = tokenizer
                        .encode(text.as_str(), true)
                        .map_err(|error| anyhow!("cannot encode {text:?}: {error}"))?;
                    Ok(encoding.get_ids().to_vec())
                })
                .collect::<Result<Vec<Vec<u32>>>>()?;
            let groups: Vec<Vec<Sequence<'_>>> = options
                .chunks(2)
                .map(|pair| pair.iter().map(|ids| Sequence { ids, scored: 1 }).collect())
                .collect();
            let scores = model.log_probs(&Plan::new(&groups, Sharing::Prefix)?)?;
            let margins = scores.chunks(2).map(|pair| pair[0] - pair[1]);
            scored.extend(margins.zip(rows.iter().map(|row| row.label)));
        }
        Ok(Self::of(&scored))
    }

    /// The numbers for (margin, label) pairs.
    fn of(scored: &[(f32, usize)]) -> Self {
        let n = scored.len() as f64;
        let share = |test: &dyn Fn(&(f32, usize)) -> bool| {
            scored.iter().filter(|pair| test(pair)).count() as f64 / n
        };
        let above = |bar: f32| share(&|&(margin, label)| (margin > bar) == (label == 1));
        let mut margins: Vec<f32> = scored.iter().map(|pair| pair.0).collect();
        margins.sort_by(f32::total_cmp);
        let middle = margins.len() / 2;
        let median = match margins.get(middle.wrapping_sub(1)..=middle) {
            Some([low, high]) => 0.5 * (low + high),
            _ => margins.first().copied().unwrap_or(0.0),
        };
        let of_label = |wanted| {
            let of = scored.iter().filter(move |pair| pair.1 == wanted);
            of.map(|pair| pair.0)
        };
        let mut area = 0.0;
        for positive in of_label(1) {
            for negative in of_label(0) {
                area += match positive.total_cmp(&negative) {
                    std::cmp::Ordering::Greater => 1.0,
                    std::cmp::Ordering::Equal => 0.5,
                    std::cmp::Ordering::Less => 0.0,
                };
            }
        }
        Self {
            accuracy: above(0.0),
            at_median: above(median),
            area: area / (of_label(1).count() * of_label(0).count()) as f64,
            great: share(&|pair| pair.0 > 0.0),
        }
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "zero-shot accuracy {:.3} (answers \"great\" {:.3}), accuracy at the median {:.3}, area \
             under the curve {:.3}",
            self.accuracy, self.great, self.at_median, self.area
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_biased_but_perfect_margin() {
        let probe = Probe::of(&[(1.0, 0), (2.0, 0), (3.0, 1), (4.0, 1)]);
        assert_eq!(
            probe,
            Probe {
                accuracy: 0.5,
                at_median: 1.0,
                area: 1.0,
                great: 1.0
            }
        );
    }

    #[test]
    fn a_margin_that_says_nothing() {
        let probe = Probe::of(&[(-1.0, 0), (1.0, 0), (-1.0, 1), (1.0, 1)]);
        assert_eq!((probe.accuracy, probe.area), (0.5, 0.5));
    }
}
