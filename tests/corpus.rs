//! YAML of every style (`testdata/yaml`): what is accepted comes back byte for byte and opens in genuine sops; what is refused is
//! refused with its place.

mod sandbox;

use sandbox::{Done, IDENTITY_1, RECIPIENT_1, Sandbox, hides, root, tree};
use std::path::{Path, PathBuf};

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = root().join("testdata/yaml").join(folder);
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

fn name(file: &Path) -> String {
    file.file_name().unwrap().to_string_lossy().into_owned()
}

fn tell(failed: &[String], all: usize) {
    assert!(failed.is_empty(), "{} of {all} failed\n{}", failed.len(), failed.join("\n"));
}

/// `encrypt` under the name `sops`, or as kveil with the rule that sops has by default.
fn encrypt(sandbox: &Sandbox, under_sops: bool, file: &str) -> Done {
    if under_sops {
        sandbox.sops(["encrypt", "--age", RECIPIENT_1, file]).run()
    } else {
        sandbox.kveil(["encrypt", "--age", RECIPIENT_1, "--unencrypted-suffix", "_unencrypted", file]).run()
    }
}

#[test]
fn every_accepted_file_comes_back_byte_for_byte_without_a_word_in_clear() {
    let mut failed = Vec::new();
    let sets: Vec<(PathBuf, bool)> = files("accepted/bare")
        .into_iter()
        .map(|file| (file, false))
        .chain(files("accepted/recorded").into_iter().map(|file| (file, true)))
        .collect();
    for (file, recorded) in &sets {
        for under_sops in [true, false] {
            if let Err(why) = comes_back(file, *recorded, under_sops) {
                failed.push(format!("{} ({}): {why}", name(file), if under_sops { "sops" } else { "kveil" }));
            }
        }
    }
    assert!(sets.len() > 50, "only {} files", sets.len());
    tell(&failed, sets.len() * 2);
}

fn comes_back(file: &Path, recorded: bool, under_sops: bool) -> Result<(), String> {
    let plain = std::fs::read(file).unwrap();
    let sandbox = Sandbox::with_identity();
    sandbox.write("plain.yaml", &plain);
    let sealed = encrypt(&sandbox, under_sops, "plain.yaml");
    if sealed.code != 0 {
        return Err(format!("exit code {}: {}", sealed.code, sealed.err));
    }
    sandbox.write("sealed.yaml", &sealed.out);
    let opened = sandbox.kveil(["decrypt", "sealed.yaml"]).run();
    if opened.code != 0 {
        return Err(format!("decrypt: exit code {}: {}", opened.code, opened.err));
    }
    if opened.out != plain {
        return Err(format!("came back as\n{}", sandbox::shown(&opened.out)));
    }
    let has_record = String::from_utf8_lossy(&sealed.out).contains("kveil_layout:");
    if has_record != recorded {
        return Err(format!("layout record: {has_record}"));
    }
    Ok(())
}

#[test]
fn genuine_sops_reads_the_values_it_would_have_encrypted_itself() {
    if sandbox::tool("sops").is_none() {
        return;
    }
    let mut failed = Vec::new();
    let all: Vec<PathBuf> = files("accepted/bare").into_iter().chain(files("accepted/recorded")).collect();
    for file in &all {
        if let Err(why) = opens(file) {
            failed.push(format!("{}: {why}", name(file)));
        }
    }
    tell(&failed, all.len());
}

