//! Processes that `mpirun` has started together: the first speaks for all.

use crate::output::{hush, say};
use std::process::ExitCode;
use std::time::Duration;
use zograd_mpi::{Launched, MpiError, World};
use zograd_runs::{Ranks, RunError};

/// For so long a process that cannot join the others waits for the first to say so: launchers end all processes when one
/// of them ends with an error.
const FIRST_SPEAKS: Duration = Duration::from_secs(2);

/// Joins the processes that were started with this one, if there are any.
///
/// # Errors
/// They cannot be joined; it was said why.
pub fn begin() -> Result<Option<World>, ExitCode> {
    World::begin().map_err(|error| {
        let others = Launched::here().is_some_and(|launched| launched.rank.unwrap_or(0) > 0);
        match others {
            true => std::thread::sleep(FIRST_SPEAKS),
            false => say(format_args!("error: {error}")),
        }
        match error {
            MpiError::NotBuilt { .. } | MpiError::Foreign { .. } => ExitCode::from(2),
            _ => ExitCode::from(1),
        }
    })
}

/// This process as one of them; all but the first are silent from now on.
pub fn ranks(world: Option<&World>) -> Ranks {
    let ranks = world.map_or_else(Ranks::alone, World::ranks);
    if !ranks.leads() {
        hush();
    }
    ranks
}

/// The error of a command that is for one process.
pub fn refused() -> anyhow::Error {
    RunError::input(
        "only train, eval, predict, sweep and compare share their work among ranks; start one process for this",
    )
    .into()
}

/// The threads of a process that was started with others on the same machine, unless each has processors of its own: its
/// share of those that there are.
pub fn threads() -> Option<usize> {
    let others = Launched::here()?.local_ranks?;
    let mine = std::thread::available_parallelism().ok()?.get();
    (mine >= processors()?).then(|| (mine / others.max(1)).max(1))
}

/// How many processors the machine has.
fn processors() -> Option<usize> {
    // SAFETY: it takes a number and gives one
    let count = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) };
    usize::try_from(count).ok()
}
