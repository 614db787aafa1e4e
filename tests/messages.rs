//! What kveil says to someone who is new to it: each message names what to do next.

mod sandbox;

use sandbox::{RECIPIENT_1, RECIPIENT_2, Sandbox};

const PLAIN: &str = "a: hello\nmap:\n  x: 1\n  y: 2\nlist: [1, 2]\n";

/// A sandbox with `plain.yaml` and `enc.yaml`.
fn ready() -> Sandbox {
    let sandbox = Sandbox::with_identity();
    sandbox.write("plain.yaml", PLAIN);
    let sealed = sandbox.kveil(["encrypt", "--age", RECIPIENT_1, "plain.yaml"]).run().ok();
    sandbox.write("enc.yaml", sealed);
    sandbox
}

#[track_caller]
fn says(message: &str, words: &[&str]) {
    for word in words {
        assert!(message.contains(word), "“{word}” is missing:\n{message}");
    }
}

#[test]
fn the_version_and_a_file_without_a_verb() {
    let sandbox = ready();
    for flag in ["-v", "-V", "--version"] {
        assert!(sandbox.kveil([flag]).run().text().starts_with("kveil "));
    }
    says(&sandbox.kveil(["plain.yaml"]).run().refused(1), &["kveil encrypt plain.yaml", "kveil decrypt", "kveil edit"]);
    says(&sandbox.kveil(["encryt"]).run().refused(1), &["did you mean encrypt?"]);
    assert!(sandbox.kveil(["help", "decrypt"]).run().text().contains("--extract"));
}

#[test]
fn the_name_sops_counts_at_any_path_and_with_exe() {
    let sandbox = ready();
    for name in ["deep/sops", "sops.exe"] {
        let link = sandbox.path(name);
        std::fs::create_dir_all(link.parent().unwrap()).unwrap();
        sandbox::link(&sandbox::program(), &link);
        let done = sandbox.shell(&format!("./{name} --version")).run().text();
        assert_eq!(done.lines().next(), Some("sops 3.13.3"), "{name}");
        assert!(done.lines().nth(1).unwrap().starts_with("kveil "), "{done}");
    }
}

#[test]
fn a_lost_sops_block_is_no_file_in_clear() {
    let sandbox = ready();
    let sealed = String::from_utf8(sandbox.read("enc.yaml")).unwrap();
    let values = sealed.split_once("sops:").unwrap().0;
    sandbox.write("lost.yaml", values);
    let message = sandbox.kveil(["decrypt", "lost.yaml"]).run().refused(1);
    says(&message, &["lost.yaml:1:4: sops metadata not found", "restore the sops block"]);
    assert!(!message.contains("kveil encrypt"), "{message}");
    let encrypt = ["encrypt", "-i", "--age", RECIPIENT_1, "lost.yaml"];
    says(&sandbox.kveil(encrypt).run().refused(203), &["lost.yaml:1:4: ", "restore the sops block"]);
    assert_eq!(sandbox.read("lost.yaml"), values.as_bytes());
    sandbox.sops(encrypt).run().ok();
}

#[test]
fn conflict_markers_are_called_by_their_name() {
    let sandbox = ready();
    let sealed = String::from_utf8(sandbox.read("enc.yaml")).unwrap();
    sandbox.write("both.yaml", format!("<<<<<<< HEAD\n{sealed}=======\n{sealed}>>>>>>> theirs\n"));
    for (arguments, code) in [(&["decrypt", "both.yaml"][..], 1), (&["encrypt", "--age", RECIPIENT_1, "both.yaml"], 2)] {
        says(&sandbox.kveil(arguments).run().refused(code), &["both.yaml:1:1: a merge left conflict markers", "kveil resolve"]);
    }
}

