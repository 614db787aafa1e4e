//! Whole trees: directories, globs, and the files that git chooses, with real repositories.

mod sandbox;

use std::path::{Path, PathBuf};

use kveil::error::Kind;
use kveil::git::Repository;
use kveil::git::version::{self, From};
use kveil::recipient::Environment;
use sandbox::{Call, Done, RECIPIENT_1, RECIPIENT_2, Sandbox};
use serde_json::Value;

const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: web\nstringData:\n  password: hunter2-plain\n";
const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\n";

/// A work directory with a rule for every file.
fn ruled() -> Sandbox {
    with_rules(&format!("creation_rules:\n  - age: {RECIPIENT_1}\n"))
}

fn with_rules(rules: &str) -> Sandbox {
    let sandbox = Sandbox::with_identity();
    sandbox.write(".sops.yaml", rules);
    sandbox
}

/// One that is a git repository with a first commit.
fn repository() -> Sandbox {
    let sandbox = ruled();
    let config = "[user]\n\tname = A\n\temail = a@example.com\n[init]\n\tdefaultBranch = main\n[protocol \"file\"]\n\tallow = always\n";
    std::fs::write(sandbox.home().join(".gitconfig"), config).unwrap();
    git(&sandbox, "git init -q && git add .sops.yaml && git commit -qm rules");
    sandbox
}

#[track_caller]
fn git(sandbox: &Sandbox, line: &str) -> String {
    sandbox.shell(line).run().text()
}

fn is_sealed(sandbox: &Sandbox, name: &str) -> bool {
    let text = String::from_utf8(sandbox.read(name)).unwrap();
    text.contains("ENC[AES256_GCM,") && !text.contains("hunter2")
}

/// The report of a run: (file, status, reason).
#[track_caller]
fn rows(done: Done) -> Vec<(String, String, String)> {
    let report: Value = serde_json::from_slice(&done.out).unwrap();
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    report["files"].as_array().unwrap().iter().map(|row| (text(row, "file"), text(row, "status"), text(row, "reason"))).collect()
}

#[track_caller]
fn statuses(call: Call) -> Vec<String> {
    let mut rows: Vec<String> =
        rows(call.run()).into_iter().map(|(file, status, reason)| format!("{file} {status} {reason}").trim_end().to_owned()).collect();
    rows.sort();
    rows
}

#[test]
fn of_a_tree_only_what_a_rule_is_meant_for_is_encrypted() {
    let sandbox = ruled();
    for (name, text) in [
        ("apps/secret.yaml", SECRET),
        ("apps/pod.yaml", POD),
        ("apps/empty.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nstringData: {a: ''}\n"),
        ("apps/kustomization.yaml", "resources: [secret.yaml]\n"),
        ("apps/Chart.yaml", "name: x\n"),
        ("apps/values.yaml", "password: hunter2-values\n"),
        ("templates/secret.yaml", "kind: Secret\ndata:\n  {{- range .x }}\n  a: {{ . }}\n"),
        ("tsconfig.json", "// a comment\n{\"a\": 1}\n"),
        ("README.md", "# hunter2\n"),
    ] {
        sandbox.write(name, text);
    }
    assert_eq!(
        statuses(sandbox.kveil(["encrypt", "-i", "--report", "json", "."])),
        [
            ".sops.yaml skipped configuration",
            "README.md skipped unknown-format",
            "apps/Chart.yaml skipped configuration",
            "apps/empty.yaml skipped no-values",
            "apps/kustomization.yaml skipped configuration",
            "apps/pod.yaml skipped no-secret-kind",
            "apps/secret.yaml encrypted",
            "apps/values.yaml skipped no-secret-kind",
            "templates/secret.yaml skipped template",
            "tsconfig.json skipped not-parsed",
        ]
    );
    assert!(is_sealed(&sandbox, "apps/secret.yaml"));
    // A second run finds nothing to do, and a named file is encrypted whatever it holds.
    let before = sandbox.read("apps/secret.yaml");
    let again = sandbox.kveil(["encrypt", "-i", "apps"]).run();
    assert!(again.err.contains("0 files encrypted") && again.err.contains("1 encrypted already"), "{}", again.err);
    assert_eq!((again.code, sandbox.read("apps/secret.yaml")), (0, before));
    sandbox.kveil(["encrypt", "-i", "apps", "apps/values.yaml"]).run().ok();
    assert!(is_sealed(&sandbox, "apps/values.yaml"));
    // Encrypted files are found by what they hold.
    std::fs::rename(sandbox.path("apps/secret.yaml"), sandbox.path("apps/any.name")).unwrap();
    sandbox.write("apps/notes.yaml", "sops: is a tool\n");
    sandbox.kveil(["decrypt", "-i", "."]).run().ok();
    assert_eq!(sandbox.read("apps/any.name"), SECRET.as_bytes());
    assert_eq!(sandbox.read("apps/values.yaml"), b"password: hunter2-values\n");
}

