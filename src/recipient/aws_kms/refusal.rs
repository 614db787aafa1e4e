//! What AWS answered instead of a key: its own code and message, who was asked as whom, and the next step.

use std::error::Error as StdError;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;

use super::identity::{MACHINE, Source};
use super::{Action, Key, credentials};
use crate::error::{Error, Kind, printable};
use crate::recipient::{Environment, Outcome};

/// The words with which the SDK's HTTP client marks a connection that never was. It has no public type for them.
const NO_CONNECTION: &str = "client error (Connect)";
const CONNECT_TIMEOUT: &str = "HTTP connect timeout";
const TOO_LATE: [&str; 2] = ["timeout", "timed out"];

/// What layers of the SDK say of what they carry.
const VAGUE: [&str; 7] = [
    "other",
    "an error occurred while loading credentials",
    "the credential provider was not enabled",
    "the credentials provider was not properly configured",
    "service error",
    "dispatch failure",
    "unhandled error",
];
/// Of an answer that isn't one of the service.
const SHOWN: usize = 160;

/// Parts of the codes of refusals, and what helps. `{allow}` and `{on}` are filled in.
const NEXT: [(&str, &str); 14] = [
    ("AccessDenied", "{allow}"),
    ("InvalidCiphertext", "the context or the wrapped key isn't the one of the encryption: compare the entry with an earlier version"),
    ("IncorrectKey", "the entry was wrapped with another key than its arn says: compare it with an earlier version"),
    ("Disabled", "enable the key: aws kms enable-key"),
    ("KMSInvalidState", "the key is being deleted or set up: aws kms describe-key shows its state"),
    ("InvalidKeyUsage", "the key must be one for ENCRYPT_DECRYPT"),
    ("NotFound", "check region, account and name of the key in {on}"),
    ("Expired", "log in again (aws sso login), or take new temporary credentials"),
    ("SignatureDoesNotMatch", "the secret access key is wrong, or the clock is off"),
    ("InvalidSignature", "the secret access key is wrong, or the clock is off"),
    ("RequestTimeTooSkewed", "set the clock"),
    ("UnrecognizedClient", "the access key or session token isn't valid: log in again"),
    ("InvalidClientTokenId", "the access key or session token isn't valid: log in again"),
    ("InvalidIdentityToken", "the token isn't one of the provider that the role trusts: check its audience and the role's trust policy"),
];
/// Codes after which another identity may be answered better.
const ABOUT_IDENTITY: [&str; 8] =
    ["AccessDenied", "Expired", "Signature", "UnrecognizedClient", "InvalidClientTokenId", "AuthFailure", "OptInRequired", "HTTP 403"];

/// What was asked for.
#[derive(Clone)]
pub enum Asked {
    /// The use of the key.
    Key(Action),
    /// A role.
    Role(String),
    /// Credentials.
    Credentials,
}

