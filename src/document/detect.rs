//! What a text looks like, where its name says nothing.

use super::binary::Binary;
use super::json::Json;
use super::{Document, Format, NONE, format_by_name};

/// The format of files that no other one claims.
pub static BINARY: Binary = Binary;

/// Names say little in practice, but encrypted files show their metadata: a JSON object with the key `sops`, a line
/// `sops:`, a section `[sops]`, lines `sops_version=`.
pub fn format_by_text(text: &str) -> Option<&'static dyn Format> {
    if text.trim_start_matches('\u{feff}').trim_start().starts_with('{') {
        let whole = BINARY.parse(text).ok().filter(|document| document.block_key(&document.parts[0]).is_some())?;
        return Some(if is_envelope(&whole) { &BINARY } else { &Json });
    }
    let line = |wanted: &str| text.lines().any(|line| line.trim_end() == wanted);
    let name = match text {
        _ if line("sops:") => "yaml",
        _ if line("[sops]") => "ini",
        _ if text.starts_with("sops_version=") || text.contains("\nsops_version=") => "dotenv",
        _ => return None,
    };
    format_by_name(name)
}

/// Whether an encrypted file is JSON that holds nothing but the content of a binary one.
pub fn is_envelope(document: &Document<'_>) -> bool {
    let root = document.parts.first().map_or(NONE, |part| part.root);
    root != NONE && document.node(root).flow && document.entries(root).count() == 2 && BINARY.content(document).is_some()
}
