//! Argo CD: the plugin, and what it renders: never nothing, never ciphertext.
#![cfg(all(unix, feature = "age"))]

mod sandbox;

use sandbox::{RECIPIENT_1, Sandbox, tool};
use yaml_rust2::YamlLoader;

const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: app\nstringData:\n  password: correct-horse-9\n";
const CONFIG: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: config\ndata:\n  a: b";

/// An application's directory with an encrypted Secret.
fn application() -> Sandbox {
    let sandbox = Sandbox::with_identity();
    sandbox.write("secret.yaml", SECRET);
    sandbox.kveil(["encrypt", "-i", "--age", RECIPIENT_1, "secret.yaml"]).run().ok();
    sandbox
}

/// The objects that are rendered.
fn objects(text: &str) -> Vec<String> {
    let documents = YamlLoader::load_from_str(text).unwrap();
    documents.iter().filter_map(|object| Some(format!("{} {}", object["kind"].as_str()?, object["metadata"]["name"].as_str()?))).collect()
}

#[test]
fn plain_files_are_rendered_in_clear_and_apart() {
    let sandbox = application();
    sandbox.write("config.yaml", CONFIG);
    sandbox.write("list.json", "{\"apiVersion\": \"v1\", \"kind\": \"ServiceAccount\", \"metadata\": {\"name\": \"sa\"}}");
    sandbox.write(".sops.yaml", "creation_rules: []\n");
    sandbox.write("values.yaml", "a: b\n");
    sandbox.write("off.yaml", "# +argocd:skip-file-rendering\napiVersion: v1\nkind: Namespace\nmetadata: {name: off}\n");
    sandbox.write("below/more.yaml", CONFIG.replace("name: config", "name: more"));
    let text = sandbox.kveil(["argocd", "generate"]).run().text();
    assert_eq!(objects(&text), ["ConfigMap config", "ServiceAccount sa", "Secret app"]);
    assert!(text.contains("password: correct-horse-9\n") && !text.contains("ENC["));
    let deeper = sandbox.kveil(["argocd", "generate", "--recurse"]).run().text();
    assert_eq!(objects(&deeper).len(), 4, "{deeper}");
}

#[test]
fn a_link_stands_for_its_file_and_git_ignores_nothing_that_was_committed() {
    let sandbox = application();
    sandbox
        .shell("git init -q && mkdir app && mv secret.yaml base.yaml && ln -s ../base.yaml app/linked.yaml && ln -s .. app/up.yaml")
        .run()
        .ok();
    sandbox.write("app/ignored.yaml", CONFIG);
    sandbox.write(".gitignore", "ignored.yaml\n");
    let text = sandbox.shell("cd app && kveil argocd generate").run().text();
    assert_eq!(objects(&text), ["ConfigMap config", "Secret app"]);
    assert_eq!(sandbox.shell("cd app && kveil argocd discover").run().text(), "linked.yaml\n");
    for (outside, why) in [("/etc/hostname", "lies outside of"), ("none.yaml", "no such file")] {
        sandbox.shell(&format!("ln -sf {outside} app/out.yaml")).run().ok();
        let said = sandbox.shell("cd app && kveil argocd generate").run().refused(if why == "no such file" { 100 } else { 1 });
        assert!(said.contains("out.yaml") && said.contains(why), "{said}");
        assert_eq!(sandbox.shell("cd app && kveil argocd discover").run().text(), "linked.yaml\n");
    }
}

