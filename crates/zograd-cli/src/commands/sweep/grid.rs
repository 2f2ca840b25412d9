//! The points of a sweep.

use crate::args::{MethodName, SweepArgs, TrainArgs, TuneName};
use crate::presets::{self, Preset};
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

/// The built-in model is small and takes larger rates.
const EMBEDDED_LR: [f64; 4] = [1e-5, 3e-5, 1e-4, 3e-4];
/// Forward passes of a point.
const FORWARDS: u64 = 600;
/// Test examples of a point, which are not what it is chosen by.
const TEST_EXAMPLES: usize = 100;
/// A point that diverges is not gone on with.
const GUARD: &str =
    "non-finite-loss=stop,non-finite-update=stop,update-too-far=stop,loss-explosion=stop";
/// The same for gradient methods.
const GRADIENT_GUARD: &str = "non-finite-loss=stop,non-finite-update=stop,loss-explosion=stop";
/// A sweep of more points is a mistake in a list.
const MOST_POINTS: usize = 1000;

/// `sweep.toml`: the values of the grid, and the settings that all points share.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grid {
    /// Methods.
    pub method: Vec<MethodName>,
    /// Learning rates, ascending.
    pub lr: Vec<f64>,
    /// Perturbation scales, ascending.
    pub eps: Vec<f64>,
    /// The other settings.
    pub train: TrainArgs,
}

/// One point of the grid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The method.
    pub method: MethodName,
    /// The learning rate.
    pub lr: f64,
    /// The perturbation scale; gradient methods have none.
    pub eps: Option<f64>,
}

impl Grid {
    /// The grid of these flags: values of the flags, then of the file, then the preset's, then the paper's.
    ///
    /// # Errors
    /// An unknown preset, a value that is no number above 0 or comes twice, too many points.
    pub fn new(args: &SweepArgs, file: TrainArgs) -> Result<Self> {
        let given =
            toml::Table::try_from(&file).context("the settings cannot be written as TOML")?;
        let preset = file.preset.as_deref().map(Preset::named).transpose()?;
        // the grid of a preset is that of what it tunes
        let preset = preset.filter(|preset| !preset.differs("tune", &given));
        let (lr, eps, method) = (file.lr, file.eps, file.method);
        let mut train = presets::complete(TrainArgs {
            method: method.or(args.method.first().copied()),
            ..file
        })?;
        let embedded = train.model.is_none() && train.task.is_none();
        let method = method.or(train.method).unwrap_or(MethodName::Gv);
        let methods = first_filled([args.method.clone(), vec![method]]);
        if methods.contains(&MethodName::LinearProbing) {
            bail!("--method linear-probing: it has nothing to sweep; `zograd train` runs it");
        }
        let gradient = methods[0].has_gradient();
        if methods.iter().any(|m| m.has_gradient() != gradient) {
            bail!(
                "--method: gradient and zeroth-order methods want different learning rates; sweep one kind after \
                 the other"
            );
        }
        if gradient && !(args.eps.is_empty() && eps.is_none()) {
            bail!("--eps: a gradient method does not perturb weights");
        }
        let (default_lr, default_eps) = match (preset, train.tune.unwrap_or(TuneName::Full)) {
            (_, tune) if gradient => (customary(tune), Vec::new()),
            (Some(preset), _) => (preset.paper.lr_grid, preset.paper.eps_grid),
            (None, TuneName::Full) if embedded => (EMBEDDED_LR.to_vec(), vec![1e-3]),
            (None, tune) => papers(tune),
        };
        if train.steps.is_none() && train.forwards.is_none() {
            train.forwards = Some(FORWARDS);
        }
        train.test_examples.get_or_insert(TEST_EXAMPLES);
        let guard = if gradient { GRADIENT_GUARD } else { GUARD };
        train.guard.get_or_insert_with(|| guard.into());
        if train.dev_examples == Some(0) {
            bail!("--dev-examples 0: a sweep chooses by the score on the development examples");
        }
        let grid = Self {
            method: methods,
            lr: sorted(
                "--lr",
                first_filled([args.lr.clone(), Vec::from_iter(lr), default_lr]),
            )?,
            // empty for gradient methods
            eps: sorted(
                "--eps",
                first_filled([args.eps.clone(), Vec::from_iter(eps), default_eps]),
            )?,
            train: TrainArgs {
                preset: None,
                method: None,
                lr: None,
                eps: None,
                out: None,
                ..train
            },
        };
        let points = grid.points().len();
        if points > MOST_POINTS {
            bail!("--lr, --eps, --method: {points} points; use at most {MOST_POINTS}");
        }
        Ok(grid)
    }

