//! Flags of `zograd prompts`.

use super::settings::{Flags, HasSettings};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use zograd_runs::{Columns, Keys, Owner, SplitName};
use zograd_select::{Choice, Setting};

/// `zograd prompts`
#[derive(Clone, Debug)]
pub enum Prompts {}

impl HasSettings for Prompts {
    fn keys() -> Keys {
        Keys::default().and::<PromptOptions>().and::<Columns>()
    }
}

/// Its flags.
pub type PromptsArgs = Flags<Prompts>;

/// A form of a prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FormName {
    Train,
    #[default]
    ZeroShot,
    Icl,
    Sfc,
    IclSfc,
}

const FORMS: &[Choice] = &[
    Choice {
        name: "train",
        help: "As trained on: with the gold answer in generation tasks",
    },
    Choice {
        name: "zero-shot",
        help: "The question alone",
    },
    Choice {
        name: "icl",
        help: "After demonstrations (in-context learning)",
    },
    Choice {
        name: "sfc",
        help: "Without the input, for surface-form-competition calibration",
    },
    Choice {
        name: "icl-sfc",
        help: "Without the input, after demonstrations",
    },
];

/// Which prompts to show.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct PromptOptions {
    pub task: Option<String>,
    pub data: Option<PathBuf>,
    pub tokenizer: Option<PathBuf>,
    pub chat_template: Option<PathBuf>,
    pub rows: Option<SplitName>,
    pub offset: Option<usize>,
    pub limit: Option<usize>,
    pub form: FormName,
    pub shots: Option<usize>,
    pub max_length: Option<usize>,
    pub bos_id: Option<u32>,
}

impl Owner for PromptOptions {
    const NAME: &'static str = "prompts";
    const HEADING: &'static str = "Options";
    const SETTINGS: &'static [Setting] = &[
        Setting::text(
            "task",
            "NAME",
            "The task, such as sst2 or chat, or the TOML file of your own",
        ),
        Setting::path(
            "data",
            "PATH",
            "The rows: a CSV, TSV, JSON, JSONL or Parquet file, a folder with train and validation files, or - for the \
             standard input",
        ),
        Setting::path(
            "tokenizer",
            "DIR",
            "Folder with tokenizer.json, or vocab.json and merges.txt; that of a run has its model's, and embedded the \
             built-in model's",
        ),
        Setting::path(
            "chat-template",
            "FILE",
            "File with the template that makes one text of a chat, in Jinja",
        )
        .or("the one in the folder of the tokenizer"),
        Setting::choice("rows", "SPLIT", "Which rows", SplitName::CHOICES).or("validation"),
        Setting::count("offset", "N", "First row to show").or("0"),
        Setting::count("limit", "N", "How many rows to show").or("5"),
        Setting::choice("form", "FORM", "Which form of the prompts", FORMS).or("zero-shot"),
        Setting::count(
            "shots",
            "N",
            "Demonstrations of the icl forms: the first N train rows",
        )
        .or("2"),
        Setting::count(
            "max-length",
            "N",
            "Longest prompt in tokens, cut from the left",
        )
        .or("2048"),
        Setting::count("bos-id", "ID", "Token id that begins every prompt")
            .or("the tokenizer's; MeZO's code uses 0"),
    ];
}
