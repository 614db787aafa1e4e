//! Keys of Huawei Cloud KMS, with genuine sops both ways and a server that checks every signature.
#![cfg(unix)]

mod sandbox;

use sandbox::servers::{self, Server, Way};
use sandbox::{Done, Sandbox};
use serde_json::json;

const PLAIN: &str = "a: value\nb: two\n";

struct Setup {
    sandbox: Sandbox,
    server: &'static Server,
}

/// A sandbox with `plain.yaml` and `sealed.yaml`.
fn ready() -> Option<Setup> {
    let setup = Setup { sandbox: Sandbox::new(), server: servers::huawei()? };
    setup.sandbox.write("plain.yaml", PLAIN);
    setup.sandbox.write("sealed.yaml", setup.encrypt(&setup.server.any_way()).ok());
    Some(setup)
}

impl Setup {
    fn encrypt(&self, way: &Way) -> Done {
        self.sandbox.kveil(["encrypt", "-v", "--hckms", &self.server.recipient("key"), "plain.yaml"]).way(way).run()
    }

    fn decrypt(&self, way: &Way) -> Done {
        let done = self.sandbox.kveil(["decrypt", "-v", "sealed.yaml"]).way(way).run();
        assert!(!done.err.contains("secret-key"), "{}", done.err);
        done
    }
}

#[track_caller]
fn tells(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn kveil_and_genuine_sops_open_each_others_files() {
    let Some(setup) = ready() else { return };
    let way = setup.server.any_way();
    let Some(call) = setup.sandbox.genuine(["encrypt", "--hckms", &setup.server.recipient("key"), "plain.yaml"]) else { return };
    let (theirs, ours) = (call.way(&way).run().text(), setup.encrypt(&way).text());
    assert_eq!(servers::entry(ours.as_bytes(), "hckms"), servers::entry(theirs.as_bytes(), "hckms"));
    setup.sandbox.write("ours.yaml", ours);
    assert_eq!(setup.sandbox.genuine(["decrypt", "ours.yaml"]).unwrap().way(&way).run().text(), PLAIN);
    setup.sandbox.write("sealed.yaml", theirs);
    let opened = setup.decrypt(&way);
    tells(&opened.err, &["Huawei Cloud KMS: 1 call as access key access-key"]);
    assert_eq!(opened.text(), PLAIN);
}

#[test]
fn the_profile_of_the_sdks_stands_in_for_the_variables() {
    let Some(setup) = ready() else { return };
    let way = setup.server.any_way();
    let value = |name: &str| way.variables.iter().find(|(known, _)| known.ends_with(name)).unwrap().1.clone();
    let profile = format!("[basic]\nak = {}\nsk = {}\nproject_id = {}\n", value("_AK"), value("_SK"), value("_PROJECT_ID"));
    std::fs::create_dir(setup.sandbox.home().join(".huaweicloud")).unwrap();
    std::fs::write(setup.sandbox.home().join(".huaweicloud/credentials"), profile).unwrap();
    let mut endpoint = way.clone();
    endpoint.variables.retain(|(name, _)| name.contains("REGION"));
    let Some(call) = setup.sandbox.genuine(["decrypt", "sealed.yaml"]) else { return };
    assert_eq!(call.way(&endpoint).run().text(), PLAIN);
    assert_eq!(setup.decrypt(&endpoint).text(), PLAIN);
}

#[test]
fn what_is_missing_is_named() {
    let Some(setup) = ready() else { return };
    let way = setup.server.any_way();
    let refused = setup.decrypt(&way.clone().with("HUAWEICLOUD_SDK_PROJECT_ID", "")).refused(128);
    tells(&refused, &["comes without a project id", "set HUAWEICLOUD_SDK_PROJECT_ID"]);
    tells(&setup.decrypt(&way.clone().with("HUAWEICLOUD_SDK_AK", "")).refused(128), &["no access key", "HUAWEICLOUD_SDK_AK"]);
    tells(&setup.decrypt(&way.with("HUAWEICLOUD_SDK_SK", "wrong")).refused(128), &["401 APIGW.0301", "access key access-key", "clock"]);
    let arguments = ["encrypt", "--hckms", "tr-west-1/evil:1", "plain.yaml"];
    tells(&setup.sandbox.kveil(arguments).way(&setup.server.any_way()).run().refused(1), &["REGION:KEY-ID"]);
}

#[test]
fn refusals_are_quoted_and_what_may_pass_is_tried_again() {
    let Some(setup) = ready() else { return };
    let faults = setup.server.behind_faults();
    let through = |reply: &str, times: u32| {
        faults.rules(&json!([{ "reply": reply, "times": times }]));
        setup.decrypt(&faults.any_way())
    };
    tells(&through("huawei denied", 9).refused(128), &["403 KMS.0306", "You are not authorized", "grant the user"]);
    assert_eq!(faults.requests().len(), 1);
    tells(&through("huawei disabled", 9).refused(128), &["KMS.1205", "disabled"]);
    assert_eq!(through("huawei too many", 2).text(), PLAIN);
    assert_eq!(faults.requests().len(), 3);
    tells(&through("huawei too many", 9).refused(128), &["429 APIGW.0308"]);
    assert_eq!(faults.requests().len(), 3);
}
