//! How objects are written for kustomize: in the order and style in which it writes them itself. Its validators are given
//! the result, and must give it back unchanged; kustomize compares styles, too.

use std::cmp::Ordering;

use zeroize::Zeroizing;

use crate::document::value::{self, Layout, Value};
use crate::document::{Format, yaml};
use crate::sorting;

/// An object whose first line stands at `column`, ended like a value: without the last line break.
pub fn object(object: &Value, column: usize) -> Zeroizing<String> {
    let mut sorted = object.clone();
    sort(&mut sorted);
    in_block_style(&sorted, column).unwrap_or_else(|| on_one_line(object))
}

/// None for what readers might take for something else.
fn in_block_style(value: &Value, column: usize) -> Option<Zeroizing<String>> {
    if value.entries().is_empty() || is_delicate(value) {
        return None;
    }
    let text = Zeroizing::new(yaml::Yaml.print(std::slice::from_ref(value), Some(2)).ok()?);
    let document = yaml::Yaml.parse_plain(&text).ok()?;
    let [only] = document.parts.as_slice() else { return None };
    if !value.is_at(&document, only.root).ok()? {
        return None;
    }
    let indent = " ".repeat(column);
    let mut shifted = Zeroizing::new(String::with_capacity(text.len() * 2));
    for (at, line) in text.trim_end_matches('\n').split('\n').enumerate() {
        if at > 0 {
            shifted.push('\n');
            shifted.push_str(if line.is_empty() { "" } else { &indent });
        }
        shifted.push_str(line);
    }
    // A block that keeps its line breaks needs them where it ends the object.
    text.ends_with("\n\n").then_some(()).map_or(Some(shifted), |()| None)
}

/// Texts of several lines that begin with a blank, hold tabs at the start of lines or lone carriage returns: libraries
/// differ in the blocks that they write and read for them.
fn is_delicate(value: &Value) -> bool {
    match value {
        Value::Map(entries) => entries.iter().any(|(_, value)| is_delicate(value)),
        Value::List(items) => items.iter().any(is_delicate),
        Value::Scalar(_, bytes) => {
            bytes.contains(&b'\n')
                && (bytes.starts_with(b" ") || bytes.starts_with(b"\n") || bytes.iter().any(|byte| matches!(byte, b'\t' | b'\r')))
        }
    }
}

/// The order of keys in what kustomize writes (go-yaml's): letters after other characters, numbers by their value.
fn sort(value: &mut Value) {
    match value {
        Value::Map(entries) => {
            sorting::by(entries, |(a, _), (b, _)| order(a, b));
            entries.iter_mut().for_each(|(_, value)| sort(value));
        }
        Value::List(items) => items.iter_mut().for_each(sort),
        Value::Scalar(..) => {}
    }
}

fn order(a: &str, b: &str) -> Ordering {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let Some(at) = a.iter().zip(&b).position(|(a, b)| a != b) else { return a.len().cmp(&b.len()) };
    let (x, y) = (a[at], b[at]);
    match (x.is_alphabetic(), y.is_alphabetic()) {
        (true, true) => return x.cmp(&y),
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    // Digits that follow others are part of their number, whose leading zeros count for nothing.
    let before = a[..at].iter().rev().take_while(|c| c.is_ascii_digit());
    let inside = u128::from((x == '0' || y == '0') && before.clone().any(|c| *c != '0'));
    let number = |text: &[char]| {
        let digits = text[at..].iter().map_while(|c| c.to_digit(10));
        let value = digits.clone().take(30).fold(inside, |number, digit| number * 10 + u128::from(digit));
        (value, digits.count())
    };
    number(&a).cmp(&number(&b)).then(x.cmp(&y))
}

/// JSON on one line that every YAML reader takes for what it says.
pub fn on_one_line(value: &Value) -> Zeroizing<String> {
    let mut json = Zeroizing::new(String::with_capacity(1 << 10));
    value::json(value, Layout::OneLine, &mut json);
    // YAML allows fewer characters unescaped than JSON, all of them within strings, and takes NEL for a line break.
    let hidden = |c: char| matches!(c, '\u{7f}'..='\u{9f}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}');
    if !json.contains(hidden) {
        return json;
    }
    let mut out = Zeroizing::new(String::with_capacity(json.len() * 2));
    for c in json.chars() {
        if hidden(c) { out.push_str(&format!("\\u{:04x}", u32::from(c))) } else { out.push(c) }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(entries: &[(&str, &str)]) -> Value {
        Value::Map(entries.iter().map(|(key, value)| ((*key).to_owned(), Value::string(*value))).collect())
    }

    #[test]
    fn objects_are_written_in_kustomizes_order_and_style() {
        let value = map(&[("b", "a: b"), ("A10", "yes"), ("A2", "x\n\n y\n"), ("_", ""), ("a", "last")]);
        assert_eq!(object(&value, 2).as_str(), "_: \"\"\n  A2: |\n    x\n\n     y\n  A10: \"yes\"\n  a: last\n  b: 'a: b'");
    }

    #[test]
    fn delicate_texts_are_written_as_json() {
        for text in ["\tx\ny", " x\ny", "\nx", "x\n\ty", "x\r\ny"] {
            assert!(object(&map(&[("a", text)]), 0).starts_with("{\"a\": \""), "{text:?}");
        }
        assert!(object(&map(&[("a", "x\n\n")]), 0).starts_with('{'));
        assert_eq!(on_one_line(&map(&[("a", "no\u{85}\u{feff}")])).as_str(), "{\"a\": \"no\\u0085\\ufeff\"}");
    }

    #[test]
    fn keys_are_in_go_yamls_order() {
        let mut keys = vec!["b", "a", "B", "a1", "a10", "a2", "a02", "1", "_", "a.b", "ab", "tls.key", "tls.crt"];
        keys.sort_by(|a, b| order(a, b));
        assert_eq!(keys, ["_", "1", "B", "a", "a.b", "a1", "a2", "a02", "a10", "ab", "b", "tls.crt", "tls.key"]);
    }
}
