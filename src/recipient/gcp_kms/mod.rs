//! Keys of Google Cloud KMS, named by their resource id: `encrypt` and `decrypt` over REST, with the checksums that Google
//! recommends verified both ways (CRC32C, <https://cloud.google.com/kms/docs/data-integrity-guidelines>).

mod credentials;
mod metadata_server;
mod token;

use base64_simd::STANDARD;
use serde_json::{Value as Json, json};
use zeroize::Zeroizing;

use super::http_service::{Asked, HttpService, Wrapped};
use super::network::http::Reply;
use super::refusal::{Refusal, own_words};
use super::{Identities, Looked};
use crate::document::value::Value;
use crate::error::printable;
use credentials::{Session, Sessions};

const TITLE: &str = "GCP KMS";
const RESOURCE_ID: &str = "resource_id";
const UNIVERSE: &str = "googleapis.com";
const NEXT: &str = "give this machine an identity that may use the key: gcloud auth application-default login, GOOGLE_APPLICATION_CREDENTIALS, or \
                    workload identity; the role is roles/cloudkms.cryptoKeyEncrypterDecrypter";

/// The kind's client.
pub struct GcpKms;

impl HttpService for GcpKms {
    async fn ask_to_wrap(&self, recipient: &str, data_key: &[u8], identities: &Identities) -> Asked<Wrapped> {
        let enc = ask(&ENCRYPT, recipient, data_key, identities).await?;
        Ok(Wrapped { enc: STANDARD.encode_to_string(enc.as_slice()), key: vec![(RESOURCE_ID, recipient.to_owned())] })
    }

    async fn ask_to_unwrap(&self, entry: &Value, wrapped: &str, identities: &Identities) -> Asked<Zeroizing<Vec<u8>>> {
        let wrapped = STANDARD.decode_to_vec(wrapped.trim().as_bytes()).map_err(|_| Refusal::no("the wrapped key isn't base64", ""))?;
        let key = entry.get(RESOURCE_ID).and_then(Value::text).unwrap_or_default();
        ask(&DECRYPT, &key, &wrapped, identities).await
    }

    fn looked(&self, identities: &Identities) -> Vec<Looked> {
        credentials::looked(identities.environment())
    }

    fn needs(&self) -> [&'static str; 2] {
        [ENCRYPT.permission, DECRYPT.permission]
    }

    fn next(&self) -> &'static str {
        NEXT
    }
}

/// One of the two methods: the fields of its question and its answer, and what it takes to be allowed.
struct Method {
    name: &'static str,
    from: &'static str,
    to: &'static str,
    /// Says that the service checked the question's checksum; where there is none it refuses by itself.
    verified: Option<&'static str>,
    permission: &'static str,
    role: &'static str,
}

const ENCRYPT: Method = Method {
    name: "encrypt",
    from: "plaintext",
    to: "ciphertext",
    verified: Some("verifiedPlaintextCrc32c"),
    permission: "cloudkms.cryptoKeyVersions.useToEncrypt",
    role: "roles/cloudkms.cryptoKeyEncrypter",
};

const DECRYPT: Method = Method {
    name: "decrypt",
    from: "ciphertext",
    to: "plaintext",
    verified: None,
    permission: "cloudkms.cryptoKeyVersions.useToDecrypt",
    role: "roles/cloudkms.cryptoKeyDecrypter",
};

/// Asks with the run's identity; once more with a new token if the service takes the old one no longer, and once more if
/// the answer was damaged on its way.
async fn ask(method: &Method, key: &str, bytes: &[u8], identities: &Identities) -> Asked<Zeroizing<Vec<u8>>> {
    check(key)?;
    let sessions = identities.state::<Sessions>();
    let mut session = sessions.current(identities).await?;
    let mut reply = post(method, key, bytes, &session, identities).await?;
    if reply.status.as_u16() == 401 && session.is_renewable() {
        session = sessions.renewed(&session, identities).await?;
        reply = post(method, key, bytes, &session, identities).await?;
    }
    if let Some(answer) = checked(method, &reply) {
        return Ok(answer);
    }
    if reply.status.is_success() {
        reply = post(method, key, bytes, &session, identities).await?;
    }
    checked(method, &reply).ok_or_else(|| said_no(method, &reply, &session.identity))
}

async fn post(method: &Method, key: &str, bytes: &[u8], session: &Session, identities: &Identities) -> Asked<Reply> {
    let endpoint = endpoint(session, identities);
    let no_answer = |trouble| Refusal::trouble(&format!("{TITLE} ({endpoint})"), trouble);
    let address = format!("{endpoint}/v1/{key}:{}", method.name);
    let encoded = Zeroizing::new(STANDARD.encode_to_string(bytes));
    let body = json!({method.from: encoded.as_str(), checksum(method.from): crc32c::crc32c(bytes).to_string()});
    let mut request = identities.network().client().map_err(no_answer)?.post(&address).bearer_auth(session.token.as_str()).json(&body);
    if let Some(project) = &session.quota_project {
        request = request.header("x-goog-user-project", project);
    }
    identities.network().count(TITLE, &session.identity);
    identities.network().ask(request).await.map_err(no_answer)
}