#[test]
fn wrong_files_are_told_with_the_way_out() {
    let sandbox = ready();
    says(&sandbox.kveil(["decrypt", "nofile.yaml"]).run().refused(100), &["no such file", "taken from"]);
    says(&sandbox.kveil(["decrypt", "plain.yaml"]).run().refused(1), &["sops metadata not found", "kveil encrypt"]);
    let message = sandbox.kveil(["encrypt", "--age", RECIPIENT_1, "enc.yaml"]).run().refused(203);
    says(&message, &["kveil decrypt", "kveil edit"]);
    assert!(!message.contains("(at sops)"), "{message}");
    let empty = sandbox.kveil(["encrypt", "--age", RECIPIENT_1, "--filename-override", "x.yaml"]).stdin("").run();
    says(&empty.refused(92), &["standard input is empty"]);
    says(&sandbox.kveil(["decrypt"]).stdin("").run().refused(1), &["standard input is empty"]);
    sandbox.write("big.yaml", "n: 18446744073709551615\n");
    says(&sandbox.kveil(["encrypt", "--age", RECIPIENT_1, "big.yaml"]).run().refused(23), &["quotes"]);
}

#[test]
fn a_part_that_is_not_there_names_those_that_are() {
    let sandbox = ready();
    let miss = |path: &str| sandbox.kveil(["decrypt", "--extract", path, "enc.yaml"]).run().refused(1);
    says(&miss("[\"nope\"]"), &["there are: a, map, list"]);
    says(&miss("[\"map\"][\"z\"]"), &["there are: x, y"]);
    says(&miss("[\"list\"][7]"), &["2 items, counted from 0"]);
    let message = miss("[\"a\"][\"z\"]");
    says(&message, &["a single value"]);
    assert!(!message.contains("hello"), "{message}");
}

#[test]
fn rules_under_another_name_are_found() {
    let sandbox = ready();
    let encrypt = || sandbox.kveil(["encrypt", "plain.yaml"]).run().refused(1);
    sandbox.write(".sops.yaml", format!("age: {RECIPIENT_1}\n"));
    says(&encrypt(), &["unknown field age", "belongs into a rule of creation_rules"]);
    sandbox.write(".sops.yaml", format!("creation_rulez:\n  - age: {RECIPIENT_1}\n"));
    says(&encrypt(), &["creation_rulez", "did you mean creation_rules?"]);
    // sops passes over it, and its phrase stays first.
    let message = sandbox.sops(["encrypt", "plain.yaml"]).run().refused(1);
    assert!(message.starts_with("plain.yaml: config file not found, or has no creation rules"), "{message}");
    says(&message, &["has no creation_rules"]);
}

#[test]
fn warnings_come_once_and_with_tidy_paths() {
    let sandbox = ready();
    sandbox.write("d/.sops.yml", "creation_rules: []\n");
    sandbox.write("d/plain.yaml", PLAIN);
    sandbox.write("d/other.yaml", PLAIN);
    let done = sandbox.kveil(["encrypt", "-i", "--age", RECIPIENT_1, "./d/../d/plain.yaml", "d/./other.yaml"]).run();
    let found: Vec<&str> = done.err.lines().filter(|line| line.contains(".sops.yml")).collect();
    assert_eq!(found, ["warning: d/.sops.yml is ignored, the name is .sops.yaml"], "{}", done.err);
}

#[test]
fn selections_and_groups_that_do_little_are_told() {
    let sandbox = ready();
    let done = sandbox.kveil(["encrypt", "--age", RECIPIENT_1, "--encrypted-regex", "^nope$", "plain.yaml"]).run();
    says(&done.err, &["encrypted_regex: ^nope$ (by flag) selects no value", "everything in it can be read"]);
    done.ok();
    let groups = format!("creation_rules:\n  - key_groups:\n      - age: [{RECIPIENT_1}]\n      - age: [{RECIPIENT_1}, {RECIPIENT_2}]\n");
    sandbox.write(".sops.yaml", groups);
    let done = sandbox.kveil(["encrypt", "plain.yaml"]).run();
    says(&done.err, &["age1av6p…xdhljc stands in more than one key group"]);
    assert_eq!(done.err.matches("more than one key group").count(), 1);
    done.ok();
}