#[test]
fn a_path_regex_aims_at_files_of_any_kind() {
    let sandbox = with_rules(&format!("creation_rules:\n  - path_regex: ^apps/.*\\.yaml$\n    age: {RECIPIENT_1}\n"));
    sandbox.write("apps/values.yaml", "password: hunter2\n");
    sandbox.write("other/secret.yaml", SECRET);
    sandbox.write("apps/broken.yaml", "a: [\n");
    let done = sandbox.kveil(["encrypt", "-i", "--report", "json", "."]).run();
    assert_eq!(done.code, 2, "{}", done.err);
    assert!(is_sealed(&sandbox, "apps/values.yaml"), "one bad file doesn't stop the others");
    let rows = rows(done);
    assert!(rows.contains(&("other/secret.yaml".into(), "skipped".into(), "no-rule".into())), "{rows:?}");
    assert!(rows.contains(&("apps/broken.yaml".into(), "failed".into(), String::new())), "{rows:?}");
}

#[test]
fn a_broken_secret_is_a_failure_under_any_rule() {
    let sandbox = ruled();
    sandbox.write("a.yaml", "kind: Secret\ndata: [\n");
    assert_eq!(sandbox.kveil(["encrypt", "-i", "."]).run().code, 2);
}

#[test]
fn a_tree_without_a_configuration_is_refused() {
    let sandbox = Sandbox::with_identity();
    sandbox.write("a/secret.yaml", SECRET);
    let done = sandbox.kveil(["encrypt", "-i", "--age", RECIPIENT_1, "a"]).run();
    assert!(done.refused(1).contains("config file not found"));
    assert_eq!(sandbox.read("a/secret.yaml"), SECRET.as_bytes());
}

#[test]
fn a_mistake_in_the_configuration_is_told_once() {
    let sandbox = with_rules(&format!("creation_rules:\n  - agee: x\n    age: {RECIPIENT_1}\n"));
    for name in ["a.yaml", "b.yaml", "c.yaml"] {
        sandbox.write(name, SECRET);
    }
    let done = sandbox.kveil(["encrypt", "-i", "."]).run();
    assert_eq!((done.code, done.err.matches("unknown field agee").count()), (1, 1), "{}", done.err);
}

#[test]
fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let sandbox = ruled();
    sandbox.write("a/secret.yaml", SECRET);
    let said = sandbox.kveil(["encrypt", "--dry-run", "."]).run().text();
    assert!(said.contains("a/secret.yaml: would encrypt 1 value (encrypted_regex: ^(data|stringData)$"), "{said}");
    assert!(said.contains("rule .sops.yaml:2"), "{said}");
    let named = sandbox.kveil(["encrypt", "--dry-run", "--report", "json", "-o", "out/", "a/secret.yaml"]).run();
    assert_eq!(rows(named), [("a/secret.yaml".to_owned(), "would-encrypt".to_owned(), String::new())]);
    assert_eq!(sandbox.read("a/secret.yaml"), SECRET.as_bytes());
    sandbox.kveil(["encrypt", "-i", "."]).run().ok();
    let before = sandbox.read("a/secret.yaml");
    let said = sandbox.kveil(["decrypt", "-i", "--dry-run", "."]).run().text();
    assert_eq!((said.as_str(), sandbox.read("a/secret.yaml")), ("a/secret.yaml: would be decrypted\n", before));
    assert_eq!(sandbox.listing(), [".sops.yaml", "a", "a/secret.yaml"]);
}

#[test]
fn globs_are_expanded_and_go_through_folders() {
    let sandbox = ruled();
    for name in ["secret.yaml", "a/secret.yaml", "a/b/secret.yaml", "a/b/other.yaml", "[x].yaml"] {
        sandbox.write(name, SECRET);
    }
    sandbox.kveil(["encrypt", "-i", "**/secret.yaml"]).run().ok();
    assert!(["secret.yaml", "a/secret.yaml", "a/b/secret.yaml"].iter().all(|name| is_sealed(&sandbox, name)));
    assert_eq!(sandbox.read("a/b/other.yaml"), SECRET.as_bytes());
    sandbox.kveil(["encrypt", "-i", "./a/{b,c}"]).run().ok();
    assert!(is_sealed(&sandbox, "a/b/other.yaml"), "a folder that matches stands for its files");
    sandbox.kveil(["encrypt", "-i", "[x].yaml"]).run().ok();
    assert!(is_sealed(&sandbox, "[x].yaml"), "a file of this name is no glob");
    assert!(sandbox.kveil(["encrypt", "-i", "nothing/*.yaml"]).run().refused(100).contains("no file matches"));
    assert!(sandbox.kveil(["encrypt", "-i", "a[*.yaml"]).run().refused(100).contains("no such file"));
}

