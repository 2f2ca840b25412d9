//! The files that ship in `zograd-embedded`.
use zograd_params::ParameterPath;

use crate::corpus::Row;
use crate::pretrain::Cpu;
use anyhow::{Context, Result};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use half::f16;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::json;
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use zograd_models::Model;

/// Writes the weights of `model` as f16 (rounded to nearest even), under the names that they have in
/// Hugging Face's `OPTForCausalLM`.
///
/// `zograd_models::save_pretrained` keeps the type of the weights, and the CPU backend trains in f32.
///
/// # Errors
///
/// The file cannot be written.
pub fn write_f16(path: &Path, model: &Model<Cpu>) -> Result<()> {
    let mut halves = Halves::default();
    model.visit(&mut halves);
    let views = halves
        .tensors
        .iter()
        .map(|(name, shape, data)| {
            let view = TensorView::new(Dtype::F16, shape.clone(), data)?;
            Ok((name.as_str(), view))
        })
        .collect::<Result<Vec<_>>>()?;
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let bytes = safetensors::serialize(views, Some(metadata))?;
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

/// Collects parameters as f16: name, shape, bytes.
#[derive(Default)]
struct Halves {
    path: ParameterPath,
    tensors: Vec<(String, Vec<usize>, Vec<u8>)>,
}

impl ModuleVisitor<Cpu> for Halves {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.path.exit(container);
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<Cpu, D>>) {
        let data = param.val().into_data();
        let bytes = data
            .iter::<f32>()
            .flat_map(|weight| f16::from_f32(weight).to_le_bytes())
            .collect();
        let name = format!("model.{}", self.path.name());
        self.tensors.push((name, data.shape.to_vec(), bytes));
    }
}

/// Writes rows as SST-2 has them: one JSON object with `sentence`, `label` and `idx` a line.
///
/// # Errors
///
/// The file cannot be written.
pub fn write_rows(path: &Path, rows: &[Row]) -> Result<()> {
    let mut text = String::new();
    for (idx, row) in rows.iter().enumerate() {
        let line = json!({"sentence": row.sentence, "label": row.label, "idx": idx});
        text.push_str(&line.to_string());
        text.push('\n');
    }
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use zograd_models::{LoadOptions, ModelConfig};

    /// Written, read back by the loader that users have, and compared weight by weight.
    #[test]
    fn weights_survive_up_to_the_rounding() {
        let config = ModelConfig::from_json(
            r#"{"model_type": "opt", "vocab_size": 16, "hidden_size": 8, "ffn_dim": 16,
                "num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 8}"#,
        )
        .expect("a valid shape");
        let model = Model::<Cpu>::init(&config, &Default::default());
        let folder = tempfile::tempdir().expect("a temporary folder");
        write_f16(&folder.path().join("model.safetensors"), &model).expect("writes");
        let text = config.to_json(burn::tensor::DType::F16);
        fs::write(folder.path().join("config.json"), text).expect("writable");
        let (read, _) = Model::load(folder.path(), &LoadOptions::default(), &Default::default())
            .expect("complete");
        let (mut before, mut after) = (Halves::default(), Halves::default());
        model.visit(&mut before);
        read.visit(&mut after);
        // f16 to f32 and back is exact
        assert_eq!(before.tensors, after.tensors);
        // two tables, 16 tensors a layer, the final norm
        assert_eq!(before.tensors.len(), 2 + 2 * 16 + 2);
    }

    #[test]
    fn rows_are_json_lines() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("train.jsonl");
        let row = Row {
            sentence: "the \"soup\" was cold .".to_owned(),
            label: 0,
        };
        write_rows(&path, &[row.clone(), row]).expect("writes");
        let text = fs::read_to_string(&path).expect("readable");
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[1]["sentence"], "the \"soup\" was cold .");
        assert_eq!(lines[1]["idx"], 1);
    }
}
