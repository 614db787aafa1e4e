//! JSON (RFC 8259) on the same index as YAML: an object is a mapping in flow style, a string a double-quoted scalar.

use super::change::{self, Place};
use super::edit::Edits;
use super::render::Style;
use super::resolve::{self, ResolveError, Scalar, Type};
use super::value::{self, Layout, Value};
use super::{Document, Event, Format, Kind, NONE, NodeId, Span, conflict};
use crate::error::{Error, Kind as ErrorKind, Result};

#[path = "json_scan.rs"]
mod json_scan;
#[path = "json_second.rs"]
mod json_second;

/// The JSON format.
pub struct Json;

impl Format for Json {
    fn name(&self) -> &'static str {
        "json"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["json"]
    }

    fn parse<'s>(&self, source: &'s str) -> Result<Document<'s>> {
        conflict::named(json_scan::parse(source), source)
    }

    /// Genuine sops keeps keys that stand twice in an object, each with its value.
    fn parse_encrypted<'s>(&self, source: &'s str) -> Result<Document<'s>> {
        conflict::named(json_scan::parse_with_twins(source), source)
    }

    fn parse_opened<'s>(&self, source: &'s str) -> Result<Document<'s>> {
        json_scan::parse_with_twins(source)
    }

    fn repeated(&self, document: &Document<'_>) -> Option<NodeId> {
        json_scan::twin_of(document)
    }

    fn resolve<'d>(&self, document: &'d Document<'_>, id: NodeId) -> std::result::Result<Scalar<'d>, ResolveError> {
        let text = document.text(id);
        if document.node(id).style == Style::Double {
            return Ok(Scalar::text(text));
        }
        match text {
            "null" => Ok(Scalar::null()),
            "true" => Ok(Scalar { kind: Type::Bool, bytes: b"True".into() }),
            "false" => Ok(Scalar { kind: Type::Bool, bytes: b"False".into() }),
            number => resolve::resolve_json_number(number),
        }
    }

    fn add_block(&self, document: &Document<'_>, metadata: &Value, indent: Option<usize>, edits: &mut Edits) {
        let (Some(root), Some(block)) = (root_of(document), metadata.get(BLOCK)) else { return };
        let last = document.children(root).last();
        let at = last.map_or(document.node(root).span.start + 1, |last| document.node(last).span.end) as usize;
        edits.write(Span::new(at, at), |out| write_block(document, root, block, indent, last.is_some(), out));
    }

    fn replace_block(&self, document: &Document<'_>, metadata: &Value, edits: &mut Edits) {
        super::block::replace(document, metadata, edits, |block, metadata, edits| {
            if let (Some(root), Some(metadata)) = (root_of(document), metadata.get(BLOCK)) {
                edits.write(document.node(block).span, |out| write_fields(document, root, metadata, None, out));
            }
        });
    }

    fn block_span(&self, document: &Document<'_>) -> Option<Span> {
        let block = document.get(root_of(document)?, BLOCK)?;
        Some(Span { start: document.node(block - 1).span.start, end: document.node(block).span.end })
    }

    fn remove_block(&self, document: &Document<'_>, _bare: &str, edits: &mut Edits) {
        let Some(root) = root_of(document) else { return };
        if let Some(block) = document.get(root, BLOCK) {
            edits.replace(span_to_remove(document, root, block), "");
        }
    }

    /// Nothing beyond what [`Format::parse`] refuses: the author's bytes stay, so no line break can be misread.
    fn refuse_plain(&self, _source: &str) -> Result<()> {
        Ok(())
    }

    fn without_repeats(&self, _text: &str) -> Option<String> {
        None
    }

    fn second_reading(&self, text: &str, receive: &mut dyn FnMut(Event)) -> std::result::Result<(), String> {
        json_second::read(text).map(|events| events.into_iter().for_each(receive))
    }

    fn put(&self, document: &Document<'_>, place: Place<'_>, value: &Value, edits: &mut Edits) -> Result<()> {
        change::put_flow(document, place, value, edits)
    }

    fn take_out(&self, document: &Document<'_>, id: NodeId, edits: &mut Edits) -> Result<()> {
        change::take_out_of_flow(document, id, edits)
    }

    fn print_fragment(&self, value: &Value, indent: Option<usize>) -> String {
        print_value(value, indent)
    }

    fn print(&self, documents: &[Value], indent: Option<usize>) -> Result<String> {
        print(documents, indent)
    }
}

