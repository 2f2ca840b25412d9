use crate::RankError;

/// What carries some bytes from every rank to every rank.
///
/// Every rank makes the same calls in the same order. It is asked by one thread at a time.
pub trait Communicator: Send + Sync {
    /// The number of this rank, from 0.
    fn rank(&self) -> usize;

    /// How many there are.
    fn size(&self) -> usize;

    /// The machine that this rank is on, for people; empty if nobody says.
    fn host(&self) -> String {
        String::new()
    }

    /// What every rank gives, of whatever length, in the order of the ranks. Waits for all of them.
    ///
    /// # Errors
    /// A rank is gone, or nothing can be sent.
    fn gather(&self, mine: &[u8]) -> Result<Vec<Vec<u8>>, RankError>;
}

/// One process, which is all there is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

impl Communicator for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn gather(&self, mine: &[u8]) -> Result<Vec<Vec<u8>>, RankError> {
        Ok(vec![mine.to_vec()])
    }
}
