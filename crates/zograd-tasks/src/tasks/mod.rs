//! The built-in tasks, one file each: those of the MeZO paper, with its prompts.
//!
//! Rows have the fields of the Hugging Face data sets `glue/sst2`, `super_glue`, `squad` and
//! `drop`.

mod boolq;
mod cb;
mod copa;
mod drop;
mod multirc;
mod record;
mod rte;
mod squad;
mod sst2;
mod wic;
mod wsc;

use crate::near::nearest;
use crate::{ChatTask, Task};
pub use boolq::BoolQ;
pub use cb::Cb;
pub use copa::Copa;
pub use drop::DropQa;
pub use multirc::MultiRc;
pub use record::ReCoRd;
pub use rte::Rte;
pub use squad::Squad;
pub use sst2::Sst2;
pub use wic::Wic;
pub use wsc::Wsc;

static BUILT_IN: [&dyn Task; 12] = [
    &Sst2::new(),
    &Rte,
    &Cb,
    &BoolQ,
    &Wsc,
    &Wic,
    &MultiRc,
    &Copa,
    &ReCoRd,
    &Squad,
    &DropQa,
    &Sst2::named("toy"),
];

/// All built-in tasks, in the order of the paper's tables; last `toy`, which is `sst2` under
/// another name, for small data sets of the same fields.
pub fn all() -> &'static [&'static dyn Task] {
    &BUILT_IN
}

/// The built-in task of this name.
///
/// # Errors
/// [`UnknownTask`], which lists the names.
pub fn by_name(name: &str) -> Result<&'static dyn Task, UnknownTask> {
    let task = all().iter().find(|task| task.name() == name);
    task.copied().ok_or_else(|| UnknownTask {
        name: name.to_owned(),
        near: near(name),
    })
}

/// The most similar name, if it is similar at all.
fn near(name: &str) -> Option<&'static str> {
    let name: String = name
        .chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect();
    nearest(&name, names())
}

/// What a task may be called, that of chats, whose rows have no fixed fields, last.
fn names() -> impl Iterator<Item = &'static str> {
    let built_in = all().iter().map(|task| task.name());
    built_in.chain([ChatTask::NAME])
}

/// There is no built-in task of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no task {name:?}{}; the tasks are {}, or your own in a TOML file ({name}.toml)",
    near.map(|near| format!(", did you mean {near:?}?")).unwrap_or_default(),
    names().collect::<Vec<_>>().join(", ")
)]
pub struct UnknownTask {
    /// The name as given.
    pub name: String,
    /// The most similar name there is.
    pub near: Option<&'static str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_is_found_by_its_name() {
        for task in all() {
            assert_eq!(by_name(task.name()).map(|t| t.name()), Ok(task.name()));
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_near_one_and_all() {
        let message = |name| by_name(name).err().map(|e| e.to_string());
        assert_eq!(
            message("SST-2").as_deref(),
            Some(
                "there is no task \"SST-2\", did you mean \"sst2\"?; the tasks are sst2, rte, cb, \
                 boolq, wsc, wic, multirc, copa, record, squad, drop, toy, chat, or your own in a TOML file \
                 (SST-2.toml)"
            )
        );
        let text = message("zzz").expect("no such task");
        let chats = message("chta").expect("no such task");
        assert!(chats.contains("did you mean \"chat\"?"), "{chats}");
        assert!(
            text.starts_with("there is no task \"zzz\"; the tasks are sst2, "),
            "{text}"
        );
    }
}
