//! Decrypting: tokens become values again in the style that carried them, the MAC is checked over what came out, and
//! the layout record brings the author's own bytes back where it still fits.

use std::collections::HashMap;

use zeroize::Zeroizing;

use super::keep::Earlier;
use super::mac::{self, Mac};
use super::restore;
use super::sign::LAYOUT_DATA;
use super::value::{Cipher, Token};
use super::walk::{self, Leaf, Remark, Walk};
use crate::document::edit::Edits;
use crate::document::layout::{self, Entry};
use crate::document::resolve::{self, Scalar, Type};
use crate::document::value::Value;
use crate::document::{Document, Kind, NONE, NodeId, Role, Span, bytes};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::metadata::Metadata;
use crate::select::Selection;

/// Files of fewer values are decrypted on the calling thread.
const PARALLEL: usize = 5_000;

/// Texts of more bytes have their MAC checked beside the making of the plain text.
const LARGE: usize = 200_000;

/// What came out of a file.
pub struct Opened {
    /// The plain file.
    pub text: Zeroizing<String>,
    /// Things worth a line on stderr: comments in clear where they should be encrypted, a record that is ignored.
    pub notes: Vec<String>,
}

/// An encrypted file, read: what its tokens say, checked against the MAC.
pub struct Reading<'d> {
    /// All values and comments.
    pub walk: Walk,
    /// The values of [`Walk::leaves`].
    pub values: Vec<Plain<'d>>,
    /// The encrypted comments.
    pub comments: Vec<OpenComment>,
    /// The layout record.
    pub entries: Vec<Entry>,
    /// The MAC of the values, if it is the one that the file holds.
    pub signed: Option<String>,
    /// See [`Opened::notes`].
    pub notes: Vec<String>,
}

/// Decrypts a parsed file with the cipher of its data key.
///
/// # Errors
/// As [`read`].
pub fn decrypt(document: &Document<'_>, metadata: &Metadata, cipher: &Cipher, ignore_mac: bool) -> Result<Opened> {
    let (reading, text) = open(document, metadata, cipher, ignore_mac)?;
    Ok(Opened { text, notes: reading.notes })
}

/// The plain text of the next version of a file, whose MAC must fit. What a token of the earlier version says under its own
/// key path is known: decrypting it once more would say the same.
///
/// # Errors
/// As [`read`].
pub fn text_of_next(
    document: &Document<'_>,
    metadata: &Metadata,
    cipher: &Cipher,
    earlier: Option<&Earlier<'_>>,
) -> Result<Zeroizing<String>> {
    let reading = unsigned(document, metadata, cipher, earlier)?;
    reading.signed_text(document, || reading.check_mac(metadata, cipher)).map(|(_, text)| text)
}

/// Reads all values of an encrypted file.
///
/// # Errors
/// `DecryptTree` (25) with position and key path for a value that can't be decrypted; `MacMismatch` (51) unless
/// `ignore_mac`.
pub fn read<'d>(document: &'d Document<'_>, metadata: &Metadata, cipher: &Cipher, ignore_mac: bool) -> Result<Reading<'d>> {
    let reading = unsigned(document, metadata, cipher, None)?;
    let signed = reading.signed_as(metadata, cipher, ignore_mac)?;
    Ok(Reading { signed, ..reading })
}

/// Reads all values of an encrypted file, and makes the plain one.
///
/// # Errors
/// As [`read`].
pub fn open<'d>(
    document: &'d Document<'_>,
    metadata: &Metadata,
    cipher: &Cipher,
    ignore_mac: bool,
) -> Result<(Reading<'d>, Zeroizing<String>)> {
    let reading = unsigned(document, metadata, cipher, None)?;
    let (signed, text) = reading.signed_text(document, || reading.signed_as(metadata, cipher, ignore_mac))?;
    Ok((Reading { signed, ..reading }, text))
}

/// All values, not yet checked against the MAC.
fn unsigned<'d>(document: &'d Document<'_>, metadata: &Metadata, cipher: &Cipher, earlier: Option<&'d Earlier<'d>>) -> Result<Reading<'d>> {
    let selection = Selection::of_metadata(metadata.selector.as_ref());
    let walk = walk::walk(document, &selection).map_err(unloadable)?;
    let opener = Opener { document, walk: &walk, cipher, earlier, by_comment: selection.by_comment() };
    let values = opener.values()?;
    let mut notes: Vec<String> = document.format.repeated(document).map(|key| repeated(document, key)).into_iter().collect();
    let entries = opener.record(metadata, &mut notes);
    let comments = opener.comments(&mut notes);
    Ok(Reading { walk, values, comments, entries, signed: None, notes })
}

