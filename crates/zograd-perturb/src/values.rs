use std::fmt;

/// The numbers of one tensor, made when they are needed, a piece at a time.
///
/// Several threads ask, for pieces in any order. What they get must not depend on that, to the bit.
pub trait Values: fmt::Debug + Send + Sync {
    /// Writes the elements from `start` on, in row-major order, into `out`. There are as many.
    fn fill(&self, start: usize, out: &mut [f32]);
}
