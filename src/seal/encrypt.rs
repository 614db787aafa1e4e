//! Encrypting: every selected value and comment becomes an ENC token in the style of its scalar; the layout record
//! keeps what styles can't; the `sops` block goes into every document.

use zeroize::Zeroizing;

use super::keep::{Carrier, Earlier, Kept};
use super::mac;
use super::sign::Signer;
use super::value::{Cipher, Ivs};
use super::walk::{self, Leaf, Walk};
use crate::document::edit::Edits;
use crate::document::layout::{self, Entry, EntryKind};
use crate::document::resolve::{Scalar, Type};
use crate::document::{Document, Kind, NONE, NodeId, Span, bytes};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::metadata::Metadata;
use crate::secret::Secret;
use crate::select::Selection;

/// Files of fewer values are encrypted on the calling thread: starting another costs more than it saves.
const PARALLEL: usize = 5_000;

/// Texts of more bytes have their MAC made beside the encryption.
const LARGE: usize = 200_000;

/// What a file is encrypted with.
pub struct Request<'r> {
    /// Which values.
    pub selection: &'r Selection,
    /// AES-256-GCM under the file's data key.
    pub cipher: &'r Cipher,
    /// Recipients, selector and time; `mac` and `layout` are filled in here.
    pub metadata: Metadata,
    /// Columns a level for the block; [`None`] as genuine sops.
    pub indent: Option<usize>,
    /// Whether a layout record may be written.
    pub layout: bool,
    /// Take a first document without content although others follow (genuine sops does).
    pub lenient: bool,
    /// The version of the file that this is the next one of.
    pub earlier: Option<&'r Earlier<'r>>,
}

/// What became of a file.
pub struct Sealed {
    /// The encrypted file.
    pub text: Zeroizing<String>,
    /// Number of encrypted values.
    pub encrypted: usize,
    /// Number of encrypted values whose tokens are those of the earlier version.
    pub kept: usize,
    /// Number of encrypted comments.
    pub comments: usize,
    /// Integers too large for 64 bits, whose digits sops would lose: key paths.
    pub lossy: Vec<String>,
    /// What its `sops` block says.
    pub metadata: Metadata,
}

/// Encrypts a parsed plain file.
///
/// # Errors
/// `AlreadyEncrypted` (203), `EncryptTree` (23) for what can't be encrypted safely, with position and key path.
pub fn encrypt(document: &Document<'_>, request: Request<'_>) -> Result<Sealed> {
    refuse(document, request.lenient)?;
    refuse_comment_rule(document, request.selection)?;
    let walk = walk::walk(document, request.selection)?;
    refuse_leaks(document, &walk)?;
    let values = resolve_all(document, &walk)?;
    let only_encrypted = request.metadata.mac_only_encrypted;
    let sealed = || -> Result<Sealer<'_, '_>> {
        let mut sealer = Sealer {
            document,
            kept: request.earlier.map(|earlier| earlier.kept(document, &walk, &values)).unwrap_or_default(),
            walk: &walk,
            values: &values,
            cipher: request.cipher,
            ivs: Ivs::new(),
            edits: Edits::default(),
            entries: Vec::new(),
            indexes: layout::Indexes::default(),
        };
        sealer.values()?;
        Ok(sealer)
    };
    let (mut sealer, mac) = if document.source.len() < LARGE {
        (sealed()?, mac::of(&walk, &values, only_encrypted))
    } else {
        std::thread::scope(|scope| {
            let mac = scope.spawn(|| mac::of(&walk, &values, only_encrypted));
            let sealer = sealed()?;
            Ok::<_, Error>((sealer, mac.join().map_err(|_| Error::new(ErrorKind::Generic, "a worker thread failed"))?))
        })?
    };
    let mac = sealer.corrected_mac(only_encrypted).unwrap_or(mac);
    let comments = sealer.comments(request.selection)?;
    sealer.alias_keys();
    sealer.roots();
    sealer.end_of_file();
    let (same_values, kept) = sealer.kept_tokens();
    let (mut edits, entries) = (sealer.edits, sealer.entries);
    let signer = Signer { cipher: request.cipher, earlier: request.earlier, same_values };
    let metadata = signer.finish(request.metadata, &mac, if request.layout { &entries } else { &[] })?;
    document.format.add_block(document, &metadata.write(), request.indent, &mut edits);
    let encrypted = walk.leaves.iter().zip(&values).filter(|(leaf, value)| leaf.selected && hidden(value)).count();
    let lossy = lossy(document, &walk, &values);
    for value in values {
        if let std::borrow::Cow::Owned(mut bytes) = value.bytes {
            crate::secret::wipe(&mut bytes);
        }
    }
    Ok(Sealed { text: edits.apply(document.source), encrypted, kept, comments, lossy, metadata })
}

