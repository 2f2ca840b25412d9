use thiserror::Error;

/// What can go wrong in training and evaluation.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The weights could not be perturbed.
    #[error(transparent)]
    Perturb(#[from] zograd_perturb::PerturbError),
    /// The parameters of the module cannot be had.
    #[error(transparent)]
    Parameters(#[from] zograd_perturb::ParameterError),
    /// The strategy refused its parameters or its step.
    #[error(transparent)]
    Strategy(#[from] zograd_select::StrategyError),
    /// The model could not score a batch.
    #[error(transparent)]
    Model(zograd_models::ModelError),
    /// A prompt has a candidate that cannot be scored.
    #[error("the prompt of row {row}: {source}")]
    Plan {
        /// Row number of the sample in its split.
        row: usize,
        /// What is wrong.
        source: zograd_models::PlanError,
    },
    /// An objective that is about written answers, for a task whose answers are chosen.
    #[error("this objective needs written answers, but the task has its answers chosen")]
    NoWriter,
    /// An objective without a gradient, for a method that needs one.
    #[error(
        "this objective has no gradient; use `objective = classification` or `objective = teacher-forcing`, or a \
         zeroth-order method"
    )]
    NotDifferentiable,
    /// There is nothing to tell apart.
    #[error(
        "linear probing: the right answers of the training examples are all made of one token; give it more \
         examples (`train-examples`)"
    )]
    OneToken,
    /// A model whose head is not given what a norm made, where that norm is to be fitted.
    #[error(
        "`head-fit`: this model has no norm right before its head whose output is finite, so there is no gain to fit"
    )]
    NoLastNorm,
    /// Losses that say nothing about how long a step may be.
    #[error(
        "`lr = auto`: along random directions the losses of the examples do not differ, or are not finite (curvature {0}), so \
         that no learning rate follows from them; give a number"
    )]
    NoCurvature(f64),
    /// A method whose steps do not lead downhill in a rehearsal.
    #[error(
        "`lr = auto`: in a rehearsal the steps of this method did not lead downhill along the directions that were measured \
         ({0} of a slope of 1), so that no learning rate follows from them; give a number"
    )]
    NoReach(f64),
    /// A prompt that asks nothing, where an answer is to be written.
    #[error("the prompt of row {row} has no question to be answered in words")]
    NoQuestion {
        /// Row number of the sample in its split.
        row: usize,
    },
    /// An evaluation in which answers have no rewards.
    #[error(transparent)]
    Reward(#[from] zograd_tasks::rewards::RewardError),
    /// A text could not be had from the tokenizer.
    #[error(transparent)]
    Prompt(#[from] zograd_tasks::PromptError),
    /// Whoever was told of the progress asked for an end.
    #[error("stopped before the end, as asked")]
    Stopped,
    /// There is nothing to train or evaluate on.
    #[error("there are no {0} examples")]
    NoExamples(&'static str),
    /// A setting is out of its range.
    #[error("`{name} = {value}`: {fix}")]
    Setting {
        /// The setting, as a configuration file has it.
        name: &'static str,
        /// What it was.
        value: String,
        /// What it should be.
        fix: &'static str,
    },
    /// A log has fewer losses of a step than are asked for.
    #[error("the log has {left} more losses of this step, and {asked} are asked for")]
    LogEnds {
        /// How many were asked for.
        asked: usize,
        /// How many there are.
        left: usize,
    },
    /// A step that is made again from the examples comes to another loss than the log has.
    #[error(
        "step {step}: its loss is {found} here and {logged} in the log: the examples, the machine or the version of zograd \
         are not those of the run"
    )]
    OtherLoss {
        /// The step.
        step: u64,
        /// What the log has.
        logged: f64,
        /// What came out.
        found: f64,
    },
    /// A step that is made again from the examples has the losses of the log, and another outcome.
    #[error(
        "step {step}: its losses are those of the log, but the method makes something else of them than then: the version of \
         zograd is not that of the run"
    )]
    OtherStep {
        /// The step.
        step: u64,
    },
    /// A candidate that is informed, in a run that is shared.
    #[error("`informed`: what informs a candidate is not shared among ranks; start one process")]
    InformedOnRanks,
    /// A method whose examples have directions of their own, where that cannot be.
    #[error("a method whose examples have directions of their own needs {0}")]
    PerExample(&'static str),
    /// The ranks that share the run cannot go on together.
    #[error(transparent)]
    Ranks(#[from] zograd_ranks::RankError),
    /// The observer could not record or save something.
    #[error("{0}")]
    Observer(Box<dyn std::error::Error + Send + Sync>),
}

impl From<zograd_models::ModelError> for TrainError {
    fn from(error: zograd_models::ModelError) -> Self {
        match error {
            zograd_models::ModelError::Interrupted => Self::Stopped,
            error => Self::Model(error),
        }
    }
}
