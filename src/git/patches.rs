//! Clear values that pre-commit keeps: it saves what isn't staged as a patch in its cache while hooks run, and leaves the patch
//! there. Where an encrypted file was open in the work tree meanwhile, the patch holds its values in clear.

use std::path::PathBuf;

use crate::recipient::Environment;
use crate::source::Source;

const FOLDER: &str = "pre-commit";
const NAME: &str = "patch";
const TOKEN: &str = "ENC[AES256_GCM,";

/// A patch with clear values.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Patch {
    /// The file in the cache.
    pub path: PathBuf,
    /// The files it is about, as it names them.
    pub files: Vec<String>,
}

/// The patches in pre-commit's cache that hold values in clear, by the names of their files.
pub fn of_pre_commit(environment: &Environment) -> Vec<Patch> {
    let Some(folder) = cache(environment) else { return Vec::new() };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let is_patch = |entry: &std::fs::DirEntry| {
        entry.file_name().to_string_lossy().starts_with(NAME) && entry.file_type().is_ok_and(|kind| kind.is_file())
    };
    let mut paths: Vec<PathBuf> = entries.filter(is_patch).map(|entry| entry.path()).collect();
    paths.sort();
    let read = |path: PathBuf| {
        let bytes = Source::File(path.clone()).read_bytes().ok()?;
        let files = in_clear(&bytes);
        (!files.is_empty()).then_some(Patch { path, files })
    };
    paths.into_iter().filter_map(read).collect()
}

/// Where pre-commit keeps it (its documentation, "managing the cache").
fn cache(environment: &Environment) -> Option<PathBuf> {
    let own = environment.path("PRE_COMMIT_HOME");
    let shared = || environment.path("XDG_CACHE_HOME").or_else(|| Some(environment.home()?.join(".cache")));
    own.or_else(|| Some(shared()?.join(FOLDER)))
}

/// What the lines of one file in a patch show.
#[derive(Default)]
struct Part<'p> {
    name: &'p [u8],
    before: usize,
    after: usize,
    tokens: usize,
    is_secret: bool,
    changes: bool,
}

impl Part<'_> {
    /// Values are in clear on one side where it has fewer tokens than the other, or where a Secret has none at all.
    fn is_clear(&self) -> bool {
        self.before != self.after || (self.is_secret && self.changes && self.tokens == 0)
    }

    fn take(&mut self, line: &[u8]) {
        let holds = |word: &str| memchr::memmem::find(line, word.as_bytes()).is_some();
        let token = usize::from(holds(TOKEN));
        self.tokens += token;
        self.is_secret |= holds("kind: Secret");
        match line.first() {
            Some(b'-') if !line.starts_with(b"---") => (self.before, self.changes) = (self.before + token, true),
            Some(b'+') if !line.starts_with(b"+++") => (self.after, self.changes) = (self.after + token, true),
            _ => {}
        }
    }
}

/// The files of a patch (git's form) whose values it shows.
fn in_clear(patch: &[u8]) -> Vec<String> {
    let mut parts: Vec<Part<'_>> = Vec::new();
    for line in patch.split(|byte| *byte == b'\n') {
        if let Some(names) = line.strip_prefix(b"diff --git ") {
            parts.push(Part { name: after(names), ..Part::default() });
        } else if let Some(part) = parts.last_mut() {
            part.take(line);
        }
    }
    parts.iter().filter(|part| part.is_clear()).map(|part| String::from_utf8_lossy(part.name).into_owned()).collect()
}

/// The second of `a/NAME b/NAME`.
fn after(names: &[u8]) -> &[u8] {
    let half = names.len() / 2;
    let second = names.get(half + 1..).unwrap_or(names);
    second.strip_prefix(b"b/").unwrap_or(second)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(name: &str, lines: &str) -> String {
        format!("diff --git a/{name} b/{name}\nindex 1..2 100644\n--- a/{name}\n+++ b/{name}\n@@ -1,2 +1,2 @@\n{lines}")
    }

    #[test]
    fn a_file_that_was_open_is_found() {
        let open = patch("a b.yaml", " kind: Secret\n-  password: ENC[AES256_GCM,data:x]\n+  password: hunter2\n");
        let closed = patch("b.yaml", " kind: Secret\n-  password: ENC[AES256_GCM,data:x]\n+  password: ENC[AES256_GCM,data:y]\n");
        let never = patch("c.yaml", " kind: Secret\n-  password: one\n+  password: two\n");
        let other = patch("d.yaml", " kind: Deployment\n-  replicas: 1\n+  replicas: 2\n");
        assert_eq!(in_clear(format!("{open}{closed}{never}{other}").as_bytes()), ["a b.yaml", "c.yaml"]);
        assert!(in_clear(b"").is_empty());
    }

    #[test]
    fn the_cache_is_where_pre_commit_has_it() {
        let cache = |variables: &[(&str, &str)]| cache(&Environment::fixed(variables.iter().copied()));
        assert_eq!(cache(&[("HOME", "/h")]), Some("/h/.cache/pre-commit".into()));
        assert_eq!(cache(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")]), Some("/x/pre-commit".into()));
        assert_eq!(cache(&[("HOME", "/h"), ("PRE_COMMIT_HOME", "/p")]), Some("/p".into()));
    }
}
