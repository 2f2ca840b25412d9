//! What is shown of a run while it runs, and the curve that is drawn when it is over.

use crate::args::as_flags;
use crate::output::{one_line, say};
use crate::plot;
use crate::points::Points;
use crate::progress::Progress;
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use zograd_runs::{HEAD_FIT, RunNote, Watch};
use zograd_trainer::{Allowance, DevScore, EvalRecord, Limit, StepRecord};

/// Bars, notes and `loss.svg`.
#[derive(Default)]
pub struct Console {
    /// No words about what is going to be done.
    quiet: bool,
    /// Raised once there is something to save.
    saves: Arc<AtomicBool>,
    work: Option<Progress>,
    /// Whether the norm before the head was fitted.
    is_fitted: bool,
    training: Option<Training>,
}

/// A run while its steps are made.
struct Training {
    folder: PathBuf,
    title: String,
    /// None for a method without steps.
    bar: Option<Progress>,
    /// What the bar counts instead of steps.
    limit: Option<Limit>,
    /// Not the steps themselves: a long run must not grow.
    points: Points,
    evals: Vec<EvalRecord>,
}

impl Console {
    /// Says everything; of what is going to be done nothing if `quiet`.
    pub fn new(quiet: bool) -> Self {
        Self {
            quiet,
            ..Self::default()
        }
    }

    /// Raises `saves` once there is something to save.
    #[must_use]
    pub fn raising(self, saves: Arc<AtomicBool>) -> Self {
        Self { saves, ..self }
    }

    fn say(&self, line: &str) {
        let training = self.training.as_ref().and_then(|t| t.bar.as_ref());
        match self.work.as_ref().or(training) {
            Some(bar) => bar.say(line),
            None => say(line),
        }
    }
}

impl Watch for Console {
    fn note(&mut self, line: &str) {
        self.say(&one_line(&as_flags(line)));
    }

    fn work_begins(&mut self, what: &'static str, total: u64) {
        self.is_fitted |= what == HEAD_FIT;
        self.work = Some(Progress::new(what, total));
    }

    fn work_done(&mut self, done: u64) {
        if let Some(bar) = &mut self.work {
            bar.set(done, String::new);
        }
    }

    fn work_ends(&mut self) {
        if let Some(bar) = self.work.take() {
            bar.finish();
        }
    }

    fn writing_begins(&mut self) {
        self.saves.store(true, Ordering::Relaxed);
    }

    fn run_begins(&mut self, line: &str) {
        if !self.quiet {
            self.say(&one_line(line));
        }
    }

    fn run_expects(&mut self, line: &str) {
        if !self.quiet {
            self.say(&one_line(line));
        }
    }

    fn training_begins(&mut self, run: &RunNote<'_>) {
        let mut points = Points::default();
        for step in run.done {
            points.push(step.forwards, step.loss);
        }
        let bar = (run.steps > 0).then(|| {
            let total = match run.limit.map(|limit| limit.of) {
                Some(Allowance::Tokens(tokens)) => tokens,
                Some(Allowance::Seconds(seconds)) => seconds.ceil() as u64,
                _ => run.steps,
            };
            let mut bar = Progress::new("train", total);
            let done = run.done.last();
            bar.set(done.map_or(0, |step| place(run.limit, step)), String::new);
            bar
        });
        self.training = Some(Training {
            folder: run.folder.to_owned(),
            title: run.title.to_owned(),
            bar,
            limit: run.limit,
            points,
            evals: run.evals.to_vec(),
        });
    }

    fn on_step(&mut self, step: &StepRecord) {
        let Some(training) = &mut self.training else {
            return;
        };
        if let Some(bar) = &mut training.bar {
            let dev = training.evals.last().map(|e| e.dev_score);
            bar.set(place(training.limit, step), || in_words(step.loss, dev));
        }
        training.points.push(step.forwards, step.loss);
    }

    fn on_eval(&mut self, eval: &EvalRecord) {
        let first = match self.is_fitted {
            true => "  after the head fit",
            false => "  untuned",
        };
        let Some(training) = &mut self.training else {
            return;
        };
        if let Some(bar) = &training.bar {
            let score = match eval.dev_score.value() {
                Some(score) => format!("dev {} {score:.4}  ", eval.dev_score.metric()),
                None => String::new(),
            };
            bar.say(&format!(
                "step {:>6}  {:>7} forwards  {score}dev loss {:.4}{}",
                eval.step,
                eval.forwards,
                eval.dev_loss,
                match (eval.step, eval.best) {
                    (0, _) => first,
                    (_, true) => "  best",
                    (_, false) => "",
                },
            ));
        }
        training.evals.push(eval.clone());
    }

    fn training_ends(&mut self) -> Result<(), Box<dyn Error + Send + Sync>> {
        let Some(training) = self.training.take() else {
            return Ok(());
        };
        if let Some(bar) = training.bar {
            bar.finish();
        }
        plot::loss_curve(
            &training.folder.join("loss.svg"),
            &training.title,
            training.points.as_slice(),
            &training.evals,
        )
        .map_err(Into::into)
    }
}

/// How far a run is with this step, in what its bar counts.
fn place(limit: Option<Limit>, step: &StepRecord) -> u64 {
    match limit.map(|limit| limit.of) {
        Some(Allowance::Tokens(_)) => step.tokens,
        Some(Allowance::Seconds(_)) => step.seconds as u64,
        _ => step.step,
    }
}

fn in_words(loss: f64, dev: Option<DevScore>) -> String {
    match dev.and_then(|dev| Some((dev.metric(), dev.value()?))) {
        Some((metric, score)) => format!("loss {loss:.4} dev {metric} {score:.4}"),
        None => format!("loss {loss:.4}"),
    }
}
