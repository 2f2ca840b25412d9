//! `zograd generate`: what a model writes after a text.

use crate::args::GenerateArgs;
use crate::console::Console;
use crate::output::{answer, harmless, say};
use crate::threads::set_threads;
use serde::Serialize;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use zograd_models::{Continuation, Decoding, Finish, Generation, ModelConfig, Sampling};
use zograd_perturb::Seed;
use zograd_runs::inputs::{self, ModelSource};
use zograd_runs::words::count;
use zograd_runs::{
    Blame, Given, Job, Result, RunBackend, RunError, Storage, dispatch, with_threads,
};
use zograd_tasks::{Chat, PromptEncoder};

/// The longest text that is read from a file or the standard input: longer than any model reads.
const MAX_TEXT_BYTES: u64 = 64 << 20;

/// Continues one text or several.
///
/// # Errors
/// Wrong input, or the output is closed.
pub fn run(args: &GenerateArgs) -> anyhow::Result<ExitCode> {
    let mut machine = args.machine.machine();
    machine.dtype = args.dtype;
    let machine = machine.complete()?;
    set_threads(machine.threads)?;
    let known = known(args)?;
    let mut named = args.model.inputs();
    named.model = known.text("model").map(str::to_owned);
    let source = ModelSource::find(&named, &mut Console::default())?;
    let config = ModelConfig::from_folder(&source.folder).about("`model`")?;
    let positions = config.max_position_embeddings;
    let mut encoder = inputs::encoder(&source.tokenizer, args.bos_id, positions)?
        .with_end_ids(&config.eos_token_ids);
    if args.chat {
        let given = known.text("chat-template").map(Path::new);
        encoder = inputs::with_chat_template(encoder, given, &source.tokenizer)?;
    }
    let generation = Generation {
        max_new_tokens: args
            .max_new_tokens
            .unwrap_or(PromptEncoder::DEFAULT_MAX_NEW_TOKENS),
        stop: stop_ids(&args.stop, &encoder, &config)?,
        decoding: decoding(args),
    };
    if generation.max_new_tokens == 0 {
        return Err(RunError::input("`max-new-tokens = 0`: use at least 1").into());
    }
    generation.check().or_input()?;
    let texts = texts(args)?;
    let encode = |text: &String| match args.chat {
        true => encoder
            .encode_chat(&Chat::asked(args.system.as_deref(), text))
            .or_input(),
        false => encoder.encode_text(text).or_input(),
    };
    let prompts: Vec<Vec<u32>> = texts.iter().map(encode).collect::<Result<_>>()?;
    for ids in &prompts {
        check_prompt(ids, &config)?;
    }
    let named = known.text("adapter").map(PathBuf::from);
    let adapter = source.adapter(named, &mut Console::default());
    if let Some(folder) = &adapter {
        inputs::check_adapter_folder(folder, &config)?;
    }
    let job = GenerateJob {
        folder: &source.folder,
        adapter: adapter.as_deref(),
        storage: machine.storage(),
        prompts: &prompts,
        generation: &generation,
        encoder: &encoder,
        streams: prompts.len() == 1 && !args.json && std::io::stdout().is_terminal(),
    };
    let streams = job.streams;
    let written = with_threads(machine.threads, || dispatch(&machine, job))?;
    for (prompt, continuation) in texts.iter().zip(&written) {
        let text = encoder.text(&continuation.ids)?;
        if args.json {
            answer(serde_json::to_string(&Report {
                prompt,
                text: &text,
                ids: &continuation.ids,
                finish: continuation.finish,
            })?)?;
        } else if !streams {
            answer(&text)?;
        }
        note_finish(continuation, positions);
    }
    Ok(ExitCode::SUCCESS)
}

/// Model, adapter and chat template: those that were given, and what the folder of a run says of itself.
fn known(args: &GenerateArgs) -> Result<Given> {
    let text = |key: &str, path: &Option<PathBuf>| match path.as_deref().map(Path::to_str) {
        Some(None) => Err(RunError::input(format!("`{key}`: the path is no UTF-8"))),
        text => Ok(text.flatten().map(str::to_owned)),
    };
    let given = Given::new()
        .with_some("model", args.model.model.clone())
        .with_some("adapter", text("adapter", &args.adapter)?)
        .with_some("chat-template", text("chat-template", &args.chat_template)?);
    inputs::with_known(given)
}

/// One prompt in JSON.
#[derive(Serialize)]
struct Report<'a> {
    prompt: &'a str,
    /// What the model wrote, without special tokens.
    text: &'a str,
    ids: &'a [u32],
    finish: Finish,
}

fn decoding(args: &GenerateArgs) -> Decoding {
    if let Some(beams) = args.beams {
        return Decoding::Beams(beams);
    }
    let draws = args.top_k.is_some() || args.top_p.is_some() || args.seed.is_some();
    match args.temperature {
        // what everybody means by it
        Some(0.0) => Decoding::Greedy,
        None if !draws => Decoding::Greedy,
        temperature => Decoding::Sampling(Sampling {
            temperature: temperature.unwrap_or(1.0),
            top_k: args.top_k,
            top_p: args.top_p,
            ..Sampling::new(Seed::new(args.seed.unwrap_or(0)))
        }),
    }
}

