//! The defaults of [`ModelBackend`](super::ModelBackend): tensor operations only, differentiable.

use std::f64::consts::SQRT_2;
use std::ops::Range;

use burn::tensor::activation::{gelu_approximate, relu, silu, softmax};
use burn::tensor::backend::Backend;
use burn::tensor::{DType, Slice, Tensor, TensorData};

use super::{Gate, ModelBackend, WeightAndBias};
use crate::attention::{AttentionLayout, HIDDEN, Heads};
use crate::indices::indices;
use crate::rotary::Rotation;

pub(crate) fn linear<B: Backend>(
    x: Tensor<B, 2>,
    weight: Tensor<B, 2>,
    bias: Option<Tensor<B, 1>>,
) -> Tensor<B, 2> {
    let y = x.matmul(weight.transpose());
    match bias {
        Some(bias) => y + bias.unsqueeze(),
        None => y,
    }
}

/// Rows of a table that are brought to f32 at a time.
const TABLE_ROWS: usize = 8192;

pub(crate) fn logits<B: ModelBackend>(x: Tensor<B, 2>, table: Tensor<B, 2>) -> Tensor<B, 2> {
    let [ids, width] = table.dims();
    if !matches!(table.dtype(), DType::F16 | DType::BF16) {
        return B::packed_linear(x, table, None);
    }
    let x = to_f32(x);
    let blocks = (0..ids).step_by(TABLE_ROWS).map(|start| {
        let end = ids.min(start + TABLE_ROWS);
        let rows = table.clone().slice([start..end, 0..width]);
        B::packed_linear(x.clone(), to_f32(rows), None)
    });
    Tensor::cat(blocks.collect(), 1)
}

pub(crate) fn feed_forward<B: ModelBackend>(
    x: Tensor<B, 2>,
    inner: WeightAndBias<B>,
    outer: WeightAndBias<B>,
) -> Tensor<B, 2> {
    let inner = relu(B::packed_linear(x, inner.0, inner.1));
    B::packed_linear(inner, outer.0, outer.1)
}

pub(crate) fn gated_feed_forward<B: ModelBackend>(
    x: Tensor<B, 2>,
    gate: WeightAndBias<B>,
    up: WeightAndBias<B>,
    down: WeightAndBias<B>,
    activation: Gate,
) -> Tensor<B, 2> {
    let gate = B::packed_linear(x.clone(), gate.0, gate.1);
    let inner = gated(gate, B::packed_linear(x, up.0, up.1), activation);
    B::packed_linear(inner, down.0, down.1)
}

/// What is between the maps of a gated feed-forward layer.
pub(crate) fn gated<B: Backend>(
    gate: Tensor<B, 2>,
    up: Tensor<B, 2>,
    activation: Gate,
) -> Tensor<B, 2> {
    let gate = match activation {
        Gate::Silu => silu(gate),
        Gate::GeluTanh => gelu_approximate(gate),
        // not burn's, whose derivative is that of the approximation by tanh
        Gate::Gelu => {
            let erf = gate.clone().div_scalar(SQRT_2).erf();
            gate * erf.add_scalar(1.0).mul_scalar(0.5)
        }
    };
    gate * up
}

pub(crate) fn rms_norm<B: Backend>(
    x: Tensor<B, 2>,
    weight: Tensor<B, 1>,
    epsilon: f64,
    offset: f64,
) -> Tensor<B, 2> {
    let dtype = x.dtype();
    let x = to_f32(x);
    let square = (x.clone() * x.clone()).mean_dim(1);
    let normal = x / square.add_scalar(epsilon).sqrt();
    let y = normal * to_f32(weight).add_scalar(offset).unsqueeze();
    of_type(y, dtype)
}

pub(crate) fn rotary<B: Backend>(x: Tensor<B, 2>, rotation: &Rotation<B>) -> Tensor<B, 2> {
    let ([tokens, hidden], dtype) = (x.dims(), x.dtype());
    let [_, half] = rotation.cos.dims();
    let x = to_f32(x).reshape([tokens, hidden / (2 * half), 2 * half]);
    let [cos, sin] = [&rotation.cos, &rotation.sin].map(|of| {
        let of = of_type(of.clone(), x.dtype());
        of.reshape([tokens, 1, half])
    });
    let (first, second) = (x.clone().narrow(2, 0, half), x.narrow(2, half, half));
    let turned = vec![
        first.clone() * cos.clone() - second.clone() * sin.clone(),
        second * cos + first * sin,
    ];
    of_type(Tensor::cat(turned, 2).reshape([tokens, hidden]), dtype)
}

