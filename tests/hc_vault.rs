//! Keys of a transit engine: against the real Vault, beside genuine sops, and against servers that a file names to get a token.
#![cfg(unix)]

#[path = "sandbox/listener.rs"]
mod listener;
mod sandbox;

use listener::Listener;
use sandbox::servers::{self, Server, Way};
use sandbox::{Call, Done, Sandbox};
use serde_json::json;
use std::net::TcpListener;

const PLAIN: &str = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\nstringData:\n  password: hunter2\n";

const REFUSED: &str = "{\"errors\":[\"permission denied\"]}";

/// A key of a server that isn't one.
fn key_at(listener: &Listener) -> String {
    format!("{}/v1/transit/keys/sops", listener.url)
}

/// A sandbox with `plain.yaml`, and the real Vault.
fn ready() -> Option<(Sandbox, &'static Server)> {
    let sandbox = Sandbox::new();
    sandbox.write("plain.yaml", PLAIN);
    Some((sandbox, servers::vault()?))
}

/// A way whose `VAULT_ADDR` isn't set: nobody vouches for any address.
fn unvouched(way: Way) -> Way {
    way.with("VAULT_ADDR", "")
}

#[test]
fn genuine_sops_and_kveil_open_each_others_files() {
    let Some((sandbox, vault)) = ready() else { return };
    for way in vault.ways() {
        for recipient in ["key", "nested"].map(|name| vault.recipient(name)) {
            vault.seal(&sandbox, &recipient, &way);
            assert_eq!(sandbox.kveil(["decrypt", "sealed.yaml"]).way(&way).run().text(), PLAIN);
            let Some(genuine) = sandbox.genuine(["decrypt", "sealed.yaml"]) else { return };
            assert_eq!(genuine.way(&way).run().text(), PLAIN.replace("  ", "    "), "{}", way.name);
            let ours = servers::entry(&sandbox.read("sealed.yaml"), "hc_vault");
            let theirs = sandbox.genuine(["encrypt", "--hc-vault-transit", &recipient, "plain.yaml"]).unwrap().way(&way).run().ok();
            assert_eq!(ours, servers::entry(&theirs, "hc_vault"), "the same fields in the same order");
            sandbox.write("theirs.yaml", theirs);
            assert!(sandbox.kveil(["decrypt", "theirs.yaml"]).way(&way).run().text().contains("password: hunter2"), "{}", way.name);
        }
    }
}

#[test]
fn both_send_the_same_request() {
    let sandbox = Sandbox::new();
    sandbox.write("plain.yaml", PLAIN);
    let asked = |call: Call, listener: &Listener| {
        let call = call.env("VAULT_ADDR", &listener.url).env("VAULT_TOKEN", "hvs.token").env("VAULT_NAMESPACE", "team/a");
        assert_ne!(call.run().code, 0);
        let text = listener.heard().first().expect("a request").clone();
        let field = |line: &str| line.to_ascii_lowercase().starts_with("x-vault-");
        let mut lines: Vec<String> =
            text.lines().filter(|line| line.contains("HTTP/1.1") || field(line)).map(str::to_ascii_lowercase).collect();
        lines.sort();
        (lines, text.lines().last().unwrap().split_at(14).0.to_owned())
    };
    let (ours, theirs) = (Listener::answering("403 Forbidden", REFUSED), Listener::answering("403 Forbidden", REFUSED));
    let call = |key: String| ["encrypt".to_owned(), "--hc-vault-transit".to_owned(), key, "plain.yaml".to_owned()];
    let we = asked(sandbox.kveil(call(key_at(&ours))), &ours);
    assert_eq!(
        we.0,
        ["put /v1/transit/encrypt/sops http/1.1", "x-vault-namespace: team/a", "x-vault-request: true", "x-vault-token: hvs.token"]
    );
    let Some(genuine) = sandbox.genuine(call(key_at(&theirs))) else { return };
    assert_eq!(we, asked(genuine, &theirs));
}

