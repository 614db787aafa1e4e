//! Keys of Huawei Cloud KMS, named `REGION:KEY-ID`: requests signed with SDK-HMAC-SHA256, as Huawei's SDKs sign them. Identities are
//! an access key in the variables of those SDKs, or in the profile file.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use base64_simd::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::http_service::{Asked, HttpService, Wrapped};
use super::network::http::Reply;
use super::refusal::{Refusal, own_words};
use super::{Environment, Identities, Looked};
use crate::document::time::Stamp;
use crate::document::value::Value;
use crate::error::printable;

const TITLE: &str = "Huawei Cloud KMS";
const KEY_ID: &str = "key_id";
const PREFIX: &str = "HUAWEICLOUD_SDK_";
const NEXT: &str =
    "set HUAWEICLOUD_SDK_AK, HUAWEICLOUD_SDK_SK and HUAWEICLOUD_SDK_PROJECT_ID; the user needs KMS CMKFullAccess, or kms:cmk:crypto";
const ALGORITHM: &str = "SDK-HMAC-SHA256";

/// The kind's client.
pub struct HuaweiKms;

impl HttpService for HuaweiKms {
    async fn ask_to_wrap(&self, recipient: &str, data_key: &[u8], identities: &Identities) -> Asked<Wrapped> {
        let plain = Zeroizing::new(STANDARD.encode_to_string(data_key));
        let enc = ask(recipient, ("encrypt", "plain_text", "cipher_text"), &plain, identities).await?.to_string();
        Ok(Wrapped { enc, key: vec![(KEY_ID, recipient.to_owned())] })
    }

    async fn ask_to_unwrap(&self, entry: &Value, wrapped: &str, identities: &Identities) -> Asked<Zeroizing<Vec<u8>>> {
        let key = entry.get(KEY_ID).and_then(Value::text).unwrap_or_default();
        let plain = ask(&key, ("decrypt", "cipher_text", "plain_text"), wrapped, identities).await?;
        let data_key = STANDARD.decode_to_vec(plain.as_bytes());
        data_key.map(Zeroizing::new).map_err(|_| Refusal::no(format!("{TITLE} answered with something else than base64"), ""))
    }

    fn looked(&self, identities: &Identities) -> Vec<Looked> {
        let found = match AccessKey::of(identities.environment()) {
            Ok(key) => format!("access key {}", key.id),
            Err(refusal) => refusal.to_string(),
        };
        vec![Looked { place: "HUAWEICLOUD_SDK_AK or ~/.huaweicloud/credentials".to_owned(), found }]
    }

    fn needs(&self) -> [&'static str; 2] {
        ["kms:cmk:crypto"; 2]
    }

    fn next(&self) -> &'static str {
        NEXT
    }
}

/// Has KMS do what the first of `words` says with `text`; the others name the fields of question and answer.
async fn ask(key: &str, words: (&str, &str, &str), text: &str, identities: &Identities) -> Asked<Zeroizing<String>> {
    let (verb, from, to) = words;
    let (region, uuid) = parts(key)?;
    let access = AccessKey::of(identities.environment())?;
    let endpoint = endpoint(region, identities.environment());
    let network = identities.network();
    let address = format!("{endpoint}/v1.0/{}/kms/{verb}-data", access.project);
    let no_answer = |trouble| Refusal::trouble(&format!("{TITLE} ({endpoint})"), trouble);
    let body = json!({KEY_ID: uuid, from: text, "encryption_algorithm": "SYMMETRIC_DEFAULT"}).to_string();
    let mut request = network.client().map_err(no_answer)?.post(&address).header("Content-Type", "application/json");
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
    for (name, value) in access.headers(&address, &body, &Stamp::of_unix(seconds).to_rfc3339().unwrap_or_default()) {
        request = request.header(name, value.as_str());
    }
    network.count(TITLE, &format!("access key {}", access.id));
    let reply = network.ask(request.body(body)).await.map_err(no_answer)?;
    match reply.json().get_mut(to).map(Json::take) {
        Some(Json::String(answer)) if reply.status.is_success() => Ok(Zeroizing::new(answer)),
        _ => Err(said_no(&reply, &access.id)),
    }
}

/// Region and key. The region becomes a part of the host's name.
fn parts(key: &str) -> Asked<(&str, &str)> {
    let name = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let parts = key.trim().split_once(':').map(|(region, uuid)| (region.trim(), uuid.trim()));
    parts.filter(|(region, uuid)| name(region) && name(uuid)).ok_or_else(|| {
        Refusal::no(
            format!("{} is no key of {TITLE}", printable(key)),
            "expected REGION:KEY-ID, such as tr-west-1:01234567-89ab-cdef-0123-456789abcdef",
        )
    })
}

