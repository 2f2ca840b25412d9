//! What the measurements should reach, and what they do.

use super::machine::Machine;
use super::record::Results;
use super::spread::Spread;
use super::{families, generate, memory, noise};
use std::fmt::Write;

/// A bound on one quantity of one record.
struct Target {
    what: &'static str,
    record: &'static str,
    quantity: &'static str,
    bound: Bound,
    /// Measurements that say what the result is made of or bounded by: a label, a record and a quantity.
    beside: &'static [(&'static str, &'static str, &'static str)],
}

#[derive(Clone, Copy)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
    /// At least this on a processor with AVX-512, and on another one.
    ByVectors {
        avx512: f64,
        others: f64,
    },
}

impl Bound {
    fn holds(self, value: f64, on: &Machine) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::AtMost(bound) => value <= bound,
            Self::ByVectors { avx512, others } => {
                let has_it = on.vectors == "AVX-512";
                value >= if has_it { avx512 } else { others }
            }
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtLeast(bound) => format!("at least {}", short(bound)),
            Self::AtMost(bound) => format!("at most {}", short(bound)),
            Self::ByVectors { avx512, others } => {
                let [avx512, others] = [avx512, others].map(short);
                format!("at least {avx512}, without AVX-512 {others}")
            }
        }
    }
}

const SHARE: &str = "share of the matrix peak";

const MATRIX: &str = "forward alone, share of the matrix peak";

