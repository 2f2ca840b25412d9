use crate::{Curvature, Momentum};

/// What a step has learnt, for the weights to keep: it shapes the noise of the steps after it.
#[derive(Clone, Debug, PartialEq)]
pub enum Learnt {
    /// Of the curvature.
    Curvature(Curvature),
    /// Where the loss falls.
    Momentum(Momentum),
}

impl Learnt {
    /// Whether every number of it is finite.
    pub fn is_finite(&self) -> bool {
        match self {
            Self::Curvature(curvature) => curvature.is_finite(),
            Self::Momentum(momentum) => momentum.is_finite(),
        }
    }
}

impl From<Curvature> for Learnt {
    fn from(curvature: Curvature) -> Self {
        Self::Curvature(curvature)
    }
}

impl From<Momentum> for Learnt {
    fn from(momentum: Momentum) -> Self {
        Self::Momentum(momentum)
    }
}
