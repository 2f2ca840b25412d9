//! How a continuation is chosen.

use zograd_direction::Seed;

use crate::error::ModelError;

/// Beams beyond this are a mistake: each is a sequence of its own.
const MAX_BEAMS: usize = 1024;

/// How tokens are chosen, and when to stop.
#[derive(Debug, Clone, PartialEq)]
pub struct Generation {
    /// The largest number of new tokens.
    pub max_new_tokens: usize,
    /// A token that ends a continuation, and is its last.
    pub stop: Vec<u32>,
    /// How the next token is chosen.
    pub decoding: Decoding,
}

/// How the next token is chosen.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Decoding {
    /// The most probable one; of equal ones that with the smallest id.
    Greedy,
    /// A random one.
    Sampling(Sampling),
    /// The continuation with the highest mean log-probability among those that this many beams find:
    /// at each step the most probable continuations so far are kept, by the sum of their
    /// log-probabilities.
    Beams(usize),
}

/// A random choice in proportion to the probabilities, after these changes to them, in this order.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    /// Divides the logits: below 1 the probable becomes more probable. Above 0.
    pub temperature: f64,
    /// Only so many of the most probable tokens. At least 1.
    pub top_k: Option<usize>,
    /// Only the most probable tokens that together have this probability: the fewest that reach it.
    /// Above 0 and at most 1.
    pub top_p: Option<f64>,
    /// The choice is a function of this, the stream of the prompt and the number of the token.
    pub seed: Seed,
    /// The stream of each prompt, where it is not its place among the prompts.
    pub streams: Vec<u64>,
}

impl Sampling {
    /// From the probabilities as they are, by this seed.
    pub fn new(seed: Seed) -> Self {
        Self {
            temperature: 1.0,
            top_k: None,
            top_p: None,
            seed,
            streams: Vec::new(),
        }
    }

    /// The stream of the prompt at this place.
    pub(super) fn stream(&self, prompt: usize) -> Seed {
        let stream = self.streams.get(prompt).copied();
        self.seed.child(stream.unwrap_or(prompt as u64))
    }
}

impl Generation {
    /// Greedy, without stop tokens.
    pub fn greedy(max_new_tokens: usize) -> Self {
        Self {
            max_new_tokens,
            stop: Vec::new(),
            decoding: Decoding::Greedy,
        }
    }

    /// Whether every setting is in its range.
    ///
    /// # Errors
    /// [`ModelError::Setting`] for the first that is not.
    pub fn check(&self) -> Result<(), ModelError> {
        let require = |ok: bool, name, value: &dyn ToString, fix| match ok {
            true => Ok(()),
            false => Err(ModelError::Setting {
                name,
                value: value.to_string(),
                fix,
            }),
        };
        match &self.decoding {
            Decoding::Greedy => Ok(()),
            Decoding::Beams(beams) => require(
                (1..=MAX_BEAMS).contains(beams),
                "beams",
                beams,
                "use 1 to 1024",
            ),
            Decoding::Sampling(sampling) => {
                let temperature = sampling.temperature;
                require(
                    temperature.is_finite() && temperature > 0.0,
                    "temperature",
                    &temperature,
                    "use a number above 0, or decode greedily",
                )?;
                let top_k = sampling.top_k.unwrap_or(1);
                require(top_k > 0, "top-k", &top_k, "use at least 1")?;
                let top_p = sampling.top_p.unwrap_or(1.0);
                let fix = "use a probability above 0 and at most 1";
                require(top_p > 0.0 && top_p <= 1.0, "top-p", &top_p, fix)
            }
        }
    }
}
