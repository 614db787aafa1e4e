//! Where a file's settings come from: flags, the environment, the rule of a `.sops.yaml`, the default of its kind.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::clock;
use super::context::Context;
use super::flags::{Common, Recipients, Selectors, conflict};
use super::policy::Policies;
use super::report;
use crate::config::{self, Config, Rule, Stores};
use crate::document::{Document, Format};
use crate::error::{Error, Kind, Result};
use crate::kubernetes;
use crate::kubernetes::secret::Default as KindDefault;
use crate::metadata::SelectorKind;
use crate::pipeline::Plan;
use crate::recipient::{self, RecipientSpec};
use crate::select::Selection;
use crate::source::{Source, platform};

/// The name of a configuration.
pub const FILE: &str = ".sops.yaml";
const MISSPELT: &str = ".sops.yml";
/// Why no rule about values counts.
pub const WHOLE: &str = "all of a binary file";
/// As far up as sops looks.
const MAX_PARENTS: usize = 100;

/// A configuration and where it was found.
pub struct Found {
    /// Absolute.
    pub path: PathBuf,
    /// What it says.
    pub config: Config,
    /// Whether it was named rather than found.
    pub named: bool,
}

/// The configurations of a run: each is looked for and read once, however many files it is for.
pub struct Configs<'c> {
    /// The world of this run.
    pub context: &'c Context,
    common: &'c Common,
    /// By directory, what is nearest.
    nearest: Mutex<HashMap<PathBuf, Option<PathBuf>>>,
    read: Mutex<HashMap<PathBuf, Result<Arc<Found>>>>,
    /// Those that are committed.
    pub policies: Policies,
}

/// Looks for the configuration of one file, as [`Configs::find`] does.
///
/// # Errors
/// `Generic` (1) if it can't be read.
pub fn find(context: &Context, common: &Common, target: Option<&Path>) -> Result<Option<Arc<Found>>> {
    Configs::new(context, common).find(target)
}

impl<'c> Configs<'c> {
    /// None read yet.
    pub fn new(context: &'c Context, common: &'c Common) -> Configs<'c> {
        let (nearest, read, policies) = Default::default();
        Configs { context, common, nearest, read, policies }
    }

    /// Looks for the configuration of `target` (absolute): the one named, else from the target's directory upward, else
    /// from the current directory upward. Under the name `sops` only the last, as genuine sops does.
    ///
    /// # Errors
    /// `Generic` (1) if it can't be read.
    pub fn find(&self, target: Option<&Path>) -> Result<Option<Arc<Found>>> {
        let context = self.context;
        if let Some(name) = self.common.config.as_deref().filter(|name| !name.is_empty()) {
            return self.open(&context.absolute(name), name, true).map(Some);
        }
        let here = self.upward(&context.directory);
        let path = match target.and_then(Path::parent).filter(|_| !context.is_sops()) {
            None => here,
            Some(directory) => {
                let beside = self.upward(directory);
                if let (Some(beside), Some(here)) = (&beside, &here)
                    && beside != here
                {
                    report::warning(context, &format!("{} counts for this file, not {}", shown(context, beside), shown(context, here)));
                }
                beside.or(here)
            }
        };
        path.map(|path| self.open(&path, &shown(context, &path), false)).transpose()
    }

    /// Columns a level of what is printed in `format`: by flag, else by the configuration of `target`, as for [`Configs::find`].
    ///
    /// # Errors
    /// Those of [`Common::indent`] and [`Configs::find`].
    pub fn indent(&self, target: Option<&Path>, format: &dyn Format) -> Result<Option<usize>> {
        let stores = if self.common.indent.is_none() { self.find(target)?.map(|found| found.config.stores) } else { None };
        indent(self.common, stores, format)
    }

    /// As [`Configs::find`], for verbs that need no configuration: one that can't be read is none.
    pub fn find_leniently(&self, target: &Path) -> Option<Arc<Found>> {
        self.find(Some(target)).unwrap_or_else(|error| {
            report::warning(self.context, &format!("the configuration isn't read: {error}"));
            None
        })
    }

    fn open(&self, path: &Path, name: &str, named: bool) -> Result<Arc<Found>> {
        let Ok(mut known) = self.read.lock() else { return read(path, name, named).map(Arc::new) };
        known.entry(path.to_owned()).or_insert_with(|| read(path, name, named).map(Arc::new)).clone()
    }

    fn upward(&self, directory: &Path) -> Option<PathBuf> {
        let known = self.nearest.lock().ok().and_then(|nearest| nearest.get(directory).cloned());
        known.unwrap_or_else(|| {
            let found = self.search(directory);
            if let Ok(mut nearest) = self.nearest.lock() {
                nearest.insert(directory.to_owned(), found.clone());
            }
            found
        })
    }

    /// The nearest configuration at or above `directory`. As kveil the search ends at the top of a git work tree and at the
    /// border of a file system: what lies above belongs to someone else.
    fn search(&self, directory: &Path) -> Option<PathBuf> {
        let lenient = self.context.is_sops();
        let device = platform::device(directory);
        for folder in directory.ancestors().take(MAX_PARENTS) {
            if !lenient && platform::device(folder) != device {
                return None;
            }
            let path = folder.join(FILE);
            if path.is_file() {
                return Some(path);
            }
            if folder.join(MISSPELT).is_file() {
                report::warning(self.context, &format!("{} is ignored, the name is {FILE}", shown(self.context, &folder.join(MISSPELT))));
            }
            if !lenient && folder.join(".git").exists() {
                return None;
            }
        }
        None
    }
}

