//! A file at one side of a comparison: its objects, and of each the values by key path, opened where an identity fits.

use std::collections::{HashMap, HashSet};

use zeroize::Zeroizing;

use crate::datakey::{self, DataKey};
use crate::document::resolve::Type;
use crate::document::{Document, Format, Kind, NONE, NodeId, Part, Role};
use crate::error::{Error, Result};
use crate::kubernetes::{self, Identity, decoded};
use crate::metadata::Metadata;
use crate::pipeline;
use crate::recipient::Identities;
use crate::seal::decrypt::{self, Plain, Reading};
use crate::seal::value::{Cipher, Token};
use crate::seal::walk;
use crate::select::Selection;
use crate::tree::choice;

/// How files are opened.
pub struct Opening<'i> {
    /// The identities at hand; without them only the structure is read: nothing is run, asked or prompted for.
    pub identities: Option<&'i Identities>,
    /// The order in which kinds of recipients are tried.
    pub order: &'i [String],
    /// The format of a file by its name and text.
    pub format: fn(&str, &str) -> &'static dyn Format,
}

/// How much of a file is seen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum View {
    /// It isn't encrypted.
    Clear,
    /// Its values are decrypted.
    Opened,
    /// Its structure alone: nobody asked for more.
    Keyless,
    /// Its structure alone: no identity opens it.
    NoIdentity,
    /// Its structure alone: a value in it can't be decrypted. Where, and why.
    Damaged(String),
}

impl View {
    /// Whether the values are not seen.
    pub fn is_sealed(&self) -> bool {
        matches!(self, View::Keyless | View::NoIdentity | View::Damaged(_))
    }
}

/// A file, read.
pub struct Version {
    /// How much of it is seen.
    pub view: View,
    /// The `sops` block of an encrypted file.
    pub block: Option<Metadata>,
    /// The data key of an opened one.
    pub data_key: Option<DataKey>,
    /// Whether the MAC of an opened one fits.
    pub signed: bool,
    /// Its documents.
    pub objects: Vec<Object>,
    /// Its encrypted comments: their texts where they are opened, else their tokens.
    pub comments: Vec<Zeroizing<String>>,
}

/// A document of a file.
pub struct Object {
    /// Of a Kubernetes object with a name.
    pub identity: Option<Identity>,
    /// `kind`, of a Kubernetes object.
    pub kind: Option<String>,
    /// Whether it is a Secret of the core group.
    pub is_secret: bool,
    /// Its place in the file, from 0.
    pub place: usize,
    /// Its values, in order.
    pub leaves: Vec<Leaf>,
}

/// How a value stands in its file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// In clear.
    Clear,
    /// Encrypted, and opened.
    Opened,
    /// Encrypted.
    Sealed,
}

/// A step of a key path: a key, an item's place in a list, or the name by which Kubernetes knows it.
#[derive(Clone)]
pub struct Step {
    /// What values are paired by; never shown, since the name of an item may be encrypted.
    pub text: Zeroizing<String>,
    /// The place of an item whose name is encrypted: where values must not be compared, it counts instead.
    place: Option<String>,
}

impl Step {
    fn key(text: &str) -> Step {
        Step { text: Zeroizing::new(text.to_owned()), place: None }
    }

    /// The step without what is encrypted.
    pub fn in_clear(&self) -> &str {
        self.place.as_deref().unwrap_or(&self.text)
    }
}

/// A value.
pub struct Leaf {
    /// Its key path, step by step.
    pub steps: Vec<Step>,
    /// Its key path for people.
    pub path: String,
    /// How it stands there.
    pub state: State,
    /// Its type.
    pub kind: Type,
    /// The ciphertext.
    pub token: Option<String>,
    /// What it says, where that is seen; of a Secret's `data` the decoded bytes.
    pub content: Option<Zeroizing<Vec<u8>>>,
    /// How long it is.
    pub length: usize,
}

impl Leaf {
    /// Whether it stands in clear and says nothing: SOPS never encrypts what is empty.
    pub fn is_empty(&self) -> bool {
        self.state == State::Clear && self.length == 0
    }
}