const TARGETS: &[Target] = &[
    Target {
        what: "MeZO-GV, M = 4, SST-2 batches: step, against PyTorch f32",
        record: "step/sst2-gv4-vs-f32",
        quantity: "speedup",
        bound: Bound::ByVectors {
            avx512: 24.0,
            others: 14.0,
        },
        beside: &[
            (
                "forwards' share of the step",
                "step/sst2-gv4-vs-f32",
                "forward_share",
            ),
            (MATRIX, "forward/sst2-ndarray", "share_of_peak"),
        ],
    },
    Target {
        what: "MeZO-Greedy, M = 4, SST-2 batches: step, against PyTorch f32",
        record: "step/sst2-greedy4-vs-f32",
        quantity: "speedup",
        bound: Bound::ByVectors {
            avx512: 24.0,
            others: 14.0,
        },
        beside: &[
            (
                "forwards' share of the step",
                "step/sst2-greedy4-vs-f32",
                "forward_share",
            ),
            (MATRIX, "forward/sst2-ndarray", "share_of_peak"),
        ],
    },
    Target {
        what: "MeZO, SST-2 batches: step, against PyTorch f32",
        record: "step/sst2-mezo-vs-f32",
        quantity: "speedup",
        bound: Bound::ByVectors {
            avx512: 20.0,
            others: 10.0,
        },
        beside: &[
            (
                "forwards' share of the step",
                "step/sst2-mezo-vs-f32",
                "forward_share",
            ),
            (MATRIX, "forward/sst2-ndarray", "share_of_peak"),
        ],
    },
    Target {
        what: "MeZO, dense 16 x 64: step, against PyTorch f32",
        record: "step/16x64-mezo-vs-f32",
        quantity: "speedup",
        bound: Bound::AtLeast(5.0),
        beside: &[(MATRIX, "forward/16x64-ndarray", "share_of_peak")],
    },
    Target {
        what: "MeZO, dense 16 x 256: step, against PyTorch f32",
        record: "step/16x256-mezo-vs-f32",
        quantity: "speedup",
        bound: Bound::AtLeast(1.7),
        beside: &[(MATRIX, "forward/16x256-ndarray", "share_of_peak")],
    },
    Target {
        what: "MeZO-GV, M = 4, dense 16 x 64: step, against PyTorch f32",
        record: "step/16x64-gv4-vs-f32",
        quantity: "speedup",
        bound: Bound::AtLeast(3.0),
        beside: &[(
            "forwards' share of the step",
            "step/16x64-gv4-vs-f32",
            "forward_share",
        )],
    },
    Target {
        what: "MeZO, dense 16 x 64: step in f32, against PyTorch bf16",
        record: "step/16x64-mezo-vs-bf16",
        quantity: "speedup",
        bound: Bound::AtLeast(1.3),
        beside: &[],
    },
    Target {
        what: "MeZO, dense 16 x 256: step in f32, against PyTorch bf16",
        record: "step/16x256-mezo-vs-bf16",
        quantity: "speedup",
        bound: Bound::AtLeast(1.3),
        beside: &[(
            "forwards' share of the step",
            "step/16x256-mezo-vs-bf16",
            "forward_share",
        )],
    },
    Target {
        what: "MeZO-GV, M = 4, dense 16 x 64: step in f32, against PyTorch bf16",
        record: "step/16x64-gv4-vs-bf16",
        quantity: "speedup",
        bound: Bound::AtLeast(1.3),
        beside: &[],
    },
    Target {
        what: "Gaussian weight pass, AVX-512: share of the copy bandwidth",
        record: noise::AVX512,
        quantity: "gaussian_share_of_copy",
        bound: Bound::AtLeast(0.7),
        beside: &[
            ("normals a second", noise::AVX512, "gaussian_normals_per_s"),
            ("in place in GB/s", noise::AVX512, "in_place_gb_per_s"),
            ("copy bandwidth in GB/s", noise::AVX512, "copy_gb_per_s"),
        ],
    },
    Target {
        what: "Gaussian weight pass, AVX-512: against torch.normal and an in-place add",
        record: noise::AVX512,
        quantity: "torch_speedup",
        bound: Bound::AtLeast(8.0),
        beside: &[],
    },
    Target {
        what: "Five Gaussian streams in a pass, AVX-512: normals a second and core",
        record: noise::AVX512,
        quantity: "gaussian_five_streams_per_s_core",
        bound: Bound::AtLeast(3.5e9),
        beside: &[],
    },
    Target {
        what: "Rademacher weight pass, AVX-512: share of the copy bandwidth",
        record: noise::AVX512,
        quantity: "rademacher_share_of_copy",
        bound: Bound::AtLeast(0.8),
        beside: &[("signs a second", noise::AVX512, "rademacher_signs_per_s")],
    },
    Target {
        what: "Gaussian weight pass, AVX2: share of the copy bandwidth",
        record: noise::AVX2,
        quantity: "gaussian_share_of_copy",
        bound: Bound::AtLeast(0.7),
        beside: &[
            ("normals a second", noise::AVX2, "gaussian_normals_per_s"),
            ("in place in GB/s", noise::AVX2, "in_place_gb_per_s"),
            ("copy bandwidth in GB/s", noise::AVX2, "copy_gb_per_s"),
        ],
    },
    Target {
        what: "Gaussian weight pass, AVX2: against torch.normal and an in-place add",
        record: noise::AVX2,
        quantity: "torch_speedup",
        bound: Bound::AtLeast(8.0),
        beside: &[],
    },
    Target {
        what: "Five Gaussian streams in a pass, AVX2: normals a second and core",
        record: noise::AVX2,
        quantity: "gaussian_five_streams_per_s_core",
        bound: Bound::AtLeast(2.5e9),
        beside: &[],
    },
    Target {
        what: "Rademacher weight pass, AVX2: share of the copy bandwidth",
        record: noise::AVX2,
        quantity: "rademacher_share_of_copy",
        bound: Bound::AtLeast(0.8),
        beside: &[("signs a second", noise::AVX2, "rademacher_signs_per_s")],
    },
    Target {
        what: "Forward, 16 x 256: share of the matrix peak",
        record: "forward/16x256-ndarray",
        quantity: "share_of_peak",
        bound: Bound::AtLeast(0.75),
        beside: &[
            (
                "the linear layers alone, share of the peak",
                "forward/16x256-ndarray",
                "linear_share_of_peak",
            ),
            (
                "their share of the time",
                "forward/16x256-ndarray",
                "linear_share_of_time",
            ),
        ],
    },
    Target {
        what: "Forward of SmolLM2-135M's shape, 16 x 64: against transformers",
        record: families::SMOLLM2_DENSE,
        quantity: "speedup",
        bound: Bound::AtLeast(1.0),
        beside: &[(SHARE, families::SMOLLM2_DENSE, "share_of_peak")],
    },
    Target {
        what: "Forward of SmolLM2-135M's shape, SST-2 batches: against transformers",
        record: families::SMOLLM2_SST2,
        quantity: "speedup",
        bound: Bound::AtLeast(4.0),
        beside: &[(SHARE, families::SMOLLM2_SST2, "share_of_peak")],
    },
    Target {
        what: "Forward of Llama-3.2-1B's shape, 16 x 64: against transformers",
        record: families::LLAMA_DENSE,
        quantity: "speedup",
        bound: Bound::AtLeast(1.0),
        beside: &[(SHARE, families::LLAMA_DENSE, "share_of_peak")],
    },
    Target {
        what: "Forward of Llama-3.2-1B's shape, SST-2 batches: against transformers",
        record: families::LLAMA_SST2,
        quantity: "speedup",
        bound: Bound::AtLeast(4.0),
        beside: &[(SHARE, families::LLAMA_SST2, "share_of_peak")],
    },
    Target {
        what: "Generation, 16 prompts of 400 tokens, 50 new: against transformers",
        record: generate::PROMPTS,
        quantity: "speedup",
        bound: Bound::AtLeast(1.0),
        beside: &[(
            "a further token of all in seconds",
            generate::PROMPTS,
            "token_s",
        )],
    },
    Target {
        what: "Peak memory of a training run, share of 1.25 x weights + 200 MB",
        record: memory::OPT,
        quantity: "share_of_limit",
        bound: Bound::AtMost(1.0),
        beside: &[
            ("peak in MB", memory::OPT, "peak_mb"),
            ("weights in MB", memory::OPT, "weights_mb"),
        ],
    },
    Target {
        what: "Peak memory, Llama-3.2-1B's shape in f32, share of 1.2 x weights + 300 MB",
        record: memory::LLAMA,
        quantity: "share_of_limit",
        bound: Bound::AtMost(1.0),
        beside: &[
            ("peak in MB", memory::LLAMA, "peak_mb"),
            ("weights in MB", memory::LLAMA, "weights_mb"),
        ],
    },
    Target {
        what: "Peak memory, Llama-3.2-1B's shape in bf16, share of 1.2 x weights + 300 MB",
        record: memory::LLAMA_BF16,
        quantity: "share_of_limit",
        bound: Bound::AtMost(1.0),
        beside: &[
            ("peak in MB", memory::LLAMA_BF16, "peak_mb"),
            ("weights in MB", memory::LLAMA_BF16, "weights_mb"),
        ],
    },
];