/// Where a region's KMS is: what the variable of Huawei's SDKs says, else the public one.
fn endpoint(region: &str, environment: &Environment) -> String {
    let variable = format!("{PREFIX}REGION_KMS_{}", region.to_uppercase().replace('-', "_"));
    let top = if region == "eu-west-101" { "eu" } else { "com" };
    let set = environment.var(&variable).and_then(|list| Some(list.split(',').next()?.trim().trim_end_matches('/').to_owned()));
    set.unwrap_or_else(|| format!("https://kms.{region}.myhuaweicloud.{top}"))
}

fn said_no(reply: &Reply, id: &str) -> Refusal {
    let json = reply.json();
    let error = json.get("error").unwrap_or(&json);
    let word = |name: &str| error.get(name).and_then(Json::as_str).unwrap_or_default().to_owned();
    let words = match (word("error_code"), word("error_msg")) {
        (code, message) if code.is_empty() && message.is_empty() => "without an error of its own".to_owned(),
        (code, message) => own_words(&format!("{code}: {message}")),
    };
    let next = match reply.status.as_u16() {
        401 => {
            "check HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK (a temporary one: HUAWEICLOUD_SDK_SECURITY_TOKEN, too), and this machine's clock"
        }
        403 => "grant the user kms:cmk:crypto on the key",
        404 => "check HUAWEICLOUD_SDK_PROJECT_ID and the key's region",
        _ => "check that the key exists and is enabled",
    };
    Refusal::no(format!("{TITLE} answered {} {words}, asked as access key {id}", reply.status.as_u16()), next)
}

/// Who asks.
struct AccessKey {
    id: String,
    secret: Zeroizing<String>,
    /// Goes with a temporary access key.
    token: Option<Zeroizing<String>>,
    project: String,
}

