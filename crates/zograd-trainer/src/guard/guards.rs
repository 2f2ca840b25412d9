use super::{Event, Monitor, Policy, Ruling, Verdict};
use crate::TrainError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::str::FromStr;

/// An update of which less reaches the weights is below their grid.
const FEWEST_ARRIVE: f64 = 0.5;

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

    /// The events for which somebody said what is done about them.
    pub fn answered(&self) -> impl Iterator<Item = Event> {
        self.0.keys().copied()
    }

    /// Sets what is done about an event.
    ///
    /// # Errors
    /// [`TrainError::Setting`] for a policy that makes no sense for the event: an update that is not finite can be
    /// neither made nor made shorter.
    pub fn set(&mut self, event: Event, policy: Policy) -> Result<(), TrainError> {
        if !event.accepts(policy) {
            return Err(TrainError::Setting {
                name: "guard",
                value: format!("{event}={}", policy.name()),
                fix: "this event cannot be answered so; use skip or stop",
            });
        }
        self.0.insert(event, policy);
        Ok(())
    }

    /// What is done about an update that was found with losses of this mean and this projected gradient, measured with
    /// this `eps`, after the steps that `monitor` has seen; `arriving` is the share of it that will reach the weights
    /// ([`Resolution::arriving`](zograd_perturb::Resolution::arriving)).
    pub fn judge(
        &self,
        monitor: &Monitor,
        loss: f64,
        slope: f64,
        eps: f64,
        arriving: f64,
    ) -> Ruling {
        let below_grid = (arriving < FEWEST_ARRIVE).then_some((Event::UpdateBelowGrid, 1.0));
        let events = [monitor.unusual(loss, slope, eps), below_grid];
        let mut events = events.into_iter().flatten();
        // what something is done about goes before what is counted only
        let acted = |(event, _): &(Event, f64)| self.policy(*event) != Policy::GoOn;
        match events.clone().find(acted).or_else(|| events.next()) {
            None => Ruling::default(),
            Some((event, factor)) => monitor.ruling(event, factor, self.policy(event)),
        }
    }

    /// What is done about a step that cannot be applied because of `event`.
    pub fn skipped(&self, event: Event) -> Ruling {
        Ruling {
            verdict: Verdict::Skip(event.skip_reason()),
            event: Some(event),
            stops: self.policy(event) == Policy::Stop,
        }
    }
}

impl FromStr for Guards {
    type Err = TrainError;

    /// `EVENT=POLICY`, with commas between several.
    fn from_str(text: &str) -> Result<Self, TrainError> {
        let mut guards = Self::default();
        for pair in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            let setting = |fix| TrainError::Setting {
                name: "guard",
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
                     flat-loss, vanishing-gradient, update-below-grid, exploding-gradient, reward-ended, reward-late, \
                     reward-unreadable and reward-not-finite",
                )
            })?;
            let policy = Policy::ALL.into_iter().find(|p| p.name() == policy.trim());
            let policy =
                policy.ok_or_else(|| setting("the policies are go-on, skip, shrink and stop"))?;
            if guards.0.contains_key(&event) {
                return Err(setting(
                    "this event is answered already; give one policy an event",
                ));
            }
            guards.set(event, policy)?;
        }
        Ok(guards)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_below_the_grid_is_an_event_of_its_own() {
        let monitor = Monitor::default();
        let judge = |guards: &Guards, slope, arriving| {
            let ruling = guards.judge(&monitor, 0.7, slope, 1e-3, arriving);
            (ruling.event, ruling.verdict)
        };
        let go_on = Guards::default();
        let applied = Verdict::Apply(1.0);
        let below = Some(Event::UpdateBelowGrid);
        assert_eq!(judge(&go_on, 1.0, 0.6), (None, applied));
        assert_eq!(judge(&go_on, 1.0, 0.4), (below, applied));
        let vanishing = Some(Event::VanishingGradient);
        assert_eq!(judge(&go_on, 1e-6, 0.4), (vanishing, applied));
        // the guard is not ignored because two events coincide
        let skips: Guards = "update-below-grid=skip".parse().expect("a guard");
        let (event, verdict) = judge(&skips, 1e-6, 0.4);
        assert_eq!(event, below);
        assert!(matches!(verdict, Verdict::Skip(_)), "{verdict:?}");
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
            ("flat-loss=stop,flat-loss=skip", "answered already"),
        ] {
            let error = wrong.parse::<Guards>().expect_err(wrong).to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
