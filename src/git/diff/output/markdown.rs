//! For the comment on a pull request: a table first, details to unfold, never a value. The marker in its first line lets a
//! bot find its own comment again.

use super::{bulk, count, happened, public, shapes, single, values, why};
use crate::error::printable;
use crate::git::diff::{Change, Differences, FileChange, ObjectChange, Presence, What};

/// The first line.
pub const MARKER: &str = "<!-- kveil-diff -->";

/// What services take for a comment is 65,536 characters.
const MOST: usize = 60_000;

/// Room for the line that says what was left out.
const REST: usize = 300;

/// Writes the differences.
pub fn write(differences: &Differences, _colour: bool) -> String {
    let mut text = format!("{MARKER}\n### Encrypted files\n\n");
    if differences.files.is_empty() && differences.calls.is_empty() {
        text.push_str("No encrypted value differs.\n");
        return text;
    }
    let (files, values) = (differences.files.len(), values(&differences.files));
    let sides = format!("{} → {}", code(&differences.old), code(&differences.new));
    text.push_str(&format!("{sides}: {}, {}\n\n", count(files, "file", "files"), count(values, "value", "values")));
    let mut rest = add(
        &mut text,
        differences.calls.iter().map(|call| {
            let files: Vec<String> = call.files.iter().take(5).map(|file| code(file)).collect();
            let more = call.files.len().saturating_sub(5);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("- ⚠️ {} ({}{more})\n", code(&call.text), files.join(", "))
        }),
    );
    if !differences.calls.is_empty() {
        text.push('\n');
    }
    if !differences.files.is_empty() {
        text.push_str("| file | added | changed | removed | other |\n|---|---|---|---|---|\n");
    }
    rest += add(&mut text, differences.files.iter().map(row));
    text.push('\n');
    rest += add(&mut text, differences.files.iter().map(details));
    if rest > 0 {
        text.push_str(&format!("\n{} left out: a comment has its bounds. `kveil diff` shows all.\n", count(rest, "part is", "parts are")));
    }
    text
}

/// Adds pieces as long as there is room, and counts those that are left out.
fn add(text: &mut String, pieces: impl Iterator<Item = String>) -> usize {
    let mut left = 0;
    for piece in pieces {
        if left == 0 && text.len() + piece.len() + REST < MOST {
            text.push_str(&piece);
        } else {
            left += 1;
        }
    }
    left
}

/// A code span, in which nothing is markup, a mention or a link. What could end it, or a table's cell, is escaped as control
/// characters are.
fn code(text: &str) -> String {
    let escaped = escaped(text);
    if escaped.is_empty() { "(none)".to_owned() } else { format!("`{escaped}`") }
}

/// The same where a line is HTML.
fn html(text: &str) -> String {
    format!("<code>{}</code>", escaped(text).replace('&', "&amp;"))
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in printable(text).chars() {
        if matches!(c, '`' | '|' | '@' | '<' | '>') { out.extend(c.escape_unicode()) } else { out.push(c) }
    }
    out
}

fn row(file: &FileChange) -> String {
    let count = |wanted: &[What]| {
        let number = file.objects.iter().flat_map(|object| &object.changes).filter(|change| wanted.contains(&change.what)).count();
        if number == 0 { String::new() } else { number.to_string() }
    };
    let mut other: Vec<String> = Vec::new();
    let bulk = count(&[What::Reencrypted, What::Replaced]);
    other.extend((!bulk.is_empty()).then(|| format!("{bulk} re-encrypted")));
    other.extend(file.block.iter().map(|change| change.id().replace('-', " ")));
    other.extend(file.is_layout_only().then(|| "layout only".to_owned()));
    other.extend(why(&file.view).map(|_| "keyless view".to_owned()));
    let changed = count(&[What::Changed, What::Retyped, What::Moved, What::Ciphertext, What::Bared, What::Encrypted]);
    format!("| {} | {} | {changed} | {} | {} |\n", title(file, code), count(&[What::Added]), count(&[What::Removed]), other.join(", "))
}

fn title(file: &FileChange, code: fn(&str) -> String) -> String {
    match (&file.old_path, file.presence) {
        (Some(old), Presence::Both) => format!("{} → {}", code(old), code(&file.path)),
        (_, Presence::Added) => format!("{} (new)", code(&file.path)),
        (_, Presence::Removed) => format!("{} (removed)", code(&file.path)),
        _ => code(&file.path),
    }
}

fn details(file: &FileChange) -> String {
    if file.is_layout_only() {
        return String::new();
    }
    let mut text = format!("<details><summary>{}</summary>\n\n", title(file, html));
    if let Some(why) = why(&file.view) {
        text.push_str(&format!("_{why}_\n\n"));
    }
    for change in &file.block {
        text.push_str(&format!("- {}\n", code(&change.text())));
    }
    for object in &file.objects {
        text.push_str(&object_lines(object));
    }
    text.push_str("\n</details>\n");
    text
}

fn object_lines(object: &ObjectChange) -> String {
    let presence = match object.presence {
        Presence::Added => " (new)",
        Presence::Removed => " (removed)",
        Presence::Both => "",
    };
    let moved = object.moved_from.as_ref().map(|from| format!(", moved from {}", code(from))).unwrap_or_default();
    let renamed = object.renamed_from.as_ref().map(|was| format!(", was {}", code(&was.title()))).unwrap_or_default();
    let mut text = format!("- {}{presence}{renamed}{moved}\n", code(&object.title()));
    for change in single(&object.changes) {
        text.push_str(&change_lines(change));
    }
    for (what, paths) in bulk(&object.changes) {
        text.push_str(&format!("  - {} {}\n", count(paths.len(), "value", "values"), what.text()));
    }
    text
}

fn change_lines(change: &Change) -> String {
    let shape = public(change).map_or_else(|| shapes(change), |value| code(&value));
    let happened = match change.from {
        Some(_) => code(&happened(change)),
        None => happened(change),
    };
    let mut text = format!("  - {} {happened} ({shape})\n", code(&change.path));
    change.inner.iter().for_each(|line| text.push_str(&format!("    - {}\n", code(line))));
    if !change.equals.is_empty() {
        let places: Vec<String> = change.equals.iter().map(|place| code(place)).collect();
        text.push_str(&format!("    - the same value as {}\n", places.join(", ")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_name_is_markup() {
        assert_eq!(code("secrets/db.yaml"), "`secrets/db.yaml`");
        assert_eq!(code(""), "(none)");
        let shown = code("a|b`c@d<img>\u{202e}\n");
        assert_eq!(shown, r"`a\u{7c}b\u{60}c\u{40}d\u{3c}img\u{3e}\u{202e}\u{a}`");
        assert_eq!(html("a&<b>"), r"<code>a&amp;\u{3c}b\u{3e}</code>");
    }

    #[test]
    fn what_has_no_room_is_counted() {
        let mut text = String::new();
        let left = add(&mut text, (0..1000).map(|_| "x".repeat(1000)));
        assert!(text.len() < MOST && left == 1000 - text.len() / 1000);
    }
}
