//! Changes inside brackets: JSON, and flow style in YAML. Entries stay on one line or a line each, as they are.

use super::super::edit::Edits;
use super::super::render::Style;
use super::super::resolve::{self, Type};
use super::super::value::Value;
use super::super::{Document, Kind, NONE, NodeId, Role, Span, json};
use super::Place;
use super::detail::{end_of, quotes_of, start_of, starts_line};
use super::print::{as_float, yaml_scalar};
use crate::error::Result;

/// Puts `value` at a place in brackets.
///
/// # Errors
/// None; the signature is that of [`super::super::Format::put`].
pub(in crate::document) fn put(document: &Document<'_>, place: Place<'_>, value: &Value, edits: &mut Edits) -> Result<()> {
    match place {
        Place::Node(id) => replace(document, id, value, edits),
        Place::Entry(mapping, key) => insert(document, mapping, Some(key), value, edits),
        Place::Item(list) => insert(document, list, None, value, edits),
        Place::Top => {}
    }
    Ok(())
}

fn replace(document: &Document<'_>, id: NodeId, value: &Value, edits: &mut Edits) {
    let node = document.node(id);
    let style = if node.kind == Kind::Scalar { node.style } else { Style::Plain };
    let writer = Writer::at(document, node.parent, style);
    // Tags are of the old value; an anchor stays for those who look for it.
    let start = document.props(id).tag_span.map_or(node.span.start, |tag| tag.start.min(node.span.start));
    let anchor = document.props(id).anchor_span.filter(|anchor| anchor.start > start);
    edits.write(Span { start, end: node.span.end.max(start) }, |out| {
        if let Some(anchor) = anchor {
            out.push_str(document.slice(anchor));
            out.push(' ');
        }
        let after_colon = node.role == Role::Value && document.source[..start as usize].ends_with(':') && !document.is_json();
        out.push_str(if after_colon { " " } else { "" });
        writer.value(value, out);
    });
}

fn insert(document: &Document<'_>, collection: NodeId, key: Option<&str>, value: &Value, edits: &mut Edits) {
    let role = if key.is_some() { Role::Value } else { Role::Item };
    let writer = Writer::at(document, collection, quotes_of(document, collection, role));
    let mut entry = zeroize::Zeroizing::new(String::new());
    if let Some(key) = key {
        writer.key(key, &mut entry);
    }
    writer.value(value, &mut entry);
    let Some(last) = document.children(collection).last() else {
        let span = document.node(collection).span;
        let lines = writer.lines.as_ref();
        return edits.write(Span { start: span.start + 1, end: span.end - 1 }, |out| {
            out.push_str(lines.map_or("", |lines| &lines.lead));
            out.push_str(&entry);
            out.push_str(lines.map_or("", |lines| lines.outside()));
        });
    };
    append(document, collection, last, &writer, &entry, edits);
}

/// Puts an entry behind the last one: behind its comma and its comment, if it has them.
fn append(document: &Document<'_>, collection: NodeId, last: NodeId, writer: &Writer<'_>, entry: &str, edits: &mut Edits) {
    let after = Behind::of(document, end_of(document, last));
    let separator = writer.lines.as_ref().map_or(writer.blank(document, collection), |lines| lines.lead.as_str());
    if let (Some(comment_end), Some(_)) = (after.comment_end, &writer.lines) {
        if after.comma.is_none() {
            edits.replace(Span::new(after.end, after.end), ",");
        }
        let closing = if after.comma.is_some() { "," } else { "" };
        return edits.write(Span::new(comment_end, comment_end), |out| out.extend([separator, entry, closing]));
    }
    match after.comma {
        Some(comma) => edits.write(Span::new(comma + 1, comma + 1), |out| out.extend([separator, entry, ","])),
        None => edits.write(Span::new(after.end, after.end), |out| out.extend([",", separator, entry])),
    }
}

/// What follows an entry on its line.
struct Behind {
    end: usize,
    comma: Option<usize>,
    comment_end: Option<usize>,
}

impl Behind {
    fn of(document: &Document<'_>, end: usize) -> Behind {
        let bytes = document.source.as_bytes();
        let skip = |from: usize, line_breaks: bool| {
            let blank = |byte: &&u8| matches!(byte, b' ' | b'\t') || line_breaks && byte.is_ascii_whitespace();
            from + bytes[from..].iter().take_while(blank).count()
        };
        let comma = Some(skip(end, true)).filter(|at| bytes.get(*at) == Some(&b','));
        let next = skip(comma.map_or(end, |comma| comma + 1), false);
        let comment = bytes.get(next) == Some(&b'#') && !document.is_json();
        Behind { end, comma, comment_end: comment.then(|| document.line_end(next)) }
    }
}

/// Takes an entry or item out of brackets, with one comma.
///
/// # Errors
/// None; the signature is that of [`super::super::Format::take_out`].
pub(in crate::document) fn take_out(document: &Document<'_>, id: NodeId, edits: &mut Edits) -> Result<()> {
    let node = document.node(id);
    let first = if node.role == Role::Value { id - 1 } else { id };
    let (start, end) = (start_of(document, first), end_of(document, id));
    let previous = document.children(node.parent).take_while(|child| *child < first).last();
    let next = Some(node.end).filter(|next| *next < document.node(node.parent).end);
    let behind = Behind::of(document, end);
    let rest = behind.comment_end.or(behind.comma.map(|comma| comma + 1)).unwrap_or(end).max(end);
    let alone = starts_line(document, start) && document.source[rest..document.line_end(rest)].trim().is_empty();
    match (previous, next) {
        (None, None) => {
            let inside = document.node(node.parent).span;
            edits.replace(Span { start: inside.start + 1, end: inside.end - 1 }, "");
        }
        _ if alone => {
            let lines = Span::new(document.line_start(start), after_line(document, rest));
            edits.replace(lines, "");
            if let (Some(previous), None, None) = (previous, next, behind.comma) {
                let comma = Behind::of(document, end_of(document, previous)).comma;
                comma.into_iter().for_each(|comma| edits.replace(Span::new(comma, comma + 1), ""));
            }
        }
        (Some(previous), _) => edits.replace(Span::new(end_of(document, previous), end), ""),
        (None, Some(next)) => edits.replace(Span::new(start, start_of(document, next)), ""),
    }
    Ok(())
}

