//! `kveil diff` in real repositories: each kind of change in each form, what it calls out, and what it never says.

mod sandbox;

use sandbox::{Done, RECIPIENT_1, RECIPIENT_2, Sandbox, root};

/// Values of the files below; none may ever be shown without `--reveal`.
const PLAIN: [&str; 12] = [
    "hunter2-hunter2",
    "correct-horse",
    "alice-the-admin",
    "tok-1234567890",
    "goes-away-soon",
    "moves-within-the-file",
    "a-remark-on-alice",
    "smtp.example.org",
    "aHVudGVyMi1odW50ZXIy",
    "MIIBfj",
    "c2hvcDpoaWRkZW4",
    "5432",
];

const OLD: &str = "apiVersion: v1
kind: Secret
metadata:
  name: db
  namespace: shop
type: Opaque
data:
  password: aHVudGVyMi1odW50ZXIy
stringData:
  user: alice-the-admin # a-remark-on-alice
  old: goes-away-soon
  here: moves-within-the-file
  port: 5432
  twice: alice-the-admin
  app.env: |
    HOST=smtp.example.org
    PORT=25
  .dockerconfigjson: '{\"auths\": {\"ghcr.io\": {\"auth\": \"c2hvcDpoaWRkZW4\"}}}'
";

const NEW: &str = "apiVersion: v1
kind: Secret
metadata:
  name: db
  namespace: shop
  labels: {tier: back}
type: Opaque
data:
  password: Y29ycmVjdC1ob3JzZQ==
stringData:
  user: alice-the-admin # a-remark-on-alice
  there: moves-within-the-file
  port: '5432'
  twice: alice-the-admin
  token: tok-1234567890
  app.env: |
    HOST=smtp.example.org
    PORT=26
    TLS=1
  .dockerconfigjson: '{\"auths\": {\"ghcr.io\": {\"auth\": \"c2hvcDpoaWRkZW4x\"}}}'
";

/// A repository with a rule for recipient 1, whose identity is at hand.
struct Repository(Sandbox);

impl Repository {
    fn new() -> Repository {
        let repository = Repository(Sandbox::with_identity());
        repository.0.write(".sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT_1}\nnames:\n  {RECIPIENT_2}: bob\n"));
        repository.git("init -q -b main .");
        repository.commit("rules");
        repository
    }

    /// One with [`OLD`] committed, and [`NEW`] above it.
    fn changed() -> Repository {
        let repository = Repository::new();
        repository.save("db.yaml", OLD);
        repository.commit("old");
        repository.save("db.yaml", NEW);
        repository.commit("new");
        repository
    }

    fn git(&self, line: &str) -> String {
        self.0.shell(&format!("git -c user.name=t -c user.email=t@example.org {line}")).run().text().trim().to_owned()
    }

    fn commit(&self, message: &str) {
        self.git("add -A");
        self.git(&format!("commit -q -m '{message}'"));
    }

    /// Writes a file encrypted, as the next version of what is committed.
    fn save(&self, name: &str, plain: &str) {
        self.0.write(name, plain);
        self.0.kveil(["encrypt", "-i", name]).run().ok();
    }

    fn text(&self, name: &str) -> String {
        String::from_utf8(self.0.read(name)).unwrap()
    }

    fn diff(&self, arguments: &[&str]) -> Done {
        self.0.kveil(["diff"].iter().chain(arguments)).run()
    }

    /// What is shown where something differs.
    #[track_caller]
    fn differs(&self, arguments: &[&str]) -> String {
        let done = self.diff(arguments);
        assert_eq!(done.code, 1, "{}", done.err);
        String::from_utf8(done.out).unwrap()
    }

    #[track_caller]
    fn json(&self, arguments: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.differs(&[&["--format", "json"], arguments].concat())).unwrap()
    }

    /// Path and change of all values.
    fn values(&self, arguments: &[&str]) -> Vec<String> {
        let report = self.json(arguments);
        let list = |value: &serde_json::Value, field: &str| value[field].as_array().unwrap().clone();
        let objects = list(&report, "files").into_iter().flat_map(|file| list(&file, "objects"));
        let text = |value: &serde_json::Value, field: &str| value[field].as_str().unwrap().to_owned();
        objects
            .flat_map(|object| list(&object, "values"))
            .map(|value| format!("{} {}", text(&value, "path"), text(&value, "change")))
            .collect()
    }

    /// The ids of what is called out.
    fn calls(&self, arguments: &[&str]) -> Vec<String> {
        let report = self.json(arguments);
        report["call_outs"].as_array().unwrap().iter().map(|call| call["id"].as_str().unwrap().to_owned()).collect()
    }
}

#[track_caller]
fn says_no_value(shown: &str) {
    for value in PLAIN {
        assert!(!shown.contains(value), "{value} is shown:\n{shown}");
    }
}

