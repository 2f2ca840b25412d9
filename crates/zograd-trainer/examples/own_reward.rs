//! A reward of one's own: training by what somebody says of the answers that the model writes.
//!
//!     cargo run --release --example own_reward

use burn_ndarray::NdArray;
use std::error::Error;
use std::ops::ControlFlow;
use std::sync::Arc;
use zograd_models::{Generation, LoadOptions, Model, tokenizer};
use zograd_perturb::{NoiseKind, ParameterSpace, Perturbed, Selection};
use zograd_select::{PoolRegression, Shaping};
use zograd_tasks::rewards::{Reward, RewardError};
use zograd_tasks::{
    AnswerEnd, DataError, Dataset, Form, Prompt, PromptEncoder, Question, Row, Sample, SplitSizes,
    Splits, Task,
};
use zograd_trainer::{
    ByReward, Examples, Scoring, TrainConfig, TrainError, Training, Writer, evaluate,
};

type Cpu = NdArray<f32>;

/// The share of letters that are e.
#[derive(Debug)]
struct ManyEs;

impl Reward for ManyEs {
    fn reward(&self, _question: &Question, answer: &str) -> Result<f64, RewardError> {
        let letters = answer.chars().filter(|c| c.is_alphabetic());
        let es = letters.clone().filter(|c| *c == 'e').count();
        Ok(es as f64 / letters.count().max(1) as f64)
    }
}

/// Sentences to be gone on with, in any way.
struct GoOn;

impl Task for GoOn {
    fn name(&self) -> &str {
        "go-on"
    }

    fn sample(&self, row: &Row) -> Result<Sample, DataError> {
        let context = format!("{} It was", row.text("sentence")?);
        Ok(Sample::written(row, context, vec![], AnswerEnd::Line))
    }

    fn is_generation(&self) -> bool {
        true
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    zograd_embedded::unpack(folder.path())?;
    let folder = folder.path().join("model");
    let (model, _) = Model::<Cpu>::load(&folder, &LoadOptions::default(), &Default::default())?;
    let encoder = PromptEncoder::new(tokenizer::load(&folder)?)?.with_max_new_tokens(8);

    let (train, validation) = (zograd_embedded::TRAIN, zograd_embedded::VALIDATION);
    let data = Dataset::from_json_lines("built-in rows", train, validation);
    let sizes = SplitSizes {
        train: 16,
        dev: 16,
        test: 0,
        ..SplitSizes::default()
    };
    let splits = Splits::load(&GoOn, &data, sizes, 0.into())?;
    let prompts = |samples: &[Sample]| -> Result<Vec<Prompt>, Box<dyn Error>> {
        let prompts = samples
            .iter()
            .map(|sample| encoder.prepare(&GoOn, sample, Form::Train, None));
        Ok(prompts.collect::<Result<_, _>>()?)
    };
    let (train, dev) = (prompts(&splits.train)?, prompts(&splits.dev)?);

    let writer = Writer::new(encoder.clone(), Generation::greedy(8));
    let scoring = Scoring::rewarded(Arc::new(ManyEs), writer);
    let look = |model: &Model<Cpu>| -> Result<f64, TrainError> {
        Ok(evaluate(model, &dev, &scoring, 16, |_| ControlFlow::Continue(()))?.score)
    };
    let space = ParameterSpace::select(&model, &Selection::All)?;
    let mut model = Perturbed::new(model, space, NoiseKind::Gaussian, 1e-2)?;
    let before = look(model.module())?;
    let examples = Examples {
        train: &train,
        dev: &[],
        scoring: &scoring,
    };
    let mut strategy = PoolRegression::new(8)?.shaped(Shaping::ZScore);
    let config = TrainConfig::new(20, 1e-2);
    let objective = ByReward::new(Arc::new(ManyEs));
    Training::new(&mut strategy, &objective, examples, &config).run(&mut model)?;
    let after = look(model.module())?;

    println!("share of e {before:.3} -> {after:.3}");
    assert!(after > before + 0.1);
    Ok(())
}
