//! Runs that are made one after another, or shared by ranks: each by one of them, as a process alone makes it.

use crate::Runs;
use crate::error::{Result, RunError, refuse};
use crate::folder::{CONFIG, OUTGROWN, RunRecord};
use crate::ranks::{from_first, heard, told};
use std::path::{Path, PathBuf};
use zograd_ranks::{Ended, Incoming, Outgoing, Ranks};

/// How far a run is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing there to resume.
    New,
    Begun,
    /// To its end, or to where its weights outgrew their grids.
    Over,
}

impl State {
    /// That of the run in this folder.
    ///
    /// # Errors
    /// What is there cannot be read.
    pub(super) fn of(run: &Path) -> Result<Self> {
        if !run.join(CONFIG).exists() {
            return Ok(Self::New);
        }
        if zograd_files::exists(&run.join(OUTGROWN)) {
            return Ok(Self::Over);
        }
        let read = RunRecord::read(run)?;
        Ok(match (read.over(), read.steps.is_empty()) {
            (true, _) => Self::Over,
            // killed before the first step was written down
            (false, true) => Self::New,
            (false, false) => Self::Begun,
        })
    }
}

/// Which of these runs are not over, by their places, as the first rank sees it.
///
/// # Errors
/// One of them cannot be read.
pub(super) fn to_do(runs: &Runs, folders: &[PathBuf]) -> Result<Vec<usize>> {
    let ranks = runs.ranks();
    let mut open = Outgoing::new();
    if ranks.leads() {
        for (place, folder) in folders.iter().enumerate() {
            if State::of(folder)? != State::Over {
                open.number(place as u64);
            }
        }
    }
    let said = from_first(&ranks, open)?;
    let mut from = Incoming::of(0, &said);
    let mut places = Vec::new();
    while !from.is_empty() {
        match usize::try_from(from.number("a run")?) {
            Ok(place) if place < folders.len() => places.push(place),
            _ => return Err(from.unreadable("a run").into()),
        }
    }
    Ok(places)
}

/// Has these runs made, each by a rank that is free, until all are over or one of the ranks is asked to stop. `make` is told
/// the place of a run, and makes it in this process.
///
/// # Errors
/// That of the first run that fails; the runs of other ranks are saved first.
pub(super) fn make(
    runs: &Runs,
    (folders, to_do): (&[PathBuf], &[usize]),
    mut make: impl FnMut(usize, &Runs) -> Result<()>,
) -> Result<()> {
    let ranks = runs.ranks();
    let mut mine = None;
    let dealt = ranks.deal(to_do.len(), |item, stop| {
        let place = to_do[item];
        let here = runs.clone().on_ranks(Ranks::alone());
        let made = make(place, &here.stopped_by(stop.clone()));
        let state = made.and_then(|()| State::of(&folders[place]));
        match state {
            Ok(State::Over) => Ended::Done,
            // a run that was interrupted is no result
            Ok(_) | Err(RunError::Stopped(_)) => Ended::Stopped,
            Err(error) => {
                let why = told(&error).as_bytes().to_vec();
                mine = Some(error);
                Ended::Failed(why)
            }
        }
    })?;
    if let Some(failed) = dealt.failed {
        ranks.end();
        let own = mine.filter(|_| ranks.leads() && failed.rank == 0);
        return Err(match own {
            Some(error) => error,
            None => heard(failed.rank, &failed.why)?,
        });
    }
    for (place, rank) in to_do.iter().zip(&dealt.done) {
        let folder = &folders[*place];
        if let Some(rank) = rank.filter(|rank| *rank != ranks.rank())
            && State::of(folder).ok() != Some(State::Over)
        {
            refuse!(
                "{}: rank {rank} has made this run, and it is not to be seen here yet; the same command with `resume` goes on",
                folder.display()
            );
        }
    }
    Ok(())
}
