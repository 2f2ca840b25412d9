//! What the command takes from its environment: variables, limits, a terminal or none.

use crate::support::{run, scratch, zograd};
use std::process::{Output, Stdio};

/// An evaluation of two examples with these variables.
fn eval(variables: &[(&str, &str)]) -> Output {
    let dir = scratch();
    let mut command = zograd(dir.path(), &["eval", "--test-examples", "2"]);
    command
        .env_remove("NO_COLOR")
        .envs(variables.iter().copied());
    command.output().expect("the binary starts")
}

#[test]
fn variables_that_say_nothing_are_refused_by_name() {
    for (variable, value) in [
        ("ZOGRAD_LOG", "nosuch"),
        ("ZOGRAD_LOG", "zograd_models=loud"),
        ("RAYON_NUM_THREADS", "0"),
        ("RAYON_NUM_THREADS", "many"),
        ("RAYON_NUM_THREADS", "1000000"),
    ] {
        let output = eval(&[(variable, value)]);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{error}");
        let start = format!("error: {variable}={value}: use ");
        assert!(
            error.starts_with(&start) && error.lines().count() == 1,
            "{error}"
        );
    }
}

#[test]
fn colours_are_not_written_into_pipes() {
    for (variables, coloured) in [
        (&[("ZOGRAD_LOG", "info")][..], false),
        (&[("ZOGRAD_LOG", "info"), ("CLICOLOR_FORCE", "1")], true),
        (
            &[
                ("ZOGRAD_LOG", "info"),
                ("CLICOLOR_FORCE", "1"),
                ("NO_COLOR", "1"),
            ],
            false,
        ),
    ] {
        let output = eval(variables);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && told.contains("INFO"), "{told}");
        assert_eq!(told.contains('\u{1b}'), coloured, "{told:?}");
    }
}

/// Where the system gives no threads, there is a line and no panic. Each wants 2 MiB of addresses for its stack.
#[cfg(target_os = "linux")]
#[test]
fn threads_that_cannot_be_started_end_with_a_line() {
    let dir = scratch();
    for args in [
        &["train", "--threads", "1024"][..],
        &["eval", "--threads", "1024"],
        &["generate", "--prompt", "a", "--threads", "1024"],
    ] {
        let limited = zograd(dir.path(), args);
        let mut shell = std::process::Command::new("sh");
        let script = "ulimit -v 1200000; exec \"$0\" \"$@\"";
        shell.current_dir(dir.path()).args(["-c", script]);
        shell.arg(limited.get_program()).args(limited.get_args());
        let output = shell.output().expect("a shell");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.starts_with("error: --threads 1024: "), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

/// Matrices are packed into buffers as large as the processor's last cache: where they have no room there is a line, too.
#[cfg(target_os = "linux")]
#[test]
fn too_few_addresses_end_with_a_line() {
    let dir = scratch();
    let limited = zograd(
        dir.path(),
        &["eval", "--threads", "1", "--test-examples", "2"],
    );
    let mut shell = std::process::Command::new("sh");
    let script = "ulimit -v 600000; exec \"$0\" \"$@\"";
    shell.current_dir(dir.path()).args(["-c", script]);
    shell.arg(limited.get_program()).args(limited.get_args());
    let output = shell.output().expect("a shell");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    // a small cache leaves room
    if !output.status.success() {
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.starts_with("error: --threads 1: "), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

/// As many threads as the machine has processors, whatever else of the libraries' variables is set.
#[cfg(target_os = "linux")]
#[test]
fn other_variables_start_no_threads() {
    let dir = scratch();
    let mut command = zograd(dir.path(), &["eval", "--test-examples", "20"]);
    command
        .env("RAYON_RS_NUM_CPUS", "500")
        .env_remove("RAYON_NUM_THREADS");
    let mut child = command.stdout(Stdio::null()).spawn().expect("it starts");
    let mut most = 0;
    while child.try_wait().expect("a child").is_none() {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()));
        let status = status.unwrap_or_default();
        let threads = status
            .lines()
            .find_map(|line| line.strip_prefix("Threads:"));
        most = threads
            .and_then(|n| n.trim().parse().ok())
            .unwrap_or(0)
            .max(most);
    }
    let processors = std::thread::available_parallelism()
        .expect("a number")
        .get();
    // some more that do not compute
    assert!((1..processors + 50).contains(&most), "{most} threads");
}

#[test]
fn shells_complete_flags() {
    let dir = scratch();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = run(dir.path(), &["completions", shell]).stdout;
        let script = String::from_utf8(script).expect("UTF-8");
        for part in ["zograd", "dev-examples", "completions"] {
            assert!(script.contains(part), "{shell}: no {part}");
        }
    }
}

/// Copies of a program that knows no MPI would each make the same run, and write into one folder.
#[cfg(not(feature = "mpi"))]
#[test]
fn several_processes_without_mpi_are_refused_in_one_line() {
    for (size, rank) in [
        ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),
        ("PMI_SIZE", "PMI_RANK"),
    ] {
        for number in ["0", "3"] {
            let output = eval(&[(size, "4"), (rank, number)]);
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(2), "{error}");
            let said = match number {
                "0" => {
                    error.starts_with("error: 4 processes were started")
                        && error.lines().count() == 1
                }
                _ => error.is_empty(),
            };
            assert!(said, "{error}");
        }
        let output = eval(&[(size, "1"), (rank, "0")]);
        assert!(output.status.success());
    }
}
