//! Whole steps of training on the embedded model: probe, evaluate, update.

#![allow(missing_docs)] // criterion's macros make undocumented functions

use burn_flex::Flex;
use burn_ndarray::NdArray;
use clap::ValueEnum;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use zograd_benches::batches::Batches;
use zograd_benches::embedded;
use zograd_benches::steps::MethodName;
use zograd_models::{LanguageModel, ModelBackend, Still};
use zograd_perturb::{NoiseBackend, NoiseKind, ParameterSpace, Perturbed, Seed, Selection};
use zograd_select::StepContext;
use zograd_trainer::{Loss, Rule, Standing, run_step};

const EPS: f64 = 1e-3;

fn step(c: &mut Criterion) {
    step_of::<NdArray<f32>>(c, "ndarray");
    step_of::<Flex>(c, "flex");
}

fn step_of<B: NoiseBackend + ModelBackend>(c: &mut Criterion, backend: &str) {
    let mut group = c.benchmark_group(format!("step/{backend}"));
    let vocabulary = embedded::<B>().config().vocab_size;
    let batches = Batches::dense(16, 25, vocabulary);
    let plan = batches.plan(&batches.batches[0]).expect("valid sequences");
    for method in MethodName::value_variants() {
        let module = embedded::<B>();
        let space = ParameterSpace::select(&module, &Selection::All).expect("parameters");
        let mut model =
            Perturbed::new(module, space, NoiseKind::Gaussian, EPS).expect("its own space");
        let mut strategy = method.strategy().expect("valid settings");
        let mut step = 0;
        group.bench_function(
            BenchmarkId::new(format!("{method:?}"), "16x25"),
            |bencher| {
                bencher.iter(|| {
                    let context = StepContext::new(step, Seed::new(0).child(step), EPS);
                    step += 1;
                    // learning rate 0: every iteration does the same work
                    let mut still = Still::new();
                    let mut prober = Standing::new(&mut model, |model, probes| {
                        let loss = |scores: &Vec<f32>| {
                            let sum = f64::from(scores.iter().sum::<f32>());
                            Loss::new(-sum / scores.len() as f64)
                        };
                        let each = model.log_probs_at_each(&plan, probes, &mut still)?;
                        Ok(each.iter().map(loss).collect())
                    });
                    run_step(
                        strategy.as_mut(),
                        &context,
                        &mut prober,
                        Rule::new(0.0, 0.0),
                    )
                    .expect("a finite loss")
                });
            },
        );
    }
    group.finish();
}

criterion_group!(benches, step);
criterion_main!(benches);
