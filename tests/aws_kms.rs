//! AWS KMS: every identity, both ways with genuine sops, against moto, which checks signatures and permissions.
#![cfg(all(unix, feature = "aws"))]

mod sandbox;

use sandbox::servers::{self, Faults, Server, Way};
use sandbox::{Done, RECIPIENT_1, Sandbox};
use serde_json::json;

const PLAIN: &str = "a: value\nb: two\n";
const DATA_KEY: &str = "Failed to get the data key required to decrypt the SOPS file.";

/// A sandbox with `plain.yaml`, and the service.
fn set_up() -> Option<(Sandbox, &'static Server)> {
    let aws = servers::aws()?;
    sandbox::tool("sops")?;
    let sandbox = Sandbox::with_identity();
    sandbox.write("plain.yaml", PLAIN);
    Some((sandbox, aws))
}

fn genuine(sandbox: &Sandbox, arguments: &[&str], way: &Way) -> Done {
    sandbox.genuine(arguments).unwrap().way(way).run()
}

/// Encrypts with each and decrypts with the other.
#[track_caller]
fn both_ways(sandbox: &Sandbox, flags: &[&str], way: &Way) {
    let arguments: Vec<&str> = ["encrypt"].iter().chain(flags).chain(&["plain.yaml"]).copied().collect();
    sandbox.write("ours.yaml", sandbox.kveil(&arguments).way(way).run().ok());
    sandbox.write("theirs.yaml", genuine(sandbox, &arguments, way).ok());
    assert_eq!(genuine(sandbox, &["decrypt", "ours.yaml"], way).text(), PLAIN, "{}", way.name);
    assert_eq!(sandbox.kveil(["decrypt", "theirs.yaml"]).way(way).run().text(), PLAIN, "{}", way.name);
    assert_eq!(entries(&sandbox.read("ours.yaml")), entries(&sandbox.read("theirs.yaml")), "{}", way.name);
}

/// The `sops` block up to the fields that every file has, without what is new each time.
fn entries(file: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(file).into_owned();
    let block = text.lines().skip_while(|line| *line != "sops:").take_while(|line| !line.trim_start().starts_with("lastmodified"));
    // Without the lines of age's armour, whose number is random.
    let block = block.filter(|line| line.contains(':'));
    let random = |line: &str| ["created_at:", "enc:"].iter().find_map(|name| Some(line[..line.find(name)? + name.len()].to_owned()));
    block.map(|line| random(line).unwrap_or_else(|| line.to_owned())).collect()
}

/// A file of kveil's for the service's key, with more flags.
fn sealed(sandbox: &Sandbox, aws: &Server, name: &str, flags: &[&str]) {
    let key = aws.recipient("key");
    let arguments = ["encrypt", "--kms", &key].iter().chain(flags).chain(&["plain.yaml"]).copied().collect::<Vec<_>>();
    sandbox.write(name, sandbox.kveil(arguments).way(&aws.way("environment")).run().ok());
}

/// The answer of the one KMS recipient in an error.
fn answer(error: &str) -> String {
    assert!(error.contains(DATA_KEY), "{error}");
    error.lines().find(|line| line.contains("kms arn:")).unwrap_or_else(|| panic!("{error}")).trim().to_owned()
}

/// Profiles in the home of the sandbox, each with the keys of a way and the service's address.
fn with_profiles(sandbox: &Sandbox, aws: &Server, profiles: &[(&str, &str)]) {
    let mut text = String::new();
    for (name, way) in profiles {
        let way = aws.way(way);
        let value = |name: &str| way.variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()).unwrap();
        let (id, secret) = (value("AWS_ACCESS_KEY_ID"), value("AWS_SECRET_ACCESS_KEY"));
        text += &format!("[profile {name}]\naws_access_key_id={id}\naws_secret_access_key={secret}\nendpoint_url={}\n", aws.url());
    }
    std::fs::create_dir_all(sandbox.home().join(".aws")).unwrap();
    std::fs::write(sandbox.home().join(".aws/config"), text).unwrap();
}

