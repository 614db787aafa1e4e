//! What a secret value is shown as: its type, how long it is by class, and a fingerprint.
//!
//! The fingerprint is an HMAC under a random key that one clone has for itself: equal values have equal ones, so that a
//! changed value is a changed line, but who lacks the key can't test guesses, and two clones don't compare.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::datakey::DataKey;
use crate::document::resolve::Type;
use crate::error::{Error, Kind, Result};

/// Bytes of a clone's key.
pub const KEY_LENGTH: usize = 32;

/// Digits of a fingerprint: 32 bits, enough to tell values of a file apart and too few to look a value up.
const DIGITS: usize = 8;

/// The key under which one clone masks values.
pub struct Masks(Zeroizing<[u8; KEY_LENGTH]>);

impl Masks {
    /// Masks under this key.
    pub fn new(key: &[u8; KEY_LENGTH]) -> Masks {
        Masks(Zeroizing::new(*key))
    }

    /// Masks under a new random key.
    ///
    /// # Errors
    /// `Generic` (1) if the system has no random numbers.
    pub fn random() -> Result<Masks> {
        let mut key = Zeroizing::new([0; KEY_LENGTH]);
        getrandom::fill(&mut *key).map_err(|_| Error::new(Kind::Generic, "the system gives no random numbers"))?;
        Ok(Masks(key))
    }

    /// The key, to be kept with the clone.
    pub fn key(&self) -> &[u8; KEY_LENGTH] {
        &self.0
    }

    /// The fingerprint of a value, over type and canonical plaintext.
    pub fn fingerprint(&self, kind: Type, plaintext: &[u8]) -> String {
        self.digits(kind.name(), plaintext)
    }

    /// The label of a data key: a file whose values were all encrypted anew has another one.
    pub fn label(&self, data_key: &DataKey) -> String {
        self.digits("data key", data_key.bytes())
    }

    /// A value for people: `<str, 8 to 15 bytes, 1f0c22ab>`.
    pub fn mask(&self, kind: Type, plaintext: &[u8]) -> String {
        format!("<{}, {}, {}>", kind.name(), length_class(plaintext.len()), self.fingerprint(kind, plaintext))
    }

    /// What is hashed begins with a word that says what it is: a value never looks like a data key.
    fn digits(&self, what: &str, bytes: &[u8]) -> String {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&*self.0) else { return "?".repeat(DIGITS) };
        mac.update(what.as_bytes());
        mac.update(&[0]);
        mac.update(bytes);
        mac.finalize().into_bytes().iter().take(DIGITS / 2).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// How long a value is, by class: ciphertext shows the length to the byte, what people read need not.
pub fn length_class(bytes: usize) -> &'static str {
    match bytes {
        0 => "empty",
        1..=7 => "1 to 7 bytes",
        8..=15 => "8 to 15 bytes",
        16..=31 => "16 to 31 bytes",
        32..=63 => "32 to 63 bytes",
        64..=255 => "64 to 255 bytes",
        256..=1023 => "256 to 1023 bytes",
        1024..=16383 => "1 to 16 kB",
        _ => "over 16 kB",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_have_equal_masks_in_one_clone_only() {
        let (one, other) = (Masks::new(&[1; KEY_LENGTH]), Masks::new(&[2; KEY_LENGTH]));
        let mask = one.mask(Type::Str, b"hunter2-hunter2");
        assert_eq!(mask, one.mask(Type::Str, b"hunter2-hunter2"));
        assert!(mask.starts_with("<str, 8 to 15 bytes, ") && mask.len() == "<str, 8 to 15 bytes, 12345678>".len(), "{mask}");
        assert_ne!(mask, one.mask(Type::Str, b"hunter3-hunter3"));
        assert_ne!(mask, other.mask(Type::Str, b"hunter2-hunter2"));
        assert_ne!(one.fingerprint(Type::Int, b"1"), one.fingerprint(Type::Str, b"1"));
        assert!(!mask.contains("hunter"));
    }

    #[test]
    fn the_fingerprint_is_hmac_sha256_over_type_and_plaintext() {
        // printf 'str\0abc' | openssl dgst -sha256 -mac HMAC -macopt hexkey:0101…01
        assert_eq!(Masks::new(&[1; KEY_LENGTH]).fingerprint(Type::Str, b"abc"), "87c342fe");
    }

    #[test]
    fn a_random_key_is_another_one_each_time() {
        let (one, other) = (Masks::random().unwrap(), Masks::random().unwrap());
        assert_ne!(one.key(), other.key());
        let data_key = DataKey::generate().unwrap();
        assert_ne!(one.label(&data_key), other.label(&data_key));
        assert_eq!(one.label(&data_key), one.label(&data_key));
    }
}
