//! Holds frames to the AsyncAPI document, more strictly than clients do: a frame of the server may
//! hold nothing that the document doesn't name.

use std::sync::LazyLock;

use boon::{Compiler, Schemas};
use estatebase::wire::messages::{MESSAGES, Sender};
use serde_json::Value;

const PLACE: &str = "https://estatebase.example/asyncapi.json";

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let mut document = estatebase::http::asyncapi::build();
    close(&mut document["components"]["schemas"]);
    document
});

/// Objects whose properties are named have no others.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            object.values_mut().for_each(close);
            if object.contains_key("properties") && object.get("type") == Some(&"object".into()) {
                object.insert("additionalProperties".into(), false.into());
            }
        }
        Value::Array(parts) => parts.iter_mut().for_each(close),
        _ => {}
    }
}

thread_local! {
    static SCHEMAS: (Schemas, Vec<(&'static str, Sender, boon::SchemaIndex)>) = {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.enable_format_assertions();
        compiler.add_resource(PLACE, DOCUMENT.clone()).unwrap();
        let compiled = MESSAGES.iter().map(|message| {
            let place = format!("{PLACE}#/components/schemas/{}", message.schema_name());
            let index = compiler.compile(&place, &mut schemas).unwrap();
            (message.name, message.from, index)
        });
        let compiled = compiled.collect();
        (schemas, compiled)
    };
}

/// Whether the document knows such a frame, or what is wrong with it.
pub(crate) fn check(from: Sender, frame: &Value) -> Result<(), String> {
    SCHEMAS.with(|(schemas, messages)| {
        let (_, _, index) = messages
            .iter()
            .find(|(name, sender, _)| frame["type"] == *name && *sender == from)
            .ok_or_else(|| format!("no such message: {frame}"))?;
        schemas
            .validate(frame, *index)
            .map_err(|error| format!("{frame}\n{error:#}"))
    })
}
