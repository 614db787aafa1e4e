//! sops's command line: its verbs, its flags, and how it takes them. Before the verb stand flags for all verbs; behind it, the
//! verb's flags may stand anywhere, unless an operand follows a switch: what stands behind that one is ignored. The old forms have no verb, and all their flags before the file.
//!
//! Source: sops 3.13.3 (`cmd/sops/main.go`) on urfave/cli 1.22, and that binary.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};

use super::go::{Token, token, truth};
use super::{Asked, COMMANDS, Line, is_command};
use crate::error::{Error, Kind, Result};

/// A verb of sops.
pub struct Verb {
    /// As it is typed.
    pub name: &'static str,
    /// Operands that count; [`None`] where the verb itself counts them.
    operands: Option<usize>,
}

/// sops's verbs.
pub const VERBS: [Verb; 14] = [
    Verb { name: "encrypt", operands: Some(1) },
    Verb { name: "decrypt", operands: Some(1) },
    Verb { name: "edit", operands: Some(1) },
    Verb { name: "set", operands: None },
    Verb { name: "unset", operands: None },
    Verb { name: "rotate", operands: Some(1) },
    Verb { name: "updatekeys", operands: None },
    Verb { name: "groups", operands: None },
    Verb { name: "exec-env", operands: None },
    Verb { name: "exec-file", operands: None },
    Verb { name: "filestatus", operands: Some(1) },
    Verb { name: "completion", operands: None },
    Verb { name: "publish", operands: Some(1) },
    Verb { name: "keyservice", operands: None },
];

/// Flags without a verb that are on or off, and their short forms.
pub const SWITCHES: [&str; 13] = [
    "decrypt,d",
    "encrypt,e",
    "rotate,r",
    "in-place,i",
    "show-master-keys,s",
    "ignore-mac",
    "mac-only-encrypted",
    "verbose",
    "disable-version-check",
    "check-for-updates",
    "enable-local-keyservice",
    "help,h",
    "version,v",
];

/// Flags without a verb that take a value, and their short forms.
pub const VALUES: [&str; 40] = [
    "age,a",
    "pgp,p",
    "kms,k",
    "aws-profile",
    "gcp-kms",
    "hckms",
    "azure-kv",
    "hc-vault-transit",
    "encryption-context",
    "shamir-secret-sharing-threshold",
    "add-age",
    "rm-age",
    "add-pgp",
    "rm-pgp",
    "add-kms",
    "rm-kms",
    "add-gcp-kms",
    "rm-gcp-kms",
    "add-hckms",
    "rm-hckms",
    "add-azure-kv",
    "rm-azure-kv",
    "add-hc-vault-transit",
    "rm-hc-vault-transit",
    "unencrypted-suffix",
    "encrypted-suffix",
    "unencrypted-regex",
    "encrypted-regex",
    "unencrypted-comment-regex",
    "encrypted-comment-regex",
    "config",
    "indent",
    "set",
    "extract",
    "output",
    "input-type",
    "output-type",
    "filename-override",
    "decryption-order",
    "keyservice",
];

/// Flags before a verb that sops looks at; the others it passes over there.
const FOR_ALL_VERBS: [&str; 6] = ["config", "indent", "mac-only-encrypted", "verbose", "disable-version-check", "check-for-updates"];

/// Those that sops doesn't know behind a verb.
const ONLY_BEFORE: [&str; 2] = ["config", "indent"];

/// What sops's completion scripts put at the end of a line.
const COMPLETION: &str = "--generate-bash-completion";

/// A flag that was given: its long name and its value, if it takes one.
type Given = (String, Option<OsString>);

/// What a command knows of its flags.
struct Known {
    /// Names, long and short, with the long name and whether a value follows.
    names: HashMap<String, (String, bool)>,
    /// Long names of flags that may be given several times.
    repeated: Vec<String>,
}

