//! What the targets share: the rules a text is sealed under, and sealing under a data key that is known.

use kveil::document::Document;
use kveil::document::value::Value;
use kveil::error::Result;
use kveil::metadata::{Entry, Group, Metadata, SelectorKind};
use kveil::seal::encrypt::{Request, Sealed, encrypt};
use kveil::seal::value::Cipher;
use kveil::select::Selection;

/// The data key of every target and seed: wrapping one would take longer than all the rest.
pub const KEY: [u8; 32] = [9; 32];

/// The rules: sops's own, that of a Secret, one that selects nearly all, and one that comments decide.
pub fn selections() -> Vec<Selection> {
    let rules = [
        (SelectorKind::EncryptedRegex, "^(data|stringData)$"),
        (SelectorKind::UnencryptedRegex, "^[a-d]$"),
        (SelectorKind::EncryptedCommentRegex, "enc"),
    ];
    let written = rules.into_iter().filter_map(|(kind, text)| Selection::new(kind, text).ok());
    std::iter::once(Selection::sops_default()).chain(written).collect()
}

/// Seals under the cipher of [`KEY`], with a block for one recipient that nobody is. `odd` has the MAC cover encrypted
/// values only, and takes an empty first document.
///
/// # Errors
/// Those of [`encrypt`].
pub fn seal(document: &Document<'_>, selection: &Selection, cipher: &Cipher, odd: bool) -> Result<Sealed> {
    let entry = Value::Map(vec![("enc".into(), Value::string("x\n")), ("recipient".into(), Value::string("age1x"))]);
    let (kind, text) = selection.parts();
    let metadata = Metadata {
        groups: vec![Group { entries: vec![Entry { kind: "age", value: entry }], ..Group::default() }],
        threshold: None,
        last_modified: "2024-01-01T00:00:00Z".into(),
        mac: None,
        version: kveil::metadata::VERSION.into(),
        selector: Some((kind, text.into())),
        mac_only_encrypted: odd,
        layout: None,
        unknown: Vec::new(),
    };
    encrypt(document, Request { selection, cipher, metadata, indent: None, layout: true, lenient: odd, earlier: None })
}
