//! `status` of trees, files that `decrypt -i` left in clear, and `decrypt --placeholders`.

mod sandbox;

use sandbox::{IDENTITY_1, RECIPIENT_1, Sandbox, cases};
use serde_json::Value;

const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: web\nstringData:\n  password: hunter2-plain\n";

/// A repository in whose `live/` files are encrypted by rule.
fn repository() -> Sandbox {
    let sandbox = Sandbox::with_identity();
    sandbox.write(".sops.yaml", format!("creation_rules:\n  - path_regex: ^live/\n    age: {RECIPIENT_1}\n"));
    sandbox.shell("git init -q").run().ok();
    sandbox.write("live/sealed.yaml", SECRET);
    sandbox.kveil(["encrypt", "-i", "live/sealed.yaml"]).run().ok();
    sandbox
}

/// What the status says: (file, status, rule).
#[track_caller]
fn rows(sandbox: &Sandbox, arguments: &[&str]) -> Vec<String> {
    let out = sandbox.kveil(["status", "--format", "json"].iter().chain(arguments)).run().ok();
    let report: Value = serde_json::from_slice(&out).unwrap();
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or("-").to_owned();
    let listed = report["files"].as_array().unwrap().iter().filter(|row| row["status"] != "skipped");
    listed.map(|row| format!("{} {} {}", text(row, "file"), text(row, "status"), text(row, "rule"))).collect()
}

#[test]
fn each_file_is_told_with_its_rule() {
    let sandbox = repository();
    let sealed = sandbox.read("live/sealed.yaml");
    sandbox.write("live/open.yaml", SECRET);
    sandbox.write("live/empty.yaml", "apiVersion: v1\nkind: Secret\nmetadata:\n  name: web\n");
    sandbox.write("elsewhere/open.yaml", SECRET);
    sandbox.write("elsewhere/sealed.tmpl", sealed);
    sandbox.write("elsewhere/pod.yaml", "apiVersion: v1\nkind: Pod\n");
    sandbox.write("README.md", "sops: as a word\n");
    let all = [
        "elsewhere/open.yaml no-rule -",
        "elsewhere/sealed.tmpl encrypted -",
        "live/open.yaml clear .sops.yaml:2",
        "live/sealed.yaml encrypted .sops.yaml:2",
    ];
    assert_eq!(rows(&sandbox, &[]), all);
    assert_eq!(rows(&sandbox, &["live"]), all[2..]);
    let done = sandbox.kveil(["status"]).run();
    assert!(!done.err.contains("hunter2"));
    let text = done.text();
    assert!(
        text.contains("no-rule    elsewhere/open.yaml\n") && text.contains("clear      live/open.yaml  (rule .sops.yaml:2)\n"),
        "{text}"
    );
}

#[test]
fn what_decrypt_leaves_in_clear_is_noted_listed_and_closed() {
    let sandbox = repository();
    let done = sandbox.kveil(["decrypt", "-i", "live/sealed.yaml"]).run();
    assert!(done.err.contains("1 file is in clear in a git work tree now"), "{}", done.err);
    done.ok();
    assert_eq!(rows(&sandbox, &[]), ["live/sealed.yaml decrypted .sops.yaml:2"]);
    assert_eq!(sandbox.read(".git/info/kveil-left-decrypted"), b"live/sealed.yaml\n");
    assert!(!sandbox.shell("git status --porcelain").run().text().contains("left-decrypted"));
    sandbox.write("live/new/x.yaml", SECRET);
    sandbox.kveil(["encrypt", "--all-decrypted"]).within(sandbox.path("live/new")).run().ok();
    assert_eq!(rows(&sandbox, &["live"]), ["live/new/x.yaml clear .sops.yaml:2", "live/sealed.yaml encrypted .sops.yaml:2"]);
    sandbox.kveil(["encrypt", "--all-decrypted"]).run().ok();
    assert!(String::from_utf8(sandbox.read("live/new/x.yaml")).unwrap().contains("hunter2"));
}

#[test]
fn a_list_of_decrypted_files_drops_those_that_are_closed_again() {
    let sandbox = repository();
    sandbox.write("live/other.yaml", sandbox.read("live/sealed.yaml"));
    sandbox.kveil(["decrypt", "-i", "live/sealed.yaml"]).run().ok();
    sandbox.kveil(["encrypt", "-i", "live/sealed.yaml"]).run().ok();
    sandbox.kveil(["decrypt", "-i", "live/other.yaml"]).run().ok();
    assert_eq!(sandbox.read(".git/info/kveil-left-decrypted"), b"live/other.yaml\n");
}

#[test]
fn linked_work_trees_have_lists_of_their_own() {
    let sandbox = repository();
    let line = "git add -A && git -c user.name=a -c user.email=a@b commit -qm x && git worktree add -q ../work/linked";
    sandbox.shell(line).run().ok();
    sandbox.kveil(["decrypt", "-i", "live/sealed.yaml"]).within(sandbox.path("linked")).run().ok();
    assert_eq!(rows(&sandbox, &["live"]), ["live/sealed.yaml encrypted .sops.yaml:2"]);
    assert!(!sandbox.path(".git/info/kveil-left-decrypted").exists());
    let listed = sandbox.kveil(["status"]).within(sandbox.path("linked")).run().text();
    assert!(listed.starts_with("decrypted  live/sealed.yaml"), "{listed}");
}

