//! What the targets share: formats, selections and sealing under a fixed data key.

use kveil::document::value::Value;
use kveil::document::{self, Document, Format};
use kveil::error::Result;
use kveil::metadata::{Entry, Group, Metadata, SelectorKind};
use kveil::seal::encrypt::{Request, Sealed, encrypt};
use kveil::seal::value::Cipher;
use kveil::select::Selection;

/// The data key of every target and seed.
pub const KEY: [u8; 32] = [9; 32];

/// Every format that there is.
pub fn formats() -> impl Iterator<Item = &'static dyn Format> {
    ["yaml", "json"].into_iter().filter_map(document::format_by_name)
}

/// The rules that a text is sealed under: sops's own, that of a Secret, and one that comments decide.
pub fn selections() -> Vec<Selection> {
    let rules = [(SelectorKind::EncryptedRegex, "^(data|stringData)$"), (SelectorKind::EncryptedCommentRegex, "enc")];
    let written = rules.into_iter().filter_map(|(kind, text)| Selection::new(kind, text).ok());
    std::iter::once(Selection::sops_default()).chain(written).collect()
}

/// Seals under the cipher of [`KEY`], with a metadata block of one recipient that nobody can open.
///
/// # Errors
/// Those of [`encrypt`].
pub fn seal(document: &Document<'_>, selection: &Selection, cipher: &Cipher) -> Result<Sealed> {
    let entry = Value::Map(vec![("enc".into(), Value::string("x\n")), ("recipient".into(), Value::string("age1x"))]);
    let (kind, text) = selection.parts();
    let metadata = Metadata {
        groups: vec![Group { entries: vec![Entry { kind: "age", value: entry }], ..Group::default() }],
        threshold: None,
        last_modified: "2024-01-01T00:00:00Z".into(),
        mac: None,
        version: kveil::metadata::VERSION.into(),
        selector: Some((kind, text.into())),
        mac_only_encrypted: false,
        layout: None,
        unknown: Vec::new(),
    };
    encrypt(document, Request { selection, cipher, metadata, indent: None, layout: true, lenient: false })
}
