//! Ranks that are threads of one process: for tests.

use crate::{Communicator, RankError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// A rank that is a thread. When it is dropped, the others find out.
#[derive(Debug)]
pub struct Threads {
    rank: usize,
    size: usize,
    table: Arc<Table>,
}

/// So many ranks, each for a thread of its own.
pub fn threads(size: usize) -> Vec<Threads> {
    let table = Arc::new(Table::default());
    let rank = |rank| Threads {
        rank,
        size,
        table: table.clone(),
    };
    (0..size).map(rank).collect()
}

/// Where they meet.
#[derive(Debug, Default)]
struct Table {
    round: Mutex<Round>,
    changed: Condvar,
}

/// One exchange.
#[derive(Debug, Default)]
struct Round {
    number: u64,
    given: Vec<(usize, Vec<u8>)>,
    /// All that was given in the round before.
    before: Vec<Vec<u8>>,
    gone: Option<usize>,
}

impl Table {
    fn round(&self) -> MutexGuard<'_, Round> {
        self.round.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Communicator for Threads {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn gather(&self, mine: &[u8]) -> Result<Vec<Vec<u8>>, RankError> {
        let mut round = self.table.round();
        let number = round.number;
        round.given.push((self.rank, mine.to_vec()));
        if round.given.len() == self.size {
            round.given.sort();
            let given = std::mem::take(&mut round.given);
            round.before = given.into_iter().map(|(_, bytes)| bytes).collect();
            round.number += 1;
            self.table.changed.notify_all();
        }
        while round.number == number {
            if let Some(rank) = round.gone {
                return Err(RankError::Gone { rank });
            }
            let waited = self.table.changed.wait(round);
            round = waited.unwrap_or_else(PoisonError::into_inner);
        }
        // the next round cannot end before this rank takes part in it
        Ok(round.before.clone())
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        let mut round = self.table.round();
        if round.gone.is_none() {
            round.gone = Some(self.rank);
        }
        self.table.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_gets_everything_in_order() {
        let rounds = 200u8;
        std::thread::scope(|scope| {
            for rank in threads(4) {
                scope.spawn(move || {
                    for round in 0..rounds {
                        let mine = vec![round; rank.rank()];
                        let all = rank.gather(&mine).expect("all are there");
                        let expected: Vec<Vec<u8>> = (0..4).map(|r| vec![round; r]).collect();
                        assert_eq!(all, expected);
                    }
                });
            }
        });
    }

    #[test]
    fn one_that_is_gone_is_named() {
        let mut ranks = threads(3);
        drop(ranks.remove(1));
        std::thread::scope(|scope| {
            for rank in ranks {
                scope.spawn(move || {
                    assert_eq!(rank.gather(b"x"), Err(RankError::Gone { rank: 1 }));
                });
            }
        });
    }
}
