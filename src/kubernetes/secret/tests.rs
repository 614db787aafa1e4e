//! The default for files of each kind, and every refusal.

use super::*;
use crate::document::yaml;

fn select(text: &str) -> Result<Default> {
    default_selection(&yaml::parse(text).unwrap_or_else(|error| panic!("{error}")))
}

fn pattern(text: &str) -> String {
    match select(text) {
        Ok(Default::Pattern(pattern)) => pattern,
        Ok(Default::SopsDefault) => "everything".to_owned(),
        Err(error) => panic!("{error}"),
    }
}

fn refused(text: &str) -> Error {
    let error = select(text).err().unwrap_or_else(|| panic!("accepted: {text}"));
    assert_eq!(error.kind, Kind::Generic);
    assert!(!error.hints.is_empty());
    error
}

const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: b}\n";
const CONFIG_MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: b}\n";
const RELEASE: &str = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: r}\nspec: {values: {data: x}}\n";

#[test]
fn each_known_kind_has_its_pattern() {
    let cases = [
        ("v1", "Secret", "^(data|stringData)$"),
        ("v1", "ConfigMap", "^(data|binaryData)$"),
        ("apiserver.config.k8s.io/v1", "EncryptionConfiguration", "^(secret)$"),
        ("v1", "EncryptionConfig", "^(secret)$"),
        ("v1", "Config", "^(users)$"),
        ("helm.toolkit.fluxcd.io/v2", "HelmRelease", "^(values)$"),
        ("argoproj.io/v1alpha1", "Application", "^(values|valuesObject|parameters)$"),
        ("argoproj.io/v1alpha1", "ApplicationSet", "^(values|valuesObject|parameters)$"),
    ];
    for (version, kind, expected) in cases {
        assert_eq!(pattern(&format!("apiVersion: {version}\nkind: {kind}\nmetadata: {{name: x}}\n")), expected);
    }
}

#[test]
fn what_is_no_object_is_left_to_sops() {
    for text in
        ["password: x\n", "kind: Secret\n", "machine: {a: b}\n", "version: v1alpha1\na: b\n", "---\na: 1\n---\nb: 2\n", "---\n---\n"]
    {
        assert_eq!(pattern(text), "everything", "{text}");
    }
}

#[test]
fn other_kinds_are_refused_by_name() {
    let error = refused("# web\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\n");
    assert!(error.message.starts_with("Deployment web: there is no default"), "{error}");
    assert!(error.message.contains("apiVersion, kind or metadata"));
    assert!(error.hints[0].contains("--encrypted-regex"));
    assert_eq!(error.position.map(|at| (at.line, at.column)), Some((2, 1)));
    // The kinds of the table count in their own groups only.
    refused("apiVersion: example.org/v1\nkind: Secret\n");
    refused("apiVersion: app.k8s.io/v1beta1\nkind: Application\n");
    refused("apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nspec: {data: []}\n");
}

#[test]
fn lists_are_refused_with_the_way_out() {
    for kind in ["List", "SecretList"] {
        let error = refused(&format!("apiVersion: v1\nkind: {kind}\nitems: []\n"));
        assert!(error.message.contains("items of a list"), "{error}");
        assert!(error.hints[0].contains("split the list into documents"));
    }
}

#[test]
fn talos_is_refused_with_a_rule() {
    for text in ["version: v1alpha1\nmachine: {token: x}\n", "machine: {token: x}\ncluster: {secret: y}\n"] {
        let error = refused(text);
        assert!(error.message.contains("Talos"), "{error}");
        assert!(error.hints[1].starts_with("encrypted_regex: ^(crt|key|token|secret|"));
    }
}

#[test]
fn several_objects_get_the_union_in_the_order_of_the_table() {
    assert_eq!(pattern(&format!("{SECRET}---\n{SECRET}")), "^(data|stringData)$");
    assert_eq!(pattern(&format!("---\n{CONFIG_MAP}---\n# nothing\n---\n{SECRET}---\n")), "^(data|stringData|binaryData)$");
    assert_eq!(pattern(&format!("{RELEASE}---\n{SECRET}")), "^(data|stringData|values)$");
}

#[test]
fn a_union_that_takes_more_than_an_object_needs_is_refused() {
    let release = RELEASE.replace("spec:", "data: {x: y}\nspec:");
    assert_eq!(pattern(&release), "^(values)$");
    let error = refused(&format!("{SECRET}---\n{release}"));
    assert_eq!(error.key_path.as_deref(), Some("data"));
    assert_eq!(error.position.map(|at| at.line), Some(9));
    assert!(error.message.starts_with("HelmRelease r: "), "{error}");
    // At any depth, in lists and through aliases.
    for inside in ["spec: {chart: [{stringData: x}]}", "x: &x {stringData: y}\nspec: {values: *x, other: *x}"] {
        refused(&format!("{SECRET}---\n{}", RELEASE.replace("spec: {values: {data: x}}", inside)));
    }
}

#[test]
fn labels_and_annotations_named_like_secret_keys_are_refused() {
    for metadata in ["{annotations: {data: x}}", "{name: a, labels: {stringData: x}}"] {
        let error = refused(&format!("apiVersion: v1\nkind: Secret\nmetadata: {metadata}\n"));
        assert!(error.message.contains("metadata too") && error.key_path.is_some(), "{error}");
    }
    assert_eq!(pattern("apiVersion: v1\nkind: Secret\nmetadata: {annotations: {dates: x}}\n"), "^(data|stringData)$");
}

#[test]
fn mixed_files_are_refused() {
    let error = refused(&format!("{SECRET}---\npassword: x\n"));
    assert!(error.message.contains("no Kubernetes object"), "{error}");
    assert_eq!(error.position.map(|at| at.line), Some(6));
    let error = refused(&format!("{SECRET}---\napiVersion: v1\nkind: Service\nmetadata: {{name: web}}\n"));
    assert!(error.message.starts_with("Service web: "), "{error}");
    assert!(error.hints.iter().any(|hint| hint.contains("files of their own")));
}

#[test]
fn no_value_of_the_file_is_in_an_error() {
    for text in [format!("{SECRET}---\npassword: hunter2\n"), "apiVersion: v1\nkind: Pod\nspec: {x: hunter2}\n".to_owned()] {
        let error = refused(&text);
        assert!(!format!("{error} {:?}", error.hints).contains("hunter2"));
    }
}

#[test]
fn long_chains_of_aliases_are_searched_once() {
    let mut text = String::from("apiVersion: v1\nkind: Secret\na0: &a0 {k: v}\n");
    for level in 1..3000 {
        text.push_str(&format!("a{level}: &a{level} {{x: *a{0}, y: *a{0}}}\n", level - 1));
    }
    assert_eq!(pattern(&text), "^(data|stringData)$");
}
