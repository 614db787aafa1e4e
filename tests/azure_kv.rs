//! Keys of Azure Key Vault: by every identity beside genuine sops, and against challenges that want a token for someone else.
#![cfg(unix)]

#[path = "sandbox/listener.rs"]
mod listener;
mod sandbox;

use listener::Listener;
use sandbox::Sandbox;
use sandbox::servers::{self, Server, Way};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

const PLAIN: &str = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\nstringData:\n  password: hunter2\n";
const TOKEN: &str = "oauth2/v2.0/token";

/// A sandbox with `plain.yaml`, and the vault.
fn ready() -> Option<(Sandbox, &'static Server)> {
    let sandbox = Sandbox::new();
    sandbox.write("plain.yaml", PLAIN);
    Some((sandbox, servers::azure()?))
}

/// The value of a variable of a way.
fn value<'w>(way: &'w Way, wanted: &str) -> &'w str {
    way.variables.iter().rfind(|(name, _)| name == wanted).map(|(_, value)| value.as_str()).unwrap()
}

#[test]
fn genuine_sops_and_kveil_open_each_others_files_by_every_identity() {
    let Some((sandbox, azure)) = ready() else { return };
    for way in azure.ways() {
        for recipient in ["key", "versioned"].map(|name| azure.recipient(name)) {
            azure.seal(&sandbox, &recipient, &way);
            assert_eq!(sandbox.kveil(["decrypt", "sealed.yaml"]).way(&way).run().text(), PLAIN, "{}", way.name);
            let Some(genuine) = sandbox.genuine(["decrypt", "sealed.yaml"]) else { return };
            assert_eq!(genuine.way(&way).run().text(), PLAIN.replace("  ", "    "), "{}", way.name);
            let theirs = sandbox.genuine(["encrypt", "--azure-kv", &recipient, "plain.yaml"]).unwrap().way(&way).run().ok();
            assert_eq!(
                servers::entry(&sandbox.read("sealed.yaml"), "azure_kv"),
                servers::entry(&theirs, "azure_kv"),
                "the same fields in the same order"
            );
            sandbox.write("theirs.yaml", theirs);
            assert!(sandbox.kveil(["decrypt", "theirs.yaml"]).way(&way).run().text().contains("password: hunter2"), "{}", way.name);
        }
    }
}

#[test]
fn a_key_without_a_version_gets_the_newest_and_stays_the_same_key() {
    let Some((sandbox, azure)) = ready() else { return };
    let way = azure.any_way();
    sandbox.write(".sops.yaml", format!("creation_rules:\n- azure_keyvault: {}\n", azure.recipient("key")));
    let sealed = sandbox.kveil(["encrypt", "plain.yaml"]).way(&way).run().text();
    let version = azure.recipient("versioned").rsplit('/').next().unwrap().to_owned();
    assert!(sealed.contains(&format!("version: {version}")), "{sealed}");
    sandbox.write("sealed.yaml", &sealed);
    let done = sandbox.kveil(["updatekeys", "-y", "sealed.yaml"]).way(&way).run();
    assert_eq!((done.code, String::from_utf8(sandbox.read("sealed.yaml")).unwrap()), (0, sealed), "{}", done.err);
}

