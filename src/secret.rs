//! Text that held secrets is wiped when it goes: as surely as `zeroize` does it, but in whole blocks instead of byte by
//! byte, and only as far as it was ever filled. For large files the difference is as much as the encryption.

use std::ops::{Deref, DerefMut};

use zeroize::{Zeroizing, optimization_barrier};

/// Text that is wiped when dropped. What is cut off its end must be overwritten by whoever cuts: [`Secret::cut`].
#[derive(Default)]
pub struct Secret(String);

impl Secret {
    /// Empty text with room for `bytes`.
    pub fn with_capacity(bytes: usize) -> Secret {
        Secret(String::with_capacity(bytes))
    }

    /// Makes room for `more` bytes in fresh memory, so that the old one can be wiped.
    pub fn make_room(&mut self, more: usize) {
        let needed = self.0.len() + more;
        if needed > self.0.capacity() {
            let mut wider = Secret::with_capacity(needed.max(self.0.capacity() * 2));
            wider.0.push_str(&self.0);
            std::mem::swap(self, &mut wider);
        }
    }

    /// Wipes the text, and keeps its memory.
    pub fn empty(&mut self) {
        let mut bytes = std::mem::take(&mut self.0).into_bytes();
        wipe(&mut bytes);
        self.0 = String::from_utf8(bytes).unwrap_or_default();
    }

    /// Shortens the text to `len` bytes, which must be a border of characters.
    pub fn cut(&mut self, len: usize) {
        let rest = self.0.len().saturating_sub(len);
        if rest > 0 {
            self.0.replace_range(len.., &"\0".repeat(rest));
            self.0.truncate(len);
        }
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Secret {
        Secret(text)
    }
}

impl From<Zeroizing<String>> for Secret {
    fn from(mut text: Zeroizing<String>) -> Secret {
        Secret(std::mem::take(&mut *text))
    }
}

impl Deref for Secret {
    type Target = String;

    fn deref(&self) -> &String {
        &self.0
    }
}

impl DerefMut for Secret {
    fn deref_mut(&mut self) -> &mut String {
        &mut self.0
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        wipe_text(&mut self.0);
    }
}

/// Overwrites bytes with zeros, and empties them.
pub fn wipe(bytes: &mut Vec<u8>) {
    bytes.fill(0);
    optimization_barrier(bytes.as_slice());
    bytes.clear();
}

/// Overwrites text with zeros, and gives its memory back.
pub fn wipe_text(text: &mut String) {
    wipe(&mut std::mem::take(text).into_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_at_its_end() {
        let mut text = Secret::default();
        text.push_str("plain secret");
        text.cut(5);
        assert_eq!(text.as_str(), "plain");
        text.cut(9);
        assert_eq!(text.as_str(), "plain");
        text.empty();
        assert!(text.is_empty() && text.capacity() >= 12);
    }

    #[test]
    fn room_is_made_without_losing_text() {
        let mut text = Secret::default();
        for _ in 0..100 {
            text.make_room(3);
            text.push_str("abc");
        }
        assert_eq!(text.as_str(), "abc".repeat(100));
        let mut bytes = b"secret".to_vec();
        wipe(&mut bytes);
        assert!(bytes.is_empty() && bytes.capacity() >= 6);
    }
}
