//! `kveil git setup` and `kveil git textconv`, with real git.

mod sandbox;

use sandbox::{Done, RECIPIENT_1, Sandbox};

const SECRET: &str = "\
apiVersion: v1
kind: Secret
metadata:
  name: web
stringData:
  # hunter2 of the database
  password: hunter2-password
  token: hunter2-token
";

fn repository() -> Sandbox {
    let sandbox = Sandbox::with_identity();
    let config = "[user]\n\tname = A\n\temail = a@example.com\n[init]\n\tdefaultBranch = main\n";
    std::fs::write(sandbox.home().join(".gitconfig"), config).unwrap();
    sandbox.write(".sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT_1}\n"));
    git(&sandbox, "git init -q && git add .sops.yaml && git commit -qm rules");
    commit(&sandbox, "secret.yaml", SECRET);
    sandbox
}

fn run(sandbox: &Sandbox, line: &str) -> Done {
    sandbox.shell(line).run()
}

#[track_caller]
fn git(sandbox: &Sandbox, line: &str) -> String {
    let done = run(sandbox, line);
    assert_eq!(done.code, 0, "{line}: {}{}", String::from_utf8_lossy(&done.out), done.err);
    String::from_utf8(done.out).unwrap()
}

#[track_caller]
fn commit(sandbox: &Sandbox, name: &str, plain: &str) {
    sandbox.write(name, plain);
    git(sandbox, &format!("kveil encrypt -i '{name}' && git add -A && git commit -qm '{name}'"));
}

fn text(sandbox: &Sandbox, name: &str) -> String {
    String::from_utf8(sandbox.read(name)).unwrap()
}

#[test]
fn setup_says_what_it_did_and_changes_nothing_the_second_time() {
    let sandbox = repository();
    sandbox.write(".gitattributes", "*.png binary\n");
    assert!(run(&sandbox, "kveil git setup --check").refused(1).contains("kveil git setup writes what is missing"));
    let first = run(&sandbox, "kveil git setup");
    assert_eq!(first.code, 0, "{}", first.err);
    assert!(first.err.contains("merge.kveil.driver") && first.err.contains(".gitattributes: 1 encrypted file; commit it"), "{}", first.err);
    let attributes = text(&sandbox, ".gitattributes");
    assert!(attributes.starts_with("*.png binary\n"));
    assert!(attributes.contains("\n/secret.yaml diff=kveil merge=kveil text eol=lf\n"), "{attributes}");
    assert_eq!(text(&sandbox, ".git/info/attributes").lines().count(), 3);
    assert_eq!(git(&sandbox, "git config diff.kveil.cachetextconv"), "false\n");
    assert_eq!(run(&sandbox, "git config merge.kveil.recursive").code, 1);
    let config = text(&sandbox, ".git/config");
    let second = run(&sandbox, "kveil git setup");
    assert!(second.err.contains("up to date"), "{}", second.err);
    assert_eq!((text(&sandbox, ".gitattributes"), text(&sandbox, ".git/config")), (attributes, config));
    assert_eq!(run(&sandbox, "kveil git setup --check").code, 0);
    git(&sandbox, "kveil git setup --undo");
    assert_eq!(text(&sandbox, ".gitattributes"), "*.png binary\n");
    assert!(!text(&sandbox, ".git/config").contains("textconv ="));
    assert!(!sandbox.path(".git/info/attributes").exists() || text(&sandbox, ".git/info/attributes").is_empty());
}

#[test]
fn in_ci_what_is_committed_counts() {
    let sandbox = repository();
    git(&sandbox, "kveil git setup && git add -A && git commit -qm setup && git clone -q . ../clone");
    assert_eq!(run(&sandbox, "cd ../clone && CI=true kveil git setup --check").code, 0);
    let refused = run(&sandbox, "cd ../clone && kveil git setup --check").refused(1);
    assert!(refused.contains("git config merge.kveil.driver isn't set"), "{refused}");
}

