//! Flux: which files of a tree it decrypts, and the Secret with its key.
#![cfg(all(unix, feature = "age"))]

mod sandbox;

use sandbox::{IDENTITY_1, RECIPIENT_1, Sandbox};

const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: app\nstringData:\n  password: correct-horse-9\n";

/// A tree whose `files` are encrypted, and a kustomization.
fn tree(files: &[(&str, &str)], kustomization: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    for (name, text) in files {
        sandbox.write(name, text);
        sandbox
            .sops(["--encrypt", "--in-place", "--age", RECIPIENT_1, "--encrypted-regex", "^(data|stringData|password|A)$", name])
            .run()
            .ok();
    }
    if !kustomization.is_empty() {
        sandbox.write("kustomization.yaml", kustomization);
    }
    sandbox
}

#[track_caller]
fn told(sandbox: &Sandbox, code: i32) -> String {
    let done = sandbox.kveil(["flux", "check"]).run();
    let text = String::from_utf8(done.out).unwrap();
    assert_eq!(done.code, code, "{text}{}", done.err);
    text
}

#[test]
fn what_flux_decrypts_is_said_with_the_step() {
    let files = [
        ("secret.yaml", SECRET),
        ("base/other.yaml", SECRET),
        ("conf.enc.yaml", "password: x-y-z-9\n"),
        ("app.env", "A=b-c-d-9\n"),
        ("patch.yaml", &SECRET.replace("name: app", "name: plain")),
    ];
    let sandbox = tree(
        &files,
        "resources:\n- secret.yaml\n- base\n- https://example.invalid/x?ref=v1\nsecretGenerator:\n- name: a\n  files: [config.yaml=conf.enc.yaml]\n  envs: [app.env]\npatches: [{path: patch.yaml}]\n",
    );
    sandbox.write("base/kustomization.yaml", "resources: [other.yaml]\n");
    let text = told(&sandbox, 0);
    assert!(text.contains("secret.yaml: decrypted (resources of kustomization.yaml)"), "{text}");
    assert!(text.contains("base/other.yaml: decrypted (resources of base/kustomization.yaml)"), "{text}");
    assert_eq!(text.matches(": decrypted (").count(), 5, "{text}");
}

#[test]
fn what_flux_passes_on_encrypted_is_found() {
    type Case<'c> = (&'c [(&'c str, &'c str)], &'c str, &'c str);
    let cases: [Case<'_>; 6] = [
        (&[("c.yaml", "password: x\n")], "configMapGenerator:\n- name: a\n  files: [c.yaml]\n", "decrypts no files here"),
        (&[("c.enc.yaml", "password: x\n")], "secretGenerator:\n- name: a\n  files: [config=c.enc.yaml]\n", "the name says binary"),
        (&[("s.yaml", SECRET)], "patchesStrategicMerge: [s.yaml]\n", "decrypts no files here"),
        (&[("values.yaml", "password: x\n")], "resources: [values.yaml]\n", "isn't an object"),
        (
            &[("s.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData:\n  n: 5\n")],
            "resources: [s.yaml]\n",
            "decrypts to a number",
        ),
        (
            &[(
                "s.yaml",
                "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Secret\n  metadata: {name: a}\n  stringData: {p: q}\n",
            )],
            "resources: [s.yaml]\n",
            "drops its sops block",
        ),
    ];
    for (files, kustomization, word) in cases {
        let text = told(&tree(files, kustomization), 1);
        assert!(text.contains("not decrypted") && text.contains(word) && text.contains("  → "), "{word}: {text}");
    }
}

#[test]
fn a_document_without_its_own_block_is_found() {
    let sandbox = tree(&[("s.yaml", SECRET)], "resources: [s.yaml]\n");
    let text = String::from_utf8(sandbox.read("s.yaml")).unwrap();
    let object = text.split("\nsops:\n").next().unwrap();
    sandbox.write("s.yaml", format!("{text}---\n{object}\n"));
    assert!(told(&sandbox, 1).contains("no sops block in its own document"));
}

