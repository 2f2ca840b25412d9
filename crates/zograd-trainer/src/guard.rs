//! Guards: what can go wrong with a step, noticed, named, counted, and acted on.

use crate::{StepRecord, TrainError};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::str::FromStr;
use zograd_select::SkipReason;

/// Steps that "usual" is taken from, and how many of them there must be before anything is unusual.
const WINDOW: usize = 100;
const FEWEST: usize = 20;

/// A mean loss this many times the usual one has exploded.
const LOSS_EXPLODES: f64 = 3.0;

/// A projected gradient this many times the usual magnitude has exploded: with Gaussian slopes, eight
/// standard deviations.
const GRADIENT_EXPLODES: f64 = 10.0;

/// A difference of two losses of at most this share of the loss is the rounding of f32: eight units in the last place.
const ROUNDING: f64 = 8.0 / 16_777_216.0;

/// What [`Policy::Shrink`] multiplies the learning rate of a step with whose loss has exploded.
const SHRINK: f64 = 0.1;

/// Steps in a row with the same quiet event ([`Event::FlatLoss`], [`Event::VanishingGradient`]) before
/// [`Policy::Stop`] stops: one alone is chance.
const PATIENCE: u64 = 10;

/// Something about a step that is not as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// A loss was NaN or infinite.
    NonFiniteLoss,
    /// The losses were finite, the update is not.
    NonFiniteUpdate,
    /// The update is longer than exact steps have room for.
    UpdateTooFar,
    /// The mean loss is 3 times that of the last 100 steps.
    LossExplosion,
    /// The losses are equal to the last bit: the slope is exactly 0.
    FlatLoss,
    /// The losses differ by no more than their rounding: the slope is noise.
    VanishingGradient,
    /// The projected gradient is 10 times the mean magnitude of the last 100 steps.
    ExplodingGradient,
}

impl Event {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::NonFiniteLoss,
        Self::NonFiniteUpdate,
        Self::UpdateTooFar,
        Self::LossExplosion,
        Self::FlatLoss,
        Self::VanishingGradient,
        Self::ExplodingGradient,
    ];

    /// The name, as in files and flags.
    pub fn name(self) -> &'static str {
        match self {
            Self::NonFiniteLoss => "non-finite-loss",
            Self::NonFiniteUpdate => "non-finite-update",
            Self::UpdateTooFar => "update-too-far",
            Self::LossExplosion => "loss-explosion",
            Self::FlatLoss => "flat-loss",
            Self::VanishingGradient => "vanishing-gradient",
            Self::ExplodingGradient => "exploding-gradient",
        }
    }

    /// What to change when it happens often.
    pub fn advice(self) -> &'static str {
        match self {
            Self::NonFiniteLoss => {
                "lower --lr, or --eps if there is one; f16 overflows first, bf16 and f32 do not"
            }
            Self::NonFiniteUpdate | Self::UpdateTooFar => "lower --lr",
            Self::LossExplosion => "lower --lr, or start again from an earlier step",
            Self::FlatLoss => "raise --eps, or use --dtype f32",
            Self::VanishingGradient => "raise --eps: the losses differ by rounding alone",
            Self::ExplodingGradient => "lower --lr, raise --batch-size, or let --guard shrink it",
        }
    }

    /// What is done about it unless a user says otherwise: what cannot be applied is skipped, everything else is as
    /// in the published method, noticed and no more.
    pub fn usual_policy(self) -> Policy {
        match self {
            Self::NonFiniteLoss | Self::NonFiniteUpdate | Self::UpdateTooFar => Policy::Skip,
            _ => Policy::GoOn,
        }
    }

    fn accepts(self, policy: Policy) -> bool {
        match self {
            Self::NonFiniteLoss | Self::NonFiniteUpdate | Self::UpdateTooFar => {
                matches!(policy, Policy::Skip | Policy::Stop)
            }
            Self::FlatLoss | Self::VanishingGradient => policy != Policy::Shrink,
            Self::LossExplosion | Self::ExplodingGradient => true,
        }
    }

    pub(crate) fn skip_reason(self) -> SkipReason {
        match self {
            Self::NonFiniteLoss => SkipReason::NonFiniteLoss,
            Self::NonFiniteUpdate => SkipReason::NonFiniteUpdate,
            Self::UpdateTooFar => SkipReason::UpdateTooFar,
            Self::LossExplosion => SkipReason::LossExplosion,
            Self::FlatLoss | Self::VanishingGradient => SkipReason::VanishingGradient,
            Self::ExplodingGradient => SkipReason::ExplodingGradient,
        }
    }

    /// What a skip outside of the guards was.
    pub(crate) fn of_skip(reason: SkipReason) -> Self {
        match reason {
            SkipReason::NonFiniteLoss => Self::NonFiniteLoss,
            SkipReason::UpdateTooFar => Self::UpdateTooFar,
            SkipReason::LossExplosion => Self::LossExplosion,
            SkipReason::VanishingGradient => Self::VanishingGradient,
            SkipReason::ExplodingGradient => Self::ExplodingGradient,
            // of those there may be more one day
            _ => Self::NonFiniteUpdate,
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is done about an [`Event`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// It is counted, and the update made.
    GoOn,
    /// No update is made.
    Skip,
    /// The update is made shorter: an exploding gradient becomes 10 times the usual one; a step with an
    /// exploded loss gets a tenth of the learning rate.
    Shrink,
    /// The run ends after this step, without its update (quiet events: after ten in a row).
    Stop,
}

/// The policies of a run, one an event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Guards(BTreeMap<Event, Policy>);

impl Guards {
    /// What is done about `event`.
    pub fn policy(&self, event: Event) -> Policy {
        self.0
            .get(&event)
            .copied()
            .unwrap_or_else(|| event.usual_policy())
    }

    /// Sets what is done about an event.
    ///
    /// # Errors
    /// [`TrainError::Setting`] for a policy that makes no sense for the event: an update that is not finite can be
    /// neither made nor made shorter.
    pub fn set(&mut self, event: Event, policy: Policy) -> Result<(), TrainError> {
        if !event.accepts(policy) {
            return Err(TrainError::Setting {
                name: "--guard",
                value: format!("{event}={}", name_of(policy)),
                fix: "this event cannot be answered so; use skip or stop",
            });
        }
        self.0.insert(event, policy);
        Ok(())
    }
}

impl FromStr for Guards {
    type Err = TrainError;

    /// `EVENT=POLICY`, with commas between several.
    fn from_str(text: &str) -> Result<Self, TrainError> {
        let mut guards = Self::default();
        for pair in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            let setting = |fix| TrainError::Setting {
                name: "--guard",
                value: pair.to_owned(),
                fix,
            };
            let Some((event, policy)) = pair.split_once('=') else {
                return Err(setting(
                    "write EVENT=POLICY, such as exploding-gradient=shrink",
                ));
            };
            let event = Event::ALL.into_iter().find(|e| e.name() == event.trim());
            let event = event.ok_or_else(|| {
                setting(
                    "the events are non-finite-loss, non-finite-update, update-too-far, loss-explosion, \
                     flat-loss, vanishing-gradient and exploding-gradient",
                )
            })?;
            let policies = [Policy::GoOn, Policy::Skip, Policy::Shrink, Policy::Stop];
            let policy = policies.into_iter().find(|p| name_of(*p) == policy.trim());
            let policy =
                policy.ok_or_else(|| setting("the policies are go-on, skip, shrink and stop"))?;
            guards.set(event, policy)?;
        }
        Ok(guards)
    }
}

fn name_of(policy: Policy) -> &'static str {
    match policy {
        Policy::GoOn => "go-on",
        Policy::Skip => "skip",
        Policy::Shrink => "shrink",
        Policy::Stop => "stop",
    }
}

