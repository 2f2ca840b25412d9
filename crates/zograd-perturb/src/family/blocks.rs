use super::{Family, Part};
use crate::{ParameterSpace, ParameterSpec, Seed};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Which block is the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum BlockOrder {
    /// One after the other, in the order of the model.
    #[default]
    InTurn,
    /// Any, drawn for each step by itself.
    Random,
}

/// One block of the model a step, with dense noise; all else stands still.
///
/// A block is a layer: the parameters whose names have the same number, such as `decoder.layers.3`. Those without a number
/// (embeddings, the last norm, the head) are one more block, the first in turn. Only blocks in which something moves count.
///
/// Nothing is stored but which parameter is in which block.
///
/// From arXiv 2501.19099 (MeZO-BCD).
#[derive(Clone, Debug)]
pub struct Blocks {
    blocks: u64,
    /// Block by parameter.
    of: HashMap<String, u64>,
    order: BlockOrder,
    seed: Seed,
}

impl Blocks {
    /// The layers of `space`, in this order; drawn from `seed`, if they are drawn.
    pub fn new(space: &ParameterSpace, order: BlockOrder, seed: Seed) -> Self {
        let mut keys: Vec<Option<&str>> = space.names().map(layer).collect();
        let all = keys.clone();
        keys.sort_by_key(|key| key.is_some());
        let mut known: Vec<Option<&str>> = Vec::new();
        for key in keys {
            if !known.contains(&key) {
                known.push(key);
            }
        }
        let place = |key| known.iter().position(|k| *k == key).unwrap_or(0) as u64;
        let of = space
            .names()
            .map(String::from)
            .zip(all.into_iter().map(place));
        Self {
            blocks: known.len().max(1) as u64,
            of: of.collect(),
            order,
            seed,
        }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.blocks
    }

    /// The block of the step after `step` others.
    pub fn at(&self, step: u64) -> u64 {
        match self.order {
            BlockOrder::InTurn => step % self.blocks,
            BlockOrder::Random => self.seed.child(step).value() % self.blocks,
        }
    }
}

/// A name up to its first number, if it has one.
fn layer(name: &str) -> Option<&str> {
    let mut end = 0;
    for field in name.split('.') {
        end += field.len();
        if !field.is_empty() && field.bytes().all(|b| b.is_ascii_digit()) {
            return Some(&name[..end]);
        }
        end += 1;
    }
    None
}

impl Family for Blocks {
    fn part(&self, _: &ParameterSpec, _: u64, _: Seed) -> Part {
        Part::Dense
    }

    fn moves(&self, parameter: &ParameterSpec, step: u64) -> bool {
        self.of.get(&parameter.name) == Some(&self.at(step))
    }

    fn since(&self, step: u64) -> u64 {
        step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_is_a_name_up_to_its_number() {
        assert_eq!(
            layer("decoder.layers.12.fc1.weight"),
            Some("decoder.layers.12")
        );
        assert_eq!(layer("layers.0"), Some("layers.0"));
        assert_eq!(layer("fc1.weight"), None);
        assert_eq!(layer("0.weight"), Some("0"));
        assert_eq!(layer(""), None);
    }
}
