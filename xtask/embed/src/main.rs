//! Makes the files of `crates/zograd-embedded/assets` from a seed: `cargo xtask embed`.
//!
//! A grammar writes reviews ([`grammar`]), reviews become a corpus and a fine-tuning task
//! ([`corpus`]), the corpus trains a tokenizer ([`tokenizer`]) and a small OPT ([`pretrain`]), and
//! [`probe`] tells what that model knows of the task without tuning. Nothing is downloaded and no
//! text of others is used. [`make`] does one after the other.

mod arguments;
mod assets;
mod corpus;
mod grammar;
mod lexicon;
mod make;
mod pretrain;
mod probe;
mod random;
mod readme;
mod tokenizer;

use clap::Parser;

fn main() -> anyhow::Result<()> {
    make::run(&arguments::Arguments::parse())
}
