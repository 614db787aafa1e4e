//! `kveil resolve`: what merges leave behind, settled with real git.

mod sandbox;

use sandbox::repository::{BASE, PASSWORD, Repository, TOKEN, USER, with};
use sandbox::{RECIPIENT_1, RECIPIENT_2, Sandbox};

const OTHER: (&str, &str) = ("hunter2-base-password", "hunter2-their-password");

/// A repository where merging `theirs` leaves the password in conflict; each side changed another value, too.
fn conflict() -> Repository {
    let repository = Repository::new();
    repository.branches(&with(&[PASSWORD, USER]), &with(&[OTHER, TOKEN]));
    assert_eq!(repository.run("git merge -q theirs").code, 1);
    repository
}

#[test]
fn what_the_driver_left_is_settled_for_all_or_by_key() {
    for (flags, wanted) in [
        ("--ours", with(&[PASSWORD, USER, TOKEN])),
        ("--theirs", with(&[OTHER, USER, TOKEN])),
        ("--ours stringData.password", with(&[PASSWORD, USER, TOKEN])),
        ("--ours --theirs stringData.password", with(&[OTHER, USER, TOKEN])),
    ] {
        let repository = conflict();
        let done = repository.run(&format!("kveil resolve secret.yaml {flags}"));
        assert_eq!(done.code, 0, "{flags}: {}", done.err);
        assert!(done.err.contains("merged from the index, and signed") && done.err.contains("git add it"), "{}", done.err);
        assert_eq!(repository.decrypted("secret.yaml"), wanted, "{flags}");
        assert!(repository.git("git status --porcelain secret.yaml").starts_with("UU"), "adding is left to people");
        repository.git("git add secret.yaml && git commit -qm merged");
        repository.nothing_leaks(&[&done]);
    }
}

#[test]
fn the_file_may_stand_behind_the_flag() {
    let repository = conflict();
    repository.git("kveil resolve --theirs secret.yaml");
    assert_eq!(repository.decrypted("secret.yaml"), with(&[OTHER, USER, TOKEN]));
    let done = conflict().run("kveil resolve --theirs");
    assert_eq!(done.code, 1);
    assert!(done.err.contains("which file is to be resolved"), "{}", done.err);
}

#[test]
fn without_a_terminal_what_is_open_is_named_and_nothing_is_written() {
    let repository = conflict();
    let before = repository.text("secret.yaml");
    let done = repository.run("kveil resolve secret.yaml");
    assert_eq!(done.code, 1);
    assert!(done.err.contains("in conflict is stringData.password") && done.err.contains("--theirs KEY"), "{}", done.err);
    let wrong = repository.run("kveil resolve secret.yaml --ours stringData.token");
    assert!(wrong.err.contains("stringData.token isn't in conflict"), "{}", wrong.err);
    assert_eq!(repository.run("kveil resolve secret.yaml --ours --theirs").code, 8);
    assert_eq!(repository.text("secret.yaml"), before);
    repository.nothing_leaks(&[&done, &wrong]);
}

#[cfg(unix)]
#[test]
fn on_a_terminal_masks_are_shown_and_a_side_is_asked_for() {
    let repository = conflict();
    let (code, shown) = repository.at_a_terminal("kveil resolve secret.yaml", "whose counts? (ours/theirs):", "theirs");
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("stringData.password: both sides changed it"), "{shown}");
    assert!(shown.contains("ours: password: <str, 16 to 31 bytes, ") && shown.contains("theirs: password: <str, "), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
    assert_eq!(repository.decrypted("secret.yaml"), with(&[OTHER, USER, TOKEN]));
}

#[test]
fn the_side_that_someone_left_between_the_markers_is_taken() {
    for (keep, wanted) in [("ours", with(&[PASSWORD, USER, TOKEN])), ("theirs", with(&[OTHER, USER, TOKEN]))] {
        let repository = conflict();
        let edited = repository.side_of_markers("secret.yaml", keep);
        repository.sandbox.write("secret.yaml", edited);
        let done = repository.run("kveil resolve secret.yaml");
        assert_eq!(done.code, 0, "{keep}: {}", done.err);
        assert_eq!(repository.decrypted("secret.yaml"), wanted, "{keep}");
    }
}

