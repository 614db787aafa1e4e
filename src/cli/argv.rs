//! sops's command line has flags before and after its verbs, and old forms without a verb (`sops -d FILE`): they are
//! brought into one order before the flags are read.

use std::collections::HashMap;
use std::ffi::OsString;

use super::COMMANDS;
use crate::error::{Error, Kind, Result};

/// A command line in order: the verb, then everything else.
#[derive(Default)]
pub struct Line {
    /// The verb, if one was given or meant.
    pub verb: Option<String>,
    /// Flags and operands.
    pub rest: Vec<OsString>,
    /// `--version` was asked for.
    pub version: bool,
    /// `--help` was asked for, for no verb.
    pub help: bool,
}

/// Old flags that stand for a verb.
const LEGACY: [(&str, &str); 7] = [
    ("-d", "decrypt"),
    ("--decrypt", "decrypt"),
    ("-e", "encrypt"),
    ("--encrypt", "encrypt"),
    ("-r", "rotate"),
    ("--rotate", "rotate"),
    ("--set", "set"),
];

/// Verbs of sops that aren't there yet: they are verbs, not files.
const OTHER_VERBS: [&str; 13] =
    ["edit", "set", "unset", "rotate", "updatekeys", "groups", "exec-env", "exec-file", "publish", "keyservice", "help", "h", "filestatus"];

/// Orders a command line; `args[0]` is the program.
///
/// # Errors
/// `Generic` (1) for a verb of sops that isn't there yet.
pub fn normalise(args: Vec<OsString>, sops: bool) -> Result<Line> {
    let mut args = args.into_iter().skip(1).peekable();
    let mut line = Line::default();
    let mut before: Vec<OsString> = Vec::new();
    let values = Lazy::default();
    while let Some(arg) = args.next() {
        let text = arg.to_string_lossy();
        if let Some((_, verb)) = LEGACY.iter().find(|(flag, _)| *flag == text) {
            line.verb = Some((*verb).to_owned());
        } else if text == "--version" || text == "-v" && !sops && args.peek().is_none() && before.is_empty() {
            line.version = true;
        } else if text == "--help" || text == "-h" {
            line.help = true;
            before.push(arg);
        } else if text.starts_with('-') && text != "-" {
            let takes_value = !text.contains('=') && values.takes_value(&text);
            before.push(arg);
            before.extend(takes_value.then(|| args.next()).flatten());
        } else {
            return with_operand(line, before, arg, args.collect(), sops);
        }
    }
    if line.verb.is_some() {
        line.rest = before;
    }
    available(line)
}

/// The first operand is the verb, unless an old flag named one already.
fn with_operand(mut line: Line, before: Vec<OsString>, operand: OsString, after: Vec<OsString>, sops: bool) -> Result<Line> {
    let word = operand.to_string_lossy().into_owned();
    let known = COMMANDS.iter().any(|row| row.name == word) || OTHER_VERBS.contains(&word.as_str());
    if line.verb.is_some() {
        line.rest = before;
        line.rest.push(operand);
        line.rest.extend(after.into_iter().filter(|arg| !LEGACY.iter().any(|(flag, _)| *arg == **flag)));
        return available(line);
    }
    let legacy = after.iter().find_map(|arg| LEGACY.iter().find(|(flag, _)| *arg == **flag)).filter(|_| sops && !known);
    if let Some((flag, verb)) = legacy {
        // sops ignores what stands behind the file here; the flag that decides what happens counts.
        line.verb = Some((*verb).to_owned());
        line.rest = before;
        line.rest.push(operand);
        line.rest.extend(after.into_iter().filter(|arg| *arg != **flag));
        return available(line);
    }
    if !known && sops {
        line.verb = Some("edit".to_owned());
        return available(line);
    }
    line.verb = Some(word);
    line.rest = before;
    line.rest.extend(after);
    available(line)
}

fn available(line: Line) -> Result<Line> {
    let missing = line.verb.as_deref().filter(|verb| OTHER_VERBS.contains(verb) && !COMMANDS.iter().any(|row| row.name == *verb));
    match missing {
        Some(verb) if !matches!(verb, "help" | "h") => {
            let error = Error::new(Kind::Generic, format!("the sops command {verb} isn't there in this version"));
            Err(error.hint("decrypt, change the file and encrypt it again, or use genuine sops for this step: the format is the same"))
        }
        _ => Ok(line),
    }
}

/// Which flags take a value: asked only when flags stand before the verb.
#[derive(Default)]
struct Lazy(std::cell::OnceCell<HashMap<String, bool>>);

impl Lazy {
    fn takes_value(&self, flag: &str) -> bool {
        self.0.get_or_init(flags).get(flag).copied().unwrap_or(false)
    }
}

fn flags() -> HashMap<String, bool> {
    let mut flags = HashMap::new();
    for row in COMMANDS {
        for arg in row.declare().get_arguments() {
            let value = arg.get_action().takes_values();
            let names = arg.get_long_and_visible_aliases().unwrap_or_default();
            flags.extend(names.into_iter().map(|name| (format!("--{name}"), value)));
            flags.extend(arg.get_short().map(|short| (format!("-{short}"), value)));
        }
    }
    flags
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(args: &[&str]) -> Option<(String, Vec<String>)> {
        let args = std::iter::once("sops").chain(args.iter().copied()).map(OsString::from).collect();
        let line = normalise(args, true).ok()?;
        Some((line.verb?, line.rest.iter().map(|arg| arg.to_string_lossy().into_owned()).collect()))
    }

    #[test]
    fn flags_before_the_verb_come_after_it() {
        let ordered = line(&["--config", "c.yaml", "--mac-only-encrypted", "encrypt", "--age", "x", "f.yaml"]);
        let expected = ["--config", "c.yaml", "--mac-only-encrypted", "--age", "x", "f.yaml"].map(str::to_owned).to_vec();
        assert_eq!(ordered, Some(("encrypt".to_owned(), expected)));
    }

    #[test]
    fn old_forms_mean_verbs() {
        assert_eq!(line(&["-d", "f.yaml"]), Some(("decrypt".to_owned(), vec!["f.yaml".to_owned()])));
        assert_eq!(
            line(&["--age", "x", "-e", "f.yaml"]),
            Some(("encrypt".to_owned(), ["--age", "x", "f.yaml"].map(str::to_owned).to_vec()))
        );
        assert_eq!(line(&["f.yaml", "-d"]), Some(("decrypt".to_owned(), vec!["f.yaml".to_owned()])));
    }
}
