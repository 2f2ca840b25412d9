//! The ranks of a run over MPI.
//!
//! [`World::begin`] joins the processes that a launcher such as `mpirun` has started, if it has started several. Without the
//! feature `mpi` there is no way to: then it says so, instead of leaving copies of one program that do not know of one
//! another.
//!
//! ```
//! use zograd_mpi::Launched;
//!
//! let variables = [("OMPI_COMM_WORLD_SIZE", "4"), ("OMPI_COMM_WORLD_LOCAL_RANK", "1")];
//! let variable = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_string());
//! let launched = Launched::by(variable).expect("four processes");
//! assert_eq!((launched.ranks, launched.local_rank), (4, Some(1)));
//! ```

#![cfg_attr(
    not(test),
    warn(clippy::disallowed_methods, clippy::print_stderr, clippy::print_stdout)
)]

#[cfg(feature = "mpi")]
mod gather;
mod world;

pub use world::{MpiError, World};
pub use zograd_ranks::Launched;
