//! Secrets that Kubernetes refuses, or reads otherwise than they look: names, keys, types and sizes, which ciphertext shows too.
//!
//! What the API server checks: `ValidateSecret` and the names of apimachinery. A text with a placeholder is judged by nobody
//! before it is filled in.

use std::collections::HashSet;

use super::{Rule, Sheet, Subject, judge};
use crate::document::render::Style;
use crate::document::resolve::Type;
use crate::document::{Document, Kind, NodeId};
use crate::kubernetes::{Object, decoded};
use crate::seal::value::Token;

use super::Level::{Error, Warning};

/// A value of `data` that isn't base64.
pub static BAD_BASE64: Rule = Rule::new("KV201", "bad-base64", Error);
/// A key that no Secret can have.
pub static BAD_KEY: Rule = Rule::new("KV203", "bad-key-name", Error);
/// A name that no object can have.
pub static BAD_NAME: Rule = Rule::new("KV204", "bad-object-name", Error);
/// Keys that the type asks for are missing.
pub static TYPE_KEYS: Rule = Rule::new("KV205", "type-keys", Error);
/// One key in `data` and `stringData`.
pub static OVERLAP: Rule = Rule::new("KV206", "data-stringdata-overlap", Warning);
/// A value that isn't a string.
pub static TYPED: Rule = Rule::new("KV208", "yaml-typed-value", Warning);
/// More bytes than a Secret can hold.
pub static OVERSIZE: Rule = Rule::new("KV209", "oversize", Error);
/// A field that Secrets don't have.
pub static UNKNOWN_FIELD: Rule = Rule::new("KV217", "unknown-field", Warning);

pub(super) const RULES: &[&Rule] = &[&BAD_BASE64, &BAD_KEY, &BAD_NAME, &TYPE_KEYS, &OVERLAP, &TYPED, &OVERSIZE, &UNKNOWN_FIELD];

/// Kubernetes' bound of all values, decoded.
const MOST: usize = 1024 * 1024;
/// The longest name and the longest key.
const LONGEST: usize = 253;
const FIELDS: [&str; 8] = ["apiVersion", "kind", "metadata", "type", "data", "stringData", "immutable", "sops"];
/// What one of the keys of each list must be there for.
const TYPES: [(&str, &[&str]); 6] = [
    ("kubernetes.io/tls", &["tls.crt"]),
    ("kubernetes.io/tls", &["tls.key"]),
    ("kubernetes.io/dockerconfigjson", &[".dockerconfigjson"]),
    ("kubernetes.io/dockercfg", &[".dockercfg"]),
    ("kubernetes.io/basic-auth", &["username", "password"]),
    ("kubernetes.io/ssh-auth", &["ssh-privatekey"]),
];

pub(super) fn look(subject: &Subject<'_>, sheet: &mut Sheet<'_>) {
    let Some(document) = subject.document.filter(|_| !subject.conflict) else { return };
    for object in subject.objects().iter().filter(|object| decoded::is_secret(object)) {
        let secret = Secret::of(document, object);
        secret.fields(sheet);
        secret.name(sheet);
        secret.keys(sheet);
        secret.values(sheet);
        secret.size(sheet);
    }
}

/// An entry of `data` or `stringData`.
struct Entry {
    key: NodeId,
    value: NodeId,
    encoded: bool,
}

struct Secret<'d, 's> {
    document: &'d Document<'s>,
    root: NodeId,
    title: String,
    entries: Vec<Entry>,
}

impl<'d, 's> Secret<'d, 's> {
    fn of(document: &'d Document<'s>, object: &Object<'_>) -> Secret<'d, 's> {
        let followed = |id: NodeId| match document.node(id).kind {
            Kind::Alias => document.node(id).target(),
            _ => id,
        };
        let mut entries = Vec::new();
        for (field, encoded) in [("data", true), ("stringData", false)] {
            let Some(values) = document.get(object.root, field).map(followed) else { continue };
            if document.node(values).kind == Kind::Mapping {
                entries.extend(document.entries(values).map(|(key, value)| Entry { key, value: followed(value), encoded }));
            }
        }
        let title = crate::error::printable(&object.title());
        Secret { document, root: object.root, title, entries }
    }

