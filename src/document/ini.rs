//! INI as SOPS reads it (Go's ini.v1): sections of keys, those before the first section in `DEFAULT`. What is hashed and
//! encrypted is what that reader sees: `k = "a;b"` is a value and a comment.
//!
//! A value keeps the quotes around it, so that only its own bytes change. The comments of a key are one to that reader,
//! those above it and the one beside it: the first gets the token, of the others only the mark stays.

use std::borrow::Cow;

use super::change::Place;
use super::edit::Edits;
use super::flat::{self, Flat};
use super::resolve::{ResolveError, Scalar, Type};
use super::value::Value;
use super::{Comment, Document, Event, Format, NodeId, Span, bytes, conflict};
use crate::error::{Error, Kind as ErrorKind, Result};

mod change;
mod print;
mod scan;
mod second;

/// The INI format.
pub struct Ini;

/// The section of metadata.
const BLOCK: &str = "sops";
/// What stays beside a section's name behind the mark of a comment that is encrypted in a line of its own.
const MOVED: &str = ";";
/// The section of keys before any section.
const DEFAULT: &str = "DEFAULT";

impl Format for Ini {
    fn name(&self) -> &'static str {
        "ini"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["ini"]
    }

    fn parse<'s>(&self, source: &'s str) -> Result<Document<'s>> {
        conflict::named(scan::parse(source), source)
    }

    fn resolve<'d>(&self, document: &'d Document<'_>, id: NodeId) -> std::result::Result<Scalar<'d>, ResolveError> {
        Ok(Scalar { kind: Type::Str, bytes: bytes::unmarked(document.text(id)) })
    }

    fn plain_bytes<'t>(&self, text: &'t str) -> Cow<'t, [u8]> {
        bytes::unmarked(text)
    }

    fn flat(&self) -> Option<&dyn Flat> {
        Some(self)
    }

    /// SOPS ties a comment to the key after the one it stands at.
    fn ties_comments(&self) -> bool {
        false
    }

    fn block(&self, document: &Document<'_>) -> Result<Option<Value>> {
        let mut sections = document.entries(flat::root(document)).filter(|(key, _)| document.key_text(*key) == BLOCK);
        let Some((_, block)) = sections.next() else { return Ok(None) };
        if let Some((second, _)) = sections.next() {
            return Err(document.error(second, ErrorKind::Generic, "found duplicate sops entry, expected one section [sops]"));
        }
        let pairs = fields(document, block).into_iter().map(|(key, value)| (document.key_text(key), unescaped(document.text(value))));
        flat::unflatten(pairs).map(Some)
    }

    fn add_block(&self, document: &Document<'_>, metadata: &Value, _indent: Option<usize>, edits: &mut Edits) {
        let (end, newline) = (document.source.len(), document.newline());
        edits.write(Span::new(end, end), |out| {
            if flat::open_end(document.source) {
                out.push_str(newline);
            }
            if !document.source.is_empty() {
                out.push_str(newline);
            }
            write_block(metadata, newline, out);
        });
    }

    fn remove_block(&self, document: &Document<'_>, _bare: &str, edits: &mut Edits) {
        for (key, block) in document.entries(flat::root(document)).filter(|(key, _)| document.key_text(*key) == BLOCK) {
            let lines = lines_of(document, key, block);
            edits.replace(Span::new(blank_line_before(document.source, lines.start as usize), lines.end as usize), "");
        }
    }

    fn replace_block(&self, document: &Document<'_>, metadata: &Value, edits: &mut Edits) {
        let Some(block) = document.get(flat::root(document), BLOCK) else { return };
        let says = |id: NodeId, text: &str| document.text(id) == text;
        if !flat::patched(document, &fields(document, block), &wanted(metadata), says, print::value, edits) {
            edits.write(lines_of(document, block - 1, block), |out| write_block(metadata, document.newline(), out));
        }
    }

    /// What is hashed and encrypted is what SOPS reads, whatever other readers make of it.
    fn refuse_plain(&self, _source: &str) -> Result<()> {
        Ok(())
    }

    fn without_repeats(&self, _text: &str) -> Option<String> {
        None
    }

    fn second_reading(&self, text: &str, receive: &mut dyn FnMut(Event)) -> std::result::Result<(), String> {
        second::read(text).map(|events| events.into_iter().for_each(receive))
    }

    fn held(&self, value: Value) -> Result<Value> {
        change::held(value)
    }

    fn put(&self, document: &Document<'_>, place: Place<'_>, value: &Value, edits: &mut Edits) -> Result<()> {
        change::put(document, place, value, edits)
    }

    fn take_out(&self, document: &Document<'_>, id: NodeId, edits: &mut Edits) -> Result<()> {
        change::take_out(document, id, edits)
    }

    fn print_fragment(&self, value: &Value, indent: Option<usize>) -> String {
        super::json::Json.print_fragment(value, indent)
    }

    fn print(&self, documents: &[Value], _indent: Option<usize>) -> Result<String> {
        print::print(documents.first().map_or(&[][..], Value::entries))
    }
}

