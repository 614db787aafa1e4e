//! Values and comments of an encrypted file against its own selection.

use super::envelope::{MALFORMED, TOKEN};
use super::{Encrypted, Level, Rule, Sheet, Subject};
use crate::document::resolve::Type;
use crate::document::{Document, NONE, NodeId, Role};
use crate::seal::encrypt;
use crate::seal::value::Token;

/// A comment in clear in a place that is encrypted.
pub static CLEAR_COMMENT: Rule = Rule::new("KV107", "plaintext-comment", Level::Error);
/// A value in clear in an encrypted file.
pub static PARTLY: Rule = Rule::new("KV308", "partly-encrypted", Level::Error);
/// Ciphertext that the file's own selection leaves out.
pub static UNSELECTED: Rule = Rule::new("KV322", "ciphertext-not-selected", Level::Error);

pub(super) const RULES: &[&Rule] = &[&CLEAR_COMMENT, &PARTLY, &UNSELECTED];

const BY_HAND: &str = "take it out, and put it in with kveil set or kveil edit";

pub(super) fn look(subject: &Subject<'_>, sheet: &mut Sheet<'_>) {
    let (Some(document), Some(encrypted)) = (subject.document, &subject.encrypted) else { return };
    if subject.conflict {
        return;
    }
    values(document, encrypted, sheet);
    comments(document, encrypted, sheet);
}

fn values(document: &Document<'_>, encrypted: &Encrypted, sheet: &mut Sheet<'_>) {
    let by_comment = encrypted.selection.by_comment();
    for leaf in encrypted.walk.leaves.iter().filter(|leaf| leaf.alias == NONE && !leaf.shadow) {
        let text = document.text(leaf.node);
        let token = Token::parse(text);
        match (leaf.selected, token) {
            (_, Some(token)) if !token.is_sound() => {
                sheet.node(&MALFORMED, document, leaf.node, "an encrypted value with a broken field", BY_HAND);
            }
            (_, None) if text.starts_with(TOKEN) => {
                sheet.node(&MALFORMED, document, leaf.node, "an encrypted value that was cut or changed", BY_HAND);
            }
            // A comment that decides may be encrypted itself.
            (false, Some(_)) if !by_comment => {
                let message =
                    "an encrypted value where the file's own selection expects one in clear: it stays ciphertext when the file is opened";
                sheet.node(
                    &UNSELECTED,
                    document,
                    leaf.node,
                    message,
                    "undo the change of the selection in the sops block, or of the key's name",
                );
            }
            (true, None) if !by_comment && says_something(document, leaf.node) => {
                let message = "a value in clear in an encrypted file, which can't be opened so";
                sheet.node(&PARTLY, document, leaf.node, message, BY_HAND);
            }
            _ => {}
        }
    }
}

fn says_something(document: &Document<'_>, id: NodeId) -> bool {
    document.scalar(id).is_ok_and(|scalar| scalar.kind != Type::Comment && encrypt::hidden(&scalar))
}

fn comments(document: &Document<'_>, encrypted: &Encrypted, sheet: &mut Sheet<'_>) {
    if encrypted.selection.by_comment() {
        return;
    }
    for remark in encrypted.walk.remarks.iter().filter(|remark| remark.selected) {
        let comment = &document.comments[remark.comment];
        let text = document.comment_text(comment);
        // A file's head comes before anything of it, and genuine sops leaves it in clear under some selections.
        if text.trim().is_empty() || Token::parse(text.trim_start()).is_some() || text.contains(super::ignore::MARK) {
            continue;
        }
        let message = "a comment in clear where this file's comments are encrypted";
        sheet.at(&CLEAR_COMMENT, comment.span, message, "kveil edit the file: comments are encrypted with their values");
    }
}

/// The keys on the way up from a node.
pub(super) fn keys_above<'d>(document: &'d Document<'_>, id: NodeId) -> impl Iterator<Item = &'d str> {
    let mut at = id;
    std::iter::from_fn(move || {
        while at != NONE {
            let node = document.node(at);
            let key = matches!(node.role, Role::Value | Role::Shadow).then(|| document.key_text(at - 1));
            at = node.parent;
            if key.is_some() {
                return key;
            }
        }
        None
    })
}
