//! Folders that are given for one another: a run, its best weights, an adapter, a model.

use crate::error::{Result, refuse};
use crate::folder::{BEST, CONFIG, METRICS};
use std::path::Path;

/// The file that makes a folder one of an adapter.
const ADAPTER: &str = "adapter_config.json";

/// The file that makes a folder one of a model.
const MODEL: &str = "config.json";

/// Refuses what is no model folder but a run's or an adapter's, with what was probably meant.
///
/// # Errors
/// It is one of these.
pub(super) fn check_model(name: &str, folder: &Path) -> Result<()> {
    let has = |file: &str| folder.join(file).exists();
    if has(MODEL) {
        return Ok(());
    }
    if has(ADAPTER) {
        refuse!(
            "`model = {name}`: it holds an adapter; give the model it belongs to, and this as its `adapter` to \
             measure with it or to merge it"
        );
    }
    if is_run(folder) {
        let best = folder.join(BEST);
        match (best.join(MODEL).exists(), best.join(ADAPTER).exists()) {
            (true, _) => refuse!(
                "`model = {name}`: it is the folder of a run; its best weights are in {}",
                best.display()
            ),
            (_, true) => refuse!(
                "`model = {name}`: it is the folder of a run that tuned an adapter; give the model it began with, and \
                 {} as its `adapter`, or merge the two first",
                best.display()
            ),
            _ => refuse!(
                "`model = {name}`: it is the folder of a run, which has kept no weights yet"
            ),
        }
    }
    Ok(())
}

/// Refuses what is no adapter folder but a run's or a model's, with what was probably meant.
///
/// # Errors
/// It is one of these.
pub(super) fn check_adapter(folder: &Path) -> Result<()> {
    let has = |file: &str| folder.join(file).exists();
    let name = folder.display();
    if has(ADAPTER) {
        return Ok(());
    }
    if has(MODEL) {
        refuse!(
            "`adapter = {name}`: it has no {ADAPTER} and holds a whole model; give it as the `model`"
        );
    }
    if is_run(folder) {
        let best = folder.join(BEST);
        match (best.join(ADAPTER).exists(), best.join(MODEL).exists()) {
            (true, _) => refuse!(
                "`adapter = {name}`: it is the folder of a run; its adapter is in {}",
                best.display()
            ),
            (_, true) => refuse!(
                "`adapter = {name}`: it is the folder of a run that tuned a whole model; give {} as the `model`",
                best.display()
            ),
            _ => refuse!(
                "`adapter = {name}`: it is the folder of a run, which has kept no weights yet"
            ),
        }
    }
    Ok(())
}

fn is_run(folder: &Path) -> bool {
    folder.join(CONFIG).exists() && folder.join(METRICS).exists()
}