/// A run that is killed may have put some files in clear: the list has them already.
#[test]
fn files_are_noted_before_they_are_in_clear() {
    let sandbox = repository();
    sandbox.write(
        "key.sh",
        format!("cp .git/info/kveil-left-decrypted noted\ngrep -c AES256_GCM live/sealed.yaml >> noted\necho {IDENTITY_1}\n"),
    );
    let opening = sandbox.kveil(["decrypt", "-i", "live/sealed.yaml"]).env("HOME", "/nonexistent").env("SOPS_AGE_KEY_CMD", "sh key.sh");
    opening.run().ok();
    assert_eq!(sandbox.read("noted"), b"live/sealed.yaml\n2\n");
}

#[test]
fn a_file_that_stays_encrypted_is_struck_off_the_list() {
    let sandbox = repository();
    let sealed = String::from_utf8(sandbox.read("live/sealed.yaml")).unwrap();
    sandbox.write("live/broken.yaml", sealed.replace("name: web", "name: other"));
    sandbox.kveil(["decrypt", "-i", "live/broken.yaml", "live/sealed.yaml"]).run().refused(51);
    assert_eq!(sandbox.read(".git/info/kveil-left-decrypted"), b"live/sealed.yaml\n");
    assert_eq!(rows(&sandbox, &[]), ["live/broken.yaml encrypted .sops.yaml:2", "live/sealed.yaml decrypted .sops.yaml:2"]);
}

#[test]
fn what_a_killed_run_left_is_removed_and_told() {
    let sandbox = repository();
    let left = "live/.sealed.yaml.0123456789abcdef.tmp";
    sandbox.write(left, SECRET);
    let done = sandbox.kveil(["status", "-v"]).run();
    assert!(done.err.contains("live/.sealed.yaml.0123456789abcdef.tmp: skipped, left by a run that was killed"), "{}", done.err);
    assert!(!sandbox.path(left).exists());
    sandbox.write(left, SECRET);
    sandbox.kveil(["set", "live/sealed.yaml", "stringData.password", "new"]).run().ok();
    assert!(!sandbox.path(left).exists());
}

#[test]
fn outside_a_repository_nothing_is_noted() {
    let sandbox = Sandbox::with_identity();
    sandbox.write("s.yaml", SECRET);
    sandbox.kveil(["encrypt", "-i", "--age", RECIPIENT_1, "s.yaml"]).run().ok();
    let done = sandbox.kveil(["decrypt", "-i", "s.yaml"]).run();
    assert!(!done.err.contains("git"), "{}", done.err);
    assert_eq!(sandbox.listing(), ["s.yaml"]);
    sandbox.kveil(["encrypt", "--all-decrypted"]).run().refused(1);
}

#[test]
fn under_the_name_sops_decrypting_in_place_is_silent() {
    let done = repository().sops(["decrypt", "-i", "live/sealed.yaml"]).run();
    assert_eq!((done.code, done.err.as_str()), (0, ""));
}

/// The shape of a plain file: keys, types, lengths of lists, without what strings say.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), shape(value))).collect(),
        Value::Array(items) => items.iter().map(shape).collect(),
        Value::String(_) => Value::from("string"),
        Value::Number(_) => Value::from("number"),
        other => Value::from(if other.is_boolean() { "boolean" } else { "null" }),
    }
}

#[test]
fn placeholders_have_the_shape_of_the_values_and_need_no_key() {
    let (with_key, without) = (Sandbox::with_identity(), Sandbox::new());
    let mut tried = 0;
    for case in std::fs::read_dir(cases()).unwrap().map(|case| case.unwrap().path()) {
        let file = case.join("encrypted.yaml");
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let json = |sandbox: &Sandbox, flags: &[&str]| -> Option<Value> {
            let done = sandbox.kveil(["decrypt", "--output-type", "json"].iter().chain(flags)).arg(&file).run();
            (done.code == 0).then(|| serde_json::from_slice(&done.out).unwrap())
        };
        let Some(real) = json(&with_key, &[]) else { continue };
        let dummy = json(&without, &["--placeholders"]).unwrap();
        assert_eq!(shape(&dummy), shape(&real), "{name}");
        tried += 1;
    }
    assert!(tried > 20, "{tried}");
}

#[test]
fn placeholders_keep_the_authors_layout_and_never_replace_a_file() {
    let sandbox = repository();
    let done = sandbox.kveil(["decrypt", "--placeholders", "live/sealed.yaml"]).env("HOME", "/nonexistent").run();
    assert_eq!(done.text(), SECRET.replace("hunter2-plain", "placeholder"));
    sandbox.kveil(["decrypt", "-i", "--placeholders", "live/sealed.yaml"]).run().refused(8);
}
