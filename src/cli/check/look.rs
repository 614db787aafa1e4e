//! How one file is read and looked at, and what all files share.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use zeroize::Zeroizing;

use super::Args;
use super::base::Base;
use super::history;
use crate::cli::context::Context;
use crate::cli::files::{self, Outcome};
use crate::cli::flags::Types;
use crate::cli::paths::{Target, Targets};
use crate::cli::settings::{Configs, Found};
use crate::cli::{git, left};
use crate::config::{self, Rule as CreationRule};
use crate::datakey;
use crate::document::{self, Document, bytes};
use crate::error::{Error, Kind, Result};
use crate::lint::history::version::{Reader, Today};
use crate::lint::ignore::Ignore;
use crate::lint::policy::Policy;
use crate::lint::tree::{Facts, Gatherer};
use crate::lint::{self, About, Finding, Subject, configuration, envelope, ignore, integrity, review, verify};
use crate::recipient::Identities;
use crate::source::{self, Source};

/// What all files share.
pub struct Look<'a> {
    context: &'a Context,
    policy: &'a Policy,
    configs: Configs<'a>,
    left: HashSet<PathBuf>,
    gatherer: Gatherer,
    /// The identities and the order, with `--verify`.
    keys: Option<(Identities, Vec<String>)>,
    /// What the index holds, by object, with `--staged`.
    staged: HashMap<String, Zeroizing<Vec<u8>>>,
    /// Reads versions, with `--history`.
    reader: Option<Reader>,
    /// The revision whose rules count.
    pub base: Option<Base<'a>>,
    /// The configurations that were used, by path, with whether the revision has the same.
    used: Mutex<BTreeMap<PathBuf, (Arc<Found>, bool)>>,
}

/// What became of all files.
pub struct Looked {
    /// Their findings.
    pub findings: Vec<Finding>,
    /// What they contribute to what is found in several.
    pub facts: Vec<Facts>,
    /// All of them.
    pub names: Vec<String>,
    /// How many findings exceptions took out.
    pub ignored: usize,
    /// The encrypted files, with `--history`.
    pub now: Vec<Now>,
    /// What couldn't be looked at.
    pub errors: Vec<Error>,
}

/// An encrypted file of today.
pub struct Now {
    /// What it says.
    pub today: Today,
    /// Absolute.
    pub path: PathBuf,
}

/// What became of one file.
#[derive(Default)]
struct One {
    findings: Vec<Finding>,
    facts: Option<Facts>,
    ignored: usize,
    now: Option<Now>,
}

/// The rule that counts for a file, wherever it is written.
enum Ruled {
    Here(Arc<Found>),
    Base(Arc<crate::cli::policy::Seen>),
    None,
}

impl Ruled {
    fn config(&self) -> Option<&config::Config> {
        match self {
            Ruled::Here(found) => Some(&found.config),
            Ruled::Base(seen) => Some(&seen.config),
            Ruled::None => None,
        }
    }

    fn rule(&self, path: &Path) -> Option<&CreationRule> {
        match self {
            Ruled::Here(found) => {
                let folder = found.path.parent().unwrap_or(Path::new("/"));
                found.config.rule_for(&config::relative_path(folder, path)).map(|(_, rule)| rule)
            }
            Ruled::Base(seen) => seen.rule_for(path),
            Ruled::None => None,
        }
    }
}

