//! Dotenv, INI and binary files on the command line, and every way from one format to another.

mod sandbox;

use sandbox::{RECIPIENT_1, Sandbox};

const INI: &str = "; top\nk=v\n[s] ; beside\n; above\n a = \"x y\" ; c\nb: two\\\n  lines\n[t]\n;end";
const DOTENV: &str = "# c\nA=1\n\nexport B='x' \nC=a\\nb\nA=2";

fn sealed(sandbox: &Sandbox, name: &str, plain: &[u8]) -> String {
    sandbox.write(name, plain);
    let text = sandbox.kveil(["encrypt", "--age", RECIPIENT_1, name]).run().text();
    sandbox.write(name, &text);
    text
}

#[test]
fn lines_without_values_stay_and_the_bytes_come_back() {
    let sandbox = Sandbox::with_identity();
    let text = sealed(&sandbox, "a.ini", INI.as_bytes());
    for line in ["[s] ; ;", "[t]"] {
        assert!(text.lines().any(|other| other == line), "{text}");
    }
    assert!(text.contains("\n a = \"ENC["), "{text}");
    for word in ["top", "beside", "above", "x y", "two", "lines", "end"] {
        assert!(!text.split("\n[sops]").next().unwrap().contains(word), "{word}: {text}");
    }
    assert_eq!(sandbox.kveil(["decrypt", "a.ini"]).run().text(), INI);
    let text = sealed(&sandbox, "b.env", DOTENV.as_bytes());
    assert!(text.starts_with("#ENC[") && text.contains("\n\nexport B=ENC["), "{text}");
    assert_eq!(sandbox.kveil(["decrypt", "b.env"]).run().text(), DOTENV);
}

#[test]
fn a_file_of_any_bytes_is_one_value_and_no_rule_counts_in_it() {
    let sandbox = Sandbox::with_identity();
    for plain in [&b"\0\xff\xfe\n"[..], b"", b"text\n", b"{\"sops\": {}}", "\u{10FFFE}".as_bytes()] {
        sandbox.write("notes.txt", plain);
        let call = ["encrypt", "--age", RECIPIENT_1, "--encrypted-regex", "^nothing$", "notes.txt"];
        let text = sandbox.sops(call).run().text();
        assert!(text.starts_with("{\n\t\"data\": \"") && !text.contains("suffix") && !text.contains("regex"), "{text}");
        sandbox.write("e.txt", &text);
        assert_eq!(sandbox.kveil(["decrypt", "e.txt"]).run().ok(), plain);
        assert_eq!(sandbox.kveil(["decrypt", "--extract", "[\"data\"]", "e.txt"]).run().ok(), plain);
    }
}

/// Genuine sops writes both, and can't decrypt the YAML it wrote.
#[test]
fn a_key_that_stands_twice_has_no_place_in_another_format() {
    let sandbox = Sandbox::with_identity();
    sandbox.write("a.env", "A=hunter2-one\nB=2\nA=hunter2-two\n");
    for format in ["yaml", "json"] {
        let call = ["encrypt", "--age", RECIPIENT_1, "--output-type", format, "a.env"];
        let refusal = sandbox.kveil(call).run().refused(2);
        assert!(refusal.contains("a.env: this key stands twice") && refusal.contains("(at A)"), "{refusal}");
        assert!(refusal.contains("keep its own format") && !refusal.contains("hunter2"), "{refusal}");
    }
    if let Some(genuine) = sandbox.genuine(["encrypt", "--age", RECIPIENT_1, "--output-type", "yaml", "a.env"]) {
        sandbox.write("theirs.yaml", genuine.run().ok());
        assert_ne!(sandbox.genuine(["decrypt", "theirs.yaml"]).unwrap().run().code, 0);
    }
}

#[test]
fn what_is_encrypted_already_is_known_by_its_metadata() {
    let sandbox = Sandbox::with_identity();
    for (name, plain) in [("a.ini", INI.as_bytes()), ("b.env", DOTENV.as_bytes()), ("c.yaml", b"a: b\n"), ("d.json", b"{\"a\":1}")] {
        let text = sealed(&sandbox, name, plain);
        sandbox.write("unnamed", &text);
        sandbox.kveil(["encrypt", "--age", RECIPIENT_1, "unnamed"]).run().refused(203);
        assert_eq!(sandbox.kveil(["decrypt", "unnamed"]).run().ok(), plain);
    }
    for (name, plain) in [("r.env", "sops_x=1\n"), ("r.ini", "[sops]\na=b\n")] {
        sandbox.write(name, plain);
        sandbox.kveil(["encrypt", "--age", RECIPIENT_1, name]).run().refused(203);
    }
}

