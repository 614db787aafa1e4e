//! What `kveil git setup` writes: attributes that name the encrypted files, and the drivers in git's configuration.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::{Repository, fields, missing, text, trouble};
use crate::error::{Error, Kind, Result};
use crate::recipient::Environment;
use crate::source::{self, Source, platform};

/// The lines between these are kveil's own.
const BEGIN: &str = "# kveil: encrypted files; kveil git setup keeps these lines up to date";
const END: &str = "# kveil: end";

/// What a line says of a file: `-text` only where blobs have CR, since git would show such files as modified.
const DRIVERS: &str = "diff=kveil merge=kveil";

/// Where kveil isn't installed, git's own way: a missing program makes `git diff` fail as a whole, and a missing merge
/// driver loses one side. `merge.kveil.recursive` stays unset: ancestors are merged by the same driver.
const CONFIG: [(&str, &str); 4] = [
    ("diff.kveil.textconv", r#"f() { command -v kveil >/dev/null 2>&1 && kveil git textconv "$1" || cat "$1"; }; f"#),
    // The cache would keep what textconv shows in a note that is pushed like any other.
    ("diff.kveil.cachetextconv", "false"),
    ("merge.kveil.name", "kveil: values by key, in the files of sops"),
    (
        "merge.kveil.driver",
        r#"f() { if command -v kveil >/dev/null 2>&1; then kveil git merge "$@"; else git merge-file -L ours -L base -L theirs --marker-size="$4" "$2" "$1" "$3"; fi; }; f %O %A %B %L %P"#,
    ),
];

/// So many paths go into one command.
const MANY: usize = 200;

/// The settings of kveil's own that go with the drivers.
const OWN: [&str; 2] = ["kveil.network", "kveil.reveal"];

/// An encrypted file of the work tree.
pub struct Encrypted {
    /// Below the top.
    pub path: PathBuf,
    /// Whether its lines end with CR LF.
    pub cr: bool,
}

/// Which configuration is meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// The repository's own.
    Local,
    /// The user's.
    Global,
}

impl Scope {
    fn flag(self) -> &'static str {
        match self {
            Scope::Local => "--local",
            Scope::Global => "--global",
        }
    }
}

/// The attribute lines for these files. Where all files whose names end alike (`*.enc.yaml`), and they are several, are
/// encrypted, one line is for all of them. Names that aren't text can't be in a line.
pub fn lines(encrypted: &[Encrypted], all: &[PathBuf]) -> Vec<String> {
    let mut lines = Vec::new();
    for file in encrypted {
        let Some(path) = platform::slashed(&file.path).to_str().map(str::to_owned) else { continue };
        let text = if file.cr { "-text" } else { "text eol=lf" };
        let pattern = glob_for(&file.path, encrypted, all).unwrap_or_else(|| pattern(&path));
        lines.push(format!("{pattern} {DRIVERS} {text}"));
    }
    lines.sort();
    lines.dedup();
    lines
}

/// `*.enc.yaml`, if it means encrypted files only.
fn glob_for(path: &Path, encrypted: &[Encrypted], all: &[PathBuf]) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let (_, rest) = name.split_once('.').filter(|(stem, rest)| !stem.is_empty() && rest.contains('.'))?;
    let plain = rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    let ending = format!(".{rest}");
    let alike = |path: &Path| path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.ends_with(&ending));
    let encrypted: Vec<&Encrypted> = encrypted.iter().filter(|file| alike(&file.path)).collect();
    let only = all.iter().filter(|path| alike(path)).all(|path| encrypted.iter().any(|file| file.path == **path));
    let same = encrypted.iter().all(|file| file.cr == encrypted[0].cr);
    (plain && only && same && encrypted.len() > 1).then(|| format!("*{ending}"))
}

