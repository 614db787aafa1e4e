//! What a committer without keys can do, and what a missing git may not hide: rules that nobody has seen, values that come
//! into clear, files that a rule has lost.

mod sandbox;

use sandbox::{Call, RECIPIENT_1, RECIPIENT_2, Sandbox};

const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: web\nstringData:\n  password: hunter2-plain\n  user: admin-of-all\n";

fn rule(recipients: &str) -> String {
    format!("creation_rules:\n  - age: {recipients}\n")
}

fn both() -> String {
    format!("{RECIPIENT_1},{RECIPIENT_2}")
}

/// A repository with a rule for recipient 1 and `SECRET`, encrypted, as its last commit.
fn repository() -> Sandbox {
    let sandbox = Sandbox::with_identity();
    let config = "[user]\n\tname = A\n\temail = a@example.com\n[init]\n\tdefaultBranch = main\n";
    std::fs::write(sandbox.home().join(".gitconfig"), config).unwrap();
    sandbox.write(".sops.yaml", rule(RECIPIENT_1));
    sandbox.write("a/secret.yaml", SECRET);
    git(&sandbox, "git init -q && git add .sops.yaml && git commit -qm rules");
    sandbox.kveil(["encrypt", "-i", "a/secret.yaml"]).run().ok();
    git(&sandbox, "git add . && git commit -qm secret");
    sandbox
}

#[track_caller]
fn git(sandbox: &Sandbox, line: &str) -> String {
    sandbox.shell(line).run().text()
}

fn text(sandbox: &Sandbox, name: &str) -> String {
    String::from_utf8(sandbox.read(name)).unwrap()
}

#[track_caller]
fn refused(call: Call, code: i32, words: &[&str]) {
    let done = call.run();
    assert_eq!(done.code, code, "{}", done.err);
    assert!(words.iter().all(|word| done.err.contains(word)), "{words:?}: {}", done.err);
}

/// The verbs that wrap for recipients, each of which would let recipient 2 in.
fn wrapping(file: &str) -> [Vec<&str>; 6] {
    [
        vec!["encrypt", "plain.yaml", "--filename-override", file],
        vec!["rotate", file],
        vec!["updatekeys", "-y", file],
        vec!["groups", "add", "-f", file, "--age", RECIPIENT_1],
        vec!["recipients", "remove", "--no-config", RECIPIENT_1, file],
        vec!["edit", "a/new.yaml"],
    ]
}

#[test]
fn the_rule_of_a_named_revision_counts() {
    let sandbox = repository();
    git(&sandbox, "git checkout -qb topic");
    // The branch commits another reader, in the rule and in the file.
    sandbox.write(".sops.yaml", rule(&both()));
    sandbox.write("plain.yaml", SECRET);
    git(&sandbox, "git add . && git commit -qm reader");
    sandbox.kveil(["updatekeys", "-y", "a/secret.yaml"]).run().ok();
    let sealed = sandbox.read("a/secret.yaml");
    sandbox.write("old.yaml", git(&sandbox, "git show HEAD:a/secret.yaml"));
    for arguments in wrapping("a/secret.yaml") {
        if arguments[0] == "updatekeys" {
            sandbox.write("a/secret.yaml", sandbox.read("old.yaml"));
        }
        let call = |more: &[&str]| sandbox.kveil(&arguments).args(more).env("EDITOR", "sed -i s/example/x/");
        refused(
            call(&["--policy", "main"]),
            1,
            &["refused to add a reader", "the rule of main:.sops.yaml:2", RECIPIENT_2, "in main first"],
        );
        refused(call(&["--policy", "nowhere"]), 2, &["git knows no commit nowhere"]);
        sandbox.write("a/secret.yaml", &sealed);
        // By HEAD's rule, and by name, it may.
        call(&[]).run().ok();
        let _ = std::fs::remove_file(sandbox.path("a/new.yaml"));
        sandbox.write("a/secret.yaml", &sealed);
        call(&["--policy", "main", "--allow-recipient", RECIPIENT_2]).run().ok();
        let _ = std::fs::remove_file(sandbox.path("a/new.yaml"));
        sandbox.write("a/secret.yaml", &sealed);
    }
}

