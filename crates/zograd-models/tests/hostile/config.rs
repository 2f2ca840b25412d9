//! config.json.

use crate::folder::bytes;
use crate::trial;
use zograd_hostile::json;
use zograd_models::ModelConfig;

#[test]
fn damaged_configurations() {
    let original = bytes("config.json");
    trial("config.json", 5000).run(json::damaged(&original), |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let config = ModelConfig::from_json(&text).map_err(|error| error.to_string())?;
        // what is accepted can be counted with
        assert!(config.num_parameters() > 0 && config.head_dim > 0);
        Ok(())
    });
}
