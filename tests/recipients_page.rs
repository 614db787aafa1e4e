//! `docs/recipients.md`: its commands and rules work for each kind that asks a service, and for PGP, with the keys of the tests
//! in place of the page's. What needs no service is run as it stands there (`tests/readme.rs`).
#![cfg(unix)]

mod sandbox;

use sandbox::servers::{self, Server, Way};
use sandbox::{Keyring, Sandbox, root};

const PLAIN: &str = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\nstringData:\n  password: hunter2\n";

/// The section of a kind: its text up to the next one.
fn section(title: &str) -> String {
    let page = std::fs::read_to_string(root().join("docs/recipients.md")).unwrap();
    let start = page.find(&format!("\n## {title}\n")).unwrap_or_else(|| panic!("no section {title}"));
    let rest = &page[start + 1..];
    rest[..rest[3..].find("\n## ").map_or(rest.len(), |end| end + 3)].to_owned()
}

/// The lines of the section that call kveil by themselves.
fn commands(section: &str) -> Vec<String> {
    let lines = section.lines().filter_map(|line| line.strip_prefix("$ kveil "));
    lines.filter(|line| line.starts_with("encrypt -i") || line.starts_with("decrypt")).map(|line| format!("kveil {line}")).collect()
}

/// The first rule of the section, as a configuration.
fn rule(section: &str) -> String {
    let block = section.split("```yaml\n").skip(1).find(|block| block.starts_with("creation_rules:")).expect("a rule");
    block.split("```").next().unwrap().to_owned()
}

/// Runs what the page shows, and encrypts by its rule.
fn walk(title: &str, page_key: &str, own_key: &str, sandbox: &Sandbox, way: &Way) {
    let section = section(title);
    let own = |text: &str| text.replace(page_key, own_key);
    let commands = commands(&section);
    assert_eq!(commands.len(), 2, "{title}: {commands:?}");
    sandbox.write("secret.yaml", PLAIN);
    let shell = |line: &str| sandbox.shell(&own(line)).way(way).env("VAULT_ADDR", vault_address(own_key)).run();
    shell(&commands[0]).ok();
    assert!(String::from_utf8_lossy(&sandbox.read("secret.yaml")).contains("sops:"), "{title}");
    assert_eq!(shell(&commands[1]).text(), PLAIN, "{title}");
    let rule = own(&rule(&section));
    assert!(rule.contains(own_key), "{title}: {rule}");
    sandbox.write(".sops.yaml", &rule);
    // A rule may be for a folder.
    sandbox.write("prod/secret.yaml", PLAIN);
    shell("kveil encrypt -i prod/secret.yaml").ok();
    assert_eq!(shell("kveil decrypt prod/secret.yaml").text(), PLAIN, "{title}");
}

/// What the page takes from `VAULT_ADDR`.
fn vault_address(key: &str) -> &str {
    key.split_once("/v1/").map_or("", |(address, _)| address)
}

fn walk_with(server: Option<&'static Server>, title: &str, page_key: &str) {
    let Some(server) = server else { return };
    walk(title, page_key, &server.recipient("key"), &Sandbox::new(), &server.any_way());
}

#[test]
fn aws() {
    walk_with(servers::aws(), "AWS KMS", "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab");
}

#[test]
fn gcp() {
    walk_with(servers::gcp(), "GCP KMS", "projects/PROJECT/locations/global/keyRings/sops/cryptoKeys/sops");
}

#[test]
fn azure() {
    walk_with(servers::azure(), "Azure Key Vault", "https://example-sops.vault.azure.net/keys/sops");
}

#[test]
fn vault() {
    let Some(server) = servers::vault() else { return };
    let key = server.recipient("key");
    let rest = key.split_once("/v1/").unwrap().1;
    assert_eq!(rest, "transit/keys/sops", "the page's own key");
    walk("HashiCorp Vault and OpenBao", "https://vault.example.com:8200/v1/transit/keys/sops", &key, &Sandbox::new(), &server.any_way());
}

#[test]
fn huawei() {
    walk_with(servers::huawei(), "Huawei Cloud KMS", "tr-west-1:KEY-ID");
}

#[test]
fn pgp() {
    let Some(keyring) = Keyring::new() else { return };
    let fingerprint = keyring.generate("ana", "");
    let sandbox = Sandbox::new().with_keyring(keyring);
    let section = section("PGP").replace("97C5A80A0101996640EFAD0FEF8D840356324056", "FINGERPRINT");
    assert!(rule(&section).contains("pgp: FINGERPRINT"));
    sandbox.write("secret.yaml", PLAIN);
    let commands = commands(&section);
    assert_eq!(commands.len(), 2, "{commands:?}");
    sandbox.shell(&commands[0].replace("FINGERPRINT", &fingerprint)).run().ok();
    assert_eq!(sandbox.shell(&commands[1]).run().text(), PLAIN);
    sandbox.write(".sops.yaml", rule(&section).replace("FINGERPRINT", &fingerprint));
    sandbox.write("again.yaml", PLAIN);
    sandbox.shell("kveil encrypt -i again.yaml && kveil decrypt again.yaml").run().ok();
}

/// Each section tells where the least permissions come from, what GitHub needs, and what messages mean.
#[test]
fn every_section_is_whole() {
    let page = std::fs::read_to_string(root().join("docs/recipients.md")).unwrap();
    assert!(page.contains("kveil recipients explain") && page.contains("kveil doctor [FILE]"));
    for (title, explain) in [
        ("age", None),
        ("PGP", None),
        ("AWS KMS", Some("aws")),
        ("GCP KMS", Some("gcp")),
        ("Azure Key Vault", Some("azure")),
        ("HashiCorp Vault and OpenBao", Some("vault")),
        ("Huawei Cloud KMS", None),
    ] {
        let section = section(title);
        assert!(explain.is_none_or(|word| section.contains(&format!("kveil recipients explain {word} "))), "{title}");
        let lower = section.to_lowercase();
        for words in [["| what to do |", "| aws says |"], ["github actions", "a pipeline"], ["cluster", "a pod "]] {
            assert!(words.iter().any(|word| lower.contains(word)), "{title}: {words:?}");
        }
    }
}
