//! Secrets with their `data` as text: what people read and edit, and the way back to base64.
//!
//! A value that wasn't changed keeps its exact base64, line breaks and quotes included, because every other spelling
//! would show up as a change of a secret that nobody made.

use base64_simd::STANDARD;
use zeroize::Zeroizing;

use super::{Object, object};
use crate::document::change::place::{put_text, scalar_text};
use crate::document::edit::Edits;
use crate::document::render::Style;
use crate::document::resolve::{Scalar, Type};
use crate::document::{Document, Format, Kind, NONE, NodeId, Span};
use crate::error::Result;

/// The tag of YAML for bytes.
const BINARY: &str = "tag:yaml.org,2002:binary";

/// Whether `object` is a Secret of the core group.
pub fn is_secret(object: &Object<'_>) -> bool {
    object.kind == "Secret" && object.api_version == "v1"
}

/// Whether the first document of a file is a Secret.
pub fn opens_with_secret(document: &Document<'_>) -> bool {
    let root = document.parts.first().map_or(NONE, |part| part.root);
    root != NONE && object(document, root).is_some_and(|object| is_secret(&object))
}

/// The bytes of a base64 text as Kubernetes reads it: standard alphabet, padded, line breaks ignored.
pub fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let digits: Zeroizing<Vec<u8>> = Zeroizing::new(text.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect());
    STANDARD.decode_to_vec(digits.as_slice()).ok().map(Zeroizing::new)
}

/// The base64 of Kubernetes.
pub fn encode(bytes: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(STANDARD.encode_to_string(bytes))
}

/// The text that bytes are, if they can be shown as text: UTF-8 without control characters but tab and line breaks.
pub fn as_text(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let control = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r');
    (!text.contains(control)).then_some(text)
}

/// Whether `text` looks as if it were base64 already: encoding it again is a common mistake.
pub fn looks_encoded(text: &str) -> bool {
    let text = text.trim_end_matches('\n');
    let of_text = || decode(text).is_some_and(|bytes| as_text(&bytes).is_some());
    let padded = text.len() >= 8 && text.ends_with('=') && decode(text).is_some();
    padded || text.len() >= 12 && of_text()
}

/// The plain text of a file with the `data` of each Secret decoded: text as text (a block where it has several lines),
/// other bytes as `!!binary` with the base64 as it stands (in JSON: just so). What isn't base64 stays.
///
/// # Errors
/// Text that can't be read.
pub fn shown(plain: &str, format: &'static dyn Format) -> Result<Zeroizing<String>> {
    let document = format.parse_opened(plain)?;
    let mut edits = Edits::default();
    for value in values(&document) {
        show(&document, value.id, &mut edits);
    }
    Ok(edits.apply(plain))
}

fn show(document: &Document<'_>, id: NodeId, edits: &mut Edits) {
    let node = document.node(id);
    let Some(bytes) = stored(document, id).filter(|bytes| !bytes.is_empty()) else { return };
    match as_text(&bytes) {
        Some(text) => put_text(document, id, &scalar_text(document, id, Style::Plain, &Scalar::text(text)), edits),
        None if document.is_json() => {}
        None => edits.replace(Span { start: node.span.start, end: node.span.start }, "!!binary "),
    }
}

/// The bytes that a value of `data` stands for; [`None`] for what isn't a string in base64, or has a tag.
fn stored(document: &Document<'_>, id: NodeId) -> Option<Zeroizing<Vec<u8>>> {
    let string = document.node(id).kind == Kind::Scalar && document.scalar(id).is_ok_and(|scalar| scalar.kind == Type::Str);
    let bare = document.props(id).tag.is_none();
    if string && bare { decode(document.text(id)) } else { None }
}

/// The way back of [`shown`]: `edited` with the `data` of each Secret in base64. A value that says what `original` has
/// at this place comes back in the bytes that stand there.
///
/// # Errors
/// An edited text that can't be read, with the position.
pub fn taken_back(original: &str, edited: &str, format: &'static dyn Format) -> Result<Zeroizing<String>> {
    let (before, after) = (format.parse_plain(original)?, format.parse_plain(edited)?);
    let known = values(&before);
    let mut edits = Edits::default();
    for value in values(&after) {
        let old = counterpart(&known, &value).map(|old| old.id);
        take_back(&before, old, &after, value.id, &mut edits);
    }
    Ok(edits.apply(edited))
}

