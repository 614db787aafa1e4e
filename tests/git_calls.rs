//! How often git is started: a process costs more than encrypting a file, and decrypting must not depend on git at all.
#![cfg(unix)]

mod sandbox;

use sandbox::{Call, IDENTITY_1, RECIPIENT_1, Sandbox};
use std::os::unix::fs::PermissionsExt;

const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: web\nstringData:\n  password: hunter2-plain\n";

/// A repository whose last commit has a rule and, encrypted, 90 files in 30 folders, which are in clear in the work tree.
fn repository() -> Sandbox {
    let sandbox = Sandbox::with_identity();
    std::fs::write(sandbox.home().join(".gitconfig"), "[user]\n\tname = A\n\temail = a@example.com\n[init]\n\tdefaultBranch = main\n")
        .unwrap();
    sandbox.write(".sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT_1}\n"));
    let names: Vec<String> = (0..90).map(|at| format!("apps/{}/secret {at}.yaml", at / 3)).collect();
    for name in &names {
        sandbox.write(name, SECRET);
    }
    sandbox.kveil(["encrypt", "-i", "."]).run().ok();
    sandbox.shell("git init -q && git add . && git commit -qm first").run().ok();
    sandbox.kveil(["decrypt", "-i", "."]).run().ok();
    sandbox
}

/// A `git` first on the PATH that does this.
fn with_git(sandbox: &Sandbox, call: Call, script: &str) -> Call {
    let folder = sandbox.tmp().join("first");
    std::fs::create_dir_all(&folder).unwrap();
    let program = folder.join("git");
    std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let rest = std::env::var_os("PATH").unwrap();
    let path = std::env::join_paths(std::iter::once(folder).chain(std::env::split_paths(&rest))).unwrap();
    call.env("PATH", path)
}

/// The git commands that this starts, those that git itself starts left out.
#[track_caller]
fn started(sandbox: &Sandbox, arguments: &[&str]) -> Vec<String> {
    let log = sandbox.tmp().join("log");
    std::fs::write(&log, "").unwrap();
    let real = std::env::split_paths(&std::env::var_os("PATH").unwrap()).map(|folder| folder.join("git")).find(|file| file.is_file());
    let script = format!("echo \"$*\" >> {}\nexec {} \"$@\"", log.display(), real.unwrap().display());
    with_git(sandbox, sandbox.kveil(arguments), &script).run().ok();
    let text = std::fs::read_to_string(&log).unwrap();
    let command = |line: &str| {
        let mut words = line.split(' ');
        while let Some(word) = words.next() {
            if word != "-c" {
                return word.to_owned();
            }
            words.next();
        }
        String::new()
    };
    text.lines().map(command).collect()
}

#[test]
fn encrypting_a_file_starts_git_twice_or_thrice() {
    let sandbox = repository();
    let file = "apps/1/secret 3.yaml";
    assert_eq!(started(&sandbox, &["encrypt", file]), ["rev-parse", "cat-file"]);
    // Of a file that is written the index may have another version.
    assert_eq!(started(&sandbox, &["encrypt", "-i", file]), ["rev-parse", "cat-file", "ls-files"]);
    assert!(sandbox.shell("git diff --quiet 'apps/1/secret 3.yaml'").run().code == 0, "the last commit was gone on from");
}

#[test]
fn encrypting_a_tree_starts_git_four_times() {
    let sandbox = repository();
    // The last one because of the configuration, which is passed over in clear.
    assert_eq!(started(&sandbox, &["encrypt", "-i", "."]), ["rev-parse", "ls-files", "cat-file", "diff"]);
    assert_eq!(sandbox.shell("git status --porcelain").run().text(), "", "the last commit was gone on from");
    assert_eq!(started(&sandbox, &["rotate", "-i", "apps"]), ["rev-parse", "ls-files", "cat-file"]);
    assert_eq!(started(&sandbox, &["decrypt", "-i", "apps"]), ["rev-parse", "ls-files"]);
    assert_eq!(started(&sandbox, &["encrypt", "--all-decrypted"]), ["rev-parse", "cat-file", "ls-files"]);
}

#[test]
fn encrypting_what_is_staged_starts_git_five_times() {
    let sandbox = repository();
    sandbox.shell("git add -A").run().ok();
    let calls = started(&sandbox, &["encrypt", "--staged"]);
    assert_eq!(calls, ["rev-parse", "status", "cat-file", "update-index", "ls-files"]);
    assert_eq!(sandbox.shell("git diff --cached --name-only && git diff --name-only").run().text(), "");
}