#[test]
fn each_kind_of_change_is_named_and_no_value_is_shown() {
    let repository = Repository::changed();
    let shown = repository.differs(&["HEAD~1", "HEAD"]);
    says_no_value(&shown);
    assert_eq!(
        shown,
        "\
db.yaml
  ~ Secret shop/db
      + metadata.labels.tier  added  (str, 1 to 7 bytes, in clear)
      ~ data.password  changed  (str, 8 to 15 bytes)
      > stringData.there  moved from stringData.here  (str, 16 to 31 bytes)
      ~ stringData.port  retyped  (str, 1 to 7 bytes, was int, 1 to 7 bytes)
      + stringData.token  added  (str, 8 to 15 bytes)
      ~ stringData.app.env  changed  (str, 32 to 63 bytes, was str, 16 to 31 bytes)
          PORT changed
          TLS added
      ~ stringData..dockerconfigjson  changed  (str, 32 to 63 bytes)
          registry ghcr.io changed
      - stringData.old  removed  (str, 8 to 15 bytes)

HEAD~1 → HEAD: 1 file, 8 values
"
    );
}

#[test]
fn values_are_shown_line_by_line_when_asked_for() {
    let repository = Repository::changed();
    let shown = repository.differs(&["HEAD~1", "HEAD", "--reveal"]);
    for line in [
        "          - hunter2-hunter2\n          + correct-horse\n",
        "            HOST=smtp.example.org\n          - PORT=25\n          + PORT=26\n",
    ] {
        assert!(shown.contains(line), "{shown}");
    }
    assert!(!shown.contains("alice-the-admin"));
    // A person with the key may compare what was encrypted anew.
    repository.0.kveil(["rotate", "-i", "db.yaml"]).run().ok();
    let shown = repository.differs(&["--reveal"]);
    assert!(
        shown.contains("~ stringData.user  replaced (under another data key)  (str, 8 to 15 bytes)\n          = alice-the-admin\n"),
        "{shown}"
    );
}

#[test]
fn a_ci_job_shows_values_only_when_told_twice() {
    let repository = Repository::changed();
    let call = |flag: &str| repository.0.kveil(["diff", "HEAD~1", "HEAD", flag]).env("CI", "true").run();
    let refusal = call("--reveal").refused(2);
    assert!(refusal.contains("--reveal=always"), "{refusal}");
    let done = call("--reveal=always");
    assert!(done.code == 1 && String::from_utf8(done.out).unwrap().contains("correct-horse"));
    for format in ["json", "markdown"] {
        repository.diff(&["--format", format, "--reveal=always", "HEAD~1"]).refused(2);
    }
    repository.diff(&["--keyless", "--reveal", "HEAD~1"]).refused(2);
}

#[test]
fn the_structure_alone_says_what_it_can() {
    let repository = Repository::changed();
    let keyless = repository.differs(&["--keyless", "HEAD~1", "HEAD"]);
    says_no_value(&keyless);
    assert_eq!(
        keyless,
        "\
db.yaml
  (keyless view: structure only)
  MAC renewed
  ~ Secret shop/db
      + metadata.labels.tier  added  (str, 1 to 7 bytes, in clear)
      ~ data.password  ciphertext changed  (str, 16 to 31 bytes)
      + stringData.there  added  (str, 16 to 31 bytes)
      ~ stringData.port  ciphertext changed  (str, 1 to 7 bytes, was int, 1 to 7 bytes)
      + stringData.token  added  (str, 8 to 15 bytes)
      ~ stringData.app.env  ciphertext changed  (str, 32 to 63 bytes, was str, 16 to 31 bytes)
      ~ stringData..dockerconfigjson  ciphertext changed  (str, 32 to 63 bytes)
      - stringData.old  removed  (str, 8 to 15 bytes)
      - stringData.here  removed  (str, 16 to 31 bytes)

HEAD~1 → HEAD: 1 file, 9 values
"
    );
    std::fs::remove_dir_all(repository.0.home().join(".config")).unwrap();
    let done = repository.diff(&["HEAD~1", "HEAD"]);
    let without = String::from_utf8(done.out).unwrap();
    assert_eq!(without, keyless.replace("(keyless view: structure only)", "(keyless view: no identity opens it, structure only)"));
    assert!(done.err.contains("no identity at hand opens 1 file"), "{}", done.err);
}

#[test]
fn the_keyless_view_runs_no_command_for_identities() {
    let repository = Repository::changed();
    let call = repository.0.kveil(["diff", "--keyless", "HEAD~1"]).env("SOPS_AGE_KEY_CMD", "touch ran").env("SOPS_GPG_EXEC", "touch");
    assert_eq!(call.run().code, 1);
    assert!(!repository.0.path("ran").exists());
}

