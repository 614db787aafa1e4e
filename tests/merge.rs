//! Merging encrypted files with real git: through every verb that merges, and case by case.

mod sandbox;

use sandbox::repository::{BASE, PASSWORD, Repository, TOKEN, with};
use sandbox::{RECIPIENT_1, RECIPIENT_2};

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
        let repository = Repository::new();
        repository.branches(&case.ours, &case.theirs);
        let before = repository.text("secret.yaml");
        let merge = repository.run("git merge -q theirs -m merged");
        let merged = repository.text("secret.yaml");
        match &case.merged {
            Some(wanted) if merge.code == 0 => {
                let found = repository.decrypted("secret.yaml");
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
        repository.nothing_leaks(&[&merge]);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

const BOTH: &[(&str, &str)] = &[PASSWORD, TOKEN];

#[test]
fn rebase_cherry_pick_stash_and_revert_merge_values() {
    let repository = Repository::new();
    repository.branches(&with(&[PASSWORD]), &with(&[TOKEN]));
    repository.git("git branch before");
    for (line, wanted) in [
        ("git checkout -q -b rebased theirs && git rebase -q before", with(BOTH)),
        ("git checkout -q -b picked before && git cherry-pick theirs", with(BOTH)),
        // The change of ours goes, that of theirs, made later, stays.
        ("git checkout -q picked && git revert --no-edit before", with(&[TOKEN])),
    ] {
        repository.git(line);
        assert_eq!(repository.decrypted("secret.yaml"), wanted, "{line}");
    }
    repository.git("git checkout -q -b stashed before");
    repository.sandbox.write("secret.yaml", with(&[PASSWORD, ("base-user", "stashed-user")]));
    repository.git("kveil encrypt -i secret.yaml && git stash -q && git merge -q theirs -m merged && git stash pop -q");
    assert_eq!(repository.decrypted("secret.yaml"), with(&[PASSWORD, TOKEN, ("base-user", "stashed-user")]));
    repository.nothing_leaks(&[]);
}

#[test]
fn what_did_not_change_keeps_its_ciphertext() {
    let repository = Repository::new();
    let base = repository.text("secret.yaml");
    repository.branches(&with(&[PASSWORD]), &with(&[TOKEN]));
    let ours = repository.text("secret.yaml");
    repository.git("git merge -q theirs -m merged");
    let merged = repository.text("secret.yaml");
    let line = |text: &str, key: &str| text.lines().find(|line| line.trim_start().starts_with(key)).unwrap().to_owned();
    assert_eq!(line(&merged, "user:"), line(&base, "user:"));
    assert_eq!(line(&merged, "#ENC"), line(&base, "#ENC"));
    assert_eq!(line(&merged, "password:"), line(&ours, "password:"));
    let new: Vec<&str> = merged.lines().filter(|line| !ours.contains(line) && line.contains("ENC[")).map(str::trim).collect();
    assert!(new.len() == 2 && new[0].starts_with("token: ") && new[1].starts_with("mac: "), "{new:?}");
}

#[test]
fn markers_hold_ciphertext_under_the_key_of_the_result() {
    let repository = Repository::new();
    repository.branches(&with(&[PASSWORD]), &with(&[("hunter2-base-password", "hunter2-their-password"), TOKEN]));
    let done = repository.run("git merge theirs");
    assert_eq!(done.code, 1);
    assert!(done.err.contains("conflict in stringData.password\n"), "{}", done.err);
    for (kept, wanted) in [("ours", with(BOTH)), ("theirs", with(&[("hunter2-base-password", "hunter2-their-password"), TOKEN]))] {
        repository.sandbox.write("picked.yaml", repository.side_of_markers("secret.yaml", kept));
        let flag = if kept == "ours" { "--verbose" } else { "--ignore-mac" };
        assert_eq!(repository.sandbox.kveil(["decrypt", flag, "picked.yaml"]).run().text(), wanted);
    }
    std::fs::remove_file(repository.sandbox.path("picked.yaml")).unwrap();
    repository.nothing_leaks(&[&done]);
}

/// The data key's label in what textconv shows.
fn label(repository: &Repository, name: &str) -> String {
    let shown = repository.sandbox.kveil(["git", "textconv", name]).run().text();
    shown.lines().find(|line| line.starts_with("# sops: data key")).unwrap().to_owned()
}

#[test]
fn a_side_that_encrypted_everything_anew_brings_its_data_key() {
    for rotated_by_ours in [true, false] {
        let repository = Repository::new();
        let old = label(&repository, "secret.yaml");
        repository.git("git checkout -qb rotated && kveil rotate -i secret.yaml && git commit -qam rotated");
        let new = label(&repository, "secret.yaml");
        repository.git("git checkout -q main");
        repository.commit(&with(&[TOKEN]), "changed");
        let line = if rotated_by_ours { "git checkout -q rotated && git merge -q main" } else { "git merge -q rotated" };
        repository.git(line);
        assert_eq!(repository.decrypted("secret.yaml"), with(&[TOKEN]));
        assert_eq!(label(&repository, "secret.yaml"), new);
        assert_ne!(new, old);
        repository.nothing_leaks(&[]);
    }
}

#[test]
fn two_new_data_keys_give_a_third() {
    let repository = Repository::new();
    repository.git("git checkout -qb theirs && kveil rotate -i secret.yaml && git commit -qam theirs");
    let theirs = label(&repository, "secret.yaml");
    repository.git("git checkout -q main && kveil rotate -i secret.yaml && git commit -qam ours");
    let ours = label(&repository, "secret.yaml");
    let done = repository.run("git merge -q theirs -m merged");
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(done.err.contains("both sides have a data key of their own"), "{}", done.err);
    assert!(![theirs, ours].contains(&label(&repository, "secret.yaml")));
    assert_eq!(repository.decrypted("secret.yaml"), BASE);
}

#[test]
fn a_data_key_from_someone_who_knew_no_value_is_not_taken() {
    let repository = Repository::new();
    // Someone without a key puts a file of his own in its place: for the same recipients, under a data key that he knows.
    repository.git("git checkout -qb planted");
    repository.sandbox.write("planted.yaml", BASE.replace("base", "guess").replace("hunter2-of", "hunter2"));
    repository.git("kveil encrypt planted.yaml > secret.yaml; rm planted.yaml; git commit -qam planted");
    let planted = label(&repository, "secret.yaml");
    repository.git("git checkout -q main");
    repository.commit(&with(&[("type: Opaque", "type: x")]), "clear");
    let done = repository.run("git merge -q planted -m merged");
    assert!(done.err.contains("none of its values is an old one"), "{}", done.err);
    assert_ne!(label(&repository, "secret.yaml"), planted);
}

#[test]
fn a_data_key_from_someone_who_knew_some_values_is_told() {
    let repository = Repository::new();
    repository.git("git checkout -qb guessed && kveil rotate -i secret.yaml && git commit -qam rotated");
    repository.commit(&with(&[("hunter2-base-password", "hunter2-guess"), ("  user: hunter2-base-user\n", "")]), "guessed");
    repository.git("git checkout -q main");
    repository.commit(&with(&[("type: Opaque", "type: x")]), "clear");
    let done = repository.run("git merge -q guessed -m merged");
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(done.err.contains("theirs replaced the data key, which the result has, and keeps 1 of 3 old values"), "{}", done.err);
}

fn recipients(repository: &Repository) -> Vec<String> {
    let text = repository.text("secret.yaml");
    text.lines().filter_map(|line| line.trim().strip_prefix("recipient: ").map(str::to_owned)).collect()
}

#[test]
fn a_reader_who_was_added_stays_and_one_who_was_removed_gets_no_new_value() {
    let repository = Repository::of(BASE, RECIPIENT_1);
    let old = label(&repository, "secret.yaml");
    repository.git(&format!("git checkout -qb added && kveil recipients add {RECIPIENT_2} secret.yaml && git commit -qam added"));
    assert_eq!(recipients(&repository).len(), 2);
    repository.git("git checkout -q main");
    repository.commit(&with(&[TOKEN]), "changed");
    repository.git("git merge -q added -m merged");
    assert_eq!(repository.decrypted("secret.yaml"), with(&[TOKEN]));
    assert_eq!((recipients(&repository).len(), label(&repository, "secret.yaml")), (2, old));
    // Taken out on a branch by genuine sops, which keeps the data key; a value changes on the other.
    repository.git("git checkout -qb removed");
    let Some(genuine) = repository.sandbox.genuine(["rotate", "-i", "--rm-age", RECIPIENT_2, "secret.yaml"]) else { return };
    genuine.run().ok();
    repository.git(&format!("sed -i 's/,{RECIPIENT_2}//' .sops.yaml; git commit -qam removed && git checkout -q main"));
    repository.commit(&with(&[TOKEN, PASSWORD]), "changed again");
    let before = label(&repository, "secret.yaml");
    repository.git("git merge -q removed -m merged");
    assert_eq!(recipients(&repository), [RECIPIENT_1]);
    assert_ne!(label(&repository, "secret.yaml"), before);
    let tree = |text: &str| sandbox::tree::read("yaml", text.as_bytes()).unwrap();
    assert_eq!(tree(&repository.decrypted("secret.yaml")), tree(&with(&[TOKEN, PASSWORD])));
    repository.nothing_leaks(&[]);
}

/// A recipient whom no rule has.
const STRANGER: &str = "age1lzd99uklcjnc0e7d860axevet2cz99ce9pq6tzuzd05l5nr28ams36nvun";

#[test]
fn a_foreign_recipient_gets_no_data_key_through_a_merge() {
    let repository = Repository::new();
    // An entry that was copied, under another name: it opens nothing as long as nothing is wrapped anew.
    repository.git("git checkout -qb theirs");
    let theirs = repository.text("secret.yaml");
    let start = theirs.find("        - enc: |").unwrap();
    let end = theirs.find(RECIPIENT_1).unwrap() + RECIPIENT_1.len() + 1;
    let planted = theirs[start..end].replace(RECIPIENT_1, STRANGER);
    repository.sandbox.write("secret.yaml", theirs.replacen(&theirs[start..end], &format!("{}{planted}", &theirs[start..end]), 1));
    repository.git("git commit -qam planted");
    repository.git("git checkout -q main");
    // Both sides' entries are kept as bytes while nothing needs a new wrap.
    repository.commit(&with(&[TOKEN]), "changed");
    repository.git("git checkout -qb kept && git merge -q theirs -m kept && git checkout -q main");
    // A new data key would have to be wrapped for the stranger.
    repository.git("kveil rotate -i secret.yaml && git commit -qam rotated");
    let done = repository.run("git merge -q theirs");
    assert_eq!(done.code, 1);
    assert!(done.err.contains("refused to add a reader") && done.err.contains(STRANGER), "{}", done.err);
    let marked = repository.text("secret.yaml");
    assert!(marked.contains("<<<<<<< ours") && marked.contains(">>>>>>> theirs"), "{marked}");
    repository.nothing_leaks(&[&done]);
}

#[test]
fn a_mac_that_fails_is_a_conflict_that_names_the_side() {
    let repository = Repository::new();
    repository
        .git("git checkout -qb theirs && sed -i 's/tier: front/tier: hand/' secret.yaml && git commit -qam hand && git checkout -q main");
    repository.commit(&with(&[TOKEN]), "ours");
    let done = repository.run("git merge -q theirs");
    assert_eq!(done.code, 1);
    assert!(done.err.contains("not merged: theirs: MAC mismatch"), "{}", done.err);
    let marked = repository.text("secret.yaml");
    assert!(marked.contains("<<<<<<< ours") && marked.contains("tier: hand") && marked.contains("tier: front"), "{marked}");
    repository.nothing_leaks(&[&done]);
}

#[test]
fn without_a_key_values_go_together_and_the_mac_is_marked() {
    let repository = Repository::new();
    repository.branches(&with(&[PASSWORD]), &with(&[TOKEN]));
    let done = repository.run("HOME=$HOME/none git -c user.name=a -c user.email=a merge -q theirs");
    assert_eq!(done.code, 1);
    assert!(done.err.contains("its MAC must be renewed"), "{}", done.err);
    let marked = repository.text("secret.yaml");
    let (head, block) = marked.split_once("\nsops:\n").unwrap();
    assert!(!head.contains("<<<<<<<") && block.contains("<<<<<<<") && block.contains(">>>>>>>"), "{marked}");
    repository.nothing_leaks(&[&done]);
}

#[test]
fn both_add_the_file() {
    let repository = Repository::new();
    let add = |branch: &str, plain: &str| {
        repository.git(&format!("git checkout -q -b {branch} main"));
        repository.sandbox.write("new.yaml", plain);
        repository.git(&format!("kveil encrypt -i new.yaml && git add new.yaml .gitattributes && git commit -qm {branch}"));
    };
    add("theirs", &with(&[("  token: hunter2-base-token\n", "  theirs: hunter2-t\n")]));
    add("ours", &with(&[("  token: hunter2-base-token\n", "  ours: hunter2-o\n")]));
    let done = repository.run("git merge -q theirs -m merged");
    assert_eq!(done.code, 0, "{}", done.err);
    assert_eq!(repository.decrypted("new.yaml"), with(&[("  token: hunter2-base-token\n", "  ours: hunter2-o\n  theirs: hunter2-t\n")]));
    repository.nothing_leaks(&[&done]);
}

#[test]
fn one_side_encrypts_what_the_other_changes_in_clear() {
    let repository = Repository::new();
    repository.git("git checkout -qb base && kveil decrypt -i secret.yaml && git commit -qam clear");
    repository.git("git checkout -qb theirs");
    repository.commit(BASE, "encrypted");
    repository.git("git checkout -q base");
    repository.sandbox.write("secret.yaml", with(&[TOKEN]));
    repository.git("git commit -qam changed && git merge -q theirs -m merged");
    assert_eq!(repository.decrypted("secret.yaml"), with(&[TOKEN]));
    assert!(!repository.text("secret.yaml").contains("hunter2"));
}

/// Who has no key can't learn from a merge's result which of his guesses are right.
#[test]
fn guesses_in_clear_get_no_answer_from_a_merge() {
    let repository = Repository::new();
    repository.git("git checkout -qb theirs && kveil decrypt -i secret.yaml && git commit -qam guesses");
    repository.git("git checkout -q main");
    let before = repository.text("secret.yaml");
    repository.commit(&with(&[TOKEN]), "changed");
    let said = repository.sandbox.shell("git merge -q theirs -m merged").run().err;
    assert!(said.contains("theirs put into clear what was encrypted: the result has a new data key"), "{said}");
    assert_eq!(repository.decrypted("secret.yaml"), with(&[TOKEN]));
    let after = repository.text("secret.yaml");
    let tokens = |text: &str| text.split("ENC[").skip(1).map(|token| token.split(']').next().unwrap().to_owned()).collect::<Vec<_>>();
    assert!(tokens(&before).iter().all(|token| !after.contains(token)), "a right guess keeps its ciphertext:\n{after}");
}

#[test]
fn another_selection_is_told() {
    let repository = Repository::new();
    repository.git("git checkout -qb theirs && sed -i.bak 's/encrypted_regex: .*/encrypted_regex: ^(data|stringData|more)$/' secret.yaml && rm secret.yaml.bak && git commit -qam other");
    repository.git("git checkout -q main");
    repository.commit(&with(&[TOKEN]), "changed");
    let said = repository.sandbox.shell("git merge -q theirs -m merged").run().err;
    assert!(said.contains("theirs changed which values are encrypted: encrypted_regex ^(data|stringData|more)$"), "{said}");
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
    let repository = Repository::of(MANY, RECIPIENT_1);
    let third = |name: &str| format!("---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData:\n  c: hunter2-{name}\n");
    let (a, b) = MANY.split_once("---\n").unwrap();
    repository.branches(&format!("{b}---\n{a}"), &MANY.replace("hunter2-b", "hunter2-new"));
    repository.git("git merge -q theirs -m merged");
    assert_eq!(repository.decrypted("secret.yaml"), format!("{b}---\n{a}").replace("hunter2-b", "hunter2-new"));
    repository.git("git checkout -qb more");
    let now = repository.decrypted("secret.yaml");
    repository.commit(&format!("{now}{}", third("c")), "one more");
    repository.git("git checkout -q main");
    repository.commit(&now.replace("hunter2-a", "hunter2-x"), "changed");
    repository.git("git merge -q more -m merged");
    assert_eq!(repository.decrypted("secret.yaml"), format!("{}{}", now.replace("hunter2-a", "hunter2-x"), third("c")));
    repository.nothing_leaks(&[]);
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
    let repository = Repository::of(LISTS, RECIPIENT_1);
    let new = LISTS.replace("users:\n", "users:\n  - name: eve\n    password: hunter2-eve\n").replace("  - hunter2-two\n", "");
    let changed = LISTS.replace("hunter2-bob", "hunter2-changed");
    repository.branches(&new, &changed);
    repository.git("git merge -q theirs -m merged");
    assert_eq!(repository.decrypted("secret.yaml"), new.replace("hunter2-bob", "hunter2-changed"));
    let base = repository.decrypted("secret.yaml");
    branches_again(&repository, &base.replace("hunter2-one", "hunter2-a"), &base.replace("hunter2-one", "hunter2-b"));
    assert_eq!(repository.run("git merge -q again").code, 1);
    repository.nothing_leaks(&[]);
}

#[track_caller]
fn branches_again(repository: &Repository, ours: &str, theirs: &str) {
    repository.git("git checkout -qb again");
    repository.commit(theirs, "theirs again");
    repository.git("git checkout -q main");
    repository.commit(ours, "ours again");
}

#[test]
fn criss_cross_histories_are_merged() {
    let repository = Repository::new();
    repository.branches(&with(&[PASSWORD]), &with(&[TOKEN]));
    repository.git("git branch one && git checkout -q theirs && git merge -q main -m a && git checkout -q main && git merge -q one -m none; git merge -q theirs~1 -m b",
    );
    // Now main and theirs have two common ancestors.
    repository.commit(&with(&[PASSWORD, TOKEN, ("tier: front", "tier: x")]), "more");
    repository.git("git checkout -q theirs");
    repository.commit(&with(&[PASSWORD, TOKEN, ("base-user", "new-user")]), "more");
    assert_eq!(repository.git("git merge-base --all main theirs").lines().count(), 2);
    repository.git("git merge -q main -m merged");
    assert_eq!(repository.decrypted("secret.yaml"), with(&[PASSWORD, TOKEN, ("tier: front", "tier: x"), ("base-user", "new-user")]));
    repository.nothing_leaks(&[]);
}

#[test]
fn a_conflict_between_ancestors_is_none_of_the_result() {
    let repository = Repository::new();
    let (one, other) = (with(&[PASSWORD]), with(&[("hunter2-base-password", "hunter2-other")]));
    repository.branches(&one, &other);
    // Each side settles the same conflict in the same way.
    let settled = with(&[("hunter2-base-password", "hunter2-settled")]);
    repository.git("git branch one && git branch two theirs");
    for (branch, from) in [("main", "two"), ("theirs", "one")] {
        repository.git(&format!("git checkout -q {branch}"));
        assert_eq!(repository.run(&format!("git merge -q {from}")).code, 1);
        repository.git("git checkout -q --ours secret.yaml && git add -A");
        repository.sandbox.write("secret.yaml", &settled);
        repository.git("kveil encrypt -i secret.yaml && git add -A && git commit -qm settled");
    }
    let done = repository.run("git merge -q main -m merged");
    assert_eq!(done.code, 0, "{}", done.err);
    assert_eq!(repository.decrypted("secret.yaml"), settled);
    repository.nothing_leaks(&[&done]);
}

#[test]
fn a_renamed_file_is_merged_under_its_new_name() {
    let repository = Repository::new();
    repository.git(
        "git checkout -qb theirs && git mv secret.yaml moved.yaml && kveil git setup && git commit -qam moved && git checkout -q main",
    );
    repository.commit(&with(&[TOKEN]), "changed");
    repository.git("git checkout -q theirs");
    repository.sandbox.write("moved.yaml", with(&[PASSWORD]));
    repository.git("kveil encrypt -i moved.yaml && git commit -qam changed && git checkout -q main");
    repository.git("git merge -q theirs -m merged");
    assert_eq!(repository.decrypted("moved.yaml"), with(BOTH));
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
            "a.json",
            "{\n  \"a\": \"hunter2-a\",\n  \"b\": [\n    \"hunter2-b\"\n  ]\n}\n",
            "{\n  \"a\": \"hunter2-a\",\n  \"b\": [\n    \"hunter2-b\"\n  ],\n  \"ours\": \"hunter2-o\"\n}\n",
            "{\n  \"a\": \"hunter2-a\",\n  \"b\": [\n    \"hunter2-b\"\n  ],\n  \"theirs\": \"hunter2-t,\"\n}\n",
            "{\n  \"a\": \"hunter2-a\",\n  \"b\": [\n    \"hunter2-b\"\n  ],\n  \"ours\": \"hunter2-o\",\n  \"theirs\": \"hunter2-t,\"\n}\n",
        ),
        (
            "a.json",
            "{\n  \"a\": \"hunter2-a\",\n  \"b\": {\n    \"c\": \"hunter2-c\",\n    \"d\": \"hunter2-d\"\n  }\n}\n",
            "{\n  \"a\": \"hunter2-a\",\n  \"b\": {\n    \"c\": \"hunter2-c\"\n  }\n}\n",
            "{\n  \"a\": \"hunter2-a\",\n  \"b\": {\n    \"c\": \"hunter2-x\",\n    \"d\": \"hunter2-d\"\n  },\n  \"e\": 1\n}\n",
            "{\n  \"a\": \"hunter2-a\",\n  \"b\": {\n    \"c\": \"hunter2-x\"\n  },\n  \"e\": 1\n}\n",
        ),
        (
            "a.env",
            "A=hunter2-a\nB=hunter2-b\n",
            "A=hunter2-x\nB=hunter2-b\n",
            "A=hunter2-a\nB=hunter2-b\nC=hunter2-c\n",
            "A=hunter2-x\nB=hunter2-b\nC=hunter2-c\n",
        ),
    ] {
        let repository = Repository::new();
        let put = |plain: &str| {
            repository.sandbox.write(name, plain);
            repository.git(&format!("kveil encrypt -i {name} && git add -A && git commit -qm x"));
        };
        put(base);
        repository.git("git checkout -qb theirs");
        put(theirs);
        repository.git("git checkout -q main");
        put(ours);
        repository.git("git merge -q theirs -m merged");
        assert_eq!(repository.sandbox.kveil(["decrypt", name]).run().text(), merged);
        repository.nothing_leaks(&[]);
    }
}

