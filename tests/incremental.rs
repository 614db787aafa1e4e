//! Encrypting over an earlier version: what is unchanged keeps its bytes, and what someone planted isn't taken over.

mod sandbox;

use sandbox::{RECIPIENT_1, RECIPIENT_2, Sandbox};

const SECRET: &str =
    "apiVersion: v1\nkind: Secret\nmetadata:\n  name: web\nstringData:\n  password: hunter2-plain\n  user: 'admin-of-all'\n";

/// A repository whose last commit has `SECRET`, encrypted for recipient 1 by a rule; the work tree has it decrypted.
fn decrypted() -> Sandbox {
    let sandbox = Sandbox::with_identity();
    let config = "[user]\n\tname = A\n\temail = a@example.com\n[init]\n\tdefaultBranch = main\n";
    std::fs::write(sandbox.home().join(".gitconfig"), config).unwrap();
    sandbox.write(".sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT_1}\n"));
    sandbox.write("secret.yaml", SECRET);
    sandbox.kveil(["encrypt", "-i", "secret.yaml"]).run().ok();
    sandbox.write("sealed.yaml", sandbox.read("secret.yaml"));
    git(&sandbox, "git init -q && git add .sops.yaml secret.yaml && git commit -qm first");
    sandbox.kveil(["decrypt", "-i", "secret.yaml"]).run().ok();
    sandbox
}

#[track_caller]
fn git(sandbox: &Sandbox, line: &str) -> String {
    sandbox.shell(line).run().text()
}

fn text(sandbox: &Sandbox, name: &str) -> String {
    String::from_utf8(sandbox.read(name)).unwrap()
}

/// The lines of the file that the first commit doesn't have.
fn changed(sandbox: &Sandbox) -> Vec<String> {
    let old = text(sandbox, "sealed.yaml");
    text(sandbox, "secret.yaml").lines().filter(|line| !old.lines().any(|other| other == *line)).map(str::to_owned).collect()
}

#[test]
fn nothing_changed_gives_the_committed_bytes() {
    let sandbox = decrypted();
    sandbox.kveil(["encrypt", "-i", "secret.yaml"]).run().ok();
    assert_eq!(sandbox.read("secret.yaml"), sandbox.read("sealed.yaml"));
    assert_eq!(git(&sandbox, "git status --porcelain secret.yaml"), "");
}

#[test]
fn values_that_the_last_commit_has_in_clear_are_told() {
    let sandbox = decrypted();
    git(&sandbox, "git add secret.yaml && git commit -qm oops");
    let done = sandbox.kveil(["encrypt", "-i", "secret.yaml"]).run();
    assert!(done.err.contains("secret.yaml: the last commit has 2 values of it in clear"), "{}", done.err);
    assert!(!done.err.contains("hunter2"), "{}", done.err);
    // One was replaced since; the other is still what git keeps.
    sandbox.write("secret.yaml", SECRET.replace("hunter2", "hunter3"));
    let done = sandbox.kveil(["encrypt", "-i", "secret.yaml"]).run();
    assert!(done.err.contains("the last commit has 1 value of it in clear"), "{}", done.err);
    git(&sandbox, "git add secret.yaml && git commit -qm sealed");
    sandbox.kveil(["decrypt", "-i", "secret.yaml"]).run().ok();
    let done = sandbox.kveil(["encrypt", "-i", "secret.yaml"]).run();
    assert!(!done.err.contains("in clear"), "{}", done.err);
}

#[test]
fn one_changed_value_is_one_changed_line() {
    let sandbox = decrypted();
    sandbox.write("secret.yaml", SECRET.replace("hunter2", "hunter3"));
    sandbox.kveil(["encrypt", "-i", "secret.yaml"]).run().ok();
    // The value, the MAC, and the time if a second went by.
    assert!((2..=3).contains(&changed(&sandbox).len()), "{:#?}", changed(&sandbox));
    if let Some(call) = sandbox.genuine(["decrypt", "secret.yaml"]) {
        assert!(call.run().text().contains("hunter3-plain"));
    }
}

#[test]
fn fresh_means_fresh_and_sops_is_as_ever() {
    let sandbox = decrypted();
    sandbox.kveil(["encrypt", "-i", "--fresh", "secret.yaml"]).run().ok();
    assert!(changed(&sandbox).len() > 5);
    for (name, kept) in [("0", false), ("1", true)] {
        sandbox.write("secret.yaml", SECRET);
        let call = sandbox.sops(["encrypt", "-i", "--encrypted-regex", "^(data|stringData)$", "secret.yaml"]);
        call.env("KVEIL_INCREMENTAL", name).run().ok();
        assert_eq!(changed(&sandbox).is_empty(), kept, "KVEIL_INCREMENTAL={name}");
    }
}

