//! What the ranks of a run have to agree on.

use crate::error::{Problem, Result, RunError, refuse};
use zograd_ranks::{Incoming, Outgoing, RankError, Ranks};

/// What all ranks know of one another, for people.
pub(crate) type Fact = (String, String);

impl From<RankError> for RunError {
    fn from(error: RankError) -> Self {
        Self::running(error.to_string())
    }
}

/// What this rank found, if all of them found something. Else all of them end with the error of the first that did not;
/// it is named, unless it is rank 0, which says so.
///
/// # Errors
/// That error.
pub(crate) fn agreed<T>(ranks: &Ranks, mine: Result<T>) -> Result<T> {
    if ranks.is_alone() {
        return mine;
    }
    let mut sent = Outgoing::new();
    match &mine {
        Ok(_) => sent.number(0),
        Err(error) => {
            sent.number(1);
            sent.bytes(told(error).as_bytes());
        }
    }
    let mut first: Option<RunError> = None;
    for (rank, bytes) in ranks.gather(sent.as_bytes())?.iter().enumerate() {
        let mut from = Incoming::of(rank, bytes);
        let failed = from.number("an outcome")? != 0;
        if failed && first.is_none() {
            first = Some(heard(rank, from.bytes("an error")?)?);
        }
    }
    match first {
        None => mine,
        Some(error) => {
            ranks.end();
            Err(error)
        }
    }
}

/// An error, for other ranks.
pub(crate) fn told(error: &RunError) -> Outgoing {
    let mut sent = Outgoing::new();
    sent.number(match error {
        RunError::Input(_) => 1,
        RunError::Running(_) => 2,
        RunError::Stopped(_) => 3,
    });
    sent.text(Some(&error.to_string()));
    sent
}

/// The error that this rank told the others; it is named, unless it is rank 0, which says so.
///
/// # Errors
/// The bytes are no error.
pub(crate) fn heard(rank: usize, bytes: &[u8]) -> Result<RunError> {
    let mut from = Incoming::of(rank, bytes);
    let kind = from.number("an error")?;
    let line = from.text("an error")?.unwrap_or_default();
    let line = match rank {
        0 => line,
        _ => format!("rank {rank}: {line}"),
    };
    Ok(match kind {
        1 => RunError::input(line),
        3 => RunError::Stopped(Problem::new(line)),
        _ => RunError::running(line),
    })
}

/// The end on all ranks: an error of this one is told to the others, unless they know, and where all is well here an error
/// of another is waited for.
///
/// # Errors
/// That of this rank, or of another.
pub(crate) fn ended<T>(ranks: &Ranks, mine: Result<T>) -> Result<T> {
    match &mine {
        _ if ranks.is_alone() => {}
        // all of them were
        Err(RunError::Stopped(_)) => ranks.end(),
        Err(error) => ranks.fail(&error.to_string()),
        Ok(_) => {
            ranks.gather(&[])?;
            ranks.end();
        }
    }
    mine
}

/// What the first rank says, on all of them.
///
/// # Errors
/// A rank failed or is gone.
pub(crate) fn from_first(ranks: &Ranks, mine: Outgoing) -> Result<Vec<u8>> {
    let said = match ranks.leads() {
        true => mine,
        false => Outgoing::new(),
    };
    let all = ranks.gather(said.as_bytes())?;
    Ok(all.into_iter().next().unwrap_or_default())
}

/// Refuses ranks that are not alike: the first rank and the first fact that differs from rank 0's is named.
///
/// # Errors
/// There is one.
pub(crate) fn alike(ranks: &Ranks, facts: &[Fact]) -> Result<()> {
    if ranks.is_alone() {
        return Ok(());
    }
    let mut sent = Outgoing::new();
    sent.text(Some(&ranks.host()));
    for (what, value) in facts {
        sent.text(Some(what));
        sent.text(Some(value));
    }
    let all = ranks.gather(sent.as_bytes())?;
    let mut read = Vec::with_capacity(all.len());
    for (rank, bytes) in all.iter().enumerate() {
        read.push(facts_of(rank, bytes)?);
    }
    let Some(((first_place, first), others)) = read.split_first() else {
        return Ok(());
    };
    for (place, facts) in others {
        let mut pairs = first.iter().zip(facts);
        let differs = pairs.find(|(first, other)| first != other);
        let differs = differs.map(|((what, first), (_, other))| (what, first, other));
        let nothing = String::new();
        let missing = (first.len() != facts.len())
            .then(|| first.get(facts.len()).or_else(|| facts.get(first.len())))
            .flatten();
        let missing = missing.map(|(what, value)| (what, value, &nothing));
        if let Some((what, first, other)) = differs.or(missing) {
            ranks.end();
            refuse!(
                "{place} differs from {first_place} in {what}: {other} there, {first} here; start the same program with \
                 the same settings and files on all ranks"
            );
        }
    }
    Ok(())
}

