//! The points of a sweep.

use super::lists::Lists;
use crate::error::{Result, RunError, refuse};
use crate::inputs::task_word;
use crate::settings::{
    BUILT_IN_MODEL, BUILT_IN_TASK, DEFAULT_METHOD, ExampleCounts, Given, LENGTHS, MethodKind,
    Preset, Settings, Tune,
};
use crate::words::number;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use zograd_select::Methods;

/// The built-in model is small and takes larger rates.
const BUILT_IN_LR: [f64; 4] = [1e-5, 3e-5, 1e-4, 3e-4];
/// Forward passes of a point.
const FORWARDS: i64 = 600;
/// Test examples of a point, which are not what it is chosen by.
const TEST_EXAMPLES: i64 = 100;
/// A point that diverges is stopped.
const GUARD: &str =
    "non-finite-loss=stop,non-finite-update=stop,update-too-far=stop,loss-explosion=stop";
/// The same for gradient methods.
const GRADIENT_GUARD: &str = "non-finite-loss=stop,non-finite-update=stop,loss-explosion=stop";
/// A sweep of more runs is a mistake in a list.
const MOST_RUNS: usize = 1000;

/// `sweep.toml`: the values to try, and the settings that all points share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SweepPlan {
    /// Methods.
    pub method: Vec<String>,
    /// Learning rates, ascending.
    pub lr: Vec<f64>,
    /// Perturbation scales, ascending; none for gradient methods.
    pub eps: Vec<f64>,
    /// Batch sizes, ascending; where there are none, all points have that of the other settings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub batch_size: Vec<u64>,
    /// Seeds: every point is run once with each.
    pub seed: Vec<u64>,
    /// The other settings.
    pub train: toml::Table,
}

/// One point of a plan.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Point {
    /// The method.
    pub method: String,
    /// The learning rate.
    pub lr: f64,
    /// The perturbation scale; gradient methods have none.
    pub eps: Option<f64>,
    /// The batch size, if it is varied.
    pub batch_size: Option<u64>,
}

impl SweepPlan {
    /// The plan of these lists and settings; where a list is empty, the setting, then the preset's values, then the
    /// paper's.
    ///
    /// # Errors
    /// An unknown preset, a value that is no number above 0 or comes twice, settings that no point can have, too many
    /// points.
    pub fn new(lists: Lists, given: Given, methods: &Methods) -> Result<Self> {
        let preset = given.text("preset").map(Preset::named).transpose()?;
        let lists = lists.completed(&given)?;
        let given = ["method", "lr", "eps", "seed"]
            .iter()
            .fold(given, |given, key| given.without(key));
        // of several methods that of the preset says which of its settings hold
        let ours = preset.as_ref().map(|preset| preset.method().to_owned());
        let ours = ours.filter(|ours| lists.method.contains(ours));
        let first = ours.or_else(|| lists.method.first().cloned());
        // the values of a preset are those of what it tunes
        let preset = preset.filter(|preset| !preset.differs("tune", &given));
        let train = Preset::complete(given.with_some("method", first), methods)?;
        let chosen = train.text("method").unwrap_or(DEFAULT_METHOD).to_owned();
        let all = distinct(first_filled([lists.method, vec![chosen]]));
        let gradient = check_kinds(&all)?;
        if gradient && !lists.eps.is_empty() {
            refuse!("`eps`: a gradient method does not perturb weights");
        }
        let (default_lr, default_eps) = values(&train, preset, gradient)?;
        let train = completed(train, gradient)?;
        let mut plan = Self {
            method: all,
            lr: sorted("lr", first_filled([lists.lr, default_lr]))?,
            // empty for gradient methods
            eps: sorted("eps", first_filled([lists.eps, default_eps]))?,
            batch_size: sizes(lists.batch_size)?,
            seed: distinct(first_filled([lists.seed, vec![0]])),
            train: train.values().clone(),
        };
        // TOML has no larger numbers
        if let Some(seed) = plan.seed.iter().find(|seed| i64::try_from(**seed).is_err()) {
            refuse!("`seed = {seed}`: use at most {}", i64::MAX);
        }
        let points = plan.points().len();
        let runs = points * plan.seed.len();
        if runs > MOST_RUNS {
            refuse!("`lr`, `eps`, `method`, `seed`: {runs} runs; use at most {MOST_RUNS}");
        }
        plan.settle(train, methods)?;
        Ok(plan)
    }