/// A Markdown table of all targets: what was measured, its spread, and whether the median is good enough.
pub fn table(results: &Results) -> String {
    let mut text =
        String::from("| what | target | measured | met | beside it |\n|---|---|---|---|---|\n");
    for target in TARGETS {
        let measured = results.get(target.record, target.quantity);
        let (value, met) = match measured {
            Some(spread) => (
                format!(
                    "{} ({} to {})",
                    short(spread.median),
                    short(spread.min),
                    short(spread.max)
                ),
                if target.bound.holds(spread.median, &results.machine) {
                    "yes"
                } else {
                    "**no**"
                },
            ),
            None => ("not measured".into(), ""),
        };
        let bound = target.bound.text();
        let beside: Vec<String> = target
            .beside
            .iter()
            .filter_map(|(label, record, quantity)| {
                let Spread { median, .. } = results.get(record, quantity)?;
                Some(format!("{label}: {}", short(median)))
            })
            .collect();
        // writing to a string cannot fail
        let _ = writeln!(
            text,
            "| {} | {bound} | {value} | {met} | {} |",
            target.what,
            beside.join("; ")
        );
    }
    text
}

/// Three significant digits, or as many as matter of a small number.
pub fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        x if x < 1e-3 => format!("{value:.1e}"),
        x if x >= 1e6 => format!("{value:.2e}"),
        x if x >= 100.0 => format!("{value:.0}"),
        x if x >= 10.0 => format!("{value:.1}"),
        x if x >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::record::Record;

    #[test]
    fn the_median_decides() {
        let mut results = Results::empty();
        let mut record = Record::new(memory::OPT, 3);
        record.add("share_of_limit", &[0.9, 1.01, 1.2]);
        record.add("weights_mb", &[501.0]);
        results.records.insert(record.name.clone(), record);
        let table = table(&results);
        let line = table
            .lines()
            .find(|line| line.contains("share of 1.25 x weights"));
        let line = line.expect("the target");
        assert!(line.contains("| 1.01 (0.900 to 1.20) | **no** |"), "{line}");
        assert!(line.contains("weights in MB: 501"), "{line}");
        assert_eq!(table.matches("not measured").count(), TARGETS.len() - 1);
    }

    #[test]
    fn bounds_are_those_of_the_processor() {
        let with = |vectors: &str| Machine {
            vectors: vectors.into(),
            ..Machine::this()
        };
        let (wide, narrow) = (with("AVX-512"), with("AVX2"));
        assert!(Bound::AtLeast(2.0).holds(2.0, &wide) && !Bound::AtMost(2.0).holds(2.1, &wide));
        let bound = Bound::ByVectors {
            avx512: 24.0,
            others: 14.0,
        };
        assert!(!bound.holds(23.0, &wide) && bound.holds(24.0, &wide));
        assert!(!bound.holds(13.0, &narrow) && bound.holds(14.0, &narrow));
        assert_eq!(bound.text(), "at least 24.0, without AVX-512 14.0");
    }
}