#[test]
fn clear_lines_and_values_are_settled_one_by_one() {
    let repository = Repository::new();
    let tier = |to| ("tier: front", to);
    repository.branches(&with(&[PASSWORD, tier("tier: ours")]), &with(&[OTHER, tier("tier: theirs")]));
    assert_eq!(repository.run("git merge -q theirs").code, 1);
    let open = repository.run("kveil resolve secret.yaml --ours metadata.labels.tier");
    assert!(open.err.contains("in conflict is stringData.password"), "{}", open.err);
    repository.git("kveil resolve secret.yaml --ours metadata.labels.tier --theirs stringData.password");
    assert_eq!(repository.decrypted("secret.yaml"), with(&[OTHER, tier("tier: ours")]));
    repository.nothing_leaks(&[&open]);
}

#[test]
fn a_removed_value_comes_back_or_goes() {
    let user = "  user: hunter2-base-user\n";
    for (flag, wanted) in [("--ours", with(&[(user, "")])), ("--theirs", with(&[USER]))] {
        let repository = Repository::new();
        repository.branches(&with(&[(user, "")]), &with(&[USER]));
        assert_eq!(repository.run("git merge -q theirs").code, 1);
        repository.git(&format!("kveil resolve secret.yaml {flag}"));
        assert_eq!(repository.decrypted("secret.yaml"), wanted, "{flag}");
    }
}

#[test]
fn a_file_that_one_side_deleted_stays_or_is_left_to_git() {
    let repository = Repository::new();
    repository.git("git checkout -qb theirs && git rm -q secret.yaml && git commit -qm gone && git checkout -q main");
    repository.commit(&with(&[TOKEN]), "changed");
    assert_eq!(repository.run("git merge -q theirs").code, 1);
    let open = repository.run("kveil resolve secret.yaml");
    assert!(open.code == 1 && open.err.contains("theirs deleted it, ours changed it"), "{}", open.err);
    let gone = repository.run("kveil resolve secret.yaml --theirs");
    assert!(gone.code == 0 && gone.err.contains("git rm it"), "{}", gone.err);
    repository.sandbox.write("secret.yaml", "damaged");
    repository.git("kveil resolve secret.yaml --ours && git add secret.yaml && git commit -qm kept");
    assert_eq!(repository.decrypted("secret.yaml"), with(&[TOKEN]));
}

#[test]
fn a_client_without_the_driver_leaves_markers_over_the_ciphertext() {
    let repository = Repository::without_drivers();
    repository.branches(&with(&[USER]), &with(&[PASSWORD]));
    assert_eq!(repository.run("git merge -q theirs").code, 1);
    assert!(repository.text("secret.yaml").contains("<<<<<<< HEAD"));
    let done = repository.run("kveil resolve secret.yaml");
    assert_eq!(done.code, 0, "nothing is really in conflict: {}", done.err);
    assert_eq!(repository.decrypted("secret.yaml"), with(&[USER, PASSWORD]));
    // The same, where someone committed the markers.
    repository.git("git checkout -qm secret.yaml; git checkout -q --merge secret.yaml; git commit -qam markers");
    assert!(repository.text("secret.yaml").contains("<<<<<<<"));
    let done = repository.run("kveil resolve secret.yaml");
    assert!(done.code == 0 && done.err.contains("the parents of merge commit"), "{}", done.err);
    assert_eq!(repository.decrypted("secret.yaml"), with(&[USER, PASSWORD]));
    repository.nothing_leaks(&[&done]);
}

/// Commits the merge of two texts that a web page made of `theirs` and `main`: both sides' values, theirs' block.
fn merged_in_the_web(repository: &Repository) {
    repository.branches(&with(&[PASSWORD]), &with(&[TOKEN]));
    let (ours, theirs) = (repository.text("secret.yaml"), repository.git("git show theirs:secret.yaml"));
    let line = |text: &str| text.lines().find(|line| line.starts_with("  password:")).unwrap().to_owned();
    repository.sandbox.write("secret.yaml", theirs.replace(&line(&theirs), &line(&ours)));
    repository.git("git add -A && tree=$(git write-tree) && git reset -q --hard $(git commit-tree $tree -p main -p theirs -m web)");
}

#[test]
fn a_stale_mac_is_mended_from_the_parents_of_the_merge() {
    let repository = Repository::new();
    merged_in_the_web(&repository);
    assert_eq!(repository.run("kveil decrypt secret.yaml").code, 51);
    let done = repository.run("kveil resolve secret.yaml");
    assert!(done.code == 0 && done.err.contains("the parents of merge commit"), "{}", done.err);
    assert_eq!(repository.decrypted("secret.yaml"), with(&[PASSWORD, TOKEN]));
    assert!(repository.run("kveil resolve secret.yaml").err.contains("nothing is in conflict, and the MAC fits"));
    repository.nothing_leaks(&[&done]);
}