#[test]
fn an_output_directory_keeps_the_tree() {
    let sandbox = ruled();
    sandbox.write("k8s/a/secret.yaml", SECRET);
    sandbox.write("k8s/b/secret.yaml", SECRET);
    sandbox.kveil(["encrypt", "k8s", "-o", "out/"]).run().ok();
    assert!(is_sealed(&sandbox, "out/a/secret.yaml") && is_sealed(&sandbox, "out/b/secret.yaml"));
    sandbox.kveil(["decrypt", "-o", "plain/", "out/**/*.yaml"]).run().ok();
    assert_eq!(sandbox.read("plain/b/secret.yaml"), SECRET.as_bytes());
    let done = sandbox.kveil(["encrypt", "k8s/a/secret.yaml", "k8s/b/secret.yaml", "-o", "flat/"]).run();
    assert!(done.refused(8).contains("would both become flat/secret.yaml"));
    assert!(sandbox.kveil(["encrypt", "k8s"]).run().refused(8).contains("can't share one output"));
}

#[test]
fn a_file_that_is_named_twice_is_worked_on_once() {
    let sandbox = ruled();
    sandbox.write("a/secret.yaml", SECRET);
    let done = sandbox.kveil(["encrypt", "-i", "--report", "json", "a", "a/secret.yaml", "./a/../a/secret.yaml", "a/*"]).run();
    assert_eq!(rows(done).len(), 1);
    let text = sandbox.kveil(["decrypt", "a/secret.yaml", "a"]).run().text();
    assert_eq!(text, SECRET);
}

#[test]
fn under_the_name_sops_a_directory_is_no_file() {
    let sandbox = ruled();
    sandbox.write("a/secret.yaml", SECRET);
    let done = sandbox.sops(["encrypt", "-i", "a"]).run();
    assert!(done.code != 0 && sandbox.read("a/secret.yaml") == SECRET.as_bytes(), "{}", done.err);
}

#[test]
fn failures_share_their_code_and_the_summary_is_one_line() {
    let sandbox = ruled();
    sandbox.write("good.yaml", SECRET);
    let done = sandbox.kveil(["encrypt", "-i", "none-1.yaml", "good.yaml", "none-2.yaml"]).run();
    assert_eq!(done.code, 100);
    assert!(done.err.trim_end().ends_with("2 of 3 files failed; 1 file encrypted"), "{}", done.err);
    sandbox.write("bad.yaml", "a: [\n");
    assert_eq!(sandbox.kveil(["encrypt", "-i", "none.yaml", "bad.yaml"]).run().code, 1);
}

/// Names come from whoever made the tree.
#[cfg(unix)]
#[test]
fn no_name_reaches_the_terminal_unescaped() {
    let sandbox = ruled();
    let name = "a\u{1b}[2J\n::error::x\u{202e}\u{61c}\u{9b}.yaml";
    sandbox.write(name, SECRET);
    sandbox.write("b\u{202e}.md", "");
    sandbox.write("c\u{2066}.yaml", "kind: Secret\na: [\n");
    for arguments in [
        ["encrypt", "--dry-run", ".", "-v"].as_slice(),
        &["encrypt", "--dry-run", "--report", "json", "."],
        &["encrypt", "-i", "--report", "json", "-v", "."],
        &["decrypt", "-i", "-v", "--report", "json", "."],
    ] {
        let done = sandbox.kveil(arguments).run();
        let out = String::from_utf8(done.out.clone()).unwrap();
        let hidden = |c: char| c != '\n' && (c.is_control() || matches!(c, '\u{61c}' | '\u{202e}' | '\u{2066}'));
        assert!(!out.contains(hidden) && !done.err.contains(hidden), "{arguments:?}: {out:?} {:?}", done.err);
        assert!(!out.lines().chain(done.err.lines()).any(|line| line.starts_with("::error")), "{arguments:?}");
        if arguments.contains(&"json") {
            assert!(rows(done).iter().any(|(file, ..)| file == name), "machines get the name as it is");
        }
    }
    assert_eq!(sandbox.read(name), SECRET.as_bytes());
}

