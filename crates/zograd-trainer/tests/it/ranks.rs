//! Runs whose losses are found by several ranks: the records and the weights of one process, to the bit.

use crate::answers;
use crate::rewards::Low;
use crate::steps::methods;
use crate::tiny::{Cpu, model, prompts};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use zograd_models::{ADAPTERS, AdapterConfig, HEAD, LoraConfig, Model, Sampling, content_hash};
use zograd_perturb::{Grids, NoiseKind, ParameterSpace, Perturbed, Seed, Selection};
use zograd_ranks::threads;
use zograd_select::{MethodSpec, Methods};
use zograd_tasks::metrics::Metric;
use zograd_tasks::rewards::{Reward, RewardError};
use zograd_tasks::{Prompt, Question};
use zograd_trainer::{
    AnswerF1, ByReward, Calibrated, Classification, EvalRecord, Event, Examples, Objective,
    Observer, RankError, Ranks, Scored, Scoring, StepRecord, StopReason, TeacherForcing,
    TrainConfig, TrainError, Training, evaluate, evaluate_on,
};

const EPS: f64 = 1e-2;

/// All that a run leaves, but for times.
#[derive(Clone, Debug, Default, PartialEq)]
struct Left {
    steps: Vec<StepRecord>,
    evals: Vec<EvalRecord>,
    weights: String,
    stop: Option<StopReason>,
}

impl<M> Observer<M> for Left {
    fn on_step(&mut self, record: &StepRecord) -> Result<(), TrainError> {
        let mut record = record.clone();
        (record.seconds, record.peak_memory_bytes) = (0.0, None);
        self.steps.push(record);
        Ok(())
    }

    fn on_eval(&mut self, record: &EvalRecord, _model: &M) -> Result<(), TrainError> {
        let mut record = record.clone();
        (record.seconds, record.eval_seconds) = (0.0, 0.0);
        self.evals.push(record);
        Ok(())
    }
}

/// A run, to be made by any number of ranks.
struct Run<'a> {
    module: Model<Cpu>,
    selection: Selection,
    exact: bool,
    method: MethodSpec,
    objective: &'a dyn Objective,
    prompts: &'a [Prompt],
    scoring: Scoring,
}

impl Run<'_> {
    fn made(&self, ranks: &Ranks) -> Result<Left, TrainError> {
        let module = self.module.clone();
        let space = ParameterSpace::select(&module, &self.selection).expect("parameters");
        let kind = NoiseKind::Gaussian;
        let mut model = match self.exact {
            true => {
                let grids = Grids::of(&module, &space, EPS, 1e-2).expect("finite");
                Perturbed::on_grids(module, space, kind, EPS, grids).expect("f32")
            }
            false => Perturbed::new(module, space, kind, EPS).expect("its own space"),
        };
        let mut config = TrainConfig::new(3, 1e-3);
        (config.batch_size, config.eval_batch_size) = (5, 3);
        (config.eval_every, config.weight_decay) = (2, 0.1);
        config.balanced = self.objective.is_calibrated();
        let examples = Examples {
            train: self.prompts,
            dev: &self.prompts[..8.min(self.prompts.len())],
            scoring: &self.scoring,
        };
        let mut strategy = Methods::built_in().build(&self.method).expect("valid");
        let mut left = Left::default();
        let summary = Training::new(strategy.as_mut(), self.objective, examples, &config)
            .observer(&mut left)
            .ranks(ranks)
            .run(&mut model)?;
        left.stop = Some(summary.stop);
        left.weights = content_hash(&model.into_module().expect("at rest"));
        Ok(left)
    }

    fn on(&self, size: usize) -> Vec<Result<Left, TrainError>> {
        let ranks = threads(size).into_iter().map(Ranks::new);
        std::thread::scope(|scope| {
            let running: Vec<_> = ranks
                .map(|ranks| {
                    let run = Run {
                        module: self.module.clone(),
                        selection: self.selection.clone(),
                        method: self.method.clone(),
                        scoring: self.scoring.clone(),
                        ..*self
                    };
                    scope.spawn(move || run.made(&ranks))
                })
                .collect();
            let ends = running.into_iter().map(|thread| thread.join());
            ends.map(|end| end.expect("no panic")).collect()
        })
    }
}