#[test]
fn where_there_is_no_repository_git_is_not_started() {
    let sandbox = Sandbox::with_identity();
    sandbox.write(".sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT_1}\n"));
    sandbox.write("a.yaml", SECRET);
    assert_eq!(started(&sandbox, &["encrypt", "-i", "a.yaml"]), [""; 0]);
    assert_eq!(started(&sandbox, &["decrypt", "-i", "."]), [""; 0]);
    assert_eq!(started(&sandbox, &["encrypt", "-i", "."]), [""; 0]);
}

#[test]
fn reading_and_changing_values_never_starts_git() {
    let sandbox = repository();
    sandbox.shell("git checkout -q .").run().ok();
    let log = sandbox.tmp().join("started");
    let script = format!("echo \"$*\" >> {}\necho 'fatal: no' >&2\nexit 128", log.display());
    let file = "apps/1/secret 3.yaml";
    let out = sandbox.tmp().join("out.yaml").display().to_string();
    for arguments in [
        &["decrypt", file][..],
        &["decrypt", "-o", &out, file],
        &["view", file],
        &["filestatus", file],
        &["exec-env", file, "true"],
        &["exec-file", file, "true"],
        &["set", file, "stringData.password", "other-plain"],
        &["unset", file, "stringData.password"],
    ] {
        let call = sandbox.kveil(arguments).env("SOPS_AGE_KEY", IDENTITY_1);
        with_git(&sandbox, call, &script).run().ok();
        assert!(!log.exists(), "{arguments:?}: {}", std::fs::read_to_string(&log).unwrap_or_default());
    }
    // The others see that git is in trouble.
    let refusal = with_git(&sandbox, sandbox.kveil(["rotate", "-i", "apps/2/secret 6.yaml"]), &script).run();
    assert!(refusal.refused(2).contains("git failed: no"));
    assert!(log.exists());
    with_git(&sandbox, sandbox.kveil(["decrypt", "-i", "apps/2/secret 6.yaml"]), &script).run().ok();
}

#[test]
fn names_that_no_line_of_requests_can_hold_are_asked_for_alone() {
    let sandbox = repository();
    let names = ["apps/line\nbreak.yaml", " blank.yaml", "cr.yaml\r"];
    for name in names {
        sandbox.write(name, SECRET);
        sandbox.kveil(["encrypt", "-i", "--input-type", "yaml", "--output-type", "yaml", name]).run().ok();
    }
    sandbox.shell("git add -A && git commit -qm odd").run().ok();
    for name in names {
        let committed = sandbox.read(name);
        sandbox.write(name, SECRET);
        sandbox.kveil(["encrypt", "-i", "--input-type", "yaml", "--output-type", "yaml", name]).run().ok();
        assert!(sandbox.read(name) == committed, "{name:?}");
    }
}

#[test]
fn a_link_as_a_version_and_sha256_are_understood() {
    let sandbox = Sandbox::with_identity();
    std::fs::write(sandbox.home().join(".gitconfig"), "[user]\n\tname = A\n\temail = a@example.com\n").unwrap();
    sandbox.write("rules/.sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT_1}\n"));
    sandbox.write("apps/a/secret.yaml", SECRET);
    sandbox.shell("ln -s rules/.sops.yaml .sops.yaml").run().ok();
    sandbox.kveil(["encrypt", "-i", "apps/a/secret.yaml"]).run().ok();
    sandbox.shell("git init -q --object-format=sha256 && git add . && git commit -qm first").run().ok();
    let committed = sandbox.read("apps/a/secret.yaml");
    sandbox.write("apps/a/secret.yaml", SECRET);
    sandbox.kveil(["encrypt", "-i", "apps/a/secret.yaml"]).run().ok();
    assert!(sandbox.read("apps/a/secret.yaml") == committed);
}

#[test]
fn contents_of_any_size_come_whole_from_all_threads() {
    let sandbox = repository();
    let long = |at: usize| format!("{SECRET}  long: {}\n", "x".repeat(at * 40_000));
    let names: Vec<String> = (0..8).map(|at| format!("long/{at}.yaml")).collect();
    for (at, name) in names.iter().enumerate() {
        sandbox.write(name, long(at));
    }
    sandbox.kveil(["encrypt", "-i", "long"]).run().ok();
    sandbox.shell("git add -A && git commit -qm long").run().ok();
    for (at, name) in names.iter().enumerate() {
        sandbox.write(name, long(at));
    }
    sandbox.kveil(["encrypt", "-i", "long"]).run().ok();
    assert_eq!(sandbox.shell("git status --porcelain").run().text(), "");
}
