//! Reads INI as Go's ini.v1 does with SOPS's options: `=` and `:` part keys from values, `;` and `#` start a comment
//! anywhere in an unquoted value, a backslash at the end goes on in the next line, backticks and `"""` hold lines,
//! sections may repeat, of equal keys in one section the last counts in the place of the first.

use super::super::{Document, Kind, NONE, NodeId, Part, Role, Span, Text, flat};
use super::{BLOCK, DEFAULT, Ini, Quote};
use crate::error::{Error, Result};
use crate::sorting;

/// What marks a comment.
const COMMENT: [char; 2] = ['#', ';'];
/// What parts a key from its value.
const DELIMITERS: [char; 2] = ['=', ':'];

/// Parses a file.
///
/// # Errors
/// `Unreadable` (2) with the position for what ini.v1 refuses.
pub(super) fn parse(source: &str) -> Result<Document<'_>> {
    let mut document = Document::empty(source, &Ini);
    let whole = Span::new(0, source.len());
    let root = document.push_flat(Kind::Mapping, Role::Root, NONE, whole, Text::default());
    document.parts.push(Part { root, end: whole.end });
    let start = if source.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let mut scanner = Scanner { source, at: start, ended: false, pending: Vec::new(), count: 1 };
    let mut section = Section { name: Name::Given(DEFAULT), span: Span::new(start, start), comment: Vec::new(), entries: Vec::new() };
    let mut stray = Vec::new();
    while let Some(line) = scanner.line() {
        match scanner.read(line)? {
            Read::Nothing => {}
            Read::Entry(entry) => section.entries.push(entry),
            Read::Section(mut next) => {
                // What stands above the metadata ended the author's file: no reader of his ties it to anything.
                if next.is_block() {
                    stray = std::mem::take(&mut next.comment);
                }
                section.close(&mut document, root, std::mem::take(&mut stray));
                section = next;
            }
        }
    }
    stray.append(&mut scanner.pending);
    section.close(&mut document, root, stray);
    document.close_flat(root);
    sorting::by_key(&mut document.comments, |comment| comment.span.start);
    Ok(document)
}

struct Scanner<'s> {
    source: &'s str,
    at: usize,
    ended: bool,
    /// Comments since the last key or section.
    pending: Vec<Span>,
    /// The number that the next key `-` gets.
    count: usize,
}

enum Read<'s> {
    Nothing,
    Entry(Entry<'s>),
    Section(Section<'s>),
}

enum Name<'s> {
    Given(&'s str),
    /// A key `-`.
    Counted(String),
}

impl Name<'_> {
    fn text(&self) -> &str {
        match self {
            Name::Given(name) => name,
            Name::Counted(name) => name,
        }
    }
}

struct Section<'s> {
    name: Name<'s>,
    span: Span,
    comment: Vec<Span>,
    entries: Vec<Entry<'s>>,
}

struct Entry<'s> {
    name: Name<'s>,
    span: Span,
    value: Value,
    comment: Vec<Span>,
}

/// A value as written, and what it says.
struct Value {
    span: Span,
    quote: Quote,
    text: Said,
    /// Text behind closing quotes, which ini.v1 passes over.
    behind: Option<Span>,
    /// The comment beside it.
    comment: Option<Span>,
}

enum Said {
    Piece(Span),
    Joined(zeroize::Zeroizing<String>),
}

impl Value {
    fn piece(span: Span, quote: Quote) -> Value {
        let inner = Span::new(span.start as usize + quote.mark().len(), span.end as usize - quote.mark().len());
        Value { span, quote, text: Said::Piece(inner), behind: None, comment: None }
    }
}

impl<'s> Scanner<'s> {
    /// The next line with its break.
    fn line(&mut self) -> Option<Span> {
        if self.ended {
            return None;
        }
        let start = self.at;
        match self.source[start..].find('\n') {
            Some(newline) => self.at = start + newline + 1,
            None => (self.at, self.ended) = (self.source.len(), true),
        }
        Some(Span::new(start, self.at))
    }

