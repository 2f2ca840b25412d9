use crate::ParameterSpec;
use serde::{Deserialize, Serialize};

/// What a learned table of positions is called in the models' files.
const POSITIONS: [&str; 3] = ["embed_positions", "position_embeddings", "wpe"];

/// Factors of noise by kind of tensor, the same in probes and in updates. 0: it does not move.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scales {
    /// On parameters of one dimension: biases, gains of norms.
    pub vectors: f64,
    /// On learned tables of positions.
    pub positions: f64,
}

impl Default for Scales {
    fn default() -> Self {
        Self {
            vectors: 1.0,
            positions: 1.0,
        }
    }
}

impl Scales {
    /// Whether all of them are 1.
    pub fn are_one(&self) -> bool {
        *self == Self::default()
    }

    /// That of a parameter.
    pub fn of(&self, parameter: &ParameterSpec) -> f64 {
        let mut fields = parameter.name.split('.');
        match parameter.shape.len() {
            _ if fields.any(|field| POSITIONS.contains(&field)) => self.positions,
            0 | 1 => self.vectors,
            _ => 1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::DType;

    #[test]
    fn a_parameter_has_the_scale_of_its_kind() {
        let scales = Scales {
            vectors: 5.0,
            positions: 0.0,
        };
        for (name, shape, scale) in [
            ("decoder.embed_positions.weight", vec![130, 64], 0.0),
            ("decoder.embed_tokens.weight", vec![512, 64], 1.0),
            ("decoder.layers.0.fc1.weight", vec![64, 256], 1.0),
            ("decoder.layers.0.fc1.bias", vec![256], 5.0),
            ("positions_of_nothing.weight", vec![3, 3], 1.0),
        ] {
            let spec = ParameterSpec::new(name.into(), shape, DType::F32);
            assert_eq!(scales.of(&spec), scale, "{name}");
        }
    }
}
