//! A number for each weight that moves, kept beside the weights from step to step.
//!
//! On the host, so that it has the same bits on every backend. It is a function of the seeds and of what was learnt
//! along them, in their order: a replay that follows the steps of a log has it again, to the bit.

use crate::values::Values;
use crate::{ParameterSpec, TensorId};
use rayon::prelude::*;
use std::collections::HashMap;
use std::sync::Arc;

/// Weights that a thread takes at a time. The sums over a parameter are made of those of such pieces, in their order.
pub(crate) const PIECE: usize = 1 << 13;

/// The numbers of every parameter that has learnt something; those of others are 0.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept(HashMap<TensorId, Arc<Numbers>>);

/// The numbers of a parameter.
#[derive(Clone, Debug)]
pub(crate) struct Numbers {
    pub(crate) each: Vec<f32>,
    /// The largest magnitude of what its owner makes of them.
    pub(crate) largest: f64,
    /// The mean square of that.
    pub(crate) mean_square: f64,
}

impl Kept {
    /// The numbers of a parameter, if it has learnt something.
    pub(crate) fn of(&self, parameter: &ParameterSpec) -> Option<&Arc<Numbers>> {
        self.0.get(&parameter.id)
    }

    /// Changes the numbers of a parameter in place, a piece at a time, of which the first element is given. What was
    /// found in each piece, in their order.
    pub(crate) fn change<R: Send>(
        &mut self,
        parameter: &ParameterSpec,
        piece: impl Fn(usize, &mut [f32]) -> R + Sync,
    ) -> (&mut Numbers, Vec<R>) {
        let numbers = self.0.entry(parameter.id).or_insert_with(|| {
            Arc::new(Numbers {
                each: vec![0.0; parameter.len()],
                largest: 0.0,
                mean_square: 0.0,
            })
        });
        let numbers = Arc::make_mut(numbers);
        let pieces = numbers.each.par_chunks_mut(PIECE).enumerate();
        let found = pieces.map(|(n, each)| piece(n * PIECE, each)).collect();
        (numbers, found)
    }
}

impl Values for Numbers {
    fn fill(&self, start: usize, out: &mut [f32]) {
        out.copy_from_slice(&self.each[start..start + out.len()]);
    }
}