/// A path for messages: relative where that is shorter.
fn shown(context: &Context, path: &Path) -> String {
    path.strip_prefix(&context.directory).unwrap_or(path).display().to_string()
}

fn read(path: &Path, name: &str, named: bool) -> Result<Found> {
    let text = Source::File(path.to_owned()).read().map_err(|mut error| {
        error.kind = Kind::Generic;
        error.message = format!("config file not readable: {}", error.message);
        error.in_file(name)
    })?;
    Ok(Found { path: path.to_owned(), config: config::parse(&text, name)?, named })
}

/// A configuration of a stranger could name his recipients.
///
/// # Errors
/// `Generic` (1).
pub fn refuse_foreign_owner(found: &Found, target: &Path) -> Result<()> {
    let Some(owner) = platform::owner(&found.path).filter(|_| !found.named) else { return Ok(()) };
    let top = target.ancestors().find(|folder| folder.join(".git").exists());
    let trusted = [Some(0), Some(platform::user()), platform::owner(target), top.and_then(platform::owner)];
    if trusted.contains(&Some(owner)) {
        return Ok(());
    }
    let message = format!("{} belongs to another user, who would choose the recipients", found.path.display());
    Err(Error::new(Kind::Generic, message).hint("check it, and name it with --config"))
}

/// What was decided for a file, and why.
pub struct Decision {
    /// How to encrypt.
    pub plan: Plan,
    /// The rule: file and line.
    pub rule: Option<(String, usize)>,
    /// Where the selection comes from.
    pub because: &'static str,
    /// Labels of recipients.
    pub names: Vec<(String, String)>,
}

/// Everything that the decision depends on.
pub struct Asked<'f> {
    /// Flags of every command.
    pub common: &'f Common,
    /// Recipients by flag.
    pub recipients: &'f Recipients,
    /// Selection by flag.
    pub selectors: &'f Selectors,
    /// Whether the MAC shall cover encrypted values only.
    pub mac_only_encrypted: bool,
    /// Whether a layout record may be written.
    pub layout: bool,
    /// Whether the input is a file of any bytes, whatever is made of it: no rule about values means a part of it.
    pub whole: bool,
}

/// Decides for whom and which values of a file are encrypted. `target` is the file's absolute path.
///
/// # Errors
/// Missing or wrong configuration, recipients or selection: `Generic` (1), `ConflictingFlags` (8).
pub fn decide(context: &Context, asked: &Asked<'_>, found: Option<&Found>, target: &Path, document: &Document<'_>) -> Result<Decision> {
    let flags = asked.recipients.group(context)?;
    let stores = found.map(|found| found.config.stores);
    let ruleless = found.filter(|found| !found.config.has_creation_rules);
    if let Some(found) = ruleless.filter(|_| context.is_strict()) {
        // What should be rules may stand there under another name.
        found.config.strict()?;
    }
    let found = found.filter(|found| found.config.has_creation_rules);
    let matched = found.map(|found| rule_of(context, found, target)).transpose()?;
    let rule = matched.map(|(_, rule)| rule);
    let groups = groups(flags, rule, &asked.recipients.context()?).map_err(|error| match ruleless {
        Some(found) => error.hint(format!("{} is there, but has no creation_rules", found.config.file)),
        None => error,
    })?;
    let (selection, because) = selection(context, asked, rule, document)?;
    let indent = indent(asked.common, stores, document.format)?;
    let plan = Plan {
        groups,
        threshold: asked.recipients.shamir_secret_sharing_threshold.or_else(|| rule.and_then(|rule| rule.threshold)),
        selection,
        mac_only_encrypted: !asked.whole && (asked.mac_only_encrypted || rule.is_some_and(|rule| rule.mac_only_encrypted)),
        indent,
        layout: asked.layout && !kubernetes::lists_sops_fields(document),
        lenient: context.is_sops(),
        now: clock::now(),
    };
    let rule = found.zip(rule).map(|(found, rule)| (found.config.file.clone(), rule.line));
    Ok(Decision { plan, rule, because, names: found.map(|found| found.config.names.clone()).unwrap_or_default() })
}

