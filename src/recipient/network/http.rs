//! HTTP for all services but AWS, whose SDK brings its own: one client (rustls, the system's roots or `SSL_CERT_FILE`,
//! proxies from the environment), bounded replies, tries with growing pauses where trying again may help.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder, RequestBuilder, StatusCode, Url};
use zeroize::Zeroizing;

use super::{CONNECT, Network, PAUSE, REPLY, TRIES, Trouble};
use crate::recipient::Environment;

/// No reply of a key service is longer, and no error page needs to be.
const LONGEST: usize = 1 << 20;
/// A service that asks for a longer pause is answered by giving up.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// The one thing that is known to keep a client from being set up.
const AUTHORITIES: &str = "SSL_CERT_FILE names a file of certificate authorities where the system has none";

/// What a service answered, whatever its status.
pub struct Reply {
    /// The status code.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; it may hold a data key.
    pub body: Zeroizing<Vec<u8>>,
}

impl Reply {
    /// The body as JSON, or null where it is none: an error page, nothing.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

impl Network {
    /// The client of the run.
    ///
    /// # Errors
    /// [`Trouble::Broken`] if the system's certificates can't be read.
    pub fn client(&self) -> Result<&Client, Trouble> {
        self.client.get_or_init(|| build(builder())).as_ref().map_err(|why| Trouble::Broken(why.clone()))
    }

    /// The same past every proxy, for metadata servers, which are next door.
    ///
    /// # Errors
    /// As [`Network::client`].
    pub fn direct_client(&self) -> Result<&Client, Trouble> {
        self.direct_client.get_or_init(|| build(builder().no_proxy())).as_ref().map_err(|why| Trouble::Broken(why.clone()))
    }

    /// A client of its own, for a service with a certificate authority of its own (`root`: PEM, one or more certificates).
    ///
    /// # Errors
    /// [`Trouble::Broken`] if `root` holds no certificate.
    pub fn client_with_root(&self, root: &[u8]) -> Result<Client, Trouble> {
        let certificates = Certificate::from_pem_bundle(root).map_err(|why| Trouble::Broken(format!("not a PEM certificate: {why}")))?;
        if certificates.is_empty() {
            return Err(Trouble::Broken("it holds no PEM certificate".to_owned()));
        }
        self.own_client(|builder| Ok(builder.tls_certs_merge(certificates)))
    }

    /// Asks a key service, as [`send`] does, and notes what its answer says of the time.
    ///
    /// # Errors
    /// As [`send`].
    pub async fn ask(&self, request: RequestBuilder) -> Result<Reply, Trouble> {
        let whole = request.try_clone().and_then(|request| request.build().ok());
        if let Some(whole) = whole.filter(|whole| is_exposed(whole.url())) {
            self.exposed(&whole.url().origin().ascii_serialization());
        }
        let reply = send(request).await?;
        if let Some(date) = reply.headers.get(DATE).and_then(|date| date.to_str().ok()) {
            self.clock.heard(date);
        }
        Ok(reply)
    }

