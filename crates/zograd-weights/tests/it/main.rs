//! What the crate promises, from outside. (`hostile` is a program of its own: it counts what the process allocates.)

mod folder;
mod gguf;
mod views;
mod weight_folder;
