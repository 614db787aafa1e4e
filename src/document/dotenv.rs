//! Dotenv as SOPS reads it: lines are split at LF only, the first `=` parts key and value, nothing is trimmed or
//! unquoted, `#` in the first column is a comment. The two characters `\n` in a value are a line break.

use std::borrow::Cow;

use super::change::Place;
use super::edit::Edits;
use super::flat::{self, Flat};
use super::resolve::{ResolveError, Scalar, Type};
use super::value::Value;
use super::{Document, Event, Format, Kind, NONE, NodeId, Part, Role, Span, bytes, conflict};
use crate::error::{Error, Kind as ErrorKind, Result};

/// The dotenv format.
pub struct Dotenv;

/// What keys of metadata start with.
const PREFIX: &str = "sops_";

impl Format for Dotenv {
    fn name(&self) -> &'static str {
        "dotenv"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["env"]
    }

    fn parse<'s>(&self, source: &'s str) -> Result<Document<'s>> {
        let mut document = Document::empty(source, &Dotenv);
        let whole = Span::new(0, source.len());
        let root = document.push_flat(Kind::Mapping, Role::Root, NONE, whole, super::Text::default());
        document.parts.push(Part { root, end: source.len() as u32 });
        let (mut start, mut pending) = (0, 0);
        for line in source.split('\n') {
            let end = start + line.len();
            if line.starts_with('#') {
                document.comments.push(flat::comment(Span::new(start, end), root, NONE, false));
            } else if !line.is_empty() {
                let equals = start + conflict::named(line.find('=').ok_or_else(|| no_equals(source, start)), source)?;
                let key = entry(&mut document, root, Span::new(start, equals), Span::new(equals + 1, end));
                document.comments[pending..].iter_mut().for_each(|comment| comment.element = key);
                pending = document.comments.len();
            }
            start = end + 1;
        }
        document.close_flat(root);
        Ok(document)
    }

    fn resolve<'d>(&self, document: &'d Document<'_>, id: NodeId) -> std::result::Result<Scalar<'d>, ResolveError> {
        Ok(Scalar { kind: Type::Str, bytes: bytes::unmarked(document.text(id)) })
    }

    fn plain_bytes<'t>(&self, text: &'t str) -> Cow<'t, [u8]> {
        bytes::unmarked(text)
    }

    fn is_tree(&self) -> bool {
        false
    }

    fn flat(&self) -> Option<&dyn Flat> {
        Some(self)
    }

    fn is_block(&self, key: &str) -> bool {
        key.starts_with(PREFIX)
    }

    fn block(&self, document: &Document<'_>) -> Result<Option<Value>> {
        let fields = fields(document);
        if fields.is_empty() {
            return Ok(None);
        }
        let pairs = fields.iter().map(|(key, value)| (&document.text(*key)[PREFIX.len()..], document.text(*value).to_owned()));
        flat::unflatten(pairs).map(Some)
    }

    fn add_block(&self, document: &Document<'_>, metadata: &Value, _indent: Option<usize>, edits: &mut Edits) {
        let end = document.source.len();
        edits.write(Span::new(end, end), |out| {
            if flat::open_end(document.source) {
                out.push('\n');
            }
            write_block(metadata, out);
        });
    }

    fn remove_block(&self, document: &Document<'_>, _bare: &str, edits: &mut Edits) {
        fields(document).into_iter().for_each(|(key, value)| edits.replace(line_of(document, key, value), ""));
    }

    fn replace_block(&self, document: &Document<'_>, metadata: &Value, edits: &mut Edits) {
        let (there, wanted) = (fields(document), wanted(metadata));
        let says = |id: NodeId, text: &str| document.text(id) == text;
        if flat::patched(document, &there, &wanted, says, escaped, edits) {
            return;
        }
        for (at, (key, value)) in there.into_iter().enumerate() {
            edits.write(line_of(document, key, value), |out| {
                if at == 0 {
                    write_block(metadata, out)
                }
            });
        }
    }

    /// What is hashed and encrypted is what sops reads, whatever shells make of it.
    fn refuse_plain(&self, _source: &str) -> Result<()> {
        Ok(())
    }

    fn without_repeats(&self, _text: &str) -> Option<String> {
        None
    }

    fn second_reading(&self, text: &str, receive: &mut dyn FnMut(Event)) -> std::result::Result<(), String> {
        receive(Event::Mapping);
        for line in text.split_terminator('\n').filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (key, value) = line.split_once('=').ok_or("a line without =")?;
            receive(Event::Scalar(key.to_owned(), true));
            receive(Event::Scalar(value.split("\\n").collect::<Vec<_>>().join("\n"), true));
        }
        receive(Event::Close);
        Ok(())
    }

    fn held(&self, value: Value) -> Result<Value> {
        match value.as_scalar() {
            Some(scalar) => flat::held(&scalar, self.name()),
            None => Err(nested("")),
        }
    }

    fn put(&self, document: &Document<'_>, place: Place<'_>, value: &Value, edits: &mut Edits) -> Result<()> {
        let Some(scalar) = value.as_scalar() else { return Err(nested("")) };
        let text = escaped(&flat::printed(&scalar));
        match place {
            Place::Node(id) => edits.replace(document.node(id).span, &text),
            Place::Entry(_, key) if key.starts_with('#') || key.contains(['=', '\n']) => return Err(no_key(key)),
            Place::Entry(_, key) => flat::append(document, "\n", &[key, "=", &text], edits),
            Place::Item(_) | Place::Top => return Err(nested("")),
        }
        Ok(())
    }

    fn take_out(&self, document: &Document<'_>, id: NodeId, edits: &mut Edits) -> Result<()> {
        edits.replace(line_of(document, id - 1, id), "");
        Ok(())
    }

    fn print_fragment(&self, value: &Value, _indent: Option<usize>) -> String {
        value.as_scalar().map_or_else(String::new, |scalar| flat::printed(&scalar))
    }

    fn print(&self, documents: &[Value], _indent: Option<usize>) -> Result<String> {
        let mut out = String::new();
        for (key, value) in documents.first().map_or(&[][..], Value::entries) {
            let Some(scalar) = value.as_scalar() else { return Err(nested(key)) };
            match scalar.kind {
                Type::Comment => out.extend(["#", &flat::printed(&scalar), "\n"]),
                _ => out.extend([key, "=", &escaped(&flat::printed(&scalar)), "\n"]),
            }
        }
        Ok(out)
    }
}

