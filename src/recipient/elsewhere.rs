//! Kinds that this build can't open: their entries are kept as they are, and every error says so by name.

use super::{Identities, Outcome, RecipientKind, RecipientSpec, ends};
use crate::document::value::Value;
use crate::error::{Error, Kind, Result};

/// A kind of recipient that isn't built in.
pub struct Elsewhere {
    /// The field of the `sops` block.
    pub field: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// How SOPS writes a recipient: what stands before each field of an entry, and the field.
    pub id: &'static [(&'static str, &'static str)],
}

impl RecipientKind for Elsewhere {
    fn field(&self) -> &'static str {
        self.field
    }

    fn parse(&self, text: &str) -> Result<RecipientSpec> {
        match text.trim() {
            "" => Err(Error::new(Kind::Generic, format!("an empty {} recipient", self.title))),
            text => Ok(RecipientSpec { kind: self.field, text: text.to_owned(), extra: Vec::new() }),
        }
    }

    fn describe(&self, entry: &Value) -> String {
        let mut out = String::new();
        for (before, field) in self.id {
            if let Some(text) = entry.get(field).and_then(Value::text).filter(|text| !text.is_empty()) {
                out.push_str(before);
                out.push_str(text.trim());
            }
        }
        out
    }

    /// PGP: the last 16 digits; age: both ends; Azure: the key without its version; all others: the last part of the path.
    fn short(&self, recipient: &str) -> String {
        let path = recipient.split_once("/keys/").filter(|_| self.field == "azure_kv").map_or(recipient, |(_, name)| name);
        match self.field {
            "age" => ends(recipient),
            "pgp" => recipient.chars().skip(recipient.chars().count().saturating_sub(16)).collect(),
            "azure_kv" => path.split('/').next().unwrap_or(path).to_owned(),
            _ => path.rsplit(['/', ':']).next().unwrap_or(path).to_owned(),
        }
    }

    fn wrap(&self, recipient: &RecipientSpec, _data_key: &[u8]) -> Result<Value> {
        let message = format!("this version can't encrypt for {} recipients ({})", self.title, recipient.text);
        Err(Error::new(Kind::Generic, message).hint("name age recipients, or use sops for this file"))
    }

    fn unwrap(&self, _entry: &Value, _identities: &Identities) -> Outcome {
        Outcome::Failed { why: format!("{} isn't supported by this version (the entry is kept)", self.title) }
    }
}
