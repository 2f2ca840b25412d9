//! Gives a model an adapter, and takes it away again.

use burn::module::{Param, ParamId};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use zograd_direction::Seed;

use super::config::{AdapterConfig, LoraConfig, PrefixInit};
use super::error::AdapterError;
use super::initial;
use super::lora::Lora;
use super::prefix::Prefix;
use super::projection::Projection;
use crate::backend::ModelBackend;
use crate::backend::plain::of_type;
use crate::nn::Linear;
use crate::opt::{DecoderLayer, Opt};

/// A tensor of an adapter.
#[derive(Debug, Clone, Copy)]
pub(super) enum Slot {
    /// LoRA's first factor.
    A(Projection),
    /// LoRA's second factor.
    B(Projection),
    Keys,
    Values,
}

impl Slot {
    /// The path of the parameter in the module.
    pub(super) fn path(self, layer: usize) -> String {
        let within = match self {
            Self::A(projection) => format!("{}.lora.a", projection.path()),
            Self::B(projection) => format!("{}.lora.b", projection.path()),
            Self::Keys => "self_attn.prefix.keys".to_owned(),
            Self::Values => "self_attn.prefix.values".to_owned(),
        };
        format!("decoder.layers.{layer}.{within}")
    }
}

impl<B: ModelBackend> Opt<B> {
    /// The model with a fresh adapter, whose numbers are a function of `seed`. They are stored in the type of
    /// the weights.
    ///
    /// # Errors
    /// The model has an adapter, or a setting is out of its range.
    pub fn with_adapter(self, config: &AdapterConfig, seed: Seed) -> Result<Self, AdapterError> {
        config.check(self.config())?;
        let mut real = Vec::new();
        if let AdapterConfig::Prefix(prefix) = config
            && prefix.init == PrefixInit::Real
        {
            let words = initial::words(seed, prefix.tokens, self.config().vocab_size);
            // the configuration was checked: there are words, they are in the vocabulary, and they fit
            real = self
                .keys_and_values(&words)
                .map_err(|error| AdapterError::Setting {
                    name: "prefix-tokens",
                    value: prefix.tokens.to_string(),
                    fix: error.to_string(),
                })?;
        }
        let (device, dtype) = (self.device(), self.dtype());
        self.install(config, |layer, slot, shape| {
            let seed = seed.child(layer as u64);
            Ok(match slot {
                Slot::A(projection) => {
                    let bound = (shape[1] as f64).powf(-0.5);
                    let data = initial::uniform(seed.child(projection as u64), shape, bound);
                    Tensor::from_data(data, (&device, dtype))
                }
                Slot::B(_) => Tensor::zeros(shape, (&device, dtype)),
                Slot::Keys | Slot::Values => {
                    let which = usize::from(matches!(slot, Slot::Values));
                    match real.get(layer) {
                        // a start, not a result that gradients flow through
                        Some(tensors) => of_type(tensors[which].clone().detach(), dtype),
                        None => Tensor::from_data(
                            initial::normal(seed.child(which as u64), shape),
                            (&device, dtype),
                        ),
                    }
                }
            })
        })
    }

    /// The model with the tensors that `source` gives for (layer, slot, shape).
    pub(super) fn install(
        mut self,
        config: &AdapterConfig,
        mut source: impl FnMut(usize, Slot, [usize; 2]) -> Result<Tensor<B, 2>, AdapterError>,
    ) -> Result<Self, AdapterError> {
        config.check(self.config())?;
        if self.adapter.is_some() {
            return Err(AdapterError::Present);
        }
        let hidden = self.config().hidden_size;
        let shapes = self.config().clone();
        for (index, layer) in self.decoder.layers.iter_mut().enumerate() {
            let mut tensor = |slot, shape| source(index, slot, shape).map(parameter);
            match config {
                AdapterConfig::Lora(lora) => {
                    for &target in &lora.targets {
                        let [width_in, width_out] = target.widths(&shapes);
                        layer.projection_mut(target).lora = Some(Lora {
                            a: tensor(Slot::A(target), [lora.r, width_in])?,
                            b: tensor(Slot::B(target), [width_out, lora.r])?,
                            scale: lora.scale(),
                        });
                    }
                }
                AdapterConfig::Prefix(prefix) => {
                    let shape = [prefix.tokens, hidden];
                    layer.self_attn.prefix = Some(Prefix {
                        keys: tensor(Slot::Keys, shape)?,
                        values: tensor(Slot::Values, shape)?,
                    });
                }
            }
        }
        self.adapter = Some(config.clone());
        Ok(self)
    }

    /// The model without its adapter, if it has one.
    pub fn without_adapter(mut self) -> Self {
        for layer in &mut self.decoder.layers {
            layer.self_attn.prefix = None;
            for projection in Projection::ALL {
                layer.projection_mut(projection).lora = None;
            }
        }
        self.adapter = None;
        self
    }

    /// The model with its LoRA factors added to the weights, `W + scale B A`, and without them. The same
    /// function up to rounding, at the speed of the base.
    ///
    /// # Errors
    /// There is no adapter, or it is a prefix, which is no change of weights.
    pub fn merged(mut self) -> Result<Self, AdapterError> {
        let targets = match &self.adapter {
            Some(AdapterConfig::Lora(LoraConfig { targets, .. })) => targets.clone(),
            Some(AdapterConfig::Prefix(_)) => return Err(AdapterError::NotMergeable),
            None => return Err(AdapterError::Absent),
        };
        for layer in &mut self.decoder.layers {
            for &target in &targets {
                let projection = layer.projection_mut(target);
                if let Some(lora) = projection.lora.take() {
                    let weight = projection.weight.clone();
                    projection.weight = weight.map(|weight| lora.merged(weight));
                }
            }
        }
        self.adapter = None;
        Ok(self)
    }
}

impl<B: Backend> DecoderLayer<B> {
    pub(crate) fn projection(&self, which: Projection) -> &Linear<B> {
        let attention = &self.self_attn;
        match which {
            Projection::QProj => &attention.q_proj,
            Projection::KProj => &attention.k_proj,
            Projection::VProj => &attention.v_proj,
            Projection::OutProj => &attention.out_proj,
            Projection::Fc1 => &self.fc1,
            Projection::Fc2 => &self.fc2,
        }
    }

    pub(crate) fn projection_mut(&mut self, which: Projection) -> &mut Linear<B> {
        let attention = &mut self.self_attn;
        match which {
            Projection::QProj => &mut attention.q_proj,
            Projection::KProj => &mut attention.k_proj,
            Projection::VProj => &mut attention.v_proj,
            Projection::OutProj => &mut attention.out_proj,
            Projection::Fc1 => &mut self.fc1,
            Projection::Fc2 => &mut self.fc2,
        }
    }
}

fn parameter<B: ModelBackend>(tensor: Tensor<B, 2>) -> Param<Tensor<B, 2>> {
    Param::initialized(ParamId::new(), tensor.require_grad())
}
