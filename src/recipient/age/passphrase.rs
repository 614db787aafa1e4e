//! Key files that are themselves age files under a passphrase (`age -p`), armored or not.

use std::io::Read as _;
use std::sync::OnceLock;

use age::{DecryptError, Decryptor};
use zeroize::Zeroizing;

use super::keyfile::{self, Words};
use super::sources::{Found, MAX_SOURCE};
use super::{Identities, terminal};

/// The most work that is done for a passphrase, as in age.
const MAX_WORK: u8 = 22;
/// How age files begin, by which SOPS tells them from lists of identities.
const BEGINNINGS: [&str; 2] = ["age-encryption", "-----BEGIN AGE"];

const BROKEN: &str = "not a whole age file";

/// A key file under a passphrase, which is asked for when nothing else opens, and once.
pub(super) struct Locked {
    place: String,
    bytes: Zeroizing<Vec<u8>>,
    unlocked: OnceLock<Box<Found>>,
}

/// Whether a key file is an age file.
pub(super) fn is_locked(bytes: &[u8]) -> bool {
    BEGINNINGS.iter().any(|beginning| bytes.starts_with(beginning.as_bytes()))
}

impl Locked {
    pub(super) fn new(place: &str, bytes: &[u8]) -> Locked {
        Locked { place: place.to_owned(), bytes: Zeroizing::new(bytes.to_vec()), unlocked: OnceLock::new() }
    }

    /// What is in it. The first call asks; others, of other threads too, wait for its answer.
    pub(super) fn unlock(&self, identities: &Identities) -> &Found {
        self.unlocked.get_or_init(|| {
            Box::new(match self.decrypt(identities) {
                Ok(text) => keyfile::parse(self.place.clone(), &text, Words::Lines),
                Err(why) => Found::nothing(self.place.clone(), why),
            })
        })
    }

    /// What is in it, if it was asked for.
    pub(super) fn unlocked(&self) -> Option<&Found> {
        self.unlocked.get().map(Box::as_ref)
    }

    fn decrypt(&self, identities: &Identities) -> Result<Zeroizing<Vec<u8>>, String> {
        let file = Decryptor::new_buffered(age::armor::ArmoredReader::new(self.bytes.as_slice())).map_err(|_| BROKEN)?;
        if !file.is_scrypt() {
            return Err("encrypted, but not with a passphrase".to_owned());
        }
        let mut identity = age::scrypt::Identity::new(terminal::passphrase(identities, &self.place)?);
        identity.set_max_work_factor(MAX_WORK);
        let opened = file.decrypt(std::iter::once(&identity as &dyn age::Identity)).map_err(|error| refusal(&error))?;
        let mut text = Zeroizing::new(Vec::with_capacity(self.bytes.len()));
        opened.take(MAX_SOURCE).read_to_end(&mut text).map_err(|_| BROKEN)?;
        Ok(text)
    }
}

fn refusal(error: &DecryptError) -> String {
    let why = match error {
        DecryptError::ExcessiveWork { .. } => "the passphrase asks for too much work",
        DecryptError::InvalidHeader | DecryptError::InvalidMac | DecryptError::Io(_) => BROKEN,
        _ => "wrong passphrase",
    };
    why.to_owned()
}
