//! What one version of a file says: which keys it has in clear, which encrypted, and who could open it. No value is kept:
//! ciphertexts and values by hashes that no other run can compare.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::datakey::{DataKey, rewrap};
use crate::document::resolve::Type;
use crate::document::value::Value as Tree;
use crate::document::{Document, Format, NONE, NodeId, detect};
use crate::error::{Error, Kind, Position, Result};
use crate::kubernetes::{Identity, Object, decoded};
use crate::lint::{Encrypted, Level, Subject, argocd, fields, judge, template};
use crate::metadata::{Metadata, SelectorKind};
use crate::recipient::RecipientSpec;
use crate::seal::encrypt;
use crate::seal::value::{Cipher, Token};
use crate::seal::walk::{self, Leaf, Walk};
use crate::select::Selection;
use crate::sorting;

/// A value as this run knows it again.
pub type Print = [u8; 16];

/// One version of a file.
#[derive(Default)]
pub struct Version {
    /// Its objects, and documents that are none.
    pub parts: Vec<Part>,
    /// Of an encrypted one, what its `sops` block says.
    pub block: Option<Block>,
}

/// What a `sops` block says.
pub struct Block {
    /// Who can open the file.
    pub recipients: Vec<RecipientSpec>,
    /// The wrapped keys, by hashes: versions that share one have the same data key.
    pub wraps: Vec<u64>,
    /// What is encrypted.
    pub selector: Option<(SelectorKind, String)>,
    /// What the file is in clear: one whose bytes are encrypted as a whole is any, whatever it is called.
    pub format: &'static dyn Format,
}

impl Block {
    /// Whether the other one is of the same data key, as far as it can be seen.
    pub fn shares_key(&self, other: &Block) -> bool {
        self.wraps.iter().any(|wrap| other.wraps.contains(wrap))
    }
}

/// An object, or a document that is none.
pub struct Part {
    /// Who it is.
    pub identity: Option<Identity>,
    /// `kind`, of an object.
    pub kind: Option<String>,
    /// Whether it is a Secret.
    pub is_secret: bool,
    /// Whether it is one of those that Argo CD is set up by.
    pub is_setup: bool,
    /// The document it stands in.
    pub document: usize,
    /// Its values that aren't empty.
    pub values: Vec<Value>,
}

impl Part {
    /// What a value is paired by with those of other versions: `data` and `stringData` of a Secret are one.
    pub fn pairing(&self, value: &Value) -> String {
        match value.path.strip_prefix("stringData.").filter(|_| self.is_secret) {
            Some(key) => format!("data.{key}"),
            None => value.path.clone(),
        }
    }

    /// The encrypted value of this pairing.
    pub fn sealed(&self, pairing: &str) -> Option<&Sealed> {
        self.values.iter().filter(|value| self.pairing(value) == pairing).find_map(|value| match &value.state {
            State::Sealed(sealed) => Some(sealed),
            State::Clear(_) => None,
        })
    }
}

/// A value.
pub struct Value {
    /// Its key path within the object.
    pub path: String,
    /// How it stands there.
    pub state: State,
}

/// How a value stands there.
pub enum State {
    /// For all to read.
    Clear(Clear),
    /// Encrypted.
    Sealed(Sealed),
}

/// A value in clear that says something.
pub struct Clear {
    /// The keys above it, its own first.
    pub keys: Vec<String>,
    /// How bad that is.
    pub level: Level,
    /// The value, where values are compared.
    pub print: Option<Print>,
}

/// An encrypted value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sealed {
    /// The ciphertext.
    pub hash: u64,
    /// What the ciphertext shows of the value: how long it is, and its type.
    pub shape: (usize, Option<Type>),
    /// The value, where it was opened.
    pub print: Option<Print>,
}

/// An encrypted file of today.
pub struct Today {
    /// As the user named it.
    pub name: String,
    /// What it says.
    pub version: Version,
    /// What is encrypted in it.
    pub selection: Selection,
    /// What recipients are called in the configuration for it.
    pub labels: Vec<(String, String)>,
    /// Where the values of its parts stand.
    positions: Vec<Vec<Position>>,
    cipher: Option<Arc<Cipher>>,
}

