//! `zograd doctor`: what this machine has of what runs need.

use crate::args::DoctorArgs;
use crate::output::answer;
use anyhow::Result;
use std::process::ExitCode;
use zograd_files::Bytes;
use zograd_runs::{BackendHealth, Diagnosis, FolderHealth, Runs};

/// Looks, and says; nothing is written, and the network is not asked.
///
/// # Errors
/// Nobody to write to.
pub fn run(args: DoctorArgs) -> Result<ExitCode> {
    let found = Runs::new().doctor();
    if args.json {
        answer(serde_json::to_string(&found)?)?;
    } else {
        for (name, value) in lines(&found) {
            answer(format_args!("{name:<18} {value}"))?;
        }
    }
    Ok(match found.is_well() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn lines(found: &Diagnosis) -> Vec<(String, String)> {
    // which backend and weights a run has is the run's to say
    let of_a_run = ["backend", "weights"];
    let machine = found.machine.in_words().into_iter();
    let mut lines: Vec<(String, String)> = machine
        .filter(|(name, _)| !of_a_run.contains(name))
        .map(|(name, value)| (name.into(), value))
        .collect();
    let mut say = |name: &str, value: String| lines.push((name.into(), value));
    say(
        "instructions",
        format!("{}: none changes a number", found.instructions),
    );
    for backend in &found.backends {
        say(&format!("backend {}", backend.name), health(backend));
    }
    let hub = &found.hub;
    let asked = match (hub.offline, hub.token) {
        (true, _) => "not asked (HF_HUB_OFFLINE)",
        (false, true) => "asked with a token",
        (false, false) => "asked without a token: public models only",
    };
    say("hub", format!("{}, {asked}", hub.endpoint));
    say("models from it", place(&hub.cache));
    say("runs", place(&found.runs));
    lines
}

fn health(backend: &BackendHealth) -> String {
    match (backend.built, &backend.problem, backend.exact) {
        (false, _, _) => format!("not in this build (--features {})", backend.name),
        (true, Some(problem), _) => format!("cannot be used: {problem}"),
        (true, None, Some(false)) => {
            "works, but rounds otherwise than exact steps need: --arithmetic plain".into()
        }
        (true, None, _) => "works".into(),
    }
}

fn place(place: &FolderHealth) -> String {
    let free = place
        .free_bytes
        .map_or(String::new(), |bytes| format!(", {} free", Bytes(bytes)));
    let there = match place.exists {
        true => "",
        false => " (made when it is needed)",
    };
    format!("{}{there}{free}", place.path.display())
}
