//! Recipients of kind `hc_vault`: keys of a transit engine of HashiCorp Vault or OpenBao.
//!
//! Two calls, `encrypt` and `decrypt`. The file says which server is asked, so the token goes there only if somebody other
//! than the file vouches for that server ([`address`]).

mod address;
mod key;
mod settings;

use std::sync::{Arc, OnceLock};

use reqwest::header::{HeaderValue, LOCATION};
use reqwest::{Client, Method, StatusCode, Url};
use serde_json::Value as Json;
use zeroize::Zeroizing;

use super::http_service::{Asked, HttpService, Wrapped};
use super::network::Trouble;
use super::network::http::Reply;
use super::refusal::{Refusal, own_words};
use super::{Identities, Looked};
use crate::document::value::Value;
use crate::error::printable;
use key::Key;
use settings::Token;

const TITLE: &str = "HashiCorp Vault";
const NAMESPACE: &str = "VAULT_NAMESPACE";

/// The client of transit engines.
pub struct HcVault;

/// What a run keeps: all servers are asked through one client, since the environment's TLS settings count for all.
#[derive(Default)]
struct State {
    client: OnceLock<Result<Client, Trouble>>,
}

impl HttpService for HcVault {
    async fn ask_to_wrap(&self, recipient: &str, data_key: &[u8], identities: &Identities) -> Asked<Wrapped> {
        let key = Key::parse(recipient)?;
        let plaintext = Zeroizing::new(base64_simd::STANDARD.encode_to_string(data_key));
        let enc = Call { operation: "encrypt", key: &key, identities }.ask("plaintext", &plaintext, "ciphertext").await?.to_string();
        Ok(Wrapped { enc, key: vec![("engine_path", key.engine), ("key_name", key.name), ("vault_address", key.address)] })
    }

    async fn ask_to_unwrap(&self, entry: &Value, wrapped: &str, identities: &Identities) -> Asked<Zeroizing<Vec<u8>>> {
        let key = Key::of_entry(entry)?;
        let plaintext = Call { operation: "decrypt", key: &key, identities }.ask("ciphertext", wrapped, "plaintext").await?;
        let data_key = base64_simd::STANDARD.decode_to_vec(plaintext.as_bytes());
        data_key.map(Zeroizing::new).map_err(|_| Refusal::no(format!("{} answered with something that isn't base64", key.address), ""))
    }

    fn looked(&self, identities: &Identities) -> Vec<Looked> {
        settings::looked(identities.environment())
    }

    fn needs(&self) -> [&'static str; 2] {
        ["update on ENGINE/encrypt/KEY", "update on ENGINE/decrypt/KEY"]
    }

    fn next(&self) -> &'static str {
        "if a Vault token may use one of these keys: export VAULT_ADDR=https://… and run vault login, or set VAULT_TOKEN"
    }
}

/// One operation of a key.
struct Call<'c> {
    operation: &'static str,
    key: &'c Key,
    identities: &'c Identities,
}

