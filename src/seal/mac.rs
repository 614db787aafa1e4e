//! The MAC: SHA-512 over the plaintext of all values in document order (SOPS), as 128 upper-case hex digits.

use sha2::{Digest, Sha256, Sha512};

use super::walk::Walk;
use crate::document::resolve::Scalar;

/// The running hash of a file's values.
pub struct Mac {
    hash: Sha512,
}

impl Mac {
    /// A MAC over all values, or over the encrypted ones only (`mac_only_encrypted`, which starts with a fixed text).
    pub fn new(only_encrypted: bool) -> Mac {
        let mut hash = Sha512::new();
        if only_encrypted {
            hash.update(Sha256::digest(b"sops"));
        }
        Mac { hash }
    }

    /// Adds the plaintext of the next value.
    pub fn add(&mut self, plaintext: &[u8]) {
        self.hash.update(plaintext);
    }

    /// The text that is encrypted into `sops.mac`.
    pub fn finish(self) -> String {
        self.hash.finalize().iter().map(|byte| format!("{byte:02X}")).collect()
    }
}

/// The MAC over the values of a file.
pub fn of<'v>(walk: &Walk, values: impl IntoIterator<Item = &'v Scalar<'v>>, only_encrypted: bool) -> String {
    let mut mac = Mac::new(only_encrypted);
    for (leaf, value) in walk.leaves.iter().zip(values) {
        if !leaf.shadow && (leaf.selected || !only_encrypted) {
            mac.add(&value.bytes);
        }
    }
    mac.finish()
}

/// Compares two MACs without telling by time where they differ.
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (x, y)| difference | (x ^ y)) == 0
}