/// Reads sops's command line, without the program. `is_file` says whether a word names a file that is there.
///
/// # Errors
/// See [`super::read`].
pub fn read(mut args: Vec<OsString>, is_file: &dyn Fn(&OsStr) -> bool) -> Result<Asked> {
    if args.last().is_some_and(|last| last == COMPLETION) {
        args.pop();
        return Ok(Asked::Words(words(&args)));
    }
    let (globals, operands) = split(&Known::without_verb(), args)?;
    let given = |name: &str| globals.iter().any(|(other, _)| other == name);
    if given("help") {
        return Ok(Asked::Help(Vec::new()));
    }
    if given("version") {
        return Ok(Asked::Version);
    }
    let Some(first) = operands.first() else { return Err(super::super::files::none("sops --help lists the commands")) };
    let word = first.to_string_lossy().into_owned();
    if matches!(&*word, "help" | "h") {
        return Ok(Asked::Help(operands.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect()));
    }
    let old_form = MODES.iter().any(|mode| given(mode));
    if VERBS.iter().any(|verb| verb.name == word) || !old_form && is_command(&word) && !is_file(first) {
        return with_verb(word, globals, operands.into_iter().skip(1).collect());
    }
    if MISSING.iter().any(|mode| given(mode)) && !is_file(first) {
        return Err(missing(&word, globals.iter().any(|(name, _)| name.starts_with("add-") || name.starts_with("rm-"))));
    }
    without_verb(globals, operands).map(Asked::Command)
}

impl Known {
    /// The flags that stand before a verb, or in the old forms.
    fn without_verb() -> Known {
        let mut names = HashMap::new();
        for (rows, value) in [(&SWITCHES[..], false), (&VALUES[..], true)] {
            for row in rows {
                let long = row.split(',').next().unwrap_or(row);
                names.extend(row.split(',').map(|name| (name.to_owned(), (long.to_owned(), value))));
            }
        }
        Known { names, repeated: vec!["keyservice".to_owned()] }
    }

    fn of(command: &clap::Command) -> Known {
        let mut known = Known { names: HashMap::new(), repeated: vec!["keyservice".to_owned()] };
        for arg in command.get_arguments() {
            let Some(long) = arg.get_long() else { continue };
            // A flag whose value may be left out takes none from the next argument.
            let value = arg.get_action().takes_values() && !arg.is_require_equals_set();
            let longs = arg.get_all_aliases().into_iter().flatten().map(str::to_owned).chain([long.to_owned()]);
            let shorts = arg.get_short_and_visible_aliases().into_iter().flatten().map(String::from);
            known.names.extend(longs.chain(shorts).map(|name| (name, (long.to_owned(), value))));
            // sops's key groups take each kind several times; elsewhere it looks at the last one only.
            if command.get_name() == "add" && matches!(arg.get_action(), clap::ArgAction::Append) {
                known.repeated.push(long.to_owned());
            }
        }
        for name in ["help", "h"] {
            known.names.insert(name.to_owned(), ("help".to_owned(), false));
        }
        known
    }

    /// The flags behind `verb`: of those for all verbs sops knows some before it only.
    fn behind(&self, verb: &str) -> Known {
        let mut names = self.names.clone();
        if VERBS.iter().any(|row| row.name == verb) {
            names.retain(|name, _| !ONLY_BEFORE.contains(&name.as_str()));
        }
        Known { names, repeated: self.repeated.clone() }
    }

    /// Keeps of each flag the last one, and leaves out what was switched off.
    fn settle(&self, given: Vec<Given>) -> Vec<Given> {
        let mut kept: Vec<Given> = Vec::new();
        for (name, value) in given {
            if !self.repeated.contains(&name) {
                kept.retain(|(other, _)| *other != name);
            }
            let switch = self.names.get(&name).is_some_and(|(_, takes_value)| !takes_value) && name != "enable-local-keyservice";
            if !switch || value.is_none() {
                kept.push((name, value));
            }
        }
        kept
    }
}