#[test]
fn an_output_and_a_named_version_are_gone_on_from() {
    let sandbox = decrypted();
    sandbox.write("plain.yaml", SECRET);
    let named = sandbox.kveil(["encrypt", "--update", "sealed.yaml", "plain.yaml"]).run().text();
    assert_eq!(named, text(&sandbox, "sealed.yaml"));
    sandbox.kveil(["encrypt", "-o", "secret.yaml", "plain.yaml"]).run().ok();
    assert_eq!(changed(&sandbox), [""; 0]);
    let refusal = sandbox.kveil(["encrypt", "--update", "plain.yaml", "plain.yaml"]).run().refused(1);
    assert!(refusal.contains("--update"), "{refusal}");
    // Outside of a repository it is what would be overwritten.
    let other = Sandbox::with_identity();
    for name in [".sops.yaml", "sealed.yaml"] {
        other.write(name, sandbox.read(name));
    }
    other.write("plain.yaml", SECRET);
    other.kveil(["encrypt", "-o", "sealed.yaml", "plain.yaml"]).run().ok();
    assert_eq!(other.read("sealed.yaml"), sandbox.read("sealed.yaml"));
}

#[test]
fn a_recipient_that_leaves_takes_the_data_key_along() {
    let sandbox = decrypted();
    let both = format!("creation_rules:\n  - age: {RECIPIENT_1},{RECIPIENT_2}\n");
    sandbox.write(".sops.yaml", &both);
    // The rule isn't committed yet: whoever changed it could be anyone.
    let refusal = sandbox.kveil(["encrypt", "-i", "secret.yaml"]).run().refused(1);
    assert!(refusal.contains(RECIPIENT_2) && refusal.contains("commit"), "{refusal}");
    assert_eq!(text(&sandbox, "secret.yaml"), SECRET);
    sandbox.kveil(["encrypt", "-i", "--allow-recipient", RECIPIENT_2, "secret.yaml"]).run().ok();
    assert!(changed(&sandbox).iter().all(|line| !line.contains("data:") || line.contains("recipient")), "{:#?}", changed(&sandbox));
    sandbox.write("sealed.yaml", sandbox.read("secret.yaml"));
    git(&sandbox, "git commit -qam second");
    sandbox.write(".sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT_1}\n"));
    sandbox.write("secret.yaml", SECRET);
    let said = sandbox.kveil(["encrypt", "-i", "secret.yaml"]).run();
    assert!(said.err.contains("recipients were removed"), "{}", said.err);
    assert!(changed(&sandbox).iter().filter(|line| line.contains("ENC[")).count() >= 3);
}

#[test]
fn a_planted_data_key_is_not_taken_over() {
    let sandbox = decrypted();
    // Someone puts another version into the work tree, whose data key he knows; the commit has the good one.
    sandbox.write("plain.yaml", SECRET.replace("hunter2-plain", "planted"));
    sandbox.kveil(["encrypt", "--fresh", "-o", "planted.yaml", "plain.yaml"]).run().ok();
    // As the committed version of a file that shares no value with what is encrypted now.
    git(&sandbox, "git add planted.yaml && git commit -qm planted");
    sandbox.write("planted.yaml", SECRET.replace("hunter2-plain", "real-value").replace("admin-of-all", "someone"));
    let said = sandbox.kveil(["encrypt", "-i", "planted.yaml"]).run();
    assert!(said.err.contains("a new data key"), "{}", said.err);
    // Only in the work tree, not in a commit: it doesn't count.
    sandbox.write("target.yaml", sandbox.read("sealed.yaml"));
    sandbox.write("plain.yaml", SECRET);
    sandbox.kveil(["encrypt", "-o", "target.yaml", "plain.yaml"]).run().ok();
    assert_ne!(sandbox.read("target.yaml"), sandbox.read("sealed.yaml"));
}

#[test]
fn a_weakened_rule_brings_no_value_into_clear() {
    let sandbox = decrypted();
    sandbox.write(".sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT_1}\n    encrypted_regex: ^user$\n"));
    let refusal = sandbox.kveil(["encrypt", "-i", "secret.yaml"]).run().refused(1);
    assert!(refusal.contains("stringData.password") && refusal.contains("--allow-clear"), "{refusal}");
    assert!(!refusal.contains("hunter2"));
    assert_eq!(text(&sandbox, "secret.yaml"), SECRET);
    sandbox.kveil(["encrypt", "-i", "--allow-clear", "secret.yaml"]).run().ok();
    assert!(text(&sandbox, "secret.yaml").contains("hunter2-plain"));
}

/// A typing error in a selected key, or a value pasted elsewhere.
#[test]
fn a_key_that_is_not_selected_any_more_brings_no_value_into_clear() {
    let sandbox = decrypted();
    let note = SECRET.replace("name: web", "name: web\n  annotations: {note: hunter2-plain}");
    let cases = [("stringdata.password", SECRET.replace("stringData", "stringdata")), ("metadata.annotations.note", note)];
    for (path, plain) in cases {
        sandbox.write("secret.yaml", &plain);
        let refusal = sandbox.kveil(["encrypt", "-i", "secret.yaml"]).run().refused(1);
        assert!(refusal.contains(path) && refusal.contains("--allow-clear") && !refusal.contains("hunter2"), "{refusal}");
        assert_eq!(text(&sandbox, "secret.yaml"), plain);
        sandbox.kveil(["encrypt", "-i", "--allow-clear", "secret.yaml"]).run().ok();
    }
}

