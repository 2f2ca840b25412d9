//! What the crate promises, from outside. (`hostile` is a program of its own: it counts what the process allocates.)

mod checkpoint;
mod folder;
mod gguf;
mod views;