/// The key of the metadata.
const BLOCK: &str = "sops";

/// The root object.
fn root_of(document: &Document<'_>) -> Option<NodeId> {
    document.parts.first().map(|part| part.root).filter(|root| *root != NONE && document.node(*root).kind == Kind::Mapping)
}

/// The entry `"sops": {…}` behind the last value, laid out like the file's own entries.
fn write_block(document: &Document<'_>, root: NodeId, block: &Value, indent: Option<usize>, follows: bool, out: &mut String) {
    let lines = Lines::of(document, root);
    if follows {
        out.push(',');
    }
    match &lines {
        Some(lines) => out.push_str(&lines.lead),
        None if follows => out.push(' '),
        None => {}
    }
    value::json_string(BLOCK, out);
    // Tools look for `"mac": "ENC[` with exactly one blank.
    out.push_str(": ");
    write_fields(document, root, block, indent, out);
}

fn write_fields(document: &Document<'_>, root: NodeId, block: &Value, indent: Option<usize>, out: &mut String) {
    let Some(lines) = Lines::of(document, root) else { return value::json(block, Layout::OneLine, out) };
    let step = indent.map_or(lines.step.to_owned(), |columns| " ".repeat(columns));
    value::json(block, Layout::Lines(&step, 0, &lines.lead), out);
}

/// How a file with an entry a line is indented.
struct Lines<'s> {
    /// The line break and the white space before a top-level key.
    lead: String,
    /// What one level adds.
    step: &'s str,
}