#[cfg(unix)]
#[test]
fn names_that_are_not_text_are_files_like_others() {
    use std::os::unix::ffi::OsStrExt;
    let sandbox = ruled();
    let path = sandbox.work().join(std::ffi::OsStr::from_bytes(b"k\xff.yaml"));
    std::fs::write(&path, SECRET).unwrap();
    sandbox.kveil([std::ffi::OsStr::new("encrypt"), std::ffi::OsStr::new("-i"), path.file_name().unwrap()]).run().ok();
    assert!(!std::fs::read_to_string(&path).unwrap().contains("hunter2"));
    sandbox.kveil(["decrypt", "-i", "."]).run().ok();
    assert_eq!(std::fs::read(&path).unwrap(), SECRET.as_bytes());
}

#[cfg(unix)]
#[test]
fn loops_links_and_pipes_end_nothing() {
    let sandbox = ruled();
    sandbox.write("a/secret.yaml", SECRET);
    git(&sandbox, "ln -s .. a/up; ln -s self self; ln -s a/secret.yaml link.yaml; mkfifo a/pipe.yaml");
    assert_eq!(
        statuses(sandbox.kveil(["encrypt", "-i", "--report", "json", "."])),
        [
            ".sops.yaml skipped configuration",
            "a/pipe.yaml skipped not-regular",
            "a/secret.yaml encrypted",
            "a/up skipped link",
            "link.yaml skipped link",
            "self skipped link"
        ]
    );
}

/// Root may enter everything: the test becomes nobody first.
#[cfg(target_os = "linux")]
#[test]
fn a_directory_without_permission_is_told_and_the_rest_is_done() {
    let sandbox = ruled();
    sandbox.write("shut/secret.yaml", SECRET);
    sandbox.write("open/secret.yaml", SECRET);
    let root = git(&sandbox, "id -u").trim() == "0";
    let (prefix, after) =
        if root { ("setpriv --reuid=65534 --regid=65534 --clear-groups ", "") } else { ("", "; c=$?; chmod 700 shut; exit $c") };
    if root && sandbox.shell(&format!("chmod 777 .. . open; chmod 666 open/*; chown -R 65534:65534 .; {prefix}true")).run().code != 0 {
        return println!("ignored: setpriv is missing");
    }
    let done = sandbox.shell(&format!("chmod 000 shut; {prefix}kveil encrypt -i .{after}")).run();
    assert_eq!(done.code, 2, "{}", done.err);
    assert!(done.err.contains("shut: can't be searched: Permission denied"), "{}", done.err);
    assert!(is_sealed(&sandbox, "open/secret.yaml"));
}

#[test]
fn what_git_ignores_is_left_out_unless_it_is_tracked() {
    let sandbox = repository();
    for name in ["a.yaml", "build/b.yaml", "kept.yaml"] {
        sandbox.write(name, SECRET);
    }
    sandbox.write(".gitignore", "build/\nkept.yaml\n");
    git(&sandbox, "git add -f kept.yaml");
    // A submodule is another repository.
    git(&sandbox, "git init -q ../other && cd ../other && git commit -q --allow-empty -m x");
    git(&sandbox, "git submodule --quiet add ../other sub");
    sandbox.write("sub/c.yaml", SECRET);
    let seen = statuses(sandbox.kveil(["encrypt", "-i", "--report", "json", "."]));
    let seen: Vec<&str> = seen.iter().map(String::as_str).filter(|row| !row.starts_with('.')).collect();
    assert_eq!(seen, ["a.yaml encrypted", "kept.yaml encrypted", "sub skipped other-repository"]);
    sandbox.kveil(["encrypt", "-i", "build/b.yaml"]).run().ok();
    assert!(is_sealed(&sandbox, "build/b.yaml"), "what is named is meant");
}

#[test]
fn staged_files_are_encrypted_and_put_back_into_the_index() {
    let sandbox = repository();
    sandbox.write("old.yaml", SECRET);
    sandbox.write("left.yaml", SECRET);
    git(
        &sandbox,
        "git add old.yaml && git commit -qm old && git mv old.yaml 'new name.yaml' && echo '# x' >> 'new name.yaml' && git add -A . && git reset -q left.yaml",
    );
    sandbox.write("deep/über.yaml", SECRET);
    git(&sandbox, "git add deep");
    let done = sandbox.kveil(["encrypt", "--staged"]).within(sandbox.path("deep")).run();
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(done.err.contains("git add has stored the plain text"), "{}", done.err);
    for path in ["new name.yaml", "deep/über.yaml"] {
        let staged = git(&sandbox, &format!("git show ':{path}'"));
        assert_eq!(staged.as_bytes(), sandbox.read(path));
        assert!(is_sealed(&sandbox, path));
    }
    assert_eq!(sandbox.read("left.yaml"), SECRET.as_bytes(), "what isn't staged is left alone");
    assert_eq!(statuses(sandbox.kveil(["encrypt", "--staged", "--report", "json", "deep"])), ["deep/über.yaml skipped encrypted"]);
}

