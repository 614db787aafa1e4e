//! Wrong usage in kveil's own words: which flag or word it is about, and what was expected there. Words that name neither flag
//! nor command aren't repeated: what stands in a wrong place may be a secret.

use std::error::Error as _;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::argv::NotWhole;
use crate::error::{Error, Kind};

/// Of a value that is shown, no more than this.
const MAX_SHOWN: usize = 40;
/// Commands that hand flags on to another program, which it is.
const HANDING_ON: [(&str, &str); 1] = [("build", "kustomize")];

/// What is wrong with a command line; [`None`] for what isn't wrong (help), or has words of its own. `command` is what
/// `--help` can be asked of.
pub fn refusal(why: &clap::Error, command: &str) -> Option<Error> {
    let (kind, message) = match why.kind() {
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => (Kind::Generic, wrong_value(why)?),
        ErrorKind::NoEquals => (Kind::Generic, format!("{} takes its value behind an equals sign", name(why)?)),
        ErrorKind::UnknownArgument => (Kind::Generic, unknown(&name(why)?)),
        ErrorKind::InvalidSubcommand => (Kind::Generic, format!("{command} has no command {}", text(why, ContextKind::InvalidSubcommand)?)),
        ErrorKind::MissingRequiredArgument => (Kind::Generic, format!("{} is missing", list(why, ContextKind::InvalidArg).join(", "))),
        ErrorKind::ArgumentConflict => conflict(why)?,
        _ => return None,
    };
    let mut error = Error::new(kind, message);
    let meant = text(why, ContextKind::SuggestedArg).or_else(|| text(why, ContextKind::SuggestedSubcommand));
    error.hints.extend(meant.map(|meant| format!("did you mean {meant}?")));
    error.hints.extend(behind_dashes(why, command));
    Some(error.hint(format!("{command} --help shows how it is called")))
}

/// Where a flag belongs that isn't kveil's, but may be of the program that a command runs.
fn behind_dashes(why: &clap::Error, command: &str) -> Option<String> {
    let flag = name(why).filter(|word| why.kind() == ErrorKind::UnknownArgument && word.starts_with('-'))?;
    let (_, program) = HANDING_ON.iter().find(|(name, _)| command.ends_with(name))?;
    Some(format!("flags for {program} stand behind two dashes: {command} DIR -- {}", flag.split('=').next().unwrap_or(&flag)))
}

fn wrong_value(why: &clap::Error) -> Option<String> {
    let (name, value) = (name(why)?, words(why, ContextKind::InvalidValue).concat());
    let expected = match words(why, ContextKind::ValidValue) {
        none if none.is_empty() => match why.source() {
            Some(source) if source.is::<std::num::ParseIntError>() || source.is::<NotWhole>() => "a whole number".to_owned(),
            Some(source) => return Some(format!("{name}: {source}")),
            None => "a value".to_owned(),
        },
        words => alternatives(&words),
    };
    let given = if value.is_empty() { "empty".to_owned() } else { value.chars().take(MAX_SHOWN).collect() };
    Some(format!("{name} is {given}, expected {expected}"))
}

fn alternatives(words: &[String]) -> String {
    match words {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        words => words.concat(),
    }
}

fn unknown(word: &str) -> String {
    match word.strip_prefix('-') {
        Some(_) => format!("there is no flag {}", word.split('=').next().unwrap_or(word)),
        None => "a word too many: everything else on the line was taken".to_owned(),
    }
}

fn conflict(why: &clap::Error) -> Option<(Kind, String)> {
    let (one, others) = (name(why)?, list(why, ContextKind::PriorArg));
    let same = others.is_empty() || others.contains(&one);
    Some(if same {
        (Kind::Generic, format!("{one} is given twice"))
    } else {
        (Kind::ConflictingFlags, format!("{one} and {} exclude each other", others.join(", ")))
    })
}

fn name(why: &clap::Error) -> Option<String> {
    text(why, ContextKind::InvalidArg)
}

fn text(why: &clap::Error, kind: ContextKind) -> Option<String> {
    list(why, kind).into_iter().next()
}

fn words(why: &clap::Error, kind: ContextKind) -> Vec<String> {
    match why.get(kind) {
        Some(ContextValue::String(word)) => vec![word.clone()],
        Some(ContextValue::Strings(words)) => words.clone(),
        _ => Vec::new(),
    }
}

/// The names in clap's words: of `--flag <VALUE>` only the flag's name, of `<WORD>` the word.
fn list(why: &clap::Error, kind: ContextKind) -> Vec<String> {
    let bare = |word: &str| {
        let flag = word.split([' ', '[']).next().filter(|flag| flag.starts_with('-'));
        flag.unwrap_or(word).trim_matches(['<', '>', '.', '[', ']']).to_owned()
    };
    words(why, kind).iter().map(|word| bare(word)).collect()
}