pub(crate) fn layer_norm<B: Backend>(
    x: Tensor<B, 2>,
    weight: Tensor<B, 1>,
    bias: Tensor<B, 1>,
    epsilon: f64,
) -> Tensor<B, 2> {
    let dtype = x.dtype();
    let x = to_f32(x);
    let centred = x.clone() - x.mean_dim(1);
    let variance = (centred.clone() * centred.clone()).mean_dim(1);
    let normal = centred / variance.add_scalar(epsilon).sqrt();
    let y = normal * to_f32(weight).unsqueeze() + to_f32(bias).unsqueeze();
    of_type(y, dtype)
}

pub(crate) fn attention<B: Backend>(
    prefix: Option<[Tensor<B, 2>; 2]>,
    query: Tensor<B, 2>,
    key: Tensor<B, 2>,
    value: Tensor<B, 2>,
    layout: &AttentionLayout<B>,
) -> Tensor<B, 2> {
    let device = query.device();
    let heads = layout.heads();
    // scaled before the product, so that half-precision scores stay in range
    let query = query.mul_scalar(heads.scale);
    let prefix = prefix.map(|tensors| tensors.map(|tensor| by_heads(tensor, heads.key_value)));
    let attended = layout
        .rectangles(&device)
        .iter()
        .map(|rectangle| {
            let q = rectangle.gather(query.clone(), heads.query);
            let [k, v] =
                [&key, &value].map(|packed| rectangle.gather(packed.clone(), heads.key_value));
            let (k, v, mask) = match prefix.clone() {
                None => (k, v, rectangle.mask()),
                Some([keys, values]) => {
                    let [_, _, tokens, _] = keys.dims();
                    let (k, v) = (before(keys, k), before(values, v));
                    (k, v, visible(tokens, rectangle.mask()))
                }
            };
            let [k, v] = [k, v].map(|each| shared(each, heads.group()));
            rectangle.scatter(attend(q, k, v, mask))
        })
        .collect();
    Tensor::cat(attended, 0)
}

pub(crate) fn write_rows<B: Backend>(
    mut cache: Tensor<B, 2>,
    new: Tensor<B, 2>,
    places: &[usize],
) -> Tensor<B, 2> {
    let [_, width] = new.dims();
    for run in even_runs(places) {
        let (first, end) = (places[run.start], places[run.end - 1] + 1);
        let step = if run.len() > 1 {
            places[run.start + 1] - first
        } else {
            1
        };
        let rows = Slice::new(first as isize, Some(end as isize), step as isize);
        let columns = Slice::new(0, Some(width as isize), 1);
        let new = new.clone().narrow(0, run.start, run.len());
        cache = cache.slice_assign([rows, columns], new);
    }
    cache
}

/// Runs of places that ascend by one step.
fn even_runs(places: &[usize]) -> Vec<Range<usize>> {
    let mut runs = Vec::new();
    let mut start = 0;
    while start < places.len() {
        let step = |at: usize| places.get(at)?.checked_sub(places[at - 1]);
        let first = step(start + 1).filter(|step| *step > 0);
        let mut end = start + 1;
        while first.is_some() && step(end) == first {
            end += 1;
        }
        runs.push(start..end);
        start = end;
    }
    runs
}

pub(crate) fn cached_attention<B: Backend>(
    query: Tensor<B, 2>,
    keys: Tensor<B, 2>,
    values: Tensor<B, 2>,
    seen: &[Range<usize>],
    prefix: usize,
    heads: Heads,
) -> Tensor<B, 2> {
    let (device, rows) = (query.device(), seen.len());
    let length = seen.iter().map(Range::len).max().unwrap_or(0);
    // cells beyond a sequence's own hold its first row, and are not seen
    let cells = seen.iter().flat_map(|seen| {
        let cell = |at| {
            if at < seen.len() {
                seen.start + at
            } else {
                seen.start
            }
        };
        (0..length).map(move |at| cell(at) as i32)
    });
    let cells = indices(cells, &device);
    let mask = seen.iter().flat_map(|seen| {
        let window = heads.window.unwrap_or(usize::MAX);
        let first = prefix.max(seen.len().saturating_sub(window));
        let sees = move |at| at < prefix || (first..seen.len()).contains(&at);
        (0..length).map(move |at| if sees(at) { 0.0 } else { HIDDEN })
    });
    let mask = TensorData::new(mask.collect::<Vec<f32>>(), [rows, 1, 1, length]);
    let mask = Tensor::from_data(mask, (&device, DType::F32));
    let [keys, values] = [keys, values].map(|of| {
        let shape = [rows, length, heads.key_value, heads.width];
        let of = of.select(0, cells.clone()).reshape(shape);
        shared(of.swap_dims(1, 2), heads.group())
    });
    let shape = query.dims();
    let query = query.mul_scalar(heads.scale);
    let query = query.reshape([rows, heads.query, 1, heads.width]);
    attend(query, keys, values, mask).reshape(shape)
}

