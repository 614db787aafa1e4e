//! An encrypted file as git shall compare it: every secret value as a mask on its line, the `sops` block as what matters of
//! it. A changed value is a changed line; a new ciphertext of the same value is none.

use zeroize::Zeroizing;

use super::mask::Masks;
use crate::document::edit::Edits;
use crate::error::printable;
use crate::metadata::Metadata;
use crate::pipeline::next::Opened;
use crate::recipient::kind_by_field;

/// The file with masks in place of its secret values and comments.
pub fn masked(opened: &Opened<'_>, masks: &Masks) -> Zeroizing<String> {
    let document = &opened.document;
    let mut edits = Edits::default();
    for (span, kind, plaintext) in opened.secrets() {
        edits.replace(span, &masks.mask(kind, plaintext));
    }
    document.format.remove_block(document, "{}\n", &mut edits);
    let mut text = edits.apply(document.source);
    finish(&mut text, opened, masks);
    text
}

/// The decrypted file, as it may be asked for.
pub fn revealed(opened: &Opened<'_>, masks: &Masks) -> Zeroizing<String> {
    let mut text = opened.plain.clone();
    finish(&mut text, opened, masks);
    text
}

fn finish(text: &mut String, opened: &Opened<'_>, masks: &Masks) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    for line in summary(&opened.metadata) {
        text.push_str(&format!("# sops: {}\n", printable(&line)));
    }
    text.push_str(&format!("# sops: data key {}\n", masks.label(&opened.data_key)));
    if !opened.is_signed() {
        text.push_str("# sops: the MAC doesn't fit, the file was changed without its data key\n");
    }
}

/// Recipients and rule, a line each.
fn summary(metadata: &Metadata) -> Vec<String> {
    let (kind, pattern) = metadata.selector();
    let mut lines = vec![format!("{} {pattern}", kind.name())];
    if metadata.mac_only_encrypted {
        lines.push("mac_only_encrypted".to_owned());
    }
    let several = metadata.groups.len() > 1;
    for (at, group) in metadata.groups.iter().enumerate() {
        for entry in &group.entries {
            let recipient = kind_by_field(entry.kind).map_or_else(String::new, |kind| kind.describe(&entry.value));
            let group = if several { format!(" of group {}", at + 1) } else { String::new() };
            lines.push(format!("recipient{group} {} {recipient}", entry.kind));
        }
    }
    lines
}
