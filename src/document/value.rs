//! A tree of plain values without text: the `sops` block, and what is printed when the format changes.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::resolve::{self, Scalar, Type};
use super::{Document, Kind, NONE, NodeId, Role};
use crate::error::Result;

/// A value; mappings keep their order. No `Debug`: values may be secret.
#[derive(Clone, PartialEq, Zeroize, ZeroizeOnDrop)]
pub enum Value {
    /// A typed scalar in its canonical bytes.
    Scalar(#[zeroize(skip)] Type, Vec<u8>),
    /// A mapping.
    Map(Vec<(String, Value)>),
    /// A list.
    List(Vec<Value>),
}

/// Whether all of `items` are so; stops at the first that isn't.
fn all<T>(items: &[T], mut is_so: impl FnMut(&T) -> Result<bool>) -> Result<bool> {
    for item in items {
        if !is_so(item)? {
            return Ok(false);
        }
    }
    Ok(true)
}

impl Value {
    /// A string.
    pub fn string(text: impl Into<String>) -> Value {
        Value::Scalar(Type::Str, text.into().into_bytes())
    }

    /// An integer.
    pub fn int(number: i64) -> Value {
        Value::Scalar(Type::Int, number.to_string().into_bytes())
    }

    /// A boolean.
    pub fn bool(value: bool) -> Value {
        Value::Scalar(Type::Bool, if value { b"True".to_vec() } else { b"False".to_vec() })
    }

    /// The scalar view of a scalar.
    pub fn as_scalar(&self) -> Option<Scalar<'_>> {
        match self {
            Value::Scalar(kind, bytes) => Some(Scalar { kind: *kind, bytes: Cow::Borrowed(bytes) }),
            _ => None,
        }
    }

    /// The text of a string, or of any scalar but null (sops reads its metadata with weak types).
    pub fn text(&self) -> Option<Cow<'_, str>> {
        match self {
            Value::Scalar(Type::Null, _) => None,
            Value::Scalar(Type::Bool, bytes) => Some(if bytes == b"True" { "true".into() } else { "false".into() }),
            Value::Scalar(_, bytes) => Some(String::from_utf8_lossy(bytes)),
            _ => None,
        }
    }

    /// A scalar as `--extract` shows it: strings as they are, anything else as YAML writes it.
    pub fn shown(&self) -> String {
        match self {
            Value::Scalar(Type::Str, bytes) => String::from_utf8_lossy(bytes).into_owned(),
            other => other.as_scalar().map(|scalar| resolve::yaml_text(&scalar).into_owned()).unwrap_or_default(),
        }
    }

    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Scalar(Type::Null, _))
    }

    /// Whether it is a comment among values.
    pub fn is_comment(&self) -> bool {
        matches!(self, Value::Scalar(Type::Comment, _))
    }

    /// The entries of a mapping; none for anything else.
    pub fn entries(&self) -> &[(String, Value)] {
        match self {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list; none for anything else.
    pub fn items(&self) -> &[Value] {
        match self {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The value of `key` in a mapping; comments have none.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.entries().iter().find(|(name, value)| name == key && !value.is_comment()).map(|(_, value)| value)
    }

    /// The subtree of `document` at `id`, aliases expanded.
    ///
    /// # Errors
    /// A scalar that doesn't resolve.
    pub fn of(document: &Document<'_>, id: NodeId) -> Result<Value> {
        let node = document.node(id);
        match node.kind {
            Kind::Alias => Value::of(document, node.target()),
            Kind::Scalar => {
                let scalar = document.scalar(id)?;
                Ok(Value::Scalar(scalar.kind, scalar.bytes.into_owned()))
            }
            Kind::Sequence => document.children(id).map(|item| Value::of(document, item)).collect::<Result<_>>().map(Value::List),
            Kind::Mapping => {
                let data = document.entries(id).filter(|(_, value)| document.node(*value).role != Role::Shadow);
                let entries = data.map(|(key, value)| Ok((document.key_text(key).to_owned(), Value::of(document, value)?)));
                entries.collect::<Result<_>>().map(Value::Map)
            }
        }
    }

    /// Whether the subtree of `document` at `id` is this one, as [`Value::of`] has it, without a copy of it.
    ///
    /// # Errors
    /// A scalar that doesn't resolve.
    pub fn is_at(&self, document: &Document<'_>, id: NodeId) -> Result<bool> {
        let node = document.node(id);
        match (node.kind, self) {
            (Kind::Alias, _) => self.is_at(document, node.target()),
            (Kind::Scalar, Value::Scalar(kind, bytes)) => {
                document.scalar(id).map(|scalar| scalar.kind == *kind && scalar.bytes.as_ref() == bytes.as_slice())
            }
            (Kind::Sequence, Value::List(items)) => {
                let mut left = document.children(id);
                let same = |item: &Value| left.next().map_or(Ok(false), |id| item.is_at(document, id));
                Ok(all(items, same)? && left.next().is_none())
            }
            (Kind::Mapping, Value::Map(entries)) => {
                let mut left = document.entries(id).filter(|(_, value)| document.node(*value).role != Role::Shadow);
                let same = |(name, value): &(String, Value)| match left.next() {
                    Some((key, id)) if document.key_text(key) == name => value.is_at(document, id),
                    _ => Ok(false),
                };
                Ok(all(entries, same)? && left.next().is_none())
            }
            _ => Ok(false),
        }
    }

    /// The same with the comments of mappings, as SOPS has them in its trees: an entry of type comment, without a key,
    /// before the entry that it stands above or beside.
    ///
    /// # Errors
    /// A scalar that doesn't resolve.
    pub fn with_comments(document: &Document<'_>, id: NodeId) -> Result<Value> {
        let comment = |at: usize| Value::Scalar(Type::Comment, document.comment_text(&document.comments[at]).into_owned().into_bytes());
        Value::of_parts(document, id, &|id| Value::of(document, id), &comment)
    }

    /// The subtree of `document` at `id` with the values and comments that these functions give: of scalars, and of comments
    /// by their index.
    ///
    /// # Errors
    /// Those of `scalar`.
    pub fn of_parts(
        document: &Document<'_>,
        id: NodeId,
        scalar: &dyn Fn(NodeId) -> Result<Value>,
        comment: &dyn Fn(usize) -> Value,
    ) -> Result<Value> {
        let mut commented = Commented { document, scalar, comment, at: HashMap::new() };
        for (at, comment) in document.comments.iter().enumerate() {
            let place = match (comment.element, comment.container) {
                (NONE, NONE) => document.parts.get(comment.document as usize).map_or(NONE, |part| part.root),
                (NONE, container) => container,
                (element, _) => element,
            };
            commented.at.entry(place).or_default().push(at);
        }
        commented.value(id)
    }
}

/// A document with its comments by the key before which, or the collection at whose end they stand.
struct Commented<'d, 's> {
    document: &'d Document<'s>,
    scalar: &'d dyn Fn(NodeId) -> Result<Value>,
    comment: &'d dyn Fn(usize) -> Value,
    at: HashMap<NodeId, Vec<usize>>,
}

impl Commented<'_, '_> {
    fn value(&self, id: NodeId) -> Result<Value> {
        let (document, node) = (self.document, self.document.node(id));
        match node.kind {
            Kind::Alias => self.value(node.target()),
            Kind::Scalar => (self.scalar)(id),
            Kind::Sequence => document.children(id).map(|item| self.value(item)).collect::<Result<_>>().map(Value::List),
            Kind::Mapping => {
                let mut entries = Vec::new();
                for (key, value) in document.entries(id).filter(|(_, value)| document.node(*value).role != Role::Shadow) {
                    entries.extend(self.comments(key));
                    entries.push((document.key_text(key).to_owned(), self.value(value)?));
                }
                entries.extend(self.comments(id));
                Ok(Value::Map(entries))
            }
        }
    }

    fn comments(&self, place: NodeId) -> impl Iterator<Item = (String, Value)> + '_ {
        self.at.get(&place).into_iter().flatten().map(|at| (String::new(), (self.comment)(*at)))
    }
}

/// How JSON is laid out.
#[derive(Clone, Copy)]
pub enum Layout<'i> {
    /// All on one line, a blank after `:` and `,`.
    OneLine,
    /// An entry a line: the indentation of one level, the depth to start at, the line break.
    Lines(&'i str, usize, &'i str),
}