#[test]
fn who_may_not_is_told_what_is_missing_and_nothing_is_written() {
    let Some((sandbox, vault)) = ready() else { return };
    vault.seal(&sandbox, &vault.recipient("key"), &vault.any_way());
    for way in ["no permission", "unknown token"].map(|name| vault.way(name)) {
        let done = sandbox.kveil(["encrypt", "-i", "--hc-vault-transit", &vault.recipient("key"), "plain.yaml"]).way(&way).run();
        let said = done.refused(1);
        assert!(said.contains("403: ") && said.contains("permission denied") && said.contains("the token of VAULT_TOKEN"), "{said}");
        assert!(said.contains("path \"transit/encrypt/sops\" { capabilities = [\"update\"] }"), "{said}");
        assert_eq!(sandbox.read("plain.yaml"), PLAIN.as_bytes());
        let said = sandbox.kveil(["decrypt", "sealed.yaml"]).way(&way).run().refused(128);
        assert!(said.contains("path \"transit/decrypt/sops\""), "{said}");
        let token = &way.variables.iter().rfind(|(name, _)| name == "VAULT_TOKEN").unwrap().1;
        assert!(!said.contains(token.as_str()), "{said}");
    }
}

#[test]
fn the_policy_of_the_page_is_enough() {
    let Some((sandbox, vault)) = ready() else { return };
    let page = std::fs::read_to_string(sandbox::root().join("docs/recipients.md")).unwrap();
    let policy = page.split("```hcl\n").nth(1).unwrap().split("```").next().unwrap();
    let token = vault.tell(&json!({ "policy": policy }))["token"].as_str().unwrap().to_owned();
    let way = vault.any_way().with("VAULT_TOKEN", &token);
    vault.seal(&sandbox, &vault.recipient("key"), &way);
    assert_eq!(sandbox.kveil(["decrypt", "sealed.yaml"]).way(&way).run().text(), PLAIN);
}

#[test]
fn without_a_token_nobody_is_asked_unless_an_agent_may_add_it() {
    let Some((sandbox, vault)) = ready() else { return };
    vault.seal(&sandbox, &vault.recipient("key"), &vault.any_way());
    let said = sandbox.kveil(["decrypt", "sealed.yaml"]).env("SOPS_HC_VAULT_ALLOWLIST", "all").run().refused(128);
    assert!(said.contains("VAULT_TOKEN isn't set and there is no ~/.vault-token") && said.contains("vault login"), "{said}");
    let said = sandbox.kveil(["decrypt", "sealed.yaml"]).env("VAULT_ADDR", vault.url()).run().refused(128);
    assert!(said.contains("missing client token") || said.contains("permission denied"), "{said}");
}

/// Whoever writes a file could name his own server in it.
#[test]
fn a_foreign_server_in_the_file_never_gets_the_token() {
    let Some((sandbox, vault)) = ready() else { return };
    let way = vault.any_way();
    vault.seal(&sandbox, &vault.recipient("key"), &way);
    let sealed = String::from_utf8(sandbox.read("sealed.yaml")).unwrap();
    let foreign = Listener::answering("403 Forbidden", REFUSED);
    sandbox.write("planted.yaml", sealed.replace(vault.url(), &foreign.url));
    for allowlist in ["", "none", vault.url()] {
        for verb in [["decrypt", "planted.yaml"], ["rotate", "planted.yaml"], ["updatekeys", "planted.yaml"]] {
            let done = sandbox.kveil(verb).way(&way).env("SOPS_HC_VAULT_ALLOWLIST", allowlist).run();
            assert_ne!(done.code, 0, "{verb:?}");
        }
    }
    let said = sandbox.kveil(["decrypt", "planted.yaml"]).way(&way).run().refused(128);
    assert!(said.contains("isn't sent to") && said.contains(&format!("export VAULT_ADDR={}", foreign.url)), "{said}");
    let said = sandbox.kveil(["encrypt", "--hc-vault-transit", &key_at(&foreign), "plain.yaml"]).way(&way).run().refused(1);
    assert!(said.contains("isn't sent to"), "{said}");
    assert_eq!(foreign.heard(), Vec::<String>::new(), "nobody was asked");
}

