use super::{Family, Part};
use crate::{ParameterSpec, Seed};

/// Noise in every element: the family of MeZO and of all that came from it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Dense;

impl Family for Dense {
    fn part(&self, _: &ParameterSpec, _: u64, _: Seed) -> Part {
        Part::Dense
    }
}
