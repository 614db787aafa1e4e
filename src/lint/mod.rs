//! What is wrong with files that are, or should be, encrypted: rules over texts and what is known about them, without a key.
//!
//! No I/O: the caller reads files and asks git. A family of rules is its own file and a row in `FAMILIES`; what needs
//! more than one file at a time is in [`tree`], what needs a data key in [`verify`], what needs older versions in [`history`]. No message holds a value: key names and
//! places are all that is told, and a source line is shown with its scalars and comments blotted out.
//!
//! Levels: an error is broken or in clear; a warning is drift, or something that was left undone; a note is worth knowing.

pub mod argocd;
pub mod baseline;
pub mod clear;
pub mod configuration;
pub mod envelope;
pub mod fields;
pub mod flux;
pub mod history;
pub mod ignore;
pub mod integrity;
pub mod judge;
pub mod keys;
mod nested;
pub mod output;
pub mod policy;
pub mod repository;
pub mod review;
pub mod shape;
pub mod shown;
pub mod tampering;
pub mod template;
pub mod tree;
pub mod verify;

use crate::config::{Config, Rule as CreationRule};
use crate::document::{Document, NONE, NodeId, Span, conflict};
use crate::error::{Position, Result};
use crate::kubernetes::{self, Object};
use crate::metadata::Metadata;
use crate::seal::walk::{self, Walk};
use crate::select::Selection;
use crate::sorting;
use crate::tree::choice;
use shown::Line;

/// How bad a finding is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// Worth knowing.
    Note,
    /// Drift, or something left undone.
    Warning,
    /// Broken, or in clear.
    Error,
}

impl Level {
    /// The word for people and machines; SARIF's.
    pub fn word(self) -> &'static str {
        match self {
            Level::Note => "note",
            Level::Warning => "warning",
            Level::Error => "error",
        }
    }

    /// The level of this word.
    pub fn read(word: &str) -> Option<Level> {
        [Level::Note, Level::Warning, Level::Error].into_iter().find(|level| level.word() == word)
    }
}

/// A rule.
pub struct Rule {
    /// Stable: `KV101`.
    pub id: &'static str,
    /// A name for people: `plaintext-secret`.
    pub title: &'static str,
    /// The level of most of its findings.
    pub level: Level,
    /// Whether `--fix` mends what it finds.
    pub fix: bool,
}

impl Rule {
    const fn new(id: &'static str, title: &'static str, level: Level) -> Rule {
        Rule { id, title, level, fix: false }
    }

    const fn fixed(self) -> Rule {
        Rule { fix: true, ..self }
    }
}

/// Rules that look at one thing.
struct Family {
    rules: &'static [&'static Rule],
    /// Looks at one file; families that need more have their own door.
    look: fn(&Subject<'_>, &mut Sheet<'_>),
}

/// All families, in the order in which they look.
static FAMILIES: &[Family] = &[
    Family { rules: ignore::RULES, look: |_, _| {} },
    Family { rules: envelope::RULES, look: envelope::look },
    Family { rules: fields::RULES, look: fields::look },
    Family { rules: tampering::RULES, look: tampering::look },
    Family { rules: clear::RULES, look: clear::look },
    Family { rules: shape::RULES, look: shape::look },
    Family { rules: keys::RULES, look: keys::look },
    Family { rules: configuration::RULES, look: configuration::look },
    Family { rules: policy::RULES, look: policy::look },
    Family { rules: repository::RULES, look: repository::look },
    Family { rules: tree::RULES, look: |_, _| {} },
    Family { rules: verify::RULES, look: |_, _| {} },
    Family { rules: review::RULES, look: |_, _| {} },
    Family { rules: flux::RULES, look: |_, _| {} },
    Family { rules: history::RULES, look: |_, _| {} },
    Family { rules: integrity::RULES, look: |_, _| {} },
];

/// Every rule, in order of its id.
pub fn rules() -> Vec<&'static Rule> {
    let mut rules: Vec<&'static Rule> = FAMILIES.iter().flat_map(|family| family.rules.iter().copied()).collect();
    sorting::by_key(&mut rules, |rule| rule.id);
    rules
}

/// The page on all rules, with a section for each.
const PAGE: &str = include_str!("../../docs/check.md");

/// The section of the documentation on a rule, by its id or title; none for a rule that there isn't.
pub fn explain(name: &str) -> Option<&'static str> {
    let rule = rules().into_iter().find(|rule| rule.id.eq_ignore_ascii_case(name) || rule.title == name)?;
    let heading = format!("\n### {} ", rule.id);
    let start = PAGE.find(&heading)? + 1;
    let rest = PAGE.get(start..)?;
    let end = rest.find("\n##").map_or(rest.len(), |end| end + 1);
    rest.get(..end).map(str::trim_end)
}

