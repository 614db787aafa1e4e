//! The encrypted version of a file that encrypting it again starts from: what is unchanged keeps its bytes, and nothing
//! that was secret comes into clear unseen.

use std::collections::HashSet;
use std::hash::BuildHasher as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::context::Context;
use super::settings::{self, Asked, Decision};
use super::{clock, report};
use crate::datakey::rewrap;
use crate::document::{Document, Format};
use crate::error::{Error, Kind, Result};
use crate::git::version::From;
use crate::git::{self, Repository};
use crate::pipeline::disclosed::disclosed;
use crate::pipeline::{self, Plan, next, update};
use crate::recipient::Identities;
use crate::seal::encrypt::Sealed;
use crate::select::Selection;
use crate::source::{self, Source};
use crate::tree::{Reason, choice};

/// Which earlier version counts, and what it may give up.
#[derive(clap::Args, Default)]
pub struct Incremental {
    /// Keep what is unchanged in this encrypted version, rather than in the one of the last commit
    #[arg(long, value_name = "OLD", conflicts_with = "fresh", help_heading = "Earlier version")]
    update: Option<String>,
    /// Encrypt everything anew under a new data key
    #[arg(long, help_heading = "Earlier version")]
    fresh: bool,
    /// Let values that the earlier version holds encrypted come into clear
    #[arg(long, help_heading = "Earlier version")]
    allow_clear: bool,
}

/// An encrypted version of a file.
pub struct Earlier {
    text: Zeroizing<String>,
    /// Where it is from, for people.
    place: String,
}

/// The encrypted versions that a file had.
#[derive(Default)]
pub struct Versions {
    /// The one that is gone on from.
    pub base: Option<Earlier>,
    /// The others: what they hold encrypted doesn't come into clear either.
    others: Vec<Earlier>,
    /// The last commit's, if it isn't encrypted.
    committed_in_clear: Option<Earlier>,
}

/// The repositories that the files to be written stand in, each once.
pub struct Repositories {
    all: Vec<Arc<Repository>>,
    /// Whether git couldn't be asked about some.
    trouble: bool,
}

impl Repositories {
    /// Finds them. Under the name `sops` only where someone hears of what they tell.
    ///
    /// # Errors
    /// `Unreadable` (2): git is in trouble. With `--fresh` or `--update`, and `--allow-clear`, nothing depends on git: then
    /// that is a warning, and as sops, too.
    pub fn of(context: &Context, incremental: &Incremental, paths: &[PathBuf]) -> Result<Repositories> {
        let mut repositories = Repositories { all: Vec::new(), trouble: false };
        if !wanted(context) {
            return Ok(repositories);
        }
        for folder in paths.iter().filter_map(|path| path.parent()) {
            match context.repository(folder) {
                Ok(Some(repository)) if !repositories.all.iter().any(|known| known.top == repository.top) => {
                    repositories.all.push(repository)
                }
                Ok(_) => {}
                Err(why) if context.is_strict() && !incremental.needs_no_version() => return Err(without_git(why)),
                Err(why) => {
                    repositories.trouble = true;
                    if self::incremental(context) {
                        report::warning(context, &format!("nothing is compared with the last commit: {why}"));
                    }
                }
            }
        }
        Ok(repositories)
    }
}

fn without_git(error: Error) -> Error {
    error.hint("to go without the last commit: --fresh --allow-clear, and --allow-recipient R for each recipient")
}

/// Whether earlier versions are gone on from: not under the name `sops`, unless `KVEIL_INCREMENTAL=1` asks for it.
fn incremental(context: &Context) -> bool {
    !context.is_sops() || context.environment.var("KVEIL_INCREMENTAL").is_some_and(|value| value == "1")
}

/// Whether they are looked at: where what would come into clear is refused or at least said, whatever else is asked.
fn wanted(context: &Context) -> bool {
    incremental(context) || context.is_strict() || context.talkative
}

/// The earlier versions of all files to be written.
pub struct Baselines<'r> {
    incremental: &'r Incremental,
    repositories: Vec<git::version::Versions<'r>>,
    /// Whether any is gone on from.
    goes_on: bool,
    wanted: bool,
    trouble: bool,
}

