//! What key services have in common that are asked over the shared HTTP client: their entries, and how a refusal is told.

use zeroize::Zeroizing;

use super::refusal::Refusal;
use super::{Answer, CREATED_AT, ENC, Identities, KeyService, Looked, Outcome, RecipientSpec, created_at, wrapped_key};
use crate::document::value::Value;
use crate::error::Result;

/// What came of a question.
pub type Asked<T> = std::result::Result<T, Refusal>;

/// A data key that was wrapped.
pub struct Wrapped {
    /// The wrapped key as the entry holds it.
    pub enc: String,
    /// The fields of the entry that name the key, in SOPS's order; they come after its time and the wrapped key.
    pub key: Vec<(&'static str, String)>,
}

/// The client of a key service that is asked over HTTP. Whoever implements it is a [`KeyService`].
pub trait HttpService: Sync {
    /// Has `data_key` wrapped for a recipient in the notation of its kind.
    ///
    /// # Errors
    /// [`Refusal`]: who asked whom as what, what came of it, and the next step.
    fn ask_to_wrap(&self, recipient: &str, data_key: &[u8], identities: &Identities) -> impl Future<Output = Asked<Wrapped>> + Send;

    /// Has the wrapped key of an entry unwrapped.
    ///
    /// # Errors
    /// As [`HttpService::ask_to_wrap`].
    fn ask_to_unwrap(
        &self,
        entry: &Value,
        wrapped: &str,
        identities: &Identities,
    ) -> impl Future<Output = Asked<Zeroizing<Vec<u8>>>> + Send;

    /// See [`KeyService::looked`].
    fn looked(&self, identities: &Identities) -> Vec<Looked>;

    /// See [`KeyService::needs`].
    fn needs(&self) -> [&'static str; 2];

    /// See [`KeyService::next`].
    fn next(&self) -> &'static str;
}

impl<T: HttpService> KeyService for T {
    fn wrap<'a>(&'a self, recipient: &'a RecipientSpec, data_key: &'a [u8], identities: &'a Identities) -> Answer<'a, Result<Value>> {
        Box::pin(async move {
            let wrapped = self.ask_to_wrap(&recipient.text, data_key, identities).await;
            wrapped.map(Wrapped::entry).map_err(|refusal| refusal.error(&recipient.text, HttpService::next(self)))
        })
    }

    fn unwrap<'a>(&'a self, entry: &'a Value, identities: &'a Identities) -> Answer<'a, Outcome> {
        Box::pin(async move {
            match wrapped_key(entry) {
                Ok(wrapped) => self.ask_to_unwrap(entry, &wrapped, identities).await.map_or_else(Refusal::outcome, Outcome::Opened),
                Err(outcome) => outcome,
            }
        })
    }

    fn looked(&self, identities: &Identities) -> Vec<Looked> {
        HttpService::looked(self, identities)
    }

    fn needs(&self) -> [&'static str; 2] {
        HttpService::needs(self)
    }

    fn next(&self) -> &'static str {
        HttpService::next(self)
    }
}

impl Wrapped {
    fn entry(self) -> Value {
        let always = [(CREATED_AT, created_at()), (ENC, Value::string(self.enc))];
        let key = self.key.into_iter().map(|(name, text)| (name, Value::string(text)));
        Value::Map(always.into_iter().chain(key).map(|(name, value)| (name.to_owned(), value)).collect())
    }
}