impl Flat for Dotenv {
    fn render(&self, _document: &Document<'_>, _id: NodeId, value: &Scalar<'_>, out: &mut String) {
        out.push_str(&escaped(&flat::printed(value)));
    }

    fn says(&self, _document: &Document<'_>, _id: NodeId, text: &str, value: &Scalar<'_>) -> bool {
        value.kind == Type::Str && !text.contains('\n') && *bytes::unmarked(&unescaped(text)) == *value.bytes
    }
}

fn entry(document: &mut Document<'_>, root: NodeId, key: Span, value: Span) -> NodeId {
    let id = document.push_flat(Kind::Scalar, Role::Key, root, key, Document::piece(key));
    let text = match unescaped(document.slice(value)) {
        Cow::Borrowed(_) => Document::piece(value),
        Cow::Owned(text) => document.keep(&text),
    };
    document.push_flat(Kind::Scalar, Role::Value, root, value, text);
    id
}

fn unescaped(text: &str) -> Cow<'_, str> {
    if text.contains("\\n") { Cow::Owned(text.replace("\\n", "\n")) } else { Cow::Borrowed(text) }
}

fn escaped(text: &str) -> String {
    text.replace('\n', "\\n")
}

/// Key and value of every line of metadata.
fn fields(document: &Document<'_>) -> Vec<(NodeId, NodeId)> {
    document.entries(flat::root(document)).filter(|(key, _)| document.text(*key).starts_with(PREFIX)).collect()
}

/// A line with its line break.
fn line_of(document: &Document<'_>, key: NodeId, value: NodeId) -> Span {
    let end = document.node(value).span.end as usize;
    Span::new(document.node(key).span.start as usize, (end + 1).min(document.source.len()))
}

fn wanted(metadata: &Value) -> Vec<(String, String)> {
    let flat = metadata.get("sops").map(flat::flatten).unwrap_or_default();
    flat.into_iter().map(|(key, text)| (format!("{PREFIX}{key}"), text)).collect()
}

fn write_block(metadata: &Value, out: &mut String) {
    for (key, text) in wanted(metadata) {
        out.extend([&key, "=", &escaped(&text), "\n"]);
    }
}

fn no_equals(source: &str, start: usize) -> Error {
    flat::unreadable(source, start, "a line without =, expected KEY=value, a comment in the first column, or an empty line")
}

fn no_key(key: &str) -> Error {
    let message = "a key that dotenv can't hold: a line that starts with # is a comment, and the first = ends the key";
    Error::new(ErrorKind::BadIndex, message).for_key(key).hint("choose another name, without # in front, = and line breaks")
}