#[test]
fn neither_nothing_nor_ciphertext_is_ever_rendered() {
    let sandbox = Sandbox::with_identity();
    assert!(sandbox.kveil(["argocd", "generate"]).run().refused(1).contains("no manifests"));
    sandbox.write("README.md", "x");
    sandbox.write("values.yaml", "a: b\n");
    sandbox.kveil(["argocd", "generate"]).run().refused(1);
    // Ciphertext hidden in base64, which no decryption of the file sees.
    let inner = sandbox.shell("printf 'a: b\\n' >i.yaml; kveil encrypt --age age1av6p2hqexw2pns6mrpvn75e4a6rcfc8qqu4zt6eatgrz94744d2qxdhljc i.yaml 2>/dev/null | base64 -w0");
    let inner = inner.run().text();
    sandbox.write("hidden.yaml", format!("apiVersion: v1\nkind: Secret\nmetadata:\n  name: x\ndata:\n  i: {inner}\n"));
    sandbox.kveil(["argocd", "generate"]).run().refused(1);
    // Without a key, and with a file that was tampered with.
    let sandbox = application();
    sandbox.write("config.yaml", CONFIG);
    sandbox.kveil(["argocd", "generate"]).env("HOME", sandbox.tmp()).run().refused(128);
    let text = String::from_utf8(sandbox.read("secret.yaml")).unwrap();
    sandbox.write("secret.yaml", text.replace("name: app", "name: other"));
    assert!(sandbox.kveil(["argocd", "generate"]).run().refused(51).contains("secret.yaml"));
    sandbox.write("secret.yaml", "a: [");
    sandbox.kveil(["argocd", "generate"]).run().refused(2);
}

