//! Brings a command line into one order before its flags are read: the verb, then its flags, then its operands. kveil's own
//! is plain; under the name `sops` flags and operands are taken as sops takes them ([`sops`]).

mod go;
mod sops;

pub use go::{NotWhole, truth, whole};

use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::COMMANDS;
use crate::error::{Error, Kind, Result};

/// What a command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    /// `--version`.
    Version,
    /// Help: of the whole, or of a command and its own commands.
    Help(Vec<String>),
    /// The words that can follow what is on the line, for a shell: sops's own completion scripts ask for them.
    Words(Vec<String>),
    /// A command.
    Command(Line),
    /// Nothing.
    Nothing,
}

/// A command with its flags and operands.
#[derive(Debug, PartialEq, Eq, Default)]
pub struct Line {
    /// The command's name.
    pub verb: String,
    /// Flags, then operands.
    pub rest: Vec<OsString>,
    /// What was left out, for stderr: only where sops says something there too.
    pub ignored: Vec<String>,
    /// What was left out in silence, as sops does it.
    pub unheard: Vec<String>,
}

/// Old flags that stand for a verb, also as kveil.
const LEGACY: [(&str, &str); 6] =
    [("-d", "decrypt"), ("--decrypt", "decrypt"), ("-e", "encrypt"), ("--encrypt", "encrypt"), ("-r", "rotate"), ("--rotate", "rotate")];

/// Reads a command line; `args[0]` is the program.
///
/// # Errors
/// `Generic` (1) for a verb of sops that isn't there and for wrong usage, `NoFile` (100) for an old form without a file,
/// `ConflictingFlags` (8) for an old form with a flag behind the file that would change what is overwritten.
pub fn read(args: Vec<OsString>, as_sops: bool) -> Result<Asked> {
    let args: Vec<OsString> = args.into_iter().skip(1).collect();
    let asked = if as_sops { sops::read(args, &|name| Path::new(name).exists())? } else { own(args) };
    match &asked {
        Asked::Command(line) if !is_command(&line.verb) && sops::VERBS.iter().any(|verb| verb.name == line.verb) => {
            Err(not_there(&line.verb))
        }
        _ => Ok(asked),
    }
}

fn is_command(word: &str) -> bool {
    COMMANDS.iter().any(|row| row.name == word)
}

fn not_there(verb: &str) -> Error {
    let error = Error::new(Kind::Generic, format!("the sops command {verb} isn't there in this version"));
    error.hint("decrypt, change the file and encrypt it again, or use genuine sops for this step: the format is the same")
}

/// kveil's own command line: flags may stand before the verb.
fn own(args: Vec<OsString>) -> Asked {
    let mut before: Vec<OsString> = Vec::new();
    let mut legacy = None;
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let text = arg.to_string_lossy();
        if let Some((_, verb)) = LEGACY.iter().find(|(flag, _)| *flag == text) {
            legacy = Some(*verb);
        } else if matches!(&*text, "--version" | "-V") || text == "-v" && before.is_empty() && args.len() == 0 {
            return Asked::Version;
        } else if matches!(&*text, "--help" | "-h") && legacy.is_none() {
            return Asked::Help(Vec::new());
        } else if text.starts_with('-') && text != "-" {
            let takes_value = !text.contains('=') && takes_value(&text);
            before.push(arg);
            before.extend(takes_value.then(|| args.next()).flatten());
        } else {
            return with_operand(legacy, before, &arg, args.collect());
        }
    }
    match legacy {
        Some(verb) => command(verb, before),
        None => Asked::Nothing,
    }
}

/// The first operand is the verb, unless an old flag named one already.
fn with_operand(legacy: Option<&str>, mut before: Vec<OsString>, operand: &OsStr, after: Vec<OsString>) -> Asked {
    let word = operand.to_string_lossy();
    if legacy.is_none() && matches!(&*word, "help" | "h") {
        return Asked::Help(after.iter().map(|word| word.to_string_lossy().into_owned()).collect());
    }
    before.extend(legacy.map(|_| operand.to_owned()));
    before.extend(after);
    command(legacy.unwrap_or(&word), before)
}

fn command(verb: &str, rest: Vec<OsString>) -> Asked {
    Asked::Command(Line { verb: verb.to_owned(), rest, ..Line::default() })
}

/// There is no help about `word`: the command isn't there.
pub fn no_topic(program: &str, word: &str) -> Error {
    if program == "sops" { sops::no_topic(OsStr::new(word)) } else { super::no_command(program, word) }
}

/// Whether a flag of any command takes a value: asked only when flags stand before the verb.
fn takes_value(flag: &str) -> bool {
    let name = |arg: &clap::Arg| {
        let long = arg.get_long_and_visible_aliases().is_some_and(|names| names.iter().any(|name| flag == format!("--{name}")));
        long || arg.get_short().is_some_and(|short| flag == format!("-{short}"))
    };
    let takes = |command: &clap::Command| command.get_arguments().any(|arg| name(arg) && arg.get_action().takes_values());
    COMMANDS.iter().any(|row| takes(&row.declare()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(args: &[&str]) -> Asked {
        own(args.iter().map(OsString::from).collect())
    }

    #[test]
    fn flags_before_the_verb_come_behind_it() {
        let rest = ["--config", "c.yaml", "--mac-only-encrypted", "--age", "x", "f.yaml"];
        let ordered = line(&["--config", "c.yaml", "--mac-only-encrypted", "encrypt", "--age", "x", "f.yaml"]);
        assert_eq!(ordered, command("encrypt", rest.iter().map(OsString::from).collect()));
    }

    #[test]
    fn the_version_and_help_are_asked_for_in_several_ways() {
        for version in [["-v"], ["-V"], ["--version"]] {
            assert_eq!(line(&version), Asked::Version);
        }
        assert_eq!(line(&["help", "decrypt"]), Asked::Help(vec!["decrypt".to_owned()]));
        assert_eq!(line(&["-h"]), Asked::Help(Vec::new()));
        assert_eq!(line(&[]), Asked::Nothing);
    }

    #[test]
    fn old_forms_mean_verbs() {
        assert_eq!(line(&["-d", "f.yaml"]), command("decrypt", vec!["f.yaml".into()]));
        assert_eq!(line(&["f.yaml", "-d"]), command("f.yaml", vec!["-d".into()]));
    }
}