fn nested(key: &str) -> Error {
    let error = Error::new(ErrorKind::Emit, "a map or a list has no form in dotenv, expected plain values at the top level");
    error.for_key(key).hint("choose YAML or JSON output")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(source: &str) -> Vec<(String, String)> {
        let document = Dotenv.parse(source).unwrap();
        document.entries(0).map(|(key, value)| (document.text(key).to_owned(), document.text(value).to_owned())).collect()
    }

    /// What genuine sops 3.13.3 reads.
    #[test]
    fn lines_are_read_as_sops_reads_them() {
        let read = pairs("# c\nA=1\n\nexport B = \"x\" # y\n  C=a=b\\nc\r\n=\nA=2");
        let wanted = [("A", "1"), ("export B ", " \"x\" # y"), ("  C", "a=b\nc\r"), ("", ""), ("A", "2")];
        assert_eq!(read, wanted.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }

    #[test]
    fn a_line_without_an_equals_sign_is_refused_with_its_place_and_without_its_text() {
        for source in ["A=1\nsecret\n", "A=1\n # c\n", "A=1\r\n\r\n"] {
            let error = Dotenv.parse(source).err().unwrap();
            assert_eq!((error.kind.exit_code(), error.position.map(|position| position.line)), (2, Some(2)));
            assert!(!error.to_string().contains("secret"));
        }
    }

    #[test]
    fn keys_that_would_be_read_as_something_else_are_refused() {
        let document = Dotenv.parse("A=1\n").unwrap();
        for key in ["#x", "a=b", "a\nb"] {
            let put = Dotenv.put(&document, Place::Entry(0, key), &Value::string("v"), &mut Edits::default());
            assert_eq!(put.err().map(|error| error.kind.exit_code()), Some(7), "{key}");
        }
    }

    #[test]
    fn a_comment_belongs_to_the_entry_below() {
        let document = Dotenv.parse("# a\n#b\nA=1\n# end\n").unwrap();
        let elements: Vec<NodeId> = document.comments.iter().map(|comment| comment.element).collect();
        assert_eq!(elements, [1, 1, NONE]);
    }

    #[test]
    fn the_block_comes_and_goes() {
        let block = Value::Map(vec![("mac".into(), Value::string("a\nb"))]);
        let metadata = Value::Map(vec![("sops".into(), block.clone())]);
        for source in ["", "A=1\n", "A=1", "\n", "# c", "sops=1\n"] {
            let mut edits = Edits::default();
            Dotenv.add_block(&Dotenv.parse(source).unwrap(), &metadata, None, &mut edits);
            let text = edits.apply(source);
            let document = Dotenv.parse(&text).unwrap();
            assert!(Dotenv.block(&document).unwrap() == Some(block.clone()), "{}", text.as_str());
            let mut edits = Edits::default();
            Dotenv.remove_block(&document, "", &mut edits);
            assert_eq!(edits.apply(&text).trim_end_matches('\n'), source.trim_end_matches('\n'));
        }
    }

    #[test]
    fn other_metadata_changes_only_its_lines() {
        let metadata = |fields: &[(&str, &str)]| {
            let fields = fields.iter().map(|(key, value)| ((*key).to_owned(), Value::string(*value))).collect();
            Value::Map(vec![("sops".into(), Value::Map(fields))])
        };
        let source = "sops_version=1\nA=1\nsops_mac=x\n";
        let replaced = |fields: &[(&str, &str)]| {
            let mut edits = Edits::default();
            Dotenv.replace_block(&Dotenv.parse(source).unwrap(), &metadata(fields), &mut edits);
            edits.apply(source).to_string()
        };
        assert_eq!(replaced(&[("mac", "y"), ("version", "1")]), "sops_version=1\nA=1\nsops_mac=y\n");
        assert_eq!(replaced(&[("mac", "y")]), "sops_mac=y\nA=1\n");
    }

    #[test]
    fn values_are_printed_as_sops_does_and_nested_ones_refused() {
        let tree = Value::Map(vec![
            (String::new(), Value::Scalar(Type::Comment, b" c".to_vec())),
            ("A".into(), Value::int(1)),
            ("B".into(), Value::string("x\ny\\n")),
        ]);
        assert_eq!(Dotenv.print(&[tree], None).unwrap(), "# c\nA=1\nB=x\\ny\\n\n");
        let nested = Value::Map(vec![("A".into(), Value::List(Vec::new()))]);
        assert_eq!(Dotenv.print(&[nested], None).err().map(|error| error.kind.exit_code()), Some(4));
    }
}
