//! `kveil krm` under the real kustomize: KSOPS's own outputs, the transformer, the guard, and what must fail.
#![cfg(all(unix, feature = "age"))]

mod sandbox;

use sandbox::{Done, RECIPIENT_1, Sandbox, link, program, root, tool};
use std::path::{Path, PathBuf};

const FLAGS: [&str; 2] = ["--enable-alpha-plugins", "--enable-exec"];
const LEGACY: [&str; 1] = ["--enable-alpha-plugins"];

/// A sandbox with an identity, where kustomize finds kveil under both its names; `None` without kustomize.
struct Deployment {
    sandbox: Sandbox,
    kustomize: PathBuf,
}

impl Deployment {
    fn new() -> Option<Deployment> {
        let kustomize = tool("kustomize")?;
        let sandbox = Sandbox::with_identity();
        sandbox.shell("git init -q").run().ok();
        let deployment = Deployment { sandbox, kustomize };
        link(&program(), &deployment.bin().join("ksops"));
        link(&deployment.kustomize, &deployment.bin().join("kustomize"));
        Some(deployment)
    }

    fn bin(&self) -> PathBuf {
        self.sandbox.home().parent().unwrap().join("bin")
    }

    fn shell(&self, line: &str) -> Done {
        self.sandbox.shell(line).run()
    }

    fn build(&self, folder: &str, flags: &[&str]) -> Done {
        self.shell(&format!("kustomize build {} {folder}", flags.join(" ")))
    }

    /// The plain file, encrypted by kveil in its place.
    fn encrypted(&self, name: &str, plain: &str) {
        self.sandbox.write(name, plain);
        self.sandbox.kveil(["encrypt", "-i", "--age", RECIPIENT_1, name]).run().ok();
    }

