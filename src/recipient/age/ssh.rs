//! SSH keys (`ssh-ed25519 …`, `ssh-rsa …`), where people have no others.
//!
//! The recipient's text is the whole line of a public key file, with its comment; keys are compared without it. RSA
//! decrypts with blinding, yet not in constant time: see SECURITY.md.

use std::sync::OnceLock;

use age::ssh::{EncryptedKey, Identity as Key, ParseRecipientKeyError, Recipient, UnsupportedKey};
use age_core::format::{FileKey, Stanza};
use base64_simd::STANDARD_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::{Identities, Identity, Trouble, Variety, Wrapper, damaged, terminal};
use crate::error::printable;

pub(super) const PREFIX: &str = "ssh-";
const ED25519: &str = "ssh-ed25519";
const RSA: &str = "ssh-rsa";

pub(super) const VARIETY: Variety = Variety {
    title: "an ssh public key",
    names: |text| text.starts_with(PREFIX),
    recipient: |text, _| recipient(text),
    expected: "expected the line of a public key file: ssh-ed25519 AAAA… or ssh-rsa AAAA…, and a comment",
    identity: None,
};

fn recipient<'i>(text: &str) -> Wrapper<'i> {
    let recipient: Recipient = text.replace('\t', " ").parse().map_err(refusal)?;
    // The parser stops where the key ends; there its word must end, too.
    if !same_key(&recipient.to_string(), text) {
        return Err(String::new());
    }
    Ok(Box::new(recipient))
}

fn refusal(error: ParseRecipientKeyError) -> String {
    match error {
        ParseRecipientKeyError::RsaModulusTooSmall => ": the key has less than 2048 bits".to_owned(),
        ParseRecipientKeyError::RsaModulusTooLarge => ": the key has more than 4096 bits".to_owned(),
        ParseRecipientKeyError::Unsupported(kind) => format!(" that can encrypt ({})", printable(&kind)),
        _ => String::new(),
    }
}

/// Whether two lines are of the same key, whatever their comments.
pub(super) fn same_key(one: &str, other: &str) -> bool {
    let key = |line: &str| line.split_whitespace().take(2).map(str::to_owned).collect::<Vec<_>>();
    key(one) == key(other)
}

/// The kind, the last 6 characters of the key, and the comment: the start is the same in all keys of a kind.
pub(super) fn short(line: &str) -> String {
    let mut words = line.split_whitespace();
    let (kind, key) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let end: String = key.chars().skip(key.chars().count().saturating_sub(6)).collect();
    let comment: String = words.collect::<Vec<_>>().join(" ").chars().take(40).collect();
    printable(format!("{kind} …{end} {comment}").trim_end())
}

/// A private key, perhaps under a passphrase, which is asked for when a stanza bears its tag, and once.
pub(super) struct Private {
    place: String,
    key: Key,
    recipient: String,
    tag: String,
    unlocked: OnceLock<Result<Key, String>>,
}

impl Private {
    /// Reads the one key of a private key file.
    ///
    /// # Errors
    /// Why it can't be used, without any of its text.
    pub(super) fn read(place: &str, bytes: &[u8]) -> Result<Private, String> {
        let key = Key::from_buffer(bytes, None).map_err(|_| "not an ssh private key (BEGIN OPENSSH PRIVATE KEY, BEGIN RSA PRIVATE KEY)")?;
        if let Key::Unsupported(why) = &key {
            return Err(unusable(why));
        }
        let public = Recipient::try_from(key.clone()).map_err(|error| format!("not an ssh key{}", refusal(error)))?;
        let (Recipient::SshRsa(wire, _) | Recipient::SshEd25519(wire, _)) = &public;
        let tag = STANDARD_NO_PAD.encode_to_string(&Sha256::digest(wire)[..4]);
        Ok(Private { place: place.to_owned(), key, recipient: public.to_string(), tag, unlocked: OnceLock::new() })
    }

    pub(super) fn is_locked(&self) -> bool {
        matches!(self.key, Key::Encrypted(_))
    }

    fn unlock(&self, locked: &EncryptedKey, identities: &Identities) -> Result<Key, String> {
        let passphrase = terminal::passphrase(identities, &self.place);
        let key = passphrase.and_then(|text| locked.decrypt(text).map(Key::from).map_err(|_| "wrong passphrase".to_owned()));
        key.map_err(|why| format!("{}: {why}", self.place))
    }
}

fn unusable(key: &UnsupportedKey) -> String {
    match key {
        UnsupportedKey::EncryptedPem => "its passphrase is of the old form: rewrite it with ssh-keygen -p -f FILE".to_owned(),
        UnsupportedKey::EncryptedSsh(cipher) => format!("locked with the unknown cipher {}", printable(cipher)),
        UnsupportedKey::Hardware(kind) => format!("a key in hardware ({}) can't decrypt", printable(kind)),
        UnsupportedKey::Type(kind) => format!("an ssh key that can't decrypt ({}), expected {ED25519} or {RSA}", printable(kind)),
    }
}

impl Identity for Private {
    fn recipient(&self) -> Option<&str> {
        Some(&self.recipient)
    }

    fn fits(&self, recipient: &str) -> bool {
        same_key(&self.recipient, recipient)
    }

    fn asks(&self) -> bool {
        self.is_locked()
    }

    fn short(&self) -> String {
        let locked = if self.is_locked() { " (locked)" } else { "" };
        format!("{}{locked}", short(&self.recipient))
    }

    fn unwrap(&self, stanzas: &[Stanza], identities: &Identities) -> Option<Result<FileKey, Trouble>> {
        let is_mine = |stanza: &Stanza| matches!(stanza.tag.as_str(), ED25519 | RSA) && stanza.args.first() == Some(&self.tag);
        if !stanzas.iter().any(is_mine) {
            return None;
        }
        let key = match &self.key {
            Key::Encrypted(locked) => self.unlocked.get_or_init(|| self.unlock(locked, identities)).as_ref(),
            key => Ok(key),
        };
        match key {
            Ok(key) => damaged(age::Identity::unwrap_stanzas(key, stanzas)),
            Err(why) => Some(Err(Trouble::Unusable(why.clone()))),
        }
    }
}
