//! `kveil status`.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use serde_json::json;

use super::context::Context;
use super::files::{self, Outcome};
use super::flags::{Common, Recipients, Selectors, Types};
use super::paths::{Mode, Paths, Target};
use super::settings::{self, Asked, Configs, Found};
use super::{left, report};
use crate::document::{Document, NONE};
use crate::error::{Kind, Result, printable};
use crate::kubernetes::{self, decoded};
use crate::source::{self, Source};
use crate::tree::{Reason, choice};

/// Say which files of a tree are encrypted, in clear, left decrypted, or without a rule
///
/// No key is needed. Files that hold nothing to encrypt aren't listed.
#[derive(ClapArgs)]
pub struct Args {
    /// Files, directories and globs; the current directory by default
    #[arg(value_name = "PATHS")]
    paths: Vec<OsString>,
    /// text or json
    #[arg(long, value_name = "FORMAT", value_parser = ["json", "text"], default_value = "text")]
    format: String,
    #[command(flatten)]
    common: Common,
}

/// How a file stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// It has a `sops` block.
    Encrypted,
    /// A rule is meant for it, and it is in clear.
    Clear,
    /// `decrypt -i` left it in clear.
    Decrypted,
    /// It holds a Secret in clear, and no rule is for it.
    NoRule,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            State::Encrypted => "encrypted",
            State::Clear => "clear",
            State::Decrypted => "decrypted",
            State::NoRule => "no-rule",
        }
    }
}

struct Row {
    name: String,
    state: State,
    /// The rule that is for it: file and line.
    rule: Option<String>,
}

/// Prints the status.
///
/// # Errors
/// Files that can't be read or parsed, though something in them speaks of a Secret.
pub fn run(context: &Context, args: &Args) -> Result<()> {
    let paths = if args.paths.is_empty() { vec![OsString::from(".")] } else { args.paths.clone() };
    let targets = Paths { paths, ..Paths::default() }.resolve(context, Mode::Plain)?;
    let left = left::noted(context, targets.files.iter().filter(|target| target.source != Source::Stdin));
    let look = Look { context, args, configs: Configs::new(context, &args.common), left };
    let ran = files::work(context, targets, |target| look.one(target));
    if args.format == "json" {
        ran.report(true, |row| json!({"file": row.name, "status": row.state.word(), "rule": row.rule}))?;
    } else {
        report::data(text(&ran.done).as_bytes())?;
    }
    ran.settle(context, args.common.verbose, "listed")
}

fn text(rows: &[Row]) -> String {
    let mut out = String::new();
    for row in rows {
        let note = match (row.state, &row.rule) {
            (State::Decrypted, _) => "  (kveil encrypt --all-decrypted)".to_owned(),
            (State::Clear, Some(rule)) => format!("  (rule {})", printable(rule)),
            (State::Encrypted, None) => "  (no rule)".to_owned(),
            _ => String::new(),
        };
        out.push_str(&format!("{:<9}  {}{note}\n", row.state.word(), printable(&row.name)));
    }
    out
}

/// What all files share.
struct Look<'a> {
    context: &'a Context,
    args: &'a Args,
    configs: Configs<'a>,
    left: HashSet<PathBuf>,
}

impl Look<'_> {
    fn one(&self, target: &Target) -> Result<Outcome<Row>> {
        self.state(target).map_err(|error| error.in_file(&target.name()))
    }

    fn state(&self, target: &Target) -> Result<Outcome<Row>> {
        let path = target.absolute(self.context, None);
        if let Some(reason) = passed_over(target, &path)? {
            return Ok(Outcome::Skipped(reason));
        }
        let text = match target.source.read() {
            Err(error) if error.message == source::NOT_TEXT => return Ok(Outcome::Skipped(Reason::UnknownFormat)),
            text => text?,
        };
        let name = target.name();
        let Ok(format) = Types::default().input(&name, &text) else { return Ok(Outcome::Skipped(Reason::UnknownFormat)) };
        let found = self.configs.find(Some(&path))?.filter(|found| found.config.has_creation_rules);
        let rule = found.as_deref().map(|found| settings::matching(self.context, found, &path)).transpose()?.flatten();
        let aimed = rule.is_some_and(|(_, rule)| rule.path_regex.is_some());
        let document = match format.parse(&text) {
            Ok(document) => document,
            Err(error) => return choice::by_text(&text, aimed).map(Outcome::Skipped).ok_or(error),
        };
        let rule = rule.zip(found.as_deref()).map(|((_, rule), found)| format!("{}:{}", found.config.file, rule.line));
        let state = match self.in_clear(&path, &document, found.as_deref(), rule.is_some(), aimed) {
            _ if choice::has_block(&document) => State::Encrypted,
            Ok(state) => state,
            Err(reason) => return Ok(Outcome::Skipped(reason)),
        };
        Ok(Outcome::Done(Row { name, state, rule }))
    }

    /// How a file without a block stands, or why it isn't listed.
    fn in_clear(
        &self,
        path: &Path,
        document: &Document<'_>,
        found: Option<&Found>,
        ruled: bool,
        aimed: bool,
    ) -> std::result::Result<State, Reason> {
        if std::fs::canonicalize(path).is_ok_and(|real| self.left.contains(&real)) {
            return Ok(State::Decrypted);
        }
        if !ruled {
            let reason = if found.is_some() { Reason::NoRule } else { Reason::NoConfig };
            return if holds_secret(document) { Ok(State::NoRule) } else { Err(reason) };
        }
        match choice::by_content(document, aimed) {
            Some(reason) => Err(reason),
            None if self.selects_nothing(path, document, found) => Err(Reason::NoValues),
            None => Ok(State::Clear),
        }
    }

    /// Whether encrypting would leave all values as they are. Where it would be refused, the file is in clear.
    fn selects_nothing(&self, path: &Path, document: &Document<'_>, found: Option<&Found>) -> bool {
        let (recipients, selectors) = (Recipients::default(), Selectors::default());
        let asked = Asked {
            common: &self.args.common,
            recipients: &recipients,
            selectors: &selectors,
            mac_only_encrypted: false,
            layout: true,
            whole: document.format.is_bytes(),
        };
        let decision = settings::decide(self.context, &asked, found, path, document);
        decision.and_then(|decision| choice::values(document, &decision.plan.selection)).is_ok_and(|count| count == 0)
    }
}

/// Why a file isn't even read as a whole: by its name, unless it may be an encrypted one.
fn passed_over(target: &Target, path: &Path) -> Result<Option<Reason>> {
    match choice::by_name(path) {
        Some(Reason::UnknownFormat) if target.source != Source::Stdin => match source::holds(path, b"sops") {
            Ok(true) => Ok(None),
            Ok(false) => Ok(Some(Reason::UnknownFormat)),
            Err(error) if error.kind == Kind::NoFile && !target.named => Ok(Some(Reason::Gone)),
            Err(error) => Err(error),
        },
        reason => Ok(reason),
    }
}

/// Whether a document is a Secret with values.
fn holds_secret(document: &Document<'_>) -> bool {
    let filled = |root: u32, field: &str| document.get(root, field).is_some_and(|map| document.children(map).next().is_some());
    let roots = document.parts.iter().map(|part| part.root).filter(|root| *root != NONE);
    let mut secrets = roots.filter(|root| kubernetes::object(document, *root).is_some_and(|object| decoded::is_secret(&object)));
    secrets.any(|root| filled(root, "data") || filled(root, "stringData"))
}