impl<'s> Lines<'s> {
    /// Taken from the last top-level key that starts its line; [`None`] if none does.
    fn of(document: &Document<'s>, root: NodeId) -> Option<Lines<'s>> {
        let keys = document.entries(root).map(|(key, _)| document.node(key).span.start as usize);
        let (newline, base) = keys.filter_map(|key| indentation(document.source, key)).last()?;
        let brace = document.node(root).span.start as usize;
        let outside = &document.source[document.line_start(brace)..brace];
        Some(Lines { lead: format!("{newline}{base}"), step: base.strip_prefix(outside).unwrap_or(base) })
    }
}

/// The line break before `at` and the white space between the two, if there is nothing else.
fn indentation(source: &str, at: usize) -> Option<(&'static str, &str)> {
    let before_blanks = source[..at].trim_end_matches([' ', '\t']);
    let (before, blanks) = (before_blanks.strip_suffix('\n')?, &source[before_blanks.len()..at]);
    let newline = if before.ends_with('\r') { "\r\n" } else { "\n" };
    blanks.bytes().all(|byte| matches!(byte, b' ' | b'\t')).then_some((newline, blanks))
}

/// The bytes of the block's entry with one comma, so that what stands around it is as it was before the block came.
fn span_to_remove(document: &Document<'_>, root: NodeId, block: NodeId) -> Span {
    let (key, end) = (document.node(block - 1).span, document.node(block).span.end);
    let previous = document.children(root).take_while(|child| child + 1 < block).last();
    let next = document.node(block).end;
    if let Some(previous) = previous {
        return Span { start: document.node(previous).span.end, end };
    }
    if next < document.node(root).end {
        return Span { start: key.start, end: document.node(next).span.start };
    }
    let inside = Span { start: document.node(root).span.start + 1, end: document.node(root).span.end - 1 };
    // A block put into an empty object stands directly behind the brace: only then the rest is the author's.
    if key.start == inside.start { Span { end, ..inside } } else { inside }
}

/// The first of `documents` as genuine sops prints it: the others have no place in JSON.
fn print(documents: &[Value], indent: Option<usize>) -> Result<String> {
    let Some(root @ Value::Map(_)) = documents.first() else {
        return Err(Error::new(ErrorKind::Emit, "the top level isn't a mapping, JSON output expects a mapping of keys to values"));
    };
    refuse_infinities(root, String::new())?;
    let mut out = print_value(root, indent);
    out.push('\n');
    Ok(out)
}

/// A value as genuine sops prints it, without a line break at its end.
fn print_value(value: &Value, indent: Option<usize>) -> String {
    let step = indent.map_or("\t".to_owned(), |columns| " ".repeat(columns));
    let mut out = String::new();
    value::json(&without_comments(value), Layout::Lines(&step, 0, "\n"), &mut out);
    out
}

/// `value` without the comments that stand as items of lists: JSON has no form for them.
fn without_comments(value: &Value) -> Value {
    match value {
        Value::Scalar(..) => value.clone(),
        Value::Map(entries) => {
            let kept = entries.iter().filter(|(_, value)| !value.is_comment());
            Value::Map(kept.map(|(key, value)| (key.clone(), without_comments(value))).collect())
        }
        Value::List(items) => {
            let kept = items.iter().filter(|item| !item.is_comment());
            Value::List(kept.map(without_comments).collect())
        }
    }
}

/// Refuses numbers that JSON has no form for; `path` is the key path of `value`.
fn refuse_infinities(value: &Value, path: String) -> Result<()> {
    match value {
        Value::Map(entries) => {
            let dot = if path.is_empty() { "" } else { "." };
            entries.iter().try_for_each(|(key, value)| refuse_infinities(value, format!("{path}{dot}{key}")))
        }
        Value::List(items) => items.iter().enumerate().try_for_each(|(at, item)| refuse_infinities(item, format!("{path}[{at}]"))),
        Value::Scalar(..) if value.as_scalar().is_none_or(|scalar| resolve::json_holds(&scalar)) => Ok(()),
        Value::Scalar(..) => {
            let error = Error::new(ErrorKind::Emit, "an infinity or NaN has no form in JSON, expected a finite number");
            Err(error.for_key(path).hint("choose YAML output, or quote the value"))
        }
    }
}

/// The value that `text` says in JSON: of any kind, alone.
///
/// # Errors
/// `BadIndex` (7), without a word of the text.
pub fn value_of(text: &str) -> Result<Value> {
    let bad = || {
        let error = Error::new(ErrorKind::BadIndex, "the value isn't valid JSON");
        error.hint("strings need double quotes of their own: '\"text\"'; numbers, true, false, null, {…} and […] stand bare")
    };
    let whole = zeroize::Zeroizing::new(format!("{{\"\":{text}}}"));
    let document = json_scan::parse(&whole).map_err(|_| bad())?;
    let root = root_of(&document).ok_or_else(bad)?;
    let mut values = document.entries(root).map(|(_, value)| value);
    match (values.next(), values.next()) {
        (Some(only), None) => Value::of(&document, only).map_err(|_| bad()),
        _ => Err(bad()),
    }
}

/// Writes a decrypted value: text as a JSON string, everything else as genuine sops prints it. JSON holds no infinity
/// or NaN (see [`resolve::json_holds`]), which become strings.
pub fn render(value: &Scalar<'_>, out: &mut String) {
    match value.kind {
        Type::Str | Type::Time | Type::Comment => match std::str::from_utf8(&value.bytes) {
            Ok(text) => quote(text, out),
            Err(_) => value::json_bytes(&value.bytes, out),
        },
        _ => out.push_str(&resolve::json_text(value)),
    }
}

/// Writes `text` as a JSON string with the escapes that RFC 8259 demands and no others.
pub fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\0'..='\u{1f}' => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Role;
    use super::*;

    /// What the index holds, in the words of the second reader.
    fn events(document: &Document<'_>, id: NodeId, out: &mut Vec<Event>) {
        let node = document.node(id);
        match node.kind {
            Kind::Mapping => out.push(Event::Mapping),
            Kind::Sequence => out.push(Event::Sequence),
            _ => return out.push(Event::Scalar(document.text(id).to_owned(), node.style == Style::Plain)),
        }
        document.children(id).for_each(|child| events(document, child, out));
        out.push(Event::Close);
    }

    /// Whether both readers see the same.
    fn readers_agree(source: &str) -> bool {
        let document = Json.parse(source).unwrap();
        let mut seen = Vec::new();
        events(&document, 0, &mut seen);
        let mut others = Vec::new();
        Json.second_reading(source, &mut |event| others.push(event)).unwrap();
        seen == others
    }

    fn message(source: &str) -> String {
        match Json.parse(source) {
            Ok(_) => panic!("accepted: {source}"),
            Err(error) => {
                assert_eq!(error.kind.exit_code(), 2, "{source}");
                error.to_string()
            }
        }
    }

