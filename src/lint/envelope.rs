//! The `sops` block, and what makes a file an encrypted one.

use super::{Level, Rule, Sheet, Subject};
use crate::document::value::Value;
use crate::document::{Document, NONE, NodeId, Span, conflict};
use crate::kubernetes;
use crate::metadata::Metadata;
use crate::metadata::SelectorKind;
use crate::pattern::Pattern;
use crate::pipeline;
use crate::seal::value::Token;

/// Metadata or a token that nobody can read.
pub static MALFORMED: Rule = Rule::new("KV306", "malformed", Level::Error);
/// `apiVersion`, `kind` or `metadata` in ciphertext.
pub static METADATA_ENCRYPTED: Rule = Rule::new("KV307", "metadata-encrypted", Level::Warning);
/// A list that is encrypted as a whole.
pub static ENCRYPTED_LIST: Rule = Rule::new("KV318", "encrypted-list", Level::Error);
/// Marks of a merge.
pub static CONFLICT: Rule = Rule::new("KV320", "conflict-markers", Level::Error);
/// Ciphertext without the block that could open it.
pub static NO_BLOCK: Rule = Rule::new("KV323", "ciphertext-without-block", Level::Error);

pub(super) const RULES: &[&Rule] = &[&MALFORMED, &METADATA_ENCRYPTED, &ENCRYPTED_LIST, &CONFLICT, &NO_BLOCK];

/// How every token begins.
pub const TOKEN: &str = "ENC[AES256_GCM,";
const RESTORE: &str = "restore the file from an older version, and set the value with kveil set or kveil edit";

pub(super) fn look(subject: &Subject<'_>, sheet: &mut Sheet<'_>) {
    let sealed = subject.text.contains(TOKEN);
    if let Some(at) = conflict::first(subject.text).filter(|_| sealed || super::template::speaks_of_a_secret(subject.text)) {
        sheet.at(
            &CONFLICT,
            Span::new(at, at + 7),
            "a merge left conflict markers in this file",
            "kveil resolve FILE, or git checkout --merge FILE",
        );
        return;
    }
    let Some(document) = subject.document else {
        return unread(subject, sheet, sealed);
    };
    if subject.has_block {
        block(document, sheet);
        objects(document, sheet);
    } else {
        loose(document, sheet);
    }
}

fn unread(subject: &Subject<'_>, sheet: &mut Sheet<'_>, sealed: bool) {
    let Some(position) = subject.unread.filter(|_| sealed && has_block_line(subject.text)) else { return };
    let finding = sheet.whole(&MALFORMED, "an encrypted file that can't be read: its syntax is broken", RESTORE);
    finding.position = position;
}

fn has_block_line(text: &str) -> bool {
    text.lines().any(|line| line.trim_end() == "sops:" || line.contains("\"sops\":") || line.starts_with("sops_") || line == "[sops]")
}

fn block(document: &Document<'_>, sheet: &mut Sheet<'_>) {
    let key = document.parts.first().and_then(|part| document.block_key(part)).unwrap_or_default();
    let why = match document.block() {
        Ok(Some(block)) => match Metadata::read(&block) {
            Ok(metadata) => wrong(&metadata, &block),
            Err(error) => Some(error.message.clone()),
        },
        _ => Some("the sops block can't be read".to_owned()),
    };
    if let Some(why) = why {
        sheet.node(&MALFORMED, document, key, why, RESTORE);
    }
}

/// What readers stumble over although the block as such can be read.
fn wrong(metadata: &Metadata, block: &Value) -> Option<String> {
    let Some(mac) = metadata.mac.as_deref() else {
        return Some("the sops block has no mac: nothing says that the values are those that were signed".to_owned());
    };
    if Token::parse(mac).is_none_or(|token| !token.is_sound()) {
        return Some("the mac in the sops block isn't an encrypted value".to_owned());
    }
    let without =
        metadata.groups.iter().flat_map(|group| &group.entries).find(|entry| entry.value.get("enc").and_then(Value::text).is_none());
    if let Some(entry) = without {
        return Some(format!("an entry of {} in the sops block has no wrapped key (enc)", entry.kind));
    }
    let (kind, text) = metadata.selector();
    let is_regex = !matches!(kind, SelectorKind::UnencryptedSuffix | SelectorKind::EncryptedSuffix);
    if is_regex && Pattern::new(text).is_err() {
        return Some(format!("{} in the sops block is no regular expression: it matches nothing", kind.name()));
    }
    // A key that lost its first letter is a field that nobody knows.
    let cut = block.entries().iter().map(|(name, _)| name.as_str()).find(|name| ["ersion", "ac", "astmodified", "ge", "gp"].contains(name));
    cut.map(|name| format!("the sops block has the field {name}, whose first letter is missing"))
}

/// Tokens without a block. Text that only speaks of them, such as a program's test, is no encrypted file.
fn loose(document: &Document<'_>, sheet: &mut Sheet<'_>) {
    let known = matches!(document.format.name(), "yaml" | "json");
    if let Some(id) = pipeline::first_token(document).filter(|_| known) {
        let message = "an encrypted value in a file without a sops block: nobody can open it";
        sheet.node(&NO_BLOCK, document, id, message, "restore the sops block from an older version of the file");
    }
}

/// Objects that the tools of Kubernetes can't work with.
fn objects(document: &Document<'_>, sheet: &mut Sheet<'_>) {
    for root in document.parts.iter().map(|part| part.root).filter(|root| *root != NONE) {
        if let Some(object) = kubernetes::object(document, root).filter(|object| object.api_version == "v1" && is_list(object.kind)) {
            let message = "an encrypted list: kustomize and Flux take its items apart, and none of them keeps the sops block";
            let next = "split it into documents, with --- lines between them, and encrypt again";
            if let Some(kind) = document.get(object.root, "kind") {
                sheet.node(&ENCRYPTED_LIST, document, kind, message, next);
            }
        }
        if let Some(id) = hidden_name(document, root) {
            let message = "apiVersion, kind or metadata is encrypted: tools of Kubernetes can't tell what the object is";
            let next = "encrypt again with encrypted_regex ^(data|stringData)$";
            sheet.node(&METADATA_ENCRYPTED, document, id, message, next);
        }
    }
}

fn is_list(kind: &str) -> bool {
    kind == "List" || kind == "SecretList"
}

/// The first token among what names an object. A kubeconfig is no object of a cluster: there it is right.
fn hidden_name(document: &Document<'_>, root: NodeId) -> Option<NodeId> {
    let (version, kind) = (document.get(root, "apiVersion")?, document.get(root, "kind")?);
    if document.get(root, "clusters").is_some() && document.get(root, "contexts").is_some() {
        return None;
    }
    let metadata = document.get(root, "metadata").into_iter().flat_map(|id| id..document.node(id).end);
    [version, kind].into_iter().chain(metadata).find(|id| {
        let node = document.node(*id);
        node.kind == crate::document::Kind::Scalar && document.text(*id).starts_with(TOKEN)
    })
}
