//! Merging encrypted files with real git: through every verb that merges, and case by case.

mod sandbox;

use sandbox::{Done, RECIPIENT_1, RECIPIENT_2, Sandbox};

/// A Secret of three values; `hunter2` marks what must never be seen.
const BASE: &str = "\
apiVersion: v1
kind: Secret
metadata:
  name: web
  labels:
    app: web
    tier: front
type: Opaque
stringData:
  # hunter2 of the database
  password: hunter2-base-password
  token: hunter2-base-token
  user: hunter2-base-user
";

/// A repository with the drivers set up and `BASE`, encrypted, in `secret.yaml`.
fn repository() -> Sandbox {
    repository_of(BASE, &format!("{RECIPIENT_1},{RECIPIENT_2}"))
}

fn repository_of(base: &str, recipients: &str) -> Sandbox {
    let sandbox = Sandbox::with_identity();
    let config = "[user]\n\tname = A\n\temail = a@example.com\n[init]\n\tdefaultBranch = main\n[advice]\n\tdetachedHead = false\n";
    std::fs::write(sandbox.home().join(".gitconfig"), config).unwrap();
    sandbox.write(".sops.yaml", format!("creation_rules:\n  - age: {recipients}\n"));
    git(&sandbox, "git init -q && git add .sops.yaml && git commit -qm rules");
    commit(&sandbox, base, "base");
    git(&sandbox, "kveil git setup && git add .gitattributes && git commit -qm drivers");
    sandbox
}

#[track_caller]
fn git(sandbox: &Sandbox, line: &str) -> String {
    let done = run(sandbox, line);
    assert_eq!(done.code, 0, "{line}: {}{}", String::from_utf8_lossy(&done.out), done.err);
    String::from_utf8(done.out).unwrap()
}

fn run(sandbox: &Sandbox, line: &str) -> Done {
    sandbox.shell(line).run()
}

/// Puts `plain`, encrypted, into secret.yaml, and commits it.
#[track_caller]
fn commit(sandbox: &Sandbox, plain: &str, message: &str) {
    sandbox.write("secret.yaml", plain);
    git(sandbox, &format!("kveil encrypt -i secret.yaml && git add -A && git commit -qm '{message}'"));
}

/// Two branches that start at the same commit: `theirs`, and `main`, which is checked out.
#[track_caller]
fn branches(sandbox: &Sandbox, ours: &str, theirs: &str) {
    git(sandbox, "git checkout -qb theirs");
    commit(sandbox, theirs, "theirs");
    git(sandbox, "git checkout -q main");
    commit(sandbox, ours, "ours");
}

fn text(sandbox: &Sandbox, name: &str) -> String {
    String::from_utf8(sandbox.read(name)).unwrap()
}

/// What genuine sops makes of the file, its MAC checked; kveil where it isn't there.
#[track_caller]
fn decrypted(sandbox: &Sandbox, name: &str) -> String {
    let own = sandbox.kveil(["decrypt", name]).run().text();
    if let Some(genuine) = sandbox.genuine(["decrypt", name]) {
        let theirs = sandbox::tree::read("yaml", &genuine.run().ok());
        assert_eq!(theirs, sandbox::tree::read("yaml", own.as_bytes()));
    }
    own
}

/// Nothing of what is secret is in the work tree, in an object, or in what was printed.
#[track_caller]
fn nothing_leaks(sandbox: &Sandbox, outputs: &[&Done]) {
    for done in outputs {
        assert!(!String::from_utf8_lossy(&done.out).contains("hunter2") && !done.err.contains("hunter2"), "{done:?}");
    }
    for name in sandbox.listing() {
        let path = sandbox.path(&name);
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            assert!(!String::from_utf8_lossy(&bytes).contains("hunter2"), "{name}");
        }
    }
    let objects = "git cat-file --batch-all-objects --batch --buffer | grep -ac hunter2";
    assert_eq!(run(sandbox, objects).out, b"0\n");
    assert!(std::fs::read_dir(sandbox.tmp()).unwrap().next().is_none(), "a file is left in the directory for temporary ones");
}