#[test]
fn an_allowlist_means_what_it_means_to_genuine_sops() {
    let Some((sandbox, vault)) = ready() else { return };
    let way = unvouched(vault.any_way());
    let sealed = sandbox
        .kveil(["encrypt", "--hc-vault-transit", &vault.recipient("key"), "plain.yaml"])
        .way(&way.clone().with("SOPS_HC_VAULT_ALLOWLIST", "all"));
    sandbox.write("sealed.yaml", sealed.run().ok());
    let url = vault.url();
    let lists = [
        "all",
        "none",
        url,
        &format!("{url}/"),
        &format!("https://other, {url} "),
        "http://127.0.0.1",
        "http://127.0.0.1:",
        &format!("{url},"),
        "http://",
    ];
    for list in lists {
        let way = way.clone().with("SOPS_HC_VAULT_ALLOWLIST", list);
        let ours = sandbox.kveil(["decrypt", "sealed.yaml"]).way(&way).run();
        let Some(genuine) = sandbox.genuine(["decrypt", "sealed.yaml"]) else { return };
        let theirs = genuine.way(&way).run();
        assert_eq!(ours.code, theirs.code, "{list}: {}{}", ours.err, theirs.err);
        assert_eq!(ours.code == 0, ours.out == PLAIN.as_bytes());
    }
}

fn git(sandbox: &Sandbox, arguments: &str) {
    sandbox.shell(&format!("git -c user.name=t -c user.email=t@example.org {arguments}")).run().ok();
}

#[test]
fn a_committed_configuration_vouches_for_its_servers() {
    let Some((sandbox, vault)) = ready() else { return };
    let way = unvouched(vault.any_way());
    git(&sandbox, "init -q");
    sandbox.write("deep/.sops.yaml", format!("creation_rules:\n- hc_vault_transit_uri: {}\n", vault.recipient("key")));
    sandbox.write("deep/plain.yaml", PLAIN);
    let encrypt = || sandbox.kveil(["encrypt", "deep/plain.yaml"]).way(&way).run();
    let said = encrypt().refused(1);
    assert!(said.contains("committed .sops.yaml"), "{said}");
    git(&sandbox, "add deep/.sops.yaml");
    encrypt().refused(1);
    git(&sandbox, "commit -qm rules");
    sandbox.write("deep/sealed.yaml", encrypt().ok());
    assert_eq!(sandbox.kveil(["decrypt", "deep/sealed.yaml"]).way(&way).run().text(), PLAIN);
}

#[test]
fn under_the_name_sops_all_servers_are_asked_as_by_genuine_sops() {
    let Some((sandbox, vault)) = ready() else { return };
    let way = unvouched(vault.any_way());
    vault.seal(&sandbox, &vault.recipient("key"), &vault.any_way());
    let done: Done = sandbox.sops(["decrypt", "sealed.yaml"]).way(&way).run();
    assert_eq!((done.code, done.err.as_str()), (0, ""), "a success says nothing");
    let done = sandbox.sops(["decrypt", "--verbose", "sealed.yaml"]).way(&way).run();
    assert!(done.code == 0 && done.err.contains("SOPS_HC_VAULT_ALLOWLIST limits"), "{}", done.err);
    sandbox.sops(["decrypt", "sealed.yaml"]).way(&way).env("KVEIL_STRICT", "1").run().refused(128);
}

#[test]
fn a_standby_server_sends_callers_on_once_and_only_where_the_token_may_go() {
    let Some((sandbox, vault)) = ready() else { return };
    let way = vault.any_way();
    let ask = |standby: &Listener, allowlist: &str| {
        let way = way.clone().with("VAULT_ADDR", &standby.url).with("SOPS_HC_VAULT_ALLOWLIST", allowlist);
        sandbox.kveil(["encrypt", "--hc-vault-transit", &key_at(standby), "plain.yaml"]).way(&way).run()
    };
    let active = format!("{}/v1/transit/encrypt/sops", vault.url());
    let standby = Listener::sending_to(&active);
    ask(&standby, &format!("{},{}", standby.url, vault.url())).ok();
    assert_eq!(standby.heard().len(), 1);
    let foreign = Listener::answering("403 Forbidden", REFUSED);
    let standby = Listener::sending_to(&key_at(&foreign));
    for allowlist in ["", &standby.url] {
        assert!(ask(&standby, allowlist).refused(1).contains("isn't sent to"));
    }
    assert_eq!(foreign.heard(), Vec::<String>::new());
    // Back to a standby server: it isn't followed for ever.
    let circle = Listener::sending_to("/v1/transit/encrypt/sops");
    ask(&circle, "").refused(1);
    assert_eq!(circle.heard().len(), 2);
}

