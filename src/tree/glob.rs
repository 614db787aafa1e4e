//! Globs that no shell has expanded: quoted ones, and all on Windows.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use crate::error::{Error, Kind, Result};

/// A glob: `*` and `?` within a name, `**` for any folders, `[…]`, `{a,b}`. A folder that it matches stands for its files.
pub struct Glob {
    /// The folder below which it can match; empty for the current one.
    pub base: PathBuf,
    matcher: GlobMatcher,
}

const MARKS: [char; 4] = ['*', '?', '[', '{'];

impl Glob {
    /// Reads a glob; none if `name` isn't one.
    ///
    /// # Errors
    /// `Generic` (1) for a glob that can't be read.
    pub fn read(name: &OsStr) -> Result<Option<Glob>> {
        let Some(text) = name.to_str().filter(|text| text.contains(MARKS)) else { return Ok(None) };
        let text = text.trim_start_matches("./");
        let built = GlobBuilder::new(text).literal_separator(true).build();
        let glob = built.map_err(|why| Error::new(Kind::Generic, format!("not a glob: {}", why.kind())).in_file(text))?;
        let base = Path::new(text).components().take_while(|part| !part.as_os_str().to_string_lossy().contains(MARKS));
        Ok(Some(Glob { base: base.collect(), matcher: glob.compile_matcher() }))
    }

    /// Whether the file at `path`, or a folder that it stands in, matches.
    pub fn matches(&self, path: &Path) -> bool {
        let path = path.strip_prefix(".").unwrap_or(path);
        path.ancestors().any(|path| !path.as_os_str().is_empty() && self.matcher.is_match(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(glob: &str, path: &str) -> bool {
        Glob::read(OsStr::new(glob)).unwrap().unwrap().matches(Path::new(path))
    }

    #[test]
    fn stars_stay_within_a_name_and_two_go_through_folders() {
        assert!(matches("a/*.yaml", "a/x.yaml") && !matches("a/*.yaml", "a/b/x.yaml"));
        assert!(matches("**/x.yaml", "x.yaml") && matches("**/x.yaml", "./a/b/x.yaml"));
        assert!(matches("./a/{b,c}/*", "a/c/x") && !matches("a/{b,c}/*", "a/d/x"));
    }

    #[test]
    fn a_folder_that_matches_stands_for_its_files() {
        assert!(matches("clusters/*/secrets", "clusters/prod/secrets/db/x.yaml"));
        assert!(!matches("clusters/*/secrets", "clusters/prod/other/x.yaml"));
    }

    #[test]
    fn the_search_starts_where_the_first_mark_is() {
        let base = |glob: &str| Glob::read(OsStr::new(glob)).unwrap().unwrap().base;
        assert_eq!((base("a/b/*.yaml"), base("**"), base("/etc/x[12]/y")), ("a/b".into(), PathBuf::new(), "/etc".into()));
        assert!(Glob::read(OsStr::new("plain.yaml")).unwrap().is_none());
        assert!(Glob::read(OsStr::new("a[")).is_err());
    }
}