fn take_back(before: &Document<'_>, old: Option<NodeId>, after: &Document<'_>, new: NodeId, edits: &mut Edits) {
    let tag = after.props(new).tag.as_deref();
    if after.node(new).kind != Kind::Scalar || tag.is_some_and(|tag| !tag.starts_with("tag:yaml.org,2002:")) {
        return;
    }
    // What stood there in clear and still does: a placeholder, a number, null, an empty value.
    if old.is_some_and(|old| is_same_text(before, old, after, new)) {
        return;
    }
    let Ok(scalar) = after.scalar(new) else { return };
    if scalar.kind == Type::Null {
        return;
    }
    let bytes = if tag == Some(BINARY) { Zeroizing::new(scalar.bytes.into_owned()) } else { typed_in(after, new) };
    if bytes.is_empty() && tag.is_none() {
        return;
    }
    let unchanged = old.filter(|old| stored(before, *old).is_some_and(|stored| *stored == *bytes));
    drop_tag(after, new, edits);
    match unchanged {
        Some(old) => put_text(after, new, &written(before, old), edits),
        None => put_text(after, new, &scalar_text(after, new, Style::Plain, &Scalar::text(&encode(&bytes))), edits),
    }
}

/// The bytes of a scalar, without the comment beside a block's header.
fn written(document: &Document<'_>, id: NodeId) -> Zeroizing<String> {
    let span = document.node(id).span;
    if !document.node(id).is_block_scalar() {
        return Zeroizing::new(document.slice(span).to_owned());
    }
    let header = document.header(id);
    let body = document.line_end(span.start as usize).min(span.end as usize);
    Zeroizing::new(format!("{header}{}", &document.source[body..span.end as usize]))
}

/// The bytes that a person means by what was typed: `1.50` and `true` are these characters. In JSON, base64 of what
/// is no text stays base64, since there is no other form for it.
fn typed_in(document: &Document<'_>, id: NodeId) -> Zeroizing<Vec<u8>> {
    let text = document.text(id);
    let binary = document.is_json().then(|| decode(text)).flatten().filter(|bytes| as_text(bytes).is_none());
    binary.unwrap_or_else(|| Zeroizing::new(text.as_bytes().to_vec()))
}

/// Whether a value that [`shown`] leaves alone stands there as it was.
fn is_same_text(before: &Document<'_>, old: NodeId, after: &Document<'_>, new: NodeId) -> bool {
    let left_alone = stored(before, old).is_none_or(|bytes| bytes.is_empty());
    let same_tag = before.props(old).tag == after.props(new).tag;
    left_alone && same_tag && before.node(old).style == after.node(new).style && before.text(old) == after.text(new)
}

fn drop_tag(document: &Document<'_>, id: NodeId, edits: &mut Edits) {
    if let Some(tag) = document.props(id).tag_span {
        let end = tag.end as usize;
        let blanks = document.source[end..].len() - document.source[end..].trim_start_matches(' ').len();
        edits.replace(Span::new(tag.start as usize, end + blanks), "");
    }
}

/// A value of a Secret's `data`.
struct Value<'d> {
    document: u32,
    namespace: Option<&'d str>,
    name: Option<&'d str>,
    key: &'d str,
    id: NodeId,
}

fn values<'d>(document: &'d Document<'_>) -> Vec<Value<'d>> {
    let mut found = Vec::new();
    for (at, part) in document.parts.iter().enumerate() {
        let Some(secret) = object(document, part.root).filter(is_secret) else { continue };
        let Some(data) = document.get(part.root, "data").filter(|data| document.node(*data).kind == Kind::Mapping) else { continue };
        found.extend(document.entries(data).map(|(key, id)| Value {
            document: at as u32,
            namespace: secret.namespace,
            name: secret.name,
            key: document.key_text(key),
            id,
        }));
    }
    found
}

/// The value of the same object and key: in the same document, else (documents were moved) wherever it stood.
fn counterpart<'v, 'd>(known: &'v [Value<'d>], value: &Value<'_>) -> Option<&'v Value<'d>> {
    let same = |old: &&Value<'_>| old.key == value.key && old.name == value.name && old.namespace == value.namespace;
    let here = |old: &&Value<'_>| old.key == value.key && old.document == value.document;
    known.iter().find(|old| same(old) && here(old)).or_else(|| known.iter().find(same)).or_else(|| known.iter().find(here))
}

#[cfg(test)]
mod tests;
