//! The user's editor: which one it is, and the flags that keep it from writing the text anywhere else.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, Kind, Result};
use crate::recipient::Environment;
use crate::source::{platform, signals};

/// Tried in this order if no variable names one (SOPS).
const USUAL: [&str; 3] = ["vim", "nano", "vi"];
/// Editors that are VS Code.
const CODES: [&str; 5] = ["code", "code-insiders", "codium", "code-oss", "vscodium"];

/// An editor, ready to be run.
pub struct Editor {
    program: OsString,
    /// Flags that come first.
    flags: Vec<OsString>,
    /// The words after the program in the variable.
    words: Vec<String>,
}

impl Editor {
    /// The editor of `SOPS_EDITOR`, else of `EDITOR`, split into words without a shell; else the first usual one.
    /// `directory` is where it may keep files of its own.
    ///
    /// # Errors
    /// `Editor` (201): a variable that can't be split, or none of the usual ones is there.
    pub fn find(environment: &Environment, directory: &Path) -> Result<Editor> {
        let named = ["SOPS_EDITOR", "EDITOR"].into_iter().find_map(|name| Some((name, environment.var(name)?)));
        let mut words = match named {
            Some((name, line)) => split(name, &line)?,
            None => vec![usual(environment)?],
        };
        let program = OsString::from(words.remove(0));
        let flags = private_flags(&real_name(environment, &program), directory);
        Ok(Editor { program, flags, words })
    }

    /// Runs it on `file` and waits. A signal ends both it and this process; Ctrl+C and Ctrl+\ at the terminal are the
    /// editor's own matter.
    ///
    /// # Errors
    /// `Editor` (201) if it can't be started or fails, `Child` (128 + n) if it died of signal n from the terminal.
    pub fn run(&self, file: &Path) -> Result<()> {
        let mut command = Command::new(&self.program);
        command.args(&self.flags).args(&self.words).arg(file);
        let status = signals::start_ending_both(&mut command).and_then(|mut child| child.wait());
        signals::ended();
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => {
                Err(platform::typed_signal(status).map_or_else(|| failed(&status.to_string()).hint("nothing was changed"), interrupted))
            }
            Err(why) => Err(failed(&format!("{}: {why}", self.program.display())).hint("name one in SOPS_EDITOR or EDITOR")),
        }
    }
}

/// The editor left the signal to the system: what is typed ends this process, too.
fn interrupted(signal: i32) -> Error {
    let code = u8::try_from(signals::code(signal)).unwrap_or(u8::MAX);
    Error::new(Kind::Child(code), "the editor was interrupted")
}

fn failed(why: &str) -> Error {
    Error::new(Kind::Editor, format!("could not run editor: {why}"))
}

fn split(name: &str, line: &str) -> Result<Vec<String>> {
    let words = shlex::split(line).filter(|words| !words.is_empty());
    words.ok_or_else(|| failed(&format!("invalid ${name}")).hint("expected a program and its flags, with quotes in pairs"))
}

fn usual(environment: &Environment) -> Result<String> {
    let found = USUAL.into_iter().find(|name| in_path(environment, OsStr::new(name)).is_some());
    found.map(str::to_owned).ok_or_else(|| {
        failed(&format!("SOPS_EDITOR and EDITOR aren't set, and there is none of {}", USUAL.join(", "))).hint("name one in EDITOR")
    })
}

fn in_path(environment: &Environment, name: &OsStr) -> Option<PathBuf> {
    if Path::new(name).components().count() > 1 {
        return Some(PathBuf::from(name));
    }
    let folders = environment.path("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| platform::is_program(path))
}

/// The name of the program behind links: `vi` is Vim on one system and BusyBox on the next, with other flags.
fn real_name(environment: &Environment, program: &OsStr) -> String {
    let path = in_path(environment, program).and_then(|path| std::fs::canonicalize(path).ok());
    let path = path.unwrap_or_else(|| PathBuf::from(program));
    path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Swap, backup, undo and history files hold the text, often far from the file itself: flags that switch them off.
fn private_flags(name: &str, directory: &Path) -> Vec<OsString> {
    let plain = |flags: &[&str]| flags.iter().map(OsString::from).collect();
    match name {
        // As a command after start-up: what a vimrc sets counts until then.
        _ if name.starts_with("vim") || name.starts_with("nvim") => {
            plain(&["-n", "-i", "NONE", "-c", "silent! set noswapfile nobackup nowritebackup noundofile"])
        }
        // Only its settings file can switch backups, locks and histories on.
        "nano" => plain(&["--ignorercfiles"]),
        _ if name == "emacs" || name.starts_with("emacs-") => {
            plain(&["--eval", "(setq make-backup-files nil auto-save-default nil create-lockfiles nil auto-save-list-file-prefix nil)"])
        }
        _ if CODES.contains(&name) => {
            let mut flags: Vec<OsString> = plain(&["--wait", "--new-window", "--disable-workspace-trust", "--user-data-dir"]);
            flags.push(directory.join(".code").into_os_string());
            flags
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(variables: &[(&str, &str)]) -> Result<Editor> {
        Editor::find(&Environment::fixed(variables.iter().copied()), Path::new("/private"))
    }

    #[test]
    fn the_line_is_split_without_a_shell() {
        let editor = found(&[("EDITOR", "no-such -x 'a b' $HOME \\$"), ("SOPS_EDITOR", "")]).unwrap();
        assert_eq!(
            (editor.program.to_str(), editor.words.as_slice()),
            (Some("no-such"), ["-x", "a b", "$HOME", "$"].map(str::to_owned).as_slice())
        );
        assert!(editor.flags.is_empty());
    }

    #[test]
    fn its_own_variable_comes_first_and_without_any_the_usual_ones() {
        assert_eq!(found(&[("EDITOR", "b"), ("SOPS_EDITOR", "a")]).unwrap().program, "a");
        for bad in [&[("EDITOR", "'")][..], &[("EDITOR", " ")], &[("PATH", "/nowhere")], &[]] {
            assert_eq!(found(bad).err().map(|error| error.kind), Some(Kind::Editor));
        }
    }

    #[test]
    fn files_beside_the_text_are_switched_off() {
        let first = |name: &str| private_flags(name, Path::new("/private")).first().and_then(|flag| flag.to_str().map(str::to_owned));
        for (name, flag) in
            [("vim", "-n"), ("vim.basic", "-n"), ("nvim", "-n"), ("nano", "--ignorercfiles"), ("emacs", "--eval"), ("emacs-gtk", "--eval")]
        {
            assert_eq!(first(name).as_deref(), Some(flag), "{name}");
        }
        let code = private_flags("code", Path::new("/private"));
        assert_eq!(code.last().and_then(|last| last.to_str()), Some("/private/.code"));
        assert!(["busybox", "emacsclient", "sed"].into_iter().all(|name| first(name).is_none()));
    }
}