#[test]
fn what_others_wrote_into_the_attributes_stays() {
    let sandbox = repository();
    let begin = "# kveil: encrypted files; kveil git setup keeps these lines up to date";
    for (before, why) in [
        (b"# caf\xe9\n*.png binary\n".to_vec(), "UTF-8"),
        (format!("{begin}\n/x diff=kveil\n*.png binary\n").into_bytes(), "# kveil: end is missing"),
    ] {
        sandbox.write(".gitattributes", before.clone());
        assert!(run(&sandbox, "kveil git setup").err.contains(why), "{why}");
        assert_eq!(sandbox.read(".gitattributes"), before);
    }
    sandbox.write(".gitattributes", "*.png binary\r\n");
    git(&sandbox, "kveil git setup");
    assert!(text(&sandbox, ".gitattributes").starts_with("*.png binary\r\n# kveil: "));
}

#[cfg(unix)]
#[test]
fn attributes_are_not_written_through_a_link() {
    let sandbox = repository();
    sandbox.write("elsewhere", "echo\n");
    std::os::unix::fs::symlink("elsewhere", sandbox.path(".gitattributes")).unwrap();
    let done = run(&sandbox, "kveil git setup");
    assert!(done.code == 3 && done.err.contains("symbolic link"), "{} {}", done.code, done.err);
    assert_eq!(text(&sandbox, "elsewhere"), "echo\n");
}

#[test]
fn a_file_encrypted_later_gets_its_line() {
    let sandbox = repository();
    commit(&sandbox, "before.yaml", SECRET);
    assert!(!sandbox.path(".gitattributes").exists());
    git(&sandbox, "kveil git setup");
    commit(&sandbox, "odd name*.yaml", SECRET);
    let attributes = text(&sandbox, ".gitattributes");
    assert!(attributes.contains("\n\"/odd name\\\\*.yaml\" diff=kveil"), "{attributes}");
    assert_eq!(git(&sandbox, "git check-attr diff 'odd name*.yaml'"), "odd name*.yaml: diff: kveil\n");
    assert_eq!(run(&sandbox, "kveil git setup --check").code, 0);
}

#[test]
fn a_renamed_file_gets_its_line_when_it_is_changed_and_is_told_until_then() {
    let sandbox = repository();
    git(&sandbox, "kveil git setup && git add -A && git commit -qm setup && git mv secret.yaml other.yaml");
    let staged = "kveil check --staged --level warning";
    assert!(git(&sandbox, staged).starts_with(".gitattributes: warning KV401"), "{}", git(&sandbox, staged));
    for change in ["kveil set other.yaml stringData.token hunter2-other", "kveil unset other.yaml stringData.token"] {
        let said = run(&sandbox, change).err;
        let first = change.contains("set other.yaml stringData.token hunter2");
        assert_eq!(said.contains(".gitattributes: /other.yaml diff=kveil merge=kveil text eol=lf"), first, "{change}: {said}");
    }
    assert_eq!(git(&sandbox, &format!("git add -A && {staged}")), "");
    assert!(git(&sandbox, "git diff --cached -M HEAD").contains("-  token: <str, "));
}

#[test]
fn what_a_sparse_checkout_leaves_out_keeps_its_line() {
    let sandbox = repository();
    sandbox.write("far/one.enc.yaml", SECRET);
    sandbox.write("near/two.enc.yaml", SECRET);
    git(
        &sandbox,
        "kveil encrypt -i far/one.enc.yaml near/two.enc.yaml && git add -A && kveil git setup && git add -A && git commit -qm more",
    );
    let before = text(&sandbox, ".gitattributes");
    assert!(before.contains("*.enc.yaml diff=kveil"), "{before}");
    git(&sandbox, "git sparse-checkout set near && kveil git setup && kveil git setup --check");
    assert!(!sandbox.path("far").exists());
    assert_eq!(text(&sandbox, ".gitattributes"), before);
}