#[test]
fn a_hook_commits_encrypted_files_only() {
    let sandbox = repository();
    let kveil = sandbox::program();
    sandbox.write(".git/hooks/pre-commit", format!("#!/bin/sh\nexec {} encrypt --staged --delete-plaintext\n", kveil.display()));
    git(&sandbox, "chmod +x .git/hooks/pre-commit");
    sandbox.write("a.yaml", SECRET);
    git(&sandbox, "git add a.yaml && git commit -qm a 2>/dev/null");
    assert!(!git(&sandbox, "git show HEAD:a.yaml").contains("hunter2"));
    assert_eq!(git(&sandbox, "git status --porcelain"), "");
    assert!(plain_objects(&sandbox).is_empty(), "the plain text is gone");
    // With -a git shows its hooks another index.
    sandbox.write("a.yaml", SECRET);
    git(&sandbox, "git commit -qam b 2>/dev/null");
    assert!(!git(&sandbox, "git show HEAD:a.yaml").contains("hunter2"));
    assert_eq!(git(&sandbox, "git status --porcelain"), "");
    // With a file name the index is a passing one.
    sandbox.write("a.yaml", SECRET);
    let done = sandbox.shell("git commit -qm c a.yaml").run();
    assert!(done.code != 0 && done.err.contains("an index of its own"), "{}", done.err);
    assert_eq!(sandbox.read("a.yaml"), SECRET.as_bytes());
}

/// The objects that hold the secret in clear.
fn plain_objects(sandbox: &Sandbox) -> Vec<String> {
    let all = git(sandbox, "git cat-file --batch-all-objects --batch-check='%(objectname) %(objecttype)' | grep blob | cut -d' ' -f1");
    let plain = |object: &&str| git(sandbox, &format!("git cat-file blob {object}")).contains("hunter2");
    all.lines().filter(plain).map(str::to_owned).collect()
}

#[test]
fn plain_text_that_something_refers_to_stays() {
    let sandbox = repository();
    sandbox.write("a.yaml", SECRET);
    git(&sandbox, "git add a.yaml && git commit -qm oops && git rm -q --cached a.yaml && git commit -qm gone && git add a.yaml");
    let done = sandbox.kveil(["encrypt", "--staged", "--delete-plaintext"]).run();
    assert!(done.code == 0 && done.err.contains("is in the history too"), "{}", done.err);
    assert_eq!(plain_objects(&sandbox).len(), 1);
}

#[test]
fn a_file_of_which_only_a_part_is_staged_is_refused() {
    let sandbox = repository();
    sandbox.write("a.yaml", SECRET);
    sandbox.write("pod.yaml", POD);
    git(&sandbox, "git add . && echo '  more: hunter2' >> a.yaml && echo '# x' >> pod.yaml");
    let before = sandbox.read("a.yaml");
    let done = sandbox.kveil(["encrypt", "--staged"]).run();
    assert!(done.refused(1).contains("a.yaml: it is staged in clear"));
    assert_eq!(sandbox.read("a.yaml"), before);
    // Encrypted in the work tree, in clear in the index: the commit would hold the clear one.
    git(&sandbox, "git add a.yaml");
    sandbox.kveil(["encrypt", "-i", "a.yaml"]).run().ok();
    assert_eq!(sandbox.kveil(["encrypt", "--staged"]).run().code, 1);
    git(&sandbox, "git add a.yaml");
    sandbox.kveil(["encrypt", "--staged"]).run().ok();
}

#[test]
fn under_pre_commit_the_index_is_left_alone() {
    let sandbox = repository();
    sandbox.write("a.yaml", SECRET);
    git(&sandbox, "git add a.yaml");
    let done = sandbox.kveil(["encrypt", "--staged"]).env("PRE_COMMIT", "1").run();
    assert!(done.refused(1).contains("the index is left alone"));
    assert!(is_sealed(&sandbox, "a.yaml") && git(&sandbox, "git show :a.yaml") == SECRET);
    git(&sandbox, "git add a.yaml");
    sandbox.kveil(["encrypt", "--staged"]).env("PRE_COMMIT", "1").run().ok();
}

