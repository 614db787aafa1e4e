//! What the next version of a file keeps of the earlier one: the tokens of unchanged values, comments, MAC and record, and
//! the style in which another writer had put its tokens. One changed value is then one changed line.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hash};

use foldhash::fast::RandomState;

use super::decrypt::Reading;
use super::value::Token;
use super::walk::{self, Walk};
use crate::document::layout::{Entry, EntryKind, Step};
use crate::document::resolve::{Scalar, Type};
use crate::document::{Document, Kind, NONE, NodeId, Role};
use crate::metadata::Metadata;

/// The earlier version of a file, opened.
pub struct Earlier<'e> {
    document: &'e Document<'e>,
    plain: Option<&'e Document<'e>>,
    reading: &'e Reading<'e>,
    /// Its metadata.
    pub metadata: &'e Metadata,
    /// Whether tokens may be kept: the data key is the same.
    reuse: bool,
    tokens: Vec<Old<'e>>,
    by_place: HashMap<u64, usize, RandomState>,
    by_token: HashMap<&'e str, usize, RandomState>,
    state: RandomState,
}

/// An encrypted value of the earlier version. A token that stood in the file before is none to be kept: no two values
/// share an IV.
struct Old<'e> {
    node: NodeId,
    /// What it decrypts to, in the plain text.
    plain: Option<NodeId>,
    path: &'e str,
    value: &'e Scalar<'e>,
    token: &'e str,
    first: bool,
}

/// What is kept for the values of the next version, in the order of [`Walk::leaves`].
#[derive(Default)]
pub struct Kept<'e> {
    tokens: Vec<Option<&'e str>>,
    carriers: Vec<Option<Carrier<'e>>>,
    comments: HashMap<u64, Vec<OldComment<'e>>, RandomState>,
}

/// The bytes of an earlier scalar around its token, and the entry of the record that went with them.
#[derive(Clone, Copy)]
pub struct Carrier<'e> {
    /// The bytes before the token.
    pub before: &'e str,
    /// The bytes behind it.
    pub after: &'e str,
    /// The entry that brings the author's bytes back.
    pub entry: Option<&'e Entry>,
    /// What the token says: its text need not tell all of it, as of a float that is shown as an integer.
    value: &'e Scalar<'e>,
}

/// An encrypted comment of the earlier version.
#[derive(Clone, Copy)]
pub struct OldComment<'e> {
    path: &'e str,
    text: &'e str,
    /// Its token.
    pub token: &'e str,
    /// Whether it stood as an item of a list, as genuine sops writes it.
    pub item: bool,
}

impl<'e> Earlier<'e> {
    /// The earlier version: as it stands encrypted, and as it was read. Tokens are kept only with `reuse`.
    pub fn new(document: &'e Document<'e>, reading: &'e Reading<'e>, metadata: &'e Metadata, reuse: bool) -> Earlier<'e> {
        let state = RandomState::default();
        let mut earlier = Earlier {
            document,
            plain: None,
            reading,
            metadata,
            reuse,
            tokens: Vec::with_capacity(reading.values.len()),
            by_place: HashMap::with_capacity_and_hasher(reading.values.len(), state.clone()),
            by_token: HashMap::with_capacity_and_hasher(reading.values.len(), state.clone()),
            state,
        };
        earlier.index();
        earlier
    }

    fn index(&mut self) {
        let (document, reading) = (self.document, self.reading);
        let places = self.places(document);
        for (leaf, plain) in reading.walk.leaves.iter().zip(&reading.values) {
            if !plain.encrypted || leaf.alias != NONE || plain.value.kind == Type::Comment {
                continue;
            }
            let Some(token) = token_in(document.text(leaf.node)) else { continue };
            let (path, at) = (reading.walk.path(leaf.path), self.tokens.len());
            let first = *self.by_token.entry(token).or_insert(at) == at;
            self.by_place.insert(places[leaf.node as usize], at);
            self.tokens.push(Old { node: leaf.node, plain: None, path, value: &plain.value, token, first });
        }
    }

    /// The same with the text it decrypts to, parsed: what is unchanged there keeps the style that carries its token, too.
    #[must_use]
    pub fn with_styles(mut self, plain: &'e Document<'e>) -> Earlier<'e> {
        for (id, place) in self.places(plain).into_iter().enumerate() {
            let scalar = plain.nodes[id].kind == Kind::Scalar && plain.nodes[id].role != Role::Key;
            if let Some(old) = self.by_place.get(&place).filter(|_| scalar) {
                self.tokens[*old].plain = Some(id as NodeId);
            }
        }
        self.plain = Some(plain);
        self
    }