    fn install_legacy(&self) {
        self.sandbox.kveil(["kustomize", "install-legacy"]).run().ok();
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

/// Builds each of KSOPS's cases; gives how many there were.
fn ksops_cases(deployment: &Deployment, flags: &[&str], change: impl Fn(&Path)) -> usize {
    let mut count = 0;
    for case in std::fs::read_dir(root().join("testdata/krm/ksops")).unwrap() {
        let case = case.unwrap().path();
        let name = case.file_name().unwrap().to_str().unwrap().to_owned();
        let folder = deployment.sandbox.path(&name);
        copy(&case, &folder);
        change(&folder);
        let done = deployment.build(&name, flags);
        match std::fs::read(case.join("want.yaml")) {
            Ok(want) => assert_eq!(sandbox::shown(&done.ok()), sandbox::shown(&want), "{name}"),
            Err(_) => {
                let said = done.refused(1);
                assert!(said.contains(if name.contains("missing") { "nope.yaml: no such file" } else { "s.yaml: " }), "{name}: {said}");
                assert!(said.contains('→'), "{name} says no next step: {said}");
            }
        }
        count += 1;
    }
    count
}

#[test]
fn what_ksops_gives_is_given_byte_for_byte() {
    let Some(deployment) = Deployment::new() else { return };
    assert_eq!(ksops_cases(&deployment, &FLAGS, |_| ()), 18);
}

#[test]
fn what_ksops_gives_as_a_legacy_plugin_is_given_without_exec() {
    let Some(deployment) = Deployment::new() else { return };
    deployment.install_legacy();
    let without_annotation = |folder: &Path| {
        let file = folder.join("gen.yaml");
        let text = std::fs::read_to_string(&file).unwrap();
        let (head, rest) = text.split_once("  annotations:\n").unwrap();
        let rest = rest.split_once("        path: ksops\n").unwrap().1;
        std::fs::write(file, format!("{head}{rest}")).unwrap();
    };
    assert_eq!(ksops_cases(&deployment, &LEGACY, without_annotation), 18);
}

const FUNCTION: &str = "  annotations:\n    config.kubernetes.io/function: |\n      exec: {path: kveil, args: [krm]}\n";

fn function(kind: &str, rest: &str) -> String {
    format!("apiVersion: kveil.dev/v1\nkind: {kind}\nmetadata:\n  name: f\n{FUNCTION}{rest}")
}

const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\nstringData:\n  user: alice\n  password: 'hunter2: #x'\n";

#[test]
fn a_generated_secret_merges_and_replaces_with_data_only() {
    let Some(deployment) = Deployment::new() else { return };
    let sandbox = &deployment.sandbox;
    deployment.encrypted(
        "secret.yaml",
        &SECRET.replace("  name: db\n", "  name: db\n  annotations: {kustomize.config.k8s.io/behavior: merge}\n"),
    );
    sandbox.write("base.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\nstringData: {kept: k, user: bob}\n");
    sandbox.write("base2.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\ndata: {kept: aw==, user: Ym9i}\n");
    sandbox.write("generator.yaml", function("Secrets", "files: [secret.yaml]\n"));
    sandbox.write("kustomization.yaml", "resources: [base2.yaml]\ngenerators: [generator.yaml]\n");
    let want = "apiVersion: v1\ndata:\n  kept: aw==\n  password: aHVudGVyMjogI3g=\n  user: YWxpY2U=\nkind: Secret\nmetadata:\n  name: db\n";
    assert_eq!(deployment.build(".", &FLAGS).text(), want);
}

#[test]
fn a_kveil_generator_knows_formats_by_content_and_spells_its_fields() {
    let Some(deployment) = Deployment::new() else { return };
    let sandbox = &deployment.sandbox;
    deployment.encrypted("conf.yaml", "a: 1\n");
    std::fs::rename(sandbox.path("conf.yaml"), sandbox.path("conf.txt")).unwrap();
    deployment.encrypted("app.env", "A='b'\n");
    sandbox.write(
        "generator.yaml",
        function("Secrets", "spec:\n  secretFrom:\n  - metadata: {name: c}\n    files: [k=conf.txt]\n    envs: [app.env]\n"),
    );
    sandbox.write("kustomization.yaml", "generators: [generator.yaml]\n");
    let want = "apiVersion: v1\ndata:\n  A: J2In\n  k: YTogMQo=\nkind: Secret\nmetadata:\n  name: c\n";
    assert_eq!(deployment.build(".", &FLAGS).text(), want);
    sandbox.write("generator.yaml", function("Secrets", "file: [conf.txt]\n"));
    let said = deployment.build(".", &FLAGS).refused(1);
    assert!(said.contains("Secrets has no field file") && said.contains("did you mean files?"), "{said}");
}

/// Everything a transformer meets: a plain resource in a base with two documents, generators' files and envs.
fn tree(deployment: &Deployment) {
    let second = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: tls}\ndata:\n  z.bin: AAEC/w==\n  a: aHVudGVyMg==\n";
    deployment.encrypted("base/secrets.yaml", &format!("# note\n{SECRET}{second}"));
    deployment.encrypted("base/conf.json", "{\"token\": \"hunter2\"}\n");
    deployment.encrypted("base/app.env", "Z=1\nA=hunter2\n");
    deployment.encrypted("base/long.yaml", "a: |\n  a text of several lines,\n  which fills more than one line of base64\nb: 1.50\n");
    let sandbox = &deployment.sandbox;
    sandbox.write("base/plain.txt", "kept");
    let kustomization = "resources: [secrets.yaml]\nsecretGenerator:\n- name: app\n  files: [conf.json, plain.txt, long.yaml]\n  envs: [app.env]\nconfigMapGenerator:\n- name: conf\n  files: [conf.json]\n";
    sandbox.write("base/kustomization.yaml", kustomization);
    sandbox.write("transformer.yaml", function("Decrypt", ""));
    sandbox.write("kustomization.yaml", "resources: [base]\nnamespace: prod\nnamePrefix: p-\ntransformers: [transformer.yaml]\n");
}

/// The same where nothing is encrypted, and no plugin is needed.
fn plain_tree(deployment: &Deployment) -> String {
    deployment
        .shell("cp -r base plain && kveil decrypt -i plain/secrets.yaml plain/conf.json plain/app.env plain/long.yaml 2>/dev/null")
        .ok();
    deployment.sandbox.write("over/kustomization.yaml", "resources: [../plain]\nnamespace: prod\nnamePrefix: p-\n");
    deployment.build("over", &[]).text()
}

/// Without the hash behind names: it is over the plaintext in both, but the order of kustomize's steps puts it elsewhere.
#[test]
fn a_transformer_gives_what_plain_files_give() {
    let Some(deployment) = Deployment::new() else { return };
    tree(&deployment);
    let decrypted = deployment.build(".", &FLAGS).text();
    assert_eq!(decrypted, plain_tree(&deployment));
    assert!(decrypted.contains("hunter2: #x") && !decrypted.contains("ENC[") && !decrypted.contains("sops"));
}

#[test]
fn a_transformer_works_as_a_legacy_plugin_and_in_a_component() {
    let Some(deployment) = Deployment::new() else { return };
    tree(&deployment);
    deployment.install_legacy();
    let sandbox = &deployment.sandbox;
    sandbox.write("transformer.yaml", "apiVersion: kveil.dev/v1\nkind: Decrypt\nmetadata: {name: f}\n");
    let want = plain_tree(&deployment);
    assert_eq!(deployment.build(".", &LEGACY).text(), want);
    sandbox
        .write("component/kustomization.yaml", "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\ntransformers: [t.yaml]\n");
    sandbox.write("component/t.yaml", function("Decrypt", ""));
    sandbox.write("kustomization.yaml", "resources: [base]\nnamespace: prod\nnamePrefix: p-\ncomponents: [component]\npatches: [{patch: '{apiVersion: v1, kind: Secret, metadata: {name: db}, stringData: {user: bob}}'}]\n");
    let patched = deployment.build(".", &FLAGS).text();
    assert_eq!(patched, want.replace("user: alice", "user: bob"));
}

#[test]
fn the_origin_annotation_leads_to_files_that_git_ignores() {
    let Some(deployment) = Deployment::new() else { return };
    tree(&deployment);
    deployment.sandbox.write(".gitignore", "secrets.yaml\n");
    let said = deployment.build(".", &FLAGS).refused(1);
    assert!(said.contains("Secret prod/p-db") && said.contains("integrity: object"), "{said}");
    let kustomization = String::from_utf8(deployment.sandbox.read("kustomization.yaml")).unwrap();
    deployment.sandbox.write("kustomization.yaml", kustomization + "buildMetadata: [originAnnotations]\n");
    assert!(deployment.build(".", &FLAGS).text().contains("hunter2: #x"));
}

#[test]
fn a_weaker_check_is_a_choice_that_is_written_down() {
    let Some(deployment) = Deployment::new() else { return };
    let sandbox = &deployment.sandbox;
    // Sorted keys, so that kustomize's order is the file's.
    deployment.encrypted("s.yaml", "apiVersion: v1\nkind: Secret\nmetadata:\n    name: db\nstringData:\n    a: hunter2\n    b: two\n");
    sandbox.write("kustomization.yaml", "resources: [s.yaml]\ntransformers: [t.yaml]\n");
    let build = |integrity: &str| {
        sandbox.write("t.yaml", function("Decrypt", &format!("integrity: {integrity}\n")));
        deployment.build(".", &FLAGS)
    };
    assert!(build("object").text().contains("a: hunter2"));
    sandbox.write("kustomization.yaml", "resources: [s.yaml]\nnamespace: prod\ntransformers: [t.yaml]\n");
    let said = build("object").refused(1);
    assert!(said.contains("Secret prod/db: MAC mismatch"), "{said}");
    let done = build("values");
    assert!(done.err.contains("no MAC is checked"), "{}", done.err);
    assert!(done.text().contains("a: hunter2"));
    assert!(build("none").refused(1).contains("integrity is file, object or values"));
}

#[test]
fn a_value_that_was_rolled_back_is_noticed() {
    let Some(deployment) = Deployment::new() else { return };
    let sandbox = &deployment.sandbox;
    deployment.encrypted("s.yaml", SECRET);
    let old = String::from_utf8(sandbox.read("s.yaml")).unwrap();
    sandbox.kveil(["set", "s.yaml", "[\"stringData\"][\"password\"]", "\"second\""]).run().ok();
    let line = |text: &str| text.lines().find(|line| line.contains("password:")).unwrap().to_owned();
    let new = String::from_utf8(sandbox.read("s.yaml")).unwrap();
    sandbox.write("s.yaml", new.replace(&line(&new), &line(&old)));
    sandbox.write("kustomization.yaml", "resources: [s.yaml]\ntransformers: [t.yaml]\n");
    sandbox.write("t.yaml", function("Decrypt", ""));
    let said = deployment.build(".", &FLAGS).refused(1);
    assert!(said.contains("s.yaml: MAC mismatch"), "{said}");
    // A patch that puts an old token in is no value of the file.
    sandbox.write("s.yaml", &new);
    sandbox.write("p.yaml", format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: db}}\nstringData:\n{}\n", line(&old)));
    sandbox.write("kustomization.yaml", "resources: [s.yaml]\ntransformers: [t.yaml]\npatches: [{path: p.yaml}]\n");
    let said = deployment.build(".", &FLAGS).refused(1);
    assert!(said.contains("Secret db: an encrypted value isn't one of the file") && said.contains("stringData.password"), "{said}");
}