/// No variables but the one that keeps clients from asking a machine's metadata.
fn alone() -> Way {
    Way { name: "alone".to_owned(), variables: vec![("AWS_EC2_METADATA_DISABLED".to_owned(), "true".to_owned())] }
}

#[test]
fn every_identity_opens_what_sops_wrote_and_the_other_way_round() {
    let Some((sandbox, aws)) = set_up() else { return };
    for way in aws.ways() {
        both_ways(&sandbox, &["--kms", &aws.recipient("key")], &way);
    }
}

#[test]
fn every_form_of_a_key_is_understood_and_its_region_counts() {
    let Some((sandbox, aws)) = set_up() else { return };
    let way = aws.way("environment").with("AWS_REGION", "ap-south-1");
    for name in ["other", "far", "alias", "multi-region", "replica"] {
        both_ways(&sandbox, &["--kms", &aws.recipient(name)], &way);
    }
}

#[test]
fn roles_contexts_and_profiles_are_written_as_sops_writes_them() {
    let Some((sandbox, aws)) = set_up() else { return };
    with_profiles(&sandbox, aws, &[("dev", "environment")]);
    let way = aws.way("environment");
    let (key, other) = (aws.recipient("key"), aws.recipient("other"));
    let with_role = format!("{key}+{}", aws.recipient("role"));
    both_ways(&sandbox, &["--kms", &with_role], &way);
    both_ways(&sandbox, &["--kms", &key, "--encryption-context", "b:2,a:one"], &way);
    both_ways(&sandbox, &["--kms", &key, "--aws-profile", "dev"], &alone());
    both_ways(&sandbox, &["--kms", &format!("{with_role},{other}"), "--aws-profile", "dev", "--encryption-context", "z:1"], &way);
    assert!(entries(&sandbox.read("ours.yaml")).iter().any(|line| line.contains("role: ")));
}

#[test]
fn a_variable_names_keys_as_in_sops() {
    let Some((sandbox, aws)) = set_up() else { return };
    let keys = format!("{},{}+{}", aws.recipient("other"), aws.recipient("key"), aws.recipient("role"));
    both_ways(&sandbox, &["--encryption-context", "a:1"], &aws.way("environment").with("SOPS_KMS_ARN", &keys));
}

#[test]
fn rules_name_keys_with_roles_contexts_and_profiles() {
    let Some((sandbox, aws)) = set_up() else { return };
    with_profiles(&sandbox, aws, &[("dev", "environment")]);
    let (key, other, role) = (aws.recipient("key"), aws.recipient("other"), aws.recipient("role"));
    let full = format!("{{arn: {key}, role: {role}, context: {{b: x, a: y}}, aws_profile: dev}}");
    for rule in [
        format!("kms: {key}+{role}, {other}\n  aws_profile: dev"),
        format!("kms: ['{key}', '{other}+{role}']"),
        format!("key_groups:\n  - kms: [{full}, {{arn: {other}}}]"),
        format!("key_groups:\n  - kms: [{full}]\n  - age: [{RECIPIENT_1}]"),
    ] {
        sandbox.write(".sops.yaml", format!("creation_rules:\n- {rule}\n"));
        both_ways(&sandbox, &[], &aws.way("environment"));
    }
}

#[test]
fn shares_in_key_groups_with_age_are_joined() {
    let Some((sandbox, aws)) = set_up() else { return };
    let rule = format!(
        "shamir_threshold: 2\n  key_groups:\n  - age: [{RECIPIENT_1}]\n  - kms: [{{arn: {}}}]\n  - kms: [{{arn: {}}}]",
        aws.recipient("other"),
        aws.recipient("key")
    );
    sandbox.write(".sops.yaml", format!("creation_rules:\n- {rule}\n"));
    let way = aws.way("environment");
    both_ways(&sandbox, &[], &way);
    // Two of three are enough.
    let lost = String::from_utf8(sandbox.read("theirs.yaml")).unwrap().replace(&aws.recipient("other"), &aws.recipient("missing"));
    sandbox.write("lost.yaml", lost);
    assert_eq!(sandbox.kveil(["decrypt", "lost.yaml"]).way(&way).run().text(), PLAIN);
}

