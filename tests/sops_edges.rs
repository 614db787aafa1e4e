//! Files and command lines of genuine sops at the edges of what people write: the same with both programs.
#![cfg(unix)]

mod sandbox;

use sandbox::{Call, Done, RECIPIENT_1, RECIPIENT_2, Sandbox};

/// A sandbox with the file `name`, as genuine sops encrypted `plain`.
fn genuine(name: &str, plain: &[u8]) -> Option<Sandbox> {
    let sandbox = Sandbox::with_identity();
    sandbox.write(name, plain);
    sandbox.genuine(["encrypt", "-i", "--age", RECIPIENT_1, name])?.run().ok();
    Some(sandbox)
}

/// Runs the same with genuine sops and under its name, each on the file as it is now; gives both, with the files they left.
fn both(sandbox: &Sandbox, name: &str, arguments: &[&str], stdin: &str) -> [(Done, Vec<u8>); 2] {
    let before = sandbox.read(name);
    [sandbox.genuine(arguments).expect("it encrypted the file"), sandbox.sops(arguments)].map(|call: Call| {
        sandbox.write(name, &before);
        let done = call.env("EDITOR", "true").stdin(stdin).run();
        let after = sandbox.read(name);
        sandbox.write(name, &before);
        (done, after)
    })
}

const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn values_that_are_not_utf8_come_out_as_they_are_and_are_never_replaced() {
    for (name, plain) in [("f.env", &b"#c\xe4\nA=\xe4\nB=1\n"[..]), ("f.ini", b"[s]\nA = \xe4\nB = 1\n"), ("f.bin", b"A=\xe4\nB=1\n")] {
        let Some(sandbox) = genuine(name, plain) else { return };
        for arguments in [&["decrypt", name][..], &["exec-file", name, "cat {}"]] {
            let [(theirs, _), (ours, _)] = both(&sandbox, name, arguments, "");
            assert_eq!((ours.code, &ours.out), (theirs.code, &theirs.out), "{arguments:?}");
            assert!(holds(&ours.out, b"\xe4") && !holds(&ours.out, REPLACEMENT));
        }
    }
    let Some(sandbox) = genuine("f.env", b"A=\xe4\nB=1\n") else { return };
    let same = [
        &["decrypt", "--extract", "[\"A\"]", "f.env"][..],
        &["exec-env", "f.env", "printf %s \"$A\""],
        &["decrypt", "--output-type", "json", "f.env"],
    ];
    for arguments in same {
        let [(theirs, _), (ours, _)] = both(&sandbox, "f.env", arguments, "");
        assert_eq!((ours.code, &ours.out), (theirs.code, &theirs.out), "{arguments:?}");
    }
    let sealed = sandbox.read("f.env");
    for arguments in [&["set", "f.env", "[\"B\"]", "\"2\""][..], &["unset", "f.env", "[\"B\"]"], &["rotate", "-i", "f.env"]] {
        for call in [sandbox.sops(arguments), sandbox.kveil(arguments)] {
            assert!(call.run().refused(2).contains("aren't UTF-8"));
            assert_eq!(sandbox.read("f.env"), sealed);
        }
    }
    let Some(sandbox) = genuine("f.bin", b"A=\xe4\n") else { return };
    let [(theirs, _), (ours, _)] = both(&sandbox, "f.bin", &["decrypt", "--output-type", "dotenv", "f.bin"], "");
    assert_eq!((ours.code, ours.out), (theirs.code, theirs.out));
}

#[test]
fn a_comment_that_is_not_utf8_is_no_yaml() {
    for (name, plain) in [("f.env", &b"#c\xe4\nB=1\n"[..]), ("f.ini", b"[s]\n; c\xe4\nB = 1\n")] {
        let Some(sandbox) = genuine(name, plain) else { return };
        let [(theirs, _), (ours, _)] = both(&sandbox, name, &["decrypt", "--output-type", "yaml", name], "");
        // Genuine sops panics.
        assert_ne!(theirs.code, 0);
        assert!(ours.refused(4).contains("a comment isn't UTF-8"));
        let [(theirs, _), (ours, _)] = both(&sandbox, name, &["decrypt", "--output-type", "json", name], "");
        assert_eq!((ours.code, ours.out), (theirs.code, theirs.out));
    }
}

