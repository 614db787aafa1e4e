//! Any bytes as text and back, so that a file that isn't text goes the way of those that are.
//!
//! UTF-8 stays as it is. Other bytes become `MARK` and one character each, U+0000 to U+00FF; so do the rare UTF-8 texts
//! that start with the mark, or both would have one form.

use std::borrow::Cow;

use zeroize::Zeroizing;

/// A noncharacter (Unicode 23.7): no text is interchanged with it.
const MARK: char = '\u{10FFFE}';

/// `bytes` as text.
pub fn to_text(bytes: &[u8]) -> Zeroizing<String> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.starts_with(MARK) => Zeroizing::new(text.to_owned()),
        _ => {
            let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 2 + MARK.len_utf8()));
            text.push(MARK);
            text.extend(bytes.iter().map(|byte| char::from(*byte)));
            text
        }
    }
}

/// The bytes that [`to_text`] made `text` of.
pub fn of_text(text: &str) -> Cow<'_, [u8]> {
    match text.strip_prefix(MARK) {
        Some(bytes) => Cow::Owned(bytes.chars().map(|c| u8::try_from(c).unwrap_or(b'?')).collect()),
        None => Cow::Borrowed(text.as_bytes()),
    }
}

/// `bytes` inside a text of lines: what isn't UTF-8, and the mark itself, becomes the mark and one character a byte, U+0080
/// to U+00FF.
pub fn marked(bytes: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() + 16));
    let push = |text: &mut String, bytes: &[u8]| bytes.iter().for_each(|byte| text.extend([MARK, char::from(*byte)]));
    for chunk in bytes.utf8_chunks() {
        for (at, piece) in chunk.valid().split(MARK).enumerate() {
            if at > 0 {
                push(&mut text, MARK.encode_utf8(&mut [0; 4]).as_bytes());
            }
            text.push_str(piece);
        }
        push(&mut text, chunk.invalid());
    }
    text
}

/// Whether a text holds bytes that [`marked`] put there.
pub fn is_marked(text: &str) -> bool {
    text.contains(MARK)
}

/// The bytes that [`marked`] made `text` of.
pub fn unmarked(text: &str) -> Cow<'_, [u8]> {
    if !is_marked(text) {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut pieces = text.split(MARK);
    bytes.extend_from_slice(pieces.next().unwrap_or_default().as_bytes());
    for piece in pieces {
        let first = piece.chars().next().and_then(|c| u8::try_from(c).ok()).filter(|byte| !byte.is_ascii());
        match first {
            Some(byte) => {
                bytes.push(byte);
                bytes.extend_from_slice(&piece.as_bytes()[2..]);
            }
            None => {
                bytes.extend_from_slice(MARK.encode_utf8(&mut [0; 4]).as_bytes());
                bytes.extend_from_slice(piece.as_bytes());
            }
        }
    }
    Cow::Owned(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bytes_come_back(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let text = to_text(&bytes);
            prop_assert_eq!(&*of_text(&text), &bytes[..]);
            let text = marked(&bytes);
            prop_assert_eq!(&*unmarked(&text), &bytes[..]);
        }

        #[test]
        fn marks_among_bytes_come_back(pieces in proptest::collection::vec(prop_oneof!["[a-z\u{e4}]{0,2}", Just(MARK.to_string())], 0..8)) {
            let text = pieces.concat();
            let marked = marked(text.as_bytes());
            prop_assert_eq!(&*unmarked(&marked), text.as_bytes());
        }
    }

    #[test]
    fn text_stays_as_it_is_unless_it_starts_with_the_mark() {
        assert_eq!(to_text("aä\0".as_bytes()).as_str(), "aä\0");
        let marked = format!("{MARK}x");
        let text = to_text(marked.as_bytes());
        assert_eq!(&*of_text(&text), marked.as_bytes());
    }
}