#[test]
fn another_context_is_refused_with_the_services_own_code() {
    let Some((sandbox, aws)) = set_up() else { return };
    sealed(&sandbox, aws, "sealed.yaml", &["--encryption-context", "Env:prod"]);
    let wrong = String::from_utf8(sandbox.read("sealed.yaml")).unwrap().replace("Env: prod", "Env: test");
    sandbox.write("wrong.yaml", wrong);
    let error = sandbox.kveil(["decrypt", "wrong.yaml"]).way(&aws.way("environment")).run().refused(128);
    let answer = answer(&error);
    assert!(answer.contains("InvalidCiphertextException") && answer.contains("context"), "{answer}");
    assert!(answer.contains("as environment variables"), "{answer}");
}

#[test]
fn a_profile_that_is_not_here_is_only_a_hint() {
    let Some((sandbox, aws)) = set_up() else { return };
    sealed(&sandbox, aws, "sealed.yaml", &["--aws-profile", "gone"]);
    let open = |way: &Way| sandbox.kveil(["decrypt", "-v", "sealed.yaml"]).way(way).run();
    let done = open(&aws.way("environment"));
    assert!(done.err.contains("AWS KMS: 1 call as environment variables"), "{}", done.err);
    assert_eq!(done.text(), PLAIN);
    let answer = answer(&open(&alone()).refused(128));
    assert!(answer.contains("profile gone isn't on this machine; no credentials of AWS were found"), "{answer}");
    assert!(answer.contains("kms:Decrypt on arn:aws:kms:"), "{answer}");
}

#[test]
fn a_profile_that_is_refused_is_followed_by_the_machines_identity() {
    let Some((sandbox, aws)) = set_up() else { return };
    with_profiles(&sandbox, aws, &[("dev", "environment"), ("weak", "no permission")]);
    sealed(&sandbox, aws, "weak.yaml", &["--aws-profile", "weak"]);
    let open = |way: &Way| sandbox.kveil(["decrypt", "-v", "weak.yaml"]).way(way).run();
    let done = open(&aws.way("environment"));
    assert!(done.err.contains("1 call as environment variables\n") && done.err.contains("1 call as profile weak\n"), "{}", done.err);
    assert_eq!(done.text(), PLAIN);
    let error = open(&aws.way("wrong secret")).refused(128);
    let both = answer(&error);
    for part in
        ["AccessDeniedException", "(as profile weak)", "InvalidSignatureException", "(as environment variables)", "allow kms:Decrypt on"]
    {
        assert!(both.contains(part), "{part}: {both}");
    }
    // The same keys by another way needn't be asked as twice.
    let done = open(&alone().with("AWS_PROFILE", "weak"));
    assert!(done.err.contains("AWS KMS: 1 call as profile weak\n"), "{}", done.err);
}

#[test]
fn the_profile_of_an_entry_goes_before_variables() {
    let Some((sandbox, aws)) = set_up() else { return };
    with_profiles(&sandbox, aws, &[("dev", "environment")]);
    sealed(&sandbox, aws, "sealed.yaml", &["--aws-profile", "dev"]);
    let done = sandbox.kveil(["decrypt", "-v", "sealed.yaml"]).way(&aws.way("wrong secret")).run();
    assert!(done.err.contains("AWS KMS: 1 call as profile dev\n"), "{}", done.err);
    assert_eq!(done.text(), PLAIN);
    assert_eq!(genuine(&sandbox, &["decrypt", "sealed.yaml"], &aws.way("wrong secret")).text(), PLAIN);
}