    /// A client of its own, for a service with settings of its own; bounds in time and the refusal of redirects stay unless
    /// `adjust` changes them.
    ///
    /// # Errors
    /// [`Trouble::Broken`] if the settings can't be used.
    pub fn own_client(&self, adjust: impl FnOnce(ClientBuilder) -> Result<ClientBuilder, String>) -> Result<Client, Trouble> {
        adjust(builder()).and_then(build).map_err(Trouble::Broken)
    }
}

/// Tokens stay with the service they are for: no redirect is followed.
fn builder() -> ClientBuilder {
    Client::builder()
        .connect_timeout(CONNECT)
        .timeout(REPLY)
        .redirect(Policy::none())
        .user_agent(concat!("kveil/", env!("CARGO_PKG_VERSION")))
}

fn build(builder: ClientBuilder) -> Result<Client, String> {
    // The client finds its authorities in the environment of the process.
    let known = || Environment::process().broken_authorities();
    builder.build().map_err(|why| known().unwrap_or_else(|| format!("the HTTP client can't be set up: {}; {AUTHORITIES}", chain(&why))))
}

/// Whether what is sent there can be read on its way: without TLS, and not to this machine itself.
fn is_exposed(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    url.scheme() == "http" && !here
}

/// Sends a request that may be sent again: after 429, 5xx, a time-out or a broken connection, at most [`TRIES`] times in
/// all; never where nobody is reached or the service says no. The request must have no streamed body.
///
/// # Errors
/// [`Trouble`] if there is no answer; an answer of any status is none.
pub async fn send(request: RequestBuilder) -> Result<Reply, Trouble> {
    let mut pause = PAUSE;
    let mut left = TRIES;
    loop {
        left -= 1;
        let attempt = request.try_clone().ok_or_else(|| Trouble::Broken("a request that can't be sent twice".to_owned()))?;
        let outcome = once(attempt).await;
        let wait = match &outcome {
            Ok(reply) if may_pass(reply.status) => asked_pause(reply).unwrap_or(pause),
            Err(Trouble::Broken(_)) => pause,
            _ => return outcome,
        };
        if left == 0 || wait > LONGEST_PAUSE {
            return outcome;
        }
        tokio::time::sleep(wait).await;
        pause *= 2;
    }
}

/// Sends it once, within `limit`: for metadata servers, which are next door or not there.
///
/// # Errors
/// As [`send`].
pub async fn probe(request: RequestBuilder, limit: Duration) -> Result<Reply, Trouble> {
    match tokio::time::timeout(limit, once(request)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Trouble::Unreachable(format!("no answer within {} s", limit.as_secs()))),
    }
}

/// Whether somebody takes the connection; what they answer isn't waited for.
///
/// # Errors
/// [`Trouble::Unreachable`] and nothing else.
pub async fn knock(request: RequestBuilder) -> Result<(), Trouble> {
    match tokio::time::timeout(CONNECT + PAUSE, once(request)).await {
        Ok(Err(trouble @ Trouble::Unreachable(_))) => Err(trouble),
        _ => Ok(()),
    }
}

fn may_pass(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error()
}

/// The pause that the service asks for, in seconds.
fn asked_pause(reply: &Reply) -> Option<Duration> {
    reply.headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

async fn once(request: RequestBuilder) -> Result<Reply, Trouble> {
    let mut response = request.send().await.map_err(trouble)?;
    let (status, headers) = (response.status(), response.headers().clone());
    let mut body = Zeroizing::new(Vec::new());
    while let Some(chunk) = response.chunk().await.map_err(trouble)? {
        if body.len() + chunk.len() > LONGEST {
            return Err(Trouble::Broken("the answer is longer than any of a key service".to_owned()));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Reply { status, headers, body })
}

fn trouble(error: reqwest::Error) -> Trouble {
    let (unreachable, timeout) = (error.is_connect(), error.is_timeout());
    // The URL is in the caller's message, and may hold more than belongs there.
    let error = error.without_url();
    match (unreachable, timeout) {
        (true, true) => Trouble::Unreachable(format!("no connection within {} s", CONNECT.as_secs())),
        (true, false) => Trouble::Unreachable(chain(&error)),
        (false, true) => Trouble::Broken(format!("no answer within {} s", REPLY.as_secs())),
        (false, false) => Trouble::Broken(chain(&error)),
    }
}

/// An error with what led to it, without the layers that only pass it on.
fn chain(error: &dyn std::error::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    for cause in std::iter::successors(Some(error), |error| std::error::Error::source(*error)) {
        let part = cause.to_string();
        if !parts.iter().any(|known| known.contains(&part)) {
            parts.push(part);
        }
    }
    let last = parts.len().saturating_sub(1);
    let passes_on = |part: &str| part == "error sending request" || part.starts_with("client error (");
    let told = parts.iter().enumerate().filter(|(at, part)| *at == last || !passes_on(part));
    told.map(|(_, part)| part.as_str()).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_leaves_the_machine_without_tls_is_exposed() {
        let exposed = |url: &str| is_exposed(&Url::parse(url).unwrap());
        for url in ["http://vault.example.com:8200/v1", "http://10.0.0.1", "http://localhost.example.com", "http://[2001:db8::1]"] {
            assert!(exposed(url), "{url}");
        }
        for url in ["https://vault.example.com", "http://127.0.0.1:8200", "http://localhost:8200", "http://[::1]:8200"] {
            assert!(!exposed(url), "{url}");
        }
    }
}