#[test]
fn an_entry_that_leads_elsewhere_in_the_api_is_refused() {
    let Some((sandbox, vault)) = ready() else { return };
    let way = vault.any_way();
    vault.seal(&sandbox, &vault.recipient("key"), &way);
    let sealed = String::from_utf8(sandbox.read("sealed.yaml")).unwrap();
    let listener = Listener::answering("403 Forbidden", REFUSED);
    for (from, to) in [
        ("key_name: sops", "key_name: ../../sys/seal"),
        ("engine_path: transit", "engine_path: sys/seal?"),
        ("engine_path: transit", "engine_path: ''"),
    ] {
        assert!(sealed.contains(from));
        sandbox.write("strange.yaml", sealed.replace(from, to).replace(vault.url(), &listener.url));
        let done = sandbox.kveil(["decrypt", "strange.yaml"]).way(&way.clone().with("VAULT_ADDR", &listener.url)).run();
        assert!(done.refused(128).contains("isn't the path of a key"), "{to}");
    }
    assert_eq!(listener.heard(), Vec::<String>::new());
}

#[test]
fn a_server_with_its_own_authority_is_asked_if_that_is_named() {
    let (Some((sandbox, vault)), Some(azure)) = (ready(), servers::azure()) else { return };
    // Any certificate of the tests that stands for 127.0.0.1.
    let authority = azure.any_way().variables.iter().find(|(name, _)| name == "SSL_CERT_FILE").unwrap().1.clone();
    let folder = std::path::Path::new(&authority).parent().unwrap().to_owned();
    let tls = vault.behind_tls(folder.join("server.pem").to_str().unwrap());
    let key = vault.recipient("key").replace(vault.url(), tls.url());
    let way = vault.any_way().with("VAULT_ADDR", tls.url());
    let ask =
        |name: &str, value: &str| sandbox.kveil(["encrypt", "--hc-vault-transit", &key, "plain.yaml"]).way(&way).env(name, value).run();
    ask("VAULT_CACERT", &authority).ok();
    ask("VAULT_CAPATH", &authority).ok();
    std::fs::create_dir(sandbox.path("authorities")).unwrap();
    std::fs::copy(&authority, sandbox.path("authorities/ca.pem")).unwrap();
    ask("VAULT_CAPATH", sandbox.path("authorities").to_str().unwrap()).ok();
    ask("VAULT_CACERT_BYTES", &std::fs::read_to_string(&authority).unwrap()).ok();
    let skipped = ask("VAULT_SKIP_VERIFY", "true");
    assert!(skipped.code == 0 && skipped.err.contains("whoever answers"), "{}", skipped.err);
    assert!(ask("NOTHING", "").refused(1).contains("certificate"));
    assert!(ask("VAULT_CACERT", "/nowhere").refused(1).contains("VAULT_CACERT"));
    assert!(ask("VAULT_CLIENT_TIMEOUT", "soon").refused(1).contains("VAULT_CLIENT_TIMEOUT"));
}