/// Something that a rule found.
#[derive(Clone)]
pub struct Finding {
    /// The rule.
    pub rule: &'static Rule,
    /// How bad it is here.
    pub level: Level,
    /// The file, as the user named it.
    pub file: String,
    /// Line and column.
    pub position: Option<Position>,
    /// The key path concerned.
    pub key_path: Option<String>,
    /// One line; lower case, no full stop.
    pub message: String,
    /// What to do next.
    pub next: String,
    /// The source line, blotted out.
    pub line: Option<Line>,
    /// Where in the history it is from.
    pub past: Option<Box<history::Source>>,
    /// Whether `--fix` mends it.
    pub fixable: bool,
}

impl Finding {
    /// A finding about a file as a whole.
    pub fn of_file(rule: &'static Rule, file: &str, message: impl Into<String>, next: impl Into<String>) -> Finding {
        Finding {
            rule,
            level: rule.level,
            file: file.to_owned(),
            position: None,
            key_path: None,
            message: message.into(),
            next: next.into(),
            line: None,
            past: None,
            fixable: rule.fix,
        }
    }
}

/// An encrypted file.
pub struct Encrypted {
    /// Its metadata, if it can be read.
    pub metadata: Metadata,
    /// Its values.
    pub walk: Walk,
    /// The rule that its metadata names.
    pub selection: Selection,
}

/// What the caller knows about a file.
pub struct About<'a> {
    /// The configuration that is for it.
    pub config: Option<&'a Config>,
    /// The rule that is for it.
    pub rule: Option<&'a CreationRule>,
    /// Whether `decrypt -i` left it in clear.
    pub left_decrypted: bool,
    /// What is asked of every encrypted file.
    pub policy: &'a policy::Policy,
}

/// A file to look at.
pub struct Subject<'s> {
    /// As the user named it.
    pub name: &'s str,
    /// All of it.
    pub text: &'s str,
    /// What it was read as; none if its format isn't known, or it can't be read.
    pub document: Option<&'s Document<'s>>,
    /// Where reading stopped, for a file whose format is known.
    pub unread: Option<Option<Position>>,
    /// Its metadata and values, if it is encrypted and they can be read.
    pub encrypted: Option<Encrypted>,
    /// Whether it has a `sops` block, readable or not.
    pub has_block: bool,
    /// Whether a merge left its marks.
    pub conflict: bool,
    /// What else is known.
    pub about: About<'s>,
}

impl<'s> Subject<'s> {
    /// A file that was read as `document`, or couldn't be.
    pub fn new(name: &'s str, text: &'s str, document: Option<&'s Result<Document<'s>>>, about: About<'s>) -> Subject<'s> {
        let read = document.and_then(|document| document.as_ref().ok());
        let unread = document.and_then(|document| document.as_ref().err()).map(|error| error.position);
        let has_block = read.is_some_and(choice::has_block);
        let encrypted = read.filter(|_| has_block).and_then(encrypted);
        Subject { name, text, document: read, unread, encrypted, has_block, conflict: conflict::first(text).is_some(), about }
    }

    /// The objects of the file, items of lists included.
    fn objects(&self) -> Vec<Object<'_>> {
        let Some(document) = self.document else { return Vec::new() };
        let mut found = Vec::new();
        for root in document.parts.iter().map(|part| part.root).filter(|root| *root != NONE) {
            gather(document, root, None, 0, &mut found);
        }
        found
    }
}

/// Lists hold lists only where someone plays tricks.
const DEPTH: usize = 8;

fn gather<'d>(document: &'d Document<'_>, root: NodeId, kind: Option<&'d str>, depth: usize, found: &mut Vec<Object<'d>>) {
    let own = kubernetes::object(document, root);
    // Items of a SecretList need not say what they are.
    let object = own.or_else(|| kind.map(|kind| Object { api_version: "v1", kind, namespace: None, name: None, root }));
    let Some(object) = object else { return };
    found.push(object);
    let Some(of) = object.kind.strip_suffix("List").filter(|_| depth < DEPTH) else { return };
    let inner = Some(of).filter(|of| *of == "Secret");
    let items = document.get(root, "items").into_iter().flat_map(|items| document.children(items));
    items.for_each(|item| gather(document, item, inner, depth + 1, found));
}

