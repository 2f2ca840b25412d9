use crate::Seed;
use serde::{Deserialize, Serialize};
use std::ops::{Add, AddAssign, Mul, Neg, Sub};

/// A perturbation of all parameters, `sum_k c_k z(seed_k)`, as its (seed, coefficient) pairs.
///
/// Pairs are sorted by seed, no seed occurs twice and no coefficient is zero, so two directions
/// that name the same combination are equal. Coefficients are `f64`: the algebra of a step (hops,
/// fused restore and update) is done here, and rounded once when it reaches the weights.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Vec<(Seed, f64)>", into = "Vec<(Seed, f64)>")]
pub struct Direction {
    terms: Vec<(Seed, f64)>,
}

impl Direction {
    /// The direction that moves nothing.
    pub const fn zero() -> Self {
        Self { terms: Vec::new() }
    }

    /// `z(seed)` itself, with coefficient 1.
    pub fn unit(seed: Seed) -> Self {
        Self {
            terms: vec![(seed, 1.0)],
        }
    }

    /// The pairs, sorted by seed, without zero coefficients.
    pub fn terms(&self) -> &[(Seed, f64)] {
        &self.terms
    }

    /// The coefficient of `seed`, 0 if it does not occur.
    pub fn coefficient(&self, seed: Seed) -> f64 {
        match self.terms.binary_search_by_key(&seed, |term| term.0) {
            Ok(at) => self.terms[at].1,
            Err(_) => 0.0,
        }
    }

    /// Whether this direction moves nothing.
    pub fn is_zero(&self) -> bool {
        self.terms.is_empty()
    }

    /// Number of noise streams that a pass over the weights has to generate for this direction.
    pub fn len(&self) -> usize {
        self.terms.len()
    }

    /// Whether there are no terms; the same as [`Self::is_zero`].
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether every coefficient is finite. A direction that is not must not reach the weights.
    pub fn is_finite(&self) -> bool {
        self.terms.iter().all(|(_, c)| c.is_finite())
    }

    /// `sum_k c_k^2`: the variance of one coordinate of this direction when each `z` has variance
    /// 1, so `sqrt(d * norm_squared)` estimates its length over `d` parameters.
    pub fn norm_squared(&self) -> f64 {
        self.terms.iter().map(|(_, c)| c * c).sum()
    }

    /// Adds `scale * other` to this direction.
    pub fn add_scaled(&mut self, other: &Direction, scale: f64) {
        let mut merged = Vec::with_capacity(self.terms.len() + other.terms.len());
        let (mut left, mut right) = (
            self.terms.iter().copied().peekable(),
            other.terms.iter().map(|&(s, c)| (s, c * scale)).peekable(),
        );
        loop {
            let next = match (left.peek(), right.peek()) {
                (Some(a), Some(b)) if a.0 == b.0 => {
                    let sum = (a.0, a.1 + b.1);
                    left.next();
                    right.next();
                    Some(sum)
                }
                (Some(a), Some(b)) if b.0 < a.0 => right.next(),
                (Some(_), _) => left.next(),
                (None, _) => right.next(),
            };
            match next {
                Some((_, 0.0)) => {}
                Some(term) => merged.push(term),
                None => break,
            }
        }
        self.terms = merged;
    }
}

impl From<Vec<(Seed, f64)>> for Direction {
    /// Sorts the pairs, adds up those of equal seeds and drops zeros.
    fn from(mut terms: Vec<(Seed, f64)>) -> Self {
        terms.sort_by_key(|term| term.0);
        let mut merged: Vec<(Seed, f64)> = Vec::with_capacity(terms.len());
        for (seed, c) in terms {
            match merged.last_mut() {
                Some(last) if last.0 == seed => last.1 += c,
                _ => merged.push((seed, c)),
            }
        }
        merged.retain(|&(_, c)| c != 0.0);
        Self { terms: merged }
    }
}

impl From<Direction> for Vec<(Seed, f64)> {
    fn from(direction: Direction) -> Self {
        direction.terms
    }
}

