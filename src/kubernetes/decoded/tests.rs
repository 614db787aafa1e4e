use proptest::prelude::*;

use super::*;
use crate::document::json::Json;
use crate::document::yaml::{self, Yaml};

const HEAD: &str = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: web\n";

fn secret(data: &str) -> String {
    format!("{HEAD}data:\n{data}")
}

fn shows(data: &str, wanted: &str) {
    let plain = secret(data);
    let text = shown(&plain, &Yaml).unwrap();
    assert_eq!(text.as_str(), secret(wanted));
    assert_eq!(taken_back(&plain, &text, &Yaml).unwrap().as_str(), plain);
}

fn back(data: &str, edited: &str) -> String {
    let text = taken_back(&secret(data), &secret(edited), &Yaml).unwrap();
    text.strip_prefix(&secret("")).unwrap().to_owned()
}

#[test]
fn data_is_shown_as_text_and_comes_back_byte_for_byte() {
    shows("  a: YWJj\n", "  a: abc\n");
    shows("  a: YWJj # why\n  b: 'YWJj'\n  c: \"YWJj\"\n", "  a: abc # why\n  b: abc\n  c: abc\n");
    shows("  a: dHJ1ZQ==\n  b: NQ==\n", "  a: \"true\"\n  b: \"5\"\n");
    shows("  a: YQpiCg== # two lines\n  b: YQpi\n", "  a: | # two lines\n    a\n    b\n  b: |-\n    a\n    b\n");
    shows("  a: |\n    YWJj\n    ZGVm\n  b: >-\n    YWJj\n\nz: 1\n", "  a: abcdef\n  b: abc\n\nz: 1\n");
    shows("  a: | # why\n    YWJj\n  b: 1\n", "  a: abc # why\n  b: 1\n");
    shows("  a: YQ0KYg==\n  b: YQoK\n\n\nz: 1\n", "  a: \"a\\r\\nb\"\n  b: \"a\\n\\n\"\n\n\nz: 1\n");
    shows("  a: YQpiCg==", "  a: \"a\\nb\\n\"");
    shows("  a: YWJj", "  a: abc");
}

#[test]
fn bytes_that_are_no_text_keep_their_base64_under_a_tag() {
    shows("  a: /wA=\n  b: AAE= # nul\n", "  a: !!binary /wA=\n  b: !!binary AAE= # nul\n");
    shows("  a: &x |\n    /w\n    A=\n  b: *x\n", "  a: &x !!binary |\n    /w\n    A=\n  b: *x\n");
    assert_eq!(back("  a: /wA=\n", "  a: !!binary |\n    /wA\n    B\n"), "  a: /wAB\n");
    assert_eq!(back("  a: '/wA='\n", "  a: !!binary \"/wA=\"\n"), "  a: '/wA='\n");
}

#[test]
fn what_is_no_base64_stays_in_clear_until_it_is_changed() {
    shows("  a: ${VALUE}\n  b: 5\n  c:\n  d: ''\n  e: abc\n", "  a: ${VALUE}\n  b: 5\n  c:\n  d: ''\n  e: abc\n");
    assert_eq!(back("  a: ${VALUE}\n", "  a: ${OTHER}\n"), "  a: JHtPVEhFUn0=\n");
    assert_eq!(back("  a: ''\n", "  a: x\n"), "  a: eA==\n");
    assert_eq!(back("  a: YWJj\n", "  a:\n"), "  a:\n");
}

#[test]
fn what_was_typed_is_meant_letter_by_letter() {
    assert_eq!(back("  a: YWJj\n", "  a: 1.50\n"), "  a: MS41MA==\n");
    assert_eq!(back("  a: YWJj\n", "  a: true # yes\n  b: x\n"), "  a: dHJ1ZQ== # yes\n  b: eA==\n");
    assert_eq!(back("  a: YWJj\n", "  a: |\n    abc\n"), "  a: YWJjCg==\n");
    assert_eq!(back("  a: YWJj\n  b: eA==\n", "  # first\n  b: x\n  a: 'abc'\n"), "  # first\n  b: eA==\n  a: YWJj\n");
    assert_eq!(back("  a: YWJj\n", "  a: !!str abc\n"), "  a: YWJj\n");
}

#[test]
fn only_the_data_of_secrets_is_decoded() {
    for plain in [
        "apiVersion: v1\nkind: ConfigMap\ndata:\n  a: YWJj\n",
        "apiVersion: example.org/v1\nkind: Secret\ndata:\n  a: YWJj\n",
        "apiVersion: v1\nkind: Secret\nstringData:\n  a: YWJj\nspec:\n  data:\n    a: YWJj\n",
        "apiVersion: v1\nkind: Secret\ndata: 5\n",
        "a: 1\n",
    ] {
        assert_eq!(shown(plain, &Yaml).unwrap().as_str(), plain);
    }
}

