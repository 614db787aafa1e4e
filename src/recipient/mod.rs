//! Who may open a file: the kinds of recipients, what they share, and the table of all kinds.
//!
//! A kind wraps the data key for a recipient, unwraps it with the identities at hand, and describes its entries. A kind
//! that isn't built in has a row all the same: its entries are kept, and the errors name it.

#[cfg(feature = "age")]
pub mod age;
#[cfg(feature = "aws")]
mod aws_kms;
#[cfg(feature = "azure")]
mod azure_kv;
mod environment;
#[cfg(feature = "gcp")]
pub mod gcp_kms;
#[cfg(feature = "vault")]
mod hc_vault;
#[cfg(feature = "hckms")]
pub mod hckms;
#[cfg(feature = "http")]
mod http_service;
#[cfg(feature = "network")]
pub mod network;
pub mod pgp;
pub mod probe;
#[cfg(feature = "http")]
mod refusal;
mod service;
mod trust;
mod unwrapped;

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use zeroize::Zeroizing;

use crate::document::time::Stamp;
use crate::document::value::Value;
use crate::error::{Error, Kind as ErrorKind, Result, printable};
pub use environment::Environment;
use service::Served;
pub use service::{Answer, KeyService, arn_and_role};
pub use trust::Trust;
use unwrapped::Unwrapped;

/// The field of an entry with the wrapped key, in every kind.
const ENC: &str = "enc";
/// The field of an entry that says when it was made, in every kind but age.
pub const CREATED_AT: &str = "created_at";

/// A recipient as configuration and flags name it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecipientSpec {
    /// The kind, by the name of its field in the `sops` block.
    pub kind: &'static str,
    /// The recipient in the kind's own notation: `age1…`, an ARN, a resource id.
    pub text: String,
    /// What else an entry of the kind says, such as `role` or `aws_profile`; the keys of a context as `context.KEY`.
    pub extra: Vec<(String, String)>,
}

impl RecipientSpec {
    /// Whether both name one recipient, in whichever spelling; a key of AWS with another role, context or profile is another
    /// one (SOPS).
    pub fn is(&self, other: &RecipientSpec) -> bool {
        self.extra == other.extra && self.is_key_of(other)
    }

    /// Whether `other` goes when this one is shut out: a key that is named alone means it with every role and context.
    pub fn means(&self, other: &RecipientSpec) -> bool {
        (self.extra.is_empty() || self.extra == other.extra) && self.is_key_of(other)
    }

    fn is_key_of(&self, other: &RecipientSpec) -> bool {
        self.kind == other.kind && kind_by_field(self.kind).is_some_and(|kind| kind.same(&self.text, &other.text))
    }

    /// Gives a key of AWS its encryption context, `context.KEY` with its value; other kinds have none. It stands between role
    /// and profile, wherever they come from.
    pub fn add_context(&mut self, pairs: &[(String, String)]) {
        if self.kind == "kms" {
            let at = self.extra.iter().position(|(name, _)| name == "aws_profile").unwrap_or(self.extra.len());
            self.extra.splice(at..at, pairs.iter().cloned());
        }
    }
}

/// What an entry answered when it was to be unwrapped. "Not mine" isn't "broken": other entries are tried after both,
/// but only the second needs repair.
pub enum Outcome {
    /// The data key, or a share of it.
    Opened(Zeroizing<Vec<u8>>),
    /// No identity at hand fits.
    NotMine {
        /// What was tried.
        why: String,
    },
    /// It couldn't be tried, or it is damaged.
    Failed {
        /// What went wrong.
        why: String,
    },
    /// Nobody was reached who could try: likely so for others behind the same network, too.
    Unreachable {
        /// What went wrong.
        why: String,
    },
}

impl Outcome {
    /// The same answer for another who asks.
    fn again(&self) -> Outcome {
        match self {
            Outcome::Opened(key) => Outcome::Opened(key.clone()),
            Outcome::NotMine { why } => Outcome::NotMine { why: why.clone() },
            Outcome::Failed { why } => Outcome::Failed { why: why.clone() },
            Outcome::Unreachable { why } => Outcome::Unreachable { why: why.clone() },
        }
    }
}

/// A place where identities were looked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Looked {
    /// The place: a variable, a file, a command.
    pub place: String,
    /// What was there: identities by their recipients, or why there are none.
    pub found: String,
}

