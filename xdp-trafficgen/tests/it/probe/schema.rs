//! The schema of `probe --json`, made strict for tests.

use jsonschema::Validator;
use serde_json::Value;

/// The published schema allows further fields; this one refuses fields that it does not describe.
pub(crate) fn strict(schema: &str) -> Validator {
    let mut schema: Value = serde_json::from_str(schema).unwrap();
    close(&mut schema);
    jsonschema::validator_for(&schema).unwrap()
}

fn close(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            members.values_mut().for_each(close);
            if members.contains_key("required") {
                members.insert("additionalProperties".to_owned(), Value::Bool(false));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}