    fn metadata() -> Value {
        let age = Value::Map(vec![("recipient".into(), Value::string("age1")), ("enc".into(), Value::string("a\nb"))]);
        let block =
            vec![("age".into(), Value::List(vec![age])), ("mac".into(), Value::string("ENC[x]")), ("empty".into(), Value::List(vec![]))];
        Value::Map(vec![("sops".into(), Value::Map(block))])
    }

    fn with_block(source: &str, indent: Option<usize>) -> String {
        let mut edits = Edits::default();
        Json.add_block(&Json.parse(source).unwrap(), &metadata(), indent, &mut edits);
        edits.apply(source).to_string()
    }

    fn without_block(source: &str) -> String {
        let mut edits = Edits::default();
        Json.remove_block(&Json.parse(source).unwrap(), "", &mut edits);
        edits.apply(source).to_string()
    }

    #[test]
    fn nodes_have_text_span_and_parent() {
        let source = " { \"a\\u0062\" : [ 1.50, {}, \"x\\n\" ], \"c\":null}\n";
        let document = Json.parse(source).unwrap();
        let kinds: Vec<_> =
            document.nodes.iter().map(|node| (node.kind, node.role, node.parent, node.end, document.slice(node.span))).collect();
        assert_eq!(kinds[0], (Kind::Mapping, Role::Root, NONE, 8, source.trim()));
        assert_eq!(kinds[1], (Kind::Scalar, Role::Key, 0, 2, "\"a\\u0062\""));
        assert_eq!(kinds[2], (Kind::Sequence, Role::Value, 0, 6, "[ 1.50, {}, \"x\\n\" ]"));
        assert_eq!(kinds[4], (Kind::Mapping, Role::Item, 2, 5, "{}"));
        assert_eq!(document.text(1), "ab");
        assert_eq!(document.text(5), "x\n");
        assert_eq!(document.key_path(5), "ab[2]");
        assert_eq!((document.parts.len(), document.parts[0].root, document.parts[0].end as usize), (1, 0, source.len()));
        assert!(document.comments.is_empty() && document.nodes.iter().all(|node| node.flow));
    }

    #[test]
    fn values_have_the_types_genuine_sops_gives_them() {
        let source = r#"{"a":1,"b":1.0,"c":-0,"d":"1","e":null,"f":true,"g":false,"h":12345678901234567890,"i":1e3,"j":"2020-01-01"}"#;
        let document = Json.parse(source).unwrap();
        let found: Vec<_> = document.entries(0).map(|(_, value)| document.scalar(value).unwrap()).collect();
        let found: Vec<_> = found.iter().map(|scalar| (scalar.kind, scalar.as_text().unwrap())).collect();
        let wanted = [
            (Type::Int, "1"),
            (Type::Float, "1"),
            (Type::Int, "0"),
            (Type::Str, "1"),
            (Type::Null, ""),
            (Type::Bool, "True"),
            (Type::Bool, "False"),
            (Type::Float, "12345678901234567000"),
            (Type::Float, "1000"),
            (Type::Str, "2020-01-01"),
        ];
        assert_eq!(found, wanted);
    }

    #[test]
    fn a_number_out_of_range_is_refused_when_its_value_is_asked_for() {
        let source = r#"{"a": 1e400}"#;
        let document = Json.parse(source).unwrap();
        let error = document.scalar(2).unwrap_err();
        assert_eq!((error.kind.exit_code(), error.position.unwrap().column), (2, 7));
    }

    /// What genuine sops 3.13.3 accepts and keeps.
    #[test]
    fn all_of_rfc_8259_is_read() {
        let accepted = [
            "{}",
            "{ }",
            "\n\n{\"a\":1}\n\n",
            "{\r\"a\"\r:\r1\r}\r",
            r#"{"":1}"#,
            "{\"a\":\"x\u{7f}\u{85}\u{2028}\u{feff}y\"}",
            r#"{"a":"\u0000\/\"\\\b\f\n\r\t\uFfFd"}"#,
            r#"{"a":"\ud83d\ude00 \uD83D\uDE00"}"#,
            r#"{"a":[-0,-0.0,1E+05,1e-400,-9223372036854775808,-9223372036854775809,12345678901234567890]}"#,
            r#"{"a":{"sops":1},"b":[[],{},[{}]]}"#,
            r#"{"$serde_json::private::Number":"1","a":{"$serde_json::private::Number":"\u0031"},"b":{"$serde_json::private::Number":1}}"#,
        ];
        for source in accepted {
            assert!(readers_agree(source), "{source}");
        }
    }

