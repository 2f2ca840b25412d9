//! What a run minimises.

use super::report::kebab;
use crate::args::ObjectiveName;
use anyhow::{Result, bail};
use zograd_tasks::Task;
use zograd_trainer::{Accuracy, AnswerF1, Classification, Objective, TeacherForcing};

/// What `auto` means for a task: what the originals train it on.
pub fn resolve(name: ObjectiveName, task: &dyn Task) -> Result<ObjectiveName> {
    let written = task.is_generation();
    Ok(match name {
        ObjectiveName::Auto if task.trains_as_classification() => ObjectiveName::Classification,
        ObjectiveName::Auto => ObjectiveName::TeacherForcing,
        ObjectiveName::Classification | ObjectiveName::Accuracy if written => bail!(
            "--objective {}: task {} has no candidates to choose from; use teacher-forcing or f1",
            kebab(&name),
            task.name()
        ),
        ObjectiveName::F1 if !written => bail!(
            "--objective f1: the answers of task {} are chosen, not written; use accuracy",
            task.name()
        ),
        name => name,
    })
}

/// Refuses an objective that has no gradient.
///
/// # Errors
/// Such an objective.
pub fn differentiable(name: ObjectiveName) -> Result<ObjectiveName> {
    match name {
        ObjectiveName::Accuracy | ObjectiveName::F1 => bail!(
            "--objective {}: it has no gradient; use classification or teacher-forcing, or a zeroth-order method",
            kebab(&name)
        ),
        name => Ok(name),
    }
}

/// The objective of a name that was resolved.
pub fn build(name: ObjectiveName) -> Box<dyn Objective> {
    match name {
        ObjectiveName::Auto | ObjectiveName::Classification => Box::new(Classification),
        ObjectiveName::TeacherForcing => Box::new(TeacherForcing),
        ObjectiveName::Accuracy => Box::new(Accuracy),
        ObjectiveName::F1 => Box::new(AnswerF1),
    }
}
