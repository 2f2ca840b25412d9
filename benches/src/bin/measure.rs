//! Runs one measurement and prints one JSON object: what `cargo xtask bench` alternates with other programs.

use anyhow::{Result, ensure};
use burn::tensor::DType;
use burn_flex::Flex;
use burn_ndarray::NdArray;
use clap::{Args, Parser, Subcommand, ValueEnum};
use serde_json::{Value, json};
use std::path::PathBuf;
use zograd_benches::batches::Batches;
use zograd_benches::counts::{BatchCounts, StepCounts};
use zograd_benches::device::DeviceTimes;
use zograd_benches::forwards::ForwardTimes;
use zograd_benches::generations::{GenerationTimes, Shape};
use zograd_benches::passes::PassTimes;
use zograd_benches::perturbations::{Family, FamilyName};
use zograd_benches::probes::{AdapterName, ProbeTimes};
use zograd_benches::run_inputs;
use zograd_benches::slopes::Slopes;
use zograd_benches::steps::{MethodName, ProberName, StepSettings, StepTimes};
use zograd_models::{LoadOptions, Model, ModelBackend, ModelConfig};
use zograd_perturb::{Instructions, NoiseBackend};

#[derive(Parser)]
#[command(about = "One measurement on random OPT weights, as one JSON object")]
struct Arguments {
    /// A published shape
    #[arg(long, default_value = "opt-125m", global = true)]
    model_config: String,
    #[arg(long, default_value_t = 2, global = true)]
    threads: usize,
    #[arg(long, value_enum, default_value_t = BackendName::Ndarray, global = true)]
    backend: BackendName,
    /// Of the weights; what the backend has
    #[arg(long, value_enum, default_value_t = DtypeName::F32, global = true)]
    dtype: DtypeName,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Passes over the weights, and the copy bandwidth
    Noise {
        /// Timed repetitions, after one that is not
        #[arg(long, default_value_t = 5)]
        repeats: usize,
        /// The widest instructions that passes may use, as on a machine without wider ones
        #[arg(long, value_enum)]
        instructions: Option<InstructionsName>,
    },
    /// Passes over weights that are on a device of their own, and its bandwidth
    Device {
        /// Timed repetitions, after one that is not
        #[arg(long, default_value_t = 5)]
        repeats: usize,
    },
    /// Matrix products by the kernels that there are for them
    #[cfg(feature = "cuda")]
    Products {
        /// Timed repetitions, after one that is not
        #[arg(long, default_value_t = 5)]
        repeats: usize,
    },
    /// Forward passes, and the rate of the matrix library
    Forward {
        #[command(flatten)]
        input: Input,
        /// Timed repetitions, after one that is not
        #[arg(long, default_value_t = 3)]
        repeats: usize,
    },
    /// Generation, greedy
    Generate {
        #[command(flatten)]
        shape: Shape,
        /// Timed repetitions, after one that is not
        #[arg(long, default_value_t = 3)]
        repeats: usize,
    },
    /// Whole steps
    Step {
        #[command(flatten)]
        input: Input,
        #[arg(long, value_enum, default_value_t = MethodName::Mezo)]
        method: MethodName,
        /// How the losses at probes are had
        #[arg(long, value_enum, default_value_t = ProberName::Standing)]
        prober: ProberName,
        #[command(flatten)]
        family: Family,
        #[arg(long, default_value_t = 1)]
        warmup: usize,
        /// Timed steps, after the warm-up
        #[arg(long, default_value_t = 3)]
        steps: usize,
    },
    /// Probes of an adapter, together and one by one
    Probes {
        #[command(flatten)]
        input: Input,
        #[arg(long, value_enum, default_value_t = AdapterName::Lora)]
        adapter: AdapterName,
        /// How many
        #[arg(long, default_value_t = 4)]
        probes: usize,
        /// Timed repetitions, after one that is not
        #[arg(long, default_value_t = 3)]
        repeats: usize,
    },
    /// What 16-bit weights do to the slope of a probe (on flex, whatever --backend and --dtype say)
    Slope {
        #[command(flatten)]
        input: Input,
        /// A model folder instead of random weights
        #[arg(long)]
        model: Option<PathBuf>,
        #[arg(long, default_value_t = 1e-3)]
        eps: f64,
        /// Directions
        #[arg(long, default_value_t = 32)]
        seeds: u64,
    },
    /// What can be counted: passes, forwards, tokens, operations
    Counts {
        #[command(flatten)]
        input: Input,
    },
    /// The config.json of the shape
    Config,
    /// Writes a random model and rows for `zograd train`
    RunInputs {
        /// The folder, which is created
        folder: PathBuf,
    },
}

#[derive(Args)]
struct Input {
    /// Sequences of a dense batch
    #[arg(long, default_value_t = 16)]
    batch: usize,
    /// Their length in tokens
    #[arg(long, default_value_t = 64)]
    seq: usize,
    /// A JSON file with real batches instead
    #[arg(long)]
    batches: Option<PathBuf>,
}