impl Today {
    /// Its key path and position of the value of a part with this pairing.
    pub fn find(&self, part: usize, pairing: &str) -> Option<(&str, Position)> {
        let own = self.version.parts.get(part)?;
        let at = own.values.iter().position(|value| own.pairing(value) == pairing)?;
        Some((&own.values.get(at)?.path, *self.positions.get(part)?.get(at)?))
    }
}

/// Reads versions.
pub struct Reader {
    hashes: RandomState,
    /// The key of prints, where values are compared.
    secret: Option<Zeroizing<[u8; 32]>>,
    /// The data keys of today's files, by the hashes of their wrapped keys.
    ciphers: HashMap<u64, Arc<Cipher>>,
}

impl Reader {
    /// One for a run; `compare` says whether values may be compared.
    ///
    /// # Errors
    /// `Generic` (1) if the system has no random numbers.
    pub fn new(compare: bool) -> Result<Reader> {
        let mut secret = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *secret).map_err(|_| Error::new(Kind::Generic, "the system gives no random numbers"))?;
        Ok(Reader { hashes: RandomState::new(), secret: Some(secret).filter(|_| compare), ciphers: HashMap::new() })
    }

    /// Whether values are compared.
    pub fn compares(&self) -> bool {
        self.secret.is_some()
    }

    /// Makes the data keys of today's files known: older versions under the same ones are opened with them.
    pub fn learn(&mut self, todays: &[Today]) {
        for today in todays {
            let (Some(block), Some(cipher)) = (&today.version.block, &today.cipher) else { continue };
            self.ciphers.extend(block.wraps.iter().map(|wrap| (*wrap, Arc::clone(cipher))));
        }
    }

    /// A file of today, if it is encrypted. `data_key` is its data key, once its MAC was found right.
    pub fn today(&self, subject: &Subject<'_>, data_key: Option<&DataKey>) -> Option<Today> {
        let (document, encrypted) = (subject.document?, subject.encrypted.as_ref()?);
        let cipher = data_key.filter(|_| self.compares()).map(|data_key| Arc::new(Cipher::new(data_key.bytes())));
        let (version, offsets) = self.sealed(subject, document, encrypted, cipher.as_deref());
        Some(Today {
            name: subject.name.to_owned(),
            positions: positions(subject.text, &offsets),
            version,
            selection: Selection::of_metadata(encrypted.metadata.selector.as_ref()),
            labels: subject.about.config.map(|config| config.names.clone()).unwrap_or_default(),
            cipher,
        })
    }

    /// A version of former times. Of one in clear only Secrets are taken in, and objects that are `wanted`; at the path of
    /// an encrypted file, where `whole` says so, everything.
    pub fn version(&self, subject: &Subject<'_>, whole: bool, wanted: impl Fn(&Identity) -> bool) -> Version {
        let mut version = match (subject.document.filter(|_| !subject.conflict), &subject.encrypted) {
            (Some(document), Some(encrypted)) => {
                let block = self.block(document, &encrypted.metadata);
                let cipher = block.wraps.iter().find_map(|wrap| self.ciphers.get(wrap)).map(Arc::as_ref);
                return self.sealed(subject, document, encrypted, cipher).0;
            }
            (Some(document), None) if !subject.has_block => self.clear(subject, document),
            (None, _) if subject.unread.is_some() && !subject.conflict => self.by_line(subject.text),
            _ => Version::default(),
        };
        version.parts.retain(|part| whole || part.is_secret || part.identity.as_ref().is_some_and(&wanted));
        version
    }

    fn sealed(
        &self,
        subject: &Subject<'_>,
        document: &Document<'_>,
        encrypted: &Encrypted,
        cipher: Option<&Cipher>,
    ) -> (Version, Vec<Vec<usize>>) {
        let taken = Taking { reader: self, document, walk: &encrypted.walk, cipher, encrypted: true };
        let (parts, offsets) = taken.parts(&subject.objects());
        (Version { parts, block: Some(self.block(document, &encrypted.metadata)) }, offsets)
    }

    fn clear(&self, subject: &Subject<'_>, document: &Document<'_>) -> Version {
        let Ok(walk) = walk::walk(document, &Selection::sops_default()) else { return Version::default() };
        let taken = Taking { reader: self, document, walk: &walk, cipher: None, encrypted: false };
        Version { parts: taken.parts(&subject.objects()).0, block: None }
    }

    /// What no parser reads: Secrets, as people indent them.
    fn by_line(&self, text: &str) -> Version {
        let value = |found: template::Value| {
            let level = judge::clear_value(&found.key, &found.text, found.encoded)?;
            let print = self.print(found.text.as_bytes(), found.encoded);
            let path = format!("{}.{}", if found.encoded { "data" } else { "stringData" }, found.key);
            Some(Value { path, state: State::Clear(Clear { keys: vec![found.key, "data".to_owned()], level, print }) })
        };
        let values: Vec<Value> = template::values(text).into_iter().filter_map(value).collect();
        let part = Part { identity: None, kind: Some("Secret".to_owned()), is_secret: true, is_setup: false, document: 0, values };
        Version { parts: vec![part], block: None }
    }

    fn block(&self, document: &Document<'_>, metadata: &Metadata) -> Block {
        let entries = metadata.groups.iter().flat_map(|group| &group.entries);
        let wraps =
            entries.filter_map(|entry| entry.value.get("enc").and_then(Tree::text)).map(|enc| self.hashes.hash_one(&*enc)).collect();
        Block {
            recipients: rewrap::recipients(metadata).into_iter().flatten().collect(),
            wraps,
            selector: metadata.selector.clone(),
            format: if detect::is_envelope(document) { &detect::BINARY } else { document.format },
        }
    }

    /// The print of a value; of base64 in a Secret's `data` that of what it stands for.
    fn print(&self, bytes: &[u8], encoded: bool) -> Option<Print> {
        let secret = self.secret.as_ref()?;
        let inner = if encoded { std::str::from_utf8(bytes).ok().and_then(decoded::decode) } else { None };
        let mut mac = Hmac::<Sha256>::new_from_slice(&**secret).ok()?;
        mac.update(inner.as_deref().map_or(bytes, Vec::as_slice));
        mac.finalize().into_bytes().get(..16)?.try_into().ok()
    }
}

