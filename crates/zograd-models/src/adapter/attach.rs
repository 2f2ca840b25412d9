//! Gives a model an adapter, and takes it away again.

use burn::module::{Param, ParamId};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use zograd_direction::Seed;

use super::config::{AdapterConfig, LoraConfig, PrefixInit};
use super::error::AdapterError;
use super::initial;
use super::keys_and_values::keys_and_values;
use super::lora::Lora;
use super::prefix::Prefix;
use super::projection::Projection;
use crate::backend::plain::of_type;
use crate::decoder::{Decoder, DecoderLayer, device, dtype};

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
    /// The path of the parameter in the module, whose layers have the path `layers`.
    pub(super) fn path(self, layers: &str, layer: usize) -> String {
        let within = match self {
            Self::A(projection) => format!("{}.lora.a", projection.path()),
            Self::B(projection) => format!("{}.lora.b", projection.path()),
            Self::Keys => "self_attn.prefix.keys".to_owned(),
            Self::Values => "self_attn.prefix.values".to_owned(),
        };
        format!("{layers}.{layer}.{within}")
    }
}

/// See [`Model::with_adapter`](crate::Model::with_adapter).
pub(crate) fn with_adapter<D: Decoder>(
    model: D,
    config: &AdapterConfig,
    seed: Seed,
) -> Result<D, AdapterError> {
    check(&model, config)?;
    let mut real = Vec::new();
    if let AdapterConfig::Prefix(prefix) = config
        && prefix.init == PrefixInit::Real
    {
        let words = initial::words(seed, prefix.tokens, model.shape().vocab_size);
        // the configuration was checked: there are words, they are in the vocabulary, and they fit
        real = keys_and_values(&model, &words).map_err(|error| AdapterError::Setting {
            name: "prefix-tokens",
            value: prefix.tokens.to_string(),
            fix: error.to_string(),
        })?;
    }
    let (device, dtype) = (device(&model), dtype(&model));
    install(model, config, |layer, slot, shape| {
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

/// Whether the model can have it.
pub(super) fn check<D: Decoder>(model: &D, config: &AdapterConfig) -> Result<(), AdapterError> {
    let first = model.layers().first();
    let has = |which: &Projection| first.is_some_and(|layer| layer.projection(*which).is_some());
    let has: Vec<Projection> = Projection::ALL.into_iter().filter(has).collect();
    config.check(model.shape(), &has)
}

/// The model with the tensors that `source` gives for (layer, slot, shape).
pub(super) fn install<D: Decoder>(
    mut model: D,
    config: &AdapterConfig,
    mut source: impl FnMut(usize, Slot, [usize; 2]) -> Result<Tensor<D::Backend, 2>, AdapterError>,
) -> Result<D, AdapterError> {
    check(&model, config)?;
    if model.adapter().is_some() {
        return Err(AdapterError::Present);
    }
    for index in 0..model.layers().len() {
        let heads = model.heads(index);
        let Some(layer) = model.layers_mut().get_mut(index) else {
            break;
        };
        let mut tensor = |slot, shape| source(index, slot, shape).map(parameter);
        match config {
            AdapterConfig::Lora(lora) => {
                for &target in &lora.targets {
                    let Some(projection) = layer.projection_mut(target) else {
                        continue;
                    };
                    let [width_out, width_in] = projection.weight.dims();
                    projection.lora = Some(Lora {
                        a: tensor(Slot::A(target), [lora.r, width_in])?,
                        b: tensor(Slot::B(target), [width_out, lora.r])?,
                        scale: lora.scale(),
                    });
                }
            }
            AdapterConfig::Prefix(prefix) => {
                let shape = [prefix.tokens, heads.key_value * heads.width];
                layer.set_prefix(Some(Prefix {
                    keys: tensor(Slot::Keys, shape)?,
                    values: tensor(Slot::Values, shape)?,
                }));
            }
        }
    }
    model.set_adapter(Some(config.clone()));
    Ok(model)
}

/// See [`Model::without_adapter`](crate::Model::without_adapter).
pub(crate) fn without_adapter<D: Decoder>(mut model: D) -> D {
    for layer in model.layers_mut() {
        layer.set_prefix(None);
        for which in Projection::ALL {
            if let Some(projection) = layer.projection_mut(which) {
                projection.lora = None;
            }
        }
    }
    model.set_adapter(None);
    model
}

/// See [`Model::merged`](crate::Model::merged).
pub(crate) fn merged<D: Decoder>(mut model: D) -> Result<D, AdapterError> {
    let targets = match model.adapter() {
        Some(AdapterConfig::Lora(LoraConfig { targets, .. })) => targets.clone(),
        Some(AdapterConfig::Prefix(_)) => return Err(AdapterError::NotMergeable),
        None => return Err(AdapterError::Absent),
    };
    for layer in model.layers_mut() {
        for &target in &targets {
            let Some(projection) = layer.projection_mut(target) else {
                continue;
            };
            if let Some(lora) = projection.lora.take() {
                let weight = projection.weight.clone();
                projection.weight = weight.map(|weight| lora.merged(weight));
            }
        }
    }
    model.set_adapter(None);
    Ok(model)
}

fn parameter<B: Backend>(tensor: Tensor<B, 2>) -> Param<Tensor<B, 2>> {
    Param::initialized(ParamId::new(), tensor.require_grad())
}
