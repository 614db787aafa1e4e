//! Keys of GCP KMS: every way to an identity, with genuine sops both ways, and everything that the service or the way to it
//! may answer instead of a key.
#![cfg(unix)]

mod sandbox;

use sandbox::servers::{self, Faults, Server, Way};
use sandbox::{Done, Sandbox};
use serde_json::{Value, json};

const PLAIN: &str = "a: value\nb: two\n";
/// What the server takes for a token, an assertion, a login: none of it belongs into a message.
const TOKENS: [&str; 6] = ["static-token", "the-subject-token", "the-refresh-token", "issued-", "Bearer", "PRIVATE KEY"];

struct Setup {
    sandbox: Sandbox,
    server: &'static Server,
}

/// A sandbox with `plain.yaml` and `sealed.yaml`, made with the static token.
fn ready() -> Option<Setup> {
    let server = servers::gcp()?;
    let sandbox = Sandbox::new();
    sandbox.write("plain.yaml", PLAIN);
    let setup = Setup { sandbox, server };
    let sealed = setup.encrypt("key", &server.way("token"));
    setup.sandbox.write("sealed.yaml", sealed.ok());
    Some(setup)
}

impl Setup {
    fn encrypt(&self, key: &str, way: &Way) -> Done {
        quiet(self.sandbox.kveil(["encrypt", "-v", "--gcp-kms", &self.server.recipient(key), "plain.yaml"]).way(way).run())
    }

    fn decrypt(&self, way: &Way) -> Done {
        quiet(self.sandbox.kveil(["decrypt", "-v", "sealed.yaml"]).way(way).run())
    }

    /// Decrypts through a proxy that follows these rules.
    fn decrypt_through(&self, faults: &Faults, way: &str, rules: &Value) -> Done {
        faults.rules(rules);
        self.decrypt(&faults.way(way))
    }
}

/// Nothing that proves an identity may be told.
#[track_caller]
fn quiet(done: Done) -> Done {
    let told = TOKENS.iter().find(|token| done.err.contains(*token));
    assert_eq!(told, None, "{}", done.err);
    done
}

