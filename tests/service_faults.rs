//! Key services that fail: the right words, the right number of tries, nothing written.
#![cfg(unix)]

#[path = "sandbox/listener.rs"]
mod listener;
mod sandbox;

use listener::Listener;
use sandbox::servers::{self, Faults, Server, Way};
use sandbox::{Done, Sandbox};
use serde_json::{Value, json};

const PLAIN: &str = "a: value\nb: two\n";
/// Tries of one call.
const TRIES: usize = 3;

/// A reply by its name, and what must be told of it.
type Said = (&'static str, &'static [&'static str]);

type New = fn() -> Option<Trial>;

/// A service behind the proxy, with a file for one of its keys.
struct Trial {
    faults: Faults,
    sandbox: Sandbox,
    way: Way,
    /// The service's word in the names of its replies.
    name: &'static str,
}

impl Trial {
    fn new(server: Option<&'static Server>, name: &'static str) -> Option<Trial> {
        let faults = server?.behind_faults();
        let (sandbox, way) = (Sandbox::new(), faults.any_way());
        sandbox.write("plain.yaml", PLAIN);
        let trial = Trial { faults, sandbox, way, name };
        let sealed = trial.encrypt(&[]).ok();
        trial.sandbox.write("sealed.yaml", sealed);
        Some(trial)
    }

    fn aws() -> Option<Trial> {
        Trial::new(servers::aws(), "aws")
    }

    fn gcp() -> Option<Trial> {
        Trial::new(servers::gcp(), "gcp")
    }

    fn azure() -> Option<Trial> {
        Trial::new(servers::azure(), "azure")
    }

    fn vault() -> Option<Trial> {
        Trial::new(servers::vault(), "vault")
    }

    fn huawei() -> Option<Trial> {
        Trial::new(servers::huawei(), "huawei")
    }

    /// Those whose server is there.
    fn all() -> Vec<Trial> {
        [Trial::aws, Trial::gcp, Trial::azure, Trial::vault, Trial::huawei].into_iter().filter_map(|new| new()).collect()
    }

    fn encrypt(&self, flags: &[&str]) -> Done {
        let key = self.faults.recipient("key");
        let common = ["encrypt", self.faults.flag(), &key];
        self.sandbox.kveil(common.iter().chain(flags).chain(&["plain.yaml"])).way(&self.way).run()
    }

    fn decrypt(&self) -> Done {
        self.sandbox.kveil(["decrypt", "-i", "sealed.yaml"]).way(&self.way).run()
    }

    /// Unwraps with this in the way; it opens, or the file stays as it was.
    #[track_caller]
    fn unwraps(&self, rule: Value, tries: usize, expected: Result<(), &[&str]>) {
        let before = self.sandbox.read("sealed.yaml");
        self.faults.rules(&json!([with(&rule, "path", self.faults.unwrap())]));
        let done = self.decrypt();
        assert_eq!(self.faults.count(self.faults.unwrap()), tries, "{} {rule}: {}", self.name, done.err);
        match expected {
            Ok(()) => assert_eq!((done.code, self.sandbox.read("sealed.yaml")), (0, PLAIN.into()), "{} {rule}: {}", self.name, done.err),
            Err(parts) => {
                let refused = done.refused(128);
                parts.iter().for_each(|part| assert!(refused.contains(part), "{} {rule}: {part} in {refused}", self.name));
                assert_eq!(self.sandbox.read("sealed.yaml"), before, "{} {rule}", self.name);
            }
        }
        self.sandbox.write("sealed.yaml", before);
    }

    /// Wraps in vain with this in the way: the file stays as it was.
    #[track_caller]
    fn wraps_in_vain(&self, rule: Value, tries: usize) {
        self.faults.rules(&json!([with(&rule, "path", self.faults.wrap())]));
        let done = self.encrypt(&["-i"]);
        assert_eq!(self.faults.count(self.faults.wrap()), tries, "{} {rule}: {}", self.name, done.err);
        let refused = done.refused(1);
        assert!(refused.contains("can't wrap the data key for"), "{} {rule}: {refused}", self.name);
        assert_eq!(self.sandbox.read("plain.yaml"), PLAIN.as_bytes(), "{} {rule}", self.name);
    }

    /// The name of a reply, of this service where it has its own words.
    fn reply(&self, what: &str) -> Value {
        match (self.name, what) {
            ("aws" | "huawei", _) | ("azure", "too many") | ("vault", "broken") => json!({ "reply": format!("{} {what}", self.name) }),
            _ => json!({ "reply": what }),
        }
    }
}

fn with(rule: &Value, name: &str, value: impl Into<Value>) -> Value {
    let mut rule = rule.clone();
    rule[name] = value.into();
    rule
}

/// Every service at the same time: each waits before it tries again.
fn for_all(check: impl Fn(&Trial) + Sync) {
    let trials = Trial::all();
    std::thread::scope(|scope| {
        for trial in trials {
            let check = &check;
            scope.spawn(move || check(&trial));
        }
    });
}

#[test]
fn what_passes_is_tried_again() {
    for_all(|trial| {
        trial.unwraps(with(&trial.reply("too many"), "times", 1), 2, Ok(()));
        trial.unwraps(with(&trial.reply("broken"), "times", 2), 3, Ok(()));
        trial.unwraps(json!({ "fault": "reset", "times": 1 }), 2, Ok(()));
        trial.unwraps(json!({ "fault": "truncated", "times": 1 }), 2, Ok(()));
    });
}

#[test]
fn what_does_not_pass_is_given_up_after_three_tries() {
    for_all(|trial| {
        trial.unwraps(trial.reply("too many"), TRIES, Err(&[]));
        trial.unwraps(trial.reply("broken"), TRIES, Err(&["nternal"]));
        trial.unwraps(json!({ "fault": "reset" }), TRIES, Err(&[]));
        trial.unwraps(json!({ "fault": "truncated" }), TRIES, Err(&[]));
        trial.wraps_in_vain(trial.reply("broken"), TRIES);
        trial.wraps_in_vain(json!({ "fault": "reset" }), TRIES);
    });
}

#[test]
fn a_service_that_stays_silent_is_asked_again() {
    for_all(|trial| trial.unwraps(json!({ "fault": "silent", "times": 1 }), 2, Ok(())));
}

#[test]
fn a_no_is_a_no_in_the_services_own_words() {
    let cases: [(New, &[Said]); 5] = [
        (
            Trial::aws,
            &[
                ("aws denied", &["AccessDeniedException", "is not authorized to perform: kms:Decrypt"]),
                ("aws disabled", &["DisabledException", "is disabled"]),
                ("aws pending", &["KMSInvalidStateException", "pending deletion"]),
                ("aws expired", &["ExpiredTokenException", "is expired"]),
                ("aws skewed", &["InvalidSignatureException", "Signature expired", "clock"]),
            ],
        ),
        (
            Trial::gcp,
            &[
                ("gcp denied", &["403 PERMISSION_DENIED", "cloudkms.cryptoKeyVersions.useToDecrypt", "roles/cloudkms.cryptoKeyDecrypter"]),
                ("gcp disabled", &["FAILED_PRECONDITION", "current state is: DISABLED", "enable the key's version"]),
                ("gcp expired", &["401 UNAUTHENTICATED", "invalid authentication credentials"]),
            ],
        ),
        (
            Trial::azure,
            &[
                ("azure denied", &["403 Forbidden (ForbiddenByRbac)", "Caller is not authorized", "Key Vault Crypto User"]),
                ("azure disabled", &["Forbidden", "Operation decrypt is not permitted on this key"]),
            ],
        ),
        (
            Trial::vault,
            &[
                ("vault denied", &["permission denied", "403", "capabilities"]),
                ("vault expired", &["invalid token", "vault token lookup"]),
                ("vault disabled", &["ciphertext or signature version is disallowed by policy (too old)"]),
            ],
        ),
        (
            Trial::huawei,
            &[
                ("huawei denied", &["KMS.0306", "You are not authorized", "kms:cmk:crypto"]),
                ("huawei disabled", &["KMS.1205", "The key is disabled"]),
                ("huawei expired", &["401 APIGW.0307", "HUAWEICLOUD_SDK_SECURITY_TOKEN"]),
            ],
        ),
    ];
    for (new, replies) in cases {
        let Some(trial) = new() else { continue };
        for (reply, parts) in replies {
            trial.unwraps(json!({ "reply": reply }), 1, Err(parts));
            trial.wraps_in_vain(json!({ "reply": reply }), 1);
        }
    }
}

#[test]
fn a_checksum_that_does_not_fit_is_refused() {
    let Some(trial) = Trial::gcp() else { return };
    let changed = |field: &str, value: Value| json!({ "change": { field: value } });
    trial.unwraps(changed("plaintextCrc32c", "1".into()), 2, Err(&["checksum"]));
    trial.unwraps(with(&changed("plaintextCrc32c", "1".into()), "times", 1), 2, Ok(()));
    trial.unwraps(changed("plaintext", "c29tZXRoaW5nIGVsc2U=".into()), 2, Err(&["checksum"]));
    trial.wraps_in_vain(changed("ciphertextCrc32c", "1".into()), 2);
    trial.wraps_in_vain(changed("verifiedPlaintextCrc32c", false.into()), 2);
}

#[test]
fn a_token_that_has_expired_is_fetched_anew_once() {
    let Some(mut trial) = Trial::gcp() else { return };
    trial.way = trial.faults.way("service account");
    trial.unwraps(json!({ "reply": "gcp expired", "times": 1 }), 2, Ok(()));
    trial.unwraps(json!({ "reply": "gcp expired" }), 2, Err(&["UNAUTHENTICATED"]));
    // Azure's is renewed if it was at hand from another call.
    let Some(trial) = Trial::azure() else { return };
    trial.unwraps(json!({ "reply": "azure expired" }), 1, Err(&["401 Unauthorized", "TokenExpired"]));
    trial.faults.rules(&json!([]));
    trial.sandbox.write("second.yaml", trial.encrypt(&[]).ok());
    let unwrap = trial.faults.unwrap();
    trial.faults.rules(&json!([{ "path": unwrap, "times": 1 }, { "path": unwrap, "reply": "azure expired", "times": 1 }]));
    let both = ["decrypt", "--concurrency", "1", "--output", "clear/", "sealed.yaml", "second.yaml"];
    trial.sandbox.kveil(both).way(&trial.way).run().ok();
    assert_eq!((trial.faults.count(unwrap), trial.faults.count("/token")), (3, 2), "{:?}", trial.faults.requests());
}

#[test]
fn nobody_is_sent_on_to_another_address() {
    for_all(|trial| {
        let foreign = Listener::answering("200 OK", "{}");
        for status in [301, 307, 308] {
            let rule = json!({ "status": status, "headers": { "Location": format!("{}/v1/x", foreign.url) } });
            trial.unwraps(rule.clone(), 1, Err(&[]));
            trial.wraps_in_vain(rule, 1);
        }
        assert_eq!(foreign.heard(), Vec::<String>::new(), "{}", trial.name);
    });
}

#[test]
fn nothing_of_a_token_or_a_value_is_said() {
    let secret = |name: &str| ["TOKEN", "SECRET", "_SK", "HEADER"].iter().any(|part| name.contains(part)) && !name.contains("FILE");
    let recipient = |trial: &Trial| trial.faults.recipient("key");
    for_all(|trial| {
        let key = recipient(trial);
        let calls: [&[&str]; 7] = [
            &["decrypt", "-v", "sealed.yaml"],
            &["encrypt", "-v", trial.faults.flag(), &key, "plain.yaml"],
            &["rotate", "-v", "sealed.yaml"],
            &["doctor", "sealed.yaml"],
            &["doctor", "--probe", "sealed.yaml"],
            &["doctor", "--probe", "--format", "json", "sealed.yaml"],
            &["doctor", "--format", "json", "sealed.yaml"],
        ];
        for rules in [json!([]), json!([with(&trial.reply("broken"), "path", trial.faults.unwrap())])] {
            for call in calls {
                trial.faults.rules(&rules);
                let done = trial.sandbox.kveil(call).way(&trial.way).run();
                // What a file holds may be anything; a report is read as well.
                let said = if call[0] == "doctor" { format!("{}{}", String::from_utf8_lossy(&done.out), done.err) } else { done.err };
                for (name, value) in trial.way.variables.iter().filter(|(name, value)| secret(name) && value != "AzureCLICredential") {
                    assert!(!said.contains(value.as_str()), "{} {call:?} tells {name}: {said}", trial.name);
                }
                assert!(!said.contains("issued-") && !said.contains("Bearer"), "{} {call:?}: {said}", trial.name);
            }
        }
    });
}
