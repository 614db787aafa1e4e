//! For a terminal: call-outs first, then file by file and object by object.

use similar::{ChangeTag, DiffableStr, group_diff_ops};

use super::{bulk, count, happened, public, shapes, single, values, why};
use crate::error::printable;
use crate::git::alignment;
use crate::git::diff::calls::Call;
use crate::git::diff::{Change, Differences, FileChange, ObjectChange, Presence, Seen, What};

const RESET: &str = "\x1b[0m";
const BOLD: &str = "\x1b[1m";
const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const DIM: &str = "\x1b[2m";

/// Key paths that are named where many values changed alike.
const NAMED: usize = 5;

/// Files that are named under a call-out.
const FILES: usize = 5;

/// Lines of a value around those that changed.
const AROUND: usize = 2;

/// Writes the differences; nothing if there are none.
pub fn write(differences: &Differences, colour: bool) -> String {
    let mut page = Page { colour, text: String::new() };
    differences.calls.iter().for_each(|call| page.call(call));
    if differences.files.is_empty() {
        return page.text;
    }
    if !differences.calls.is_empty() {
        page.text.push('\n');
    }
    for file in &differences.files {
        page.file(file);
        page.text.push('\n');
    }
    let (files, values) = (differences.files.len(), values(&differences.files));
    let sides = format!("{} → {}", differences.old, differences.new);
    page.line(0, DIM, &format!("{sides}: {}, {}", count(files, "file", "files"), count(values, "value", "values")));
    page.text
}

struct Page {
    colour: bool,
    text: String,
}

impl Page {
    /// A line, its text escaped.
    fn line(&mut self, indent: usize, colour: &str, text: &str) {
        let (start, end) = if self.colour && !colour.is_empty() { (colour, RESET) } else { ("", "") };
        self.text.push_str(&format!("{}{start}{}{end}\n", " ".repeat(indent), printable(text)));
    }

    fn call(&mut self, call: &Call) {
        self.line(0, RED, &format!("! {}", call.text));
        let more = call.files.len().saturating_sub(FILES);
        let named: Vec<&str> = call.files.iter().take(FILES).map(String::as_str).collect();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        self.line(4, DIM, &format!("{}{more}", named.join(", ")));
    }

    fn file(&mut self, file: &FileChange) {
        let name = match (&file.old_path, file.presence) {
            (Some(old), Presence::Both) => format!("{old} → {}", file.path),
            (_, Presence::Added) => format!("{} (new file)", file.path),
            (_, Presence::Removed) => format!("{} (removed)", file.path),
            _ => file.path.clone(),
        };
        self.line(0, BOLD, &name);
        if let Some(why) = why(&file.view) {
            self.line(2, DIM, &format!("({why})"));
        }
        for change in &file.block {
            self.line(2, YELLOW, &change.text());
        }
        file.objects.iter().for_each(|object| self.object(object));
        if file.is_layout_only() {
            self.line(2, DIM, "layout only: no value, recipient or rule differs");
        }
    }

    fn object(&mut self, object: &ObjectChange) {
        let (mark, colour) = match object.presence {
            Presence::Added => ("+", GREEN),
            Presence::Removed => ("-", RED),
            Presence::Both => ("~", ""),
        };
        let renamed = object.renamed_from.as_ref().map(|was| format!(", was {}", was.title())).unwrap_or_default();
        let moved = object.moved_from.as_ref().map(|from| format!(", moved from {from}")).unwrap_or_default();
        self.line(2, colour, &format!("{mark} {}{renamed}{moved}", object.title()));
        single(&object.changes).for_each(|change| self.change(change));
        for (what, paths) in bulk(&object.changes) {
            let more = paths.len().saturating_sub(NAMED);
            let named: Vec<&str> = paths.iter().take(NAMED).copied().collect();
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let values = count(paths.len(), "value", "values");
            self.line(6, DIM, &format!("= {values} {}: {}{more}", what.text(), named.join(", ")));
        }
    }

    fn change(&mut self, change: &Change) {
        let (mark, colour) = match change.what {
            What::Added => ("+", GREEN),
            What::Removed => ("-", RED),
            What::Bared => ("!", RED),
            What::Moved => (">", YELLOW),
            _ => ("~", YELLOW),
        };
        let shape = public(change).filter(|_| is_public(change)).unwrap_or_else(|| shapes(change));
        self.line(6, colour, &format!("{mark} {}  {}  ({shape})", change.path, happened(change)));
        change.inner.iter().for_each(|line| self.line(10, "", line));
        if !change.equals.is_empty() {
            self.line(10, YELLOW, &format!("the same value as {}", change.equals.join(", ")));
        }
        if !is_public(change) {
            self.revealed(change.old.as_ref(), change.new.as_ref());
        }
    }

    /// The values themselves, where they were asked for: line by line.
    fn revealed(&mut self, old: Option<&Seen>, new: Option<&Seen>) {
        let text = |seen: Option<&Seen>| seen.and_then(|seen| seen.value.as_ref()).map(|value| readable(value));
        let (old, new) = (text(old), text(new));
        if old.is_none() && new.is_none() {
            return;
        }
        let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
        if old == new {
            new.lines().for_each(|line| self.line(10, "", &format!("= {line}")));
        }
        let (old, new) = (old.as_str().tokenize_lines(), new.as_str().tokenize_lines());
        for (at, group) in group_diff_ops(alignment::steps(&old, &new), AROUND).iter().enumerate() {
            if at > 0 {
                self.line(10, DIM, "…");
            }
            for line in group.iter().flat_map(|op| op.iter_changes(&old, &new)) {
                let (mark, colour) = match line.tag() {
                    ChangeTag::Delete => ("-", RED),
                    ChangeTag::Insert => ("+", GREEN),
                    ChangeTag::Equal => (" ", ""),
                };
                self.line(10, colour, &format!("{mark} {}", line.value().trim_end_matches(['\n', '\r'])));
            }
        }
    }
}

/// Whether the line shows the values of the change itself, since they say who an object is.
fn is_public(change: &Change) -> bool {
    let clear = |seen: &Option<Seen>| seen.as_ref().is_none_or(|seen| !seen.encrypted && seen.value.is_some());
    let identity = ["apiVersion", "kind", "type", "metadata.name", "metadata.namespace"].contains(&change.path.as_str());
    identity && clear(&change.old) && clear(&change.new)
}

/// Text as it is, other bytes by their number alone.
fn readable(value: &[u8]) -> zeroize::Zeroizing<String> {
    zeroize::Zeroizing::new(match std::str::from_utf8(value) {
        Ok(text) => text.to_owned(),
        Err(_) => format!("({} bytes that are no text)", value.len()),
    })
}
