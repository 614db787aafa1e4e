//! The servers of the tests, checked with genuine sops: what it takes for the services, kveil's tests may.
#![cfg(unix)]

mod sandbox;

use sandbox::Sandbox;
use sandbox::servers::{self, Server, Way};
use serde_json::json;

const PLAIN: &str = "a: value\nb: two\n";

/// Encrypts and decrypts with genuine sops; `None` if it isn't there.
fn there_and_back(sandbox: &Sandbox, flag: &str, recipient: &str, way: &Way) -> Option<()> {
    sandbox.write("plain.yaml", PLAIN);
    let sealed = sandbox.genuine(["encrypt", flag, recipient, "plain.yaml"])?.way(way).run();
    assert_eq!(sealed.code, 0, "{} for {recipient}: {}", way.name, sealed.err);
    sandbox.write("sealed.yaml", sealed.out);
    let opened = sandbox.genuine(["decrypt", "sealed.yaml"])?.way(way).run();
    assert_eq!((opened.code, opened.out.as_slice()), (0, PLAIN.as_bytes()), "{} for {recipient}: {}", way.name, opened.err);
    Some(())
}

/// Every way to every server, with the recipients beside `key`.
fn every_way(server: Option<&'static Server>, recipients: &[&str]) {
    let Some(server) = server else { return };
    let sandbox = Sandbox::new();
    for way in server.ways() {
        let Some(()) = there_and_back(&sandbox, server.flag, &server.recipient("key"), &way) else { return };
    }
    for recipient in recipients {
        there_and_back(&sandbox, server.flag, &server.recipient(recipient), &server.any_way());
    }
}

#[test]
fn genuine_sops_takes_moto_for_aws_by_every_identity() {
    every_way(servers::aws(), &["other", "far", "alias", "multi-region", "replica"]);
}

#[test]
fn genuine_sops_assumes_roles_and_binds_contexts_at_moto() {
    let Some(aws) = servers::aws() else { return };
    let (sandbox, way) = (Sandbox::new(), aws.any_way());
    let with_role = format!("{}+{}", aws.recipient("key"), aws.recipient("role"));
    let Some(()) = there_and_back(&sandbox, "--kms", &with_role, &way) else { return };
    let key = aws.recipient("key");
    sandbox.write("plain.yaml", PLAIN);
    let arguments = ["encrypt", "--kms", &key, "--encryption-context", "Env:prod", "plain.yaml"];
    let sealed = sandbox.genuine(arguments).unwrap().way(&way).run().text();
    sandbox.write("wrong.yaml", sealed.replace("Env: prod", "Env: test"));
    let refused = sandbox.genuine(["decrypt", "wrong.yaml"]).unwrap().way(&way).run().refused(128);
    assert!(refused.contains("InvalidCiphertextException"), "{refused}");
}

#[test]
fn moto_checks_signatures_and_permissions() {
    let Some(aws) = servers::aws() else { return };
    let sandbox = Sandbox::new();
    sandbox.write("plain.yaml", PLAIN);
    for (way, code) in
        [("no permission", "AccessDeniedException"), ("wrong secret", "InvalidSignatureException"), ("unknown key", "UnrecognizedClient")]
    {
        let Some(call) = sandbox.genuine(["encrypt", "--kms", &aws.recipient("key"), "plain.yaml"]) else { return };
        let done = call.way(&aws.way(way)).run();
        assert!(done.code != 0 && done.err.contains(code), "{way}: {}", done.err);
    }
}

#[test]
fn genuine_sops_takes_our_cloud_kms_for_googles_by_every_identity() {
    every_way(servers::gcp(), &["other"]);
}

#[test]
fn genuine_sops_takes_our_key_vault_for_azures_by_every_identity() {
    every_way(servers::azure(), &["versioned", "other"]);
}

#[test]
fn genuine_sops_uses_the_real_vault_by_every_token() {
    every_way(servers::vault(), &["nested"]);
}

#[test]
fn genuine_sops_takes_our_huawei_kms_for_the_services() {
    every_way(servers::huawei(), &[]);
}

#[test]
fn who_may_not_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.write("plain.yaml", PLAIN);
    let refused = |server: Option<&'static Server>, recipient: &str, way: &str, code: &str| {
        let Some(server) = server else { return };
        let Some(call) = sandbox.genuine(["encrypt", server.flag, &server.recipient(recipient), "plain.yaml"]) else { return };
        let way = if way.is_empty() { server.any_way() } else { server.way(way) };
        let done = call.way(&way).run();
        assert!(done.code != 0 && done.err.contains(code), "{}: {}", way.name, done.err);
    };
    refused(servers::gcp(), "denied", "", "useToEncrypt' denied");
    refused(servers::azure(), "denied", "", "Forbidden");
    refused(servers::azure(), "key", "wrong secret", "AADSTS7000215");
    refused(servers::vault(), "key", "no permission", "permission denied");
    refused(servers::vault(), "key", "unknown token", "permission denied");
}

#[test]
fn the_proxy_before_a_server_passes_on_counts_and_gets_in_the_way() {
    let check = |server: &'static Server| {
        let (sandbox, faults) = (Sandbox::new(), server.behind_faults());
        let (way, key) = (faults.any_way(), faults.recipient("key"));
        let Some(()) = there_and_back(&sandbox, server.flag, &key, &way) else { return };
        assert!(faults.requests().len() >= 2 && faults.most() == 1, "{}: {:?}", server.flag, faults.requests());
        for rule in [json!({ "fault": "reset" }), json!({ "status": 418, "content": { "error": { "code": "teapot" } } })] {
            faults.rules(&json!([rule]));
            assert!(faults.requests().is_empty());
            let done = sandbox.genuine(["encrypt", server.flag, &key, "plain.yaml"]).unwrap().way(&way).run();
            assert!(done.code != 0 && !faults.requests().is_empty(), "{}: {}", server.flag, done.err);
        }
    };
    // Genuine sops tries some of them for a while.
    std::thread::scope(|scope| servers::all().into_iter().for_each(|server| _ = scope.spawn(move || check(server))));
}
