//! Commands that print identities (`SOPS_AGE_KEY_CMD`, `SOPS_AGE_SSH_PRIVATE_KEY_CMD`), run without a shell.

use std::io::{self, Read};
use std::process::Stdio;

use zeroize::Zeroizing;

use super::Environment;
use super::sources::read_source;
use crate::error::printable;

/// What a key command is told: the recipient whose identity is wanted.
const RECIPIENT: &str = "SOPS_AGE_RECIPIENT";

/// Runs a key command without a shell; what it prints, or why there is nothing.
pub(super) fn run(environment: &Environment, line: &str, recipient: &str) -> std::result::Result<Zeroizing<Vec<u8>>, String> {
    let words = split_words(line).ok_or("a quote or backslash at its end isn't closed")?;
    let (program, arguments) = words.split_first().ok_or("names no command")?;
    let mut command = environment.command(program);
    command.args(arguments).env(RECIPIENT, recipient).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("can't be run: {error}"))?;
    let complaint = child.stderr.take().map(|stderr| std::thread::spawn(move || last_line(stderr)));
    let output = child.stdout.take().map_or_else(|| Ok(Zeroizing::default()), read_source);
    let status = child.wait().map_err(|error| format!("can't be waited for: {error}"))?;
    let complaint = complaint.and_then(|thread| thread.join().ok()).unwrap_or_default();
    if !status.success() {
        return Err(format!("failed with {status}{complaint}"));
    }
    output.map_err(|error| format!("its output can't be read: {error}"))
}

/// `: ` and the last line that a failed command printed for people, unless there may be a key in it.
fn last_line(mut stderr: impl Read) -> String {
    let mut text = Vec::new();
    let read = stderr.by_ref().take(1 << 16).read_to_end(&mut text).and_then(|_| io::copy(&mut stderr, &mut io::sink()));
    let text = String::from_utf8_lossy(&text);
    let line = without_key(text.trim_end().lines().next_back().unwrap_or_default());
    if read.is_err() || line.is_empty() { String::new() } else { format!(": {line}") }
}

/// What another program says, escaped and short; nothing if there may be a key in it.
pub(super) fn without_key(text: &str) -> String {
    let upper = text.to_ascii_uppercase();
    // Small letters of the third word are the name of a program.
    let secret = upper.contains("SECRET-KEY") || upper.contains("PRIVATE KEY") || text.contains("AGE-PLUGIN-");
    if secret { String::new() } else { printable(&text.trim().chars().take(200).collect::<String>()) }
}

/// Splits a command line as a POSIX shell would, without expanding anything; `None` if a quote isn't closed.
pub(super) fn split_words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '#' if word.is_none() => chars.by_ref().take_while(|c| *c != '\n').for_each(drop),
            '\\' => word.get_or_insert_default().push(chars.next()?),
            '\'' | '"' => quoted(&mut chars, c, word.get_or_insert_default())?,
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Some(words)
}

/// The rest of a quoted part, up to `quote`; a backslash escapes in double quotes only.
fn quoted(chars: &mut std::str::Chars<'_>, quote: char, word: &mut String) -> Option<()> {
    loop {
        match chars.next()? {
            c if c == quote => return Some(()),
            '\\' if quote == '"' => word.push(chars.next()?),
            c => word.push(c),
        }
    }
}