impl<'a> Look<'a> {
    /// Gathers what all files need.
    ///
    /// # Errors
    /// `Unreadable` (2): git is in trouble.
    pub fn new(context: &'a Context, args: &'a Args, policy: &'a Policy, base: Option<Base<'a>>, targets: &Targets) -> Result<Look<'a>> {
        let network = || git::surroundings(context).map(|(_, settings)| settings.network);
        let keys = match args.verify {
            true => Some((git::identities(context, network()? && !args.common.offline), args.order.kinds()?)),
            false => None,
        };
        let mut staged = HashMap::new();
        if let Some(repository) = targets.repository.as_ref().filter(|_| args.paths.staged) {
            let objects: Vec<&str> =
                targets.files.iter().filter_map(|target| target.staged.as_ref()).map(|of| of.object.as_str()).collect();
            staged.extend(objects.iter().map(|object| (*object).to_owned()).zip(repository.blobs(&objects)?));
        }
        Ok(Look {
            context,
            policy,
            configs: Configs::new(context, &args.common),
            left: left::noted(context, targets.files.iter().filter(|target| target.source != Source::Stdin)),
            gatherer: Gatherer::default(),
            keys,
            staged,
            reader: args.history.then(|| Reader::new(history::compares(context, args))).transpose()?,
            base,
            used: Mutex::default(),
        })
    }

    /// Looks at all files, in parallel.
    pub fn all(&mut self, targets: Targets) -> Looked {
        let names = targets.files.iter().map(Target::name).collect();
        let look = &*self;
        let ran =
            files::work(look.context, targets, |target| look.one(target).map(Outcome::Done).map_err(|why| why.in_file(&target.name())));
        let mut looked = Looked { findings: Vec::new(), facts: Vec::new(), names, ignored: 0, now: Vec::new(), errors: ran.rest.errors };
        for one in ran.done {
            looked.findings.extend(one.findings);
            looked.facts.extend(one.facts);
            looked.ignored += one.ignored;
            looked.now.extend(one.now);
        }
        looked
    }

    fn one(&self, target: &Target) -> Result<One> {
        let path = target.absolute(self.context, None);
        let bytes = match &target.staged {
            Some(staged) if !self.staged.is_empty() => self.staged.get(&staged.object).cloned().unwrap_or_default(),
            _ => target.source.read_bytes()?,
        };
        let left = !self.left.is_empty() && std::fs::canonicalize(&path).is_ok_and(|real| self.left.contains(&real));
        let ruled = self.ruled(&path)?;
        let aimed = ruled.rule(&path).is_some_and(|rule| rule.path_regex.is_some());
        if target.staged.as_ref().is_some_and(|staged| staged.conflict) {
            return Ok(unmerged(target, &bytes));
        }
        let reviewed = self.base.is_some() && integrity::may_say(&bytes);
        if !left && !aimed && !reviewed && !source::is_utf16(&bytes) && !lint::may_matter(&bytes) {
            return Ok(One::default());
        }
        let text = match readable(bytes) {
            Ok(text) => text,
            // Of any other kind it matters that it is in clear, not what it holds.
            Err(bytes) if left => bytes::to_text(&bytes),
            Err(_) => return Ok(One::default()),
        };
        let name = target.name();
        let about = About { config: ruled.config(), rule: ruled.rule(&path), left_decrypted: left, policy: self.policy };
        let document = read(&name, &text);
        let subject = Subject::new(&name, &text, document.as_ref(), about);
        self.looked(&subject, &path)
    }

    fn looked(&self, subject: &Subject<'_>, path: &Path) -> Result<One> {
        let mut findings = lint::check(subject);
        let mut data_key = None;
        if let Some((identities, order)) = self.keys.as_ref().filter(|_| !subject.conflict)
            && let Some(encrypted) = &subject.encrypted
        {
            let key = datakey::unwrap(&encrypted.metadata, identities, order)?;
            let wrong = verify::verify(subject, &key);
            data_key = Some(key).filter(|_| wrong.is_empty());
            findings.extend(wrong);
        }
        let (mut ignores, wrong) = ignore::read(subject.name, subject.text);
        findings.extend(wrong);
        let before = ignores.len();
        let old = self.heed(&mut ignores, path)?;
        if let Some(base) = &self.base {
            if before > ignores.len() {
                findings.push(review::new_ignores(subject.name, before - ignores.len(), base.revision));
            }
            findings.extend(integrity::weaker(old.as_deref(), subject.name, subject.text, base.revision));
            findings.extend(old.iter().flat_map(|old| reviewed(old, subject, base.revision)));
        }
        let ignored = ignore::apply(&ignores, &mut findings);
        let today = self.reader.as_ref().and_then(|reader| reader.today(subject, data_key.as_ref()));
        let now = today.map(|today| Now { today, path: path.to_owned() });
        Ok(One { findings, facts: Some(self.gatherer.facts(subject)), ignored, now })
    }

    /// With a revision, leaves those exceptions only that it has; its version of the file.
    fn heed(&self, ignores: &mut Vec<Ignore<'_>>, path: &Path) -> Result<Option<String>> {
        let Some(base) = &self.base else { return Ok(None) };
        let old = base.text_of(path)?;
        ignores.retain(|ignore| old.as_ref().is_some_and(|old| ignore.stands_in(old)));
        Ok(old)
    }

    /// Takes out the findings about a file that exceptions in it are for, and says how many that were. In one that can't be
    /// read as text there are none.
    ///
    /// # Errors
    /// As [`Base::text_of`].
    pub fn except(&self, name: &str, path: &Path, findings: &mut Vec<Finding>) -> Result<usize> {
        if !findings.iter().any(|finding| finding.file == name) {
            return Ok(0);
        }
        let Ok(text) = Source::File(path.to_owned()).read() else { return Ok(0) };
        let (mut ignores, _) = ignore::read(name, &text);
        if ignores.is_empty() {
            return Ok(0);
        }
        self.heed(&mut ignores, path)?;
        let (mut own, others) = std::mem::take(findings).into_iter().partition(|finding| finding.file == name);
        let ignored = ignore::apply(&ignores, &mut own);
        *findings = others;
        findings.extend(own);
        Ok(ignored)
    }

    /// What reads versions, with `--history`.
    pub fn reader(&mut self) -> Option<Reader> {
        self.reader.take()
    }

    /// The configuration that counts: with a revision its own, where it has one.
    fn ruled(&self, path: &Path) -> Result<Ruled> {
        let found = self.configs.find(Some(path))?;
        let seen = match &self.base {
            Some(base) => self.configs.policies.find(self.context, Some(base.revision), found.as_deref(), path)?,
            None => None,
        };
        if let Some(found) = &found {
            let same = self.base.is_none() || seen.as_ref().is_some_and(|seen| seen.is(found));
            if let Ok(mut used) = self.used.lock() {
                used.entry(found.path.clone()).or_insert_with(|| (Arc::clone(found), same));
            }
        }
        Ok(match (seen, found) {
            (Some(seen), _) => Ruled::Base(seen),
            (None, Some(found)) => Ruled::Here(found),
            (None, None) => Ruled::None,
        })
    }

    /// What is wrong with the configurations that were used.
    pub fn configurations(&self) -> Vec<Finding> {
        let Ok(used) = self.used.lock() else { return Vec::new() };
        let mut findings = Vec::new();
        for (found, same) in used.values() {
            findings.extend(configuration::mistakes(&found.config));
            findings.extend(self.base.as_ref().filter(|_| !same).map(|base| review::changed(&found.config.file, base.revision)));
        }
        findings
    }
}