#[test]
fn changed_since_a_revision_counts_new_files_and_the_branch_alone() {
    let sandbox = repository();
    for name in ["same.yaml", "changed.yaml", "there.yaml"] {
        sandbox.write(name, POD);
    }
    git(&sandbox, "git add . && git commit -qm base && git checkout -qb topic");
    sandbox.write("changed.yaml", SECRET);
    sandbox.write("committed.yaml", SECRET);
    git(&sandbox, "git add committed.yaml && git commit -qm c && git checkout -q main");
    sandbox.write("there.yaml", SECRET);
    git(&sandbox, "git commit -qm there there.yaml && git checkout -q topic");
    sandbox.write("new.yaml", SECRET);
    sandbox.write(".gitignore", "ignored.yaml\n");
    sandbox.write("ignored.yaml", SECRET);
    let seen = statuses(sandbox.kveil(["encrypt", "-i", "--changed-since", "main", "--report", "json"]));
    let expected = [".gitignore skipped unknown-format", "changed.yaml encrypted", "committed.yaml encrypted", "new.yaml encrypted"];
    assert_eq!(seen, expected);
    let seen = statuses(sandbox.kveil(["decrypt", "-i", "--changed-since", "main", "--report", "json", "c*.yaml"]));
    assert_eq!(seen, ["changed.yaml decrypted", "committed.yaml decrypted"]);
    let done = sandbox.kveil(["encrypt", "-i", "--changed-since=--output=x"]).run();
    assert!(done.refused(2).contains("git knows no commit --output=x"));
    assert!(!sandbox.path("x").exists());
}

#[test]
fn a_history_that_was_cut_off_is_said() {
    let sandbox = repository();
    git(&sandbox, "git commit -q --allow-empty -m two && git clone -q --depth 1 file://$PWD ../shallow");
    let done = sandbox.kveil(["encrypt", "-i", "--changed-since", "HEAD~1"]).within(sandbox.path("../shallow")).run();
    assert!(done.refused(2).contains("fetch-depth: 0"));
}

/// "No repository" is an answer, trouble is none.
#[test]
fn trouble_with_git_is_told_apart_from_no_repository() {
    let sandbox = ruled();
    assert!(sandbox.kveil(["encrypt", "--staged"]).run().refused(1).contains("there is no git repository here"));
    let sandbox = repository();
    let done = sandbox.kveil(["encrypt", "--staged"]).env("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1").run();
    assert!(done.refused(2).contains("safe.directory"));
    let done = sandbox.kveil(["encrypt", "--staged"]).env("PATH", sandbox.path("none")).run();
    assert!(done.refused(2).contains("install git"));
    // A tree can be walked without git; whether anything in it comes into clear can't be told.
    sandbox.write("a.yaml", SECRET);
    let done = sandbox.kveil(["encrypt", "-i", "."]).env("PATH", sandbox.path("none")).run();
    assert!(done.refused(2).contains("install git"));
    assert_eq!(sandbox.read("a.yaml"), SECRET.as_bytes());
    // Who says that nothing hangs on it goes on; what only git knows is said to be missing.
    let alone = ["encrypt", "-i", "--fresh", "--allow-clear", "--allow-recipient", RECIPIENT_1, "."];
    let done = sandbox.kveil(alone).env("PATH", sandbox.path("none")).run();
    assert!(done.code == 0 && done.err.contains("aren't seen: git can't be run") && is_sealed(&sandbox, "a.yaml"), "{}", done.err);
}

/// A repository's own settings run nothing.
#[cfg(unix)]
#[test]
fn hooks_and_fsmonitor_of_a_repository_are_off() {
    let sandbox = repository();
    sandbox.write(".git/evil", format!("#!/bin/sh\ntouch {}\n", sandbox.path("pwned").display()));
    for hook in ["post-index-change", "pre-commit", "fsmonitor-watchman", "reference-transaction"] {
        std::fs::copy(sandbox.path(".git/evil"), sandbox.path(&format!(".git/hooks/{hook}"))).unwrap();
    }
    git(&sandbox, "chmod +x .git/evil .git/hooks/*");
    sandbox.write("a.yaml", SECRET);
    git(&sandbox, "git add a.yaml && rm -f pwned && git config core.fsmonitor $PWD/.git/evil && git config diff.external $PWD/.git/evil");
    sandbox.kveil(["encrypt", "--staged", "--delete-plaintext"]).run().ok();
    sandbox.kveil(["decrypt", "-i", "--changed-since", "HEAD"]).run().ok();
    assert!(!sandbox.path("pwned").exists());
}

fn environment(sandbox: &Sandbox, more: &[(&str, &Path)]) -> Environment {
    let fixed = [("HOME".to_owned(), sandbox.home().into_os_string()), ("PATH".to_owned(), std::env::var_os("PATH").unwrap())];
    Environment::fixed(fixed.into_iter().chain(more.iter().map(|(name, value)| ((*name).to_owned(), value.as_os_str().to_owned()))))
}

/// What git had of a file, and where.
fn earlier(sandbox: &Sandbox, folder: &Path, path: &str, more: &[(&str, &Path)]) -> Option<(Vec<u8>, From)> {
    let repository = Repository::at(&environment(sandbox, more), folder, folder).unwrap().unwrap();
    let found = version::earlier_version(&repository, &folder.join(path)).unwrap();
    found.map(|earlier| (earlier.bytes.to_vec(), earlier.from))
}