    /// The text of a field in clear; none where it is filled in later, or encrypted.
    fn settled(&self, id: NodeId) -> Option<&'d str> {
        let text = self.document.text(id);
        let open = ["${", "{{", "$(", "ENC[", "<"].iter().any(|mark| text.contains(mark));
        (!open && self.document.node(id).kind == Kind::Scalar).then_some(text)
    }

    fn fields(&self, sheet: &mut Sheet<'_>) {
        for (key, _) in self.document.entries(self.root) {
            let Some(name) = self.settled(key).filter(|name| !FIELDS.contains(name)) else { continue };
            let meant = FIELDS.iter().find(|field| field.eq_ignore_ascii_case(name));
            let next = meant.map_or("take it out: Kubernetes refuses it, or drops it".to_owned(), |field| format!("it is {field}"));
            sheet.node(&UNKNOWN_FIELD, self.document, key, format!("{}: a Secret has no such field", self.title), next);
        }
    }

    fn name(&self, sheet: &mut Sheet<'_>) {
        let name = self.document.get(self.root, "metadata").and_then(|metadata| self.document.get(metadata, "name"));
        let Some(id) = name.filter(|id| self.settled(*id).is_some_and(|name| !is_name(name))) else { return };
        let message = format!("{}: no object can have this name", self.title);
        sheet.node(&BAD_NAME, self.document, id, message, "small letters, digits, - and ., a letter or digit at both ends of each part");
    }

    fn keys(&self, sheet: &mut Sheet<'_>) {
        let text = |entry: &Entry| self.document.key_text(entry.key);
        let encoded: HashSet<&str> = self.entries.iter().filter(|entry| entry.encoded).map(text).collect();
        for entry in &self.entries {
            if self.settled(entry.key).is_some_and(|key| !is_key(key)) {
                let message = format!("{}: no Secret can have this key", self.title);
                sheet.node(&BAD_KEY, self.document, entry.key, message, "letters, digits, -, _ and ., none beginning with ..");
            }
            if !entry.encoded && encoded.contains(text(entry)) {
                let message = format!("{}: this key stands in data too, and the value here is the one that counts", self.title);
                sheet.node(&OVERLAP, self.document, entry.key, message, "take one of them out");
            }
        }
        let Some((at, kind)) = self.document.get(self.root, "type").and_then(|id| Some((id, self.settled(id)?))) else { return };
        let missing = TYPES.iter().filter(|(of, any)| *of == kind && !self.entries.iter().any(|entry| any.contains(&text(entry))));
        for (_, any) in missing.filter(|_| !self.entries.is_empty()) {
            let message = format!("{}: a Secret of this type needs the key {}", self.title, any.join(" or "));
            sheet.node(&TYPE_KEYS, self.document, at, message, "add it, or change the type: Kubernetes refuses the Secret");
        }
    }

    fn values(&self, sheet: &mut Sheet<'_>) {
        for entry in &self.entries {
            let text = self.document.text(entry.value);
            if let Some(kind) = self.typed(entry) {
                let message = format!("{}: this value is {kind}, and values of Secrets are strings: Kubernetes refuses it", self.title);
                sheet.node(&TYPED, self.document, entry.value, message, "put it in quotes: kveil edit opens an encrypted file");
            } else if entry.encoded && self.is_string(entry.value) && self.settled(entry.value).is_some() && decoded::decode(text).is_none()
            {
                // What stands for a secret is filled in later.
                if judge::clear_value(self.document.key_text(entry.key), text, true).is_some() {
                    let message = format!("{}: this value of data isn't base64 (standard alphabet, with padding)", self.title);
                    sheet.node(&BAD_BASE64, self.document, entry.value, message, "encode it, or put it under stringData as it is");
                }
            }
        }
    }

    fn is_string(&self, id: NodeId) -> bool {
        self.document.props(id).tag.is_none() && self.document.scalar(id).is_ok_and(|scalar| scalar.kind == Type::Str)
    }

    /// What a value is that isn't a string, in ciphertext as well; readers of YAML 1.1, as Kubernetes is one, know more words.
    fn typed(&self, entry: &Entry) -> Option<&'static str> {
        let node = self.document.node(entry.value);
        if node.kind != Kind::Scalar {
            return None;
        }
        let text = self.document.text(entry.value);
        let kind = Token::parse(text)
            .map_or_else(|| self.document.scalar(entry.value).ok().map(|scalar| scalar.kind), |token| Type::from_name(token.kind))?;
        match kind {
            Type::Int | Type::Float => Some("a number"),
            Type::Bool => Some("a boolean"),
            Type::Str if node.style == Style::Plain && !self.document.is_json() && is_old_boolean(text) => Some("a boolean of YAML 1.1"),
            _ => None,
        }
    }

    /// Ciphertext is as long as what it hides, and base64 a third longer than what it says.
    fn size(&self, sheet: &mut Sheet<'_>) {
        let length = |entry: &Entry| {
            let text = self.document.text(entry.value);
            let length = Token::parse(text).map_or(text.len(), |token| token.length());
            if entry.encoded { (length / 4 * 3).saturating_sub(2) } else { length }
        };
        let sum: usize = self.entries.iter().map(length).sum();
        if sum > MOST {
            let message = format!("{}: its values have {sum} bytes, and a Secret holds {MOST}", self.title);
            sheet.node(&OVERSIZE, self.document, self.root, message, "split it, or keep large files elsewhere");
        }
    }
}

/// A subdomain by RFC 1123.
fn is_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let part = |part: &str| {
        let bytes = part.as_bytes();
        bytes.iter().all(|byte| inner(*byte) || *byte == b'-')
            && bytes.first().is_some_and(|byte| inner(*byte))
            && bytes.last().is_some_and(|byte| inner(*byte))
    };
    name.len() <= LONGEST && name.split('.').all(part)
}

fn is_key(key: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    !key.is_empty() && key.len() <= LONGEST && key.bytes().all(known) && key != "." && !key.starts_with("..")
}

fn is_old_boolean(text: &str) -> bool {
    ["y", "Y", "yes", "Yes", "YES", "n", "N", "no", "No", "NO", "on", "On", "ON", "off", "Off", "OFF"].contains(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_keys_are_those_of_kubernetes() {
        assert!(["a", "a-b.c0", "0"].iter().all(|name| is_name(name)));
        assert!(["", "A", "a_b", "-a", "a-", "a..b", "a.-b"].iter().all(|name| !is_name(name)));
        assert!([".dockerconfigjson", "A_b-c.D", ".hidden", "0"].iter().all(|key| is_key(key)));
        assert!(["", ".", "..", "..a", "a/b", "ä", "a b"].iter().all(|key| !is_key(key)));
        assert!(!is_key(&"a".repeat(254)) && !is_name(&"a".repeat(254)));
    }
}