#[test]
fn a_pull_request_gets_a_comment() {
    let repository = Repository::changed();
    let shown = repository.differs(&["HEAD~1", "HEAD", "--format", "markdown"]);
    says_no_value(&shown);
    assert_eq!(
        shown,
        "\
<!-- kveil-diff -->
### Encrypted files

`HEAD~1` → `HEAD`: 1 file, 8 values

| file | added | changed | removed | other |
|---|---|---|---|---|
| `db.yaml` | 2 | 5 | 1 |  |

<details><summary><code>db.yaml</code></summary>

- `Secret shop/db`
  - `metadata.labels.tier` added (str, 1 to 7 bytes, in clear)
  - `data.password` changed (str, 8 to 15 bytes)
  - `stringData.there` `moved from stringData.here` (str, 16 to 31 bytes)
  - `stringData.port` retyped (str, 1 to 7 bytes, was int, 1 to 7 bytes)
  - `stringData.token` added (str, 8 to 15 bytes)
  - `stringData.app.env` changed (str, 32 to 63 bytes, was str, 16 to 31 bytes)
    - `PORT changed`
    - `TLS added`
  - `stringData..dockerconfigjson` changed (str, 32 to 63 bytes)
    - `registry ghcr.io changed`
  - `stringData.old` removed (str, 8 to 15 bytes)

</details>
"
    );
    let nothing = repository.diff(&["HEAD", "--format", "markdown"]).text();
    assert_eq!(nothing, "<!-- kveil-diff -->\n### Encrypted files\n\nNo encrypted value differs.\n");
}

#[test]
fn a_comment_keeps_within_its_bounds() {
    let repository = Repository::new();
    let keys = |value: &str| (0..900).map(|at| format!("  {}-{at}: {value}\n", "k".repeat(90))).collect::<String>();
    for name in ["a.yaml", "b.yaml"] {
        repository
            .save(name, &format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData:\n{}", keys("hunter2-hunter2")));
    }
    repository.git("add -A");
    let shown = repository.differs(&["--staged", "--format", "markdown"]);
    assert!(shown.len() < 60_000 && shown.contains("2 parts are left out"), "{} {}", shown.len(), &shown[shown.len() - 200..]);
    assert!(shown.contains("| `a.yaml` (new) | 903 |"), "{}", &shown[..600]);
}

#[test]
fn programs_get_a_document() {
    let repository = Repository::changed();
    let report = repository.json(&["HEAD~1", "HEAD"]);
    says_no_value(&report.to_string());
    let file = &report["files"][0];
    assert_eq!((report["version"].as_i64(), report["old"].as_str(), file["view"].as_str()), (Some(1), Some("HEAD~1"), Some("opened")));
    let object = &file["objects"][0];
    assert_eq!(
        (object["kind"].as_str(), object["namespace"].as_str(), object["name"].as_str()),
        (Some("Secret"), Some("shop"), Some("db"))
    );
    assert_eq!(
        object["values"][2],
        serde_json::json!({
            "path": "stringData.there",
            "change": "moved",
            "from": "stringData.here",
            "old": {"type": "str", "encrypted": true, "length": "16 to 31 bytes"},
            "new": {"type": "str", "encrypted": true, "length": "16 to 31 bytes"},
            "inner": [],
            "equals": [],
        })
    );
}

#[test]
fn the_exit_code_is_the_answer() {
    let repository = Repository::changed();
    let same = repository.diff(&["HEAD"]);
    assert_eq!((same.code, same.out.len()), (0, 0));
    assert_eq!(repository.diff(&["HEAD~1"]).code, 1);
    for trouble in
        [&["--no-such-flag"][..], &["no-such-revision"], &["--format", "xml"], &["--staged", "HEAD~1..HEAD"], &["HEAD~9"], &["--", ".."]]
    {
        repository.diff(trouble).refused(2);
    }
    let outside = Sandbox::new();
    assert!(outside.kveil(["diff"]).run().refused(2).contains("there is no git repository here"));
}

#[test]
fn revisions_and_paths_are_gits() {
    let repository = Repository::changed();
    repository.save("other.yaml", OLD);
    repository.git("add other.yaml");
    assert_eq!(repository.values(&["--staged"]).len(), repository.values(&["HEAD", "other.yaml"]).len());
    assert!(repository.values(&["--staged"]).iter().all(|value| value.ends_with(" added")));
    assert_eq!(repository.diff(&["--staged", "db.yaml"]).code, 0);
    assert_eq!(repository.diff(&[]).code, 0);
    repository.git("commit -q -m other");
    repository.git("checkout -q -b topic HEAD~1");
    repository.save("db.yaml", OLD);
    repository.commit("back");
    assert_eq!(repository.json(&["main...topic"])["files"].as_array().unwrap().len(), 1);
    assert_eq!(repository.json(&["main..topic"])["files"].as_array().unwrap().len(), 2);
    assert!(repository.diff(&["main", "topic", "other.yaml"]).refused(2).contains("stands behind --"));
    assert_eq!(repository.json(&["main", "topic", "--", "other.yaml"])["files"][0]["change"], "removed");
    // A path that is nowhere is a slip, one that is gone is not.
    for nowhere in [&["main", "topic", "--", "othr.yaml"][..], &["--", "below/no"], &["--staged", "--", "othr.yaml"]] {
        assert!(repository.diff(nowhere).refused(2).contains("is in neither of the two"), "{nowhere:?}");
    }
    repository.git("rm -q db.yaml");
    assert_eq!(repository.json(&["HEAD", "--", "db.yaml"])["files"][0]["change"], "removed");
    assert_eq!(repository.diff(&["main", "topic", "--", "db.yaml"]).code, 1);
    repository.git("reset -q --hard");
    // Where a name is both, it must be said which is meant.
    repository.0.write("topic", "x");
    assert!(repository.diff(&["topic"]).refused(2).contains("is a revision and a file"));
    assert_eq!(repository.diff(&["topic^0"]).code, 0);
    let below = repository.0.path("below");
    std::fs::create_dir(&below).unwrap();
    assert_eq!(repository.0.kveil(["diff", "main", "../db.yaml"]).within(&below).run().code, 1);
}

#[test]
fn two_files_are_compared_without_a_repository() {
    let sandbox = Sandbox::with_identity();
    sandbox.write(".sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT_1}\n"));
    sandbox.write("a.yaml", OLD);
    sandbox.kveil(["encrypt", "-i", "a.yaml"]).run().ok();
    std::fs::copy(sandbox.path("a.yaml"), sandbox.path("b.yaml")).unwrap();
    assert_eq!(sandbox.kveil(["diff", "a.yaml", "b.yaml"]).run().code, 0);
    sandbox.kveil(["set", "b.yaml", "stringData.user", "correct-horse"]).run().ok();
    let done = sandbox.kveil(["diff", "a.yaml", "b.yaml"]).run();
    assert!(done.code == 1 && String::from_utf8(done.out).unwrap().contains("~ stringData.user  changed"));
    let piped = sandbox.kveil(["diff", "a.yaml", "-"]).stdin(sandbox.read("b.yaml")).run();
    assert!(piped.code == 1 && String::from_utf8(piped.out).unwrap().contains("~ stringData.user  changed"));
    sandbox.kveil(["diff", "a.yaml", "missing.yaml"]).run().refused(2);
}

