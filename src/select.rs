//! Which values are encrypted: SOPS's six rules over key paths and comments.

use crate::error::{Error, Kind, Result};
use crate::metadata::{DEFAULT_SUFFIX, SelectorKind};
use crate::pattern::Pattern;

/// A selection rule, ready to match.
pub struct Selection {
    kind: SelectorKind,
    text: String,
    pattern: Option<Pattern>,
    /// Whether it goes without saying: the `sops` block doesn't name it.
    implied: bool,
}

impl Selection {
    /// The rule of this kind and text.
    ///
    /// # Errors
    /// `Generic` (1) for an invalid regular expression: genuine sops would take it as "matches nothing" and could
    /// leave every value in clear.
    pub fn new(kind: SelectorKind, text: &str) -> Result<Selection> {
        let suffix = matches!(kind, SelectorKind::UnencryptedSuffix | SelectorKind::EncryptedSuffix);
        let pattern = if suffix { None } else { Some(Pattern::new(text).map_err(|why| invalid(kind, &why.to_string()))?) };
        Ok(Selection { kind, text: text.to_owned(), pattern, implied: false })
    }

    /// The rule of a `sops` block; without one, `_unencrypted` counts. An invalid pattern matches nothing there, as in
    /// genuine sops, or its files couldn't be read.
    pub fn of_metadata(selector: Option<&(SelectorKind, String)>) -> Selection {
        match selector {
            Some((kind, text)) => {
                let nothing = || Selection { kind: *kind, text: text.clone(), pattern: None, implied: false };
                Selection::new(*kind, text).unwrap_or_else(|_| nothing())
            }
            None => Selection::implied(),
        }
    }

    /// Everything but what ends in `_unencrypted`.
    pub fn sops_default() -> Selection {
        Selection { kind: SelectorKind::UnencryptedSuffix, text: DEFAULT_SUFFIX.to_owned(), pattern: None, implied: false }
    }

    /// The same where no block says so: what a file is encrypted by that is one value as a whole, in whichever format (SOPS).
    pub fn implied() -> Selection {
        Selection { implied: true, ..Selection::sops_default() }
    }

    /// Kind and text.
    pub fn parts(&self) -> (SelectorKind, &str) {
        (self.kind, &self.text)
    }

    /// What the `sops` block says of it.
    pub fn written(&self) -> Option<(SelectorKind, String)> {
        (!self.implied).then(|| (self.kind, self.text.clone()))
    }

    /// Whether comments decide, rather than keys.
    pub fn by_comment(&self) -> bool {
        matches!(self.kind, SelectorKind::UnencryptedCommentRegex | SelectorKind::EncryptedCommentRegex)
    }

    /// Whether the rule matches this key.
    pub fn matches_key(&self, key: &str) -> bool {
        match self.kind {
            SelectorKind::UnencryptedSuffix | SelectorKind::EncryptedSuffix => key.ends_with(&self.text),
            SelectorKind::UnencryptedRegex | SelectorKind::EncryptedRegex => self.matches(key),
            SelectorKind::UnencryptedCommentRegex | SelectorKind::EncryptedCommentRegex => false,
        }
    }

    /// Whether the rule matches the text of a comment (what follows its `#`).
    pub fn matches_comment(&self, text: &str) -> bool {
        self.by_comment() && self.matches(text)
    }

    fn matches(&self, text: &str) -> bool {
        self.pattern.as_ref().is_some_and(|pattern| pattern.is_match(text))
    }

    /// Whether a value is encrypted, given whether the rule matched one of its keys or active comments.
    pub fn encrypts(&self, matched: bool) -> bool {
        match self.kind {
            SelectorKind::UnencryptedSuffix | SelectorKind::UnencryptedRegex | SelectorKind::UnencryptedCommentRegex => !matched,
            SelectorKind::EncryptedSuffix | SelectorKind::EncryptedRegex | SelectorKind::EncryptedCommentRegex => matched,
        }
    }
}

fn invalid(kind: SelectorKind, why: &str) -> Error {
    let message = format!("{} is not a valid regular expression: {why}", kind.name());
    Error::new(Kind::Generic, message).hint("patterns are Go's (RE2); genuine sops would take this one as \"matches nothing\"")
}
