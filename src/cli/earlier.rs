//! The encrypted version of a file that encrypting it again starts from: what is unchanged keeps its bytes, and nothing
//! that was secret comes into clear unseen.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::context::Context;
use super::settings::{Asked, Decision};
use super::{clock, report};
use crate::datakey::rewrap;
use crate::document::{Document, Format};
use crate::error::{Error, Kind, Result};
use crate::git::version::{From, Versions};
use crate::git::{self, Repository};
use crate::pipeline::{self, Plan, next, update};
use crate::recipient::Identities;
use crate::seal::encrypt::Sealed;
use crate::select::Selection;
use crate::source::{self, Source};

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

/// The repositories that the files to be written stand in, each once.
pub struct Repositories(Vec<Repository>);

impl Repositories {
    /// Finds them. None under the name `sops`, unless `KVEIL_INCREMENTAL=1` or `KVEIL_STRICT=1` asks for it.
    ///
    /// # Errors
    /// `Unreadable` (2): git is in trouble.
    pub fn of(context: &Context, incremental: &Incremental, paths: &[PathBuf]) -> Result<Repositories> {
        let mut repositories: Vec<Repository> = Vec::new();
        if !wanted(context) || incremental.update.is_some() {
            return Ok(Repositories(repositories));
        }
        if !git::installed(&context.environment) {
            let above = |path: &PathBuf| path.ancestors().any(|folder| folder.join(".git").exists());
            if paths.iter().any(above) {
                report::warning(context, "git can't be run: everything is encrypted anew, and not compared with the last commit");
            }
            return Ok(Repositories(repositories));
        }
        for folder in paths.iter().filter_map(|path| path.parent()).filter(|folder| folder.is_dir()) {
            // A repository inside another one is its own.
            let top = folder.ancestors().find(|above| above.join(".git").exists()).and_then(|top| std::fs::canonicalize(top).ok());
            if !repositories.iter().any(|known| Some(&known.top) == top.as_ref())
                && let Some(repository) = Repository::at(&context.environment, &context.directory, folder)?
                && !repositories.iter().any(|known| known.top == repository.top)
            {
                repositories.push(repository);
            }
        }
        Ok(Repositories(repositories))
    }
}

/// Whether earlier versions are gone on from: not under the name `sops`, unless `KVEIL_INCREMENTAL=1` asks for it.
fn incremental(context: &Context) -> bool {
    !context.is_sops() || context.environment.var("KVEIL_INCREMENTAL").is_some_and(|value| value == "1")
}

/// Whether they are looked at: `KVEIL_STRICT=1` refuses what would come into clear, whatever else is asked.
fn wanted(context: &Context) -> bool {
    incremental(context) || context.is_strict()
}

/// The earlier versions of all files to be written.
pub struct Baselines<'r> {
    incremental: &'r Incremental,
    repositories: Vec<(&'r Repository, Versions<'r>)>,
    wanted: bool,
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
        let read = |repository: &'r Repository| Ok((repository, Versions::read(repository, &paths)?));
        let repositories = repositories.0.iter().map(read).collect::<Result<_>>()?;
        Ok(Baselines { incremental, repositories, wanted: wanted(context) })
    }

    /// The encrypted version that the file at `path` (absolute) had: the one named; inside a repository that of the last
    /// commit, else of the index; elsewhere the one that would be overwritten. `plain` is the file that is encrypted.
    ///
    /// # Errors
    /// The version named can't be read, or isn't encrypted; git is in trouble.
    pub fn earlier(&self, path: &Path, plain: &Path, format: &'static dyn Format) -> Result<Option<Earlier>> {
        if let Some(name) = &self.incremental.update {
            let text = Source::of(name).read().map_err(|error| error.in_file(name))?;
            let earlier = Earlier { text, place: name.clone() };
            let not = || Error::new(Kind::Generic, "it isn't an encrypted version, which --update expects").in_file(name);
            return if earlier.is_encrypted(format) { Ok(Some(earlier)) } else { Err(not()) };
        }
        if !self.wanted {
            return Ok(None);
        }
        let earlier = match self.innermost(path) {
            Some((_, versions)) => committed(versions, path)?,
            // A device or a pipe holds no version, and the plain file itself none either.
            None if path.is_file() && !same_file(path, plain) => {
                Source::File(path.to_owned()).read().ok().map(|text| Earlier { text, place: path.display().to_string() })
            }
            None => None,
        };
        Ok(earlier.filter(|earlier| earlier.is_encrypted(format)))
    }
}