const LIST: &str = "l:\n    # cm\n    - one\n    - two # beside\n    # before\n    - three\n";

#[test]
fn indexes_of_lists_mean_the_same_value_in_every_verb() {
    let Some(sandbox) = genuine("f.yaml", LIST.as_bytes()) else { return };
    let extracted = |call: Call| call.run().text();
    for (number, value) in [(1, "one"), (3, "two"), (5, "three")] {
        let index = format!("[\"l\"][{number}]");
        let [(theirs, _), (ours, _)] = both(&sandbox, "f.yaml", &["decrypt", "--extract", &index, "f.yaml"], "");
        assert_eq!((ours.out.as_slice(), theirs.out.as_slice()), (value.as_bytes(), value.as_bytes()));
        for change in [&["set", "f.yaml", &index, "\"new\""][..], &["unset", "f.yaml", &index]] {
            let before = sandbox.read("f.yaml");
            let lines = |after: Vec<u8>| {
                sandbox.write("f.yaml", &after);
                let text = sandbox.kveil(["decrypt", "f.yaml"]).run().text();
                sandbox.write("f.yaml", &before);
                text.lines().filter(|line| line.starts_with("    - ")).map(str::to_owned).collect::<Vec<_>>()
            };
            let [(_, theirs), (_, ours)] = both(&sandbox, "f.yaml", change, "").map(|(done, after)| (done.ok(), lines(after)));
            assert_eq!(ours, theirs, "{change:?}");
        }
    }
    // Of a comment, which genuine sops replaces by the value.
    sandbox.sops(["set", "f.yaml", "[\"l\"][0]", "\"new\""]).run().refused(7);
    sandbox.sops(["decrypt", "--extract", "[\"l\"][2]", "f.yaml"]).run().refused(1);
    // Under kveil's own name values count alone, whoever wrote the file.
    assert_eq!(extracted(sandbox.kveil(["decrypt", "--extract", "[\"l\"][1]", "f.yaml"])), "two");
    sandbox.kveil(["set", "f.yaml", "[\"l\"][1]", "\"new\""]).run().ok();
    assert_eq!(extracted(sandbox.kveil(["decrypt", "--extract", "[\"l\"][1]", "f.yaml"])), "new");
    sandbox.write("own.yaml", LIST);
    sandbox.kveil(["encrypt", "-i", "--age", RECIPIENT_1, "own.yaml"]).run().ok();
    let [(theirs, _), (ours, _)] = both(&sandbox, "own.yaml", &["decrypt", "--extract", "[\"l\"][3]", "own.yaml"], "");
    assert_eq!((ours.ok(), theirs.ok()), (b"two".to_vec(), b"two".to_vec()));
}

#[test]
fn an_output_is_never_the_input_in_a_directory() {
    let sandbox = Sandbox::with_identity();
    sandbox.write("p.yaml", "a: 1\n");
    let sealed = sandbox.kveil(["encrypt", "--age", RECIPIENT_1, "p.yaml"]).run().ok();
    sandbox.write("f.yaml", &sealed);
    for output in [".", "./", "../work"] {
        for arguments in [
            &["decrypt", "--output", output, "f.yaml"][..],
            &["rotate", "--output", output, "f.yaml"],
            &["encrypt", "--output", output, "--age", RECIPIENT_1, "p.yaml"],
        ] {
            assert!(sandbox.kveil(arguments).run().refused(8).contains("its own output"));
            sandbox.sops(arguments).run().refused(3);
            if let Some(genuine) = sandbox.genuine(arguments) {
                genuine.run().refused(3);
            }
        }
    }
    assert_eq!((sandbox.read("f.yaml"), sandbox.read("p.yaml")), (sealed, b"a: 1\n".to_vec()));
    assert_eq!(sandbox.sops(["decrypt", "--output", "", "f.yaml"]).run().text(), "a: 1\n");
}