/// A path as a pattern that means it and nothing else.
fn pattern(path: &str) -> String {
    let mut out = String::from("/");
    for c in path.chars() {
        if "*?[\\".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    let odd = |c: char| c.is_whitespace() || c == '"' || c.is_control();
    if !out.contains(odd) {
        return out;
    }
    let mut quoted = String::from("\"");
    for c in out.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => quoted.push_str(&format!("\\{:03o}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

/// The lines that kveil has written into an attributes file; none if it has no section.
pub fn section(text: &str) -> Option<Vec<&str>> {
    let mut lines = text.lines().skip_while(|line| *line != BEGIN);
    lines.next()?;
    Some(lines.take_while(|line| *line != END).collect())
}

/// `text` with these lines in kveil's section; without the section if there are none.
pub fn with_section(text: &str, lines: &[String]) -> String {
    let mut out = String::new();
    let mut inside = false;
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end_matches(['\n', '\r']);
        inside = inside || bare == BEGIN;
        if !inside {
            out.push_str(line);
        }
        inside = inside && bare != END;
    }
    if !out.is_empty() && !out.ends_with('\n') && !lines.is_empty() {
        out.push('\n');
    }
    if !lines.is_empty() {
        // Where git checks files out with CR LF, the lines come back so.
        let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
        let own = [BEGIN].into_iter().chain(lines.iter().map(String::as_str)).chain([END]);
        own.for_each(|line| out.extend([line, end]));
    }
    out
}

/// Whether kveil keeps a section in the attributes of the work tree at `top`: git isn't asked.
pub fn is_set_up(top: &Path) -> bool {
    section(&read(&top.join(".gitattributes"))).is_some()
}

impl Repository {
    /// The attributes files: the one that is committed, and this clone's own. git asks the second one, too, while it merges
    /// the branch that brings the first.
    pub fn attribute_files(&self) -> [PathBuf; 2] {
        [self.top.join(".gitattributes"), self.common.join("info/attributes")]
    }

    /// The files whose attributes lack any of these lines.
    pub fn lacking_attributes(&self, lines: &[String]) -> Vec<PathBuf> {
        let lacks = |file: &PathBuf| {
            let text = read(file);
            let section = section(&text).unwrap_or_default();
            !lines.iter().all(|line| section.contains(&line.as_str()))
        };
        self.attribute_files().into_iter().filter(lacks).collect()
    }

    /// Puts these lines into both attributes files, in place of those that kveil wrote before. Gives the files that changed.
    ///
    /// # Errors
    /// `Unwritable` (3).
    pub fn write_attributes(&self, lines: &[String]) -> Result<Vec<PathBuf>> {
        let mut changed = Vec::new();
        for file in self.attribute_files() {
            let old = writable(&file)?;
            let new = with_section(&old, lines);
            if new == old {
                continue;
            }
            if new.is_empty() {
                std::fs::remove_file(&file)
                    .map_err(|why| Error::new(Kind::Unwritable, format!("can't delete {}: {why}", file.display())))?;
            } else {
                file.parent().map_or(Ok(()), source::make_directory)?;
                source::write(&file, &new, false)?;
            }
            changed.push(file);
        }
        Ok(changed)
    }

    /// Adds lines for files that were just encrypted, where kveil keeps a section that doesn't cover them.
    ///
    /// # Errors
    /// `Unwritable` (3).
    pub fn add_attributes(&self, encrypted: &[Encrypted]) -> Result<Vec<String>> {
        let text = read(&self.attribute_files()[0]);
        let Some(known) = section(&text) else { return Ok(Vec::new()) };
        let covered = |file: &Encrypted| {
            let name = file.path.file_name().unwrap_or_default().to_string_lossy();
            let ending =
                |line: &&str| line.strip_prefix('*').and_then(|line| line.split(' ').next()).is_some_and(|ending| name.ends_with(ending));
            known.iter().any(ending)
        };
        let missing: Vec<String> =
            encrypted.iter().filter(|file| !covered(file)).flat_map(|file| lines(std::slice::from_ref(file), &[])).collect();
        let missing: Vec<String> = missing.into_iter().filter(|line| !known.contains(&line.as_str())).collect();
        if !missing.is_empty() {
            let mut all: Vec<String> = known.iter().map(|line| (*line).to_owned()).chain(missing.iter().cloned()).collect();
            all.sort();
            self.write_attributes(&all)?;
        }
        Ok(missing)
    }

    /// Brings what is known of files' line ends in line with what git has of them: where it converts them, the work tree has
    /// others. What git doesn't have stays as it is.
    ///
    /// # Errors
    /// `Unreadable` (2).
    pub fn with_stored_ends(&self, files: &mut [Encrypted]) -> Result<()> {
        let mut doubtful: Vec<&mut Encrypted> = files.iter_mut().filter(|file| file.cr).collect();
        for some in doubtful.chunks_mut(MANY) {
            let mut command: Vec<OsString> = ["ls-files", "--eol", "-z", "--"].map(OsString::from).to_vec();
            command.extend(some.iter().map(|file| file.path.clone().into_os_string()));
            let output = self.run(&command, None)?;
            if !output.status.success() {
                return Err(trouble(&output, &self.top));
            }
            // `i/lf    w/crlf  attr/text=auto \tPATH`
            for row in fields(&output.stdout) {
                let Some(tab) = row.iter().position(|byte| *byte == b'\t') else { continue };
                let path = platform::path_of_bytes(&row[tab + 1..]);
                some.iter_mut().filter(|file| file.path == path && row.starts_with(b"i/lf ")).for_each(|file| file.cr = false);
            }
        }
        Ok(())
    }

    /// Those of these files (below the top) that git's attributes name as encrypted already.
    ///
    /// # Errors
    /// `Unreadable` (2).
    pub fn named(&self, files: &[PathBuf]) -> Result<Vec<Encrypted>> {
        if files.is_empty() {
            return Ok(Vec::new());
        }
        let list: Vec<u8> = files.iter().flat_map(|path| platform::bytes_of_path(path).into_iter().chain([0])).collect();
        let output = self.run(&["check-attr", "-z", "--stdin", "diff", "text"], Some(&list))?;
        if !output.status.success() {
            return Err(trouble(&output, &self.top));
        }
        let rows: Vec<&[u8]> = fields(&output.stdout).collect();
        let named = rows.chunks(6).filter(|rows| rows.get(2) == Some(&&b"kveil"[..]));
        Ok(named.map(|rows| Encrypted { path: platform::path_of_bytes(rows[0]), cr: rows.get(5) == Some(&&b"unset"[..]) }).collect())
    }

    /// How many of these files (below the top) git would show and merge without kveil.
    ///
    /// # Errors
    /// `Unreadable` (2).
    pub fn without_driver(&self, files: &[PathBuf]) -> Result<usize> {
        if files.is_empty() {
            return Ok(0);
        }
        let list: Vec<u8> = files.iter().flat_map(|path| platform::bytes_of_path(path).into_iter().chain([0])).collect();
        let output = self.run(&["check-attr", "-z", "--stdin", "diff", "merge"], Some(&list))?;
        if !output.status.success() {
            return Err(trouble(&output, &self.top));
        }
        // PATH, ATTRIBUTE, VALUE in turn; a file has both or counts once.
        let fields: Vec<&[u8]> = fields(&output.stdout).collect();
        Ok(fields.chunks(6).filter(|rows| rows.chunks(3).any(|row| row.get(2) != Some(&&b"kveil"[..]))).count())
    }

    /// The files of the work tree that git knows, or would.
    ///
    /// # Errors
    /// `Unreadable` (2).
    pub fn files(&self) -> Result<Vec<PathBuf>> {
        let listed = self.ask(&["ls-files", "-z", "--cached", "--others", "--exclude-standard"])?;
        let mut files: Vec<PathBuf> = fields(&listed).map(platform::path_of_bytes).collect();
        files.sort();
        files.dedup();
        Ok(files)
    }
}

/// An attributes file that is to be written anew. One that can't be read whole would lose what others wrote; a link leads to
/// a file that isn't git's, which follows none here either.
///
/// # Errors
/// `Unwritable` (3): a link. `Unreadable` (2).
fn writable(file: &Path) -> Result<String> {
    match std::fs::symlink_metadata(file) {
        Err(_) => Ok(String::new()),
        Ok(metadata) if metadata.is_symlink() && file.ends_with(".gitattributes") => {
            let error = Error::new(Kind::Unwritable, "it is a symbolic link, which git doesn't follow for attributes");
            Err(error.in_file(&file.display().to_string()).hint("put a file in its place"))
        }
        Ok(_) => {
            let text = Source::File(file.to_owned()).read().map_err(|error| error.in_file(&file.display().to_string()))?;
            let ends = text.matches(BEGIN).count() == text.matches(END).count();
            let cut = || Error::new(Kind::Unreadable, format!("kveil's lines begin and don't end: {END} is missing"));
            let hint = "put that line behind the last one of kveil's";
            if ends { Ok(text.to_string()) } else { Err(cut().in_file(&file.display().to_string()).hint(hint)) }
        }
    }
}

fn read(file: &Path) -> String {
    Source::File(file.to_owned()).read().map_or_else(|_| String::new(), |text| text.to_string())
}

/// git's configuration, also where there is no repository.
pub struct Configuration<'e> {
    /// For git.
    pub environment: &'e Environment,
    /// Where git is asked.
    pub folder: &'e Path,
    /// Which one.
    pub scope: Scope,
}

impl Configuration<'_> {
    /// The entries that are missing or say something else.
    ///
    /// # Errors
    /// `Unreadable` (2): git fails.
    pub fn lacking(&self) -> Result<Vec<&'static str>> {
        let mut lacking = Vec::new();
        for (key, value) in CONFIG {
            // Whether it is said here or for the user doesn't matter.
            let output = self.git(&["config", "--get", key])?;
            if !output.status.success() || text(&output.stdout) != value {
                lacking.push(key);
            }
        }
        Ok(lacking)
    }

    /// Writes the drivers. Gives the keys that changed.
    ///
    /// # Errors
    /// `Unreadable` (2): git fails.
    pub fn write(&self) -> Result<Vec<&'static str>> {
        let mut changed = Vec::new();
        for (key, value) in CONFIG {
            let old = self.git(&["config", self.scope.flag(), "--get", key])?;
            if !old.status.success() || text(&old.stdout) != value {
                self.set(key, value)?;
                changed.push(key);
            }
        }
        Ok(changed)
    }

    /// Sets one key.
    ///
    /// # Errors
    /// `Unreadable` (2): git fails.
    pub fn set(&self, key: &str, value: &str) -> Result<()> {
        let output = self.git(&["config", self.scope.flag(), "--replace-all", key, value])?;
        if output.status.success() { Ok(()) } else { Err(trouble(&output, self.folder)) }
    }

    /// Where git looks for hooks; `core.hooksPath` may name another place than the repository's own.
    ///
    /// # Errors
    /// `Unreadable` (2): git fails.
    pub fn hooks(&self) -> Result<PathBuf> {
        let output = self.git(&["rev-parse", "--git-path", "hooks"])?;
        if !output.status.success() {
            return Err(trouble(&output, self.folder));
        }
        Ok(self.folder.join(text(&output.stdout)))
    }

    /// Takes the drivers and kveil's settings out. Gives the sections that were there.
    ///
    /// # Errors
    /// `Unreadable` (2): git fails.
    pub fn remove(&self) -> Result<Vec<&'static str>> {
        let mut removed = Vec::new();
        for key in CONFIG.iter().map(|(key, _)| *key).chain(OWN) {
            if self.git(&["config", self.scope.flag(), "--unset-all", key])?.status.success() {
                removed.push(key);
            }
        }
        Ok(removed)
    }

    fn git(&self, arguments: &[&str]) -> Result<std::process::Output> {
        let mut command = self.environment.command("git");
        command.args(arguments).env("LC_ALL", "C").current_dir(self.folder).output().map_err(|why| missing(&why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> Encrypted {
        Encrypted { path: path.into(), cr: false }
    }

    #[test]
    fn a_line_means_one_file_whatever_its_name() {
        assert_eq!(pattern("a/b.yaml"), "/a/b.yaml");
        assert_eq!(pattern("a*[b].yaml"), "/a\\*\\[b].yaml");
        assert_eq!(pattern("a b*.yaml"), "\"/a b\\\\*.yaml\"");
        assert_eq!(pattern("#a.yaml"), "/#a.yaml");
    }

    #[test]
    fn one_line_is_for_all_only_where_all_are_encrypted() {
        let encrypted = [file("a.enc.yaml"), file("x/b.enc.yaml"), file("c.yaml")];
        let all: Vec<PathBuf> = encrypted.iter().map(|file| file.path.clone()).collect();
        let drivers = "diff=kveil merge=kveil text eol=lf";
        assert_eq!(lines(&encrypted, &all), [format!("*.enc.yaml {drivers}"), format!("/c.yaml {drivers}")]);
        let all: Vec<PathBuf> = all.into_iter().chain(["plain.enc.yaml".into()]).collect();
        assert_eq!(lines(&encrypted, &all).len(), 3);
    }

    #[test]
    fn the_section_is_replaced_and_taken_out_again() {
        let before = "*.png binary\n";
        let once = with_section(before, &["/a x".to_owned()]);
        assert_eq!(section(&once), Some(vec!["/a x"]));
        let twice = with_section(&once, &["/b y".to_owned()]);
        assert_eq!(section(&twice), Some(vec!["/b y"]));
        assert_eq!(with_section(&twice, &[]), before);
        assert_eq!(section(before), None);
    }
}