#[test]
fn refusals_name_code_identity_and_permission_and_nothing_is_written() {
    let Some((sandbox, aws)) = set_up() else { return };
    sealed(&sandbox, aws, "sealed.yaml", &[]);
    let before = (sandbox.listing(), sandbox.read("plain.yaml"));
    let key = aws.recipient("key");
    for (way, code, step) in [
        ("no permission", "AccessDeniedException", "allow kms:ACTION on arn:aws:kms:"),
        ("wrong secret", "InvalidSignatureException", "the secret access key is wrong, or the clock is off"),
        ("unknown key", "UnrecognizedClientException", "log in again"),
    ] {
        let way = aws.way(way);
        let wrapping = sandbox.kveil(["encrypt", "-i", "--kms", &key, "plain.yaml"]).way(&way).run().refused(1);
        let opening = sandbox.kveil(["decrypt", "-i", "sealed.yaml"]).way(&way).run().refused(128);
        for (error, action) in [(wrapping, "Encrypt"), (answer(&opening), "Decrypt")] {
            assert!(error.contains(&key) && error.contains(code) && error.contains("(as environment variables)"), "{error}");
            assert!(error.contains(&step.replace("ACTION", action)), "{error}");
        }
        let secret = way.variables.iter().find(|(name, _)| name == "AWS_SECRET_ACCESS_KEY").unwrap().1.clone();
        assert!(!opening.contains(&secret));
    }
    let missing = sandbox.kveil(["encrypt", "-i", "--kms", &aws.recipient("missing"), "plain.yaml"]).way(&aws.any_way()).run().refused(1);
    assert!(missing.contains("NotFoundException") && missing.contains("check region, account and name"), "{missing}");
    assert_eq!((sandbox.listing(), sandbox.read("plain.yaml")), before);
}

#[test]
fn a_role_that_is_not_given_says_so() {
    let Some((sandbox, aws)) = set_up() else { return };
    let recipient = format!("{}+{}", aws.recipient("key"), aws.recipient("role"));
    let error = sandbox.kveil(["encrypt", "--kms", &recipient, "plain.yaml"]).way(&aws.way("no permission")).run().refused(1);
    assert!(error.contains("wasn't given to environment variables: AccessDenied"), "{error}");
    assert!(error.contains(&format!("allow sts:AssumeRole on {}", aws.recipient("role"))), "{error}");
}

#[test]
fn places_that_were_searched_are_named_without_values() {
    let Some((sandbox, aws)) = set_up() else { return };
    sealed(&sandbox, aws, "sealed.yaml", &[]);
    with_profiles(&sandbox, aws, &[("weak", "no permission")]);
    let way = aws.way("wrong secret").with("AWS_PROFILE", "nope");
    let error = sandbox.kveil(["decrypt", "sealed.yaml"]).way(&way).run().refused(128);
    for line in [
        "AWS_ACCESS_KEY_ID: set",
        "AWS_PROFILE: nope, which isn't here",
        ".aws/config: profile weak",
        "AWS_WEB_IDENTITY_TOKEN_FILE: not set",
    ] {
        assert!(error.contains(line), "{line}: {error}");
    }
    assert!(!error.contains("AKIA"), "{error}");
}