impl Asked {
    /// The permission that is missing, and where it is given.
    fn allow(&self, key: &Key) -> String {
        match self {
            Asked::Key(action) => {
                format!("allow {} on {} in this identity's policy and in the key's", action.permission(), printable(&key.arn))
            }
            Asked::Role(role) => format!("allow sts:AssumeRole on {} to this identity, and let the role trust it", printable(role)),
            Asked::Credentials => {
                "let the role trust the token's provider, audience and subject (sts:AssumeRoleWithWebIdentity)".to_owned()
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    NoCredentials,
    Unreachable,
    Refused,
}

/// Why one identity didn't get what it asked for.
#[derive(Clone)]
pub struct Refusal {
    what: What,
    /// Of the identity; empty if none was found.
    name: String,
    why: String,
    /// The service's own code, if it answered.
    code: Option<String>,
    asked: Asked,
}

impl Refusal {
    /// The profile that an entry names isn't here.
    pub fn no_profile(profile: &str) -> Refusal {
        let why = format!("profile {} isn't on this machine", printable(profile));
        Refusal { what: What::NoCredentials, name: String::new(), why, code: None, asked: Asked::Credentials }
    }

    /// Authorities that can't be read: nobody is asked, since nobody could be known.
    pub fn of_authorities(why: String, asked: Asked) -> Refusal {
        Refusal { what: What::Refused, name: String::new(), why, code: None, asked }
    }

    /// An answer that lacks what was asked for.
    pub fn empty(asked: Asked, name: &str) -> Refusal {
        Refusal { what: What::Refused, name: name.to_owned(), why: "an answer without a key".to_owned(), code: None, asked }
    }

    /// A call of KMS that failed.
    pub fn of_call<E>(error: &SdkError<E>, asked: Asked, name: &str) -> Refusal
    where
        E: StdError + ProvideErrorMetadata + 'static,
    {
        Refusal::new(error, answer(error), asked, name.to_owned())
    }

    /// A role that wasn't given.
    pub fn of_role(error: &CredentialsError, asked: Asked, name: &str) -> Refusal {
        Refusal::new(error, sts_answer(error), asked, name.to_owned())
    }

    /// Credentials that weren't found, or couldn't be had.
    pub fn of_credentials(error: &CredentialsError, source: &Source, environment: &Environment) -> Refusal {
        let mut refusal = Refusal::new(error, sts_answer(error), Asked::Credentials, credentials::likely(source, environment));
        if matches!(error, CredentialsError::CredentialsNotLoaded(_)) {
            // Metadata that isn't there means that this is no machine of AWS, not that the network is down.
            refusal.what = What::NoCredentials;
        }
        refusal
    }

    fn new(error: &(dyn StdError + 'static), answered: Option<(String, String)>, asked: Asked, name: String) -> Refusal {
        if let Some((code, message)) = answered {
            let why = if message.is_empty() { code.clone() } else { format!("{code}: {message}") };
            return Refusal { what: What::Refused, name, why: printable(&why), code: Some(code), asked };
        }
        let nobody = nobody_there(error);
        let late = !matches!(asked, Asked::Key(_)) && TOO_LATE.iter().any(|words| chain(error).contains(words));
        let what = if nobody.is_some() || late { What::Unreachable } else { What::Refused };
        Refusal { what, name, why: printable(nobody.unwrap_or_else(|| chain(error)).trim_end()), code: None, asked }
    }

    /// Whether it makes sense to ask as somebody else; where nobody is reached it only takes longer.
    pub fn another_may(&self) -> bool {
        let about_identity = |code: &String| ABOUT_IDENTITY.iter().any(|part| code.contains(part));
        match self.asked {
            Asked::Key(_) => self.code.as_ref().is_some_and(about_identity),
            Asked::Role(_) | Asked::Credentials => self.what != What::Unreachable,
        }
    }

    fn line(&self) -> String {
        match (&self.asked, self.what, self.name.as_str()) {
            (_, _, "") => self.why.clone(),
            (Asked::Credentials, What::NoCredentials, MACHINE) => "no credentials of AWS were found".to_owned(),
            (Asked::Credentials, _, name) => format!("no credentials as {name}: {}", self.why),
            (Asked::Role(role), What::Unreachable, name) => {
                format!("AWS STS isn't reached for the role {} (as {name}): {}", printable(role), self.why)
            }
            (Asked::Role(role), _, name) => format!("the role {} wasn't given to {name}: {}", printable(role), self.why),
            (Asked::Key(_), What::Unreachable, name) => format!("AWS KMS isn't reached (as {name}): {}", self.why),
            (Asked::Key(_), _, name) => format!("{} (as {name})", self.why),
        }
    }

    fn next(&self, key: &Key) -> Option<String> {
        let Some(code) = &self.code else {
            let step = match self.why.contains("external process") {
                true => "run the credential_process of the profile by itself: it must print keys as JSON",
                false => "log in again (aws sso login); aws sts get-caller-identity shows whether it helped",
            };
            return (self.what == What::Refused && matches!(self.asked, Asked::Credentials)).then(|| step.to_owned());
        };
        let (_, step) = NEXT.iter().find(|(part, _)| code.contains(part))?;
        Some(step.replace("{allow}", &self.asked.allow(key)).replace("{on}", &printable(&key.arn)))
    }
}

/// Why nobody got what was asked for: at least one refusal.
pub struct Refusals {
    /// What was asked of the key.
    pub action: Action,
    /// In the order of the identities.
    pub all: Vec<Refusal>,
}

impl Refusals {
    fn why(&self) -> String {
        self.all.iter().map(Refusal::line).collect::<Vec<_>>().join("; ")
    }

    fn steps(&self, key: &Key) -> Vec<String> {
        let mut steps: Vec<String> = self.all.iter().filter_map(|refusal| refusal.next(key)).collect();
        steps.dedup();
        if self.all.iter().all(|refusal| refusal.what == What::NoCredentials) {
            let step = "log in (aws sso login), set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; it needs";
            steps.push(format!("{step} {} on {}", self.action.permission(), printable(&key.arn)));
        }
        if self.all.iter().any(|refusal| refusal.what == What::Unreachable) {
            steps.push(
                "check the network, HTTPS_PROXY and NO_PROXY, AWS_ENDPOINT_URL, and SSL_CERT_FILE where a proxy has its own CA".to_owned(),
            );
        }
        steps
    }

    /// As the answer of an entry. The last identity decides what it is.
    pub fn outcome(&self, key: &Key) -> Outcome {
        let mut why = self.why();
        for step in self.steps(key) {
            why.push_str("; ");
            why.push_str(&step);
        }
        let has = |what: What| self.all.iter().any(|refusal| refusal.what == what);
        match () {
            () if has(What::Unreachable) => Outcome::Unreachable { why },
            () if has(What::Refused) => Outcome::Failed { why },
            () => Outcome::NotMine { why },
        }
    }

    /// As the error of wrapping.
    pub fn error(&self, key: &Key) -> Error {
        let message = format!("can't wrap the data key for {}: {}", printable(&key.arn), self.why());
        self.steps(key).into_iter().fold(Error::new(Kind::Generic, message), Error::hint)
    }
}

/// Why no connection came about, if it is that.
pub fn nobody_there(error: &(dyn StdError + 'static)) -> Option<String> {
    let text = chain(error);
    let at = text.find(NO_CONNECTION).map(|at| at + NO_CONNECTION.len()).or_else(|| text.find(CONNECT_TIMEOUT))?;
    Some(text.get(at..).unwrap_or_default().trim_start_matches([':', ' ']).to_owned())
}

/// An error with what led to it, without the layers that say nothing.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut parts: Vec<String> = Vec::new();
    for cause in causes(error) {
        let text = cause.to_string();
        let says_nothing = VAGUE.contains(&text.as_str()) && cause.source().is_some();
        if !says_nothing && !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
    }
    parts.join(": ")
}

fn causes<'e>(error: &'e (dyn StdError + 'static)) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

/// The service's own code and message; the status and the start of the text if it isn't the service that answered.
fn answer<E: ProvideErrorMetadata>(error: &SdkError<E>) -> Option<(String, String)> {
    if let Some(code) = error.code() {
        return Some((code.to_owned(), error.message().unwrap_or_default().to_owned()));
    }
    let reply = error.raw_response().filter(|reply| !reply.status().is_success())?;
    let text = String::from_utf8_lossy(reply.body().bytes().unwrap_or_default());
    let start: String = text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(SHOWN).collect();
    Some((format!("HTTP {}", reply.status().as_u16()), start))
}

fn sts_answer(error: &(dyn StdError + 'static)) -> Option<(String, String)> {
    causes(error).find_map(|cause| {
        let role = cause.downcast_ref::<SdkError<AssumeRoleError>>().and_then(answer);
        role.or_else(|| cause.downcast_ref::<SdkError<AssumeRoleWithWebIdentityError>>().and_then(answer))
    })
}
