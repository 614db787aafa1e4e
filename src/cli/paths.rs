//! Which files a command works on: those named, and those that directories, globs and git stand for.
//!
//! A command flattens [`Paths`] into its flags, asks it for the [`Targets`], and hands them to [`super::files::work`].

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::context::Context;
use super::encrypt::output_path;
use super::flags::Types;
use super::{files, report};
use crate::config::cleaned;
use crate::document;
use crate::error::{Error, Kind, Result};
use crate::git::Repository;
use crate::git::changed::Staged;
use crate::sorting;
use crate::source::{self, Source};
use crate::tree::glob::Glob;
use crate::tree::{self, Reason, choice};

/// Files, and how to go about many of them.
#[derive(Args, Default)]
pub struct Paths {
    /// Files, directories and globs; none or `-` is standard input
    #[arg(value_name = "PATHS")]
    pub paths: Vec<OsString>,
    /// The files that are staged for the next commit; with PATHS those of them
    #[arg(long, help_heading = "Which files")]
    pub staged: bool,
    /// The files that have changed since this branch left REV; with PATHS those of them
    #[arg(long, value_name = "REV", help_heading = "Which files")]
    pub changed_since: Option<String>,
    /// How many files are worked on at a time (16, so that key services are asked for many at once)
    #[arg(long, value_name = "N")]
    pub concurrency: Option<NonZero<usize>>,
}

/// What a command does beside its work on files.
#[derive(Args, Default)]
pub struct Handling {
    /// Say what would be done, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Print a summary for machines
    #[arg(long, value_name = "FORMAT", value_parser = ["json"])]
    pub report: Option<String>,
}

/// Which files of a tree a command is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Any: the command itself chooses among those in clear.
    Plain,
    /// The encrypted ones, known by what they hold.
    Encrypted,
    /// Any, to be looked at: those that a merge left in conflict, too.
    Any,
}

/// A file to work on.
pub struct Target {
    /// Where it is read.
    pub source: Source,
    /// Whether it was named itself: then what can't be done is a failure, else it may be passed over.
    pub named: bool,
    /// Where it goes below the directory of `--output`.
    pub inside: PathBuf,
    /// What the index holds of it, for `--staged`.
    pub staged: Option<Staged>,
}

impl Target {
    /// The name for messages and rules.
    pub fn name(&self) -> String {
        self.source.name()
    }

    /// Its absolute path, under the name `given` if there is one.
    pub fn absolute(&self, context: &Context, given: Option<&str>) -> PathBuf {
        match (given, &self.source) {
            (Some(name), _) => context.absolute(name),
            (None, Source::File(path)) => cleaned(&context.directory.join(path)),
            (None, Source::Stdin) => context.absolute(&self.name()),
        }
    }
}

/// Files that were passed over, by reason.
#[derive(Default)]
pub struct Skipped(Vec<(Reason, String)>);

impl Skipped {
    /// Adds a file.
    pub fn add(&mut self, name: String, reason: Reason) {
        self.0.push((reason, name));
    }

    /// How many for this reason.
    pub fn count(&self, reason: Reason) -> usize {
        self.0.iter().filter(|(other, _)| *other == reason).count()
    }

    /// How many for any reason.
    pub fn total(&self) -> usize {
        self.0.len()
    }

    /// By their reasons; those of one in the order in which they were added.
    fn in_order(&self) -> Vec<&(Reason, String)> {
        let mut all: Vec<_> = self.0.iter().collect();
        sorting::by_key(&mut all, |(reason, _)| *reason);
        all
    }

    /// Every file with its reason.
    pub fn each(&self) -> impl Iterator<Item = (&str, Reason)> {
        self.in_order().into_iter().map(|(reason, name)| (name.as_str(), *reason))
    }

    /// `5 skipped: 3 encrypted already, 2 without a rule`; empty if there are none.
    pub fn line(&self) -> String {
        let all = self.in_order();
        let of_one = all.chunk_by(|(one, _), (other, _)| one == other);
        let reasons: Vec<String> = of_one.filter_map(|same| Some(format!("{} {}", same.len(), same.first()?.0.text()))).collect();
        if reasons.is_empty() { String::new() } else { format!("{} skipped: {}", self.total(), reasons.join(", ")) }
    }
}

