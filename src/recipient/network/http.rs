//! HTTP for all services but AWS, whose SDK brings its own: one client (rustls, the system's roots or `SSL_CERT_FILE`,
//! proxies from the environment), bounded replies, tries with growing pauses where trying again may help.

use std::time::Duration;

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder, RequestBuilder, StatusCode};
use zeroize::Zeroizing;

use super::{CONNECT, Network, PAUSE, REPLY, TRIES, Trouble};

/// No reply of a key service is longer, and no error page needs to be.
const LONGEST: usize = 1 << 20;
/// A service that asks for a longer pause is answered by giving up.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

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
    builder.build().map_err(|why| format!("the HTTP client can't be set up: {}", chain(&why)))
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
