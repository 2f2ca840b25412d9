//! Where a run goes, and what it was named after.

use super::owner::Owner;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use zograd_select::Setting;

/// Which named settings to start from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PresetChoice {
    /// Its name.
    pub preset: Option<String>,
}

impl Owner for PresetChoice {
    const NAME: &'static str = "every run";
    const HEADING: &'static str = "Options";
    const SETTINGS: &'static [Setting] = &[Setting::text(
        "preset",
        "NAME",
        "Start from a named setting, such as paper/opt-13b/sst2/gv; flags and the file win; `zograd presets` lists them",
    )];
}

/// Where a run goes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Place {
    /// Its folder.
    pub out: Option<PathBuf>,
}

impl Owner for Place {
    const NAME: &'static str = "every run";
    const HEADING: &'static str = "Run";
    const SETTINGS: &'static [Setting] =
        &[
            Setting::path("out", "DIR", "Folder of the run, must not exist yet")
                .or("runs/TASK-METHOD, numbered if taken"),
        ];
}