#[test]
fn line_ends_are_those_that_git_has_stored() {
    let sandbox = repository();
    let crlf = SECRET.replace('\n', "\r\n");
    commit(&sandbox, "crlf.yaml", &crlf);
    // In this clone git turns line ends round.
    git(&sandbox, "git config core.autocrlf true && rm secret.yaml && git checkout -q . && git reset -q --hard && kveil git setup");
    let attributes = text(&sandbox, ".gitattributes");
    assert!(text(&sandbox, "secret.yaml").contains("\r\n"), "git has converted it");
    assert!(attributes.contains("/secret.yaml diff=kveil merge=kveil text eol=lf\n"), "{attributes}");
    assert!(attributes.contains("/crlf.yaml diff=kveil merge=kveil -text\n"), "{attributes}");
    assert_eq!(git(&sandbox, "git diff --stat"), "");
    // The attributes themselves come back with CR LF, and stay so.
    git(&sandbox, "git add -A && git commit -qm setup && rm .gitattributes && git checkout -q .gitattributes");
    let converted = text(&sandbox, ".gitattributes");
    assert!(converted.contains("\r\n"), "git has converted it");
    git(&sandbox, "kveil git setup && kveil git setup --check");
    assert_eq!(text(&sandbox, ".gitattributes"), converted);
}

#[test]
fn for_the_user_outside_a_repository() {
    let sandbox = Sandbox::with_identity();
    git(&sandbox, "kveil git setup --global");
    assert!(std::fs::read_to_string(sandbox.home().join(".gitconfig")).unwrap().contains("kveil git merge"));
    assert!(run(&sandbox, "kveil git setup").refused(1).contains("no git repository"));
    git(&sandbox, "kveil git setup --global --undo");
    assert!(!std::fs::read_to_string(sandbox.home().join(".gitconfig")).unwrap_or_default().contains("kveil git"));
}

#[test]
fn diff_log_and_blame_show_masks() {
    let sandbox = repository();
    git(&sandbox, "kveil git setup && git add -A && git commit -qm setup");
    commit(&sandbox, "secret.yaml", &SECRET.replace("hunter2-token", "hunter2-other"));
    let diff = git(&sandbox, "git diff HEAD~1 -- secret.yaml");
    let changed: Vec<&str> = diff.lines().filter(|line| line.starts_with("+ ") || line.starts_with("- ")).collect();
    assert_eq!(changed.len(), 2, "{diff}");
    assert!(changed[0].starts_with("-  token: <str, 8 to 15 bytes, ") && changed[1].starts_with("+  token: <str"), "{diff}");
    git(&sandbox, "kveil rotate -i secret.yaml && git commit -qam rotated");
    let rotated = git(&sandbox, "git show --format= HEAD -- secret.yaml");
    let changed: Vec<&str> = rotated.lines().skip(4).filter(|line| line.starts_with(['+', '-'])).collect();
    assert_eq!(changed.len(), 2, "{rotated}");
    assert!(changed.iter().all(|line| line[1..].starts_with("# sops: data key ")), "{rotated}");
    let all = [git(&sandbox, "git log -p"), git(&sandbox, "git blame secret.yaml"), git(&sandbox, "git log -p -G hunter2-other")];
    assert!(all.iter().all(|shown| !shown.contains("hunter2")));
    assert!(!all[0].contains("ENC["), "{}", all[0]);
    assert!(all[1].contains("password: <str"), "{}", all[1]);
    let mode = std::fs::metadata(sandbox.path(".git/kveil/mask-key")).unwrap();
    #[cfg(unix)]
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode.permissions()) & 0o777, 0o600);
    assert_eq!(mode.len(), 32);
}

#[test]
fn masks_of_two_clones_differ() {
    let sandbox = repository();
    let one = git(&sandbox, "kveil git textconv secret.yaml");
    let other = git(&sandbox, "git clone -q . ../clone && cd ../clone && kveil git textconv secret.yaml");
    assert_ne!(one, other);
    assert_eq!(one, git(&sandbox, "kveil git textconv secret.yaml"));
    // Another work tree of the same repository has the same.
    assert_eq!(one, git(&sandbox, "git worktree add -q ../tree && cd ../tree && kveil git textconv secret.yaml"));
}