impl Reading<'_> {
    /// The scalars that hold encrypted values.
    pub fn encrypted(&self) -> impl Iterator<Item = NodeId> + '_ {
        let pairs = self.walk.leaves.iter().zip(&self.values);
        pairs.filter(|(_, plain)| plain.encrypted && plain.value.kind != Type::Comment).map(|(leaf, _)| leaf.node)
    }

    /// The same without a tie to the text that was read.
    pub fn into_owned(self) -> Reading<'static> {
        let own = |mut plain: Plain<'_>| Plain {
            value: std::mem::replace(&mut plain.value, Scalar::null()).into_owned(),
            encrypted: plain.encrypted,
        };
        let Reading { walk, values, comments, entries, signed, notes } = self;
        Reading { walk, values: values.into_iter().map(own).collect(), comments, entries, signed, notes }
    }

    /// The plain text, and what `check` says beside.
    fn signed_text<T: Send>(&self, document: &Document<'_>, check: impl FnOnce() -> Result<T> + Send) -> Result<(T, Zeroizing<String>)> {
        if document.source.len() < LARGE {
            return Ok((check()?, self.text(document)));
        }
        std::thread::scope(|scope| {
            let checked = scope.spawn(check);
            let text = self.text(document);
            let checked = checked.join().map_err(|_| Error::new(ErrorKind::Generic, "a worker thread failed"))?;
            Ok((checked?, text))
        })
    }

    /// The MAC of the values; [`None`] for another than the file holds, if that is ignored.
    fn signed_as(&self, metadata: &Metadata, cipher: &Cipher, ignore_mac: bool) -> Result<Option<String>> {
        match self.check_mac(metadata, cipher) {
            Ok(mac) => Ok(Some(mac)),
            Err(_) if ignore_mac => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The MAC of the values, if it is the one that the file holds.
    fn check_mac(&self, metadata: &Metadata, cipher: &Cipher) -> Result<String> {
        let mut mac = Mac::new(metadata.mac_only_encrypted);
        for (leaf, plain) in self.walk.leaves.iter().zip(&self.values) {
            let counted = !leaf.shadow && (leaf.selected || !metadata.mac_only_encrypted);
            if counted && plain.value.kind != Type::Comment {
                mac.add(&plain.value.bytes);
            }
        }
        let computed = mac.finish();
        let data = metadata.last_modified_aad()?;
        let stored = metadata.mac.as_deref().and_then(Token::parse).and_then(|token| cipher.decrypt(&token, data.as_bytes()).ok());
        match stored {
            Some(stored) if mac::equal(&stored, computed.as_bytes()) => Ok(computed),
            Some(_) => Err(mismatch("the values aren't those that were signed")),
            None => Err(mismatch("the stored MAC can't be decrypted: it, `lastmodified` or the data key was changed")),
        }
    }

    /// The plain file: the text of `document`, which was read, with values and comments in place of tokens.
    pub fn text(&self, document: &Document<'_>) -> Zeroizing<String> {
        if let Some(content) = document.format.content(document) {
            return self.content(content);
        }
        let mut edits = Edits::with_capacity(self.values.len() + 8, document.source.len() / 2);
        let restored = restore::restore(document, &self.walk, &self.values, &self.entries, &mut edits);
        self.put_values(document, &restored.covered, &mut edits);
        for open in &self.comments {
            document.put_comment(&document.comments[self.walk.remarks[open.remark].comment], &open.text, &mut edits);
        }
        document.format.remove_block(document, restored.root.as_deref().unwrap_or("{}\n"), &mut edits);
        restore::finish(edits.apply(document.source), document, &self.entries)
    }

    /// What the documents of a file say, metadata left out: where another format is to be printed, no text of this one need
    /// hold it.
    ///
    /// # Errors
    /// A scalar that doesn't resolve.
    pub fn trees(&self, document: &Document<'_>) -> Result<Vec<Value>> {
        // A scalar in its own place counts before what an alias says of it.
        let leaves = self.walk.leaves.iter().zip(&self.values);
        let (own, aliased): (Vec<_>, Vec<_>) = leaves.partition(|(leaf, _)| leaf.alias == NONE);
        let values: HashMap<NodeId, &Plain<'_>> = aliased.into_iter().chain(own).map(|(leaf, plain)| (leaf.node, plain)).collect();
        let comments: HashMap<usize, &str> =
            self.comments.iter().map(|open| (self.walk.remarks[open.remark].comment, open.text.as_str())).collect();
        let scalar = |id: NodeId| match values.get(&id) {
            Some(plain) => Ok(Value::Scalar(plain.value.kind, plain.value.bytes.to_vec())),
            None => Value::of(document, id),
        };
        let comment = |at: usize| {
            let text = comments.get(&at).map_or_else(|| document.comment_text(&document.comments[at]), |text| (*text).into());
            let content = if document.format.flat().is_some() { bytes::unmarked(&text) } else { text.as_bytes().into() };
            Value::Scalar(Type::Comment, content.into_owned())
        };
        let tree = |root: NodeId| {
            let mut tree = if root == NONE { Value::Map(Vec::new()) } else { Value::of_parts(document, root, &scalar, &comment)? };
            if let Value::Map(entries) = &mut tree {
                entries.retain(|(key, value)| !document.format.is_block(key) || value.is_comment());
            }
            Ok(if tree.is_null() { Value::Map(Vec::new()) } else { tree })
        };
        document.parts.iter().map(|part| tree(part.root)).collect()
    }

    /// The plain file that is all one value.
    fn content(&self, id: NodeId) -> Zeroizing<String> {
        let value = self.walk.leaves.iter().zip(&self.values).find(|(leaf, _)| leaf.node == id);
        value.map_or_else(Zeroizing::default, |(_, plain)| bytes::to_text(&plain.value.bytes))
    }

    fn put_values(&self, document: &Document<'_>, covered: &restore::Covered, edits: &mut Edits) {
        for (leaf, plain) in self.walk.leaves.iter().zip(&self.values) {
            let shown = plain.encrypted && leaf.alias == NONE;
            if !shown || covered.contains(&leaf.node) {
                continue;
            }
            if plain.value.kind == Type::Comment {
                comment_item(document, leaf.node, &plain.value, edits);
            } else {
                document.put_value(leaf.node, &plain.value, edits);
            }
        }
    }
}

/// An encrypted comment, and what it says.
pub struct OpenComment {
    /// Its index among [`Walk::remarks`].
    pub remark: usize,
    /// The text after `#`.
    pub text: Zeroizing<String>,
    /// Whether it was encrypted under another key path than that of its place: genuine sops shows such as they are.
    pub misplaced: bool,
}

/// A value as it stands in the file, and what it says.
pub struct Plain<'d> {
    /// The typed value.
    pub value: Scalar<'d>,
    /// Whether the file holds it encrypted.
    pub encrypted: bool,
}

