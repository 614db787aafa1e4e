//! Changes of single keys: in the style of the key above, at the end of its section.

use super::super::change::Place;
use super::super::edit::Edits;
use super::super::resolve::Scalar;
use super::super::value::Value;
use super::super::{Document, Kind, NodeId, Role, Span, flat};
use super::{Error, ErrorKind, Flat, Ini, Result, fields, line_with_break, lines_of, print};

/// The value as text; of a new section its keys.
///
/// # Errors
/// `Emit` (4) for a list, and for a map within a section.
pub(super) fn held(value: Value) -> Result<Value> {
    let text = |value: &Value| match value.as_scalar() {
        Some(scalar) => flat::held(&scalar, "INI"),
        None => Err(nowhere()),
    };
    match &value {
        Value::Map(entries) => entries.iter().map(|(key, value)| Ok((key.clone(), text(value)?))).collect::<Result<_>>().map(Value::Map),
        other => text(other),
    }
}

/// See [`super::super::Format::put`].
///
/// # Errors
/// `Emit` (4) for a value outside a section, and for what a section has no form for.
pub(super) fn put(document: &Document<'_>, place: Place<'_>, value: &Value, edits: &mut Edits) -> Result<()> {
    match (place, value) {
        (Place::Node(id), Value::Scalar(..)) if document.node(id).kind == Kind::Scalar => {
            let scalar = value.as_scalar().unwrap_or_else(Scalar::null);
            edits.write(document.node(id).span, |out| Ini.render(document, id, &scalar, out));
        }
        (Place::Entry(section, key), Value::Scalar(..)) if document.node(section).role != Role::Root => {
            add_key(document, section, key, value, edits);
        }
        (Place::Entry(root, name), Value::Map(entries)) if document.node(root).role == Role::Root => {
            add_section(document, name, entries, edits);
        }
        _ => return Err(nowhere()),
    }
    Ok(())
}

fn add_key(document: &Document<'_>, section: NodeId, key: &str, value: &Value, edits: &mut Edits) {
    let newline = document.newline();
    let text = print::value(&value.text().unwrap_or_default());
    let header = section - 1;
    let Some((last, last_value)) = fields(document, section).last().copied() else {
        let named = document.node(header).span.end > document.node(header).span.start;
        let at = if named {
            line_with_break(document, document.node(header).span).end as usize
        } else {
            document.node(header).span.end as usize
        };
        let open = at > 0 && !document.source[..at].ends_with('\n') && named;
        edits.write(Span::new(at, at), |out| {
            out.extend([if open { newline } else { "" }, key, " = ", &text, if open { "" } else { newline }])
        });
        return;
    };
    let lines = lines_of(document, header, section);
    let line = &document.source[document.line_start(document.node(last).span.start as usize)..];
    let indent = &line[..line.len() - line.trim_start_matches([' ', '\t']).len()];
    let between = document.slice(Span { start: document.node(last).span.end, end: document.node(last_value).span.start });
    let mark = if between.contains(':') && !between.contains('=') { ":" } else { "=" };
    let left = if between.starts_with(mark) { "" } else { " " };
    let right = if between.ends_with(mark) { "" } else { " " };
    let at = lines.end as usize;
    let open = !document.source[..at].ends_with('\n');
    edits.write(Span::new(at, at), |out| {
        out.extend([if open { newline } else { "" }, indent, key, left, mark, right, &text, if open { "" } else { newline }]);
    });
}

fn add_section(document: &Document<'_>, name: &str, entries: &[(String, Value)], edits: &mut Edits) {
    let newline = document.newline();
    let mut text = String::new();
    if !document.source.is_empty() {
        text.push_str(newline);
    }
    text.extend(["[", name, "]", newline]);
    let entries: Vec<(&str, String)> =
        entries.iter().map(|(key, value)| (key.as_str(), value.text().unwrap_or_default().into_owned())).collect();
    print::keys(&mut entries.iter().map(|(key, text)| (*key, text.as_str(), None)), newline, &mut text);
    flat::append(document, newline, &[text.trim_end_matches(['\r', '\n'])], edits);
}

/// See [`super::super::Format::take_out`].
pub(super) fn take_out(document: &Document<'_>, id: NodeId, edits: &mut Edits) -> Result<()> {
    let (key, node) = (document.node(id - 1).span, document.node(id));
    let lines = match node.kind {
        Kind::Mapping => lines_of(document, id - 1, id),
        _ => line_with_break(document, Span { start: key.start, end: node.span.end }),
    };
    edits.replace(lines, "");
    Ok(())
}

fn nowhere() -> Error {
    let error = Error::new(ErrorKind::Emit, "INI holds plain values in sections only");
    error.hint("expected an index of a section and a key, such as [\"section\"][\"key\"]")
}
