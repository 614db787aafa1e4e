//! What a format has to do.

use std::borrow::Cow;

use super::edit::Edits;
use super::flat::Flat;
use super::resolve::{ResolveError, Scalar};
use super::value::Value;
use super::{Document, Event, NONE, NodeId, Span};
use crate::error::Result;

/// A file format: how text becomes nodes, and how values and the `sops` block are written into it.
pub trait Format: Sync {
    /// The word for `--input-type` and `--output-type`.
    fn name(&self) -> &'static str;
    /// File name endings, without the dot.
    fn extensions(&self) -> &'static [&'static str];
    /// Parses a file; refuses what genuine sops can't read or would read differently.
    fn parse<'s>(&self, source: &'s str) -> Result<Document<'s>>;
    /// Parses an encrypted file that is to be opened: what another writer let stand in it is no reason to refuse it.
    ///
    /// # Errors
    /// As [`Format::parse`].
    fn parse_encrypted<'s>(&self, source: &'s str) -> Result<Document<'s>> {
        self.parse(source)
    }
    /// A key that stands twice in one mapping, where [`Format::parse_encrypted`] lets it.
    fn repeated(&self, _document: &Document<'_>) -> Option<NodeId> {
        None
    }
    /// Parses a plain file; differs from [`Format::parse`] where an encrypted file has another form.
    fn parse_plain<'s>(&self, source: &'s str) -> Result<Document<'s>> {
        self.parse(source)
    }
    /// Parses what an encrypted file decrypts to: as [`Format::parse_encrypted`], without a block.
    ///
    /// # Errors
    /// As [`Format::parse`].
    fn parse_opened<'s>(&self, source: &'s str) -> Result<Document<'s>> {
        self.parse_plain(source)
    }
    /// The bytes of a plain file; differs from those of `text` where a file need not be text.
    fn plain_bytes<'t>(&self, text: &'t str) -> Cow<'t, [u8]> {
        Cow::Borrowed(text.as_bytes())
    }
    /// Whether a plain file may be any bytes: its text is then that of [`super::bytes::to_text`].
    fn is_bytes(&self) -> bool {
        false
    }
    /// The one value of an encrypted file that is all of the plain file.
    fn content(&self, _document: &Document<'_>) -> Option<NodeId> {
        None
    }
    /// Whether a part of a file may be of any type.
    fn is_tree(&self) -> bool {
        true
    }
    /// How values and comments are carried, where it isn't in YAML's or JSON's way.
    fn flat(&self) -> Option<&dyn Flat> {
        None
    }
    /// Whether it is certain which value a comment belongs to: else rules about comments can't be used to encrypt.
    fn ties_comments(&self) -> bool {
        true
    }
    /// Whether a top-level key belongs to the metadata.
    fn is_block(&self, key: &str) -> bool {
        key == "sops"
    }
    /// The metadata of a file: the fields of its `sops` block.
    ///
    /// # Errors
    /// `Generic` (1) for metadata that can't be read.
    fn block(&self, document: &Document<'_>) -> Result<Option<Value>> {
        let root = document.parts.first().map_or(NONE, |part| part.root);
        document.get(root, "sops").map(|block| Value::of(document, block)).transpose()
    }
    /// The typed value of a scalar node.
    fn resolve<'d>(&self, document: &'d Document<'_>, id: NodeId) -> std::result::Result<Scalar<'d>, ResolveError>;
    /// The edits that put `metadata` (a mapping with the one key `sops`) into every document that gets a block.
    fn add_block(&self, document: &Document<'_>, metadata: &Value, indent: Option<usize>, edits: &mut Edits);
    /// The edits that take every top-level `sops` block out again; a document 0 that holds nothing else becomes `bare`.
    fn remove_block(&self, document: &Document<'_>, bare: &str, edits: &mut Edits);
    /// The edits that make every block of an encrypted file say `metadata` instead; where the fields are the same, only the
    /// values that differ change.
    fn replace_block(&self, document: &Document<'_>, metadata: &Value, edits: &mut Edits);
    /// The columns a level of the first document's block, where it shows them.
    fn block_indent(&self, _document: &Document<'_>) -> Option<usize> {
        None
    }
    /// The bytes that the first document's block takes up, to be exchanged as a whole; [`None`] where a format has but one
    /// way to write a block.
    fn block_span(&self, _document: &Document<'_>) -> Option<Span> {
        None
    }
    /// Refuses text that encrypting takes no chances with, though decrypting reads it.
    ///
    /// # Errors
    /// `Unreadable` (2) with the position.
    fn refuse_plain(&self, source: &str) -> Result<()>;
    /// `text` without what repeats the first document's block, if anything does.
    fn without_repeats(&self, text: &str) -> Option<String>;
    /// A second, independent reader's view of `text`, event by event, for checking an output before it is written.
    ///
    /// # Errors
    /// The reader's own words, which may quote the text.
    fn second_reading(&self, text: &str, receive: &mut dyn FnMut(Event)) -> std::result::Result<(), String>;
    /// The value that this format holds where `value` is put: formats without types hold its text.
    ///
    /// # Errors
    /// `Emit` (4) for a value that the format has no form for.
    fn held(&self, value: Value) -> Result<Value> {
        Ok(value)
    }
    /// The edits that put `value` at `place` in the file's own layout (see [`super::change::set`]).
    ///
    /// # Errors
    /// `Generic` (1) for a place or a layout that can't take it.
    fn put(&self, _document: &Document<'_>, _place: super::change::Place<'_>, _value: &Value, _edits: &mut Edits) -> Result<()> {
        Err(super::change::unchangeable(self.name()))
    }
    /// The edits that take the entry with the value `id`, or the item `id`, out of its collection.
    ///
    /// # Errors
    /// `Generic` (1) for a layout that isn't understood.
    fn take_out(&self, _document: &Document<'_>, _id: NodeId, _edits: &mut Edits) -> Result<()> {
        Err(super::change::unchangeable(self.name()))
    }
    /// A list, which is no file of its own, as `--extract` shows it.
    fn print_fragment(&self, value: &Value, indent: Option<usize>) -> String;
    /// Trees as genuine sops would print them in this format.
    ///
    /// # Errors
    /// `Emit` (4) for what the format has no form for, `Unreadable` (2) for an indentation it can't have.
    fn print(&self, documents: &[Value], indent: Option<usize>) -> Result<String>;
}