/// What becomes of an update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// It is made, with the learning rate times this factor.
    Apply(f64),
    /// It is not made.
    Skip(SkipReason),
}

/// What is usual in a run: the losses and slopes of its last steps. A function of the steps alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Monitor {
    losses: VecDeque<f64>,
    slopes: VecDeque<f64>,
    last: Option<Event>,
    in_a_row: u64,
}

impl Monitor {
    /// Takes up a step that is done.
    pub fn observe(&mut self, record: &StepRecord) {
        let push = |window: &mut VecDeque<f64>, value: f64| {
            if value.is_finite() {
                if window.len() == WINDOW {
                    window.pop_front();
                }
                window.push_back(value);
            }
        };
        push(&mut self.losses, record.loss);
        if record.projected_gradient != 0.0 {
            push(&mut self.slopes, record.projected_gradient.abs());
        }
        self.in_a_row = match record.event {
            Some(_) if record.event == self.last => self.in_a_row + 1,
            Some(_) => 1,
            None => 0,
        };
        self.last = record.event;
    }

    /// What is unusual about a step with finite losses of this mean and this projected gradient, measured with
    /// this eps; and the factor that would make it usual.
    pub fn judge(&self, loss: f64, slope: f64, eps: f64) -> Option<(Event, f64)> {
        if slope == 0.0 {
            return Some((Event::FlatLoss, 1.0));
        }
        if let Some(usual) = mean(&self.slopes) {
            let most = GRADIENT_EXPLODES * usual;
            if slope.abs() > most {
                return Some((Event::ExplodingGradient, most / slope.abs()));
            }
        }
        // minus a metric is a negative loss, and cannot explode
        if let Some(usual) = mean(&self.losses)
            && usual > 0.0
            && loss > LOSS_EXPLODES * usual
        {
            return Some((Event::LossExplosion, SHRINK));
        }
        // the two losses of the estimate are 2 eps g apart
        if 2.0 * eps * slope.abs() <= ROUNDING * loss.abs() {
            return Some((Event::VanishingGradient, 1.0));
        }
        None
    }

    /// What `policy` makes of an event of a step, and whether the run ends.
    pub fn verdict(&self, event: Event, factor: f64, policy: Policy) -> (Verdict, bool) {
        let skip = Verdict::Skip(event.skip_reason());
        match policy {
            Policy::GoOn => (Verdict::Apply(1.0), false),
            Policy::Skip if event == Event::FlatLoss => (Verdict::Apply(1.0), false),
            Policy::Skip => (skip, false),
            Policy::Shrink => (Verdict::Apply(factor), false),
            Policy::Stop if self.is_quiet(event) => (Verdict::Apply(1.0), false),
            Policy::Stop => (skip, true),
        }
    }