impl<'r> Baselines<'r> {
    fn innermost(&self, path: &Path) -> Option<&(&'r Repository, Versions<'r>)> {
        let around = self.repositories.iter().filter(|(repository, _)| repository.inside(path).is_some());
        around.max_by_key(|(repository, _)| repository.top.components().count())
    }
}

fn same_file(a: &Path, b: &Path) -> bool {
    a == b || matches!((std::fs::canonicalize(a), std::fs::canonicalize(b)), (Ok(a), Ok(b)) if a == b)
}

fn committed(versions: &Versions<'_>, path: &Path) -> Result<Option<Earlier>> {
    let Some(mut earlier) = versions.earlier(path)? else { return Ok(None) };
    let place = match earlier.from {
        From::Head => "the last commit",
        From::Index => "the index",
        From::Ours => "our side of the merge",
    };
    // What isn't text is no encrypted version.
    Ok(source::utf8(std::mem::take(&mut earlier.bytes)).ok().map(|text| Earlier { text, place: place.to_owned() }))
}

impl Earlier {
    fn is_encrypted(&self, format: &'static dyn Format) -> bool {
        self.text.contains("sops") && format.parse(&self.text).is_ok_and(|document| crate::tree::choice::has_block(&document))
    }

    /// How the earlier version is encrypted, for a file that no rule says it of.
    ///
    /// # Errors
    /// Its block can't be read.
    pub fn decision(&self, plain: &Document<'_>, asked: &Asked<'_>) -> Result<Decision> {
        let metadata = pipeline::metadata_of(&plain.format.parse(&self.text)?)?;
        let (selection, because) = match asked.selectors.chosen()? {
            Some((kind, text)) => (Selection::new(kind, &text)?, "by flag"),
            None => (Selection::of_metadata(metadata.selector.as_ref()), "as in the earlier version"),
        };
        let plan = Plan {
            groups: rewrap::recipients(&metadata),
            threshold: metadata.threshold.filter(|_| metadata.groups.len() > 1),
            selection,
            mac_only_encrypted: asked.mac_only_encrypted || metadata.mac_only_encrypted,
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
    let cleared = update::cleared(old, plain, selection)?;
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
        .hint("fewer values are selected than before: correct the rule, the flag or the comment")
        .hint("if they are no secrets: --allow-clear"))
}

impl Incremental {
    /// As [`refuse_clear`], unless `--allow-clear` is given.
    ///
    /// # Errors
    /// As there.
    pub fn refuse_clear(&self, context: &Context, earlier: &Earlier, plain: &Document<'_>, selection: &Selection) -> Result<()> {
        if self.allow_clear {
            return Ok(());
        }
        refuse_clear(context, &plain.format.parse(&earlier.text)?, &earlier.place, plain, selection)
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
                let updated = update::update(&opened, plain, plan, identities)?;
                let note = updated.new_data_key.map(|why| format!("a new data key, not that of {place}: {why}"));
                Ok((updated.sealed, note))
            }
            Err(error) if error.kind == Kind::NoDataKey => {
                let note = format!("a new data key and new ciphertext for every value: no identity here opens {place}");
                Ok((pipeline::encrypt(plain, plan, identities)?, Some(note)))
            }
            Err(error) => {
                let error = Error { message: format!("the earlier version ({place}) can't be gone on from: {}", error.message), ..error };
                Err(error.hint("restore a good version, or give --fresh to encrypt everything anew"))
            }
        }
    }
}