    /// What genuine sops 3.13.3 refuses with exit code 2.
    #[test]
    fn what_isnt_json_is_refused() {
        let refused = [
            "",
            " \n",
            "[1]",
            "1",
            "\"a\"",
            "null",
            "\u{feff}{}",
            "{\u{feff}}",
            "{\u{b}}",
            "{\u{c}}",
            "{\u{a0}}",
            "#x\n{}",
            "{/**/}",
            "{'a':1}",
            "{a:1}",
            "{1:2}",
            "{null:2}",
            "{,\"a\":1}",
            "{\"a\":1,}",
            "{\"a\":1,,\"b\":2}",
            "{\"a\" 1}",
            "{\"a\"::1}",
            "{\"a\";1}",
            "{\"a\":}",
            "{\"a\"}",
            "{\"a\":1 \"b\":2}",
            "{\"a\":\"x\"\"b\":2}",
            "{\"a\":[1 2]}",
            "{\"a\":[1:2]}",
            "{\"a\":[,1]}",
            "{\"a\":[1,]}",
            "{\"a\":[1}",
            "{\"a\":{\"b\":1]}",
            "{\"a\":1",
            "{",
            "{\"a\":\"x",
            "{\"a\":\"\\",
            "{\"a\":\"\\u00",
            "{\"a\":\"x\ty\"}",
            "{\"a\":\"x\ny\"}",
            "{\"a\":\"x\0y\"}",
            "{\"a\":\"\\x41\"}",
            "{\"a\":\"\\'\"}",
            "{\"a\":\"\\u12\"}",
            "{\"a\":\"\\U0041\"}",
            "{\"a\":\"\\u+041\"}",
            "{\"a\":\"\\u12é\"}",
            "{\"a\":01}",
            "{\"a\":-01}",
            "{\"a\":+1}",
            "{\"a\":1.}",
            "{\"a\":.5}",
            "{\"a\":1e}",
            "{\"a\":1e-}",
            "{\"a\":-}",
            "{\"a\":0x10}",
            "{\"a\":1x}",
            "{\"a\":1 2}",
            "{\"a\":NaN}",
            "{\"a\":Infinity}",
            "{\"a\":True}",
            "{\"a\":tru}",
            "{\"a\":truex}",
            "{\"a\":nullnull}",
            "{\"a\":\"x\"1}",
        ];
        for source in refused {
            message(source);
        }
    }

    /// Genuine sops accepts these and loses something: the rest of the file, a value, or the list.
    #[test]
    fn what_would_be_lost_is_refused() {
        for tail in ["x", "{\"b\":2}", "}", ",", "\u{b}", "\0", "//x"] {
            assert!(message(&format!("{{\"a\":1}} {tail}")).starts_with("line 1, column 9: text behind the closing brace"));
        }
        for lone in [r"\ud800", r"\udc00", r"\ud800\ud800", r"\udc00\ud800", r"\ud800x", r"\ud800\n", r"\ud800\u0041"] {
            assert!(message(&format!("{{\"a\":\"{lone}\"}}")).starts_with("line 1, column 7: half of a surrogate pair"));
            assert!(message(&format!("{{\"{lone}\":1}}")).starts_with("line 1, column 3: half of a surrogate pair"));
        }
        assert!(message("{\"a\":[1").ends_with("the file ends here, expected a comma or `]`"));
        assert_eq!(
            message("{\"x\":[{\"a\":1,\n\"\\u0061\":2}]}"),
            "line 2, column 1: this key stands twice in the same object, only one value could be kept (at x[0].a)"
        );
        let many: String = (0..40).map(|key| format!("\"{}\":1,", key % 39)).collect();
        assert!(message(&format!("{{{}}}", many.trim_end_matches(','))).contains("twice"));
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
        assert!(readers_agree(&nested(127)));
        assert_eq!(Json.parse(&nested(500)).unwrap().nodes.len(), 501);
        assert_eq!(message(&nested(501)), "line 1, column 505: nested deeper than 500 levels, the most that is read");
        assert!(message(&nested(200_000)).contains("500 levels"));
        assert!(Json.second_reading(&"[".repeat(200_000), &mut |_| {}).is_err());
    }

