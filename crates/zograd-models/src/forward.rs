//! What a model says about tokens: scores of a plan, logits.

use burn::tensor::Tensor;

use crate::backend::ModelBackend;
use crate::decoder::{Decoder, device};
use crate::error::ModelError;
use crate::indices::indices;
use crate::packing::Packing;
use crate::plan::{Plan, Target};
use crate::run::{before_head, head, run};
use crate::scores::{Chunks, LOGIT_ROWS, ids_of, unnormalised};

/// See [`Model::log_probs_tensor`](crate::Model::log_probs_tensor).
pub(crate) fn log_probs_tensor<D: Decoder>(
    model: &D,
    plan: &Plan,
) -> Result<Tensor<D::Backend, 1>, ModelError> {
    check(model, plan)?;
    let hidden = run(model, &plan.packing, Some(&plan.logit_tokens))?;
    Ok(scores_at(model, hidden, plan))
}

/// The scores of the plan, given what the layers make of the tokens where logits are read.
pub(crate) fn scores_at<D: Decoder>(
    model: &D,
    hidden: Tensor<D::Backend, 2>,
    plan: &Plan,
) -> Tensor<D::Backend, 1> {
    if plan.is_normalised() {
        return log_probs_at(model, hidden, &plan.targets);
    }
    let ids = ids_of(&plan.targets);
    let rows = indices(ids.iter().map(|id| *id as i32), &hidden.device());
    let rows = model.head_table().weight.val().select(0, rows);
    let logits = D::Backend::packed_logits(before_head(model, hidden), rows);
    unnormalised(logits, &ids, &plan.targets)
}

/// The log-probabilities of `targets`, given what the layers make of the tokens where logits are read.
pub(crate) fn log_probs_at<D: Decoder>(
    model: &D,
    hidden: Tensor<D::Backend, 2>,
    targets: &[Target],
) -> Tensor<D::Backend, 1> {
    let [positions, width] = hidden.dims();
    let chunks = Chunks::new(targets, positions);
    let starts = (0..positions).step_by(LOGIT_ROWS);
    let scores = starts.zip(&chunks.pairs).map(|(start, pairs)| {
        let end = positions.min(start + LOGIT_ROWS);
        let logits = head(model, hidden.clone().slice([start..end, 0..width]));
        D::Backend::log_probs_at(logits, pairs)
    });
    chunks.in_order(scores.collect())
}

/// Whether the model has all ids and positions of a plan.
pub(crate) fn check<D: Decoder>(model: &D, plan: &Plan) -> Result<(), ModelError> {
    let shape = model.shape();
    plan.check(shape.vocab_size, shape.positions)
}

pub(crate) fn check_packing<D: Decoder>(model: &D, packing: &Packing) -> Result<(), ModelError> {
    let shape = model.shape();
    packing.check(shape.vocab_size, shape.positions)
}

/// See [`Model::features`](crate::Model::features).
pub(crate) fn features<D: Decoder>(
    model: &D,
    plan: &Plan,
) -> Result<Tensor<D::Backend, 2>, ModelError> {
    check(model, plan)?;
    let hidden = before_head(model, run(model, &plan.packing, Some(&plan.logit_tokens))?);
    let rows = plan.targets.iter().map(|target| target.logit as i32);
    let rows = indices(rows, &hidden.device());
    Ok(hidden.select(0, rows))
}

/// See [`Model::forward`](crate::Model::forward).
pub(crate) fn forward<D: Decoder>(
    model: &D,
    sequences: &[Vec<u32>],
) -> Result<Vec<Tensor<D::Backend, 2>>, ModelError> {
    let packing = Packing::whole(sequences);
    check_packing(model, &packing)?;
    let logits = head(model, run(model, &packing, None)?);
    let vocabulary = model.shape().vocab_size;
    let slice = |tokens| logits.clone().slice([tokens, 0..vocabulary]);
    Ok(packing.rows.iter().map(|row| slice(row.tokens())).collect())
}

/// See [`Model::forward_padded`](crate::Model::forward_padded).
pub(crate) fn forward_padded<D: Decoder>(
    model: &D,
    ids: &[Vec<u32>],
    mask: &[Vec<bool>],
) -> Result<Tensor<D::Backend, 3>, ModelError> {
    let length = ids.first().map_or(0, Vec::len);
    check_rectangle("batch", ids, ids.len(), length)?;
    check_rectangle("attention mask", mask, ids.len(), length)?;
    let real = |(ids, mask): (&Vec<u32>, &Vec<bool>)| {
        let kept = ids.iter().zip(mask).filter(|(_, real)| **real);
        kept.map(|(id, _)| *id).collect::<Vec<u32>>()
    };
    let sequences: Vec<Vec<u32>> = ids.iter().zip(mask).map(real).collect();
    let packing = Packing::whole(&sequences);
    check_packing(model, &packing)?;
    let logits = head(model, run(model, &packing, None)?);

    let device = device(model);
    let vocabulary = model.shape().vocab_size;
    let cells = mask.iter().flatten();
    // row 0 of the extended logits is what padding gets
    let mut next = 0;
    let sources = cells.map(|real| {
        next += i32::from(*real);
        if *real { next } else { 0 }
    });
    let sources = indices(sources, &device);
    let zeros = Tensor::zeros([1, vocabulary], (&device, logits.dtype()));
    Ok(Tensor::cat(vec![zeros, logits], 0)
        .select(0, sources)
        .reshape([ids.len(), length, vocabulary]))
}

fn check_rectangle<T>(
    what: &'static str,
    rows: &[Vec<T>],
    count: usize,
    expected: usize,
) -> Result<(), ModelError> {
    if rows.len() != count {
        return Err(ModelError::Ragged {
            row: rows.len().min(count),
            what,
            found: 0,
            expected,
        });
    }
    match rows.iter().position(|row| row.len() != expected) {
        Some(row) => Err(ModelError::Ragged {
            row,
            what,
            found: rows[row].len(),
            expected,
        }),
        None => Ok(()),
    }
}