fn opens(file: &Path) -> Result<(), String> {
    let plain = std::fs::read(file).unwrap();
    let sandbox = Sandbox::with_identity();
    sandbox.write("plain.yaml", &plain);
    let ours = encrypt(&sandbox, true, "plain.yaml");
    let theirs = sandbox.genuine(["encrypt", "--age", RECIPIENT_1, "plain.yaml"]).unwrap().run();
    if (ours.code, theirs.code) != (0, 0) {
        return Err(format!("exit codes {} and {}: {}{}", ours.code, theirs.code, ours.err, theirs.err));
    }
    // Genuine sops turns an empty comment in a list into an item.
    if name(file) != "empty_comments_in_list.yaml" {
        hides("yaml", &plain, &theirs.out, &ours.out)?;
    }
    sandbox.write("ours.yaml", &ours.out);
    sandbox.write("theirs.yaml", &theirs.out);
    // JSON has no styles to get wrong, but no infinity either, and only the first document.
    let read = |file: &str, kind: &str| sandbox.genuine(["decrypt", "--output-type", kind, file]).unwrap().run();
    for kind in ["json", "yaml"] {
        let (want, got) = (read("theirs.yaml", kind), read("ours.yaml", kind));
        if want.code != 0 && kind == "json" {
            continue;
        }
        if got.code != 0 {
            return Err(format!("genuine sops, as {kind}: exit code {}: {}", got.code, got.err));
        }
        if name(file) == "empty_comments_in_list.yaml" {
            continue;
        }
        tree::same(kind, &got.out, &want.out).map_err(|why| format!("as {kind}: {why}"))?;
    }
    Ok(())
}

struct Refused {
    file: String,
    code: i32,
    place: String,
    genuine: String,
}

fn refused() -> Vec<Refused> {
    let table = std::fs::read_to_string(root().join("testdata/yaml/refused.tsv")).unwrap();
    let rows = table.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let column: Vec<&str> = line.split('\t').collect();
        Refused { file: column[0].to_owned(), code: column[1].parse().unwrap(), place: column[2].to_owned(), genuine: column[3].to_owned() }
    });
    let rows: Vec<Refused> = rows.collect();
    assert_eq!(
        rows.iter().map(|row| row.file.clone()).collect::<std::collections::BTreeSet<_>>(),
        files("refused").iter().map(|file| name(file)).collect()
    );
    rows
}

#[test]
fn every_refused_file_is_refused_with_its_place() {
    let mut failed = Vec::new();
    let rows = refused();
    for row in &rows {
        let plain = std::fs::read(root().join("testdata/yaml/refused").join(&row.file)).unwrap();
        for under_sops in [true, false] {
            let sandbox = Sandbox::with_identity();
            sandbox.write("bad.yaml", &plain);
            let done = encrypt(&sandbox, under_sops, "bad.yaml");
            let place = format!("bad.yaml:{}", row.place);
            let fault = done
                .refusal_fault(Some(row.code))
                .or_else(|| (!row.place.is_empty() && !done.err.contains(&place)).then(|| format!("doesn't name {place}: {}", done.err)));
            let fault = fault.or_else(|| in_place(&sandbox, &plain));
            if let Some(fault) = fault {
                failed.push(format!("{} ({}): {fault}", row.file, if under_sops { "sops" } else { "kveil" }));
            }
        }
    }
    tell(&failed, rows.len() * 2);
}

/// In place a refused file stays as it is, with nothing beside it.
fn in_place(sandbox: &Sandbox, plain: &[u8]) -> Option<String> {
    let done = sandbox.kveil(["encrypt", "-i", "--age", RECIPIENT_1, "bad.yaml"]).run();
    if done.code == 0 {
        return Some("was accepted in place".to_owned());
    }
    (sandbox.read("bad.yaml") != plain || sandbox.listing() != ["bad.yaml"]).then(|| "did not stay as it was".to_owned())
}

#[test]
fn genuine_sops_does_what_the_table_says() {
    if sandbox::tool("sops").is_none() {
        return;
    }
    for row in refused() {
        let sandbox = Sandbox::with_identity();
        sandbox.write("bad.yaml", std::fs::read(root().join("testdata/yaml/refused").join(&row.file)).unwrap());
        let done = sandbox.genuine(["encrypt", "--age", RECIPIENT_1, "bad.yaml"]).unwrap().run();
        match row.genuine.as_str() {
            "accepts" => assert_eq!(done.code, 0, "{}: {}", row.file, done.err),
            _ => assert_eq!(done.code, row.code, "{}: {}", row.file, done.err),
        }
    }
}