    /// All points: method by method, eps by eps, rates ascending.
    pub fn points(&self) -> Vec<Point> {
        let mut points = Vec::new();
        for &method in &self.method {
            let eps: Vec<Option<f64>> = match method.has_gradient() {
                true => vec![None],
                false => self.eps.iter().copied().map(Some).collect(),
            };
            for eps in eps {
                points.extend(self.lr.iter().map(|&lr| Point { method, lr, eps }));
            }
        }
        points
    }

    /// The settings of the run of a point. Of several methods each takes the settings that it has.
    pub fn settings(&self, point: &Point) -> TrainArgs {
        use MethodName::{Greedy, Gv, NSpsa, PoolRegression};
        let mut train = self.train.clone();
        if self.method.len() > 1 {
            if !matches!(point.method, Gv | Greedy | PoolRegression) {
                train.pool = None;
            }
            if point.method != Gv {
                (train.alpha, train.faithful_cost) = (None, false);
            }
            if point.method != NSpsa {
                train.queries = None;
            }
        }
        TrainArgs {
            method: Some(point.method),
            lr: Some(point.lr),
            eps: point.eps,
            ..train
        }
    }
}

impl Point {
    /// Name of its run folder.
    pub fn folder(&self) -> String {
        let eps = self.eps.map_or(String::new(), |eps| format!("-eps{eps:e}"));
        format!("{}-lr{:e}{eps}", self.method_name(), self.lr)
    }

    /// The method as its flag has it.
    pub fn method_name(&self) -> String {
        crate::commands::train::kebab(&self.method)
    }
}

/// What the paper tries: learning rates and perturbation scales.
fn papers(tune: TuneName) -> (Vec<f64>, Vec<f64>) {
    match tune {
        TuneName::Full => (vec![1e-7, 2e-7, 3e-7, 5e-7], vec![1e-3]),
        TuneName::Lora => (vec![3e-5, 5e-5, 1e-4], vec![1e-2]),
        TuneName::Prefix => (vec![1e-3, 5e-3, 1e-2], vec![1e-1]),
        // the paper tunes no heads
        TuneName::Head => (vec![1e-5, 1e-4, 1e-3], vec![1e-2]),
    }
}

/// Learning rates that are customary with Adam.
fn customary(tune: TuneName) -> Vec<f64> {
    match tune {
        TuneName::Full => vec![3e-6, 1e-5, 3e-5],
        TuneName::Lora | TuneName::Head => vec![3e-5, 1e-4, 3e-4],
        TuneName::Prefix => vec![3e-4, 1e-3, 3e-3],
    }
}

fn first_filled<T, const N: usize>(lists: [Vec<T>; N]) -> Vec<T> {
    let mut lists = lists.into_iter();
    lists.find(|list| !list.is_empty()).unwrap_or_default()
}

fn sorted(flag: &str, mut values: Vec<f64>) -> Result<Vec<f64>> {
    if let Some(value) = values.iter().find(|x| !(x.is_finite() && **x > 0.0)) {
        bail!("{flag} {value}: a sweep takes numbers above 0");
    }
    values.sort_by(f64::total_cmp);
    values.dedup();
    Ok(values)
}