#[test]
fn a_revision_without_a_rule_for_the_file_lets_nobody_in() {
    let sandbox = repository();
    sandbox.write(".sops.yaml", format!("creation_rules:\n  - path_regex: ^b/\n    age: {RECIPIENT_1}\n"));
    git(&sandbox, "git commit -qam narrow && git tag narrow && git rm -q --cached .sops.yaml && git commit -qm none && git tag none");
    sandbox.write(".sops.yaml", rule(RECIPIENT_1));
    git(&sandbox, "git add . && git commit -qm wide");
    for revision in ["narrow", "none"] {
        let call = || sandbox.kveil(["rotate", "-i", "a/secret.yaml", "--policy", revision]);
        refused(call(), 1, &["has no rule for the file", RECIPIENT_1]);
        call().args(["--allow-recipient", RECIPIENT_1]).run().ok();
    }
    // Nor does it help to take all rules away.
    git(&sandbox, "git rm -q .sops.yaml");
    refused(sandbox.kveil(["rotate", "a/secret.yaml", "--policy", "narrow"]), 1, &["narrow has no rule for the file"]);
    git(&sandbox, "git reset -q --hard");
    // Without a name it is the work tree's that counts where HEAD has none.
    git(&sandbox, "git rm -q --cached .sops.yaml && git commit -qm none");
    sandbox.kveil(["rotate", "-i", "a/secret.yaml"]).run().ok();
    let outside = Sandbox::with_identity();
    outside.write(".sops.yaml", rule(RECIPIENT_1));
    outside.write("a.yaml", SECRET);
    refused(outside.kveil(["encrypt", "--policy", "main", "a.yaml"]), 1, &["there is no git repository at"]);
}

/// A configuration nearer to the file, or under another name, is as new as a changed one.
#[test]
fn a_configuration_that_no_commit_has_adds_no_reader() {
    let sandbox = repository();
    sandbox.write("a/.sops.yaml", rule(&both()));
    sandbox.write("a/new.yaml", SECRET);
    for arguments in [&["updatekeys", "-y", "a/secret.yaml"][..], &["encrypt", "-i", "a/new.yaml"], &["encrypt", "-i", "a"]] {
        refused(sandbox.kveil(arguments), 1, &["refused to add a reader", "the committed rule of HEAD:.sops.yaml:2", RECIPIENT_2]);
    }
    std::fs::remove_file(sandbox.path("a/.sops.yaml")).unwrap();
    // Nor does it help to take the rules away.
    std::fs::remove_file(sandbox.path(".sops.yaml")).unwrap();
    refused(sandbox.kveil(["encrypt", "-i", "--age", RECIPIENT_2, "a/new.yaml"]), 1, &["HEAD:.sops.yaml:2"]);
    assert_eq!(text(&sandbox, "a/new.yaml"), SECRET);
    // Who names a configuration means it, as far as it is committed.
    sandbox.write("team.yaml", rule(RECIPIENT_1));
    git(&sandbox, "git add team.yaml && git commit -qm team");
    sandbox.write("team.yaml", rule(&both()));
    refused(sandbox.kveil(["encrypt", "--config", "team.yaml", "a/new.yaml"]), 1, &["HEAD:team.yaml:2"]);
    sandbox.write("free.yaml", rule(&both()));
    sandbox.kveil(["encrypt", "--config", "free.yaml", "a/new.yaml"]).run().ok();
}

#[cfg(unix)]
#[test]
fn a_linked_configuration_is_followed_in_the_commit() {
    let sandbox = repository();
    git(&sandbox, "ln -s ../.sops.yaml a/.sops.yaml && git add . && git commit -qm link");
    sandbox.kveil(["rotate", "-i", "a/secret.yaml"]).run().ok();
    sandbox.write(".sops.yaml", rule(&both()));
    refused(sandbox.kveil(["updatekeys", "-y", "a/secret.yaml"]), 1, &["HEAD:a/.sops.yaml:2", RECIPIENT_2]);
    // Through a link a file has the rules of where it is written to be.
    sandbox.write(".sops.yaml", format!("creation_rules:\n  - path_regex: ^b/\n    age: {}\n  - age: {RECIPIENT_1}\n", both()));
    sandbox.write("far/off/.sops.yaml", rule(RECIPIENT_1));
    git(&sandbox, "mkdir far/off/deep && cp a/secret.yaml far/off/deep/ && ln -s far/off/deep b && git add . && git commit -qm links");
    sandbox.kveil(["updatekeys", "-y", "b/secret.yaml"]).run().ok();
    assert!(text(&sandbox, "far/off/deep/secret.yaml").contains(RECIPIENT_2));
    refused(sandbox.kveil(["rotate", "far/off/deep/secret.yaml"]), 1, &["far/off/.sops.yaml:2", RECIPIENT_2]);
    sandbox.write(".sops.yaml", rule(&both()));
    // From a folder that is reached through a link.
    git(&sandbox, "ln -s work ../linked");
    refused(sandbox.kveil(["updatekeys", "-y", "a/secret.yaml"]).within(sandbox.path("../linked")), 1, &[RECIPIENT_2]);
}

