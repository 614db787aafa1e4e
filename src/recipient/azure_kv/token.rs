//! Tokens of a run: one for each tenant and resource, however many files and threads want it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use reqwest::header::HeaderValue;
use serde_json::Value as Json;
use zeroize::Zeroizing;

use super::super::http_service::Asked;
use super::super::network::http::Reply;
use super::super::refusal::{Refusal, own_words};
use super::super::{Identities, held};
use super::challenge::Challenge;
use super::credentials;

/// A token that ends within this time isn't used any more.
const MARGIN: Duration = Duration::from_secs(60);
/// Where nothing says how long a token holds.
const UNKNOWN: u64 = 300;

/// A token, and for people whose it is.
#[derive(Clone)]
pub struct Token {
    /// `Bearer …`, marked as sensitive.
    pub header: HeaderValue,
    /// Whose.
    pub who: String,
    /// Since when it is at hand.
    pub since: Instant,
    expires: Option<Instant>,
    number: u64,
}

impl Token {
    /// A token that holds for some seconds; none if it isn't one.
    pub fn new(text: &str, seconds: u64, who: String) -> Option<Token> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let mut header = HeaderValue::from_str(&Zeroizing::new(format!("Bearer {text}"))).ok().filter(|_| !text.is_empty())?;
        header.set_sensitive(true);
        let since = Instant::now();
        let expires = since.checked_add(Duration::from_secs(seconds));
        Some(Token { header, who, since, expires, number: NUMBER.fetch_add(1, Ordering::Relaxed) })
    }

    /// Reads the answer of whoever gives tokens: `access_token`, and `expires_in` or `expires_on`, as numbers or text.
    pub fn read(json: &mut Json, who: &str) -> Option<Token> {
        let text = match json.get_mut("access_token").map(Json::take) {
            Some(Json::String(text)) => Zeroizing::new(text),
            _ => return None,
        };
        let number = |name: &str| json.get(name).and_then(|value| value.as_u64().or_else(|| value.as_str()?.parse().ok()));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
        let seconds = number("expires_in").or_else(|| Some(number("expires_on")?.saturating_sub(now)));
        Token::new(&text, seconds.unwrap_or(UNKNOWN), who.to_owned())
    }

    fn is_fresh(&self) -> bool {
        self.expires.is_none_or(|expires| expires.saturating_duration_since(Instant::now()) > MARGIN)
    }
}

type Slot = tokio::sync::Mutex<Option<Asked<Token>>>;

/// The tokens at hand.
#[derive(Default)]
pub struct Tokens {
    slots: Mutex<HashMap<Challenge, Arc<Slot>>>,
}

impl Tokens {
    /// The token for a challenge, another one than `refused`. Whoever wants the same waits while it is fetched; that there
    /// is none is kept as well.
    pub async fn get(&self, challenge: &Challenge, identities: &Identities, refused: Option<&Token>) -> Asked<Token> {
        let slot = Arc::clone(held(&self.slots).entry(challenge.clone()).or_default());
        let mut slot = slot.lock().await;
        let usable = |token: &Token| token.is_fresh() && refused.is_none_or(|refused| refused.number != token.number);
        match &*slot {
            Some(Ok(token)) if usable(token) => Ok(token.clone()),
            Some(Err(refusal)) => Err(refusal.clone()),
            _ => slot.insert(credentials::token(challenge, identities).await).clone(),
        }
    }
}

/// What a service of Azure says of a failure: its status, its code, its message.
pub fn words(reply: &Reply) -> String {
    let json = reply.json();
    let error = json.get("error").unwrap_or(&Json::Null);
    let text = |value: Option<&Json>| value.and_then(Json::as_str).map(str::to_owned);
    let inner = text(error.get("innererror").and_then(|inner| inner.get("code"))).map(|inner| format!(" ({inner})")).unwrap_or_default();
    let code = text(Some(error)).or_else(|| text(error.get("code")));
    let message = text(json.get("error_description")).or_else(|| text(error.get("message")));
    // What follows the first line are ids and times.
    let message = message.as_deref().and_then(|message| message.lines().next()).unwrap_or("without a message").to_owned();
    own_words(&format!("{} {}{inner}: {message}", reply.status.as_u16(), code.as_deref().unwrap_or("without a code")))
}

/// How a refusal to give a token is told.
pub fn refused(by: &str, who: &str, reply: &Reply, next: &str) -> Refusal {
    Refusal::no(format!("{by} gives no token to {who}: {}", words(reply)), next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_say_how_long_they_hold() {
        let read = |text: &str| Token::read(&mut serde_json::from_str(text).unwrap(), "me");
        assert!(read(r#"{"access_token": "t", "expires_in": 3599}"#).unwrap().is_fresh());
        assert!(read(r#"{"access_token": "t", "expires_on": "4102444800"}"#).unwrap().is_fresh());
        assert!(read(r#"{"access_token": "t"}"#).unwrap().is_fresh());
        assert!(!read(r#"{"access_token": "t", "expires_on": 1}"#).unwrap().is_fresh());
        assert!(read(r#"{"access_token": ""}"#).is_none() && read("{}").is_none() && read(r#"{"access_token": "a\nb"}"#).is_none());
        assert_eq!(format!("{:?}", read(r#"{"access_token": "t"}"#).unwrap().header), "Sensitive");
    }
}
