use super::super::index_path;
use super::super::json::{self, Json};
use super::super::yaml::Yaml;
use super::*;
use crate::document::Format;

fn format(text: &str) -> &'static dyn Format {
    if text.starts_with('{') && text.contains('"') { &Json } else { &Yaml }
}

fn read(before: &Document<'_>, changed: Changed) -> Result<String> {
    let after = changed.read(before.format)?;
    changed.check(before, &after)?;
    Ok(after.source.to_owned())
}

fn after_set(text: &str, path: &str, json: &str) -> Result<String> {
    let document = format(text).parse(text)?;
    set(&document, &index_path::parse(path, ErrorKind::BadIndex)?, &json::value_of(json).unwrap())
        .and_then(|changed| read(&document, changed))
}

fn after_unset(text: &str, path: &str) -> Result<Option<String>> {
    let document = format(text).parse(text)?;
    unset(&document, &index_path::parse(path, ErrorKind::BadIndex)?)?.map(|changed| read(&document, changed)).transpose()
}

#[track_caller]
fn sets(text: &str, path: &str, json: &str, wanted: &str) {
    match after_set(text, path, json) {
        Ok(changed) => assert_eq!(changed, wanted, "{path} of {text:?}"),
        Err(error) => panic!("{path} = {json} of {text:?}: {error}"),
    }
}

#[track_caller]
fn unsets(text: &str, path: &str, wanted: &str) {
    match after_unset(text, path) {
        Ok(changed) => assert_eq!(changed.as_deref(), Some(wanted), "{path} of {text:?}"),
        Err(error) => panic!("{path} of {text:?}: {error}"),
    }
}