#[test]
fn keys_of_the_tests_stay_out_of_the_messages() {
    let sandbox = Sandbox::with_identity();
    sandbox.write("bad.yaml", "a: 'hunter2hunter2\n");
    let done = sandbox.kveil(["encrypt", "--age", RECIPIENT_1, "bad.yaml"]).run();
    let message = done.refused(2);
    assert!(!message.contains("hunter2") && !message.contains(IDENTITY_1), "{message}");
}

/// Odd YAML that parsers disagree on: what genuine sops reads comes back byte for byte, what it refuses is refused.
#[test]
fn odd_yaml_is_taken_and_refused_as_by_genuine_sops() {
    const TAKEN: [&str; 17] = [
        "a:\t~x\nb: \t y",
        "a:\n    - [[\"1\"]\n    ]\n",
        "a:\n  - [1\n  ]\n  - 2\n",
        "a:\n  b: [1,\n  ]\n  c: d\n",
        "a:\n  b: {x: y\n  }\n  c: d\n",
        "k: \"\nn\" #c\nb: >\n \"\n",
        "k: \"\nn\"\nb:\n- c: |\n    'x\n  d: 'e\n f'\n",
        "a: |\n  x\n  \t\n",
        "a: |2\n  \tx\n",
        "a: |\n \n# c\n",
        "a: |\n :\tb\n",
        "a: \"x\n :\tc\"\n",
        "a: {\"b\":\tc}\n",
        "::\tb\n",
        "a: 1\n...\n",
        "a: 1\n...\n# c\n",
        "a: 1\n---\nb: !!int \"3\"\n",
    ];
    const REFUSED: [&str; 20] = [
        " a: |\n \t\n",
        " a: |\n \t",
        "a: |\n  x\n \t\n",
        "a: |\n  x\n\t\nb: c\n",
        "a: |\n\n \t\n  x\n",
        "a: |\n \n \tx\n",
        "a: |2\n \t\n",
        "a:\n  b: >\n   \t\n",
        "a: |-\n \t\nb: c\n",
        "...\na: 1\n",
        "# c\n...\na: 1\n",
        "...\n---\na: 1\n",
        "... # x\na: 1\n",
        "---\n...\na: 1\n",
        "? a\n:\tb\n",
        "? a\n: \tb\n",
        "? a\n:\t\n",
        "x:\n  ? a\n  :\tb\n",
        "a: b\n :\tc\n",
        "a:\t- b\n",
    ];
    let sandbox = Sandbox::with_identity();
    for text in TAKEN {
        sandbox.write("odd.yaml", text);
        let sealed = encrypt(&sandbox, false, "odd.yaml");
        assert_eq!(sealed.code, 0, "{text:?}: {}", sealed.err);
        sandbox.write("sealed.yaml", &sealed.out);
        assert_eq!(sandbox.kveil(["decrypt", "sealed.yaml"]).run().text(), text);
        for call in [sandbox.genuine(["encrypt", "--age", RECIPIENT_1, "odd.yaml"]), sandbox.genuine(["decrypt", "sealed.yaml"])] {
            let Some(call) = call else { continue };
            let done = call.run();
            assert_eq!(done.code, 0, "genuine sops on {text:?}: {}", done.err);
        }
    }
    for text in REFUSED {
        sandbox.write("odd.yaml", text);
        assert_ne!(encrypt(&sandbox, false, "odd.yaml").code, 0, "{text:?}");
        if let Some(call) = sandbox.genuine(["encrypt", "--age", RECIPIENT_1, "odd.yaml"]) {
            assert_ne!(call.run().code, 0, "genuine sops on {text:?}");
        }
    }
}
