//! What a run will take: time, and room in its folder. Before the first step the first evaluation tells roughly, then the first
//! steps.

use super::prepare::Prepared;
use crate::pace::Pace;
use crate::settings::MethodKind;
use crate::words::duration;
use std::path::Path;
use zograd_files::Bytes;
use zograd_trainer::{EvalRecord, StepRecord, TrainConfig, bias_examples};

/// How many steps tell how long one takes, behind the first, which is slower.
const STEPS: f64 = 4.0;

/// Runs that take less time and room have no need of it.
const SHORT_SECONDS: f64 = 60.0;
const SMALL_BYTES: u64 = 1 << 30;

/// What a run will take.
pub(super) struct Outlook {
    config: TrainConfig,
    /// Whether there is anything to evaluate the model on.
    evaluates: bool,
    /// Seconds of the last evaluation.
    eval_seconds: f64,
    /// What all forward passes of the steps would take, in evaluations; none where steps do other work than these.
    work: Option<f64>,
    /// What the score at the end will take, in evaluations.
    tests: f64,
    /// The best weights, and a checkpoint beside them.
    bytes: u64,
    /// Training seconds up to the last step, once there was one in this process.
    before: Option<f64>,
    pace: Pace,
    is_told: bool,
}

impl Outlook {
    /// Of a run that keeps so many numbers of its own, and whose steps have so many forward passes, if that is known.
    pub(super) fn new(prepared: &Prepared, numbers: u64, forwards: Option<u64>) -> Self {
        let settings = &prepared.settings;
        let has_log = MethodKind::of(&settings.method).has_log();
        let copies = if has_log { 2 } else { 1 };
        let [_, dev, test] = prepared.data.all().map(<[_]>::len);
        let writes = prepared.scoring.writer().is_some();
        let is_alike = writes == prepared.objective.needs_answers();
        let fitted = match settings.calibrates() {
            true => bias_examples(&prepared.data.train, settings.config.seed).len(),
            false => 0,
        };
        let (batches, tests) = in_evaluations([dev, test], fitted, settings.config.batch_size);
        Self {
            config: settings.config.clone(),
            evaluates: dev > 0,
            eval_seconds: 0.0,
            work: forwards
                .filter(|_| is_alike && dev > 0)
                .map(|forwards| forwards as f64 / batches),
            tests,
            bytes: numbers * settings.machine.storage().bytes() as u64 * copies,
            before: None,
            pace: Pace::default(),
            is_told: false,
        }
    }

    /// The model was evaluated; before the first step, the line that tells what the run will take by that.
    pub(super) fn on_eval(&mut self, eval: &EvalRecord, folder: &Path) -> Option<String> {
        self.eval_seconds = eval.eval_seconds;
        let work = self.work.filter(|_| eval.step == 0)?;
        let evaluations = work + self.evaluations_from(0);
        self.line("roughly", evaluations * self.eval_seconds, folder)
    }

    /// A step was made; once it can be told, the line that tells what the run will take.
    pub(super) fn on_step(&mut self, step: &StepRecord, folder: &Path) -> Option<String> {
        // how many steps a budget of tokens or seconds has is not known
        if self.is_told || self.config.limit.is_some() {
            return None;
        }
        if let Some(before) = self.before.replace(step.seconds) {
            self.pace.add(1.0, step.seconds - before);
        }
        let training = self
            .pace
            .seconds_for(self.config.steps.saturating_sub(step.step))?;
        let seconds = training + self.evaluations_from(step.step) * self.eval_seconds;
        self.is_told = self.pace.done() >= STEPS;
        self.line("about", seconds, folder).filter(|_| self.is_told)
    }

    fn line(&self, how: &str, seconds: f64, folder: &Path) -> Option<String> {
        let is_small = seconds < SHORT_SECONDS && self.bytes < SMALL_BYTES;
        (!is_small).then(|| {
            format!(
                "{how} {} to go, and up to {} in {}",
                duration(seconds),
                Bytes(self.bytes),
                folder.display()
            )
        })
    }

