//! Which kinds hold secrets, under which keys: the default for files that no rule says anything about.
//!
//! Only the values below a few keys are encrypted, because `apiVersion`, `kind` and `metadata` in ciphertext break every
//! tool that reads the file. The selection is a regular expression over key paths and matches at any depth, so it is given
//! only to files in which each object is of a kind that is known here.

use super::{Object, find_key, followed, object, string};
use crate::document::{Document, Kind as NodeKind, NONE, NodeId};
use crate::error::{Error, Kind, Result};

/// What to encrypt where neither a rule nor a flag says it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Default {
    /// `encrypted_regex` of this text.
    Pattern(String),
    /// Not Kubernetes: everything, as SOPS does.
    SopsDefault,
}

/// What is known about a kind.
struct Known {
    kind: &'static str,
    /// The API groups that have this kind.
    groups: &'static [&'static str],
    /// The keys whose values are secret; none if it is refused.
    keys: &'static [&'static str],
}

const fn known(kind: &'static str, groups: &'static [&'static str], keys: &'static [&'static str]) -> Known {
    Known { kind, groups, keys }
}

/// The kinds known to hold secrets; patterns name the keys in this order. A kind without keys is a list of objects.
const KINDS: [Known; 10] = [
    known("Secret", &[""], &["data", "stringData"]),
    known("ConfigMap", &[""], &["data", "binaryData"]),
    known("EncryptionConfiguration", &["apiserver.config.k8s.io"], &["secret"]),
    // The name of EncryptionConfiguration before Kubernetes 1.13.
    known("EncryptionConfig", &["", "apiserver.k8s.io"], &["secret"]),
    // kubeconfig
    known("Config", &[""], &["users"]),
    known("HelmRelease", &["helm.toolkit.fluxcd.io", "helm.fluxcd.io"], &["values"]),
    known("Application", &["argoproj.io"], &["values", "valuesObject", "parameters"]),
    known("ApplicationSet", &["argoproj.io"], &["values", "valuesObject", "parameters"]),
    known("List", &[""], &[]),
    known("SecretList", &[""], &[]),
];

/// Where machine configs of Talos hold secrets: tokens, keys and certificates of the cluster, encryption at rest,
/// WireGuard, disk encryption, registry logins.
const TALOS: &str = "^(crt|key|token|secret|bootstraptoken|secretboxEncryptionSecret|aescbcEncryptionSecret|privateKey|presharedKey|passphrase|password|auth|identityToken)$";

const WHY: &str = "encrypting apiVersion, kind or metadata would break every tool that reads the file";
const NAME_KEYS: &str = "say which keys to encrypt: --encrypted-regex '^(KEY|KEY)$', or encrypted_regex in a rule of .sops.yaml";
const SPLIT: &str = "or put the objects into files of their own";

impl Known {
    fn of(object: &Object<'_>) -> Option<&'static Known> {
        KINDS.iter().find(|known| known.kind == object.kind && known.groups.contains(&object.group()))
    }

    fn holds(&self, key: &str) -> bool {
        self.keys.contains(&key)
    }
}

/// The selection for a whole file to which no rule and no flag gives one.
///
/// # Errors
/// `Generic` (1) for Kubernetes objects of a kind for which there is no default, for a mix of such objects and others, and
/// if one pattern for all objects would encrypt more in one of them than its own pattern does.
pub fn default_selection(document: &Document<'_>) -> Result<Default> {
    let roots = document.parts.iter().map(|part| part.root).filter(|root| has_content(document, *root));
    let (mut found, mut other) = (Vec::new(), None);
    for root in roots {
        match object(document, root) {
            Some(object) => found.push((known_kind(document, &object)?, object)),
            None => {
                refuse_talos(document, root)?;
                other.get_or_insert(root);
            }
        }
    }
    match (found.is_empty(), other) {
        (true, _) => Ok(Default::SopsDefault),
        (false, Some(other)) => Err(mixed(document, other)),
        (false, None) => union(document, &found),
    }
}

/// Whether any object of the file, or any item of a list in it, is of a kind known to hold secrets.
pub fn holds_known_kind(document: &Document<'_>) -> bool {
    let roots = document.parts.iter().map(|part| part.root).filter(|root| has_content(document, *root));
    roots.filter_map(|root| object(document, root)).any(|found| match Known::of(&found) {
        Some(known) if known.keys.is_empty() => found.kind == "SecretList" || items_known(document, found.root),
        known => known.is_some(),
    })
}

fn items_known(document: &Document<'_>, list: NodeId) -> bool {
    let Some(items) = document.get(list, "items").map(|id| followed(document, id)) else { return false };
    let is_list = document.node(items).kind == NodeKind::Sequence;
    let known = |item: NodeId| object(document, followed(document, item)).is_some_and(|item| Known::of(&item).is_some());
    is_list && document.children(items).any(known)
}

/// Whether text that can't be parsed speaks of a kind known to hold secrets: a `kind:` followed by its name.
pub fn names_known_kind(text: &str) -> bool {
    text.split("kind").skip(1).any(|rest| {
        let Some(value) = rest.trim_start_matches(['"', '\'']).trim_start().strip_prefix(':') else { return false };
        let value = value.trim_start_matches([' ', '\t', '"', '\'']);
        let end = value.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(value.len());
        KINDS.iter().any(|known| known.kind == &value[..end])
    })
}

/// Whether a text can hold an object of a kind known to hold secrets, whatever its spelling: cheap, and never wrongly no
/// for names that are written out.
pub fn speaks_of_known_kind(text: &str) -> bool {
    let holds = |word: &str| memchr::memmem::find(text.as_bytes(), word.as_bytes()).is_some();
    holds("kind") && KINDS.iter().any(|known| holds(known.kind))
}

fn has_content(document: &Document<'_>, root: NodeId) -> bool {
    root != NONE && document.node(root).kind == NodeKind::Mapping && document.entries(root).next().is_some()
}

fn known_kind(document: &Document<'_>, object: &Object<'_>) -> Result<&'static Known> {
    match Known::of(object) {
        None => Err(unknown_kind(document, object)),
        Some(known) if known.keys.is_empty() => Err(list(document, object)),
        Some(known) => Ok(known),
    }
}

fn refusal(document: &Document<'_>, root: NodeId, message: String) -> Error {
    Error::new(Kind::Generic, message).at(document.source, document.node(root).span.start as usize)
}

fn unknown_kind(document: &Document<'_>, object: &Object<'_>) -> Error {
    let message = format!("{}: there is no default for which values of this kind to encrypt, and {WHY}", object.title());
    let error = refusal(document, object.root, message).hint(NAME_KEYS);
    if document.parts.len() > 1 { error.hint(SPLIT) } else { error }
}

fn list(document: &Document<'_>, object: &Object<'_>) -> Error {
    let message =
        format!("{}: one pattern for all items of a list would encrypt keys of the same name in items of other kinds", object.title());
    refusal(document, object.root, message)
        .hint("split the list into documents, with --- lines between them: they get the default for their kinds")
        .hint("or say which keys to encrypt: --encrypted-regex '^(data|stringData)$', or encrypted_regex in a rule of .sops.yaml")
}

/// Machine configs of Talos have no `kind`. Their secrets stand under many keys, so that the choice is left to a rule.
fn refuse_talos(document: &Document<'_>, root: NodeId) -> Result<()> {
    let mapping = |key| document.get(root, key).is_some_and(|id| document.node(followed(document, id)).kind == NodeKind::Mapping);
    let version = string(document, root, "version").is_some_and(|version| version == "v1alpha1");
    if !mapping("machine") || !(version || mapping("cluster")) || document.get(root, "kind").is_some() {
        return Ok(());
    }
    let message = "a machine config of Talos: there is no default for which of its values to encrypt";
    Err(refusal(document, root, message.to_owned())
        .hint("put a rule into .sops.yaml; this pattern covers the usual secrets, check it against your file:")
        .hint(format!("encrypted_regex: {TALOS}")))
}

fn mixed(document: &Document<'_>, other: NodeId) -> Error {
    let message = "a document that is no Kubernetes object in a file with objects: there is no default that fits both";
    refusal(document, other, message.to_owned()).hint(NAME_KEYS).hint("or put this document into a file of its own")
}

/// One pattern for all objects: the keys of their kinds, in the order of the table.
fn union(document: &Document<'_>, found: &[(&'static Known, Object<'_>)]) -> Result<Default> {
    let mut keys: Vec<&str> = Vec::new();
    for known in KINDS.iter().filter(|known| found.iter().any(|(of, _)| of.kind == known.kind)) {
        let new: Vec<&str> = known.keys.iter().copied().filter(|key| !keys.contains(key)).collect();
        keys.extend(new);
    }
    for (known, object) in found {
        if let Some(key) = in_metadata(document, known, object) {
            return Err(beside(document, key, known, object));
        }
        if let Some(key) = find_key(document, object.root, |key| known.holds(key), |key| keys.contains(&key)) {
            return Err(too_wide(document, key, known, object));
        }
    }
    Ok(Default::Pattern(format!("^({})$", keys.join("|"))))
}

fn too_wide(document: &Document<'_>, key: NodeId, known: &Known, object: &Object<'_>) -> Error {
    let own = known.keys.join("|");
    let message =
        format!("{}: the other objects of this file need a pattern that would encrypt this key too, beyond ^({own})$", object.title());
    document.error(key, Kind::Generic, message).hint(NAME_KEYS).hint(SPLIT)
}

/// A label or an annotation with the name of a secret key: the pattern would encrypt it, since it matches at any depth.
fn in_metadata(document: &Document<'_>, known: &Known, object: &Object<'_>) -> Option<NodeId> {
    find_key(document, document.get(object.root, "metadata")?, |_| false, |key| known.holds(key))
}

fn beside(document: &Document<'_>, key: NodeId, known: &Known, object: &Object<'_>) -> Error {
    let message = format!("{}: the default ^({})$ would encrypt this key of its metadata too", object.title(), known.keys.join("|"));
    document.error(key, Kind::Generic, message).hint("give the label or annotation another name").hint(NAME_KEYS)
}

#[cfg(test)]
mod tests;