fn encrypted(document: &Document<'_>) -> Option<Encrypted> {
    let metadata = Metadata::read(&document.block().ok()??).ok()?;
    let selection = Selection::of_metadata(metadata.selector.as_ref());
    let walk = walk::walk(document, &selection).ok()?;
    Some(Encrypted { metadata, walk, selection })
}

/// What the rules say about one file.
pub struct Sheet<'s> {
    name: &'s str,
    text: &'s str,
    document: Option<&'s Document<'s>>,
    findings: Vec<Finding>,
    /// The bytes that each finding is about.
    spans: Vec<Span>,
}

impl<'s> Sheet<'s> {
    /// An empty one.
    pub fn new(subject: &Subject<'s>) -> Sheet<'s> {
        Sheet { name: subject.name, text: subject.text, document: subject.document, findings: Vec::new(), spans: Vec::new() }
    }

    /// What was found.
    pub fn into_findings(self) -> Vec<Finding> {
        self.findings
    }

    /// A finding about these bytes.
    fn at(&mut self, rule: &'static Rule, span: Span, message: impl Into<String>, next: impl Into<String>) -> &mut Finding {
        let mut finding = Finding::of_file(rule, self.name, message, next);
        finding.position = Some(Position::of(self.text, span.start as usize));
        finding.line = Some(Line::blotted(self.text, self.document, span.start as usize));
        self.push(finding, span)
    }

    /// A finding about a node, with its key path.
    fn node(
        &mut self,
        rule: &'static Rule,
        document: &Document<'_>,
        id: NodeId,
        message: impl Into<String>,
        next: impl Into<String>,
    ) -> &mut Finding {
        let path = document.key_path(id);
        let finding = self.at(rule, document.node(id).span, message, next);
        finding.key_path = Some(path).filter(|path| !path.is_empty());
        finding
    }

    /// A finding about the file as a whole.
    fn whole(&mut self, rule: &'static Rule, message: impl Into<String>, next: impl Into<String>) -> &mut Finding {
        let finding = Finding::of_file(rule, self.name, message, next);
        self.push(finding, Span::default())
    }

    fn push(&mut self, finding: Finding, span: Span) -> &mut Finding {
        let at = self.findings.len();
        self.findings.push(finding);
        self.spans.push(span);
        &mut self.findings[at]
    }

    /// Whether this rule found anything.
    fn found(&self, rule: &Rule) -> bool {
        self.findings.iter().any(|finding| finding.rule.id == rule.id)
    }

    /// Whether something was found already at these bytes.
    fn covers(&self, offset: usize) -> bool {
        self.spans.iter().any(|span| span.contains(offset as u32))
    }
}

/// Looks at one file; findings in order of position.
pub fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let mut sheet = Sheet::new(subject);
    FAMILIES.iter().for_each(|family| (family.look)(subject, &mut sheet));
    let mut findings = sheet.into_findings();
    sorting::by_key(&mut findings, |finding| finding.position.map_or((0, 0), |position| (position.line, position.column)));
    findings
}

/// Whether a file of these bytes can have anything to be found: all but a few of a tree are passed over by this.
pub fn may_matter(bytes: &[u8]) -> bool {
    MARKS.iter().any(|mark| mark.find(bytes).is_some())
}

static MARKS: std::sync::LazyLock<[memchr::memmem::Finder<'static>; 6]> = std::sync::LazyLock::new(|| {
    ["ENC[", "sops", "Secret", "PRIVATE KEY", "AGE-SECRET-KEY-", "ustomiz"].map(|mark| memchr::memmem::Finder::new(mark.as_bytes()))
});

/// `1 value`, `2 values`.
pub(crate) fn count(number: usize, one: &str) -> String {
    format!("{number} {one}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_its_section_and_ids_are_sorted() {
        let ids: Vec<&str> = rules().iter().map(|rule| rule.id).collect();
        let headings: Vec<&str> =
            PAGE.lines().filter_map(|line| line.strip_prefix("### KV")).map(|line| line.split(' ').next().unwrap()).collect();
        let headings: Vec<String> = headings.iter().map(|digits| format!("KV{digits}")).collect();
        assert_eq!(ids, headings, "docs/check.md has a section for each rule, in order of ids");
        let mut unique = ids.clone();
        unique.dedup();
        assert_eq!(ids, unique);
        for rule in rules() {
            let section = explain(rule.id).unwrap();
            assert!(section.starts_with(&format!("### {} {} ({}", rule.id, rule.title, rule.level.word())), "{section}");
            assert!(section.lines().count() > 2, "{section}");
            assert_eq!(explain(rule.title), Some(section));
            assert_eq!(section.contains("`--fix`"), rule.fix, "{section}");
        }
        assert_eq!(explain("KV999"), None);
    }
}