    #[test]
    fn errors_hold_no_text_of_the_file() {
        for source in ["{\"a\":secret}", "{\"a\":\"secret\\q\"}", "{\"a\":1secret}", "{\"a\":\"x\"}secret", "{\"a\":tsecret}", "secret"] {
            assert!(!message(source).contains("secret"));
        }
    }

    #[test]
    fn the_block_follows_the_files_own_layout() {
        assert_eq!(
            with_block("{\n  \"a\": 1\n}\n", None),
            "{\n  \"a\": 1,\n  \"sops\": {\n    \"age\": [\n      {\n        \"recipient\": \"age1\",\n        \"enc\": \"a\\nb\"\n      }\n    ],\n    \
         \"mac\": \"ENC[x]\",\n    \"empty\": []\n  }\n}\n"
        );
        let one_line = "\"sops\": {\"age\": [{\"recipient\": \"age1\", \"enc\": \"a\\nb\"}], \"mac\": \"ENC[x]\", \"empty\": []}";
        assert_eq!(with_block("{\"a\":1}", None), format!("{{\"a\":1, {one_line}}}"));
        assert_eq!(with_block("{}\n", None), format!("{{{one_line}}}\n"));
        assert_eq!(with_block("{ }", None), format!("{{{one_line} }}"));
        assert!(
            with_block("{\r\n\t\"a\":\t1\r\n}", None).starts_with("{\r\n\t\"a\":\t1,\r\n\t\"sops\": {\r\n\t\t\"age\": [\r\n\t\t\t{\r\n")
        );
        assert!(with_block("{\n\t\"a\": 1\n}", Some(2)).starts_with("{\n\t\"a\": 1,\n\t\"sops\": {\n\t  \"age\": [\n\t    {\n"));
        assert!(with_block("  {\n    \"a\": 1\n  }", None).starts_with("  {\n    \"a\": 1,\n    \"sops\": {\n      \"age\": [\n"));
        assert!(with_block("{\n\"a\": 1\n}", None).starts_with("{\n\"a\": 1,\n\"sops\": {\n\"age\": [\n{\n"));
        assert!(with_block("{\n  \"a\": 1, \"b\": 2\n}", None).starts_with("{\n  \"a\": 1, \"b\": 2,\n  \"sops\": {\n    \"age\""));
    }

    #[test]
    fn a_block_put_in_and_taken_out_leaves_every_byte() {
        let layouts = [
            "{}",
            "{ }",
            "{\n}",
            "{}\n",
            " {\t} \r\n",
            "{\"a\":1}",
            "{ \"a\" : 1 }\n\n",
            "{\n \"a\": [\n1\n]\n\n}",
            "{\r\n\t\"a\": {}\r\n}\r\n",
            "{ \"a\": 1\n, \"b\": 2\n}\n",
            "{\"a\":\n1\n}",
            "{\n    \"a\": \"x\",\n\n    \"b\": null\n}",
            "\n\n  {\n  \"a\":1}\t",
            "{\r\"a\":1\r}",
        ];
        for (source, indent) in layouts.iter().flat_map(|source| [None, Some(0), Some(1), Some(3)].map(|indent| (*source, indent))) {
            let sealed = with_block(source, indent);
            assert!(readers_agree(&sealed), "{sealed}");
            assert!(sealed.contains("\"mac\": \"ENC["));
            assert_eq!(without_block(&sealed), source);
        }
    }

    #[test]
    fn a_block_is_found_anywhere_at_the_top() {
        let cases = [
            ("{\n\t\"sops\": {}\n}\n", "{}\n"),
            ("{ \"sops\": {}, \"a\": 1 }", "{ \"a\": 1 }"),
            ("{\n  \"sops\": {\n  }\n  ,\n  \"a\": 1\n}", "{\n  \"a\": 1\n}"),
            ("{\"a\":1 , \"\\u0073ops\" : 1,\n\"b\":2}", "{\"a\":1,\n\"b\":2}"),
            ("{\"a\":{\"sops\":1}}", "{\"a\":{\"sops\":1}}"),
        ];
        for (source, wanted) in cases {
            assert_eq!(without_block(source), wanted);
        }
    }

