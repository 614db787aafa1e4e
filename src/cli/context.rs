//! What a command sees of the world: its name, the environment, the terminal.

use std::collections::HashSet;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::config::cleaned;
use crate::error::{Error, Kind, Result};
use crate::git::{Repositories, Repository};
use crate::recipient::Environment;

/// Under which name the program runs: it decides defaults, not abilities.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Name {
    /// kveil's own defaults.
    Kveil,
    /// A stand-in for sops: its defaults, and silence on success.
    Sops,
}

/// The world of one run.
pub struct Context {
    /// The name it was called by.
    pub name: Name,
    /// Variables, and what they lead to.
    pub environment: Environment,
    /// The current directory.
    pub directory: PathBuf,
    /// Whether notes and warnings are shown: always as kveil; as sops only when asked or to a person.
    pub talkative: bool,
    /// Whether stderr may be coloured.
    pub colour: bool,
    /// Whether stdout may be coloured.
    pub colour_out: bool,
    /// Whether progress may be shown.
    pub terminal: bool,
    /// The repositories that git was asked for.
    pub repositories: Arc<Repositories>,
    /// Warnings that were shown: what concerns many files is said once.
    said: Mutex<HashSet<String>>,
}

impl Context {
    /// The context of this process, called as `program`.
    pub fn of_process(program: &str, verbose: bool) -> Context {
        let environment = Environment::process();
        let file = program.rsplit(['/', '\\']).next().unwrap_or(program);
        let name = if file.trim_end_matches(".exe") == "sops" { Name::Sops } else { Name::Kveil };
        let terminal = std::io::stderr().is_terminal();
        let strict = environment.var("KVEIL_STRICT").is_some_and(|value| value == "1");
        let plain = environment.var("NO_COLOR").is_some_and(|value| !value.is_empty());
        Context {
            name,
            directory: std::env::current_dir().unwrap_or_default(),
            talkative: name == Name::Kveil || verbose || strict || terminal,
            colour: terminal && !plain,
            colour_out: std::io::stdout().is_terminal() && !plain,
            terminal,
            environment,
            repositories: Arc::default(),
            said: Mutex::default(),
        }
    }

    /// The same under this name and with nobody to ask: for work that git starts.
    pub fn unattended(&self, name: Name) -> Context {
        Context {
            name,
            environment: self.environment.clone(),
            directory: self.directory.clone(),
            talkative: true,
            colour: self.colour,
            colour_out: false,
            terminal: false,
            repositories: Arc::clone(&self.repositories),
            said: Mutex::default(),
        }
    }

    /// Whether it runs under the name `sops`.
    pub fn is_sops(&self) -> bool {
        self.name == Name::Sops
    }

    /// The name to show.
    pub fn program(&self) -> &'static str {
        if self.is_sops() { "sops" } else { "kveil" }
    }

    /// The path of this program that stays when the next version replaces it: that of the search path, as one with a version in it
    /// is gone then.
    ///
    /// # Errors
    /// `Generic` (1) if the system doesn't know.
    pub fn own_path(&self) -> Result<PathBuf> {
        let failed = |why: std::io::Error| Error::new(Kind::Generic, format!("the path of this program isn't known: {why}"));
        let own = std::env::current_exe().map_err(failed)?;
        let real = std::fs::canonicalize(&own).ok();
        let folders = self.environment.path("PATH").unwrap_or_default();
        let name = format!("kveil{}", std::env::consts::EXE_SUFFIX);
        let mut found = std::env::split_paths(&folders).map(|folder| folder.join(&name));
        let same = |path: &PathBuf| path.is_absolute() && std::fs::canonicalize(path).ok() == real;
        Ok(found.find(same).unwrap_or(own))
    }

    /// Whether findings that only warn under the name `sops` are errors.
    pub fn is_strict(&self) -> bool {
        !self.is_sops() || self.environment.var("KVEIL_STRICT").is_some_and(|value| value == "1")
    }

    /// An absolute path, without `.` and `..`: by its text, as sops does it.
    pub fn absolute(&self, path: &str) -> PathBuf {
        cleaned(&self.directory.join(path))
    }

    /// The repository that holds `folder`; see [`Repository::at`]. However often, git is asked for it once.
    ///
    /// # Errors
    /// `Unreadable` (2): git is in trouble.
    pub fn repository(&self, folder: &Path) -> Result<Option<Arc<Repository>>> {
        self.repositories.at(&self.environment, &self.directory, folder)
    }

    /// Whether `text` is said for the first time in this run.
    pub fn is_news(&self, text: &str) -> bool {
        self.said.lock().is_ok_and(|mut said| said.insert(text.to_owned()))
    }
}
