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

/// 1 for an answer whose first word is right, whatever comes after it.
#[derive(Debug)]
struct FirstWord;

impl Reward for FirstWord {
    fn reward(&self, question: &Question, answer: &str) -> Result<f64, RewardError> {
        let first = answer.split_whitespace().next();
        let is_right = question.answers.iter().any(|right| first == Some(right));
        Ok(f64::from(u8::from(is_right)))
    }

    fn needs_right_answers(&self) -> bool {
        true
    }
}

/// What a film was, in the model's own words.
struct Verdict;

impl Task for Verdict {
    fn name(&self) -> &str {
        "verdict"
    }

    fn sample(&self, row: &Row) -> Result<Sample, DataError> {
        let context = format!("{} It was", row.text("sentence")?);
        let word = ["terrible", "great"][row.label("label", 2)?];
        let answers = vec![word.to_owned()];
        Ok(Sample::written(row, context, answers, AnswerEnd::Line))
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
    let encoder = PromptEncoder::new(tokenizer::load(&folder)?)?.with_max_new_tokens(2);

    let (train, validation) = (zograd_embedded::TRAIN, zograd_embedded::VALIDATION);
    let data = Dataset::from_json_lines("built-in rows", train, validation);
    let sizes = SplitSizes {
        train: 200,
        dev: 100,
        test: 0,
        ..SplitSizes::default()
    };
    let splits = Splits::load(&Verdict, &data, sizes, 0.into())?;
    let prompts = |samples: &[Sample]| -> Result<Vec<Prompt>, Box<dyn Error>> {
        let prompts = samples
            .iter()
            .map(|sample| encoder.prepare(&Verdict, sample, Form::Train, None));
        Ok(prompts.collect::<Result<_, _>>()?)
    };
    let (train, dev) = (prompts(&splits.train)?, prompts(&splits.dev)?);

    let writer = Writer::new(encoder.clone(), Generation::greedy(2));
    let scoring = Scoring::rewarded(Arc::new(FirstWord), writer);
    let look = |model: &Model<Cpu>| -> Result<f64, TrainError> {
        Ok(evaluate(model, &dev, &scoring, 50, |_| ControlFlow::Continue(()))?.score)
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
    let mut config = TrainConfig::new(30, 5e-3);
    config.batch_size = 32;
    let objective = ByReward::new(Arc::new(FirstWord));
    Training::new(&mut strategy, &objective, examples, &config).run(&mut model)?;
    let after = look(model.module())?;

    println!("right first words {before:.2} -> {after:.2}");
    assert!(after > before + 0.2);
    Ok(())
}
