//! Loops in plain Rust that the compiler makes vectors of, compiled for each kind of instructions there is.

use super::Instructions;

/// A loop over plain numbers. `run` is marked `#[inline(always)]`, so that it is compiled where it is called. It rounds
/// where it says so (`mul_add`), whatever the instructions.
pub(crate) trait Loop {
    /// Does the work.
    fn run(self);
}

/// Runs it with these instructions.
pub(crate) fn compiled(work: impl Loop, instructions: Instructions) {
    match instructions {
        // SAFETY: an `Instructions` names what this machine has.
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx2 => unsafe { compiled_avx2(work) },
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx512 => unsafe { compiled_avx512(work) },
        _ => work.run(),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn compiled_avx2(work: impl Loop) {
    work.run();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
unsafe fn compiled_avx512(work: impl Loop) {
    work.run();
}