#[test]
fn in_dotenv_markers_are_around_the_value_alone() {
    let repository = Repository::new();
    let put = |plain: &str, branch: &str| {
        repository.sandbox.write("a.env", plain);
        repository.git(&format!("kveil encrypt -i a.env && git add -A && git commit -qm x && git branch {branch}"));
    };
    put("A=hunter2-a\nB=hunter2-b\n", "first");
    put("A=hunter2-a\nB=hunter2-ours\n", "second");
    repository.git("git checkout -q first");
    put("A=hunter2-a\nB=hunter2-theirs\n", "third");
    assert_eq!(repository.run("git merge -q second").code, 1);
    let marked = repository.text("a.env");
    assert_eq!(marked.matches("<<<<<<<").count(), 1, "{marked}");
    repository.nothing_leaks(&[]);
}

#[test]
fn without_a_rule_only_our_readers_get_a_new_data_key() {
    let repository = Repository::new();
    repository.git("git rm -q .sops.yaml && git commit -qm 'no rules' && git checkout -qb theirs");
    let line = format!("kveil rotate -i --add-age {STRANGER} secret.yaml && git commit -qam theirs && git checkout -q main");
    repository.git(&line);
    repository.git("kveil rotate -i secret.yaml && git commit -qam ours");
    let done = repository.run("git merge -q theirs");
    assert_eq!(done.code, 1);
    assert!(done.err.contains("no rule is for the file") && done.err.contains(STRANGER), "{}", done.err);
}

