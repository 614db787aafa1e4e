//! Recipients and data keys of encrypted files: rotate, updatekeys, groups, recipients, beside genuine sops.

mod sandbox;

use sandbox::{RECIPIENT_1, RECIPIENT_2, Sandbox, key};
use std::collections::BTreeSet;

const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: database\nstringData:\n    password: 'hunter2-hunter2' # spring\n    list: &x [a, b]\n";

/// A sandbox with identity 1, a file for recipients 1 and 2, and a rule that says so.
fn ready() -> Sandbox {
    let sandbox = Sandbox::with_identity();
    sandbox.write(".sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT_1},{RECIPIENT_2}\n"));
    sandbox.write("secret.yaml", SECRET);
    sandbox.kveil(["encrypt", "-i", "secret.yaml"]).run().ok();
    sandbox
}

fn text(sandbox: &Sandbox) -> String {
    String::from_utf8(sandbox.read("secret.yaml")).unwrap()
}

fn tokens(text: &str) -> BTreeSet<String> {
    text.split("ENC[").skip(1).filter_map(|token| token.split_once(']')).map(|(token, _)| token.to_owned()).collect()
}

fn decrypted(sandbox: &Sandbox) -> String {
    sandbox.kveil(["decrypt", "secret.yaml"]).run().text()
}

/// Genuine sops opens the file; nothing where it isn't installed.
fn genuine_opens(sandbox: &Sandbox) {
    if let Some(call) = sandbox.genuine(["decrypt", "secret.yaml"]) {
        assert!(call.run().text().contains("hunter2-hunter2"));
    }
}

#[test]
fn a_rotated_file_has_nothing_of_the_old_tokens() {
    let sandbox = ready();
    let before = text(&sandbox);
    sandbox.kveil(["rotate", "-i", "secret.yaml"]).run().ok();
    let after = text(&sandbox);
    assert!(tokens(&before).is_disjoint(&tokens(&after)));
    assert_eq!(decrypted(&sandbox), SECRET);
    genuine_opens(&sandbox);
    let shown = sandbox.kveil(["rotate", "secret.yaml"]).run().text();
    assert!(tokens(&shown).is_disjoint(&tokens(&after)) && text(&sandbox) == after);
    assert_eq!(sandbox.listing(), [".sops.yaml", "secret.yaml"]);
}

#[test]
fn rotate_adds_and_removes_recipients() {
    let sandbox = ready();
    sandbox.kveil(["rotate", "-i", "--rm-age", RECIPIENT_2, "secret.yaml"]).run().ok();
    assert!(text(&sandbox).contains(RECIPIENT_1) && !text(&sandbox).contains(RECIPIENT_2));
    sandbox.kveil(["rotate", "-i", "--add-age", RECIPIENT_2, "secret.yaml"]).run().ok();
    assert!(text(&sandbox).contains(RECIPIENT_2));
    genuine_opens(&sandbox);
    let left = text(&sandbox);
    sandbox.kveil(["rotate", "-i", "--rm-age", RECIPIENT_1, "--rm-age", RECIPIENT_2, "secret.yaml"]).run().refused(1);
    assert_eq!(text(&sandbox), left);
}

#[test]
fn an_entry_that_someone_copied_in_gets_no_data_key() {
    let sandbox = ready();
    // The stranger is no recipient of the rule: it is taken out of it, not of the file.
    sandbox.write(".sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT_1}\n"));
    let before = text(&sandbox);
    let refusal = sandbox.kveil(["rotate", "-i", "secret.yaml"]).run().refused(1);
    assert!(refusal.contains(RECIPIENT_2) && refusal.contains("--allow-recipient"), "{refusal}");
    assert_eq!(text(&sandbox), before);
    sandbox.sops(["rotate", "-i", "secret.yaml"]).env("KVEIL_STRICT", "1").run().refused(1);
    sandbox.kveil(["rotate", "-i", "--allow-recipient", RECIPIENT_2, "secret.yaml"]).run().ok();
    sandbox.sops(["rotate", "-i", "secret.yaml"]).run().ok();
}