#[test]
fn a_forgotten_flag_skips_plugins_and_the_guard_notices() {
    let Some(deployment) = Deployment::new() else { return };
    tree(&deployment);
    let skipped = deployment.build(".", &LEGACY).text();
    assert!(skipped.contains("ENC["));
    let guarded = deployment.shell("set -o pipefail; kustomize build --enable-alpha-plugins . | kveil guard");
    let said = guarded.refused(1);
    for place in ["Secret prod/p-db, sops", "stringData.password", "data.conf.json", "data.sops_mac", "ConfigMap", "--enable-exec"] {
        assert!(said.contains(place), "{place}: {said}");
    }
    let passed = deployment.shell("set -o pipefail; kustomize build --enable-alpha-plugins --enable-exec . | kveil guard");
    assert_eq!(passed.ok(), deployment.build(".", &FLAGS).ok());
}

#[test]
fn the_validator_fails_where_ciphertext_is_left() {
    let Some(deployment) = Deployment::new() else { return };
    tree(&deployment);
    let sandbox = &deployment.sandbox;
    sandbox.write("guard.yaml", function("Guard", ""));
    sandbox.write("kustomization.yaml", "resources: [base]\nvalidators: [guard.yaml]\n");
    assert!(deployment.build(".", &FLAGS).refused(1).contains("Secret db, sops"));
    sandbox.write("kustomization.yaml", "resources: [base]\nvalidators: [guard.yaml]\ntransformers: [transformer.yaml]\n");
    assert!(deployment.build(".", &FLAGS).text().contains("hunter2: #x"));
    // kustomize adds annotations to what a function gives back, and then takes a validator for one that changed something,
    // unless another function ran before it. Among the transformers the guard works alone, too.
    sandbox.write("kustomization.yaml", "resources: [plain.yaml]\ntransformers: [guard.yaml]\n");
    sandbox.write("plain.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: 'c'}\n");
    deployment.build(".", &FLAGS).ok();
}

