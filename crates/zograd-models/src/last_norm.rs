//! The norm before the head, to be changed: there a shift of some tokens' logits, and a correction that was fitted to
//! features, become part of the weights.

use burn::tensor::{Tensor, TensorData};

use crate::backend::ModelBackend;
use crate::decoder::{Decoder, LastNorm};
use crate::error::ModelError;
use crate::indices::indices;
use crate::model::{Model, with};
use crate::plan::Plan;

impl<B: ModelBackend> Model<B> {
    /// Gain and bias of the norm right before the head, if there is one: what a normalised vector is multiplied with, and
    /// what is added then, if anything is.
    pub fn last_norm(&self) -> Option<(Vec<f64>, Option<Vec<f64>>)> {
        let numbers = |tensor: Tensor<B, 1>| -> Vec<f64> {
            let numbers = tensor.into_data();
            numbers.iter::<f32>().map(f64::from).collect()
        };
        with!(&mut self.clone(), model => model.last_norm_mut().map(|norm| {
            let gain = numbers(norm.gain.val()).into_iter().map(|gain| norm.offset + gain);
            (gain.collect(), norm.bias.map(|bias| numbers(bias.val())))
        }))
    }

    /// The model with these numbers added to the gain and to the bias of the norm right before the head, each as long as it is
    /// wide, or empty. `None` if there is no such norm, or no such bias.
    pub fn with_last_norm_moved(mut self, gain: &[f64], bias: &[f64]) -> Option<Self> {
        let moved = |old: Tensor<B, 1>, by: &[f64]| {
            let ([width], device, dtype) = (old.dims(), old.device(), old.dtype());
            let old: Vec<f32> = old.into_data().iter::<f32>().collect();
            let by = by.iter().chain(std::iter::repeat(&0.0));
            let new: Vec<f32> = old
                .iter()
                .zip(by)
                .map(|(old, by)| (f64::from(*old) + by) as f32)
                .collect();
            Tensor::from_data(TensorData::new(new, [width]), (&device, dtype))
        };
        with!(&mut self, model => {
            let norm = model.last_norm_mut()?;
            if !gain.is_empty() {
                *norm.gain = norm.gain.clone().map(|old| moved(old, gain));
            }
            match norm.bias {
                _ if bias.is_empty() => {}
                Some(old) => *old = old.clone().map(|old| moved(old, bias)),
                None => return None,
            }
        });
        Some(self)
    }

    /// The model in which the logits of some tokens, each of which is named once, are larger by these numbers than they
    /// were, but for what all of them have in common: the bias of the norm right before the head is moved by the shortest
    /// vector that does it. The logits of all other tokens move as well. `None` if there is no such bias, token or vector: where
    /// two tokens have the same row there is none.
    pub fn with_logits_moved(self, by: &[(u32, f64)]) -> Option<Self> {
        let tokens: Vec<u32> = by.iter().map(|(token, _)| *token).collect();
        let vocabulary = self.config().vocab_size;
        if tokens.iter().any(|token| *token as usize >= vocabulary) {
            return None;
        }
        let rows = self.head_rows(&tokens);
        let shifts: Vec<f64> = by.iter().map(|(_, shift)| *shift).collect();
        let bias = shortest(&rows, &shifts)?;
        self.with_last_norm_moved(&[], &bias)
    }

    /// The rows of the head's table for these tokens.
    ///
    /// # Panics
    /// There is no such token.
    pub fn head_rows(&self, tokens: &[u32]) -> Vec<Vec<f64>> {
        // CUDA starts no kernel for a tensor without elements
        if tokens.is_empty() {
            return Vec::new();
        }
        let table = with!(self, model => model.head_table().weight.val());
        let [_, width] = table.dims();
        let places = indices(tokens.iter().map(|token| *token as i32), &table.device());
        let rows: Vec<f32> = table.select(0, places).into_data().iter::<f32>().collect();
        rows.chunks(width)
            .map(|row| row.iter().map(|x| f64::from(*x)).collect())
            .collect()
    }

    /// What the norm right before the head gives where each scored token is predicted, before its gain and bias:
    /// `[scored tokens, width]` row by row, in the order of [`Plan::scored`]. `None` if there is no such norm.
    ///
    /// # Errors
    /// As [`Model::log_probs`].
    pub fn normed_features(&self, plan: &Plan) -> Result<Option<Vec<f32>>, ModelError> {
        let mut plain = self.clone();
        let found = with!(&mut plain, model => match model.last_norm_mut() {
            Some(LastNorm { gain, bias, offset }) => {
                *gain = gain.clone().map(|old| old.zeros_like().add_scalar(1.0 - offset));
                if let Some(bias) = bias {
                    *bias = bias.clone().map(|old| old.zeros_like());
                }
                true
            }
            None => false,
        });
        if !found {
            return Ok(None);
        }
        let features = plain.features(plan)?.into_data();
        Ok(Some(features.iter::<f32>().collect()))
    }
}

/// The shortest vector whose products with `rows` are `shifts` up to a number that they have in common; `None` if there is
/// none.
fn shortest(rows: &[Vec<f64>], shifts: &[f64]) -> Option<Vec<f64>> {
    let (first, others) = rows.split_first()?;
    // what the others differ by from the first
    let differences: Vec<Vec<f64>> = others
        .iter()
        .map(|row| row.iter().zip(first).map(|(a, b)| a - b).collect())
        .collect();
    let shifts: Vec<f64> = shifts[1..].iter().map(|shift| shift - shifts[0]).collect();
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let mut vector = vec![0.0; first.len()];
    // orthogonal directions one by one (Gram and Schmidt): each settles one product and leaves the earlier ones
    let mut directions: Vec<Vec<f64>> = Vec::new();
    for (difference, shift) in differences.iter().zip(shifts) {
        let mut direction = difference.clone();
        // twice: once leaves rounding behind
        for _ in 0..2 {
            for earlier in &directions {
                let factor = product(&direction, earlier) / product(earlier, earlier);
                direction
                    .iter_mut()
                    .zip(earlier)
                    .for_each(|(x, e)| *x -= factor * e);
            }
        }
        let length = product(&direction, &direction);
        if length <= 1e-12 * product(difference, difference) || length == 0.0 {
            return None;
        }
        let missing = shift - product(difference, &vector);
        let factor = missing / product(difference, &direction);
        vector
            .iter_mut()
            .zip(&direction)
            .for_each(|(x, d)| *x += factor * d);
        directions.push(direction);
    }
    Some(vector)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By numpy: `lstsq` of the rows less their mean, and the shifts less theirs.
    #[test]
    fn the_shortest_vector_is_that_of_least_squares() {
        let rows = [
            vec![1.0, 0.5, -2.0, 0.25],
            vec![0.0, 1.5, 1.0, -1.0],
            vec![-0.5, 2.0, 0.0, 3.0],
        ];
        let found = shortest(&rows, &[0.5, -1.0, 0.25]).expect("independent");
        for (found, expected) in found.iter().zip([
            0.087_205_048_472_654_37,
            -0.087_205_048_472_654,
            -0.337_753_795_500_274_35,
            0.249_862_813_243_094_76,
        ]) {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
        let same = [rows[0].clone(), rows[0].clone()];
        assert_eq!(shortest(&same, &[0.0, 1.0]), None);
        assert_eq!(shortest(&rows[..1], &[3.0]), Some(vec![0.0; 4]));
        assert_eq!(shortest(&[], &[]), None);
    }
}