/// The flag counts whatever it says: of JSON -1, a tab.
fn indent(common: &Common, stores: Option<Stores>, format: &dyn Format) -> Result<Option<usize>> {
    let stored = stores.filter(|_| common.indent.is_none()).and_then(|stores| stores.indent_of(format.name()));
    Ok(common.indent(format)?.or(stored))
}

/// The rule of a file.
///
/// # Errors
/// `Generic` (1) if none matches, or the configuration has mistakes.
pub fn rule_of<'f>(context: &Context, found: &'f Found, target: &Path) -> Result<(usize, &'f Rule)> {
    matching(context, found, target)?.ok_or_else(|| {
        let error = Error::new(Kind::Generic, format!("error loading config: no matching creation rules found in {}", found.config.file));
        error
            .hint(format!("rules are matched against {}", rule_path(found, target)))
            .hint("add a rule whose path_regex matches it, or one without path_regex at the end")
    })
}

/// The rule of a file, if one matches.
///
/// # Errors
/// `Generic` (1) if the configuration has mistakes.
pub fn matching<'f>(context: &Context, found: &'f Found, target: &Path) -> Result<Option<(usize, &'f Rule)>> {
    if !context.is_sops() {
        refuse_foreign_owner(found, target)?;
    }
    let matched = found.config.rule_for(&rule_path(found, target));
    if context.is_strict() {
        found.config.strict()?
    } else {
        found.config.lenient(matched.as_ref().map(|(index, _)| *index))?
    }
    Ok(matched)
}

fn rule_path(found: &Found, target: &Path) -> String {
    config::relative_path(found.path.parent().unwrap_or(Path::new("/")), target)
}

/// The recipients of the flags, else of the rule; an encryption context given by flag counts for keys in its flat lists
/// (sops).
fn groups(flags: Vec<RecipientSpec>, rule: Option<&Rule>, context: &[(String, String)]) -> Result<Vec<Vec<RecipientSpec>>> {
    if !flags.is_empty() {
        return Ok(vec![flags]);
    }
    match rule {
        Some(rule) if rule.has_recipients() => {
            let mut groups = rule.groups.clone();
            groups.iter_mut().flatten().filter(|_| !rule.grouped).for_each(|spec| spec.add_context(context));
            Ok(groups)
        }
        Some(rule) => {
            let message = format!("empty key group provided: the rule in line {} has no recipients, and no flag gives any", rule.line);
            Err(Error::new(Kind::NoKeys, message).hint("add age: age1… to the rule, or give --age"))
        }
        None => {
            let message = "config file not found, or has no creation rules, and no keys provided through command line options";
            Err(Error::new(Kind::Generic, message)
                .hint("kveil init makes a key and a .sops.yaml")
                .hint("or name recipients: --age age1…, or SOPS_AGE_RECIPIENTS"))
        }
    }
}

fn selection(context: &Context, asked: &Asked<'_>, rule: Option<&Rule>, document: &Document<'_>) -> Result<(Selection, &'static str)> {
    let flag = asked.selectors.chosen()?;
    let ruled = rule.and_then(|rule| rule.selector.as_ref());
    if asked.whole {
        if flag.is_some() || ruled.is_some() {
            report::warning(context, "a rule about values means nothing for a binary file, all of it is encrypted");
        }
        return Ok((Selection::implied(), WHOLE));
    }
    match (flag, ruled) {
        (Some((kind, _)), Some((other, _))) if kind != *other => Err(conflict(kind.name(), other.name())),
        (Some((kind, text)), _) => Ok((Selection::new(kind, &text)?, "by flag")),
        (None, Some((kind, text))) => Ok((Selection::new(*kind, text)?, "by rule")),
        (None, None) if context.is_sops() => Ok((Selection::sops_default(), "the default of sops")),
        (None, None) => match kubernetes::secret::default_selection(document)? {
            KindDefault::Pattern(pattern) => {
                Ok((Selection::new(SelectorKind::EncryptedRegex, &pattern)?, "the default for objects of this kind"))
            }
            KindDefault::SopsDefault => Ok((Selection::sops_default(), "the default for files that aren't Kubernetes objects")),
        },
    }
}