impl<'r> Baselines<'r> {
    /// Finds them.
    ///
    /// # Errors
    /// `Unreadable` (2): git is in trouble.
    pub fn read(
        context: &Context,
        incremental: &'r Incremental,
        repositories: &'r Repositories,
        paths: &[PathBuf],
    ) -> Result<Baselines<'r>> {
        let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
        let read = |repository: &'r Arc<Repository>| git::version::Versions::read(repository, &paths);
        Ok(Baselines {
            incremental,
            repositories: repositories.all.iter().map(read).collect::<Result<_>>()?,
            goes_on: self::incremental(context),
            wanted: wanted(context),
            trouble: repositories.trouble,
        })
    }

    /// The encrypted versions that the file at `path` (absolute) had: in the last commit, in the index, and where it would
    /// be overwritten. What is gone on from is the version named; inside a repository that of the last commit, else of the
    /// index; elsewhere the one that would be overwritten. `plain` is the file that is encrypted.
    ///
    /// # Errors
    /// The version named can't be read, or isn't encrypted; git is in trouble.
    pub fn earlier(&self, path: &Path, plain: &Path, format: &'static dyn Format) -> Result<Versions> {
        let mut found = Versions { base: self.named(format)?, ..Versions::default() };
        if !self.wanted {
            return Ok(found);
        }
        let known = self.innermost(path);
        let committed = known.map_or_else(|| Ok(Vec::new()), |versions| versions.all(path, |_| true))?;
        for (at, version) in committed.into_iter().enumerate() {
            found.take(text_of(version), at == 0 && self.goes_on, format);
        }
        // A device or a pipe holds no version, and the plain file itself none either.
        if path.is_file() && !same_file(path, plain) {
            let text = Source::File(path.to_owned()).read().ok();
            let there = text.map(|text| Earlier { text, place: path.display().to_string() });
            found.take(there, known.is_none() && self.goes_on && !self.trouble, format);
        }
        Ok(found)
    }

    fn named(&self, format: &'static dyn Format) -> Result<Option<Earlier>> {
        let Some(name) = &self.incremental.update else { return Ok(None) };
        let text = Source::of(name).read().map_err(|error| error.in_file(name))?;
        let earlier = Earlier { text, place: name.clone() };
        let not = || Error::new(Kind::Generic, "it isn't an encrypted version, which --update expects").in_file(name);
        if earlier.is_encrypted(format) { Ok(Some(earlier)) } else { Err(not()) }
    }

    /// Refuses to pass over a file that git has encrypted and that is in clear now: the next commit would hold its values.
    /// `text` is what the file holds, `staged` the object of what is staged of it.
    ///
    /// # Errors
    /// `Generic` (1) without `--allow-clear`; git is in trouble.
    pub fn refuse_left_in_clear(
        &self,
        path: &Path,
        reason: Reason,
        staged: Option<&str>,
        format: impl Fn(&str) -> Option<&'static dyn Format>,
        text: impl FnOnce() -> Option<Zeroizing<String>>,
    ) -> Result<()> {
        let Some(known) = self.innermost(path).filter(|_| !self.incremental.allow_clear) else { return Ok(()) };
        if staged.is_none() && !known.differs(path)? {
            return Ok(());
        }
        let encrypted = |text: &str| format(text).is_some_and(|format| is_encrypted(text, format));
        let earlier = known.all(path, |object| Some(object) != staged)?;
        let Some(earlier) = earlier.into_iter().filter_map(text_of).find(|earlier| encrypted(&earlier.text)) else { return Ok(()) };
        if text().is_none_or(|text| encrypted(&text)) {
            return Ok(());
        }
        let message = format!("it would stay in clear ({}), {} has it encrypted", reason.id(), earlier.place);
        Err(Error::new(Kind::Generic, message)
            .hint("named itself, with encrypt -i FILE, it is encrypted as it was; a rule that matches it again does so for good")
            .hint("if it holds no secrets any more: --allow-clear"))
    }

    fn innermost(&self, path: &Path) -> Option<&git::version::Versions<'r>> {
        let around = self.repositories.iter().filter(|known| known.repository.inside(path).is_some());
        around.max_by_key(|known| known.repository.top.components().count())
    }
}