impl Flat for Ini {
    fn around_token(&self, document: &Document<'_>, id: NodeId) -> (&'static str, String) {
        let mark = Quote::of(document, id).mark();
        // ini.v1 sees the comment behind closing quotes only if they stand in another line than the opening ones.
        let lines = !mark.is_empty() && document.slice(document.node(id).span).contains('\n');
        (mark, format!("{}{mark}", if lines { document.newline() } else { "" }))
    }

    fn render(&self, document: &Document<'_>, id: NodeId, value: &Scalar<'_>, out: &mut String) {
        let text = flat::printed(value);
        let mark = Quote::of(document, id).mark();
        // SOPS's own form comes second; what that one would lose is kept in other quotes.
        let forms = [format!("{mark}{text}{mark}"), print::value(&text), format!("`{text}`"), format!("\"\"\"{text}\"\"\"")];
        let says = |form: &&String| self.says(document, id, form, &Scalar { kind: Type::Str, bytes: bytes::unmarked(&text) });
        out.push_str(forms.iter().find(says).unwrap_or(&forms[1]));
    }

    fn says(&self, document: &Document<'_>, id: NodeId, text: &str, value: &Scalar<'_>) -> bool {
        let span = document.node(id).span;
        let beside = !document.slice(Span::new(span.end as usize, document.line_end(span.end as usize))).trim().is_empty();
        let whole = zeroize::Zeroizing::new(format!("k = {text}{}\n\n[s]\n", if beside { " ;" } else { "" }));
        let Ok(read) = scan::parse(&whole) else { return false };
        let scalars = read.get(flat::root(&read), DEFAULT).map(|section| fields(&read, section)).unwrap_or_default();
        let [(_, only)] = scalars[..] else { return false };
        let sections = read.entries(flat::root(&read)).count() == 2;
        let comments = read.comments.len() == usize::from(beside);
        // Behind closing quotes nothing is a comment; what is restored with quotes has the same behind it.
        let complete = read.node(only).span.end as usize == "k = ".len() + text.len();
        value.kind == Type::Str && sections && comments && complete && *bytes::unmarked(read.text(only)) == *value.bytes
    }

    fn newline(&self, document: &Document<'_>) -> &'static str {
        document.newline()
    }

    fn comment_text<'d>(&self, document: &'d Document<'_>, comment: &Comment) -> Cow<'d, str> {
        let pieces = pieces_of(document, comment);
        let first = document.slice(pieces[0]);
        let mut text = Cow::Borrowed(&first[mark_of(first).len()..]);
        for piece in &pieces[1..] {
            let text = text.to_mut();
            text.push('\n');
            text.push_str(document.slice(*piece));
        }
        text
    }

    fn write_comment_token(&self, document: &Document<'_>, comment: &Comment, token: &str, edits: &mut Edits) {
        let pieces = pieces_of(document, comment);
        let mark = mark_of(document.slice(pieces[0]));
        if pieces.len() == 1 && beside_section(document, pieces[0]) {
            let line = document.line_start(pieces[0].start as usize);
            // The bracket of the token would end the section's name: it goes to a line of its own above.
            edits.write(Span::new(line, line), |out| out.extend(["; ", token, document.newline()]));
            edits.write(pieces[0], |out| out.extend([mark, MOVED]));
            return;
        }
        edits.write(pieces[0], |out| out.extend([mark, token]));
        for piece in &pieces[1..] {
            let hash = document.slice(*piece).starts_with('#');
            edits.replace(*piece, if hash { "#" } else { ";" });
        }
    }

    fn write_comment(&self, document: &Document<'_>, comment: &Comment, text: &str, edits: &mut Edits) {
        let pieces = pieces_of(document, comment);
        let mark = mark_of(document.slice(pieces[0]));
        let mut lines = text.split('\n').map(str::trim_end);
        let first = lines.next().unwrap_or_default();
        if let ([above, beside], false) = (&pieces[..], text.contains('\n'))
            && let Some(mark) = document.slice(*beside).strip_suffix(MOVED).filter(|_| beside_section(document, *beside))
        {
            // It had stood beside a section's name.
            edits.replace(line_with_break(document, *above), "");
            edits.write(*beside, |out| out.extend([mark, first]));
            return;
        }
        edits.write(pieces[0], |out| {
            out.extend([mark, first]);
            // More lines than places: another writer had put them into one token.
            for line in lines.clone().skip(pieces.len() - 1) {
                let marked = line.starts_with([';', '#']);
                out.extend([document.newline(), if marked { "" } else { "; " }, line]);
            }
        });
        for (piece, line) in pieces[1..].iter().zip(lines) {
            edits.replace(*piece, line);
        }
    }
}

/// What a value stands in; kept in the node's `aux`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Quote {
    /// Nothing.
    None,
    /// `'`
    Single,
    /// `"`
    Double,
    /// A backtick.
    Back,
    /// `"""`
    Triple,
    /// Lines that end in a backslash.
    Continued,
}