#[test]
fn exec_env_prints_the_types_that_were_encrypted() {
    let Some(sandbox) = genuine("f.yaml", b"D: 1.0\nE: 1e3\nI: -0.0\nN: 5\nS: \"1.0\"\n") else { return };
    let [(theirs, _), (ours, _)] = both(&sandbox, "f.yaml", &["exec-env", "f.yaml", "echo $D $E $I $N $S"], "");
    assert_eq!((ours.out.as_slice(), theirs.out.as_slice()), (&b"1.0 1000.0 -0.0 5 1.0\n"[..], &b"1.0 1000.0 -0.0 5 1.0\n"[..]));
}

/// Code, whether the file changed, and whether the second recipient can read it.
fn outcome((done, after): &(Done, Vec<u8>), before: &[u8]) -> (i32, bool, bool) {
    (done.code, after != before, holds(after, RECIPIENT_2.as_bytes()))
}

#[test]
fn words_behind_the_file_count_as_in_genuine_sops() {
    let Some(sandbox) = genuine("f.yaml", b"a: 1\n") else { return };
    sandbox.write("c2.yaml", format!("creation_rules:\n- age: {RECIPIENT_1},{RECIPIENT_2}\n"));
    let before = sandbox.read("f.yaml");
    let lines = "rotate -i f.yaml --add-age R2|rotate f.yaml -i --add-age R2|rotate --add-age R2 f.yaml -i|rotate f.yaml -i --bogus\
        |rotate -i f.yaml --bogus|rotate -- f.yaml -i|rotate f.yaml -i x.yaml|updatekeys f.yaml -y --config c2.yaml\
        |updatekeys -y f.yaml --config c2.yaml|decrypt --config c2.yaml f.yaml|set f.yaml [\"a\"] 2 extra|set --idempotent f.yaml [\"a\"] 2 --ignore-mac\
        |unset f.yaml [\"a\"] extra|exec-env f.yaml true x|exec-file f.yaml true x|groups foo|groups add --age R2|groups delete 0\
        |groups delete -f f.yaml|help nosuch|completion nosuch|rotate -i --rm-pgp ABC f.yaml|rotate -i --rm-age junk f.yaml";
    for line in lines.split('|') {
        let arguments: Vec<&str> = line.split_whitespace().map(|word| if word == "R2" { RECIPIENT_2 } else { word }).collect();
        let [theirs, ours] = both(&sandbox, "f.yaml", &arguments, "");
        assert_eq!(outcome(&ours, &before), outcome(&theirs, &before), "{line}");
    }
    let [(theirs, _), (ours, _)] = both(&sandbox, "f.yaml", &["exec-env", "--background", "f.yaml", "true"], "");
    assert!(theirs.err.contains("deprecated") && ours.err.contains("deprecated"));
}

#[test]
fn updatekeys_takes_the_answers_that_genuine_sops_takes() {
    let Some(sandbox) = genuine("f.yaml", b"a: 1\n") else { return };
    let before = sandbox.read("f.yaml");
    sandbox.write(".sops.yaml", format!("creation_rules:\n- age: {RECIPIENT_1},{RECIPIENT_2}\n"));
    for answer in ["", "n\n", "y", "yes\n", "yes\ny\n", "Y\nn\n", "\ny\n"] {
        let [theirs, ours] = both(&sandbox, "f.yaml", &["updatekeys", "f.yaml"], answer);
        assert_eq!(outcome(&ours, &before), outcome(&theirs, &before), "{answer:?}");
        assert_eq!(ours.0.out, theirs.0.out, "{answer:?}");
    }
    let done = sandbox.kveil(["updatekeys", "f.yaml"]).run();
    assert!(done.code == 1 && done.err.contains("without an answer"), "{}", done.err);
    sandbox.write(".sops.yaml", format!("creation_rules:\n- age: {RECIPIENT_1},junk\n"));
    let [theirs, ours] = both(&sandbox, "f.yaml", &["updatekeys", "f.yaml"], "y\n");
    assert_eq!((outcome(&ours, &before), &ours.0.out), (outcome(&theirs, &before), &theirs.0.out));
}