/// One merge: base, ours, theirs, and what comes out; a conflict if there is nothing.
struct Case {
    name: &'static str,
    ours: String,
    theirs: String,
    merged: Option<String>,
}

fn case(name: &'static str, ours: String, theirs: String, merged: String) -> Case {
    Case { name, ours, theirs, merged: Some(merged) }
}

const PASSWORD: (&str, &str) = ("hunter2-base-password", "hunter2-new-password");
const TOKEN: (&str, &str) = ("hunter2-base-token", "hunter2-new-token");

fn with(changes: &[(&str, &str)]) -> String {
    changes.iter().fold(BASE.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    })
}

fn cases() -> Vec<Case> {
    let user = "  user: hunter2-base-user\n";
    let block = "  token: |\n    hunter2 one\n    hunter2 two\n";
    let wide = with(&[("\n  ", "\n      ")]);
    vec![
        case("neighbours", with(&[PASSWORD]), with(&[TOKEN]), with(&[PASSWORD, TOKEN])),
        case(
            "both add at the end",
            format!("{BASE}  ours: hunter2-ours\n"),
            format!("{BASE}  theirs: hunter2-theirs\n"),
            format!("{BASE}  ours: hunter2-ours\n  theirs: hunter2-theirs\n"),
        ),
        case(
            "both add with comments",
            format!("{BASE}  # hunter2 ours\n  ours: hunter2-ours\n"),
            format!("{BASE}  # hunter2 theirs\n  theirs: hunter2-theirs\n"),
            format!("{BASE}  # hunter2 ours\n  ours: hunter2-ours\n  # hunter2 theirs\n  theirs: hunter2-theirs\n"),
        ),
        case("one removes, the other changes another", with(&[(user, "")]), with(&[TOKEN]), with(&[(user, ""), TOKEN])),
        case(
            "one adds where the other removes",
            with(&[(user, "")]),
            format!("{BASE}  theirs: hunter2-t\n"),
            with(&[(user, "  theirs: hunter2-t\n")]),
        ),
        case("both make the same change", with(&[TOKEN]), with(&[TOKEN]), with(&[TOKEN])),
        case(
            "clear here, secret there",
            with(&[("tier: front", "tier: back")]),
            with(&[TOKEN]),
            with(&[("tier: front", "tier: back"), TOKEN]),
        ),
        case(
            "clear on both sides, apart",
            with(&[("app: web", "app: shop")]),
            with(&[("type: Opaque", "type: kveil.dev/x")]),
            with(&[("app: web", "app: shop"), ("type: Opaque", "type: kveil.dev/x")]),
        ),
        case(
            "a value beside a clear line",
            with(&[("type: Opaque", "type: kveil.dev/x"), PASSWORD]),
            with(&[TOKEN]),
            with(&[("type: Opaque", "type: kveil.dev/x"), PASSWORD, TOKEN]),
        ),
        case("ours only has another layout", wide.clone(), with(&[TOKEN]), wide.replace(TOKEN.0, TOKEN.1)),
        case(
            "another layout, and a new entry",
            wide.clone(),
            format!("{BASE}  # hunter2 new\n  theirs: hunter2-t\n"),
            format!("{wide}      # hunter2 new\n      theirs: hunter2-t\n"),
        ),
        case(
            "theirs only has other quotes",
            with(&[PASSWORD]),
            with(&[("hunter2-base-token", "\"hunter2-base-token\"")]),
            with(&[PASSWORD, ("hunter2-base-token", "\"hunter2-base-token\"")]),
        ),
        case(
            "a value moves, and is changed",
            with(&[(user, ""), ("  # hunter2 of", "  user: hunter2-base-user\n  # hunter2 of")]),
            with(&[("hunter2-base-user", "hunter2-new-user")]),
            with(&[(user, ""), ("  # hunter2 of", "  user: hunter2-new-user\n  # hunter2 of")]),
        ),
        case(
            "one line becomes several",
            with(&[PASSWORD]),
            with(&[("  token: hunter2-base-token\n", block)]),
            with(&[PASSWORD, ("  token: hunter2-base-token\n", block)]),
        ),
        case(
            "several lines in another layout",
            wide.clone(),
            with(&[("  token: hunter2-base-token\n", block)]),
            wide.replace("      token: hunter2-base-token\n", "      token: |\n        hunter2 one\n        hunter2 two\n"),
        ),
        Case { name: "the same value", ours: with(&[PASSWORD]), theirs: with(&[("hunter2-base-password", "hunter2-other")]), merged: None },
        Case { name: "changed and removed", ours: with(&[(user, "")]), theirs: with(&[("base-user", "new-user")]), merged: None },
        Case { name: "removed and changed", ours: with(&[("base-user", "new-user")]), theirs: with(&[(user, "")]), merged: None },
        Case {
            name: "one clear line",
            ours: with(&[("tier: front", "tier: a")]),
            theirs: with(&[("tier: front", "tier: b")]),
            merged: None,
        },
        Case {
            name: "the same new key",
            ours: format!("{BASE}  new: hunter2-ours\n"),
            theirs: format!("{BASE}  new: hunter2-theirs\n"),
            merged: None,
        },
    ]
}

