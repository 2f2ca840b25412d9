//! JSON as values of templates, whose objects keep the order of their keys.

use minijinja::Value;
use minijinja::value::{Enumerator, Object};
use serde_json::Value as Json;
use std::sync::Arc;

/// A value that a template sees.
pub(crate) fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::from(()),
        Json::Bool(truth) => Value::from(*truth),
        Json::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(number), ..) => Value::from(number),
            (None, Some(number), _) => Value::from(number),
            (.., number) => Value::from(number.unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => items.iter().map(value).collect::<Vec<Value>>().into(),
        Json::Object(fields) => object(fields),
    }
}

/// An object.
pub(crate) fn object(fields: &serde_json::Map<String, Json>) -> Value {
    let fields = fields.iter();
    let fields = fields.map(|(key, json)| (key.as_str().into(), value(json)));
    Value::from_object(Fields(fields.collect()))
}

/// Keys and values in their order. The engine's own objects are sorted unless it is built with `preserve_order`, which
/// builds the packages below it, and with them burn, with other features.
#[derive(Debug)]
struct Fields(Vec<(Arc<str>, Value)>);

impl Object for Fields {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        let found = self.0.iter().find(|(name, _)| **name == *key);
        found.map(|(_, value)| value.clone())
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let keys = self.0.iter().map(|(key, _)| Value::from(Arc::clone(key)));
        Enumerator::Values(keys.collect())
    }
}