#[test]
fn updatekeys_keeps_the_threshold_of_the_file_as_genuine_sops_does() {
    let Some(sandbox) = genuine("f.yaml", b"a: 1\n") else { return };
    let before = sandbox.read("f.yaml");
    let rule = |threshold| {
        let groups = [RECIPIENT_1, RECIPIENT_2].map(|recipient| format!("  - age: [{recipient}]\n")).concat();
        sandbox.write(".sops.yaml", format!("creation_rules:\n- shamir_threshold: {threshold}\n  key_groups:\n{groups}"));
    };
    for threshold in [0, 1, 2, 3] {
        rule(threshold);
        let [theirs, ours] = both(&sandbox, "f.yaml", &["updatekeys", "-y", "f.yaml"], "");
        assert_eq!((ours.0.code, &ours.0.out), (0, &theirs.0.out), "{threshold}");
        for file in [&ours.1, &theirs.1] {
            assert!(String::from_utf8_lossy(file).contains("shamir_threshold: 2\n"), "{threshold}");
        }
        // What is wrapped newly needs a threshold that can be.
        let [theirs, ours] = both(&sandbox, "f.yaml", &["encrypt", "--filename-override", "g.yaml", ".sops.yaml"], "");
        assert_eq!(ours.0.code, theirs.0.code, "{threshold}");
    }
    sandbox.write("f.yaml", &before);
    assert!(sandbox.kveil(["updatekeys", "-y", "f.yaml"]).run().refused(1).contains("shamir_threshold out of range"));
}

#[test]
fn set_and_unset_make_another_format_of_a_file_as_genuine_sops_does() {
    let Some(sandbox) = genuine("f.json", b"{\"a\":2,\"b\":\"ba\"}\n") else { return };
    let before = sandbox.read("f.json");
    let opened = |file: &[u8], format: &str| {
        sandbox.write("g", file);
        let call = sandbox.genuine(["decrypt", "--input-type", format, "--output-type", format, "g"]).expect("it encrypted the file");
        String::from_utf8(call.run().ok()).expect("text")
    };
    for format in ["yaml", "dotenv"] {
        for words in [&["set", "f.json", "[\"b\"]", "\"z\""][..], &["set", "f.json", "[\"b\"]", "\"ba\""], &["unset", "f.json", "[\"a\"]"]]
        {
            let arguments = [&words[..1], &["--output-type", format], &words[1..]].concat();
            let [theirs, ours] = both(&sandbox, "f.json", &arguments, "");
            assert_eq!((theirs.0.code, ours.0.code), (0, 0), "{arguments:?} {}", ours.0.err);
            assert_eq!(opened(&ours.1, format), opened(&theirs.1, format), "{arguments:?}");
        }
    }
    let [_, ours] = both(&sandbox, "f.json", &["set", "--output-type", "yaml", "--idempotent", "f.json", "[\"b\"]", "\"ba\""], "");
    assert!(ours.0.code == 0 && ours.1 == before);
    sandbox.kveil(["set", "--output-type", "yaml", "f.json", "[\"b\"]", "\"z\""]).run().refused(8);
}