impl Version {
    /// Reads a file if it is of interest: encrypted, or a Secret in clear.
    ///
    /// # Errors
    /// An encrypted file that can't be parsed, or whose `sops` block can't be read.
    pub fn read(name: &str, bytes: &[u8], opening: &Opening<'_>) -> Result<Option<Version>> {
        let holds = |word: &str| memchr::memmem::find(bytes, word.as_bytes()).is_some();
        let Some(text) = std::str::from_utf8(bytes).ok().filter(|_| holds("sops") || holds("Secret")) else { return Ok(None) };
        let format = (opening.format)(name, text);
        let document = match format.parse_encrypted(text) {
            Ok(document) => document,
            Err(error) if holds("ENC[AES256_GCM,") => return Err(error),
            Err(_) => return Ok(None),
        };
        if choice::has_block(&document) {
            return encrypted(&document, opening).map(Some);
        }
        Ok(clear(&document))
    }
}

fn clear(document: &Document<'_>) -> Option<Version> {
    let secret =
        |part: &Part| part.root != NONE && kubernetes::object(document, part.root).is_some_and(|object| decoded::is_secret(&object));
    if !document.parts.iter().any(secret) || walk::walk(document, &Selection::sops_default()).is_err() {
        return None;
    }
    let objects = Leaves { document, values: HashMap::new(), opened: true, encrypted: false }.objects();
    Some(Version { view: View::Clear, block: None, data_key: None, signed: false, objects, comments: Vec::new() })
}

fn encrypted(document: &Document<'_>, opening: &Opening<'_>) -> Result<Version> {
    let metadata = pipeline::metadata_of(document)?;
    let Some(identities) = opening.identities else { return sealed(document, metadata, View::Keyless) };
    let Ok(data_key) = datakey::unwrap(&metadata, identities, opening.order) else { return sealed(document, metadata, View::NoIdentity) };
    let reading = match decrypt::read(document, &metadata, &Cipher::new(data_key.bytes()), true) {
        Ok(reading) => reading,
        Err(error) => return sealed(document, metadata, View::Damaged(said(&error))),
    };
    let signed = reading.signed.is_some();
    let comments = reading.comments.iter().map(|open| open.text.clone()).collect();
    let objects = Leaves { document, values: by_node(&reading), opened: true, encrypted: true }.objects();
    Ok(Version { view: View::Opened, block: Some(metadata), data_key: Some(data_key), signed, objects, comments })
}

/// Line, reason and key path, without the file.
fn said(error: &Error) -> String {
    error.to_string()
}

fn sealed(document: &Document<'_>, metadata: Metadata, view: View) -> Result<Version> {
    // Bounds the aliases.
    walk::walk(document, &Selection::of_metadata(metadata.selector.as_ref()))?;
    let comments = document.comments.iter().filter_map(|comment| {
        let text = document.comment_text(comment);
        let sealed = Token::parse(&text).is_some();
        sealed.then(|| Zeroizing::new(text.into_owned()))
    });
    let comments = comments.collect();
    let objects = Leaves { document, values: HashMap::new(), opened: false, encrypted: true }.objects();
    Ok(Version { view, block: Some(metadata), data_key: None, signed: false, objects, comments })
}

/// The values by their scalars. One in its own place counts before what an alias says of it.
fn by_node<'r, 'd>(reading: &'r Reading<'d>) -> HashMap<NodeId, &'r Plain<'d>> {
    let leaves = reading.walk.leaves.iter().zip(&reading.values);
    let (own, aliased): (Vec<_>, Vec<_>) = leaves.partition(|(leaf, _)| leaf.alias == NONE);
    aliased.into_iter().chain(own).map(|(leaf, plain)| (leaf.node, plain)).collect()
}

/// Gathers the values of a file.
struct Leaves<'r, 'd, 's> {
    document: &'d Document<'s>,
    values: HashMap<NodeId, &'r Plain<'d>>,
    /// Whether what is encrypted is opened.
    opened: bool,
    /// Whether the file is encrypted: else what looks like a token is a value.
    encrypted: bool,
}

