//! `kveil resign`: what is signed again is what someone looked at.

mod sandbox;

use sandbox::repository::{PASSWORD, Repository, TOKEN, with};
use sandbox::{RECIPIENT_1, RECIPIENT_2};

const SIGN: &str = "sign it? (y/n):";

/// Replaces in secret.yaml, as an editor would.
#[track_caller]
fn edit(repository: &Repository, from: &str, to: &str) {
    let text = repository.text("secret.yaml");
    assert!(text.contains(from), "{from}");
    repository.sandbox.write("secret.yaml", text.replace(from, to));
}

/// The line of a key.
fn line(text: &str, key: &str) -> String {
    text.lines().find(|line| line.trim_start().starts_with(key)).unwrap().to_owned() + "\n"
}

#[cfg(unix)]
#[test]
fn a_clear_field_is_signed_once_someone_has_seen_it() {
    let repository = Repository::new();
    edit(&repository, "tier: front", "tier: back");
    repository.git("git commit -qam 'by hand'");
    let before = repository.text("secret.yaml");
    let (code, shown) = repository.at_a_terminal("kveil resign secret.yaml", SIGN, "n");
    assert!(code == 1 && shown.contains("not signed"), "{shown}");
    assert_eq!(repository.text("secret.yaml"), before);
    let (code, shown) = repository.at_a_terminal("kveil resign secret.yaml", SIGN, "y");
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("metadata.labels.tier: str \"front\" became str \"back\""), "{shown}");
    assert!(!shown.contains("hunter2") && !shown.contains("stringData."), "nothing else differs: {shown}");
    assert_eq!(repository.decrypted("secret.yaml"), with(&[("tier: front", "tier: back")]));
    let new: Vec<String> = repository.text("secret.yaml").lines().filter(|line| !before.contains(line)).map(str::to_owned).collect();
    let of_the_mac = |line: &String| line.contains("mac: ") || line.contains("lastmodified: ");
    assert!(new.iter().any(|line| line.contains("mac: ")) && new.iter().all(of_the_mac), "{new:?}");
    assert!(repository.run("kveil resign secret.yaml").err.contains("its MAC fits, nothing is to be signed"));
    repository.nothing_leaks(&[]);
}

#[test]
fn nothing_is_signed_that_nobody_looks_at() {
    let repository = Repository::new();
    edit(&repository, "tier: front", "tier: back");
    let before = repository.text("secret.yaml");
    for (line, why) in [
        ("kveil resign secret.yaml", "there is no terminal"),
        ("kveil resign --from HEAD secret.yaml", "there is no terminal"),
        ("kveil resign --from none secret.yaml", "there is no terminal"),
        ("CI=true kveil resign secret.yaml", "CI is set"),
    ] {
        let refused = repository.run(line);
        assert!(refused.code == 1 && refused.err.contains(why), "{line}: {}", refused.err);
    }
    assert_eq!(repository.run("kveil resign --yes secret.yaml").code, 8);
    assert_eq!(repository.run("kveil resign --yes --from HEAD secret.yaml").code, 8);
    assert_eq!(repository.text("secret.yaml"), before);
    repository.git("CI=true kveil resign --yes --from none secret.yaml");
    assert_eq!(repository.decrypted("secret.yaml"), with(&[("tier: front", "tier: back")]));
}

#[cfg(unix)]
#[test]
fn in_ci_a_terminal_is_nobody() {
    let repository = Repository::new();
    edit(&repository, "tier: front", "tier: back");
    let (code, shown) = repository.at_a_terminal("CI=true kveil resign secret.yaml", SIGN, "y");
    assert!(code == 1 && shown.contains("refused to sign what nobody looks at: CI is set"), "{shown}");
}