#[test]
fn a_value_that_comes_back_is_the_same_under_new_ciphertext() {
    let repository = Repository::new();
    repository.save("db.yaml", OLD);
    repository.commit("one");
    repository.save("db.yaml", &OLD.replace("  twice: alice-the-admin\n", ""));
    repository.commit("two");
    repository.save("db.yaml", OLD);
    repository.commit("three");
    assert_eq!(repository.values(&["HEAD~2"]), ["stringData.twice re-encrypted"]);
    let shown = repository.differs(&["HEAD~2"]);
    assert!(shown.contains("      = 1 value re-encrypted, same value: stringData.twice\n"), "{shown}");
}

#[test]
fn layout_alone_is_said_to_be_layout() {
    let repository = Repository::changed();
    let text = repository.text("db.yaml").replace("labels: {tier: back}", "labels: { tier: back }");
    repository.0.write("db.yaml", text);
    assert_eq!(
        repository.differs(&[]),
        "db.yaml\n  layout only: no value, recipient or rule differs\n\nthe index → the work tree: 1 file, 0 values\n"
    );
}

#[test]
fn objects_are_paired_across_files() {
    let repository = Repository::new();
    let secret =
        |name: &str, value: &str| format!("apiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\nstringData:\n  key: {value}\n");
    repository.save("both.yaml", &format!("{}---\n{}", secret("one", "hunter2-hunter2"), secret("two", "correct-horse")));
    repository.commit("together");
    // The same file under another name keeps its data key; the other object is encrypted under a new one.
    repository.git("mv both.yaml one.yaml");
    repository.save("two.yaml", &secret("two", "correct-horse"));
    repository.0.kveil(["decrypt", "-i", "one.yaml"]).run().ok();
    repository.git("add -A");
    repository.save("one.yaml", &secret("one", "hunter2-hunter2"));
    repository.git("add -A");
    let report = repository.json(&["HEAD", "--staged"]);
    let objects: Vec<(String, String, String)> = report["files"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|file| {
            let path = file["path"].as_str().unwrap().to_owned();
            file["objects"]
                .as_array()
                .unwrap()
                .iter()
                .map(move |object| (path.clone(), object["name"].to_string(), format!("{} {}", object["change"], object["moved_from"])))
        })
        .collect();
    let moved = |path: &str, name: &str| (path.to_owned(), format!("{name:?}"), "\"changed\" \"both.yaml\"".to_owned());
    assert!(objects.contains(&moved("two.yaml", "two")), "{objects:?}");
    assert!(objects.iter().all(|(_, _, change)| change.starts_with("\"changed\"")), "{objects:?}");
}