fn after_line(document: &Document<'_>, at: usize) -> usize {
    document.source[at..].find('\n').map_or(document.source.len(), |newline| at + newline + 1)
}

/// How entries stand on lines of their own.
struct Lines {
    /// The line break and the white space before an entry.
    lead: String,
    /// What one level adds.
    step: String,
}

impl Lines {
    /// Those of a collection's entries; of an empty one those that its parent would give it.
    fn of(document: &Document<'_>, collection: NodeId) -> Option<Lines> {
        if collection == NONE || !document.node(collection).flow {
            return None;
        }
        let first_of = |id: &NodeId| document.node(*id).role != Role::Value && starts_line(document, start_of(document, *id));
        let outside = line_indent(document, document.node(collection).span.start as usize);
        if let Some(child) = document.children(collection).filter(first_of).last() {
            let inside = line_indent(document, start_of(document, child));
            let step = inside.strip_prefix(outside).unwrap_or(inside).to_owned();
            return Some(Lines { lead: format!("{}{inside}", document.newline()), step });
        }
        if document.children(collection).next().is_some() {
            return None;
        }
        Lines::of(document, document.node(collection).parent).map(|parent| parent.deeper())
    }

    fn deeper(&self) -> Lines {
        Lines { lead: format!("{}{}", self.lead, self.step), step: self.step.clone() }
    }

    /// The line break and indentation of the closing bracket.
    fn outside(&self) -> &str {
        self.lead.strip_suffix(self.step.as_str()).unwrap_or(&self.lead)
    }
}

fn line_indent<'s>(document: &Document<'s>, at: usize) -> &'s str {
    let line = &document.source[document.line_start(at)..at];
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

/// Writes values in brackets.
struct Writer<'d> {
    json: bool,
    colon: &'d str,
    style: Style,
    /// The quotes of keys.
    keys: Style,
    lines: Option<Lines>,
}

impl<'d> Writer<'d> {
    fn at(document: &'d Document<'_>, collection: NodeId, style: Style) -> Writer<'d> {
        let json = document.is_json();
        let tight = json && collection != NONE && is_tight(document, collection);
        let keys = if collection == NONE { Style::Plain } else { quotes_of(document, collection, Role::Key) };
        Writer { json, colon: if tight { ":" } else { ": " }, style, keys, lines: Lines::of(document, collection) }
    }

    /// What stands between the comma and the next entry on the same line.
    fn blank(&self, document: &Document<'_>, collection: NodeId) -> &'static str {
        let commas = document.children(collection).filter(|child| document.node(*child).role != Role::Value).skip(1);
        match commas.last() {
            Some(last) if document.source[..start_of(document, last)].ends_with(',') => "",
            None if self.colon == ":" => "",
            _ => " ",
        }
    }

    fn key(&self, key: &str, out: &mut String) {
        self.string(key, self.keys, out);
        out.push_str(self.colon);
    }

    fn string(&self, text: &str, style: Style, out: &mut String) {
        match self.json {
            true => json::quote(text, out),
            false => yaml_scalar(style, &resolve::Scalar::text(text), true, out),
        }
    }

    fn value(&self, value: &Value, out: &mut String) {
        match value {
            Value::Map(entries) => self.collection(("{", "}"), entries.iter().map(|(key, value)| (Some(key.as_str()), value)), out),
            Value::List(items) => self.collection(("[", "]"), items.iter().map(|item| (None, item)), out),
            scalar => scalar.as_scalar().into_iter().for_each(|scalar| self.scalar(&scalar, out)),
        }
    }

    fn scalar(&self, scalar: &resolve::Scalar<'_>, out: &mut String) {
        match (self.json, scalar.kind) {
            (false, _) => yaml_scalar(self.style, scalar, true, out),
            (true, Type::Float) => out.push_str(&as_float(&resolve::json_text(scalar))),
            (true, _) => json::render(scalar, out),
        }
    }

    fn collection<'v>(&self, (open, close): (&str, &str), entries: impl Iterator<Item = (Option<&'v str>, &'v Value)>, out: &mut String) {
        let deeper = Writer { lines: self.lines.as_ref().map(Lines::deeper), ..*self };
        out.push_str(open);
        let mut any = false;
        for (key, value) in entries {
            let comma = if deeper.lines.is_some() || self.colon == ":" { "," } else { ", " };
            out.push_str(if any { comma } else { "" });
            out.push_str(deeper.lines.as_ref().map_or("", |lines| &lines.lead));
            key.into_iter().for_each(|key| self.key(key, out));
            deeper.value(value, out);
            any = true;
        }
        out.push_str(self.lines.as_ref().filter(|_| any).map_or("", |lines| &lines.lead));
        out.push_str(close);
    }
}

/// Whether the file's JSON has no blank behind its colons.
fn is_tight(document: &Document<'_>, collection: NodeId) -> bool {
    let keys = (collection..document.nodes.len() as NodeId).chain(0..collection).find(|id| document.node(*id).role == Role::Key);
    keys.is_some_and(|key| {
        document.source[document.node(key).span.end as usize..].starts_with(":") && {
            let value = document.node(key + 1).span.start;
            value == document.node(key).span.end + 1
        }
    })
}