/// What [`Paths`] stand for.
#[derive(Default)]
pub struct Targets {
    /// In the order of the command line, those of a directory in order of their names; none twice.
    pub files: Vec<Target>,
    /// Passed over already.
    pub skipped: Skipped,
    /// Directories and files that can't be read.
    pub errors: Vec<Error>,
    /// Whether more than named files were asked for.
    pub trees: bool,
    /// The repository of `--staged` and `--changed-since`.
    pub repository: Option<Arc<Repository>>,
    /// How many are worked on at a time, if that was asked.
    pub concurrency: Option<NonZero<usize>>,
}

impl Targets {
    /// Whether more than one file may come out.
    pub fn are_several(&self) -> bool {
        self.files.len() > 1 || self.trees
    }

    /// Whether standard input is among them.
    pub fn hold_stdin(&self) -> bool {
        self.files.iter().any(|target| target.source == Source::Stdin)
    }

    /// Refuses two files that would go to one place below the directory of `--output`.
    ///
    /// # Errors
    /// `ConflictingFlags` (8).
    pub fn refuse_same_output(&self, output: &str) -> Result<()> {
        let mut taken: BTreeMap<&Path, &Target> = BTreeMap::new();
        for target in &self.files {
            if let Some(other) = taken.insert(&target.inside, target) {
                let place = Path::new(output).join(&target.inside);
                let message = format!("{} and {} would both become {}", other.name(), target.name(), place.display());
                return Err(Error::new(Kind::ConflictingFlags, message).hint("name the directory above both, or work on them one by one"));
            }
        }
        Ok(())
    }
}

impl Targets {
    /// Refuses a directory as `output` where a file's place in it is the file itself: only -i replaces a file. Under the name
    /// `sops` an output is a file.
    ///
    /// # Errors
    /// `ConflictingFlags` (8); under the name `sops` `Unwritable` (3) for a directory, as in sops.
    pub fn refuse_output(&self, context: &Context, output: Option<&str>, given: Option<&str>) -> Result<()> {
        let Some(output) = output.filter(|output| Path::new(output).is_dir() || context.is_sops() && output.ends_with('/')) else {
            return Ok(());
        };
        if context.is_sops() {
            let error = Error::new(Kind::Unwritable, format!("can't write the output: {output} is a directory"));
            return Err(error.hint("name a file; kveil under its own name takes a directory, too"));
        }
        let real = |path: &Path| std::fs::canonicalize(path).ok();
        let is_own = |target: &&Target| match &target.source {
            Source::File(path) => real(path).is_some_and(|own| real(&output_path(output, target, given)) == Some(own)),
            Source::Stdin => false,
        };
        match self.files.iter().find(is_own) {
            None => Ok(()),
            Some(target) => Err(Error::new(Kind::ConflictingFlags, format!("{} would be its own output", target.name()))
                .hint("give another directory, or -i to replace the file")),
        }
    }
}

impl Paths {
    /// Refuses to wait for standard input where nothing is named.
    ///
    /// # Errors
    /// `NoFile` (100).
    pub fn refuse_none(&self) -> Result<()> {
        if self.paths.is_empty() && !self.staged && self.changed_since.is_none() {
            return Err(files::none("name a file or a directory"));
        }
        Ok(())
    }

    /// Finds the files. Under the name `sops` every path is a file, as in genuine sops.
    ///
    /// # Errors
    /// `NoFile` (100): nothing is named, or a glob matches nothing. `Generic` (1): a bad glob, no repository where git is
    /// to choose. `Unreadable` (2): git is in trouble.
    pub fn resolve(&self, context: &Context, mode: Mode) -> Result<Targets> {
        let mut search = Search::new(context, self, mode);
        if self.staged || self.changed_since.is_some() {
            search.by_git(self)?;
        } else if self.paths.is_empty() {
            refuse_terminal()?;
            search.take(Source::Stdin, true, PathBuf::new());
        }
        if !search.targets.trees {
            self.paths.iter().try_for_each(|path| search.path(path))?;
        }
        if mode == Mode::Encrypted {
            search.keep_encrypted();
        }
        Ok(search.targets)
    }
}

fn refuse_terminal() -> Result<()> {
    use std::io::IsTerminal;
    if !std::io::stdin().is_terminal() {
        return Ok(());
    }
    Err(files::none("name a file or a directory, or pipe a file into standard input"))
}

