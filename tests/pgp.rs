//! PGP recipients, with the real gpg and, both ways, genuine sops.
#![cfg(unix)]

mod sandbox;

use sandbox::{IDENTITY_1, Keyring, RECIPIENT_1, Sandbox, key};
use std::os::unix::fs::PermissionsExt;

/// The key of `keys/pgp_private.asc`, and its subkey that encrypts.
const FPR: &str = "97C5A80A0101996640EFAD0FEF8D840356324056";
const SUBKEY: &str = "C8BAA9043627E58E597E4E27CE1D19FA5091CD0D";
const PLAIN: &str = "a: value\nb: [1, two]\n";

/// A sandbox with that key and `plain.yaml`.
fn ready() -> Option<Sandbox> {
    let sandbox = Sandbox::new().with_keyring(Keyring::new()?.importing(&key("pgp_private.asc")));
    sandbox.write("plain.yaml", PLAIN);
    Some(sandbox)
}

/// A program in place of gpg: this line of shell.
fn program(sandbox: &Sandbox, name: &str, line: &str) -> String {
    let file = sandbox.write(name, format!("#!/bin/sh\n{line}\n"));
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o700)).unwrap();
    file.to_string_lossy().into_owned()
}

/// The `pgp` lines of a block but for their values.
fn shape(text: &str) -> Vec<String> {
    let lines = text.lines().skip_while(|line| *line != "    pgp:").take_while(|line| !line.starts_with("    unencrypted"));
    lines.filter(|line| line.contains(':') || line.contains("PGP MESSAGE")).map(|line| line.replace(char::is_numeric, "0")).collect()
}

#[test]
fn kveil_and_genuine_sops_open_each_others_files_for_every_spelling_of_a_fingerprint() {
    let Some(sandbox) = ready() else { return };
    let spaced = "97C5 A80A 0101 9966 40EF  AD0F EF8D 8403 5632 4056";
    let spellings =
        [FPR, spaced, &FPR.to_lowercase(), &format!("0x{FPR}"), "EF8D840356324056", "0xef8d840356324056", &format!("{SUBKEY}!")];
    for fingerprint in spellings {
        let arguments = ["encrypt", "--pgp", fingerprint, "plain.yaml"];
        let Some(theirs) = sandbox.genuine(arguments) else { return };
        let (ours, theirs) = (sandbox.sops(arguments).run().text(), theirs.run().text());
        let quotes = |text: &str| shape(text).iter().map(|line| line.replace('"', "")).collect::<Vec<_>>();
        assert_eq!(quotes(&ours), quotes(&theirs), "{fingerprint}");
        assert!(shape(&ours).len() >= 5, "{ours}");
        sandbox.write("ours.yaml", &ours);
        sandbox.write("theirs.yaml", &theirs);
        assert_eq!(sandbox.genuine(["decrypt", "ours.yaml"]).unwrap().run().text(), "a: value\nb:\n    - 1\n    - two\n");
        assert_eq!(sandbox.kveil(["decrypt", "theirs.yaml"]).run().text(), "a: value\nb:\n    - 1\n    - two\n");
        assert_eq!(sandbox.kveil(["decrypt", "ours.yaml"]).run().text(), PLAIN);
    }
}

#[test]
fn what_gpg_refuses_is_told_with_its_reason() {
    let Some(sandbox) = ready() else { return };
    let unknown = "0123456789ABCDEF0123456789ABCDEF01234567";
    let refused = sandbox.kveil(["encrypt", "--pgp", unknown, "plain.yaml"]).run().refused(1);
    assert!(refused.contains(unknown) && refused.contains("No public key") && refused.contains("gpg --list-keys"), "{refused}");
    let refused = sandbox.kveil(["encrypt", "--pgp", &format!("{FPR}!"), "plain.yaml"]).run().refused(1);
    assert!(refused.contains("Unusable public key"), "{refused}");
    let refused = sandbox.kveil(["encrypt", "--pgp", "alice@example.com", "plain.yaml"]).run().refused(1);
    assert!(refused.contains("not a PGP fingerprint: alice@example.com"), "{refused}");
    // Genuine sops writes an empty key into the file there, and nobody can open it.
    let refused = sandbox.sops(["encrypt", "--pgp", FPR, "plain.yaml"]).env("SOPS_GPG_EXEC", "true").run().refused(1);
    assert!(refused.contains("gave no message"), "{refused}");
}