    /// A number for the place of every node, the same for the same place in another version. Comments that stand as
    /// items don't count.
    fn places(&self, document: &Document<'_>) -> Vec<u64> {
        let mut places: Vec<u64> = Vec::with_capacity(document.nodes.len());
        let mut counts = vec![0_u64; document.nodes.len()];
        for (id, node) in document.nodes.iter().enumerate() {
            let above = places.get(node.parent as usize).copied().unwrap_or(0);
            let place = match node.role {
                Role::Root => self.place(0, &u64::from(node.document)),
                Role::Key => 0,
                Role::Value => self.place(above, document.key_text(id as NodeId - 1)),
                Role::Shadow => self.place(above, &(document.key_text(id as NodeId - 1), Role::Shadow as u8)),
                Role::Item => {
                    let comment = node.kind == Kind::Scalar && is_comment_item(document.text(id as NodeId));
                    let count = &mut counts[node.parent as usize];
                    *count += u64::from(!comment);
                    self.place(above, &(*count, comment))
                }
            };
            places.push(place);
        }
        places
    }

    fn place(&self, above: u64, step: &(impl Hash + ?Sized)) -> u64 {
        self.state.hash_one((above, step))
    }

    /// What a token says under a key path, if this is a token and the key path of the earlier version, which was opened with
    /// the same data key.
    pub fn opened(&self, token: &str, path: &str) -> Option<&'e Scalar<'e>> {
        let old = self.by_token.get(token).filter(|_| self.reuse).map(|at| &self.tokens[*at])?;
        (old.path == path).then_some(old.value)
    }

    /// What the values of the next version keep.
    pub fn kept(&self, document: &Document<'_>, walk: &Walk, values: &[Scalar<'_>]) -> Kept<'e> {
        let places = self.places(document);
        let olds: Vec<Option<usize>> = walk
            .leaves
            .iter()
            .map(|leaf| (leaf.alias == NONE).then(|| self.by_place.get(&places[leaf.node as usize]).copied()).flatten())
            .collect();
        let entries = self.entries();
        let carrier = |(leaf, old): (&walk::Leaf, &Option<usize>)| {
            let entry = || entries.get(&places[leaf.node as usize]).copied();
            self.carrier(document, leaf.node, &self.tokens[(*old)?], entry)
        };
        let carriers: Vec<Option<Carrier<'e>>> = walk.leaves.iter().zip(&olds).map(carrier).collect();
        Kept {
            tokens: if self.reuse { self.tokens(walk, values, &olds, &carriers) } else { Vec::new() },
            carriers,
            comments: if self.reuse { self.comments() } else { HashMap::default() },
        }
    }

    /// For every value its token: that of the same place, else one of the same value under the same key path that no
    /// other value takes (an item that moved).
    fn tokens(&self, walk: &Walk, values: &[Scalar<'_>], olds: &[Option<usize>], carriers: &[Option<Carrier<'e>>]) -> Vec<Option<&'e str>> {
        let mut left: Vec<bool> = self.tokens.iter().map(|old| old.first).collect();
        let same = |at: usize, old: usize| {
            let (old, value) = (&self.tokens[old], carriers[at].map_or(&values[at], |carrier| carrier.value));
            old.value == value && old.path == walk.path(walk.leaves[at].path)
        };
        let mut tokens: Vec<Option<&'e str>> = Vec::with_capacity(olds.len());
        for (at, old) in olds.iter().enumerate() {
            let found = old.filter(|old| left[*old] && same(at, *old));
            tokens.push(found.map(|old| {
                left[old] = false;
                self.tokens[old].token
            }));
        }
        let missing: Vec<usize> = (0..tokens.len()).filter(|at| tokens[*at].is_none() && walk.leaves[*at].selected).collect();
        if missing.is_empty() {
            return tokens;
        }
        let mut moved: HashMap<u64, Vec<usize>, RandomState> = HashMap::with_hasher(self.state.clone());
        for (at, old) in self.tokens.iter().enumerate().rev().filter(|(at, _)| left[*at]) {
            moved.entry(self.state.hash_one((old.path, &old.value.bytes[..]))).or_default().push(at);
        }
        for at in missing {
            let content = self.state.hash_one((walk.path(walk.leaves[at].path), &values[at].bytes[..]));
            let candidates = moved.get_mut(&content);
            tokens[at] = candidates.and_then(Vec::pop).filter(|old| same(at, *old)).map(|old| self.tokens[old].token);
        }
        tokens
    }

    /// The bytes around the earlier token, if the author's text of this value is what the earlier version decrypts to.
    fn carrier(
        &self,
        document: &Document<'_>,
        id: NodeId,
        old: &Old<'e>,
        entry: impl FnOnce() -> Option<&'e Entry>,
    ) -> Option<Carrier<'e>> {
        let plain = self.plain?;
        let (node, before) = (document.node(id), old.plain?);
        let carrying = self.document.node(old.node);
        let bare = |document: &Document<'_>, id| document.props(id).tag.is_none() && document.props(id).anchor_span.is_none();
        let unchanged = node.kind == Kind::Scalar
            && document.slice(node.span) == plain.slice(plain.node(before).span)
            && node.flow == carrying.flow
            && bare(document, id)
            && bare(self.document, old.node);
        let whole = self.document.slice(carrying.span);
        let has_lines = |text: &str| memchr::memchr(b'\n', text.as_bytes()).is_some();
        let token_has_lines = has_lines(whole);
        let lines = token_has_lines || has_lines(document.slice(node.span));
        if !unchanged || lines && document.parent_column(id) != plain.parent_column(before) {
            return None;
        }
        if token_has_lines && !closed(document, id) {
            return None;
        }
        // Nearly always right at its start: no searcher is set up for every value.
        let at = memchr::memchr_iter(b'E', whole.as_bytes()).find(|at| whole.as_bytes()[*at..].starts_with(old.token.as_bytes()))?;
        let entry = entry().filter(|entry| entry.bytes.as_str() == document.slice(document.carried(id)));
        Some(Carrier { before: &whole[..at], after: &whole[at + old.token.len()..], entry, value: old.value })
    }

    /// The entries of the record for scalars, by place.
    fn entries(&self) -> HashMap<u64, &'e Entry, RandomState> {
        let mut entries = HashMap::with_hasher(self.state.clone());
        for entry in self.reading.entries.iter().filter(|entry| entry.kind == EntryKind::Scalar) {
            let root = self.place(0, &u64::from(entry.document));
            let place = entry.path.iter().fold(root, |above, step| match step {
                Step::Key(key) => self.place(above, key.as_str()),
                Step::Index(index) => self.place(above, &(*index + 1, false)),
            });
            entries.insert(place, entry);
        }
        entries
    }

    fn comments(&self) -> HashMap<u64, Vec<OldComment<'e>>, RandomState> {
        let (document, reading) = (self.document, self.reading);
        let mut comments: HashMap<u64, Vec<OldComment<'_>>, RandomState> = HashMap::with_hasher(self.state.clone());
        let mut seen = HashSet::with_hasher(self.state.clone());
        let mut keep = |path, text, token: Option<&'e str>, item| {
            if let Some(token) = token.filter(|token| seen.insert(*token)) {
                comments.entry(self.state.hash_one((path, text))).or_default().push(OldComment { path, text, token, item });
            }
        };
        for open in reading.comments.iter().filter(|open| !open.misplaced) {
            let remark = &reading.walk.remarks[open.remark];
            let comment = document.slice(document.comments[remark.comment].span);
            let token = comment.find("ENC[").and_then(|start| token_in(&comment[start..]));
            keep(reading.walk.path(remark.path), open.text.as_str(), token, false);
        }
        for (leaf, plain) in reading.walk.leaves.iter().zip(&reading.values) {
            if let (true, Type::Comment, Some(text)) = (plain.encrypted, plain.value.kind, plain.value.as_text()) {
                keep(reading.walk.path(leaf.path), text, token_in(document.text(leaf.node)), true);
            }
        }
        comments.values_mut().for_each(|list| list.reverse());
        comments
    }

    /// The MAC's token, if `mac` is the one it holds.
    pub fn mac(&self, mac: &str) -> Option<&'e str> {
        let same = self.reuse && self.reading.signed.as_deref() == Some(mac);
        self.metadata.mac.as_deref().filter(|_| same)
    }

    /// The record's token, if it holds `entries`.
    pub fn record(&self, entries: &[Entry]) -> Option<&'e str> {
        self.metadata.layout.as_deref().filter(|_| self.reuse && self.reading.entries == entries)
    }
}