impl FromIterator<(Seed, f64)> for Direction {
    fn from_iter<I: IntoIterator<Item = (Seed, f64)>>(iter: I) -> Self {
        iter.into_iter().collect::<Vec<_>>().into()
    }
}

impl Neg for &Direction {
    type Output = Direction;
    fn neg(self) -> Direction {
        self * -1.0
    }
}

impl Neg for Direction {
    type Output = Direction;
    fn neg(self) -> Direction {
        &self * -1.0
    }
}

impl Mul<f64> for &Direction {
    type Output = Direction;
    fn mul(self, scale: f64) -> Direction {
        let mut product = Direction::zero();
        product.add_scaled(self, scale);
        product
    }
}

impl Mul<f64> for Direction {
    type Output = Direction;
    fn mul(self, scale: f64) -> Direction {
        &self * scale
    }
}

impl AddAssign<&Direction> for Direction {
    fn add_assign(&mut self, other: &Direction) {
        self.add_scaled(other, 1.0);
    }
}

impl Add for Direction {
    type Output = Direction;
    fn add(mut self, other: Direction) -> Direction {
        self += &other;
        self
    }
}

impl Sub<&Direction> for Direction {
    type Output = Direction;
    fn sub(mut self, other: &Direction) -> Direction {
        self.add_scaled(other, -1.0);
        self
    }
}

impl Sub for Direction {
    type Output = Direction;
    fn sub(self, other: Direction) -> Direction {
        self - &other
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_direction() -> impl Strategy<Value = Direction> {
        // small integers: sums and differences are exact, so laws hold with equality
        prop::collection::vec((0u64..6, -4i32..5), 0..8).prop_map(|terms| {
            terms
                .into_iter()
                .map(|(s, c)| (Seed::new(s), f64::from(c)))
                .collect()
        })
    }

    fn is_canonical(d: &Direction) -> bool {
        d.terms().windows(2).all(|w| w[0].0 < w[1].0) && d.terms().iter().all(|t| t.1 != 0.0)
    }

    proptest! {
        #[test]
        fn is_a_vector_space(a in any_direction(), b in any_direction(), c in any_direction()) {
            prop_assert!(is_canonical(&(a.clone() + b.clone())));
            prop_assert_eq!(a.clone() + b.clone(), b.clone() + a.clone());
            prop_assert_eq!((a.clone() + b.clone()) + c.clone(), a.clone() + (b.clone() + c.clone()));
            prop_assert!((a.clone() - a.clone()).is_zero());
            prop_assert_eq!((a.clone() + b.clone()) * 2.0, a.clone() * 2.0 + b.clone() * 2.0);
            prop_assert_eq!(-(-a.clone()), a.clone());
            for s in (0..6).map(Seed::new) {
                let sum = (a.clone() + b.clone()).coefficient(s);
                prop_assert_eq!(sum, a.coefficient(s) + b.coefficient(s));
            }
        }

        /// Walking from one direction to another by differences always arrives.
        #[test]
        fn hops_compose(path in prop::collection::vec(any_direction(), 1..6)) {
            let mut at = Direction::zero();
            for stop in &path {
                let hop = stop.clone() - &at;
                at += &hop;
                prop_assert_eq!(&at, stop);
            }
        }

        #[test]
        fn serde_keeps_the_bits(a in any_direction(), scale in -1e3f64..1e3) {
            let a = a * scale;
            let text = serde_json::to_string(&a).expect("pairs");
            prop_assert_eq!(serde_json::from_str::<Direction>(&text).expect("pairs"), a);
        }
    }

    #[test]
    fn reading_unsorted_pairs_makes_them_canonical() {
        let d: Direction =
            serde_json::from_str("[[9,1.0],[2,3.0],[9,-1.0],[4,0.0]]").expect("pairs");
        assert_eq!(d.terms(), &[(Seed::new(2), 3.0)]);
    }

    #[test]
    fn a_non_finite_coefficient_is_noticed() {
        assert!(!(Direction::unit(Seed::new(1)) * f64::NAN).is_finite());
        assert!(!(Direction::unit(Seed::new(1)) * f64::INFINITY).is_finite());
    }
}
