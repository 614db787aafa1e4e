//! Recipients whose key lies with a service: how SOPS writes them, and the client that asks the service.
//!
//! The notation is there in every build, so that entries of all kinds are named, compared and kept. The client is a
//! feature of its own; without it every error says so.

use std::future::Future;
use std::pin::Pin;

use super::{Identities, Looked, Outcome, RecipientKind, RecipientSpec, ends};
use crate::document::value::Value;
use crate::error::{Error, Kind, Result, printable};
use crate::sorting;

/// AWS KMS.
const KMS: &str = "kms";
const ROLE: &str = "role";

/// What a service answers, later. Dropping it ends the call.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The client of a service that wraps and unwraps data keys: a cloud's KMS, Vault. Whoever implements it keeps its
/// clients and tokens in [`Identities::state`], counts its calls ([`super::network::Network::count`]), and never gives a
/// token to anyone but its service.
pub trait KeyService: Sync {
    /// Has `data_key` (or a share of it) wrapped: the entry for the `sops` block.
    ///
    /// # Errors
    /// `Generic` (1): who asked whom as what, what the service answered (its own code and message), and the next step.
    fn wrap<'a>(&'a self, recipient: &'a RecipientSpec, data_key: &'a [u8], identities: &'a Identities) -> Answer<'a, Result<Value>>;

    /// Has the data key (or a share of it) of an entry unwrapped.
    fn unwrap<'a>(&'a self, entry: &'a Value, identities: &'a Identities) -> Answer<'a, Outcome>;

    /// Where identities for the service are looked for on this machine, and what is there; asks no network.
    fn looked(&self, identities: &Identities) -> Vec<Looked>;

    /// The permissions that wrapping and unwrapping need.
    fn needs(&self) -> [&'static str; 2];

    /// What one does who should be able to open a file of this kind.
    fn next(&self) -> &'static str;
}

/// A kind of recipient behind a service, or one that isn't built in.
pub struct Served {
    /// The field of the `sops` block.
    pub field: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// How SOPS writes a recipient: what stands before each field of an entry, and the field.
    pub id: &'static [(&'static str, &'static str)],
    /// The client, if it is built in.
    pub client: Option<&'static dyn KeyService>,
}

impl RecipientKind for Served {
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

    /// Vault: with or without a slash at the end. Azure: a recipient without a version is the key whatever its version.
    fn same(&self, a: &str, b: &str) -> bool {
        let bare = |text: &str| text.trim_end_matches('/').to_owned();
        match self.field {
            "hc_vault" => bare(a) == bare(b),
            "azure_kv" => bare(a) == bare(b) || is_version_of(&bare(a), &bare(b)) || is_version_of(&bare(b), &bare(a)),
            _ => a == b,
        }
    }

    fn is_local(&self) -> bool {
        self.field == "age"
    }

    fn service(&self) -> Option<&'static dyn KeyService> {
        self.client
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

    fn wrap(&self, recipient: &RecipientSpec, data_key: &[u8], identities: &Identities) -> Result<Value> {
        match self.client {
            Some(client) => ask_to_wrap(client, recipient, data_key, identities),
            None => {
                let message = format!("this build can't encrypt for {} recipients ({})", self.title, printable(&recipient.text));
                Err(Error::new(Kind::Generic, message).hint(format!("build with --features {}, or use sops for this file", self.feature())))
            }
        }
    }

    fn unwrap(&self, entry: &Value, identities: &Identities) -> Outcome {
        match self.client {
            Some(client) => ask_to_unwrap(client, entry, identities),
            None => Outcome::Failed { why: format!("{} isn't part of this build (the entry is kept)", self.title) },
        }
    }

    fn looked(&self, identities: &Identities) -> Vec<Looked> {
        self.client.map(|client| client.looked(identities)).unwrap_or_default()
    }

    fn next(&self) -> Option<&'static str> {
        self.client.map(KeyService::next)
    }
}

impl Served {
    /// The feature that builds the client in.
    fn feature(&self) -> &'static str {
        match self.field {
            KMS => "aws",
            "gcp_kms" => "gcp",
            "azure_kv" => "azure",
            "hc_vault" => "vault",
            other => other,
        }
    }
}

#[cfg(feature = "network")]
fn ask_to_wrap(client: &dyn KeyService, recipient: &RecipientSpec, data_key: &[u8], identities: &Identities) -> Result<Value> {
    let network = identities.network();
    network.run(client.wrap(recipient, data_key, identities)).map_err(|trouble| trouble.error(&recipient.text))?
}

#[cfg(feature = "network")]
fn ask_to_unwrap(client: &dyn KeyService, entry: &Value, identities: &Identities) -> Outcome {
    identities.network().run(client.unwrap(entry, identities)).unwrap_or_else(super::network::Trouble::outcome)
}

#[cfg(not(feature = "network"))]
fn ask_to_wrap(_: &dyn KeyService, recipient: &RecipientSpec, _: &[u8], _: &Identities) -> Result<Value> {
    Err(Error::new(Kind::Generic, format!("this build has no network for {}", printable(&recipient.text))))
}

#[cfg(not(feature = "network"))]
fn ask_to_unwrap(_: &dyn KeyService, _: &Value, _: &Identities) -> Outcome {
    Outcome::Failed { why: "this build has no network".to_owned() }
}

/// A key of AWS as flags and flat lists name it: `ARN`, or `ARN+ROLE`. Neither part holds `+arn:`.
pub fn arn_and_role(text: &str) -> (&str, Option<&str>) {
    match text.find("+arn:") {
        Some(at) if at > 0 => (&text[..at], Some(&text[at + 1..])),
        _ => (text, None),
    }
}

/// Whether `text` is `key`, a key of Azure without a version, with a version behind it.
fn is_version_of(text: &str, key: &str) -> bool {
    let version = text.strip_prefix(key).and_then(|rest| rest.strip_prefix('/'));
    let bare = key.split_once("/keys/").is_some_and(|(_, name)| !name.contains('/'));
    bare && version.is_some_and(|version| !version.is_empty() && !version.contains('/'))
}

/// Role, context and profile of an entry, in the order and by the names that the configuration gives them.
fn aws_extra(entry: &Value) -> Vec<(String, String)> {
    let text = |name: &str| Some((name.to_owned(), entry.get(name)?.text().filter(|text| !text.is_empty())?.into_owned()));
    let context = entry.get("context").map(Value::entries).unwrap_or_default();
    let mut context: Vec<_> =
        context.iter().filter_map(|(key, value)| Some((format!("context.{key}"), value.text()?.into_owned()))).collect();
    sorting::by(&mut context, Ord::cmp);
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
    fn a_key_of_azure_without_a_version_is_the_same_in_every_version() {
        let azure = kind_by_field("azure_kv").unwrap();
        let key = "https://v.vault.azure.net/keys/n";
        assert!(azure.same(key, &format!("{key}/a1")) && azure.same(&format!("{key}/a1"), &format!("{key}/")));
        assert!(!azure.same(&format!("{key}/a1"), &format!("{key}/b2")) && !azure.same(key, &format!("{key}n/a1")));
        assert!(!azure.same(key, "https://w.vault.azure.net/keys/n/a1") && !azure.same("https://v.vault.azure.net/keys", key));
        let vault = kind_by_field("hc_vault").unwrap();
        assert!(
            vault.same("https://v/v1/t/keys/k", "https://v/v1/t/keys/k/") && !vault.same("https://v/v1/t/keys/k", "https://v/v1/t/keys/kk")
        );
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