/// Whether a selected value is really encrypted: sops leaves nulls and empty strings in clear.
pub fn hidden(value: &Scalar<'_>) -> bool {
    value.kind != Type::Null && !value.bytes.is_empty()
}

fn refuse(document: &Document<'_>, lenient: bool) -> Result<()> {
    let content = |root: NodeId| root != NONE && document.node(root).kind == Kind::Mapping;
    for (at, part) in document.parts.iter().enumerate() {
        if let Some(key) = document.block_key(part) {
            let kind = if at == 0 { ErrorKind::AlreadyEncrypted } else { ErrorKind::Emit };
            let message = "the file already has a top-level `sops` entry: it is encrypted, or uses the reserved name";
            let error = Error::new(kind, message).at(document.source, document.node(key).span.start as usize);
            return Err(error
                .hint("kveil decrypt shows an encrypted file, kveil edit and kveil set change it")
                .hint("a key of your own needs another name"));
        }
    }
    if document.format.flat().is_some() && !document.format.is_bytes() && bytes::is_marked(document.source) {
        let error = Error::new(ErrorKind::Unreadable, "bytes that aren't UTF-8 text, which can be decrypted but not encrypted again");
        return Err(error.hint("decrypt the file, convert it (iconv), and encrypt it"));
    }
    let first = document.parts.first().map_or(NONE, |part| part.root);
    let others = document.parts.iter().skip(1).any(|part| content(part.root));
    if !content(first) && others && !lenient {
        let error = Error::new(ErrorKind::EncryptTree, "the first document is empty and others follow").at(document.source, 0);
        return Err(error.hint("delete the leading `---`"));
    }
    Ok(())
}

/// Refuses a rule about comments where SOPS ties them to other values than people do.
fn refuse_comment_rule(document: &Document<'_>, selection: &Selection) -> Result<()> {
    let matching = document.comments.iter().find(|comment| selection.matches_comment(&document.comment_text(comment)));
    let Some(comment) = matching.filter(|_| !document.format.ties_comments()) else { return Ok(()) };
    let message = "the rule matches this comment, but sops ties it to the key after the one it stands at";
    let error = Error::new(ErrorKind::EncryptTree, message).at(document.source, comment.span.start as usize);
    Err(error.hint("choose values of this format by their keys: encrypted_regex"))
}

/// Refuses a value that an alias would leave in clear in one place and encrypted in another (genuine sops leaks it).
fn refuse_leaks(document: &Document<'_>, walk: &Walk) -> Result<()> {
    if walk.leaves.iter().all(|leaf| leaf.alias == NONE) {
        return Ok(());
    }
    let mut places = vec![None; document.nodes.len()];
    for leaf in walk.leaves.iter().filter(|leaf| leaf.alias == NONE) {
        places[leaf.node as usize] = Some(leaf.selected);
    }
    for leaf in walk.leaves.iter().filter(|leaf| leaf.alias != NONE) {
        let elsewhere = places[leaf.node as usize].unwrap_or(leaf.selected);
        if elsewhere != leaf.selected && hidden(&document.scalar(leaf.node)?) {
            let message =
                format!("this alias would leave a value in clear that is encrypted elsewhere, that of {}", document.key_path(leaf.node));
            let error = document.error(leaf.alias, ErrorKind::EncryptTree, message);
            return Err(error.hint("write the value out in place of the alias, or have the rule select both places"));
        }
    }
    Ok(())
}

fn resolve_all<'d>(document: &'d Document<'_>, walk: &Walk) -> Result<Vec<Scalar<'d>>> {
    let mut values = Vec::with_capacity(walk.leaves.len());
    for leaf in &walk.leaves {
        values.push(if leaf.selected { document.secret(leaf.node)? } else { document.scalar(leaf.node)? });
    }
    Ok(values)
}

/// Integers beyond 64 bits are floats to sops: their digits change for its readers.
fn lossy(document: &Document<'_>, walk: &Walk, values: &[Scalar<'_>]) -> Vec<String> {
    let digits = |text: &str| text.trim_start_matches(['+', '-']).bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    let lost = |leaf: &Leaf, value: &Scalar<'_>| value.kind == Type::Float && value.bytes.len() > 18 && digits(document.text(leaf.node));
    let pairs = walk.leaves.iter().zip(values).filter(|(leaf, value)| lost(leaf, value));
    pairs.map(|(leaf, _)| document.key_path(leaf.node)).collect()
}