#[test]
fn a_pull_merges_values_or_rebases_them() {
    for how in ["--no-rebase", "--rebase"] {
        let repository = Repository::new();
        // The clone has its identity from the same home; its drivers are its own.
        repository.git("git clone -q . ../clone && cd ../clone && kveil git setup");
        repository.commit(&with(&[PASSWORD]), "there");
        let change = "cd ../clone && kveil set secret.yaml stringData.token hunter2-new-token && git commit -qam here";
        repository.git(change);
        let done = repository.run(&format!("cd ../clone && git pull -q {how} >&2 && kveil decrypt secret.yaml"));
        assert_eq!((done.code, String::from_utf8_lossy(&done.out).into_owned()), (0, with(BOTH)), "{how}: {}", done.err);
    }
}

#[test]
fn an_octopus_loses_nothing() {
    let repository = Repository::new();
    let branch =
        |name: &str, line: &str| repository.git(&format!("git checkout -qb {name} main && {line} && git add -A && git commit -qm {name}"));
    let new = |name: &str| format!("cp secret.yaml {name}.yaml && kveil set {name}.yaml stringData.token hunter2-{name}");
    branch("one", &new("one"));
    branch("two", &new("two"));
    branch("same", "kveil set secret.yaml stringData.token hunter2-new-token");
    branch("other", "kveil set secret.yaml stringData.password hunter2-new-password");
    repository.git("git checkout -q main && git merge -q one two -m octopus");
    assert_eq!(repository.decrypted("two.yaml"), with(&[("hunter2-base-token", "hunter2-two")]));
    // Within one file git merges more than two by lines alone, and gives up: it asks no driver.
    let before = repository.git("git rev-parse HEAD");
    let done = repository.run("git merge -q same other -m octopus");
    assert_ne!(done.code, 0);
    assert_eq!(repository.git("git rev-parse HEAD"), before);
    repository.git("git reset -q --hard && git merge -q same -m a && git merge -q other -m b");
    assert_eq!(repository.decrypted("secret.yaml"), with(BOTH));
    repository.nothing_leaks(&[&done]);
}

