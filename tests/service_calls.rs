//! How often key services are asked, how many of them at once, and when not at all.
#![cfg(unix)]

mod sandbox;

use sandbox::servers::{self, Faults, Way};
use sandbox::{Done, IDENTITY_1, RECIPIENT_1, Sandbox};
use serde_json::json;

const PLAIN: &str = "a: value\nb: two\n";
const MANY: usize = 40;

/// A sandbox with `plain.yaml`.
fn ready() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("plain.yaml", PLAIN);
    sandbox
}

/// `1.yaml` to `40.yaml`.
fn names() -> Vec<String> {
    (1..=MANY).map(|number| format!("{number}.yaml")).collect()
}

/// Runs a verb for all of them.
fn for_all_files(sandbox: &Sandbox, way: &Way, arguments: &[&str]) -> Done {
    let names = names();
    sandbox.kveil(arguments.iter().copied().chain(names.iter().map(String::as_str))).way(way).run()
}

/// `plain.yaml` encrypted for these recipients, as flags name them, as `sealed.yaml`.
#[track_caller]
fn seal(sandbox: &Sandbox, way: &Way, recipients: &[(&str, &str)]) {
    let flags = recipients.iter().flat_map(|(flag, recipient)| [*flag, *recipient]);
    let sealed = sandbox.kveil(["encrypt"].into_iter().chain(flags).chain(["plain.yaml"])).way(way).run().ok();
    sandbox.write("sealed.yaml", sealed);
}

#[track_caller]
fn opens(sandbox: &Sandbox, way: &Way) {
    assert_eq!(sandbox.kveil(["decrypt", "sealed.yaml"]).way(way).run().text(), PLAIN);
}

#[test]
fn one_wrapped_key_in_many_files_is_unwrapped_once() {
    for server in servers::all() {
        let (sandbox, faults) = (ready(), server.behind_faults());
        seal(&sandbox, &faults.any_way(), &[(faults.flag(), &faults.recipient("key"))]);
        let sealed = sandbox.read("sealed.yaml");
        names().iter().for_each(|name| _ = sandbox.write(name, &sealed));
        faults.rules(&json!([{ "delay": 0.1 }]));
        for_all_files(&sandbox, &faults.any_way(), &["decrypt", "--output", "clear/"]).ok();
        assert_eq!(faults.count(faults.unwrap()), 1, "{:?}", faults.requests());
        assert_eq!(sandbox.read("clear/40.yaml"), PLAIN.as_bytes());
    }
}

#[test]
fn many_files_are_in_flight_at_once_and_no_more_than_asked_for() {
    let Some(server) = servers::gcp() else { return };
    let (sandbox, faults) = (ready(), server.behind_faults());
    let (way, key) = (faults.any_way(), faults.recipient("key"));
    let slow = json!([{ "delay": 0.3 }]);
    names().iter().for_each(|name| _ = sandbox.write(name, PLAIN));
    faults.rules(&slow);
    for_all_files(&sandbox, &way, &["encrypt", "-i", "--gcp-kms", &key]).ok();
    assert!(faults.most() >= 16 && faults.requests().len() == MANY, "{} at once of {}", faults.most(), faults.requests().len());
    faults.rules(&slow);
    for_all_files(&sandbox, &way, &["decrypt", "--output", "clear/"]).ok();
    assert!(faults.most() >= 16 && faults.requests().len() == MANY, "{} at once of {}", faults.most(), faults.requests().len());
    faults.rules(&json!([{ "delay": 0.05 }]));
    for_all_files(&sandbox, &way, &["decrypt", "--concurrency", "3", "--output", "again/"]).ok();
    assert_eq!((faults.most(), faults.requests().len()), (3, MANY));
}

#[test]
fn one_token_serves_all_files() {
    let Some(server) = servers::gcp() else { return };
    let (sandbox, faults) = (ready(), server.behind_faults());
    let (way, key) = (faults.way("metadata server"), faults.recipient("key"));
    names().iter().for_each(|name| _ = sandbox.write(name, PLAIN));
    for_all_files(&sandbox, &way, &["encrypt", "-i", "--gcp-kms", &key]).ok();
    assert_eq!((faults.count("/token"), faults.count(faults.wrap())), (1, MANY), "{:?}", faults.requests());
}

#[test]
fn the_recipients_of_a_file_are_asked_at_the_same_time() {
    let Some(server) = servers::gcp() else { return };
    let (sandbox, faults) = (ready(), server.behind_faults());
    faults.rules(&json!([{ "delay": 0.5 }]));
    seal(&sandbox, &faults.any_way(), &[("--gcp-kms", &format!("{},{}", faults.recipient("key"), faults.recipient("other")))]);
    assert_eq!((faults.most(), faults.requests().len()), (2, 2));
}

/// A file for three keys behind two addresses of Vault: the first alone, two at the second.
fn at_two_addresses() -> Option<(Sandbox, Way, Faults, Faults)> {
    let server = servers::vault()?;
    let (sandbox, first, second) = (ready(), server.behind_faults(), server.behind_faults());
    let way = server.way("root token").with("SOPS_HC_VAULT_ALLOWLIST", "all");
    let recipients = [first.recipient("key"), second.recipient("key"), second.recipient("nested")].join(",");
    seal(&sandbox, &way, &[("--hc-vault-transit", &recipients)]);
    for faults in [&first, &second] {
        faults.rules(&json!([]));
    }
    Some((sandbox, way, first, second))
}

