//! Secrets in text that no parser reads: templates of Helm and of other engines, files cut off or in conflict. They are
//! read by line, the way people indent them.

use std::sync::LazyLock;

use regex::Regex;

use crate::document::Span;

/// The opening brace of `data` or `stringData` in braces; two braces are an action of the template's.
static FLOW: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(?:^|[[:space:]{,])["']?(stringData|data)["']?[[:space:]]*:[[:space:]]*\{(?:[^{]|$)"#).ok());
/// What says within braces that an object is a Secret.
static FLOW_KIND: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"[{,][[:space:]]*["']?kind["']?[[:space:]]*:[[:space:]]*["']?Secret["']?[[:space:]]*[,}]"#).ok());

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
            take(text, &document, &mut found);
            document.clear();
        } else if !bare.trim().is_empty() && !is_control(bare.trim()) {
            document.push(Row { start, indent: bare.len() - bare.trim_start().len(), text: bare.trim_start() });
        }
        start += line.len();
    }
    take(text, &document, &mut found);
    found
}

fn take(text: &str, rows: &[Row<'_>], found: &mut Vec<Value>) {
    if !rows.iter().any(|row| is_kind(row.text) || is_flow_secret(row.text)) {
        return;
    }
    let mut at = 0;
    while let Some(row) = rows.get(at) {
        at += 1;
        let Some(encoded) = section(row.text) else {
            for (inside, encoded) in flow_sections(row.text) {
                flow(text, row.start + row.indent + inside, encoded, found);
            }
            continue;
        };
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

fn is_flow_secret(line: &str) -> bool {
    FLOW_KIND.as_ref().is_some_and(|pattern| pattern.is_match(line)) && !flow_sections(line).is_empty()
}

/// Where in a line `data` (true) or `stringData` (false) opens in braces: behind the brace.
fn flow_sections(line: &str) -> Vec<(usize, bool)> {
    let Some(pattern) = FLOW.as_ref().filter(|_| line.contains('{')) else { return Vec::new() };
    let place = |found: regex::Captures<'_>| {
        let name = found.get(1)?;
        let brace = line.get(name.end()..)?.find('{')?;
        Some((name.end() + brace + 1, name.as_str() == "data"))
    };
    pattern.captures_iter(line).filter_map(place).collect()
}

/// The entries of a map in braces that begin at `start`, over lines, until its end.
fn flow(text: &str, start: usize, encoded: bool, found: &mut Vec<Value>) {
    let mut at = start;
    while let Some((key, b':', after)) = piece(text, at, b":,}") {
        let Some((value, end, next)) = piece(text, after, b",}") else { return };
        let key = unquoted(text.get(key.range()).unwrap_or_default());
        let written = unquoted(text.get(value.range()).unwrap_or_default());
        if is_key(key) {
            found.push(Value { key: key.to_owned(), text: written.to_owned(), encoded, span: value });
        }
        if end == b'}' {
            return;
        }
        at = next;
    }
}

/// What stands from `start` until one of `stops` that is neither quoted nor in braces of its own: its bytes without blanks
/// around, the stop, and what is behind it.
fn piece(text: &str, start: usize, stops: &[u8]) -> Option<(Span, u8, usize)> {
    let bytes = text.as_bytes();
    let (mut at, mut depth, mut quote) = (start, 0_usize, None);
    while let Some(&byte) = bytes.get(at) {
        match (quote, byte) {
            (Some(b'"'), b'\\') => at += 1,
            (Some(open), _) if open == byte => quote = None,
            (Some(_), _) => {}
            // Within a plain scalar a quote is a letter.
            (None, b'"' | b'\'') if depth > 0 || text.get(start..at)?.trim().is_empty() => quote = Some(byte),
            (None, _) if depth == 0 && stops.contains(&byte) => {
                let whole = text.get(start..at)?;
                let from = start + (whole.len() - whole.trim_start().len());
                return Some((Span::new(from, from + whole.trim().len()), byte, at + 1));
            }
            (None, b'{' | b'[') => depth += 1,
            (None, b'}' | b']') => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    None
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

    #[test]
    fn maps_in_braces_are_read_over_lines() {
        let text = "{{ if .x }}\nkind: Secret\nstringData: {a: one, 'b': \"t,w}o\", c: {{ .Values.c }},\n  d: it's}\ndata: {{ toYaml .Values.data }}\n---\n- {kind: Secret, data: {e: aHVudGVyMg==}}\n---\nkind: ConfigMap\ndata: {z: q}\n---\n{secret: {kind: Secret, name: x}}\n";
        let seen: Vec<_> = values(text).into_iter().map(|value| (value.key, value.text, value.encoded)).collect();
        let expect = |key: &str, text: &str, encoded| (key.to_owned(), text.to_owned(), encoded);
        let expected = [
            expect("a", "one", false),
            expect("b", "t,w}o", false),
            expect("c", "{{ .Values.c }}", false),
            expect("d", "it's", false),
            expect("e", "aHVudGVyMg==", true),
        ];
        assert_eq!(seen, expected);
        assert!(values("kind: Secret\ndata: {a: b, c").len() == 1);
    }
}