/// Keys or values `[rows, heads, length, width]` once for each head of the queries: neighbours share one.
pub(crate) fn shared<B: Backend>(of: Tensor<B, 4>, group: usize) -> Tensor<B, 4> {
    if group == 1 {
        return of;
    }
    let [rows, heads, length, width] = of.dims();
    of.reshape([rows, heads, 1, length, width])
        .expand([rows, heads, group, length, width])
        .reshape([rows, heads * group, length, width])
}

/// Queries `[rows, heads, length, head width]`; keys and values may be longer, as the mask's last dimension.
pub(crate) fn attend<B: Backend>(
    query: Tensor<B, 4>,
    key: Tensor<B, 4>,
    value: Tensor<B, 4>,
    mask: Tensor<B, 4>,
) -> Tensor<B, 4> {
    let dtype = query.dtype();
    let scores = to_f32(query.matmul(key.swap_dims(2, 3)));
    // f64 stays f64
    let mask = of_type(mask, scores.dtype());
    let scores = scores + mask;
    of_type(softmax(scores, 3), dtype).matmul(value)
}

/// `[tokens, hidden]` to `[1, heads, tokens, head width]`.
pub(crate) fn by_heads<B: Backend>(packed: Tensor<B, 2>, heads: usize) -> Tensor<B, 4> {
    let [tokens, hidden] = packed.dims();
    packed
        .reshape([1, tokens, heads, hidden / heads])
        .swap_dims(1, 2)
}

/// The prefix `[1, heads, tokens, head width]` before the keys or values of each row.
pub(crate) fn before<B: Backend>(prefix: Tensor<B, 4>, rows: Tensor<B, 4>) -> Tensor<B, 4> {
    let [_, heads, tokens, width] = prefix.dims();
    let [count, ..] = rows.dims();
    // weights may be narrower than what flows between the layers
    let prefix = of_type(prefix, rows.dtype());
    Tensor::cat(vec![prefix.expand([count, heads, tokens, width]), rows], 2)
}

/// The mask with so many columns before it that every row sees.
pub(crate) fn visible<B: Backend>(tokens: usize, mask: Tensor<B, 4>) -> Tensor<B, 4> {
    let [rows, _, length, _] = mask.dims();
    let open = Tensor::zeros([rows, 1, length, tokens], (&mask.device(), mask.dtype()));
    Tensor::cat(vec![open, mask], 3)
}

pub(crate) fn log_probs_at<B: Backend>(
    logits: Tensor<B, 2>,
    pairs: &[(usize, u32)],
) -> Tensor<B, 1> {
    let device = logits.device();
    let [rows, vocabulary] = logits.dims();
    let logits = to_f32(logits);
    // the maximum only keeps exp in range; its gradient cancels
    let max = logits.clone().detach().max_dim(1);
    let total = (logits.clone() - max.clone()).exp().sum_dim(1);
    let normaliser = (total.log() + max).reshape([rows]);
    let row = |(row, _): &(usize, u32)| *row as i32;
    let cell = |(row, id): &(usize, u32)| (*row * vocabulary + *id as usize) as i32;
    let chosen = logits
        .reshape([rows * vocabulary])
        .select(0, indices(pairs.iter().map(cell), &device));
    chosen - normaliser.select(0, indices(pairs.iter().map(row), &device))
}

/// To f32, unless it is f32 or wider already.
pub(crate) fn to_f32<B: Backend, const D: usize>(x: Tensor<B, D>) -> Tensor<B, D> {
    match x.dtype() {
        DType::F16 | DType::BF16 => x.cast(DType::F32),
        _ => x,
    }
}

/// In this type.
pub(crate) fn of_type<B: Backend, const D: usize>(x: Tensor<B, D>, dtype: DType) -> Tensor<B, D> {
    if x.dtype() == dtype { x } else { x.cast(dtype) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_ascend_by_one_step() {
        let ends = |places: &[usize]| -> Vec<usize> {
            let runs = even_runs(places).into_iter();
            runs.map(|run| run.end).collect()
        };
        assert!(ends(&[]).is_empty());
        assert_eq!(ends(&[7]), [1]);
        assert_eq!(ends(&[3, 4, 5]), [3]);
        assert_eq!(ends(&[9, 19, 29, 30, 40, 2, 1]), [3, 5, 6, 7]);
    }
}