#[test]
fn an_earlier_version_is_heads_then_the_indexs() {
    let sandbox = repository();
    let work = sandbox.work();
    git(
        &sandbox,
        "printf head > 'a [1]*.yaml' && git add . && git commit -qm a && printf index > 'a [1]*.yaml' && printf index > b.yaml && git add .",
    );
    git(&sandbox, "printf work > 'a [1]*.yaml'; printf work > b.yaml; printf work > c.yaml");
    assert_eq!(earlier(&sandbox, &work, "a [1]*.yaml", &[]), Some((b"head".to_vec(), From::Head)));
    assert_eq!(earlier(&sandbox, &work, "b.yaml", &[]), Some((b"index".to_vec(), From::Index)));
    assert_eq!(earlier(&sandbox, &work, "c.yaml", &[]), None);
    assert_eq!(earlier(&sandbox, &work, "../home/.gitconfig", &[]), None, "outside");
    // From a folder below, another index, and before the first commit.
    std::fs::create_dir(work.join("sub")).unwrap();
    assert_eq!(earlier(&sandbox, &work.join("sub"), "../b.yaml", &[]), Some((b"index".to_vec(), From::Index)));
    let index = sandbox.path(".git/other-index");
    git(&sandbox, "GIT_INDEX_FILE=$PWD/.git/other-index git read-tree HEAD");
    assert_eq!(earlier(&sandbox, &work, "b.yaml", &[("GIT_INDEX_FILE", &index)]), None);
    git(&sandbox, "git init -q ../young && cd ../young && printf x > y && git add y");
    assert_eq!(earlier(&sandbox, &work.join("../young"), "y", &[]), Some((b"x".to_vec(), From::Index)));
}

#[test]
fn an_earlier_version_has_passed_gits_filters() {
    let sandbox = repository();
    git(&sandbox, "printf 'a\\nb\\n' > x.yaml && git add . && git commit -qm x && git config core.autocrlf true");
    assert_eq!(earlier(&sandbox, &sandbox.work(), "x.yaml", &[]), Some((b"a\r\nb\r\n".to_vec(), From::Head)));
    git(&sandbox, "echo '*.yaml text eol=lf' > .gitattributes");
    assert_eq!(earlier(&sandbox, &sandbox.work(), "x.yaml", &[]), Some((b"a\nb\n".to_vec(), From::Head)));
}

#[test]
fn in_a_conflict_ours_counts_where_head_lacks_the_file() {
    let sandbox = repository();
    git(&sandbox, "git checkout -qb other && printf theirs > x && git add x && git commit -qm t && git checkout -q main");
    git(&sandbox, "printf ours > x && git add x && git commit -qm o && (git merge -q other || true) && git update-ref HEAD HEAD~1");
    assert_eq!(earlier(&sandbox, &sandbox.work(), "x", &[]), Some((b"ours".to_vec(), From::Ours)));
    let done = sandbox.kveil(["encrypt", "--staged"]).run();
    assert!(done.refused(1).contains("in conflict"));
}

#[test]
fn linked_work_trees_and_hooks_variables_are_understood() {
    let sandbox = repository();
    git(&sandbox, "printf head > x && git add x && git commit -qm x && git worktree add -q ../linked");
    let linked = std::fs::canonicalize(sandbox.path("../linked")).unwrap();
    assert_eq!(earlier(&sandbox, &linked, "x", &[]), Some((b"head".to_vec(), From::Head)));
    let folder: PathBuf = git(&sandbox, "cd ../linked && git rev-parse --absolute-git-dir").trim().into();
    let repository = Repository::at(&environment(&sandbox, &[("GIT_DIR", &folder)]), &linked, &linked).unwrap().unwrap();
    assert_eq!(std::fs::canonicalize(&repository.common).unwrap(), std::fs::canonicalize(sandbox.path(".git")).unwrap());
    assert_eq!(repository.top, linked);
    std::fs::write(linked.join("a.yaml"), SECRET).unwrap();
    std::fs::copy(sandbox.path(".sops.yaml"), linked.join(".sops.yaml")).unwrap();
    git(&sandbox, "cd ../linked && git add a.yaml && GIT_DIR=$(git rev-parse --git-dir) kveil encrypt --staged --delete-plaintext");
    assert!(!git(&sandbox, "cd ../linked && git show :a.yaml").contains("hunter2"));
    assert!(plain_objects(&sandbox).is_empty());
}

