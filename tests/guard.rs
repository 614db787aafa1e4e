//! `kveil guard`: rendered manifests pass as they are, or not at all.

mod sandbox;

use sandbox::{Sandbox, cases};

const ENC: &str = "ENC[AES256_GCM,data:YQ==,iv:YQ==,tag:YQ==,type:str]";

#[test]
fn clean_manifests_pass_byte_for_byte() {
    let sandbox = Sandbox::new();
    let text = "# kept\napiVersion: v1\nkind: Secret\nmetadata: {name: a}   # odd\ndata: {k: 'aHVudGVyMg=='}\n---\n\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\r\n";
    assert_eq!(sandbox.kveil(["guard"]).stdin(text).run().text(), text);
    sandbox.write("m.yaml", text);
    assert_eq!(sandbox.kveil(["guard", "m.yaml"]).run().text(), text);
}

#[test]
fn ciphertext_does_not_pass() {
    let sandbox = Sandbox::new();
    for case in ["secret_opaque_data", "multidoc_configmap_secret", "k8s_list_kind", "secret_tls"] {
        let text = std::fs::read(cases().join(case).join("encrypted.yaml")).unwrap();
        assert!(sandbox.kveil(["guard"]).stdin(text).run().refused(1).contains("ciphertext is left"), "{case}");
    }
    let text = format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: a}}\ndata: {{k: \"{ENC}\"}}\n");
    let said = sandbox.kveil(["guard"]).stdin(text.as_str()).run().refused(1);
    assert!(said.contains("Secret a, data.k: an encrypted value") && said.contains("kveil.dev/allow-encrypted"), "{said}");
    let allowed = text.replace("{name: a}", "{name: a, annotations: {kveil.dev/allow-encrypted: opened by the app}}");
    let done = sandbox.kveil(["guard"]).stdin(allowed.as_str()).run();
    assert!(done.err.contains("Secret a: opened by the app"), "{}", done.err);
    assert_eq!(done.text(), allowed);
}

#[test]
fn nothing_does_not_pass_unless_it_may() {
    let sandbox = Sandbox::new();
    for text in ["", "---\n", "# only a comment\n"] {
        assert!(sandbox.kveil(["guard"]).stdin(text).run().refused(1).contains("there are no manifests"));
        assert_eq!(sandbox.kveil(["guard", "--allow-empty"]).stdin(text).run().text(), text);
    }
    sandbox.kveil(["guard"]).stdin("a: [\n").run().refused(2);
}
