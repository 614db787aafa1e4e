//! Files of any bytes (SOPS's binary store): all of the file is one value, encrypted it is the JSON object
//! `{"data": "ENC[…]", "sops": {…}}`. No rule chooses anything in it.

use std::borrow::Cow;

use super::change::Place;
use super::edit::Edits;
use super::flat::Flat;
use super::json::{self, Json};
use super::resolve::{ResolveError, Scalar, Type};
use super::value::{self, Layout, Value};
use super::{Document, Event, Format, Kind, NONE, NodeId, Part, Role, Span, bytes};
use crate::error::{Error, Kind as ErrorKind, Result};

/// The binary format.
pub struct Binary;

/// The one key.
const DATA: &str = "data";

impl Format for Binary {
    fn name(&self) -> &'static str {
        "binary"
    }

    /// Every ending that no other format has.
    fn extensions(&self) -> &'static [&'static str] {
        &[]
    }

    /// Parses an encrypted file.
    fn parse<'s>(&self, source: &'s str) -> Result<Document<'s>> {
        let mut document = Json.parse(source)?;
        document.format = &Binary;
        Ok(document)
    }

    fn parse_plain<'s>(&self, source: &'s str) -> Result<Document<'s>> {
        let mut document = Document::empty(source, &Binary);
        let whole = Span::new(0, source.len());
        let root = document.push_flat(Kind::Mapping, Role::Root, NONE, whole, super::Text::default());
        document.parts.push(Part { root, end: whole.end });
        let key = document.keep(DATA);
        document.push_flat(Kind::Scalar, Role::Key, root, Span::new(0, 0), key);
        document.push_flat(Kind::Scalar, Role::Value, root, whole, Document::piece(whole));
        document.close_flat(root);
        Ok(document)
    }

    fn plain_bytes<'t>(&self, text: &'t str) -> Cow<'t, [u8]> {
        bytes::of_text(text)
    }

    fn is_bytes(&self) -> bool {
        true
    }

    fn content(&self, document: &Document<'_>) -> Option<NodeId> {
        let root = document.parts.first()?.root;
        document.get(root, DATA).filter(|data| document.node(*data).kind == Kind::Scalar)
    }

    fn resolve<'d>(&self, document: &'d Document<'_>, id: NodeId) -> std::result::Result<Scalar<'d>, ResolveError> {
        if is_plain(document, id) {
            return Ok(Scalar { kind: Type::Str, bytes: bytes::of_text(document.text(id)) });
        }
        Json.resolve(document, id)
    }

    fn is_tree(&self) -> bool {
        false
    }

    fn flat(&self) -> Option<&dyn Flat> {
        Some(self)
    }

    fn add_block(&self, document: &Document<'_>, metadata: &Value, indent: Option<usize>, edits: &mut Edits) {
        let end = document.source.len();
        let step = indent.map_or("\t".to_owned(), |columns| " ".repeat(columns));
        // An edit in front of the token: the file itself is replaced by it.
        edits.write(Span::new(0, 0), |out| out.extend(["{\n", &step, "\"data\": \""]));
        edits.write(Span::new(end, end), |out| {
            out.extend(["\",\n", &step, "\"sops\": "]);
            value::json(metadata.get("sops").unwrap_or(metadata), Layout::Lines(&step, 1, "\n"), out);
            out.push_str("\n}\n");
        });
    }

    /// What is taken out is all but the data: see [`Format::content`].
    fn remove_block(&self, document: &Document<'_>, bare: &str, edits: &mut Edits) {
        Json.remove_block(document, bare, edits);
    }

    fn replace_block(&self, document: &Document<'_>, metadata: &Value, edits: &mut Edits) {
        Json.replace_block(document, metadata, edits);
    }

    fn block_span(&self, document: &Document<'_>) -> Option<Span> {
        Json.block_span(document)
    }

    fn refuse_plain(&self, _source: &str) -> Result<()> {
        Ok(())
    }

    fn without_repeats(&self, _text: &str) -> Option<String> {
        None
    }

    fn second_reading(&self, text: &str, receive: &mut dyn FnMut(Event)) -> std::result::Result<(), String> {
        Json.second_reading(text, receive)
    }

    fn put(&self, document: &Document<'_>, place: Place<'_>, value: &Value, edits: &mut Edits) -> Result<()> {
        match (place, value) {
            (Place::Node(id), Value::Scalar(Type::Str, content)) if document.node(id).kind == Kind::Scalar => {
                edits.replace(document.node(id).span, &bytes::to_text(content));
                Ok(())
            }
            _ => Err(no_data()),
        }
    }

    fn print_fragment(&self, value: &Value, indent: Option<usize>) -> String {
        Json.print_fragment(value, indent)
    }

    fn print(&self, documents: &[Value], _indent: Option<usize>) -> Result<String> {
        match documents.first().and_then(|root| root.get(DATA)) {
            Some(Value::Scalar(Type::Str, content)) => Ok(bytes::to_text(content).to_string()),
            _ => Err(no_data()),
        }
    }
}

impl Flat for Binary {
    fn render(&self, document: &Document<'_>, id: NodeId, value: &Scalar<'_>, out: &mut String) {
        if is_plain(document, id) {
            out.push_str(&bytes::to_text(&value.bytes));
        } else {
            json::render(value, out);
        }
    }

    fn says(&self, _document: &Document<'_>, _id: NodeId, text: &str, value: &Scalar<'_>) -> bool {
        *bytes::of_text(text) == *value.bytes
    }
}

/// Whether a node is that of a plain file: those of JSON are all inside braces.
fn is_plain(document: &Document<'_>, id: NodeId) -> bool {
    !document.node(id).flow
}

/// The error of a tree that isn't one of a binary file.
pub fn no_data() -> Error {
    Error::new(ErrorKind::Emit, "error emitting binary store: no binary data found in tree, expected a string under the key data")
        .hint("this is likely no encrypted binary file: --output-type says what to print")
}
