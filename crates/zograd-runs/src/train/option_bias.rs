//! The biases of options as part of the weights: so that whoever loads them gets the predictions of the run.

use crate::backend::RunBackend;
use zograd_models::Model;
use zograd_tasks::Prompt;

/// The tokens of the options, if every option of every prompt is one token after the words that its prompt has for all of
/// them, and if the prompts have the same: then a bias of an option is a shift of a token's logit.
pub(crate) fn option_tokens(prompts: &[Prompt]) -> Option<Vec<u32>> {
    let of = |prompt: &Prompt| {
        let (first, _) = prompt
            .candidates
            .first()?
            .ids
            .split_last()
            .map(|(l, c)| (c, l))?;
        let token = |ids: &[u32]| match ids.split_last() {
            Some((token, context)) if context == first => Some(*token),
            _ => None,
        };
        let candidates = prompt.candidates.iter();
        let tokens = candidates.map(|candidate| match candidate.option_len {
            1 => token(&candidate.ids),
            _ => None,
        });
        tokens.collect::<Option<Vec<u32>>>()
    };
    let tokens = of(prompts.first()?)?;
    let mut distinct = tokens.clone();
    distinct.sort_unstable();
    distinct.dedup();
    let alike = prompts
        .iter()
        .all(|prompt| of(prompt).as_ref() == Some(&tokens));
    (alike && distinct.len() == tokens.len()).then_some(tokens)
}

/// What is kept of a model whose options have biases.
pub(crate) struct Kept<B: RunBackend> {
    /// The weights, with the biases where they have a place for them.
    pub(crate) model: Model<B>,
    /// By how much that moved which token's logit.
    pub(crate) shift: Vec<(u32, f64)>,
    /// The biases, where they are to be kept beside the weights.
    pub(crate) beside: Vec<f64>,
}

impl<B: RunBackend> Kept<B> {
    /// `model`, whose options have these biases, or none; `tokens` are what [`option_tokens`] says of them.
    ///
    /// The place is the bias of the norm right before the head, in weights that are kept whole: an adapter alone has none.
    pub(crate) fn of(model: &Model<B>, tokens: Option<&[u32]>, biases: &[f64]) -> Self {
        let shift = shift_of(tokens, biases);
        match shifted(model, &shift) {
            Some(model) if !shift.is_empty() => Self {
                model,
                shift,
                beside: Vec::new(),
            },
            _ => Self {
                model: model.clone(),
                shift: Vec::new(),
                beside: biases.to_vec(),
            },
        }
    }
}

/// By how much these biases move which token's logit.
pub(crate) fn shift_of(tokens: Option<&[u32]>, biases: &[f64]) -> Vec<(u32, f64)> {
    let tokens = tokens.filter(|tokens| tokens.len() == biases.len());
    let tokens = tokens.unwrap_or_default().iter().copied();
    tokens.zip(biases.iter().copied()).collect()
}

/// `model` with a shift of tokens' logits as part of its weights, if these have a place for it.
pub(crate) fn shifted<B: RunBackend>(model: &Model<B>, shift: &[(u32, f64)]) -> Option<Model<B>> {
    match model.adapter() {
        Some(_) => None,
        None => model.clone().with_logits_moved(shift),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zograd_tasks::EncodedCandidate;

    fn prompt(options: &[(&[u32], usize)]) -> Prompt {
        let candidate = |(ids, option_len): &(&[u32], usize)| EncodedCandidate {
            ids: ids.to_vec(),
            option_len: *option_len,
            truncated: 0,
            gaps: vec![],
        };
        Prompt {
            candidates: options.iter().map(candidate).collect(),
            correct: vec![0],
            ..Prompt::default()
        }
    }

    #[test]
    fn options_of_one_token_that_all_rows_share_are_tokens() {
        let yes_no = |context: u32| prompt(&[(&[2, context, 7], 1), (&[2, context, 8], 1)]);
        assert_eq!(option_tokens(&[yes_no(4), yes_no(5)]), Some(vec![7, 8]));
        for other in [
            prompt(&[(&[2, 4, 8], 1), (&[2, 4, 7], 1)]),
            prompt(&[(&[2, 4, 7], 1), (&[2, 5, 8], 1)]),
            prompt(&[(&[2, 4, 7], 2), (&[2, 4, 8], 1)]),
            prompt(&[(&[2, 4, 7], 1)]),
        ] {
            assert_eq!(option_tokens(&[yes_no(4), other]), None);
        }
        let twice = prompt(&[(&[2, 4, 7], 1), (&[2, 4, 7], 1)]);
        assert_eq!(option_tokens(&[twice]), None);
        assert_eq!(option_tokens(&[]), None);
        assert_eq!(shift_of(Some(&[7, 8]), &[0.5, -0.5]), [(7, 0.5), (8, -0.5)]);
        assert!(shift_of(Some(&[7, 8]), &[]).is_empty());
        assert!(shift_of(None, &[0.5]).is_empty());
    }
}
