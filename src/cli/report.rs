//! The only file that prints. stdout carries data; errors, warnings and summaries go to stderr.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use super::context::Context;
use crate::error::{Error, Kind, Result, is_hidden, printable};
use crate::source::platform;

const RED: &str = "\x1b[1;31m";
const YELLOW: &str = "\x1b[1;33m";
const CYAN: &str = "\x1b[36m";
const RESET: &str = "\x1b[0m";

/// Writes data to stdout. A reader that went away is no failure.
///
/// # Errors
/// `Unwritable` (3).
pub fn data(bytes: &[u8]) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(why) if why.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::new(Kind::Unwritable, format!("can't write to standard output: {why}")))
        }
        _ => Ok(()),
    }
}

/// Writes a line for people to stdout, where it is what was asked for.
///
/// # Errors
/// As [`data`].
pub fn line(text: &str) -> Result<()> {
    data(format!("{}\n", printable(text)).as_bytes())
}

fn to_stderr(line: &str) {
    // There is no one left to tell if stderr is closed.
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Writes a summary for machines beside data on stdout.
///
/// # Errors
/// None: there is no one left to tell if stderr is closed.
pub fn machine(line: &str) -> Result<()> {
    to_stderr(line);
    Ok(())
}

/// Puts a question; the answer is typed behind it.
pub fn question(text: &str) {
    let mut stderr = std::io::stderr().lock();
    let _ = write!(stderr, "{}", printable(text)).and_then(|()| stderr.flush());
}

/// Says how a verb comes along that genuine sops isn't silent about either.
pub fn progress(line: &str) {
    to_stderr(&printable(line));
}

/// JSON on one line, in which no name can move a terminal's cursor or hide what follows: readers get it back as it was.
pub fn one_line(value: &serde_json::Value) -> String {
    json(&value.to_string())
}

/// The same for text that is JSON already.
pub fn json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        // All of them stand within strings, and none is beyond the first plane.
        if is_hidden(c) { out.push_str(&format!("\\u{:04x}", u32::from(c))) } else { out.push(c) }
    }
    out
}

/// Shows how the program is called.
pub fn usage(help: &str) {
    to_stderr(help.trim_end());
}

/// Shows an error with its hints. Under the name `sops` the first line starts as genuine sops's does: tools match it.
pub fn error(context: &Context, error: &Error) {
    if context.is_sops() && error.kind == Kind::NoKeys {
        // sops's own tests compare all of stderr here.
        return to_stderr("Could not generate data key: [empty key group provided]");
    }
    let label = paint(context, RED, "error:");
    let phrase = error.to_string();
    to_stderr(&if context.is_sops() { phrase } else { format!("{label} {phrase}") });
    for hint in &error.hints {
        // A hint that goes on with the one before is indented.
        let mark = if hint.starts_with(' ') { " ".to_owned() } else { paint(context, CYAN, "→") };
        to_stderr(&format!("  {mark} {}", printable(hint)));
    }
}

/// Says that the program itself failed, whatever it was called for.
pub fn bug(what: &str) {
    to_stderr(&format!("error: {}", printable(what)));
}

/// A file that errors are added to; none if it can't be opened, as there is no one to tell then.
pub fn log(path: &Path) -> Option<File> {
    platform::private().append(true).create(true).open(path).ok()
}

/// Writes an error to other places than stderr, for a caller that keeps stderr to itself.
pub fn elsewhere(error: &Error, places: impl Iterator<Item = File>) {
    let hints = error.hints.iter().map(|hint| format!("  → {}\n", printable(hint)));
    let text = format!("kveil: error: {error}\n{}", hints.collect::<String>());
    for mut place in places {
        // In one piece: others may write there, too.
        let _ = place.write_all(text.as_bytes());
    }
}

/// Shows a warning once, unless silence is asked for.
pub fn warning(context: &Context, text: &str) {
    if context.talkative && context.is_news(text) {
        to_stderr(&format!("{} {}", paint(context, YELLOW, "warning:"), printable(text)));
    }
}

/// Shows a warning in any case: only where genuine sops says something, too.
pub fn always(context: &Context, text: &str) {
    to_stderr(&format!("{} {}", paint(context, YELLOW, "warning:"), printable(text)));
}

/// Shows what was done, unless silence is asked for.
pub fn note(context: &Context, text: &str) {
    if context.talkative {
        to_stderr(&printable(text));
    }
}

fn paint(context: &Context, colour: &str, text: &str) -> String {
    if context.colour { format!("{colour}{text}{RESET}") } else { text.to_owned() }
}