    fn slice(&self, span: Span) -> &'s str {
        &self.source[span.range()]
    }

    /// `span` without white space at its ends.
    fn trimmed(&self, span: Span) -> Span {
        let text = self.slice(span);
        let start = span.start as usize + (text.len() - text.trim_start().len());
        Span::new(start, start + text.trim().len())
    }

    fn refuse(&self, at: usize, message: &str) -> Error {
        flat::unreadable(self.source, at, message)
    }

    fn read(&mut self, line: Span) -> Result<Read<'s>> {
        let line = Span { start: self.trimmed(line).start, end: line.end };
        let text = self.slice(line);
        match text.chars().next() {
            None => Ok(Read::Nothing),
            Some(mark) if COMMENT.contains(&mark) => {
                self.pending.push(self.trimmed(line));
                Ok(Read::Nothing)
            }
            Some('[') => self.section(line).map(Read::Section),
            Some(_) => self.entry(line).map(Read::Entry),
        }
    }

    /// The name goes to the last bracket of the line.
    fn section(&mut self, line: Span) -> Result<Section<'s>> {
        let (text, start) = (self.slice(line), line.start as usize);
        let close = text.rfind(']').ok_or_else(|| self.refuse(start, "a section that isn't closed, expected [name]"))?;
        if close == 1 {
            return Err(self.refuse(start, "a section without a name, expected [name]"));
        }
        // What stands before the comment's mark is lost to SOPS; here it is part of the comment.
        let beside = self.trimmed(Span::new(start + close + 1, line.end as usize));
        self.pending.extend(Some(beside).filter(|beside| beside.start < beside.end));
        self.count = 1;
        let span = Span::new(start + 1, start + close);
        Ok(Section { name: Name::Given(self.slice(span)), span, comment: std::mem::take(&mut self.pending), entries: Vec::new() })
    }

    /// The comment that starts in `span`, to the end of the line.
    fn comment_in(&self, span: Span) -> Option<Span> {
        let start = span.start as usize + self.slice(span).find(COMMENT)?;
        Some(self.trimmed(Span::new(start, span.end as usize)))
    }

    fn entry(&mut self, line: Span) -> Result<Entry<'s>> {
        let (span, delimiter) = self.key(line)?;
        let name = match self.slice(span) {
            "-" => {
                self.count += 1;
                Name::Counted(format!("#{}", self.count - 1))
            }
            name => Name::Given(name),
        };
        let value = self.value(Span::new(delimiter + 1, line.end as usize))?;
        self.pending.extend(value.comment);
        Ok(Entry { name, span, value, comment: std::mem::take(&mut self.pending) })
    }

    /// The name of a key, which may stand in quotes, and where its delimiter is.
    fn key(&self, line: Span) -> Result<(Span, usize)> {
        let (text, start) = (self.slice(line), line.start as usize);
        let quote = match text {
            _ if text.len() > 6 && text.starts_with("\"\"\"") => "\"\"\"",
            _ if text.starts_with('"') => "\"",
            _ if text.starts_with('`') => "`",
            _ => "",
        };
        let missing = || self.refuse(start, "a line that is no key, section or comment, expected key = value");
        let open = quote.len();
        let close = match quote {
            "" => 0,
            _ => open + text[open..].find(quote).ok_or_else(|| self.refuse(start, "the quotes around this key aren't closed"))?,
        };
        let behind = close + open;
        let delimiter = behind + text[behind..].find(DELIMITERS).ok_or_else(missing)?;
        let end = if quote.is_empty() { delimiter } else { close };
        let name = self.trimmed(Span::new(start + open, start + end));
        if name.start == name.end {
            return Err(self.refuse(start, "a key without a name, expected key = value"));
        }
        Ok((name, start + delimiter))
    }

    fn value(&mut self, rest: Span) -> Result<Value> {
        let value = Span { start: self.trimmed(rest).start, end: rest.end };
        let text = self.slice(value);
        if text.is_empty() {
            let blanks = self.slice(rest).trim_end_matches(['\n', '\r']).len();
            let at = rest.start as usize + blanks;
            return Ok(Value::piece(Span::new(at, at), Quote::None));
        }
        if text.len() > 3 && text.starts_with("\"\"\"") {
            return self.quoted(value, Quote::Triple);
        }
        if text.starts_with('`') {
            return self.quoted(value, Quote::Back);
        }
        let trimmed = self.trimmed(value);
        if self.slice(trimmed).ends_with('\\') {
            return Ok(self.continued(trimmed));
        }
        let comment = self.comment_in(trimmed);
        let own = self.trimmed(Span { start: trimmed.start, end: comment.map_or(trimmed.end, |comment| comment.start) });
        Ok(Value { comment, ..Value::piece(own, surrounding(self.slice(own))) })
    }

    /// From quotes to the last such quotes in the line, else in the first line that has them.
    fn quoted(&mut self, value: Span, quote: Quote) -> Result<Value> {
        let (mark, start) = (quote.mark(), value.start as usize);
        let inner = start + mark.len();
        if let Some(close) = self.source[inner..value.end as usize].rfind(mark) {
            let end = inner + close + mark.len();
            let behind = Some(self.trimmed(Span::new(end, value.end as usize))).filter(|behind| behind.start < behind.end);
            return Ok(Value { behind, ..Value::piece(Span::new(start, end), quote) });
        }
        while let Some(line) = self.line() {
            let Some(close) = self.slice(line).rfind(mark) else { continue };
            let end = line.start as usize + close + mark.len();
            let behind = Span::new(end, line.end as usize);
            // ini.v1 reads on behind a backslash that follows the quotes.
            if self.slice(behind).trim().ends_with('\\') {
                continue;
            }
            let comment = self.comment_in(behind);
            let junk = self.trimmed(Span { end: comment.map_or(behind.end, |comment| comment.start), ..behind });
            let behind = Some(junk).filter(|junk| junk.start < junk.end);
            return Ok(Value { behind, comment, ..Value::piece(Span::new(start, end), quote) });
        }
        Err(self.refuse(start, "the quotes around this value aren't closed"))
    }

    /// A backslash at the end: the next line goes on, up to an empty one.
    fn continued(&mut self, first: Span) -> Value {
        let mut text = zeroize::Zeroizing::new(self.slice(first).to_owned());
        let mut end = first.end;
        while text.ends_with('\\') {
            text.pop();
            let Some(line) = self.line() else { break };
            let next = self.trimmed(line);
            if next.start == next.end {
                break;
            }
            text.push_str(self.slice(next));
            end = next.end;
        }
        Value { span: Span { end, ..first }, quote: Quote::Continued, text: Said::Joined(text), behind: None, comment: None }
    }
}

