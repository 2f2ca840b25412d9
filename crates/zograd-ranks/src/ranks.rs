use crate::{Alone, Communicator, RankError};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The first byte of what a rank gives: all is well, it is asked to stop, it failed and says why.
const WELL: u8 = 0;
const STOPS: u8 = 1;
const FAILED: u8 = 2;

/// The ranks of a run, as one of them sees them.
///
/// With what is gathered travels whether a rank was asked to stop, or failed: all ranks learn of it from the same gather,
/// so that they end together, whoever got the signal. They must make their gathers in the same order.
#[derive(Clone)]
pub struct Ranks {
    communicator: Arc<dyn Communicator>,
    /// This rank was asked to stop.
    pub(crate) asked: Arc<AtomicBool>,
    /// All ranks know that one was.
    agreed: Arc<AtomicBool>,
    /// There is nobody to gather with any more.
    over: Arc<AtomicBool>,
    waited: Arc<Mutex<Duration>>,
}

impl Default for Ranks {
    fn default() -> Self {
        Self::alone()
    }
}

impl Ranks {
    /// This process alone.
    pub fn alone() -> Self {
        Self::new(Alone)
    }

    /// Those of a communicator.
    pub fn new(communicator: impl Communicator + 'static) -> Self {
        Self {
            communicator: Arc::new(communicator),
            asked: Arc::default(),
            agreed: Arc::default(),
            over: Arc::default(),
            waited: Arc::default(),
        }
    }

    /// This rank is asked to stop by this flag.
    #[must_use]
    pub fn stopped_by(self, flag: Arc<AtomicBool>) -> Self {
        Self {
            asked: flag,
            ..self
        }
    }

    /// The number of this rank, from 0.
    pub fn rank(&self) -> usize {
        self.communicator.rank()
    }

    /// How many there are.
    pub fn size(&self) -> usize {
        self.communicator.size()
    }

    /// The machine that this rank is on, for people.
    pub fn host(&self) -> String {
        self.communicator.host()
    }

    /// Whether there is no other.
    pub fn is_alone(&self) -> bool {
        self.size() <= 1
    }

    /// Whether this is the rank that writes and speaks: the first.
    pub fn leads(&self) -> bool {
        self.rank() == 0
    }

    /// Raised where this rank was asked to stop. Others may not know yet.
    pub fn asked(&self) -> &AtomicBool {
        &self.asked
    }

    /// Raised where all ranks know that one was asked to stop, on every rank by the same gather: what they decide by it
    /// they decide alike. Of a process alone it is the flag that asks.
    pub fn agreed(&self) -> &AtomicBool {
        match self.is_alone() {
            true => &self.asked,
            false => &self.agreed,
        }
    }

    /// What every rank gives, in the order of the ranks.
    ///
    /// # Errors
    /// A rank failed or is gone: from then on there is nothing to be gathered.
    pub fn gather(&self, mine: &[u8]) -> Result<Vec<Vec<u8>>, RankError> {
        let status = match self.asked.load(Ordering::Relaxed) {
            true => STOPS,
            false => WELL,
        };
        self.exchange(status, mine)
    }

    /// [`Ranks::gather`] of something that may have come to nothing on this rank: then all ranks fail with this, whatever
    /// they give themselves.
    ///
    /// # Errors
    /// As [`Ranks::gather`]; what this rank failed with, if it did.
    pub fn gather_or_fail(&self, mine: Result<&[u8], &str>) -> Result<Vec<Vec<u8>>, RankError> {
        match mine {
            Ok(mine) => self.gather(mine),
            Err(why) => self.exchange(FAILED, why.as_bytes()),
        }
    }

    /// Lets the others know, at their next gather, that this rank failed. Does nothing where that is known.
    pub fn fail(&self, why: &str) {
        if !self.over.load(Ordering::Relaxed) {
            // they fail by what they read; there is nothing to be done for one that is gone
            let _ = self.exchange(FAILED, why.as_bytes());
        }
    }

