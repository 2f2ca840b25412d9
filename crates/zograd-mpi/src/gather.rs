//! The exchange itself.

use mpi::Count;
use mpi::datatype::PartitionMut;
use mpi::request::{LocalScope, Request, scope};
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator as _, CommunicatorCollectives};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use zograd_ranks::{Communicator, RankError};

/// Bytes that say how many a rank gives.
const LENGTH: usize = 8;

/// Bytes of the first exchange for each rank: what comes of a step has room there, mostly. It is the same for all exchanges,
/// so that a rank which fails can say so whatever the others exchange.
const ROOM: usize = 512;

/// For so long a rank that waits looks again at once: an exchange among ranks that are all there takes less.
const SPIN: Duration = Duration::from_micros(50);

/// After that it rests in between, at most for so long, which is little beside a forward pass: the processor is free for
/// those that still compute. An exchange has several rounds, each of which may wait for that.
const REST: Duration = Duration::from_micros(100);

/// The processes that the launcher has started.
pub(crate) struct Mpi {
    rank: usize,
    size: usize,
    host: String,
    /// MPI is asked by one thread at a time.
    one_at_a_time: Mutex<()>,
}

impl Mpi {
    /// All of them. MPI has begun.
    pub(crate) fn world() -> Self {
        let world = SimpleCommunicator::world();
        Self {
            rank: world.rank() as usize,
            size: world.size() as usize,
            host: mpi::environment::processor_name().unwrap_or_default(),
            one_at_a_time: Mutex::new(()),
        }
    }
}

impl Communicator for Mpi {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn host(&self) -> String {
        self.host.clone()
    }

    fn gather(&self, mine: &[u8]) -> Result<Vec<Vec<u8>>, RankError> {
        let alone = self.one_at_a_time.lock();
        let _alone = alone.unwrap_or_else(PoisonError::into_inner);
        let world = SimpleCommunicator::world();
        let mut sent = vec![0u8; LENGTH + ROOM];
        sent[..LENGTH].copy_from_slice(&(mine.len() as u64).to_le_bytes());
        let (first, rest) = mine.split_at(mine.len().min(ROOM));
        sent[LENGTH..LENGTH + first.len()].copy_from_slice(first);
        let mut all = vec![0u8; sent.len() * self.size];
        scope(|scope| wait(world.immediate_all_gather_into(scope, &sent[..], &mut all[..])));
        let mut given = Vec::with_capacity(self.size);
        let mut left = Vec::with_capacity(self.size);
        for block in all.chunks_exact(sent.len()) {
            let (length, bytes) = block.split_at(LENGTH);
            let mut number = [0; LENGTH];
            number.copy_from_slice(length);
            let length = usize::try_from(u64::from_le_bytes(number)).unwrap_or(usize::MAX);
            given.push(bytes[..length.min(ROOM)].to_vec());
            left.push(length.saturating_sub(ROOM));
        }
        if left.iter().any(|left| *left > 0) {
            self.gather_rest(&world, rest, &left, &mut given)?;
        }
        Ok(given)
    }
}

impl Mpi {
    /// The bytes for which there was no room.
    fn gather_rest(
        &self,
        world: &SimpleCommunicator,
        mine: &[u8],
        left: &[usize],
        given: &mut [Vec<u8>],
    ) -> Result<(), RankError> {
        let total = left
            .iter()
            .fold(0usize, |sum, left| sum.saturating_add(*left));
        let too_many = || {
            let bytes = "bytes are more than MPI carries at once";
            RankError::Transport(format!("{total} {bytes}"))
        };
        if Count::try_from(total).is_err() {
            return Err(too_many());
        }
        let mut counts = Vec::with_capacity(left.len());
        let mut places = Vec::with_capacity(left.len());
        let mut place: Count = 0;
        for left in left {
            let count = Count::try_from(*left).map_err(|_| too_many())?;
            counts.push(count);
            places.push(place);
            place += count;
        }
        let mut all = vec![0u8; total];
        let mut parts = PartitionMut::new(&mut all[..], counts, places);
        scope(|scope| wait(world.immediate_all_gather_varcount_into(scope, mine, &mut parts)));
        let mut all = &all[..];
        for (given, left) in given.iter_mut().zip(left) {
            let (bytes, rest) = all.split_at(*left);
            given.extend(bytes);
            all = rest;
        }
        Ok(())
    }
}

/// Waits for an exchange.
fn wait<'a, D: ?Sized>(mut request: Request<'a, D, &LocalScope<'a>>) {
    let start = Instant::now();
    let mut rest = Duration::from_micros(10);
    while let Err(unfinished) = request.test() {
        request = unfinished;
        if start.elapsed() < SPIN {
            std::thread::yield_now();
        } else {
            std::thread::sleep(rest);
            rest = (2 * rest).min(REST);
        }
    }
}