#[cfg(unix)]
#[test]
fn an_older_ciphertext_that_was_brought_back_is_named() {
    let repository = Repository::new();
    let old = line(&repository.text("secret.yaml"), "password:");
    let first = repository.git("git rev-parse HEAD~1");
    repository.commit(&with(&[PASSWORD]), "renewed");
    let new = line(&repository.text("secret.yaml"), "password:");
    // Someone without a key puts the leaked password back, and commits it twice.
    edit(&repository, &new, &old);
    repository.git("git commit -qam rollback");
    edit(&repository, "tier: front", "tier: back");
    repository.git("git commit -qam more");
    let (code, shown) = repository.at_a_terminal("kveil resign secret.yaml", SIGN, "n");
    assert_eq!(code, 1);
    let wanted = format!("stringData.password: another value; an older version has this ciphertext: commit {}", &first[..10]);
    assert!(shown.contains(&wanted) && shown.contains("metadata.labels.tier"), "{wanted}\n{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[cfg(unix)]
#[test]
fn everything_that_someone_without_a_key_can_do_is_listed() {
    let repository = Repository::of(&with(&[]), RECIPIENT_1);
    repository.git("cp secret.yaml ../before.yaml");
    let text = repository.text("secret.yaml");
    let stranger = "age1lzd99uklcjnc0e7d860axevet2cz99ce9pq6tzuzd05l5nr28ams36nvun";
    let entry = &text[text.find("        - enc: |").unwrap()..text.find(RECIPIENT_1).unwrap() + RECIPIENT_1.len() + 1];
    let (token, user) = (line(&text, "token:"), line(&text, "user:"));
    let cases: [(&str, String, &str); 6] = [
        ("removed", text.replace(&token, ""), "stringData.token: removed; it was encrypted"),
        ("emptied", text.replace(&token, "  token: \"\"\n"), "stringData.token: emptied; it was encrypted"),
        ("reordered", text.replace(&token, "").replace(&user, &format!("{user}{token}")), "reordered: stringData.token"),
        ("a clear key added", text.replace("  labels:\n", "  labels:\n    new: x\n"), "metadata.labels.new: added, str \"x\""),
        (
            "a recipient, and a clear field that breaks the MAC",
            text.replace(entry, &format!("{entry}{}", entry.replace(RECIPIENT_1, stranger))).replace("tier: front", "tier: x"),
            "recipient added: age age1lzd9…36nvun",
        ),
        ("the MAC's range", text.replace("    mac: ", "    mac_only_encrypted: true\n    mac: "), "mac_only_encrypted: false became true"),
    ];
    for (name, changed, wanted) in cases {
        assert_ne!(changed, text, "{name}");
        repository.sandbox.write("secret.yaml", &changed);
        let (code, shown) = repository.at_a_terminal("kveil resign secret.yaml", SIGN, "n");
        assert!(code == 1 && shown.contains(wanted), "{name}: {shown}");
        assert!(!shown.contains("hunter2"), "{name}: {shown}");
        assert_eq!(repository.text("secret.yaml"), changed, "{name}");
    }
}

#[cfg(unix)]
#[test]
fn another_data_key_and_another_rule_are_listed() {
    let repository = Repository::of(&with(&[]), RECIPIENT_1);
    // A file of someone who knows its data key, for the same recipients.
    repository.sandbox.write("planted.yaml", with(&[("base", "planted")]));
    repository.git("kveil encrypt --encrypted-regex '^stringData$' planted.yaml > secret.yaml; rm planted.yaml");
    edit(&repository, "tier: front", "tier: x");
    let (code, shown) = repository.at_a_terminal("kveil resign secret.yaml", SIGN, "n");
    assert_eq!(code, 1, "{shown}");
    for wanted in [
        "the data key is another one",
        "the rule about values: encrypted_regex: ^(data|stringData)$ became encrypted_regex: ^stringData$",
        "stringData.token: another value; no earlier version here has this ciphertext",
    ] {
        assert!(shown.contains(wanted), "{wanted}: {shown}");
    }
}

#[cfg(unix)]
#[test]
fn the_version_to_compare_with_has_to_be_signed() {
    let repository = Repository::of(&with(&[]), &format!("{RECIPIENT_1},{RECIPIENT_2}"));
    repository.commit(&with(&[TOKEN]), "changed");
    edit(&repository, "tier: front", "tier: back");
    repository.git("git commit -qam 'by hand'");
    let (code, shown) = repository.at_a_terminal("kveil resign --from HEAD secret.yaml", SIGN, "y");
    assert!(code == 51 && shown.contains("HEAD: MAC mismatch"), "{shown}");
    let (code, shown) = repository.at_a_terminal("kveil resign --from HEAD~3 secret.yaml", SIGN, "n");
    assert!(code == 1 && shown.contains("stringData.token: another value"), "{shown}");
    let (code, shown) = repository.at_a_terminal("kveil resign --from HEAD~4 secret.yaml", SIGN, "n");
    assert!(code == 1 && shown.contains("HEAD~4 doesn't have the file"), "{shown}");
    // Without any signed version only the one way is left.
    repository.git("rm -rf .git && git init -q && git add -A && git commit -qm fresh");
    let (code, shown) = repository.at_a_terminal("kveil resign secret.yaml", SIGN, "y");
    assert!(code == 1 && shown.contains("no version in the history of HEAD has a MAC that fits"), "{shown}");
    let (code, shown) = repository.at_a_terminal("kveil resign --from none secret.yaml", "sign it as it is? (y/n):", "y");
    assert!(code == 0 && shown.contains("compared with no version"), "{shown}");
    assert_eq!(repository.decrypted("secret.yaml"), with(&[TOKEN, ("tier: front", "tier: back")]));
}

#[test]
fn markers_and_broken_values_are_not_signed() {
    let repository = Repository::new();
    let text = repository.text("secret.yaml");
    repository.sandbox.write("secret.yaml", format!("<<<<<<< ours\n{text}=======\n{text}>>>>>>> theirs\n"));
    let refused = repository.run("kveil resign --yes --from none secret.yaml");
    assert!(refused.code == 1 && refused.err.contains("kveil resolve secret.yaml"), "{}", refused.err);
    let (password, token) = (line(&text, "password:"), line(&text, "token:"));
    let value = |line: &str| line.split_once(": ").unwrap().1.to_owned();
    repository.sandbox.write("secret.yaml", text.replace(&value(&token), &value(&password)));
    assert_eq!(repository.run("kveil resign --yes --from none secret.yaml").code, 25, "pasted from another place");
    repository.sandbox.write("secret.yaml", text.replace(&value(&token), "hunter2-typed\n"));
    let clear = repository.run("kveil resign --yes --from none secret.yaml");
    assert!(clear.code == 25 && !clear.err.contains("hunter2"), "{}", clear.err);
}