impl Drop for Plain<'_> {
    fn drop(&mut self) {
        if let std::borrow::Cow::Owned(bytes) = &mut self.value.bytes {
            crate::secret::wipe(bytes);
        }
    }
}

struct Opener<'w, 'd, 's> {
    document: &'d Document<'s>,
    walk: &'w Walk,
    cipher: &'w Cipher,
    /// The version before, opened.
    earlier: Option<&'d Earlier<'d>>,
    by_comment: bool,
}

impl<'d> Opener<'_, 'd, '_> {
    fn values(&self) -> Result<Vec<Plain<'d>>> {
        let count = self.walk.leaves.len();
        let mut values = Vec::with_capacity(count);
        if count < PARALLEL {
            self.add_values(0..count, &mut values)?;
            return Ok(values);
        }
        let middle = count / 2;
        std::thread::scope(|scope| {
            let second = scope.spawn(|| {
                let mut second = Vec::with_capacity(count - middle);
                self.add_values(middle..count, &mut second).map(|()| second)
            });
            self.add_values(0..middle, &mut values)?;
            values.append(&mut second.join().map_err(|_| Error::new(ErrorKind::Generic, "a worker thread failed"))??);
            Ok(values)
        })
    }

    fn add_values(&self, range: std::ops::Range<usize>, values: &mut Vec<Plain<'d>>) -> Result<()> {
        for leaf in &self.walk.leaves[range] {
            values.push(self.value(leaf)?);
        }
        Ok(())
    }

    fn value(&self, leaf: &Leaf) -> Result<Plain<'d>> {
        let value = self.document.scalar(leaf.node)?;
        let clear = !leaf.selected || value.kind == Type::Null || value.kind == Type::Str && value.bytes.is_empty();
        if clear {
            return Ok(Plain { value, encrypted: false });
        }
        let token = match &value.bytes {
            std::borrow::Cow::Borrowed(_) if value.kind == Type::Str => Token::parse(self.document.text(leaf.node)),
            _ => None,
        };
        let Some(token) = token else {
            return if self.by_comment || leaf.shadow { Ok(Plain { value, encrypted: false }) } else { Err(self.not_a_token(leaf)) };
        };
        self.open(leaf, &token)
    }

    fn open(&self, leaf: &Leaf, token: &Token<'_>) -> Result<Plain<'d>> {
        let known = |earlier: &'d Earlier<'d>| earlier.opened(self.document.text(leaf.node), self.walk.path(leaf.path));
        if let Some(value) = self.earlier.and_then(known) {
            return Ok(Plain { value: value.borrowed(), encrypted: true });
        }
        let kind = Type::from_name(token.kind).ok_or_else(|| self.fail(leaf, "an encrypted value of a type that isn't known"))?;
        let mut plaintext =
            self.cipher.decrypt(token, self.walk.path(leaf.path).as_bytes()).map_err(|error| self.fail(leaf, &error.message))?;
        if kind == Type::Str {
            let bytes = std::borrow::Cow::Owned(std::mem::take(&mut *plaintext));
            return Ok(Plain { value: Scalar { kind, bytes }, encrypted: true });
        }
        let value = resolve::reread(kind, &plaintext).map_err(|why| self.fail(leaf, &why.to_string()))?;
        Ok(Plain { value: value.into_owned(), encrypted: true })
    }

    fn fail(&self, leaf: &Leaf, message: &str) -> Error {
        let place = if leaf.alias == NONE { leaf.node } else { leaf.alias };
        self.document.error(place, ErrorKind::DecryptTree, message)
    }

    fn not_a_token(&self, leaf: &Leaf) -> Error {
        let error = self.fail(leaf, "a value in clear where the file's rule expects an encrypted one");
        error.hint("if it was put there by hand, take it out, and set it with the file decrypted")
    }

    /// The layout record, if there is one that can be read.
    fn record(&self, metadata: &Metadata, notes: &mut Vec<String>) -> Vec<Entry> {
        let Some(text) = metadata.layout.as_deref() else { return Vec::new() };
        let opened = Token::parse(text).and_then(|token| self.cipher.decrypt(&token, LAYOUT_DATA).ok());
        let why = if opened.is_some() { "is of another version" } else { "was changed or damaged" };
        let record = opened.and_then(|bytes| std::str::from_utf8(&bytes).ok().and_then(layout::from_json));
        record.unwrap_or_else(|| {
            let so = "it is ignored; values and MAC are right, only the author's quotes, folds and aliases may be missing";
            notes.push(format!("the layout record (kveil_layout) {why}: {so}"));
            Vec::new()
        })
    }

    fn comments(&self, notes: &mut Vec<String>) -> Vec<OpenComment> {
        (0..self.walk.remarks.len()).filter_map(|remark| self.comment(remark, notes)).collect()
    }

    fn comment(&self, at: usize, notes: &mut Vec<String>) -> Option<OpenComment> {
        let remark = &self.walk.remarks[at];
        let comment = &self.document.comments[remark.comment];
        let text = self.document.comment_text(comment);
        let Some(token) = Token::parse(&text).filter(|token| token.kind == "comment") else {
            if remark.selected && !text.is_empty() {
                let line = crate::error::Position::of(self.document.source, comment.span.start as usize).line;
                notes.push(format!("line {line}: a comment in clear where the file's rule expects an encrypted one"));
            }
            return None;
        };
        let own = self.cipher.decrypt(&token, self.walk.path(remark.path).as_bytes()).ok();
        let misplaced = own.is_none();
        let opened = own.or_else(|| self.places(remark).into_iter().find_map(|path| self.cipher.decrypt(&token, path.as_bytes()).ok()))?;
        let text = match std::str::from_utf8(&opened) {
            Ok(text) if self.document.is_yaml() || !bytes::is_marked(text) => Zeroizing::new(text.to_owned()),
            _ if self.document.is_yaml() => return None,
            _ => bytes::marked(&opened),
        };
        Some(OpenComment { remark: at, text, misplaced })
    }

    /// Other key paths that a comment may have been encrypted under: writers differ in which collection they tie it to, so the
    /// enclosing and neighbouring ones are tried.
    fn places(&self, remark: &Remark) -> Vec<String> {
        let document = self.document;
        let comment = &document.comments[remark.comment];
        let at = document.nodes.partition_point(|node| node.span.start < comment.span.start);
        let mut places = vec![":".to_owned()];
        for near in [at.checked_sub(1), (at < document.nodes.len()).then_some(at)].into_iter().flatten() {
            let mut id = near as NodeId;
            loop {
                places.push(path_of(document, id));
                if document.node(id).parent == NONE {
                    break;
                }
                id = document.node(id).parent;
            }
        }
        places
    }
}

