//! Items that ranks take one after another, each rank as soon as it is free.

use crate::{Incoming, Outgoing, RankError, Ranks};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// So often, at least, ranks at work tell one another how far they are.
const TICK: Duration = Duration::from_millis(100);

/// What became of an item on the rank that took it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It is done.
    Done,
    /// It was left, because a rank was asked to stop.
    Stopped,
    /// It failed, with these bytes for the others.
    Failed(Vec<u8>),
}

/// What became of all items: the same on every rank.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dealt {
    /// The rank that has done the item, of each item.
    pub done: Vec<Option<usize>>,
    /// Of the items that failed the first.
    pub failed: Option<Failed>,
}

/// An item that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failed {
    /// Which.
    pub item: usize,
    /// The rank that had it.
    pub rank: usize,
    /// What it gave for the others.
    pub why: Vec<u8>,
}

impl Ranks {
    /// Has so many items worked at, each by one rank: a rank that is free takes the first that nobody has. `work` is told
    /// the item, and a flag that is raised when it should come to an end: a rank was asked to stop, or an item failed. Then
    /// no more are taken. All ranks return when nobody is at work any more.
    ///
    /// ```
    /// use zograd_ranks::{Ended, Ranks};
    ///
    /// let mut squares = Vec::new();
    /// let dealt = Ranks::alone().deal(3, |item, _| {
    ///     squares.push(item * item);
    ///     Ended::Done
    /// })?;
    /// assert_eq!((squares, dealt.done), (vec![0, 1, 4], vec![Some(0); 3]));
    /// # Ok::<(), zograd_ranks::RankError>(())
    /// ```
    ///
    /// # Errors
    /// A rank failed elsewhere or is gone.
    pub fn deal(
        &self,
        items: usize,
        mut work: impl FnMut(usize, &Arc<AtomicBool>) -> Ended,
    ) -> Result<Dealt, RankError> {
        if self.is_alone() {
            let mut table = Table::new(1, items);
            while let Some(item) = table.deal().into_iter().next().flatten() {
                table.hear(0, work(item, &self.asked));
            }
            return Ok(table.dealt);
        }
        let stop = Arc::new(AtomicBool::new(false));
        let (give, taken) = channel();
        let (tell, ends) = channel();
        let told = &stop;
        std::thread::scope(move |scope| {
            let telling = scope.spawn(move || self.tell(items, &give, &ends, told));
            // the channels go with this closure, also where `work` panics: then the other thread does not wait for it
            for item in taken {
                if tell.send(work(item, told)).is_err() {
                    break;
                }
            }
            match telling.join() {
                Ok(dealt) => dealt,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// Tells the other ranks again and again what became of the item that this one has, and gives it the next.
    fn tell(
        &self,
        items: usize,
        give: &Sender<usize>,
        ends: &Receiver<Ended>,
        stop: &AtomicBool,
    ) -> Result<Dealt, RankError> {
        let mut table = Table::new(self.size(), items);
        let mut mine = None;
        let dealt = loop {
            if let Err(error) = self.hear(&mut table, mine.take()) {
                break Err(error);
            }
            if table.closed {
                stop.store(true, Ordering::Relaxed);
            }
            let next = table.deal().get(self.rank()).copied().flatten();
            if let Some(item) = next {
                // nobody takes it where the other thread panicked, which is found out below
                let _ = give.send(item);
            }
            if table.is_over() {
                return Ok(table.dealt);
            }
            mine = match ends.recv_timeout(TICK) {
                Ok(end) => Some(end),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => {
                    let rank = self.rank();
                    break Err(RankError::Gone { rank });
                }
            };
        };
        // this rank may be at work, which nobody waits for any more
        stop.store(true, Ordering::Relaxed);
        dealt
    }

    /// Exchanges what became of items.
    fn hear(&self, table: &mut Table, mine: Option<Ended>) -> Result<(), RankError> {
        let mut sent = Outgoing::new();
        match mine {
            None => sent.number(0),
            Some(Ended::Done) => sent.number(1),
            Some(Ended::Stopped) => sent.number(2),
            Some(Ended::Failed(why)) => {
                sent.number(3);
                sent.bytes(&why);
            }
        }
        for (rank, bytes) in self.gather(sent.as_bytes())?.iter().enumerate() {
            let mut from = Incoming::of(rank, bytes);
            let end = match from.number("an end")? {
                0 => continue,
                1 => Ended::Done,
                2 => Ended::Stopped,
                3 => Ended::Failed(from.bytes("why it failed")?.to_vec()),
                _ => return Err(from.unreadable("an end")),
            };
            table.hear(rank, end);
        }
        table.closed |= self.agreed().load(Ordering::Relaxed);
        Ok(())
    }
}

/// Who has which item: every rank has the same, because it follows from what all of them heard.
struct Table {
    next: usize,
    items: usize,
    /// The item of each rank.
    held: Vec<Option<usize>>,
    /// No more is given out.
    closed: bool,
    dealt: Dealt,
}

impl Table {
    fn new(ranks: usize, items: usize) -> Self {
        Self {
            next: 0,
            items,
            held: vec![None; ranks],
            closed: false,
            dealt: Dealt {
                done: vec![None; items],
                failed: None,
            },
        }
    }

    /// What became of the item of a rank.
    fn hear(&mut self, rank: usize, end: Ended) {
        let Some(item) = self.held.get_mut(rank).and_then(Option::take) else {
            return;
        };
        match end {
            Ended::Done => self.dealt.done[item] = Some(rank),
            Ended::Stopped => self.closed = true,
            Ended::Failed(why) => {
                self.closed = true;
                let is_first = |failed: &Failed| item < failed.item;
                if self.dealt.failed.as_ref().is_none_or(is_first) {
                    self.dealt.failed = Some(Failed { item, rank, why });
                }
            }
        }
    }

    /// Gives each rank that is free the next item; what each was given now.
    fn deal(&mut self) -> Vec<Option<usize>> {
        let mut given = vec![None; self.held.len()];
        for (held, given) in self.held.iter_mut().zip(&mut given) {
            if held.is_none() && !self.closed && self.next < self.items {
                *given = Some(self.next);
                *held = *given;
                self.next += 1;
            }
        }
        given
    }

    /// Whether nobody has anything any more. To be asked after items were dealt.
    fn is_over(&self) -> bool {
        self.held.iter().all(Option::is_none)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::threads;
    use std::sync::{Barrier, Mutex};

    /// What each of so many ranks says of the items that are dealt to all of them.
    fn dealt(
        ranks: usize,
        items: usize,
        work: impl Fn(&Ranks, usize, &AtomicBool) -> Ended + Sync,
    ) -> Vec<Result<Dealt, RankError>> {
        let work = &work;
        std::thread::scope(|scope| {
            let ranks = threads(ranks).into_iter().map(Ranks::new);
            let each = ranks.map(|ranks| {
                scope.spawn(move || ranks.deal(items, |item, stop| work(&ranks, item, stop)))
            });
            let each: Vec<_> = each.collect();
            each.into_iter()
                .map(|thread| thread.join().expect("no panic"))
                .collect()
        })
    }

    /// Waits for the end that others cause.
    fn until(stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_rank_that_is_free_takes_the_next() {
        // whoever has the first item keeps it until all others are done
        let others = Barrier::new(2);
        let seen = Mutex::new(Vec::new());
        let ends = dealt(3, 6, |ranks, item, _| {
            if item == 0 || item == 5 {
                others.wait();
            }
            let seen = seen.lock();
            seen.expect("no panic").push((item, ranks.rank()));
            Ended::Done
        });
        let mut seen = seen.into_inner().expect("no panic");
        seen.sort();
        let done: Vec<Option<usize>> = seen.iter().map(|(_, rank)| Some(*rank)).collect();
        let items: Vec<usize> = seen.iter().map(|(item, _)| *item).collect();
        assert_eq!(items, [0, 1, 2, 3, 4, 5], "each was worked at once");
        // the others had all that came behind it
        assert_eq!(done[0], Some(0));
        assert!(done[1..].iter().all(|rank| *rank != Some(0)), "{done:?}");
        for end in ends {
            assert_eq!(
                end,
                Ok(Dealt {
                    done: done.clone(),
                    failed: None
                })
            );
        }
    }

    #[test]
    fn what_fails_ends_the_others_and_is_known_to_all() {
        let ends = dealt(3, 9, |_, item, stop| match item {
            1 => Ended::Failed(b"full".to_vec()),
            _ => {
                until(stop);
                Ended::Stopped
            }
        });
        let failed = Failed {
            item: 1,
            rank: 1,
            why: b"full".to_vec(),
        };
        for end in ends {
            let dealt = end.expect("all are there");
            assert_eq!(dealt.failed.as_ref(), Some(&failed));
            assert_eq!(dealt.done, [None; 9]);
        }
    }

    #[test]
    fn a_rank_that_is_asked_to_stop_ends_all() {
        let ends = dealt(2, 9, |ranks, _, stop| {
            if ranks.rank() == 1 {
                ranks.asked().store(true, Ordering::Relaxed);
            }
            until(stop);
            Ended::Stopped
        });
        for end in ends {
            let dealt = end.expect("all are there");
            assert_eq!((dealt.done, dealt.failed), (vec![None; 9], None));
        }
    }

    #[test]
    fn more_ranks_than_items_and_none_at_all() {
        for items in [0, 1] {
            let ends = dealt(3, items, |_, _, _| Ended::Done);
            assert!(ends.iter().all(|end| {
                end.as_ref()
                    .is_ok_and(|dealt| dealt.done == vec![Some(0); items])
            }));
        }
    }

    /// One that panics leaves, and the others do not wait for it.
    #[test]
    fn one_that_is_gone_ends_the_others() {
        let mut ranks = threads(2).into_iter().map(Ranks::new);
        let (stays, leaves) = (ranks.next().expect("one"), ranks.next().expect("another"));
        std::thread::scope(|scope| {
            let left = scope.spawn(move || {
                let work = |_, _: &Arc<AtomicBool>| panic!("a fault");
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    drop(leaves.deal(2, work));
                }))
            });
            let end = stays.deal(2, |_, stop| {
                until(stop);
                Ended::Stopped
            });
            assert_eq!(end, Err(RankError::Gone { rank: 1 }));
            assert!(left.join().expect("caught").is_err());
        });
    }
}
