//! The jail of a deployment ([`Jail`]) with the settings of helm-secrets: an address in a list of values files is written by
//! whoever may commit, and is read with the rights of whoever deploys.

use std::path::{Component, Path, PathBuf};

use crate::cli::context::Context;
use crate::cli::jail::Jail;
use crate::config::cleaned;
use crate::error::{Error, Kind, Result};

/// What may lead out of the jail, where somebody said so; [`None`] leaves it to the jail.
#[derive(Clone, Copy, Default)]
pub struct Allowed {
    /// Symbolic links.
    pub links: Option<bool>,
    /// Absolute paths.
    pub absolute: Option<bool>,
    /// `..` in paths.
    pub traversal: Option<bool>,
}

/// The border that names of files may not cross.
pub struct Border {
    /// Links resolved.
    root: PathBuf,
    /// Where relative names start.
    directory: PathBuf,
    /// Whether somebody drew it: a repository, or `KVEIL_ROOT`. Otherwise `..` may cross it, as archives of a repository have
    /// no `.git`.
    drawn: bool,
    allowed: Allowed,
}

/// A file that may be read.
#[derive(Debug)]
pub struct Admitted {
    /// Its path, links resolved: what was looked at is what is read.
    pub path: PathBuf,
    /// Worth a line on stderr.
    pub warning: Option<String>,
}

impl Border {
    /// The border around the current directory.
    ///
    /// # Errors
    /// Those of [`Jail::of`].
    pub fn of(context: &Context) -> Result<Border> {
        let jail = Jail::of(context, Path::new(""))?;
        let allowed = |what: &str| {
            let value = context.environment.var(&format!("HELM_SECRETS_VALUES_ALLOW_{what}"));
            value.map(|value| value == "true")
        };
        let allowed = Allowed { links: allowed("SYMLINKS"), absolute: allowed("ABSOLUTE_PATH"), traversal: allowed("PATH_TRAVERSAL") };
        Ok(Border { drawn: jail.named().is_some(), root: jail.root, directory: context.directory.clone(), allowed })
    }

    /// Whether the file may be read; a file that is missing is held against the jail, too.
    ///
    /// # Errors
    /// `Generic` (1): the path leads out of the jail, or is of a form that was forbidden.
    pub fn admit(&self, name: &str) -> Result<Admitted> {
        let path = self.directory.join(name);
        let traversal = Path::new(name).components().any(|part| part == Component::ParentDir);
        let absolute = Path::new(name).is_absolute();
        let real = real(&path);
        let link = real != cleaned(&real_folder(&self.directory).join(name)) || path.is_symlink();
        let forms = [
            (link, self.allowed.links, "a symbolic link", "HELM_SECRETS_VALUES_ALLOW_SYMLINKS"),
            (absolute, self.allowed.absolute, "an absolute path", "HELM_SECRETS_VALUES_ALLOW_ABSOLUTE_PATH"),
            (traversal, self.allowed.traversal, "a path with ..", "HELM_SECRETS_VALUES_ALLOW_PATH_TRAVERSAL"),
        ];
        if let Some((_, _, what, variable)) = forms.iter().find(|(is, allowed, ..)| *is && *allowed == Some(false)) {
            return Err(Error::new(Kind::Generic, format!("{what} isn't allowed here")).hint(format!("{variable}=false forbids it")));
        }
        let inside = real.starts_with(&self.root);
        if inside || forms.iter().any(|(is, allowed, ..)| *is && *allowed == Some(true)) {
            return Ok(Admitted { path: real, warning: None });
        }
        if !self.drawn && traversal && !absolute && !link {
            let warning =
                format!("{name} is outside {}, and no repository says where the border is: KVEIL_ROOT draws it", self.root.display());
            return Ok(Admitted { path: real, warning: Some(warning) });
        }
        let way = if link { "a symbolic link" } else { "the path" };
        let error = Error::new(Kind::Generic, format!("{way} leads out of {}", self.root.display()));
        let (.., variable) = forms.iter().find(|(is, ..)| *is).unwrap_or(&forms[1]);
        Err(error.hint(format!(
            "a file from elsewhere isn't read: move it into the repository, or set {variable}=true if all who commit may read it"
        )))
    }
}

