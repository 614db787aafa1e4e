//! The hooks of `.pre-commit-hooks.yaml`, run by the pre-commit framework itself: it clones this project's hooks from a
//! repository, hides what isn't staged, and puts it back.
#![cfg(unix)]

mod sandbox;

use sandbox::{Done, RECIPIENT_1, Sandbox, installed, root};
use std::path::PathBuf;

fn secret(value: &str) -> String {
    format!("apiVersion: v1\nkind: Secret\nmetadata:\n  name: web\nstringData:\n  password: {value}\n")
}

/// A repository with a rule whose commits go through pre-commit with these hooks.
struct Framework {
    sandbox: Sandbox,
    program: PathBuf,
}

impl Framework {
    fn new(hooks: &[&str]) -> Option<Framework> {
        let framework = Framework { program: installed("linters-venv/bin/pre-commit")?, sandbox: Sandbox::with_identity() };
        let sandbox = &framework.sandbox;
        std::fs::write(sandbox.home().join(".gitconfig"), "[user]\n\tname = A\n\temail = a@example.com\n").unwrap();
        sandbox.write("../hooks/.pre-commit-hooks.yaml", std::fs::read(root().join(".pre-commit-hooks.yaml")).unwrap());
        let revision = framework.ok("cd ../hooks && git init -q . && git add . && git commit -qm hooks && git rev-parse HEAD");
        let place = sandbox.path("../hooks").canonicalize().unwrap();
        let hooks: String = hooks.iter().map(|hook| format!("      - id: {hook}\n")).collect();
        let config = format!("repos:\n  - repo: {}\n    rev: {}\n    hooks:\n{hooks}", place.display(), revision.trim());
        sandbox.write(".pre-commit-config.yaml", config);
        sandbox.write(".sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT_1}\n"));
        framework.ok("git init -q -b main . && \"$PRE_COMMIT_PROGRAM\" install && git add -A && git commit -qm rules");
        Some(framework)
    }

    fn run(&self, line: &str) -> Done {
        self.sandbox.shell(&format!("exec 2>&1\n{line}")).env("PRE_COMMIT_PROGRAM", &self.program).run()
    }

    #[track_caller]
    fn ok(&self, line: &str) -> String {
        let done = self.run(line);
        assert_eq!(done.code, 0, "{line}: {}", String::from_utf8_lossy(&done.out));
        String::from_utf8_lossy(&done.out).into_owned()
    }

    /// What a commit that is stopped says; it never shows the value.
    #[track_caller]
    fn stopped(&self, line: &str) -> String {
        let before = self.ok("git rev-parse HEAD");
        let done = self.run(line);
        let said = String::from_utf8_lossy(&done.out).into_owned();
        assert_eq!(done.code, 1, "{said}");
        assert_eq!(self.ok("git rev-parse HEAD"), before);
        assert!(!said.contains("hunter2"), "{said}");
        said
    }
}

#[test]
fn the_manifest_is_one_of_the_framework() {
    let Some(program) = installed("linters-venv/bin/pre-commit") else { return };
    let sandbox = Sandbox::new();
    let line = "\"$PROGRAM\" validate-manifest \"$MANIFEST\"";
    let call = sandbox.shell(line).env("PROGRAM", program).env("MANIFEST", root().join(".pre-commit-hooks.yaml"));
    let done = call.run();
    assert_eq!((done.code, done.err.as_str()), (0, ""), "{}", String::from_utf8_lossy(&done.out));
}

#[test]
fn a_secret_in_clear_stops_the_commit() {
    let Some(framework) = Framework::new(&["kveil-check"]) else { return };
    framework.sandbox.write("db.yaml", secret("hunter2-geheim"));
    framework.sandbox.write("notes.md", "a note\n");
    let said = framework.stopped("git add -A && git commit -m x");
    assert!(said.contains("db.yaml:6:13: error KV101") && said.contains("Failed"), "{said}");
    // Encrypted it goes; a file of bytes is none for the hook.
    framework.sandbox.write("picture.png", [0x89, b'P', 0, 255]);
    framework.ok("kveil encrypt -i db.yaml && git add -A && git commit -qm x");
    // All files, as CI runs it.
    framework.ok("\"$PRE_COMMIT_PROGRAM\" run --all-files");
    let done = framework.run("printf 'a: 1\\n' > a.yaml && git add a.yaml && CI=true git commit -qm y");
    assert_eq!(done.code, 0, "{}", String::from_utf8_lossy(&done.out));
}

#[test]
fn what_is_not_staged_neither_stops_nor_saves_a_commit() {
    let Some(framework) = Framework::new(&["kveil-check"]) else { return };
    let sandbox = &framework.sandbox;
    // Encrypted in the index, in clear beside it: the commit is fine, and the edit is still there.
    sandbox.write("db.yaml", secret("hunter2-first"));
    framework.ok("kveil encrypt -i db.yaml && git add db.yaml");
    let open = secret("hunter2-second");
    sandbox.write("db.yaml", &open);
    framework.ok("git commit -qm sealed");
    assert_eq!(sandbox.read("db.yaml"), open.as_bytes());
    assert!(framework.ok("git show HEAD:db.yaml").contains("ENC[AES256_GCM,"));
    // The other way round: what is staged is in clear, and encrypting the work tree alone doesn't help.
    framework.ok("git add db.yaml && kveil encrypt -i db.yaml");
    let sealed = sandbox.read("db.yaml");
    framework.stopped("git commit -m clear");
    assert_eq!(sandbox.read("db.yaml"), sealed);
}

#[test]
fn the_encrypting_hook_works_in_the_work_tree_and_lets_you_add() {
    let Some(framework) = Framework::new(&["kveil-encrypt", "kveil-check"]) else { return };
    let sandbox = &framework.sandbox;
    sandbox.write("db.yaml", secret("hunter2-geheim"));
    framework.ok("git add db.yaml");
    let staged = framework.ok("git ls-files --stage db.yaml");
    let said = framework.stopped("git commit -m x");
    assert!(said.contains("files were encrypted in the work tree only") && said.contains("git add them"), "{said}");
    assert_eq!(framework.ok("git ls-files --stage db.yaml"), staged, "the index is the framework's");
    assert!(String::from_utf8(sandbox.read("db.yaml")).unwrap().contains("ENC[AES256_GCM,"));
    framework.ok("git add db.yaml && git commit -qm x");
    assert!(framework.ok("git show HEAD:db.yaml").contains("ENC[AES256_GCM,"));
    // Nothing of it is in clear in any commit.
    assert_eq!(framework.run("git log -p --all --no-textconv | grep -c hunter2").out, b"0\n");
}

#[test]
fn a_partly_staged_secret_loses_neither_part() {
    let Some(framework) = Framework::new(&["kveil-encrypt"]) else { return };
    let sandbox = &framework.sandbox;
    sandbox.write("db.yaml", secret("hunter2-staged"));
    framework.ok("git add db.yaml");
    let later = secret("hunter2-later");
    sandbox.write("db.yaml", &later);
    framework.stopped("git commit -m x");
    // The framework rolls back a hook's changes where they meet what it hid: the edit stands as it was made.
    assert_eq!(sandbox.read("db.yaml"), later.as_bytes());
    assert!(framework.ok("git show :db.yaml").contains("hunter2-staged"));
    framework.ok("kveil encrypt -i db.yaml && git add db.yaml && git commit -qm x");
    assert_eq!(framework.ok("kveil decrypt db.yaml 2>/dev/null"), later);
}