#[test]
fn a_process_that_gives_no_credentials_is_told_and_none_is_started_offline() {
    let Some((sandbox, aws)) = set_up() else { return };
    sealed(&sandbox, aws, "sealed.yaml", &[]);
    let good = aws.way("profile with a process");
    assert_eq!(sandbox.kveil(["decrypt", "sealed.yaml"]).way(&good).run().text(), PLAIN);
    let config = sandbox.home().join("config");
    let started = sandbox.tmp().join("started");
    let with = |command: &str| std::fs::write(&config, format!("[profile process]\ncredential_process = {command}\n")).unwrap();
    let decrypt = |flags: &[&str]| {
        let arguments = [&["decrypt", "sealed.yaml"], flags].concat();
        sandbox.kveil(arguments).way(&good).env("AWS_CONFIG_FILE", &config).env("AWS_REGION", "us-east-1").run().refused(128)
    };
    for (command, words) in [
        ("sh -c 'echo the-token-expired >&2; exit 3'", "the-token-expired"),
        ("echo no-json", "could not parse response"),
        ("/none/such --flag", "not found"),
    ] {
        with(command);
        let error = decrypt(&[]);
        assert!(error.contains(words) && error.contains("run the credential_process of the profile by itself"), "{command}: {error}");
        assert!(!error.contains("no-json") && !error.contains("\\u{a}"), "{command}: {error}");
    }
    with(&format!("touch {}", started.display()));
    assert!(decrypt(&["--offline"]).contains("--offline") && !started.exists());
    decrypt(&[]);
    assert!(started.exists());
}

/// The service behind a proxy with these rules, and a file that it can open.
fn faulty(rules: &serde_json::Value) -> Option<(Sandbox, Faults)> {
    let (sandbox, aws) = set_up()?;
    sealed(&sandbox, aws, "sealed.yaml", &[]);
    let faults = aws.behind_faults();
    faults.rules(rules);
    Some((sandbox, faults))
}

#[test]
fn what_passes_is_tried_again() {
    for fault in [
        json!({"reply": "aws too many", "times": 2}),
        json!({"reply": "aws broken", "times": 2}),
        json!({"status": 503, "times": 1}),
        json!({"fault": "reset", "times": 1}),
        json!({"fault": "truncated", "times": 1}),
    ] {
        let Some((sandbox, faults)) = faulty(&json!([fault])) else { return };
        let done = sandbox.kveil(["decrypt", "sealed.yaml"]).way(&faults.way("environment")).run();
        assert_eq!(done.code, 0, "{fault}: {}", done.err);
        assert_eq!(faults.count("TrentService.Decrypt"), 1 + usize::try_from(fault["times"].as_u64().unwrap()).unwrap(), "{fault}");
    }
}

#[test]
fn what_stays_is_given_up_after_three_tries_and_what_is_meant_after_one() {
    for (fault, tries, code, step) in [
        (json!({"reply": "aws too many"}), 3, "ThrottlingException: Rate exceeded", ""),
        (json!({"reply": "aws broken"}), 3, "KMSInternalException", ""),
        (json!({"fault": "reset"}), 3, "", ""),
        (json!({"status": 502, "content": "a gateway"}), 3, "HTTP 502", ""),
        (json!({"reply": "aws denied"}), 1, "AccessDeniedException: User: ", "allow kms:Encrypt on"),
        (json!({"reply": "aws disabled"}), 1, "DisabledException", "aws kms enable-key"),
        (json!({"reply": "aws pending"}), 1, "KMSInvalidStateException", "being deleted"),
        (json!({"reply": "aws expired"}), 1, "ExpiredTokenException", "log in again"),
    ] {
        let Some((sandbox, faults)) = faulty(&json!([fault])) else { return };
        let before = sandbox.listing();
        let key = faults.recipient("key");
        let error = sandbox.kveil(["encrypt", "-i", "--kms", &key, "plain.yaml"]).way(&faults.way("environment")).run().refused(1);
        assert!(error.contains(code) && error.contains(step), "{fault}: {error}");
        assert_eq!(faults.count("TrentService.Encrypt"), tries, "{fault}: {error}");
        assert_eq!((sandbox.listing(), sandbox.read("plain.yaml")), (before, PLAIN.as_bytes().to_vec()));
    }
}