impl Call<'_> {
    /// Sends `text` as `field` of the request; the field `wanted` of the answer.
    async fn ask(&self, field: &str, text: &str, wanted: &str) -> Asked<Zeroizing<String>> {
        let environment = self.identities.environment();
        address::admit(&self.key.address, self.identities)?;
        let token = settings::token(environment)?;
        if token.value.is_none() && !address::is_of_environment(&self.key.address, environment) {
            return Err(Refusal::NoIdentity(format!("no token for {}: {}", printable(&self.key.address), token.place)));
        }
        let body = Zeroizing::new(serde_json::json!({ field: text }).to_string());
        let reply = self.send(self.key.url(self.operation)?, &token, &body).await?;
        let reply = match redirected(&reply) {
            Some(location) => self.send(self.follow(location)?, &token, &body).await?,
            None => reply,
        };
        if !reply.status.is_success() {
            return Err(self.refused(&reply, &token));
        }
        match reply.json().get_mut("data").and_then(|data| data.get_mut(wanted)).map(Json::take) {
            Some(Json::String(text)) if !text.is_empty() => Ok(Zeroizing::new(text)),
            _ => Err(Refusal::no(format!("{} answered without a {wanted}", self.key.address), "is it a transit engine of a Vault?")),
        }
    }

    async fn send(&self, url: Url, token: &Token, body: &str) -> Asked<Reply> {
        let trouble = |trouble| Refusal::trouble(&self.key.address, trouble);
        let state: Arc<State> = self.identities.state();
        let client = state.client.get_or_init(|| settings::client(self.identities)).as_ref().map_err(|why| trouble(why.clone()))?;
        let mut request = client.request(Method::PUT, url).header("X-Vault-Request", "true").body(body.to_owned());
        if let Some(value) = &token.value {
            request = request.header("X-Vault-Token", value.clone());
        }
        if let Some(namespace) = self.namespace()? {
            request = request.header("X-Vault-Namespace", namespace);
        }
        self.identities.network().count(TITLE, &format!("{} at {}", token.place, self.key.address));
        self.identities.network().ask(request).await.map_err(trouble)
    }

    fn namespace(&self) -> Asked<Option<HeaderValue>> {
        let set = self.identities.environment().var(NAMESPACE).map(|name| HeaderValue::from_str(&name)).transpose();
        set.map_err(|_| Refusal::no(format!("{NAMESPACE} holds characters that no namespace has"), "correct or unset it"))
    }

    /// A standby server sends callers on to the active one: once, and only if that may have the token as well.
    fn follow(&self, location: &str) -> Asked<Url> {
        let from = self.key.url(self.operation)?;
        let no = |why: &str| Refusal::no(format!("{} sends the request on to {}: {why}", self.key.address, own_words(location)), "");
        let to = from.join(location).map_err(|_| no("that is no address"))?;
        if from.scheme() == "https" && to.scheme() != "https" {
            return Err(no("that isn't protected by TLS"));
        }
        if to.origin() != from.origin() {
            address::admit(&to.origin().ascii_serialization(), self.identities)?;
        }
        Ok(to)
    }

    fn refused(&self, reply: &Reply, token: &Token) -> Refusal {
        let path = format!("{}/{}/{}", self.key.engine, self.operation, self.key.name);
        let namespace = self.identities.environment().var(NAMESPACE).map(|name| format!(" in namespace {name}")).unwrap_or_default();
        let why = format!("{} refused {} as {}{namespace}: {}", self.key.address, path, token.place, words(reply));
        Refusal::no(printable(&why), next(reply.status, &printable(&path), &printable(&self.key.engine)))
    }
}

/// Where the reply sends the caller.
fn redirected(reply: &Reply) -> Option<&str> {
    let sends = [StatusCode::MOVED_PERMANENTLY, StatusCode::FOUND, StatusCode::TEMPORARY_REDIRECT, StatusCode::PERMANENT_REDIRECT];
    if sends.contains(&reply.status) { reply.headers.get(LOCATION)?.to_str().ok() } else { None }
}

/// The status and Vault's own errors.
fn words(reply: &Reply) -> String {
    let json = reply.json();
    let errors: Vec<&str> = json.get("errors").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str).collect();
    match errors.is_empty() {
        true => format!("{} without an error of Vault's", reply.status.as_u16()),
        false => format!("{}: {}", reply.status.as_u16(), own_words(&errors.join(", "))),
    }
}

fn next(status: StatusCode, path: &str, engine: &str) -> String {
    match status.as_u16() {
        401 | 403 => format!(
            "the token may have expired (vault token lookup), or its policy lacks: path \"{path}\" {{ capabilities = [\"update\"] }}"
        ),
        404 => format!("is a transit engine mounted at {engine}, in this namespace? (vault secrets list)"),
        429 | 500.. => "vault status shows whether the server is sealed or on standby".to_owned(),
        _ => String::new(),
    }
}
