//! `check --history`: real repositories, and what is to be found in their pasts.

mod sandbox;

use sandbox::{Done, RECIPIENT_1, RECIPIENT_2, Sandbox};
use serde_json::Value;
use std::cell::Cell;

/// What no output may hold, as it is and in base64.
const PLAIN: [&str; 3] = ["hunter2", "aHVudGVyM", "h\\u0075nter2"];

/// A repository whose commits are a day apart.
struct Repository {
    sandbox: Sandbox,
    day: Cell<u32>,
}

/// A Secret with two values.
fn secret(name: &str, password: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\n  namespace: shop\nstringData:\n  password: hunter2-{password}\n  token: hunter2-token\n"
    )
}

/// The same without a namespace.
fn nameless(name: &str, password: &str) -> String {
    secret(name, password).replace("  namespace: shop\n", "")
}

impl Repository {
    fn new() -> Repository {
        Repository::of("git init -q -b main")
    }

    fn of(init: &str) -> Repository {
        let sandbox = Sandbox::with_identity();
        let config = "[user]\n\tname = An Author\n\temail = author@example.com\n[advice]\n\tdetachedHead = false\n[protocol \"file\"]\n\tallow = always\n";
        std::fs::write(sandbox.home().join(".gitconfig"), config).unwrap();
        let repository = Repository { sandbox, day: Cell::new(0) };
        repository.rules(&[RECIPIENT_1, RECIPIENT_2]);
        repository.git(init);
        repository
    }

    fn rules(&self, recipients: &[&str]) {
        self.write(".sops.yaml", &format!("creation_rules:\n  - age: {}\n", recipients.join(",")));
    }

    fn write(&self, name: &str, text: &str) {
        self.sandbox.write(name, text);
    }

    /// A line of shell, dated a day after the one before.
    #[track_caller]
    fn git(&self, line: &str) -> String {
        self.day.set(self.day.get() + 1);
        let date = format!("2024-05-{:02}T12:00:00Z", self.day.get());
        let done = self.sandbox.shell(line).env("GIT_COMMITTER_DATE", &date).env("GIT_AUTHOR_DATE", "2001-01-01T00:00:00Z").run();
        assert_eq!(done.code, 0, "{line}: {}{}", String::from_utf8_lossy(&done.out), done.err);
        String::from_utf8(done.out).unwrap()
    }

    /// Commits all there is: the commit's short name.
    #[track_caller]
    fn commit(&self) -> String {
        self.git("git add -A && git commit -qm x");
        self.head()
    }

    #[track_caller]
    fn head(&self) -> String {
        self.sandbox.shell("git rev-parse HEAD").run().text()[..10].to_owned()
    }

    /// Encrypts a file and commits it.
    #[track_caller]
    fn seal(&self, name: &str) -> String {
        self.git(&format!("kveil encrypt -i {name}"));
        self.commit()
    }

    /// `check --history`, with no value in what it says.
    #[track_caller]
    fn check(&self, arguments: &[&str]) -> Done {
        silent(self.sandbox.kveil(["check", "--history"]).args(arguments).run())
    }

    /// The findings of the two rules.
    #[track_caller]
    fn found(&self, arguments: &[&str]) -> Vec<Value> {
        findings(&self.check(&[&["--format", "json"], arguments].concat()))
    }

    /// Level, file, key and whether it is today's.
    #[track_caller]
    fn told(&self, arguments: &[&str]) -> Vec<String> {
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        let mut told: Vec<String> = self
            .found(arguments)
            .iter()
            .map(|row| {
                let current = row["history"]["current"].as_bool().map_or(String::new(), |yes| format!(" {yes}"));
                format!("{} {} {} {}{current}", text(&row["rule"]), text(&row["level"]), text(&row["file"]), text(&row["key"]))
            })
            .collect();
        told.sort();
        told
    }
}

#[track_caller]
fn silent(done: Done) -> Done {
    let said = format!("{}{}", String::from_utf8_lossy(&done.out), done.err);
    for plain in PLAIN {
        assert!(!said.contains(plain), "{plain} is shown:\n{said}");
    }
    for author in ["An Author", "author@"] {
        assert!(!said.contains(author), "{said}");
    }
    done
}