#[test]
fn what_cannot_be_decrypted_stops_the_build() {
    let Some(deployment) = Deployment::new() else { return };
    let sandbox = &deployment.sandbox;
    sandbox.write("kustomization.yaml", "generators: [g.yaml]\n");
    sandbox.write("g.yaml", function("Secrets", "files: [s.yaml]\n"));
    deployment.encrypted("s.yaml", SECRET);
    let good = String::from_utf8(sandbox.read("s.yaml")).unwrap();
    let fails = |text: &str, wanted: &str| {
        sandbox.write("s.yaml", text);
        let said = deployment.build(".", &FLAGS).refused(1);
        assert!(said.contains("s.yaml") && said.contains(wanted) && said.contains('→'), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    };
    let line = good.lines().find(|line| line.contains("user:")).unwrap();
    fails(&good.replace(line, "  user: alice"), "a value in clear where");
    fails(&good.replace(&format!("{line}\n"), ""), "MAC mismatch");
    fails(SECRET, "sops metadata not found");
    fails(&good.replace("-----BEGIN AGE", "-----BEGUN AGE"), "data key");
    fails(&good[..good.len() / 2], "s.yaml");
}

#[test]
fn what_is_wrong_is_said_of_the_file_below_the_root() {
    let Some(deployment) = Deployment::new() else { return };
    let sandbox = &deployment.sandbox;
    deployment.encrypted("overlays/eu/s.yaml", SECRET);
    let text = String::from_utf8(sandbox.read("overlays/eu/s.yaml")).unwrap();
    sandbox.write("overlays/eu/s.yaml", text.replace("name: db", "name: other"));
    sandbox.write("overlays/eu/g.yaml", function("Secrets", "files: [s.yaml]\n"));
    sandbox.write("overlays/eu/kustomization.yaml", "generators: [g.yaml]\n");
    sandbox.write("kustomization.yaml", "resources: [overlays/eu]\n");
    let said = deployment.build(".", &FLAGS).refused(1);
    assert!(said.contains("overlays/eu/s.yaml: MAC mismatch"), "{said}");
}

#[test]
fn a_generated_object_holds_no_ciphertext_unless_it_may() {
    let Some(deployment) = Deployment::new() else { return };
    let sandbox = &deployment.sandbox;
    let inner = "ENC[AES256_GCM,data:YQ==,iv:YQ==,tag:YQ==,type:str]";
    // In clear by a rule of the file, and so nothing that is decrypted.
    let plain = SECRET.replace("  user: alice", &format!("  user_unencrypted: \"{inner}\""));
    sandbox.write("s.yaml", plain);
    sandbox.kveil(["encrypt", "-i", "--age", RECIPIENT_1, "--encrypted-regex", "^password$", "s.yaml"]).run().ok();
    sandbox.write("g.yaml", function("Secrets", "files: [s.yaml]\n"));
    sandbox.write("kustomization.yaml", "generators: [g.yaml]\n");
    let said = deployment.build(".", &FLAGS).refused(1);
    assert!(said.contains("Secret db, data.user_unencrypted") && !said.contains("hunter2"), "{said}");
    let g = function(
        "Secrets",
        "secretFrom:\n- metadata:\n    name: c\n    annotations: {kveil.dev/allow-encrypted: later}\n  files: [s.yaml]\n",
    );
    sandbox.write("g.yaml", g);
    assert!(deployment.build(".", &FLAGS).text().contains("kind: Secret"));
}

#[test]
fn a_file_that_quotes_a_mac_is_not_taken_for_the_original() {
    let Some(deployment) = Deployment::new() else { return };
    let sandbox = &deployment.sandbox;
    deployment.encrypted("s.yaml", SECRET);
    let text = String::from_utf8(sandbox.read("s.yaml")).unwrap();
    let mac = text.lines().find_map(|line| line.trim().strip_prefix("mac: ")).unwrap();
    sandbox.write("a.md", format!("The mac was {mac}.\n"));
    sandbox.write("a.patch", text.lines().map(|line| format!("+{line}\n")).collect::<String>());
    sandbox.write("a.yaml", format!("mac: \"{mac}\"\n"));
    sandbox.write("decrypt.yaml", function("Decrypt", ""));
    sandbox.write("kustomization.yaml", "resources: [s.yaml]\ntransformers: [decrypt.yaml]\n");
    assert!(deployment.build(".", &FLAGS).text().contains("user: alice"));
}

#[test]
fn no_file_outside_of_the_repository_is_read() {
    let Some(deployment) = Deployment::new() else { return };
    let sandbox = &deployment.sandbox;
    deployment.encrypted("s.yaml", SECRET);
    let outside = sandbox.home().join("s.yaml");
    std::fs::rename(sandbox.path("s.yaml"), &outside).unwrap();
    link(
        &outside,
        &sandbox
            .path("app/link.yaml")
            .parent()
            .map(|folder| std::fs::create_dir(folder).map(|()| folder.join("link.yaml")).unwrap())
            .unwrap(),
    );
    sandbox.write("app/kustomization.yaml", "generators: [g.yaml]\n");
    for path in ["link.yaml", "../../home/s.yaml", outside.to_str().unwrap()] {
        sandbox.write("app/g.yaml", function("Secrets", &format!("files: [{path}]\n")));
        let said = deployment.build("app", &FLAGS).refused(1);
        assert!(said.contains(&format!("{path}: the file lies outside of")), "{said}");
    }
    // Without git the current directory is a guess, and `..` leads out of it with a warning; a link doesn't.
    std::fs::remove_dir_all(sandbox.path(".git")).unwrap();
    assert!(deployment.build("app", &FLAGS).refused(1).contains("KVEIL_ROOT names the root"));
    sandbox.write("app/g.yaml", function("Secrets", "files: [../../home/s.yaml]\n"));
    let done = deployment.build("app", &FLAGS);
    assert!(done.err.contains("../../home/s.yaml lies outside of"), "{}", done.err);
    assert!(done.text().contains("aHVudGVyMjogI3g="));
    sandbox.write("app/g.yaml", function("Secrets", "files: [link.yaml]\n"));
    assert!(deployment.build("app", &FLAGS).refused(1).contains("outside of"));
    let done =
        deployment.shell(&format!("KVEIL_ROOT={} kustomize build {} app", sandbox.home().parent().unwrap().display(), FLAGS.join(" ")));
    assert!(done.text().contains("aHVudGVyMjogI3g="));
}

#[test]
fn a_failure_is_a_result_and_no_object() {
    let sandbox = Sandbox::with_identity();
    let list = "apiVersion: config.kubernetes.io/v1\nkind: ResourceList\nitems: []\nfunctionConfig: {apiVersion: kveil.dev/v1, kind: Secrets, files: [no.yaml]}\n";
    let done = sandbox.kveil(["krm"]).stdin(list).run();
    assert_eq!(done.code, 100);
    let out = String::from_utf8(done.out).unwrap();
    assert!(
        out.contains("items: []\nresults:\n- {\"message\": \"no.yaml: no such file") && out.contains("\"severity\": \"error\""),
        "{out}"
    );
    for (input, wanted) in [
        ("", "ResourceList"),
        ("kind: ResourceList\n", "no functionConfig"),
        ("kind: ResourceList\nfunctionConfig: {kind: X}\n", "kveil.dev/v1 Secrets"),
    ] {
        let done = sandbox.kveil(["krm"]).stdin(input).run();
        assert!(done.code != 0 && done.err.contains(wanted), "{}", done.err);
    }
}

#[test]
fn legacy_plugins_come_and_go_and_others_stay() {
    let sandbox = Sandbox::new();
    let plugin = sandbox.home().join(".config/kustomize/plugin/viaduct.ai/v1/ksops/ksops");
    let install = |flags: &[&str]| sandbox.kveil(["kustomize", "install-legacy"]).args(flags).run();
    assert!(install(&["--print"]).text().contains("kveil.dev/v1/decrypt/Decrypt → "));
    assert!(!plugin.exists());
    install(&[]).ok();
    install(&[]).ok();
    assert!(plugin.is_symlink());
    install(&["--uninstall"]).ok();
    assert!(!plugin.is_symlink());
    std::fs::write(&plugin, "#!/bin/sh\n").unwrap();
    assert!(install(&[]).refused(1).contains("--force replaces it"));
    install(&["--force"]).ok();
    assert!(plugin.is_symlink());
    // The link leads to the name in the search path: that of the program itself may have its version in it.
    sandbox.shell("kveil kustomize install-legacy --force").run().ok();
    assert_eq!(std::fs::read_link(&plugin).unwrap(), sandbox.home().parent().unwrap().join("bin/kveil"));
    sandbox.shell("kveil kustomize install-legacy && kveil kustomize install-legacy --uninstall").run().ok();
    assert!(!plugin.is_symlink());
}

#[test]
fn the_program_installs_itself_under_the_name_it_has() {
    let sandbox = Sandbox::new();
    link(&program(), &sandbox.path("ksops"));
    sandbox.shell("./ksops install --help >/dev/null && ./ksops install tools").run().ok();
    sandbox.shell("kveil install tools && tools/kveil --version && ./ksops install other/ksops").run().ok();
    assert_eq!(sandbox.listing(), ["ksops", "other", "other/ksops", "tools", "tools/ksops", "tools/kveil"]);
}
