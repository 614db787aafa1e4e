//! What the entries of this run answered: each distinct wrapped key is unwrapped once, however many files hold it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

use sha2::{Digest as _, Sha256};

use super::{Outcome, held};
use crate::document::value::{Layout, Value, json};

type Print = [u8; 32];

/// Answers by fingerprint of the entry. It holds data keys.
#[derive(Default)]
pub struct Unwrapped {
    answers: Mutex<HashMap<Print, Arc<OnceLock<Outcome>>>>,
    /// Those of services: waiting for one can be given up, and whoever else waits goes on with it.
    #[cfg(feature = "network")]
    asked: Mutex<HashMap<Print, Arc<tokio::sync::OnceCell<Outcome>>>>,
}

impl Unwrapped {
    /// The answer of this entry of the kind `field`; `unwrap` is asked for it the first time, and meanwhile whoever wants
    /// the same waits. Refusals are kept as well: they may come from a person or from a service that counts them.
    pub fn once(&self, field: &str, entry: &Value, unwrap: impl FnOnce() -> Outcome) -> Outcome {
        let answer = Arc::clone(held(&self.answers).entry(print(field, entry)).or_default());
        answer.get_or_init(unwrap).again()
    }

    /// As [`Unwrapped::once`], of a service: `unwrap` is waited for the first time, and dropped if nobody waits any more.
    #[cfg(feature = "network")]
    pub async fn once_asked(&self, field: &str, entry: &Value, unwrap: impl Future<Output = Outcome>) -> Outcome {
        let answer = Arc::clone(held(&self.asked).entry(print(field, entry)).or_default());
        answer.get_or_init(|| unwrap).await.again()
    }
}

/// Over the whole entry: beside the wrapped key its role, context or address may decide.
fn print(field: &str, entry: &Value) -> Print {
    let mut text = format!("{field}\n");
    json(entry, Layout::OneLine, &mut text);
    Sha256::digest(text).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use zeroize::Zeroizing;

    fn entry(enc: &str) -> Value {
        Value::Map(vec![("enc".to_owned(), Value::string(enc))])
    }

    #[test]
    fn a_wrapped_key_is_unwrapped_once_by_many_threads() {
        let (unwrapped, calls) = (Unwrapped::default(), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let outcome = unwrapped.once("pgp", &entry("x"), || {
                        calls.fetch_add(1, Ordering::Relaxed);
                        Outcome::Opened(Zeroizing::new(vec![7; 32]))
                    });
                    assert!(matches!(outcome, Outcome::Opened(key) if *key == [7; 32]));
                });
            }
        });
        assert_eq!(calls.into_inner(), 1);
    }

    #[test]
    fn entries_that_differ_in_anything_are_asked_each() {
        let unwrapped = Unwrapped::default();
        let mut calls = 0;
        let other = Value::Map(vec![("enc".to_owned(), Value::string("x")), ("role".to_owned(), Value::string("r"))]);
        for (field, entry) in [("pgp", entry("x")), ("kms", entry("x")), ("kms", entry("y")), ("kms", other), ("pgp", entry("x"))] {
            let outcome = unwrapped.once(field, &entry, || {
                calls += 1;
                Outcome::Failed { why: format!("answer {calls}") }
            });
            assert!(matches!(outcome, Outcome::Failed { .. }));
        }
        assert_eq!(calls, 4);
    }
}