#[test]
fn a_rule_that_selects_nothing_any_more_is_no_reason_to_pass_a_file_over() {
    let sandbox = decrypted();
    git(&sandbox, "git add secret.yaml");
    sandbox.write(".sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT_1}\n    encrypted_regex: ^passwort$\n"));
    for arguments in [&["encrypt", "--staged"][..], &["encrypt", "-i", "."], &["encrypt", "-i", "--dry-run", "secret.yaml"]] {
        let reason = sandbox.kveil(arguments).run().refused(1);
        assert!(reason.contains("stringData.password"), "{arguments:?}: {reason}");
        assert_eq!(text(&sandbox, "secret.yaml"), SECRET);
    }
}

#[test]
fn a_repository_inside_another_has_its_own_versions() {
    let sandbox = decrypted();
    git(
        &sandbox,
        "mkdir sub && cp .sops.yaml sub && cp sealed.yaml sub/inner.yaml && cd sub && git init -q && git add . && git commit -qm inner",
    );
    sandbox.write("sub/.sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT_1}\n    encrypted_regex: ^user$\n"));
    sandbox.write("sub/inner.yaml", SECRET);
    let done = sandbox.kveil(["encrypt", "-i", "secret.yaml", "sub/inner.yaml"]).run();
    assert!(done.code == 1 && done.err.contains("stringData.password"), "{}", done.err);
    assert_eq!(text(&sandbox, "sub/inner.yaml"), SECRET);
}

#[cfg(unix)]
#[test]
fn plain_text_that_git_keeps_in_the_index_is_told() {
    let sandbox = decrypted();
    git(&sandbox, "git add secret.yaml && git update-index --assume-unchanged secret.yaml");
    let done = sandbox.kveil(["encrypt", "--staged"]).run();
    assert!(done.code == 1 && done.err.contains("left its plain text in the index"), "{}", done.err);
}

#[test]
fn strictly_as_sops_nothing_comes_into_clear_either() {
    let sandbox = decrypted();
    let weaker = || sandbox.sops(["encrypt", "-i", "--encrypted-regex", "^user$", "secret.yaml"]);
    let refusal = weaker().env("KVEIL_STRICT", "1").run().refused(1);
    assert!(refusal.contains("stringData.password"), "{refusal}");
    assert_eq!(text(&sandbox, "secret.yaml"), SECRET);
    weaker().run().ok();
    assert!(text(&sandbox, "secret.yaml").contains("hunter2-plain"));
}

#[test]
fn flags_count_beside_the_earlier_version() {
    let sandbox = decrypted();
    std::fs::remove_file(sandbox.path(".sops.yaml")).unwrap();
    let said = sandbox.kveil(["encrypt", "-i", "--encrypted-regex", "^stringData$", "secret.yaml"]).run();
    assert!(said.err.contains("encrypted_regex: ^stringData$, by flag"), "{}", said.err);
    assert!(text(&sandbox, "secret.yaml").contains("encrypted_regex: ^stringData$"));
}

#[test]
fn without_an_identity_everything_is_new_and_a_damaged_version_is_an_error() {
    let sandbox = decrypted();
    let said = sandbox.kveil(["encrypt", "-i", "secret.yaml"]).env("HOME", sandbox.tmp()).env("XDG_CONFIG_HOME", sandbox.tmp()).run();
    assert!(said.err.contains("no identity here opens"), "{}", said.err);
    said.ok();
    assert!(changed(&sandbox).len() > 4);
    let damaged = text(&sandbox, "sealed.yaml").replace("name: web", "name: other");
    sandbox.write("secret.yaml", &damaged);
    git(&sandbox, "git commit -qam damaged");
    sandbox.write("secret.yaml", SECRET.replace("web", "other"));
    let refusal = sandbox.kveil(["encrypt", "-i", "secret.yaml"]).run().refused(51);
    assert!(refusal.contains("--fresh"), "{refusal}");
    sandbox.kveil(["encrypt", "-i", "--fresh", "secret.yaml"]).run().ok();
}

#[test]
fn a_decrypted_file_without_a_rule_goes_back_to_whom_it_was_for() {
    let sandbox = decrypted();
    std::fs::remove_file(sandbox.path(".sops.yaml")).unwrap();
    let said = sandbox.kveil(["encrypt", "-i", "secret.yaml"]).run();
    assert!(said.err.contains("as in the earlier version"), "{}", said.err);
    said.ok();
    assert_eq!(sandbox.read("secret.yaml"), sandbox.read("sealed.yaml"));
}
