//! The rules that recipients are held against: those of the last commit, or of a revision that is named. What stands in the
//! work tree may be from anyone.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use zeroize::Zeroizing;

use super::context::Context;
use super::settings::{FILE, Found};
use crate::config::{self, Config, Rule};
use crate::error::{Error, Kind, Result};
use crate::git::Repository;
use crate::source::{self, Source};

/// A commit and its repository.
struct Commit {
    repository: Arc<Repository>,
    id: String,
    /// As people call it: `HEAD`, or the revision that was named.
    name: String,
}

/// A configuration as a commit has it.
pub struct Seen {
    /// What it says.
    pub config: Config,
    /// The folder that its rules start from, links resolved.
    folder: PathBuf,
    /// Its name.
    file: PathBuf,
    /// Whether the file in the work tree says something else.
    changed: bool,
}

impl Seen {
    /// Whether `found`, the configuration of the work tree, is this one as it is committed.
    pub fn is(&self, found: &Found) -> bool {
        let folder = found.path.parent().and_then(|folder| std::fs::canonicalize(folder).ok());
        !self.changed && folder.is_some_and(|folder| folder.join(found.path.file_name().unwrap_or_default()) == self.file)
    }

    /// The rule of the file at `target` (absolute). It is matched against the path as it is written, links and all.
    pub fn rule_for(&self, target: &Path) -> Option<&Rule> {
        let is_mine = |folder: &&Path| std::fs::canonicalize(folder).is_ok_and(|real| real == self.folder);
        let folder = target.ancestors().skip(1).find(is_mine).unwrap_or(&self.folder);
        self.config.rule_for(&config::relative_path(folder, target)).map(|(_, rule)| rule)
    }
}

/// Where a commit has a configuration.
#[derive(Clone)]
struct Place {
    commit: Arc<Commit>,
    /// Below the top.
    path: PathBuf,
    object: String,
}

/// The configurations of the commits that count in a run: each is looked for and read once.
#[derive(Default)]
pub struct Policies {
    /// By the folder with the `.git`.
    commits: Mutex<HashMap<PathBuf, Result<Option<Arc<Commit>>>>>,
    /// Where the nearest configuration of a folder is, or the one that was named.
    nearest: Mutex<HashMap<PathBuf, Result<Option<Place>>>>,
    read: Mutex<HashMap<PathBuf, Result<Arc<Seen>>>>,
    /// By configuration: what is new in it.
    news: Mutex<HashMap<PathBuf, Option<String>>>,
}

/// The branch that others work from, where no revision is named.
const SHARED: &str = "origin/HEAD";

/// Gives what is known under this key, or finds it out.
fn once<V: Clone>(known: &Mutex<HashMap<PathBuf, V>>, key: &Path, find: impl FnOnce() -> V) -> V {
    let Ok(mut known) = known.lock() else { return find() };
    known.entry(key.to_owned()).or_insert_with(find).clone()
}

impl Policies {
    /// The configuration that counts for `target` (absolute) in the last commit, or in `revision`: the nearest one upward
    /// from the file, else from the current directory, as in the work tree; if `found` was named, that one. None if the
    /// commit has none, or there is no repository.
    ///
    /// # Errors
    /// `Unreadable` (2): git is in trouble, or knows no such revision. `Generic` (1): the configuration can't be read, or
    /// there is no repository in which a revision could be named.
    pub fn find(&self, context: &Context, revision: Option<&str>, found: Option<&Found>, target: &Path) -> Result<Option<Arc<Seen>>> {
        if let Some(found) = found.filter(|found| found.named) {
            let place = once(&self.nearest, &found.path, || self.look(context, revision, &found.path, true))?;
            return self.open(place);
        }
        let beside = target.parent().filter(|_| !context.is_sops());
        for folder in beside.into_iter().chain([context.directory.as_path()]) {
            let place = once(&self.nearest, folder, || self.look(context, revision, folder, false))?;
            if place.is_some() {
                return self.open(place);
            }
        }
        Ok(None)
    }

