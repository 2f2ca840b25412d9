//! How a model has chats.

use crate::error::{Blame, Result, refuse};
use crate::settings::Inputs;
use crate::watch::Watch;
use crate::words::count;
use std::path::Path;
use zograd_files::MAX_SMALL_BYTES;
use zograd_tasks::{ChatTemplate, Prompt, PromptEncoder, Task};

/// An encoder that makes texts of chats, if the task has any: by the template that was given, or the one of the model whose
/// tokenizer is in `folder`.
///
/// # Errors
/// A model without a template, one that cannot be read, or settings that do not go with chats, or with no chats.
pub fn with_template(
    encoder: PromptEncoder,
    task: &dyn Task,
    inputs: &Inputs,
    folder: &Path,
) -> Result<PromptEncoder> {
    let given = inputs.chat_template.as_deref();
    match (task.is_chat(), given, inputs.bos_id) {
        (false, Some(file), _) => refuse!(
            "`chat-template = {}`: task {} has no chats",
            file.display(),
            task.name()
        ),
        (false, None, _) => Ok(encoder),
        (true, _, Some(id)) => {
            refuse!("`bos-id = {id}`: the chat template says what begins a chat")
        }
        (true, _, None) => with_chat_template(encoder, given, folder),
    }
}

/// As [`with_template`], for a chat without a task.
///
/// # Errors
/// A model without a template, or one that cannot be read.
pub fn with_chat_template(
    encoder: PromptEncoder,
    given: Option<&Path>,
    folder: &Path,
) -> Result<PromptEncoder> {
    let known = zograd_models::tokenizer::chat(folder).about("`tokenizer`")?;
    let (place, text) = match given {
        Some(file) => {
            let place = format!("`chat-template = {}`", file.display());
            let text = zograd_files::read_text(file, MAX_SMALL_BYTES);
            (place.clone(), text.about(place)?)
        }
        None => match known.template {
            Some((file, text)) => (file.display().to_string(), text),
            None => refuse!(
                "{}: this model has no chat template (chat_template.jinja, or \"chat_template\" in tokenizer_config.json): \
                 give one in Jinja with `chat-template`, as a model for chats has it",
                folder.display()
            ),
        },
    };
    let mut tokens = known.tokens;
    let tokenizer = encoder.tokenizer();
    for (role, id) in [
        ("bos_token", encoder.bos_id()),
        ("eos_token", encoder.end_ids().first().copied()),
    ] {
        let is_known = tokens.iter().any(|(known, _)| known == role);
        let token = id
            .filter(|_| !is_known)
            .and_then(|id| tokenizer.id_to_token(id));
        tokens.extend(token.map(|token| (role.to_owned(), token)));
    }
    let template = ChatTemplate::new(&text, tokens).about(place)?;
    encoder.with_chat_template(template).or_input()
}

/// Says what of chats is learnt from, and what is not.
pub fn note_chats(prompts: &[Prompt], watch: &mut dyn Watch) {
    let answered = || {
        prompts
            .iter()
            .filter_map(|prompt| prompt.candidates.first())
    };
    let (read, scored): (usize, usize) = (
        answered().map(|candidate| candidate.ids.len()).sum(),
        answered().map(|candidate| candidate.scored()).sum(),
    );
    watch.note(&format!(
        "note: of {} in {} {scored} {} in the loss",
        count(read, "token"),
        count(prompts.len(), "chat"),
        match scored {
            1 => "is the assistant's and counts",
            _ => "are the assistant's and count",
        }
    ));
    let left_out: usize = prompts.iter().map(|prompt| prompt.left_out).sum();
    if left_out > 0 {
        watch.note(&format!(
            "note: {} of the assistant {} in no loss: the chat template writes them otherwise once the chat has gone on",
            count(left_out, "earlier turn"),
            if left_out == 1 { "counts" } else { "count" }
        ));
    }
}
