//! `.sops.yaml`: text becomes rules. Nothing is read from disk here; a caller finds the file and hands over its text.
//!
//! SOPS ignores a field that it doesn't know and a rule that can't match, and so encrypts for the wrong people or in the
//! wrong places without a word. Here such things become [`Finding`]s: [`Config::strict`] makes them an error for what
//! encrypts, while decrypting only warns, since a typo must not stop a deploy.

pub mod change;
mod reader;
mod recipients;
mod rule;
mod spelling;
mod stores;
mod template;

use std::path::{Component, Path, PathBuf};

use crate::document::{Document, NONE, NodeId, yaml};
use crate::error::{Error, Kind, Position, Result};
use reader::{Field, Reader};

pub use rule::Rule;
pub use spelling::did_you_mean;
pub use stores::Stores;
pub use template::template;

const CREATION_RULES: &str = "creation_rules";
const DESTINATION_RULES: &str = "destination_rules";
const STORES: &str = "stores";
const NAMES: &str = "names";
/// Bytes of a comment that can be a label; a longer one is prose.
const MAX_LABEL: usize = 60;
/// SOPS ignores it; people keep their anchors there.
const KEYS: &str = "keys";
const TOP_FIELDS: [&str; 5] = [CREATION_RULES, DESTINATION_RULES, STORES, NAMES, KEYS];

/// A parsed `.sops.yaml`.
pub struct Config {
    /// The file as the user named it.
    pub file: String,
    /// The creation rules in order.
    pub rules: Vec<Rule>,
    /// How output is laid out.
    pub stores: Stores,
    /// Labels for people: (recipient, label).
    pub names: Vec<(String, String)>,
    /// Whether there is a list of creation rules, be it empty. Without one SOPS takes the file as missing.
    pub has_creation_rules: bool,
    /// How many destination rules there are; what they say matters to publishing only.
    pub destination_rules: usize,
    /// What is wrong with it, in order of position.
    pub findings: Vec<Finding>,
}

/// When a finding matters to SOPS.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// Whenever the file is read.
    File,
    /// As soon as the rule of this index is tried.
    Tried(usize),
    /// When the rule of this index is the one that matches.
    Used(usize),
}

/// Something wrong with a config that can still be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// Where it stands.
    pub position: Position,
    /// One line; lower case, no full stop.
    pub message: String,
    /// What to do about it.
    pub hints: Vec<String>,
    /// When SOPS would come across it.
    pub scope: Scope,
    /// Whether SOPS refuses it as well, or would leave values in clear because of it.
    pub grave: bool,
    /// Of the error that it is where it counts.
    pub kind: Kind,
}

impl Finding {
    /// The finding as an error (1) with file, line and column.
    pub fn error(&self, file: &str) -> Error {
        let mut error = Error::new(self.kind, self.message.clone()).in_file(file);
        error.position = Some(self.position);
        error.hints.clone_from(&self.hints);
        error
    }

    /// The finding on one line.
    fn line(&self, file: &str) -> String {
        let hints: String = self.hints.iter().map(|hint| format!("; {hint}")).collect();
        format!("also {}{hints}", self.error(file))
    }
}

/// Reads a config.
///
/// # Errors
/// `Generic` (1), as in SOPS, for text that isn't YAML and for aliases that expand without bounds.
pub fn parse(text: &str, file: &str) -> Result<Config> {
    let mut config = Config::empty(file);
    if is_blank(text) {
        return Ok(config);
    }
    let document = yaml::parse(text).map_err(|error| not_yaml(error, text, file))?;
    // SOPS reads the first document only.
    let root = document.parts.first().map_or(NONE, |part| part.root);
    if root != NONE {
        let mut reader = Reader::new(&document);
        config.read(&mut reader, root);
        config.read_labels(&document);
        config.findings = reader.finish(file)?;
    }
    Ok(config)
}

/// Whether `text` holds nothing but blank lines, comments and document markers.
fn is_blank(text: &str) -> bool {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.lines().map(str::trim).all(|line| line.is_empty() || line.starts_with('#') || line == "---" || line == "...")
}

fn not_yaml(mut error: Error, text: &str, file: &str) -> Error {
    error.kind = Kind::Generic;
    let line = error.position.and_then(|position| text.lines().nth(position.line - 1)).unwrap_or_default();
    if line.contains('"') && line.contains('\\') {
        error.hints.push("in double quotes a backslash starts an escape: put regular expressions in single quotes".to_owned());
    }
    error.in_file(file)
}

impl Config {
    fn empty(file: &str) -> Config {
        Config {
            file: file.to_owned(),
            rules: Vec::new(),
            stores: Stores::default(),
            names: Vec::new(),
            has_creation_rules: false,
            destination_rules: 0,
            findings: Vec::new(),
        }
    }

    fn read(&mut self, reader: &mut Reader<'_, '_>, root: NodeId) {
        for field in reader.fields(root, "the config") {
            match field.name {
                CREATION_RULES => self.read_rules(reader, &field),
                DESTINATION_RULES => self.destination_rules = reader.list(&field).len(),
                STORES => self.stores = stores::read(reader, &field),
                NAMES => self.names = read_names(reader, &field),
                _ => check_top_field(reader, &field),
            }
        }
    }