#[track_caller]
fn findings(done: &Done) -> Vec<Value> {
    let report: Value = serde_json::from_slice(&done.out).unwrap_or_else(|_| panic!("{done:?}"));
    let ours = |row: &&Value| ["KV116", "KV303"].contains(&row["rule"].as_str().unwrap());
    report["findings"].as_array().unwrap().iter().filter(ours).cloned().collect()
}

/// One whose secret was in clear in the first two commits.
fn leaked() -> (Repository, String) {
    let repository = Repository::new();
    repository.write("web.yaml", &secret("web", "first"));
    let first = repository.commit();
    repository.write("web.yaml", &secret("web", "second"));
    repository.commit();
    repository.seal("web.yaml");
    (repository, first)
}

#[test]
fn a_secret_that_was_in_clear_is_told_with_its_first_commit() {
    let (repository, first) = leaked();
    let done = repository.check(&[]);
    assert_eq!(done.code, 1, "{done:?}");
    let text = String::from_utf8(done.out).unwrap();
    let expected = format!(
        "web.yaml:7:13: error KV116 plaintext-in-history: Secret shop/web: this value was in clear in 2 versions, the first in {first} of 2024-05-02 (at stringData.password)\n  → change it at its source"
    );
    assert!(text.contains(&expected), "{text}");
    assert!(done.err.contains("history: 3 commits, "), "{}", done.err);
    let found = repository.found(&[]);
    let past = &found[0]["history"];
    assert!(past["commit"].as_str().unwrap().starts_with(&first) && past["commit"].as_str().unwrap().len() == 40);
    assert_eq!((past["date"].as_str(), past["path"].as_str(), past["versions"].as_u64()), (Some("2024-05-02"), Some("web.yaml"), Some(2)));
    assert_eq!((past["current"].clone(), found[0]["line"].as_u64()), (Value::Null, Some(7)));
    // What never was in clear isn't told, and without the flag nothing is.
    repository.write("other.yaml", &secret("other", "x"));
    repository.seal("other.yaml");
    assert!(repository.told(&[]).iter().all(|line| line.contains("web.yaml")));
    assert!(!String::from_utf8(repository.sandbox.kveil(["check"]).run().out).unwrap().contains("KV116"));
}