#[test]
fn who_may_not_is_told_what_is_missing_and_nothing_is_written() {
    let Some((sandbox, azure)) = ready() else { return };
    let refused = |recipient: &str, way: &Way| {
        let done = sandbox.kveil(["encrypt", "-i", "--azure-kv", recipient, "plain.yaml"]).way(way).run();
        assert_eq!(sandbox.read("plain.yaml"), PLAIN.as_bytes());
        done.refused(1)
    };
    let said = refused(&azure.recipient("denied"), &azure.way("secret"));
    for part in ["403 Forbidden: ", "the service principal ", "(AZURE_CLIENT_SECRET)", "\"Key Vault Crypto User\""] {
        assert!(said.contains(part), "{part} in {said}");
    }
    let said = refused(&azure.recipient("key"), &azure.way("wrong secret").with("AZURE_FEDERATED_TOKEN_FILE", "/nowhere"));
    for part in ["401 invalid_client: AADSTS7000215", "az ad app credential list"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert!(!said.contains("wrong") && !said.contains("/nowhere"), "nobody acts as someone else, and the secret isn't told: {said}");
}

/// Whoever writes a file could name his own server in it.
#[test]
fn nobody_but_a_vault_of_azure_is_asked() {
    let Some((sandbox, azure)) = ready() else { return };
    let faults = azure.behind_faults();
    let way = faults.any_way();
    azure.seal(&sandbox, &azure.recipient("versioned"), &way);
    let sealed = String::from_utf8(sandbox.read("sealed.yaml")).unwrap();
    let foreign = Listener::answering("200 OK", "{}");
    for vault in
        ["https://tests.vault.azure.net.evil.example", "https://evil.example", &foreign.url, "https://tests.vault.azure.net@evil.example"]
    {
        faults.rules(&json!([]));
        sandbox.write("planted.yaml", sealed.replace("https://tests.vault.azure.net", vault));
        let said = sandbox.kveil(["decrypt", "planted.yaml"]).way(&way).run().refused(128);
        assert!(said.contains("gets no token"), "{said}");
        assert_eq!(faults.requests(), Vec::<String>::new());
    }
    assert_eq!(foreign.heard(), Vec::<String>::new());
}

#[test]
fn a_challenge_for_someone_else_gets_no_token() {
    let Some((sandbox, azure)) = ready() else { return };
    let faults = azure.behind_faults();
    let way = faults.way("secret");
    let tenant = value(&way, "AZURE_TENANT_ID").to_owned();
    let login = "https://login.microsoftonline.com";
    let challenges = [
        format!("Bearer authorization=\"{login}/{tenant}\", resource=\"https://management.azure.com\""),
        format!("Bearer authorization=\"https://login.evil.example/{tenant}\", resource=\"https://vault.azure.net\""),
        format!("Bearer authorization=\"{login}/00000000-0000-0000-0000-00000000000f\", resource=\"https://vault.azure.net\""),
        "Basic realm=\"vault\"".to_owned(),
    ];
    for challenge in challenges {
        faults.rules(&json!([{ "path": "/keys/", "status": 401, "headers": { "WWW-Authenticate": challenge } }]));
        let done = sandbox.kveil(["encrypt", "--azure-kv", &azure.recipient("key"), "plain.yaml"]).way(&way).run();
        assert_eq!((done.code, faults.requests().len(), faults.count(TOKEN)), (1, 1, 0), "{challenge}: {}", done.err);
    }
    // A tenant that was allowed is asked.
    let way = faults.way("secret").with("AZURE_TENANT_ID", "other").with("AZURE_ADDITIONALLY_ALLOWED_TENANTS", &tenant);
    faults.rules(&json!([]));
    sandbox.kveil(["encrypt", "--azure-kv", &azure.recipient("key"), "plain.yaml"]).way(&way).run().ok();
}

#[test]
fn one_token_serves_all_files_of_a_run() {
    let Some((sandbox, azure)) = ready() else { return };
    let faults = azure.behind_faults();
    let way = faults.way("secret");
    let names: Vec<String> = (0..12).map(|at| format!("{at}.yaml")).collect();
    names.iter().for_each(|name| drop(sandbox.write(name, PLAIN)));
    let run = |verb: &str, flags: &[&str]| {
        faults.rules(&json!([]));
        let arguments = [verb, "-i"].into_iter().chain(flags.iter().copied()).chain(names.iter().map(String::as_str));
        sandbox.kveil(arguments).way(&way).run().ok();
        (faults.count(TOKEN), faults.count("GET /keys/"), faults.count("POST /keys/"))
    };
    // The version without a token and with it, then each file once; a request to encrypt or decrypt that only fetches the challenge isn't counted.
    assert_eq!(run("encrypt", &["--azure-kv", &azure.recipient("key")]), (1, 2, 12));
    assert_eq!(run("decrypt", &[]), (1, 0, 12));
}

#[test]
fn a_token_that_is_refused_is_renewed_once() {
    let Some((sandbox, azure)) = ready() else { return };
    let faults = azure.behind_faults();
    let way = faults.way("secret");
    for (file, recipient) in [("first.yaml", "versioned"), ("second.yaml", "other")] {
        azure.seal(&sandbox, &azure.recipient(recipient), &way);
        sandbox.write(file, sandbox.read("sealed.yaml"));
    }
    let open = |path: &str, times: usize| {
        faults.rules(&json!([{ "path": path, "times": times, "reply": "azure expired" }]));
        let done = sandbox.kveil(["decrypt", "--concurrency", "1", "first.yaml", "second.yaml"]).way(&way).run();
        (done.code == 0, faults.count("/decrypt"), faults.count(TOKEN), done.err)
    };
    // Each file once.
    let (opened, tries, tokens, said) = open("/nothing", 1);
    assert_eq!((opened, tries, tokens), (true, 2, 1), "{said}");
    let (opened, tries, tokens, said) = open("/keys/other", 1);
    assert_eq!((opened, tries, tokens), (true, 3, 2), "{said}");
    let (opened, tries, tokens, said) = open("/keys/other", 9);
    assert_eq!((opened, tries, tokens), (false, 3, 2), "{said}");
    assert!(said.contains("401 Unauthorized: [TokenExpired]"), "{said}");
    // A token that was fetched for this very call is no older than a second one would be.
    let (opened, tries, tokens, said) = open("/keys/sops", 9);
    assert!(!opened && tries >= 1 && tokens == 1, "{said}");
}

#[test]
fn what_may_pass_is_asked_again_and_nothing_else() {
    let Some((sandbox, azure)) = ready() else { return };
    let faults = azure.behind_faults();
    let way = faults.way("secret");
    let ask = |rule: Value| {
        faults.rules(&json!([rule]));
        let done = sandbox.kveil(["encrypt", "-i", "--azure-kv", &azure.recipient("versioned"), "plain.yaml"]).way(&way).run();
        let plain = sandbox.read("plain.yaml") == PLAIN.as_bytes();
        sandbox.write("plain.yaml", PLAIN);
        assert_eq!(done.code != 0, plain, "nothing is written unless it worked");
        (done.code, faults.count("/encrypt"), faults.count(TOKEN), done.err)
    };
    assert_eq!(ask(json!({ "path": "/encrypt", "status": 429, "times": 1 })).0, 0);
    assert_eq!(ask(json!({ "path": TOKEN, "status": 503, "times": 2 })).0, 0);
    assert_eq!(ask(json!({ "path": "/encrypt", "fault": "truncated", "times": 1 })).0, 0);
    let error = json!({ "error": { "code": "InternalError", "message": "later" } });
    let (code, tries, _, said) = ask(json!({ "path": "/encrypt", "status": 500, "content": error }));
    assert_eq!((code, tries), (1, 3), "{said}");
    assert!(said.contains("500 InternalError: later"), "{said}");
    let (code, _, tokens, said) = ask(json!({ "path": TOKEN, "fault": "reset" }));
    assert_eq!((code, tokens), (1, 3), "{said}");
    let disabled = json!({ "error": { "code": "Forbidden", "message": "Operation encrypt is not allowed on a disabled key.", "innererror": { "code": "KeyDisabled" } } });
    let (code, tries, _, said) = ask(json!({ "path": "/encrypt", "status": 403, "content": disabled }));
    assert!(
        (code, tries) == (1, 1) && said.contains("refused encrypt") && said.contains("403 Forbidden (KeyDisabled): Operation"),
        "{said}"
    );
}

#[test]
fn the_environment_may_choose_the_identity() {
    let Some((sandbox, azure)) = ready() else { return };
    let ask = |way: &Way, choice: &str| {
        let arguments = ["encrypt", "-v", "--azure-kv", &azure.recipient("key"), "plain.yaml"];
        // Nobody listens there, as on most machines.
        let nobody = ("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:9");
        sandbox.kveil(arguments).way(way).env("AZURE_TOKEN_CREDENTIALS", choice).env(nobody.0, nobody.1).run()
    };
    let all = azure.way("secret").and(&azure.way("workload identity")).and(&azure.way("managed identity")).and(&azure.way("command line"));
    let all = all.with("AZURE_TOKEN_CREDENTIALS", "");
    for (choice, who) in [
        ("", "the service principal"),
        ("WorkloadIdentityCredential", "(AZURE_FEDERATED_TOKEN_FILE)"),
        ("managedidentitycredential", "the managed identity"),
        ("dev", "the account of az"),
        ("prod", "(AZURE_CLIENT_SECRET)"),
    ] {
        let done = ask(&all, choice);
        assert!(done.code == 0 && done.err.contains("Azure Key Vault: 2 calls as ") && done.err.contains(who), "{choice}: {}", done.err);
    }
    let said = ask(&all, "certificate").refused(1);
    assert!(said.contains("AZURE_TOKEN_CREDENTIALS can't be certificate") && said.contains("EnvironmentCredential"), "{said}");
    let said = ask(&azure.way("command line"), "prod").refused(1);
    assert!(said.contains("no identity of Azure is at hand (EnvironmentCredential: AZURE_TENANT_ID isn't set; WorkloadIdentity"), "{said}");
}

/// A token from the fake's managed identity, as JSON.
fn issued(azure: &Server) -> String {
    let way = azure.way("managed identity");
    let endpoint = value(&way, "IDENTITY_ENDPOINT").to_owned();
    let host = azure.url().trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).unwrap();
    let path = endpoint.trim_start_matches(azure.url());
    let header = value(&way, "IDENTITY_HEADER");
    write!(
        stream,
        "GET {path}?resource=https://vault.azure.net HTTP/1.1\r\nHost: {host}\r\nX-IDENTITY-HEADER: {header}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text.split("\r\n\r\n").nth(1).unwrap().to_owned()
}

#[test]
fn a_machine_asks_its_metadata_server_past_any_proxy() {
    let Some((sandbox, azure)) = ready() else { return };
    let proxy = Way {
        name: "proxy".to_owned(),
        variables: azure.any_way().variables.into_iter().filter(|(name, _)| !name.starts_with("AZURE")).collect(),
    };
    let machine = Listener::answering("200 OK", &issued(azure));
    let ask = |machine: &Listener, client: &str| {
        let call = sandbox.kveil(["encrypt", "--azure-kv", &azure.recipient("key"), "plain.yaml"]).way(&proxy);
        // Whoever uses this proxy for the metadata server finds nobody.
        call.env("HTTP_PROXY", "http://127.0.0.1:9")
            .env("AZURE_POD_IDENTITY_AUTHORITY_HOST", &machine.url)
            .env("AZURE_CLIENT_ID", client)
            .run()
    };
    ask(&machine, "").ok();
    ask(&machine, "some-client").ok();
    let asked: Vec<String> = machine.heard().iter().map(|text| text.lines().next().unwrap().to_owned()).collect();
    let path = "/metadata/identity/oauth2/token";
    let wanted = format!("GET {path}?api-version=2018-02-01&resource=https%3A%2F%2Fvault.azure.net");
    assert_eq!(
        asked,
        [
            format!("GET {path} HTTP/1.1"),
            format!("{wanted} HTTP/1.1"),
            format!("GET {path} HTTP/1.1"),
            format!("{wanted}&client_id=some-client HTTP/1.1")
        ]
    );
    assert!(machine.heard()[1].to_ascii_lowercase().contains("metadata: true"));
    // Without an identity of its own it is passed over; one that was asked for by name must be there.
    let bare = Listener::answering("400 Bad Request", r#"{"error":"invalid_request","error_description":"Identity not found"}"#);
    let said = ask(&bare, "").refused(1);
    assert!(
        said.contains("no identity of Azure is at hand") && said.contains("Identity not found") && said.contains("AzureCLICredential"),
        "{said}"
    );
    let said = ask(&bare, "some-client").refused(1);
    assert!(said.contains("gives no token to the managed identity some-client of this machine") && !said.contains("AzureCLI"), "{said}");
}

#[test]
fn certificates_that_cant_be_used_are_told() {
    let Some((sandbox, azure)) = ready() else { return };
    let way = azure.way("certificate");
    let ask = |file: &str| {
        let call = sandbox
            .kveil(["encrypt", "--azure-kv", &azure.recipient("key"), "plain.yaml"])
            .way(&way)
            .env("AZURE_CLIENT_CERTIFICATE_PATH", file);
        call.env("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential").run()
    };
    let good = std::fs::read_to_string(value(&way, "AZURE_CLIENT_CERTIFICATE_PATH")).unwrap();
    sandbox.write("cert.p12", [0x30, 0x82, 0x0a, 0x00]);
    assert!(ask("cert.p12").refused(1).contains("openssl pkcs12"));
    assert!(ask("/nowhere").refused(1).contains("/nowhere can't be read"));
    sandbox.write("certificate.pem", &good[good.find("-----BEGIN CERTIFICATE").unwrap()..]);
    assert!(ask("certificate.pem").refused(1).contains("no private key"));
    sandbox.write("key.pem", &good[..good.find("-----BEGIN CERTIFICATE").unwrap()]);
    assert!(ask("key.pem").refused(1).contains("no certificate of its RSA key"));
    sandbox.write("chain.pem", format!("{}{good}", std::fs::read_to_string(value(&way, "SSL_CERT_FILE")).unwrap()));
    ask("chain.pem").ok();
}

#[test]
fn nobody_there_or_no_network_is_said_so() {
    let Some((sandbox, azure)) = ready() else { return };
    let way = azure.way("secret");
    azure.seal(&sandbox, &azure.recipient("key"), &way);
    let offline = sandbox.kveil(["decrypt", "--offline", "sealed.yaml"]).way(&way).run().refused(128);
    assert!(offline.contains("--offline"), "{offline}");
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let said = sandbox.kveil(["decrypt", "sealed.yaml"]).way(&way).env("HTTPS_PROXY", format!("http://{closed}")).run().refused(128);
    assert!(said.contains("https://tests.vault.azure.net: ") && said.to_lowercase().contains("refused"), "{said}");
    let said = sandbox.kveil(["decrypt", "sealed.yaml"]).way(&way).env("SSL_CERT_FILE", "/dev/null").run().refused(128);
    assert!(said.to_lowercase().contains("certificate"), "{said}");
}
