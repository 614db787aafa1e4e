//! Which files of a tree are meant. A rule for every file would encrypt README.md and the configuration itself: nobody who
//! names a directory means that.

use std::path::Path;

use crate::document::value::Value;
use crate::document::{self, Document};
use crate::error::Result;
use crate::kubernetes::secret;
use crate::metadata::ENTRY_FIELDS;
use crate::seal::{decrypt, encrypt, walk};
use crate::select::Selection;

/// Files that tools read as they are: never encrypted unless they are named.
const NEVER: [&str; 8] = [
    ".sops.yaml",
    ".sops.yml",
    "kustomization.yaml",
    "kustomization.yml",
    "Kustomization",
    "Chart.yaml",
    "Chart.yml",
    ".pre-commit-config.yaml",
];

/// Why a file of a tree was passed over.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Reason {
    /// Its `sops` block is there.
    Encrypted,
    /// It has none, where encrypted files are wanted.
    Plain,
    /// There is no configuration for it.
    NoConfig,
    /// No rule is for it.
    NoRule,
    /// Only a rule for every file is for it, and it holds no kind that is known to hold secrets.
    NoSecretKind,
    /// The rule selects no value that isn't empty.
    NoValues,
    /// No known format goes by its name.
    UnknownFormat,
    /// A file that its tool reads in clear.
    Configuration,
    /// Text of a template engine, which no parser reads.
    Template,
    /// It can't be parsed, and nothing in it speaks of a Secret.
    NotParsed,
    /// A symbolic link: what it leads to is found in its own place.
    Link,
    /// A device, a pipe, a socket.
    NotRegular,
    /// A submodule or a clone within the tree.
    OtherRepository,
    /// It went away after it was found.
    Gone,
    /// The new version of a file, which a killed run didn't put into its place.
    Leftover,
}

impl Reason {
    /// The word for machines.
    pub fn id(self) -> &'static str {
        match self {
            Reason::Encrypted => "encrypted",
            Reason::Plain => "plain",
            Reason::NoConfig => "no-config",
            Reason::NoRule => "no-rule",
            Reason::NoSecretKind => "no-secret-kind",
            Reason::NoValues => "no-values",
            Reason::UnknownFormat => "unknown-format",
            Reason::Configuration => "configuration",
            Reason::Template => "template",
            Reason::NotParsed => "not-parsed",
            Reason::Link => "link",
            Reason::NotRegular => "not-regular",
            Reason::OtherRepository => "other-repository",
            Reason::Gone => "gone",
            Reason::Leftover => "leftover",
        }
    }

    /// The words for people, to follow a number: `3 encrypted already`.
    pub fn text(self) -> &'static str {
        match self {
            Reason::Encrypted => "encrypted already",
            Reason::Plain => "not encrypted",
            Reason::NoConfig => "without a .sops.yaml",
            Reason::NoRule => "without a rule",
            Reason::NoSecretKind => "of no kind that holds secrets (their rule has no path_regex)",
            Reason::NoValues => "without a value to encrypt",
            Reason::UnknownFormat => "of no known format",
            Reason::Configuration => "configuration that tools read in clear",
            Reason::Template => "templates",
            Reason::NotParsed => "that can't be parsed (their rule has no path_regex)",
            Reason::Link => "symbolic links",
            Reason::NotRegular => "no regular files",
            Reason::OtherRepository => "other repositories",
            Reason::Gone => "gone meanwhile",
            Reason::Leftover => "left by a run that was killed, removed now",
        }
    }
}

/// Why a file isn't encrypted, by its name alone.
pub fn by_name(path: &Path) -> Option<Reason> {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    if NEVER.contains(&&*name) {
        return Some(Reason::Configuration);
    }
    document::format_by_path(&name).is_none().then_some(Reason::UnknownFormat)
}

/// Why a file isn't encrypted, by what it holds. `aimed` says that its rule has a `path_regex`.
pub fn by_content(document: &Document<'_>, aimed: bool) -> Option<Reason> {
    if has_block(document) {
        return Some(Reason::Encrypted);
    }
    (!aimed && !secret::holds_known_kind(document)).then_some(Reason::NoSecretKind)
}

/// Why a file that can't be parsed is no failure; none if it is one, since a Secret could stay in clear.
pub fn by_text(text: &str, aimed: bool) -> Option<Reason> {
    if aimed {
        return None;
    }
    if text.contains("{{") {
        return Some(Reason::Template);
    }
    (!secret::names_known_kind(text)).then_some(Reason::NotParsed)
}

/// How many values would be encrypted.
///
/// # Errors
/// Those of [`walk::walk`], and values that can't be resolved.
pub fn values(document: &Document<'_>, selection: &Selection) -> Result<usize> {
    Ok(hidden(document, selection, |_| ())?.len())
}

/// What `of` makes of the bytes of each value that would be encrypted.
///
/// # Errors
/// As [`values`].
pub fn hidden<T>(document: &Document<'_>, selection: &Selection, of: impl Fn(&[u8]) -> T) -> Result<Vec<T>> {
    let walk = walk::walk(document, selection)?;
    let mut found = Vec::new();
    for leaf in walk.leaves.iter().filter(|leaf| leaf.selected) {
        let scalar = document.scalar(leaf.node)?;
        found.extend(encrypt::hidden(&scalar).then(|| of(&scalar.bytes)));
    }
    Ok(found)
}

/// Whether the file is encrypted: by its `sops` block, not by a key of this name that means something else.
pub fn has_block(document: &Document<'_>) -> bool {
    let says = |block: &Value| {
        ENTRY_FIELDS.iter().chain(&["mac", "lastmodified", "version", "key_groups"]).any(|field| block.get(field).is_some())
    };
    decrypt::is_encrypted(document) && document.block().map_or(true, |block| block.as_ref().is_some_and(says))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::yaml;

    #[test]
    fn a_block_is_known_by_its_fields() {
        for (text, encrypted) in
            [("a: 1\nsops:\n  mac: x\n", true), ("a: 1\nsops: true\n", false), ("a: 1\nsops: {on: 1}\n", false), ("a: 1\n", false)]
        {
            assert_eq!(has_block(&yaml::parse(text).unwrap()), encrypted, "{text}");
        }
    }

    #[test]
    fn a_rule_for_every_file_is_for_kinds_that_hold_secrets() {
        let secret = yaml::parse("apiVersion: v1\nkind: Secret\ndata: {a: Yg==}\n").unwrap();
        let list = yaml::parse("apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Secret}\n").unwrap();
        let other = yaml::parse("apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod}\n").unwrap();
        assert_eq!((by_content(&secret, false), by_content(&list, false)), (None, None));
        assert_eq!((by_content(&other, false), by_content(&other, true)), (Some(Reason::NoSecretKind), None));
    }

    #[test]
    fn broken_text_that_speaks_of_a_secret_is_a_failure() {
        assert_eq!(by_text("kind: Secret # x\na: [\n", false), None);
        assert_eq!(by_text("{\"kind\": \"Secret\",\n", false), None);
        assert_eq!(by_text("kind: Secret\na: {{ .Values.a }}\n", false), Some(Reason::Template));
        assert_eq!(by_text("// comment\n{}", false), Some(Reason::NotParsed));
        assert_eq!(by_text("// comment\n{}", true), None);
    }

    #[test]
    fn what_tools_read_in_clear_is_known_by_name() {
        assert_eq!(by_name(Path::new("a/.sops.yaml")), Some(Reason::Configuration));
        assert_eq!(by_name(Path::new("a/README.md")), Some(Reason::UnknownFormat));
        assert_eq!(by_name(Path::new("a/secret.yaml")), None);
    }
}
