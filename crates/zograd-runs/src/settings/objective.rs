//! What a run minimises.

use super::names::names;
use super::owner::Owner;
use crate::error::{Result, refuse};
use serde::{Deserialize, Serialize};
use zograd_select::{Choice, Setting};
use zograd_tasks::Task;
use zograd_trainer::{
    Accuracy, AnswerF1, ByReward, Calibrated, Classification, Objective, TeacherForcing,
};

names! {
    /// What training minimises.
    pub enum ObjectiveName {
        Auto = "auto", "What MeZO's code trains the task on: one of the next two";
        Classification = "classification", "Cross-entropy over the candidates";
        TeacherForcing = "teacher-forcing", "Log-likelihood of the right answer's tokens";
        Accuracy = "accuracy", "The share of right choices itself";
        F1 = "f1", "The word overlap of written answers itself: the model writes in every forward";
        Reward = "reward", "What a rule or a program says of written answers: the model writes in every forward";
    }
}

/// What a run minimises.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ObjectiveChoice {
    /// Its name.
    pub objective: Option<ObjectiveName>,
}

impl Owner for ObjectiveChoice {
    const NAME: &'static str = "methods with steps";
    const HEADING: &'static str = "Method";
    const SETTINGS: &'static [Setting] = &[Setting::choice(
        "objective",
        "OBJECTIVE",
        "What to minimise",
        ObjectiveName::CHOICES,
    )
    .or("auto")];
}

impl ObjectiveName {
    /// What `auto` means for a task: what MeZO's code trains it on.
    ///
    /// # Errors
    /// An objective that the task cannot have.
    pub fn of_task(self, task: &dyn Task) -> Result<Self> {
        let written = task.is_generation();
        Ok(match self {
            Self::Auto if task.trains_as_classification() => Self::Classification,
            Self::Auto => Self::TeacherForcing,
            Self::Classification | Self::Accuracy if written => refuse!(
                "`objective = {self}`: task {} has no candidates to choose from; use teacher-forcing, f1 or reward",
                task.name()
            ),
            Self::Reward if !written => refuse!(
                "`objective = reward`: the answers of task {} are chosen, not written; use accuracy",
                task.name()
            ),
            Self::F1 if !written => refuse!(
                "`objective = f1`: the answers of task {} are chosen, not written; use accuracy",
                task.name()
            ),
            name => name,
        })
    }

    /// Whether the loss moves with the weights however little they move.
    pub(super) fn is_smooth(self) -> bool {
        !matches!(self, Self::Accuracy | Self::F1 | Self::Reward)
    }

    /// Refuses an objective that has no gradient.
    ///
    /// # Errors
    /// Such an objective.
    pub fn check_differentiable(self) -> Result<()> {
        match self {
            Self::Accuracy | Self::F1 | Self::Reward => refuse!(
                "`objective = {self}`: it has no gradient; use classification or teacher-forcing, or a \
                 zeroth-order method"
            ),
            _ => Ok(()),
        }
    }

    /// Refuses an objective whose losses cannot be made with biases of the options.
    ///
    /// # Errors
    /// Such an objective.
    pub(crate) fn check_calibrated(self, task: &dyn Task) -> Result<()> {
        match self {
            Self::Auto | Self::Classification => Ok(()),
            _ if task.is_generation() => refuse!(
                "`calibrate`: the answers of task {} are written: there are no options to give biases to",
                task.name()
            ),
            _ => refuse!(
                "`calibrate`: only with `objective = classification`, whose loss compares the options; {self} does not"
            ),
        }
    }

    /// The objective; of `auto` that of tasks with candidates. Rewards have to be said. Its losses are made with biases of the
    /// options if it is to be `calibrated`, which classification alone can be.
    pub fn build(self, reward: Option<ByReward>, calibrated: bool) -> Box<dyn Objective> {
        match (self, reward) {
            (Self::Reward, Some(reward)) => Box::new(reward),
            (Self::Auto | Self::Classification, _) if calibrated => Box::new(Calibrated),
            (Self::Auto | Self::Classification, _) | (Self::Reward, None) => {
                Box::new(Classification)
            }
            (Self::TeacherForcing, _) => Box::new(TeacherForcing),
            (Self::Accuracy, _) => Box::new(Accuracy),
            (Self::F1, _) => Box::new(AnswerF1),
        }
    }
}