/// Every method, with fewer and with more ranks than candidates, and more than there are examples for them; weights that
/// stand still, a head behind layers that run once for all, adapters side by side, and weights that walk and round.
#[test]
fn ranks_end_in_the_bits_of_one_process() {
    let prompts = prompts();
    let scoring = Scoring::choice;
    let lora = AdapterConfig::Lora(LoraConfig::default());
    let adapted = model().with_adapter(&lora, Seed::new(3)).expect("fits");
    let head = Selection::matching([HEAD]);
    let adapters = Selection::matching(ADAPTERS);
    for method in methods() {
        for (module, selection, exact, objective) in [
            (
                model(),
                &Selection::All,
                true,
                &Classification as &dyn Objective,
            ),
            (model(), &Selection::All, false, &TeacherForcing),
            (model().untied(), &head, true, &Classification),
            (adapted.clone(), &adapters, true, &TeacherForcing),
            (adapted.clone(), &adapters, false, &Classification),
            (model(), &Selection::All, true, &Calibrated),
            (adapted.clone(), &adapters, false, &Calibrated),
        ] {
            let run = Run {
                module,
                selection: selection.clone(),
                exact,
                method: method.clone(),
                objective,
                prompts: &prompts,
                scoring: scoring(),
            };
            let alone = run.made(&Ranks::alone()).expect("trains");
            assert_eq!((alone.steps.len(), alone.evals.len()), (3, 3));
            for size in [2, 3, 7, 23] {
                for left in run.on(size) {
                    assert_eq!(left.expect("trains"), alone, "{method:?} on {size} ranks");
                }
            }
        }
    }
}

/// Answers in words: the weights walk to every probe, also to those of others, and round there.
#[test]
fn so_do_runs_whose_weights_walk() {
    let prompts = answers::prompts(true, false);
    for exact in [true, false] {
        let run = Run {
            module: answers::model(),
            selection: Selection::All,
            exact,
            method: MethodSpec::new("gv").with("pool", 4),
            objective: &AnswerF1,
            prompts: &prompts,
            scoring: answers::scoring(Metric::F1),
        };
        let alone = run.made(&Ranks::alone()).expect("trains");
        for size in [2, 4, 13] {
            for left in run.on(size) {
                assert_eq!(left.expect("trains"), alone, "{size} ranks");
            }
        }
    }
}

/// Of one row nothing is known.
#[derive(Debug)]
struct Partly;

impl Reward for Partly {
    fn reward(&self, question: &Question, answer: &str) -> Result<f64, RewardError> {
        match question.prompt.ids.len() {
            5 => Ok(f64::NAN),
            _ => Low.reward(question, answer),
        }
    }
}

/// By what answers are worth that are drawn, and also where a rank cannot tell it: then the step is skipped on all.
#[test]
fn so_do_runs_by_rewards() {
    let prompts = answers::prompts(true, false);
    let hot = Sampling {
        temperature: 2.0,
        ..Sampling::new(Seed::new(0))
    };
    for (reward, fails) in [(Arc::new(Low) as Arc<dyn Reward>, 0), (Arc::new(Partly), 1)] {
        let objective = ByReward::new(reward).sampled(hot.clone());
        let run = Run {
            module: answers::model(),
            selection: Selection::All,
            exact: true,
            method: MethodSpec::new("pool-regression").with("shaping", "ranks"),
            objective: &objective,
            prompts: &prompts,
            scoring: answers::scoring(Metric::F1),
        };
        let alone = run.made(&Ranks::alone()).expect("trains");
        let failed = |step: &&StepRecord| step.event == Some(Event::RewardNotFinite);
        assert!(alone.steps.iter().filter(failed).count() >= fails);
        // as text: a loss that is not known is not equal to itself
        let alone = format!("{alone:?}");
        for size in [2, 4, 13] {
            for left in run.on(size) {
                let left = format!("{:?}", left.expect("trains"));
                assert_eq!(left, alone, "{size} ranks");
            }
        }
    }
}

