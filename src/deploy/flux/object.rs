//! Objects that come out of kustomize encrypted: Flux decrypts each by its own `sops` block, written as JSON.

use super::{Cause, Trouble};
use crate::document::{self, Document, Kind, NONE, NodeId, yaml};
use crate::error::printable;
use crate::kubernetes::{self, decoded};
use crate::metadata::Metadata;
use crate::seal::value::Token;
use crate::seal::{encrypt, walk};
use crate::select::Selection;

/// The annotation that has Flux leave an object alone.
const OPT_OUT: &str = "kustomize.toolkit.fluxcd.io/decrypt";

const REGEX: &str = "encrypt with encrypted_regex: ^(data|stringData)$";

/// An encrypted object.
#[derive(Clone)]
pub struct Sealed {
    kind: String,
    name: String,
    /// Its fields that hold ciphertext.
    pub fields: Vec<String>,
}

impl Sealed {
    /// Whether it has this kind and name.
    pub fn is(&self, kind: &str, name: &str) -> bool {
        self.kind == kind && self.name == name
    }

    /// Its kind.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is wrong with a patch that puts values into it.
    pub fn patched(&self) -> Trouble {
        let title = printable(&format!("{} {}", self.kind, self.name));
        let text = format!("it puts values in clear beside the encrypted ones of {title}, which Flux can't decrypt then");
        Trouble::new(Cause::Patch, text, "put the values into the encrypted file: kveil set")
    }
}

/// The encrypted objects of a file, and what is wrong with it.
pub fn manifests(text: &str) -> (Vec<Sealed>, Option<Trouble>) {
    let Ok(document) = read(text) else {
        return (Vec::new(), Some(Trouble::new(Cause::Object, "it can't be read as YAML", "kveil check says where")));
    };
    let roots = || document.parts.iter().map(|part| part.root).filter(|root| *root != NONE);
    let trouble = roots().find_map(|root| object(&document, root)).or_else(|| selection(&document));
    (roots().filter_map(|root| sealed(&document, root)).collect(), trouble)
}

fn read(text: &str) -> crate::error::Result<Document<'_>> {
    let name = if text.trim_start().starts_with('{') { "json" } else { "yaml" };
    document::format_by_name(name).map_or_else(|| yaml::parse(text), |format| format.parse(text))
}

fn sealed(document: &Document<'_>, root: NodeId) -> Option<Sealed> {
    let object = kubernetes::object(document, root)?;
    let fields = document.entries(root).filter(|(key, value)| document.key_text(*key) != "sops" && holds_token(document, *value));
    let fields: Vec<String> = fields.map(|(key, _)| document.key_text(key).to_owned()).collect();
    (!fields.is_empty()).then(|| Sealed { kind: object.kind.to_owned(), name: object.name.unwrap_or_default().to_owned(), fields })
}

fn object(document: &Document<'_>, root: NodeId) -> Option<Trouble> {
    if document.node(root).kind != Kind::Mapping || !holds_token(document, root) {
        return None;
    }
    let trouble = |text: String, way_out| Some(Trouble::new(Cause::Object, text, way_out));
    let Some(object) = kubernetes::object(document, root) else {
        let text = "a document that is encrypted isn't an object with apiVersion and kind in clear";
        return trouble(text.to_owned(), "a Helm values file or a dotenv file goes through secretGenerator");
    };
    let hidden = |key: &&str| document.get(root, key).is_some_and(|id| holds_token(document, id));
    if let Some(place) = ["apiVersion", "kind", "metadata"].into_iter().find(hidden) {
        return trouble(format!("{place} of an object is encrypted, which kustomize reads and changes"), REGEX);
    }
    let title = printable(&object.title());
    if object.kind.ends_with("List") && document.get(root, "items").is_some() {
        return trouble(
            format!("{title}: kustomize takes a List apart and drops its sops block"),
            "write its items as documents of their own",
        );
    }
    if document.get(root, "sops").and_then(|sops| document.get(sops, "mac")).is_none() {
        let text = format!("{title} has ENC values and no sops block in its own document");
        return trouble(text, "encrypt the file again with kveil: each document gets the block");
    }
    if is_opted_out(document, root) {
        let text = format!("{title} has the annotation {OPT_OUT}: disabled");
        return Some(Trouble::new(Cause::OptedOut, text, "take the annotation away"));
    }
    let key = decoded::is_secret(&object).then(|| typed(document, root)).flatten()?;
    let text = format!("{} of {title} decrypts to a number, a boolean or a list: the API server refuses that", printable(&key));
    Some(Trouble::new(Cause::Type, text, "quote the value in clear, and encrypt it again"))
}

/// What the file's own selection keeps from being decrypted: comments are gone by then, and a value in clear among those that
/// should be encrypted can't be opened.
fn selection(document: &Document<'_>) -> Option<Trouble> {
    let metadata = Metadata::read(&document.block().ok()??).ok()?;
    let selection = Selection::of_metadata(metadata.selector.as_ref());
    if selection.by_comment() {
        let text = "comments decide what is encrypted in it, and kustomize drops them";
        return Some(Trouble::new(Cause::Object, text, REGEX));
    }
    let walk = walk::walk(document, &selection).ok()?;
    let clear = walk.leaves.iter().filter(|leaf| leaf.selected && !leaf.shadow).find(|leaf| {
        Token::parse(document.text(leaf.node)).is_none() && document.scalar(leaf.node).is_ok_and(|scalar| encrypt::hidden(&scalar))
    })?;
    let text = format!("{} is in clear where encrypted values are expected", printable(&document.key_path(clear.node)));
    Some(Trouble::new(Cause::Object, text, "take it out, and put it in with kveil set or kveil edit"))
}

fn is_opted_out(document: &Document<'_>, root: NodeId) -> bool {
    let annotations = document.get(root, "metadata").and_then(|metadata| document.get(metadata, "annotations"));
    let value = annotations.and_then(|annotations| document.get(annotations, OPT_OUT));
    value.is_some_and(|value| document.text(value).eq_ignore_ascii_case("disabled"))
}

/// A key of `data` or `stringData` whose value is no string.
fn typed(document: &Document<'_>, root: NodeId) -> Option<String> {
    let maps = ["data", "stringData"].into_iter().filter_map(|field| document.get(root, field));
    let mut entries = maps.flat_map(|map| document.entries(map));
    let found = entries.find(|(_, value)| match document.node(*value).kind {
        Kind::Scalar => Token::parse(document.text(*value)).is_some_and(|token| !matches!(token.kind, "str" | "bytes" | "comment")),
        _ => true,
    });
    found.map(|(key, _)| document.key_path(key))
}

/// Whether an encrypted value stands below `root`, its `sops` block aside.
fn holds_token(document: &Document<'_>, root: NodeId) -> bool {
    let mut open = vec![root];
    while let Some(id) = open.pop() {
        match document.node(id).kind {
            Kind::Scalar if Token::parse(document.text(id)).is_some() => return true,
            Kind::Scalar | Kind::Alias => {}
            Kind::Sequence => open.extend(document.children(id)),
            Kind::Mapping => {
                let entries = document.entries(id).filter(|(key, _)| id != root || document.key_text(*key) != "sops");
                open.extend(entries.map(|(_, value)| value));
            }
        }
    }
    false
}
