//! Dotenv files as sources of a Secret's entries: as KSOPS reads them (the library godotenv), and as kustomize does.

use std::collections::HashMap;

use crate::error::{Error, Kind, Result};

/// The entries as kustomize's `envs` gives them: a `KEY=value` a line, the value as it stands.
///
/// # Errors
/// `Unreadable` (2) for a line that is no entry.
pub fn plain(text: &str) -> Result<Vec<(String, String)>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = text.lines().enumerate().map(|(at, line)| (at, line.trim_start()));
    let entries = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    entries
        .map(|(at, line)| match line.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
            _ => Err(no_entry(at + 1)),
        })
        .collect()
}

fn no_entry(line: usize) -> Error {
    Error::new(Kind::Unreadable, format!("line {line} is no entry KEY=value"))
}

/// The entries as godotenv gives them: `export`, quotes, escapes, comments behind values, and variables of entries before.
///
/// # Errors
/// `Unreadable` (2) for a line that is no entry, or a quote that doesn't end.
pub fn quoted(text: &str) -> Result<Vec<(String, String)>> {
    let text = text.replace("\r\n", "\n");
    let mut found: Vec<(String, String)> = Vec::new();
    let mut seen: HashMap<String, String> = HashMap::new();
    let mut rest = text.as_str();
    while let Some(start) = next_entry(rest) {
        let line = text[..text.len() - start.len()].matches('\n').count() + 1;
        let (key, after) = key(start).ok_or_else(|| no_entry(line))?;
        let (value, after) =
            value(after, &seen).ok_or_else(|| Error::new(Kind::Unreadable, format!("line {line}: a quote doesn't end")))?;
        found.retain(|(name, _)| *name != key);
        seen.insert(key.clone(), value.clone());
        found.push((key, value));
        rest = after;
    }
    Ok(found)
}

/// Where the next line with content starts.
fn next_entry(text: &str) -> Option<&str> {
    let mut rest = text.trim_start();
    while rest.starts_with('#') {
        rest = rest.split_once('\n')?.1.trim_start();
    }
    (!rest.is_empty()).then_some(rest)
}

/// The name of an entry, and what follows the `=` or `:` behind it.
fn key(text: &str) -> Option<(String, &str)> {
    let text = text.strip_prefix("export").filter(|rest| rest.starts_with([' ', '\t'])).map_or(text, str::trim_start);
    let end = text.find(['=', ':', '\n'])?;
    let name = text[..end].trim_end();
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
    let fine = !text[end..].starts_with('\n') && !name.is_empty() && name.chars().all(known);
    fine.then(|| (name.to_owned(), text[end + 1..].trim_start_matches([' ', '\t', '\r'])))
}

fn value<'t>(text: &'t str, seen: &HashMap<String, String>) -> Option<(String, &'t str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''));
    let Some(quote) = quote else {
        let (line, rest) = text.split_once('\n').unwrap_or((text, ""));
        return Some((expanded(without_comment(line).trim(), seen), rest));
    };
    let inside = &text[1..];
    let end = inside.match_indices(quote).map(|(at, _)| at).find(|at| !inside[..*at].ends_with('\\'))?;
    let (value, rest) = (&inside[..end], &inside[end + 1..]);
    let value = if quote == '"' { expanded(&unescaped(value), seen) } else { value.to_owned() };
    Some((value, rest))
}

/// A `#` behind a blank begins a comment; one at the start of a value is part of it.
fn without_comment(line: &str) -> &str {
    let at = line.char_indices().find(|(at, c)| *c == '#' && line[..*at].ends_with([' ', '\t'])).map(|(at, _)| at);
    at.map_or(line, |at| &line[..at])
}

/// `\n` and `\r` are line breaks, any other character but `$` stands for itself.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\\', Some('n')) => out.push('\n'),
            ('\\', Some('r')) => out.push('\r'),
            ('\\', Some('$')) | ('\\', None) => {
                out.push('\\');
                continue;
            }
            ('\\', Some(other)) => out.push(*other),
            (c, _) => {
                out.push(c);
                continue;
            }
        }
        chars.next();
    }
    out
}

/// `$NAME` and `${NAME}` stand for entries before; `\$` is a dollar sign.
fn expanded(text: &str, seen: &HashMap<String, String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, after) = (&rest[..at], &rest[at + 1..]);
        if let Some(before) = before.strip_suffix('\\') {
            out.push_str(before);
            out.push('$');
            rest = after;
            continue;
        }
        out.push_str(before);
        let open = after.strip_prefix('{').unwrap_or(after);
        let length = open.find(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')).unwrap_or(open.len());
        if length == 0 {
            out.push('$');
            rest = after;
            continue;
        }
        out.push_str(seen.get(&open[..length]).map_or("", String::as_str));
        rest = &open[length..];
        rest = rest.strip_prefix('}').unwrap_or(rest);
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_as_godotenv_does() {
        let text = "A=1\n# note\nexport B = 'x # y' \nC=\"two\\nlines $A ${A}\\$\"\nD=plain # gone\nE=a#b\nF=\nG: yes\nH=\"multi\nline\"\nI=#hash\nJ=$A-${A}x$ \\$A $none $1y $(x)\nK=\" sp \" # c\n";
        let want = [
            ("A", "1"),
            ("B", "x # y"),
            ("C", "two\nlines 1 1$"),
            ("D", "plain"),
            ("E", "a#b"),
            ("F", ""),
            ("G", "yes"),
            ("H", "multi\nline"),
            ("I", "#hash"),
            ("J", "1-1x$ $A $none y $(x)"),
            ("K", " sp "),
        ];
        let found = quoted(text).unwrap();
        assert_eq!(found.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect::<Vec<_>>(), want);
        assert!(quoted("A='x\n").is_err() && quoted("no entry\n").is_err());
    }

    #[test]
    fn kustomize_takes_values_as_they_stand() {
        assert_eq!(plain("# c\nA='x' # y\n\nB=\n").unwrap(), [("A".into(), "'x' # y".into()), ("B".into(), String::new())]);
        assert!(plain("A\n").is_err());
    }
}