impl Versions {
    fn take(&mut self, version: Option<Earlier>, as_base: bool, format: &'static dyn Format) {
        let Some(version) = version else { return };
        match self.base {
            _ if !version.is_encrypted(format) => {
                if version.place == LAST_COMMIT {
                    self.committed_in_clear = Some(version);
                }
            }
            None if as_base => self.base = Some(version),
            _ => self.others.push(version),
        }
    }

    /// Says how many of the values that are encrypted the last commit has in clear: git keeps them, whatever becomes of the
    /// file.
    ///
    /// # Errors
    /// Values of `plain` that can't be resolved.
    pub fn exposed(&self, plain: &Document<'_>, selection: &Selection) -> Result<Option<String>> {
        let Some(committed) = &self.committed_in_clear else { return Ok(None) };
        let state = foldhash::quality::RandomState::default();
        // What can't be read as the format holds no values that could be compared.
        let Ok(before) = plain.format.parse_plain(&committed.text) else { return Ok(None) };
        let known = choice::hidden(&before, selection, |bytes| state.hash_one(bytes)).unwrap_or_default();
        let known: HashSet<u64> = known.into_iter().collect();
        let now = choice::hidden(plain, selection, |bytes| state.hash_one(bytes))?;
        let count = now.iter().filter(|value| known.contains(value)).count();
        let what = if count == 1 { "1 value".to_owned() } else { format!("{count} values") };
        let text = || format!("{LAST_COMMIT} has {what} of it in clear, which git keeps: change what is a secret at its source");
        Ok((count > 0).then(text))
    }
}

fn same_file(a: &Path, b: &Path) -> bool {
    a == b || matches!((std::fs::canonicalize(a), std::fs::canonicalize(b)), (Ok(a), Ok(b)) if a == b)
}

/// How the version of HEAD is called.
const LAST_COMMIT: &str = "the last commit";

/// What isn't text is no encrypted version.
fn text_of(mut version: git::version::Earlier) -> Option<Earlier> {
    let place = match version.from {
        From::Head => LAST_COMMIT,
        From::Index => "the index",
        From::Ours => "our side of the merge",
    };
    source::utf8(std::mem::take(&mut version.bytes)).ok().map(|text| Earlier { text, place: place.to_owned() })
}

fn is_encrypted(text: &str, format: &'static dyn Format) -> bool {
    text.contains("sops") && format.parse_encrypted(text).is_ok_and(|document| choice::has_block(&document))
}

impl Earlier {
    fn is_encrypted(&self, format: &'static dyn Format) -> bool {
        is_encrypted(&self.text, format)
    }

    /// How the earlier version is encrypted, for a file that no rule says it of.
    ///
    /// # Errors
    /// Its block can't be read.
    pub fn decision(&self, plain: &Document<'_>, asked: &Asked<'_>) -> Result<Decision> {
        let metadata = pipeline::metadata_of(&plain.format.parse_encrypted(&self.text)?)?;
        let (selection, because) = match asked.selectors.chosen()? {
            _ if asked.whole => (Selection::implied(), settings::WHOLE),
            Some((kind, text)) => (Selection::new(kind, &text)?, "by flag"),
            None => (Selection::of_metadata(metadata.selector.as_ref()), "as in the earlier version"),
        };
        let plan = Plan {
            groups: rewrap::recipients(&metadata),
            threshold: metadata.threshold.filter(|_| metadata.groups.len() > 1),
            selection,
            mac_only_encrypted: !asked.whole && (asked.mac_only_encrypted || metadata.mac_only_encrypted),
            indent: None,
            layout: asked.layout && !crate::kubernetes::lists_sops_fields(plain),
            lenient: false,
            now: clock::now(),
        };
        Ok(Decision { plan, rule: None, because, names: Vec::new() })
    }
}

/// Refuses to let a value of `plain` come into clear that `old`, which is from `place`, holds encrypted. Under the name
/// `sops` it only warns.
///
/// # Errors
/// `Generic` (1) with the key paths.
pub fn refuse_clear(context: &Context, old: &Document<'_>, place: &str, plain: &Document<'_>, selection: &Selection) -> Result<()> {
    refuse_cleared(context, &update::cleared(old, plain, selection)?, place)
}

