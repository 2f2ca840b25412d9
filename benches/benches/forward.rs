//! Forward passes: scoring two single-token options after each of 16 prompts.
//!
//! The embedded model shows overheads, OPT-125m (random weights: time does not depend on them) the rate
//! of the matrix products. `Sharing::None` runs every option by itself, as the originals do.

#![allow(missing_docs)] // criterion's macros make undocumented functions

use burn_flex::Flex;
use burn_ndarray::NdArray;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use zograd_benches::embedded;
use zograd_models::{Model, ModelBackend, ModelConfig, Plan, Sequence, Sharing};

const PROMPTS: usize = 16;

/// Two options that differ in their last token, after each of `PROMPTS` prompts of `length` tokens.
fn plan(length: usize, sharing: Sharing) -> Plan {
    let ids: Vec<Vec<u32>> = (0..PROMPTS * 2)
        .map(|option| {
            let prompt = option / 2;
            let mut ids: Vec<u32> = (0..length)
                .map(|place| 4 + ((prompt * 31 + place * 7) % 500) as u32)
                .collect();
            ids.push(10 + (option % 2) as u32);
            ids
        })
        .collect();
    let groups: Vec<Vec<Sequence<'_>>> = ids
        .chunks(2)
        .map(|pair| pair.iter().map(|ids| Sequence { ids, scored: 1 }).collect())
        .collect();
    Plan::new(&groups, sharing).expect("valid sequences")
}

fn forward(c: &mut Criterion) {
    forward_of::<NdArray<f32>>(c, "ndarray");
    forward_of::<Flex>(c, "flex");
}

fn forward_of<B: ModelBackend>(c: &mut Criterion, backend: &str) {
    let mut group = c.benchmark_group(format!("forward/{backend}"));
    group.sample_size(10);
    let opt_125m = ModelConfig::named("opt-125m").expect("a known shape");
    for (name, model, length) in [
        ("embedded", embedded::<B>(), 32),
        (
            "opt-125m",
            Model::<B>::init(&opt_125m, &Default::default()),
            64,
        ),
    ] {
        for sharing in [Sharing::Prefix, Sharing::None] {
            let plan = plan(length, sharing);
            group.throughput(Throughput::Elements(plan.stats().tokens as u64));
            let id = BenchmarkId::new(name, format!("{sharing:?}/16x{length}"));
            group.bench_function(id, |bencher| {
                bencher.iter(|| model.log_probs(&plan).expect("within the tables"));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, forward);
criterion_main!(benches);