#[test]
fn a_renewed_certificate_says_subject_and_dates() {
    let repository = Repository::new();
    let certificate = |name: &str| std::fs::read_to_string(root().join("testdata/certificates").join(name)).unwrap();
    let secret = |pem: &str| {
        let block: String = pem.lines().map(|line| format!("    {line}\n")).collect();
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: tls}}\ntype: kubernetes.io/tls\nstringData:\n  tls.key: hunter2-hunter2\n  tls.crt: |\n{block}"
        )
    };
    repository.save("tls.yaml", &secret(&certificate("shop-2026.pem")));
    repository.commit("old");
    repository.save("tls.yaml", &secret(&certificate("shop-2027.pem")));
    let shown = repository.differs(&[]);
    let line = "          certificate: CN=shop.example.org, valid 2026-01-01 to 2027-01-01, now CN=shop.example.org, valid 2026-11-01 to 2028-01-01\n";
    assert!(shown.contains(line), "{shown}");
    assert!(certificate("shop-2027.pem").lines().filter(|line| !line.starts_with('-')).all(|line| !shown.contains(line)));
}

#[test]
fn what_matters_to_a_deployment_comes_first() {
    let repository = Repository::new();
    repository.save("db.yaml", OLD);
    repository.0.write(
        "deploy.yaml",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: shop}\nspec:\n  template:\n    spec:\n      containers:\n      - name: web\n        env:\n        - name: OLD\n          valueFrom: {secretKeyRef: {name: db, key: old}}\n        - name: USER\n          valueFrom: {secretKeyRef: {name: db, key: user}}\n        envFrom: [{secretRef: {name: db}}]\n      volumes:\n      - name: s\n        secret: {secretName: db, items: [{key: old, path: x}]}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: elsewhere, namespace: other}\nspec:\n  containers:\n  - {name: a, envFrom: [{secretRef: {name: db}}]}\n",
    );
    repository.commit("old");
    repository.save("db.yaml", &OLD.replace("  old: goes-away-soon\n", ""));
    let reads = "Secret shop/db: key old is gone, and Deployment shop/web (deploy.yaml) reads it";
    let expected = format!("! {reads} (secretKeyRef)\n    db.yaml\n! {reads} (envFrom)\n    db.yaml\n! {reads} (items)\n    db.yaml\n");
    for side in [&[][..], &["--staged"], &["HEAD~1", "HEAD"]] {
        let shown = repository.differs(side);
        assert_eq!(shown.split("\n\n").next(), Some(expected.trim_end()), "{shown}");
        repository.git("add -A");
        if !side.is_empty() {
            repository.git("commit -q --allow-empty -m new");
        }
    }
    repository.save("db.yaml", &OLD.replace("type: Opaque", "type: shop.example.org/db").replace("namespace: shop", "namespace: store"));
    let calls = repository.calls(&["HEAD"]);
    assert!(calls.starts_with(&["namespace-changed".to_owned(), "type-changed".to_owned(), "still-read".to_owned()]), "{calls:?}");
    let shown = repository.differs(&["HEAD"]);
    assert!(shown.contains("! Secret store/db: type Opaque, now shop.example.org/db\n"), "{shown}");
    assert!(shown.contains("! Secret shop/db: namespace shop, now store\n"), "{shown}");
}

#[test]
fn new_readers_are_called_out_by_name_and_key() {
    let repository = Repository::changed();
    repository.0.kveil(["recipients", "add", RECIPIENT_2, "db.yaml"]).run().ok();
    let shown = repository.differs(&["db.yaml"]);
    assert!(shown.starts_with("! recipient added: bob (age1ac76…xemwwp)\n    db.yaml\n"), "{shown}");
    assert_eq!(repository.calls(&["--keyless", "db.yaml"]), ["recipient-added"]);
    repository.commit("bob");
    repository.0.kveil(["recipients", "remove", RECIPIENT_2, "db.yaml"]).run().ok();
    assert_eq!(repository.calls(&["db.yaml"]), ["recipient-removed", "data-key-replaced"]);
    assert_eq!(repository.calls(&["--keyless", "db.yaml"]), ["recipient-removed", "data-key-wrapped-anew"]);
    assert!(repository.values(&["db.yaml"]).iter().all(|value| value.ends_with(" replaced")));
}

#[test]
fn what_is_in_clear_now_is_called_out() {
    let repository = Repository::changed();
    let token = repository.text("db.yaml").lines().find(|line| line.contains("token:")).unwrap().to_owned();
    let text = repository.text("db.yaml");
    repository.0.write("db.yaml", text.replace(&token, "  token: tok-1234567890"));
    let done = repository.diff(&[]);
    let shown = String::from_utf8(done.out).unwrap();
    says_no_value(&shown);
    assert!(shown.starts_with("! Secret shop/db: stringData.token was encrypted, and is in clear now\n"), "{shown}");
    assert_eq!(repository.calls(&[]), ["now-in-clear", "damaged", "mac-unchanged"]);
    assert_eq!(repository.calls(&["--keyless"]), ["now-in-clear", "mac-unchanged"]);
    // The whole file.
    repository.0.write("db.yaml", NEW);
    assert_eq!(repository.calls(&[]), ["file-in-clear", "now-in-clear"]);
    let shown = repository.differs(&[]);
    says_no_value(&shown);
    assert!(shown.contains("8 values were encrypted, and are in clear now: data.password, "), "{shown}");
    // A Secret that never was encrypted.
    repository.git("checkout -q db.yaml");
    repository.0.write("new.yaml", OLD);
    repository.git("add new.yaml");
    assert_eq!(repository.calls(&["--staged"]), ["secret-in-clear"]);
    says_no_value(&repository.differs(&["--staged"]));
}