impl Input {
    fn read(&self, config: &ModelConfig) -> Result<Batches> {
        match &self.batches {
            Some(path) => Batches::read(path, config.vocab_size),
            None => Ok(Batches::dense(self.batch, self.seq, config.vocab_size)),
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum BackendName {
    Ndarray,
    Flex,
    #[cfg(feature = "cuda")]
    Cuda,
}

#[derive(Clone, Copy, ValueEnum)]
enum DtypeName {
    F32,
    F16,
    Bf16,
}

#[derive(Clone, Copy, ValueEnum)]
enum InstructionsName {
    Baseline,
    Avx2,
    Avx512,
}

impl From<InstructionsName> for Instructions {
    fn from(name: InstructionsName) -> Self {
        match name {
            InstructionsName::Baseline => Self::Baseline,
            InstructionsName::Avx2 => Self::Avx2,
            InstructionsName::Avx512 => Self::Avx512,
        }
    }
}

impl From<DtypeName> for DType {
    fn from(name: DtypeName) -> Self {
        match name {
            DtypeName::F32 => Self::F32,
            DtypeName::F16 => Self::F16,
            DtypeName::Bf16 => Self::BF16,
        }
    }
}

fn main() -> Result<()> {
    zograd_trainer::keep_freed_memory();
    let arguments = Arguments::parse();
    rayon::ThreadPoolBuilder::new()
        .num_threads(arguments.threads)
        .build_global()?;
    let config = ModelConfig::named(&arguments.model_config)?;
    let dtype = arguments.dtype.into();
    let report = match arguments.backend {
        BackendName::Ndarray => {
            ensure!(dtype == DType::F32, "--dtype: ndarray has f32 only");
            run::<NdArray<f32>>(&arguments.what, &config, dtype)
        }
        BackendName::Flex => run::<Flex>(&arguments.what, &config, dtype),
        #[cfg(feature = "cuda")]
        BackendName::Cuda => run::<burn_cuda::Cuda>(&arguments.what, &config, dtype),
    }?;
    println!("{report}");
    Ok(())
}

fn run<B: NoiseBackend + ModelBackend>(
    what: &What,
    config: &ModelConfig,
    dtype: DType,
) -> Result<Value> {
    Ok(match what {
        What::Noise {
            repeats,
            instructions,
        } => {
            if let Some(widest) = *instructions {
                Instructions::from(widest).use_at_most();
            }
            serde_json::to_value(PassTimes::measure::<B>(config, *repeats)?)?
        }
        What::Device { repeats } => {
            serde_json::to_value(DeviceTimes::measure::<B>(config, dtype, *repeats)?)?
        }
        #[cfg(feature = "cuda")]
        What::Products { repeats } => {
            serde_json::to_value(zograd_benches::products::measure(*repeats)?)?
        }
        What::Forward { input, repeats } => {
            let batches = input.read(config)?;
            let times = ForwardTimes::measure::<B>(config, &batches, dtype, *repeats)?;
            serde_json::to_value(times)?
        }
        What::Generate { shape, repeats } => serde_json::to_value(GenerationTimes::measure::<B>(
            config, *shape, dtype, *repeats,
        )?)?,
        What::Step {
            input,
            method,
            prober,
            family,
            warmup,
            steps,
        } => {
            let batches = input.read(config)?;
            let settings = StepSettings {
                dtype,
                method: *method,
                prober: *prober,
                family: *family,
                warmup: *warmup,
                steps: *steps,
            };
            let times = StepTimes::measure::<B>(config, &batches, settings)?;
            serde_json::to_value(times)?
        }
        What::Probes {
            input,
            adapter,
            probes,
            repeats,
        } => {
            let batches = input.read(config)?;
            let what = (*adapter, *probes);
            serde_json::to_value(ProbeTimes::measure::<B>(config, &batches, what, *repeats)?)?
        }
        What::Slope {
            input,
            model,
            eps,
            seeds,
        } => {
            let device = Default::default();
            let model = match model {
                Some(folder) => Model::<Flex>::load(folder, &LoadOptions::default(), &device)?.0,
                None => Model::init(config, &device),
            };
            let batches = input.read(model.config())?;
            let (batch, objective) = (&batches.batches[0], batches.objective);
            serde_json::to_value(Slopes::measure(&model, batch, objective, *eps, *seeds)?)?
        }
        What::Counts { input } => {
            let mut methods = serde_json::Map::new();
            for method in MethodName::value_variants() {
                let name = method.to_possible_value().map(|v| v.get_name().to_owned());
                let name = name.unwrap_or_default();
                for family in [FamilyName::Dense, FamilyName::Subzero] {
                    let counts = StepCounts::of(*method, family)?;
                    let name = match family {
                        FamilyName::Dense => name.clone(),
                        _ => format!("{name}-low-rank"),
                    };
                    methods.insert(name, serde_json::to_value(counts)?);
                }
            }
            let batches = BatchCounts::of(&input.read(config)?, config)?;
            json!({"methods": methods, "batches": batches})
        }
        What::Config => serde_json::from_str(&config.to_json(dtype))?,
        What::RunInputs { folder } => {
            run_inputs::write(config, folder)?;
            json!({"parameters": config.num_parameters()})
        }
    })
}
