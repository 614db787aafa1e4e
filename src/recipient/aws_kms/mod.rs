//! Keys in AWS KMS: the data key is sent there to be wrapped and unwrapped, as one of the identities that this machine
//! has on AWS. Requests, entries and the name of the session of a role are those of SOPS.
//!
//! The SDK finds credentials, settings and proxies in the environment of the process; an [`super::Environment`] that is
//! fixed decides only which profiles there are. SDK types that would print a secret are never printed.

mod connection;
mod credentials;
mod identity;
mod refusal;
mod session;
mod surroundings;

use std::collections::HashMap;

use aws_sdk_kms::primitives::Blob;
use base64_simd::STANDARD;
use zeroize::Zeroizing;

use super::service::{Answer, KeyService};
use super::{CREATED_AT, ENC, Identities, Looked, Outcome, RecipientSpec, created_at, kind_by_field, wrapped_key};
use crate::document::value::Value;
use crate::error::{Error, Kind, Result, printable};
use identity::{Clients, Identity, Source};
use refusal::{Asked, Refusal, Refusals};

/// The client of AWS KMS.
pub struct AwsKms;

const FIELD: &str = "kms";
const TITLE: &str = "AWS KMS";
const ROLE: &str = "role";
const PROFILE: &str = "aws_profile";
const CONTEXT: &str = "context";

impl KeyService for AwsKms {
    fn wrap<'a>(&'a self, recipient: &'a RecipientSpec, data_key: &'a [u8], identities: &'a Identities) -> Answer<'a, Result<Value>> {
        Box::pin(async move {
            let key = Key::of(recipient).map_err(|why| cannot_name(&why))?;
            let answer = Request { key: &key, action: Action::Encrypt, bytes: data_key }.ask(identities).await;
            answer.map(|blob| key.entry(&blob)).map_err(|refusals| refusals.error(&key))
        })
    }

    fn unwrap<'a>(&'a self, entry: &'a Value, identities: &'a Identities) -> Answer<'a, Outcome> {
        Box::pin(async move {
            let (key, blob) = match (spec_of(entry), blob_of(entry)) {
                (Ok(key), Ok(blob)) => (key, blob),
                (Err(why), _) => return Outcome::Failed { why },
                (_, Err(outcome)) => return outcome,
            };
            match (Request { key: &key, action: Action::Decrypt, bytes: &blob }).ask(identities).await {
                Ok(data_key) => Outcome::Opened(data_key),
                Err(refusals) => refusals.outcome(&key),
            }
        })
    }

    fn looked(&self, identities: &Identities) -> Vec<Looked> {
        surroundings::looked(identities.environment())
    }

    fn needs(&self) -> [&'static str; 2] {
        [Action::Encrypt.permission(), Action::Decrypt.permission()]
    }

    fn next(&self) -> &'static str {
        "if you may use one of these keys of AWS KMS, log in there (aws sso login, or the variables AWS_…) and try again"
    }
}

fn cannot_name(why: &str) -> Error {
    Error::new(Kind::Generic, why).hint("expected arn:aws:kms:REGION:ACCOUNT:key/ID or …:alias/NAME, perhaps with +arn:aws:iam::…:role/…")
}

fn spec_of(entry: &Value) -> std::result::Result<Key, String> {
    kind_by_field(FIELD).map_or_else(|| Err(format!("{TITLE} isn't known")), |kind| Key::of(&kind.spec(entry)))
}

fn blob_of(entry: &Value) -> std::result::Result<Vec<u8>, Outcome> {
    let text = wrapped_key(entry)?;
    STANDARD.decode_to_vec(text.as_bytes()).map_err(|_| Outcome::Failed { why: "the wrapped key isn't valid base64".to_owned() })
}

/// A key of AWS KMS, and what an entry says about its use.
struct Key {
    arn: String,
    region: String,
    role: Option<String>,
    /// A hint only: of the machine where the file was encrypted.
    profile: Option<String>,
    context: HashMap<String, String>,
}

impl Key {
    fn of(spec: &RecipientSpec) -> std::result::Result<Key, String> {
        let Some(region) = region(&spec.text) else {
            // The phrase of SOPS.
            return Err(format!("no valid ARN found in '{}'", printable(&spec.text)));
        };
        let extra =
            |name: &str| spec.extra.iter().find(|(known, value)| known == name && !value.is_empty()).map(|(_, value)| value.clone());
        let pair = |(name, value): &(String, String)| Some((name.strip_prefix("context.")?.to_owned(), value.clone()));
        Ok(Key {
            arn: spec.text.clone(),
            region: region.to_owned(),
            role: extra(ROLE),
            profile: extra(PROFILE),
            context: spec.extra.iter().filter_map(pair).collect(),
        })
    }

    /// The entry for the `sops` block: sorted, the profile even if it is empty, as SOPS writes it.
    fn entry(&self, blob: &[u8]) -> Value {
        let mut context: Vec<_> = self.context.iter().map(|(name, value)| (name.clone(), Value::string(value))).collect();
        context.sort_by(|(a, _), (b, _)| a.cmp(b));
        let fields = [
            Some(("arn", Value::string(&self.arn))),
            Some((PROFILE, Value::string(self.profile.as_deref().unwrap_or_default()))),
            (!context.is_empty()).then_some((CONTEXT, Value::Map(context))),
            Some((CREATED_AT, created_at())),
            Some((ENC, Value::string(STANDARD.encode_to_string(blob)))),
            self.role.as_ref().map(|role| (ROLE, Value::string(role))),
        ];
        Value::Map(fields.into_iter().flatten().map(|(name, value)| (name.to_owned(), value)).collect())
    }
}

