use crate::{EvalRecord, StepRecord, TrainError, TrainSummary};

/// Whom a training run tells what happens.
///
/// A pair of observers is an observer, which tells the first and then the second; so a log, a progress bar and a
/// keeper of checkpoints can be three observers.
///
/// ```
/// use zograd_trainer::{Observer, StepRecord, TrainError};
///
/// #[derive(Default)]
/// struct Losses(Vec<f64>);
///
/// impl<M> Observer<M> for Losses {
///     fn on_step(&mut self, record: &StepRecord) -> Result<(), TrainError> {
///         self.0.push(record.loss);
///         Ok(())
///     }
/// }
///
/// let (mut a, mut b) = (Losses::default(), Losses::default());
/// Observer::<()>::on_step(&mut (&mut a, &mut b), &StepRecord::new(1, vec![0.5]))?;
/// assert_eq!((a.0, b.0), (vec![0.5], vec![0.5]));
/// # Ok::<(), TrainError>(())
/// ```
pub trait Observer<M> {
    /// After every step.
    ///
    /// # Errors
    /// An error ends the run.
    fn on_step(&mut self, _record: &StepRecord) -> Result<(), TrainError> {
        Ok(())
    }

    /// After every evaluation; `model` stands at the evaluated weights, to be saved if `record.best`.
    ///
    /// # Errors
    /// An error ends the run.
    fn on_eval(&mut self, _record: &EvalRecord, _model: &M) -> Result<(), TrainError> {
        Ok(())
    }

    /// At the end, unless an error ended the run: `model` stands at its last weights, and `summary.stop` says why. A
    /// run that was interrupted is resumed from a checkpoint made here, or from the one before.
    ///
    /// # Errors
    /// The run's, then.
    fn on_end(&mut self, _summary: &TrainSummary, _model: &M) -> Result<(), TrainError> {
        Ok(())
    }
}

/// An observer that looks away.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl<M> Observer<M> for Silent {}

impl<M, O: Observer<M> + ?Sized> Observer<M> for &mut O {
    fn on_step(&mut self, record: &StepRecord) -> Result<(), TrainError> {
        (**self).on_step(record)
    }

    fn on_eval(&mut self, record: &EvalRecord, model: &M) -> Result<(), TrainError> {
        (**self).on_eval(record, model)
    }

    fn on_end(&mut self, summary: &TrainSummary, model: &M) -> Result<(), TrainError> {
        (**self).on_end(summary, model)
    }
}

impl<M, A: Observer<M>, B: Observer<M>> Observer<M> for (A, B) {
    fn on_step(&mut self, record: &StepRecord) -> Result<(), TrainError> {
        self.0.on_step(record)?;
        self.1.on_step(record)
    }

    fn on_eval(&mut self, record: &EvalRecord, model: &M) -> Result<(), TrainError> {
        self.0.on_eval(record, model)?;
        self.1.on_eval(record, model)
    }

    fn on_end(&mut self, summary: &TrainSummary, model: &M) -> Result<(), TrainError> {
        self.0.on_end(summary, model)?;
        self.1.on_end(summary, model)
    }
}