/// Where a rank is, and its facts.
fn facts_of(rank: usize, bytes: &[u8]) -> Result<(String, Vec<Fact>)> {
    let mut from = Incoming::of(rank, bytes);
    let text = |from: &mut Incoming<'_>| from.text("a fact").map(Option::unwrap_or_default);
    let place = match text(&mut from)? {
        host if host.is_empty() => format!("rank {rank}"),
        host => format!("rank {rank} ({host})"),
    };
    let mut facts = Vec::new();
    while !from.is_empty() {
        let what = text(&mut from)?;
        facts.push((what, text(&mut from)?));
    }
    Ok((place, facts))
}

/// The seconds that each rank has waited for others; none of a process alone.
///
/// # Errors
/// A rank is gone.
pub(crate) fn waited(ranks: &Ranks) -> Result<Vec<f64>> {
    if ranks.is_alone() {
        return Ok(Vec::new());
    }
    let mut sent = Outgoing::new();
    sent.real(ranks.waited().as_secs_f64());
    let all = ranks.gather(sent.as_bytes())?;
    let each = all.iter().enumerate();
    let seconds = each.map(|(rank, bytes)| Incoming::of(rank, bytes).real("seconds"));
    Ok(seconds.collect::<std::result::Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use zograd_ranks::threads;

    /// What came of `each` on so many ranks.
    fn on<T: Send>(
        size: usize,
        each: impl Fn(&Ranks) -> Result<T> + Sync,
    ) -> Vec<Result<T, String>> {
        let each = &each;
        std::thread::scope(|scope| {
            let ranks = threads(size).into_iter().map(Ranks::new);
            let running = ranks.map(|ranks| {
                scope.spawn(move || each(&ranks).map_err(|error| format!("{error:?}")))
            });
            let running: Vec<_> = running.collect();
            let ends = running.into_iter().map(|thread| thread.join());
            ends.map(|end| end.expect("no panic")).collect()
        })
    }

    #[test]
    fn one_that_fails_is_named_and_all_that_fail_alike_are_not() {
        let ends = on(3, |ranks| {
            let mine = match ranks.rank() {
                1 => Err(RunError::input("`data`: no such folder")),
                rank => Ok(rank),
            };
            agreed(ranks, mine)
        });
        for end in ends {
            let error = end.expect_err("all of them");
            assert!(
                error.contains("Input") && error.contains("rank 1: `data`"),
                "{error}"
            );
        }
        for end in on(2, |ranks| {
            agreed(ranks, Err::<(), _>(RunError::running("full")))
        }) {
            let error = end.expect_err("all of them");
            assert!(
                error.contains("Running") && !error.contains("rank"),
                "{error}"
            );
        }
        assert_eq!(
            on(2, |ranks| agreed(ranks, Ok(ranks.rank()))),
            [Ok(0), Ok(1)]
        );
    }

    #[test]
    fn the_fact_that_differs_is_named() {
        let ends = on(3, |ranks| {
            let weights = match ranks.rank() {
                2 => "b",
                _ => "a",
            };
            let facts = [("the settings", "s"), ("the base weights", weights)];
            alike(
                ranks,
                &facts.map(|(what, value)| (what.into(), value.into())),
            )
        });
        for end in ends {
            let error = end.expect_err("all of them");
            let named = "rank 2 differs from rank 0 in the base weights: b there, a here";
            assert!(error.contains(named), "{error}");
        }
        let fewer = on(2, |ranks| {
            let facts = [("`lr`", "1"), ("`eps`", "2")].map(|(a, b)| (a.into(), b.into()));
            alike(ranks, &facts[ranks.rank()..])
        });
        assert!(fewer.iter().all(Result::is_err));
        assert_eq!(on(2, |ranks| alike(ranks, &[])), [Ok(()), Ok(())]);
    }
}