#[test]
fn a_context_makes_no_other_reader() {
    let sandbox = Sandbox::with_identity();
    sandbox.write(".sops.yaml", "creation_rules:\n  - kms: arn:aws:kms:us-east-1:1:key/a\n");
    sandbox.write("a.yaml", SECRET);
    let done = sandbox.kveil(["encrypt", "--encryption-context", "a:b", "a.yaml"]).run();
    assert!(done.code != 0 && !done.err.contains("refused to add a reader"), "{}", done.err);
}

/// Git is missing, refuses, or is broken: what only it knows isn't taken for nothing.
#[test]
fn trouble_with_git_stops_what_wraps_and_nothing_else() {
    let sandbox = repository();
    sandbox.write("plain.yaml", SECRET);
    let sealed = sandbox.read("a/secret.yaml");
    let none = sandbox.path("none");
    let missing = |call: Call| call.env("PATH", &none);
    let dubious = |call: Call| call.env("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1");
    let plain = ["encrypt", "plain.yaml"];
    for arguments in [&plain[..], &["encrypt", "-i", "plain.yaml"], &["encrypt", "-i", "."], &["encrypt", "-o", "out/", "plain.yaml"]]
        .into_iter()
        .chain([&["rotate", "a/secret.yaml"][..], &["groups", "add", "-f", "a/secret.yaml", "--age", RECIPIENT_2]])
    {
        refused(missing(sandbox.kveil(arguments)), 2, &["install git", "--allow-recipient"]);
        refused(dubious(sandbox.kveil(arguments)), 2, &["safe.directory", "--allow-recipient"]);
    }
    assert_eq!(text(&sandbox, "plain.yaml"), SECRET);
    // What needs no git asks for none.
    for arguments in [&["decrypt", "a/secret.yaml"][..], &["view", "a/secret.yaml"], &["updatekeys", "-y", "a/secret.yaml"]] {
        missing(sandbox.kveil(arguments)).run().ok();
        dubious(sandbox.kveil(arguments)).run().ok();
    }
    missing(sandbox.kveil(["set", "--value-stdin", "a/secret.yaml", "[\"stringData\"][\"user\"]"])).stdin("other").run().ok();
    sandbox.write("a/secret.yaml", &sealed);
    missing(sandbox.kveil(["decrypt", "-i", "."])).run().ok();
    assert_eq!(text(&sandbox, "a/secret.yaml"), SECRET);
    // Flags that leave nothing for git to say.
    refused(missing(sandbox.kveil(["encrypt", "-i", "--fresh", "a/secret.yaml"])), 2, &["--allow-clear"]);
    refused(missing(sandbox.kveil(["encrypt", "-i", "--fresh", "--allow-clear", "a/secret.yaml"])), 2, &["--allow-recipient"]);
    let all = ["encrypt", "-i", "--fresh", "--allow-clear", "--allow-recipient", RECIPIENT_1, "a/secret.yaml"];
    let done = missing(sandbox.kveil(all)).run();
    assert!(done.code == 0 && done.err.contains("nothing is compared with the last commit"), "{}", done.err);
    assert!(!text(&sandbox, "a/secret.yaml").contains("hunter2"));
}