#[test]
fn what_stood_in_the_file_beside_the_versions_is_named() {
    let repository = Repository::new();
    merged_in_the_web(&repository);
    let text = repository.text("secret.yaml").replace("tier: front", "tier: hand");
    repository.sandbox.write("secret.yaml", text);
    let done = repository.run("kveil resolve secret.yaml");
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(done.err.contains("metadata.labels.tier: str \"hand\" became str \"front\""), "{}", done.err);
}

#[test]
fn a_squashed_merge_is_made_again_from_a_revision() {
    let repository = Repository::new();
    merged_in_the_web(&repository);
    repository.git("tree=$(git write-tree) && git reset -q --hard $(git commit-tree $tree -p HEAD^1 -m squashed)");
    let lost = repository.run("kveil resolve secret.yaml");
    assert!(lost.code == 51 && lost.err.contains("--from REV names the other side"), "{}", lost.err);
    let done = repository.run("kveil resolve --from theirs secret.yaml");
    assert_eq!(done.code, 0, "{}", done.err);
    assert_eq!(repository.decrypted("secret.yaml"), with(&[PASSWORD, TOKEN]));
}

#[test]
fn markers_alone_are_enough_but_nobody_signed_theirs() {
    let repository = conflict();
    let marked = repository.text("secret.yaml");
    let elsewhere = Sandbox::with_identity();
    elsewhere.write("secret.yaml", &marked);
    let refused = elsewhere.kveil(["resolve", "secret.yaml", "--theirs"]).run().refused(1);
    assert!(refused.contains("signed by nobody"), "{refused}");
    elsewhere.kveil(["resolve", "secret.yaml", "--ours"]).run().ok();
    assert_eq!(elsewhere.kveil(["decrypt", "secret.yaml"]).run().text(), with(&[PASSWORD, USER, TOKEN]));
    // Whole files are signed on both sides.
    let (ours, theirs) = (repository.git("git show main:secret.yaml"), repository.git("git show theirs:secret.yaml"));
    elsewhere.write("secret.yaml", format!("<<<<<<< ours\n{ours}=======\n{theirs}>>>>>>> theirs\n"));
    let open = elsewhere.kveil(["resolve", "secret.yaml"]).run().refused(1);
    for key in ["password", "token", "user"] {
        assert!(open.contains(&format!("stringData.{key}")), "without an ancestor, all that differs is open: {open}");
    }
    elsewhere.kveil(["resolve", "secret.yaml", "--theirs", "--ours", "stringData.user"]).run().ok();
    assert_eq!(elsewhere.kveil(["decrypt", "secret.yaml"]).run().text(), with(&[OTHER, USER, TOKEN]));
    for broken in [format!("<<<<<<< a\n{marked}"), marked.replace(">>>>>>> theirs", ">>> theirs")] {
        elsewhere.write("secret.yaml", broken);
        assert!(elsewhere.kveil(["resolve", "secret.yaml", "--ours"]).run().refused(1).contains("conflict marker"));
    }
}

#[test]
fn an_older_ciphertext_between_markers_is_not_signed_unasked() {
    let repository = Repository::new();
    let old = repository.text("secret.yaml");
    repository.commit(&with(&[PASSWORD]), "renewed");
    let new = repository.text("secret.yaml");
    let line = |text: &str| text.lines().find(|line| line.starts_with("  password:")).unwrap().to_owned() + "\n";
    // Markers that say: the ancestor has what ours has, theirs changed it.
    let marked = format!("<<<<<<< ours\n{0}||||||| base\n{0}=======\n{1}>>>>>>> theirs\n", line(&new), line(&old));
    repository.sandbox.write("secret.yaml", new.replace(&line(&new), &marked));
    repository.git("git commit -qam planted");
    for flags in ["", "--theirs"] {
        let refused = repository.run(&format!("kveil resolve secret.yaml {flags}"));
        assert_eq!(refused.code, 1, "{flags}: {}", refused.err);
    }
    repository.git("kveil resolve secret.yaml --ours");
    assert_eq!(repository.decrypted("secret.yaml"), with(&[PASSWORD]));
}

#[test]
fn the_mac_that_a_merge_without_a_key_left_is_renewed() {
    let repository = Repository::new();
    repository.branches(&with(&[PASSWORD]), &with(&[TOKEN]));
    assert_eq!(repository.run("HOME=$HOME/none git -c user.name=a -c user.email=a merge -q theirs").code, 1);
    repository.git("kveil resolve secret.yaml && git add -A && git commit -qm merged");
    assert_eq!(repository.decrypted("secret.yaml"), with(&[PASSWORD, TOKEN]));
}

