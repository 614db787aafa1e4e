//! Ciphertext that was moved or made by hand.

use std::collections::HashMap;

use super::{Encrypted, Level, Rule, Sheet, Subject};
use crate::document::{Document, NONE, NodeId};
use crate::seal::value::Token;

/// A token that stands at another key path as well.
pub static COPIED: Rule = Rule::new("KV309", "ciphertext-copied", Level::Error);
/// One IV, two ciphertexts.
pub static REPEATED_IV: Rule = Rule::new("KV321", "repeated-iv", Level::Error);

pub(super) const RULES: &[&Rule] = &[&COPIED, &REPEATED_IV];

/// What it says of a repeated IV.
pub(super) const REVEALS: &str = "two values were encrypted with the same IV: together they give both away";
/// What to do about one.
pub(super) const RENEW: &str = "kveil rotate the file, and change both values at their source";

/// Where an IV was seen first.
struct Seen<'d> {
    data: &'d str,
    tag: &'d str,
    place: &'d str,
    node: NodeId,
}

pub(super) fn look(subject: &Subject<'_>, sheet: &mut Sheet<'_>) {
    let (Some(document), Some(encrypted)) = (subject.document, &subject.encrypted) else { return };
    let mut seen: HashMap<&str, Seen<'_>, foldhash::fast::RandomState> = HashMap::default();
    for (node, place, token) in tokens(document, encrypted) {
        let known = match seen.entry(token.iv()) {
            std::collections::hash_map::Entry::Vacant(free) => {
                free.insert(Seen { data: token.data(), tag: token.tag(), place, node });
                continue;
            }
            std::collections::hash_map::Entry::Occupied(known) => known,
        };
        let known = known.get();
        if known.data != token.data() || known.tag != token.tag() {
            sheet.node(&REPEATED_IV, document, node, format!("{REVEALS}; the other is {}", document.key_path(known.node)), RENEW);
        } else if known.place != place {
            let message = format!("this ciphertext stands at {} too, and opens at one key path only", document.key_path(known.node));
            sheet.node(&COPIED, document, node, message, "put the value in with kveil set: every place has a ciphertext of its own");
        } else {
            let message = format!("the same ciphertext as {}: an item or a document was copied", document.key_path(known.node));
            sheet.node(&COPIED, document, node, message, "nothing, if the values are meant to be equal").level = Level::Note;
        }
    }
}

/// All encrypted values, with what they are bound to: their key path without the indexes of lists.
pub(super) fn tokens<'d>(document: &'d Document<'_>, encrypted: &'d Encrypted) -> impl Iterator<Item = (NodeId, &'d str, Token<'d>)> {
    let leaves = encrypted.walk.leaves.iter().filter(|leaf| leaf.alias == NONE);
    leaves.filter_map(move |leaf| Some((leaf.node, encrypted.walk.path(leaf.path), Token::parse(document.text(leaf.node))?)))
}
