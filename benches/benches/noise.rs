//! Passes over the weights: adding 1 to 5 noise streams to 16 million weights in place.
//!
//! A step of MeZO makes three such passes with one stream each; one of MeZO-GV with a pool of four makes
//! seven with up to five. Compare with the time to copy 64 MiB, which bounds them from below.

#![allow(missing_docs)] // criterion's macros make undocumented functions

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use burn_ndarray::NdArray;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use zograd_perturb::{Direction, NoiseKind, ParameterSpace, Perturbed, Seed, Selection};

type Cpu = NdArray<f32>;

const WEIGHTS: usize = 1 << 24;

#[derive(Module, Debug)]
struct Weights<B: Backend> {
    weight: Param<Tensor<B, 2>>,
}

fn weights() -> Weights<Cpu> {
    Weights {
        weight: Param::from_tensor(Tensor::zeros([4096, WEIGHTS / 4096], &Default::default())),
    }
}

fn passes(c: &mut Criterion) {
    let mut group = c.benchmark_group("noise");
    group.throughput(Throughput::Elements(WEIGHTS as u64));
    group.sample_size(20);
    for kind in [NoiseKind::Gaussian, NoiseKind::Rademacher] {
        for streams in [1, 2, 5] {
            let module = weights();
            let space = ParameterSpace::select(&module, &Selection::All).expect("one tensor");
            let mut model = Perturbed::new(module, space, kind, 1e-3).expect("its own space");
            let direction: Direction = (0..streams).map(|s| (Seed::new(s), 1.0)).collect();
            let mut sign = 1.0;
            let id = BenchmarkId::new(format!("{kind:?}"), streams);
            group.bench_function(id, |bencher| {
                bencher.iter(|| {
                    // there and back again: every iteration is one pass with all streams
                    sign = -sign;
                    model.move_to(&(&direction * sign)).expect("finite");
                });
            });
        }
    }
    let source = vec![1f32; WEIGHTS];
    let mut target = vec![0f32; WEIGHTS];
    group.bench_function("copy", |bencher| {
        bencher.iter(|| black_box(&mut target).copy_from_slice(black_box(&source)));
    });
    group.finish();
}

criterion_group!(benches, passes);
criterion_main!(benches);