#[test]
fn a_file_that_gpg_cannot_open_says_why() {
    let Some(sandbox) = ready() else { return };
    let sealed = sandbox.kveil(["encrypt", "--pgp", FPR, "plain.yaml"]).run().ok();
    sandbox.write("sealed.yaml", &sealed);
    let without = Sandbox::new().with_keyring(Keyring::new().unwrap());
    without.write("sealed.yaml", &sealed);
    let refused = without.kveil(["decrypt", "sealed.yaml"]).run().refused(128);
    for part in ["Failed to get the data key required", "its secret key isn't in gpg's keyring", "gpg --import", "GNUPGHOME"] {
        assert!(refused.contains(part), "{part} in {refused}");
    }
    let refused = sandbox.kveil(["decrypt", "sealed.yaml"]).env("SOPS_GPG_EXEC", "/nowhere/gpg").run().refused(128);
    assert!(refused.contains("/nowhere/gpg can't be run") && refused.contains("SOPS_GPG_EXEC"), "{refused}");
    let refused = sandbox.kveil(["decrypt", "sealed.yaml"]).env("SOPS_GPG_EXEC", "true").run().refused(128);
    assert!(refused.contains("zero bytes"), "{refused}");
    let damaged = String::from_utf8(sealed).unwrap().replace("-----BEGIN PGP MESSAGE-----", "-----BEGIN PGP MASSAGE-----");
    sandbox.write("damaged.yaml", damaged);
    let refused = sandbox.kveil(["decrypt", "damaged.yaml"]).run().refused(128);
    assert!(refused.contains("no valid OpenPGP data found"), "{refused}");
}

#[test]
fn the_same_wrapped_key_is_unwrapped_once_and_few_run_at_a_time() {
    let Some(sandbox) = ready() else { return };
    let counting = program(&sandbox, "counting", "echo begin >>calls; sleep 0.05; gpg \"$@\"; code=$?; echo end >>calls; exit $code");
    let many: Vec<String> = (0..24).map(|number| format!("{number}.yaml")).collect();
    many.iter().for_each(|name| _ = sandbox.write(name, PLAIN));
    let run = |arguments: &[&str]| {
        sandbox.write("calls", "");
        sandbox.kveil(arguments.iter().copied().chain(many.iter().map(String::as_str))).env("SOPS_GPG_EXEC", &counting).run().ok();
        let calls = String::from_utf8(sandbox.read("calls")).unwrap();
        let (mut running, mut most, mut all) = (0, 0, 0);
        for line in calls.lines() {
            running += if line == "begin" { 1 } else { -1 };
            all += usize::from(line == "begin");
            most = most.max(running);
        }
        (all, most)
    };
    let (calls, most) = run(&["encrypt", "-i", "--pgp", FPR]);
    assert!(calls == 24 && (2..=4).contains(&most), "{calls} calls, {most} at once");
    // More threads run where files are written.
    let (calls, most) = run(&["decrypt", "--output", "clear/"]);
    assert!(calls == 24 && most <= 4, "{calls} calls, {most} at once");
    let first = sandbox.read("0.yaml");
    many.iter().for_each(|name| _ = sandbox.write(name, &first));
    assert_eq!(run(&["decrypt", "--output", "clear/"]), (1, 1));
    assert_eq!(sandbox.read("clear/23.yaml"), PLAIN.as_bytes());
}

/// Answers every question for a passphrase with this line, and notes that it was asked.
fn pinentry(sandbox: &Sandbox, answer: &str) {
    let line = format!(
        "echo 'OK at your service'\nwhile read -r word rest; do case $word in GETPIN) echo asked >>{}; {answer};; BYE) echo OK; exit;; *) echo OK;; esac; done",
        sandbox.path("asked").display()
    );
    let file = program(sandbox, "pinentry", &line);
    std::fs::write(sandbox.keyring().home().join("gpg-agent.conf"), format!("pinentry-program {file}\n")).unwrap();
    sandbox.write("asked", "");
    sandbox.keyring().end_agent();
}

#[test]
fn a_passphrase_is_asked_for_once_a_run_and_a_cancelled_prompt_is_not_repeated() {
    let Some(keyring) = Keyring::new() else { return };
    let fingerprint = keyring.generate("locked", "correct horse");
    let sandbox = Sandbox::new().with_keyring(keyring);
    let many: Vec<String> = (0..8).map(|number| format!("{number}.yaml")).collect();
    many.iter().for_each(|name| _ = sandbox.write(name, PLAIN));
    let call = |arguments: &[&str]| sandbox.kveil(arguments.iter().copied().chain(many.iter().map(String::as_str))).run();
    call(&["encrypt", "-i", "--pgp", &fingerprint]).ok();
    pinentry(&sandbox, "echo 'ERR 83886179 Operation cancelled'");
    let refused = call(&["decrypt", "--output", "clear/"]).refused(128);
    assert!(refused.contains("Operation cancelled") && refused.contains("cancelled before"), "{refused}");
    assert_eq!(sandbox.read("asked"), b"asked\n");
    pinentry(&sandbox, "echo 'D correct horse'; echo OK");
    call(&["decrypt", "--output", "clear/"]).ok();
    assert_eq!(sandbox.read("asked"), b"asked\n");
    assert_eq!(sandbox.read("clear/7.yaml"), PLAIN.as_bytes());
}

