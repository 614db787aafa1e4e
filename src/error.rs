//! The one error type: a kind that fixes the exit code, a message, and hints that say what to do next.
//!
//! Messages are lower case, without a full stop, and never hold a value of a file.

use std::fmt;
use std::ops::{Deref, DerefMut};

/// What went wrong; the exit code follows from the kind alone (codes are those of SOPS).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Anything without a code of its own: wrong usage, bad metadata, refusals of policy, bad configuration.
    Generic,
    /// The input can't be read as what it claims to be.
    Unreadable,
    /// The output can't be written.
    Unwritable,
    /// The tree can't be written in the wanted format.
    Emit,
    /// An encryption context of a KMS that can't be parsed.
    BadContext,
    /// An index or a value given to `set` or `unset` that can't be read, or doesn't fit what is there.
    BadIndex,
    /// Flags or selectors that exclude each other, or a missing `--filename-override`.
    ConflictingFlags,
    /// A tree that can't be encrypted as asked.
    EncryptTree,
    /// A value that can't be decrypted.
    DecryptTree,
    /// Nobody to encrypt for: no key group has a key.
    NoKeys,
    /// Recipients to be changed of a file that isn't there.
    NoFileForKeys,
    /// The MAC doesn't fit the values.
    MacMismatch,
    /// A path given to `--extract` that can't be parsed.
    BadPath,
    /// An empty file.
    Empty,
    /// The input file doesn't exist.
    NoFile,
    /// A kind that stands twice in the decryption order.
    DuplicateOrder,
    /// The data key can't be recovered with the identities at hand.
    NoDataKey,
    /// The file already has a `sops` block.
    AlreadyEncrypted,
    /// `edit`: the file wasn't changed.
    Unchanged,
    /// `edit`: there is no editor, or it failed.
    Editor,
    /// No failure: differences or findings that were asked for, and have been shown.
    Found,
    /// A command that was run for the user ended with this code; it has said why.
    Child(u8),
    /// Stopped by the signal of this number.
    Signal(u8),
}

/// Exit codes as SOPS documents them, in one place.
impl Kind {
    /// The process exit code of this kind.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::Generic | Kind::NoKeys | Kind::Found => 1,
            Kind::Unreadable => 2,
            Kind::Unwritable => 3,
            Kind::Emit => 4,
            Kind::BadContext => 6,
            Kind::BadIndex => 7,
            Kind::ConflictingFlags => 8,
            Kind::EncryptTree => 23,
            Kind::DecryptTree => 25,
            Kind::NoFileForKeys => 49,
            Kind::MacMismatch => 51,
            Kind::BadPath => 91,
            Kind::Empty => 92,
            Kind::NoFile => 100,
            Kind::DuplicateOrder => 112,
            Kind::NoDataKey => 128,
            Kind::Unchanged => 200,
            Kind::Editor => 201,
            Kind::AlreadyEncrypted => 203,
            Kind::Child(code) => code,
            Kind::Signal(number) => 128u8.saturating_add(number),
        }
    }
}

/// Where in a file an error was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl Position {
    /// The position of the byte `offset` in `text`.
    pub fn of(text: &str, offset: usize) -> Position {
        let mut end = offset.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let before = &text[..end];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Position { line: before.bytes().filter(|byte| *byte == b'\n').count() + 1, column: before[line_start..].chars().count() + 1 }
    }
}

/// An error with all that a person needs to go on. It is one pointer, as every result has room for it, and every `?` moves it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Error(Box<Details>);

/// What an error tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Details {
    /// Fixes the exit code.
    pub kind: Kind,
    /// The file as the user named it.
    pub file: Option<String>,
    /// Line and column in that file.
    pub position: Option<Position>,
    /// The key path of the value concerned, such as `data.password`.
    pub key_path: Option<String>,
    /// One line; what was found and what was expected.
    pub message: String,
    /// What to do next, one line each.
    pub hints: Vec<String>,
}

/// Result with the crate's error.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error of `kind` with nothing but its message.
    pub fn new(kind: Kind, message: impl Into<String>) -> Error {
        Error(Box::new(Details { kind, file: None, position: None, key_path: None, message: message.into(), hints: Vec::new() }))
    }

    /// Adds a line that says what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Error {
        self.hints.push(hint.into());
        self
    }

    /// Adds the position of byte `offset` in `text`, unless one is known already.
    #[must_use]
    pub fn at(mut self, text: &str, offset: usize) -> Error {
        self.position.get_or_insert_with(|| Position::of(text, offset));
        self
    }

    /// Adds the file, unless one is known already.
    #[must_use]
    pub fn in_file(mut self, file: &str) -> Error {
        self.file.get_or_insert_with(|| file.to_owned());
        self
    }

    /// Gives it another kind.
    #[must_use]
    pub fn of_kind(mut self, kind: Kind) -> Error {
        self.kind = kind;
        self
    }

    /// Puts before the message what it is about.
    #[must_use]
    pub fn about(mut self, what: &str) -> Error {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// Adds the key path.
    #[must_use]
    pub fn for_key(mut self, key_path: impl Into<String>) -> Error {
        self.key_path = Some(key_path.into());
        self
    }
}

impl Deref for Error {
    type Target = Details;

    fn deref(&self) -> &Details {
        &self.0
    }
}

impl DerefMut for Error {
    fn deref_mut(&mut self) -> &mut Details {
        &mut self.0
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}:", printable(file))?;
            if let Some(position) = self.position {
                write!(f, "{}:{}:", position.line, position.column)?;
            }
            f.write_str(" ")?;
        } else if let Some(position) = self.position {
            write!(f, "line {}, column {}: ", position.line, position.column)?;
        }
        f.write_str(&printable(&self.message))?;
        match &self.key_path {
            Some(key_path) => write!(f, " (at {})", printable(key_path)),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

/// `text` with control and bidirectional characters escaped: names and paths come from files, and could
/// otherwise move a terminal's cursor or hide what follows.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// Whether a character moves a cursor or turns the direction of text.
pub fn is_hidden(c: char) -> bool {
    c.is_control() || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_file_line_column_and_key() {
        let error = Error::new(Kind::Unreadable, "duplicate key").at("a: 1\nb: 2\n", 8).in_file("x.yaml").for_key("b");
        assert_eq!(error.to_string(), "x.yaml:2:4: duplicate key (at b)");
    }

    #[test]
    fn control_and_bidi_characters_never_reach_the_terminal() {
        assert_eq!(printable("a\u{1b}[31m\u{202e}b"), "a\\u{1b}[31m\\u{202e}b");
    }
}
