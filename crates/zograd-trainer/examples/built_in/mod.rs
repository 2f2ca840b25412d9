//! The model and the task that ship with zograd.

use burn_ndarray::NdArray;
use std::error::Error;
use zograd_models::{LoadOptions, Model, tokenizer};
use zograd_tasks::{Dataset, Form, Prompt, PromptEncoder, Sample, SplitSizes, Splits, tasks};

pub type Cpu = NdArray<f32>;

/// The model, and prompts for the rows of its task.
pub struct BuiltIn {
    pub model: Model<Cpu>,
    pub train: Vec<Prompt>,
    pub dev: Vec<Prompt>,
}

impl BuiltIn {
    pub fn load() -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        zograd_embedded::unpack(folder.path())?;
        let folder = folder.path().join("model");
        let (model, _) = Model::<Cpu>::load(&folder, &LoadOptions::default(), &Default::default())?;
        let encoder = PromptEncoder::new(tokenizer::load(&folder)?)?;

        let task = tasks::by_name("toy")?;
        let (train, validation) = (zograd_embedded::TRAIN, zograd_embedded::VALIDATION);
        let data = Dataset::from_json_lines("built-in rows", train, validation);
        let sizes = SplitSizes {
            train: 200,
            dev: 100,
            test: 0,
            demonstrations: 0,
            ..SplitSizes::default()
        };
        let splits = Splits::load(task, &data, sizes, 0.into())?;
        let prompts = |samples: &[Sample]| -> Result<Vec<Prompt>, Box<dyn Error>> {
            let prompts = samples
                .iter()
                .map(|sample| encoder.encode(task, sample, Form::Train));
            Ok(prompts.collect::<Result<_, _>>()?)
        };
        Ok(Self {
            model,
            train: prompts(&splits.train)?,
            dev: prompts(&splits.dev)?,
        })
    }
}
