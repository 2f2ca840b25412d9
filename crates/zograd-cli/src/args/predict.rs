//! Flags of `zograd predict`.

use super::settings::{Flags, HasSettings};
use clap::Args;
use zograd_runs::{Keys, Runs};

/// `zograd predict`
#[derive(Clone, Debug)]
pub enum Predict {}

impl HasSettings for Predict {
    fn keys() -> Keys {
        Runs::prediction_keys()
    }
}

/// Its flags.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  zograd predict --model runs/reviews-mezo --data new.csv --out labelled.csv    a run knows its task and columns
  zograd predict --model DIR --data new.csv --text review --verbalizer neg=terrible,pos=great --out out.parquet
  zograd predict --model DIR --data faq.jsonl --prompt question --out answers.jsonl    texts instead of classes
  cat new.csv | zograd predict --model runs/reviews-mezo --data - --out - | head

An interrupted command is gone on with by the same command: it checks that FILE.unfinished belongs to the same rows and model.")]
pub struct PredictArgs {
    #[command(flatten)]
    pub flags: Flags<Predict>,
}