/// Whether gpg was called to decrypt a file for age and PGP, with both identities at hand.
#[test]
fn the_decryption_order_decides_which_identity_opens() {
    let Some(sandbox) = ready() else { return };
    let counting = program(&sandbox, "counting", "echo call >>calls; exec gpg \"$@\"");
    let sealed = sandbox.kveil(["encrypt", "--pgp", FPR, "--age", RECIPIENT_1, "plain.yaml"]).run().ok();
    sandbox.write("sealed.yaml", sealed);
    let calls = |order: &str| {
        sandbox.write("calls", "");
        let call = sandbox.sops(["decrypt", "sealed.yaml"]).env("SOPS_GPG_EXEC", &counting).env("SOPS_AGE_KEY", IDENTITY_1);
        call.env("SOPS_DECRYPTION_ORDER", order).run().ok();
        sandbox.read("calls").iter().filter(|byte| **byte == b'\n').count()
    };
    for (order, expected) in [("", 0), ("age,pgp", 0), ("pgp,age", 1), ("pgp", 1), ("kms,pgp", 1), ("age", 0), (" age,pgp", 1)] {
        assert_eq!(calls(order), expected, "{order:?}");
        // Genuine sops asks in the same order.
        sandbox.write("calls", "");
        let Some(genuine) = sandbox.genuine(["decrypt", "sealed.yaml"]) else { return };
        let genuine = genuine.env("SOPS_GPG_EXEC", &counting).env("SOPS_AGE_KEY", IDENTITY_1);
        genuine.env("SOPS_DECRYPTION_ORDER", order).run().ok();
        assert_eq!(sandbox.read("calls").len() / 5, expected, "genuine sops, {order:?}");
    }
}

#[test]
fn rotated_and_rewrapped_files_open_with_gpg() {
    let Some(sandbox) = ready() else { return };
    let opens = |name: &str, order: &str| {
        let call = sandbox.sops(["decrypt", name]).env("SOPS_DECRYPTION_ORDER", order);
        assert_eq!(call.run().text(), PLAIN);
        if let Some(genuine) = sandbox.genuine(["decrypt", name]) {
            assert_eq!(genuine.run().text(), "a: value\nb:\n    - 1\n    - two\n");
        }
    };
    let sealed = sandbox.kveil(["encrypt", "--pgp", &FPR.to_lowercase(), "plain.yaml"]).run().ok();
    let file = sandbox.write("sealed.yaml", &sealed);
    sandbox.sops(["rotate", "-i", "sealed.yaml"]).run().ok();
    opens("sealed.yaml", "pgp");
    let rotated = sandbox.read("sealed.yaml");
    assert!(rotated != sealed && String::from_utf8(rotated).unwrap().contains(&format!("fp: {}", FPR.to_lowercase())));
    // The rule names the same key in another spelling, and one more recipient: the key's entry stays as it is.
    sandbox.write(".sops.yaml", format!("creation_rules:\n  - pgp: '{FPR}'\n    age: {RECIPIENT_1}\n"));
    let before = String::from_utf8(sandbox.read("sealed.yaml")).unwrap();
    sandbox.sops(["updatekeys", "-y", "sealed.yaml"]).run().ok();
    let after = std::fs::read_to_string(file).unwrap();
    let entry = |text: &str| text.split_once("    pgp:\n").unwrap().1.split_once("    unencrypted").unwrap().0.to_owned();
    assert_eq!(entry(&after), entry(&before));
    assert!(after.contains(RECIPIENT_1));
    opens("sealed.yaml", "pgp");
}

#[test]
fn a_fingerprint_leaves_in_another_spelling() {
    let Some(sandbox) = ready() else { return };
    sandbox.write(".sops.yaml", format!("creation_rules:\n  - pgp: '{FPR}'\n    age: {RECIPIENT_1}\n"));
    sandbox.kveil(["encrypt", "-i", "plain.yaml"]).run().ok();
    let other = format!("0x{}", FPR.to_lowercase());
    sandbox.kveil(["recipients", "remove", &other, "plain.yaml"]).run().ok();
    assert_eq!(String::from_utf8(sandbox.read(".sops.yaml")).unwrap(), format!("creation_rules:\n  - age: {RECIPIENT_1}\n"));
    assert!(!String::from_utf8(sandbox.read("plain.yaml")).unwrap().contains("fp:"));
    sandbox.kveil(["recipients", "add", &other, "plain.yaml"]).env("SOPS_AGE_KEY", IDENTITY_1).run().ok();
    let rules = format!("creation_rules:\n  - age: {RECIPIENT_1}\n    pgp: '{other}'\n");
    assert_eq!(String::from_utf8(sandbox.read(".sops.yaml")).unwrap(), rules);
}
