//! `doctor`: what is here, what opens, what is wrong; and that nobody is asked without `--probe`.
#![cfg(unix)]

mod sandbox;

use sandbox::servers::{self, Way};
use sandbox::{Keyring, RECIPIENT_1, RECIPIENT_2, Sandbox};
use serde_json::{Value, json};

const PLAIN: &str = "a: value\nb: two\n";

/// What doctor says as JSON, and its exit code.
#[track_caller]
fn examined(sandbox: &Sandbox, way: &Way, arguments: &[&str]) -> (Value, i32) {
    let done = sandbox.kveil(["doctor", "--format", "json"].iter().chain(arguments)).way(way).run();
    let report = serde_json::from_slice(&done.out).unwrap_or_else(|why| panic!("{why}: {}", done.err));
    (report, done.code)
}

fn nothing_set() -> Way {
    Way { name: String::new(), variables: Vec::new() }
}

/// `sealed.yaml` for these recipients.
#[track_caller]
fn seal(sandbox: &Sandbox, way: &Way, recipients: &[&str]) {
    sandbox.write("plain.yaml", PLAIN);
    let sealed = sandbox.kveil(["encrypt"].iter().chain(recipients).chain(&["plain.yaml"])).way(way).run().ok();
    sandbox.write("sealed.yaml", sealed);
}

/// All recipients of the first file.
fn readers(report: &Value) -> Vec<&Value> {
    report["files"][0]["groups"].as_array().unwrap().iter().flat_map(|group| group.as_array().unwrap()).collect()
}

#[test]
fn who_opens_a_file_is_told_without_opening_it() {
    let sandbox = Sandbox::with_identity();
    sandbox.write(".sops.yaml", format!("names:\n  {RECIPIENT_1}: Ana\ncreation_rules:\n  - age: {RECIPIENT_1},{RECIPIENT_2}\n"));
    seal(&sandbox, &nothing_set(), &[]);
    let (report, code) = examined(&sandbox, &nothing_set(), &["sealed.yaml"]);
    assert_eq!((code, &report["files"][0]["opens"], &report["findings"]), (0, &json!(true), &json!([])));
    let here: Vec<_> = readers(&report).iter().map(|reader| (&reader["name"], &reader["identity_here"], &reader["probe"])).collect();
    assert_eq!(here, [(&json!("Ana"), &json!(true), &json!(null)), (&json!(null), &json!(false), &json!(null))]);
    let age = &report["identities"][0];
    assert!(age["kind"] == "age" && age.to_string().contains("1 identity, age1av6p"), "{age}");
    let text = sandbox.kveil(["doctor", "sealed.yaml"]).run().text();
    assert!(
        text.contains("sealed.yaml: opens\n  age Ana (age1av6p…xdhljc): its identity is here\n") && text.contains("nothing to mend"),
        "{text}"
    );
    seal(&sandbox, &nothing_set(), &["--age", RECIPIENT_2, "--config", "/dev/null"]);
    let (report, code) = examined(&sandbox, &nothing_set(), &["sealed.yaml"]);
    assert_eq!((code, &report["files"][0]["opens"], &report["findings"][0]["about"]), (1, &json!(false), &json!("sealed.yaml")));
}

#[test]
fn without_a_file_the_rules_recipients_are_told() {
    let sandbox = Sandbox::with_identity();
    sandbox.write(
        ".sops.yaml",
        format!("creation_rules:\n  - path_regex: ^a\n    age: {RECIPIENT_1}\n  - age: {RECIPIENT_1},{RECIPIENT_2}\n"),
    );
    let (report, code) = examined(&sandbox, &nothing_set(), &[]);
    assert_eq!((code, &report["files"][0]["file"], readers(&report).len()), (0, &json!(".sops.yaml"), 2));
    let (report, _) = examined(&sandbox, &nothing_set(), &["--probe"]);
    assert_eq!(readers(&report)[0]["probe"]["decrypt"]["result"], "done");
    assert_eq!(readers(&report)[1]["probe"]["encrypt"]["result"], "done");
    assert_eq!(readers(&report)[1]["probe"]["decrypt"]["result"], "no-identity");
}