/// Refuses what is `cleared` if anything is. Under the name `sops` it only warns.
///
/// # Errors
/// `Generic` (1) with the key paths.
pub fn refuse_cleared(context: &Context, cleared: &[String], place: &str) -> Result<()> {
    if cleared.is_empty() {
        return Ok(());
    }
    let shown: Vec<&str> = cleared.iter().take(5).map(String::as_str).collect();
    let more = if cleared.len() > shown.len() { format!(" and {} more", cleared.len() - shown.len()) } else { String::new() };
    let message = format!("{}{more} would come into clear, {place} has it encrypted", shown.join(", "));
    if !context.is_strict() {
        report::warning(context, &message);
        return Ok(());
    }
    let error = Error::new(Kind::Generic, message);
    Err(error
        .hint("fewer values are selected than before: correct the rule, the flag, the comment or the key")
        .hint("if they are no secrets: --allow-clear"))
}

/// Refuses to let a value of `plain` come into clear that git has encrypted in the file at `path` (absolute), which is made
/// anew.
///
/// # Errors
/// As [`refuse_clear`], without `--allow-clear`; `Unreadable` (2): git is in trouble.
pub fn refuse_clear_anew(context: &Context, allow_clear: bool, path: &Path, plain: &Document<'_>, selection: &Selection) -> Result<()> {
    let incremental = Incremental { fresh: true, allow_clear, update: None };
    let paths = [path.to_owned()];
    let repositories = Repositories::of(context, &incremental, &paths)?;
    let versions = Baselines::read(context, &incremental, &repositories, &paths)?.earlier(path, path, plain.format)?;
    incremental.refuse_clear(context, &versions, plain, selection)
}

impl Incremental {
    /// Whether nothing of an earlier version is asked for, be it there or not.
    fn needs_no_version(&self) -> bool {
        self.allow_clear && (self.fresh || self.update.is_some())
    }

    /// As [`refuse_clear`] against all versions, unless `--allow-clear` is given.
    ///
    /// # Errors
    /// As there.
    pub fn refuse_clear(&self, context: &Context, versions: &Versions, plain: &Document<'_>, selection: &Selection) -> Result<()> {
        let all = versions.base.iter().chain(&versions.others).filter(|_| !self.allow_clear);
        all.into_iter().try_for_each(|old| refuse_clear(context, &plain.format.parse_encrypted(&old.text)?, &old.place, plain, selection))
    }

    /// Encrypts `plain` over its earlier version; what that gives up is said in a line.
    ///
    /// # Errors
    /// Those of [`pipeline::encrypt`]; `MacMismatch` (51) if the earlier version was changed without its data key.
    pub fn encrypt(
        &self,
        context: &Context,
        earlier: &Earlier,
        plain: &Document<'_>,
        plan: &Plan,
        identities: &Identities,
    ) -> Result<(Sealed, Option<String>)> {
        if self.fresh || self.update.is_none() && !incremental(context) {
            return Ok((pipeline::encrypt(plain, plan, identities)?, None));
        }
        let place = &earlier.place;
        match next::open(&earlier.text, plain.format, identities, &[], false) {
            Ok(opened) => {
                if !self.allow_clear {
                    refuse_cleared(context, &disclosed(&opened, plain, &plan.selection)?, place)?;
                }
                let updated = update::update(&opened, plain, plan, identities)?;
                let note = updated.new_data_key.map(|why| format!("a new data key, not that of {place}: {why}"));
                Ok((updated.sealed, note))
            }
            Err(error) if error.kind == Kind::NoDataKey => {
                let note = format!("a new data key and new ciphertext for every value: no identity here opens {place}");
                Ok((pipeline::encrypt(plain, plan, identities)?, Some(note)))
            }
            Err(error) => {
                let error = error.about(&format!("the earlier version ({place}) can't be gone on from"));
                Err(error.hint("restore a good version, or give --fresh to encrypt everything anew"))
            }
        }
    }
}
