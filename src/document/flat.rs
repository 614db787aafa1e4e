//! What formats of `key = value` lines share: metadata without nesting, values without types, spans that hold no style.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::edit::Edits;
use super::render::Style;
use super::resolve::{Scalar, Type};
use super::value::Value;
use super::{Comment, Document, Kind, NONE, Node, NodeId, Role, Span, Text, bytes, number};
use crate::error::{Error, Kind as ErrorKind, Result};

/// How a format without YAML's styles carries values and comments.
pub trait Flat: Sync {
    /// What stands before and behind the token in the place of the scalar `id`.
    fn around_token(&self, _document: &Document<'_>, _id: NodeId) -> (&'static str, String) {
        ("", String::new())
    }
    /// Writes what stands for `value` where the scalar `id` carries its token; in another form where that one can't hold it.
    fn render(&self, document: &Document<'_>, id: NodeId, value: &Scalar<'_>, out: &mut String);
    /// Whether `text`, standing where the scalar `id` stands, reads as `value` and as nothing else.
    fn says(&self, document: &Document<'_>, id: NodeId, text: &str, value: &Scalar<'_>) -> bool;
    /// The line break of what is added.
    fn newline(&self, _document: &Document<'_>) -> &'static str {
        "\n"
    }
    /// The text of a comment, without what marks it.
    fn comment_text<'d>(&self, document: &'d Document<'_>, comment: &Comment) -> Cow<'d, str> {
        Cow::Borrowed(&document.slice(comment.span)[1..])
    }
    /// Writes the token of a comment in its place.
    fn write_comment_token(&self, _document: &Document<'_>, comment: &Comment, token: &str, edits: &mut Edits) {
        edits.write(comment.span, |out| out.extend(["#", token]));
    }
    /// Writes the text of a comment in place of its token.
    fn write_comment(&self, document: &Document<'_>, comment: &Comment, text: &str, edits: &mut Edits) {
        self.write_comment_token(document, comment, &text.replace('\n', " "), edits);
    }
}

impl<'s> Document<'s> {
    /// Appends a node; its end is set for scalars only.
    pub(super) fn push_flat(&mut self, kind: Kind, role: Role, parent: NodeId, span: Span, text: Text) -> NodeId {
        let id = self.nodes.len() as NodeId;
        self.push(Node { kind, style: Style::Plain, flow: false, role, document: 0, parent, end: id + 1, span, aux: 0, text, props: 0 })
    }

    /// Ends a mapping with the last node.
    pub(super) fn close_flat(&mut self, id: NodeId) {
        let end = self.nodes.len() as NodeId;
        if let Some(node) = self.nodes.get_mut(id as usize) {
            node.end = end;
        }
    }