    /// There is nothing to be gathered any more: all ranks know how it ended.
    pub fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// How long this rank has waited for others so far.
    pub fn waited(&self) -> Duration {
        *self.waited.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn exchange(&self, status: u8, mine: &[u8]) -> Result<Vec<Vec<u8>>, RankError> {
        let start = Instant::now();
        let given = [&[status], mine].concat();
        let gathered = self.communicator.gather(&given);
        *self.waited.lock().unwrap_or_else(PoisonError::into_inner) += start.elapsed();
        let read = gathered.and_then(|all| self.read(all));
        if read.is_err() {
            self.over.store(true, Ordering::Relaxed);
        }
        read
    }

    /// What the ranks gave, without their first bytes.
    fn read(&self, all: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, RankError> {
        let mut stops = false;
        for (rank, given) in all.iter().enumerate() {
            match given.split_first() {
                Some((&FAILED, why)) => {
                    let why = String::from_utf8_lossy(why).into_owned();
                    return Err(RankError::Failed { rank, why });
                }
                Some((&STOPS, _)) => stops = true,
                Some((&WELL, _)) => {}
                _ => {
                    let what = "a status";
                    return Err(RankError::Unreadable { rank, what });
                }
            }
        }
        if stops {
            self.agreed.store(true, Ordering::Relaxed);
        }
        let rest = |mut given: Vec<u8>| given.split_off(1);
        Ok(all.into_iter().map(rest).collect())
    }
}

impl std::fmt::Debug for Ranks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "rank {} of {}", self.rank(), self.size())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::threads;

    /// Runs `each` on so many threads and returns what came of them.
    fn on<T: Send>(size: usize, each: impl Fn(Ranks) -> T + Sync) -> Vec<T> {
        let each = &each;
        std::thread::scope(|scope| {
            let ranks = threads(size).into_iter().map(Ranks::new);
            let running: Vec<_> = ranks.map(|r| scope.spawn(move || each(r))).collect();
            let ends = running.into_iter().map(|thread| thread.join());
            ends.map(|end| end.expect("no panic")).collect()
        })
    }

    #[test]
    fn all_learn_of_a_stop_from_the_same_gather() {
        let rounds = on(3, |ranks| {
            let mut round = 0;
            while !ranks.agreed().load(Ordering::Relaxed) {
                if ranks.rank() == 1 && round == 5 {
                    ranks.asked().store(true, Ordering::Relaxed);
                }
                ranks.gather(&[]).expect("all are there");
                round += 1;
            }
            round
        });
        assert_eq!(rounds, [6, 6, 6]);
    }

    #[test]
    fn one_that_fails_says_why_to_all() {
        let failed = |rank, why: &str| RankError::Failed {
            rank,
            why: why.into(),
        };
        let ends = on(3, |ranks| {
            ranks.gather(b"fine").expect("all are there");
            if ranks.leads() {
                ranks.fail("no room on the disk");
                ranks.fail("said twice");
                return None;
            }
            ranks.gather(b"fine").err()
        });
        let told = Some(failed(0, "no room on the disk"));
        assert_eq!(ends, [None, told.clone(), told]);
        let ends = on(2, |ranks| {
            let mine = match ranks.rank() {
                1 => Err("not a number"),
                _ => Ok(&b"1"[..]),
            };
            ranks.gather_or_fail(mine).err()
        });
        let told = Some(failed(1, "not a number"));
        assert_eq!(ends, [told.clone(), told]);
    }

    #[test]
    fn a_process_alone_agrees_with_itself() {
        let flag = Arc::new(AtomicBool::new(false));
        let ranks = Ranks::alone().stopped_by(flag.clone());
        flag.store(true, Ordering::Relaxed);
        assert!(ranks.agreed().load(Ordering::Relaxed));
        assert_eq!(ranks.gather(b"x"), Ok(vec![b"x".to_vec()]));
    }
}