#[test]
fn what_may_pass_is_asked_again_and_nothing_else() {
    let Some((sandbox, vault)) = ready() else { return };
    let faults = vault.behind_faults();
    let (way, key) = (faults.any_way(), faults.recipient("key"));
    let ask = |rules: serde_json::Value| {
        faults.rules(&rules);
        let done = sandbox.kveil(["encrypt", "-i", "--hc-vault-transit", &key, "plain.yaml"]).way(&way).run();
        let plain = sandbox.read("plain.yaml") == PLAIN.as_bytes();
        sandbox.write("plain.yaml", PLAIN);
        assert_eq!(done.code != 0, plain, "nothing is written unless it worked");
        (done.code, faults.requests().len(), done.err)
    };
    assert_eq!(ask(json!([{ "status": 429, "times": 1 }])).1, 2);
    let (code, tries, said) = ask(json!([{ "status": 503, "content": { "errors": ["Vault is sealed"] } }]));
    assert!((code, tries) == (1, 3) && said.contains("503: Vault is sealed") && said.contains("vault status"), "{said}");
    let (code, tries, said) = ask(json!([{ "status": 404, "content": { "errors": [] } }]));
    assert!((code, tries) == (1, 1) && said.contains("vault secrets list"), "{said}");
    assert_eq!((ask(json!([{ "fault": "reset" }])).0, ask(json!([{ "fault": "reset" }])).1), (1, 3));
    assert_eq!(ask(json!([{ "fault": "truncated", "times": 1 }])).0, 0);
    let (code, tries, said) = ask(json!([{ "status": 200, "content": { "data": null } }]));
    assert!((code, tries) == (1, 1) && said.contains("without a ciphertext"), "{said}");
}

#[test]
fn nobody_there_or_no_network_is_said_so() {
    let Some((sandbox, vault)) = ready() else { return };
    vault.seal(&sandbox, &vault.recipient("key"), &vault.any_way());
    let offline = sandbox.kveil(["decrypt", "--offline", "sealed.yaml"]).way(&vault.any_way()).run().refused(128);
    assert!(offline.contains("--offline"), "{offline}");
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let sealed = String::from_utf8(sandbox.read("sealed.yaml")).unwrap();
    sandbox.write("sealed.yaml", sealed.replace(vault.url(), &format!("http://{closed}")));
    let way = vault.any_way().with("VAULT_ADDR", &format!("http://{closed}"));
    let said = sandbox.kveil(["decrypt", "sealed.yaml"]).way(&way).run().refused(128);
    assert!(said.contains(&closed.to_string()) && said.to_lowercase().contains("refused"), "{said}");
}

#[test]
fn a_token_that_leaves_the_machine_without_tls_is_warned_about_once() {
    let Some((sandbox, vault)) = ready() else { return };
    let faults = vault.behind_faults();
    let far = "http://vault.example.invalid:8200";
    let way = vault.any_way().with("VAULT_ADDR", far).with("HTTP_PROXY", faults.url());
    let key = vault.recipient("key").replace(vault.url(), far);
    sandbox.write("again.yaml", PLAIN);
    let arguments = ["encrypt", "-i", "--hc-vault-transit", &key, "plain.yaml", "again.yaml"];
    let done = sandbox.kveil(arguments).way(&way).run();
    assert_eq!((done.code, done.err.matches(&format!("{far} is asked without TLS")).count()), (0, 1), "{}", done.err);
    let near = sandbox.kveil(["encrypt", "--hc-vault-transit", &vault.recipient("key"), "plain.yaml"]).way(&vault.any_way()).run();
    assert!(!near.err.contains("TLS"), "{}", near.err);
    let quiet = sandbox.sops(["decrypt", "again.yaml"]).way(&way).run();
    assert_eq!((quiet.code, quiet.err.as_str()), (0, ""));
}

#[test]
fn a_namespace_that_cant_be_sent_is_an_error() {
    let Some((sandbox, vault)) = ready() else { return };
    let way = vault.any_way().with("VAULT_NAMESPACE", "team\na");
    let said = sandbox.kveil(["encrypt", "--hc-vault-transit", &vault.recipient("key"), "plain.yaml"]).way(&way).run().refused(1);
    assert!(said.contains("VAULT_NAMESPACE holds characters"), "{said}");
}

#[test]
fn who_was_asked_as_whom_is_told_without_the_token() {
    let Some((sandbox, vault)) = ready() else { return };
    let way = vault.any_way();
    let done = sandbox.kveil(["encrypt", "-v", "--hc-vault-transit", &vault.recipient("key"), "plain.yaml"]).way(&way).run();
    assert!(done.err.contains(&format!("HashiCorp Vault: 1 call as the token of VAULT_TOKEN at {}", vault.url())), "{}", done.err);
    let token = &way.variables.iter().rfind(|(name, _)| name == "VAULT_TOKEN").unwrap().1;
    assert!(!done.err.contains(token.as_str()));
}