/// sops needs no git, and says nothing of it.
#[test]
fn under_the_name_sops_a_missing_git_is_nothing() {
    let sandbox = repository();
    sandbox.write("plain.yaml", SECRET);
    let missing = |arguments: &[&str]| sandbox.sops(arguments).env("PATH", sandbox.path("none"));
    for arguments in [
        &["encrypt", "plain.yaml"][..],
        &["rotate", "a/secret.yaml"],
        &["encrypt", "-i", "--verbose", "plain.yaml"],
        &["rotate", "-i", "--verbose", "a/secret.yaml"],
    ] {
        let done = missing(arguments).run();
        assert!(done.code == 0 && !done.err.contains("git"), "{arguments:?}: {}", done.err);
    }
    refused(missing(&["rotate", "a/secret.yaml"]).env("KVEIL_STRICT", "1"), 2, &["install git"]);
}

/// A value is held against every version there is: one that only the index or the target has encrypted counts too.
#[test]
fn no_value_slips_into_clear_from_any_version() {
    let sandbox = repository();
    let weak = ["--encrypted-regex", "^user$"];
    // HEAD has it in clear, the index has it encrypted.
    sandbox.write("b.yaml", SECRET);
    git(&sandbox, "git add b.yaml && git commit -qm clear");
    sandbox.kveil(["encrypt", "-i", "b.yaml"]).run().ok();
    git(&sandbox, "git add b.yaml");
    sandbox.write("b.yaml", SECRET);
    refused(sandbox.kveil(["encrypt", "-i", "b.yaml"]).args(weak), 1, &["stringData.password", "the index has it encrypted"]);
    assert_eq!(text(&sandbox, "b.yaml"), SECRET);
    // The target of --output has it encrypted, the last commit doesn't.
    sandbox.write("plain.yaml", SECRET);
    sandbox.kveil(["encrypt", "-o", "c.yaml", "plain.yaml"]).run().ok();
    let sealed = sandbox.read("c.yaml");
    refused(sandbox.kveil(["encrypt", "-o", "c.yaml", "plain.yaml"]).args(weak), 1, &["stringData.password", "c.yaml has it encrypted"]);
    assert_eq!(sandbox.read("c.yaml"), sealed);
    sandbox.kveil(["encrypt", "--allow-clear", "-o", "c.yaml", "plain.yaml"]).args(weak).run().ok();
    assert!(text(&sandbox, "c.yaml").contains("hunter2"));
    // The one that is named doesn't hide the others.
    sandbox.write("old.yaml", sandbox.read("c.yaml"));
    refused(
        sandbox.kveil(["encrypt", "--update", "old.yaml", "-o", "a/secret.yaml", "plain.yaml"]).args(weak),
        1,
        &["stringData.password", "the last commit has it encrypted"],
    );
    // Nor does a folder that is gone.
    git(&sandbox, "rm -r a");
    refused(sandbox.kveil(["encrypt", "-o", "a/secret.yaml", "plain.yaml"]).args(weak), 1, &["the last commit has it encrypted"]);
}

#[test]
fn as_sops_what_comes_into_clear_is_said_where_anyone_listens() {
    let sandbox = repository();
    sandbox.kveil(["decrypt", "-i", "a/secret.yaml"]).run().ok();
    let weak = |more: &[&str]| sandbox.sops(["encrypt", "--encrypted-regex", "^user$", "-i", "a/secret.yaml"]).args(more).run();
    let done = weak(&["--verbose"]);
    assert!(done.code == 0 && done.err.contains("stringData.password would come into clear"), "{}", done.err);
    sandbox.write("a/secret.yaml", SECRET);
    let done = weak(&[]);
    assert_eq!((done.code, done.err.as_str()), (0, ""));
}

