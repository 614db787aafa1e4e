//! Values as genuine sops prints them in YAML: block style, sequences indented, `- ` followed by a two-column step.

use super::render::{self};
use super::resolve::{Scalar, Type};
use super::value::Value;
use crate::error::{Error, Kind, Result};

/// Documents joined by `---`, with `step` columns a level.
///
/// # Errors
/// `Emit` (4) for a comment that isn't UTF-8, which has no other form.
pub(super) fn documents(documents: &[Value], step: usize) -> Result<String> {
    documents.iter().try_for_each(refuse_bytes)?;
    let mut out = String::new();
    for (at, document) in documents.iter().enumerate() {
        if at > 0 {
            out.push_str("---\n");
        }
        Printer { step: if step == 0 { 4 } else { step }, newline: "\n", base: 0 }.root(document, &mut out);
    }
    Ok(out)
}

/// Genuine sops fails at such a comment, too.
fn refuse_bytes(value: &Value) -> Result<()> {
    match value {
        Value::Map(entries) => entries.iter().try_for_each(|(_, value)| refuse_bytes(value)),
        Value::List(items) => items.iter().try_for_each(refuse_bytes),
        Value::Scalar(Type::Comment, text) if std::str::from_utf8(text).is_err() => {
            let error = Error::new(Kind::Emit, "a comment isn't UTF-8, which YAML output can't hold");
            Err(error.hint("JSON output has no comments; the file's own format keeps its bytes"))
        }
        Value::Scalar(..) => Ok(()),
    }
}

/// One value by itself.
pub(super) fn fragment(value: &Value, step: usize) -> String {
    let mut out = String::new();
    Printer { step: step.max(2), newline: "\n", base: 0 }.root(value, &mut out);
    out
}

/// Prints values in block style.
pub(super) struct Printer<'n> {
    /// Columns a level.
    pub step: usize,
    /// The line break.
    pub newline: &'n str,
    /// Columns before everything.
    pub base: usize,
}

impl Printer<'_> {
    /// `value` at the top of a document, with a line break at its end.
    pub fn root(&self, value: &Value, out: &mut String) {
        match value {
            Value::Map(entries) if !entries.is_empty() => self.map(entries, 0, false, out),
            Value::List(items) if !items.is_empty() => self.list(items, 0, false, out),
            other => {
                self.leaf(other, 0, out);
                out.push_str(self.newline);
            }
        }
    }

    /// yaml.v3 rounds a deeper level up to a multiple of the step.
    fn deeper(&self, column: usize) -> usize {
        self.step * ((column + self.step) / self.step)
    }

    fn indent(&self, column: usize, out: &mut String) {
        out.extend(std::iter::repeat_n(' ', self.base + column));
    }

    /// The entries of a mapping at `column`; the first one goes on the current line if `inline`.
    fn map(&self, entries: &[(String, Value)], column: usize, inline: bool, out: &mut String) {
        for (at, (key, value)) in entries.iter().enumerate() {
            if at > 0 || !inline {
                self.indent(column, out);
            }
            if let Value::Scalar(Type::Comment, text) = value {
                self.comment(&String::from_utf8_lossy(text), column, out);
                continue;
            }
            self.key(key, out);
            self.after_key(value, column, out);
        }
    }

    fn comment(&self, text: &str, column: usize, out: &mut String) {
        for (at, line) in text.split('\n').enumerate() {
            // Only the first line has lost its mark.
            let mark = if at == 0 {
                "#"
            } else if line.starts_with('#') {
                ""
            } else {
                "# "
            };
            if at > 0 {
                self.indent(column, out);
            }
            out.extend([mark, line, self.newline]);
        }
    }

    fn key(&self, key: &str, out: &mut String) {
        let scalar = Scalar { kind: Type::Str, bytes: key.as_bytes().into() };
        render::canonical(&scalar, 0, 2, true, "\n", out);
        out.push(':');
    }

    fn after_key(&self, value: &Value, column: usize, out: &mut String) {
        match value {
            Value::Map(entries) if !entries.is_empty() => {
                out.push_str(self.newline);
                self.map(entries, self.deeper(column), false, out);
            }
            Value::List(items) if !items.is_empty() => {
                out.push_str(self.newline);
                self.list(items, self.deeper(column), false, out);
            }
            other => {
                out.push(' ');
                self.leaf(other, column, out);
                out.push_str(self.newline);
            }
        }
    }

    fn list(&self, items: &[Value], column: usize, inline: bool, out: &mut String) {
        for (at, item) in items.iter().enumerate() {
            if at > 0 || !inline {
                self.indent(column, out);
            }
            if let Value::Scalar(Type::Comment, text) = item {
                self.comment(&String::from_utf8_lossy(text), column, out);
                continue;
            }
            out.push_str("- ");
            match item {
                Value::Map(entries) if !entries.is_empty() => self.map(entries, column + 2, true, out),
                Value::List(items) if !items.is_empty() => self.list(items, column + 2, true, out),
                other => {
                    self.leaf(other, column, out);
                    out.push_str(self.newline);
                }
            }
        }
    }

    fn leaf(&self, value: &Value, column: usize, out: &mut String) {
        match value.as_scalar() {
            Some(scalar) => {
                let step = self.deeper(column) - column;
                render::canonical(&scalar, self.base + column, step, false, self.newline, out);
            }
            None => out.push_str(if matches!(value, Value::Map(_)) { "{}" } else { "[]" }),
        }
    }
}
