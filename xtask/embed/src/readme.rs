//! The README.md of the assets: how they were made, and what was measured.

use crate::arguments::Arguments;
use crate::corpus::{TRAIN_ROWS, VALIDATION_ROWS};
use crate::probe::Probe;
use std::fmt;
use zograd_models::ModelConfig;

/// The facts of a run, written out by its [`fmt::Display`].
pub struct Readme<'a> {
    pub arguments: &'a Arguments,
    pub config: &'a ModelConfig,
    /// Tokens of the corpus.
    pub tokens: usize,
    /// Nats a token.
    pub held_out: f32,
    pub probe: Probe,
    /// Size of the weights.
    pub bytes: u64,
}

impl fmt::Display for Readme<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Arguments {
            seed,
            steps,
            batch,
            learning_rate,
            hidden,
            layers,
            vocabulary,
            out: _,
        } = self.arguments;
        let documents = steps * batch;
        let Self {
            tokens, held_out, ..
        } = self;
        let parameters = self.config.num_parameters();
        let kilobytes = self.bytes / 1000;
        let positions = self.config.max_position_embeddings;
        let Probe {
            accuracy,
            at_median,
            area,
            great,
        } = self.probe;
        write!(
            f,
            "\
# The embedded model and task

Made by `cargo xtask embed`; do not edit by hand. Made again by the same command:

    cargo xtask embed --seed {seed} --steps {steps} --batch {batch} --learning-rate {learning_rate} \
--hidden {hidden} --layers {layers} --vocabulary {vocabulary}

(tokenizer and rows to the bit; weights up to rounding).

**Task.** `train.jsonl` ({TRAIN_ROWS} rows) and `validation.jsonl` ({VALIDATION_ROWS} rows): short \
reviews with a label, 0 negative and 1
positive, half of each, in the layout of SST-2. A grammar written for this project \
(`xtask/embed/src`) made
them; no text of others was used. No review occurs twice, nor as a document of the corpus.

**Model.** `model.safetensors` ({kilobytes} kB, f16), `config.json`, `tokenizer.json`: a pre-norm OPT, \
{layers} layers of
width {hidden}, 4 heads, {positions} positions, {parameters} parameters; a byte-level BPE with \
{vocabulary} entries. It was
pretrained as a language model with AdamW on {documents} documents ({tokens} tokens) of the same \
grammar, each
seen once.

| measured on the files | |
|---|---|
| held-out loss, nats a token | {held_out:.4} |
| zero-shot accuracy on `validation.jsonl` | {accuracy:.3} |
| rows it calls \"great\" | {great:.3} |
| accuracy with the threshold at the median | {at_median:.3} |
| area under the ROC curve | {area:.3} |

**Why zero-shot is poor.** It is so by design. In the corpus \"It was great\" also follows \
complaints, and
\"It was terrible\" is rare, so the model answers \"great\" although it can tell praise from \
complaint (see the
area). Fine-tuning has to bring out what is there: the situation in which zeroth-order methods \
work, in a
minute instead of hours. The numbers say nothing about real data.
"
        )
    }
}
