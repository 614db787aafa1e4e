//! `set`, `unset` and `view`: one value of an encrypted file, the rest of it byte for byte; the values those of genuine sops.

mod generate;
mod sandbox;

use kveil::document::index_path::{self, Index};
use kveil::document::value::Value;
use kveil::document::yaml::Yaml;
use kveil::document::{Document, Format, Kind, NodeId};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use sandbox::{RECIPIENT_1, Sandbox, shown};

const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: database   # in clear\ndata:\n  # rotated in spring\n  password: 'aHVudGVyMg=='\n  cert: |\n    LS0tLS1C\n    RUdJTgpY\n  raw: /wA=\nstringData:\n  user: admin-of-all # why\n";
const VALUES: &str = "name: web # c\nport: 8080\nlist:\n- one\n- two\n\n# the database\ndb: {user: \"x\", password: 'y'}\nempty: {}\n";

/// A sandbox with an identity, `secret.yaml` and `values.yaml`, both encrypted.
fn ready() -> Sandbox {
    let sandbox = Sandbox::with_identity();
    for (name, text) in [("secret.yaml", SECRET), ("values.yaml", VALUES), ("clear.yaml", VALUES)] {
        sandbox.write(name, text);
        if name != "clear.yaml" {
            sandbox.kveil(["encrypt", "-i", "--age", RECIPIENT_1, name]).run().ok();
        }
    }
    sandbox
}

fn plain(sandbox: &Sandbox, name: &str) -> String {
    sandbox.kveil(["decrypt", name]).run().text()
}

fn differing(a: &[u8], b: &[u8]) -> usize {
    let (a, b) = (String::from_utf8_lossy(a), String::from_utf8_lossy(b));
    b.lines().filter(|line| !a.lines().any(|other| other == *line)).count()
}

