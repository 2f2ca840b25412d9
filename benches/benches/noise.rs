//! Passes over the weights: adding 1 to 5 noise streams to 16 million weights in place.
//!
//! A step of MeZO makes three such passes with one stream each; one of MeZO-GV with a pool of four makes
//! seven with up to five. Compare with the time to copy 64 MiB, which bounds them from below.

#![allow(missing_docs)] // criterion's macros make undocumented functions

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use burn_flex::Flex;
use burn_ndarray::NdArray;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use zograd_perturb::{
    Direction, NoiseBackend, NoiseKind, ParameterSpace, Perturbed, Seed, Selection, TensorId, noise,
};

const WEIGHTS: usize = 1 << 24;

#[derive(Module, Debug)]
struct Weights<B: Backend> {
    weight: Param<Tensor<B, 2>>,
}

fn weights<B: Backend>() -> Weights<B> {
    let shape = [4096, WEIGHTS / 4096];
    Weights {
        weight: Param::from_tensor(Tensor::zeros(shape, &Default::default())),
    }
}

/// Noise alone, by its definition: what the fused passes are compared with.
fn fill(c: &mut Criterion) {
    let mut group = c.benchmark_group("fill");
    let mut values = vec![0f32; 1 << 16];
    group.throughput(Throughput::Elements(values.len() as u64));
    for kind in NoiseKind::ALL {
        group.bench_function(kind.to_string(), |bencher| {
            let tensor = TensorId::of("w");
            bencher.iter(|| noise::fill(Seed::new(1), tensor, kind, 0, black_box(&mut values)));
        });
    }
    group.finish();
}

fn passes(c: &mut Criterion) {
    passes_of::<NdArray<f32>>(c, "ndarray");
    passes_of::<Flex>(c, "flex");
}

fn passes_of<B: NoiseBackend>(c: &mut Criterion, backend: &str) {
    let mut group = c.benchmark_group(format!("pass/{backend}"));
    group.throughput(Throughput::Elements(WEIGHTS as u64));
    group.sample_size(20);
    for kind in NoiseKind::ALL {
        for streams in [1, 2, 5] {
            let module = weights::<B>();
            let space = ParameterSpace::select(&module, &Selection::All).expect("one tensor");
            let mut model = Perturbed::new(module, space, kind, 1e-3).expect("its own space");
            let direction: Direction = (0..streams).map(|s| (Seed::new(s), 1.0)).collect();
            let mut sign = 1.0;
            let id = BenchmarkId::new(kind.to_string(), streams);
            group.bench_function(id, |bencher| {
                bencher.iter(|| {
                    // there and back again: every iteration is one pass with all streams
                    sign = -sign;
                    model.move_to(&(&direction * sign)).expect("finite");
                });
            });
        }
    }
    group.finish();
}

fn copy(c: &mut Criterion) {
    let mut group = c.benchmark_group("copy");
    group.throughput(Throughput::Elements(WEIGHTS as u64));
    let source = vec![1f32; WEIGHTS];
    let mut target = vec![0f32; WEIGHTS];
    group.bench_function("one thread", |bencher| {
        bencher.iter(|| black_box(&mut target).copy_from_slice(black_box(&source)));
    });
    group.finish();
}

criterion_group!(benches, fill, passes, copy);
criterion_main!(benches);