    fn read_rules(&mut self, reader: &mut Reader<'_, '_>, field: &Field<'_>) {
        self.has_creation_rules = !reader.is_null(field.value);
        for (index, item) in reader.list(field).into_iter().enumerate() {
            self.rules.push(rule::read(reader, item, index));
        }
        rule::find_unreachable(&self.rules, reader);
    }

    /// The first rule that matches, with its index. `path` is relative to the config's directory ([`relative_path`]).
    pub fn rule_for(&self, path: &str) -> Option<(usize, &Rule)> {
        self.rules.iter().enumerate().find(|(_, rule)| rule.matches(path))
    }

    /// Refuses a config with findings.
    ///
    /// # Errors
    /// `Generic` (1) for the first finding; its hints name the others.
    pub fn strict(&self) -> Result<()> {
        self.refuse(self.findings.iter())
    }

    /// Refuses only what SOPS refuses too, or what would make it write clear text, for a file whose rule is `matched`.
    ///
    /// # Errors
    /// As [`Config::strict`].
    pub fn lenient(&self, matched: Option<usize>) -> Result<()> {
        let concerns = |finding: &&Finding| match finding.scope {
            Scope::File => true,
            Scope::Tried(index) => matched.is_none_or(|matched| index <= matched),
            Scope::Used(index) => Some(index) == matched,
        };
        self.refuse(self.findings.iter().filter(|finding| finding.grave).filter(concerns))
    }

    fn refuse<'f>(&self, mut findings: impl Iterator<Item = &'f Finding>) -> Result<()> {
        let Some(first) = findings.next() else { return Ok(()) };
        let mut error = first.error(&self.file);
        error.hints.extend(findings.map(|finding| finding.line(&self.file)));
        Err(error)
    }
}

impl Config {
    /// People write beside a recipient whose it is: a comment on its line is its label, where `names` has none.
    fn read_labels(&mut self, document: &Document<'_>) {
        for comment in document.comments.iter().filter(|comment| comment.inline) {
            let start = comment.span.start as usize;
            let before = document.nodes.partition_point(|node| node.span.start < comment.span.start);
            let Some(id) = before.checked_sub(1) else { continue };
            let node = &document.nodes[id];
            let text = document.key_text(id as crate::document::NodeId).trim();
            let label = document.slice(comment.span).trim_start_matches('#').trim();
            let beside = node.span.end as usize >= document.line_start(start) && !label.is_empty() && label.len() <= MAX_LABEL;
            let named = self.names.iter().any(|(known, _)| known == text);
            if beside && !named && self.rules.iter().any(|rule| rule.groups.iter().flatten().any(|spec| spec.text == text)) {
                self.names.push((text.to_owned(), label.to_owned()));
            }
        }
    }
}

fn read_names(reader: &mut Reader<'_, '_>, field: &Field<'_>) -> Vec<(String, String)> {
    let fields = reader.fields(field.value, "names");
    fields.iter().filter_map(|field| Some((field.name.to_owned(), reader.text(field)?))).collect()
}

/// Unknown fields at the top: fine as a place for anchors, for `keys` and for `x-…`.
fn check_top_field(reader: &mut Reader<'_, '_>, field: &Field<'_>) {
    if field.name == KEYS || field.name.starts_with("x-") {
        return;
    }
    let meant = did_you_mean(field.name, &TOP_FIELDS);
    if defines_anchor(reader.document, field) && meant.is_none_or(|meant| meant == KEYS) {
        return;
    }
    if rule::FIELDS.contains(&field.name) {
        let hint = format!("{} belongs into a rule of {CREATION_RULES}", field.name);
        reader.find(field.key, format!("unknown field {} at the top level", field.name), vec![hint]);
    } else {
        reader.unknown(field, &TOP_FIELDS, "at the top level");
    }
}

fn defines_anchor(document: &Document<'_>, field: &Field<'_>) -> bool {
    (field.value..document.node(field.value).end).any(|id| document.props(id).anchor_span.is_some())
}

/// `target` as rules see it: relative to the config's directory if it lies inside, absolute otherwise; `/` on every
/// system. Both paths are absolute; `.` and `..` are taken out by their text, symlinks stay, as in SOPS.
pub fn relative_path(config_dir: &Path, target: &Path) -> String {
    let (directory, target) = (cleaned(config_dir), cleaned(target));
    // Below a config in the root directory SOPS leaves paths absolute, and rules are written for that.
    let at_root = directory.has_root() && directory.parent().is_none();
    let inside = if at_root { None } else { target.strip_prefix(&directory).ok() };
    with_slashes(inside.filter(|path| !path.as_os_str().is_empty()).unwrap_or(&target))
}

/// A path without `.` and `..`, by its text.
pub fn cleaned(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if cleaned.has_root() || cleaned.file_name().is_some() => {
                cleaned.pop();
            }
            other => cleaned.push(other),
        }
    }
    cleaned
}

fn with_slashes(path: &Path) -> String {
    let text = path.to_string_lossy();
    if cfg!(windows) { text.trim_start_matches(r"\\?\").replace('\\', "/") } else { text.into_owned() }
}

#[cfg(test)]
mod tests;