impl<'e> Kept<'e> {
    /// The token that the value at this index keeps.
    pub fn token(&self, at: usize) -> Option<&'e str> {
        self.tokens.get(at).copied().flatten()
    }

    /// The bytes around its token that it keeps.
    pub fn carrier(&self, at: usize) -> Option<Carrier<'e>> {
        self.carriers.get(at).copied().flatten()
    }

    /// What the value at this index is where it stands as it was: the text of a float may be that of an integer, and `-0` that
    /// of another number.
    pub fn value(&self, at: usize) -> Option<&'e Scalar<'e>> {
        self.carrier(at).map(|carrier| carrier.value)
    }

    /// Takes the token of a comment.
    pub fn take_comment(&mut self, path: &str, text: &str) -> Option<OldComment<'e>> {
        let key = self.comments.hasher().hash_one((path, text));
        self.comments.get_mut(&key)?.pop_if(|old| old.path == path && old.text == text)
    }
}

/// The token that `text` starts with: what stands behind it is ignored by readers.
fn token_in(text: &str) -> Option<&str> {
    Token::parse(text)?;
    text.find(']').map(|end| &text[..=end])
}

fn is_comment_item(text: &str) -> bool {
    Token::parse(text).is_some_and(|token| token.kind == "comment")
}

/// Whether a scalar of several lines is nothing but its lines: no comment beside its header, no blank lines kept.
fn closed(document: &Document<'_>, id: NodeId) -> bool {
    let node = document.node(id);
    if !node.is_block_scalar() {
        return true;
    }
    let header = document.header(id);
    let line = &document.source[node.span.start as usize..node.body().min(document.source.len())];
    !header.contains('+') && line.trim_end() == header
}
