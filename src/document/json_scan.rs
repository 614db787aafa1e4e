//! The scanner of JSON: text becomes the node index. What genuine sops refuses is refused here, and so is what it
//! would read as another value than the author wrote, or leave behind in clear.

use std::collections::HashSet;

use super::super::render::Style;
use super::super::yaml::MAX_DEPTH;
use super::super::{Document, Kind, MAX_TEXT, NONE, Node, NodeId, Part, Role, Span, Text};
use super::Json;
use crate::error::{Error, Kind as ErrorKind, Result};

/// Parses JSON into the node index: one document, no comments.
///
/// # Errors
/// `Unreadable` (2) with line and column for all that RFC 8259 doesn't allow, top levels other than an object, text
/// behind it, duplicate keys, halves of surrogate pairs, and nesting deeper than [`MAX_DEPTH`].
pub(super) fn parse(source: &str) -> Result<Document<'_>> {
    let document = scanned(source)?;
    twin_of(&document).map_or(Ok(()), |key| Err(twice(&document, key)))?;
    Ok(document)
}

/// Parses JSON in which keys may stand twice, but for the metadata and its fields.
///
/// # Errors
/// As [`parse`].
pub(super) fn parse_with_twins(source: &str) -> Result<Document<'_>> {
    let document = scanned(source)?;
    let blocks: Vec<NodeId> = document.entries(0).map(|(key, _)| key).filter(|key| document.text(*key) == super::BLOCK).collect();
    let inside = |id: NodeId| blocks.first().is_some_and(|block| (*block..document.node(block + 1).end).contains(&id));
    let twin = blocks.get(1).copied().or_else(|| twin_where(&document, inside));
    twin.map_or(Ok(()), |key| Err(twice(&document, key)))?;
    Ok(document)
}

fn scanned(source: &str) -> Result<Document<'_>> {
    if source.len() > MAX_TEXT {
        return Err(Error::new(ErrorKind::Unreadable, "the file is longer than 1 GiB"));
    }
    let mut scanner = Scanner { document: Document::empty(source, &Json), at: 0, open: Vec::new() };
    scanner.root()?;
    Ok(scanner.document)
}

/// A collection whose end hasn't been seen yet.
#[derive(Clone, Copy)]
struct Open {
    id: NodeId,
    mapping: bool,
    /// An entry or item was read, a comma or the end comes next.
    filled: bool,
}

struct Scanner<'s> {
    document: Document<'s>,
    at: usize,
    open: Vec<Open>,
}

impl<'s> Scanner<'s> {
    fn root(&mut self) -> Result<()> {
        self.blanks();
        match self.peek() {
            Some(b'{') => self.collection(Role::Root)?,
            _ => return Err(self.refuse_root()),
        }
        while let Some(open) = self.open.last().copied() {
            self.step(open)?;
        }
        self.blanks();
        if self.at < self.document.source.len() {
            let error = self.refuse("text behind the closing brace, which would stay in clear; expected the end of the file");
            return Err(error.hint("keep one object in a file"));
        }
        self.document.parts.push(Part { root: 0, end: self.at as u32 });
        Ok(())
    }