#[test]
fn values_are_shown_where_that_is_configured() {
    let sandbox = repository();
    assert!(!git(&sandbox, "kveil git textconv secret.yaml").contains("hunter2"));
    assert!(git(&sandbox, "git config kveil.reveal true && kveil git textconv secret.yaml").starts_with(SECRET));
}

#[test]
fn what_cannot_be_opened_is_shown_as_it_is() {
    let sandbox = repository();
    let encrypted = text(&sandbox, "secret.yaml");
    assert_eq!(git(&sandbox, "HOME=/nowhere kveil git textconv secret.yaml"), encrypted);
    for (name, content) in [("plain.yaml", "sops: yes\na: [\n"), ("broken.yaml", "a: ENC[AES256_GCM,x]\nsops:\n  mac: x\n"), ("empty", "")]
    {
        sandbox.write(name, content);
        assert_eq!(git(&sandbox, &format!("kveil git textconv {name}")), content, "{name}");
    }
    sandbox.write("bytes", b"\xff\x00sops");
    assert_eq!(run(&sandbox, "kveil git textconv bytes").ok(), b"\xff\x00sops");
    // Old versions have other names: the content tells the format.
    sandbox.write("Xy12_blob", &encrypted);
    assert!(git(&sandbox, "kveil git textconv Xy12_blob").contains("password: <str"));
    // Nothing is asked of programs: a command for a key isn't run.
    sandbox.write("key.sh", "echo ran >> ran; cat ~/.config/sops/age/keys.txt\n");
    let line = "HOME=/nowhere SOPS_AGE_KEY_CMD='sh key.sh' kveil git textconv secret.yaml";
    assert_eq!(git(&sandbox, line), encrypted);
    assert!(!sandbox.path("ran").exists());
    let allowed = git(&sandbox, &format!("git config kveil.network true && HOME={} ; {line}", sandbox.home().display()));
    assert!(allowed.contains("password: <str") || sandbox.path("ran").exists(), "{allowed}");
}

#[test]
fn git_works_on_where_kveil_is_not_installed() {
    let sandbox = repository();
    git(&sandbox, "kveil git setup && git add -A && git commit -qm setup");
    let change = |plain: &str| commit(&sandbox, "secret.yaml", plain);
    git(&sandbox, "git checkout -qb theirs");
    change(&SECRET.replace("hunter2-token", "hunter2-other"));
    git(&sandbox, "git checkout -q main");
    change(&SECRET.replace("hunter2-password", "hunter2-else"));
    let without = "PATH=$(echo \"$PATH\" | tr : '\\n' | grep -v kveil-test | paste -sd:)";
    assert!(git(&sandbox, &format!("{without} git diff HEAD~1 -- secret.yaml")).contains("+  password: ENC["));
    let merge = run(&sandbox, &format!("{without} git merge -q theirs"));
    assert_eq!(merge.code, 1, "{}", merge.err);
    let marked = text(&sandbox, "secret.yaml");
    assert!(marked.contains("<<<<<<< ours") && marked.contains(">>>>>>> theirs"), "{marked}");
}

/// The name of a hook with what kveil has in it.
fn hook(sandbox: &Sandbox, name: &str) -> String {
    text(sandbox, &format!(".git/hooks/{name}"))
}

