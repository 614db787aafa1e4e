//! What git knows about files: which have changed, which bytes they had, what the index holds.
//!
//! git itself is asked, never its files: through its program, without a shell, with hooks and fsmonitor off, paths as they
//! are (`-z`, literal pathspecs), and nothing fetched. "No repository" and "git in trouble" are two answers: the first is
//! the absence of any `.git` upward, the second an error with the fix.

mod alignment;
pub mod changed;
pub mod decrypted;
pub mod diff;
pub mod history;
pub mod hooks;
pub mod index;
pub mod mask;
pub mod merge;
pub mod objects;
pub mod patches;
pub mod settings;
pub mod setup;
pub mod sides;
pub mod signing;
pub mod textconv;
pub mod version;

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex, OnceLock};

use crate::error::{Error, Kind, Result};
use crate::recipient::Environment;
use crate::source::platform;

/// Settings that hold for every call: a repository's own must not run programs, or hide files from us.
const SETTINGS: [&str; 4] = ["core.hooksPath=/dev/null", "core.fsmonitor=false", "diff.ignoreSubmodules=none", "submodule.recurse=false"];

/// Variables for every call: no index refresh that others would wait for, no prompt, no lazy fetch, messages in English,
/// and a `*` in a name is a `*`.
const VARIABLES: [(&str, &str); 5] = [
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_NO_LAZY_FETCH", "1"),
    ("GIT_LITERAL_PATHSPECS", "1"),
    ("LC_ALL", "C"),
];

/// Variables that hooks see with paths relative to the directory they run in.
const PATH_VARIABLES: [&str; 3] = ["GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR"];

/// A repository with a work tree.
pub struct Repository {
    environment: Environment,
    /// Where the process runs: relative paths in variables start there.
    directory: PathBuf,
    /// The top of the work tree, links resolved.
    pub top: PathBuf,
    /// What all work trees of the repository share: objects, refs, `info/`.
    pub common: PathBuf,
    /// What this work tree has for itself: its index, its `HEAD`.
    own: PathBuf,
    /// The last commit, once it is known: it stays the same for a run.
    head: OnceLock<Result<Option<String>>>,
    objects: objects::Objects,
    index: Mutex<index::Listed>,
}

/// The repositories of a run: git is asked for each once.
#[derive(Default)]
pub struct Repositories {
    /// By the folder with the `.git`.
    known: Mutex<HashMap<PathBuf, Result<Option<Arc<Repository>>>>>,
}

impl Repositories {
    /// As [`Repository::at`].
    ///
    /// # Errors
    /// As there.
    pub fn at(&self, environment: &Environment, directory: &Path, folder: &Path) -> Result<Option<Arc<Repository>>> {
        let named = environment.path("GIT_DIR").map(|_| directory.to_owned());
        let Some(place) = named.or_else(|| git_above(folder)) else { return Ok(None) };
        let find = || Repository::at(environment, directory, folder).map(|found| found.map(Arc::new));
        let Ok(mut known) = self.known.lock() else { return find() };
        known.entry(place).or_insert_with(find).clone()
    }
}

impl Repository {
    /// The repository that holds `folder`, or would hold it if it were there; none if no `.git` stands there or above, and
    /// `GIT_DIR` names none. `directory` is the current directory.
    ///
    /// # Errors
    /// `Unreadable` (2) with the fix: git is missing, refuses (another user's repository) or fails.
    pub fn at(environment: &Environment, directory: &Path, folder: &Path) -> Result<Option<Repository>> {
        let named = environment.path("GIT_DIR").is_some();
        if !named && git_above(folder).is_none() {
            return Ok(None);
        }
        let start = if named { directory } else { existing(folder) };
        let mut repository = Repository {
            environment: environment.clone(),
            directory: directory.to_owned(),
            top: start.to_owned(),
            common: PathBuf::new(),
            own: PathBuf::new(),
            head: OnceLock::new(),
            objects: objects::Objects::default(),
            index: Mutex::default(),
        };
        let [top, common, own] = repository.places()?;
        repository.common = start.join(common);
        repository.own = own;
        repository.top = std::fs::canonicalize(&top).unwrap_or(top);
        Ok(Some(repository))
    }

    /// The top of the work tree, what all work trees share, what this one has for itself. The answer to that has the last
    /// commit, too. Where a path has a line break in it, or git fails, it is asked for each alone.
    fn places(&self) -> Result<[PathBuf; 3]> {
        const PLACES: [&str; 3] = ["--show-toplevel", "--git-common-dir", "--absolute-git-dir"];
        let arguments: Vec<&str> = ["rev-parse"].into_iter().chain(PLACES).chain(["--quiet", "--verify", "HEAD"]).collect();
        let output = self.run(&arguments, None)?;
        let lines: Vec<&[u8]> = output.stdout.split(|byte| *byte == b'\n').collect();
        match (lines.as_slice(), output.status.success()) {
            ([top, common, own, head, []], true) => {
                let _ = self.head.set(Ok(Some(text(head))));
                Ok([top, common, own].map(|path| platform::path_of_bytes(path)))
            }
            ([top, common, own, []], false) => Ok([top, common, own].map(|path| platform::path_of_bytes(path))),
            _ => {
                let [top, common, own] = PLACES.map(|place| self.path_answer(&["rev-parse", place]));
                Ok([top?, common?, own?])
            }
        }
    }