/// Recipients for people: label and short form.
pub fn people(groups: &[Vec<RecipientSpec>], names: &[(String, String)]) -> String {
    let one = |spec: &RecipientSpec| {
        let short = recipient::kind_by_field(spec.kind).map_or_else(|| spec.text.clone(), |kind| kind.short(&spec.text));
        label(spec, names).map_or_else(|| short.clone(), |label| format!("{label} ({short})"))
    };
    groups.iter().map(|group| group.iter().map(one).collect::<Vec<_>>().join(", ")).collect::<Vec<_>>().join(" | ")
}

/// The label of a recipient, in whichever spelling it stands there.
pub fn label<'n>(spec: &RecipientSpec, names: &'n [(String, String)]) -> Option<&'n str> {
    let kind = recipient::kind_by_field(spec.kind);
    let is = |text: &str| text == spec.text || kind.is_some_and(|kind| kind.same(text.trim(), &spec.text));
    names.iter().find(|(recipient, _)| is(recipient)).map(|(_, label)| label.as_str())
}

/// Recipients that stand in several key groups, in their short form.
pub fn shared(groups: &[Vec<RecipientSpec>]) -> Vec<String> {
    let holders = |spec: &RecipientSpec| groups.iter().filter(|group| group.iter().any(|other| same(other, spec))).count();
    let mut found: Vec<&RecipientSpec> = Vec::new();
    for spec in groups.iter().flatten() {
        if holders(spec) > 1 && !found.iter().any(|other| same(other, spec)) {
            found.push(spec);
        }
    }
    let short = |spec: &RecipientSpec| recipient::kind_by_field(spec.kind).map_or_else(|| spec.text.clone(), |kind| kind.short(&spec.text));
    found.into_iter().map(short).collect()
}

/// Whether one who has the key of `a` has that of `b`: with which role or context it is asked for makes no other key.
fn same(a: &RecipientSpec, b: &RecipientSpec) -> bool {
    let bare = |spec: &RecipientSpec| RecipientSpec { extra: Vec::new(), ..spec.clone() };
    bare(a).is(&bare(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipient_of_several_groups_is_seen_in_any_spelling() {
        let spec = |kind, text: &str, extra: &[(&str, &str)]| RecipientSpec {
            kind,
            text: text.to_owned(),
            extra: extra.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        };
        let fingerprint = "1022470de3f0bc54bc6ab62de05550bc07fb1a0a";
        let pgp = |text: &str| spec("pgp", text, &[]);
        let vault = |text: &str| spec("hc_vault", text, &[]);
        let kms = |extra: &[(&str, &str)]| spec("kms", "arn:aws:kms:eu-west-1:1:key/k", extra);
        for (a, b) in [
            (pgp(fingerprint), pgp(&format!("0x{}", fingerprint.to_uppercase()))),
            (vault("https://v/v1/transit/keys/k"), vault("https://v/v1/transit/keys/k/")),
            (kms(&[]), kms(&[("role", "arn:aws:iam::1:role/r")])),
        ] {
            assert_eq!(shared(&[vec![a.clone()], vec![b]]).len(), 1, "{}", a.text);
        }
        assert!(shared(&[vec![pgp(fingerprint)], vec![kms(&[])]]).is_empty());
    }

    #[test]
    fn a_context_by_flag_counts_for_flat_keys_of_the_rule_only() {
        let pairs = [("context.a".to_owned(), "1".to_owned())];
        let extra = |rule: &str| {
            let config = config::parse(&format!("creation_rules:\n  - {rule}\n"), ".sops.yaml").unwrap();
            let groups = groups(Vec::new(), config.rule_for("f").map(|(_, rule)| rule), &pairs).unwrap();
            groups[0].iter().map(|spec| spec.extra.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>().join(" ")).collect::<Vec<_>>()
        };
        assert_eq!(extra("{kms: 'arn:k+arn:r', aws_profile: p, pgp: F}"), ["", "role context.a aws_profile"]);
        assert_eq!(extra("{key_groups: [{kms: [{arn: 'arn:k', aws_profile: p}]}]}"), ["aws_profile"]);
    }
}
