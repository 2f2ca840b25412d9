//! The life of a run, from outside. (`hostile` is a program of its own: it counts what the process allocates.)

mod folder;
mod library;
mod ranks;
mod recipe;
mod settings;
mod summary;
mod support;
mod sweep;