    /// Whether the configuration `found` is another one than the last commit's, or than where this branch left `revision`,
    /// else the default branch of `origin`: a line for those who are to agree with the recipients that it brings. None
    /// where nothing is new, and where git can't tell.
    pub fn news(&self, context: &Context, revision: Option<&str>, found: &Found) -> Option<String> {
        once(&self.news, &found.path, || {
            let commit = self.commit(context, revision, found.path.parent()?).ok()??;
            let path = commit.repository.inside(&found.path)?;
            let now = Source::File(found.path.clone()).read().ok()?;
            let same = |id: &str| Some(bytes_at(&commit.repository, id, &path).ok()?.is_some_and(|then| *then == *now.as_bytes()));
            if !same(&commit.repository.head().ok()??)? {
                return Some(format!("{} isn't committed as it is", found.config.file));
            }
            let shared = revision.unwrap_or(SHARED);
            let base = commit.repository.fork_point(&commit.repository.commit(shared).ok()?, shared).ok()?;
            (!same(&base)?).then(|| format!("{} has changed since this branch left {shared}", found.config.file))
        })
    }

    /// Where a commit has the file at `path`, or, of a folder, the nearest configuration at or above it.
    fn look(&self, context: &Context, revision: Option<&str>, path: &Path, file: bool) -> Result<Option<Place>> {
        let folder = if file { path.parent().unwrap_or(path) } else { path };
        let Some(commit) = self.commit(context, revision, folder)? else { return Ok(None) };
        let name = path.file_name().filter(|_| file);
        // Upward by the path as it is written: that is how the work tree's is found.
        let folders = folder.ancestors().take(if file { 1 } else { usize::MAX }).map_while(|folder| commit.repository.inside(folder));
        let candidates: Vec<PathBuf> = folders.map(|folder| folder.join(name.unwrap_or(OsStr::new(FILE)))).collect();
        if candidates.is_empty() {
            return Ok(None);
        }
        let found = commit.repository.first_at(&commit.id, &candidates)?;
        Ok(found.map(|found| Place { commit, path: found.path, object: found.object }))
    }

    fn open(&self, place: Option<Place>) -> Result<Option<Arc<Seen>>> {
        let Some(Place { commit, path, object }) = place else { return Ok(None) };
        let file = commit.repository.top.join(&path);
        once(&self.read, &file, || read(&commit, &path, &object).map(Arc::new)).map(Some)
    }

    fn commit(&self, context: &Context, revision: Option<&str>, folder: &Path) -> Result<Option<Arc<Commit>>> {
        let real = folder.ancestors().find_map(|folder| std::fs::canonicalize(folder).ok()).unwrap_or_else(|| folder.to_owned());
        let top = real.ancestors().find(|folder| folder.join(".git").exists()).unwrap_or(&real);
        once(&self.commits, top, || commit(context, revision, folder).map(|commit| commit.map(Arc::new)))
    }
}

fn commit(context: &Context, revision: Option<&str>, folder: &Path) -> Result<Option<Commit>> {
    let Some(repository) = context.repository(folder)? else {
        let Some(revision) = revision else { return Ok(None) };
        let message = format!("there is no git repository at {}, in which --policy {revision} could be found", folder.display());
        return Err(Error::new(Kind::Generic, message).hint("leave out --policy: the rule of the work tree counts then"));
    };
    let id = match revision {
        Some(revision) => Some(repository.commit(revision)?),
        None => repository.head()?,
    };
    Ok(id.map(|id| Commit { repository, id, name: revision.unwrap_or("HEAD").to_owned() }))
}

/// The bytes of a file in a commit.
fn bytes_at(repository: &Repository, commit: &str, path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>> {
    let found = repository.first_at(commit, &[path.to_owned()])?;
    found.map(|found| repository.object(&found.object, path)).transpose()
}

fn read(commit: &Commit, path: &Path, object: &str) -> Result<Seen> {
    let name = format!("{}:{}", commit.name, path.display());
    let text = source::utf8(commit.repository.object(object, path)?).map_err(|error| error.in_file(&name))?;
    let file = commit.repository.top.join(path);
    let changed = !Source::File(file.clone()).read().is_ok_and(|now| *now == *text);
    let folder = file.parent().unwrap_or(Path::new("/")).to_owned();
    Ok(Seen { config: config::parse(&text, &name)?, folder, file, changed })
}