#[test]
fn nobody_there_is_told_at_once_and_the_others_are_asked() {
    let Some((sandbox, aws)) = set_up() else { return };
    sealed(&sandbox, aws, "sealed.yaml", &[]);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for endpoint in [format!("http://{closed}"), "http://no-such-host.invalid".to_owned()] {
        let way = aws.way("environment").with("AWS_ENDPOINT_URL", &endpoint);
        let answer = answer(&sandbox.kveil(["decrypt", "sealed.yaml"]).way(&way).run().refused(128));
        assert!(answer.contains("AWS KMS isn't reached (as environment variables)") && answer.contains("HTTPS_PROXY"), "{answer}");
    }
    let way = aws.way("web identity").with("AWS_ENDPOINT_URL_STS", &format!("http://{closed}"));
    let way = way.with("AWS_ENDPOINT_URL", &format!("http://{closed}"));
    let answer = answer(&sandbox.kveil(["decrypt", "sealed.yaml"]).way(&way).run().refused(128));
    assert!(answer.contains("no credentials as web identity (arn:aws:iam::"), "{answer}");
}

#[test]
fn identities_and_wrapped_keys_are_asked_for_once_a_run() {
    let Some((sandbox, aws)) = set_up() else { return };
    let faults = aws.behind_faults();
    let way = faults.way("environment");
    let recipient = format!("{}+{}", aws.recipient("key"), aws.recipient("role"));
    let names: Vec<String> = (0..8).map(|at| format!("f{at}.yaml")).collect();
    names.iter().for_each(|name| drop(sandbox.write(name, PLAIN)));
    let all = |verb: &str, more: &[&str]| {
        let arguments = [verb, "-i", "-v"].iter().chain(more).copied().chain(names.iter().map(String::as_str)).collect::<Vec<_>>();
        sandbox.kveil(arguments).way(&way).run()
    };
    let done = all("encrypt", &["--kms", &recipient]);
    assert!(done.err.contains("AWS STS: 1 call as environment variables"), "{}", done.err);
    done.ok();
    assert_eq!((faults.count("TrentService.Encrypt"), faults.requests().len()), (8, 9), "{:?}", faults.requests());
    faults.rules(&json!([]));
    names.iter().skip(1).for_each(|name| drop(sandbox.write(name, sandbox.read("f0.yaml"))));
    let done = all("decrypt", &[]);
    assert!(done.err.contains(&format!("AWS KMS: 1 call as {}, assumed by environment variables", aws.recipient("role"))), "{}", done.err);
    done.ok();
    assert_eq!((faults.count("TrentService.Decrypt"), faults.requests().len()), (1, 2), "{:?}", faults.requests());
}

#[test]
fn work_that_needs_no_aws_asks_nothing_of_it() {
    let Some((sandbox, aws)) = set_up() else { return };
    let faults = aws.behind_faults();
    let way = faults.way("environment").with("AWS_PROFILE", "broken");
    sealed(&sandbox, aws, "sealed.yaml", &[]);
    sealed(&sandbox, aws, "both.yaml", &["--age", RECIPIENT_1]);
    std::fs::create_dir_all(sandbox.home().join(".aws")).unwrap();
    std::fs::write(sandbox.home().join(".aws/config"), "[profile broken\nno = \n= sense").unwrap();
    sandbox.write("age.yaml", sandbox.kveil(["encrypt", "--age", RECIPIENT_1, "plain.yaml"]).way(&way).run().ok());
    for name in ["age.yaml", "both.yaml"] {
        let done = sandbox.kveil(["decrypt", "-v", name]).way(&way).run();
        assert!(!done.err.contains("AWS"), "{}", done.err);
        assert_eq!(done.text(), PLAIN);
    }
    let answer = answer(&sandbox.kveil(["decrypt", "--offline", "sealed.yaml"]).way(&way).run().refused(128));
    assert!(answer.contains("--offline"), "{answer}");
    assert_eq!(faults.requests(), Vec::<String>::new());
}