/// A kind of recipient.
pub trait RecipientKind: Sync {
    /// The field of the `sops` block that lists its entries.
    fn field(&self) -> &'static str;

    /// Reads a recipient from configuration or a flag.
    ///
    /// # Errors
    /// `Generic` (1): not a recipient of this kind, or of a variety that isn't supported.
    fn parse(&self, text: &str) -> Result<RecipientSpec>;

    /// The recipient of an entry, in full and in the notation of [`RecipientKind::parse`]; empty if it names none.
    fn describe(&self, entry: &Value) -> String;

    /// The recipient of an entry with all that wrapping for it again needs.
    fn spec(&self, entry: &Value) -> RecipientSpec {
        RecipientSpec { kind: self.field(), text: self.describe(entry), extra: Vec::new() }
    }

    /// Whether two notations name the same recipient.
    fn same(&self, a: &str, b: &str) -> bool {
        a == b
    }

    /// Whether its identities are on this machine: such entries are tried before those that ask the network.
    fn is_local(&self) -> bool {
        false
    }

    /// The client of the service that holds the recipient's key, if it is one behind a network.
    fn service(&self) -> Option<&'static dyn KeyService> {
        None
    }

    /// The short form of a recipient, for people.
    fn short(&self, recipient: &str) -> String;

    /// Wraps `data_key` (or a share of it): the entry for the `sops` block. Programs and services that it needs are found
    /// as `identities` says.
    ///
    /// # Errors
    /// `Generic` (1): the recipient isn't valid, the kind isn't built in, or a program or service refuses.
    fn wrap(&self, recipient: &RecipientSpec, data_key: &[u8], identities: &Identities) -> Result<Value>;

    /// Unwraps the data key (or a share of it) from an entry.
    fn unwrap(&self, entry: &Value, identities: &Identities) -> Outcome;

    /// Whether an identity at hand is the one that the entry names; such entries are tried before others of the kind.
    fn expects(&self, _entry: &Value, _identities: &Identities) -> bool {
        false
    }

    /// Where identities of this kind were looked for, for the error when nothing opens.
    fn looked(&self, _identities: &Identities) -> Vec<Looked> {
        Vec::new()
    }

    /// What one does who should be able to open a file of this kind, for the same error.
    fn next(&self) -> Option<&'static str> {
        None
    }
}

/// All kinds: a new one is its own file and a row here.
pub static KINDS: &[&dyn RecipientKind] = &[
    #[cfg(feature = "age")]
    &age::Age,
    #[cfg(not(feature = "age"))]
    &Served { field: "age", title: "age", id: &[("", "recipient")], client: None },
    &pgp::Pgp,
    &Served {
        field: "kms",
        title: "AWS KMS",
        id: &[("", "arn")],
        #[cfg(feature = "aws")]
        client: Some(&aws_kms::AwsKms),
        #[cfg(not(feature = "aws"))]
        client: None,
    },
    &Served {
        field: "gcp_kms",
        title: "GCP KMS",
        id: &[("", "resource_id")],
        #[cfg(feature = "gcp")]
        client: Some(&gcp_kms::GcpKms),
        #[cfg(not(feature = "gcp"))]
        client: None,
    },
    &Served {
        field: "azure_kv",
        title: "Azure Key Vault",
        id: &[("", "vault_url"), ("/keys/", "name"), ("/", "version")],
        #[cfg(feature = "azure")]
        client: Some(&azure_kv::AzureKv),
        #[cfg(not(feature = "azure"))]
        client: None,
    },
    &Served {
        field: "hc_vault",
        title: "HashiCorp Vault",
        id: &[("", "vault_address"), ("/v1/", "engine_path"), ("/keys/", "key_name")],
        #[cfg(feature = "vault")]
        client: Some(&hc_vault::HcVault),
        #[cfg(not(feature = "vault"))]
        client: None,
    },
    &Served {
        field: "hckms",
        title: "Huawei Cloud KMS",
        id: &[("", "key_id")],
        #[cfg(feature = "hckms")]
        client: Some(&hckms::HuaweiKms),
        #[cfg(not(feature = "hckms"))]
        client: None,
    },
];

/// The kind whose entries stand in this field.
pub fn kind_by_field(field: &str) -> Option<&'static dyn RecipientKind> {
    KINDS.iter().copied().find(|kind| kind.field() == field)
}