fn document(name: &str, more: &str) -> String {
    format!("---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\nstringData:\n  x: hunter2-{name}\n{more}")
}

/// A file, what ours and theirs made of it, and what comes out: clean, or as ours and as theirs would have it.
type Whole = (&'static str, String, String, String, Result<String, [String; 2]>);

fn wholes() -> Vec<Whole> {
    let doc = |name: &str| document(name, "");
    let item = |name: &str, word: &str| format!("  - name: {name}\n    user: hunter2-u\n    password: hunter2-{word}\n");
    let entry = |name: &str, word: &str| format!("{name}:\n  user: hunter2-u\n  password: hunter2-{word}\n");
    let list = |items: &[String]| format!("users:\n{}", items.concat());
    let (a, b, c) = (entry("a", "p"), entry("b", "p"), entry("c", "p"));
    let edited = format!("{a}{}{c}", entry("b", "new"));
    let (i, j, k) = (item("i", "p"), item("j", "p"), item("k", "p"));
    let items = list(&[i.clone(), item("j", "new"), k.clone()]);
    let labelled = doc("b").replace("  name: b\n", "  name: b\n  labels: {tier: x}\n");
    let added = format!("{a}{}{c}", b.clone() + "  token: hunter2-t\n");
    vec![
        (
            "both add a document",
            doc("a"),
            doc("a") + &doc("c"),
            doc("a") + &document("b", "  y: hunter2-y\n"),
            Ok(doc("a") + &doc("c") + &document("b", "  y: hunter2-y\n")),
        ),
        (
            "a document goes, and its value is another one",
            doc("a") + &document("b", "  y: hunter2-y\n") + &doc("c"),
            doc("a") + &document("b", "  y: hunter2-new\n") + &doc("c"),
            doc("a") + &doc("c"),
            Err([doc("a") + &document("b", "  y: hunter2-new\n") + &doc("c"), doc("a") + &doc("c")]),
        ),
        (
            "a document goes, and is edited in clear",
            doc("a") + &doc("b") + &doc("c"),
            doc("a") + &doc("c"),
            doc("a") + &labelled + &doc("c"),
            Err([doc("a") + &doc("c"), doc("a") + &labelled + &doc("c")]),
        ),
        (
            "a document goes, and others are edited",
            doc("a") + &doc("b") + &doc("c"),
            doc("a") + &document("c", "  y: hunter2-y\n"),
            document("a", "  y: hunter2-y\n") + &doc("b") + &doc("c"),
            Ok(document("a", "  y: hunter2-y\n") + &document("c", "  y: hunter2-y\n")),
        ),
        ("both add an entry", a.clone(), a.clone() + &b, a.clone() + &c, Ok(a.clone() + &b + &c)),
        (
            "an entry goes, and its value is another one",
            a.clone() + &b + &c,
            edited.clone(),
            a.clone() + &c,
            Err([edited.clone(), a.clone() + &c]),
        ),
        ("an entry goes, and gets one more", a.clone() + &b + &c, a.clone() + &c, added.clone(), Err([a.clone() + &c, added])),
        ("an entry goes", a.clone() + &b + &c, a.clone() + &c, a.clone() + &b + &entry("c", "new"), Ok(a + &entry("c", "new"))),
        (
            "an item goes, and its value is another one",
            list(&[i.clone(), j, k.clone()]),
            items.clone(),
            list(&[i.clone(), k.clone()]),
            Err([items, list(&[i, k])]),
        ),
    ]
}

#[test]
fn what_only_one_side_has_goes_or_comes_as_one() {
    for (name, base, ours, theirs, merged) in wholes() {
        let repository = Repository::of(&base, RECIPIENT_1);
        repository.branches(&ours, &theirs);
        let done = repository.run("git merge -q theirs -m merged");
        let Err(sides) = merged else {
            assert_eq!(done.code, 0, "{name}: {}", done.err);
            assert_eq!(repository.decrypted("secret.yaml"), merged.unwrap(), "{name}");
            repository.nothing_leaks(&[&done]);
            continue;
        };
        assert_eq!(done.code, 1, "{name}: {}", done.err);
        assert!(done.err.contains("error: secret.yaml: conflict in "), "{name}: {}", done.err);
        let marked = repository.text("secret.yaml");
        assert!(marked.contains("<<<<<<< ours\n"), "{name}: {marked}");
        for (side, wanted) in [("ours", &sides[0]), ("theirs", &sides[1])] {
            let done = repository.run(&format!("git checkout -q -m secret.yaml; kveil resolve secret.yaml --{side}"));
            assert_eq!(done.code, 0, "{name}: {}", done.err);
            assert_eq!(repository.decrypted("secret.yaml"), *wanted, "{name}");
        }
        repository.nothing_leaks(&[&done]);
    }
}

#[test]
fn what_one_side_removed_does_not_come_back_where_the_ancestor_cannot_be_opened() {
    let repository = Repository::of(BASE, RECIPIENT_2);
    let rule = format!("creation_rules:\n  - age: {RECIPIENT_1},{RECIPIENT_2}\n");
    repository.sandbox.write(".sops.yaml", rule);
    // Both sides give the reader who merges a file of their own: the ancestor is for another one alone.
    repository.git("git commit -qam 'one more reader' && git checkout -qb theirs");
    repository.commit(&with(&[TOKEN]), "theirs");
    repository.git("git checkout -q main");
    repository.commit(&with(&[("  user: hunter2-base-user\n", "")]), "ours");
    let done = repository.run("git merge -q theirs");
    assert_eq!(done.code, 1, "{}", done.err);
    assert!(done.err.contains("conflict in stringData.token, stringData.user\n"), "{}", done.err);
    repository.git("kveil resolve secret.yaml --theirs stringData.token --ours stringData.user");
    assert_eq!(repository.decrypted("secret.yaml"), with(&[TOKEN, ("  user: hunter2-base-user\n", "")]));
    repository.nothing_leaks(&[&done]);
}

#[test]
fn markers_that_were_committed_are_named() {
    let repository = Repository::new();
    repository.branches(&with(&[PASSWORD]), &with(&[("hunter2-base-password", "hunter2-their-password")]));
    assert_eq!(repository.run("git merge -q theirs").code, 1);
    repository.git("git add -A && git commit -qm unseen && git checkout -qb later theirs");
    repository.sandbox.write("secret.yaml", repository.text("secret.yaml") + "<<<<<<< x\n=======\n>>>>>>> y\n");
    repository.git("git commit -qam 'unseen, too' && git checkout -q main");
    let done = repository.run("git merge -q later");
    assert!(done.err.contains("ours was committed with the conflict markers of an earlier merge"), "{}", done.err);
}