impl Quote {
    const ALL: [Quote; 6] = [Quote::None, Quote::Single, Quote::Double, Quote::Back, Quote::Triple, Quote::Continued];

    fn of(document: &Document<'_>, id: NodeId) -> Quote {
        Quote::ALL.get(document.node(id).aux as usize).copied().unwrap_or(Quote::None)
    }

    fn mark(self) -> &'static str {
        match self {
            Quote::None | Quote::Continued => "",
            Quote::Single => "'",
            Quote::Double => "\"",
            Quote::Back => "`",
            Quote::Triple => "\"\"\"",
        }
    }
}

/// The places of a comment, at least one.
fn pieces_of(document: &Document<'_>, comment: &Comment) -> Vec<Span> {
    document.pieces.get(&comment.span.start).cloned().unwrap_or_else(|| vec![comment.span])
}

/// What marks a comment: SOPS takes all of it off (`;; x` is the comment `x`).
fn mark_of(piece: &str) -> &str {
    let rest = match piece.bytes().next() {
        Some(b';') => piece.trim_start_matches([';', ' ']),
        Some(b'#') => piece.trim_start_matches(['#', ' ']),
        _ => piece,
    };
    &piece[..piece.len() - rest.len()]
}

/// Whether a comment stands in the line of a section's name.
fn beside_section(document: &Document<'_>, piece: Span) -> bool {
    let start = piece.start as usize;
    document.source[document.line_start(start)..start].trim_start().starts_with('[')
}

fn fields(document: &Document<'_>, section: NodeId) -> Vec<(NodeId, NodeId)> {
    document.entries(section).filter(|(_, value)| document.node(*value).role == super::Role::Value).collect()
}

/// The lines of a section from its header to its last key.
fn lines_of(document: &Document<'_>, key: NodeId, section: NodeId) -> Span {
    let last = document.node(document.node(section).end - 1).span.end.max(document.node(key).span.end);
    line_with_break(document, Span { start: document.node(key).span.start, end: last })
}

fn line_with_break(document: &Document<'_>, span: Span) -> Span {
    let start = document.line_start(span.start as usize);
    let end = document.source[span.end as usize..].find('\n').map_or(document.source.len(), |newline| span.end as usize + newline + 1);
    Span::new(start, end)
}

/// Where the empty line before `at` starts, if there is one.
fn blank_line_before(source: &str, at: usize) -> usize {
    let before = &source[..at];
    let Some(above) = before.strip_suffix("\r\n").or_else(|| before.strip_suffix('\n')) else { return at };
    if above.is_empty() || above.ends_with('\n') { above.len() } else { at }
}

/// SOPS writes line breaks of metadata as `\n`.
fn unescaped(text: &str) -> String {
    text.replace("\\n", "\n")
}

fn wanted(metadata: &Value) -> Vec<(String, String)> {
    let flat = metadata.get(BLOCK).map(flat::flatten).unwrap_or_default();
    flat.into_iter().map(|(key, text)| (key, text.replace('\n', "\\n"))).collect()
}

fn write_block(metadata: &Value, newline: &str, out: &mut String) {
    out.extend(["[", BLOCK, "]", newline]);
    let fields = wanted(metadata);
    print::keys(&mut fields.iter().map(|(key, text)| (key.as_str(), text.as_str(), None)), newline, out);
}

#[cfg(test)]
mod tests;