#[test]
fn a_kustomization_is_built() {
    let Some(kustomize) = tool("kustomize") else { return };
    let sandbox = application();
    sandbox.write("kustomization.yaml", "resources: [secret.yaml]\nnamePrefix: p-\n");
    let path = std::env::join_paths(
        [kustomize.parent().unwrap().to_owned()].into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    let path = path.unwrap();
    let generate = |sandbox: &Sandbox| sandbox.kveil(["argocd", "generate"]).env("PATH", &path).run();
    let text = generate(&sandbox).text();
    assert_eq!(objects(&text), ["Secret p-app"]);
    assert!(!text.contains("ENC["));
    sandbox.write("kustomization.yaml", "resources: [secret.yaml, none.yaml]\n");
    let failed = generate(&sandbox);
    assert!(failed.code != 0 && failed.out.is_empty() && failed.err.contains("none.yaml"), "{}", failed.err);
    sandbox.write("Chart.yaml", "apiVersion: v2\nname: c\nversion: 0.1.0\n");
    assert!(generate(&sandbox).refused(1).contains("--tool"));
    // What renders goes by the same flags.
    let show = sandbox.write("tools/show", "#!/bin/sh\necho \"$KVEIL_OFFLINE $SOPS_DECRYPTION_ORDER\" >&2; exit 1\n");
    std::fs::set_permissions(&show, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    sandbox::link(&show, &sandbox.path("tools/kustomize"));
    sandbox.write("kustomization.yaml", "resources: [secret.yaml]\n");
    for tool in ["kustomize", "helm"] {
        let flags = ["argocd", "generate", "--offline", "--decryption-order", "pgp,age", "--tool", tool];
        let call = sandbox.kveil(flags).env("HELM_BIN", &show).env("PATH", sandbox.path("tools")).env("ARGOCD_APP_NAME", "x");
        let said = call.run().refused(1);
        assert!(said.contains("true pgp,age"), "{tool}: {said}");
    }
}

#[test]
fn a_chart_is_rendered_with_its_encrypted_values() {
    let (Some(helm), sandbox) = (tool("helm3"), Sandbox::with_identity()) else { return };
    sandbox.write("Chart.yaml", "apiVersion: v2\nname: c\nversion: 0.1.0\n");
    sandbox.write(
        "templates/s.yaml",
        SECRET.replace("correct-horse-9", "{{ .Values.password | quote }}").replace("name: app", "name: {{ .Release.Name }}"),
    );
    sandbox.write("secrets.yaml", "password: correct-horse-9\n");
    sandbox.kveil(["encrypt", "-i", "--age", RECIPIENT_1, "secrets.yaml"]).run().ok();
    let call = sandbox
        .kveil(["argocd", "generate"])
        .env("HELM_BIN", helm)
        .env("ARGOCD_APP_NAME", "web")
        .env("KUBE_VERSION", "1.29.4")
        .env("KUBE_API_VERSIONS", "v1,monitoring.coreos.com/v1")
        .env("ARGOCD_ENV_VALUES_FILES", "secrets.yaml");
    sandbox.write(
        "templates/m.yaml",
        "{{ if .Capabilities.APIVersions.Has \"monitoring.coreos.com/v1\" }}\nkind: ServiceMonitor\napiVersion: monitoring.coreos.com/v1\nmetadata: {name: m, labels: {v: {{ .Capabilities.KubeVersion.Version }}}}\n{{ end }}\n",
    );
    let text = call.run().text();
    assert_eq!(objects(&text), ["Secret web", "ServiceMonitor m"]);
    assert!(text.contains("v1.29.4"));
    assert!(text.contains("correct-horse-9"));
}

#[test]
fn encrypted_files_are_discovered() {
    let sandbox = application();
    assert_eq!(sandbox.kveil(["argocd", "discover"]).run().text(), "secret.yaml\n");
    let none = Sandbox::new();
    none.write("a.yaml", CONFIG);
    assert_eq!(none.kveil(["argocd", "discover"]).run().text(), "");
}

#[test]
fn the_plugin_and_the_patch_fit_together() {
    let sandbox = Sandbox::new();
    let load = |arguments: &[&str]| {
        let text = sandbox.kveil([&["argocd", "plugin"], arguments].concat()).run().text();
        YamlLoader::load_from_str(&text).unwrap().remove(0)
    };
    let (map, patch) = (load(&[]), load(&["--patch"]));
    let plugin = YamlLoader::load_from_str(map["data"]["plugin.yaml"].as_str().unwrap()).unwrap().remove(0);
    assert_eq!(plugin["kind"].as_str(), Some("ConfigManagementPlugin"));
    assert_eq!(plugin["spec"]["generate"]["command"][2].as_str(), Some("generate"));
    let spec = &patch["spec"]["template"]["spec"];
    let volumes: Vec<&str> = spec["volumes"].as_vec().unwrap().iter().map(|volume| volume["name"].as_str().unwrap()).collect();
    let mounted = |container: &yaml_rust2::Yaml| -> Vec<String> {
        container["volumeMounts"].as_vec().unwrap().iter().map(|mount| mount["name"].as_str().unwrap().to_owned()).collect()
    };
    // These two are the repo-server's own.
    let known = |name: &String| ["var-files", "plugins"].contains(&name.as_str()) || volumes.contains(&name.as_str());
    assert!(mounted(&spec["containers"][0]).iter().chain(&mounted(&spec["initContainers"][0])).all(known));
    assert_eq!(spec["volumes"][0]["configMap"]["name"].as_str(), map["metadata"]["name"].as_str());
    assert_eq!(spec["containers"][0]["securityContext"]["runAsUser"].as_i64(), Some(999));
    assert!(volumes.contains(&"kveil-key"));
    // Of root, in a pod without fsGroup: the user 999 reads what all may read.
    let key = spec["volumes"].as_vec().unwrap().iter().find(|volume| volume["name"].as_str() == Some("kveil-key")).unwrap();
    assert_eq!(key["secret"]["defaultMode"].as_i64().map(|mode| mode & 0o444), Some(0o444));
    let cloud = load(&["--patch", "--key-secret="]);
    assert!(
        !cloud["spec"]["template"]["spec"]["volumes"].as_vec().unwrap().iter().any(|volume| volume["name"].as_str() == Some("kveil-key"))
    );
    // Nothing but what is mounted can be written.
    assert_eq!(spec["containers"][0]["securityContext"]["readOnlyRootFilesystem"].as_bool(), Some(true));
    for bad in ["--name=a\nb: c", "--name=-a", "--name=", "--namespace=A", "--key-secret=A", "--image=a b"] {
        sandbox.kveil(["argocd", "plugin", bad]).run().refused(1);
    }
}