/// Brings flags before the operands, behind a verb. sops takes what follows a flag for its value there, be it a switch:
/// `-i FILE --add-age R` stays as it is, and the late flag isn't one.
fn reordered(known: &Known, args: Vec<OsString>) -> Vec<OsString> {
    let is_known = |arg: &OsString| matches!(token(arg), Token::Flag(name, _) if known.names.contains_key(&name));
    let (mut flags, mut operands): (Vec<OsString>, Vec<OsString>) = Default::default();
    let mut may_be_value = false;
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        if is_known(&arg) {
            may_be_value = !arg.to_string_lossy().contains('=');
            flags.push(arg);
        } else if std::mem::take(&mut may_be_value) {
            flags.push(arg);
        } else if token(&arg) == Token::End {
            operands.insert(0, arg);
            operands.extend(args);
            break;
        } else {
            operands.push(arg);
        }
    }
    flags.extend(operands);
    flags
}

/// Takes the flags from the operands behind them; an unknown one is wrong there.
fn split(known: &Known, args: Vec<OsString>) -> Result<(Vec<Given>, Vec<OsString>)> {
    let mut given = Vec::new();
    let mut operands: Vec<OsString> = Vec::new();
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let Token::Flag(name, value) = token(&arg) else {
            operands.extend((token(&arg) != Token::End).then_some(arg));
            operands.extend(args);
            break;
        };
        match known.names.get(&name) {
            Some((long, true)) => {
                let value = value.or_else(|| args.next());
                let missing = || Error::new(Kind::Generic, format!("flag needs an argument: --{long}"));
                given.push((long.clone(), Some(value.ok_or_else(missing)?)));
            }
            Some((long, false)) => given.push((long.clone(), switch(long, value)?)),
            None => return Err(unknown(&name, known)),
        }
    }
    Ok((known.settle(given), operands))
}

/// A switch that is on has no value from here on.
fn switch(long: &str, value: Option<OsString>) -> Result<Option<OsString>> {
    let Some(value) = value else { return Ok(None) };
    match truth(&value.to_string_lossy()) {
        Some(true) => Ok(None),
        Some(false) => Ok(Some("false".into())),
        None => Err(Error::new(Kind::Generic, format!("invalid boolean value for --{long}, expected true or false"))),
    }
}

fn unknown(name: &str, known: &Known) -> Error {
    let error = Error::new(Kind::Generic, format!("flag provided but not defined: -{name}"));
    let names: Vec<&str> = known.names.keys().filter(|name| name.len() > 1).map(String::as_str).collect();
    match crate::config::did_you_mean(name, &names) {
        Some(meant) => error.hint(format!("did you mean --{meant}?")),
        None => error.hint("sops --help lists the commands, sops COMMAND --help the flags of one"),
    }
}

fn declared(verb: &str) -> Option<clap::Command> {
    COMMANDS.iter().find(|row| row.name == verb).map(super::super::Command::declare)
}

