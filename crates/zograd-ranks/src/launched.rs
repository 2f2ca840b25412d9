/// Variables by which a launcher says what it has started; empty where it has none.
struct Launcher {
    size: &'static str,
    rank: &'static str,
    local_rank: &'static str,
    local_size: &'static str,
}

/// Open MPI's `mpirun`, that of MPICH and Intel, MVAPICH's, Slurm's `srun`.
const LAUNCHERS: [Launcher; 4] = [
    Launcher {
        size: "OMPI_COMM_WORLD_SIZE",
        rank: "OMPI_COMM_WORLD_RANK",
        local_rank: "OMPI_COMM_WORLD_LOCAL_RANK",
        local_size: "OMPI_COMM_WORLD_LOCAL_SIZE",
    },
    Launcher {
        size: "PMI_SIZE",
        rank: "PMI_RANK",
        local_rank: "MPI_LOCALRANKID",
        local_size: "MPI_LOCALNRANKS",
    },
    Launcher {
        size: "MV2_COMM_WORLD_SIZE",
        rank: "MV2_COMM_WORLD_RANK",
        local_rank: "MV2_COMM_WORLD_LOCAL_RANK",
        local_size: "MV2_COMM_WORLD_LOCAL_SIZE",
    },
    Launcher {
        size: SLURM_TASKS,
        rank: "SLURM_PROCID",
        local_rank: "SLURM_LOCALID",
        local_size: "",
    },
];

/// Slurm sets it for every program.
const SLURM_TASKS: &str = "SLURM_STEP_NUM_TASKS";

/// What says that `srun` has started processes for MPI, and not just some processes.
const PMIX: &str = "PMIX_RANK";

/// Processes that a launcher has started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Launched {
    /// How many.
    pub ranks: usize,
    /// The number of this one, from 0, if the launcher says.
    pub rank: Option<usize>,
    /// The number of this one on its machine, from 0, if the launcher says.
    pub local_rank: Option<usize>,
    /// How many there are on this machine, if the launcher says.
    pub local_ranks: Option<usize>,
}

impl Launched {
    /// By the variables of this process; `None` if it was started alone.
    pub fn here() -> Option<Self> {
        Self::by(|name| std::env::var(name).ok())
    }

    /// By these variables.
    pub fn by(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let number = |name: &str| variable(name)?.trim().parse::<usize>().ok();
        LAUNCHERS.iter().find_map(|launcher| {
            let ranks = number(launcher.size).filter(|ranks| *ranks > 1)?;
            let is_mpi = launcher.size != SLURM_TASKS || variable(PMIX).is_some();
            is_mpi.then(|| Self {
                ranks,
                rank: number(launcher.rank),
                local_rank: number(launcher.local_rank),
                local_ranks: number(launcher.local_size),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn launchers_are_told_from_a_process_alone() {
        let launched = |variables: &[(&str, &str)]| {
            let find = |name: &str| variables.iter().find(|(known, _)| *known == name);
            Launched::by(|name| find(name).map(|(_, value)| (*value).to_owned()))
        };
        let of = |ranks, local_rank, local_ranks| {
            Some(Launched {
                ranks,
                rank: None,
                local_rank,
                local_ranks,
            })
        };
        assert_eq!(launched(&[]), None);
        assert_eq!(launched(&[("OMPI_COMM_WORLD_SIZE", "1")]), None);
        assert_eq!(launched(&[("OMPI_COMM_WORLD_SIZE", "many")]), None);
        assert_eq!(launched(&[("PMI_SIZE", "2")]), of(2, None, None));
        let open = [
            ("OMPI_COMM_WORLD_SIZE", "8"),
            ("OMPI_COMM_WORLD_LOCAL_RANK", "3"),
            ("OMPI_COMM_WORLD_LOCAL_SIZE", "4"),
        ];
        assert_eq!(launched(&open), of(8, Some(3), Some(4)));
        // a step of several tasks that are no MPI program is what somebody may want
        let tasks = [("SLURM_STEP_NUM_TASKS", "4"), ("SLURM_LOCALID", "0")];
        assert_eq!(launched(&tasks), None);
        let pmix = [tasks[0], tasks[1], ("PMIX_RANK", "0")];
        assert_eq!(launched(&pmix), of(4, Some(0), None));
    }
}
