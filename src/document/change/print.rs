//! New values as block YAML, in the habits of the file.

use super::super::render::{self, Style};
use super::super::resolve::{self, Scalar, Type};
use super::super::value::Value;
use super::detail::Habits;
use super::place::fits_block;

/// Prints values below a key or behind a dash.
pub(super) struct Printer<'n> {
    /// Indentation.
    pub habits: Habits,
    /// Quotes of strings.
    pub quotes: Style,
    /// Quotes of keys.
    pub key_quotes: Style,
    /// The line break.
    pub newline: &'n str,
    /// The text goes to the end of a file without a line break there: no block scalars.
    pub open_end: bool,
}

impl Printer<'_> {
    /// `key:` and its value, for a mapping at `column`.
    pub fn entry(&self, key: &str, value: &Value, column: usize, out: &mut String) {
        self.key(key, out);
        self.after_key(value, column, out);
    }

    /// A value after the colon of a key at `column`: on the same line or on those below.
    pub fn after_key(&self, value: &Value, column: usize, out: &mut String) {
        match value {
            Value::Map(entries) if !entries.is_empty() => {
                self.line(column + self.habits.step, out);
                self.map(entries, column + self.habits.step, out);
            }
            Value::List(items) if !items.is_empty() => {
                self.line(column + self.habits.dash, out);
                self.list(items, column + self.habits.dash, out);
            }
            leaf => {
                out.push(' ');
                self.leaf(leaf, column, out);
            }
        }
    }

    /// An item with its dash, for a list at `column`.
    pub fn item(&self, value: &Value, column: usize, out: &mut String) {
        out.push('-');
        out.extend(std::iter::repeat_n(' ', self.habits.item - 1));
        self.inline(value, column, column + self.habits.item, out);
    }

    /// A value that starts on the current line at `column`, inside a collection at `parent`.
    pub fn inline(&self, value: &Value, parent: usize, column: usize, out: &mut String) {
        match value {
            Value::Map(entries) if !entries.is_empty() => self.map(entries, column, out),
            Value::List(items) if !items.is_empty() => self.list(items, column, out),
            leaf => self.leaf(leaf, parent, out),
        }
    }

    fn map(&self, entries: &[(String, Value)], column: usize, out: &mut String) {
        for (at, (key, value)) in entries.iter().enumerate() {
            if at > 0 {
                self.line(column, out);
            }
            self.entry(key, value, column, out);
        }
    }

    fn list(&self, items: &[Value], column: usize, out: &mut String) {
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                self.line(column, out);
            }
            self.item(item, column, out);
        }
    }

    fn line(&self, column: usize, out: &mut String) {
        out.push_str(self.newline);
        out.extend(std::iter::repeat_n(' ', column));
    }

    fn key(&self, key: &str, out: &mut String) {
        render::quoted(self.key_quotes, &Scalar::text(key), false, out);
        out.push(':');
    }

    /// A scalar or an empty collection inside a collection at `column`.
    fn leaf(&self, value: &Value, column: usize, out: &mut String) {
        let Some(scalar) = value.as_scalar() else {
            return out.push_str(if matches!(value, Value::Map(_)) { "{}" } else { "[]" });
        };
        if fits_block(&scalar) && !self.open_end {
            render::canonical(&scalar, column, self.habits.step, false, self.newline, out);
        } else {
            yaml_scalar(self.quotes, &scalar, false, out);
        }
    }
}

/// A YAML scalar on one line.
pub(super) fn yaml_scalar(style: Style, scalar: &Scalar<'_>, flow: bool, out: &mut String) {
    match scalar.kind {
        Type::Float => out.push_str(&as_float(&resolve::yaml_text(scalar))),
        _ => render::quoted(style, scalar, flow, out),
    }
}

/// The text of a float with something that keeps it one: sops prints `5.0` as `5`, an integer.
pub(super) fn as_float(text: &str) -> String {
    let integer = text.parse::<i64>().is_ok();
    if integer { format!("{text}.0") } else { text.to_owned() }
}