    #[test]
    fn the_block_stays_behind_a_last_value_that_is_replaced() {
        let source = "{\"a\": 1}";
        let document = Json.parse(source).unwrap();
        let mut edits = Edits::default();
        Json.add_block(&document, &metadata(), None, &mut edits);
        edits.replace(document.node(2).span, "\"ENC[y]\"");
        assert!(edits.apply(source).starts_with("{\"a\": \"ENC[y]\", \"sops\": {"));
    }

    #[test]
    fn printing_is_that_of_genuine_sops() {
        let source = r#"{"a":1,"b":1.0,"e":"","f":null,"g":[],"h":{},"j":[1,[2],{"k":"<é>"}],"n":1e3,"o":1e-7}"#;
        let value = Value::of(&Json.parse(source).unwrap(), 0).unwrap();
        let wanted = "{\n\t\"a\": 1,\n\t\"b\": 1,\n\t\"e\": \"\",\n\t\"f\": null,\n\t\"g\": [],\n\t\"h\": {},\n\t\"j\": [\n\t\t1,\n\t\t[\n\t\t\t2\n\t\t],\n\t\t{\n\t\t\t\
                  \"k\": \"\\u003cé\\u003e\"\n\t\t}\n\t],\n\t\"n\": 1000,\n\t\"o\": 1e-7\n}\n";
        let documents = [value, Value::List(vec![])];
        assert_eq!(Json.print(&documents, None).ok().as_deref(), Some(wanted));
        assert_eq!(Json.print(&documents, Some(2)).ok(), Some(wanted.replace('\t', "  ")));
        assert_eq!(Json.print(&documents, Some(0)).ok(), Some(wanted.replace('\t', "")));
        assert_eq!(Json.print(&documents[1..], None).unwrap_err().kind, ErrorKind::Emit);
        assert_eq!(Json.print(&[], None).unwrap_err().kind, ErrorKind::Emit);
    }

    /// As `sops decrypt --extract '["j"]'` shows it.
    #[test]
    fn a_fragment_has_no_line_break_at_its_end() {
        let fragment = |source| Json.print_fragment(&Value::of(&Json.parse(source).unwrap(), 2).unwrap(), None);
        assert_eq!(fragment("{\"j\":[1,[2]]}"), "[\n\t1,\n\t[\n\t\t2\n\t]\n]");
        assert_eq!(fragment("{\"g\":[]}"), "[]");
    }

    #[test]
    fn comments_in_lists_arent_printed_and_infinities_are_refused() {
        let list = |item| Value::Map(vec![("a".into(), Value::List(vec![item, Value::int(1)]))]);
        assert_eq!(
            Json.print(&[list(Value::Scalar(Type::Comment, b" c".to_vec()))], Some(0)).ok().as_deref(),
            Some("{\n\"a\": [\n1\n]\n}\n")
        );
        let error = Json.print(&[list(Value::Scalar(Type::Float, b"+Inf".to_vec()))], None).unwrap_err();
        assert_eq!((error.kind, error.key_path.as_deref()), (ErrorKind::Emit, Some("a[0]")));
    }

    #[test]
    fn a_value_stands_alone() {
        for text in ["1", " \"x\" ", "{\"a\":[1,2.5,null]}", "[]", "true\n"] {
            assert!(value_of(text).is_ok(), "{text}");
        }
        for text in ["", "x", "1 2", "1,\"b\":2", "1}", "1}{", "1e400", "{\"a\":1,\"a\":2}", "'x'", "secret", "\"x"] {
            let error = value_of(text).err().unwrap();
            assert!(error.kind == ErrorKind::BadIndex && error.position.is_none() && !error.to_string().contains("secret"), "{text}");
        }
    }

    #[test]
    fn a_quoted_text_has_only_the_escapes_it_needs() {
        let mut out = String::new();
        quote("a\"\\/\n\r\t\u{8}\u{c}\u{0}\u{1f}\u{7f}<é\u{2028}😀", &mut out);
        assert_eq!(out, "\"a\\\"\\\\/\\n\\r\\t\\b\\f\\u0000\\u001f\u{7f}<é\u{2028}😀\"");
    }

