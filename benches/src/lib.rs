//! Criterion benchmarks of zograd, one file a topic in `benches/`. Run them with
//! `cargo xtask bench [noise|forward|step|all]`.
//!
//! Speeds of a machine drift between hours: compare only numbers of one run.