    /// Evaluations on the development examples that are left after this step, and the one at the end in terms of these.
    fn evaluations_from(&self, step: u64) -> f64 {
        if !self.evaluates {
            return 0.0;
        }
        let (every, steps) = (self.config.eval_every, self.config.steps);
        let until = |step: u64| step.checked_div(every).unwrap_or(0);
        let last = u64::from(every == 0 || !steps.is_multiple_of(every));
        (until(steps) - until(step.min(steps)) + last) as f64 + self.tests
    }
}

/// Batches of steps in an evaluation, and evaluations in the score at the end, for which biases are known: an evaluation goes
/// through the development examples and those that biases are fitted to.
fn in_evaluations([dev, test]: [usize; 2], fitted: usize, batch_size: usize) -> (f64, f64) {
    let evaluated = (dev + fitted).max(1) as f64;
    (
        evaluated / batch_size.max(1) as f64,
        test as f64 / evaluated,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use zograd_tasks::metrics::Metric;
    use zograd_trainer::DevScore;

    fn outlook(bytes: u64) -> Outlook {
        let mut config = TrainConfig::new(1000, 1e-5);
        config.eval_every = 300;
        Outlook {
            config,
            evaluates: true,
            eval_seconds: 10.0,
            work: Some(80.0),
            tests: 2.0,
            bytes,
            before: None,
            pace: Pace::default(),
            is_told: false,
        }
    }

    /// What is told after steps of this many seconds, of which the first takes a minute more.
    fn told(outlook: &mut Outlook, seconds: f64) -> Vec<(u64, String)> {
        let line = |step: u64| {
            let mut record = StepRecord::new(step, vec![0.5]);
            record.seconds = 60.0 + step as f64 * seconds;
            Some((step, outlook.on_step(&record, Path::new("runs/x"))?))
        };
        (1..=1000).filter_map(line).collect()
    }

    #[test]
    fn time_and_room_are_told_once_after_a_few_steps() {
        // 995 steps of a second; evaluations after steps 300, 600, 900 and 1000, and twice as many test examples
        let line = "about 18 min to go, and up to 540.0 MB in runs/x";
        assert_eq!(told(&mut outlook(540_000_000), 1.0), [(5, line.to_owned())]);
        let mut alone = outlook(540_000_000);
        alone.evaluates = false;
        let line = "about 17 min to go, and up to 540.0 MB in runs/x";
        assert_eq!(told(&mut alone, 1.0), [(5, line.to_owned())]);
    }

    /// Forward passes as long as 80 evaluations, the four evaluations and what counts as two of them.
    #[test]
    fn the_first_evaluation_tells_roughly() {
        let score = DevScore::new(Metric::Accuracy, Some(0.5));
        let mut eval = EvalRecord::new(0, 0, score, 0.7);
        eval.eval_seconds = 5.0;
        let mut outlook = outlook(540_000_000);
        let mut told = |eval: &EvalRecord| outlook.on_eval(eval, Path::new("runs/x"));
        let line = "roughly 7 min to go, and up to 540.0 MB in runs/x";
        assert_eq!(told(&eval).as_deref(), Some(line));
        eval.eval_seconds = 0.5;
        assert_eq!(told(&eval), None);
        eval.step = 300;
        eval.eval_seconds = 5.0;
        assert_eq!(told(&eval), None);
        outlook.work = None;
        eval.step = 0;
        assert_eq!(outlook.on_eval(&eval, Path::new("runs/x")), None);
    }

    #[test]
    fn examples_that_biases_are_fitted_to_are_evaluated_too() {
        assert_eq!(in_evaluations([80, 240], 0, 16), (5.0, 3.0));
        assert_eq!(in_evaluations([32, 80], 128, 16), (10.0, 0.5));
        assert_eq!(in_evaluations([0, 0], 0, 16), (0.0625, 0.0));
    }

    #[test]
    fn a_short_run_says_so_only_if_it_is_large() {
        let mut small = outlook(1000);
        small.eval_seconds = 0.1;
        assert_eq!(told(&mut small, 0.01), []);
        let mut large = outlook(3 << 30);
        large.eval_seconds = 0.1;
        let line = "about 11 s to go, and up to 3.2 GB in runs/x";
        assert_eq!(told(&mut large, 0.01), [(5, line.to_owned())]);
    }
}
