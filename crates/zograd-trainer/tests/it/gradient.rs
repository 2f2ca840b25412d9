//! The gradient baselines: PyTorch's numbers, and that they move what they should.

use crate::tiny::{Cpu, model, prompt, prompts};
use serde_json::Value;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use zograd_models::{
    ADAPTERS, AdapterConfig, HEAD, LoadOptions, LoraConfig, Model, PrefixConfig, PrefixInit,
    content_hash, content_hash_of, is_adapter,
};
use zograd_perturb::{Seed, Selection};
use zograd_tasks::Prompt;
use zograd_trainer::{
    Accuracy, Backpropagation, Classification, Examples, GradientOptimizer, GradientTraining,
    Objective, Observer, Scoring, StepRecord, TeacherForcing, TrainConfig, TrainError,
    fit_linear_probe,
};

fn config(steps: u64, batch_size: usize) -> TrainConfig {
    let mut config = TrainConfig::new(steps, 1e-3);
    (config.batch_size, config.seed) = (batch_size, 3);
    config
}

fn adam() -> Backpropagation {
    Backpropagation {
        optimizer: GradientOptimizer::Adam,
        max_norm: 1.0,
        micro_batch: 64,
        recompute: false,
    }
}

#[derive(Default)]
struct Steps(Vec<StepRecord>);

impl<M> Observer<M> for Steps {
    fn on_step(&mut self, record: &StepRecord) -> Result<(), TrainError> {
        self.0.push(record.clone());
        Ok(())
    }
}

fn train(
    model: Model<Cpu>,
    selection: &Selection,
    how: &Backpropagation,
    objective: &dyn Objective,
    (train, config): (&[Prompt], &TrainConfig),
) -> (Model<Cpu>, Vec<StepRecord>) {
    let scoring = Scoring::choice();
    let examples = Examples {
        train,
        dev: &[],
        scoring: &scoring,
    };
    let mut steps = Steps::default();
    let (model, summary) = GradientTraining::new(how, objective, examples, config)
        .observer(&mut steps)
        .run(model, selection)
        .expect("trains");
    assert_eq!(summary.steps, config.steps);
    assert_eq!(summary.forwards, 3 * config.steps);
    (model, steps.0)
}

fn shared(path: &str) -> Option<PathBuf> {
    let found = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared")
        .join(path);
    if found.exists() {
        return Some(found);
    }
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "../shared/{path} is not here"
    );
    println!("skipped: ../shared is not here");
    None
}

/// Losses and gradient lengths of PyTorch in double precision. Ours are f32: the first ones agree to its rounding (a length
/// is the root of a sum of 1e5 squares), and Adam turns the rounding of small gradients into steps of another size, which
/// the later ones see.
#[test]
fn steps_are_pytorchs() {
    let Some(folder) = shared("reference/tiny-opt-prenorm") else {
        return;
    };
    let golden: Value =
        serde_json::from_str(include_str!("fixtures/adam.json")).expect("valid JSON");
    let examples = golden["examples"].as_array().expect("a list").iter();
    let prompts: Vec<Prompt> = examples
        .enumerate()
        .map(|(row, example)| {
            let ids: Vec<Vec<u32>> = serde_json::from_value(example["ids"].clone()).expect("ids");
            let lengths: Vec<usize> =
                serde_json::from_value(example["option_len"].clone()).expect("lengths");
            let correct = example["correct"].as_u64().expect("an index") as usize;
            prompt(
                row,
                &ids.into_iter().zip(lengths).collect::<Vec<_>>(),
                correct,
            )
        })
        .collect();
    for (name, optimizer, objective) in [
        (
            "adam-classification",
            GradientOptimizer::Adam,
            &Classification as &dyn Objective,
        ),
        (
            "adam-teacher-forcing",
            GradientOptimizer::Adam,
            &TeacherForcing,
        ),
        (
            "adamw-classification",
            GradientOptimizer::AdamW,
            &Classification,
        ),
    ] {
        let run = &golden["runs"][name];
        let number = |key: &str| run[key].as_f64().expect("a number");
        let numbers =
            |key: &str| -> Vec<f64> { serde_json::from_value(run[key].clone()).expect("numbers") };
        let (losses, norms) = (numbers("losses"), numbers("norms"));
        let mut config = config(losses.len() as u64, prompts.len());
        (config.lr, config.weight_decay) = (number("lr"), number("weight_decay"));
        let how = Backpropagation {
            optimizer,
            max_norm: number("max_norm"),
            ..adam()
        };
        let (model, _) = Model::load(&folder, &LoadOptions::default(), &Default::default())
            .expect("the tiny model loads");
        let (_, steps) = train(model, &Selection::All, &how, objective, (&prompts, &config));
        for (i, step) in steps.iter().enumerate() {
            let off = |a: f64, b: f64| (a / b - 1.0).abs();
            let loss = off(step.loss, losses[i]);
            let norm = off(step.projected_gradient, norms[i]);
            println!("{name} {i}: {loss:e} {norm:e}");
            let limits = if i == 0 { (1e-6, 5e-6) } else { (5e-5, 5e-5) };
            assert!(loss < limits.0 && norm < limits.1, "{name} {i}: {step:?}");
        }
    }
}

