//! Losses with biases of the options, biases for evaluations, and the fit of the norm before the head.

use crate::steps::methods;
use crate::tiny::{Cpu, model, prompt, prompts};
use std::sync::atomic::AtomicBool;
use zograd_models::{ADAPTERS, AdapterConfig, LoraConfig, Model, content_hash};
use zograd_perturb::{Direction, Grids, NoiseKind, ParameterSpace, Perturbed, Seed, Selection};
use zograd_ranks::Ranks;
use zograd_select::{MethodSpec, Methods};
use zograd_tasks::Prompt;
use zograd_trainer::{
    Answer, Calibrated, Classification, EvalRecord, Examples, HeadFit, Objective, Observer, Scored,
    Scoring, StepRecord, TrainConfig, TrainError, Training, bias_examples, evaluate, measure,
    option_biases,
};

const EPS: f64 = 1e-2;

#[derive(Default)]
struct Records {
    steps: Vec<StepRecord>,
    evals: Vec<EvalRecord>,
}

impl Observer<Model<Cpu>> for Records {
    fn on_step(&mut self, record: &StepRecord) -> Result<(), TrainError> {
        self.steps.push(record.clone());
        Ok(())
    }

    fn on_eval(&mut self, record: &EvalRecord, _: &Model<Cpu>) -> Result<(), TrainError> {
        self.evals.push(record.clone());
        Ok(())
    }
}

/// Options of one token after the same words, the first right three times as often.
fn short() -> Vec<Prompt> {
    let one = |row: usize| {
        let context = [2, 10 + (row % 3) as u32, 14 + (row as u32 * 7) % 13, 5];
        let option = |answer: u32| ([&context[..], &[answer]].concat(), 1);
        prompt(row, &[option(7), option(8)], usize::from(row % 4 == 3))
    };
    (0..160).map(one).collect()
}

fn on_grids(module: Model<Cpu>, selection: &Selection) -> Perturbed<Cpu, Model<Cpu>> {
    let space = ParameterSpace::select(&module, selection).expect("parameters");
    let grids = Grids::of(&module, &space, EPS, 1e-2).expect("finite");
    Perturbed::on_grids(module, space, NoiseKind::Gaussian, EPS, grids).expect("f32")
}

fn train(
    module: Model<Cpu>,
    selection: &Selection,
    method: &MethodSpec,
    objective: &dyn Objective,
) -> (Records, String) {
    let (prompts, scoring) = (short(), Scoring::choice());
    let (train, dev) = prompts.split_at(140);
    let examples = Examples {
        train,
        dev,
        scoring: &scoring,
    };
    let mut config = TrainConfig::new(3, 1e-3);
    (config.batch_size, config.eval_every, config.balanced) = (6, 2, true);
    let mut model = on_grids(module, selection);
    let mut strategy = Methods::built_in().build(method).expect("valid");
    let mut records = Records::default();
    Training::new(strategy.as_mut(), objective, examples, &config)
        .observer(&mut records)
        .run(&mut model)
        .expect("trains");
    let weights = content_hash(&model.into_module().expect("at rest"));
    (records, weights)
}