    /// Resolves every point once, so that what no point can have is refused before any runs; writes down what all
    /// share, with paths that mean the same from any folder.
    fn settle(&mut self, mut train: Given, methods: &Methods) -> Result<()> {
        let mut taken = Given::new();
        for point in self.points() {
            let given = self.at(&point, self.seed[0], train.clone(), methods);
            let settings = Settings::resolve(given, methods)?;
            taken = taken.or(settings.given()?);
        }
        train = train.firm(&taken);
        for key in ["model", "tokenizer", "task", "data", "chat-template"] {
            train = train.with_some(key, taken.get(key).cloned());
        }
        for key in ["preset", "method", "lr", "eps", "seed", "out"] {
            train = train.without(key);
        }
        if !self.batch_size.is_empty() {
            train = train.without("batch-size");
        }
        self.train = train.values().clone();
        Ok(())
    }

    /// All points: method by method, batch size by batch size, eps by eps, rates ascending.
    pub fn points(&self) -> Vec<Point> {
        let mut points = Vec::new();
        for method in &self.method {
            let eps: Vec<Option<f64>> = match MethodKind::of(method).has_gradient() {
                true => vec![None],
                false => self.eps.iter().copied().map(Some).collect(),
            };
            let sizes: Vec<Option<u64>> = match self.batch_size.is_empty() {
                true => vec![None],
                false => self.batch_size.iter().copied().map(Some).collect(),
            };
            for batch_size in sizes {
                for &eps in &eps {
                    points.extend(self.lr.iter().map(|&lr| Point {
                        method: method.clone(),
                        lr,
                        eps,
                        batch_size,
                    }));
                }
            }
        }
        points
    }

    /// The settings of the run of a point with this seed.
    pub fn settings(&self, point: &Point, seed: u64, methods: &Methods) -> Given {
        self.at(point, seed, self.train.clone().into(), methods)
    }

    /// Name of the folder of this run.
    pub fn folder(&self, point: &Point, seed: u64) -> String {
        let eps = point
            .eps
            .map_or(String::new(), |eps| format!("-eps{eps:e}"));
        let seed = match self.seed.len() {
            1 => String::new(),
            _ => format!("-seed{seed}"),
        };
        let batch = point
            .batch_size
            .map_or(String::new(), |size| format!("-batch{size}"));
        format!("{}-lr{:e}{eps}{batch}{seed}", point.method, point.lr)
    }

    /// These settings at a point. Of several methods each takes the settings that it has; what none of them has is
    /// refused.
    fn at(&self, point: &Point, seed: u64, train: Given, methods: &Methods) -> Given {
        let mut train = train;
        if self.method.len() > 1 {
            let known = self.method.iter().filter_map(|name| methods.get(name));
            let own = known.flat_map(|method| method.settings);
            train = train.suggesting(own.map(|setting| setting.key));
        }
        let train = train
            .with("method", point.method.as_str())
            .with("lr", point.lr)
            .with_some("seed", i64::try_from(seed).ok());
        let train = match point.batch_size.and_then(|size| i64::try_from(size).ok()) {
            Some(size) => train.with("batch-size", size),
            None => train,
        };
        match point.eps {
            Some(eps) => train.with("eps", eps),
            None => train.without("eps"),
        }
    }

    /// The CPU threads that were asked for.
    pub fn threads(&self) -> Option<usize> {
        let threads = self.train.get("threads")?.as_integer()?;
        usize::try_from(threads).ok()
    }

    /// The task in a word, for the name of a folder.
    pub(super) fn task(&self) -> String {
        let said = |key: &str| self.train.get(key).and_then(toml::Value::as_str);
        task_word(said("task"), said("data"))
    }
}

impl fmt::Display for Point {
    /// In words: `gv, lr 1e-5, eps 1e-3`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, lr {}", self.method, number(self.lr))?;
        if let Some(eps) = self.eps {
            write!(f, ", eps {}", number(eps))?;
        }
        match self.batch_size {
            Some(size) => write!(f, ", batch {size}"),
            None => Ok(()),
        }
    }
}