/// A rule about values would leave all of such a file in clear.
#[test]
fn a_binary_input_is_encrypted_whole_whatever_the_rule_and_the_output() {
    let sandbox = Sandbox::with_identity();
    let rule = format!("creation_rules:\n  - age: {RECIPIENT_1}\n    encrypted_regex: ^other$\n    mac_only_encrypted: true\n");
    sandbox.write(".sops.yaml", rule);
    sandbox.write("f", "hidden-value\n");
    for format in ["json", "yaml", "dotenv"] {
        let arguments = ["encrypt", "--input-type", "binary", "--output-type", format, "f"];
        for call in [sandbox.sops(arguments), sandbox.kveil(arguments)] {
            let sealed = call.run().text();
            assert!(!sealed.contains("hidden-value") && !sealed.contains("encrypted_"), "{sealed}");
            sandbox.write("sealed", &sealed);
            let show = ["decrypt", "--input-type", format, "--output-type", "json", "sealed"];
            let shown = "{\n\t\"data\": \"hidden-value\\n\"\n}\n";
            assert_eq!(sandbox.sops(show).run().text(), shown);
            let Some(genuine) = sandbox.genuine(show) else { continue };
            assert_eq!(genuine.run().text(), shown);
        }
        let Some(genuine) = sandbox.genuine(arguments) else { continue };
        let theirs = genuine.run().text();
        assert!(!theirs.contains("hidden-value") && !theirs.contains("encrypted_"), "{theirs}");
        sandbox.write("theirs", &theirs);
        let again = ["encrypt", "--input-type", "binary", "--output-type", format, "--update", "theirs", "f"];
        assert_eq!(sandbox.kveil(again).run().text(), theirs);
    }
    // So where its earlier version says for whom.
    std::fs::remove_file(sandbox.path(".sops.yaml")).unwrap();
    sandbox.kveil(["encrypt", "--age", RECIPIENT_1, "--input-type", "binary", "--output", "f.json", "f"]).run().ok();
    let again = sandbox.kveil(["encrypt", "--input-type", "binary", "--update", "f.json", "--mac-only-encrypted", "f"]).run().ok();
    assert_eq!(again, sandbox.read("f.json"));
}

/// Genuine sops shows `1.0` as `1` and `-0.0` as `-0`, which read as integers.
#[test]
fn a_number_that_is_shown_as_another_stays_what_it_was() {
    let yaml = "l:\n    - a: -0\n      b: -0.0\n    - -0.0\n    - [1.0, {c: -0, d: -0.0}]\nx: 1\n";
    let json = "{\"l\": [{\"a\": -0, \"b\": -0.0}, -0.0, [1.0, {\"c\": -0, \"d\": -0.0}]], \"x\": 1}";
    for (name, plain) in [("f.yaml", yaml), ("f.json", json)] {
        let Some(sandbox) = genuine(name, plain.as_bytes()) else { return };
        let before = sandbox.read(name);
        let opened = |file: &[u8]| {
            sandbox.write(name, file);
            sandbox.genuine(["decrypt", name]).expect("it encrypted the file").run().text()
        };
        for arguments in [&["set", name, "[\"x\"]", "\"2\""][..], &["unset", name, "[\"x\"]"], &["rotate", "-i", name]] {
            sandbox.write(name, &before);
            let [(theirs, their_file), (ours, our_file)] = both(&sandbox, name, arguments, "");
            assert_eq!((ours.code, theirs.code), (0, 0), "{}", ours.err);
            sandbox.kveil(arguments).run().ok();
            let own_file = sandbox.read(name);
            let expected = opened(&their_file);
            for file in [our_file, own_file] {
                assert_eq!(opened(&file), expected, "{arguments:?}");
                let text = String::from_utf8(file).expect("text");
                assert_eq!(text.matches("type:float").count(), 4, "{arguments:?} {text}");
                let (old, rotated) = (String::from_utf8_lossy(&before), arguments[0] == "rotate");
                let new = text.lines().filter(|line| line.contains("type:float") && !old.contains(*line)).count();
                assert_eq!(new, if rotated { 4 } else { 0 }, "{arguments:?} {text}");
            }
        }
    }
}

/// The blanks in front of `name`.
fn indent_of<'t>(text: &'t str, name: &str) -> &'t str {
    let line = text.lines().find(|line| line.trim_start_matches(['"', ' ', '\t']).starts_with(name));
    line.map(|line| &line[..line.len() - line.trim_start().len()]).expect(name)
}

