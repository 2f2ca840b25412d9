//! Matrix products of the shapes that models have, on an NVIDIA GPU, against sums on the host: whichever kernel
//! autotune picks. With burn 0.21 some of them are wrong: docs/src/gpu.md.

#![cfg(feature = "cuda")]

use burn::tensor::{Distribution, Tensor};
use burn_cuda::Cuda;
use zograd_models::ModelBackend;

type B = Cuda;

/// Products of unit normals, relative to the norm of the result: TF32 is near 3e-4.
const TOLERANCE: f64 = 2e-3;

/// A NaN is not.
fn is_small(error: f64) -> bool {
    error < TOLERANCE
}

fn random<const D: usize>(shape: [usize; D]) -> Tensor<B, D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Default::default())
}

fn host<const D: usize>(tensor: Tensor<B, D>) -> Vec<f64> {
    tensor.into_data().iter().collect()
}

/// `|found - expected| / |expected|` of `a` `[batch, m, k]` times the transpose of `b` `[batch, n, k]`.
fn error(found: &[f64], a: &[f64], b: &[f64], [m, n, k]: [usize; 3]) -> f64 {
    let (mut off, mut all) = (0.0, 0.0);
    for (index, found) in found.iter().enumerate() {
        let (batch, row, column) = (index / (m * n), index / n % m, index % n);
        let a = &a[(batch * m + row) * k..][..k];
        let b = &b[(batch * n + column) * k..][..k];
        let expected: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
        off += (found - expected).powi(2);
        all += expected.powi(2);
    }
    (off / all).sqrt()
}

#[test]
fn linear_layers() {
    let mut wrong = Vec::new();
    for m in [1, 2, 5, 38, 130] {
        for [n, k] in [
            [64, 64],
            [32, 64],
            [512, 32],
            [512, 64],
            [256, 64],
            [64, 256],
        ] {
            let (x, w) = (random([m, k]), random([n, k]));
            let found = host(B::packed_linear(x.clone(), w.clone(), None));
            let biased =
                B::packed_linear(x.clone(), w.clone(), Some(Tensor::zeros([n], &x.device())));
            let biased = host(biased);
            let (x, w) = (host(x), host(w));
            let errors = [&found, &biased].map(|found| error(found, &x, &w, [m, n, k]));
            println!("linear {m} x {n} x {k}: {errors:?}");
            if errors.iter().any(|error| !is_small(*error)) {
                wrong.push([m, n, k]);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn attention() {
    let mut wrong = Vec::new();
    for [rows, queries, keys] in [[1, 1, 7], [1, 1, 33], [3, 1, 9], [2, 12, 12], [4, 40, 40]] {
        let (heads, width) = (4, 16);
        // as the heads of packed tokens are: transposed in memory
        let by_heads = |length| {
            let packed: Tensor<B, 4> = random([rows, length, heads, width]);
            packed.swap_dims(1, 2)
        };
        let (q, k, v) = (by_heads(queries), by_heads(keys), by_heads(keys));
        let scores = q.clone().matmul(k.clone().swap_dims(2, 3));
        let out = scores.clone().matmul(v.clone());
        let (scores, v) = (host(scores), host(v.swap_dims(2, 3)));
        let first = error(&scores, &host(q), &host(k), [queries, keys, width]);
        let second = error(&host(out), &scores, &v, [queries, width, keys]);
        println!("attention {rows} x {queries} x {keys}: {first:.1e} {second:.1e}");
        if !is_small(first) || !is_small(second) {
            wrong.push([rows, queries, keys]);
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}
