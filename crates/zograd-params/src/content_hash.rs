//! Which weights a model has, in one line.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use sha2::{Digest, Sha256};

use crate::path::ParameterPath;
use crate::pieces::pieces;

/// A hash of all float parameters of `module` as they are in memory: equal for equal names, shapes, types
/// and bits, however the files that they came from were named, split or compressed.
///
/// `sha256:` and the SHA-256, in hexadecimal, of the SHA-256 digests of the parameters in the order of
/// their names; a parameter's digest is that of its name, a zero byte, its type (`F32`), its dimensions
/// as 64-bit little-endian numbers, and its elements.
pub fn content_hash<B: Backend, M: Module<B>>(module: &M) -> String {
    content_hash_of(module, |_| true)
}

/// [`content_hash`] of the parameters whose name `include` accepts.
pub fn content_hash_of<B: Backend, M: Module<B>>(
    module: &M,
    include: impl Fn(&str) -> bool,
) -> String {
    let mut digests = Digests {
        include,
        path: ParameterPath::default(),
        parameters: Vec::new(),
    };
    module.visit(&mut digests);
    digests.parameters.sort();
    let mut all = Sha256::new();
    for (_, digest) in &digests.parameters {
        all.update(digest);
    }
    let hex: String = all.finalize().iter().map(|b| format!("{b:02x}")).collect();
    format!("sha256:{hex}")
}

struct Digests<F> {
    include: F,
    path: ParameterPath,
    parameters: Vec<(String, Vec<u8>)>,
}

impl<B: Backend, F: Fn(&str) -> bool> ModuleVisitor<B> for Digests<F> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.path.exit(container);
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let name = self.path.name();
        if !(self.include)(&name) {
            return;
        }
        let tensor = param.val();
        let mut digest = Sha256::new();
        digest.update(name.as_bytes());
        digest.update([0]);
        digest.update(format!("{:?}", tensor.dtype()));
        for dimension in tensor.dims() {
            digest.update((dimension as u64).to_le_bytes());
        }
        for piece in pieces(tensor) {
            digest.update(piece.as_bytes());
        }
        self.parameters.push((name, digest.finalize().to_vec()));
    }
}