#[test]
fn base64_json_lists_and_templates_are_seen() {
    let repository = Repository::new();
    repository.write("a.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: n}\ndata: {pass: aHVudGVyMi1h}\n");
    repository.write("b.json", r#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"b"},"stringData":{"pass":"hunter2-b"}}"#);
    repository.write("c.yaml", "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Secret\n  metadata: {name: c, namespace: n}\n  stringData: {pass: hunter2-c}\n");
    repository.write(
        "d.yaml",
        "{{ if .Values.d }}\napiVersion: v1\nkind: Secret\nmetadata:\n  name: d\nstringData:\n  pass: hunter2-d\n{{ end }}\n",
    );
    repository.commit();
    // The list becomes documents of their own, the template a file.
    repository.write("c.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: c, namespace: n}\nstringData: {pass: hunter2-c}\n");
    repository.write("d.yaml", "apiVersion: v1\nkind: Secret\nmetadata:\n  name: d\nstringData:\n  pass: hunter2-d\n");
    repository.seal("a.yaml b.json c.yaml d.yaml");
    let expected = ["a.yaml data.pass", "b.json stringData.pass", "c.yaml stringData.pass", "d.yaml stringData.pass"];
    assert_eq!(repository.told(&[]), expected.map(|line| format!("KV116 error {line}")));
}

#[test]
fn files_without_objects_go_by_their_path_and_selection() {
    let repository = Repository::new();
    repository.write(".env", "PASSWORD=hunter2-env\nEMPTY=\nPORT=5432\n");
    repository.write("values.yaml", "db:\n  password: hunter2-values\n  port_unencrypted: hunter2-port\n  other: ${X}\n");
    repository.write("notes", "hunter2-notes");
    repository.sandbox.write("store.p12", [&[0x30, 0x82, 0xff, 0, 0xfe][..], b"hunter2-store"].concat());
    repository.commit();
    repository.git("kveil encrypt -i .env values.yaml notes store.p12");
    repository.commit();
    let told = repository.told(&["--level", "warning"]);
    let expected =
        ["KV116 error .env PASSWORD", "KV116 error notes data", "KV116 error store.p12 data", "KV116 error values.yaml db.password"];
    assert_eq!(told[..], expected, "{told:?}");
    // With a key the bytes as a whole are compared.
    let told = repository.told(&["--level", "warning", "--verify", "--show-equal"]);
    assert_eq!(told[..], expected.map(|line| format!("{line} true")), "{told:?}");
}

#[test]
fn what_is_encrypted_as_bytes_counts_whatever_it_is_called() {
    let repository = Repository::new();
    let account = "{\"client\": \"x\", \"private\": \"hunter2-account\"}\n";
    repository.write("account.json", account);
    repository.write("web.yaml", &secret("web", "whole"));
    // JSON whose one key is called as that of an encrypted binary file.
    repository.write("one.json", "{\"data\": \"hunter2-one\"}\n");
    repository.commit();
    repository.git("kveil encrypt -i --input-type binary --output-type binary account.json web.yaml");
    repository.git("kveil encrypt -i one.json");
    repository.commit();
    let told = repository.told(&["--level", "warning", "--verify", "--show-equal"]);
    let expected = ["KV116 error account.json data true", "KV116 error one.json data true", "KV116 error web.yaml data true"];
    assert_eq!(told[..], expected, "{told:?}");
    // Of one that went away the same.
    repository.git("git rm -q account.json");
    repository.commit();
    assert!(repository.told(&[]).contains(&"KV116 warning account.json data".to_owned()));
}

#[test]
fn a_value_that_was_added_in_clear_to_an_encrypted_file_counts() {
    let repository = Repository::new();
    repository.write("web.yaml", &secret("web", "x"));
    repository.seal("web.yaml");
    let sealed = String::from_utf8(repository.sandbox.read("web.yaml")).unwrap();
    repository.write("web.yaml", &sealed.replace("stringData:\n", "stringData:\n  added: hunter2-added\n"));
    repository.commit();
    repository.write("web.yaml", &sealed);
    repository.git("kveil set web.yaml '[\"stringData\"][\"added\"]' hunter2-added");
    repository.commit();
    assert_eq!(repository.told(&[]), ["KV116 error web.yaml stringData.added"]);
}

#[test]
fn every_ref_counts_and_so_do_merges_and_stashes() {
    let repository = Repository::new();
    repository.write("web.yaml", &secret("web", "x"));
    repository.seal("web.yaml");
    let clear = |name: &str| secret("web", name).replace("password", name);
    // On a branch that is merged and deleted.
    repository.git("git checkout -qb side");
    repository.write("web.yaml", &clear("merged"));
    repository.commit();
    repository.git("git checkout -q main && git merge -q --no-ff -s ours side -m x && git branch -qD side");
    // In a merge commit alone.
    repository.git("git checkout -qb side && git commit -q --allow-empty -m x && git checkout -q main && git commit -q --allow-empty -m y");
    repository.git("git merge -q --no-ff --no-commit side && cp web.yaml ../kept");
    repository.write("web.yaml", &clear("evil"));
    repository.git("git add -A && git commit -qm merge && cp ../kept web.yaml");
    repository.commit();
    // Under a tag, under a ref of some tool, at the HEAD of another work tree; loose and packed.
    for (name, keep) in
        [("tagged", "git tag -a t -m t"), ("odd", "git update-ref refs/odd/x HEAD"), ("detached", "git worktree add -q --detach ../tree")]
    {
        repository.git("git checkout -q --detach main");
        repository.write("web.yaml", &clear(name));
        repository.commit();
        repository.git(keep);
    }
    repository.git("git checkout -q main && git pack-refs --all");
    // In stashes, of which a ref leads to the newest only.
    for name in ["older", "newer"] {
        repository.write("web.yaml", &clear(name));
        repository.git("git stash -q");
    }
    let told = repository.told(&[]);
    for name in ["merged", "evil", "tagged", "odd", "detached", "older", "newer"] {
        assert!(told.contains(&format!("KV116 error web.yaml stringData.{name}")), "{name}: {told:?}");
    }
    // What nothing leads to isn't looked at.
    repository.git("git stash clear && git tag -d t && git update-ref -d refs/odd/x");
    let told = repository.told(&[]).join("\n");
    assert!(!["tagged", "odd", "older", "newer"].iter().any(|name| told.contains(name)), "{told}");
}

#[test]
fn objects_are_found_where_they_were() {
    let repository = Repository::new();
    // Renamed with its namespace, renamed in one commit without one, renamed beside itself, another object of the same name.
    repository.write("old/a.yaml", &secret("a", "x"));
    repository.write("old/b.yaml", &nameless("b", "x"));
    repository.write("c-plain.yaml", &nameless("c", "x"));
    repository.write("dev/d.yaml", &nameless("d", "x"));
    let first = repository.commit();
    repository.git("mkdir new && git mv old/b.yaml new/b.yaml && kveil encrypt -i new/b.yaml");
    repository.commit();
    repository.git("mv old/a.yaml new/a2.yaml && git rm -q --cached old/a.yaml");
    repository.git("git commit -qm gone");
    repository.git("mv c-plain.yaml c.yaml");
    repository.write("prod/d.yaml", &nameless("d", "y"));
    repository.git("kveil encrypt -i new/a2.yaml c.yaml prod/d.yaml dev/d.yaml");
    repository.commit();
    let mut found = repository.found(&[]);
    found.retain(|row| row["key"] == "stringData.password");
    let mut told: Vec<(&str, &str)> =
        found.iter().map(|row| (row["file"].as_str().unwrap(), row["history"]["path"].as_str().unwrap())).collect();
    told.sort_unstable();
    assert_eq!(
        told,
        [("c.yaml", "c-plain.yaml"), ("dev/d.yaml", "dev/d.yaml"), ("new/a2.yaml", "old/a.yaml"), ("new/b.yaml", "old/b.yaml")]
    );
    assert!(found.iter().all(|row| row["history"]["commit"].as_str().unwrap().starts_with(&first)));
    let text = String::from_utf8(repository.check(&[]).out).unwrap();
    assert!(text.contains(&format!("in clear in {first} of 2024-05-02, as old/a.yaml")), "{text}");
}

#[test]
fn an_object_under_another_name_is_the_only_one_of_its_kind() {
    let repository = Repository::new();
    let config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {hunter2: open}\n---\n";
    repository.write("web.yaml", &format!("{config}{}", secret("web", "x")));
    repository.commit();
    repository.write("web.yaml", &secret("website", "x"));
    repository.seal("web.yaml");
    assert_eq!(repository.told(&[]), ["KV116 error web.yaml stringData.password", "KV116 error web.yaml stringData.token"]);
}

#[test]
fn what_was_encrypted_and_is_gone_is_a_warning() {
    let repository = Repository::new();
    repository.write("sub/gone.yaml", &secret("gone", "x"));
    repository.write("never.yaml", &secret("never", "x"));
    repository.write("sub/values.env", "PASSWORD=hunter2-x\n");
    repository.commit();
    repository.git("kveil encrypt -i sub/gone.yaml sub/values.env");
    repository.commit();
    repository.git("git rm -q -r sub never.yaml && git commit -qm x && mkdir -p sub other && touch sub/a other/a");
    let expected = [
        "KV116 warning sub/gone.yaml stringData.password",
        "KV116 warning sub/gone.yaml stringData.token",
        "KV116 warning sub/values.env PASSWORD",
    ];
    assert_eq!(repository.told(&[]), expected);
    assert_eq!(repository.check(&[]).code, 0);
    assert_eq!(repository.told(&["sub"]), expected);
    assert_eq!(repository.told(&["other"]), [""; 0]);
}

#[test]
fn paths_limit_what_is_meant() {
    let (repository, _) = leaked();
    repository.write("sub/db.yaml", &secret("db", "x"));
    repository.commit();
    repository.seal("sub/db.yaml");
    let files = |arguments: &[&str]| {
        let mut files: Vec<String> = repository.found(arguments).iter().map(|row| row["file"].as_str().unwrap().to_owned()).collect();
        files.dedup();
        files
    };
    assert_eq!(files(&[]), ["sub/db.yaml", "web.yaml"]);
    assert_eq!(files(&["sub"]), ["sub/db.yaml"]);
    assert_eq!(files(&["web.yaml"]), ["web.yaml"]);
    let done = silent(repository.sandbox.kveil(["check", "--history", "--format", "json"]).within(repository.sandbox.path("sub")).run());
    let found = findings(&done);
    assert!(found.len() == 2 && found.iter().all(|row| row["file"] == "db.yaml" && row["history"]["path"] == "db.yaml"), "{found:?}");
}

#[test]
fn with_a_key_it_is_said_whether_the_value_is_todays() {
    let (repository, _) = leaked();
    let verified = |more: &[&str]| repository.told(&[&["--verify", "--show-equal"], more].concat());
    // The second version is what was encrypted.
    assert_eq!(verified(&[]), ["KV116 error web.yaml stringData.password true", "KV116 error web.yaml stringData.token true"]);
    let text = String::from_utf8(repository.check(&["--verify"]).out).unwrap();
    assert_eq!(text.matches("; it is still today's value").count(), 2, "{text}");
    // Changed since: worth knowing, no more.
    repository.git("kveil set web.yaml '[\"stringData\"][\"password\"]' hunter2-third");
    repository.commit();
    assert_eq!(verified(&[]), ["KV116 error web.yaml stringData.token true", "KV116 note web.yaml stringData.password false"]);
    let text = String::from_utf8(repository.check(&["--verify"]).out).unwrap();
    assert!(text.contains("; today's value is another one (at stringData.password)"), "{text}");
    assert_eq!(repository.check(&["--verify", "--level", "error"]).code, 1);
}

/// Who can write to the repository, and has no key, learns nothing about a value by putting guesses into its history.
#[test]
fn guesses_are_not_compared() {
    let repository = Repository::new();
    repository.write("web.yaml", &secret("web", "right"));
    repository.seal("web.yaml");
    let sealed = String::from_utf8(repository.sandbox.read("web.yaml")).unwrap();
    let compare = ["--verify", "--show-equal"];
    // On a branch, in the file's own past, and in a root of its own that was merged.
    repository.git("git checkout -qb guess");
    repository.write("web.yaml", &secret("web", "right"));
    repository.commit();
    repository.git("git checkout -q main");
    let unknown = ["KV116 error web.yaml stringData.password", "KV116 error web.yaml stringData.token"];
    assert_eq!(repository.told(&compare), unknown);
    repository.git("git merge -q guess");
    repository.write("web.yaml", &sealed);
    repository.commit();
    assert_eq!(repository.told(&compare), unknown);
    repository.git("git checkout -q --orphan root && git rm -qrf .");
    repository.write("web.yaml", &secret("web", "right").replace("stringData:", "stringData: # another one"));
    repository.git("git add -A && GIT_COMMITTER_DATE=2000-01-01T00:00:00Z git commit -qm x && git checkout -q main");
    repository.git("git merge -q --allow-unrelated-histories -s ours root -m x");
    assert_eq!(repository.told(&compare), unknown);
    // Nor under a data key that was replaced, in machine output, or in CI.
    let (repository, _) = leaked();
    assert!(repository.told(&compare).iter().all(|line| line.ends_with(" true")));
    assert_eq!(repository.told(&["--verify"]), unknown);
    let ci = |arguments: &[&str]| {
        let done = repository.sandbox.kveil(["check", "--history", "--verify", "--format", "text"]).args(arguments).env("CI", "true").run();
        String::from_utf8(silent(done).out).unwrap().contains("still today's")
    };
    assert_eq!((ci(&[]), ci(&["--show-equal"])), (false, true));
    repository.git("kveil rotate -i web.yaml");
    assert_eq!(repository.told(&compare), unknown);
}

#[test]
fn a_removed_recipient_still_knows_what_was_not_changed() {
    let repository = Repository::new();
    repository.write("web.yaml", &secret("web", "x"));
    repository.seal("web.yaml");
    repository.git("kveil set web.yaml '[\"stringData\"][\"token\"]' hunter2-other");
    repository.commit();
    assert_eq!(repository.told(&[]), [""; 0]);
    repository.rules(&[RECIPIENT_1]);
    repository.git("kveil updatekeys -y web.yaml");
    let removed = repository.commit();
    repository.git("kveil set web.yaml '[\"stringData\"][\"new\"]' hunter2-new");
    repository.commit();
    let found = repository.found(&[]);
    let message = found[0]["message"].as_str().unwrap();
    let day = repository.day.get() - 2;
    let expected = format!(
        "age1ac76…xemwwp was removed in {removed} of 2024-05-{day:02}, and nothing shows that these values have changed since: stringData.password, stringData.token"
    );
    assert_eq!((found.len(), message), (1, expected.as_str()));
    assert_eq!((found[0]["level"].as_str(), found[0]["history"]["recipient"].as_str()), (Some("warning"), Some(RECIPIENT_2)));
    // A value that was changed isn't known any more; a rotation changes none.
    repository.git("kveil set web.yaml '[\"stringData\"][\"password\"]' hunter2-y");
    repository.commit();
    repository.git("kveil rotate -i web.yaml");
    repository.commit();
    let keys = |repository: &Repository| repository.found(&[]).iter().map(|row| row["history"]["keys"].to_string()).collect::<Vec<_>>();
    assert_eq!(keys(&repository), ["[\"stringData.token\"]"]);
    repository.git("kveil set web.yaml '[\"stringData\"][\"token\"]' hunter2-third-of-all");
    assert_eq!(keys(&repository), [""; 0], "not committed yet");
    repository.commit();
    assert_eq!(keys(&repository), [""; 0]);
}

#[test]
fn a_data_key_that_was_kept_opens_what_came_later() {
    let repository = Repository::new();
    repository.write("web.yaml", &secret("web", "x"));
    repository.seal("web.yaml");
    // As genuine sops does it.
    repository.rules(&[RECIPIENT_1]);
    repository.git("sops updatekeys -y web.yaml");
    repository.commit();
    repository.git("kveil set web.yaml '[\"stringData\"][\"new\"]' hunter2-new");
    repository.commit();
    let found = repository.found(&[]);
    let message = found[0]["message"].as_str().unwrap();
    assert!(
        message.contains("but the data key is one that it had")
            && message.ends_with(": stringData.new, stringData.password, stringData.token"),
        "{message}"
    );
    assert!(found[0]["next"].as_str().unwrap().starts_with("kveil rotate"));
}

#[test]
fn recipients_of_other_branches_were_not_removed() {
    let repository = Repository::new();
    repository.rules(&[RECIPIENT_1]);
    repository.write("web.yaml", &secret("web", "x"));
    repository.seal("web.yaml");
    repository.git("git checkout -qb other");
    repository.rules(&[RECIPIENT_1, RECIPIENT_2]);
    repository.git(&format!("kveil updatekeys -y --allow-recipient {RECIPIENT_2} web.yaml"));
    repository.commit();
    repository.git("git checkout -q main");
    assert_eq!(repository.told(&[]), [""; 0]);
}

#[test]
fn with_a_key_ciphertext_that_says_the_same_is_the_same() {
    let repository = Repository::new();
    repository.write("web.yaml", &secret("web", "x"));
    repository.seal("web.yaml");
    repository.rules(&[RECIPIENT_1]);
    repository.git("kveil updatekeys -y web.yaml");
    repository.commit();
    // Changed, and changed back.
    for value in ["hunter2-y", "hunter2-x"] {
        repository.git(&format!("kveil set web.yaml '[\"stringData\"][\"password\"]' {value}"));
    }
    repository.commit();
    let keys = |arguments: &[&str]| repository.found(arguments)[0]["history"]["keys"].to_string();
    assert_eq!(keys(&[]), "[\"stringData.token\"]");
    assert_eq!(keys(&["--verify"]), "[\"stringData.token\"]", "machine output compares nothing");
    assert_eq!(keys(&["--verify", "--show-equal"]), "[\"stringData.password\",\"stringData.token\"]");
}

#[test]
fn exceptions_and_baselines_count() {
    let (repository, _) = leaked();
    let sealed = String::from_utf8(repository.sandbox.read("web.yaml")).unwrap();
    repository.git("kveil check --history --write-baseline known.json");
    let baseline = String::from_utf8(repository.sandbox.read("known.json")).unwrap();
    assert!(baseline.contains("KV116") && !baseline.contains("hunter2"), "{baseline}");
    assert_eq!(repository.told(&["--baseline", "known.json"]), [""; 0]);
    let line = sealed.lines().find(|line| line.starts_with("  password: ENC[")).unwrap();
    repository.write("web.yaml", &sealed.replace(line, &format!("{line} # kveil-ignore: KV116 revoked in 2024")));
    let done = repository.check(&["--format", "json"]);
    assert_eq!(findings(&done).len(), 1);
    assert!(done.err.contains("1 ignored by comments"), "{}", done.err);
    assert_eq!(repository.told(&["--base", "HEAD"]).len(), 2, "the base doesn't have the exception");
}

#[test]
fn every_form_has_a_place() {
    let (repository, first) = leaked();
    repository.write("gone.yaml", &secret("gone", "x"));
    repository.commit();
    repository.seal("gone.yaml");
    repository.git("git rm -q gone.yaml && git commit -qm x");
    let log: Value = serde_json::from_slice(&repository.check(&["--format", "sarif"]).out).unwrap();
    let results = log["runs"][0]["results"].as_array().unwrap();
    let ours: Vec<&Value> = results.iter().filter(|row| row["ruleId"] == "KV116").collect();
    assert_eq!(ours.len(), 4);
    let mut places: Vec<(&str, u64)> = Vec::new();
    for result in ours {
        let place = &result["locations"][0]["physicalLocation"];
        places.push((place["artifactLocation"]["uri"].as_str().unwrap(), place["region"]["startLine"].as_u64().unwrap()));
    }
    places.sort_unstable();
    assert_eq!(places, [("gone.yaml", 1), ("gone.yaml", 1), ("web.yaml", 7), ("web.yaml", 8)]);
    let text = String::from_utf8(repository.check(&["--format", "github"]).out).unwrap();
    assert!(text.contains(&format!("::error file=web.yaml,line=7,col=13,title=KV116 plaintext-in-history::Secret shop/web: this value was in clear in 2 versions, the first in {first}")), "{text}");
    for rule in ["KV116", "KV303"] {
        let section = repository.sandbox.kveil(["check", "--explain", rule]).run().text();
        assert!(section.starts_with(&format!("### {rule} ")), "{section}");
    }
}

#[test]
fn half_a_history_is_trouble_and_none_is_empty() {
    let (repository, _) = leaked();
    let url = format!("file://{}", repository.sandbox.work().display());
    for (flag, hint) in [("--depth=1", "fetch-depth: 0"), ("--filter=blob:none", "fetch-depth: 0")] {
        repository.git(&format!("git config uploadpack.allowFilter true && rm -rf ../clone && git clone -q {flag} {url} ../clone"));
        let clone = repository.sandbox.work().join("../clone");
        let objects = || repository.sandbox.shell("git count-objects -v").within(&clone).run().text();
        let before = objects();
        let done = silent(repository.sandbox.kveil(["check", "--history"]).within(&clone).run());
        assert!(done.code == 2 && done.err.contains(hint), "{done:?}");
        assert_eq!(objects(), before, "something was fetched");
    }
    let sandbox = Sandbox::with_identity();
    sandbox.write("a.yaml", "a: 1\n");
    let done = sandbox.kveil(["check", "--history"]).run();
    assert!(done.code == 2 && done.err.contains("no git repository"), "{done:?}");
    sandbox.shell("git init -q").run().ok();
    let done = sandbox.kveil(["check", "--history"]).run();
    assert!(done.code == 0 && done.err.contains("history: 0 commits"), "{done:?}");
    let done = sandbox.kveil(["check", "--history", "--staged"]).run();
    assert_eq!(done.code, 2);
    sandbox.shell("git init -q --bare ../bare").run().ok();
    let done = sandbox.kveil(["check", "--history"]).env("GIT_DIR", sandbox.work().join("../bare")).run();
    assert_eq!(done.code, 2, "{done:?}");
}

#[test]
fn a_repository_of_sha256_is_read_alike() {
    let repository = Repository::of("git init -q -b main --object-format=sha256");
    repository.write("web.yaml", &secret("web", "x"));
    repository.commit();
    repository.seal("web.yaml");
    let found = repository.found(&[]);
    assert_eq!((found.len(), found[0]["history"]["commit"].as_str().unwrap().len()), (2, 64));
}

#[cfg(unix)]
#[test]
fn odd_paths_links_and_modules_do_no_harm() {
    use std::os::unix::ffi::OsStrExt;
    let repository = Repository::new();
    repository.write("a\n::error::b.yaml", &secret("a", "x"));
    std::fs::write(repository.sandbox.work().join(std::ffi::OsStr::from_bytes(b"\xff\x1b[2J.yaml")), secret("b", "x")).unwrap();
    repository.write("hunter2-name.yaml", "a: 1\n");
    repository.git("ln -s web.yaml link.yaml && git init -q module.yaml && git -C module.yaml commit -q --allow-empty -m x");
    repository.commit();
    repository.git("rm hunter2-name.yaml && for f in *error* *2J*; do kveil encrypt -i \"$f\"; done");
    repository.commit();
    let done = repository.check(&[]);
    let text = String::from_utf8(done.out).unwrap();
    assert_eq!((text.matches("KV116").count(), done.code), (4, 1), "{text}");
    assert!(!text.contains('\u{1b}') && !text.contains("\n::error"), "{text}");
}

#[test]
fn replacements_and_grafts_hide_nothing() {
    let (repository, first) = leaked();
    repository.git("git replace HEAD~2:web.yaml HEAD:web.yaml && git replace --graft HEAD");
    let commits = repository.sandbox.shell("git rev-list --count HEAD").run().text();
    assert_eq!(commits.trim(), "1", "git is blinded");
    assert!(repository.found(&[])[0]["history"]["commit"].as_str().unwrap().starts_with(&first));
    repository.git("git replace -d $(git replace) >../said && git rev-parse HEAD > .git/info/grafts");
    assert!(repository.found(&[])[0]["history"]["commit"].as_str().unwrap().starts_with(&first));
}

#[test]
fn what_is_too_large_is_left_out_and_said() {
    let repository = Repository::new();
    repository.write("large.yaml", &format!("{}  more: {}\n", secret("large", "x"), "x".repeat(5 << 20)));
    repository.commit();
    repository.write("large.yaml", &secret("large", "x"));
    repository.seal("large.yaml");
    let done = repository.check(&["--format", "json"]);
    assert_eq!(findings(&done).len(), 0);
    assert!(done.err.contains("; 1 of more than 4 MiB weren't looked at"), "{}", done.err);
}

#[test]
fn the_settings_of_a_user_change_nothing() {
    let (repository, _) = leaked();
    let expected = repository.told(&[]);
    let settings = "[log]\n\tshowSignature = true\n\tshowRoot = false\n\tdiffMerges = first-parent\n\tdecorate = full\n[diff]\n\trenames = copies\n\trelative = true\n\tnoprefix = true\n[color]\n\tui = always\n[format]\n\tpretty = fuller\n[core]\n\tquotePath = true\n\tabbrev = 4\n";
    let file = repository.sandbox.home().join(".gitconfig");
    let known = std::fs::read_to_string(&file).unwrap();
    std::fs::write(file, known + settings).unwrap();
    assert_eq!(repository.told(&[]), expected);
}