#[track_caller]
fn tells(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn kveil_and_genuine_sops_open_each_others_files_by_every_identity() {
    let Some(setup) = ready() else { return };
    let Some(call) = setup.sandbox.genuine(["encrypt", "--gcp-kms", &setup.server.recipient("key"), "plain.yaml"]) else { return };
    let theirs = call.way(&setup.server.any_way()).run().text();
    setup.sandbox.write("sealed.yaml", &theirs);
    for way in setup.server.ways().iter().chain(&setup.server.own_ways()) {
        let ours = setup.encrypt("key", way).text();
        assert_eq!(servers::entry(ours.as_bytes(), "gcp_kms"), servers::entry(theirs.as_bytes(), "gcp_kms"), "{}", way.name);
        setup.sandbox.write("ours.yaml", &ours);
        let opened = setup.sandbox.genuine(["decrypt", "ours.yaml"]).unwrap().way(&setup.server.any_way()).run();
        assert_eq!(opened.text(), PLAIN, "{}", way.name);
        assert_eq!(setup.decrypt(way).text(), PLAIN, "{}", way.name);
    }
}

#[test]
fn who_asked_is_told_and_never_with_what() {
    let Some(setup) = ready() else { return };
    let who = [
        ("token", "GOOGLE_OAUTH_ACCESS_TOKEN"),
        ("credentials file", "sops@p.iam.gserviceaccount.com"),
        ("federation by url", "workload identity projects/1/locations/global/workloadIdentityPools/p/providers/github"),
        ("impersonation", "sops@p.iam.gserviceaccount.com"),
        ("metadata server", "metadata server"),
        ("authorized user", "the user of GOOGLE_APPLICATION_CREDENTIALS"),
    ];
    for (way, who) in who {
        let done = setup.decrypt(&setup.server.way(way));
        tells(&done.err, &["GCP KMS: 1 call as ", who]);
    }
}

#[test]
fn credentials_are_taken_in_the_order_of_sops() {
    let Some(setup) = ready() else { return };
    let [token, account, federated] = ["token", "credentials text", "federation by file"].map(|name| setup.server.way(name));
    let all = federated.and(&token).and(&account);
    tells(&setup.decrypt(&all).err, &["sops@p.iam.gserviceaccount.com"]);
    tells(&setup.decrypt(&setup.server.way("service account").and(&token)).err, &["GOOGLE_OAUTH_ACCESS_TOKEN"]);
    // gcloud's own file, which the metadata server comes after.
    let file = setup.server.way("federation by file").variables.pop().unwrap().1;
    let default = setup.sandbox.home().join(".config/gcloud/application_default_credentials.json");
    std::fs::create_dir_all(default.parent().unwrap()).unwrap();
    std::fs::copy(file, default).unwrap();
    tells(&setup.decrypt(&setup.server.way("metadata server")).err, &["workload identity"]);
}

#[test]
fn a_refusal_names_permission_role_and_identity() {
    let Some(setup) = ready() else { return };
    let refused = setup.encrypt("denied", &setup.server.way("credentials file")).refused(1);
    let parts = [
        "403 PERMISSION_DENIED",
        "cloudkms.cryptoKeyVersions.useToEncrypt",
        "roles/cloudkms.cryptoKeyEncrypter",
        "sops@p.iam.gserviceaccount.com",
    ];
    tells(&refused, &parts);
    let faults = setup.server.behind_faults();
    let refused = setup.decrypt_through(&faults, "token", &json!([{ "reply": "gcp denied" }])).refused(128);
    tells(&refused, &["403 PERMISSION_DENIED", "useToDecrypt", "roles/cloudkms.cryptoKeyDecrypter", "asked as GOOGLE_OAUTH_ACCESS_TOKEN"]);
    assert_eq!(faults.count(":decrypt"), 1);
    let refused = setup.decrypt_through(&faults, "token", &json!([{ "reply": "gcp disabled" }])).refused(128);
    tells(&refused, &["FAILED_PRECONDITION", "is not enabled", "versions enable"]);
}

#[test]
fn answers_whose_checksum_does_not_fit_are_asked_for_once_more_and_never_used() {
    let Some(setup) = ready() else { return };
    let faults = setup.server.behind_faults();
    let changes = [json!({ "plaintextCrc32c": "1" }), json!({ "plaintextCrc32c": null }), json!({ "plaintext": "c2VjcmV0" })];
    for change in changes {
        let refused = setup.decrypt_through(&faults, "token", &json!([{ "path": ":decrypt", "change": change }])).refused(128);
        tells(&refused, &["checksum (CRC32C) that doesn't fit"]);
        assert_eq!(faults.count(":decrypt"), 2, "{change}");
    }
    let once = json!([{ "path": ":decrypt", "times": 1, "change": { "plaintextCrc32c": "1" } }]);
    assert_eq!(setup.decrypt_through(&faults, "token", &once).text(), PLAIN);
    for change in
        [json!({ "ciphertextCrc32c": "1" }), json!({ "verifiedPlaintextCrc32c": false }), json!({ "verifiedPlaintextCrc32c": null })]
    {
        faults.rules(&json!([{ "path": ":encrypt", "change": change }]));
        let refused = setup.encrypt("key", &faults.way("token")).refused(1);
        tells(&refused, &["checksum (CRC32C) that doesn't fit"]);
        assert_eq!(faults.count(":encrypt"), 2, "{change}");
    }
}

#[test]
fn a_token_that_has_expired_is_replaced_once() {
    let Some(setup) = ready() else { return };
    let faults = setup.server.behind_faults();
    let expired = |times: u32| json!([{ "path": ":decrypt", "times": times, "reply": "gcp expired" }]);
    assert_eq!(setup.decrypt_through(&faults, "metadata server", &expired(1)).text(), PLAIN);
    assert_eq!((faults.count("/token"), faults.count(":decrypt")), (2, 2));
    let refused = setup.decrypt_through(&faults, "metadata server", &expired(9)).refused(128);
    tells(&refused, &["401 UNAUTHENTICATED", "clock"]);
    assert_eq!((faults.count("/token"), faults.count(":decrypt")), (2, 2));
    // Nobody has another one in place of the variable's.
    let refused = setup.decrypt_through(&faults, "token", &expired(9)).refused(128);
    tells(&refused, &["401 UNAUTHENTICATED", "GOOGLE_OAUTH_ACCESS_TOKEN"]);
    assert_eq!(faults.count(":decrypt"), 1);
}

#[test]
fn what_may_pass_is_tried_again_and_nothing_else() {
    let Some(setup) = ready() else { return };
    let faults = setup.server.behind_faults();
    for rule in [json!({ "reply": "too many" }), json!({ "reply": "broken" }), json!({ "fault": "reset" }), json!({ "fault": "truncated" })]
    {
        let rules = |times: u32| {
            let mut rule = rule.clone();
            rule["times"] = json!(times);
            json!([rule])
        };
        assert_eq!(setup.decrypt_through(&faults, "token", &rules(2)).text(), PLAIN, "{rule}");
        assert_eq!(faults.count(":decrypt"), 3, "{rule}");
        setup.decrypt_through(&faults, "token", &rules(9)).refused(128);
        assert_eq!(faults.count(":decrypt"), 3, "{rule}");
    }
}

#[test]
fn a_token_service_that_says_no_is_quoted() {
    let Some(setup) = ready() else { return };
    let way = setup.server.way("federation by file");
    let file = way.variables.last().unwrap().1.clone();
    let federated: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let refused = |change: Value, parts: &[&str]| {
        let mut changed = federated.clone();
        changed.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let way = way.clone().with("GOOGLE_CREDENTIALS", &changed.to_string());
        tells(&setup.decrypt(&way).refused(128), parts);
    };
    let other = setup.sandbox.write("other", "not the subject token");
    refused(json!({ "credential_source": { "file": other } }), &["no token for workload identity", "GOOGLE_CREDENTIALS", "invalid_grant"]);
    refused(json!({ "credential_source": { "file": "/nowhere" } }), &["no token for workload identity", "No such file"]);
    let url = format!("{}/subject-token", setup.server.url());
    let source = json!({ "url": url, "headers": { "Authorization": "Bearer runner" }, "format": { "type": "json", "subject_token_field_name": "nope" } });
    refused(json!({ "credential_source": source }), &["failed to read subject token field `nope`"]);
    refused(json!({ "type": "gdch" }), &["their type is \"gdch\"", "external_account"]);
    refused(json!({ "token_url": "http://127.0.0.1:9/token" }), &["GCP token service (http://127.0.0.1:9/token)", "refused"]);
}

#[test]
fn without_an_identity_every_place_is_named() {
    let Some(setup) = ready() else { return };
    let nobody = Way { name: String::new(), variables: vec![("GCE_METADATA_HOST".to_owned(), "127.0.0.1:9".to_owned())] };
    let refused = setup.decrypt(&nobody).refused(128);
    tells(&refused, &["GOOGLE_CREDENTIALS", "GOOGLE_APPLICATION_CREDENTIALS", "metadata server", "gcloud auth application-default login"]);
    let not_json = nobody.with("GOOGLE_CREDENTIALS", "/no/such/file.json");
    tells(&setup.decrypt(&not_json).refused(128), &["GOOGLE_CREDENTIALS holds no credentials", "path of a file"]);
    let missing =
        setup.server.way("token").with("GOOGLE_OAUTH_ACCESS_TOKEN", "").with("GOOGLE_APPLICATION_CREDENTIALS", "/no/such/file.json");
    tells(&setup.decrypt(&missing).refused(128), &["GOOGLE_APPLICATION_CREDENTIALS (/no/such/file.json) can't be read"]);
}

#[test]
fn a_service_that_is_not_there_is_named_with_its_address() {
    let Some(setup) = ready() else { return };
    let nowhere = setup.server.way("token").with("SOPS_GCP_KMS_ENDPOINT", "http://127.0.0.1:9");
    tells(&setup.decrypt(&nowhere).refused(128), &["GCP KMS (http://127.0.0.1:9)", "refused"]);
    tells(&setup.encrypt("key", &nowhere).refused(1), &["GCP KMS (http://127.0.0.1:9)", "refused", "endpoint variables"]);
    let offline = setup.server.way("token").with("KVEIL_OFFLINE", "1");
    tells(&setup.decrypt(&offline).refused(128), &["--offline"]);
}

#[test]
fn a_run_asks_for_one_token_however_many_files_it_opens() {
    let Some(setup) = ready() else { return };
    let names: Vec<String> = (0..8).map(|at| format!("tree/{at}.yaml")).collect();
    for name in &names {
        setup.sandbox.write(name, setup.encrypt("key", &setup.server.way("token")).ok());
    }
    let faults = setup.server.behind_faults();
    let done = setup.sandbox.kveil(["decrypt", "-i"]).args(&names).way(&faults.way("metadata server")).run();
    quiet(done).ok();
    assert_eq!((faults.count("/token"), faults.count(":decrypt")), (1, names.len()));
    assert_eq!(setup.sandbox.read("tree/7.yaml"), PLAIN.as_bytes());
}

#[test]
fn what_is_no_key_is_refused_before_anyone_is_asked() {
    let Some(setup) = ready() else { return };
    let faults = setup.server.behind_faults();
    let key = setup.server.recipient("key");
    for wrong in [format!("{key}/cryptoKeyVersions/1"), format!("{key}:decrypt"), "projects/p/key".to_owned()] {
        let done = setup.sandbox.kveil(["encrypt", "--gcp-kms", &wrong, "plain.yaml"]).way(&faults.way("token")).run();
        tells(&done.refused(1), &["resource"]);
    }
    assert_eq!(faults.requests(), Vec::<String>::new());
}

#[test]
fn rules_variables_and_groups_name_keys_as_they_do_for_sops() {
    let Some(setup) = ready() else { return };
    let (key, other, way) = (setup.server.recipient("key"), setup.server.recipient("other"), setup.server.way("service account"));
    let rules = [
        format!("creation_rules: [{{gcp_kms: \"{key},{other}\"}}]\n"),
        format!("creation_rules: [{{key_groups: [{{gcp_kms: [{{resource_id: {key}}}]}}, {{gcp_kms: [{{resource_id: {other}}}]}}]}}]\n"),
    ];
    for rule in rules {
        setup.sandbox.write(".sops.yaml", &rule);
        let sealed = quiet(setup.sandbox.kveil(["encrypt", "plain.yaml"]).way(&way).run()).text();
        assert_eq!(sealed.matches("resource_id: ").count(), 2, "{sealed}");
        setup.sandbox.write("sealed.yaml", &sealed);
        assert_eq!(setup.decrypt(&way).text(), PLAIN);
        let Some(call) = setup.sandbox.genuine(["decrypt", "sealed.yaml"]) else { return };
        assert_eq!(call.way(&way).run().text(), PLAIN);
    }
    std::fs::remove_file(setup.sandbox.path(".sops.yaml")).unwrap();
    let named = setup.sandbox.kveil(["encrypt", "plain.yaml"]).env("SOPS_GCP_KMS_IDS", &other).way(&way).run().text();
    assert!(named.contains(&other), "{named}");
    let rotated = setup.sandbox.kveil(["rotate", "--add-gcp-kms", &other, "sealed.yaml"]).way(&way).run();
    tells(&quiet(rotated).text(), &[&other]);
}