#[test]
fn rebase_cherry_pick_and_stash_are_gone_on_with() {
    let repository = Repository::new();
    repository.branches(&with(&[PASSWORD]), &with(&[OTHER, TOKEN]));
    repository.git("git branch before");
    // To a rebase, ours is what it is put upon.
    repository.run("git checkout -q -b rebased theirs && git rebase -q before");
    repository.git("kveil resolve secret.yaml --theirs && git add -A && GIT_EDITOR=true git rebase --continue");
    assert_eq!(repository.decrypted("secret.yaml"), with(&[OTHER, TOKEN]));
    repository.run("git checkout -q -b picked before && git cherry-pick theirs");
    repository.git("kveil resolve secret.yaml --ours && git add -A && GIT_EDITOR=true git cherry-pick --continue");
    assert_eq!(repository.decrypted("secret.yaml"), with(&[PASSWORD, TOKEN]));
    repository.git("git checkout -q before");
    repository.sandbox.write("secret.yaml", with(&[USER, ("base-token", "stashed-token"), PASSWORD]));
    repository.git("kveil encrypt -i secret.yaml && git stash -q && git checkout -q picked");
    assert_eq!(repository.run("git stash pop -q").code, 1);
    repository.git("kveil resolve secret.yaml --theirs");
    assert_eq!(repository.decrypted("secret.yaml"), with(&[PASSWORD, USER, ("base-token", "stashed-token")]));
    repository.nothing_leaks(&[]);
}

/// A recipient whom no rule has.
const STRANGER: &str = "age1lzd99uklcjnc0e7d860axevet2cz99ce9pq6tzuzd05l5nr28ams36nvun";

#[test]
fn a_foreign_recipient_gets_no_data_key_unless_someone_says_so() {
    let repository = Repository::new();
    let rotate = |branch: &str, more: &str| {
        repository.git(&format!("git checkout -q {branch} && kveil rotate -i {more} secret.yaml && git commit -qam {branch}"));
    };
    repository.git("git branch theirs");
    rotate("theirs", &format!("--add-age {STRANGER}"));
    rotate("main", "");
    assert_eq!(repository.run("git merge -q theirs").code, 1);
    let before = repository.text("secret.yaml");
    let refused = repository.run("kveil resolve secret.yaml --theirs");
    assert!(refused.code == 1 && refused.err.contains("refused to add a reader"), "{}", refused.err);
    assert_eq!(repository.text("secret.yaml"), before);
    repository.git(&format!("kveil resolve secret.yaml --theirs --allow-recipient {STRANGER}"));
    let text = repository.text("secret.yaml");
    assert!([RECIPIENT_1, RECIPIENT_2, STRANGER].iter().all(|recipient| text.contains(recipient)));
    assert_eq!(repository.decrypted("secret.yaml"), BASE);
}

#[test]
fn a_side_that_is_not_signed_is_not_merged() {
    let repository = Repository::new();
    repository
        .git("git checkout -qb theirs && sed -i 's/tier: front/tier: hand/' secret.yaml && git commit -qam hand && git checkout -q main");
    repository.commit(&with(&[TOKEN]), "ours");
    assert_eq!(repository.run("git merge -q theirs").code, 1);
    let before = repository.text("secret.yaml");
    let refused = repository.run("kveil resolve secret.yaml --theirs");
    assert!(refused.code == 51 && refused.err.contains("theirs: MAC mismatch") && refused.err.contains("kveil resign"), "{}", refused.err);
    assert_eq!(repository.text("secret.yaml"), before);
}

#[test]
fn what_is_not_encrypted_is_left_to_an_editor() {
    let repository = Repository::new();
    let put = |text: &str, message: &str| {
        repository.sandbox.write("plain.yaml", text);
        repository.git(&format!("git add -A && git commit -qm {message}"));
    };
    put("a: 1\n", "base");
    repository.git("git checkout -qb theirs");
    put("a: 2\n", "theirs");
    repository.git("git checkout -q main");
    put("a: 3\n", "ours");
    repository.run("git merge -q theirs");
    assert!(repository.run("kveil resolve plain.yaml --ours").err.contains("neither side is encrypted"));
    assert_eq!(repository.run("kveil resolve missing.yaml").code, 100);
}