#[test]
fn the_indents_of_the_configuration_count_for_what_is_made_of_a_file() {
    let plain = "a:\n    b:\n        c: 1.0\n";
    let Some(sandbox) = genuine("f.yaml", plain.as_bytes()) else { return };
    let before = sandbox.read("f.yaml");
    sandbox.write("p.yaml", plain);
    sandbox.write("p.json", "{\"a\": {\"b\": {\"c\": 1.0}}}");
    sandbox.write(".sops.yaml", "stores:\n  yaml:\n    indent: 2\n  json:\n    indent: 3\n  json_binary:\n    indent: 5\n");
    let same = |flag: &[&str], arguments: &[&str], whole: bool| {
        let arguments: Vec<&str> = flag.iter().chain(arguments).copied().collect();
        let [(theirs, their_file), (ours, our_file)] = both(&sandbox, "f.yaml", &arguments, "");
        assert_eq!((ours.code, theirs.code), (0, 0), "{arguments:?} {}", ours.err);
        let written = |out: &[u8], file: Vec<u8>| String::from_utf8(if out.is_empty() { file } else { out.to_vec() }).expect("text");
        let (ours, theirs) = (written(&ours.out, our_file), written(&theirs.out, their_file));
        for name in if whole { &["b", "c"][..] } else { &["b", "c", "lastmodified"] } {
            assert_eq!(indent_of(&ours, name), indent_of(&theirs, name), "{name} {arguments:?}\n{ours}");
        }
        assert_eq!(ours.contains("type:float"), theirs.contains("type:float"), "{arguments:?}");
    };
    for flag in [&[][..], &["--indent", "0x6"], &["--indent", "-1"]] {
        for arguments in [&["decrypt", "--output-type", "json", "f.yaml"][..], &["exec-file", "--output-type", "json", "f.yaml", "cat {}"]]
        {
            same(flag, arguments, true);
        }
        same(flag, &["encrypt", "--age", RECIPIENT_1, "--output-type", "json", "p.yaml"], false);
        for format in ["json", "binary"] {
            same(flag, &["rotate", "-i", "--output-type", format, "f.yaml"], false);
            same(flag, &["set", "--output-type", format, "f.yaml", "[\"z\"]", "\"2\""], true);
        }
    }
    same(&[], &["encrypt", "--age", RECIPIENT_1, "--output-type", "binary", "p.yaml"], true);
    same(&[], &["encrypt", "--age", RECIPIENT_1, "--output-type", "yaml", "p.json"], false);
    assert_eq!(sandbox.read("f.yaml"), before);
}

/// No file, a missing one, a directory, two: exit codes and what goes to standard output and standard error.
#[test]
fn every_verb_ends_as_genuine_sops_does_without_a_file_to_work_on() {
    const VERBS: [&[&str]; 21] = [
        &["decrypt"],
        &["decrypt", "-i"],
        &["encrypt", "--age", RECIPIENT_1],
        &["encrypt", "-i", "--age", RECIPIENT_1],
        &["rotate"],
        &["rotate", "-i"],
        &["edit"],
        &["set"],
        &["unset"],
        &["filestatus"],
        &["updatekeys"],
        &["updatekeys", "-y"],
        &["exec-env"],
        &["exec-file"],
        &["groups", "add"],
        &["groups", "delete"],
        &["groups", "add", "--age", RECIPIENT_1],
        &["groups", "delete", "0"],
        &["-d"],
        &["-e", "--age", RECIPIENT_1],
        &["-r"],
    ];
    let Some(sandbox) = genuine("f.yaml", b"a: 1\n") else { return };
    std::fs::create_dir(sandbox.path("d")).unwrap();
    let (sealed, rule) = (sandbox.read("f.yaml"), format!("creation_rules:\n- age: {RECIPIENT_1}\n"));
    for has_rules in [false, true] {
        if has_rules {
            sandbox.write(".sops.yaml", &rule);
        }
        for (verb, files) in
            VERBS.iter().flat_map(|verb| [&[][..], &["gone.yaml"], &["d"], &["f.yaml", "g.yaml"]].map(|files| (verb, files)))
        {
            let rest: &[&str] = match verb[0] {
                "set" => &["[\"a\"]", "2"],
                "unset" => &["[\"a\"]"],
                "exec-env" | "exec-file" => &["true"],
                _ => &[],
            };
            let file_flag: &[&str] = if verb.len() > 1 && verb[0] == "groups" && !files.is_empty() { &["-f"] } else { &[] };
            let rest = if files.is_empty() { &[] } else { rest };
            let arguments: Vec<&str> = [verb, file_flag, files, rest].concat();
            sandbox.write("g.yaml", &sealed);
            let [(theirs, _), (ours, _)] = both(&sandbox, "f.yaml", &arguments, "");
            let streams = |done: &Done| (done.code, done.out.is_empty(), done.err.is_empty());
            assert_eq!(streams(&ours), streams(&theirs), "{arguments:?}: {} {}", ours.err, theirs.err);
        }
    }
}