#[test]
fn a_label_named_data_is_not_encrypted_by_default() {
    let sandbox = ready();
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: a, labels: {data: x}}\nstringData: {p: s}\n";
    sandbox.write("s.yaml", secret);
    says(&sandbox.kveil(["encrypt", "--age", RECIPIENT_1, "s.yaml"]).run().refused(1), &["metadata.labels.data", "--encrypted-regex"]);
    sandbox.kveil(["encrypt", "--age", RECIPIENT_1, "--encrypted-regex", "^stringData$", "s.yaml"]).run().ok();
    sandbox.sops(["encrypt", "--age", RECIPIENT_1, "s.yaml"]).run().ok();
}

#[test]
fn init_beside_a_configuration_says_whom_it_leaves_out() {
    let sandbox = ready();
    let config = format!("creation_rules:\n  - age: {RECIPIENT_1}\n");
    sandbox.write(".sops.yaml", &config);
    sandbox.kveil(["init", "--age", "BAD"]).run().refused(1);
    let done = sandbox.kveil(["init", "--age", RECIPIENT_2]).run();
    says(&done.err, &[RECIPIENT_2, "was not added"]);
    done.ok();
    assert_eq!(sandbox.read(".sops.yaml"), config.as_bytes());
}

#[test]
fn explain_tells_of_comments_by_line() {
    let sandbox = ready();
    sandbox.write("c.yaml", "# clear-word\na: 1\nmap:\n  # hidden-word\n  b: 2 # inline-word\n");
    let call = |format: &str| {
        sandbox.kveil(["config", "explain", "--age", RECIPIENT_1, "--encrypted-regex", "^map$", "--format", format, "c.yaml"])
    };
    let text = call("text").run().text();
    says(&text, &["comments\n  clear      line 1\n  encrypted  line 4\n  encrypted  line 5\n"]);
    assert!(!text.contains("word"), "{text}");
    says(&call("json").run().text(), &["\"comments\":[{\"line\":1,\"encrypted\":false},{\"line\":4,\"encrypted\":true}"]);
}

#[test]
fn a_changed_layout_record_is_called_so() {
    let sandbox = ready();
    sandbox.write("q.yaml", "a: >-\n  folded\n  text\n");
    let sealed = String::from_utf8(sandbox.kveil(["encrypt", "--age", RECIPIENT_1, "q.yaml"]).run().ok()).unwrap();
    let at = sealed.find("kveil_layout: ENC[AES256_GCM,data:").expect("a record") + 34;
    let other = if &sealed[at..at + 1] == "A" { "B" } else { "A" };
    sandbox.write("changed.yaml", format!("{}{other}{}", &sealed[..at], &sealed[at + 1..]));
    let done = sandbox.kveil(["decrypt", "changed.yaml"]).run();
    says(&done.err, &["kveil_layout", "was changed or damaged", "values and MAC are right"]);
    done.ok();
}

#[cfg(unix)]
#[test]
fn a_new_clear_file_is_for_its_owner() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = ready();
    let mode = |name: &str| std::fs::metadata(sandbox.path(name)).unwrap().permissions().mode() & 0o777;
    sandbox.shell("umask 022; kveil decrypt -o own.yaml enc.yaml && sops decrypt --output any.yaml enc.yaml").run().ok();
    assert_eq!((mode("own.yaml"), mode("any.yaml")), (0o600, 0o644));
    // One that is there keeps its mode.
    sandbox.shell("umask 022; kveil decrypt -o any.yaml enc.yaml").run().ok();
    assert_eq!(mode("any.yaml"), 0o644);
}

#[test]
fn flags_that_sops_passes_over_are_told_on_request() {
    let sandbox = ready();
    let line = ["-i", "decrypt", "enc.yaml"];
    let quiet = sandbox.sops(line).run();
    assert_eq!((quiet.err.as_str(), quiet.out.as_slice()), ("", PLAIN.as_bytes()));
    says(&sandbox.sops(line).env("KVEIL_STRICT", "1").run().err, &["--in-place stands before decrypt"]);
}
