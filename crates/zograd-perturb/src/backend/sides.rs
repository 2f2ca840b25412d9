/// A probe in one direction, or in it and in the opposite one: noise that is made once serves both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sides {
    /// `theta + eps * d`.
    One,
    /// `theta + eps * d`, and then `theta - eps * d`.
    Both,
}

impl Sides {
    /// How many points that are.
    pub fn count(self) -> usize {
        match self {
            Self::One => 1,
            Self::Both => 2,
        }
    }
}
