//! `recipients explain`: every template is what it claims to be, and the policies let through what they should and no more.
#![cfg(unix)]

mod sandbox;

use sandbox::Sandbox;
use sandbox::servers::{self, Server, Way};
use serde_json::json;

const PLAIN: &str = "a: value\nb: two\n";

fn part(service: &str, name: &str, more: &[&str]) -> String {
    let words = ["recipients", "explain", service, "--part", name];
    Sandbox::new().kveil(words.iter().chain(more)).run().text()
}

#[test]
fn every_template_is_valid_in_its_language() {
    let repository = ["--repository", "acme/infra"];
    for (service, name) in [
        ("aws", "decrypt"),
        ("aws", "encrypt"),
        ("aws", "trust"),
        ("azure", "decrypt"),
        ("azure", "encrypt"),
        ("azure", "credential"),
        ("vault", "role"),
    ] {
        let text = part(service, name, &repository);
        serde_json::from_str::<serde_json::Value>(&text).unwrap_or_else(|why| panic!("{service} {name}: {why}\n{text}"));
        assert!(!text.contains("OWNER"), "{text}");
    }
    for (service, name) in [
        ("aws", "workflow"),
        ("gcp", "decrypt"),
        ("gcp", "encrypt"),
        ("gcp", "provider"),
        ("gcp", "binding"),
        ("gcp", "workflow"),
        ("azure", "workflow"),
        ("vault", "workflow"),
    ] {
        let text = part(service, name, &repository);
        let read = yaml_rust2::YamlLoader::load_from_str(&text).unwrap_or_else(|why| panic!("{service} {name}: {why}\n{text}"));
        assert!(read.len() == 1 && read[0].as_hash().is_some() && !text.contains("OWNER"), "{text}");
        if name == "workflow" {
            assert_eq!(read[0]["permissions"]["id-token"].as_str(), Some("write"));
        }
    }
}

#[test]
fn the_whole_holds_every_part_and_its_commands() {
    for (service, command) in [("aws", "aws iam "), ("gcp", "gcloud "), ("azure", "az ad app "), ("vault", "vault policy write ")] {
        let whole = Sandbox::new().kveil(["recipients", "explain", service]).run().text();
        assert!(whole.contains(command), "{whole}");
        for name in ["decrypt", "encrypt", "workflow"] {
            assert!(whole.contains(&part(service, name, &[])), "{service} {name}");
        }
    }
    let done = Sandbox::new().kveil(["recipients", "explain", "aws", "--part", "nope"]).run().refused(1);
    assert!(done.contains("expected one of decrypt, encrypt, trust, workflow"), "{done}");
    for odd in ["age1x", "arn:aws:kms:us-east-1:1:key/\"x", "https://v.vault.azure.net/keys/k"] {
        Sandbox::new().kveil(["recipients", "explain", "aws", "--recipient", odd]).run().refused(1);
    }
    for odd in ["acme", "/x", "a/b/c", "a/b\"c"] {
        Sandbox::new().kveil(["recipients", "explain", "aws", "--repository", odd]).run().refused(1);
    }
}

/// Whether encrypting and decrypting with `key` is allowed along this way; the file is sealed along a way that may.
fn may(server: &Server, way: &Way, key: &str) -> (bool, bool) {
    let sandbox = Sandbox::new();
    sandbox.write("plain.yaml", PLAIN);
    let sealed = |way: &Way| sandbox.kveil(["encrypt", server.flag, key, "plain.yaml"]).way(way).run();
    sandbox.write("sealed.yaml", sealed(&server.any_way().with("VAULT_TOKEN", "root")).ok());
    (sealed(way).code == 0, sandbox.kveil(["decrypt", "sealed.yaml"]).way(way).run().code == 0)
}

#[test]
fn the_real_vault_takes_the_policies_and_keeps_to_them() {
    let Some(server) = servers::vault() else { return };
    for name in ["key", "nested"] {
        let key = server.recipient(name);
        for (policy, expected) in [("decrypt", (false, true)), ("encrypt", (true, true))] {
            let answer = server.tell(&json!({"policy": part("vault", policy, &["--recipient", &key])}));
            let token = answer["token"].as_str().unwrap_or_else(|| panic!("{answer}"));
            let way = server.any_way().with("VAULT_TOKEN", token);
            assert_eq!(may(server, &way, &key), expected, "{policy} of {key}");
            assert_eq!(may(server, &way, &server.recipient("other")), (false, false), "{policy} of {key}");
        }
    }
}

#[test]
fn moto_takes_the_policies_and_keeps_to_their_actions() {
    let Some(server) = servers::aws() else { return };
    let key = server.recipient("key");
    for (policy, expected) in [("decrypt", (false, true)), ("encrypt", (true, true))] {
        let text = part("aws", policy, &["--recipient", &key]);
        assert!(text.contains(&format!("\"Resource\": \"{key}\"")) && text.contains("kms:EncryptionContext:"), "{text}");
        // Of a policy moto checks the actions alone.
        let answer = server.tell(&json!({"policy": text.replace(&key, "*")}));
        let mut way = server.any_way();
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
            way = way.with(name, answer[name].as_str().unwrap_or_else(|| panic!("{answer}")));
        }
        assert_eq!(may(server, &way, &key), expected, "{policy}");
    }
}