/// A file that a rule has lost would be committed in clear.
#[test]
fn a_file_that_was_encrypted_is_not_passed_over() {
    let sandbox = repository();
    sandbox.write("values.yaml", "password: hunter2\n");
    sandbox.write("notes.md", "hunter2\n");
    sandbox.kveil(["encrypt", "-i", "values.yaml", "notes.md"]).run().ok();
    git(&sandbox, "git add . && git commit -qm more");
    let lost = "creation_rules:\n  - path_regex: ^other/\n    age: ".to_owned() + RECIPIENT_1 + "\n";
    let files = [("a/secret.yaml", "no-rule"), ("values.yaml", "no-rule"), ("notes.md", "unknown-format")];
    let open = || sandbox.kveil(["decrypt", "-i", "a/secret.yaml", "values.yaml", "notes.md"]).run().ok();
    for (config, reasons) in [
        (Some(lost.as_str()), ["no-rule", "no-rule", "unknown-format"]),
        (None, ["no-config", "no-config", "unknown-format"]),
        (Some(&rule(RECIPIENT_1)), ["", "no-secret-kind", "unknown-format"]),
    ] {
        for staged in [true, false] {
            git(&sandbox, "git reset -q --hard");
            open();
            match config {
                Some(text) => drop(sandbox.write(".sops.yaml", text)),
                None => std::fs::remove_file(sandbox.path(".sops.yaml")).unwrap(),
            }
            let call = |more: &[&str]| match staged {
                true => sandbox.kveil(["encrypt", "--staged"]).args(more),
                false => sandbox.kveil(["encrypt", "-i", "."]).args(more),
            };
            git(&sandbox, if staged { "git add -A" } else { "true" });
            let done = call(&[]).run();
            assert_eq!(done.code, 1, "{}", done.err);
            for ((file, _), reason) in files.iter().zip(reasons).filter(|(_, reason)| !reason.is_empty()) {
                let said = format!("{file}: it would stay in clear ({reason}), the last commit has it encrypted");
                assert!(done.err.contains(&said), "{said}: {}", done.err);
            }
            let done = call(&["--allow-clear"]).run();
            assert!(!done.err.contains("stay in clear"), "{}", done.err);
        }
    }
    // As it is in the commit, a file that no rule is for concerns nobody.
    git(&sandbox, "git reset -q --hard");
    sandbox.write(".sops.yaml", &lost);
    sandbox.write("pod.yaml", "kind: Pod\n");
    git(&sandbox, "git add -A");
    sandbox.kveil(["encrypt", "-i", "."]).run().ok();
    sandbox.kveil(["encrypt", "--staged"]).run().ok();
    // The index alone has it.
    sandbox.write("new.yaml", SECRET);
    sandbox.kveil(["encrypt", "-i", "--config", "own.yaml", "new.yaml"]).run();
    sandbox.write("own.yaml", rule(RECIPIENT_1));
    sandbox.kveil(["encrypt", "-i", "--config", "own.yaml", "new.yaml"]).run().ok();
    git(&sandbox, "git add new.yaml");
    sandbox.write("new.yaml", SECRET);
    refused(sandbox.kveil(["encrypt", "-i", "."]), 1, &["new.yaml: it would stay in clear (no-rule), the index has it encrypted"]);
}

/// Who is asked to agree hears how new the rules are.
#[test]
fn updatekeys_says_whether_the_rules_are_new() {
    let sandbox = repository();
    let check = || sandbox.kveil(["updatekeys", "--check", "a/secret.yaml"]).run().err;
    git(
        &sandbox,
        "git clone -q --bare . ../origin.git && git remote add origin ../origin.git && git fetch -q && git remote set-head origin main",
    );
    sandbox.write(".sops.yaml", rule(&both()));
    assert!(check().contains(".sops.yaml isn't committed as it is"), "{}", check());
    git(&sandbox, "git checkout -qb topic && git commit -qam reader");
    assert!(check().contains(".sops.yaml has changed since this branch left origin/HEAD"), "{}", check());
    git(&sandbox, "git push -q origin topic:main");
    assert!(!check().contains("warning"), "{}", check());
    assert!(!sandbox.sops(["updatekeys", "--check", "a/secret.yaml"]).run().err.contains("warning"));
    sandbox.kveil(["updatekeys", "-y", "a/secret.yaml"]).run().ok();
}

/// The line of an ssh key with another comment, and a label for it.
#[test]
fn a_recipient_leaves_the_rules_in_another_spelling() {
    let sandbox = repository();
    let key = std::fs::read_to_string(sandbox::root().join("testdata/recipients/age/ed25519.pub")).unwrap();
    let key = key.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    let config = |line: &str| format!("names:\n  {key} bert@elsewhere: bert\ncreation_rules:\n  - age:\n      - {RECIPIENT_1}\n{line}");
    sandbox.write(".sops.yaml", config(&format!("      - {key} bert@home\n")));
    git(&sandbox, "git commit -qam bert");
    sandbox.kveil(["updatekeys", "-y", "a/secret.yaml"]).run().ok();
    let listed = sandbox.kveil(["recipients", "list", "a/secret.yaml"]).run().text();
    assert!(listed.contains("bert"), "{listed}");
    let done = sandbox.kveil(["recipients", "remove", &format!("{key} bert@work"), "a/secret.yaml"]).run();
    assert!(done.err.contains("rules changed"), "{}", done.err);
    assert_eq!(text(&sandbox, ".sops.yaml"), config(""));
    assert!(!text(&sandbox, "a/secret.yaml").contains(&key));
}

