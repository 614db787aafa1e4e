//! Tokens for credentials in JSON, by Google's own library: service accounts, users, federated identities, impersonation.
//! It is asked with our bounds on time and tries, and what it says is taken apart: it quotes answers that may hold a token.

use std::error::Error as StdError;
use std::future::Future;
use std::pin::pin;

use google_cloud_auth::build_errors::Error as BuildError;
use google_cloud_auth::credentials::{AccessTokenCredentials, external_account, impersonated, service_account, user_account};
use google_cloud_auth::errors::CredentialsError;
use serde_json::Value as Json;
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::recipient::Identities;
use crate::recipient::network::http;
use crate::recipient::network::{CONNECT, PAUSE, REPLY, TRIES, Trouble};
use crate::recipient::refusal::{Refusal, own_words};

/// The service for tokens, for people and for the calls that are counted.
const TITLE: &str = "GCP token service";
/// What the library says about the next time, behind each of its messages, and in place of a message.
const PROMISES: [&str; 2] = [" but future attempts may succeed", " and future attempts will not succeed"];
const NOISE: [&str; 2] = ["Subsequent calls with this credential", "cannot create auth headers"];
const TYPES: [&str; 4] = ["service_account", "authorized_user", "external_account", "impersonated_service_account"];

/// A token for the credentials `json` found at `place`, which belong to `identity`.
///
/// # Errors
/// [`Refusal`]: who asked whom, and what the token service answered.
pub async fn of(json: Json, identity: &str, place: &str, identities: &Identities) -> Result<Zeroizing<String>, Refusal> {
    let refused = |said: String| {
        let place = if identity.contains(place) { String::new() } else { format!(" from {place}") };
        let next = "check that these credentials are still valid: a deleted key, an expired login or a changed provider gives no token";
        Refusal::no(format!("no token for {identity}{place}: {said}"), next)
    };
    usable(&json, identities).map_err(refused)?;
    let service = service(&json);
    // The library ends its task where no client can be set up.
    identities.network().client().map_err(|trouble| Refusal::trouble(TITLE, trouble))?;
    let (mut pause, mut left) = (PAUSE, TRIES);
    loop {
        left -= 1;
        let credentials = credentials(json.clone()).map_err(|why| refused(said(&why)))?;
        match attempt(credentials, service.as_deref(), identity, identities).await {
            Err(Stopped::Said(error)) if left > 0 && error.is_transient() => {}
            Err(Stopped::Said(error)) => return Err(refused(said(&error))),
            Err(Stopped::Trouble(trouble)) => {
                return Err(Refusal::trouble(&format!("{TITLE} ({})", service.as_deref().unwrap_or(place)), trouble));
            }
            Ok(token) => return Ok(token),
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
}

/// Whether the library knows such credentials, and may use them here.
fn usable(json: &Json, identities: &Identities) -> Result<(), String> {
    let kind = json.get("type").and_then(Json::as_str).unwrap_or_default();
    if !TYPES.contains(&kind) {
        return Err(format!("their type is \"{kind}\"; expected one of {}", TYPES.join(", ")));
    }
    let program = json.pointer("/credential_source/executable").is_some();
    if program && !identities.runs_commands() { Err("they come from a program, and none is run here".to_owned()) } else { Ok(()) }
}

/// Why there is no token.
enum Stopped {
    Trouble(Trouble),
    Said(CredentialsError),
}

async fn attempt(
    credentials: AccessTokenCredentials,
    service: Option<&str>,
    identity: &str,
    identities: &Identities,
) -> Result<Zeroizing<String>, Stopped> {
    let Some(service) = service else { return fetched(credentials).await };
    identities.network().count(TITLE, identity);
    bounded(credentials, service, identities).await
}

/// The library sets no limit on connecting: when there is no token yet after the time for that, the service is
/// knocked at.
async fn bounded(credentials: AccessTokenCredentials, address: &str, identities: &Identities) -> Result<Zeroizing<String>, Stopped> {
    let until = Instant::now() + REPLY;
    let mut waiting = pin!(fetched(credentials));
    if let Ok(done) = tokio::time::timeout(CONNECT, waiting.as_mut()).await {
        return done;
    }
    let client = identities.network().client().map_err(Stopped::Trouble)?;
    http::knock(client.head(address)).await.map_err(Stopped::Trouble)?;
    let slow = || Stopped::Trouble(Trouble::Broken(format!("no token within {} s", REPLY.as_secs())));
    tokio::time::timeout_at(until, waiting).await.unwrap_or_else(|_| Err(slow()))
}

/// In a task of its own: the library gives up on a clock that is hours off by ending its task.
fn fetched(credentials: AccessTokenCredentials) -> impl Future<Output = Result<Zeroizing<String>, Stopped>> {
    let task = tokio::spawn(async move { credentials.access_token().await });
    async move {
        match task.await {
            Ok(Ok(token)) => Ok(Zeroizing::new(token.token)),
            Ok(Err(error)) => Err(unreachable(&error).map_or(Stopped::Said(error), Stopped::Trouble)),
            Err(_) => Err(Stopped::Trouble(Trouble::Broken("it gave a token of another time: check this machine's clock".to_owned()))),
        }
    }
}

fn credentials(json: Json) -> Result<AccessTokenCredentials, BuildError> {
    match json.get("type").and_then(Json::as_str) {
        Some("service_account") => service_account::Builder::new(whole(json)).build_access_token_credentials(),
        Some("external_account") => external_account::Builder::new(json).build_access_token_credentials(),
        Some("impersonated_service_account") => impersonated::Builder::new(json).build_access_token_credentials(),
        _ => user_account::Builder::new(json).build_access_token_credentials(),
    }
}

/// The library asks for fields of a service account that no token needs.
fn whole(mut json: Json) -> Json {
    if let Some(fields) = json.as_object_mut() {
        for name in ["project_id", "private_key_id"] {
            fields.entry(name).or_insert_with(|| Json::String(String::new()));
        }
    }
    json
}

/// Where the token comes from; a service account signs its own.
fn service(json: &Json) -> Option<String> {
    let text = |name: &str| json.get(name).and_then(Json::as_str).map(str::to_owned);
    let default = || Some("https://oauth2.googleapis.com/token".to_owned());
    match text("type").as_deref() {
        Some("service_account") => None,
        Some("external_account") => text("token_url").or_else(|| Some("https://sts.googleapis.com/v1/token".to_owned())),
        Some("impersonated_service_account") => text("service_account_impersonation_url").or_else(default),
        _ => text("token_uri").or_else(default),
    }
}

/// Errors from the outermost to the first.
fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error| StdError::source(*error))
}

