use thiserror::Error;
use zograd_ranks::{Launched, Ranks};

/// Why the processes that were started do not find one another.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MpiError {
    /// This program does not know MPI.
    #[error(
        "{ranks} processes were started, and this zograd was built without MPI: each would make the same run; build with \
         --features zograd-cli/mpi, or start one process"
    )]
    NotBuilt {
        /// How many were started.
        ranks: usize,
    },
    /// The library cannot be used by programs with threads.
    #[error(
        "this MPI library cannot be used by programs with threads (MPI_THREAD_SERIALIZED); use another, such as Open MPI"
    )]
    NoThreads,
    /// MPI knows another number of processes than the launcher has started.
    #[error(
        "{launched} processes were started, and MPI knows {found}: use the launcher of the MPI that this zograd was built \
         with"
    )]
    Foreign {
        /// How many were started.
        launched: usize,
        /// How many there are by MPI.
        found: usize,
    },
}

/// The processes that were started together. MPI ends when it is dropped, on all of them together.
pub struct World {
    launched: Launched,
    #[cfg(feature = "mpi")]
    universe: Option<mpi::environment::Universe>,
}

impl World {
    /// Joins the others; `None` for a process that was started alone.
    ///
    /// # Errors
    /// They cannot be joined.
    pub fn begin() -> Result<Option<Self>, MpiError> {
        match Launched::here() {
            Some(launched) => Self::join(launched).map(Some),
            None => Ok(None),
        }
    }

    /// What the launcher says.
    pub fn launched(&self) -> Launched {
        self.launched
    }

    #[cfg(not(feature = "mpi"))]
    fn join(launched: Launched) -> Result<Self, MpiError> {
        let ranks = launched.ranks;
        Err(MpiError::NotBuilt { ranks })
    }

    /// This process as one of them.
    #[cfg(not(feature = "mpi"))]
    pub fn ranks(&self) -> Ranks {
        Ranks::alone()
    }

    #[cfg(feature = "mpi")]
    fn join(launched: Launched) -> Result<Self, MpiError> {
        use mpi::environment::Threading;
        use mpi::traits::Communicator;

        let begun = mpi::initialize_with_threading(Threading::Serialized);
        let Some((universe, threading)) = begun else {
            return Err(MpiError::NoThreads);
        };
        let found = universe.world().size() as usize;
        let world = Self {
            launched,
            universe: Some(universe),
        };
        if !matches!(threading, Threading::Serialized | Threading::Multiple) {
            return Err(MpiError::NoThreads);
        }
        if found != launched.ranks {
            let launched = launched.ranks;
            return Err(MpiError::Foreign { launched, found });
        }
        Ok(world)
    }

    /// This process as one of them. To be dropped before the world is.
    #[cfg(feature = "mpi")]
    pub fn ranks(&self) -> Ranks {
        Ranks::new(crate::gather::Mpi::world())
    }
}

#[cfg(feature = "mpi")]
impl Drop for World {
    fn drop(&mut self) {
        // the end of MPI waits for all: one that panics leaves without, and the launcher ends the others
        if std::thread::panicking() {
            std::mem::forget(self.universe.take());
        }
    }
}