#[test]
fn hooks_check_what_is_staged_and_what_a_merge_brought() {
    let sandbox = repository();
    git(&sandbox, "kveil git setup");
    assert!(run(&sandbox, "kveil git setup --hooks --check").refused(1).contains("the hook pre-commit lacks kveil's lines"));
    let done = run(&sandbox, "kveil git setup --hooks");
    assert!(done.code == 0 && done.err.contains(".git/hooks/pre-commit: written"), "{}", done.err);
    assert!(hook(&sandbox, "pre-commit").contains("\n  kveil check --staged || exit 1\n"));
    assert!(hook(&sandbox, "post-merge").contains("kveil check --base ORIG_HEAD"));
    assert!(run(&sandbox, "kveil git setup --hooks").err.contains(".git/hooks/pre-commit: up to date"));
    assert_eq!(run(&sandbox, "kveil git setup --hooks --check").code, 0);
    #[cfg(unix)]
    for name in ["pre-commit", "post-merge"] {
        let mode = std::fs::metadata(sandbox.path(&format!(".git/hooks/{name}"))).unwrap();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode.permissions()) & 0o111, 0o111, "{name}");
    }
    // Where kveil isn't installed, git goes on.
    let without = "PATH=$(echo \"$PATH\" | tr : '\\n' | grep -v kveil-test | paste -sd:)";
    git(&sandbox, &format!("{without} git commit -q --allow-empty -m x"));
    git(&sandbox, "kveil git setup --undo");
    assert!(!sandbox.path(".git/hooks/pre-commit").exists() && !sandbox.path(".git/hooks/post-merge").exists());
}

#[test]
fn the_encrypting_hook_encrypts_before_a_commit() {
    let sandbox = repository();
    git(&sandbox, "kveil git setup --hooks=encrypt");
    let hook = hook(&sandbox, "pre-commit");
    assert!(hook.contains("kveil encrypt --staged || exit 1\n  kveil check --staged || exit 1\n"), "{hook}");
    // The first half alone: what is staged is what a commit without the second would hold.
    let first = hook.replace("  kveil check --staged || exit 1\n", "");
    sandbox.write(".git/hooks/pre-commit", first);
    sandbox.write("new.yaml", SECRET);
    let done = run(&sandbox, "git add new.yaml && git commit -qm new");
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(done.err.contains("git add has stored the plain text"), "{}", done.err);
    assert!(git(&sandbox, "git show HEAD:new.yaml").contains("password: ENC["));
    sandbox.write("more.yaml", SECRET);
    let refused = run(&sandbox, "git add -N more.yaml && git commit -qm more more.yaml");
    assert!(refused.code == 1 && refused.err.contains("from an index of its own"), "{}", refused.err);
}

#[test]
fn hooks_of_others_are_not_touched() {
    let sandbox = repository();
    let foreign = "#!/bin/sh\nexec true\n";
    sandbox.write(".git/hooks/pre-commit", foreign);
    let refused = run(&sandbox, "kveil git setup --hooks").refused(1);
    assert!(refused.contains("to be added to .git/hooks/pre-commit:") && refused.contains("kveil check --staged || exit 1"), "{refused}");
    assert_eq!(hook(&sandbox, "pre-commit"), foreign);
    assert!(hook(&sandbox, "post-merge").contains("kveil"));
    git(&sandbox, "kveil git setup --undo");
    assert_eq!(hook(&sandbox, "pre-commit"), foreign);
    // Where git looks for them counts; a folder for all repositories is nobody's to change.
    git(&sandbox, "git config core.hooksPath .githooks && kveil git setup --hooks");
    assert!(text(&sandbox, ".githooks/pre-commit").contains("kveil check --staged"));
    let everywhere = sandbox.home().join("hooks");
    git(&sandbox, &format!("git config core.hooksPath {}", everywhere.display()));
    assert!(run(&sandbox, "kveil git setup --hooks").refused(1).contains("to be added to"));
    assert!(!everywhere.exists());
}

#[cfg(unix)]
#[test]
fn on_a_terminal_the_plain_text_is_offered_to_be_deleted() {
    for (answer, left) in [("y", false), ("n", true)] {
        let repository = sandbox::repository::Repository::without_drivers();
        repository.sandbox.write("new.yaml", SECRET);
        repository.git("git add new.yaml");
        let object = repository.git("git rev-parse :new.yaml");
        let (code, shown) = repository.at_a_terminal("kveil encrypt --staged", "refers to it? (y/n):", answer);
        assert_eq!(code, 0, "{shown}");
        assert_eq!(repository.run(&format!("git cat-file -e {object}")).code == 0, left, "{answer}: {shown}");
    }
}