/// An authority's certificate, and a server's with its key, for 127.0.0.1.
fn certificates(folder: &std::path::Path) -> (String, String) {
    let python = sandbox::installed("servers-venv/bin/python").unwrap();
    let line = format!("import certificates; print(*certificates.write_server({folder:?}, []))");
    let modules = sandbox::root().join("tests/servers");
    let made = std::process::Command::new(python).args(["-B", "-c", &line]).env("PYTHONPATH", modules).output().unwrap();
    let text = String::from_utf8(made.stdout).unwrap();
    let (authority, server) = text.trim().split_once(' ').unwrap();
    (authority.to_owned(), server.to_owned())
}

#[test]
fn an_authority_of_ones_own_counts() {
    let Some((sandbox, aws)) = set_up() else { return };
    sealed(&sandbox, aws, "sealed.yaml", &[]);
    let (authority, certificate) = certificates(&sandbox.tmp());
    let faults = aws.behind_tls(&certificate);
    let way = aws.way("environment").with("AWS_ENDPOINT_URL", faults.url());
    let trusting = way.clone().with("SSL_CERT_FILE", &authority);
    assert_eq!(sandbox.kveil(["decrypt", "sealed.yaml"]).way(&trusting).run().text(), PLAIN);
    let error = answer(&sandbox.kveil(["decrypt", "sealed.yaml"]).way(&way).run().refused(128));
    assert!(error.contains("UnknownIssuer") && error.contains("SSL_CERT_FILE"), "{error}");
    assert_eq!(faults.count("TrentService.Decrypt"), 1);
}

#[test]
fn proxies_are_asked_unless_they_are_excepted() {
    let Some((sandbox, aws)) = set_up() else { return };
    sealed(&sandbox, aws, "sealed.yaml", &[]);
    let proxy = aws.behind_faults();
    let way = aws.way("environment").with("AWS_ENDPOINT_URL", "http://kms.example.invalid").with("HTTP_PROXY", proxy.url());
    assert_eq!(sandbox.kveil(["decrypt", "sealed.yaml"]).way(&way).run().text(), PLAIN);
    assert_eq!(proxy.count("http://kms.example.invalid/ TrentService.Decrypt"), 1, "{:?}", proxy.requests());
    let error = answer(&sandbox.kveil(["decrypt", "sealed.yaml"]).way(&way.with("NO_PROXY", "example.invalid")).run().refused(128));
    assert!(error.contains("AWS KMS isn't reached"), "{error}");
}

#[test]
fn rotation_new_readers_and_new_values_reach_the_key() {
    let Some((sandbox, aws)) = set_up() else { return };
    let (key, other, way) = (aws.recipient("key"), aws.recipient("other"), aws.way("environment"));
    sealed(&sandbox, aws, "sealed.yaml", &[]);
    let arns = || entries(&sandbox.read("sealed.yaml")).into_iter().filter(|line| line.contains("arn: ")).collect::<Vec<_>>();
    let with_role = format!("{other}+{}", aws.recipient("role"));
    let added = ["rotate", "-i", "--add-kms", &with_role, "--encryption-context", "a:1", "sealed.yaml"];
    sandbox.sops(added).way(&way).run().ok();
    assert_eq!(arns().len(), 2);
    sandbox.sops(["rotate", "-i", "--rm-kms", &key, "sealed.yaml"]).way(&way).run().ok();
    assert_eq!(arns(), [format!("        - arn: {other}")]);
    sandbox.sops(["set", "sealed.yaml", r#"["a"]"#, r#""new""#]).way(&way).run().ok();
    assert_eq!(genuine(&sandbox, &["decrypt", "sealed.yaml"], &way).text(), "a: new\nb: two\n");
    sandbox.write(".sops.yaml", format!("creation_rules:\n- kms: {key}\n"));
    sandbox.sops(["updatekeys", "-y", "sealed.yaml"]).way(&way).run().ok();
    assert_eq!(arns(), [format!("        - arn: {key}")]);
    assert_eq!(genuine(&sandbox, &["decrypt", "sealed.yaml"], &way).text(), "a: new\nb: two\n");
}