#[test]
fn other_rules_for_a_file_are_called_out() {
    let repository = Repository::changed();
    let text = repository.text("db.yaml");
    repository.0.write("db.yaml", text.replace("encrypted_regex: ^(data|stringData)$", "encrypted_regex: ^data$"));
    let calls = repository.calls(&["--keyless"]);
    assert_eq!(calls, ["selection-changed"]);
    let version = text.lines().find(|line| line.contains(" version: ")).unwrap();
    let blanks = &version[..version.len() - version.trim_start().len()];
    repository.0.write("db.yaml", text.replace(version, &format!("{version}\n{blanks}mac_only_encrypted: true")));
    assert!(repository.calls(&[]).contains(&"mac-only-encrypted-changed".to_owned()));
}

/// A file for the team's recipient, made by someone who can't read: under a data key of his own, with his guesses in it.
fn planted(repository: &Repository, plain: &str) -> String {
    let stranger = Sandbox::new();
    stranger.write("db.yaml", plain);
    let made = stranger.kveil(["encrypt", "--age", RECIPIENT_1, "--encrypted-regex", "^(data|stringData)$", "db.yaml"]).run().text();
    repository.0.write("db.yaml", &made);
    made
}

#[test]
fn guesses_under_a_planted_data_key_get_no_answer() {
    let repository = Repository::new();
    let list = format!(
        "{OLD}  env:\n  - name: secret-name-one\n    value: hunter2-hunter2\n  - name: secret-name-two\n    value: goes-away-soon\n"
    );
    repository.save("db.yaml", &list);
    repository.commit("old");
    let mut answers = Vec::new();
    // The same values, other ones of the same length, and other names in the list.
    let wrong = list
        .replace("alice-the-admin", "alice-the-amdin")
        .replace("5432", "2345")
        .replace("PORT=25", "PORT=52")
        .replace("hunter2", "3hunter");
    let names = list.replace("secret-name-one", "other-name-uno").replace("secret-name-two", "other-name-duo");
    for guess in [&list, &wrong, &names] {
        planted(&repository, guess);
        let all: Vec<String> =
            ["text", "json", "markdown"].iter().map(|format| repository.differs(&["--format", format, "--show-equal"])).collect();
        assert!(all[0].contains("data key replaced") && !all[0].contains("same value"), "{}", all[0]);
        answers.push(all);
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
}

#[test]
fn a_guess_in_a_file_that_its_author_can_read_gets_no_answer() {
    let repository = Repository::new();
    let secret =
        |name: &str, value: &str| format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData: {{key: {value}}}\n");
    repository.save("theirs.yaml", &secret("theirs", "hunter2-hunter2"));
    repository.save("mine.yaml", &secret("mine", "correct-horse"));
    repository.commit("old");
    std::fs::remove_file(repository.0.path("theirs.yaml")).unwrap();
    // The object moves to a file whose data key its author knows, with a guess in it.
    let answer = |guess: &str| {
        repository.git("checkout -q mine.yaml");
        repository.save("mine.yaml", &format!("{}---\n{}", secret("mine", "correct-horse"), secret("theirs", guess)));
        let shown = repository.differs(&["HEAD", "--show-equal"]);
        assert!(shown.contains("Secret theirs, moved from theirs.yaml") && !shown.contains("data key replaced"), "{shown}");
        shown
    };
    assert_eq!(answer("hunter2-hunter2"), answer("hunter3-hunter3"));
}

#[test]
fn copied_ciphertext_gets_no_answer() {
    let repository = Repository::new();
    repository.save("db.yaml", OLD);
    repository.commit("one");
    let first = repository.text("db.yaml");
    // A value that comes back has another token: whoever puts the old one in its place learns nothing about it.
    repository.save("db.yaml", &OLD.replace("user: alice-the-admin", "user: someone-else-now"));
    repository.commit("two");
    let (second, line) = (repository.text("db.yaml"), |text: &str| text.lines().find(|line| line.contains(" user: ")).unwrap().to_owned());
    let mut answers = Vec::new();
    for now in ["alice-the-admin", "quite-another-x"] {
        repository.save("db.yaml", &OLD.replace("user: alice-the-admin", &format!("user: {now}")));
        repository.commit("three");
        let text = repository.text("db.yaml");
        repository.0.write("db.yaml", text.replace(&line(&text), &line(&first)));
        assert_eq!(repository.calls(&[]), ["mac-unchanged"]);
        answers.push(repository.differs(&["--show-equal"]));
        repository.0.write("db.yaml", &second);
        repository.commit("back");
    }
    assert!(answers[0] == answers[1] && answers[0].contains("~ stringData.user  ciphertext changed"), "{answers:#?}");
    // At another key path it doesn't decrypt, and that is all that is said.
    let here = second.lines().find(|line| line.contains(" here: ")).unwrap();
    repository.0.write("db.yaml", second.replace(here, &line(&second).replace(" user: ", " here: ")));
    assert!(repository.calls(&[]).contains(&"damaged".to_owned()));
}

#[test]
fn equal_values_are_named_to_a_person_only() {
    let repository = Repository::new();
    let file = |value: &str| format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: a}}\nstringData: {{key: {value}, other: x}}\n");
    for name in ["a.yaml", "b.yaml"] {
        repository.save(name, &file("hunter2-hunter2"));
    }
    repository.commit("one");
    for name in ["a.yaml", "b.yaml"] {
        repository.save(name, &file("correct-horse"));
    }
    let says = |arguments: &[&str], ci: bool| {
        let call = repository.0.kveil(["diff"].iter().chain(arguments));
        let done = if ci { call.env("CI", "1") } else { call }.run();
        String::from_utf8(done.out).unwrap().contains("a.yaml: Secret a stringData.key")
    };
    assert!(says(&[], false));
    assert!(!says(&[], true) && !says(&["--format", "json"], false) && !says(&["--format", "markdown"], false));
    assert!(says(&["--show-equal"], true) && says(&["--show-equal", "--format", "json"], false));
    // Under a new data key nothing is compared.
    repository.0.kveil(["rotate", "-i", "b.yaml"]).run().ok();
    assert!(!says(&["--show-equal"], false));
}