/// genuine sops writes a comment in a list as an item of type comment: it becomes a comment line again.
fn comment_item(document: &Document<'_>, id: NodeId, value: &Scalar<'_>, edits: &mut Edits) {
    let node = document.node(id);
    let text = value.as_text().unwrap_or_default();
    let list = node.parent;
    if node.role != Role::Item || document.node(list).flow {
        drop_item(document, id, edits);
        return;
    }
    let dash = document.source[..node.span.start as usize].rfind('-').unwrap_or(node.span.start as usize);
    let mut line = format!("#{}", text.replace(['\n', '\r'], " "));
    if last_of_comments(document, list, id) {
        // A list of comments only is an empty list with comments.
        let indent = " ".repeat(document.column(dash));
        line.push_str(&format!("{}{indent}[]", document.newline()));
    }
    edits.replace(Span::new(dash, node.span.end as usize), &line);
}

/// JSON has no comments: the item goes, with the comma that parted it from its neighbour.
fn drop_item(document: &Document<'_>, id: NodeId, edits: &mut Edits) {
    let span = document.node(id).span;
    let next = document.node(id).end;
    let follows = next < document.node(document.node(id).parent).end;
    let end = if follows { document.node(next).span.start } else { span.end };
    edits.replace(Span { start: span.start, end }, "");
    if !follows && let Some(comma) = document.source[..span.start as usize].rfind(',') {
        edits.replace(Span::new(comma, span.start as usize), "");
    }
}