/// A file in which recipient 2's entry was copied by someone who isn't of the rule, and is labelled as recipient 3's.
fn planted() -> (Sandbox, String) {
    let sandbox = ready();
    let three = std::fs::read_to_string(key("age3.txt")).unwrap();
    let three = three.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap().to_owned();
    sandbox.kveil(["recipients", "add", "--no-config", &three, "secret.yaml"]).run().ok();
    (sandbox, three)
}

#[test]
fn no_verb_that_wraps_anew_takes_a_planted_entry_along() {
    let (sandbox, three) = planted();
    let before = text(&sandbox);
    let refused = |arguments: &[&str]| {
        let reason = sandbox.kveil(arguments).run().refused(1);
        assert!(reason.contains(&three) && reason.contains("--allow-recipient"), "{arguments:?}: {reason}");
        assert_eq!(text(&sandbox), before, "{arguments:?}");
    };
    refused(&["rotate", "-i", "secret.yaml"]);
    refused(&["recipients", "remove", "--no-config", RECIPIENT_2, "secret.yaml"]);
    refused(&["groups", "add", "-i", "-f", "secret.yaml", "--age", RECIPIENT_2]);
    sandbox.kveil(["recipients", "remove", "--no-config", "--allow-recipient", &three, RECIPIENT_2, "secret.yaml"]).run().ok();
}

#[test]
fn a_broken_configuration_lets_no_one_in() {
    let (sandbox, _) = planted();
    let before = text(&sandbox);
    for broken in ["creation_rules: [", "creation_rules:\n  - path_regex: '('\n    age: x\n"] {
        sandbox.write(".sops.yaml", broken);
        sandbox.kveil(["rotate", "-i", "secret.yaml"]).run().refused(1);
        sandbox.kveil(["recipients", "remove", "--no-config", RECIPIENT_2, "secret.yaml"]).run().refused(1);
        assert_eq!(text(&sandbox), before, "{broken}");
    }
}

#[test]
fn a_label_stands_for_no_other_recipient_and_for_one_only() {
    let sandbox = ready();
    let before = text(&sandbox);
    let rule = format!("creation_rules:\n  - age: {RECIPIENT_1},{RECIPIENT_2}\n");
    sandbox.write(".sops.yaml", format!("names:\n  {RECIPIENT_1}: {RECIPIENT_2}\n{rule}"));
    sandbox.kveil(["recipients", "remove", "--no-config", RECIPIENT_2, "secret.yaml"]).run().ok();
    assert!(text(&sandbox).contains(RECIPIENT_1) && !text(&sandbox).contains(RECIPIENT_2));
    sandbox.write("secret.yaml", &before);
    sandbox.write(".sops.yaml", format!("names:\n  {RECIPIENT_1}: ana\n  {RECIPIENT_2}: ana\n{rule}"));
    assert!(sandbox.kveil(["recipients", "remove", "ana", "secret.yaml"]).run().refused(1).contains("ana names 2 recipients"));
    assert_eq!(text(&sandbox), before);
}

#[test]
fn exit_codes_of_rotate_are_those_of_sops() {
    let sandbox = ready();
    sandbox.sops(["rotate", "none.yaml"]).run().refused(2);
    sandbox.sops(["rotate", "--add-age", RECIPIENT_2, "none.yaml"]).run().refused(49);
    sandbox.sops(["rotate", "-i", "--output", "x.yaml", "secret.yaml"]).run().refused(8);
    sandbox.sops(["rotate"]).run().refused(100);
    sandbox.write("clear.yaml", "a: b\n");
    assert!(sandbox.sops(["rotate", "clear.yaml"]).run().refused(1).contains("sops metadata not found"));
}

