//! Secrets in text that no parser reads: templates of Helm and of other engines, files cut off or in conflict. They are
//! read by line, the way people indent them.

use crate::document::Span;

/// A value that stands under `data` or `stringData` of what calls itself a Secret.
pub struct Value {
    /// Its key.
    pub key: String,
    /// As it stands there, quotes taken off.
    pub text: String,
    /// Whether it is base64 of what counts.
    pub encoded: bool,
    /// Its bytes.
    pub span: Span,
}

/// Whether a line says that an object is a Secret.
pub fn speaks_of_a_secret(text: &str) -> bool {
    text.lines().any(is_kind)
}

fn is_kind(line: &str) -> bool {
    let line = line.trim().trim_start_matches("- ").trim_end_matches(',');
    let Some((key, value)) = line.split_once(':') else { return false };
    let value = value.split(" #").next().unwrap_or_default();
    unquoted(key.trim()) == "kind" && unquoted(value.trim()) == "Secret"
}

fn unquoted(text: &str) -> &str {
    text.trim_matches(|c| c == '"' || c == '\'')
}

/// A line with its place.
struct Row<'t> {
    start: usize,
    indent: usize,
    text: &'t str,
}

/// The values of all Secrets.
pub fn values(text: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let mut document: Vec<Row<'_>> = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end();
        if bare == "---" || bare.starts_with("--- ") {
            take(&document, &mut found);
            document.clear();
        } else if !bare.trim().is_empty() && !is_control(bare.trim()) {
            document.push(Row { start, indent: bare.len() - bare.trim_start().len(), text: bare.trim_start() });
        }
        start += line.len();
    }
    take(&document, &mut found);
    found
}

fn take(rows: &[Row<'_>], found: &mut Vec<Value>) {
    if !rows.iter().any(|row| is_kind(row.text)) {
        return;
    }
    let mut at = 0;
    while let Some(row) = rows.get(at) {
        at += 1;
        let Some(encoded) = section(row.text) else { continue };
        while let Some(row_inside) = rows.get(at).filter(|inside| inside.indent > row.indent) {
            at += 1;
            let Some((key, value)) = row_inside.text.split_once(':').filter(|(key, _)| is_key(key)) else { continue };
            let body: Vec<&Row<'_>> = rows[at..].iter().take_while(|below| below.indent > row_inside.indent).collect();
            at += body.len();
            let (offset, written) = written(row_inside, value, &body);
            let span = Span::new(offset, offset + written.len().max(1));
            found.push(Value { key: unquoted(key.trim()).to_owned(), text: written, encoded, span });
        }
    }
}

/// Whether a line is nothing but an action of the template's: it is indented as its author likes.
fn is_control(line: &str) -> bool {
    let within = |open: &str, close: &str| {
        let inner = line.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
        inner.is_some_and(|inner| !inner.contains(close))
    };
    within("{{", "}}") || within("{%", "%}")
}

/// Whether a line opens `data` (true) or `stringData` (false).
fn section(line: &str) -> Option<bool> {
    let (key, rest) = line.split_once(':')?;
    let rest = rest.trim();
    let opens = rest.is_empty() || rest == "{" || rest.starts_with(['#', '&', '!']);
    match unquoted(key) {
        "data" if opens => Some(true),
        "stringData" if opens => Some(false),
        _ => None,
    }
}

fn is_key(key: &str) -> bool {
    let key = unquoted(key.trim());
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}

/// The value with its place: what follows the colon, or the lines of a block.
fn written(row: &Row<'_>, value: &str, body: &[&Row<'_>]) -> (usize, String) {
    let bare = value.trim();
    if bare.starts_with(['|', '>']) || bare.is_empty() {
        let text: Vec<&str> = body.iter().map(|row| row.text).collect();
        return (body.first().map_or(row.start + row.indent, |first| first.start + first.indent), text.join("\n"));
    }
    let place = row.start + row.indent + row.text.len() - value.trim_start().len();
    let bare = bare.split(" #").next().unwrap_or_default().trim_end_matches(',');
    (place, unquoted(bare).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_templates_are_found_by_line() {
        let text = "{{ if .x }}\nkind: Secret\ndata:\n  a: {{ .Values.a | b64enc }}\n  b: aHVudGVyMg== # x\nstringData:\n  \"c\": |\n    l1: x\n    l2\n  d: 'y'\n---\nkind: ConfigMap\ndata:\n  z: q\n{{ end }}\n";
        let seen: Vec<_> = values(text).into_iter().map(|value| (value.key, value.text, value.encoded)).collect();
        let expect = |key: &str, text: &str, encoded| (key.to_owned(), text.to_owned(), encoded);
        assert_eq!(
            seen,
            [
                expect("a", "{{ .Values.a | b64enc }}", true),
                expect("b", "aHVudGVyMg==", true),
                expect("c", "l1: x\nl2", false),
                expect("d", "y", false)
            ]
        );
        let seen = |text: &str| values(text).into_iter().map(|value| value.key).collect::<Vec<_>>();
        assert_eq!(
            seen("kind: Secret\nstringData: # all\n{{- if .x }}\n  a: b\n{{- end }}\n  {{- with .y }}\n  c: d\n  {{- end }}\n"),
            ["a", "c"]
        );
        assert!(seen("kind: Secret\nstringData:\n  {{ .key }}: {{ .value }}\ntype: Opaque\n").is_empty());
        assert!(speaks_of_a_secret("  - kind: \"Secret\" # x\n") && !speaks_of_a_secret("kind: SecretStore\n"));
    }
}
