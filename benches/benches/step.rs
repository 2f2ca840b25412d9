//! Whole steps of training on the embedded model: walk, evaluate, update.

#![allow(missing_docs)] // criterion's macros make undocumented functions

use burn_ndarray::NdArray;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use zograd_models::{LoadOptions, Opt, Plan, Sequence, Sharing};
use zograd_perturb::{NoiseKind, ParameterSpace, Perturbed, Seed, Selection};
use zograd_select::{Method, StepContext};
use zograd_trainer::run_step;

type Cpu = NdArray<f32>;

const EPS: f64 = 1e-3;

fn embedded() -> Opt<Cpu> {
    let folder = std::env::temp_dir().join(format!("zograd-bench-{}", std::process::id()));
    zograd_embedded::unpack(&folder).expect("a writable temporary folder");
    let loaded = Opt::load(
        &folder.join("model"),
        &LoadOptions::default(),
        &Default::default(),
    );
    std::fs::remove_dir_all(&folder).expect("our own folder");
    loaded.expect("the embedded model").0
}

/// 16 prompts of 24 tokens with one option token each.
fn plan() -> Plan {
    let ids: Vec<Vec<u32>> = (0..16)
        .map(|prompt| {
            (0..25)
                .map(|place| 4 + (prompt * 31 + place * 7) % 500)
                .collect()
        })
        .collect();
    let groups: Vec<Vec<Sequence<'_>>> = ids
        .iter()
        .map(|ids| vec![Sequence { ids, scored: 1 }])
        .collect();
    Plan::new(&groups, Sharing::Prefix).expect("valid sequences")
}

fn step(c: &mut Criterion) {
    let mut group = c.benchmark_group("step");
    let plan = plan();
    for (name, method) in [
        ("mezo", Method::Mezo),
        (
            "mezo-gv, pool of 4",
            Method::Gv {
                pool: 4,
                alpha: 0.5,
                faithful_cost: false,
            },
        ),
        ("mezo-greedy, pool of 4", Method::Greedy { pool: 4 }),
    ] {
        let module = embedded();
        let space = ParameterSpace::select(&module, &Selection::All).expect("parameters");
        let mut model =
            Perturbed::new(module, space, NoiseKind::Gaussian, EPS).expect("its own space");
        let mut strategy = method.build().expect("valid settings");
        let mut step = 0;
        group.bench_function(BenchmarkId::new(name, "16x24"), |bencher| {
            bencher.iter(|| {
                let context = StepContext {
                    step,
                    seed: Seed::new(0).child(step),
                    eps: EPS,
                };
                step += 1;
                // learning rate 0: every iteration does the same work
                run_step(strategy.as_mut(), &context, &mut model, 0.0, 0.0, |model| {
                    let scores = model.log_probs(&plan)?;
                    Ok(-f64::from(scores.iter().sum::<f32>()) / scores.len() as f64)
                })
                .expect("a finite loss")
            });
        });
    }
    group.finish();
}

criterion_group!(benches, step);
criterion_main!(benches);
