//! Recipients of kind `azure_kv`: RSA keys of Azure Key Vault and Managed HSM, by RSA-OAEP-256.
//!
//! A vault names the tenant and the resource that a token must be for in a challenge; that is checked ([`challenge`]), since
//! it decides for what this machine's identity is asked. Tokens come from [`credentials`], once a run.

mod azure_cli;
mod certificate;
mod challenge;
mod credentials;
mod key;
mod managed_identity;
mod service_principal;
mod token;

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use reqwest::{Method, StatusCode, Url};
use serde_json::Value as Json;
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use super::http_service::{Asked, HttpService, Wrapped};
use super::network::http::Reply;
use super::refusal::Refusal;
use super::{Identities, Looked, held};
use crate::document::value::Value;
use crate::error::printable;
use challenge::Challenge;
use key::Key;
use token::{Token, Tokens};

const TITLE: &str = "Azure Key Vault";
/// The only algorithm of SOPS.
const ALGORITHM: &str = "RSA-OAEP-256";

/// The client of vaults.
pub struct AzureKv;

/// What a run keeps.
#[derive(Default)]
struct State {
    tokens: Tokens,
    challenges: Once<String, Challenge>,
    versions: Once<String, String>,
}

/// Answers that don't change within a run, each asked for once.
struct Once<K, T>(Mutex<HashMap<K, Arc<OnceCell<T>>>>);

impl<K, T> Default for Once<K, T> {
    fn default() -> Self {
        Once(Mutex::default())
    }
}

impl<K: Hash + Eq, T: Clone> Once<K, T> {
    async fn get(&self, key: K, ask: impl Future<Output = Asked<T>>) -> Asked<T> {
        let cell = Arc::clone(held(&self.0).entry(key).or_default());
        cell.get_or_try_init(|| ask).await.cloned()
    }
}

impl HttpService for AzureKv {
    async fn ask_to_wrap(&self, recipient: &str, data_key: &[u8], identities: &Identities) -> Asked<Wrapped> {
        let vault = Vault::new(identities);
        let key = vault.with_version(Key::parse(recipient)?).await?;
        let data_key = Zeroizing::new(base64_simd::URL_SAFE_NO_PAD.encode_to_string(data_key));
        let enc = vault.operate("encrypt", &key, &data_key).await?.to_string();
        Ok(Wrapped { enc, key: vec![("name", key.name), ("vault_url", key.vault), ("version", key.version)] })
    }

    async fn ask_to_unwrap(&self, entry: &Value, wrapped: &str, identities: &Identities) -> Asked<Zeroizing<Vec<u8>>> {
        let vault = Vault::new(identities);
        let key = vault.with_version(Key::of_entry(entry)?).await?;
        let data_key = vault.operate("decrypt", &key, wrapped).await?;
        let data_key = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(data_key.trim_end_matches('=').as_bytes());
        data_key.map(Zeroizing::new).map_err(|_| Refusal::no(format!("{} answered with something that isn't base64", key.vault), ""))
    }

    fn looked(&self, identities: &Identities) -> Vec<Looked> {
        credentials::looked(identities)
    }

    fn needs(&self) -> [&'static str; 2] {
        ["Microsoft.KeyVault/vaults/keys/encrypt/action", "Microsoft.KeyVault/vaults/keys/decrypt/action"]
    }

    fn next(&self) -> &'static str {
        "if an identity of Azure may use one of these keys: az login, or set AZURE_TENANT_ID, AZURE_CLIENT_ID and its secret"
    }
}

/// A vault, asked with the identities of a run.
struct Vault<'v> {
    identities: &'v Identities,
    state: Arc<State>,
}