impl AccessKey {
    /// From the variables, else from the `[basic]` section of the profile file.
    fn of(environment: &Environment) -> Asked<AccessKey> {
        let variable = |name: &str| environment.var(&format!("{PREFIX}{}", name.to_uppercase()));
        let profile = if variable("ak").is_some() { Zeroizing::default() } else { profile(environment) };
        let setting = |name: &str| variable(name).or_else(|| from_profile(&profile, name));
        let (Some(id), Some(secret)) = (setting("ak"), setting("sk")) else {
            return Err(Refusal::NoIdentity("no access key of Huawei Cloud is at hand".to_owned()));
        };
        let project = setting("project_id").filter(|project| project.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'));
        let project = project.ok_or_else(|| {
            let next = "set HUAWEICLOUD_SDK_PROJECT_ID to the project of the key's region (console: My Credentials, API Credentials)";
            Refusal::no(format!("access key {id} comes without a project id"), next)
        })?;
        Ok(AccessKey { id, secret: Zeroizing::new(secret), token: setting("security_token").map(Zeroizing::new), project })
    }

    /// The headers of a request at the time `now` (RFC 3339, UTC), with the signature over them, in the SDKs' order.
    fn headers(&self, address: &str, body: &str, now: &str) -> Vec<(&'static str, Zeroizing<String>)> {
        let (_, rest) = address.split_once("://").unwrap_or_default();
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let date: String = now.chars().filter(|c| !matches!(c, '-' | ':')).collect();
        let mut headers = vec![
            ("host", Zeroizing::new(host.to_owned())),
            ("x-project-id", Zeroizing::new(self.project.clone())),
            ("x-sdk-date", Zeroizing::new(date.clone())),
        ];
        headers.extend(self.token.clone().map(|token| ("x-security-token", token)));
        let lines: Zeroizing<String> = Zeroizing::new(headers.iter().map(|(name, value)| format!("{name}:{}\n", value.as_str())).collect());
        let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let canonical = Zeroizing::new(format!("POST\n/{path}/\n\n{}\n{names}\n{}", lines.as_str(), hex(&Sha256::digest(body))));
        let text = format!("{ALGORITHM}\n{date}\n{}", hex(&Sha256::digest(canonical.as_bytes())));
        let signature = hex(&signed(self.secret.as_bytes(), text.as_bytes()));
        let authorization = format!("{ALGORITHM} Access={}, SignedHeaders={names}, Signature={signature}", self.id);
        headers.push(("authorization", Zeroizing::new(authorization)));
        headers
    }
}

fn signed(secret: &[u8], text: &[u8]) -> Vec<u8> {
    // A key of any length is one for HMAC (RFC 2104): there is no other case.
    let mac = Hmac::<Sha256>::new_from_slice(secret).map(|mac| mac.chain_update(text).finalize().into_bytes().to_vec());
    mac.unwrap_or_default()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The profile file of Huawei's SDKs, or nothing.
fn profile(environment: &Environment) -> Zeroizing<String> {
    let default = || Some(environment.home()?.join(".huaweicloud/credentials"));
    let file: Option<PathBuf> = environment.path("HUAWEICLOUD_SDK_CREDENTIALS_FILE").or_else(default);
    Zeroizing::new(file.and_then(|file| std::fs::read_to_string(file).ok()).unwrap_or_default())
}

fn from_profile(profile: &str, wanted: &str) -> Option<String> {
    let basic = profile.lines().map(str::trim).skip_while(|line| *line != "[basic]").skip(1).take_while(|line| !line.starts_with('['));
    let pairs = basic.filter_map(|line| line.split_once('='));
    pairs
        .map(|(name, value)| (name.trim(), value.trim()))
        .find(|(name, value)| *name == wanted && !value.is_empty())
        .map(|(_, value)| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-01-02T03:04:05Z";
    const ADDRESS: &str = "https://kms.tr-west-1.myhuaweicloud.com/v1.0/0123456789abcdef/kms/encrypt-data";

    fn access(extra: &[(&str, &str)]) -> Asked<AccessKey> {
        let always = [("HUAWEICLOUD_SDK_AK", "AccessKey"), ("HUAWEICLOUD_SDK_SK", "SecretKey")];
        AccessKey::of(&Environment::fixed(always.into_iter().chain(extra.iter().copied())))
    }

    fn signature(extra: &[(&str, &str)]) -> String {
        let project = [("HUAWEICLOUD_SDK_PROJECT_ID", "0123456789abcdef")];
        let access = access(&[&project, extra].concat()).unwrap_or_else(|_| panic!("an access key"));
        let body = "{\"key_id\":\"11111111-2222-3333-4444-555555555555\",\"plain_text\":\"c2VjcmV0\"}\n";
        access.headers(ADDRESS, body, NOW).pop().unwrap().1.to_string()
    }

    /// Made by `core/auth/signer` of huaweicloud-sdk-go-v3 0.1.207 from the same request.
    #[test]
    fn requests_are_signed_as_the_sdk_for_go_signs_them() {
        let plain = "SDK-HMAC-SHA256 Access=AccessKey, SignedHeaders=host;x-project-id;x-sdk-date, \
                     Signature=5e30b67483f657b676a5ea12d56d994e8d455b1bfc445863d624e4de5ed92c08";
        let temporary = "SDK-HMAC-SHA256 Access=AccessKey, SignedHeaders=host;x-project-id;x-sdk-date;x-security-token, \
                         Signature=8e67782f66e5b6903ca1cb61ff58031b3ce25ad8a2d9a31938fa2fdeaa86ef08";
        assert_eq!(signature(&[]), plain);
        assert_eq!(signature(&[("HUAWEICLOUD_SDK_SECURITY_TOKEN", "temporary")]), temporary);
    }

    #[test]
    fn a_missing_project_is_named() {
        let refusal = access(&[]).err().unwrap().to_string();
        assert!(refusal.contains("HUAWEICLOUD_SDK_PROJECT_ID") && !refusal.contains("SecretKey"), "{refusal}");
    }

    #[test]
    fn a_profile_stands_in_for_variables() {
        let profile = "[global]\nak = other\n\n[basic]\nak = A\n sk=S=1\nproject_id =\n[more]\nproject_id = p\n";
        let settings = ["ak", "sk", "project_id"].map(|name| from_profile(profile, name));
        assert_eq!(settings, [Some("A".to_owned()), Some("S=1".to_owned()), None]);
    }

    #[test]
    fn a_region_is_a_part_of_a_host_and_nothing_else() {
        assert!(parts("tr-west-1:0123-ab").is_ok() && parts(" eu-west-101 : 01 ").is_ok());
        for wrong in ["", "tr-west-1", "tr-west-1:", ":01", "evil.example/:01", "evil.example#:01", "a:b:c"] {
            assert!(parts(wrong).is_err(), "{wrong}");
        }
        let public = |region| endpoint(region, &Environment::fixed([("HUAWEICLOUD_SDK_REGION_KMS_CN_NORTH_4", "http://x:1/,http://y")]));
        assert_eq!(public("tr-west-1"), "https://kms.tr-west-1.myhuaweicloud.com");
        assert_eq!(public("eu-west-101"), "https://kms.eu-west-101.myhuaweicloud.eu");
        assert_eq!(public("cn-north-4"), "http://x:1");
    }
}