#[test]
fn nobody_is_asked_without_probe() {
    let Some(server) = servers::gcp() else { return };
    let (sandbox, faults) = (Sandbox::new(), server.behind_faults());
    seal(&sandbox, &faults.any_way(), &["--gcp-kms", &faults.recipient("key"), "--age", RECIPIENT_1]);
    faults.rules(&json!([]));
    let touch = sandbox.write("touch.sh", "#!/bin/sh\ntouch \"$0.ran\"\n");
    sandbox.shell("chmod +x touch.sh").run().ok();
    let touch = touch.to_str().unwrap();
    let way = faults.any_way().with("SOPS_AGE_KEY_CMD", touch).with("SOPS_GPG_EXEC", touch);
    let (report, code) = examined(&sandbox, &way, &["sealed.yaml"]);
    assert_eq!((code, &report["files"][0]["opens"], &report["probed"]), (0, &json!(null), &json!(false)));
    assert_eq!((faults.requests().len(), sandbox.path("touch.sh.ran").exists()), (0, false));
    let (report, _) = examined(&sandbox, &way, &["--probe", "sealed.yaml"]);
    assert_eq!(report["files"][0]["opens"], true);
    assert!(faults.requests().len() >= 3 && sandbox.path("touch.sh.ran").exists(), "{:?}", faults.requests());
    let (report, code) = examined(&sandbox, &way, &["--probe", "--offline", "sealed.yaml"]);
    assert_eq!((code, &report["offline"]), (1, &json!(true)));
}

#[test]
fn a_probe_says_who_asked_and_that_it_works() {
    for server in servers::all() {
        let (sandbox, way) = (Sandbox::new(), server.any_way());
        seal(&sandbox, &way, &[server.flag, &server.recipient("key")]);
        let (report, code) = examined(&sandbox, &way, &["--probe", "sealed.yaml"]);
        let probe = &readers(&report)[0]["probe"];
        assert_eq!((code, &probe["encrypt"]["result"], &probe["decrypt"]["result"]), (0, &json!("done"), &json!("done")), "{report}");
        assert!(!probe["as"].as_array().unwrap().is_empty() && report["clock_ahead_seconds"].is_i64(), "{report}");
    }
}

#[test]
fn a_missing_permission_is_named() {
    let Some(server) = servers::aws() else { return };
    let sandbox = Sandbox::new();
    seal(&sandbox, &server.any_way(), &["--kms", &server.recipient("key")]);
    let (report, code) = examined(&sandbox, &server.way("no permission"), &["--probe", "sealed.yaml"]);
    let probe = &readers(&report)[0]["probe"];
    assert_eq!((code, &probe["encrypt"]["needs"], &probe["decrypt"]["needs"]), (1, &json!("kms:Encrypt"), &json!("kms:Decrypt")));
    let why = probe["decrypt"]["why"].as_str().unwrap();
    assert!(why.contains("AccessDenied") && why.contains("allow kms:Decrypt on arn:aws:kms:"), "{why}");
    assert_eq!(report["findings"].as_array().unwrap().len(), 3, "{report}");
}

#[test]
fn a_clock_that_is_off_is_told() {
    for server in servers::all() {
        let (sandbox, faults) = (Sandbox::new(), server.behind_faults());
        let way = faults.any_way();
        seal(&sandbox, &way, &[faults.flag(), &faults.recipient("key")]);
        faults.rules(&json!([{ "clock": 1000 }]));
        let (report, code) = examined(&sandbox, &way, &["--probe", "sealed.yaml"]);
        let behind = -report["clock_ahead_seconds"].as_i64().unwrap();
        assert!(code == 1 && (990..=1010).contains(&behind), "{}: {report}", faults.flag());
        assert_eq!(report["findings"][0]["about"], "clock");
    }
}