/// The tokens of the texts to stop at, and the end-of-text token.
fn stop_ids(texts: &[String], encoder: &PromptEncoder, config: &ModelConfig) -> Result<Vec<u32>> {
    let mut stop = config.eos_token_ids.clone();
    stop.extend(encoder.turn_end());
    for text in texts {
        let plain = text.replace("\\n", "\n").replace("\\t", "\t");
        let bos = usize::from(encoder.bos_id().is_some());
        match encoder.encode_text(&plain).or_input()?[bos..] {
            [id] => stop.push(id),
            ref ids => {
                return Err(RunError::input(format!(
                    "`stop = {text:?}`: this is {} tokens with this tokenizer; give a text of one token",
                    ids.len()
                )));
            }
        }
    }
    Ok(stop)
}

/// The texts to continue.
fn texts(args: &GenerateArgs) -> Result<Vec<String>> {
    if !args.prompt.is_empty() {
        return Ok(args.prompt.clone());
    }
    let text = match &args.file {
        Some(path) => {
            let read = zograd_files::read_text(path, MAX_TEXT_BYTES);
            read.about(format!("`file = {}`", path.display()))?
        }
        None => {
            if std::io::stdin().is_terminal() {
                return Err(RunError::input(
                    "give a text with `prompt` or `file`, or on the standard input",
                ));
            }
            let read = zograd_files::read_text_of(std::io::stdin().lock(), MAX_TEXT_BYTES);
            read.about("the standard input")?
        }
    };
    // the line break that ends a text file is not the author's
    Ok(vec![text.strip_suffix('\n').unwrap_or(&text).to_owned()])
}

fn check_prompt(ids: &[u32], config: &ModelConfig) -> Result<()> {
    let (length, positions) = (ids.len(), config.max_position_embeddings);
    if ids.is_empty() {
        return Err(RunError::input(
            "the prompt is empty, and the tokenizer puts no token in front; give a text, or `bos-id`",
        ));
    }
    if length > positions {
        return Err(RunError::input(format!(
            "the prompt has {}, the model {}; shorten it",
            count(length, "token"),
            count(positions, "position")
        )));
    }
    let largest = ids.iter().max().copied().unwrap_or(0);
    if largest as usize >= config.vocab_size {
        return Err(RunError::input(format!(
            "the tokenizer gives token id {largest}, but the model's vocabulary has {} entries; use the \
             tokenizer the model was trained with (`tokenizer`, `bos-id`)",
            config.vocab_size
        )));
    }
    Ok(())
}

/// Says so if a continuation ended where nobody wanted it to.
fn note_finish(continuation: &Continuation, positions: usize) {
    let n = continuation.ids.len();
    match continuation.finish {
        Finish::Positions => say(format_args!(
            "note: ended after {}, because the model has {}",
            count(n, "token"),
            count(positions, "position")
        )),
        Finish::NonFinite => say(format_args!(
            "note: ended after {}, because the model's logits are not finite",
            count(n, "token")
        )),
        // as was asked for
        _ => {}
    }
}

struct GenerateJob<'a> {
    folder: &'a Path,
    /// The adapter that was given, or the one beside the weights.
    adapter: Option<&'a Path>,
    storage: Storage,
    prompts: &'a [Vec<u32>],
    generation: &'a Generation,
    encoder: &'a PromptEncoder,
    /// Whether to print tokens as they come.
    streams: bool,
}

impl Job for GenerateJob<'_> {
    type Output = Vec<Continuation>;

    fn run<B: RunBackend>(self, device: &B::Device) -> Result<Vec<Continuation>> {
        let base = inputs::load::<B>(self.folder, self.storage, device).about("`model`")?;
        let model = match self.adapter {
            Some(folder) => inputs::attach(base, folder, self.storage, &mut Console::default())?,
            None => base,
        };
        let prompts: Vec<&[u32]> = self.prompts.iter().map(Vec::as_slice).collect();
        let mut stream = Stream::new(self.encoder);
        let written = model.generate_with(&prompts, self.generation, |_, id| {
            if self.streams {
                stream.push(id);
            }
        });
        if self.streams {
            stream.finish();
        }
        written.or_input()
    }
}

/// Prints text as its tokens come. Several tokens can make one character, so a broken one waits.
struct Stream<'a> {
    encoder: &'a PromptEncoder,
    ids: Vec<u32>,
    printed: usize,
}

impl<'a> Stream<'a> {
    fn new(encoder: &'a PromptEncoder) -> Self {
        Self {
            encoder,
            ids: Vec::new(),
            printed: 0,
        }
    }

    fn push(&mut self, id: u32) {
        self.ids.push(id);
        self.print(false);
    }

    fn finish(&mut self) {
        self.print(true);
        // whether anybody reads it is known when the process ends
        let _ = writeln!(std::io::stdout());
    }

    fn print(&mut self, all: bool) {
        let Ok(text) = self.encoder.text(&self.ids) else {
            return;
        };
        if !all && text.ends_with(char::REPLACEMENT_CHARACTER) {
            return;
        }
        if let Some(new) = text.get(self.printed..) {
            let mut out = std::io::stdout();
            let _ = write!(out, "{}", harmless(new)).and_then(|()| out.flush());
            self.printed = text.len();
        }
    }
}