    /// A piece of the source as the text of a node.
    pub(super) fn piece(span: Span) -> Text {
        Text { start: span.start, len: span.end - span.start, owned: false }
    }
}

/// A comment on lines of its own or beside something, in the mapping `container` before `element`.
pub(super) fn comment(span: Span, container: NodeId, element: NodeId, inline: bool) -> Comment {
    Comment { span, document: 0, container, element, inline, certain: true }
}

/// An error about the text at `offset`.
pub(super) fn unreadable(source: &str, offset: usize, message: &str) -> Error {
    Error::new(ErrorKind::Unreadable, message).at(source, offset)
}

/// The end of a text without line break: one is put before what is added.
pub(super) fn open_end(source: &str) -> bool {
    !source.is_empty() && !source.ends_with('\n')
}

/// A new line at the end of a file, which stays without a line break there if it had none.
pub(super) fn append(document: &Document<'_>, newline: &str, parts: &[&str], edits: &mut Edits) {
    let end = document.source.len();
    let open = open_end(document.source);
    edits.write(Span::new(end, end), |out| {
        out.push_str(if open { newline } else { "" });
        out.extend(parts.iter().copied());
        out.push_str(if open { "" } else { newline });
    });
}

/// A scalar as SOPS prints it where all is text; bytes that are none as [`bytes::marked`] has them.
pub fn printed(value: &Scalar<'_>) -> String {
    let text = match std::str::from_utf8(&value.bytes) {
        Ok(text) if !bytes::is_marked(text) => Cow::Borrowed(text),
        _ => Cow::Owned(bytes::marked(&value.bytes).to_string()),
    };
    match value.kind {
        Type::Null => "<nil>".to_owned(),
        Type::Bool => if text == "True" { "true" } else { "false" }.to_owned(),
        Type::Float => number::float(&text).map_or(text.into_owned(), printed_float),
        Type::Time => whole_seconds(&text),
        Type::Str | Type::Int | Type::Comment => text.into_owned(),
    }
}

/// A single value as a file of text holds it. Genuine sops writes a null as `<nil>`, in clear, and can't decrypt the file then.
///
/// # Errors
/// `Emit` (4) for a null.
pub(super) fn held(value: &Scalar<'_>, format: &str) -> Result<Value> {
    if value.kind == Type::Null {
        let error = Error::new(ErrorKind::Emit, format!("a null has no form in {format}, expected a single value"));
        return Err(error.hint("an empty string is \"\", and unset takes the entry out"));
    }
    Ok(Value::string(printed(value)))
}

/// Go's `%G`, with a digit behind the point where it would look like an integer.
fn printed_float(value: f64) -> String {
    match value {
        _ if value.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        _ => {
            let text = number::float_yaml(value).to_uppercase();
            if text.contains(['.', 'E']) { text } else { format!("{text}.0") }
        }
    }
}

/// An RFC 3339 time without its fraction.
fn whole_seconds(text: &str) -> String {
    let Some((whole, fraction)) = text.split_once('.') else { return text.to_owned() };
    format!("{whole}{}", fraction.trim_start_matches(|c: char| c.is_ascii_digit()))
}

const MAP: &str = "__map_";
const LIST: &str = "__list_";

/// The fields of a `sops` block as keys without nesting (`age__list_0__map_enc`), in order. Empty lists vanish.
pub(super) fn flatten(block: &Value) -> Vec<(String, String)> {
    let mut flat = Vec::new();
    for (key, value) in block.entries() {
        descend(key.clone(), value, &mut flat);
    }
    flat
}

fn descend(key: String, value: &Value, flat: &mut Vec<(String, String)>) {
    match value {
        Value::Map(entries) => entries.iter().for_each(|(name, value)| descend(format!("{key}{MAP}{name}"), value, flat)),
        Value::List(items) => items.iter().enumerate().for_each(|(at, item)| descend(format!("{key}{LIST}{at}"), item, flat)),
        Value::Scalar(..) => flat.push((key, value.as_scalar().map_or_else(String::new, |scalar| printed(&scalar)))),
    }
}

/// The `sops` block whose flat keys these are.
///
/// # Errors
/// `Generic` (1), as in SOPS: a list with gaps, a key that is a value and a collection, a key twice.
pub(super) fn unflatten<'k>(flat: impl Iterator<Item = (&'k str, String)>) -> Result<Value> {
    let mut root = Place::default();
    for (key, value) in flat {
        let mut at = &mut root;
        for step in steps(key) {
            at = at.below.entry(step).or_default();
        }
        if at.value.replace(value).is_some() {
            return Err(broken(key, "stands there twice"));
        }
    }
    root.into_value("")
}

#[derive(Default)]
struct Place {
    value: Option<String>,
    below: BTreeMap<Step, Place>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Index(usize),
    Key(String),
}

/// `a__list_0__map_b` is a, 0, b.
fn steps(key: &str) -> Vec<Step> {
    let (mut steps, mut rest, mut list) = (Vec::new(), key, false);
    loop {
        let next = [rest.find(MAP), rest.find(LIST)].into_iter().flatten().min();
        let word = &rest[..next.unwrap_or(rest.len())];
        // sops takes what is no number for 0.
        steps.push(if list { Step::Index(word.parse().unwrap_or(0)) } else { Step::Key(word.to_owned()) });
        let Some(next) = next else { return steps };
        list = rest[next..].starts_with(LIST);
        rest = &rest[next + if list { LIST.len() } else { MAP.len() }..];
    }
}

impl Place {
    fn into_value(self, key: &str) -> Result<Value> {
        let lists = self.below.keys().filter(|step| matches!(step, Step::Index(_))).count();
        match (self.value, self.below.len()) {
            (Some(value), 0) => Ok(Value::string(value)),
            (Some(_), _) => Err(broken(key, "is a value and a collection")),
            (None, count) if lists > 0 => {
                let gapless = self.below.keys().enumerate().all(|(at, step)| *step == Step::Index(at));
                if lists != count || !gapless {
                    return Err(broken(key, "is a list with gaps"));
                }
                self.below.into_values().map(|place| place.into_value(key)).collect::<Result<_>>().map(Value::List)
            }
            (None, _) => {
                let entries = self.below.into_iter().map(|(step, place)| {
                    let Step::Key(name) = step else { return Err(broken(key, "is a list with gaps")) };
                    let value = place.into_value(&name)?;
                    Ok((name, value))
                });
                entries.collect::<Result<_>>().map(Value::Map)
            }
        }
    }
}