#[test]
fn the_first_that_answers_is_enough() {
    let Some((sandbox, way, first, second)) = at_two_addresses() else { return };
    opens(&sandbox, &way);
    assert_eq!((first.requests().len(), second.requests().len()), (1, 0));
}

#[test]
fn beside_a_silent_service_the_next_is_asked() {
    let Some((sandbox, way, first, second)) = at_two_addresses() else { return };
    first.rules(&json!([{ "fault": "silent" }]));
    opens(&sandbox, &way);
    assert_eq!((first.requests().len(), second.requests().len()), (1, 1));
}

#[test]
fn after_a_no_the_next_is_asked_and_no_other() {
    let Some((sandbox, way, first, second)) = at_two_addresses() else { return };
    first.rules(&json!([{ "reply": "vault denied" }]));
    second.rules(&json!([{ "delay": 0.5 }]));
    opens(&sandbox, &way);
    assert_eq!((first.requests().len(), second.requests().len()), (1, 1));
}

#[test]
fn where_nobody_is_there_all_the_rest_are_asked_together() {
    let Some((sandbox, way, first, second)) = at_two_addresses() else { return };
    drop(first);
    second.rules(&json!([{ "delay": 0.5 }]));
    opens(&sandbox, &way);
    assert_eq!((second.requests().len(), second.most()), (2, 2));
}

#[test]
fn where_all_fail_each_is_told() {
    let Some((sandbox, way, first, second)) = at_two_addresses() else { return };
    let gone = first.recipient("key");
    drop(first);
    second.rules(&json!([{ "path": "team/", "reply": "vault denied" }, { "fault": "reset" }]));
    let refused = sandbox.kveil(["decrypt", "sealed.yaml"]).way(&way).run().refused(128);
    for part in [gone.as_str(), &second.recipient("key"), &second.recipient("nested"), "refused", "permission denied"] {
        assert!(refused.contains(part), "{part} in {refused}");
    }
    assert_eq!((second.count("team/"), second.count("/transit/")), (1, 3));
}

#[test]
fn identities_on_this_machine_come_before_any_service() {
    for server in servers::all() {
        let (sandbox, faults) = (ready(), server.behind_faults());
        seal(&sandbox, &faults.any_way(), &[(faults.flag(), &faults.recipient("key")), ("--age", RECIPIENT_1)]);
        faults.rules(&json!([]));
        opens(&sandbox, &faults.any_way().with("SOPS_AGE_KEY", IDENTITY_1));
        assert!(faults.requests().is_empty(), "{}: {:?}", server.flag, faults.requests());
    }
}

#[test]
fn offline_nobody_is_asked() {
    for server in servers::all() {
        let (sandbox, faults) = (ready(), server.behind_faults());
        let (way, key) = (faults.any_way(), faults.recipient("key"));
        seal(&sandbox, &way, &[(faults.flag(), &key)]);
        faults.rules(&json!([]));
        let refused = sandbox.kveil(["decrypt", "--offline", "sealed.yaml"]).way(&way).run().refused(128);
        assert!(refused.contains(&key[..40.min(key.len())]) && refused.contains("--offline"), "{refused}");
        let refused = sandbox.kveil(["encrypt", faults.flag(), &key, "plain.yaml"]).way(&way).env("KVEIL_OFFLINE", "true").run().refused(1);
        assert!(refused.contains("--offline"), "{refused}");
        assert!(faults.requests().is_empty(), "{}: {:?}", server.flag, faults.requests());
    }
}

#[test]
fn who_asks_how_often_as_whom_is_told_on_request() {
    for server in servers::all() {
        let (sandbox, faults) = (ready(), server.behind_faults());
        let way = faults.any_way();
        seal(&sandbox, &way, &[(faults.flag(), &faults.recipient("key"))]);
        let done = sandbox.kveil(["decrypt", "-v", "sealed.yaml"]).way(&way).run();
        assert!(done.err.contains(": 1 call as "), "{}: {}", server.flag, done.err);
        assert!(sandbox.kveil(["decrypt", "sealed.yaml"]).way(&way).run().err.is_empty());
    }
}

/// When a recipient came in stays, whatever is wrapped for it anew; genuine sops does so, too.
#[test]
fn rotation_keeps_when_a_recipient_came_in() {
    let times = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let lines = text.lines().filter_map(|line| line.split_once("created_at: "));
        lines.map(|(_, time)| time.trim_matches('"').to_owned()).collect::<Vec<_>>()
    };
    for server in servers::all() {
        let (sandbox, way) = (ready(), server.any_way());
        seal(&sandbox, &way, &[(server.flag, &server.recipient("key"))]);
        let sealed = String::from_utf8(sandbox.read("sealed.yaml")).unwrap();
        let now = times(sealed.as_bytes()).remove(0);
        sandbox.write("sealed.yaml", sealed.replace(&format!("created_at: \"{now}\""), "created_at: \"2024-01-02T03:04:05Z\""));
        let rotated = sandbox.kveil(["rotate", "sealed.yaml"]).way(&way).run().ok();
        assert_eq!(times(&rotated), ["2024-01-02T03:04:05Z"], "{}", server.flag);
        let Some(genuine) = sandbox.genuine(["rotate", "sealed.yaml"]) else { return };
        assert_eq!(times(&genuine.way(&way).run().ok()), times(&rotated), "{}", server.flag);
    }
}