#[test]
fn without_a_kustomization_all_manifests_count_and_others_do_not() {
    let sandbox = tree(&[("a/secret.yaml", SECRET), ("app.env", "A=b-c-d-9\n")], "");
    let text = told(&sandbox, 0);
    assert!(text.contains("a/secret.yaml: decrypted (resources of the kustomization that Flux makes)"), "{text}");
    assert!(text.contains("app.env: not read: nothing refers to it"), "{text}");
    let json = sandbox.kveil(["flux", "check", "--format", "json"]).run().text();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["files"][0]["decrypted"], true);
    assert_eq!(json["files"][1]["step"], serde_json::Value::Null);
    assert_eq!(sandbox.kveil(["flux", "check", "none"]).run().code, 2);
}

#[test]
fn opted_out_is_said_and_no_link_leads_out() {
    let secret = SECRET.replace("  name: app\n", "  name: app\n  annotations: {kustomize.toolkit.fluxcd.io/decrypt: disabled}\n");
    assert!(told(&tree(&[("s.yaml", &secret)], "resources: [s.yaml]\n"), 1).contains("take the annotation away"));
    let sandbox = tree(&[], "resources: [../home/out.yaml, link.yaml]\n");
    std::fs::write(sandbox.home().join("out.yaml"), "ENC[AES256_GCM,data:x,iv:x,tag:x,type:str]").unwrap();
    sandbox::link(&sandbox.home().join("out.yaml"), &sandbox.path("link.yaml"));
    assert_eq!(told(&sandbox, 0), "");
}

#[test]
fn the_key_comes_from_a_file_or_a_pipe() {
    let sandbox = Sandbox::new();
    let keys = format!("# created: today\n{IDENTITY_1}\n");
    sandbox.write("keys.txt", &keys);
    let of_file = sandbox.kveil(["flux", "secret", "keys.txt", "-n", "apps"]).run().text();
    let of_pipe = sandbox.kveil(["flux", "secret", "--namespace", "apps"]).stdin(keys.clone()).run().text();
    assert_eq!(of_file, of_pipe);
    let document = yaml_rust2::YamlLoader::load_from_str(&of_file).unwrap().remove(0);
    assert_eq!((document["kind"].as_str(), document["metadata"]["name"].as_str()), (Some("Secret"), Some("sops-age")));
    assert_eq!(document["metadata"]["namespace"].as_str(), Some("apps"));
    sandbox.write("encoded", document["data"]["age.agekey"].as_str().unwrap());
    assert_eq!(sandbox.shell("base64 -d encoded").run().text(), keys);
    for text in ["", "# nothing\n", RECIPIENT_1, "hunter2-key\n"] {
        let error = sandbox.kveil(["flux", "secret"]).stdin(text).run().refused(2);
        assert!(error.contains("expected age identities") && !error.contains("hunter2"), "{error}");
    }
    for name in ["--name=A", "--name=a b", "--name=", "--name=a\nb: c", "--namespace=a.b", "--namespace=-a"] {
        let error = sandbox.kveil(["flux", "secret", "keys.txt", name]).run().refused(2);
        assert!(error.contains("is no name of a Secret"), "{error}");
    }
    assert!(sandbox.kveil(["flux", "secret", "keys.txt", "--name=a.b"]).run().text().contains("name: \"a.b\""));
    assert_eq!(sandbox.kveil(["flux", "secret", IDENTITY_1]).run().code, 2);
}

/// A repository with two Kustomizations of Flux, of which one decrypts, and a folder of its own for each.
fn repository() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.shell("git init -q").run().ok();
    let of = |name: &str, rest: &str| {
        format!(
            "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: {name}}}\nspec:\n  path: ./apps/{name}\n{rest}"
        )
    };
    sandbox.write("clusters/one.yaml", of("one", "  decryption: {provider: sops}\n"));
    sandbox.write("clusters/two.yaml", of("two", ""));
    for app in ["one", "two"] {
        let file = format!("apps/{app}/c.yaml");
        sandbox.write(&file, "password: hunter2-x\n");
        sandbox.sops(["--encrypt", "--in-place", "--age", RECIPIENT_1, &file]).run().ok();
        sandbox.write(&format!("apps/{app}/kustomization.yaml"), "configMapGenerator: [{name: a, files: [c.yaml]}]\n");
    }
    sandbox
}

