//! What went wrong, and whose fault it was.

use std::error::Error;
use std::fmt;
use std::path::Path;
use zograd_perturb::PerturbError;
use zograd_trainer::TrainError;
use zograd_trainer::trajectory::ReplayError;

/// What a function of this crate gives.
pub type Result<T, E = RunError> = std::result::Result<T, E>;

/// Why something could not be done. The variant says whose fault it was; a command makes its exit code of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// What was given cannot be used: a setting, a file, a folder. Nothing was written.
    #[error("{0}")]
    Input(#[source] Problem),
    /// What was given could be used, and something failed while running: a full disk, say.
    #[error("{0}")]
    Running(#[source] Problem),
    /// It was asked to stop, and did, with nothing done that was not written down.
    #[error("{0}")]
    Stopped(#[source] Problem),
}

/// What went wrong, in words.
///
/// Settings stand in backquotes as a file of settings has them: `` `lr` `` or `` `lr = 1e-6` ``.
#[derive(Debug)]
pub struct Problem {
    /// From the outside inwards: where it happened, what it is.
    words: Vec<String>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Problem {
    pub(crate) fn new(words: impl Into<String>) -> Self {
        Self {
            words: vec![words.into()],
            source: None,
        }
    }

    fn of(error: Box<dyn Error + Send + Sync>) -> Self {
        Self {
            words: Vec::new(),
            source: Some(error),
        }
    }
}

impl fmt::Display for Problem {
    /// All there is to say, on one line; what a cause repeats of the words before it is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = String::new();
        let mut add = |text: String| {
            if !line.contains(&text) {
                if !line.is_empty() {
                    line.push_str(": ");
                }
                line.push_str(&text);
            }
        };
        self.words.iter().cloned().for_each(&mut add);
        let mut cause: Option<&dyn Error> = self.source.as_deref().map(|e| e as &dyn Error);
        while let Some(error) = cause {
            add(error.to_string());
            cause = error.source();
        }
        f.write_str(&line)
    }
}

impl Error for Problem {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|e| e as &(dyn Error + 'static))
    }
}

/// The error of moving weights that this is, or that it hands on without words of its own.
fn perturb_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a PerturbError> {
    if let Some(ReplayError::Perturb(found) | ReplayError::Step(TrainError::Perturb(found))) =
        error.downcast_ref()
    {
        return Some(found);
    }
    match error.downcast_ref() {
        Some(TrainError::Perturb(found)) => Some(found),
        _ => error.downcast_ref(),
    }
}

impl RunError {
    /// Input that cannot be used, in words.
    pub fn input(words: impl Into<String>) -> Self {
        Self::Input(Problem::new(words))
    }

    /// Input that cannot be used, by an error that says why.
    pub(crate) fn of_input(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Input(Problem::of(error.into()))
    }

    /// Something that failed while running, in words.
    pub fn running(words: impl Into<String>) -> Self {
        Self::Running(Problem::new(words))
    }

    /// The same, with where it happened before it.
    #[must_use]
    pub fn within(mut self, place: impl Into<String>) -> Self {
        let (Self::Input(problem) | Self::Running(problem) | Self::Stopped(problem)) = &mut self;
        problem.words.insert(0, place.into());
        self
    }

    /// Whether an I/O error of this kind is at the bottom of it.
    pub fn is_io(&self, kind: std::io::ErrorKind) -> bool {
        let mut cause: Option<&(dyn Error + 'static)> = Some(self);
        while let Some(error) = cause {
            if error
                .downcast_ref::<std::io::Error>()
                .is_some_and(|e| e.kind() == kind)
            {
                return true;
            }
            cause = error.source();
        }
        false
    }

    /// Why the weights of a run can be moved no further, if one of them has outgrown its grid.
    pub(crate) fn outgrown(&self) -> Option<String> {
        let mut cause: Option<&(dyn Error + 'static)> = Some(self);
        while let Some(error) = cause {
            if let Some(PerturbError::OffGrid { name, largest, .. }) = perturb_error(error) {
                return Some(format!("{name} has grown to {largest:.3e}"));
            }
            cause = error.source();
        }
        None
    }

    fn while_running(self) -> Self {
        match self {
            Self::Input(problem) | Self::Running(problem) => Self::Running(problem),
            stopped @ Self::Stopped(_) => stopped,
        }
    }
}

/// Says whose fault an error is. An error of this crate keeps what it said of that, except that
/// [`Blame::while_running`] is the last word.
pub trait Blame<T> {
    /// The input's.
    ///
    /// # Errors
    /// The error, so marked.
    fn or_input(self) -> Result<T>;

    /// Nobody's: it failed while running.
    ///
    /// # Errors
    /// The error, so marked.
    fn while_running(self) -> Result<T>;

    /// That of this setting, or of what stands at this place.
    ///
    /// # Errors
    /// The error, with the place before it.
    fn about(self, place: impl Into<String>) -> Result<T>
    where
        Self: Sized,
    {
        self.or_input().map_err(|error| error.within(place))
    }

    /// That of this file, which somebody gave.
    ///
    /// # Errors
    /// The error, with the file's name before it.
    fn about_file(self, path: &Path) -> Result<T>
    where
        Self: Sized,
    {
        self.about(path.display().to_string())
    }

    /// Nobody's: this file could not be read or written while running.
    ///
    /// # Errors
    /// The error, with the file's name before it.
    fn on_file(self, path: &Path) -> Result<T>
    where
        Self: Sized,
    {
        self.while_running()
            .map_err(|error| error.within(path.display().to_string()))
    }

    /// That of this file, which somebody asked for: theirs if it cannot be made there, nobody's if there is no room for it.
    ///
    /// # Errors
    /// The error, with the file's name before it.
    fn on_output(self, path: &Path) -> Result<T>
    where
        Self: Sized,
    {
        match self.or_input() {
            Err(error) if error.is_io(std::io::ErrorKind::StorageFull) => Err(error).on_file(path),
            found => found.about_file(path),
        }
    }
}

impl<T, E: Into<Box<dyn Error + Send + Sync>>> Blame<T> for std::result::Result<T, E> {
    fn or_input(self) -> Result<T> {
        self.map_err(|error| match own(error) {
            Ok(own) => own,
            Err(foreign) => RunError::Input(Problem::of(foreign)),
        })
    }

    fn while_running(self) -> Result<T> {
        self.map_err(|error| match own(error) {
            Ok(own) => own.while_running(),
            Err(foreign) => RunError::Running(Problem::of(foreign)),
        })
    }
}

/// An error of this crate that was passed on as any error.
fn own(
    error: impl Into<Box<dyn Error + Send + Sync>>,
) -> std::result::Result<RunError, Box<dyn Error + Send + Sync>> {
    error.into().downcast::<RunError>().map(|own| *own)
}

/// Returns with [`RunError::Input`], in words.
macro_rules! refuse {
    ($($words:tt)*) => {
        return Err($crate::error::RunError::input(format!($($words)*)))
    };
}
pub(crate) use refuse;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn an_error_says_once_where_it_happened_and_whose_fault_it_is() {
        let io = || io::Error::new(io::ErrorKind::StorageFull, "no room");
        let error = Err::<(), _>(io())
            .on_file(Path::new("a/b"))
            .about("`out`")
            .expect_err("an error");
        assert_eq!(error.to_string(), "`out`: a/b: no room");
        assert!(matches!(error, RunError::Running(_)));
        assert!(error.is_io(io::ErrorKind::StorageFull));
        let error = Err::<(), _>(io()).about("`model`").expect_err("an error");
        assert!(matches!(error, RunError::Input(_)));
        let error = Err::<(), _>(io::Error::from(io::ErrorKind::PermissionDenied));
        let error = error.on_output(Path::new("a/b")).expect_err("an error");
        assert!(matches!(error, RunError::Input(_)));
        assert_eq!(error.to_string(), "a/b: permission denied");
        let error = Err::<(), _>(io()).on_output(Path::new("a/b"));
        assert!(matches!(error, Err(RunError::Running(_))));
        let error = Err::<(), _>(io()).about("`model`").expect_err("an error");
        let error = Err::<(), _>(error).while_running().expect_err("an error");
        assert!(matches!(error, RunError::Running(_)));
        assert_eq!(error.to_string(), "`model`: no room");
    }

    #[test]
    fn what_a_cause_repeats_is_left_out() {
        let error = RunError::input("x = 0: too small").within("x = 0");
        assert_eq!(error.to_string(), "x = 0: x = 0: too small");
        let error = Err::<(), _>(io::Error::other("file.json: damaged"))
            .about("file.json: damaged")
            .expect_err("an error");
        assert_eq!(error.to_string(), "file.json: damaged");
    }
}