/// A batch in parts, and with activations computed again, takes the same steps to the rounding of sums in another
/// order, which Adam passes on.
#[test]
fn parts_and_recomputation_change_nothing() {
    let prompts = prompts();
    let data = (&prompts[..], &config(5, 10));
    for objective in [&Classification as &dyn Objective, &TeacherForcing] {
        let losses = |how: &Backpropagation| -> Vec<f64> {
            let (_, steps) = train(model(), &Selection::All, how, objective, data);
            steps.iter().map(|step| step.loss).collect()
        };
        let whole = losses(&adam());
        for (micro_batch, recompute) in [(3, false), (1, true), (64, true)] {
            let found = losses(&Backpropagation {
                micro_batch,
                recompute,
                ..adam()
            });
            for (a, b) in whole.iter().zip(&found) {
                assert!((a / b - 1.0).abs() < 1e-4, "{whole:?} against {found:?}");
            }
        }
    }
}

/// What is selected learns the task; the rest stays to the bit.
#[test]
fn only_the_selected_parameters_move() {
    let prompts = prompts();
    let base = content_hash(&model());
    let lora = AdapterConfig::Lora(LoraConfig::default());
    let prefix = AdapterConfig::Prefix(PrefixConfig {
        tokens: 4,
        init: PrefixInit::Real,
    });
    for (name, adapter, lr) in [("lora", lora, 0.02), ("prefix", prefix, 0.1)] {
        let model = model().with_adapter(&adapter, Seed::new(5)).expect("fits");
        let before = content_hash_of(&model, is_adapter);
        let mut config = config(60, 24);
        config.lr = lr;
        let (model, steps) = train(
            model,
            &Selection::matching(ADAPTERS),
            &adam(),
            &Classification,
            (&prompts, &config),
        );
        let (first, last) = (steps[0].loss, steps[59].loss);
        assert!(last < 0.5 * first, "{name}: {first} to {last}");
        assert_ne!(content_hash_of(&model, is_adapter), before);
        assert_eq!(content_hash(&model.without_adapter()), base, "{name}");
    }
    let mut config = config(60, 24);
    config.lr = 0.05;
    let (model, steps) = train(
        model().untied(),
        &Selection::matching([HEAD]),
        &adam(),
        &Classification,
        (&prompts, &config),
    );
    assert!(steps[59].loss < 0.5 * steps[0].loss, "{steps:?}");
    let table = |name: &str| !name.starts_with("lm_head");
    assert_eq!(content_hash_of(&model, table), base);
}