/// Every method is told losses that share the biases of its step's first probes: those of a model that is moved there by
/// hand.
#[test]
fn a_step_is_told_losses_with_the_biases_of_its_first_probes() {
    let prompts = short();
    let (records, _) = train(
        model(),
        &Selection::All,
        &MethodSpec::new("mezo"),
        &Calibrated,
    );
    let told = &records.steps[0].losses;
    let mut by_hand = on_grids(model(), &Selection::All);
    let step = zograd_select::StepContext::new(0, Seed::new(0).child(0).child(0), EPS);
    let z = Direction::unit(step.seed.child(0));
    let mut batches = zograd_trainer::Batches::balanced(
        Seed::new(0).child(1),
        &prompts[..140]
            .iter()
            .map(|p| p.correct[0])
            .collect::<Vec<_>>(),
        6,
    );
    let batch: Vec<&Prompt> = batches.at(0).into_iter().map(|at| &prompts[at]).collect();
    let mut seen = |direction: &Direction| {
        by_hand.move_to(direction).expect("finite");
        let found = measure(by_hand.module(), &batch, &Calibrated, None).expect("scored");
        found.examples
    };
    let (plus, minus) = (seen(&z), seen(&-&z));
    let biases = Calibrated.biases(&[&plus, &minus]).expect("fitted");
    let expected =
        [&plus, &minus].map(|batch: &Vec<Scored<'_>>| Calibrated.loss_with(batch, &biases));
    assert_eq!(told[..], expected);
    assert!(biases[0].abs() > 0.01 && told[0] < Classification.loss(&plus));
}

/// Losses are those of the same probes, however they are made: by weights that stand still, and by adapters side by side;
/// forwards are as many as without biases, and methods differ in no more than what they ask for.
#[test]
fn costs_no_forward_and_works_with_every_method() {
    let lora = AdapterConfig::Lora(LoraConfig::default());
    let adapted = model().with_adapter(&lora, Seed::new(3)).expect("fits");
    for method in methods() {
        for (module, selection) in [
            (model(), Selection::All),
            (adapted.clone(), Selection::matching(ADAPTERS)),
        ] {
            let (calibrated, weights) = train(module.clone(), &selection, &method, &Calibrated);
            let (plain, other) = train(module, &selection, &method, &Classification);
            for (calibrated, plain) in calibrated.steps.iter().zip(&plain.steps) {
                assert_eq!(calibrated.forwards, plain.forwards);
                assert_eq!(calibrated.tokens, plain.tokens);
                assert_eq!(calibrated.losses.len(), plain.losses.len());
                assert!(calibrated.losses.iter().all(|loss| loss.is_finite()));
            }
            assert!(calibrated.steps[0].loss < plain.steps[0].loss, "{method:?}");
            assert_ne!(weights, other);
        }
    }
}

/// Evaluations are made with biases that were fitted to training examples: those of the record are the model's.
#[test]
fn evaluations_have_biases_of_training_examples() {
    let prompts = short();
    let (train_rows, dev) = prompts.split_at(140);
    let (records, _) = train(
        model(),
        &Selection::All,
        &MethodSpec::new("mezo"),
        &Calibrated,
    );
    let untuned = &records.evals[0];
    let some = bias_examples(train_rows, 0);
    assert_eq!(some.len(), 128);
    assert!(some.iter().all(|prompt| train_rows.contains(prompt)));
    assert!(some != bias_examples(train_rows, 1));
    assert_eq!(bias_examples(&prompts[..5], 0).len(), 5);
    let go_on = |_| std::ops::ControlFlow::Continue(());
    // the run moves its weights to grids
    let on_grids = on_grids(model(), &Selection::All);
    let untuned_model = on_grids.into_module().expect("at rest");
    let biases = option_biases(&Ranks::alone(), &untuned_model, &some, 16, go_on).expect("fitted");
    assert_eq!(untuned.option_biases, biases);
    let scored =
        |scoring: &Scoring| evaluate(&untuned_model, dev, scoring, 16, go_on).expect("scored");
    let with = scored(&Scoring::choice().with_biases(biases.clone()));
    assert_eq!(
        (untuned.dev_loss, untuned.dev_score.value()),
        (with.loss, Some(with.score))
    );
    let without = scored(&Scoring::choice());
    assert!(with.loss < without.loss);
    for (with, without) in with.predictions.iter().zip(&without.predictions) {
        let (Answer::Choice { scores, .. }, Answer::Choice { scores: plain, .. }) =
            (&with.answer, &without.answer)
        else {
            panic!("choices");
        };
        assert_eq!(*scores, [plain[0] + biases[0], plain[1] + biases[1]]);
    }
    let (plain, _) = train(
        model(),
        &Selection::All,
        &MethodSpec::new("mezo"),
        &Classification,
    );
    assert!(plain.evals.iter().all(|eval| eval.option_biases.is_empty()));
}

/// The model with its fit has the loss that the fit says, by its own forward pass; f32 on the way.
#[test]
fn a_head_fit_is_part_of_the_weights() {
    let examples = short();
    let stop = AtomicBool::new(false);
    let go_on = |_| std::ops::ControlFlow::Continue(());
    for (count, with_gain) in [(160, true), (100, false)] {
        let examples = &examples[..count];
        let fit = HeadFit::of(&model(), (examples, &[7, 8]), 16, true, &stop, |_| ());
        let fit = fit.expect("fits").expect("not stopped");
        assert_eq!(
            (fit.forwards, fit.examples),
            (count.div_ceil(16) as u64, count)
        );
        assert_eq!((fit.held_out.is_some(), fit.tokens > 0), (with_gain, true));
        assert!(with_gain || fit.gain.is_empty());
        let text = serde_json::to_string(&fit).expect("JSON");
        assert_eq!(
            serde_json::from_str::<HeadFit>(&text).expect("the same"),
            fit
        );
        let fitted = fit.applied(model()).expect("a final norm");
        let loss = |model: &Model<Cpu>| {
            evaluate(model, examples, &Scoring::choice(), 16, go_on)
                .expect("scored")
                .loss
        };
        assert!(
            (loss(&fitted) - fit.loss).abs() < 1e-5,
            "{} {}",
            loss(&fitted),
            fit.loss
        );
        assert!(fit.loss < loss(&model()));
        let again = HeadFit::of(&model(), (examples, &[7, 8]), 16, true, &stop, |_| ());
        assert_eq!(again.expect("fits"), Some(fit));
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let stopped = HeadFit::of(&model(), (&examples[..], &[7, 8]), 16, true, &stop, |_| ());
    assert_eq!(stopped.expect("no error"), None);
    let none = HeadFit::of(
        &model(),
        (&prompts()[..0], &[7, 8]),
        16,
        true,
        &stop,
        |_| (),
    );
    assert!(matches!(none, Err(TrainError::NoExamples(_))));
}
