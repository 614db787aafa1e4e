//! The tree that Flux gets: all of a repository, as its source-controller packs it.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::cli::context::Context;
use crate::deploy::flux::Tree;
use crate::error::{Error, Kind, Result};
use crate::git::Repository;
use crate::source::{self, Source};
use crate::tree;

/// YAML files that source-controller leaves out, if a `.sourceignore` says nothing else.
const NOT_PACKED: [&str; 8] = [
    ".sops.yaml",
    ".flux.yaml",
    ".travis.yml",
    ".gitlab-ci.yml",
    ".drone.yml",
    ".goreleaser.yml",
    ".goreleaser.brew.yml",
    ".pre-commit-config.yaml",
];
/// Folders that it leaves out.
const NOT_PACKED_FOLDERS: [&str; 2] = [".github", ".circleci"];

/// The files below the root of the source, and the folder that a Kustomization of Flux names.
pub struct Place {
    /// Absolute, links resolved.
    pub root: PathBuf,
    /// The folder, below the root.
    pub entry: PathBuf,
    all: Vec<PathBuf>,
}

impl Place {
    /// The place of `directory`: below git's top level, without git below the current directory, if that holds it.
    ///
    /// # Errors
    /// `Unreadable` (2): the directory, or another of the tree, can't be entered, or git is in trouble.
    pub fn of(context: &Context, directory: &Path) -> Result<Place> {
        let missing = |why: std::io::Error| {
            Error::new(Kind::Unreadable, format!("can't be entered: {why}")).in_file(&directory.display().to_string())
        };
        let entry = std::fs::canonicalize(context.directory.join(directory)).map_err(missing)?;
        let repository = Repository::at(&context.environment, &context.directory, &entry)?;
        let here = std::fs::canonicalize(&context.directory).ok().filter(|here| entry.starts_with(here));
        let root = repository.as_ref().map(|repository| repository.top.clone()).or(here).unwrap_or_else(|| entry.clone());
        let found = tree::walk(&root, repository.as_ref())?;
        if let Some(error) = found.errors.into_iter().next() {
            return Err(error);
        }
        let inside = |path: PathBuf| path.strip_prefix(&root).map(Path::to_owned).unwrap_or(path);
        let all = found.files.into_iter().map(inside).collect();
        let entry = entry.strip_prefix(&root).unwrap_or(Path::new("")).to_owned();
        Ok(Place { root, entry, all })
    }

    /// The files with ciphertext below the folder.
    pub fn encrypted(&self) -> Vec<PathBuf> {
        let below = self.all.iter().filter(|path| path.starts_with(&self.entry));
        below.filter(|path| source::holds(&self.root.join(path), b"ENC[AES256_GCM,").unwrap_or(false)).cloned().collect()
    }
}

impl Tree for Place {
    fn read(&self, path: &Path) -> Option<Zeroizing<String>> {
        let real = std::fs::canonicalize(self.root.join(path)).ok().filter(|real| real.starts_with(&self.root))?;
        Source::File(real).read().ok()
    }

    fn is_folder(&self, path: &Path) -> bool {
        self.root.join(path).is_dir()
    }

    fn manifests(&self, folder: &Path) -> Vec<PathBuf> {
        let is_yaml = |path: &&PathBuf| path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml");
        let packed = |path: &&PathBuf| {
            let file = path.file_name().is_some_and(|name| NOT_PACKED.iter().any(|other| name == *other));
            !file && !NOT_PACKED_FOLDERS.iter().any(|other| path.starts_with(other))
        };
        self.all.iter().filter(|path| path.starts_with(folder)).filter(is_yaml).filter(packed).cloned().collect()
    }
}