#[test]
fn an_objective_without_a_gradient_is_refused() {
    let prompts = prompts();
    let scoring = Scoring::choice();
    let examples = Examples {
        train: &prompts,
        dev: &[],
        scoring: &scoring,
    };
    let (how, config) = (adam(), config(1, 4));
    let training = GradientTraining::new(&how, &Accuracy, examples, &config);
    let result = training.run(model(), &Selection::All);
    assert!(matches!(result, Err(TrainError::NotDifferentiable)));
}

/// The rows of the probe are where the derivative of what it minimises is 0, it separates what can be separated, and
/// only the rows of the answers' tokens change.
#[test]
fn a_probe_is_the_optimum_of_its_regression() {
    let prompts = prompts();
    let go_on = AtomicBool::new(false);
    let fitted = fit_linear_probe(model(), &prompts, 5, &go_on, |_| ());
    let (tuned, probe) = fitted.expect("fits").expect("not stopped");
    assert_eq!(probe.tokens, [7, 8, 9]);
    assert_eq!(probe.forwards, 5);
    // three tokens, of which guessing predicts a third
    assert!(
        probe.validation.is_some_and(|share| share > 0.8),
        "{probe:?}"
    );

    let head = tuned.own_head().expect("a head of its own");
    let [vocabulary, width] = head.weight.dims();
    let rows: Vec<f32> = head.weight.val().into_data().iter().collect();
    let table = model().token_table().weight.val();
    let table: Vec<f32> = table.into_data().iter().collect();
    for token in 0..vocabulary {
        let range = token * width..(token + 1) * width;
        let kept = rows[range.clone()] == table[range];
        assert_eq!(kept, !probe.tokens.contains(&(token as u32)), "{token}");
    }

    // sum over the tokens of (softmax - 1[it is this one]) x, plus W / C: in f64, from the features themselves
    let mut gradient = vec![0.0; 3 * width];
    let row = |k: usize| &rows[probe.tokens[k] as usize * width..][..width];
    for example in &prompts {
        let candidate = &example.candidates[example.correct[0]];
        let sequence = zograd_models::Sequence {
            ids: &candidate.ids,
            scored: candidate.option_len,
        };
        let plan = zograd_models::Plan::new(&[vec![sequence]], zograd_models::Sharing::Prefix);
        let plan = plan.expect("valid");
        let features = model().features(&plan).expect("valid ids").into_data();
        let features: Vec<f32> = features.iter().collect();
        for (x, target) in features.chunks(width).zip(plan.targets()) {
            let scores: Vec<f64> = (0..3)
                .map(|k| row(k).iter().zip(x).map(|(w, x)| f64::from(w * x)).sum())
                .collect();
            let total: f64 = scores.iter().map(|s| s.exp()).sum();
            for k in 0..3 {
                let share = scores[k].exp() / total - f64::from(probe.tokens[k] == target);
                for (g, x) in gradient[k * width..].iter_mut().zip(x) {
                    *g += share * f64::from(*x);
                }
            }
        }
    }
    for k in 0..3 {
        for (g, w) in gradient[k * width..].iter_mut().zip(row(k)) {
            *g += f64::from(*w) / probe.c;
        }
    }
    // 36 tokens. The fit ends where f32 sees no more change of the mean loss, about 2e-9 of 0.025: with a curvature of
    // order 1 that leaves a gradient of sqrt(2 * 2e-9) = 6e-5 a token (9e-6 was seen), where the start has one of order 1.
    let worst = gradient
        .iter()
        .fold(0.0, |worst: f64, g| worst.max(g.abs()));
    assert!(worst < 36.0 * 1e-4, "{worst}: {gradient:?}");

    let stop = AtomicBool::new(true);
    assert!(matches!(
        fit_linear_probe(model(), &prompts, 5, &stop, |_| ()),
        Ok(None)
    ));
    let one_sided: Vec<Prompt> = prompts.into_iter().filter(|p| p.correct == [0]).collect();
    let refused = fit_linear_probe(model(), &one_sided, 5, &go_on, |_| ());
    assert!(matches!(refused, Err(TrainError::OneToken)));
}
