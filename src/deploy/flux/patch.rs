//! What a patch does to an encrypted object: a value in clear where its selection expects ciphertext, and it can't be opened.

use super::object::Sealed;
use crate::document::value::Value;
use crate::document::{NONE, yaml};

const KEY: &str = "operations";

/// Whether a patch puts a value into an encrypted field of the object. `target` is the entry's own; without one the patch says itself
/// what it is for.
pub fn adds_clear(text: &str, target: Option<&Value>, sealed: &Sealed) -> bool {
    let chosen = |patch: &Value| target.map_or_else(|| is_of(patch, sealed), |target| fits(target, sealed));
    documents(text).iter().any(|patch| chosen(patch) && touches(patch, sealed))
}

/// The objects of a patch, or its list of operations: as SOPS reads YAML, a list has to stand under a key.
fn documents(text: &str) -> Vec<Value> {
    let read = |text: &str| {
        let document = yaml::parse(text).ok()?;
        let roots = document.parts.iter().map(|part| part.root).filter(|root| *root != NONE);
        Some(roots.filter_map(|root| Value::of(&document, root).ok()).collect::<Vec<_>>())
    };
    let below_key = || format!("{KEY}:\n  {}", text.replace('\n', "\n  "));
    read(text)
        .or_else(|| read(&below_key()).map(|found| found.iter().filter_map(|map| map.get(KEY).cloned()).collect()))
        .unwrap_or_default()
}

/// Whether a target chooses the object: kind and name as they are; patterns and labels are left to kustomize.
fn fits(target: &Value, sealed: &Sealed) -> bool {
    let word = |key: &str| target.get(key).and_then(Value::text).filter(|text| !text.is_empty());
    let of = |key: &str, own: &str| word(key).is_none_or(|text| text == own);
    let chosen = ["kind", "name"].iter().any(|key| word(key).is_some());
    chosen && of("kind", sealed.kind()) && of("name", sealed.name())
}

fn is_of(patch: &Value, sealed: &Sealed) -> bool {
    let name = patch.get("metadata").and_then(|metadata| metadata.get("name")?.text());
    patch.get("kind").and_then(Value::text).zip(name).is_some_and(|(kind, name)| sealed.is(&kind, &name))
}

/// A strategic merge has the field with a value in it; an operation of JSON 6902 has it in its path, and a value.
fn touches(patch: &Value, sealed: &Sealed) -> bool {
    let within = |path: &str| sealed.fields.iter().any(|field| path.trim_start_matches('/').split('/').next() == Some(field));
    let operation = |item: &Value| {
        let is_clear = item.get("value").is_some_and(|value| !value.is_null());
        is_clear && item.get("path").and_then(Value::text).is_some_and(|path| within(&path))
    };
    let merged = |field: &String| patch.get(field).is_some_and(|map| map.entries().iter().any(|(_, value)| !value.is_null()));
    patch.items().iter().any(operation) || sealed.fields.iter().any(merged)
}