/// A file on its way: what is replaced, and what the record has to keep.
pub(super) struct Sealer<'r, 's> {
    pub(super) document: &'r Document<'s>,
    pub(super) walk: &'r Walk,
    pub(super) values: &'r [Scalar<'r>],
    pub(super) cipher: &'r Cipher,
    pub(super) kept: Kept<'r>,
    pub(super) ivs: Ivs,
    pub(super) edits: Edits,
    pub(super) entries: Vec<Entry>,
    pub(super) indexes: layout::Indexes,
}

/// A run of values, sealed.
struct Half {
    edits: Edits,
    /// Values that their style alone doesn't bring back as the author wrote them, in order.
    unlike: Vec<usize>,
}

/// Tags that sops applies and drops: a reader would apply them to the token.
fn is_core(tag: &str) -> bool {
    tag.strip_prefix("tag:yaml.org,2002:").is_some_and(|name| name != "str")
}

impl Sealer<'_, '_> {
    fn values(&mut self) -> Result<()> {
        let mut unlike = Vec::new();
        for sealed in self.halves()? {
            self.edits.join(sealed.edits);
            unlike.extend(sealed.unlike);
        }
        let (mut unlike, mut at) = (unlike.into_iter().peekable(), 0);
        while at < self.walk.leaves.len() {
            let leaf = &self.walk.leaves[at];
            if leaf.alias != NONE {
                let end = at + self.walk.leaves[at..].iter().take_while(|other| other.alias == leaf.alias).count();
                self.alias(leaf.alias, at..end)?;
                at = end;
            } else {
                if self.is_token(at) {
                    self.keep_text(at, unlike.next_if_eq(&at).is_some());
                }
                at += 1;
            }
        }
        Ok(())
    }

    pub(super) fn is_token(&self, at: usize) -> bool {
        self.walk.leaves[at].selected && hidden(&self.values[at])
    }