#[test]
fn names_are_escaped_everywhere() {
    let repository = Repository::new();
    let keys = "  \"a\\e[31mb\": x\n  \"::error::c\": x\n  \"##[set]d\": x\n  \"\\u202ee\": x\n  \"`@team`<b>|f\": x\n";
    repository.save("::warning::a.yaml", &format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: \"x\\ny\"}}\nstringData:\n{keys}"));
    repository.git("add -A");
    for format in ["text", "json", "markdown"] {
        let done = repository.0.kveil(["diff", "--staged", "--format", format]).env("GITHUB_ACTIONS", "true").run();
        let shown = String::from_utf8(done.out).unwrap();
        assert!(done.code == 1 && !shown.contains(['\u{1b}', '\u{202e}']) && !shown.contains("##["), "{shown}");
        assert!(shown.lines().all(|line| !line.trim_start().starts_with("::")), "{shown}");
        if format == "markdown" {
            assert!(!shown.contains('@') && !shown.contains("<b>") && !shown.contains("`<"), "{shown}");
        }
    }
}

#[cfg(unix)]
#[test]
fn git_is_asked_once_for_all_bytes() {
    use std::os::unix::fs::PermissionsExt;
    let repository = Repository::new();
    let secret =
        |at: usize, value: &str| format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: s{at}}}\nstringData: {{key: {value}}}\n");
    for value in ["hunter2-hunter2", "correct-horse"] {
        (0..12).for_each(|at| drop(repository.0.write(&format!("s{at}.yaml"), secret(at, value))));
        repository.0.kveil(["encrypt", "-i", "."]).run().ok();
        repository.commit(value);
    }
    let real = repository.0.shell("command -v git").run().text();
    let shim = repository.0.write(
        "shim/git",
        format!("#!/bin/sh\necho \"$@\" >> {}\nexec {} \"$@\"\n", repository.0.tmp().join("calls").display(), real.trim()),
    );
    std::fs::set_permissions(&shim, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", shim.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let done = repository.0.kveil(["diff", "HEAD~1", "HEAD"]).env("PATH", path).run();
    assert!(done.code == 1 && String::from_utf8(done.out).unwrap().contains("12 files, 12 values"));
    let calls = std::fs::read_to_string(repository.0.tmp().join("calls")).unwrap();
    assert_eq!(calls.lines().filter(|line| line.contains("cat-file")).count(), 1, "{calls}");
    assert!(calls.lines().count() < 12, "{calls}");
}

#[test]
fn history_that_was_cut_off_is_trouble_with_the_fix() {
    let repository = Repository::changed();
    repository.0.shell("git clone -q --depth 1 file://$PWD clone").run().ok();
    let clone = repository.0.path("clone");
    let refusal = repository.0.kveil(["diff", "HEAD~1"]).within(&clone).run().refused(2);
    assert!(refusal.contains("fetch-depth: 0"), "{refusal}");
}

