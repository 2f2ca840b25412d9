use super::{Event, Policy, Ruling, Verdict};
use crate::StepRecord;
use std::collections::VecDeque;

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

/// Steps in a row with the same quiet event ([`Event::FlatLoss`], [`Event::VanishingGradient`],
/// [`Event::UpdateBelowGrid`]) before [`Policy::Stop`] stops: one alone is chance.
const PATIENCE: u64 = 10;

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
    pub fn unusual(&self, loss: f64, slope: f64, eps: f64) -> Option<(Event, f64)> {
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

    /// What `policy` makes of an event of a step.
    pub(super) fn ruling(&self, event: Event, factor: f64, policy: Policy) -> Ruling {
        let (verdict, stops) = match policy {
            Policy::GoOn => (Verdict::Apply(1.0), false),
            Policy::Skip => (Verdict::Skip(event.skip_reason()), false),
            Policy::Shrink => (Verdict::Apply(factor), false),
            Policy::Stop if self.is_quiet(event) => (Verdict::Apply(1.0), false),
            Policy::Stop => (Verdict::Skip(event.skip_reason()), true),
        };
        Ruling {
            verdict,
            event: Some(event),
            stops,
        }
    }

    /// Whether this is a quiet event that has not happened often enough in a row to stop for.
    fn is_quiet(&self, event: Event) -> bool {
        let quiet = matches!(
            event,
            Event::FlatLoss | Event::VanishingGradient | Event::UpdateBelowGrid
        );
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
    use zograd_select::SkipReason;

    fn record(loss: f64, slope: f64, event: Option<Event>) -> StepRecord {
        let mut record = StepRecord::new(1, vec![loss]);
        (record.projected_gradient, record.event) = (slope, event);
        record
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
        let judge = |loss, slope| monitor.unusual(loss, slope, 1e-3);
        assert_eq!(judge(0.7, 1.0), None);
        assert_eq!(judge(0.7, -19.9), None);
        assert_eq!(judge(0.7, 0.0), Some((Event::FlatLoss, 1.0)));
        assert_eq!(judge(0.7, -40.0), Some((Event::ExplodingGradient, 0.5)));
        assert_eq!(judge(2.2, 1.0), Some((Event::LossExplosion, SHRINK)));
        assert_eq!(judge(0.7, 1e-4), Some((Event::VanishingGradient, 1.0)));
        // nothing is unusual before anything is usual
        assert_eq!(Monitor::default().unusual(1e9, 1e9, 1e-3), None);
    }

    /// Minus an accuracy: a rise from -0.6 to 0 is bad, but no explosion.
    #[test]
    fn negative_losses_do_not_explode() {
        let mut monitor = Monitor::default();
        for _ in 0..FEWEST {
            monitor.observe(&record(-0.6, 1.0, None));
        }
        for loss in [-0.9, -0.5, 0.0] {
            assert_eq!(monitor.unusual(loss, 1.0, 1e-3), None);
        }
    }

    #[test]
    fn policies_act() {
        let monitor = usual();
        let verdict = |policy| {
            let ruling = monitor.ruling(Event::ExplodingGradient, 0.5, policy);
            assert_eq!(ruling.event, Some(Event::ExplodingGradient));
            (ruling.verdict, ruling.stops)
        };
        let skip = Verdict::Skip(SkipReason::ExplodingGradient);
        assert_eq!(verdict(Policy::GoOn), (Verdict::Apply(1.0), false));
        assert_eq!(verdict(Policy::Skip), (skip, false));
        assert_eq!(verdict(Policy::Shrink), (Verdict::Apply(0.5), false));
        assert_eq!(verdict(Policy::Stop), (skip, true));
    }

    /// A step without a slope that is skipped does not decay the weights either.
    #[test]
    fn a_flat_step_is_skipped_if_asked_for() {
        let verdict = |policy| usual().ruling(Event::FlatLoss, 1.0, policy).verdict;
        assert_eq!(verdict(Policy::GoOn), Verdict::Apply(1.0));
        let reason = SkipReason::VanishingGradient;
        assert_eq!(verdict(Policy::Skip), Verdict::Skip(reason));
    }

    #[test]
    fn quiet_events_stop_a_run_after_ten_in_a_row() {
        let mut monitor = usual();
        for k in 1..=10 {
            let ruling = monitor.ruling(Event::FlatLoss, 1.0, Policy::Stop);
            assert_eq!(ruling.stops, k == 10, "{k}");
            monitor.observe(&record(0.7, 0.0, Some(Event::FlatLoss)));
        }
        monitor.observe(&record(0.7, 1.0, None));
        assert!(!monitor.ruling(Event::FlatLoss, 1.0, Policy::Stop).stops);
    }
}