    /// The value to encrypt: what the text says, or what the earlier version says of the same text.
    fn value(&self, at: usize) -> &Scalar<'_> {
        self.kept.value(at).filter(|_| self.is_token(at)).unwrap_or(&self.values[at])
    }

    /// The MAC, where the text doesn't tell the plaintext of all values.
    fn corrected_mac(&self, only_encrypted: bool) -> Option<String> {
        let values = || (0..self.values.len()).map(|at| self.value(at));
        let as_read = values().zip(self.values).all(|(value, read)| value.bytes == read.bytes);
        (!as_read).then(|| mac::of(self.walk, values(), only_encrypted))
    }

    /// Whether all tokens are kept ones, and how many are.
    fn kept_tokens(&self) -> (bool, usize) {
        let kept = (0..self.walk.leaves.len()).filter(|at| self.is_token(*at)).map(|at| self.kept.token(at).is_some());
        kept.fold((true, 0), |(all, count), kept| (all && kept, count + usize::from(kept)))
    }

    /// All values that are encrypted in their own place, in order; large files in two halves on two threads.
    fn halves(&self) -> Result<Vec<Half>> {
        let count = self.walk.leaves.len();
        if count < PARALLEL {
            return Ok(vec![self.half(0..count)?]);
        }
        let middle = count / 2;
        std::thread::scope(|scope| {
            let second = scope.spawn(|| self.half(middle..count));
            let first = self.half(0..middle)?;
            let second = second.join().map_err(|_| Error::new(ErrorKind::Generic, "a worker thread failed"))??;
            Ok(vec![first, second])
        })
    }

    fn half(&self, range: std::ops::Range<usize>) -> Result<Half> {
        let (mut ivs, mut scratch) = (Ivs::new(), Secret::default());
        let bytes: usize = self.values[range.clone()].iter().map(|value| value.bytes.len() * 4 / 3 + 128).sum();
        let mut half = Half { edits: Edits::with_capacity(range.len(), bytes), unlike: Vec::new() };
        for at in range.filter(|at| self.is_token(*at) && self.walk.leaves[*at].alias == NONE) {
            self.put_token(at, &mut ivs, &mut half.edits)?;
            let carried = self.kept.carrier(at).is_some();
            if !carried && !self.document.renders_as_written(self.walk.leaves[at].node, &self.values[at], &mut scratch) {
                half.unlike.push(at);
            }
        }
        Ok(half)
    }

    /// The token of a value in its place: in the style of its scalar, or in the bytes that were around it in the earlier
    /// version.
    fn put_token(&self, at: usize, ivs: &mut Ivs, edits: &mut Edits) -> Result<()> {
        let (document, id) = (self.document, self.walk.leaves[at].node);
        let Some(carrier) = self.kept.carrier(at) else {
            let write = |out: &mut String| document.write_token(id, out, |out| self.token(at, ivs, out));
            return edits.write(document.carried(id), write);
        };
        let span = self.make_way(id, &carrier, edits);
        edits.write(span, |out| {
            out.push_str(carrier.before);
            let written = self.token(at, ivs, out);
            out.push_str(carrier.after);
            written
        })
    }

    /// Appends the token of a value: the earlier version's, if it still says it.
    pub(super) fn token(&self, at: usize, ivs: &mut Ivs, out: &mut String) -> Result<()> {
        let (leaf, value) = (&self.walk.leaves[at], self.value(at));
        match self.kept.token(at) {
            Some(token) => out.push_str(token),
            None => self.cipher.encrypt(&value.bytes, value.kind, self.walk.path(leaf.path).as_bytes(), &ivs.take()?, out)?,
        }
        Ok(())
    }

    /// The bytes that the carrier takes the place of.
    fn make_way(&self, id: NodeId, carrier: &Carrier<'_>, edits: &mut Edits) -> Span {
        let (document, node) = (self.document, self.document.node(id));
        let one_line = !carrier.before.contains('\n') && !carrier.after.contains('\n');
        if !node.is_block_scalar() || !one_line {
            return node.span;
        }
        // The lines go; a comment beside the header stays beside the token.
        let header = Span::new(node.span.start as usize, node.span.start as usize + document.header(id).len());
        let line = document.line_end(header.end as usize);
        edits.replace(Span::new(line, document.lines_end(id).max(line)), "");
        header
    }

    /// Has the record keep what the token's style can't; `unlike`: the value in that style isn't what the author wrote.
    fn keep_text(&mut self, at: usize, unlike: bool) {
        let (document, id) = (self.document, self.walk.leaves[at].node);
        if let Some(carrier) = self.kept.carrier(at) {
            if let Some(entry) = carrier.entry {
                self.record(id, EntryKind::Scalar, &entry.bytes);
            }
            return;
        }
        let props = document.props(id);
        let core = props.tag.as_deref().is_some_and(is_core);
        let glued = props.anchor_span.is_some_and(|anchor| anchor.end >= document.node(id).span.start);
        if core || glued {
            self.drop_tag(id);
        } else if unlike {
            self.record(id, EntryKind::Scalar, document.slice(document.carried(id)));
        }
    }

    /// A core tag would be applied to the token; it is dropped, the record brings it back.
    fn drop_tag(&mut self, id: NodeId) {
        let span = self.document.node(id).span;
        let props = self.document.props(id);
        // An anchor may run into its value (yaml.v3 ends its name earlier than other parsers).
        let anchor = props.anchor_span.map(|anchor| self.document.slice(Span { start: anchor.start, end: anchor.end.min(span.start) }));
        let start = [props.tag_span, props.anchor_span].into_iter().flatten().map(|span| span.start).min().unwrap_or(span.start);
        let kept = anchor.map_or(String::new(), |anchor| format!("{anchor} "));
        self.edits.replace(Span { start, end: span.start }, &kept);
        self.record(id, EntryKind::Tag, self.document.slice(Span { start, end: span.end }));
    }

    pub(super) fn record(&mut self, id: NodeId, kind: EntryKind, bytes: &str) {
        let path = self.indexes.steps(self.document, id);
        self.entries.push(Entry { document: self.document.node(id).document, path, kind, bytes: Zeroizing::new(bytes.to_owned()) });
    }

    fn comments(&mut self, selection: &Selection) -> Result<usize> {
        let mut count = 0;
        for remark in self.walk.remarks.iter().filter(|remark| remark.selected) {
            let comment = &self.document.comments[remark.comment];
            let text = self.document.comment_text(comment);
            if text.is_empty() {
                self.empty_comment(comment);
                continue;
            }
            let token = self.comment(comment, &text, self.walk.path(remark.path))?;
            if selection.matches_comment(&token[1..]) {
                let message = "the encrypted comment would match the rule itself, what follows it would count as in clear";
                return Err(Error::new(ErrorKind::EncryptTree, message)
                    .at(self.document.source, comment.span.start as usize)
                    .hint("make the pattern more specific"));
            }
            match self.document.format.flat() {
                Some(flat) => flat.write_comment_token(self.document, comment, &token[1..], &mut self.edits),
                None => self.edits.replace(comment.span, &token),
            }
            count += 1;
        }
        Ok(count)
    }

    /// The token of a comment, with `#` before it; as an item of its list if genuine sops had written it so.
    fn comment(&mut self, comment: &crate::document::Comment, text: &str, path: &str) -> Result<String> {
        match self.kept.take_comment(path, text) {
            Some(old) if old.item && self.as_item(comment) => Ok(format!("- {}", old.token)),
            Some(old) => Ok(format!("#{}", old.token)),
            None => {
                let mut token = String::from("#");
                self.cipher.encrypt(text.as_bytes(), Type::Comment, path.as_bytes(), &self.ivs.take()?, &mut token)?;
                Ok(token)
            }
        }
    }

    /// Whether an item could stand in a comment's place.
    fn as_item(&self, comment: &crate::document::Comment) -> bool {
        let document = self.document;
        let list = (comment.container != NONE).then(|| document.node(comment.container));
        let block = list.is_some_and(|list| list.kind == Kind::Sequence && !list.flow);
        block && !comment.inline && document.column(comment.span.start as usize) == document.column_of(comment.container)
    }

    /// An empty comment can't be encrypted, and inside an encrypted list genuine sops would turn it into an item.
    fn empty_comment(&mut self, comment: &crate::document::Comment) {
        let document = self.document;
        let in_list = comment.container != NONE && document.node(comment.container).kind == Kind::Sequence;
        if !in_list {
            return;
        }
        let start = comment.span.start as usize;
        let line = document.line_start(start);
        let before = document.source[line..start].trim_end_matches([' ', '\t']).len() + line;
        let from = if comment.inline { before } else { line };
        let after =
            document.source[comment.span.end as usize..].find('\n').map_or(document.source.len(), |n| comment.span.end as usize + n + 1);
        let to = if comment.inline { comment.span.end as usize } else { after };
        let number = memchr::memchr_iter(b'\n', &document.source.as_bytes()[..start]).count();
        let path = vec![layout::Step::Index(number as u64)];
        let bytes = Zeroizing::new(document.source[from..to].to_owned());
        self.entries.push(Entry { document: comment.document, path, kind: EntryKind::Comment, bytes });
        self.edits.replace(Span::new(from, to), "");
    }

    /// A first document without content holds nothing but its block; the record keeps what stood there.
    fn roots(&mut self) {
        let Some(part) = self.document.parts.first() else { return };
        let (id, document) = (part.root, self.document);
        if !document.is_yaml() || id != NONE && document.node(id).kind == Kind::Mapping {
            return;
        }
        let span = if id == NONE { Span::default() } else { document.node(id).span };
        self.edits.replace(span, "");
        let bytes = Zeroizing::new(document.slice(span).to_owned());
        let path = vec![layout::Step::Index(u64::from(span.start))];
        self.entries.push(Entry { document: 0, path, kind: EntryKind::Root, bytes });
    }

    /// Lines have no styles: only the length of the added line break is kept.
    fn open_end(&mut self) {
        let added = self.document.format.flat().map_or(0, |flat| flat.newline(self.document).len()) as u64;
        if !self.document.source.is_empty() {
            let path = vec![layout::Step::Index(added)];
            self.entries.push(Entry { document: 0, path, kind: EntryKind::End, bytes: Zeroizing::default() });
        }
    }

    /// A file that ends without a line break gets one before the block; a block scalar in clear that ends there keeps
    /// its value only without the break.
    fn end_of_file(&mut self) {
        let document = self.document;
        if document.is_json() || document.source.ends_with('\n') {
            return;
        }
        if !document.is_yaml() {
            return self.open_end();
        }
        let Some(part) = document.parts.last() else { return };
        let mapping = part.root != NONE && document.node(part.root).kind == Kind::Mapping && !document.node(part.root).flow;
        let first = document.parts.len() == 1 && (part.root == NONE || document.node(part.root).kind != Kind::Mapping);
        if part.end as usize != document.source.len() || !(mapping || first) {
            return;
        }
        let last = document.nodes.len() as NodeId - 1;
        let node = document.node(last);
        let open = node.is_block_scalar() && node.span.end as usize == document.source.len() && !document.header(last).contains('-');
        let clear = open
            && self
                .walk
                .leaves
                .iter()
                .zip(self.values)
                .any(|(leaf, value)| leaf.node == last && leaf.alias == NONE && !(leaf.selected && hidden(value)));
        let (path, bytes) =
            if clear { (self.indexes.steps(document, last), document.header(last).to_owned()) } else { (Vec::new(), String::new()) };
        if clear {
            let start = node.span.start as usize;
            let header = format!("{}-", bytes.trim_end_matches('+'));
            self.edits.replace(Span::new(start, start + bytes.len()), &header);
        }
        self.entries.push(Entry { document: document.parts.len() as u32 - 1, path, kind: EntryKind::End, bytes: Zeroizing::new(bytes) });
    }
}
