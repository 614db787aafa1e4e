//! `check`: every rule on its cases, the outputs, and what only a repository shows.

mod sandbox;

use sandbox::{Done, RECIPIENT_1, RECIPIENT_2, Sandbox, cases, root};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What stands in clear in the cases, as it is and in base64. No output may hold any of it.
const PLAIN: [&str; 5] = ["geheim", "Z2VoZWlt", "AGE-SECRET-KEY-1F9", "MIIEvQ", "hunter2"];
/// Rules whose cases need more than files, or large ones; they have tests of their own here.
const WITH_GIT: [&str; 9] = ["KV116", "KV117", "KV209", "KV303", "KV325", "KV326", "KV327", "KV329", "KV401"];

fn secret(value: &str) -> String {
    format!("apiVersion: v1\nkind: Secret\nmetadata:\n  name: web\nstringData:\n  password: {value}\n")
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// A case in a tree of its own, and the arguments that belong to it.
fn placed(rule: &str, case: &Path) -> (Sandbox, Vec<String>) {
    let sandbox = Sandbox::with_identity();
    let files = if case.is_dir() { entries(case) } else { vec![case.to_owned()] };
    let mut arguments: Vec<String> = if rule == "KV305" { vec!["--verify".to_owned()] } else { Vec::new() };
    for file in files {
        let text = std::fs::read(&file).unwrap();
        match name(&file).as_str() {
            "ARGS" => arguments.extend(String::from_utf8(text).unwrap().split_whitespace().map(str::to_owned)),
            name => drop(sandbox.write(name, text)),
        }
    }
    (sandbox, arguments)
}

/// Runs `check` with a form, and refuses values in what it says.
#[track_caller]
fn checked(sandbox: &Sandbox, arguments: &[&str], format: &str) -> Done {
    let done = sandbox.kveil(["check", "--format", format]).args(arguments).run();
    let said = format!("{}{}", String::from_utf8_lossy(&done.out), done.err);
    for plain in PLAIN {
        assert!(!said.contains(plain), "{arguments:?} {format} shows {plain}:\n{said}");
    }
    done
}

/// The ids of what is found, with levels.
#[track_caller]
fn found(sandbox: &Sandbox, arguments: &[&str]) -> BTreeSet<(String, String)> {
    let done = checked(sandbox, arguments, "json");
    let report: Value = serde_json::from_slice(&done.out).unwrap_or_else(|_| panic!("{arguments:?}: {}", done.err));
    let text = |row: &Value, field: &str| row[field].as_str().unwrap().to_owned();
    report["findings"].as_array().unwrap().iter().map(|row| (text(row, "rule"), text(row, "level"))).collect()
}

fn ids(found: &BTreeSet<(String, String)>) -> Vec<&str> {
    found.iter().map(|(id, _)| id.as_str()).collect()
}

#[test]
fn every_rule_fires_on_its_bad_cases_and_none_on_the_good_ones() {
    let page = std::fs::read_to_string(root().join("docs/check.md")).unwrap();
    let documented: BTreeSet<String> =
        page.lines().filter_map(|line| line.strip_prefix("### ")).map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    let mut tested = BTreeSet::new();
    let mut wrong = Vec::new();
    for folder in entries(&root().join("testdata/check")) {
        let rule = name(&folder);
        for case in entries(&folder.join("bad")) {
            let (sandbox, arguments) = placed(&rule, &case);
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let fired = found(&sandbox, &arguments);
            if !fired.iter().any(|(id, level)| *id == rule && level != "note") {
                wrong.push(format!("{} raises {fired:?}", case.display()));
            }
            for format in ["text", "sarif", "github"] {
                checked(&sandbox, &arguments, format);
            }
        }
        for case in entries(&folder.join("good")) {
            let (sandbox, arguments) = placed(&rule, &case);
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(["--level", "warning"]).collect();
            let fired = found(&sandbox, &arguments);
            if !fired.is_empty() {
                wrong.push(format!("{} raises {fired:?}", case.display()));
            }
        }
        tested.insert(rule);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    tested.extend(WITH_GIT.map(str::to_owned));
    // Those of Flux are in tests/flux.rs.
    tested.extend((501..=508).map(|number| format!("KV{number}")));
    assert_eq!(tested, documented);
}

/// What genuine sops wrote is right, but for what is named here and what was broken on purpose.
#[test]
fn what_genuine_sops_wrote_raises_no_error() {
    let named = ["invalid_regex_encrypts_nothing", "k8s_list_kind"];
    let mut wrong = Vec::new();
    let mut looked_at = 0;
    for folder in entries(&cases()).into_iter().filter(|path| path.is_dir() && path.join("cmd.txt").exists()) {
        let case = name(&folder);
        if case.starts_with("fail_") {
            continue;
        }
        for file in entries(&folder).into_iter().filter(|file| name(file).starts_with("encrypted.")) {
            let sandbox = Sandbox::new();
            sandbox.write(&name(&file), std::fs::read(&file).unwrap());
            let fired = found(&sandbox, &["--level", "error"]);
            looked_at += 1;
            if fired.is_empty() == named.contains(&case.as_str()) {
                wrong.push(format!("{case}: {fired:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(looked_at > 80, "{looked_at}");
}

#[test]
fn text_shows_the_place_and_not_the_value() {
    let sandbox = Sandbox::new();
    sandbox.write("db.yaml", secret("hunter2-geheim # was geheim"));
    let done = checked(&sandbox, &["db.yaml"], "text");
    let text = String::from_utf8(done.out).unwrap();
    let expected = "db.yaml:6:13: error KV101 plaintext-secret: Secret web: this value is in clear; base64 is not encryption (at stringData.password)\n  6 |   password: … …\n    |             ^\n  → kveil encrypt -i db.yaml; if it was committed in clear, change the value at its source\n";
    assert!(text.contains(expected), "{text}");
    assert_eq!(done.code, 1);
    assert!(done.err.contains("1 file, 0 encrypted, 1 error, 0 warnings, 1 note"), "{}", done.err);
}

#[test]
fn codes_are_0_1_and_2() {
    let sandbox = Sandbox::new();
    sandbox.write("fine.yaml", "a: 1\n");
    sandbox.write("db.yaml", secret("${PASSWORD}"));
    let code = |arguments: &[&str]| sandbox.kveil(["check"]).args(arguments).run().code;
    assert_eq!(code(&[]), 0);
    assert_eq!(code(&["db.yaml", "--fail-on", "note"]), 0);
    sandbox.write("db.yaml", secret("hunter2"));
    assert_eq!((code(&[]), code(&["fine.yaml"])), (1, 0));
    sandbox.write("db.yaml", format!("# kveil-ignore: KV101 a test\n{}", secret("hunter2")));
    assert_eq!((code(&[]), code(&["--fail-on", "note"])), (0, 1), "the missing configuration is a note");
    assert_eq!((code(&["missing.yaml"]), code(&["--base", "main"]), code(&["--explain", "KV999"])), (2, 2, 2));
    assert_eq!(code(&["--nonsense"]), 2);
    sandbox.shell("git init -q && rm .git/HEAD").run().ok();
    assert_eq!(code(&["--staged"]), 2);
}

#[test]
fn rules_are_explained_from_the_documentation() {
    let sandbox = Sandbox::new();
    let text = sandbox.kveil(["check", "--explain", "kv101"]).run().text();
    assert!(text.starts_with("### KV101 plaintext-secret (error)\n") && text.contains("base64 is not encryption"), "{text}");
    assert!(!text.contains("KV107"));
}

#[test]
fn annotations_come_by_themselves_in_actions() {
    let sandbox = Sandbox::new();
    sandbox.write("a,b.yaml", secret("hunter2"));
    let run = |arguments: &[&str]| sandbox.kveil(["check"]).args(arguments).env("GITHUB_ACTIONS", "true").env("CI", "true").run();
    let text = String::from_utf8(run(&["--level", "error"]).out).unwrap();
    assert!(
        text.starts_with("::error file=a%2Cb.yaml,line=6,col=13,title=KV101 plaintext-secret::Secret web: this value is in clear"),
        "{text}"
    );
    let text = String::from_utf8(run(&["--format", "text"]).out).unwrap();
    let word = text.lines().next().unwrap().strip_prefix("::stop-commands::").unwrap();
    assert!(word.len() == 32 && text.ends_with(&format!("::{word}::\n")), "{text}");
}

#[test]
fn services_get_paths_from_the_top_of_the_repository() {
    let sandbox = repository();
    sandbox.write("deep/er/a.yaml", secret("hunter2"));
    let run = |format: &str, what: &str| {
        let line = format!("cd deep && kveil check --level error --format {format} {what}");
        String::from_utf8(sandbox.shell(&line).run().out).unwrap()
    };
    for what in ["", "er/a.yaml", "../deep/er"] {
        assert!(run("github", what).starts_with("::error file=deep/er/a.yaml,line=6,"), "{}", run("github", what));
        assert!(run("sarif", what).contains(r#""uri":"deep/er/a.yaml""#), "{}", run("sarif", what));
    }
    assert!(run("text", "er/a.yaml").starts_with("er/a.yaml:6:13: error"), "{}", run("text", "er/a.yaml"));
}

#[test]
fn a_baseline_leaves_out_what_was_there() {
    let sandbox = Sandbox::new();
    sandbox.write("old.yaml", secret("hunter2"));
    sandbox.kveil(["check", "--write-baseline", "known.json"]).run().ok();
    assert!(!String::from_utf8(sandbox.read("known.json")).unwrap().contains("hunter2"));
    assert_eq!(found(&sandbox, &["--baseline", "known.json"]).len(), 0);
    sandbox.write("new.yaml", secret("hunter2"));
    let done = checked(&sandbox, &["--baseline", "known.json", "--level", "error"], "text");
    let text = String::from_utf8(done.out).unwrap();
    assert!(text.starts_with("new.yaml:") && !text.contains("old.yaml"), "{text}");
}

/// A repository with a rule, an encrypted file and a first commit.
fn repository() -> Sandbox {
    let sandbox = Sandbox::with_identity();
    sandbox.write(".sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT_1}\n"));
    git(&sandbox, "init -q -b main && git config user.name x && git config user.email x@y");
    sandbox.write("sealed.yaml", secret("hunter2-first"));
    sandbox.kveil(["encrypt", "-i", "sealed.yaml"]).run().ok();
    commit(&sandbox);
    sandbox
}

fn git(sandbox: &Sandbox, arguments: &str) {
    sandbox.shell(&format!("git {arguments}")).run().ok();
}

fn commit(sandbox: &Sandbox) {
    git(sandbox, "add -A && git commit -q -m x");
}

#[test]
fn staged_is_what_the_index_holds() {
    let sandbox = repository();
    sandbox.write("a.yaml", secret("hunter2"));
    git(&sandbox, "add a.yaml");
    sandbox.write("a.yaml", "a: 1\n");
    sandbox.write("b.yaml", secret("hunter2"));
    let text = |call: sandbox::Call| String::from_utf8(call.run().out).unwrap();
    let staged = text(sandbox.kveil(["check", "--staged", "--level", "error"]));
    assert!(staged.starts_with("a.yaml:6:13: error KV101") && !staged.contains("b.yaml"), "{staged}");
    // Another index than the usual one.
    git(&sandbox, "read-tree HEAD --index-output=.git/other");
    let other = sandbox.path(".git/other");
    assert_eq!(text(sandbox.kveil(["check", "--staged"]).env("GIT_INDEX_FILE", &other)), "");
    sandbox.shell("git add b.yaml").env("GIT_INDEX_FILE", &other).run().ok();
    let staged = text(sandbox.kveil(["check", "--staged", "--level", "error"]).env("GIT_INDEX_FILE", &other));
    assert!(staged.starts_with("b.yaml:6:13: error KV101") && !staged.contains("a.yaml"), "{staged}");
}

#[test]
fn a_change_cannot_excuse_itself() {
    let sandbox = repository();
    git(&sandbox, "branch base");
    sandbox.write("a.yaml", format!("# kveil-ignore: KV101 nothing to see\n{}", secret("hunter2")));
    assert_eq!(ids(&found(&sandbox, &["--level", "error"])), [""; 0]);
    let fired = found(&sandbox, &["--base", "base", "--level", "warning"]);
    assert!(ids(&fired).contains(&"KV101") && ids(&fired).contains(&"KV325"), "{fired:?}");
    // An exception that the base has counts, where the base has it.
    commit(&sandbox);
    git(&sandbox, "branch -f base");
    assert!(!ids(&found(&sandbox, &["--base", "base"])).contains(&"KV101"));
    let one = |more: &str| format!("{}  user: hunter2  # kveil-ignore: KV101 a name\n{more}", secret("").replace("user", "other"));
    sandbox.write("a.yaml", one(""));
    commit(&sandbox);
    git(&sandbox, "branch -f base");
    sandbox.write("a.yaml", format!("# kveil-ignore: KV101 a name\n{}", one("  more: hunter2-more\n")));
    assert_eq!(ids(&found(&sandbox, &["--level", "error"])), [""; 0]);
    let fired = found(&sandbox, &["--base", "base", "--level", "warning"]);
    assert!(ids(&fired).contains(&"KV101") && ids(&fired).contains(&"KV325"), "{fired:?}");
}

#[test]
fn the_rules_of_the_base_count() {
    let sandbox = repository();
    sandbox.write(".sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT_2}\n"));
    assert!(ids(&found(&sandbox, &[])).contains(&"KV301"));
    let fired = found(&sandbox, &["--base", "main"]);
    assert!(!ids(&fired).contains(&"KV301") && ids(&fired).contains(&"KV325"), "{fired:?}");
    // So does its baseline.
    git(&sandbox, "checkout -q .sops.yaml");
    sandbox.write("a.yaml", secret("hunter2"));
    sandbox.kveil(["check", "--write-baseline", "known.json"]).run().ok();
    assert!(!ids(&found(&sandbox, &["--baseline", "known.json"])).contains(&"KV101"));
    let fired = found(&sandbox, &["--base", "main", "--baseline", "known.json"]);
    assert!(ids(&fired).contains(&"KV101") && ids(&fired).contains(&"KV325"), "{fired:?}");
}

#[test]
fn a_replaced_data_key_is_told() {
    let sandbox = repository();
    sandbox.kveil(["set", "sealed.yaml", "[\"stringData\"][\"user\"]", "\"bob\""]).run().ok();
    assert!(!ids(&found(&sandbox, &["--base", "main"])).contains(&"KV326"));
    sandbox.kveil(["rotate", "-i", "sealed.yaml"]).run().ok();
    assert!(ids(&found(&sandbox, &["--base", "main"])).contains(&"KV326"));
}

/// A kustomization whose transformer checks this.
#[test]
fn another_selection_is_told_against_a_base() {
    let sandbox = repository();
    git(&sandbox, "branch base");
    let sealed = String::from_utf8(sandbox.read("sealed.yaml")).unwrap();
    sandbox.write("sealed.yaml", sealed.replace("^(data|stringData)$", "^(password)$"));
    assert!(ids(&found(&sandbox, &["--base", "base"])).contains(&"KV329"));
    sandbox.write("sealed.yaml", sealed);
    assert!(!ids(&found(&sandbox, &["--base", "base"])).contains(&"KV329"));
}

#[test]
fn what_no_command_mends_is_left_alone() {
    let sandbox = repository();
    let sealed = String::from_utf8(sandbox.read("sealed.yaml")).unwrap();
    let before = sealed.replace("^(data|stringData)$", "^(data)$").replace("stringData:\n", "stringData:\n  open: hunter2-open\n");
    let values = "extra:\n  - apiVersion: v1\n    kind: Secret\n    metadata: {name: a}\n    stringData: {a: hunter2-a}\n";
    let template = "{{ if .x }}\nkind: Secret\nstringData:\n  a: hunter2-a\n{{ end }}\n";
    for (name, text) in [("sealed.yaml", before.as_str()), ("values.yaml", values), ("t.yaml", template)] {
        sandbox.write(name, text);
    }
    sandbox.write("fine.yaml", secret("hunter2-fine"));
    let done = sandbox.kveil(["check", "--fix", "--level", "error"]).run();
    assert_eq!(done.code, 1, "{done:?}");
    let text = |name: &str| String::from_utf8(sandbox.read(name)).unwrap();
    assert!(text("fine.yaml").contains("ENC["));
    assert_eq!((text("sealed.yaml"), text("values.yaml"), text("t.yaml")), (before, values.to_owned(), template.to_owned()));
}

fn kustomization(integrity: &str) -> String {
    let config = format!("apiVersion: kveil.dev/v1\n      kind: Decrypt\n      metadata: {{name: decrypt}}\n      integrity: {integrity}");
    format!("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\ntransformers:\n  - |-\n      {config}\n")
}

#[test]
fn a_weaker_check_of_deployments_is_told() {
    let sandbox = repository();
    let config = |integrity: &str| format!("apiVersion: kveil.dev/v1\nkind: Decrypt\nmetadata:\n  name: decrypt\nintegrity: {integrity}\n");
    sandbox.write("decrypt.yaml", config("file"));
    sandbox.write("inline/kustomization.yaml", kustomization("object"));
    commit(&sandbox);
    let weaker = |arguments: &[&str]| {
        let done = checked(&sandbox, &[&["--base", "main"], arguments].concat(), "json");
        let report: Value = serde_json::from_slice(&done.out).unwrap();
        let rows = report["findings"].as_array().unwrap().iter().filter(|row| row["rule"] == "KV327");
        rows.map(|row| format!("{}:{} {}", row["file"].as_str().unwrap(), row["line"], row["level"].as_str().unwrap())).collect::<Vec<_>>()
    };
    assert_eq!(weaker(&[]), [""; 0]);
    // An exception that the change brings along excuses nothing; nor does the way through the index.
    sandbox.write("decrypt.yaml", config("values # kveil-ignore: KV327 a test"));
    sandbox.write("inline/kustomization.yaml", kustomization("values"));
    sandbox.write("new.yaml", config("object"));
    let all = ["decrypt.yaml:5 error", "inline/kustomization.yaml:4 error", "new.yaml:5 error"];
    assert_eq!(weaker(&[]), all);
    git(&sandbox, "add -A");
    assert_eq!(weaker(&["--staged"]), all);
    let text = checked(&sandbox, &["--base", "main"], "text");
    assert!(text.code == 1 && String::from_utf8(text.out).unwrap().contains("integrity: values where main has file"));
    // What the base has agreed to is fine, and so is a stronger check.
    commit(&sandbox);
    sandbox.write("decrypt.yaml", config("object"));
    assert_eq!(weaker(&[]), [""; 0]);
}

#[test]
fn a_file_in_conflict_is_a_finding_and_the_rest_is_checked() {
    let sandbox = repository();
    sandbox.write("README.md", "a\n");
    commit(&sandbox);
    for (branch, word) in [("one", "hunter2-one"), ("two", "hunter2-two")] {
        git(&sandbox, &format!("checkout -q -b {branch} main"));
        sandbox.write("README.md", branch);
        sandbox.kveil(["set", "sealed.yaml", "[\"stringData\"][\"password\"]", &format!("\"{word}\"")]).run().ok();
        commit(&sandbox);
    }
    assert_eq!(sandbox.shell("git merge one").run().code, 1);
    sandbox.write("a.yaml", secret("hunter2"));
    git(&sandbox, "add a.yaml");
    let done = checked(&sandbox, &["--staged", "--level", "error"], "text");
    let text = String::from_utf8(done.out).unwrap();
    assert_eq!(done.code, 1, "{}", done.err);
    assert!(text.contains("a.yaml:6:13: error KV101") && text.contains("sealed.yaml: error KV320"), "{text}");
    assert!(!text.contains("README.md"), "{text}");
    // git itself commits nothing before the conflict is settled, and asks no hook.
    sandbox.kveil(["git", "setup", "--hooks"]).run().ok();
    let commit = sandbox.shell("git commit -m x").run();
    assert!(commit.code == 128 && commit.err.contains("unmerged"), "{}", commit.err);
    // Deleted on one side: what is left of it counts.
    git(&sandbox, "merge --abort; git checkout -q -f -b gone main && git rm -q sealed.yaml && git commit -q -m gone");
    assert_eq!(sandbox.shell("git merge one").run().code, 1);
    let done = checked(&sandbox, &["--staged", "sealed.yaml"], "text");
    assert!(done.code == 1 && String::from_utf8(done.out).unwrap().contains("sealed.yaml: error KV320"), "{}", done.err);
}

#[test]
fn a_secret_that_is_too_large_is_told_by_its_ciphertext() {
    let sandbox = repository();
    let large =
        |size: usize| format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: a}}\nstringData:\n  a: {}\n  b: b\n", "x".repeat(size));
    for (size, fires) in [(1024 * 1024 - 1, false), (1024 * 1024, true)] {
        sandbox.write("a.yaml", large(size));
        sandbox.kveil(["encrypt", "-i", "a.yaml"]).run().ok();
        assert_eq!(ids(&found(&sandbox, &["a.yaml"])).contains(&"KV209"), fires, "{size}");
        std::fs::remove_file(sandbox.path("a.yaml")).unwrap();
    }
}

#[test]
fn what_can_be_mended_is_mended() {
    let sandbox = repository();
    sandbox.write("a.yaml", secret("hunter2"));
    let done = sandbox.kveil(["check", "--fix"]).run();
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(String::from_utf8(sandbox.read("a.yaml")).unwrap().contains("ENC[AES256_GCM,"));
    assert_eq!(found(&sandbox, &["--level", "warning"]).len(), 0);
}

#[test]
fn the_drivers_are_a_matter_of_the_clone_and_not_of_ci() {
    let sandbox = repository();
    assert!(ids(&found(&sandbox, &[])).contains(&"KV401"));
    assert!(!String::from_utf8(sandbox.kveil(["check"]).env("CI", "true").run().out).unwrap().contains("KV401"));
    sandbox.kveil(["git", "setup"]).run().ok();
    assert!(!ids(&found(&sandbox, &[])).contains(&"KV401"));
    sandbox.write("other.yml", sandbox.read("sealed.yaml"));
    assert!(ids(&found(&sandbox, &[])).contains(&"KV401"));
}

#[test]
fn what_decrypt_left_open_is_told_until_it_is_closed() {
    let sandbox = repository();
    sandbox.kveil(["decrypt", "-i", "sealed.yaml"]).run().ok();
    assert!(ids(&found(&sandbox, &[])).contains(&"KV117"));
    sandbox.kveil(["encrypt", "--all-decrypted"]).run().ok();
    assert!(!ids(&found(&sandbox, &[])).contains(&"KV117"));
}

/// The hooks of the pre-commit framework: their lines as it runs them, with the files behind.
#[test]
fn hooks_of_pre_commit_find_and_encrypt() {
    let hooks = std::fs::read_to_string(root().join(".pre-commit-hooks.yaml")).unwrap();
    let entry = |id: &str| {
        let (_, rest) = hooks.split_once(&format!("- id: {id}\n")).unwrap();
        rest.lines().find_map(|line| line.trim().strip_prefix("entry: ")).unwrap().to_owned()
    };
    let sandbox = repository();
    sandbox.write("a.yaml", secret("hunter2"));
    sandbox.write("README.md", "a page\n");
    git(&sandbox, "add -A");
    let hook = |id: &str, files: &str| sandbox.shell(&format!("{} {files}", entry(id))).env("PRE_COMMIT", "1").run();
    assert_eq!(hook("kveil-check", "a.yaml README.md").code, 1);
    assert_eq!(hook("kveil-encrypt", "a.yaml README.md").code, 1, "the commit must not go on");
    assert!(String::from_utf8(sandbox.read("a.yaml")).unwrap().contains("ENC[") && sandbox.read("README.md") == b"a page\n");
    assert_eq!(hook("kveil-check", "a.yaml README.md").code, 0);
    git(&sandbox, "add -A");
    assert_eq!(hook("kveil-encrypt", "a.yaml README.md").code, 0);
}
