//! What needs the data key: whether each value opens where it stands, and whether all of them are those that were signed.

use super::{Finding, Level, Rule, Sheet, Subject};
use crate::datakey::DataKey;
use crate::document::NONE;
use crate::error::Kind;
use crate::seal::decrypt;
use crate::seal::value::{Cipher, Token};

/// A value that doesn't open, or a MAC that doesn't fit.
pub static MAC: Rule = Rule::new("KV305", "mac-mismatch", Level::Error);

pub(super) const RULES: &[&Rule] = &[&MAC];

/// Checks the values of an encrypted file under its data key, one by one, and then their MAC.
pub fn verify(subject: &Subject<'_>, data_key: &DataKey) -> Vec<Finding> {
    let mut sheet = Sheet::new(subject);
    let (Some(document), Some(encrypted)) = (subject.document, &subject.encrypted) else { return Vec::new() };
    let cipher = Cipher::new(data_key.bytes());
    let mut broken = false;
    for leaf in encrypted.walk.leaves.iter().filter(|leaf| leaf.selected) {
        let Some(token) = Token::parse(document.text(leaf.node)) else { continue };
        if cipher.decrypt(&token, encrypted.walk.path(leaf.path).as_bytes()).is_err() {
            broken = true;
            let id = if leaf.alias == NONE { leaf.node } else { leaf.alias };
            let message = "this value doesn't open: it was changed, moved or renamed, or belongs to another data key";
            sheet.node(&MAC, document, id, message, "restore it from an older version, or put it in again with kveil set");
        }
    }
    match decrypt::read(document, &encrypted.metadata, &cipher, false) {
        Err(error) if !broken => {
            let next = if error.kind == Kind::MacMismatch {
                "see with kveil diff what was changed without a key; kveil resign renews the MAC"
            } else {
                "restore the file from an older version"
            };
            let message = if error.kind == Kind::MacMismatch {
                "the MAC doesn't fit: values or clear fields were changed"
            } else {
                "it can't be opened"
            };
            let finding = sheet.whole(&MAC, message, next);
            (finding.position, finding.key_path) = (error.position, error.key_path.clone());
        }
        _ => {}
    }
    sheet.into_findings()
}