/// Asks its rank to stop at a loss.
struct Stops {
    losses: AtomicUsize,
    flag: Arc<AtomicBool>,
}

impl Objective for Stops {
    fn candidates(&self, prompt: &Prompt) -> Vec<usize> {
        Classification.candidates(prompt)
    }

    fn loss(&self, batch: &[Scored<'_>]) -> f64 {
        if self.losses.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.flag.store(true, Ordering::Relaxed);
        }
        Classification.loss(batch)
    }
}

/// The signal comes to one rank, in the middle of a step: all of them end before the same one, or after it, and there the
/// weights are those of a run that was never disturbed.
#[test]
fn ranks_stop_together() {
    let prompts = prompts();
    let run = |objective: &dyn Objective, ranks: &Ranks| {
        let run = Run {
            module: model(),
            selection: Selection::All,
            exact: true,
            method: MethodSpec::new("gv").with("pool", 4),
            objective,
            prompts: &prompts,
            scoring: Scoring::choice(),
        };
        run.made(ranks).expect("trains")
    };
    let whole = run(&Classification, &Ranks::alone());
    // of a step's six losses rank 1 finds one, and makes two of what it is sent
    for at in 1..=6 {
        let ranks = threads(3).into_iter().map(Ranks::new);
        let lefts: Vec<Left> = std::thread::scope(|scope| {
            let running: Vec<_> = ranks
                .map(|ranks| {
                    let run = &run;
                    scope.spawn(move || {
                        let flag = Arc::new(AtomicBool::new(false));
                        let losses = match ranks.rank() {
                            1 => at,
                            _ => usize::MAX,
                        };
                        let objective = Stops {
                            losses: AtomicUsize::new(losses),
                            flag: flag.clone(),
                        };
                        run(&objective, &ranks.stopped_by(flag))
                    })
                })
                .collect();
            let ends = running.into_iter().map(|thread| thread.join());
            ends.map(|end| end.expect("no panic")).collect()
        });
        assert!(lefts.iter().all(|left| *left == lefts[0]), "{at}");
        assert_eq!(lefts[0].stop, Some(StopReason::Interrupted), "{at}");
        let steps = lefts[0].steps.len();
        assert_eq!(steps, [0, 1, 1, 1, 2, 2][at - 1], "{at}");
        assert_eq!(lefts[0].steps[..], whole.steps[..steps], "{at}");
    }
}

/// One rank has other examples, one of which it cannot score.
#[test]
fn one_that_fails_ends_all_of_them_by_name() {
    let good = prompts();
    let mut bad = good.clone();
    for prompt in &mut bad {
        prompt.candidates[0].option_len = 0;
    }
    let ranks = threads(3).into_iter().map(Ranks::new);
    std::thread::scope(|scope| {
        for ranks in ranks {
            let prompts = match ranks.rank() {
                2 => &bad,
                _ => &good,
            };
            scope.spawn(move || {
                let prompts = &prompts[..6];
                let goes_on = |_| std::ops::ControlFlow::Continue(());
                let scoring = Scoring::choice();
                let error = evaluate_on(&ranks, &model(), prompts, &scoring, 2, goes_on);
                match error {
                    Err(TrainError::Ranks(RankError::Failed { rank: 2, why })) => {
                        assert!(why.contains("no scored token"), "{why}");
                    }
                    other => panic!("{other:?}"),
                }
            });
        }
    });
}

/// More ranks than batches, and a last batch that is not full.
#[test]
fn an_evaluation_has_the_bits_of_one_process() {
    let (model, prompts) = (&model(), &prompts()[..23]);
    let goes_on = |_| std::ops::ControlFlow::Continue(());
    let scoring = &Scoring::choice();
    let alone = evaluate(model, prompts, scoring, 4, goes_on).expect("scored");
    for size in [2, 5, 9] {
        std::thread::scope(|scope| {
            for ranks in threads(size).into_iter().map(Ranks::new) {
                let alone = &alone;
                scope.spawn(move || {
                    let shared = evaluate_on(&ranks, model, prompts, scoring, 4, goes_on);
                    assert_eq!(shared.expect("scored"), *alone);
                });
            }
        });
    }
}