#[test]
fn a_broken_repository_is_trouble() {
    let sandbox = Sandbox::new();
    sandbox.write(".git", "gitdir: /nowhere\n");
    let error = Repository::at(&environment(&sandbox, &[]), &sandbox.work(), &sandbox.work()).err().unwrap();
    assert_eq!(error.kind, Kind::Unreadable);
    assert!(Repository::at(&environment(&sandbox, &[]), &sandbox.tmp(), &sandbox.tmp()).unwrap().is_none());
}

#[test]
fn rotate_and_updatekeys_take_the_encrypted_files_of_a_tree() {
    let sandbox = repository();
    for name in ["a/one.yaml", "a/b/two.yaml"] {
        sandbox.write(name, SECRET);
    }
    sandbox.write("a/pod.yaml", POD);
    sandbox.kveil(["encrypt", "-i", "a"]).run().ok();
    let before = sandbox.read("a/one.yaml");
    assert!(sandbox.kveil(["rotate", "a"]).run().refused(8).contains("can't share one output"));
    let said = sandbox.kveil(["rotate", "--dry-run", "a"]).run().text();
    assert!(said.contains("a/b/two.yaml: would get a new data key"), "{said}");
    assert_eq!(sandbox.read("a/one.yaml"), before);
    let seen = statuses(sandbox.kveil(["rotate", "-i", "--report", "json", "a"]));
    assert_eq!(seen, ["a/b/two.yaml rotated", "a/one.yaml rotated", "a/pod.yaml skipped plain"]);
    assert_ne!(sandbox.read("a/one.yaml"), before);
    sandbox.write(".sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT_1},{RECIPIENT_2}\n"));
    git(&sandbox, "git commit -qam more");
    assert_eq!(sandbox.kveil(["updatekeys", "--check", "**/*.yaml"]).run().code, 1);
    let dry = sandbox.kveil(["updatekeys", "--dry-run", "--report", "json", "a"]).run();
    assert!(rows(dry.clone()).contains(&("a/one.yaml".into(), "out-of-line".into(), String::new())) && dry.code == 0, "{}", dry.err);
    let seen = statuses(sandbox.kveil(["updatekeys", "-y", "--report", "json", "."]));
    let seen: Vec<&str> = seen.iter().map(String::as_str).filter(|row| !row.starts_with('.')).collect();
    assert_eq!(seen, ["a/b/two.yaml synced", "a/one.yaml synced", "a/pod.yaml skipped plain"]);
    sandbox.kveil(["updatekeys", "--check", "a"]).run().ok();
    assert_eq!(sandbox.kveil(["decrypt", "a/one.yaml"]).run().text(), SECRET);
}

/// A rule that nobody has committed adds no reader.
#[test]
fn the_committed_rule_says_who_may_be_added() {
    let sandbox = repository();
    sandbox.write("a.yaml", SECRET);
    sandbox.kveil(["encrypt", "-i", "a.yaml"]).run().ok();
    let before = sandbox.read("a.yaml");
    sandbox.write(".sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT_1},{RECIPIENT_2}\n"));
    let done = sandbox.kveil(["updatekeys", "-y", "."]).run();
    assert!(done.code == 1 && done.err.contains("refused to add a reader"), "{}", done.err);
    assert_eq!(sandbox.read("a.yaml"), before);
    sandbox.kveil(["updatekeys", "-y", "--allow-recipient", RECIPIENT_2, "."]).run().ok();
}

#[test]
fn recipients_are_listed_and_removed_in_a_tree() {
    let sandbox = repository();
    sandbox.write(".sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT_1},{RECIPIENT_2}\n"));
    sandbox.write("a/one.yaml", SECRET);
    sandbox.write("a/pod.yaml", POD);
    git(&sandbox, "git commit -qam 'another reader'");
    sandbox.kveil(["encrypt", "-i", "a"]).run().ok();
    let before = (sandbox.read("a/one.yaml"), sandbox.read(".sops.yaml"));
    let listed = sandbox.kveil(["recipients", "list", "."]).run().text();
    assert!(listed.contains("a/one.yaml") && !listed.contains("pod.yaml"), "{listed}");
    let would = sandbox.kveil(["recipients", "remove", RECIPIENT_2, "--dry-run", "a"]).run().text();
    assert_eq!(would, "a/one.yaml\tstringData.password\n");
    assert_eq!((sandbox.read("a/one.yaml"), sandbox.read(".sops.yaml")), before);
    let done = sandbox.kveil(["recipients", "remove", RECIPIENT_2, "--report", "json", "a"]).run();
    assert!(rows(done).contains(&("a/one.yaml".into(), "removed".into(), String::new())));
    for name in ["a/one.yaml", ".sops.yaml"] {
        assert!(!String::from_utf8(sandbox.read(name)).unwrap().contains(RECIPIENT_2), "{name}");
    }
}
