//! Kinds that this build can't open: their entries are kept as they are, and every error says so by name.

use super::{Identities, Outcome, RecipientKind, RecipientSpec, ends};
use crate::document::value::Value;
use crate::error::{Error, Kind, Result};

/// AWS KMS.
const KMS: &str = "kms";
const ROLE: &str = "role";

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
        let text = if matches!(self.field, KMS | "gcp_kms") { text.replace(' ', "") } else { text.trim().to_owned() };
        if text.is_empty() {
            return Err(Error::new(Kind::Generic, format!("an empty {} recipient", self.title)));
        }
        let (text, role) = if self.field == KMS { arn_and_role(&text) } else { (text.as_str(), None) };
        let extra = role.map(|role| (ROLE.to_owned(), role.to_owned())).into_iter().collect();
        Ok(RecipientSpec { kind: self.field, text: text.to_owned(), extra })
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

    /// AWS: role, context and profile are part of the recipient.
    fn spec(&self, entry: &Value) -> RecipientSpec {
        let extra = if self.field == KMS { aws_extra(entry) } else { Vec::new() };
        RecipientSpec { kind: self.field, text: self.describe(entry), extra }
    }

    fn is_local(&self) -> bool {
        self.field == "age"
    }

    /// age: both ends; Azure: the key without its version; all others: the last part of the path.
    fn short(&self, recipient: &str) -> String {
        let path = recipient.split_once("/keys/").filter(|_| self.field == "azure_kv").map_or(recipient, |(_, name)| name);
        match self.field {
            "age" => ends(recipient),
            "azure_kv" => path.split('/').next().unwrap_or(path).to_owned(),
            _ => path.rsplit(['/', ':']).next().unwrap_or(path).to_owned(),
        }
    }

    fn wrap(&self, recipient: &RecipientSpec, _data_key: &[u8], _identities: &Identities) -> Result<Value> {
        let message = format!("this version can't encrypt for {} recipients ({})", self.title, recipient.text);
        Err(Error::new(Kind::Generic, message).hint("name age recipients, or use sops for this file"))
    }

    fn unwrap(&self, _entry: &Value, _identities: &Identities) -> Outcome {
        Outcome::Failed { why: format!("{} isn't supported by this version (the entry is kept)", self.title) }
    }
}

/// A key of AWS as flags and flat lists name it: `ARN`, or `ARN+ROLE`. Neither part holds `+arn:`.
pub fn arn_and_role(text: &str) -> (&str, Option<&str>) {
    match text.find("+arn:") {
        Some(at) if at > 0 => (&text[..at], Some(&text[at + 1..])),
        _ => (text, None),
    }
}

/// Role, context and profile of an entry, in the order and by the names that the configuration gives them.
fn aws_extra(entry: &Value) -> Vec<(String, String)> {
    let text = |name: &str| Some((name.to_owned(), entry.get(name)?.text().filter(|text| !text.is_empty())?.into_owned()));
    let context = entry.get("context").map(Value::entries).unwrap_or_default();
    let mut context: Vec<_> =
        context.iter().filter_map(|(key, value)| Some((format!("context.{key}"), value.text()?.into_owned()))).collect();
    context.sort();
    text(ROLE).into_iter().chain(context).chain(text("aws_profile")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipient::kind_by_field;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_role_may_follow_the_key() {
        let kms = kind_by_field("kms").unwrap();
        let spec = kms.parse(" arn:aws:kms:us-east-1:1:key/x+arn:aws:iam::1:role/r ").unwrap();
        assert_eq!((spec.text.as_str(), spec.extra), ("arn:aws:kms:us-east-1:1:key/x", pairs(&[("role", "arn:aws:iam::1:role/r")])));
        assert_eq!(arn_and_role("arn:x:alias/a+b"), ("arn:x:alias/a+b", None));
        assert_eq!(arn_and_role("+arn:x"), ("+arn:x", None));
    }

    #[test]
    fn an_entry_gives_back_all_that_its_recipient_says() {
        let map = |fields: &[(&str, Value)]| Value::Map(fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect());
        let context = map(&[("zz", Value::string("1")), ("aa", Value::string("two"))]);
        let entry =
            map(&[("arn", Value::string("A")), ("aws_profile", Value::string("p")), ("context", context), ("role", Value::string("r"))]);
        let spec = kind_by_field("kms").unwrap().spec(&entry);
        assert_eq!(spec.text, "A");
        assert_eq!(spec.extra, pairs(&[("role", "r"), ("context.aa", "two"), ("context.zz", "1"), ("aws_profile", "p")]));
        let bare = kind_by_field("kms").unwrap().spec(&map(&[("arn", Value::string("A")), ("aws_profile", Value::string(""))]));
        assert!(bare.extra.is_empty());
    }
}
