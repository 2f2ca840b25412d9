//! `zograd man`: manual pages.

use crate::args::{ManArgs, command};
use crate::output::{answer, say};
use anyhow::{Context, Result};
use clap_mangen::Man;
use std::process::ExitCode;
use zograd_runs::Blame;

/// Prints the page of the command, or writes those of all its subcommands into a folder.
///
/// # Errors
/// Nobody to write to, or a file that cannot be written.
pub fn run(args: &ManArgs) -> Result<ExitCode> {
    let command = command().disable_help_subcommand(true);
    match &args.out {
        None => {
            let mut page = Vec::new();
            let rendered = Man::new(command).render(&mut page);
            rendered.context("a manual page")?;
            answer(String::from_utf8(page)?.trim_end())?;
        }
        Some(folder) => {
            std::fs::create_dir_all(folder).about_file(folder)?;
            clap_mangen::generate_to(command, folder).on_output(folder)?;
            say(format_args!(
                "wrote the manual pages into {}",
                folder.display()
            ));
        }
    }
    Ok(ExitCode::SUCCESS)
}
