//! Secrets that stand in clear.

use std::collections::HashSet;

use super::envelope::TOKEN;
use super::{Level, Rule, Sheet, Subject, argocd, fields, judge, nested, template};
use crate::document::resolve::Type;
use crate::document::{Document, Kind, NodeId};
use crate::kubernetes::{Object, decoded};
use crate::seal::value::Token;

/// A Secret with a value in clear.
pub static PLAINTEXT_SECRET: Rule = Rule::new("KV101", "plaintext-secret", Level::Error).fixed();
/// kubectl's copy of a Secret among its annotations.
pub static LAST_APPLIED: Rule = Rule::new("KV113", "last-applied-leak", Level::Error);
/// A file that `decrypt -i` left in clear.
pub static LEFT_DECRYPTED: Rule = Rule::new("KV117", "left-decrypted", Level::Error).fixed();
/// A file that speaks of a Secret and can't be read.
pub static UNREADABLE: Rule = Rule::new("KV119", "unreadable-secret", Level::Warning);

pub(super) const RULES: &[&Rule] = &[&PLAINTEXT_SECRET, &LAST_APPLIED, &LEFT_DECRYPTED, &UNREADABLE];

/// What to do about a Secret inside of something else.
const APART: &str =
    "move the Secret into a file of its own, and encrypt that; if it was committed in clear, change the value at its source";
/// What to do about a value in a template.
const PASSED_IN: &str = "pass it in from an encrypted file; if it was committed in clear, change the value at its source";
const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";

pub(super) fn look(subject: &Subject<'_>, sheet: &mut Sheet<'_>) {
    if subject.about.left_decrypted && !subject.has_block {
        let next = format!("kveil encrypt --all-decrypted, or kveil encrypt -i {}", subject.name);
        sheet.whole(&LEFT_DECRYPTED, "decrypt -i left this file in clear, and it is still so", next);
    }
    let Some(document) = subject.document else {
        return by_line(subject, sheet);
    };
    let objects = subject.objects();
    for object in objects.iter().filter(|object| decoded::is_secret(object)) {
        secret(subject, document, object, sheet);
    }
    let own: HashSet<NodeId> = objects.iter().map(|object| object.root).collect();
    for object in nested::objects(document).filter(|object| !own.contains(&object.root)) {
        let before = sheet.findings.len();
        secret(subject, document, &object, sheet);
        for finding in sheet.findings.iter_mut().skip(before).filter(|finding| finding.rule.id == PLAINTEXT_SECRET.id) {
            (finding.next, finding.fixable) = (APART.to_owned(), false);
        }
    }
    texts(document, sheet);
}

/// Secrets in texts: patches of a kustomization, manifests among values.
fn texts(document: &Document<'_>, sheet: &mut Sheet<'_>) {
    for (id, text) in nested::texts(document) {
        if sheet.covers(document.node(id).span.start as usize) {
            continue;
        }
        for value in template::values(text).into_iter().filter(|value| !Token::is_whole(&value.text)) {
            let Some(level) = judge::clear_value(&value.key, &value.text, value.encoded) else { continue };
            let message = format!("a Secret in this text has the value of {} in clear; base64 is not encryption", value.key);
            let finding = sheet.node(&PLAINTEXT_SECRET, document, id, message, APART);
            (finding.level, finding.fixable) = (level, false);
        }
    }
}

fn by_line(subject: &Subject<'_>, sheet: &mut Sheet<'_>) {
    if subject.unread.is_none() {
        return;
    }
    for value in template::values(subject.text) {
        if Token::is_whole(&value.text) {
            continue;
        }
        let Some(level) = judge::clear_value(&value.key, &value.text, value.encoded) else { continue };
        let message = format!("a Secret has the value of {} in clear; base64 is not encryption", value.key);
        let next = if is_template(subject.text) { PASSED_IN.to_owned() } else { next(subject) };
        let finding = sheet.at(&PLAINTEXT_SECRET, value.span, message, next);
        (finding.level, finding.fixable) = (level, false);
    }
    let speaks = template::speaks_of_a_secret(subject.text);
    if speaks && !subject.conflict && !is_template(subject.text) {
        let message = "a Secret that can't be read as a whole; it was searched line by line";
        sheet.whole(&UNREADABLE, message, "mend the file: kveil encrypt names the place");
    }
}

fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%")
}

fn secret(subject: &Subject<'_>, document: &Document<'_>, object: &Object<'_>, sheet: &mut Sheet<'_>) {
    for (field, encoded) in [("data", true), ("stringData", false)] {
        let Some(values) = document.get(object.root, field) else { continue };
        let values = if document.node(values).kind == Kind::Alias { document.node(values).target() } else { values };
        for (key, value) in pairs(document, values) {
            value_of(subject, document, object, (key, value, encoded), sheet);
        }
    }
    let annotations = document.get(object.root, "metadata").and_then(|metadata| document.get(metadata, "annotations"));
    let Some(copy) = annotations.and_then(|annotations| document.get(annotations, ANNOTATION)) else { return };
    if Token::parse(document.text(copy)).is_none() && document.text(copy).contains("ata\"") {
        let message = format!("{}: the annotation {ANNOTATION} repeats its values in clear", object.title());
        sheet.node(&LAST_APPLIED, document, copy, message, "take the annotation out, and change the values at their source");
    }
}

fn pairs(document: &Document<'_>, values: NodeId) -> Vec<(NodeId, NodeId)> {
    if document.node(values).kind == Kind::Mapping { document.entries(values).collect() } else { Vec::new() }
}

fn value_of(
    subject: &Subject<'_>,
    document: &Document<'_>,
    object: &Object<'_>,
    (key, value, encoded): (NodeId, NodeId, bool),
    sheet: &mut Sheet<'_>,
) {
    let id = if document.node(value).kind == Kind::Alias { document.node(value).target() } else { value };
    if document.node(id).is_collection() || is_hidden(subject, document, value) {
        return;
    }
    let Ok(scalar) = document.scalar(id) else { return };
    if matches!(scalar.kind, Type::Null) {
        return;
    }
    let name = document.key_text(key);
    let text = document.text(id);
    let encoded = encoded && document.props(id).tag.is_none();
    let judge = if argocd::is_setup(document, object.root) { argocd::clear_value } else { judge::clear_value };
    // What begins as ciphertext in an encrypted file and isn't, is told there as such.
    let sealed = if subject.has_block { text.starts_with(TOKEN) } else { Token::is_whole(text) };
    let level = if sealed { None } else { judge(name, text, encoded) };
    if let Some(level) = level {
        let title = crate::error::printable(&object.title());
        let message = match level {
            Level::Error => format!("{title}: this value is in clear; base64 is not encryption"),
            _ => format!("{title}: this value is in clear, and looks like a name, a setting or a certificate"),
        };
        let finding = sheet.node(&PLAINTEXT_SECRET, document, value, message, next(subject));
        (finding.level, finding.fixable) = (level, !subject.has_block);
    }
}

/// Whether the file's own rule has the value encrypted: what is in clear there is another rule's matter.
fn is_hidden(subject: &Subject<'_>, document: &Document<'_>, id: NodeId) -> bool {
    let Some(encrypted) = &subject.encrypted else { return subject.has_block };
    let selection = &encrypted.selection;
    selection.by_comment() || selection.encrypts(fields::keys_above(document, id).any(|key| selection.matches_key(key)))
}

fn next(subject: &Subject<'_>) -> String {
    match subject.has_block {
        true => "the selection in its sops block leaves this key in clear: decrypt the file, and encrypt it with encrypted_regex ^(data|stringData)$".to_owned(),
        false => format!("kveil encrypt -i {}; if it was committed in clear, change the value at its source", subject.name),
    }
}