fn with_verb(verb: String, globals: Vec<Given>, mut args: Vec<OsString>) -> Result<Asked> {
    let Some(mut command) = declared(&verb) else { return Ok(super::command(&verb, args)) };
    let mut path = Vec::new();
    while let Some(part) = args.first().and_then(|word| command.find_subcommand(word)).cloned() {
        path.push(args.remove(0));
        command = part;
    }
    if command.has_subcommands() && path.is_empty() {
        return args.iter().find(|word| token(word) == Token::Operand).map_or(Ok(Asked::Help(vec![verb])), |word| Err(no_topic(word)));
    }
    let known = Known::of(&command);
    let behind = known.behind(&verb);
    let (given, mut operands) = split(&behind, reordered(&behind, args))?;
    if given.iter().any(|(name, _)| name == "help") {
        let names = path.iter().map(|word| word.to_string_lossy().into_owned());
        return Ok(Asked::Help(std::iter::once(verb).chain(names).collect()));
    }
    match path.first().and_then(|action| action.to_str()).filter(|_| verb == "groups") {
        Some(action) => refuse_groups(action, &given, &operands)?,
        None => refuse_count(&verb, &operands)?,
    }
    let counting = VERBS.iter().find(|row| row.name == verb).and_then(|row| row.operands).unwrap_or(operands.len());
    let late = operands.split_off(counting.min(operands.len()));
    let ignored = if verb == "filestatus" { Vec::new() } else { ignored(&late) };
    let (for_all, others): (Vec<Given>, Vec<Given>) = globals.into_iter().partition(|(name, _)| FOR_ALL_VERBS.contains(&name.as_str()));
    let unheard = |(name, _): Given| format!("--{name} stands before {verb}, where sops passes over it: put it behind");
    let unheard = others.into_iter().map(unheard).collect();
    let flags = for_all.into_iter().filter(|(name, _)| known.names.contains_key(name)).chain(given).collect();
    let mut rest = path;
    rest.extend(spelled(known.settle(flags), operands));
    Ok(Asked::Command(Line { verb, rest, ignored, unheard }))
}

/// As [`refuse_count`], of a verb with two actions; and refuses a file that isn't named.
fn refuse_groups(action: &str, given: &[Given], operands: &[OsString]) -> Result<()> {
    let refuse = |kind: Kind, message: &str| {
        let error = Error::new(kind, message);
        Err(error.hint("groups add --file FILE --age RECIPIENT, groups delete --file FILE NUMBER"))
    };
    match (action, operands.len()) {
        ("add", 1..) => refuse(Kind::Generic, "groups add takes no words besides flags"),
        ("delete", 0 | 2..) => refuse(Kind::Generic, "groups delete takes one word besides flags, the number of the group"),
        _ if !given.iter().any(|(name, _)| name == "file") => refuse(Kind::Unreadable, "no file specified"),
        _ => Ok(()),
    }
}

/// Refuses too many words where sops counts them.
fn refuse_count(verb: &str, operands: &[OsString]) -> Result<()> {
    let (most, kind) = match verb {
        "set" => (3, Kind::NoFile),
        "unset" => (2, Kind::NoFile),
        "exec-env" | "exec-file" => (2, Kind::Generic),
        "completion" if operands.first().is_some_and(|shell| !is_shell(shell)) => return Err(no_topic(&operands[0])),
        _ => return Ok(()),
    };
    if operands.len() <= most {
        return Ok(());
    }
    let message = format!("{verb} takes {most} words besides flags, here are {}", operands.len());
    Err(Error::new(kind, message).hint("flags stand before the file; quote a value or a command that has blanks"))
}

fn is_shell(word: &OsStr) -> bool {
    word.to_str().and_then(|word| word.parse::<clap_complete::Shell>().ok()).is_some()
}

/// There is no help to give about this.
pub fn no_topic(word: &OsStr) -> Error {
    let error = Error::new(Kind::Unwritable, format!("No help topic for '{}'", crate::error::printable(&word.to_string_lossy())));
    error.hint("sops --help lists the commands")
}

/// The old flags that choose what is done; the last of them wins where several are given.
const MODES: [&str; 4] = ["encrypt", "decrypt", "rotate", "set"];
/// The old forms that begin by looking whether the file is there.
const MISSING: [&str; 3] = ["encrypt", "decrypt", "rotate"];
/// Flags that change what is overwritten: behind the file sops passes over them, and does something else than was meant.
const OVERWRITING: [&str; 3] = ["in-place", "i", "output"];

fn missing(file: &str, for_keys: bool) -> Error {
    let kind = if for_keys { Kind::NoFileForKeys } else { Kind::NoFile };
    Error::new(kind, "no such file").in_file(file).hint("check the path; it is taken from the current directory")
}

