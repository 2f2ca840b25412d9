//! A family of one's own: a transformer whose layers run attention and feed-forward side by side, as GPT-J's.
//!
//! It says what its parts are and how they are put together ([`Decoder`]), and has all the rest: packing, shared prompts,
//! probes, generation with a cache. `cargo run --release -p zograd-models --example own_family`

use burn::module::{Module, Param};
use burn::tensor::backend::Backend;
use burn::tensor::{Device, Distribution, Tensor};
use burn_ndarray::NdArray;
use zograd_models::{
    AdapterConfig, Decoder, DecoderLayer, Embedding, Frequencies, Generation, Heads, LanguageModel,
    Linear, ModelBackend, Plan, Prefix, Projected, Projection, Read, RmsNorm, RmsNormSettings,
    Rotation, Sequence, Shape, Sharing,
};

const VOCABULARY: usize = 32;
const WIDTH: usize = 16;
const HEADS: usize = 2;

#[derive(Module, Debug)]
struct SideBySide<B: Backend> {
    table: Embedding<B>,
    layers: Vec<Layer<B>>,
    norm: RmsNorm<B>,
    head: Option<Embedding<B>>,
}

#[derive(Module, Debug)]
struct Layer<B: Backend> {
    norm: RmsNorm<B>,
    q_proj: Linear<B>,
    k_proj: Linear<B>,
    v_proj: Linear<B>,
    out_proj: Linear<B>,
    fc1: Linear<B>,
    fc2: Linear<B>,
    prefix: Option<Prefix<B>>,
}

impl<B: ModelBackend> Decoder for SideBySide<B> {
    type Backend = B;
    type Layer = Layer<B>;
    // nothing stands between the table and the first layer
    type Entry = Option<Linear<B>>;
    type Exit = RmsNorm<B>;
    type Places = Rotation<B>;

    const LAYERS: &'static str = "layers";

    fn shape(&self) -> Shape {
        Shape {
            vocab_size: VOCABULARY,
            hidden_size: WIDTH,
            positions: 64,
        }
    }

    fn token_table(&self) -> &Embedding<B> {
        &self.table
    }

    fn head_table(&self) -> &Embedding<B> {
        self.head.as_ref().unwrap_or(&self.table)
    }

    fn own_head_mut(&mut self) -> &mut Option<Embedding<B>> {
        &mut self.head
    }

    fn entry(&self) -> Self::Entry {
        None
    }

    fn exit(&self) -> RmsNorm<B> {
        self.norm.clone()
    }

    fn layers(&self) -> &[Layer<B>] {
        &self.layers
    }

    fn layers_mut(&mut self) -> &mut [Layer<B>] {
        &mut self.layers
    }

    fn heads(&self, _layer: usize) -> Heads {
        Heads::plain(HEADS, WIDTH / HEADS)
    }

    fn places(&self, positions: &[u32], device: &Device<B>) -> Rotation<B> {
        Rotation::new(positions, &Frequencies::default(1e4, WIDTH / HEADS), device)
    }

    fn enter(
        &self,
        _: &Self::Entry,
        tokens: Tensor<B, 2>,
        _: Option<Tensor<B, 2>>,
    ) -> Tensor<B, 2> {
        tokens
    }

    fn leave(&self, norm: &RmsNorm<B>, x: Tensor<B, 2>) -> Tensor<B, 2> {
        norm.forward(x)
    }

    fn run_layer(
        &self,
        (_, layer): (usize, &Layer<B>),
        x: Tensor<B, 2>,
        rotation: &Rotation<B>,
        read: Option<&Read<B>>,
        attend: impl FnOnce(Projected<B>) -> Tensor<B, 2>,
    ) -> Tensor<B, 2> {
        let kept = |x: Tensor<B, 2>| match read {
            Some(read) => x.select(0, read.clone()),
            None => x,
        };
        let y = layer.norm.forward(x.clone());
        let query = B::packed_rotary(layer.q_proj.forward(y.clone()), rotation);
        let key = B::packed_rotary(layer.k_proj.forward(y.clone()), rotation);
        let value = layer.v_proj.forward(y.clone());
        let attended = layer.out_proj.forward(kept(attend([query, key, value])));
        let inner = layer.fc1.forward(kept(y));
        let inner = layer.fc2.forward(inner.clone() * inner.clamp_min(0.0));
        kept(x) + attended + inner
    }

    // an adapter could be had by keeping its configuration here
    fn adapter(&self) -> Option<&AdapterConfig> {
        None
    }