/// A branch without a commit is one thing, a branch whose commit can't be read another.
#[test]
fn a_broken_last_commit_is_trouble() {
    let sandbox = repository();
    sandbox.write("plain.yaml", SECRET);
    git(&sandbox, "git checkout -q --orphan young");
    sandbox.kveil(["encrypt", "plain.yaml"]).run().ok();
    git(&sandbox, "printf nonsense > .git/refs/heads/young");
    refused(sandbox.kveil(["encrypt", "plain.yaml"]), 2, &["git failed"]);
    git(&sandbox, "printf 1234567890123456789012345678901234567890 > .git/refs/heads/young");
    refused(sandbox.kveil(["encrypt", "plain.yaml"]), 2, &["git failed"]);
    // The fix names the repository, wherever in it one stands.
    git(&sandbox, "git checkout -qf main");
    let call = sandbox.kveil(["encrypt", "a/secret.yaml", "--filename-override", "a/b.yaml"]).env("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1");
    let top = std::fs::canonicalize(sandbox.work()).unwrap();
    sandbox.kveil(["decrypt", "-i", "a/secret.yaml"]).run().ok();
    refused(call, 2, &[&format!("safe.directory {}\n", top.display())]);
}

/// A group goes although an entry in it was copied in; what stays is looked at.
#[test]
fn a_planted_entry_may_leave_with_its_group() {
    let sandbox = Sandbox::with_identity();
    sandbox.write(
        ".sops.yaml",
        format!("creation_rules:\n  - key_groups:\n      - age: [{RECIPIENT_1}]\n      - age: [{RECIPIENT_2}]\n    shamir_threshold: 2\n"),
    );
    sandbox.write("secret.yaml", SECRET);
    sandbox.kveil(["encrypt", "-i", "secret.yaml"]).run().ok();
    sandbox.write(".sops.yaml", rule(RECIPIENT_1));
    let both = sandbox::key("age1.txt");
    let keys = std::fs::read_to_string(both).unwrap_or_default() + &std::fs::read_to_string(sandbox::key("age2.txt")).unwrap_or_default();
    let delete = |index: &str| {
        let arguments = ["groups", "delete", "-f", "secret.yaml", "--shamir-secret-sharing-threshold", "1", index];
        sandbox.kveil(arguments).env("SOPS_AGE_KEY", &keys)
    };
    refused(delete("0"), 1, &["refused to add a reader", RECIPIENT_2]);
    delete("1").run().ok();
}

#[test]
fn a_dry_run_foresees_the_refusal() {
    let sandbox = repository();
    sandbox.write(".sops.yaml", rule(&both()));
    sandbox.write("plain.yaml", SECRET);
    for arguments in [&["encrypt", "--dry-run", "plain.yaml"][..], &["encrypt", "-i", "--dry-run", "."]] {
        refused(sandbox.kveil(arguments), 1, &["refused to add a reader", RECIPIENT_2]);
    }
}

/// A file that was deleted and is made anew.
#[test]
fn edit_brings_no_value_into_clear_that_git_has_encrypted() {
    let sandbox = repository();
    std::fs::remove_file(sandbox.path("a/secret.yaml")).unwrap();
    sandbox.write("new.txt", SECRET);
    let call = || {
        sandbox
            .kveil(["edit", "--encrypted-regex", "^user$", "a/secret.yaml"])
            .env("EDITOR", format!("cp {}", sandbox.path("new.txt").display()))
    };
    refused(call(), 1, &["stringData.password", "the last commit has it encrypted"]);
    assert!(!sandbox.path("a/secret.yaml").exists());
    call().arg("--allow-clear").run().ok();
}