#[test]
fn a_file_that_cannot_be_read_is_trouble_and_the_others_are_shown() {
    let repository = Repository::changed();
    repository.save("other.yaml", OLD);
    repository.commit("other");
    repository.0.kveil(["set", "db.yaml", "stringData.user", "correct-horse"]).run().ok();
    let text = repository.text("other.yaml");
    repository.0.write("other.yaml", text.replace("stringData:", "<<<<<<< ours\nstringData:"));
    let done = repository.diff(&[]);
    assert_eq!(done.code, 2);
    assert!(done.err.contains("other.yaml") && String::from_utf8(done.out).unwrap().contains("~ stringData.user  changed"));
    says_no_value(&done.err);
    repository.git("commit -q -a -m broken");
    repository.git("checkout -q HEAD~1 other.yaml");
    for format in ["text", "json", "markdown"] {
        let done = repository.diff(&["HEAD", "--format", format]);
        let shown = String::from_utf8(done.out).unwrap();
        assert!(done.code == 2 && done.err.contains("other.yaml (HEAD):") && shown.contains("other.yaml (HEAD)"), "{shown} {}", done.err);
        assert!(shown.contains("can't be read: line "), "{shown}");
    }
    repository.git("reset -q --hard HEAD~1");
    repository.0.kveil(["set", "db.yaml", "stringData.user", "correct-horse"]).run().ok();
    // In the middle of a merge.
    repository.commit("user");
    repository.git("checkout -q -b topic HEAD~1");
    repository.0.kveil(["set", "db.yaml", "stringData.user", "hunter2-hunter2"]).run().ok();
    repository.commit("topic");
    repository.0.shell("git -c user.name=t -c user.email=t@example.org merge -q main || true").run().ok();
    assert!(repository.diff(&[]).refused(2).contains("db.yaml is in conflict"));
}

#[test]
fn other_formats_and_files_without_objects_are_compared_too() {
    let repository = Repository::new();
    let files = [
        ("values.yaml", "db:\n  password: hunter2-hunter2\n  hosts: [a, b]\n", "db:\n  password: correct-horse\n  hosts: [a, c]\n"),
        (".env", "A=hunter2-hunter2\nB=x\n", "A=correct-horse\nB=x\n"),
        ("x.ini", "[a]\nb = hunter2-hunter2\nc = d\n", "[a]\nb = correct-horse\nc = d\n"),
        ("x.json", "{\"a\": {\"b\": \"hunter2-hunter2\"}, \"c\": 1}\n", "{\"a\": {\"b\": \"correct-horse\"}, \"c\": 1}\n"),
        ("blob.bin", "hunter2-hunter2\n", "correct-horse\n"),
    ];
    files.iter().for_each(|(name, old, _)| repository.save(name, old));
    repository.commit("old");
    files.iter().for_each(|(name, _, new)| repository.save(name, new));
    let shown = repository.differs(&[]);
    says_no_value(&shown);
    let mut values = repository.values(&[]);
    values.sort();
    // All of a file that is one value is new: so is its data key.
    assert_eq!(values, ["A changed", "a.b changed", "a.b changed", "data replaced", "db.hosts[1] changed", "db.password changed"]);
}

#[test]
fn files_of_genuine_sops_are_compared() {
    let repository = Repository::new();
    let encrypt = |plain: &str| {
        repository.0.write("db.yaml", plain);
        repository
            .0
            .genuine(["encrypt", "-i", "--encrypted-regex", "^(data|stringData)$", "--age", RECIPIENT_1, "db.yaml"])
            .map(|call| call.run().ok())
    };
    if encrypt(OLD).is_none() {
        return;
    }
    repository.commit("old");
    repository.0.genuine(["set", "db.yaml", r#"["stringData"]["user"]"#, "\"correct-horse\""]).unwrap().run().ok();
    assert_eq!(repository.values(&[]), ["stringData.user changed"]);
    encrypt(NEW);
    let calls = repository.calls(&[]);
    assert_eq!(calls, ["data-key-replaced"]);
}

#[test]
fn the_pages_name_every_word() {
    let read = |name: &str| std::fs::read_to_string(root().join("docs").join(name)).unwrap();
    let (review, cli) = (read("review.md"), read("cli.md"));
    for id in kveil::git::diff::calls::ORDER {
        assert!(review.contains(&format!("`{id}`")), "{id}");
    }
    let section = cli.split("\n## diff\n").nth(1).unwrap().split("\n## ").next().unwrap();
    for output in &kveil::git::diff::output::OUTPUTS {
        assert!(section.contains(output.name), "{}", output.name);
    }
}

#[test]
fn plain_files_are_left_to_other_tools() {
    let sandbox = Sandbox::new();
    sandbox.write("a.yaml", "a: 1\n");
    sandbox.write("b.yaml", "a: 2\n");
    assert!(sandbox.kveil(["diff", "a.yaml", "b.yaml"]).run().refused(2).contains("neither of the two files"));
    let repository = Repository::changed();
    repository.0.write("a.yaml", "a: 1\n");
    repository.git("add a.yaml");
    let done = repository.diff(&["--staged"]);
    assert!(done.code == 0 && done.out.is_empty() && done.err.contains("not shown: 1 file neither encrypted nor Secrets"), "{}", done.err);
}