#[test]
fn branches_are_merged_value_by_value() {
    let mut failures = Vec::new();
    for case in cases() {
        let sandbox = repository();
        branches(&sandbox, &case.ours, &case.theirs);
        let before = text(&sandbox, "secret.yaml");
        let merge = run(&sandbox, "git merge -q theirs -m merged");
        let merged = text(&sandbox, "secret.yaml");
        match &case.merged {
            Some(wanted) if merge.code == 0 => {
                let found = decrypted(&sandbox, "secret.yaml");
                if found != *wanted {
                    failures.push(format!("{}: {found}", case.name));
                }
                let old: Vec<&str> = before.lines().collect();
                let new = merged.lines().filter(|line| !old.contains(line) && line.contains("ENC[")).count();
                if new > 4 {
                    failures.push(format!("{}: {new} new ciphertexts", case.name));
                }
            }
            None if merge.code == 1 => {
                let markers = merged.lines().filter(|line| line.starts_with("<<<<<<< ours") || line.starts_with(">>>>>>> theirs")).count();
                if markers != 2 || !merge.err.contains("conflict in") {
                    failures.push(format!("{}: {markers} markers, {}\n{merged}", case.name, merge.err));
                }
            }
            _ => failures.push(format!("{}: exit {}: {}", case.name, merge.code, merge.err)),
        }
        nothing_leaks(&sandbox, &[&merge]);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

const BOTH: &[(&str, &str)] = &[PASSWORD, TOKEN];

#[test]
fn rebase_cherry_pick_stash_and_revert_merge_values() {
    let sandbox = repository();
    branches(&sandbox, &with(&[PASSWORD]), &with(&[TOKEN]));
    git(&sandbox, "git branch before");
    for (line, wanted) in [
        ("git checkout -q -b rebased theirs && git rebase -q before", with(BOTH)),
        ("git checkout -q -b picked before && git cherry-pick theirs", with(BOTH)),
        // The change of ours goes, that of theirs, made later, stays.
        ("git checkout -q picked && git revert --no-edit before", with(&[TOKEN])),
    ] {
        git(&sandbox, line);
        assert_eq!(decrypted(&sandbox, "secret.yaml"), wanted, "{line}");
    }
    git(&sandbox, "git checkout -q -b stashed before");
    sandbox.write("secret.yaml", with(&[PASSWORD, ("base-user", "stashed-user")]));
    git(&sandbox, "kveil encrypt -i secret.yaml && git stash -q && git merge -q theirs -m merged && git stash pop -q");
    assert_eq!(decrypted(&sandbox, "secret.yaml"), with(&[PASSWORD, TOKEN, ("base-user", "stashed-user")]));
    nothing_leaks(&sandbox, &[]);
}

#[test]
fn what_did_not_change_keeps_its_ciphertext() {
    let sandbox = repository();
    let base = text(&sandbox, "secret.yaml");
    branches(&sandbox, &with(&[PASSWORD]), &with(&[TOKEN]));
    let ours = text(&sandbox, "secret.yaml");
    git(&sandbox, "git merge -q theirs -m merged");
    let merged = text(&sandbox, "secret.yaml");
    let line = |text: &str, key: &str| text.lines().find(|line| line.trim_start().starts_with(key)).unwrap().to_owned();
    assert_eq!(line(&merged, "user:"), line(&base, "user:"));
    assert_eq!(line(&merged, "#ENC"), line(&base, "#ENC"));
    assert_eq!(line(&merged, "password:"), line(&ours, "password:"));
    let new: Vec<&str> = merged.lines().filter(|line| !ours.contains(line) && line.contains("ENC[")).map(str::trim).collect();
    assert!(new.len() == 2 && new[0].starts_with("token: ") && new[1].starts_with("mac: "), "{new:?}");
}

#[test]
fn markers_hold_ciphertext_under_the_key_of_the_result() {
    let sandbox = repository();
    branches(&sandbox, &with(&[PASSWORD]), &with(&[("hunter2-base-password", "hunter2-their-password"), TOKEN]));
    let done = run(&sandbox, "git merge theirs");
    assert_eq!(done.code, 1);
    assert!(done.err.contains("conflict in stringData.password\n"), "{}", done.err);
    let marked = text(&sandbox, "secret.yaml");
    for (kept, wanted) in [("ours", with(BOTH)), ("theirs", with(&[("hunter2-base-password", "hunter2-their-password"), TOKEN]))] {
        let mut side = "both";
        let mut lines = Vec::new();
        for line in marked.lines() {
            match line.split(' ').next().unwrap() {
                "<<<<<<<" => side = "ours",
                "=======" => side = "theirs",
                ">>>>>>>" => side = "both",
                _ if side == "both" || side == kept => lines.push(line),
                _ => {}
            }
        }
        sandbox.write("picked.yaml", lines.join("\n") + "\n");
        let flag = if kept == "ours" { "--verbose" } else { "--ignore-mac" };
        assert_eq!(sandbox.kveil(["decrypt", flag, "picked.yaml"]).run().text(), wanted);
    }
    std::fs::remove_file(sandbox.path("picked.yaml")).unwrap();
    nothing_leaks(&sandbox, &[&done]);
}

/// The data key's label in what textconv shows.
fn label(sandbox: &Sandbox, name: &str) -> String {
    let shown = sandbox.kveil(["git", "textconv", name]).run().text();
    shown.lines().find(|line| line.starts_with("# sops: data key")).unwrap().to_owned()
}

#[test]
fn a_side_that_encrypted_everything_anew_brings_its_data_key() {
    for rotated_by_ours in [true, false] {
        let sandbox = repository();
        let old = label(&sandbox, "secret.yaml");
        git(&sandbox, "git checkout -qb rotated && kveil rotate -i secret.yaml && git commit -qam rotated");
        let new = label(&sandbox, "secret.yaml");
        git(&sandbox, "git checkout -q main");
        commit(&sandbox, &with(&[TOKEN]), "changed");
        let line = if rotated_by_ours { "git checkout -q rotated && git merge -q main" } else { "git merge -q rotated" };
        git(&sandbox, line);
        assert_eq!(decrypted(&sandbox, "secret.yaml"), with(&[TOKEN]));
        assert_eq!(label(&sandbox, "secret.yaml"), new);
        assert_ne!(new, old);
        nothing_leaks(&sandbox, &[]);
    }
}

#[test]
fn two_new_data_keys_give_a_third() {
    let sandbox = repository();
    git(&sandbox, "git checkout -qb theirs && kveil rotate -i secret.yaml && git commit -qam theirs");
    let theirs = label(&sandbox, "secret.yaml");
    git(&sandbox, "git checkout -q main && kveil rotate -i secret.yaml && git commit -qam ours");
    let ours = label(&sandbox, "secret.yaml");
    let done = run(&sandbox, "git merge -q theirs -m merged");
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(done.err.contains("both sides have a data key of their own"), "{}", done.err);
    assert!(![theirs, ours].contains(&label(&sandbox, "secret.yaml")));
    assert_eq!(decrypted(&sandbox, "secret.yaml"), BASE);
}

#[test]
fn a_data_key_from_someone_who_knew_no_value_is_not_taken() {
    let sandbox = repository();
    // Someone without a key puts a file of his own in its place: for the same recipients, under a data key that he knows.
    git(&sandbox, "git checkout -qb planted");
    sandbox.write("planted.yaml", BASE.replace("base", "guess").replace("hunter2-of", "hunter2"));
    git(&sandbox, "kveil encrypt planted.yaml > secret.yaml; rm planted.yaml; git commit -qam planted");
    let planted = label(&sandbox, "secret.yaml");
    git(&sandbox, "git checkout -q main");
    commit(&sandbox, &with(&[("type: Opaque", "type: x")]), "clear");
    let done = run(&sandbox, "git merge -q planted -m merged");
    assert!(done.err.contains("none of its values is an old one"), "{}", done.err);
    assert_ne!(label(&sandbox, "secret.yaml"), planted);
}

fn recipients(sandbox: &Sandbox) -> Vec<String> {
    let text = text(sandbox, "secret.yaml");
    text.lines().filter_map(|line| line.trim().strip_prefix("recipient: ").map(str::to_owned)).collect()
}

#[test]
fn a_reader_who_was_added_stays_and_one_who_was_removed_gets_no_new_value() {
    let sandbox = repository_of(BASE, RECIPIENT_1);
    let old = label(&sandbox, "secret.yaml");
    git(&sandbox, &format!("git checkout -qb added && kveil recipients add {RECIPIENT_2} secret.yaml && git commit -qam added"));
    assert_eq!(recipients(&sandbox).len(), 2);
    git(&sandbox, "git checkout -q main");
    commit(&sandbox, &with(&[TOKEN]), "changed");
    git(&sandbox, "git merge -q added -m merged");
    assert_eq!(decrypted(&sandbox, "secret.yaml"), with(&[TOKEN]));
    assert_eq!((recipients(&sandbox).len(), label(&sandbox, "secret.yaml")), (2, old));
    // Taken out on a branch by genuine sops, which keeps the data key; a value changes on the other.
    git(&sandbox, "git checkout -qb removed");
    let Some(genuine) = sandbox.genuine(["rotate", "-i", "--rm-age", RECIPIENT_2, "secret.yaml"]) else { return };
    genuine.run().ok();
    git(&sandbox, &format!("sed -i 's/,{RECIPIENT_2}//' .sops.yaml; git commit -qam removed && git checkout -q main"));
    commit(&sandbox, &with(&[TOKEN, PASSWORD]), "changed again");
    let before = label(&sandbox, "secret.yaml");
    git(&sandbox, "git merge -q removed -m merged");
    assert_eq!(recipients(&sandbox), [RECIPIENT_1]);
    assert_ne!(label(&sandbox, "secret.yaml"), before);
    let tree = |text: &str| sandbox::tree::read("yaml", text.as_bytes()).unwrap();
    assert_eq!(tree(&decrypted(&sandbox, "secret.yaml")), tree(&with(&[TOKEN, PASSWORD])));
    nothing_leaks(&sandbox, &[]);
}

/// A recipient whom no rule has.
const STRANGER: &str = "age1lzd99uklcjnc0e7d860axevet2cz99ce9pq6tzuzd05l5nr28ams36nvun";

#[test]
fn a_foreign_recipient_gets_no_data_key_through_a_merge() {
    let sandbox = repository();
    // An entry that was copied, under another name: it opens nothing as long as nothing is wrapped anew.
    git(&sandbox, "git checkout -qb theirs");
    let theirs = text(&sandbox, "secret.yaml");
    let start = theirs.find("        - enc: |").unwrap();
    let end = theirs.find(RECIPIENT_1).unwrap() + RECIPIENT_1.len() + 1;
    let planted = theirs[start..end].replace(RECIPIENT_1, STRANGER);
    sandbox.write("secret.yaml", theirs.replacen(&theirs[start..end], &format!("{}{planted}", &theirs[start..end]), 1));
    git(&sandbox, "git commit -qam planted");
    git(&sandbox, "git checkout -q main");
    // Both sides' entries are kept as bytes while nothing needs a new wrap.
    commit(&sandbox, &with(&[TOKEN]), "changed");
    git(&sandbox, "git checkout -qb kept && git merge -q theirs -m kept && git checkout -q main");
    // A new data key would have to be wrapped for the stranger.
    git(&sandbox, "kveil rotate -i secret.yaml && git commit -qam rotated");
    let done = run(&sandbox, "git merge -q theirs");
    assert_eq!(done.code, 1);
    assert!(done.err.contains("refused to add a reader") && done.err.contains(STRANGER), "{}", done.err);
    let marked = text(&sandbox, "secret.yaml");
    assert!(marked.contains("<<<<<<< ours") && marked.contains(">>>>>>> theirs"), "{marked}");
    nothing_leaks(&sandbox, &[&done]);
}

#[test]
fn a_mac_that_fails_is_a_conflict_that_names_the_side() {
    let sandbox = repository();
    git(
        &sandbox,
        "git checkout -qb theirs && sed -i 's/tier: front/tier: hand/' secret.yaml && git commit -qam hand && git checkout -q main",
    );
    commit(&sandbox, &with(&[TOKEN]), "ours");
    let done = run(&sandbox, "git merge -q theirs");
    assert_eq!(done.code, 1);
    assert!(done.err.contains("not merged: theirs: MAC mismatch"), "{}", done.err);
    let marked = text(&sandbox, "secret.yaml");
    assert!(marked.contains("<<<<<<< ours") && marked.contains("tier: hand") && marked.contains("tier: front"), "{marked}");
    nothing_leaks(&sandbox, &[&done]);
}

#[test]
fn without_a_key_values_go_together_and_the_mac_is_marked() {
    let sandbox = repository();
    branches(&sandbox, &with(&[PASSWORD]), &with(&[TOKEN]));
    let done = run(&sandbox, "HOME=$HOME/none git -c user.name=a -c user.email=a merge -q theirs");
    assert_eq!(done.code, 1);
    assert!(done.err.contains("its MAC must be renewed"), "{}", done.err);
    let marked = text(&sandbox, "secret.yaml");
    let (head, block) = marked.split_once("\nsops:\n").unwrap();
    assert!(!head.contains("<<<<<<<") && block.contains("<<<<<<<") && block.contains(">>>>>>>"), "{marked}");
    nothing_leaks(&sandbox, &[&done]);
}

#[test]
fn both_add_the_file() {
    let sandbox = repository();
    let add = |branch: &str, plain: &str| {
        git(&sandbox, &format!("git checkout -q -b {branch} main"));
        sandbox.write("new.yaml", plain);
        git(&sandbox, &format!("kveil encrypt -i new.yaml && git add new.yaml .gitattributes && git commit -qm {branch}"));
    };
    add("theirs", &with(&[("  token: hunter2-base-token\n", "  theirs: hunter2-t\n")]));
    add("ours", &with(&[("  token: hunter2-base-token\n", "  ours: hunter2-o\n")]));
    let done = run(&sandbox, "git merge -q theirs -m merged");
    assert_eq!(done.code, 0, "{}", done.err);
    assert_eq!(decrypted(&sandbox, "new.yaml"), with(&[("  token: hunter2-base-token\n", "  ours: hunter2-o\n  theirs: hunter2-t\n")]));
    nothing_leaks(&sandbox, &[&done]);
}

#[test]
fn one_side_encrypts_what_the_other_changes_in_clear() {
    let sandbox = repository();
    git(&sandbox, "git checkout -qb base && kveil decrypt -i secret.yaml && git commit -qam clear");
    git(&sandbox, "git checkout -qb theirs");
    commit(&sandbox, BASE, "encrypted");
    git(&sandbox, "git checkout -q base");
    sandbox.write("secret.yaml", with(&[TOKEN]));
    git(&sandbox, "git commit -qam changed && git merge -q theirs -m merged");
    assert_eq!(decrypted(&sandbox, "secret.yaml"), with(&[TOKEN]));
    assert!(!text(&sandbox, "secret.yaml").contains("hunter2"));
}

const MANY: &str = "\
apiVersion: v1
kind: Secret
metadata: {name: a}
stringData:
  a: hunter2-a
---
apiVersion: v1
kind: Secret
metadata: {name: b}
stringData:
  b: hunter2-b
";

#[test]
fn documents_are_known_by_what_they_are() {
    let sandbox = repository_of(MANY, RECIPIENT_1);
    let third = |name: &str| format!("---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData:\n  c: hunter2-{name}\n");
    let (a, b) = MANY.split_once("---\n").unwrap();
    branches(&sandbox, &format!("{b}---\n{a}"), &MANY.replace("hunter2-b", "hunter2-new"));
    git(&sandbox, "git merge -q theirs -m merged");
    assert_eq!(decrypted(&sandbox, "secret.yaml"), format!("{b}---\n{a}").replace("hunter2-b", "hunter2-new"));
    git(&sandbox, "git checkout -qb more");
    let now = decrypted(&sandbox, "secret.yaml");
    commit(&sandbox, &format!("{now}{}", third("c")), "one more");
    git(&sandbox, "git checkout -q main");
    commit(&sandbox, &now.replace("hunter2-a", "hunter2-x"), "changed");
    git(&sandbox, "git merge -q more -m merged");
    assert_eq!(decrypted(&sandbox, "secret.yaml"), format!("{}{}", now.replace("hunter2-a", "hunter2-x"), third("c")));
    nothing_leaks(&sandbox, &[]);
}

const LISTS: &str = "\
users:
  - name: ann
    password: hunter2-ann
  - name: bob
    password: hunter2-bob
hosts:
  - hunter2-one
  - hunter2-two
";

#[test]
fn items_of_lists_are_known_by_name() {
    let sandbox = repository_of(LISTS, RECIPIENT_1);
    let new = LISTS.replace("users:\n", "users:\n  - name: eve\n    password: hunter2-eve\n").replace("  - hunter2-two\n", "");
    let changed = LISTS.replace("hunter2-bob", "hunter2-changed");
    branches(&sandbox, &new, &changed);
    git(&sandbox, "git merge -q theirs -m merged");
    assert_eq!(decrypted(&sandbox, "secret.yaml"), new.replace("hunter2-bob", "hunter2-changed"));
    let base = decrypted(&sandbox, "secret.yaml");
    branches_again(&sandbox, &base.replace("hunter2-one", "hunter2-a"), &base.replace("hunter2-one", "hunter2-b"));
    assert_eq!(run(&sandbox, "git merge -q again").code, 1);
    nothing_leaks(&sandbox, &[]);
}

#[track_caller]
fn branches_again(sandbox: &Sandbox, ours: &str, theirs: &str) {
    git(sandbox, "git checkout -qb again");
    commit(sandbox, theirs, "theirs again");
    git(sandbox, "git checkout -q main");
    commit(sandbox, ours, "ours again");
}

#[test]
fn criss_cross_histories_are_merged() {
    let sandbox = repository();
    branches(&sandbox, &with(&[PASSWORD]), &with(&[TOKEN]));
    git(
        &sandbox,
        "git branch one && git checkout -q theirs && git merge -q main -m a && git checkout -q main && git merge -q one -m none; git merge -q theirs~1 -m b",
    );
    // Now main and theirs have two common ancestors.
    commit(&sandbox, &with(&[PASSWORD, TOKEN, ("tier: front", "tier: x")]), "more");
    git(&sandbox, "git checkout -q theirs");
    commit(&sandbox, &with(&[PASSWORD, TOKEN, ("base-user", "new-user")]), "more");
    assert_eq!(git(&sandbox, "git merge-base --all main theirs").lines().count(), 2);
    git(&sandbox, "git merge -q main -m merged");
    assert_eq!(decrypted(&sandbox, "secret.yaml"), with(&[PASSWORD, TOKEN, ("tier: front", "tier: x"), ("base-user", "new-user")]));
    nothing_leaks(&sandbox, &[]);
}

#[test]
fn a_conflict_between_ancestors_is_none_of_the_result() {
    let sandbox = repository();
    let (one, other) = (with(&[PASSWORD]), with(&[("hunter2-base-password", "hunter2-other")]));
    branches(&sandbox, &one, &other);
    // Each side settles the same conflict in the same way.
    let settled = with(&[("hunter2-base-password", "hunter2-settled")]);
    git(&sandbox, "git branch one && git branch two theirs");
    for (branch, from) in [("main", "two"), ("theirs", "one")] {
        git(&sandbox, &format!("git checkout -q {branch}"));
        assert_eq!(run(&sandbox, &format!("git merge -q {from}")).code, 1);
        git(&sandbox, "git checkout -q --ours secret.yaml && git add -A");
        sandbox.write("secret.yaml", &settled);
        git(&sandbox, "kveil encrypt -i secret.yaml && git add -A && git commit -qm settled");
    }
    let done = run(&sandbox, "git merge -q main -m merged");
    assert_eq!(done.code, 0, "{}", done.err);
    assert_eq!(decrypted(&sandbox, "secret.yaml"), settled);
    nothing_leaks(&sandbox, &[&done]);
}

#[test]
fn a_renamed_file_is_merged_under_its_new_name() {
    let sandbox = repository();
    git(
        &sandbox,
        "git checkout -qb theirs && git mv secret.yaml moved.yaml && kveil git setup && git commit -qam moved && git checkout -q main",
    );
    commit(&sandbox, &with(&[TOKEN]), "changed");
    git(&sandbox, "git checkout -q theirs");
    sandbox.write("moved.yaml", with(&[PASSWORD]));
    git(&sandbox, "kveil encrypt -i moved.yaml && git commit -qam changed && git checkout -q main");
    git(&sandbox, "git merge -q theirs -m merged");
    assert_eq!(decrypted(&sandbox, "moved.yaml"), with(BOTH));
}

#[test]
fn json_and_dotenv_are_merged() {
    for (name, base, ours, theirs, merged) in [
        (
            "a.json",
            "{\n  \"a\": \"hunter2-a\",\n  \"b\": \"hunter2-b\",\n  \"c\": 1\n}\n",
            "{\n  \"a\": \"hunter2-x\",\n  \"b\": \"hunter2-b\",\n  \"c\": 1\n}\n",
            "{\n  \"a\": \"hunter2-a\",\n  \"b\": \"hunter2-y\",\n  \"c\": 1\n}\n",
            "{\n  \"a\": \"hunter2-x\",\n  \"b\": \"hunter2-y\",\n  \"c\": 1\n}\n",
        ),
        (
            "a.env",
            "A=hunter2-a\nB=hunter2-b\n",
            "A=hunter2-x\nB=hunter2-b\n",
            "A=hunter2-a\nB=hunter2-b\nC=hunter2-c\n",
            "A=hunter2-x\nB=hunter2-b\nC=hunter2-c\n",
        ),
    ] {
        let sandbox = repository();
        let put = |plain: &str| {
            sandbox.write(name, plain);
            git(&sandbox, &format!("kveil encrypt -i {name} && git add -A && git commit -qm x"));
        };
        put(base);
        git(&sandbox, "git checkout -qb theirs");
        put(theirs);
        git(&sandbox, "git checkout -q main");
        put(ours);
        git(&sandbox, "git merge -q theirs -m merged");
        assert_eq!(sandbox.kveil(["decrypt", name]).run().text(), merged);
        nothing_leaks(&sandbox, &[]);
    }
}

#[test]
fn without_a_rule_only_our_readers_get_a_new_data_key() {
    let sandbox = repository();
    git(&sandbox, "git rm -q .sops.yaml && git commit -qm 'no rules' && git checkout -qb theirs");
    let line = format!("kveil rotate -i --add-age {STRANGER} secret.yaml && git commit -qam theirs && git checkout -q main");
    git(&sandbox, &line);
    git(&sandbox, "kveil rotate -i secret.yaml && git commit -qam ours");
    let done = run(&sandbox, "git merge -q theirs");
    assert_eq!(done.code, 1);
    assert!(done.err.contains("no rule is for the file") && done.err.contains(STRANGER), "{}", done.err);
}
