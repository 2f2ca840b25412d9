use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};

/// A set of vector instructions that passes on the CPU are made with. None changes a bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Instructions {
    /// What every processor has that the program was compiled for. On 64-bit ARM that is NEON.
    Baseline,
    /// AVX2 and FMA, of x86-64.
    Avx2,
    /// AVX-512 F, BW, DQ and VL, of x86-64.
    Avx512,
}

/// The widest set that may be used, as its place in [`Instructions::ALL`].
static WIDEST: AtomicU8 = AtomicU8::new(u8::MAX);

impl Instructions {
    const ALL: [Self; 3] = [Self::Baseline, Self::Avx2, Self::Avx512];

    /// Those that this machine has, the widest last.
    pub fn available() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|set| set.is_here())
    }

    /// Those that are used: the widest of this machine, or what [`Self::use_at_most`] has left.
    pub fn in_use() -> Self {
        let widest = usize::from(WIDEST.load(Ordering::Relaxed));
        let mut allowed = Self::ALL.into_iter().take(widest.saturating_add(1));
        let last = allowed.rfind(|set| set.is_here());
        last.unwrap_or(Self::Baseline)
    }

    /// From now on this process uses no wider ones: what a machine without them would show.
    pub fn use_at_most(self) {
        let place = Self::ALL.iter().position(|set| *set == self);
        WIDEST.store(
            place.map_or(u8::MAX, |place| place as u8),
            Ordering::Relaxed,
        );
    }

    /// Whether this machine has them. (The standard library remembers the answer.)
    fn is_here(self) -> bool {
        match self {
            Self::Baseline => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                Self::Avx2.is_here()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
            }
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 => false,
        }
    }
}

impl fmt::Display for Instructions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Baseline if cfg!(target_arch = "aarch64") => "NEON",
            Self::Baseline => "baseline",
            Self::Avx2 => "AVX2",
            Self::Avx512 => "AVX-512",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Instructions;

    /// No other test may ask which are in use: this one changes it for the process, and no bits with it.
    #[test]
    fn wider_ones_can_be_left_out() {
        let widest = Instructions::available().last();
        assert_eq!(Some(Instructions::in_use()), widest);
        for set in Instructions::available() {
            set.use_at_most();
            assert_eq!(Instructions::in_use(), set);
        }
        // more than there are is all there are
        Instructions::Avx512.use_at_most();
        assert_eq!(Some(Instructions::in_use()), widest);
    }
}
