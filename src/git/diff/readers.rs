//! Who still reads what is gone: `secretKeyRef`, `envFrom` and the `items` of volumes in the same tree. What charts and
//! overlays make of it is not seen.

use super::calls::{Call, secret_key};
use super::{FileChange, ObjectChange, Presence, What};
use crate::document::{Document, Format, Kind, NONE, NodeId};
use crate::kubernetes;
use crate::kubernetes::Identity;

/// A Secret of which something is gone.
pub struct Gone {
    /// The file it is, or was, in.
    file: String,
    secret: Identity,
    /// The keys that are gone; none if the Secret itself is.
    keys: Option<Vec<String>>,
}

impl Gone {
    /// The name by which workloads refer to it.
    pub fn name(&self) -> &str {
        &self.secret.name
    }
}

/// The Secrets of which something is gone.
pub fn gone(files: &[FileChange]) -> Vec<Gone> {
    let objects = files.iter().flat_map(|file| file.objects.iter().map(move |object| (file, object)));
    objects.filter(|(_, object)| object.is_secret).filter_map(|(file, object)| of_object(file, object)).collect()
}

fn of_object(file: &FileChange, object: &ObjectChange) -> Option<Gone> {
    let gone = |secret: &Identity, keys| Some(Gone { file: file.path.clone(), secret: secret.clone(), keys });
    match (object.presence, &object.renamed_from, &object.identity) {
        (Presence::Removed, _, Some(identity)) | (Presence::Both, Some(identity), _) => gone(identity, None),
        (Presence::Both, None, Some(identity)) => {
            let keys = keys(object);
            if keys.is_empty() { None } else { gone(identity, Some(keys)) }
        }
        _ => None,
    }
}

/// Removed keys, those that were moved included, unless they are there under `data` or `stringData` again.
fn keys(object: &ObjectChange) -> Vec<String> {
    let there = |key: &str| object.changes.iter().any(|change| change.what != What::Removed && secret_key(&change.path) == Some(key));
    let old = object.changes.iter().filter_map(|change| match change.what {
        What::Removed => secret_key(&change.path),
        _ => change.from.as_deref().and_then(secret_key),
    });
    old.filter(|key| !there(key)).map(str::to_owned).collect()
}

/// What a workload reads.
struct Use<'d> {
    secret: &'d str,
    /// None for all keys.
    key: Option<&'d str>,
    how: &'static str,
}

/// The call-outs for workloads in these files (path and text) that read what is gone.
pub fn calls(gone: &[Gone], texts: &[(String, &[u8])], format: fn(&str, &str) -> &'static dyn Format) -> Vec<Call> {
    let mut calls = Vec::new();
    for (path, bytes) in texts {
        let Ok(text) = std::str::from_utf8(bytes) else { continue };
        let Ok(document) = format(path, text).parse(text) else { continue };
        for part in document.parts.iter().filter(|part| part.root != NONE) {
            let Some(object) = kubernetes::object(&document, part.root) else { continue };
            let mut uses = Vec::new();
            gather(&document, part.root, &mut uses);
            let who = format!("{} ({path})", title(&object));
            calls.extend(gone.iter().flat_map(|gone| reads(gone, &object, &who, &uses)));
        }
    }
    super::calls::gathered(calls)
}

fn title(object: &kubernetes::Object<'_>) -> String {
    match object.namespace {
        Some(namespace) => format!("{} {namespace}/{}", object.kind, object.name.unwrap_or("(no name)")),
        None => object.title(),
    }
}

fn reads(gone: &Gone, object: &kubernetes::Object<'_>, who: &str, uses: &[Use<'_>]) -> Vec<Call> {
    let elsewhere = object.namespace.zip(gone.secret.namespace.as_deref()).is_some_and(|(a, b)| a != b);
    let call = |text: String| Call { id: "still-read", text, files: vec![gone.file.clone()] };
    let mut found: Vec<Call> = Vec::new();
    for reading in uses.iter().filter(|reading| !elsewhere && reading.secret == gone.secret.name) {
        let secret = gone.secret.title();
        let texts: Vec<String> = match &gone.keys {
            None => vec![format!("{secret} is gone, and {who} reads it ({})", reading.how)],
            Some(keys) => {
                let meant = keys.iter().filter(|key| reading.key.is_none_or(|read| read == key.as_str()));
                meant.map(|key| format!("{secret}: key {key} is gone, and {who} reads it ({})", reading.how)).collect()
            }
        };
        for text in texts {
            if !found.iter().any(|known| known.text == text) {
                found.push(call(text));
            }
        }
    }
    found
}

/// Everything below `id` that refers to a Secret.
fn gather<'d>(document: &'d Document<'_>, id: NodeId, uses: &mut Vec<Use<'d>>) {
    let node = document.node(id);
    match node.kind {
        Kind::Sequence => document.children(id).for_each(|item| gather(document, item, uses)),
        Kind::Mapping => {
            for (key, value) in document.entries(id) {
                let text = |name: &str| document.get(value, name).map(|id| document.text(id));
                match document.key_text(key) {
                    "secretKeyRef" => uses.extend(text("name").map(|secret| Use { secret, key: text("key"), how: "secretKeyRef" })),
                    "secretRef" => uses.extend(text("name").map(|secret| Use { secret, key: None, how: "envFrom" })),
                    "secret" => uses.extend(volume(document, value)),
                    _ => gather(document, value, uses),
                }
            }
        }
        Kind::Scalar | Kind::Alias => {}
    }
}

/// A volume, plain or projected: the keys in its `items`. Without them the volume has what there is, and nothing breaks.
fn volume<'d>(document: &'d Document<'_>, value: NodeId) -> Vec<Use<'d>> {
    let Some(secret) = document.get(value, "secretName").or_else(|| document.get(value, "name")) else { return Vec::new() };
    let secret = document.text(secret);
    let items = document.get(value, "items").map(|items| document.children(items).collect::<Vec<_>>()).unwrap_or_default();
    let keys = items.into_iter().filter_map(|item| document.get(item, "key"));
    keys.map(|key| Use { secret, key: Some(document.text(key)), how: "items" }).collect()
}