#[test]
fn one_value_is_one_changed_line() {
    let sandbox = ready();
    let before = sandbox.read("values.yaml");
    sandbox.kveil(["set", "values.yaml", r#"["db"]["password"]"#, r#""z""#]).run().ok();
    assert_eq!(plain(&sandbox, "values.yaml"), VALUES.replace("'y'", "'z'"));
    // The flow mapping's line, mac and, unless it is the same second, lastmodified.
    assert!((2..=3).contains(&differing(&before, &sandbox.read("values.yaml"))));
    sandbox.kveil(["set", "values.yaml", "list[2]", r#""three""#]).run().ok();
    sandbox.kveil(["set", "values.yaml", "port", "9090"]).run().ok();
    sandbox.kveil(["set", "values.yaml", "new", r#"{"a": [1, "b"]}"#]).run().ok();
    sandbox.kveil(["unset", "values.yaml", "name"]).run().ok();
    let wanted = "port: 9090\nlist:\n- one\n- two\n- three\n\n# the database\ndb: {user: \"x\", password: 'z'}\nempty: {}\nnew:\n  a:\n  - 1\n  - b\n";
    assert_eq!(plain(&sandbox, "values.yaml"), wanted);
    sandbox.genuine(["decrypt", "values.yaml"]).into_iter().for_each(|call| assert!(call.run().text().contains("three")));
}

/// The layout of the block was put back into brackets.
#[test]
fn the_last_entry_may_go_and_another_come() {
    let sandbox = ready();
    sandbox.write("one.yaml", "a: 1\n# end\n");
    let encrypt = ["encrypt", "--age", RECIPIENT_1, "one.yaml"];
    for call in [Some(sandbox.kveil(encrypt)), sandbox.genuine(encrypt)].into_iter().flatten() {
        let sealed = call.run().ok();
        sandbox.write("sealed.yaml", sealed);
        sandbox.sops(["unset", "sealed.yaml", r#"["a"]"#]).run().ok();
        assert_eq!(plain(&sandbox, "sealed.yaml"), "{}\n# end\n");
        sandbox.sops(["set", "sealed.yaml", r#"["b"]"#, "2"]).run().ok();
        assert_eq!(plain(&sandbox, "sealed.yaml"), "b: 2\n# end\n");
    }
}

#[test]
fn what_is_there_already_leaves_the_file_alone() {
    let sandbox = ready();
    let before = [sandbox.read("values.yaml"), sandbox.read("secret.yaml")];
    for flags in [&["--idempotent"][..], &[]] {
        sandbox.kveil(["set"]).args(flags).args(["values.yaml", "port", "8080"]).run().ok();
        sandbox.sops(["set"]).args(flags).args(["values.yaml", r#"["db"]"#, r#"{"user": "x", "password": "y"}"#]).run().ok();
        sandbox.kveil(["set"]).args(flags).args(["secret.yaml", "data.cert", "-----BEGIN\nX"]).run().ok();
    }
    sandbox.kveil(["unset", "--idempotent", "values.yaml", "nothing"]).run().ok();
    assert!(before == [sandbox.read("values.yaml"), sandbox.read("secret.yaml")]);
}

/// Genuine sops writes `<nil>`, which it can't decrypt.
#[test]
fn a_null_has_no_place_where_all_is_text() {
    let sandbox = Sandbox::with_identity();
    for (name, text, index) in [("a.env", "A=one\n", "[\"A\"]"), ("a.ini", "[s]\na=one\n", "[\"s\"][\"a\"]")] {
        sandbox.write(name, text);
        sandbox.kveil(["encrypt", "-i", "--age", RECIPIENT_1, name]).run().ok();
        let before = sandbox.read(name);
        assert!(sandbox.sops(["set", name, index, "null"]).run().refused(4).contains("a null has no form"));
        assert_eq!(sandbox.read(name), before);
        if let Some(genuine) = sandbox.genuine(["set", name, index, "null"]) {
            genuine.run().ok();
            assert_ne!(sandbox.genuine(["decrypt", name]).unwrap().run().code, 0);
        }
    }
}

/// A comment has no key, and so none that is empty.
#[test]
fn a_comment_is_no_part_to_extract() {
    let sandbox = Sandbox::with_identity();
    for (name, text) in [("a.yaml", "# remark\na: 1\n"), ("a.env", "# remark\nA=1\n")] {
        sandbox.write(name, text);
        sandbox.kveil(["encrypt", "-i", "--age", RECIPIENT_1, name]).run().ok();
        let arguments = ["decrypt", "--extract", "[\"\"]", name];
        assert!(!sandbox.sops(arguments).run().refused(1).contains("remark"));
        sandbox.genuine(arguments).into_iter().for_each(|call| assert_eq!(call.run().code, 1));
    }
}

#[test]
fn bytes_that_are_no_text_lose_no_line_break() {
    let sandbox = ready();
    for (bytes, base64) in [(&b"\xff\n"[..], "/wo="), (b"a\0\n", "YQAK"), (b"a\n", "YQ==")] {
        sandbox.kveil(["set", "--value-stdin", "secret.yaml", "data.raw"]).stdin(bytes).run().ok();
        assert_eq!(plain(&sandbox, "secret.yaml"), SECRET.replace("/wA=", base64));
    }
}

/// The comment above an entry stays when the entry goes, and then is that of the next one.
#[test]
fn nothing_comes_into_clear_unseen() {
    let sandbox = Sandbox::with_identity();
    sandbox.write("p.yaml", "# plain\na: public\npw: hunter2-hunter2\nlist:\n- item-one\n- item-two\n# plain\n- item-three\n");
    let sealed = sandbox.kveil(["encrypt", "--age", RECIPIENT_1, "--unencrypted-comment-regex", "plain", "p.yaml"]).run().ok();
    sandbox.write("e.yaml", &sealed);
    for call in [sandbox.kveil(["unset", "e.yaml", "a"]), sandbox.kveil(["set", "e.yaml", "a", r#""hunter2-hunter2""#])] {
        let reason = call.run().refused(1);
        assert!(reason.contains("would come into clear") && !reason.contains("hunter2"), "{reason}");
        assert_eq!(sandbox.read("e.yaml"), sealed);
    }
    sandbox.kveil(["unset", "e.yaml", "list[0]"]).run().ok();
    sandbox.kveil(["unset", "--allow-clear", "e.yaml", "a"]).run().ok();
    assert!(String::from_utf8(sandbox.read("e.yaml")).unwrap().contains("pw: hunter2-hunter2"));
    // Genuine sops asks nothing.
    sandbox.write("e.yaml", &sealed);
    sandbox.sops(["set", "e.yaml", r#"["a"]"#, r#""hunter2-hunter2""#]).run().ok();
}

#[test]
fn data_of_a_secret_takes_plain_text() {
    let sandbox = ready();
    let set = |args: &[&str], stdin: &str| sandbox.kveil(["set"]).args(args).stdin(stdin).run();
    set(&["--value-stdin", "secret.yaml", "data.password"], "correct horse\n").ok();
    set(&["--value-stdin", "secret.yaml", "data.tls.key"], "a\nb\n").ok();
    set(&["secret.yaml", r#"["stringData"]["token"]"#, "5"], "").ok();
    set(&["--raw", "secret.yaml", "data.raw", "AAE="], "").ok();
    sandbox.write("value.bin", b"\xff\xfe\n");
    set(&["--value-file", "secret.yaml", "data.file", "value.bin"], "").ok();
    let wanted = SECRET
        .replace("'aHVudGVyMg=='", "'Y29ycmVjdCBob3JzZQ=='")
        .replace("  raw: /wA=\n", "  raw: AAE=\n  tls.key: YQpiCg==\n  file: //4K\n")
        + "  token: \"5\"\n";
    assert_eq!(plain(&sandbox, "secret.yaml"), wanted);
    assert!(set(&["secret.yaml", "data.x", "aHVudGVyMg=="], "").err.contains("--raw"));
    assert!(set(&["secret.yaml", "data.y", "\"quoted\""], "").err.contains("quotes"));
    assert_eq!(sandbox.kveil(["view", "--key", "y", "secret.yaml"]).run().text(), "\"quoted\"");
    set(&["--raw", "secret.yaml", "data.x", "no base64"], "").refused(7);
    set(&["--raw", "secret.yaml", "stringData.x", "YWJj"], "").refused(8);
    set(&["--raw", "secret.yaml", "metadata.name", "\"x\""], "").refused(8);
    // Under the name sops it is JSON everywhere, and base64 is the caller's.
    sandbox.sops(["set", "secret.yaml", r#"["data"]["password"]"#, "text"]).run().refused(7);
    sandbox.sops(["set", "secret.yaml", r#"["data"]["password"]"#, "\"YWJj\""]).run().ok();
    assert!(plain(&sandbox, "secret.yaml").contains("password: 'YWJj'\n"));
    sandbox.kveil(["set", "secret.yaml", "data", r#"{"a": "text"}"#]).run().ok();
    assert!(plain(&sandbox, "secret.yaml").contains("\ndata:\n  a: dGV4dA==\nstringData:\n"));
}

#[test]
fn a_view_shows_data_as_text() {
    let sandbox = ready();
    let wanted = SECRET
        .replace("'aHVudGVyMg=='", "hunter2")
        .replace("|\n    LS0tLS1C\n    RUdJTgpY", "|-\n    -----BEGIN\n    X")
        .replace("/wA=", "!!binary /wA=");
    assert_eq!(sandbox.kveil(["view", "secret.yaml"]).run().text(), wanted);
    for (key, value) in [
        ("password", &b"hunter2"[..]),
        ("data.cert", b"-----BEGIN\nX"),
        ("raw", b"\xff\0"),
        ("user", b"admin-of-all"),
        (r#"["metadata"]["name"]"#, b"database"),
        ("metadata", b"name: database\n"),
    ] {
        assert_eq!(sandbox.kveil(["view", "-k", key, "secret.yaml"]).run().ok(), value, "{key}");
    }
    sandbox.kveil(["view", "-k", "data.nothing", "secret.yaml"]).run().refused(1);
    assert_eq!(sandbox.kveil(["view", "values.yaml"]).run().text(), VALUES);
    assert_eq!(sandbox.kveil(["view", "-"]).stdin(sandbox.read("secret.yaml")).run().text(), wanted);
}

#[test]
fn refusals_have_the_codes_of_sops_and_leave_the_file_alone() {
    let sandbox = ready();
    let before = sandbox.read("values.yaml");
    let cases: [(&[&str], i32); 24] = [
        (&["set", "missing.yaml", r#"["a"]"#, "1"], 2),
        (&["set", "missing.yaml", r#"["a"]"#, "secret-word"], if cfg!(windows) { 2 } else { 7 }),
        (&["set", "missing.yaml", "[a]", "1"], 7),
        (&["set", "values.yaml", "[a]", "1"], 7),
        (&["set", "values.yaml", "", "1"], 7),
        (&["set", "values.yaml", r#"["a"]"#, "secret-word"], 7),
        (&["set", "values.yaml", r#"["a"]"#, ""], 7),
        (&["set", "values.yaml", r#"["a"]"#, "1e999"], 7),
        (&["set", "values.yaml", r#"["list"][-1]"#, "1"], 7),
        (&["set", "values.yaml", r#"["list"]["a"]"#, "1"], 7),
        (&["set", "values.yaml", r#"["db"][0]"#, "1"], 7),
        (&["set", "values.yaml", r#"["sops"]"#, "1"], 203),
        (&["set", "clear.yaml", r#"["a"]"#, "1"], 1),
        (&["set", "values.yaml"], 100),
        (&["set"], 100),
        (&["set", "values.yaml", r#"["a"]"#], 100),
        (&["set", "--value-stdin", "values.yaml", r#"["a"]"#, "1"], 100),
        (&["set", "--value-stdin", "--value-file", "values.yaml", r#"["a"]"#, "1"], 1),
        (&["set", "--value-file", "values.yaml", r#"["a"]"#, "missing.json"], 1),
        (&["unset", "missing.yaml", r#"["a"]"#], 2),
        (&["unset", "values.yaml", "[a]"], 7),
        (&["unset", "values.yaml", r#"["a"]"#], 1),
        (&["unset", "--idempotent", "values.yaml", r#"["port"]["a"]"#], 1),
        (&["unset", "values.yaml"], 100),
    ];
    for (line, code) in cases {
        for (name, call) in [("kveil", sandbox.kveil(line)), ("sops", sandbox.sops(line))] {
            // Where a value means plain text in a Secret, kveil has to read the file first.
            let code = if name == "kveil" && line.contains(&"missing.yaml") && line.contains(&"secret-word") { 2 } else { code };
            let done = call.run();
            if let Some(fault) = done.refusal_fault(Some(code)) {
                panic!("{name} {line:?}: {fault}");
            }
            assert!(!done.err.contains("secret-word"), "{name} {line:?} says a value: {}", done.err);
        }
    }
    sandbox.sops(["set", "values.yaml", r#"["list"]"#, "[1]"]).run().refused(7);
    sandbox.kveil(["set", "-", "a", "1"]).run().refused(8);
    sandbox.kveil(["set", "--output-type", "json", "values.yaml", "port", "1"]).run().refused(8);
    sandbox.kveil(["set", "values.yaml", "new.other", "1"]).run().refused(7);
    assert!(sandbox.kveil(["set", "values.yaml", "port"]).run().err.contains("--value-stdin"));
    assert!(before == sandbox.read("values.yaml"));
}

#[test]
fn negative_numbers_and_words_that_look_like_flags_are_values() {
    let sandbox = ready();
    sandbox.sops(["set", "values.yaml", r#"["port"]"#, "-5"]).run().ok();
    sandbox.kveil(["set", "secret.yaml", "stringData.user", "-not-a-flag"]).run().ok();
    // A flag with a typing error is no secret.
    sandbox.kveil(["set", "secret.yaml", "stringData.user", "--value-stdn"]).run().refused(1);
    assert!(plain(&sandbox, "values.yaml").contains("port: -5\n"));
    assert!(plain(&sandbox, "secret.yaml").contains("user: -not-a-flag # why\n"));
}

#[test]
fn under_the_name_sops_success_is_silent() {
    let sandbox = ready();
    for line in [
        r#"sops set values.yaml '["port"]' 5 2>&1"#,
        r#"sops set --idempotent values.yaml '["port"]' 5 2>&1"#,
        r#"echo '"x"' | sops set --value-stdin values.yaml '["name"]' 2>&1"#,
        r#"sops unset values.yaml '["port"]' 2>&1"#,
        r#"sops unset --idempotent values.yaml '["port"]' 2>&1"#,
    ] {
        assert_eq!(sandbox.shell(line).run().text(), "", "{line}");
    }
}

/// The paths of the first document at which genuine sops counts as people do: to it a comment in a list is an item.
fn paths(document: &Document<'_>) -> Vec<Vec<Index>> {
    fn walk(document: &Document<'_>, id: NodeId, path: &[Index], found: &mut Vec<Vec<Index>>) {
        let deeper = |step| [path, &[step]].concat();
        match document.node(id).kind {
            Kind::Mapping => {
                for (key, value) in document.entries(id).filter(|(key, _)| !document.key_text(*key).contains(['[', '"'])) {
                    let path = deeper(Index::Key(document.key_text(key).to_owned()));
                    walk(document, value, &path, found);
                    found.push(path);
                }
                found.push(deeper(Index::Key("new-key".to_owned())));
            }
            Kind::Sequence
                if !document
                    .comments
                    .iter()
                    .any(|comment| comment.container == id || comment.element > id && comment.element < document.node(id).end) =>
            {
                for (at, item) in document.children(id).enumerate() {
                    walk(document, item, &deeper(Index::Item(at as i64)), found);
                    found.push(deeper(Index::Item(at as i64)));
                }
                found.push(deeper(Index::Item(77)));
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(document, document.parts[0].root, &[], &mut found);
    found
}

fn values(yaml: &[u8]) -> Option<Vec<Value>> {
    let text = std::str::from_utf8(yaml).ok()?;
    let document = Yaml.parse(text).ok()?;
    document.parts.iter().map(|part| Value::of(&document, part.root).ok().map(without_empty_items)).collect()
}

/// Genuine sops makes an item of an empty comment in a list; kveil keeps it in the record.
fn without_empty_items(value: Value) -> Value {
    match &value {
        Value::Map(entries) => Value::Map(entries.iter().map(|(key, value)| (key.clone(), without_empty_items(value.clone()))).collect()),
        Value::List(items) => {
            let empty = |item: &&Value| matches!(item, Value::Scalar(_, bytes) if bytes.is_empty());
            Value::List(items.iter().filter(|item| !empty(item)).cloned().map(without_empty_items).collect())
        }
        Value::Scalar(..) => value,
    }
}

/// Random operations on files made by genuine sops: what genuine sops reads afterwards is the same, whoever did it.
#[test]
fn values_are_those_of_genuine_sops() {
    let sandbox = Sandbox::with_identity();
    let Some(_) = sandbox.genuine(["--version"]) else { return };
    let wanted = std::env::var("PROPTEST_CASES").ok().and_then(|count| count.parse().ok());
    let config = Config { cases: wanted.unwrap_or(40), failure_persistence: None, max_shrink_iters: 60, ..Config::default() };
    let mut runner = match wanted {
        Some(_) => TestRunner::new(config),
        None => TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
    };
    let value = prop::sample::select(vec![
        "\"text\"",
        "\"5\"",
        "\"a\\nb\\n\"",
        "\"x: y\"",
        "\"\"",
        "5",
        "-1.5",
        "true",
        "null",
        "{}",
        r#"{"k": "v", "l": [1, {"m": null}], "e": {}}"#,
        r#"{"k": 2}"#,
    ]);
    let strategy = (generate::file(), any::<prop::sample::Index>(), prop::option::weighted(0.7, value));
    let tried = std::cell::Cell::new(0);
    let result = runner.run(&strategy, |(file, at, value)| {
        sandbox.write("p.yaml", file.bytes());
        let Some(encrypt) = sandbox.genuine(["encrypt", "--age", RECIPIENT_1, "p.yaml"]) else { return Ok(()) };
        let encrypted = encrypt.run();
        let opened = |name: &str| sandbox.genuine(["decrypt", name]).map(|call| call.run()).filter(|done| done.code == 0);
        sandbox.write("g.yaml", &encrypted.out);
        sandbox.write("k.yaml", &encrypted.out);
        // Values that genuine sops loses by itself are another matter.
        let Some(before) = opened("g.yaml").filter(|_| encrypted.code == 0) else { return Ok(()) };
        let Some(start) = values(&before.out) else { return Ok(()) };
        let text = String::from_utf8(before.out).unwrap();
        let document = Yaml.parse(&text).unwrap();
        if document.node(document.parts[0].root).kind != Kind::Mapping {
            return Ok(());
        }
        let path = at.get(&paths(&document)).clone();
        let index = index_path::shown(&path);
        let line = match value {
            Some(value) => vec!["set", "g.yaml", &index, value],
            None => vec!["unset", "g.yaml", &index],
        };
        let genuine = sandbox.genuine(&line).unwrap().run();
        let ours = sandbox.sops(line.iter().map(|word| if *word == "g.yaml" { "k.yaml" } else { word })).run();
        let report = |why: &str| {
            let ours = format!("{}\n{}", ours.err, opened("k.yaml").map(|done| shown(&done.out)).unwrap_or_default());
            let theirs = format!("{}\n{}", genuine.err, opened("g.yaml").map(|done| shown(&done.out)).unwrap_or_default());
            TestCaseError::fail(format!("{line:?}: {why}\n--- before\n{text}\n--- ours\n{ours}\n--- theirs\n{theirs}"))
        };
        if genuine.code != ours.code {
            return Err(report(&format!("{} and {}", genuine.code, ours.code)));
        }
        if genuine.code != 0 {
            return Ok(());
        }
        let (Some(theirs), Some(mine)) = (opened("g.yaml"), opened("k.yaml")) else {
            return if opened("k.yaml").is_none() { Err(report("genuine sops can't read ours")) } else { Ok(()) };
        };
        let (Some(theirs), Some(mine)) = (values(&theirs.out), values(&mine.out)) else { return Ok(()) };
        if theirs != mine {
            return Err(report("other values"));
        }
        // `set` and `unset` of genuine sops re-emit all of the file; ours leave the other lines.
        let after = sandbox.read("k.yaml");
        let count = differing(&encrypted.out, &after);
        let documents = start.len();
        if count > 2 * documents + 12 {
            return Err(report(&format!("{count} lines changed\n{}", shown(&after))));
        }
        tried.set(tried.get() + 1);
        Ok(())
    });
    println!("{} operations compared", tried.get());
    result.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(tried.get() > 15, "{} operations compared", tried.get());
}