#[test]
fn a_number_in_a_flag_may_have_a_base() {
    let Some(sandbox) = genuine("f.yaml", b"a:\n    b: 1\n") else { return };
    for number in ["0x3", "0b11", "0o3", "010", "1_0", "+3", "_3", "3_", "08", "3.0", ""] {
        let [(theirs, _), (ours, _)] = both(&sandbox, "f.yaml", &["--indent", number, "decrypt", "--output-type", "json", "f.yaml"], "");
        assert_eq!(ours.code, theirs.code, "{number} {}", ours.err);
        // Of wrong usage genuine sops prints its help on stdout.
        assert!(ours.code != 0 || ours.out == theirs.out, "{number}");
    }
    let threshold = ["encrypt", "--age", RECIPIENT_1, "--shamir-secret-sharing-threshold", "0x2", "--filename-override", "f.yaml"];
    let genuine = sandbox.genuine(threshold).expect("it encrypted the file").stdin("a: 1").run();
    let ours = sandbox.sops(threshold).stdin("a: 1").run();
    assert_eq!((ours.code, genuine.code), (0, 0), "{}", ours.err);
}

#[test]
fn documents_that_another_format_has_no_place_for_are_not_lost_unseen() {
    let Some(sandbox) = genuine("f.yaml", b"a: 1\n---\nb: 2\n") else { return };
    sandbox.write("p.yaml", "a: 1\n---\nb: 2\n");
    let before = sandbox.read("f.yaml");
    for format in ["json", "dotenv"] {
        // Genuine sops writes one document under the MAC of both.
        let broken = sandbox.genuine(["encrypt", "--age", RECIPIENT_1, "--output-type", format, "p.yaml"]).expect("it is there").run().ok();
        sandbox.write("broken", broken);
        assert_eq!(sandbox.genuine(["decrypt", "--input-type", format, "broken"]).expect("it is there").run().code, 51);
        for call in [
            sandbox.sops(["encrypt", "--age", RECIPIENT_1, "--output-type", format, "p.yaml"]),
            sandbox.sops(["rotate", "-i", "--output-type", format, "f.yaml"]),
            sandbox.sops(["set", "--output-type", format, "f.yaml", "[\"a\"]", "2"]),
        ] {
            assert!(call.run().refused(4).contains("holds one document, and the file has 2"));
        }
        let [(theirs, _), (ours, _)] = both(&sandbox, "f.yaml", &["decrypt", "--output-type", format, "f.yaml"], "");
        assert_eq!((ours.code, ours.out, ours.err), (0, theirs.out, theirs.err));
        let shown = sandbox.kveil(["decrypt", "--output-type", format, "f.yaml"]).run();
        assert!(shown.code == 0 && shown.err.contains("holds one document, and the file has 2: the first is shown"), "{}", shown.err);
    }
    assert_eq!(sandbox.read("f.yaml"), before);
}