fn unreachable(error: &CredentialsError) -> Option<Trouble> {
    let refused = causes(error).filter_map(|cause| cause.downcast_ref::<reqwest::Error>()).any(reqwest::Error::is_connect);
    let innermost = causes(error).last().map(|cause| tidy(&cause.to_string())).unwrap_or_default();
    refused.then_some(Trouble::Unreachable(innermost))
}

/// What the library and the service say: from the outside in, without what only quotes the next.
fn said(error: &(dyn StdError + 'static)) -> String {
    let parts: Vec<String> = causes(error).map(|cause| tidy(&cause.to_string())).filter(|part| !part.is_empty()).collect();
    let quotes = |at: usize, part: &str| parts.iter().skip(at + 1).any(|inner| part.contains(inner.as_str()));
    let noise = |part: &str| NOISE.iter().any(|noise| part.contains(noise));
    let told = parts.iter().enumerate().filter(|(at, part)| at + 1 == parts.len() || !(quotes(*at, part) || noise(part)));
    told.map(|(_, part)| part.as_str()).collect::<Vec<_>>().join(": ")
}

/// A message without the answer that it quotes, but with the service's own words for what went wrong.
fn tidy(message: &str) -> String {
    let message = PROMISES.iter().fold(message, |message, promise| message.trim_end_matches(promise));
    let quoted = message.find("body=").into_iter().chain(message.find('{')).min();
    let (head, body) = message.split_at(quoted.unwrap_or(message.len()));
    let json = body.find('{').zip(body.rfind('}')).and_then(|(from, to)| serde_json::from_str::<Json>(body.get(from..=to)?).ok());
    let word = |place: &str| json.as_ref().and_then(|json| json.pointer(place)).and_then(Json::as_str);
    let words = ["/error", "/error_description", "/error/status", "/error/message"].into_iter().filter_map(word);
    let text =
        std::iter::once(head.trim_end_matches([' ', ',', ':'])).chain(words).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ");
    own_words(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_quoted_by_their_errors_alone() {
        let message = r#"failed to exchange token, body=<{"error":"invalid_grant","error_description":"too old","id_token":"secret"}>"#;
        assert_eq!(tidy(message), "failed to exchange token: invalid_grant: too old");
        let message = r#"the HTTP transport reports a [403] error: {"error":{"code":403,"message":"denied","status":"PERMISSION_DENIED"}}"#;
        assert_eq!(tidy(message), "the HTTP transport reports a [403] error: PERMISSION_DENIED: denied");
        assert_eq!(
            tidy(r#"failed to read subject token field `value` as string, body=<{"token":"secret"}>"#),
            "failed to read subject token field `value` as string"
        );
        assert_eq!(tidy("failed, body=<<html>secret</html>>"), "failed");
        assert_eq!(tidy("plain"), "plain");
    }

    #[test]
    fn a_service_account_needs_no_service() {
        assert_eq!(service(&serde_json::json!({"type": "service_account", "token_uri": "https://x"})), None);
        assert_eq!(service(&serde_json::json!({"type": "authorized_user"})).as_deref(), Some("https://oauth2.googleapis.com/token"));
    }
}