    #[test]
    fn values_come_back_plain_unless_they_are_text() {
        let cases: [(Type, &[u8], &str); 7] = [
            (Type::Str, b"1", "\"1\""),
            (Type::Int, b"1", "1"),
            (Type::Float, b"1.5", "1.5"),
            (Type::Bool, b"True", "true"),
            (Type::Null, b"", "null"),
            (Type::Time, b"2020-01-01T00:00:00Z", "\"2020-01-01T00:00:00Z\""),
            (Type::Str, "<é>".as_bytes(), "\"<é>\""),
        ];
        for (kind, bytes, wanted) in cases {
            let mut out = String::new();
            render(&Scalar { kind, bytes: bytes.into() }, &mut out);
            assert_eq!(out, wanted);
        }
    }

    fn blanks() -> impl Strategy<Value = String> {
        prop_oneof![4 => Just(String::new()), 1 => "[ \t\r\n]{1,3}"]
    }

    fn string() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            6 => "[^\"\\\\\u{0}-\u{1f}]{0,4}",
            1 => "\\\\[\"\\\\/bfnrt]",
            1 => "\\\\u[0-9a-cefA-CEF][0-9a-fA-F]{3}",
            1 => "\\\\u[dD][89abAB][0-9a-f]{2}\\\\u[dD][c-fC-F][0-9A-F]{2}",
        ];
        prop::collection::vec(piece, 0..4).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
    }

    fn leaf() -> impl Strategy<Value = String> {
        let number = "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,4})?([eE][+-]?[0-9]{1,2})?";
        prop_oneof![string(), number, Just("true".to_owned()), Just("false".to_owned()), Just("null".to_owned())]
    }

    fn joined(open: char, parts: Vec<String>, close: char, inside: &str) -> String {
        let body = if parts.is_empty() { inside.to_owned() } else { parts.join(",") };
        format!("{open}{body}{close}")
    }

    /// An object whose keys are made unique by their number.
    fn object(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
        let entry = (blanks(), string(), blanks(), blanks(), value, blanks());
        (prop::collection::vec(entry, 0..4), blanks()).prop_map(|(entries, inside)| {
            let entry = |(at, (b, key, c, d, value, e)): (usize, _)| {
                let (b, key, c, d, value, e): (String, String, String, String, String, String) = (b, key, c, d, value, e);
                format!("{b}\"{at}{}{c}:{d}{value}{e}", &key[1..])
            };
            joined('{', entries.into_iter().enumerate().map(entry).collect(), '}', &inside)
        })
    }

    fn text() -> impl Strategy<Value = String> {
        let value = leaf().prop_recursive(5, 40, 4, |value| {
            let item = (blanks(), value.clone(), blanks()).prop_map(|(b, value, e)| b + &value + &e);
            let list = (prop::collection::vec(item, 0..4), blanks()).prop_map(|(items, inside)| joined('[', items, ']', &inside));
            prop_oneof![list, object(value)]
        });
        (blanks(), object(value), blanks()).prop_map(|(before, root, after)| before + &root + &after)
    }

    proptest! {
        #[test]
        fn both_readers_see_the_same(source in text()) {
            prop_assert!(readers_agree(&source));
        }

        #[test]
        fn any_layout_survives_the_block(source in text(), indent in prop::option::of(0usize..5)) {
            let sealed = with_block(&source, indent);
            prop_assert!(readers_agree(&sealed));
            prop_assert_eq!(without_block(&sealed), source);
        }

        #[test]
        fn a_quoted_text_is_read_back(text in any::<String>()) {
            let mut source = "{\"k\":".to_owned();
            quote(&text, &mut source);
            source.push('}');
            let document = Json.parse(&source).unwrap();
            prop_assert_eq!(document.text(2), text);
        }

        /// What the scanner accepts, serde_json accepts (it alone takes duplicate keys and texts behind an object).
        #[test]
        fn a_damaged_text_is_never_read_two_ways(source in text(), at in any::<prop::sample::Index>(), with in "[\\[\\]{}\",:\\\\u0-9eE.+ -]{0,2}") {
            let mut cut = at.index(source.len() + 1);
            while !source.is_char_boundary(cut) {
                cut -= 1;
            }
            let skipped = source[cut..].chars().next().map_or(0, char::len_utf8);
            for damaged in [format!("{}{with}{}", &source[..cut], &source[cut..]), format!("{}{with}{}", &source[..cut], &source[cut + skipped..])] {
                if Json.parse(&damaged).is_ok() {
                    prop_assert!(readers_agree(&damaged));
                }
            }
        }
    }
}