/// Quotes at both ends and nowhere between.
fn surrounding(text: &str) -> Quote {
    let inside = |mark: char| text.strip_prefix(mark).and_then(|rest| rest.strip_suffix(mark)).is_some_and(|inner| !inner.contains(mark));
    match text {
        _ if inside('\'') => Quote::Single,
        _ if inside('"') => Quote::Double,
        _ => Quote::None,
    }
}

impl<'s> Section<'s> {
    fn is_block(&self) -> bool {
        self.name.text() == BLOCK
    }

    /// Appends the section's nodes and comments.
    fn close(self, document: &mut Document<'s>, root: NodeId, stray: Vec<Span>) {
        let name = text_of(document, self.name, self.span);
        document.push_flat(Kind::Scalar, Role::Key, root, self.span, name);
        let section = document.push_flat(Kind::Mapping, Role::Value, root, Span { start: self.span.end, ..self.span }, Text::default());
        // Of a key's comments SOPS makes an item behind it; those of an entry that doesn't count are lost to it.
        let (mut comments, mut behind) = (Vec::new(), self.comment);
        for (entry, role) in in_order(self.entries) {
            let key = document.nodes.len() as NodeId;
            if role == Role::Value {
                comments.push((key, std::mem::take(&mut behind)));
            }
            let own = entry.close(document, section, role, &mut comments);
            match role {
                Role::Value => behind = own,
                _ => comments.push((key, own)),
            }
        }
        document.close_flat(section);
        comments.extend([(NONE, behind), (NONE, stray)]);
        comments.into_iter().for_each(|(element, pieces)| comment(document, section, element, pieces));
    }
}

impl<'s> Entry<'s> {
    fn close(self, document: &mut Document<'s>, section: NodeId, role: Role, comments: &mut Vec<(NodeId, Vec<Span>)>) -> Vec<Span> {
        let name = text_of(document, self.name, self.span);
        document.push_flat(Kind::Scalar, Role::Key, section, self.span, name);
        let text = match self.value.text {
            Said::Piece(span) => Document::piece(span),
            Said::Joined(text) => document.keep(&text),
        };
        let id = document.push_flat(Kind::Scalar, role, section, self.value.span, text);
        if let Some(node) = document.nodes.last_mut() {
            node.aux = self.value.quote as u32;
        }
        comments.extend(self.value.behind.map(|behind| (id - 1, vec![behind])));
        self.comment
    }
}

/// The last entry of a name in the place of the first, those it stands for behind it.
fn in_order(entries: Vec<Entry<'_>>) -> Vec<(Entry<'_>, Role)> {
    let mut places: std::collections::HashMap<String, usize> = std::collections::HashMap::new();
    let mut groups: Vec<Vec<Entry<'_>>> = Vec::new();
    for entry in entries {
        let place = *places.entry(entry.name.text().to_owned()).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.insert(0, entry),
            None => groups.push(vec![entry]),
        }
    }
    let role = |at: usize| if at == 0 { Role::Value } else { Role::Shadow };
    groups.into_iter().flat_map(|group| group.into_iter().enumerate().map(move |(at, entry)| (entry, role(at)))).collect()
}

fn text_of(document: &mut Document<'_>, name: Name<'_>, span: Span) -> Text {
    match name {
        Name::Given(_) if span.start < span.end => Document::piece(span),
        Name::Given(name) => document.keep(name),
        Name::Counted(name) => document.keep(&name),
    }
}

fn comment(document: &mut Document<'_>, section: NodeId, element: NodeId, pieces: Vec<Span>) {
    let Some(first) = pieces.first().copied() else { return };
    let line = document.line_start(first.start as usize);
    let inline = !document.source[line..first.start as usize].trim().is_empty();
    document.comments.push(flat::comment(first, section, element, inline));
    document.pieces.insert(first.start, pieces);
}