fn without_verb(globals: Vec<Given>, mut operands: Vec<OsString>) -> Result<Line> {
    let late = operands.split_off(1);
    let overwriting = |arg: &OsString| matches!(token(arg), Token::Flag(name, _) if OVERWRITING.contains(&name.as_str()));
    if let Some(flag) = late.iter().find(|arg| overwriting(arg)) {
        let message = format!("{} stands behind the file, where sops ignores it", flag.to_string_lossy());
        return Err(Error::new(Kind::ConflictingFlags, message).hint("put flags before the file"));
    }
    let mode = |name: &&&str| globals.iter().any(|(other, value)| other == **name && value.as_ref().is_none_or(|text| !text.is_empty()));
    let verb = MODES.iter().rev().find(mode).map_or("edit", |mode| *mode).to_owned();
    let known = declared(&verb).map(|command| Known::of(&command));
    let taken = |name: &str| !MODES.contains(&name) && known.as_ref().is_none_or(|known| known.names.contains_key(name));
    if let Some((_, Some(assignment))) = globals.iter().find(|(name, _)| name == "set").filter(|_| verb == "set") {
        operands.extend(index_and_value(&assignment.to_string_lossy()));
    }
    let flags = globals.into_iter().filter(|(name, _)| taken(name)).collect();
    Ok(Line { verb, rest: spelled(flags, operands), ignored: ignored(&late), unheard: Vec::new() })
}

/// `["key"] VALUE`, parted as sops parts it. Without a value an empty one, which isn't JSON and is refused as such.
fn index_and_value(assignment: &str) -> [OsString; 2] {
    match assignment.split_once("] ") {
        Some((index, value)) => [format!("{index}]").into(), value.into()],
        None => [assignment.into(), OsString::new()],
    }
}

/// Flags and operands as clap reads them, whatever is in them.
fn spelled(flags: Vec<Given>, operands: Vec<OsString>) -> Vec<OsString> {
    let flag = |(name, value): Given| {
        let mut arg = OsString::from(format!("--{name}"));
        if let Some(value) = value {
            arg.push("=");
            arg.push(value);
        }
        arg
    };
    let none = |(name, value): &Given| name == "output" && value.as_ref().is_some_and(|path| path.is_empty());
    let mut rest: Vec<OsString> = flags.into_iter().filter(|given| !none(given)).map(flag).collect();
    if operands.iter().any(|operand| operand.to_string_lossy().starts_with('-')) {
        rest.push("--".into());
    }
    rest.extend(operands);
    rest
}

/// What sops says of operands too many.
fn ignored(operands: &[OsString]) -> Vec<String> {
    if operands.is_empty() {
        return Vec::new();
    }
    let flag = operands.iter().rev().find(|operand| operand.to_string_lossy().starts_with('-'));
    let note = flag.map(|flag| format!("{} is ignored, since it stands behind the file", flag.to_string_lossy()));
    std::iter::once("only the first file counts, what follows it is ignored".to_owned()).chain(note).collect()
}

/// What a shell can offer behind these words: flags for a dash, else verbs; else it offers files itself.
fn words(args: &[OsString]) -> Vec<String> {
    let verb = args.iter().find_map(|arg| declared(&arg.to_string_lossy()));
    let dash = args.last().map(|word| word.to_string_lossy()).filter(|word| word.starts_with('-'));
    let known = verb.as_ref().map_or_else(Known::without_verb, Known::of);
    let mut words: Vec<String> = match dash {
        Some(dash) => {
            let flags = known.names.keys().map(|name| if name.len() > 1 { format!("--{name}") } else { format!("-{name}") });
            flags.filter(|flag| flag.starts_with(&*dash)).collect()
        }
        None if verb.is_none() => COMMANDS.iter().map(|row| row.name.to_owned()).collect(),
        None => Vec::new(),
    };
    words.sort();
    words
}

#[cfg(test)]
mod tests;
