//! Whether a document of `hii ping --json` is what its schema says, and no more.

use std::sync::OnceLock;

use jsonschema::Validator;
use serde_json::Value;

/// The schema, as it stands in `docs`.
pub const SCHEMA: &str = include_str!("../../docs/ping.schema.json");

/// Checks a document. The schema leaves room for fields to come; here, each one has to be described.
///
/// # Panics
/// The document is not as the schema says, or has a field that is not in it.
pub fn check(document: &Value) {
    static VALIDATOR: OnceLock<Validator> = OnceLock::new();
    let validator = VALIDATOR.get_or_init(|| {
        let mut schema = serde_json::from_str(SCHEMA).expect("the schema is JSON");
        close(&mut schema);
        jsonschema::validator_for(&schema).expect("the schema is one")
    });
    // Of two shapes that both do not fit, it says most of the one that is meant.
    let errors: Vec<_> = validator
        .iter_errors(document)
        .map(|error| error.to_string())
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

/// Lets objects have no fields but those that are described.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object.get("properties").is_some_and(Value::is_object) {
                object.insert("additionalProperties".into(), false.into());
            }
            object.values_mut().for_each(close);
        }
        Value::Array(array) => array.iter_mut().for_each(close),
        _ => {}
    }
}