/// How recipients of each kind start; a fingerprint is all that has no mark.
const STARTS: [(&str, &str); 6] =
    [("age1", "age"), ("ssh-", "age"), ("arn:", "kms"), ("projects/", "gcp_kms"), ("http://", "hc_vault"), ("https://", "hc_vault")];

/// A recipient in its kind's notation, whichever kind that is.
///
/// # Errors
/// `Generic` (1): no kind knows it.
pub fn read(text: &str) -> Result<RecipientSpec> {
    let text = text.trim();
    let digits = text.strip_prefix("0x").unwrap_or(text).trim_end_matches('!');
    let hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b' ');
    let field = match STARTS.iter().find(|(start, _)| text.starts_with(start)) {
        Some(_) if text.contains(".vault.") && text.contains("/keys/") && !text.contains("/v1/") => "azure_kv",
        Some((_, field)) => field,
        None if hex => "pgp",
        None => "hckms",
    };
    match kind_by_field(field) {
        Some(kind) if field != "hckms" || text.matches(':').count() == 1 => kind.parse(text),
        _ => Err(Error::new(ErrorKind::Generic, format!("{} is no recipient", printable(text)))
            .hint("expected age1…, ssh-…, an ARN, a resource id, a key's URL or a PGP fingerprint")),
    }
}

/// The identities of this run, gathered from their sources when they are first asked for, each source once.
pub struct Identities {
    environment: Environment,
    commands: bool,
    #[cfg(feature = "age")]
    age: age::Sources,
    gpg: pgp::Gpg,
    unwrapped: Unwrapped,
    /// Off unless a key service is asked.
    #[cfg(feature = "network")]
    network: network::Network,
    offline: bool,
    trust: Trust,
    states: Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>,
    warnings: Mutex<Vec<String>>,
}

impl Identities {
    /// The identities that `environment` leads to.
    pub fn new(environment: Environment) -> Identities {
        Identities {
            environment,
            commands: true,
            #[cfg(feature = "age")]
            age: age::Sources::default(),
            gpg: pgp::Gpg::default(),
            unwrapped: Unwrapped::default(),
            #[cfg(feature = "network")]
            network: network::Network::default(),
            offline: false,
            trust: Trust::default(),
            states: Mutex::default(),
            warnings: Mutex::default(),
        }
    }

    /// The same without running any command, for work that git starts by itself.
    #[must_use]
    pub fn without_commands(mut self) -> Identities {
        self.commands = false;
        self
    }

    /// The same without the network: key services are answered for with "not asked".
    #[must_use]
    pub fn offline(mut self) -> Identities {
        self.offline = true;
        #[cfg(feature = "network")]
        {
            self.network = network::Network::offline();
        }
        self
    }

    /// The same with what vouches for addresses that may get tokens beside the environment: `find` gives those that the
    /// committed configuration names, and is asked at most once, when an address needs it. With `everywhere` nobody needs
    /// to vouch, as in sops.
    #[must_use]
    pub fn trusting(mut self, everywhere: bool, find: impl Fn() -> Vec<String> + Send + Sync + 'static) -> Identities {
        self.trust = Trust::new(everywhere, find);
        self
    }

    /// Who vouches for addresses.
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Whether the network is switched off.
    pub fn is_offline(&self) -> bool {
        self.offline
    }

    /// The network of this run.
    #[cfg(feature = "network")]
    pub fn network(&self) -> &network::Network {
        &self.network
    }

    /// How often key services were called, and as whom; see [`network::Network::calls`].
    pub fn calls(&self) -> Vec<String> {
        #[cfg(feature = "network")]
        return self.network.calls();
        #[cfg(not(feature = "network"))]
        Vec::new()
    }

    /// As whom key services were called.
    pub fn callers(&self) -> Vec<String> {
        #[cfg(feature = "network")]
        return self.network.callers();
        #[cfg(not(feature = "network"))]
        Vec::new()
    }

    /// Seconds that this machine's clock is ahead of the key service that answered last.
    pub fn clock_ahead(&self) -> Option<i64> {
        #[cfg(feature = "network")]
        return self.network.clock().ahead();
        #[cfg(not(feature = "network"))]
        None
    }