/// Whether a path is a directory, or a glob rather than a file of this name.
fn is_tree(path: &OsStr) -> bool {
    match std::fs::metadata(path) {
        Ok(metadata) => metadata.is_dir(),
        Err(_) => std::fs::symlink_metadata(path).is_err() && Glob::read(path).is_ok_and(|glob| glob.is_some()),
    }
}

struct Search<'c> {
    context: &'c Context,
    mode: Mode,
    targets: Targets,
    /// Links resolved: a file is worked on once, by whatever names it was given.
    seen: HashMap<PathBuf, usize>,
}

impl<'c> Search<'c> {
    fn new(context: &'c Context, paths: &Paths, mode: Mode) -> Search<'c> {
        let targets = Targets { concurrency: paths.concurrency, ..Targets::default() };
        Search { context, mode, targets, seen: HashMap::new() }
    }

    fn path(&mut self, path: &OsStr) -> Result<()> {
        if self.context.is_sops() || path == "-" || !is_tree(path) {
            let source = Source::of(path);
            let name = Path::new(path).file_name().map(PathBuf::from).unwrap_or_default();
            self.take(source, true, name);
            return Ok(());
        }
        self.targets.trees = true;
        match Glob::read(path)?.filter(|_| !Path::new(path).is_dir()) {
            Some(glob) => self.glob(path, &glob),
            None => self.tree(Path::new(path), |_| true).map(|_| ()),
        }
    }

    fn glob(&mut self, path: &OsStr, glob: &Glob) -> Result<()> {
        let base = if glob.base.as_os_str().is_empty() { Path::new(".") } else { &glob.base };
        let matched = base.is_dir() && self.tree(base, |path| glob.matches(path))?;
        if !matched {
            let error = Error::new(Kind::NoFile, "no file matches").in_file(&path.to_string_lossy());
            return Err(error.hint("files that .gitignore names don't count unless they are named themselves"));
        }
        Ok(())
    }

    /// Takes the files below `root` that are wanted, and says whether there are any.
    fn tree(&mut self, root: &Path, wanted: impl Fn(&Path) -> bool) -> Result<bool> {
        let context = self.context;
        let folder = context.directory.join(root);
        let repository = context.repository(&folder).unwrap_or_else(|why| {
            report::warning(context, &format!("files that git tracks although .gitignore names them aren't seen: {why}"));
            None
        });
        let mut found = tree::walk(root, repository.as_deref())?;
        found.files.retain(|path| wanted(path));
        found.skipped.retain(|(path, _)| wanted(path));
        let any = !found.files.is_empty() || !found.skipped.is_empty();
        let named = |path: &Path| path.strip_prefix(".").unwrap_or(path).to_owned();
        for path in found.files {
            let inside = path.strip_prefix(root).unwrap_or(&path).to_owned();
            self.take(Source::File(named(&path)), false, inside);
        }
        for (path, reason) in found.skipped {
            self.targets.skipped.add(named(&path).display().to_string(), reason);
        }
        self.targets.errors.extend(found.errors);
        Ok(any)
    }

    fn take(&mut self, source: Source, named: bool, inside: PathBuf) {
        let key = match &source {
            Source::Stdin => PathBuf::from("-"),
            Source::File(path) => std::fs::canonicalize(path).unwrap_or_else(|_| self.context.directory.join(path)),
        };
        let files = &mut self.targets.files;
        match self.seen.entry(key) {
            Entry::Vacant(place) => {
                place.insert(files.len());
                files.push(Target { source, named, inside, staged: None });
            }
            // A file that is named is named, whatever directory stands before it.
            Entry::Occupied(known) => files.get_mut(*known.get()).into_iter().for_each(|target| target.named |= named),
        }
    }

    fn by_git(&mut self, paths: &Paths) -> Result<()> {
        self.targets.trees = true;
        if paths.staged && paths.changed_since.is_some() {
            return Err(Error::new(Kind::ConflictingFlags, "--staged and --changed-since exclude each other").hint("give one of them"));
        }
        let repository = self.context.repository(&self.context.directory)?.ok_or_else(|| {
            let error = Error::new(Kind::Generic, "there is no git repository here, whose changes could be looked at");
            error.hint("run it inside one, or name files and directories")
        })?;
        let among = Among::read(self.context, &paths.paths)?;
        match &paths.changed_since {
            None => self.staged(&repository, &among)?,
            Some(revision) => self.changed(&repository, &among, revision)?,
        }
        self.targets.repository = Some(repository);
        Ok(())
    }

    fn staged(&mut self, repository: &Repository, among: &Among) -> Result<()> {
        for staged in repository.staged()? {
            let path = repository.top.join(&staged.path);
            let name = among.name(&path);
            if staged.conflict && self.mode != Mode::Any && among.hold(&path) {
                let error = Error::new(Kind::Generic, "a merge left this file in conflict").in_file(&name.display().to_string());
                self.targets.errors.push(error.hint("resolve it and git add it"));
            } else if among.hold(&path) {
                let inside = staged.path.clone();
                self.targets.files.push(Target { source: Source::File(name), named: false, inside, staged: Some(staged) });
            }
        }
        Ok(())
    }

    fn changed(&mut self, repository: &Repository, among: &Among, revision: &str) -> Result<()> {
        for path in repository.changed_since(revision)?.into_iter().filter(|path| among.hold(path)) {
            let inside = path.strip_prefix(&repository.top).unwrap_or(&path).to_owned();
            self.take(Source::File(among.name(&path)), false, inside);
        }
        Ok(())
    }

    /// Leaves what was found only if it is encrypted; what was named is left to the command.
    fn keep_encrypted(&mut self) {
        let all = std::mem::take(&mut self.targets.files);
        let statuses = files::each(self.context, all.len(), |at| if all[at].named { Ok(None) } else { status(&all[at]) });
        for (target, status) in all.into_iter().zip(statuses) {
            match status {
                Ok(None) => self.targets.files.push(target),
                Ok(Some(reason)) => self.targets.skipped.add(target.name(), reason),
                Err(error) => self.targets.errors.push(error.in_file(&target.name())),
            }
        }
    }
}

/// Why a file isn't one of the encrypted ones; none if it is.
fn status(target: &Target) -> Result<Option<Reason>> {
    let Source::File(path) = &target.source else { return Ok(None) };
    let gone = |error: Error| if error.kind == Kind::NoFile { Ok(Some(Reason::Gone)) } else { Err(error) };
    // Every format's block has this word; what lacks it needn't be read as a whole.
    match source::holds(path, b"sops") {
        Ok(false) => return Ok(Some(Reason::Plain)),
        Err(error) => return gone(error),
        Ok(true) => {}
    }
    let text = match target.source.read() {
        Ok(text) => text,
        Err(error) if error.message == source::NOT_TEXT => return Ok(Some(Reason::Plain)),
        Err(error) => return gone(error),
    };
    let name = target.name();
    let Ok(format) = Types::default().input(&name, &text) else { return Ok(Some(Reason::Plain)) };
    let encrypted = match format.parse_encrypted(&text) {
        Ok(document) => choice::has_block(&document),
        // Damaged, or in conflict: the command says what is wrong with it.
        Err(_) => document::format_by_path(&name).is_some() && text.contains("ENC[AES256_GCM,"),
    };
    Ok((!encrypted).then_some(Reason::Plain))
}

/// The paths that bound what git chooses.
pub(super) struct Among {
    /// The current directory, links resolved, as git's paths are.
    directory: PathBuf,
    roots: Vec<PathBuf>,
    globs: Vec<Glob>,
}

impl Among {
    /// Reads them; without any, all files are among them.
    ///
    /// # Errors
    /// `Generic` (1): a bad glob.
    pub fn read(context: &Context, paths: &[OsString]) -> Result<Among> {
        let directory = std::fs::canonicalize(&context.directory).unwrap_or_else(|_| context.directory.clone());
        let mut among = Among { directory, roots: Vec::new(), globs: Vec::new() };
        for path in paths {
            let real = std::fs::canonicalize(path);
            match Glob::read(path)?.filter(|_| real.is_err()) {
                Some(glob) => among.globs.push(glob),
                None => among.roots.push(real.unwrap_or_else(|_| among.directory.join(path))),
            }
        }
        Ok(among)
    }

    /// Whether a file (absolute, links resolved) is among them.
    pub fn hold(&self, path: &Path) -> bool {
        let all = self.roots.is_empty() && self.globs.is_empty();
        all || self.roots.iter().any(|root| path.starts_with(root)) || self.globs.iter().any(|glob| glob.matches(&self.name(path)))
    }

    /// The path as it is called from here.
    pub fn name(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.directory).unwrap_or(path).to_owned()
    }
}