impl<'v> Vault<'v> {
    fn new(identities: &'v Identities) -> Vault<'v> {
        Vault { identities, state: identities.state() }
    }

    /// The key with a version: the one it has, else the newest.
    async fn with_version(&self, key: Key) -> Asked<Key> {
        if !key.version.is_empty() {
            return Ok(key);
        }
        let version = self.state.versions.get(key.url("")?.to_string(), self.newest(&key)).await?;
        Ok(Key { version, ..key })
    }

    async fn newest(&self, key: &Key) -> Asked<String> {
        let reply = self.ask(Method::GET, "get", key, None).await?;
        let json = reply.json();
        let id = json.get("key").and_then(|key| key.get("kid")).and_then(Json::as_str);
        let version = id.and_then(|id| id.rsplit('/').next()).filter(|version| key::is_version(version));
        version.map(str::to_owned).ok_or_else(|| Refusal::no(format!("{} answered without the version of {}", key.vault, key.name), ""))
    }

    /// Has a value (base64) encrypted or decrypted.
    async fn operate(&self, operation: &str, key: &Key, value: &str) -> Asked<Zeroizing<String>> {
        let body = Zeroizing::new(serde_json::json!({ "alg": ALGORITHM, "value": value }).to_string());
        let reply = self.ask(Method::POST, operation, key, Some(&body)).await?;
        match reply.json().get_mut("value").map(Json::take) {
            Some(Json::String(value)) if !value.is_empty() => Ok(Zeroizing::new(value)),
            _ => Err(Refusal::no(format!("{} answered without a value", key.vault), "")),
        }
    }

    /// Asks with a token; if one is refused that was at hand before, with another one.
    async fn ask(&self, method: Method, operation: &str, key: &Key, body: Option<&str>) -> Asked<Reply> {
        let url = key.url(if operation == "get" { "" } else { operation })?;
        let challenge = self.state.challenges.get(key.vault.clone(), self.challenge(&method, &url, key)).await?;
        let now = Instant::now();
        let mut token = self.state.tokens.get(&challenge, self.identities, None).await?;
        let mut reply = self.send(&method, &url, key, Some(&token), body).await?;
        if reply.status == StatusCode::UNAUTHORIZED && token.since < now {
            token = self.state.tokens.get(&challenge, self.identities, Some(&token)).await?;
            reply = self.send(&method, &url, key, Some(&token), body).await?;
        }
        if reply.status.is_success() { Ok(reply) } else { Err(refused(&reply, operation, key, &token)) }
    }

    /// What the vault wants to see, which it says to those who show nothing; it gets no body yet.
    async fn challenge(&self, method: &Method, url: &Url, key: &Key) -> Asked<Challenge> {
        let reply = self.send(method, url, key, None, None).await?;
        Challenge::read(&reply, url, self.identities.environment())
    }

    async fn send(&self, method: &Method, url: &Url, key: &Key, token: Option<&Token>, body: Option<&str>) -> Asked<Reply> {
        let trouble = |trouble| Refusal::trouble(&key.vault, trouble);
        let mut request = self.identities.network().client().map_err(trouble)?.request(method.clone(), url.clone());
        if let Some(token) = token {
            request = request.header("Authorization", token.header.clone());
            self.identities.network().count(TITLE, &token.who);
        }
        request = match body {
            Some(body) => request.header("Content-Type", "application/json").body(body.to_owned()),
            // Without a length proxies may refuse it.
            None if *method == Method::POST => request.header("Content-Length", "0"),
            None => request,
        };
        self.identities.network().ask(request).await.map_err(trouble)
    }
}

/// The vault's own code and message.
fn refused(reply: &Reply, operation: &str, key: &Key, token: &Token) -> Refusal {
    let words = token::words(reply);
    let why = printable(&format!("{} refused {operation} with {} as {}: {words}", key.vault, key.name, token.who));
    let next = match reply.status.as_u16() {
        403 if words.contains("ForbiddenByFirewall") => "let this machine's address through the vault's firewall".to_owned(),
        401 => "the token has expired or isn't for this vault: log in again (az login), and check this machine's clock".to_owned(),
        403 => {
            format!("grant the role \"Key Vault Crypto User\" on the vault, or the key permission {operation} in its access policy")
        }
        404 => format!("az keyvault key list-versions --id {}/keys/{} shows what is there", key.bare_vault(), key.name),
        400 => "the key must be an enabled RSA key, and the entry wrapped by this version of it".to_owned(),
        _ => String::new(),
    };
    Refusal::no(why, next)
}
