//! What rewards have to know of rows.

use crate::error::{Blame, Result, RunError};
use zograd_tasks::rewards::Reward;
use zograd_tasks::{Dataset, Prompt, Split};

/// Puts the fields of the rows beside the questions, and refuses rows that the reward cannot judge answers to.
///
/// # Errors
/// The first of them, with its place; rows that cannot be read again.
pub fn give_fields(
    prompts: &mut [Prompt],
    (data, split): (&Dataset, Split),
    reward: &dyn Reward,
) -> Result<()> {
    let mut numbers: Vec<usize> = prompts.iter().map(|prompt| prompt.row).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let rows = data.rows(split, &numbers).or_input()?;
    for prompt in prompts {
        let row = numbers.binary_search(&prompt.row).ok();
        let (Some(question), Some(row)) = (&mut prompt.question, row.and_then(|at| rows.get(at)))
        else {
            continue;
        };
        question.fields = Some(row.fields().clone());
        reward
            .check(question)
            .about("`reward`")
            .map_err(|error| error.within(row.location()))?;
    }
    Ok(())
}

/// Asks for the reward of an answer, a right one if there is one: whether there is anybody to tell it shows before anything
/// is written.
///
/// # Errors
/// Nobody tells it, or not a finite number.
pub fn try_out(reward: &dyn Reward, prompts: &[Prompt]) -> Result<()> {
    let Some(question) = prompts.iter().find_map(|prompt| prompt.question.as_ref()) else {
        return Ok(());
    };
    let answer = question.answers.first().map_or("", String::as_str);
    let found = reward.reward(question, answer);
    match found.about("`reward-command`")? {
        found if found.is_finite() => Ok(()),
        found => Err(RunError::input(format!(
            "`reward-command`: it says {found} of the first right answer, which is no finite number"
        ))),
    }
}