    /// What a kind keeps for the run, such as its clients and tokens: made when it is first asked for.
    pub fn state<T: Default + Send + Sync + 'static>(&self) -> Arc<T> {
        let state = Arc::clone(held(&self.states).entry(TypeId::of::<T>()).or_insert_with(|| Arc::new(T::default())));
        state.downcast().unwrap_or_default()
    }

    /// The environment that they are gathered from.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Whether commands may be run for identities.
    pub fn runs_commands(&self) -> bool {
        self.commands
    }

    /// Unwraps an entry of this kind, or repeats what the same one answered before in this run.
    pub fn unwrap(&self, kind: &dyn RecipientKind, entry: &Value) -> Outcome {
        self.unwrapped.once(kind.field(), entry, || kind.unwrap(entry, self))
    }

    /// As [`Identities::unwrap`], of a kind behind the network: whoever waits for several can stop waiting.
    #[cfg(feature = "network")]
    pub async fn ask(&self, kind: &dyn RecipientKind, service: &dyn KeyService, entry: &Value) -> Outcome {
        self.unwrapped.once_asked(kind.field(), entry, service.unwrap(entry, self)).await
    }

    /// Takes the warnings that came up while sources were read.
    pub fn take_warnings(&self) -> Vec<String> {
        let warnings = std::mem::take(&mut *held(&self.warnings));
        #[cfg(feature = "network")]
        let warnings = [warnings, self.network.take_warnings()].concat();
        warnings
    }

    /// Keeps a warning for [`Identities::take_warnings`], once.
    pub fn warn(&self, warning: String) {
        let mut warnings = held(&self.warnings);
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }
}

/// Locks; what a panicking thread leaves behind in these caches is still whole.
fn held<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The wrapped key of an entry.
fn wrapped_key(entry: &Value) -> std::result::Result<std::borrow::Cow<'_, str>, Outcome> {
    let enc = entry.get(ENC).and_then(Value::text).filter(|enc| !enc.is_empty());
    enc.ok_or_else(|| Outcome::Failed { why: "the entry holds no wrapped key".to_owned() })
}

/// The time for an entry that is made now.
fn created_at() -> Value {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
    Value::string(Stamp::of_unix(seconds).to_rfc3339().unwrap_or_default())
}

/// First 8 and last 6 characters, the whole if it isn't longer than that.
fn ends(text: &str) -> String {
    let count = text.chars().count();
    if count <= 15 {
        return text.to_owned();
    }
    let head: String = text.chars().take(8).collect();
    let tail: String = text.chars().skip(count - 6).collect();
    format!("{head}…{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_named_once_and_found_by_its_field() {
        for kind in KINDS {
            assert_eq!(KINDS.iter().filter(|other| other.field() == kind.field()).count(), 1);
            assert_eq!(kind_by_field(kind.field()).map(|found| found.field()), Some(kind.field()));
        }
        assert!(kind_by_field("nope").is_none());
    }

    #[test]
    fn a_recipient_is_read_by_what_it_looks_like() {
        let kind = |text: &str| read(text).map(|spec| spec.kind).ok();
        let spaced = "97C5 A80A 0101 9966 40EF  AD0F EF8D 8403 5632 4056";
        for fingerprint in [spaced, "0x97C5A80A0101996640EFAD0FEF8D840356324056", "ef8d840356324056!", "0xef8d840356324056"] {
            assert_eq!(kind(fingerprint), Some("pgp"), "{fingerprint}");
        }
        assert_eq!((kind("arn:aws:kms:us-east-1:1:key/a"), kind("tr-west-1:aaaa")), (Some("kms"), Some("hckms")));
        assert_eq!((kind("0x"), kind("bert"), kind("abba"), kind("")), (None, None, None, None));
    }

    #[test]
    fn short_forms() {
        let short = |field: &str, text: &str| kind_by_field(field).unwrap().short(text);
        assert_eq!(short("age", "age1teycljmw7sclx4gr5wx6a5wujm750xay04enwh8k00jpqexzhdas47qnef"), "age1teyc…47qnef");
        assert_eq!(short("pgp", "97C5A80A0101996640EFAD0FEF8D840356324056"), "EF8D840356324056");
        assert_eq!(short("kms", "arn:aws:kms:us-east-1:1:key/0d3a"), "0d3a");
        assert_eq!(short("gcp_kms", "projects/p/locations/l/keyRings/r/cryptoKeys/k"), "k");
        assert_eq!(short("hckms", "tr-west-1:aaaa"), "aaaa");
        assert_eq!(short("azure_kv", "https://v.vault.azure.net/keys/n/abc"), "n");
    }

    #[test]
    fn identities_can_be_shared_by_threads() {
        fn shared<T: Send + Sync>() {}
        shared::<Identities>();
    }
}
