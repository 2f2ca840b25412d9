use zograd_tasks::rewards::RewardFailure;

/// A loss that was found: the mean of so many terms.
///
/// Losses of parts of a batch, weighed by their terms, make up that of the whole.
///
/// ```
/// use zograd_trainer::Loss;
///
/// let loss = Loss::new(0.5).with_terms(16).with_tokens(400);
/// assert_eq!((loss.mean, loss.terms, loss.tokens), (0.5, 16, 400));
/// assert_eq!(Loss::from(0.5).terms, 1);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Loss {
    /// The mean, which is what the strategy is told.
    pub mean: f64,
    /// How many terms of equal weight it is the mean of.
    pub terms: u64,
    /// Tokens that went through the layers for it.
    pub tokens: u64,
    /// Why there is no loss, if it is for want of a reward.
    pub reward_failure: Option<RewardFailure>,
}

impl Loss {
    /// A loss of one term, for which no token went through a model.
    pub fn new(mean: f64) -> Self {
        Self {
            mean,
            terms: 1,
            tokens: 0,
            reward_failure: None,
        }
    }

    /// The mean of so many terms.
    pub fn with_terms(self, terms: u64) -> Self {
        Self { terms, ..self }
    }

    /// It took so many tokens.
    pub fn with_tokens(self, tokens: u64) -> Self {
        Self { tokens, ..self }
    }
}

impl From<f64> for Loss {
    fn from(mean: f64) -> Self {
        Self::new(mean)
    }
}