#[test]
fn documents_are_told_apart_by_name_when_they_are_moved() {
    let one = "apiVersion: v1\nkind: Secret\nmetadata: {name: one}\ndata: {a: 'YWJj'}\n";
    let two = "apiVersion: v1\nkind: Secret\nmetadata: {name: two}\ndata: {a: \"eHl6\"}\n";
    let plain = format!("{one}---\n{two}");
    let text = shown(&plain, &Yaml).unwrap();
    let (first, second) = text.split_once("---\n").unwrap();
    assert_eq!(first, "apiVersion: v1\nkind: Secret\nmetadata: {name: one}\ndata: {a: abc}\n");
    assert_eq!(taken_back(&plain, &format!("{second}---\n{first}"), &Yaml).unwrap().as_str(), format!("{two}---\n{one}"));
}

#[test]
fn json_has_no_form_for_bytes() {
    let plain = r#"{"apiVersion": "v1", "kind": "Secret", "data": {"a": "YQpi", "b": "/wA=", "c": "\u0059WJj"}}"#;
    let text = shown(plain, &Json).unwrap();
    assert!(text.ends_with(r#""data": {"a": "a\nb", "b": "/wA=", "c": "abc"}}"#));
    assert_eq!(taken_back(plain, &text, &Json).unwrap().as_str(), plain);
    let edited = text.replace("/wA=", "/wAB").replace("abc", "d");
    assert!(taken_back(plain, &edited, &Json).unwrap().ends_with(r#""data": {"a": "YQpi", "b": "/wAB", "c": "ZA=="}}"#));
}

#[test]
fn text_in_base64_is_noticed() {
    for text in ["c2VjcmV0", "cGFzc3dvcmQxMjM=", "aHVudGVyMg==\n"] {
        assert_eq!(looks_encoded(text), text.len() > 8, "{text}");
    }
    for text in ["password", "hunter2", "correct horse battery staple", "abcdefghijkl!", ""] {
        assert!(!looks_encoded(text), "{text}");
    }
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..24),
        "[ -~\n\t]{0,30}".prop_map(String::into_bytes),
        any::<String>().prop_map(String::into_bytes),
        "[a:#\n -]{0,12}".prop_map(String::into_bytes),
    ]
}

/// The base64 of `bytes` in one of the forms that people and tools write.
fn spelled(bytes: &[u8], form: usize) -> String {
    let text = encode(bytes);
    let lines: Vec<&str> = text.as_bytes().chunks(8).map(|chunk| std::str::from_utf8(chunk).unwrap()).collect();
    match form % 5 {
        1 => format!("\"{}\"", text.as_str()),
        2 => format!("'{}' # c", text.as_str()),
        3 if !text.is_empty() => format!("|\n    {}", lines.join("\n    ")),
        4 if !text.is_empty() => format!("|- # c\n    {}", lines.join("\n    ")),
        _ if text.is_empty() => "''".to_owned(),
        _ => text.to_string(),
    }
}

proptest! {
    #[test]
    fn any_secret_is_shown_and_comes_back(values in prop::collection::vec((bytes(), 0usize..5, 0usize..3), 0..5), open in any::<bool>()) {
        let entry = |(at, (bytes, form, blank)): (usize, &(Vec<u8>, usize, usize))| {
            format!("  k{at}: {}\n{}", spelled(bytes, *form), "\n".repeat(blank % 2))
        };
        let data: String = values.iter().enumerate().map(entry).collect();
        let mut plain = secret(if data.is_empty() { "  {}\n" } else { &data });
        if open {
            plain.truncate(plain.trim_end().len());
        }
        let text = shown(&plain, &Yaml).unwrap();
        let document = yaml::parse(&text).unwrap();
        for (value, (bytes, ..)) in super::values(&document).iter().zip(&values) {
            prop_assert_eq!(&*document.scalar(value.id).unwrap().bytes, bytes.as_slice(), "{}", text.as_str());
        }
        let again = taken_back(&plain, &text, &Yaml).unwrap();
        prop_assert_eq!(again.as_str(), plain);
    }

    #[test]
    fn a_value_that_is_typed_in_is_encoded(bytes in any::<String>(), style in 0usize..3) {
        let style = [Style::Plain, Style::Single, Style::Double][style];
        let mut typed = String::new();
        crate::document::render::quoted(style, &Scalar::text(&bytes), false, &mut typed);
        let text = secret(&back("  a: YWJj\n", &format!("  a: {typed}\n")));
        let document = yaml::parse(&text).unwrap();
        let wanted = encode(bytes.as_bytes());
        prop_assert_eq!(document.text(super::values(&document)[0].id), wanted.as_str());
    }
}
