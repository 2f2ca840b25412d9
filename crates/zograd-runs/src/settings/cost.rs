//! What a run with a preset costs.

use super::given::Given;
use super::machine::Storage;
use super::{Preset, Settings};
use crate::error::Result;
use serde::Serialize;
use zograd_select::Methods;

/// What a run with a preset costs, with the preset's own model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Cost {
    /// Forward passes of training, each over a batch.
    pub forwards: u64,
    /// Examples that go through the model in them.
    pub examples: u64,
    /// Memory of the weights in bytes, if the size of the model is known.
    pub weight_bytes: Option<u64>,
}

/// Numbers of the models of the presets.
const PARAMETERS: [(&str, u64); 9] = [
    ("facebook/opt-125m", 125_239_296),
    ("facebook/opt-1.3b", 1_315_758_080),
    ("facebook/opt-13b", 12_853_473_280),
    ("HuggingFaceTB/SmolLM2-135M", 134_515_008),
    ("Qwen/Qwen3-0.6B", 596_049_920),
    ("meta-llama/Llama-3.2-1B", 1_235_814_400),
    ("Qwen/Qwen2.5-1.5B", 1_543_714_304),
    ("meta-llama/Llama-3.2-3B", 3_212_749_824),
    ("meta-llama/Llama-3.1-8B", 8_030_261_248),
];

impl Preset {
    /// What a run with it costs.
    ///
    /// # Errors
    /// A preset of ours that does not resolve.
    pub fn cost(&self, methods: &Methods) -> Result<Cost> {
        let mut given = Given::new().with("preset", self.name);
        if self.train.get("model").is_none() {
            given = given.with("model", "model");
        }
        if self.train.get("task").is_none() {
            // whichever task it will be: it changes nothing of this
            given = given.with("task", "sst2").with("data", "data");
        }
        let settings = Settings::resolve(given, methods)?;
        let forwards = settings.forwards(methods)?.unwrap_or(0);
        let model = settings.inputs.model.as_deref();
        let known = PARAMETERS.iter().find(|(name, _)| Some(*name) == model);
        let bytes = match settings.machine.storage() {
            Storage::F32 => 4,
            _ => 2,
        };
        Ok(Cost {
            forwards,
            examples: forwards.saturating_mul(settings.config.batch_size as u64),
            weight_bytes: known.map(|(_, parameters)| parameters * bytes),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preset_says_what_it_costs() {
        let cost = |name: &str| {
            let preset = Preset::named(name).expect(name);
            preset.cost(&Methods::built_in()).expect(name)
        };
        let gv = cost("paper/opt-13b/sst2/gv");
        let preset = Preset::named("paper/opt-13b/sst2/gv")
            .expect("it exists")
            .train;
        let [steps, batch, pool] = ["steps", "batch-size", "pool"].map(|key| {
            preset[key]
                .as_integer()
                .and_then(|n| u64::try_from(n).ok())
                .expect(key)
        });
        assert_eq!(gv.forwards, steps * (pool + 2));
        assert_eq!(gv.examples, gv.forwards * batch);
        assert_eq!(gv.weight_bytes, Some(25_706_946_560));
        for preset in Preset::all("").expect("they parse") {
            let has_model = preset.train.contains_key("model");
            let bytes = cost(preset.name).weight_bytes;
            assert_eq!(bytes.is_some(), has_model, "{}", preset.name);
        }
    }
}
