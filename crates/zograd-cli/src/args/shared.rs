//! Flags that several commands without files of settings have.

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use std::path::PathBuf;
use std::str::FromStr;
use zograd_runs::{BackendName, DeviceChoice, Inputs, Machine, STORAGES, Storage};
use zograd_select::Choice;

/// Parses one of these names.
fn named<T>(choices: &'static [Choice]) -> impl TypedValueParser<Value = T>
where
    T: FromStr + Clone + Send + Sync + 'static,
    T::Err: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let values = choices.iter();
    let parser = PossibleValuesParser::new(values.map(|c| PossibleValue::new(c.name).help(c.help)));
    parser.try_map(|name| name.parse::<T>())
}

/// Parses a backend.
fn backend() -> impl TypedValueParser<Value = BackendName> {
    named(BackendName::CHOICES)
}

/// Parses the way that weights are stored.
pub fn storage() -> impl TypedValueParser<Value = Storage> {
    named(STORAGES)
}

/// Which model.
#[derive(Args, Clone, Debug)]
pub struct ModelArgs {
    /// A Hugging Face model folder, a GGUF file, or a hub id such as facebook/opt-125m; for replay and merge the one that
    /// the run or the adapter began with [default: a tiny built-in OPT]
    #[arg(long, value_name = "DIR|ID", help_heading = "Input")]
    pub model: Option<String>,
    /// Tokenizer folder, if the model folder has none
    #[arg(long, value_name = "DIR", help_heading = "Input")]
    pub tokenizer: Option<PathBuf>,
}

impl ModelArgs {
    /// As settings.
    pub fn inputs(&self) -> Inputs {
        let mut inputs = Inputs::default();
        inputs.model.clone_from(&self.model);
        inputs.tokenizer.clone_from(&self.tokenizer);
        inputs
    }
}

/// Where to compute.
#[derive(Args, Clone, Debug)]
pub struct MachineArgs {
    /// Where to compute [default: ndarray]
    #[arg(long, value_parser = backend(), help_heading = "Run")]
    pub backend: Option<BackendName>,
    /// Which GPU, by its number; local-rank: each rank of a machine takes another one [default: 0]
    #[arg(long, value_name = "N|local-rank", help_heading = "Run")]
    pub device: Option<DeviceChoice>,
    /// CPU threads [default: all cores]
    #[arg(long, value_name = "N", help_heading = "Run")]
    pub threads: Option<usize>,
}

impl MachineArgs {
    /// As settings.
    pub fn machine(&self) -> Machine {
        let mut machine = Machine::default();
        machine.backend = self.backend;
        machine.device = self.device;
        machine.threads = self.threads;
        machine
    }
}
