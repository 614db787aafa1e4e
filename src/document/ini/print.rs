//! INI as SOPS prints it: `=` in one column a section, a comment above its key, an empty line between sections.

use super::super::flat;
use super::super::value::Value;
use super::{DEFAULT, Error, ErrorKind, Result};

/// A key, its value, and its comment.
type Line<'k> = (&'k str, &'k str, Option<&'k str>);

/// Sections as a file.
///
/// # Errors
/// `Emit` (4) for a value outside a section, and for a map or a list inside one.
pub(super) fn print(sections: &[(String, Value)]) -> Result<String> {
    let mut out = String::new();
    let mut sections = sections.iter().filter(|(_, value)| !value.is_comment()).enumerate().peekable();
    while let Some((at, (name, section))) = sections.next() {
        let Value::Map(entries) = section else { return Err(outside(name)) };
        let header = at > 0 || !name.eq_ignore_ascii_case(DEFAULT);
        let (comment, entries) = match entries.split_first() {
            Some(((_, first), rest)) if first.is_comment() => (text_of(first), rest),
            _ => (String::new(), &entries[..]),
        };
        self::comment(&comment, false, &mut out);
        if header {
            out.extend(["[", name, "]\n"]);
        } else if entries.is_empty() {
            continue;
        }
        let lines = lines(name, entries)?;
        keys(&mut lines.iter().map(|(key, text, comment)| (*key, text.as_str(), comment.as_deref())), "\n", &mut out);
        if sections.peek().is_some() {
            out.push('\n');
        }
    }
    Ok(out)
}

/// Of keys that stand there twice the last one counts, in the place of the first; of comments the last behind a key.
fn lines<'k>(section: &str, entries: &'k [(String, Value)]) -> Result<Vec<(&'k str, String, Option<String>)>> {
    let mut lines: Vec<(&str, String, Option<String>)> = Vec::new();
    let mut last = None;
    for (key, value) in entries {
        if value.is_comment() {
            if let Some(line) = last.and_then(|at: usize| lines.get_mut(at)) {
                line.2 = Some(text_of(value));
            }
            continue;
        }
        let Some(scalar) = value.as_scalar() else { return Err(nested(section, key)) };
        let text = flat::printed(&scalar);
        let at = lines.iter().position(|(known, ..)| known == key).unwrap_or(lines.len());
        match lines.get_mut(at) {
            Some(line) => line.1 = text,
            None => lines.push((key, text, None)),
        }
        last = Some(at);
    }
    Ok(lines)
}

/// The keys of one section.
pub(super) fn keys<'k>(lines: &mut dyn Iterator<Item = Line<'k>>, newline: &str, out: &mut String) {
    let lines: Vec<(String, Line<'k>)> = lines.map(|line| (key_name(line.0), line)).collect();
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, (_, text, comment)) in lines {
        self::comment(comment.unwrap_or_default(), true, out);
        out.push_str(&name);
        out.extend(std::iter::repeat_n(' ', width - name.len()));
        out.extend([" = ", &value(text), newline]);
    }
}

fn key_name(key: &str) -> String {
    match key {
        _ if key.contains(['"', '=', ':']) => format!("`{key}`"),
        _ if key.contains('`') => format!("\"\"\"{key}\"\"\""),
        _ => key.to_owned(),
    }
}

/// A value in the quotes it needs.
pub(super) fn value(text: &str) -> String {
    match text {
        _ if text.contains(['\n', '`']) => format!("\"\"\"{text}\"\"\""),
        _ if text.contains(['#', ';']) => format!("`{text}`"),
        _ if text.trim().len() != text.len() => format!("\"{text}\""),
        _ => text.to_owned(),
    }
}

fn comment(text: &str, of_key: bool, out: &mut String) {
    for line in text.split('\n').filter(|_| !text.is_empty()) {
        match line.chars().next() {
            Some(mark @ (';' | '#')) => {
                out.push(mark);
                out.extend([" ", line[1..].trim()]);
            }
            _ => out.extend(["; ", if of_key { line.trim() } else { line }]),
        }
        out.push('\n');
    }
}

fn text_of(comment: &Value) -> String {
    comment.as_scalar().map_or_else(String::new, |scalar| flat::printed(&scalar))
}

fn outside(key: &str) -> Error {
    let error = Error::new(ErrorKind::Emit, "INI has no place for a value outside a section, expected sections of keys at the top level");
    error.for_key(key).hint("choose YAML, JSON or dotenv output")
}

fn nested(section: &str, key: &str) -> Error {
    let error = Error::new(ErrorKind::Emit, "a map or a list has no form in an INI section, expected plain values");
    error.for_key(format!("{section}.{key}")).hint("choose YAML or JSON output")
}