#[test]
fn a_scalar_keeps_its_style_where_it_can() {
    sets("a: x # c\nb: 1\n", r#"["a"]"#, r#""z""#, "a: z # c\nb: 1\n");
    sets("a: 'x' # c\n", r#"["a"]"#, r#""it's""#, "a: 'it''s' # c\n");
    sets("a: \"x\"\n", r#"["a"]"#, r#""y\nz""#, "a: \"y\\nz\"\n");
    sets("a: x\n", r#"["a"]"#, r#""5""#, "a: \"5\"\n");
    sets("a: x\n", r#"["a"]"#, "5", "a: 5\n");
    sets("a: 'x'\n", r#"["a"]"#, "5.0", "a: 5.0\n");
    sets("a: x\n", r#"["a"]"#, "1e3", "a: 1000.0\n");
    sets("a: x\n", r#"["a"]"#, "true", "a: true\n");
    sets("a: x\n", r#"["a"]"#, "null", "a: null\n");
    sets("a: x # c\nb: 1\n", r#"["a"]"#, r#""y\nz\n""#, "a: | # c\n  y\n  z\nb: 1\n");
    sets("a: |\n  x\n  y\nb: 1\n", r#"["a"]"#, r#""p\nq\nr\n""#, "a: |\n  p\n  q\n  r\nb: 1\n");
    sets("a: |2-\n    x\n  y\nb: 1\n", r#"["a"]"#, r#""p\nq""#, "a: |2-\n  p\n  q\nb: 1\n");
    sets("a: | # c\n  x\n\nb: 1\n", r#"["a"]"#, r#""p""#, "a: p # c\n\nb: 1\n");
    sets("a: >-\n  x\n  y\nb: 1\n", r#"["a"]"#, r#""p\nq""#, "a: >-\n  p\n\n  q\nb: 1\n");
    sets("a: |+\n  x\n\nb: 1\n", r#"["a"]"#, r#""p""#, "a: p\nb: 1\n");
    sets("a: x y\n  z # c\nb: 1\n", r#"["a"]"#, r#""p""#, "a: p # c\nb: 1\n");
    sets("a: x", r#"["a"]"#, r#""y\nz\n""#, "a: \"y\\nz\\n\"");
    sets("a:\r\n  - x\r\n", r#"["a"][0]"#, r#""y\nz\n""#, "a:\r\n  - |\r\n    y\r\n    z\r\n");
    sets("a:\nb: 1\n", r#"["a"]"#, r#""z""#, "a: z\nb: 1\n");
    sets("a: # c\nb: 1\n", r#"["a"]"#, r#""z""#, "a: z # c\nb: 1\n");
    sets("a: &x\nb: 1\n", r#"["a"]"#, r#""z""#, "a: &x z\nb: 1\n");
    sets("a:\n- \n-\n", r#"["a"][1]"#, r#""z""#, "a:\n- \n- z\n");
    sets("a:\n- # c\n- 1\n", r#"["a"][0]"#, r#""z""#, "a:\n- z # c\n- 1\n");
    sets("a: !!int 5\n", r#"["a"]"#, r#""z""#, "a: z\n");
    sets("a: !vault x\n", r#"["a"]"#, r#""z""#, "a: !vault z\n");
    sets("? a\n: x\n", r#"["a"]"#, r#""z""#, "? a\n: z\n");
}

#[test]
fn any_other_difference_is_seen() {
    let text = "a: 1\nb: [x, y]\nc: {d: e, l: [1]}\nr: &r {s: 1}\nt: *r\n---\nf: g\n---\n";
    let document = Yaml.parse(text).unwrap();
    let path = index_path::parse(r#"["c"]["l"][0]"#, ErrorKind::BadIndex).unwrap();
    let accepts = |mut changed: Changed, from: &str, to: &str| {
        let altered = changed.text.replacen(from, to, 1);
        assert!(from == to || altered != changed.text.as_str(), "{from} isn't there");
        changed.text = altered.into();
        changed.read(&Yaml).and_then(|after| changed.check(&document, &after)).is_ok()
    };
    let differences = [
        ("a: 1", "a: '1'"),
        ("a: 1", "z: 1"),
        ("a: 1\n", ""),
        ("a: 1\n", "a: 1\nn: 1\n"),
        ("[x, y]", "[y, x]"),
        ("[x, y]", "[x]"),
        ("[x, y]", "[x, y, z]"),
        ("[x, y]", "{x: y}"),
        ("[x, y]", "x"),
        ("d: e", "d: {}"),
        ("s: 1", "s: 2"),
        ("t: *r", "t: {s: 2}"),
        ("f: g", "f: h"),
        ("f: g\n---\n", "f: g\n"),
        ("f: g\n---\n", "f: g\n---\nx: 1\n"),
        ("f: g\n", ""),
    ];
    let same = [("a: 1", "a: 1"), ("a: 1", "a: 0x1"), ("t: *r", "t: {s: 1}"), ("[x, y]", "['x', y]"), ("f: g\n---\n", "f: g\n---\n{}\n")];
    for taken_out in [false, true] {
        let change = || match taken_out {
            true => unset(&document, &path).unwrap().unwrap(),
            false => set(&document, &path, &Value::int(2)).unwrap(),
        };
        for (from, to) in same {
            assert!(accepts(change(), from, to), "{from} to {to}");
        }
        for (from, to) in differences {
            assert!(!accepts(change(), from, to), "{from} to {to}");
        }
    }
    assert!(!accepts(set(&document, &path, &Value::int(2)).unwrap(), "[2]", "[3]"), "the value itself");
    assert!(!accepts(unset(&document, &path).unwrap().unwrap(), "l: []", "l: [1]"), "the item itself");
}

#[test]
fn what_is_there_already_stays_as_it_is_written() {
    for (text, path, json) in [
        ("a: 0x10\n", r#"["a"]"#, "16"),
        ("a: 'x'\n", r#"["a"]"#, r#""x""#),
        ("a: {b: [1, 2]}\n", r#"["a"]"#, r#"{"b": [1, 2]}"#),
        ("a: &x 1\nb: *x\n", r#"["b"]"#, "1"),
    ] {
        sets(text, path, json, text);
    }
}

#[test]
fn a_collection_takes_the_place_of_a_scalar() {
    sets(
        "a: x # c\nb: 1\n",
        r#"["a"]"#,
        r#"{"k": "v", "l": [1, {"m": 2}], "e": {}}"#,
        "a: # c\n  k: v\n  l:\n    - 1\n    - m: 2\n  e: {}\nb: 1\n",
    );
    sets("m:\n    k: v\nl:\n- x\na: x\n", r#"["a"]"#, r#"{"k": [1]}"#, "m:\n    k: v\nl:\n- x\na:\n    k:\n    - 1\n");
    sets("a: &x x\nb: *x\n", r#"["a"]["k"]"#, r#""v""#, "a: &x\n  k: v\nb: x\n");
    sets("a: !!str x\n", r#"["a"]"#, "[1]", "a:\n  - 1\n");
    sets("a:\n  - x # c\n  - y\n", r#"["a"][0]"#, r#"{"k": 1, "l": 2}"#, "a:\n  - k: 1 # c\n    l: 2\n  - y\n");
    sets("a:\n", r#"["a"]["b"]["c"]"#, "1", "a:\n  b:\n    c: 1\n");
    sets("a: null # c\n", r#"["a"]["b"]"#, "1", "a: # c\n  b: 1\n");
    sets("a:\n  x\nb: 1\n", r#"["a"]"#, r#"{"k": 1}"#, "a:\n  k: 1\nb: 1\n");
    sets("a: |\n  x\n  y\n\nb: 1\n", r#"["a"]"#, r#"{"k": 1}"#, "a:\n  k: 1\n\nb: 1\n");
    sets("a: x", r#"["a"]["k"]"#, r#""y\nz\n""#, "a:\n  k: \"y\\nz\\n\"");
    sets("a:\n  -\n", r#"["a"][0]"#, r#"{"k": 1, "l": 2}"#, "a:\n  - k: 1\n    l: 2\n");
}

#[test]
fn a_scalar_takes_the_place_of_a_collection() {
    sets("a: # c\n  k: v\n  # foot\nb: 1\n", r#"["a"]"#, r#""x""#, "a: x # c\nb: 1\n");
    sets("a:\n- 1\n- 2\n# b's\nb: 1\n", r#"["a"]"#, "5", "a: 5\n# b's\nb: 1\n");
    sets("a:\n  - k: v\n    l: w\n  - y\n", r#"["a"][0]"#, r#""x""#, "a:\n  - x\n  - y\n");
    sets("a:\n  -\n    k: v\n  - y\n", r#"["a"][0]"#, r#""x""#, "a:\n  - x\n  - y\n");
    sets("a: &x\n  k: v\nb: *x\n", r#"["a"]"#, "1", "a: &x 1\nb:\n  k: v\n");
    sets("a: {k: v} # c\n", r#"["a"]"#, r#""x""#, "a: x # c\n");
    sets("a: [\n  1,\n  2\n] # c\nb: 1\n", r#"["a"]"#, r#""x\ny\n""#, "a: | # c\n  x\n  y\nb: 1\n");
    sets("a:\n  k: v\n\n\nb: 1\n", r#"["a"]"#, r#""x\ny\n""#, "a: |\n  x\n  y\n\n\nb: 1\n");
    sets("a:\n  k: |\n    v\n  l: [1,\n    2]\nb: 1\n", r#"["a"]"#, "{}", "a: {}\nb: 1\n");
}

#[test]
fn a_collection_takes_the_place_of_another() {
    sets("a: # c\n  k: v\nb: 1\n", r#"["a"]"#, "[1, 2]", "a: # c\n  - 1\n  - 2\nb: 1\n");
    sets("a: {k: v} # c\n", r#"["a"]"#, r#"{"l": [1, "x: y"]}"#, "a: {l: [1, 'x: y']} # c\n");
    sets("a: {} # c\n", r#"["a"]"#, r#"{"l": 1}"#, "a: # c\n  l: 1\n");
    sets("a:\n  - k: v\n  - y\n", r#"["a"][0]"#, r#"{"l": 1, "m": 2}"#, "a:\n  - l: 1\n    m: 2\n  - y\n");
    sets("a:\n  - - 1\n    - 2\n", r#"["a"][0]"#, "[3, 4]", "a:\n  - - 3\n    - 4\n");
}

#[test]
fn a_new_key_goes_to_the_end_of_its_mapping() {
    sets("a: 1\n", r#"["b"]"#, "2", "a: 1\nb: 2\n");
    sets("a: 1", r#"["b"]"#, "2", "a: 1\nb: 2");
    sets("a: 1\r\n", r#"["b"]"#, r#"{"c": 2}"#, "a: 1\r\nb:\r\n  c: 2\r\n");
    sets("a:\n  x: 1\n\n# about b\nb: 1\n", r#"["a"]["z"]"#, "2", "a:\n  x: 1\n  z: 2\n\n# about b\nb: 1\n");
    sets("a:\n  x: 1 # c\n  # y: 2\nb: 1\n", r#"["a"]["z"]"#, "2", "a:\n  x: 1 # c\n  # y: 2\n  z: 2\nb: 1\n");
    sets("a:\n    'x': \"1\"\n", r#"["a"]["y"]"#, r#""2""#, "a:\n    'x': \"1\"\n    'y': \"2\"\n");
    sets("a:\n- x: 1\n- y: 2\n", r#"["a"][0]["z"]"#, "3", "a:\n- x: 1\n  z: 3\n- y: 2\n");
    sets("a:\n  x: |\n    t\n\n\nb: 1\n", r#"["a"]["z"]"#, "2", "a:\n  x: |\n    t\n  z: 2\n\n\nb: 1\n");
    sets("a:\n  x: |+\n    t\n\n\nb: 1\n", r#"["a"]["z"]"#, "2", "a:\n  x: |+\n    t\n\n\n  z: 2\nb: 1\n");
    sets("a: |\n  t", r#"["b"]"#, "2", "a: |-\n  t\nb: 2");
    sets("a: 1\n---\nb: 1\n", r#"["c"]"#, "2", "a: 1\nc: 2\n---\nb: 1\n");
    sets("a: 1\n# the end\n...\n", r#"["c"]"#, "2", "a: 1\n# the end\nc: 2\n...\n");
    sets("a: {}\n", r#"["a"]["b"]"#, "2", "a:\n  b: 2\n");
    sets("{}\n", r#"["b"]"#, "2", "b: 2\n");
    sets("# c\n{}\n", r#"["b"]["c"]"#, "[2]", "# c\nb:\n  c:\n    - 2\n");
    sets("---\n", r#"["b"]"#, "2", "---\nb: 2\n");
    sets("--- ~ # c\n", r#"["b"]"#, "2", "---  # c\nb: 2\n");
    sets("~", r#"["b"]"#, "2", "\nb: 2\n");
    sets("a:\n  b:\n  c:\n", r#"["a"]["d"]"#, "2", "a:\n  b:\n  c:\n  d: 2\n");
    sets("a:\n  b: &x\nc: 1\n", r#"["a"]["d"]"#, "2", "a:\n  b: &x\n  d: 2\nc: 1\n");
}

#[test]
fn an_index_past_the_end_appends() {
    sets("a:\n- - x\n- y\nb: 1\n", r#"["a"][2]"#, r#""z""#, "a:\n- - x\n- y\n- z\nb: 1\n");
    sets("a:\n-\n  - x\n", r#"["a"][1]"#, r#""z""#, "a:\n-\n  - x\n- z\n");
    sets("a:\n- 1\n", r#"["a"][7]"#, r#""x""#, "a:\n- 1\n- x\n");
    sets("a:\n  -   1 # c\n\nb: 2\n", r#"["a"][1]"#, r#"{"k": 1, "l": 2}"#, "a:\n  -   1 # c\n  -   k: 1\n      l: 2\n\nb: 2\n");
    sets("a: []\n", r#"["a"][0]"#, "1", "a:\n  - 1\n");
    sets("a: [1, 2] # c\n", r#"["a"][2]["k"]"#, "1", "a: [1, 2, {k: 1}] # c\n");
    sets("a: [\n  1, # one\n  2 # two\n]\n", r#"["a"][2]"#, "3", "a: [\n  1, # one\n  2, # two\n  3\n]\n");
    sets("a: [\n  1,\n  2,\n]\n", r#"["a"][2]"#, "3", "a: [\n  1,\n  2,\n  3,\n]\n");
    sets("a: [1,2]\n", r#"["a"][2]"#, "3", "a: [1,2,3]\n");
    sets("a:\n  - - 1\n  - 2\n", r#"["a"][0][1]"#, "3", "a:\n  - - 1\n    - 3\n  - 2\n");
    sets("a: 1\n", r#"["b"][3]["c"]"#, "3", "a: 1\nb:\n  - c: 3\n");
}

#[test]
fn json_keeps_its_layout() {
    sets("{\n  \"a\": 1\n}\n", r#"["b"]"#, r#"{"c": [1]}"#, "{\n  \"a\": 1,\n  \"b\": {\n    \"c\": [\n      1\n    ]\n  }\n}\n");
    sets("{\n\t\"a\": {}\n}\n", r#"["a"]["b"]"#, "2", "{\n\t\"a\": {\n\t\t\"b\": 2\n\t}\n}\n");
    sets(r#"{"a":1}"#, r#"["b"]"#, r#"["<x>", 2]"#, r#"{"a":1,"b":["<x>",2]}"#);
    sets(r#"{"a": [1, 2]}"#, r#"["a"][5]"#, "3.0", r#"{"a": [1, 2, 3.0]}"#);
    sets("{\"a\": \"x\" }", r#"["a"]"#, r#""y\n""#, "{\"a\": \"y\\n\" }");
    sets("{\n  \"a\": {\n    \"b\": 1\n  },\n  \"c\": 2\n}", r#"["a"]"#, "null", "{\n  \"a\": null,\n  \"c\": 2\n}");
    unsets("{\n  \"a\": 1,\n  \"b\": 2\n}\n", r#"["b"]"#, "{\n  \"a\": 1\n}\n");
    unsets("{\n  \"a\": 1,\n  \"b\": 2\n}\n", r#"["a"]"#, "{\n  \"b\": 2\n}\n");
    unsets(r#"{"a": 1, "b": [1, 2, 3]}"#, r#"["b"][1]"#, r#"{"a": 1, "b": [1, 3]}"#);
    unsets(r#"{"a": 1, "b": [1, 2, 3]}"#, r#"["a"]"#, r#"{"b": [1, 2, 3]}"#);
    unsets("{\n  \"a\": 1\n}\n", r#"["a"]"#, "{}\n");
}

#[test]
fn an_entry_is_taken_out_with_its_line() {
    unsets("a: 1 # c\nb: 2\n", r#"["a"]"#, "b: 2\n");
    unsets("# head\na: 1\nb: 2\n", r#"["a"]"#, "# head\nb: 2\n");
    unsets("a: 1\nb: 2", r#"["b"]"#, "a: 1");
    unsets("a: 1\nb:\n  c: 1\n  # foot\n\nd: 2\n", r#"["b"]"#, "a: 1\n\nd: 2\n");
    unsets("a: 1\n\nb: 2\n\nc: 3\n", r#"["b"]"#, "a: 1\n\nc: 3\n");
    unsets("a: |\n  x\nb: 1", r#"["b"]"#, "a: |\n  x\n");
    unsets("a: |+\n  x\nb: 1\n\n\nc: 1\n", r#"["b"]"#, "a: |+\n  x\nc: 1\n");
    unsets("a:\n- x\n- y # c\n- z\n", r#"["a"][1]"#, "a:\n- x\n- z\n");
    unsets("a:\n  - k: 1\n    l: 2\n  - y\n", r#"["a"][0]["k"]"#, "a:\n  - l: 2\n  - y\n");
    unsets("a:\n  - k: 1\n    # l's\n    l: 2\n", r#"["a"][0]["k"]"#, "a:\n  - # l's\n    l: 2\n");
    unsets("a:\n  - - 1\n    - 2\n", r#"["a"][0][0]"#, "a:\n  - - 2\n");
    unsets("a:\n  -\n    k: 1\n  - 2\n", r#"["a"][0]"#, "a:\n  - 2\n");
    unsets("? a\n: 1\nb: 2\n", r#"["a"]"#, "b: 2\n");
    unsets("a: {k: 1, l: 2, m: 3} # c\n", r#"["a"]["l"]"#, "a: {k: 1, m: 3} # c\n");
    unsets("a: [\n  1, # one\n  2 # two\n]\n", r#"["a"][1]"#, "a: [\n  1 # one\n]\n");
    unsets("a: [\n  1, # one\n  2 # two\n]\n", r#"["a"][0]"#, "a: [\n  2 # two\n]\n");
    unsets("&x a: 1\nb: 2\n", r#"["a"]"#, "b: 2\n");
    unsets("a: &x 1\nb: *x\nc: *x\n", r#"["a"]"#, "b: 1\nc: 1\n");
}

#[test]
fn what_becomes_empty_is_written_as_empty() {
    unsets("a:\n  b: 1 # c\nd: 2\n", r#"["a"]["b"]"#, "a: {}\nd: 2\n");
    unsets("a: # c\n  # head\n  b: 1\n", r#"["a"]["b"]"#, "a: {} # c\n");
    unsets("a:\n- b: 1\n", r#"["a"][0]["b"]"#, "a:\n- {}\n");
    unsets("a:\n- 1\nb: 2\n", r#"["a"][0]"#, "a: []\nb: 2\n");
    unsets("a: 1\n", r#"["a"]"#, "{}\n");
    unsets("# c\na: 1\n# d\n---\nb: 2\n", r#"["a"]"#, "# c\n{}\n# d\n---\nb: 2\n");
    unsets("a: {b: 1}\n", r#"["a"]["b"]"#, "a: {}\n");
}

#[test]
fn an_alias_stands_for_a_copy() {
    sets("a: &x {k: 1}\nb: *x\nc: *x\n", r#"["b"]["l"]"#, "2", "a: &x {k: 1}\nb:\n  k: 1\n  l: 2\nc: *x\n");
    sets("a: &x\n  k: &y 1\nb: *x\nc: *y\n", r#"["a"]["k"]"#, "2", "a: &x\n  k: &y 2\nb:\n  k: 1\nc: 1\n");
    sets("a: &x\n  k: 1\nb:\n  <<: *x\n  l: 2\n", r#"["a"]["m"]"#, "3", "a: &x\n  k: 1\n  m: 3\nb:\n  <<:\n    k: 1\n  l: 2\n");
    unsets("a: &x {k: 1, l: 2}\nb: [*x]\n", r#"["b"][0]["k"]"#, "a: &x {k: 1, l: 2}\nb: [{l: 2}]\n");
    unsets("a: &x {k: 1}\nb: *x\n", r#"["b"]"#, "a: &x {k: 1}\n");
    let error = after_set("a: &x k\n*x : 1\n", r#"["a"]"#, "2").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Generic);
}

#[test]
fn indexes_that_dont_fit_are_refused() {
    let code = |text: &str, path: &str| after_set(text, path, "1").unwrap_err().kind.exit_code();
    for path in ["", r#"["l"][-1]"#, r#"["l"]["k"]"#, r#"["m"][0]"#, "[0]"] {
        assert_eq!(code("l: [1]\nm: {a: 1}\n", path), 7, "{path}");
    }
    assert_eq!(code("a: 1\n", r#"["sops"]"#), 203);
    assert_eq!(after_unset("a: 1\n", r#"["b"]"#).unwrap(), None);
    assert_eq!(after_unset("a: [1]\n", r#"["a"][1]"#).unwrap(), None);
    assert_eq!(after_unset("a: {b: 1}\n", r#"["a"][0]"#).unwrap(), None);
    assert_eq!(after_unset("a: 1\n", r#"["a"]["b"]"#).unwrap_err().kind.exit_code(), 1);
    assert_eq!(after_unset("a: [1]\n", r#"["a"]["b"]"#).unwrap_err().kind.exit_code(), 7);
}