    fn path_answer(&self, arguments: &[&str]) -> Result<PathBuf> {
        let mut answer = self.ask(arguments)?;
        if answer.ends_with(b"\n") {
            answer.pop();
        }
        Ok(platform::path_of_bytes(&answer))
    }

    /// What git answers on its standard output.
    ///
    /// # Errors
    /// `Unreadable` (2) if it can't be run or fails.
    fn ask<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Result<Vec<u8>> {
        let output = self.run(arguments, None)?;
        if output.status.success() { Ok(output.stdout) } else { Err(trouble(&output, &self.top)) }
    }

    /// Runs git at the top of the work tree, with `input` on its standard input.
    ///
    /// # Errors
    /// `Unreadable` (2) if it can't be run.
    fn run<A: AsRef<OsStr>>(&self, arguments: &[A], input: Option<&[u8]>) -> Result<Output> {
        let mut command = self.command();
        command.args(arguments).stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(|why| missing(&why))?;
        let feeder = input.zip(child.stdin.take());
        std::thread::scope(|scope| {
            if let Some((bytes, mut pipe)) = feeder {
                // Beside the reading: both pipes have their bounds. git says itself what it misses if it stops early.
                scope.spawn(move || drop(pipe.write_all(bytes)));
            }
            child.wait_with_output()
        })
        .map_err(|why| missing(&why))
    }

    fn command(&self) -> Command {
        let mut command = self.environment.command("git");
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        for name in PATH_VARIABLES {
            if let Some(path) = self.environment.path(name) {
                command.env(name, self.directory.join(path));
            }
        }
        command.envs(VARIABLES).current_dir(&self.top);
        command
    }

    /// A path as git names it: below the top, links resolved as far as it is there. None for one outside.
    pub fn inside(&self, path: &Path) -> Option<PathBuf> {
        let path = self.directory.join(path);
        let there = existing(&path);
        let real = std::fs::canonicalize(there).ok()?;
        let real = match path.strip_prefix(there).ok()? {
            rest if rest.as_os_str().is_empty() => real,
            rest => real.join(rest),
        };
        real.strip_prefix(&self.top).ok().map(Path::to_owned)
    }

    /// The last commit, as it was when it was first asked for; none in a repository that has no commit yet.
    ///
    /// # Errors
    /// `Unreadable` (2), also for a branch that is broken.
    pub fn head(&self) -> Result<Option<String>> {
        self.head.get_or_init(|| self.ask_head()).clone()
    }

    fn ask_head(&self) -> Result<Option<String>> {
        let output = self.run(&["log", "-1", "--no-show-signature", "--format=%H"], None)?;
        if output.status.success() {
            return Ok(Some(text(&output.stdout)));
        }
        if String::from_utf8_lossy(&output.stderr).contains("not have any commits yet") {
            Ok(None)
        } else {
            Err(trouble(&output, &self.top))
        }
    }

    /// The commit that a revision names.
    ///
    /// # Errors
    /// `Unreadable` (2) if there is none.
    pub fn commit(&self, revision: &str) -> Result<String> {
        let wanted = format!("{revision}^{{commit}}");
        let output = self.run(&["rev-parse", "--quiet", "--verify", "--end-of-options", &wanted], None)?;
        if !output.status.success() {
            let error = Error::new(Kind::Unreadable, format!("git knows no commit {revision}"));
            return Err(self.with_depth(error).hint("git log and git branch -a show what there is"));
        }
        Ok(text(&output.stdout))
    }

    /// Adds what helps where only a part of the history is there.
    fn with_depth(&self, error: Error) -> Error {
        let shallow = self.ask(&["rev-parse", "--is-shallow-repository"]).is_ok_and(|answer| text(&answer) == "true");
        if shallow { error.hint("the history is cut off here: check out with fetch-depth: 0, or run git fetch --unshallow") } else { error }
    }
}

/// The nearest folder with a `.git`: `folder`, links resolved, or above, up to the border of its file system, where git
/// stops too.
fn git_above(folder: &Path) -> Option<PathBuf> {
    let folder = existing(folder);
    let folder = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let device = platform::device(&folder);
    let mut folders = folder.ancestors().take_while(|folder| platform::device(folder) == device);
    folders.find(|folder| folder.join(".git").exists()).map(Path::to_owned)
}

/// What is there of a path: itself, else the nearest above it.
fn existing(path: &Path) -> &Path {
    path.ancestors().find(|path| path.exists()).unwrap_or(path)
}

fn missing(why: &std::io::Error) -> Error {
    let error = Error::new(Kind::Unreadable, format!("git can't be run: {why}"));
    error.hint("this directory belongs to a git repository: install git, and have it on the PATH")
}

/// git's own words, and the fix where it is known.
fn trouble(output: &Output, folder: &Path) -> Error {
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("it gave no reason").trim_start_matches("fatal: ");
    let error = Error::new(Kind::Unreadable, format!("git failed: {line}"));
    if said.contains("dubious ownership") {
        let named = said.split_once("repository at '").and_then(|(_, rest)| rest.split_once('\''));
        let place = named.map_or_else(|| folder.display().to_string(), |(place, _)| place.to_owned());
        return error.hint(format!("if you trust this repository: git config --global --add safe.directory {place}"));
    }
    if said.contains("index.lock") { error.hint("another git is at work here: wait for it, and try again") } else { error }
}

/// A commit as people are told of it.
pub fn short(commit: &str) -> &str {
    commit.get(..10).unwrap_or(commit)
}

/// What stands between NULs.
fn fields(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == 0).filter(|field| !field.is_empty())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end().to_owned()
}