    fn set_adapter(&mut self, _: Option<AdapterConfig>) {}
}

impl<B: Backend> DecoderLayer for Layer<B> {
    type Backend = B;

    fn projection(&self, which: Projection) -> Option<&Linear<B>> {
        match which {
            Projection::QProj => Some(&self.q_proj),
            Projection::KProj => Some(&self.k_proj),
            Projection::VProj => Some(&self.v_proj),
            Projection::OutProj => Some(&self.out_proj),
            Projection::Fc1 => Some(&self.fc1),
            Projection::Fc2 => Some(&self.fc2),
            _ => None,
        }
    }

    fn projection_mut(&mut self, which: Projection) -> Option<&mut Linear<B>> {
        match which {
            Projection::QProj => Some(&mut self.q_proj),
            Projection::KProj => Some(&mut self.k_proj),
            Projection::VProj => Some(&mut self.v_proj),
            Projection::OutProj => Some(&mut self.out_proj),
            Projection::Fc1 => Some(&mut self.fc1),
            Projection::Fc2 => Some(&mut self.fc2),
            _ => None,
        }
    }

    fn prefix(&self) -> Option<&Prefix<B>> {
        self.prefix.as_ref()
    }

    fn set_prefix(&mut self, prefix: Option<Prefix<B>>) {
        self.prefix = prefix;
    }
}

impl<B: ModelBackend> SideBySide<B> {
    /// Random weights.
    fn new(layers: usize, device: &Device<B>) -> Self {
        let matrix = |out: usize, width: usize| {
            let spread = Distribution::Normal(0.0, 0.3);
            Param::from_tensor(Tensor::random([out, width], spread, device))
        };
        let norm = || RmsNorm {
            weight: Param::from_tensor(Tensor::ones([WIDTH], device)),
            settings: RmsNormSettings {
                epsilon: 1e-6,
                offset: 0.0,
            },
        };
        let square = || Linear::new(matrix(WIDTH, WIDTH), None);
        let layer = |_| Layer {
            norm: norm(),
            q_proj: square(),
            k_proj: square(),
            v_proj: square(),
            out_proj: square(),
            fc1: Linear::new(matrix(4 * WIDTH, WIDTH), None),
            fc2: Linear::new(matrix(WIDTH, 4 * WIDTH), None),
            prefix: None,
        };
        Self {
            table: Embedding {
                weight: matrix(VOCABULARY, WIDTH),
            },
            layers: (0..layers).map(layer).collect(),
            norm: norm(),
            head: None,
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Default::default();
    NdArray::<f32>::seed(&device, 1);
    let model = SideBySide::<NdArray>::new(2, &device);

    let options = [[3, 4, 5, 6], [3, 4, 5, 7]];
    let group = options
        .iter()
        .map(|ids| Sequence { ids, scored: 1 })
        .collect();
    let plan = Plan::new(&[group], Sharing::Prefix)?;
    println!(
        "log-probabilities of two options: {:?}",
        model.log_probs(&plan)?
    );

    let written = model.generate(&[&[3, 4, 5], &[6]], &Generation::greedy(5))?;
    println!("continuations: {:?}, {:?}", written[0].ids, written[1].ids);
    Ok(())
}

/// With a cache and in a batch the same tokens as one after the other without.
#[test]
fn what_it_writes_is_what_it_finds_most_probable() {
    let device = Default::default();
    NdArray::<f32>::seed(&device, 1);
    let model = SideBySide::<NdArray>::new(2, &device);
    let prompts: [&[u32]; 2] = [&[3, 4, 5], &[6]];
    let written = model
        .generate(&prompts, &Generation::greedy(5))
        .expect("fits");
    for (prompt, written) in prompts.iter().zip(written) {
        let mut ids = prompt.to_vec();
        for id in written.ids {
            let options: Vec<Vec<u32>> = (0..VOCABULARY as u32)
                .map(|next| [ids.as_slice(), &[next]].concat())
                .collect();
            let group = options
                .iter()
                .map(|ids| Sequence { ids, scored: 1 })
                .collect();
            let plan = Plan::new(&[group], Sharing::Prefix).expect("valid");
            let scores = model.log_probs(&plan).expect("valid ids");
            let best = (0..VOCABULARY).max_by(|a, b| scores[*a].total_cmp(&scores[*b]));
            assert_eq!(best, Some(id as usize));
            ids.push(id);
        }
    }
}