/// The text of a file, also in UTF-16 or Latin-1: a Secret is read by people, and most tools, in any of them. What has zero
/// bytes is none, and is given back.
///
/// # Errors
/// The bytes.
pub fn readable(bytes: Zeroizing<Vec<u8>>) -> std::result::Result<Zeroizing<String>, Zeroizing<Vec<u8>>> {
    if source::is_utf16(&bytes) {
        return source::from_utf16(&bytes).ok_or(bytes);
    }
    match std::str::from_utf8(&bytes) {
        Ok(_) => source::utf8(bytes).map_err(|_| Zeroizing::default()),
        Err(_) if bytes.contains(&0) => Err(bytes),
        Err(_) => Ok(Zeroizing::new(bytes.iter().map(|byte| char::from(*byte)).collect())),
    }
}

/// A file that the index has several versions of: neither of them is what will be committed. One that holds nothing of
/// interest is left to git.
fn unmerged(target: &Target, bytes: &[u8]) -> One {
    if !lint::may_matter(bytes) {
        return One::default();
    }
    let name = target.name();
    let next = format!("kveil resolve {name}, and git add it");
    let message = "a merge left it in conflict: the index has several versions, and none that could be committed";
    let finding = Finding::of_file(&envelope::CONFLICT, &name, message, next);
    One { findings: vec![finding], ..One::default() }
}

/// Reads a file whose format is known by its name or by its `sops` block; none for any other. A template is one that can't be
/// read.
pub fn read<'t>(name: &str, text: &'t str) -> Option<Result<Document<'t>>> {
    let by_name = document::format_by_path(name);
    let format = by_name.or_else(|| Types::default().input(name, text).ok().filter(|format| !format.is_bytes() || is_envelope(text)));
    match format {
        Some(format) => Some(format.parse(text)),
        None if is_template(name) => Some(Err(Error::new(Kind::Unreadable, "a template"))),
        None => None,
    }
}

fn is_envelope(text: &str) -> bool {
    text.trim_start().starts_with('{') && text.contains("\"sops\"")
}

/// Manifests under the names of template engines, copies and backups.
pub fn is_template(name: &str) -> bool {
    let file = Path::new(name).file_name().map(|file| file.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    [".yaml", ".yml", ".json"].iter().any(|ending| file.contains(ending)) || [".tpl", ".gotmpl"].iter().any(|ending| file.ends_with(ending))
}

/// What a change did to an encrypted file without saying so.
fn reviewed(old: &str, new: &Subject<'_>, revision: &str) -> Vec<Finding> {
    if new.encrypted.is_none() {
        return Vec::new();
    }
    let document = read(new.name, old);
    let policy = Policy::default();
    let about = About { config: None, rule: None, left_decrypted: false, policy: &policy };
    let old = Subject::new(new.name, old, document.as_ref(), about);
    [review::data_key, review::selection].iter().filter_map(|look| look(&old, new, revision)).collect()
}