/// Whether these are gradient methods.
fn check_kinds(methods: &[String]) -> Result<bool> {
    let kinds: Vec<MethodKind> = methods.iter().map(|name| MethodKind::of(name)).collect();
    if kinds.contains(&MethodKind::LinearProbe) {
        refuse!(
            "`method = linear-probing`: it has nothing to sweep and no steps to compare; train with it"
        );
    }
    let gradient = kinds.iter().any(|kind| kind.has_gradient());
    if kinds.iter().any(|kind| kind.has_gradient() != gradient) {
        refuse!(
            "`method`: gradient and zeroth-order methods want different learning rates; sweep one kind after the other"
        );
    }
    Ok(gradient)
}

/// Learning rates and perturbation scales to try where none are given.
fn values(train: &Given, preset: Option<Preset>, gradient: bool) -> Result<(Vec<f64>, Vec<f64>)> {
    let tune = match train.text("tune") {
        Some(name) => name.parse().map_err(RunError::input)?,
        None => Tune::Full,
    };
    let is = |key, built_in| train.text(key).is_none_or(|name| name == built_in);
    let built_in =
        is("model", BUILT_IN_MODEL) && is("task", BUILT_IN_TASK) && train.get("data").is_none();
    Ok(match (preset, tune) {
        (_, tune) if gradient => (customary(tune), Vec::new()),
        (Some(preset), _) => preset.grids(),
        (None, Tune::Full) if built_in => (BUILT_IN_LR.to_vec(), vec![1e-3]),
        (None, tune) => papers(tune),
    })
}

/// What a point has where nothing was given.
fn completed(mut train: Given, gradient: bool) -> Result<Given> {
    if LENGTHS.iter().all(|key| train.get(key).is_none()) {
        train = train.with("forwards", FORWARDS);
    }
    if train.get("test-examples").is_none() {
        train = train.with("test-examples", TEST_EXAMPLES);
    }
    if train.get("guard").is_none() {
        train = train.with("guard", if gradient { GRADIENT_GUARD } else { GUARD });
    }
    if train.clone().take::<ExampleCounts>()?.dev_examples == Some(0) {
        refuse!("`dev-examples = 0`: a sweep chooses by the score on the development examples");
    }
    Ok(train)
}

/// What the paper tries: learning rates and perturbation scales.
fn papers(tune: Tune) -> (Vec<f64>, Vec<f64>) {
    match tune {
        Tune::Full => (vec![1e-7, 2e-7, 3e-7, 5e-7], vec![1e-3]),
        Tune::Lora => (vec![3e-5, 5e-5, 1e-4], vec![1e-2]),
        Tune::Prefix => (vec![1e-3, 5e-3, 1e-2], vec![1e-1]),
        // the paper tunes no heads
        Tune::Head => (vec![1e-5, 1e-4, 1e-3], vec![1e-2]),
    }
}

/// Learning rates that are customary with Adam.
fn customary(tune: Tune) -> Vec<f64> {
    match tune {
        Tune::Full => vec![3e-6, 1e-5, 3e-5],
        Tune::Lora | Tune::Head => vec![3e-5, 1e-4, 3e-4],
        Tune::Prefix => vec![3e-4, 1e-3, 3e-3],
    }
}

fn first_filled<T, const N: usize>(lists: [Vec<T>; N]) -> Vec<T> {
    let mut lists = lists.into_iter();
    lists.find(|list| !list.is_empty()).unwrap_or_default()
}

/// The values without those that came before.
fn distinct<T: Ord + Clone>(mut values: Vec<T>) -> Vec<T> {
    let mut seen = BTreeSet::new();
    values.retain(|value| seen.insert(value.clone()));
    values
}

/// The batch sizes in their order, each once.
fn sizes(mut sizes: Vec<u64>) -> Result<Vec<u64>> {
    if let Some(size) = sizes.iter().find(|size| !(1..=65536).contains(*size)) {
        refuse!("`tune-batch-size = {size}`: use 1 to 65536");
    }
    sizes.sort_unstable();
    sizes.dedup();
    Ok(sizes)
}

fn sorted(key: &str, mut values: Vec<f64>) -> Result<Vec<f64>> {
    if let Some(value) = values.iter().find(|x| !(x.is_finite() && **x > 0.0)) {
        let value = number(*value);
        refuse!("`{key} = {value}`: a sweep takes numbers above 0");
    }
    values.sort_by(f64::total_cmp);
    values.dedup();
    Ok(values)
}