/// Takes the values out of a file.
struct Taking<'t, 's> {
    reader: &'t Reader,
    document: &'t Document<'s>,
    walk: &'t Walk,
    cipher: Option<&'t Cipher>,
    encrypted: bool,
}

impl Taking<'_, '_> {
    /// The parts of the file, and where their values start.
    fn parts(&self, objects: &[Object<'_>]) -> (Vec<Part>, Vec<Vec<usize>>) {
        let plain = self.document.parts.iter().map(|part| part.root).filter(|root| *root != NONE);
        let plain = plain.filter(|root| !objects.iter().any(|object| object.root == *root));
        let mut parts: Vec<(NodeId, Part)> = objects.iter().map(|object| (object.root, self.of_object(object))).collect();
        parts.extend(plain.map(|root| (root, self.part(root, None))));
        sorting::by_key(&mut parts, |(root, _)| *root);
        let mut offsets = vec![Vec::new(); parts.len()];
        for leaf in &self.walk.leaves {
            let Some(at) = self.part_of(&parts, leaf) else { continue };
            let Some((root, part)) = parts.get_mut(at) else { continue };
            if let Some((value, offset)) = self.value(leaf, *root, part) {
                part.values.push(value);
                offsets[at].push(offset);
            }
        }
        (parts.into_iter().map(|(_, part)| part).collect(), offsets)
    }

    fn of_object(&self, object: &Object<'_>) -> Part {
        let in_clear = |text: &str| Token::parse(text).is_none();
        let known = Some(object).filter(|object| in_clear(object.kind) && object.name.is_none_or(in_clear));
        self.part(object.root, known)
    }

    fn part(&self, root: NodeId, object: Option<&Object<'_>>) -> Part {
        Part {
            identity: object.and_then(Identity::of),
            kind: object.map(|object| object.kind.to_owned()),
            is_secret: object.is_some_and(decoded::is_secret),
            is_setup: argocd::is_setup(self.document, root),
            document: self.document.node(root).document as usize,
            values: Vec::new(),
        }
    }

    /// The innermost part that holds a value.
    fn part_of(&self, parts: &[(NodeId, Part)], leaf: &Leaf) -> Option<usize> {
        let id = self.place(leaf)?;
        let before = parts.partition_point(|(root, _)| *root <= id);
        parts.get(..before)?.iter().rposition(|(root, _)| id < self.document.node(*root).end)
    }

    /// Where a value stands; none for one that an alias only leads to from further above, or that doesn't count.
    fn place(&self, leaf: &Leaf) -> Option<NodeId> {
        let id = if leaf.alias == NONE { leaf.node } else { leaf.alias };
        let own = id == leaf.node || self.document.node(id).target() == leaf.node;
        (own && !leaf.shadow).then_some(id)
    }

    /// The value of a leaf, and where it starts.
    fn value(&self, leaf: &Leaf, root: NodeId, part: &Part) -> Option<(Value, usize)> {
        let id = self.place(leaf)?;
        let (whole, above) = (self.document.key_path(id), self.document.key_path(root));
        let path = whole.strip_prefix(&above).unwrap_or(&whole).trim_start_matches('.').to_owned();
        let text = self.document.text(leaf.node);
        let state = match Token::parse(text).filter(|_| self.encrypted) {
            Some(token) => State::Sealed(self.token(&token, leaf, part, &path)),
            None => State::Clear(self.in_clear(leaf, id, part, &path)?),
        };
        Some((Value { path, state }, self.document.node(id).span.start as usize))
    }

    fn token(&self, token: &Token<'_>, leaf: &Leaf, part: &Part, path: &str) -> Sealed {
        let open = |cipher: &Cipher| cipher.decrypt(token, self.walk.path(leaf.path).as_bytes()).ok();
        let plain = self.cipher.filter(|_| self.reader.compares()).and_then(open);
        Sealed {
            hash: self.reader.hashes.hash_one((token.iv(), token.data(), token.tag())),
            shape: (token.length(), Type::from_name(token.kind)),
            print: plain.and_then(|plain| self.reader.print(&plain, part.is_secret && path.starts_with("data."))),
        }
    }

    fn in_clear(&self, leaf: &Leaf, id: NodeId, part: &Part, path: &str) -> Option<Clear> {
        let describes = part.kind.is_some() && (["apiVersion", "kind"].contains(&path) || path.starts_with("metadata."));
        let elsewhere = part.is_secret && !path.starts_with("data.") && !path.starts_with("stringData.");
        let scalar = self.document.scalar(leaf.node).ok().filter(encrypt::hidden)?;
        if describes || elsewhere || scalar.kind == Type::Comment || Token::is_whole(self.document.text(leaf.node)) {
            return None;
        }
        let keys: Vec<String> = fields::keys_above(self.document, id).map(str::to_owned).collect();
        let encoded = part.is_secret && path.starts_with("data.") && self.document.props(leaf.node).tag.is_none();
        let judge = if part.is_secret && part.is_setup { argocd::clear_value } else { judge::clear_value };
        let level = judge(keys.first().map_or("", String::as_str), self.document.text(leaf.node), encoded)?;
        Some(Clear { keys, level, print: self.reader.print(&scalar.bytes, encoded) })
    }
}

/// Lines and columns of offsets, which ascend in each list.
fn positions(text: &str, offsets: &[Vec<usize>]) -> Vec<Vec<Position>> {
    let starts: Vec<usize> = std::iter::once(0).chain(memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1)).collect();
    let position = |offset: &usize| {
        let line = starts.partition_point(|start| start <= offset);
        let start = starts.get(line.saturating_sub(1)).copied().unwrap_or_default();
        let column = text.get(start..*offset).map_or(0, |before| before.chars().count());
        Position { line, column: column + 1 }
    };
    offsets.iter().map(|offsets| offsets.iter().map(position).collect()).collect()
}