/// Both programs print the same of one encrypted file.
#[test]
fn every_format_is_printed_as_sops_prints_it() {
    if sandbox::tool("sops").is_none() {
        return;
    }
    let sandbox = Sandbox::with_identity();
    let files: [(&str, &[u8]); 5] = [
        ("a.yaml", b"# c\nA: 1\nB: \"x\\ny\"\nC: true # in\nD: 1.0\nE: 1e21\nF: 2020-01-01\nG: null\nH: \"a\\\\nb\"\n"),
        ("b.yaml", b"s:\n  a: 1\n  b: x;y\n  c: true\nt: {}\n"),
        ("c.env", b"# c\nA=1\nB=x\\ny\n"),
        ("d.ini", b"k=v\n[s]\n; c\na = b\nd=e ; f\n"),
        ("e.txt", b"hello\n"),
    ];
    for (name, plain) in files {
        let named = ["encrypt", "--age", RECIPIENT_1, "--filename-override", name];
        let text = sandbox.genuine(named).unwrap().stdin(plain).run().text();
        sandbox.write(name, &text);
        // In its own format a file comes back in its own layout.
        for format in ["yaml", "json", "dotenv", "ini", "binary"].into_iter().filter(|format| !format.ends_with(&name[2..])) {
            let call = ["decrypt", "--output-type", format, name];
            let (ours, theirs) = (sandbox.sops(call).run(), sandbox.genuine(call).unwrap().run());
            assert_eq!((ours.code, sandbox::shown(&ours.out)), (theirs.code, sandbox::shown(&theirs.out)), "{name} as {format}");
        }
    }
}

#[test]
fn converted_values_keep_what_the_other_format_has_no_form_for() {
    let sandbox = Sandbox::with_identity();
    sandbox.write("a.yaml", "A: 1\nB: \"a\\\\nb\"\nC: 1.5\nD: true\n");
    let text = sandbox.kveil(["encrypt", "--age", RECIPIENT_1, "--output-type", "dotenv", "a.yaml"]).run().text();
    sandbox.write("a.env", text);
    assert_eq!(sandbox.kveil(["decrypt", "a.env"]).run().text(), "A=1\nB=a\\nb\nC=1.5\nD=true\n");
    let json = sandbox.kveil(["decrypt", "--output-type", "json", "--indent", "0", "a.env"]).run().text();
    assert_eq!(json, "{\n\"A\": 1,\n\"B\": \"a\\\\nb\",\n\"C\": 1.5,\n\"D\": true\n}\n");
}

#[test]
fn what_a_format_has_no_form_for_is_refused() {
    let sandbox = Sandbox::with_identity();
    sealed(&sandbox, "a.yaml", b"a: [1]\nb: x\n");
    for format in ["dotenv", "ini", "binary"] {
        sandbox.kveil(["decrypt", "--output-type", format, "a.yaml"]).run().refused(4);
    }
}

#[test]
fn single_keys_are_set_and_unset_in_their_lines() {
    let sandbox = Sandbox::with_identity();
    sealed(&sandbox, "a.ini", INI.as_bytes());
    for (path, value) in [("[\"s\"][\"a\"]", "\"n;w\""), ("[\"s\"][\"new\"]", "5"), ("[\"u\"][\"k\"]", "true")] {
        sandbox.kveil(["set", "a.ini", path, value]).run().ok();
    }
    sandbox.kveil(["unset", "a.ini", "[\"DEFAULT\"][\"k\"]"]).run().ok();
    let wanted = "; top\n[s] ; beside\n; above\n a = `n;w` ; c\nb: two\\\n  lines\nnew: 5\n[t]\n;end\n\n[u]\nk = true";
    assert_eq!(sandbox.kveil(["decrypt", "a.ini"]).run().text(), wanted);
    sealed(&sandbox, "b.env", DOTENV.as_bytes());
    sandbox.kveil(["set", "b.env", "[\"N\"]", "\"x\\ny\""]).run().ok();
    sandbox.kveil(["unset", "b.env", "[\"C\"]"]).run().ok();
    assert_eq!(sandbox.kveil(["decrypt", "b.env"]).run().text(), "# c\nA=1\n\nexport B='x' \nA=2\nN=x\\ny");
    sandbox.kveil(["set", "b.env", "[\"N\"]", "[1]"]).run().refused(4);
}