    /// Whether this is a quiet event that has not happened often enough in a row to stop for.
    fn is_quiet(&self, event: Event) -> bool {
        let quiet = matches!(event, Event::FlatLoss | Event::VanishingGradient);
        let before = if self.last == Some(event) {
            self.in_a_row
        } else {
            0
        };
        quiet && before + 1 < PATIENCE
    }
}

/// The mean, of enough values to say what is usual.
fn mean(window: &VecDeque<f64>) -> Option<f64> {
    (window.len() >= FEWEST).then(|| window.iter().sum::<f64>() / window.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use zograd_perturb::Direction;

    fn record(loss: f64, slope: f64, event: Option<Event>) -> StepRecord {
        StepRecord {
            step: 1,
            loss,
            losses: vec![loss],
            projected_gradient: slope,
            update_norm: None,
            lr: 1.0,
            forwards: 0,
            tokens: 0,
            seconds: 0.0,
            passes: 0,
            peak_memory_bytes: None,
            skipped: None,
            event,
            weight_decay: 0.0,
            update: Direction::zero(),
        }
    }

    fn usual() -> Monitor {
        let mut monitor = Monitor::default();
        for k in 0..FEWEST {
            monitor.observe(&record(0.7, if k % 2 == 0 { 2.0 } else { -2.0 }, None));
        }
        monitor
    }

    #[test]
    fn events_are_told_apart() {
        let monitor = usual();
        let judge = |loss, slope| monitor.judge(loss, slope, 1e-3);
        assert_eq!(judge(0.7, 1.0), None);
        assert_eq!(judge(0.7, -19.9), None);
        assert_eq!(judge(0.7, 0.0), Some((Event::FlatLoss, 1.0)));
        assert_eq!(judge(0.7, -40.0), Some((Event::ExplodingGradient, 0.5)));
        assert_eq!(judge(2.2, 1.0), Some((Event::LossExplosion, SHRINK)));
        assert_eq!(judge(0.7, 1e-4), Some((Event::VanishingGradient, 1.0)));
        // nothing is unusual before anything is usual
        assert_eq!(Monitor::default().judge(1e9, 1e9, 1e-3), None);
    }

    /// Minus an accuracy: a rise from -0.6 to 0 is bad, but no explosion.
    #[test]
    fn negative_losses_do_not_explode() {
        let mut monitor = Monitor::default();
        for _ in 0..FEWEST {
            monitor.observe(&record(-0.6, 1.0, None));
        }
        for loss in [-0.9, -0.5, 0.0] {
            assert_eq!(monitor.judge(loss, 1.0, 1e-3), None);
        }
    }

    #[test]
    fn policies_act() {
        let monitor = usual();
        let verdict = |policy| monitor.verdict(Event::ExplodingGradient, 0.5, policy);
        let skip = Verdict::Skip(SkipReason::ExplodingGradient);
        assert_eq!(verdict(Policy::GoOn), (Verdict::Apply(1.0), false));
        assert_eq!(verdict(Policy::Skip), (skip, false));
        assert_eq!(verdict(Policy::Shrink), (Verdict::Apply(0.5), false));
        assert_eq!(verdict(Policy::Stop), (skip, true));
    }

    #[test]
    fn quiet_events_stop_a_run_after_ten_in_a_row() {
        let mut monitor = usual();
        for k in 1..=10 {
            let (_, stops) = monitor.verdict(Event::FlatLoss, 1.0, Policy::Stop);
            assert_eq!(stops, k == 10, "{k}");
            monitor.observe(&record(0.7, 0.0, Some(Event::FlatLoss)));
        }
        monitor.observe(&record(0.7, 1.0, None));
        assert!(!monitor.verdict(Event::FlatLoss, 1.0, Policy::Stop).1);
    }

    #[test]
    fn policies_are_parsed_and_checked() {
        let guards: Guards = "exploding-gradient=shrink, flat-loss=stop"
            .parse()
            .expect("two");
        assert_eq!(guards.policy(Event::ExplodingGradient), Policy::Shrink);
        assert_eq!(guards.policy(Event::FlatLoss), Policy::Stop);
        assert_eq!(guards.policy(Event::LossExplosion), Policy::GoOn);
        for (wrong, says) in [
            ("exploding", "EVENT=POLICY"),
            ("explosion=skip", "the events are"),
            ("loss-explosion=panic", "the policies are"),
            ("non-finite-loss=go-on", "skip or stop"),
        ] {
            let error = wrong.parse::<Guards>().expect_err(wrong).to_string();
            assert!(error.contains(says), "{error}");
        }
        for event in Event::ALL {
            let json = serde_json::to_value(event).expect("JSON");
            assert_eq!(json, event.name());
            assert_eq!(
                Event::of_skip(event.skip_reason()).skip_reason(),
                event.skip_reason()
            );
        }
    }
}