#[test]
fn gpg_keys_are_listed_by_a_probe() {
    let Some(keyring) = Keyring::new() else { return };
    let fingerprint = keyring.generate("ana", "");
    let sandbox = Sandbox::new().with_keyring(keyring);
    seal(&sandbox, &nothing_set(), &["--pgp", &fingerprint]);
    let (report, code) = examined(&sandbox, &nothing_set(), &["--probe", "sealed.yaml"]);
    assert_eq!((code, &report["files"][0]["opens"]), (0, &json!(true)), "{report}");
    assert!(report["identities"][1].to_string().contains(&fingerprint), "{report}");
    assert!(!examined(&sandbox, &nothing_set(), &["sealed.yaml"]).0["identities"][1].to_string().contains(&fingerprint));
}

#[test]
fn settings_are_shown_and_checked() {
    let sandbox = Sandbox::new();
    sandbox.write("ca.pem", "no certificate");
    let way =
        nothing_set().with("HTTPS_PROXY", "http://ana:hunter2@proxy:3128").with("SSL_CERT_FILE", sandbox.path("ca.pem").to_str().unwrap());
    let (report, code) = examined(&sandbox, &way, &[]);
    assert_eq!((code, &report["settings"][0]["value"]), (1, &json!("http://…@proxy:3128")));
    assert_eq!(report["findings"][0]["what"], "the file holds no PEM certificate");
    assert!(!report.to_string().contains("hunter2"));
}

#[test]
fn git_drivers_open_files_and_pre_commits_patches_are_told() {
    let sandbox = Sandbox::with_identity();
    sandbox.shell("git init -q").run().ok();
    sandbox.write(".sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT_1}\n"));
    sandbox.write("s.yaml", "apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\nstringData:\n  password: hunter2\n");
    sandbox.kveil(["encrypt", "-i", "s.yaml"]).run().ok();
    let (report, code) = examined(&sandbox, &nothing_set(), &[]);
    assert_eq!((code, &report["git"]["encrypted"], &report["findings"][0]["fix"]), (1, &json!(1), &json!("kveil git setup")));
    sandbox.kveil(["git", "setup"]).run().ok();
    assert_eq!(examined(&sandbox, &nothing_set(), &[]).1, 0);
    sandbox.shell("git -c user.name=a -c user.email=a@b commit -qm x --allow-empty && git add -A").run().ok();
    sandbox.kveil(["decrypt", "-i", "s.yaml"]).run().ok();
    sandbox.shell("mkdir -p \"$HOME/.cache/pre-commit\" && git diff --binary > \"$HOME/.cache/pre-commit/patch1700000000-7\"").run().ok();
    let (report, code) = examined(&sandbox, &nothing_set(), &[]);
    assert_eq!((code, &report["pre_commit_patches"][0]["files"]), (1, &json!(["s.yaml"])), "{report}");
    assert!(report["git"]["left_in_clear"][0].as_str().unwrap().ends_with("/s.yaml"), "{report}");
    assert!(!report.to_string().contains("hunter2"));
}

#[test]
fn trouble_is_2_and_the_rest_is_told() {
    let sandbox = Sandbox::with_identity();
    seal(&sandbox, &nothing_set(), &["--age", RECIPIENT_1]);
    let done = sandbox.kveil(["doctor", "missing.yaml", "sealed.yaml"]).run();
    assert!(done.code == 2 && done.err.contains("missing.yaml"), "{}", done.err);
    assert!(String::from_utf8_lossy(&done.out).contains("sealed.yaml: opens\n"));
    let done = sandbox.kveil(["doctor", "plain.yaml"]).run();
    assert!(done.code == 2 && done.err.contains("sops metadata not found"), "{}", done.err);
    sandbox.kveil(["doctor", "--no-such-flag"]).run().refused(2);
}