fn broken(key: &str, what: &str) -> Error {
    Error::new(ErrorKind::Generic, format!("the sops metadata can't be read: {key} {what}"))
        .hint("restore it from an older version of the file")
}

/// The edits that make the entries `there` (key and value nodes of metadata) say `wanted`, if the keys are the same;
/// `write` gives a value's text.
pub(super) fn patched(
    document: &Document<'_>,
    there: &[(NodeId, NodeId)],
    wanted: &[(String, String)],
    says: impl Fn(NodeId, &str) -> bool,
    write: impl Fn(&str) -> String,
    edits: &mut Edits,
) -> bool {
    let find = |key: &str| there.iter().find(|(name, _)| document.key_text(*name) == key).map(|(_, value)| *value);
    if there.len() != wanted.len() || wanted.iter().any(|(key, _)| find(key).is_none()) {
        return false;
    }
    for (key, text) in wanted {
        if let Some(value) = find(key).filter(|value| !says(*value, text)) {
            edits.replace(document.node(value).span, &write(text));
        }
    }
    true
}

/// What metadata is told by in the flat formats, with all nodes below the root.
pub(super) fn root(document: &Document<'_>) -> NodeId {
    document.parts.first().map_or(NONE, |part| part.root)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(pairs: &[(&str, &str)]) -> Result<Value> {
        unflatten(pairs.iter().map(|(key, value)| (*key, (*value).to_owned())))
    }

    #[test]
    fn metadata_is_flattened_and_read_back() {
        let entry = Value::Map(vec![("enc".into(), Value::string("x\ny")), ("recipient".into(), Value::string("age1"))]);
        let context = Value::Map(vec![("context".into(), Value::Map(vec![("foo".into(), Value::string("bar"))]))]);
        let block = Value::Map(vec![
            ("age".into(), Value::List(vec![entry.clone(), entry])),
            ("kms".into(), Value::List(vec![context])),
            ("mac".into(), Value::string("ENC[x]")),
            ("pgp".into(), Value::List(Vec::new())),
        ]);
        let keys: Vec<String> = flatten(&block).into_iter().map(|(key, _)| key).collect();
        let wanted = [
            "age__list_0__map_enc",
            "age__list_0__map_recipient",
            "age__list_1__map_enc",
            "age__list_1__map_recipient",
            "kms__list_0__map_context__map_foo",
            "mac",
        ];
        assert_eq!(keys, wanted);
        let pairs = flatten(&block);
        let again = unflatten(pairs.iter().map(|(key, value)| (key.as_str(), value.clone()))).unwrap();
        assert!(flatten(&again) == pairs && again.get("pgp").is_none());
    }

    #[test]
    fn broken_metadata_is_refused() {
        for pairs in [
            &[("a__list_1", "x")][..],
            &[("a", "x"), ("a__map_b", "y")],
            &[("a", "x"), ("a", "y")],
            &[("a__list_0", "x"), ("a__map_b", "y")],
        ] {
            assert_eq!(flat(pairs).err().map(|error| error.kind.exit_code()), Some(1), "{pairs:?}");
        }
    }

    #[test]
    fn values_are_printed_as_sops_does() {
        let cases = [
            (Type::Int, "1", "1"),
            (Type::Bool, "True", "true"),
            (Type::Float, "1.5", "1.5"),
            (Type::Float, "1", "1.0"),
            (Type::Float, "1000000000000000000000", "1E+21"),
            (Type::Float, "0.00001", "1E-05"),
            (Type::Float, "+Inf", "+Inf"),
            (Type::Time, "2020-01-01T00:00:00.5Z", "2020-01-01T00:00:00Z"),
            (Type::Null, "", "<nil>"),
            (Type::Str, "a\nb", "a\nb"),
        ];
        for (kind, bytes, wanted) in cases {
            assert_eq!(printed(&Scalar { kind, bytes: bytes.as_bytes().into() }), wanted);
        }
    }
}