fn last_of_comments(document: &Document<'_>, list: NodeId, id: NodeId) -> bool {
    document.node(id).end == document.node(list).end && document.children(list).all(|item| is_comment(document, item))
}

/// Whether an item of a list is the token of a comment, as genuine sops writes it.
pub fn is_comment(document: &Document<'_>, item: NodeId) -> bool {
    document.node(item).kind == Kind::Scalar && Token::parse(document.text(item)).is_some_and(|token| token.kind == "comment")
}

/// The additional data of comments inside the collection at `id`.
fn path_of(document: &Document<'_>, id: NodeId) -> String {
    let mut keys = Vec::new();
    let mut at = id;
    while at != NONE {
        let node = document.node(at);
        if node.role == Role::Value {
            keys.push(document.key_text(at - 1));
        }
        at = node.parent;
    }
    keys.reverse();
    format!("{}:", keys.join(":"))
}

fn repeated(document: &Document<'_>, key: NodeId) -> String {
    let line = crate::error::Position::of(document.source, document.node(key).span.start as usize).line;
    format!("line {line}: the key {} stands twice, and readers don't agree on which value counts", document.key_path(key))
}

fn mismatch(why: &str) -> Error {
    let error = Error::new(ErrorKind::MacMismatch, format!("MAC mismatch: {why}"));
    error
        .hint("the file was changed without the data key, or damaged: compare it with its last good version")
        .hint("after a merge without kveil: kveil resolve; after an edit of clear fields by hand: kveil resign")
        .hint("--ignore-mac shows what can still be read; don't deploy it")
}

/// Whether a document has a `sops` block at its top.
pub fn is_encrypted(document: &Document<'_>) -> bool {
    document.parts.first().is_some_and(|part| document.block_key(part).is_some())
}

/// What can't be read of an encrypted file is 1, as in sops.
fn unloadable(error: Error) -> Error {
    if error.kind == ErrorKind::Unreadable { error.of_kind(ErrorKind::Generic) } else { error }
}