#[test]
fn a_key_twice_in_json_is_no_reason_not_to_open_a_file() {
    let Some(sandbox) = genuine("f.json", b"{\"a\":1,\"b\":{\"x\":\"1\",\"x\":\"2\"},\"c\":\"3\",\"a\":2}\n") else { return };
    sandbox.write(".sops.yaml", format!("creation_rules:\n- age: {RECIPIENT_1},{RECIPIENT_2}\n"));
    let before = sandbox.read("f.json");
    for arguments in [&["decrypt", "f.json"][..], &["decrypt", "--extract", "[\"a\"]", "f.json"], &["filestatus", "f.json"]] {
        let [(theirs, _), (ours, _)] = both(&sandbox, "f.json", arguments, "");
        assert_eq!((ours.code, ours.out, ours.err), (theirs.code, theirs.out, theirs.err), "{arguments:?}");
    }
    let [theirs, ours] = both(&sandbox, "f.json", &["updatekeys", "-y", "f.json"], "");
    assert_eq!(outcome(&ours, &before), outcome(&theirs, &before));
    let told = sandbox.kveil(["decrypt", "f.json"]).run();
    assert!(told.err.contains("the key a stands twice"));
    let opened = |file: &[u8]| {
        sandbox.write("g.json", file);
        let done = sandbox.genuine(["decrypt", "g.json"]).expect("it encrypted the file").run();
        String::from_utf8(done.ok()).expect("JSON")
    };
    let changes: [&[&str]; 7] = [
        &["set", "f.json", "[\"c\"]", "\"4\""],
        &["set", "f.json", "[\"a\"]", "\"4\""],
        &["unset", "f.json", "[\"a\"]"],
        &["unset", "f.json", "[\"b\"][\"x\"]"],
        &["rotate", "-i", "f.json"],
        &["groups", "add", "-i", "-f", "f.json", "--age", RECIPIENT_1],
        &["exec-file", "f.json", "cat {}"],
    ];
    for arguments in changes {
        let [theirs, ours] = both(&sandbox, "f.json", arguments, "");
        assert_eq!((ours.0.code, theirs.0.code, &ours.0.out), (0, 0, &theirs.0.out), "{arguments:?} {}", ours.0.err);
        assert_eq!(opened(&ours.1), opened(&theirs.1), "{arguments:?}");
    }
    // Who didn't ask for sops's ways is asked which one is meant, and gets no second one by a slip.
    sandbox.kveil(["set", "f.json", "[\"a\"]", "3"]).run().refused(1);
    sandbox.kveil(["unset", "f.json", "[\"b\"][\"x\"]"]).run().refused(1);
    sandbox.kveil(["encrypt", "--age", RECIPIENT_1, "--filename-override", "x.json"]).stdin("{\"a\":1,\"a\":2}").run().refused(2);
    let sops_twice = String::from_utf8(before).expect("JSON").replacen("\"a\"", "\"sops\"", 1);
    sandbox.write("f.json", sops_twice);
    sandbox.kveil(["decrypt", "f.json"]).run().refused(1);
}

#[test]
fn nobody_to_encrypt_for_is_said_in_the_words_that_sops_has_for_it() {
    let sandbox = Sandbox::with_identity();
    for groups in ["", "    key_groups: []\n", "    key_groups:\n      - {}\n"] {
        sandbox.write(".sops.yaml", format!("creation_rules:\n  - path_regex: f.yaml\n{groups}"));
        sandbox.write("f.yaml", "a: 1\n");
        if sandbox.genuine(["--version"]).is_none() {
            return;
        }
        let [(theirs, _), (ours, _)] = both(&sandbox, "f.yaml", &["encrypt", "-i", "f.yaml"], "");
        assert_eq!((ours.code, &ours.err), (theirs.code, &theirs.err), "{groups}");
        let said = sandbox.kveil(["encrypt", "-i", "f.yaml"]).run().refused(1);
        assert!(said.contains("add age: age1…") || said.contains("give it at least one key"), "{said}");
    }
}