impl Leaves<'_, '_, '_> {
    fn objects(&self) -> Vec<Object> {
        let parts = self.document.parts.iter().enumerate().filter(|(_, part)| part.root != NONE);
        parts.map(|(place, part)| self.object(place, part)).collect()
    }

    fn object(&self, place: usize, part: &Part) -> Object {
        let in_clear = |object: &kubernetes::Object<'_>| [object.api_version, object.kind].iter().all(|text| Token::parse(text).is_none());
        let object = kubernetes::object(self.document, part.root).filter(in_clear);
        let is_secret = object.is_some_and(|object| decoded::is_secret(&object));
        let identity = object.and_then(|object| Identity::of(&object)).filter(|identity| Token::parse(&identity.name).is_none());
        let mut leaves = Vec::new();
        self.gather(part.root, &mut Vec::new(), String::new(), is_secret, &mut leaves);
        Object { identity, kind: object.map(|object| object.kind.to_owned()), is_secret, place, leaves }
    }

    fn gather(&self, id: NodeId, steps: &mut Vec<Step>, path: String, is_secret: bool, found: &mut Vec<Leaf>) {
        let document = self.document;
        let node = document.node(id);
        match node.kind {
            Kind::Alias => return self.gather(node.target(), steps, path, is_secret, found),
            Kind::Scalar => return found.push(self.leaf(id, steps, path, is_secret)),
            Kind::Mapping => {
                for (key, value) in document.entries(id).filter(|(_, value)| document.node(*value).role != Role::Shadow) {
                    let name = document.key_text(key);
                    if steps.is_empty() && document.format.is_block(name) {
                        continue;
                    }
                    steps.push(Step::key(name));
                    let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
                    self.gather(value, steps, path, is_secret, found);
                    steps.pop();
                }
            }
            Kind::Sequence => {
                let names = self.item_names(id).unwrap_or_default();
                for (at, item) in document.children(id).enumerate() {
                    steps.push(names.get(at).cloned().unwrap_or_else(|| Step::key(&format!("[{at}]"))));
                    self.gather(item, steps, format!("{path}[{at}]"), is_secret, found);
                    steps.pop();
                }
            }
        }
        if document.children(id).next().is_none() {
            found.push(Leaf { length: 0, ..empty(steps, path) });
        }
    }

    /// The names of a list's items, where all are mappings with a `name` of their own, as Kubernetes pairs them.
    fn item_names(&self, list: NodeId) -> Option<Vec<Step>> {
        let names = self.document.children(list).enumerate().map(|(at, item)| self.item_name(at, item)).collect::<Option<Vec<Step>>>()?;
        let different: HashSet<&str> = names.iter().map(|step| step.text.as_str()).collect();
        (different.len() == names.len()).then_some(names)
    }

    fn item_name(&self, at: usize, item: NodeId) -> Option<Step> {
        let document = self.document;
        let name = document.get(item, "name").filter(|name| document.node(*name).kind == Kind::Scalar)?;
        let opened = self.values.get(&name).filter(|plain| plain.encrypted);
        let sealed = self.encrypted && Token::parse(document.text(name)).is_some();
        let text = match opened {
            Some(plain) => Zeroizing::new(format!("name={}", plain.value.as_text()?)),
            None => Zeroizing::new(format!("name={}", document.text(name))),
        };
        Some(Step { text, place: (opened.is_some() || sealed).then(|| format!("[{at}]")) })
    }

    fn leaf(&self, id: NodeId, steps: &[Step], path: String, is_secret: bool) -> Leaf {
        let text = self.document.text(id);
        let token = if self.encrypted { Token::parse(text) } else { None };
        let leaf = Leaf { token: token.as_ref().map(|_| text.to_owned()), ..empty(steps, path) };
        match (self.values.get(&id), token) {
            (Some(plain), _) if plain.encrypted => {
                opened(Leaf { state: State::Opened, ..leaf }, plain.value.kind, &plain.value.bytes, is_secret)
            }
            (_, Some(token)) if !self.opened => {
                let kind = Type::from_name(token.kind).unwrap_or(Type::Str);
                Leaf { state: State::Sealed, kind, length: token.length(), ..leaf }
            }
            _ => match self.document.scalar(id) {
                Ok(scalar) => opened(Leaf { token: None, ..leaf }, scalar.kind, &scalar.bytes, is_secret),
                Err(_) => opened(Leaf { token: None, ..leaf }, Type::Str, text.as_bytes(), false),
            },
        }
    }
}

fn empty(steps: &[Step], path: String) -> Leaf {
    let content = Some(Zeroizing::default());
    Leaf { steps: steps.to_vec(), path, state: State::Clear, kind: Type::Null, token: None, content, length: 0 }
}

/// A leaf whose value is seen; a Secret's `data` is what its base64 stands for.
fn opened(leaf: Leaf, kind: Type, bytes: &[u8], is_secret: bool) -> Leaf {
    let of_data =
        is_secret && kind == Type::Str && leaf.steps.len() == 2 && leaf.steps.first().is_some_and(|step| step.text.as_str() == "data");
    let decoded = if of_data { std::str::from_utf8(bytes).ok().and_then(decoded::decode) } else { None };
    let content = decoded.unwrap_or_else(|| Zeroizing::new(bytes.to_vec()));
    Leaf { kind, length: content.len(), content: Some(content), ..leaf }
}
