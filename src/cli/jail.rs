//! Which files a deployment may read: those below the root of what is deployed. A manifest names files, and who writes
//! manifests need not be who may read the machine they are rendered on.

use std::path::{Path, PathBuf};

use super::context::Context;
use super::report;
use crate::config::cleaned;
use crate::error::{Error, Kind, Result};
use crate::source::platform;

/// Names the root outside of git.
const VARIABLE: &str = "KVEIL_ROOT";

/// The root, and what it is.
pub struct Jail {
    /// Links resolved.
    pub root: PathBuf,
    /// Whether nobody named it: `..` may then lead out of it, with a warning (Argo CD's archives have no `.git`).
    is_guess: bool,
}

impl Jail {
    /// The top level of git around `folder`, else `KVEIL_ROOT`, else `folder`.
    ///
    /// # Errors
    /// `Generic` (1) if `KVEIL_ROOT` isn't there.
    pub fn of(context: &Context, folder: &Path) -> Result<Jail> {
        let folder = context.directory.join(folder);
        let here = std::fs::canonicalize(&folder).unwrap_or(folder);
        if let Some(top) = top_level(&here) {
            return Ok(Jail { root: top, is_guess: false });
        }
        let Some(named) = context.environment.path(VARIABLE).filter(|path| !path.as_os_str().is_empty()) else {
            return Ok(Jail { root: here, is_guess: true });
        };
        let root = std::fs::canonicalize(&named)
            .map_err(|why| Error::new(Kind::Generic, format!("{VARIABLE} is {}, which can't be entered: {why}", named.display())))?;
        Ok(Jail { root, is_guess: false })
    }

    /// The root, unless it is a guess.
    pub fn named(&self) -> Option<&Path> {
        Some(self.root.as_path()).filter(|_| !self.is_guess)
    }

    /// The file at `path`, seen from `folder`, if it lies below the root, links resolved.
    ///
    /// # Errors
    /// `NoFile` (100) if it isn't there, `Generic` (1) if it lies outside.
    pub fn resolve(&self, context: &Context, folder: &Path, path: &str) -> Result<PathBuf> {
        let named = folder.join(path);
        let real = std::fs::canonicalize(&named).map_err(|why| missing(path, folder, &why))?;
        if real.starts_with(&self.root) {
            return Ok(real);
        }
        let folder = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
        let without_links = Path::new(path).is_relative() && cleaned(&folder.join(path)) == real;
        if self.is_guess && without_links {
            let root = self.root.display();
            report::warning(context, &format!("{path} lies outside of {root}: {VARIABLE} names the root, where there is no git"));
            return Ok(real);
        }
        Err(self.outside(path))
    }

    fn outside(&self, path: &str) -> Error {
        let error = Error::new(Kind::Generic, format!("the file lies outside of {}, or a link leads out of it", self.root.display()));
        let error = error.in_file(path).hint("files of a deployment must lie below the top level of its git repository");
        if self.is_guess { error.hint(format!("outside of git, {VARIABLE} names the root")) } else { error }
    }
}

fn missing(path: &str, folder: &Path, why: &std::io::Error) -> Error {
    let error = match why.kind() {
        std::io::ErrorKind::NotFound => Error::new(Kind::NoFile, "no such file"),
        _ => Error::new(Kind::Unreadable, format!("can't open it: {why}")),
    };
    error.in_file(path).hint(format!("the path is taken from {}", folder.display()))
}

/// The nearest folder upward that holds `.git`, on the same file system, as git itself looks for it. git isn't asked: it may
/// be missing or refuse where manifests are rendered, and nothing but the place matters.
fn top_level(folder: &Path) -> Option<PathBuf> {
    let device = platform::device(folder);
    let mut above = folder.ancestors().take_while(|folder| platform::device(folder) == device);
    above.find(|folder| folder.join(".git").exists()).map(Path::to_owned)
}