impl Layout<'_> {
    fn deeper(self) -> Self {
        match self {
            Layout::OneLine => Layout::OneLine,
            Layout::Lines(step, depth, newline) => Layout::Lines(step, depth + 1, newline),
        }
    }

    fn line(self, out: &mut String) {
        if let Layout::Lines(step, depth, newline) = self {
            out.push_str(newline);
            (0..depth).for_each(|_| out.push_str(step));
        }
    }

    fn comma(self, out: &mut String) {
        out.push_str(if matches!(self, Layout::OneLine) { ", " } else { "," });
    }
}

/// Writes `value` as JSON.
pub fn json(value: &Value, layout: Layout<'_>, out: &mut String) {
    match value {
        Value::Scalar(kind, bytes) => json_scalar(*kind, bytes, out),
        Value::Map(entries) if entries.is_empty() => out.push_str("{}"),
        Value::List(items) if items.is_empty() => out.push_str("[]"),
        Value::Map(entries) => {
            out.push('{');
            for (at, (key, value)) in entries.iter().enumerate() {
                separate(at, layout, out);
                json_string(key, out);
                out.push_str(": ");
                json(value, layout.deeper(), out);
            }
            layout.line(out);
            out.push('}');
        }
        Value::List(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                separate(at, layout, out);
                json(item, layout.deeper(), out);
            }
            layout.line(out);
            out.push(']');
        }
    }
}

fn separate(at: usize, layout: Layout<'_>, out: &mut String) {
    if at > 0 {
        layout.comma(out);
    }
    layout.deeper().line(out);
}

fn json_scalar(kind: Type, bytes: &[u8], out: &mut String) {
    let scalar = Scalar { kind, bytes: Cow::Borrowed(bytes) };
    match kind {
        Type::Str | Type::Time | Type::Comment => match std::str::from_utf8(bytes) {
            Ok(text) => json_string(text, out),
            Err(_) => json_bytes(bytes, out),
        },
        _ => out.push_str(&resolve::json_text(&scalar)),
    }
}

/// Writes bytes that aren't UTF-8 as Go's encoder does: an escape in place of each wrong byte.
pub(super) fn json_bytes(bytes: &[u8], out: &mut String) {
    out.push('"');
    for chunk in bytes.utf8_chunks() {
        chunk.valid().chars().for_each(|c| json_char(c, out));
        out.extend(std::iter::repeat_n("\\ufffd", chunk.invalid().len()));
    }
    out.push('"');
}

/// Writes a JSON string as Go's encoder does: HTML characters and the two Unicode line breaks as escapes.
pub fn json_string(text: &str, out: &mut String) {
    out.push('"');
    text.chars().for_each(|c| json_char(c, out));
    out.push('"');
}

fn json_char(c: char, out: &mut String) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
            let _ = write!(out, "\\u{:04x}", c as u32);
        }
        c => out.push(c),
    }
}
