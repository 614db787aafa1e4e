//! What git knows about files: which have changed, which bytes they had, what the index holds.
//!
//! git itself is asked, never its files: through its program, without a shell, with hooks and fsmonitor off, paths as they
//! are (`-z`, literal pathspecs), and nothing fetched. "No repository" and "git in trouble" are two answers: the first is
//! the absence of any `.git` upward, the second an error with the fix.

pub mod blobs;
pub mod changed;
pub mod decrypted;
pub mod diff;
pub mod hooks;
pub mod index;
pub mod mask;
pub mod merge;
pub mod settings;
pub mod setup;
pub mod sides;
pub mod signing;
pub mod textconv;
pub mod version;

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

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
}

impl Repository {
    /// The repository that holds `folder`, or would hold it if it were there; none if no `.git` stands there or above, and
    /// `GIT_DIR` names none. `directory` is the current directory.
    ///
    /// # Errors
    /// `Unreadable` (2) with the fix: git is missing, refuses (another user's repository) or fails.
    pub fn at(environment: &Environment, directory: &Path, folder: &Path) -> Result<Option<Repository>> {
        let named = environment.path("GIT_DIR").is_some();
        if !named && !has_git_above(folder) {
            return Ok(None);
        }
        let start = if named { directory } else { existing(folder) };
        let mut repository =
            Repository { environment: environment.clone(), directory: directory.to_owned(), top: start.to_owned(), common: PathBuf::new() };
        let top = repository.path_answer(&["rev-parse", "--show-toplevel"])?;
        let common = repository.path_answer(&["rev-parse", "--git-common-dir"])?;
        repository.common = start.join(common);
        repository.top = std::fs::canonicalize(&top).unwrap_or(top);
        Ok(Some(repository))
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

    /// The files in the index below `folder`, absolute, those that `.gitignore` names included.
    ///
    /// # Errors
    /// `Unreadable` (2).
    pub fn tracked(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        let Some(below) = self.inside(folder) else { return Ok(Vec::new()) };
        let mut arguments: Vec<OsString> = ["ls-files", "-z", "--cached", "--"].map(OsString::from).into();
        arguments.extend((!below.as_os_str().is_empty()).then(|| platform::slashed(&below)));
        Ok(fields(&self.ask(&arguments)?).map(|path| self.top.join(platform::path_of_bytes(path))).collect())
    }

    /// The last commit; none in a repository that has no commit yet.
    ///
    /// # Errors
    /// `Unreadable` (2), also for a branch that is broken.
    pub fn head(&self) -> Result<Option<String>> {
        let output = self.run(&["rev-parse", "--quiet", "--verify", "HEAD"], None)?;
        if output.status.success() {
            return Ok(Some(text(&output.stdout)));
        }
        let output = self.run(&["log", "-1", "--format="], None)?;
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

/// Whether a `.git` stands in `folder` or above, up to the border of its file system, where git stops too.
fn has_git_above(folder: &Path) -> bool {
    let folder = existing(folder);
    let folder = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let device = platform::device(&folder);
    folder.ancestors().take_while(|folder| platform::device(folder) == device).any(|folder| folder.join(".git").exists())
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
