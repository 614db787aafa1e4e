//! X25519 (`age1…`): the usual variety.

use age::x25519;
use age_core::format::{FileKey, Stanza};

use super::{Identities, Identity, Readable, Trouble, Variety, damaged};

pub(super) const VARIETY: Variety = Variety {
    title: "an age recipient",
    names: |text| text.starts_with("age1"),
    recipient: |text, _| {
        // Only the canonical spelling: SOPS takes no other.
        let recipient: Option<x25519::Recipient> = text.parse().ok().filter(|recipient: &x25519::Recipient| recipient.to_string() == text);
        recipient.map(|recipient| Box::new(recipient) as _).ok_or_else(String::new)
    },
    expected: "expected age1 and 58 more characters; a mistyped one doesn't pass its checksum",
    identity: Some(Readable { prefix: "AGE-SECRET-KEY-1", read: |line| Some(Box::new(X25519::new(line.parse().ok()?))) }),
};

/// An identity and the recipient that it opens for.
pub(super) struct X25519 {
    identity: x25519::Identity,
    recipient: String,
}

impl X25519 {
    pub(super) fn new(identity: x25519::Identity) -> X25519 {
        let recipient = identity.to_public().to_string();
        X25519 { identity, recipient }
    }
}

impl Identity for X25519 {
    fn recipient(&self) -> Option<&str> {
        Some(&self.recipient)
    }

    fn unwrap(&self, stanzas: &[Stanza], _identities: &Identities) -> Option<Result<FileKey, Trouble>> {
        damaged(age::Identity::unwrap_stanzas(&self.identity, stanzas))
    }
}