/// The region of a key's ARN, `arn:aws…:kms:REGION:ACCOUNT:key/…` or `…:alias/…`: the patterns of SOPS.
fn region(arn: &str) -> Option<&str> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let &["arn", partition, "kms", region, account, resource] = &parts[..] else { return None };
    let word = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let named = ["key/", "alias/"].iter().any(|start| resource.strip_prefix(start).is_some_and(|name| !name.is_empty()));
    (partition.starts_with("aws") && word(partition) && word(region) && !region.is_empty() && digits(account) && named).then_some(region)
}

/// What is asked of a key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Encrypt,
    Decrypt,
}

impl Action {
    /// The permission that it needs.
    fn permission(self) -> &'static str {
        match self {
            Action::Encrypt => "kms:Encrypt",
            Action::Decrypt => "kms:Decrypt",
        }
    }
}

/// A call of AWS KMS, whoever makes it.
struct Request<'a> {
    key: &'a Key,
    action: Action,
    bytes: &'a [u8],
}

impl Request<'_> {
    /// Asks as the profile that the entry names, if it is on this machine; then, where another identity may help, as
    /// whom the SDK finds.
    async fn ask(&self, identities: &Identities) -> std::result::Result<Zeroizing<Vec<u8>>, Refusals> {
        let clients = identities.state::<Clients>();
        if let Some(why) = identities.environment().broken_authorities() {
            return Err(Refusals { action: self.action, all: vec![Refusal::of_authorities(why, Asked::Key(self.action))] });
        }
        let (sources, mut refusals) = self.sources(identities);
        let mut asked_as: Vec<String> = Vec::new();
        for source in sources {
            let refusal = match clients.identity(&source, self.key, identities).await {
                Ok(identity) if asked_as.contains(&identity.access_key) => continue,
                Ok(identity) => {
                    asked_as.push(identity.access_key.clone());
                    match self.ask_as(&identity, &clients, identities).await {
                        Ok(bytes) => return Ok(bytes),
                        Err(refusal) => refusal,
                    }
                }
                Err(refusal) => refusal,
            };
            let stays = !refusal.another_may();
            refusals.push(refusal);
            if stays {
                break;
            }
        }
        Err(Refusals { action: self.action, all: refusals })
    }

    fn sources(&self, identities: &Identities) -> (Vec<Source>, Vec<Refusal>) {
        match &self.key.profile {
            None => (vec![Source::Machine], Vec::new()),
            Some(profile) if surroundings::has_profile(identities.environment(), profile) => {
                (vec![Source::Profile(profile.clone()), Source::Machine], Vec::new())
            }
            Some(profile) => (vec![Source::Machine], vec![Refusal::no_profile(profile)]),
        }
    }

    async fn ask_as(
        &self,
        identity: &Identity,
        clients: &Clients,
        identities: &Identities,
    ) -> std::result::Result<Zeroizing<Vec<u8>>, Refusal> {
        identities.network().count(TITLE, &identity.name);
        let client = clients.client(identity, &self.key.region, identities.network().clock());
        let (arn, bytes) = (&self.key.arn, Blob::new(self.bytes));
        let context = Some(self.key.context.clone()).filter(|context| !context.is_empty());
        let asked = || Asked::Key(self.action);
        let blob = match self.action {
            Action::Encrypt => {
                let answer = client.encrypt().key_id(arn).plaintext(bytes).set_encryption_context(context).send().await;
                answer.map_err(|error| Refusal::of_call(&error, asked(), &identity.name))?.ciphertext_blob
            }
            Action::Decrypt => {
                let answer = client.decrypt().key_id(arn).ciphertext_blob(bytes).set_encryption_context(context).send().await;
                answer.map_err(|error| Refusal::of_call(&error, asked(), &identity.name))?.plaintext
            }
        };
        blob.map(|blob| Zeroizing::new(blob.into_inner())).ok_or_else(|| Refusal::empty(asked(), &identity.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_region_is_that_of_the_key() {
        for (arn, expected) in [
            ("arn:aws:kms:us-east-1:656532927350:key/920aff2e", Some("us-east-1")),
            ("arn:aws-us-gov:kms:us-gov-west-1:656532927350:alias/a/b", Some("us-gov-west-1")),
            ("arn:aws-cn:kms:cn-north-1:1:key/mrk-1234", Some("cn-north-1")),
            ("arn:aws:kms::1:key/x", None),
            ("arn:aws:kms:us-east-1:acme:key/x", None),
            ("arn:aws:kms:us-east-1:1:key/", None),
            ("arn:aws:s3:us-east-1:1:key/x", None),
            ("arn:aws:kms:evil.example/:1:key/x", None),
            ("alias/x", None),
        ] {
            assert_eq!(region(arn), expected, "{arn}");
        }
    }

    #[test]
    fn an_entry_has_the_fields_of_sops_in_its_order() {
        let extra = [("role", "r"), ("context.b", "2"), ("context.a", "1"), ("aws_profile", "p")];
        let extra = extra.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let spec = RecipientSpec { kind: FIELD, text: "arn:aws:kms:us-east-1:1:key/x".to_owned(), extra };
        let names = |value: &Value| value.entries().iter().map(|(name, _)| name.clone()).collect::<Vec<_>>().join(" ");
        let entry = Key::of(&spec).unwrap().entry(b"blob");
        assert_eq!(names(&entry), "arn aws_profile context created_at enc role");
        assert_eq!(names(entry.get("context").unwrap()), "a b");
        assert_eq!(kind_by_field(FIELD).unwrap().spec(&entry).text, spec.text);
        let bare = Key::of(&RecipientSpec { extra: Vec::new(), ..spec }).unwrap().entry(b"blob");
        assert_eq!(names(&bare), "arn aws_profile created_at enc");
        assert_eq!(bare.get("enc").unwrap().text().as_deref(), Some("YmxvYg=="));
    }
}