    fn refuse_root(&self) -> Error {
        let what = match self.peek() {
            None => return Error::new(ErrorKind::Unreadable, "the file is empty, expected a JSON object"),
            Some(0xef) if self.at == 0 && self.document.source.starts_with('\u{feff}') => {
                return self.refuse("a byte order mark, which JSON doesn't allow").hint("save the file as UTF-8 without one");
            }
            Some(b'[') => "a list",
            Some(b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => "a single value",
            Some(_) => "no JSON",
        };
        let error = self.refuse(&format!("the top level is {what}, expected an object of keys to values"));
        error.hint("wrap it in an object, such as {\"data\": …}")
    }

    /// Reads the next entry or item of the innermost collection, or its end.
    fn step(&mut self, open: Open) -> Result<()> {
        self.blanks();
        if self.peek() == Some(if open.mapping { b'}' } else { b']' }) {
            self.close(open.id);
            return Ok(());
        }
        if open.filled {
            self.require(b',', if open.mapping { "a comma or `}`" } else { "a comma or `]`" })?;
            self.blanks();
        }
        if let Some(open) = self.open.last_mut() {
            open.filled = true;
        }
        if !open.mapping {
            return self.value(Role::Item);
        }
        self.key()?;
        self.blanks();
        self.value(Role::Value)
    }

    fn key(&mut self) -> Result<()> {
        if self.peek() != Some(b'"') {
            return Err(self.expected("a key in double quotes"));
        }
        self.string(Role::Key)?;
        self.blanks();
        self.require(b':', "a colon behind the key")
    }

    fn value(&mut self, role: Role) -> Result<()> {
        match self.peek() {
            Some(b'{' | b'[') => self.collection(role),
            Some(b'"') => self.string(role),
            Some(b'-' | b'0'..=b'9') => self.number(role),
            Some(b't') => self.word("true", role),
            Some(b'f') => self.word("false", role),
            Some(b'n') => self.word("null", role),
            _ => Err(self.expected("a value")),
        }
    }

    fn collection(&mut self, role: Role) -> Result<()> {
        if self.open.len() >= MAX_DEPTH {
            return Err(self.refuse(&format!("nested deeper than {MAX_DEPTH} levels, the most that is read")));
        }
        let mapping = self.peek() == Some(b'{');
        let kind = if mapping { Kind::Mapping } else { Kind::Sequence };
        let start = self.at;
        self.at += 1;
        let id = self.node(kind, Style::Plain, role, start, Text::default());
        self.open.push(Open { id, mapping, filled: false });
        Ok(())
    }

    fn close(&mut self, id: NodeId) {
        self.at += 1;
        self.open.pop();
        let end = self.document.nodes.len() as NodeId;
        let node = &mut self.document.nodes[id as usize];
        (node.end, node.span.end) = (end, self.at as u32);
    }

    fn word(&mut self, word: &str, role: Role) -> Result<()> {
        if !self.document.source[self.at..].starts_with(word) {
            return Err(self.expected("a value (words are true, false and null)"));
        }
        let start = self.at;
        self.at += word.len();
        self.plain(role, start);
        Ok(())
    }

    fn number(&mut self, role: Role) -> Result<()> {
        let start = self.at;
        self.skip(b'-');
        if !self.skip(b'0') {
            self.digits()?;
        }
        if self.skip(b'.') {
            self.digits()?;
        }
        if self.skip(b'e') || self.skip(b'E') {
            let _sign = self.skip(b'+') || self.skip(b'-');
            self.digits()?;
        }
        self.plain(role, start);
        Ok(())
    }

    /// At least one digit.
    fn digits(&mut self) -> Result<()> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(self.expected("a digit")) }
    }

    fn string(&mut self, role: Role) -> Result<()> {
        let start = self.at;
        self.at += 1;
        self.raw()?;
        let text = match self.peek() {
            Some(b'\\') => self.escaped(start + 1)?,
            _ => Text { start: start as u32 + 1, len: (self.at - start - 1) as u32, owned: false },
        };
        self.at += 1;
        self.node(Kind::Scalar, Style::Double, role, start, text);
        Ok(())
    }

    /// Goes to the next quote or backslash.
    fn raw(&mut self) -> Result<()> {
        let rest = &self.document.source.as_bytes()[self.at..];
        let len = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
        self.at += len.unwrap_or(rest.len());
        match self.peek() {
            Some(b'"' | b'\\') => Ok(()),
            None => Err(self.expected("the closing quote of a string")),
            Some(_) => Err(self.refuse("a control character inside a string, expected an escape such as \\n or \\u0000")),
        }
    }

    /// Decodes a string whose text from `run` to here needs no decoding, up to its closing quote.
    fn escaped(&mut self, mut run: usize) -> Result<Text> {
        if self.document.arena.capacity() == 0 {
            // Decoded text is never longer: the arena won't move and leave copies behind.
            self.document.arena.reserve_exact(self.document.source.len() - run);
        }
        let start = self.document.arena.len();
        loop {
            self.document.arena.push_str(&self.document.source[run..self.at]);
            if self.peek() == Some(b'"') {
                return Ok(Text { start: start as u32, len: (self.document.arena.len() - start) as u32, owned: true });
            }
            let decoded = self.escape()?;
            self.document.arena.push(decoded);
            run = self.at;
            self.raw()?;
        }
    }

    fn escape(&mut self) -> Result<char> {
        let decoded = match self.document.source.as_bytes().get(self.at + 1) {
            Some(b'u') => return self.unicode(),
            Some(mark @ (b'"' | b'\\' | b'/')) => char::from(*mark),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            _ => return Err(self.expected("an escape that JSON knows (\\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u)")),
        };
        self.at += 2;
        Ok(decoded)
    }

    /// `\uXXXX`, or two of them that make one character.
    fn unicode(&mut self) -> Result<char> {
        let first = self.unit(self.at)?;
        let second = match first {
            0xd800..0xdc00 => self.unit(self.at + 6).ok(),
            _ => None,
        };
        let decoded = char::decode_utf16([Some(first), second].into_iter().flatten()).next();
        let Some(Ok(decoded)) = decoded else {
            let error = self.refuse("half of a surrogate pair is no character, it would be read as U+FFFD");
            return Err(error.hint("write both halves, or \\ufffd if that is meant"));
        };
        self.at += 6 * decoded.len_utf16();
        Ok(decoded)
    }

    /// The number of the `\uXXXX` at `at`.
    fn unit(&self, at: usize) -> Result<u16> {
        let escape = self.document.source.as_bytes().get(at..at + 6).unwrap_or_default();
        let digits = escape.strip_prefix(b"\\u").and_then(|digits| std::str::from_utf8(digits).ok());
        let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        digits.and_then(|digits| u16::from_str_radix(digits, 16).ok()).ok_or_else(|| self.expected("four hexadecimal digits behind \\u"))
    }

    fn plain(&mut self, role: Role, start: usize) {
        let text = Text { start: start as u32, len: (self.at - start) as u32, owned: false };
        self.node(Kind::Scalar, Style::Plain, role, start, text);
    }

    /// Adds the node that ends here, for a collection: so far.
    fn node(&mut self, kind: Kind, style: Style, role: Role, start: usize, text: Text) -> NodeId {
        let end = self.document.nodes.len() as NodeId + 1;
        let parent = self.open.last().map_or(NONE, |open| open.id);
        let span = Span::new(start, self.at);
        self.document.push(Node { kind, style, flow: true, role, document: 0, parent, end, span, aux: 0, text, props: 0 })
    }

    fn peek(&self) -> Option<u8> {
        self.document.source.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn skip(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn require(&mut self, byte: u8, what: &str) -> Result<()> {
        if self.skip(byte) { Ok(()) } else { Err(self.expected(what)) }
    }

    fn expected(&self, what: &str) -> Error {
        let ends = self.at >= self.document.source.len();
        self.refuse(&format!("not valid JSON: {}expected {what}", if ends { "the file ends here, " } else { "" }))
    }

    fn refuse(&self, message: &str) -> Error {
        Error::new(ErrorKind::Unreadable, message).at(self.document.source, self.at)
    }
}

/// Objects of up to this many keys are searched for twins without a set.
const FEW: usize = 8;

/// Readers of JSON don't agree on which value counts.
fn twice(document: &Document<'_>, key: NodeId) -> Error {
    document.error(key, ErrorKind::Unreadable, "this key stands twice in the same object, only one value could be kept")
}

/// The first key that its object holds already.
pub(super) fn twin_of(document: &Document<'_>) -> Option<NodeId> {
    twin_where(document, |_| true)
}

fn twin_where(document: &Document<'_>, inside: impl Fn(NodeId) -> bool) -> Option<NodeId> {
    let mappings = (0..).zip(&document.nodes).filter(|(id, node)| node.kind == Kind::Mapping && inside(*id));
    mappings.map(|(id, _)| document.entries(id).map(|(key, _)| key).collect::<Vec<NodeId>>()).find_map(|keys| twin(document, &keys))
}

/// The first key whose text an earlier one has.
fn twin(document: &Document<'_>, keys: &[NodeId]) -> Option<NodeId> {
    if keys.len() <= FEW {
        let mut rest = keys.iter().enumerate();
        return rest.find(|(at, key)| keys[..*at].iter().any(|one| document.text(*one) == document.text(**key))).map(|(_, key)| *key);
    }
    let mut seen = HashSet::with_capacity(keys.len());
    keys.iter().copied().find(|key| !seen.insert(document.text(*key)))
}
