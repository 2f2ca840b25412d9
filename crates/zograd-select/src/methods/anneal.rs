use std::f64::consts::PI;

/// How ZO-AdaMU turns from fresh noise to what it has kept: three numbers that fall from 1 along half a cosine, a pure
/// function of the step.
///
/// With `u` the step, no further than `to`, and a run of `end = to / 0.8` steps,
///
/// ```text
/// a(t; speed) = 1                                         before the step `from`
///             = (1 + cos(pi min(1, x))) / 2               then, and from `to` on as at `to`
///           x = (u - from) / (end - speed (end - to) (u - from) / (to - from))
/// ```
///
/// with a speed of 1 for `alpha`, 0.1 for `first` and 1.5 for `second`. The larger the speed, the sooner the horizon of
/// the cosine draws near; what is past it stays 0.
///
/// The code published with the method shortens the horizon in every call, whoever makes it: there the two probes of a
/// step have different perturbations, the more parameters a model has the sooner it is over, and the three curves
/// shorten each other's. This is one call for each curve and step, as the speeds say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anneal {
    /// The step from which on they fall.
    pub from: u64,
    /// The step, after `from`, from which on they stay.
    pub to: u64,
}

/// The numbers of a step, each from 1 down to 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Annealed {
    /// The variance of the fresh noise; that around the history has the rest of 1.
    pub alpha: f64,
    /// The share of the fresh noise in the direction.
    pub first: f64,
    /// The share of its square in what the direction is divided by.
    pub second: f64,
}

impl Anneal {
    /// The numbers of the step after `step` others.
    pub fn at(self, step: u64) -> Annealed {
        Annealed {
            alpha: self.curve(step, 1.0),
            first: self.curve(step, 0.1),
            second: self.curve(step, 1.5),
        }
    }

    fn curve(self, step: u64, speed: f64) -> f64 {
        if step <= self.from {
            return 1.0;
        }
        let (from, to) = (self.from as f64, self.to as f64);
        let end = to / 0.8;
        let gone = (step.min(self.to) - self.from) as f64;
        let x = gone / (end - speed * (end - to) * gone / (to - from));
        // not the system's cosine, whose last bit differs between systems
        0.5 * (1.0 + libm::cos(PI * x.min(1.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PAPER: Anneal = Anneal {
        from: 1024,
        to: 16_000,
    };

    fn numbers(at: Annealed) -> [f64; 3] {
        [at.alpha, at.first, at.second]
    }

    #[test]
    fn it_has_three_phases() {
        for step in [0, 1, 1023, 1024] {
            assert_eq!(numbers(PAPER.at(step)), [1.0; 3]);
        }
        let last = PAPER.at(16_000);
        for step in [16_001, 20_000, u64::MAX] {
            assert_eq!(PAPER.at(step), last);
        }
        // (1 + cos(pi 14976 / 16000)) / 2 and (1 + cos(pi 14976 / 19600)) / 2; 14976 / 14000 is past the end
        let by_hand = [0.010_072, 0.131_157, 0.0];
        for (found, expected) in numbers(last).into_iter().zip(by_hand) {
            assert!((found - expected).abs() < 1e-5, "{found} for {expected}");
        }
    }

    /// The released code shortens its horizon in every call: asked again, or for other steps and curves in between, it
    /// answers otherwise.
    #[test]
    fn it_answers_alike_however_often_and_in_whatever_order_it_is_asked() {
        let steps = [0, 1024, 1025, 5000, 9999, 15_999, 16_000, 20_000];
        let forth = steps.map(|step| PAPER.at(step));
        for (step, first) in steps.into_iter().zip(forth).rev() {
            assert_eq!(PAPER.at(step), first);
            assert_eq!(PAPER.at(step), first);
        }
    }

    proptest! {
        #[test]
        fn it_falls_without_a_jump(from in 0u64..2000, length in 1000u64..40_000) {
            let anneal = Anneal { from, to: from + length };
            let mut last = anneal.at(0);
            for step in 1..from + length + 10 {
                let now = anneal.at(step);
                for (last, now) in numbers(last).into_iter().zip(numbers(now)) {
                    prop_assert!((0.0..=1.0).contains(&now));
                    // x rises by 1 / (0.7^2 end) at most, the end is 1.25 lengths away or more, and the cosine falls by
                    // half of pi times that
                    let fall = last - now;
                    prop_assert!(fall > -1e-15 && fall < 2.6 / length as f64, "{step}: {fall}");
                }
                last = now;
            }
        }
    }
}
