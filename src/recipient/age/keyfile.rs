//! Key files: one identity a line, of any variety, `#` comments and empty lines.

use super::passphrase::{self, Locked};
use super::sources::Found;
use super::{Identity, VARIETIES};

/// How identities are separated.
#[derive(Clone, Copy)]
pub(super) enum Words {
    /// One a line; blanks around it aren't taken, as in age.
    Lines,
    /// By any white space, as SOPS reads a variable.
    Blanks,
}

/// Reads what a source holds. As in SOPS, a source with a line that can't be read gives nothing.
pub(super) fn parse(place: String, bytes: &[u8], words: Words) -> Found {
    if passphrase::is_locked(bytes) {
        let locked = Locked::new(&place, bytes);
        return Found { locked: Some(locked), ..Found::empty(place) };
    }
    if is_ssh(bytes) {
        return Found::nothing(place, "an ssh key: name its file by SOPS_AGE_SSH_PRIVATE_KEY_FILE");
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return Found::nothing(place, "not a text file") };
    let mut identities = Vec::new();
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let read: Option<Vec<_>> = match words {
            Words::Lines => identity(line).map(|identity| vec![identity]),
            Words::Blanks => line.split_whitespace().map(identity).collect(),
        };
        match read {
            Some(read) => identities.extend(read),
            None => return Found::nothing(place, format!("line {}: not an age identity, so nothing in it is used", index + 1)),
        }
    }
    Found { identities, ..Found::empty(place) }
}

/// Reads an identity; the prefixes are in capitals, and nothing may stand around it.
pub(super) fn identity(line: &str) -> Option<Box<dyn Identity>> {
    let mut readable = VARIETIES.iter().filter_map(|variety| variety.identity.as_ref());
    let readable = readable.find(|readable| line.starts_with(readable.prefix))?;
    (readable.read)(line)
}

fn is_ssh(bytes: &[u8]) -> bool {
    bytes.starts_with(b"-----BEGIN ") && bytes.windows(11).any(|window| window == b"PRIVATE KEY")
}