fn real_folder(folder: &Path) -> PathBuf {
    std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned())
}

/// The path with links followed, as far as it is there.
fn real(path: &Path) -> PathBuf {
    for there in path.ancestors() {
        let rest = path.strip_prefix(there).unwrap_or(Path::new(""));
        if let Ok(real) = std::fs::canonicalize(there) {
            return cleaned(&real.join(rest));
        }
        // A link to what isn't there, yet.
        if let Ok(target) = std::fs::read_link(there) {
            return cleaned(&there.with_file_name("").join(target).join(rest));
        }
    }
    cleaned(path)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    /// `outer/{f,repo/{sub/f,out -> ../f,in -> sub/f}}`.
    fn tree() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let repo = fs::canonicalize(folder.path()).unwrap().join("repo");
        fs::create_dir_all(repo.join("sub")).unwrap();
        fs::write(repo.join("../f"), "").unwrap();
        fs::write(repo.join("sub/f"), "").unwrap();
        symlink("../f", repo.join("out")).unwrap();
        symlink("sub/f", repo.join("in")).unwrap();
        symlink("../missing", repo.join("dangling")).unwrap();
        (folder, repo)
    }

    fn around(root: &Path, directory: &Path, drawn: bool, allowed: Allowed) -> Border {
        Border { root: root.to_owned(), directory: directory.to_owned(), drawn, allowed }
    }

    fn ok(jail: &Border, name: &str) -> Option<bool> {
        jail.admit(name).ok().map(|admitted| admitted.warning.is_none())
    }

    #[test]
    fn a_repository_is_a_border() {
        let (_folder, repo) = tree();
        let jail = around(&repo, &repo.join("sub"), true, Allowed::default());
        for inside in ["f", "../sub/f", "../in", "nope", "../nope", &repo.join("sub/f").to_string_lossy()] {
            assert_eq!(ok(&jail, inside), Some(true), "{inside}");
        }
        for outside in ["../../f", "../out", "../../nope", "../dangling/x", "/etc/passwd", "/dev/fd/0"] {
            assert_eq!(ok(&jail, outside), None, "{outside}");
        }
    }

    #[test]
    fn without_a_border_only_dots_lead_out_and_that_is_said() {
        let (_folder, repo) = tree();
        let jail = around(&repo, &repo, false, Allowed::default());
        assert_eq!(
            [ok(&jail, "sub/f"), ok(&jail, "../f"), ok(&jail, "out"), ok(&jail, "/etc/passwd")],
            [Some(true), Some(false), None, None]
        );
        let named = around(&repo, &repo.join("sub"), true, Allowed::default());
        assert_eq!([ok(&named, "../in"), ok(&named, "../../f")], [Some(true), None]);
    }

    #[test]
    fn variables_of_helm_secrets_win() {
        let (_folder, repo) = tree();
        let jail = |allowed| around(&repo, &repo, true, allowed);
        let links = |links| jail(Allowed { links: Some(links), ..Allowed::default() });
        assert_eq!([ok(&links(true), "out"), ok(&links(false), "in"), ok(&links(false), "sub/f")], [Some(true), None, Some(true)]);
        let absolute = |absolute| jail(Allowed { absolute: Some(absolute), ..Allowed::default() });
        assert_eq!([ok(&absolute(true), "/etc/passwd"), ok(&absolute(false), &repo.join("sub/f").to_string_lossy())], [Some(true), None]);
        let traversal = |traversal| jail(Allowed { traversal: Some(traversal), ..Allowed::default() });
        assert_eq!([ok(&traversal(true), "../f"), ok(&traversal(false), "sub/../sub/f")], [Some(true), None]);
    }
}