#[test]
fn updatekeys_keeps_what_stays_and_asks() {
    let sandbox = ready();
    sandbox.write(".sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT_1}\n"));
    let before = text(&sandbox);
    let shown = sandbox.kveil(["updatekeys", "--check", "secret.yaml"]).run();
    assert!(sandbox::shown(&shown.out).contains(&format!("--- {RECIPIENT_2}")));
    assert_eq!(shown.code, 1);
    sandbox.kveil(["updatekeys", "secret.yaml"]).stdin("n\n").run().ok();
    // An input that ends without an answer is none, as in sops: a job that forgot `-y` must not pass.
    assert_eq!(sandbox.kveil(["updatekeys", "secret.yaml"]).run().code, 1);
    assert_eq!(text(&sandbox), before);
    // Genuine sops keeps the data key; kveil makes a new one for the sake of whom it shuts out.
    let kept = sandbox.sops(["updatekeys", "-y", "secret.yaml"]);
    kept.run().ok();
    let after = text(&sandbox);
    assert_eq!(tokens(&before), tokens(&after));
    assert!(!after.contains(RECIPIENT_2) && before.lines().filter(|line| after.lines().any(|other| other == *line)).count() > 10);
    genuine_opens(&sandbox);
    sandbox.write("secret.yaml", &before);
    sandbox.kveil(["updatekeys", "-y", "secret.yaml"]).run().ok();
    assert!(tokens(&before).is_disjoint(&tokens(&text(&sandbox))));
    assert_eq!(decrypted(&sandbox), SECRET);
    let again = text(&sandbox);
    sandbox.kveil(["updatekeys", "-y", "secret.yaml"]).run().ok();
    sandbox.kveil(["updatekeys", "--check", "secret.yaml"]).run().ok();
    assert_eq!(text(&sandbox), again);
}

#[test]
fn updatekeys_adds_without_touching_a_value() {
    let sandbox = ready();
    let three = std::fs::read_to_string(key("age3.txt")).unwrap();
    let three = three.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap();
    sandbox.write(".sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT_1},{RECIPIENT_2},{three}\n"));
    let before = text(&sandbox);
    sandbox.kveil(["updatekeys", "-y", "secret.yaml"]).run().ok();
    let after = text(&sandbox);
    assert_eq!(tokens(&before), tokens(&after));
    assert!(before.lines().all(|line| after.lines().any(|other| other == line)));
    let opened = sandbox.kveil(["decrypt", "secret.yaml"]).env("SOPS_AGE_KEY_FILE", key("age3.txt")).run();
    assert_eq!(opened.text(), SECRET);
}

#[test]
fn exit_codes_of_updatekeys_are_those_of_sops() {
    let sandbox = ready();
    sandbox.sops(["updatekeys", "-y", "none.yaml"]).run().refused(1);
    sandbox.sops(["updatekeys", "-y"]).run().refused(100);
    sandbox.sops(["updatekeys", "-y", "none.yaml", "secret.yaml"]).run().refused(1);
    sandbox.write(".sops.yaml", "creation_rules:\n  - path_regex: other\n    age: x\n");
    sandbox.sops(["updatekeys", "-y", "secret.yaml"]).run().refused(1);
}

const RECIPIENT_3: &str = "age1va8kzkh24tqzpw0kdszvv4cvr2pm4hvk00ac8unvxz83hdckqd4sjnldjh";

#[test]
fn updatekeys_takes_the_threshold_of_the_rule() {
    let sandbox = Sandbox::with_identity();
    let groups = [RECIPIENT_1, RECIPIENT_2, RECIPIENT_3].map(|recipient| format!("  - age: [{recipient}]\n")).concat();
    let rule = |threshold| {
        sandbox.write(".sops.yaml", format!("creation_rules:\n- shamir_threshold: {threshold}\n  key_groups:\n{groups}"));
    };
    rule(3);
    sandbox.write("secret.yaml", SECRET);
    sandbox.kveil(["encrypt", "-i", "secret.yaml"]).run().ok();
    rule(2);
    let all = key("age_all.txt");
    let run = |arguments: &[&str]| sandbox.kveil(arguments).env("SOPS_AGE_KEY_FILE", &all).run();
    assert_eq!(run(&["updatekeys", "--check", "secret.yaml"]).code, 1);
    let shown = run(&["updatekeys", "-y", "secret.yaml"]).text();
    assert!(shown.contains("+++ shamir_threshold: 2\n--- shamir_threshold: 3\n"), "{shown}");
    run(&["updatekeys", "--check", "secret.yaml"]).ok();
    let two = [key("age1.txt"), key("age3.txt")].map(|file| std::fs::read_to_string(file).unwrap()).concat();
    let done = sandbox.kveil(["decrypt", "secret.yaml"]).env("SOPS_AGE_KEY", &two).run();
    assert_eq!(String::from_utf8(done.ok()).unwrap(), SECRET);
}