/// File and rule of each finding of Flux's.
fn found(sandbox: &Sandbox, arguments: &[&str], folder: &str) -> Vec<(String, String)> {
    let done = sandbox.kveil(["check", "--target", "flux", "--format", "json"]).args(arguments).within(sandbox.path(folder)).run();
    let report: serde_json::Value = serde_json::from_slice(&done.out).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let all = report["findings"].as_array().unwrap().iter().map(|finding| (text(&finding["file"]), text(&finding["rule"])));
    let flux: Vec<_> = all.filter(|(_, rule)| rule.starts_with("KV5")).collect();
    assert_eq!(done.code, i32::from(!flux.is_empty()), "{}", done.err);
    flux
}

#[test]
fn check_begins_where_kustomizations_of_flux_point() {
    let sandbox = repository();
    let one = |name: &str| vec![(name.to_owned(), "KV501".to_owned())];
    assert_eq!(found(&sandbox, &[], ""), one("apps/one/c.yaml"));
    assert_eq!(found(&sandbox, &["../clusters"], "apps"), one("one/c.yaml"));
    // Without one among the files, the folder itself.
    assert_eq!(found(&sandbox, &["apps/two"], ""), one("apps/two/c.yaml"));
    assert_eq!(found(&sandbox, &["."], "apps/two"), one("c.yaml"));
    let plain = sandbox.kveil(["check"]).run().text();
    assert!(!plain.contains("KV5"), "{plain}");
    assert_eq!(sandbox.kveil(["check", "--target", "flux", "--staged"]).run().code, 2);
    let sarif = sandbox.kveil(["check", "--target", "flux", "--format", "sarif"]).run();
    assert!(String::from_utf8(sarif.out).unwrap().contains("\"KV501\""));
}

#[test]
fn every_rule_of_flux_fires() {
    type Case<'c> = (&'c str, &'c [(&'c str, &'c str)], &'c str);
    let disabled = SECRET.replace("  name: app\n", "  name: app\n  annotations: {kustomize.toolkit.fluxcd.io/decrypt: disabled}\n");
    let large = format!("#{}\nA=b-c-d-9\n", "x".repeat(6 << 20));
    let inline = "resources: [s.yaml]\npatches:\n- patch: |-\n    apiVersion: v1\n    kind: Secret\n    metadata: {name: app}\n    data: {a: Yg==}\n    stringData: {a: b}\n";
    let cases: [Case<'_>; 8] = [
        ("KV501", &[("c.yaml", "password: x\n")], "configMapGenerator: [{name: a, files: [c.yaml]}]\n"),
        ("KV502", &[("c.enc.yaml", "password: x\n")], "secretGenerator: [{name: a, files: [config=c.enc.yaml]}]\n"),
        ("KV503", &[("values.yaml", "password: x\n")], "resources: [values.yaml]\n"),
        ("KV504", &[("s.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData:\n  n: 5\n")], "resources: [s.yaml]\n"),
        ("KV505", &[("app.env", &large)], "secretGenerator: [{name: a, envs: [app.env]}]\n"),
        ("KV506", &[("s.yaml", &disabled)], "resources: [s.yaml]\n"),
        ("KV507", &[("s.yaml", SECRET)], inline),
        ("KV508", &[("a/s.yaml", SECRET)], "resources: [a]\n"),
    ];
    for (rule, files, kustomization) in cases {
        let found = found(&tree(files, kustomization), &[], "");
        assert!(found.len() == 1 && found[0].1 == rule, "{rule}: {found:?}");
    }
}

#[test]
fn exceptions_and_stronger_rules_count_for_flux_too() {
    let sandbox = repository();
    let text = String::from_utf8(sandbox.read("apps/one/c.yaml")).unwrap();
    sandbox.write("apps/one/c.yaml", format!("# kveil-ignore: KV501 it is read by our own program\n{text}"));
    assert_eq!(found(&sandbox, &[], ""), []);
    // What another rule says of an object isn't said twice.
    let list = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Secret\n  metadata: {name: a}\n  stringData: {p: q-r-s}\n";
    let sandbox = tree(&[("s.yaml", list)], "resources: [s.yaml]\n");
    let done = sandbox.kveil(["check", "--target", "flux"]).run();
    let text = String::from_utf8(done.out).unwrap();
    assert!(done.code == 1 && text.contains("KV318") && !text.contains("KV503"), "{text}");
}