/// Where the service is: as SOPS's variables say, in the universe of the identity, or in the public one.
fn endpoint(session: &Session, identities: &Identities) -> String {
    let variable = |name: &str| identities.environment().var(name);
    match variable("SOPS_GCP_KMS_ENDPOINT") {
        Some(set) if set.contains("://") => set.trim_end_matches('/').to_owned(),
        Some(set) => format!("https://{}", set.trim_end_matches('/')),
        None => {
            let universe = variable("SOPS_GCP_KMS_UNIVERSE_DOMAIN").or_else(|| variable("GOOGLE_CLOUD_UNIVERSE_DOMAIN"));
            format!("https://cloudkms.{}", universe.as_deref().or(session.universe.as_deref()).unwrap_or(UNIVERSE))
        }
    }
}

/// `plaintext` and the like, with the name of its checksum.
fn checksum(field: &str) -> String {
    format!("{field}Crc32c")
}

/// The bytes of an answer whose checksums fit, if it is one. Whole numbers of 64 bits are strings in Google's JSON, and
/// `false` may be left out.
fn checked(method: &Method, reply: &Reply) -> Option<Zeroizing<Vec<u8>>> {
    let json = reply.json();
    let field = |name: &str| json.get(name);
    let bytes = Zeroizing::new(STANDARD.decode_to_vec(field(method.to)?.as_str()?.as_bytes()).ok()?);
    let sum = field(&checksum(method.to))?;
    let sum: u32 = sum.as_str().and_then(|text| text.parse().ok()).or_else(|| sum.as_u64().and_then(|sum| u32::try_from(sum).ok()))?;
    let verified = method.verified.is_none_or(|name| field(name).and_then(Json::as_bool) == Some(true));
    (reply.status.is_success() && verified && sum == crc32c::crc32c(&bytes)).then_some(bytes)
}

fn said_no(method: &Method, reply: &Reply, identity: &str) -> Refusal {
    let status = reply.status.as_u16();
    if reply.status.is_success() {
        let why = format!("{TITLE} answered {} with a checksum (CRC32C) that doesn't fit, twice, asked as {identity}", method.name);
        return Refusal::no(why, "something between here and the service changes its answers: look at proxies and the endpoint variables");
    }
    let json = reply.json();
    let word =
        |name: &str| json.pointer(&format!("/error/{name}")).and_then(Json::as_str).map_or_else(|| "no reason given".to_owned(), own_words);
    let (code, message) = (word("status"), word("message"));
    let next = next_step(method, (status, &code, &message), identity);
    Refusal::no(format!("{TITLE} answered {status} {code}: {message} (asked as {identity})"), next)
}

/// What to do about an answer: its status, Google's code for it, and the message.
fn next_step(method: &Method, (status, code, message): (u16, &str, &str), identity: &str) -> String {
    let Method { permission, role, .. } = method;
    let step = match (status, code) {
        (403, _) if message.contains("scope") => "the token needs the scope https://www.googleapis.com/auth/cloud-platform",
        (403, _) => return format!("grant {identity} {role} ({permission}) on the key, or check that this is the identity you mean"),
        (401, _) => "the token has expired or isn't Google's: get a new one, and check this machine's clock",
        (404, _) => "check project, location, key ring and key in the resource id",
        (_, "FAILED_PRECONDITION") => "enable the key's version: gcloud kms keys versions enable",
        (429, _) => "wait, or ask for a larger quota of Cloud KMS",
        (500.., _) => "try again later",
        _ => "check that the key's purpose is encryption, and that the entry was made with it",
    };
    step.to_owned()
}

/// Whether a key is one, in the words of SOPS. It comes from a file and becomes a part of the address.
fn check(key: &str) -> Asked<()> {
    let parts: Vec<&str> = key.split('/').collect();
    let name = |text: &str| {
        text.chars().any(char::is_alphanumeric) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
    };
    match parts.as_slice() {
        ["projects", project, "locations", location, "keyRings", ring, "cryptoKeys", key]
            if [project, location, ring, key].iter().all(|part| name(part)) && !key.contains(':') =>
        {
            Ok(())
        }
        _ => Err(Refusal::no(
            format!("no valid resource ID found in \"{}\"", printable(key)),
            "expected projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY and nothing behind it: the service picks the version",
        )),
    }
}

#[cfg(test)]
mod tests;