#[test]
fn key_groups_come_and_go() {
    let sandbox = ready();
    sandbox.kveil(["groups", "add", "-i", "-f", "secret.yaml", "--age", RECIPIENT_2]).run().ok();
    assert!(text(&sandbox).contains("shamir_threshold: 2"));
    sandbox.kveil(["decrypt", "secret.yaml"]).run().refused(128);
    let both = [key("age1.txt"), key("age2.txt")].map(|file| std::fs::read_to_string(file).unwrap()).concat();
    let sops = |arguments: &[&str]| sandbox.sops(arguments).env("SOPS_AGE_KEY", &both);
    sops(&["groups", "delete", "-i", "-f", "secret.yaml", "1"]).run().refused(1);
    sops(&["groups", "delete", "-i", "-f", "secret.yaml", "--shamir-secret-sharing-threshold", "1", "7"]).run().refused(1);
    sops(&["groups", "delete", "-i", "-f", "secret.yaml", "--shamir-secret-sharing-threshold", "1", "1"]).run().ok();
    assert_eq!(decrypted(&sandbox), SECRET);
    genuine_opens(&sandbox);
}

#[test]
fn who_can_open_what_is_shown_by_name_and_without_a_key() {
    let sandbox = ready();
    sandbox.write(".sops.yaml", format!("names:\n  {RECIPIENT_1}: anna\ncreation_rules:\n  - age: {RECIPIENT_1},{RECIPIENT_2}\n"));
    let keyless = |format: &str| {
        sandbox.kveil(["recipients", "list", "--format", format, "secret.yaml"]).env("SOPS_AGE_KEY_FILE", "none").run().text()
    };
    let matrix = keyless("text");
    assert!(matrix.contains("anna") && matrix.contains("  x  x  secret.yaml"), "{matrix}");
    let json: serde_json::Value = serde_json::from_str(&keyless("json")).unwrap();
    assert_eq!(json["recipients"][0]["name"], "anna");
    assert_eq!(json["files"][0]["groups"][0][1], RECIPIENT_2);
    assert!(keyless("csv").contains(&format!("\"secret.yaml\",age,\"{RECIPIENT_1}\",\"anna\",0")));
}

#[test]
fn who_leaves_is_shut_out_and_what_was_readable_is_listed() {
    let sandbox = ready();
    sandbox.write(".sops.yaml", format!("names:\n  {RECIPIENT_2}: bert\ncreation_rules:\n  - age: {RECIPIENT_1},{RECIPIENT_2}\n"));
    let before = text(&sandbox);
    let values = sandbox.kveil(["recipients", "remove", "bert", "secret.yaml"]).run().text();
    assert_eq!(values, "secret.yaml\tstringData.password\nsecret.yaml\tstringData.list[0]\nsecret.yaml\tstringData.list[1]\n");
    assert!(tokens(&before).is_disjoint(&tokens(&text(&sandbox))) && !text(&sandbox).contains(RECIPIENT_2));
    let config = String::from_utf8(sandbox.read(".sops.yaml")).unwrap();
    assert!(config.ends_with(&format!("  - age: {RECIPIENT_1}\n")), "{config}");
    sandbox.kveil(["recipients", "remove", RECIPIENT_1, "secret.yaml"]).run().refused(1);
    let left = text(&sandbox);
    sandbox.kveil(["recipients", "add", RECIPIENT_2, "secret.yaml"]).run().ok();
    assert_eq!(tokens(&left), tokens(&text(&sandbox)));
    let config = String::from_utf8(sandbox.read(".sops.yaml")).unwrap();
    assert!(config.ends_with(&format!("  - age: {RECIPIENT_1},{RECIPIENT_2}\n")), "{config}");
    genuine_opens(&sandbox);
    sandbox.kveil(["recipients", "add", "nonsense", "secret.yaml"]).run().refused(1);
}
