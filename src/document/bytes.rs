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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bytes_come_back(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let text = to_text(&bytes);
            prop_assert_eq!(&*of_text(&text), &bytes[..]);
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
