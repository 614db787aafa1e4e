//! The metadata server of Google's machines, clusters and functions: next door, never behind a proxy, or not there.
//!
//! Not by `google-cloud-auth`, which asks it through proxies and without a limit of time.

use reqwest::RequestBuilder;
use serde_json::Value as Json;
use zeroize::Zeroizing;

use super::credentials::nothing;
use crate::recipient::network::http::{self, Reply};
use crate::recipient::network::{METADATA, Trouble};
use crate::recipient::refusal::Refusal;
use crate::recipient::{Environment, Identities};

const FLAVOR: (&str, &str) = ("metadata-flavor", "Google");
const ACCOUNT: &str = "computeMetadata/v1/instance/service-accounts/default";
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// Where it is; without the variable, its address rather than its name: there may be nobody to resolve one.
pub fn host(environment: &Environment) -> String {
    environment.var("GCE_METADATA_HOST").unwrap_or_else(|| "169.254.169.254".to_owned())
}

/// A token of the machine's service account, and whose it is.
pub async fn token(identities: &Identities) -> Result<(String, Zeroizing<String>), Refusal> {
    let host = host(identities.environment());
    let broken = |trouble| Refusal::trouble(&format!("the metadata server ({host})"), trouble);
    let there = http::probe(question(&host, "", identities).map_err(broken)?, METADATA).await;
    match there {
        Ok(reply) if is_google(&reply) => {}
        Ok(_) => return Err(nothing(&format!("who answers at {host} isn't Google's"))),
        Err(trouble) => return Err(nothing(&format!("{host}: {}", trouble.why()))),
    }
    let account = account(&host, identities).await;
    let identity = format!("{account} of the metadata server");
    let asked = format!("{ACCOUNT}/token?scopes={SCOPE}");
    let reply = http::send(question(&host, &asked, identities).map_err(broken)?).await.map_err(broken)?;
    match reply.json().get("access_token").and_then(Json::as_str).filter(|_| reply.status.is_success()) {
        Some(token) => Ok((identity, Zeroizing::new(token.to_owned()))),
        None => Err(Refusal::no(
            format!("the metadata server ({host}) answered {} instead of a token for {account}", reply.status.as_u16()),
            "give the machine, or the pod's Kubernetes service account, a service account",
        )),
    }
}

/// The service account's address, for people.
async fn account(host: &str, identities: &Identities) -> String {
    let reply = match question(host, &format!("{ACCOUNT}/email"), identities) {
        Ok(request) => http::probe(request, METADATA).await.ok(),
        Err(_) => None,
    };
    let email = reply
        .filter(|reply| reply.status.is_success() && reply.body.len() < 300)
        .and_then(|reply| String::from_utf8(reply.body.to_vec()).ok());
    email.filter(|email| email.contains('@')).unwrap_or_else(|| "the default service account".to_owned())
}

fn question(host: &str, path: &str, identities: &Identities) -> Result<RequestBuilder, Trouble> {
    Ok(identities.network().direct_client()?.get(format!("http://{host}/{path}")).header(FLAVOR.0, FLAVOR.1))
}

/// Every answer says so; other clouds answer at the same address.
fn is_google(reply: &Reply) -> bool {
    reply.headers.get(FLAVOR.0).is_some_and(|flavor| flavor == FLAVOR.1)
}
