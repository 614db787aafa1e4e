//! Recipients of several kinds in one file: key groups, the order in which they are tried, what their entries keep.

mod sandbox;

use sandbox::{IDENTITY_1, Keyring, RECIPIENT_1, RECIPIENT_2, Sandbox, key, root};

const FPR: &str = "97C5A80A0101996640EFAD0FEF8D840356324056";
const PLAIN: &str = "a: value\n";

/// Two of three groups are needed: an age identity, a PGP key, another age identity or that PGP key.
fn ready() -> Option<Sandbox> {
    let sandbox = Sandbox::new().with_keyring(Keyring::new()?.importing(&key("pgp_private.asc")));
    sandbox.write("plain.yaml", PLAIN);
    sandbox.write(
        ".sops.yaml",
        format!(
            "creation_rules:\n  - shamir_threshold: 2\n    key_groups:\n      - age: [{RECIPIENT_1}]\n      - pgp: ['{FPR}']\n      - age: [{RECIPIENT_2}]\n        pgp: ['{FPR}']\n"
        ),
    );
    Some(sandbox)
}

/// Which identities are at hand, and whether they open two groups.
const HANDS: [(bool, bool, bool); 4] = [(true, true, true), (true, false, false), (false, true, true), (false, false, false)];

#[test]
fn shares_for_age_and_pgp_open_both_ways() {
    let Some(sandbox) = ready() else { return };
    let Some(theirs) = sandbox.genuine(["encrypt", "plain.yaml"]) else { return };
    let theirs = theirs.run().ok();
    sandbox.write("theirs.yaml", &theirs);
    for ours in [sandbox.sops(["encrypt", "plain.yaml"]).run().ok(), sandbox.kveil(["encrypt", "plain.yaml"]).run().ok()] {
        sandbox.write("ours.yaml", &ours);
        let fields = |text: &[u8]| {
            let text = String::from_utf8_lossy(text).into_owned();
            let names = text.lines().filter_map(|line| Some(line.split_once(':')?.0.to_owned()));
            names.collect::<Vec<_>>()
        };
        assert_eq!(fields(&ours), fields(&theirs));
        for (age, pgp, opens) in HANDS {
            let nowhere = sandbox.path("nowhere");
            std::fs::create_dir_all(&nowhere).unwrap();
            let with = |call: sandbox::Call| {
                let call = if age { call.env("SOPS_AGE_KEY", IDENTITY_1) } else { call };
                if pgp { call } else { call.env("GNUPGHOME", &nowhere) }.run()
            };
            let code = if opens { 0 } else { 128 };
            for done in [
                with(sandbox.genuine(["decrypt", "ours.yaml"]).unwrap()),
                with(sandbox.sops(["decrypt", "theirs.yaml"])),
                with(sandbox.kveil(["decrypt", "ours.yaml"])),
            ] {
                assert_eq!((done.code, done.out == PLAIN.as_bytes()), (code, opens), "age {age}, pgp {pgp}: {}", done.err);
            }
        }
    }
    let refused = sandbox.kveil(["decrypt", "theirs.yaml"]).env("GNUPGHOME", "/nowhere").env("SOPS_AGE_KEY", IDENTITY_1).run().refused(128);
    for part in ["1 of 3 key groups opened, 2 are needed", "key group 1: opened", "key group 2: not opened", &format!("pgp {FPR}: ")] {
        assert!(refused.contains(part), "{part} in {refused}");
    }
}

#[test]
fn the_order_is_read_as_genuine_sops_reads_it() {
    let sandbox = Sandbox::with_identity();
    sandbox.write("plain.yaml", PLAIN);
    let sealed = sandbox.kveil(["encrypt", "--age", RECIPIENT_1, "plain.yaml"]).run().ok();
    sandbox.write("sealed.yaml", sealed);
    for (order, file, code) in [
        ("age,age", "sealed.yaml", 112),
        ("x,x", "sealed.yaml", 112),
        (",", "sealed.yaml", 112),
        ("age,", "sealed.yaml", 0),
        ("age, age", "sealed.yaml", 0),
        ("kms,nope", "sealed.yaml", 0),
        ("", "sealed.yaml", 0),
        ("age,age", "plain.yaml", 112),
        ("age,age", "missing.yaml", 100),
    ] {
        let flag = ["decrypt", "--decryption-order", order, file];
        assert_eq!(sandbox.sops(flag).run().code, code, "{order:?} {file}");
        assert_eq!(sandbox.sops(["decrypt", file]).env("SOPS_DECRYPTION_ORDER", order).run().code, code, "{order:?} {file}");
        let overruled = sandbox.sops(["decrypt", "--decryption-order", "", file]).env("SOPS_DECRYPTION_ORDER", order).run();
        assert!(overruled.code != 112, "{order:?} {file}");
        if let Some(genuine) = sandbox.genuine(flag) {
            assert_eq!(genuine.run().code, code, "genuine sops: {order:?} {file}");
        }
    }
}

#[test]
fn a_context_that_cannot_be_read_is_refused_as_in_sops() {
    let sandbox = Sandbox::new();
    sandbox.write("plain.yaml", PLAIN);
    for (context, code) in [("bad", 6), ("a:b,c", 6), ("a:b:c", 6), ("a:b", 0), (":", 0), ("", 0)] {
        let arguments = ["encrypt", "--age", RECIPIENT_1, "--encryption-context", context, "plain.yaml"];
        assert_eq!(sandbox.sops(arguments).run().code, code, "{context:?}");
        if let Some(genuine) = sandbox.genuine(arguments) {
            assert_eq!(genuine.run().code, code, "genuine sops: {context:?}");
        }
    }
}

/// The lists of a block, kind by kind, as they stand in the text.
fn entries(text: &str) -> Vec<&str> {
    let lists = text.split_once("\nsops:\n").unwrap().1;
    let starts = ["    age:", "    azure_kv:", "    gcp_kms:", "    hc_vault:", "    hckms:", "    kms:", "    pgp:"];
    let list = |start: &&str| {
        let at = lists.find(&format!("{start}\n")).unwrap_or_else(|| panic!("{start}"));
        let rest = &lists[at + start.len() + 1..];
        &rest[..rest.match_indices("\n    ").find(|(at, _)| rest.as_bytes()[at + 5] != b' ').unwrap().0]
    };
    starts.iter().map(list).collect()
}

/// Every kind's entries as genuine sops wrote them, beside one of age that opens.
#[test]
fn entries_of_every_kind_survive_every_rewrite() {
    use kveil::pipeline::next;
    use kveil::recipient::{Environment, Identities};
    let sandbox = Sandbox::with_identity();
    sandbox.write("plain.yaml", PLAIN);
    let ours = sandbox.sops(["encrypt", "--age", RECIPIENT_1, "plain.yaml"]).run().text();
    let genuine = std::fs::read_to_string(root().join("testdata/recipients/all-key-types.yaml")).unwrap();
    let lists = genuine.split_once("    azure_kv:\n").unwrap().1;
    let (azure, after) = (lists.split_once("    encrypted_regex").unwrap().0, lists.split_once("    gcp_kms:\n").unwrap().1);
    let (clouds, after) = after.split_once("    lastmodified").unwrap();
    let pgp = after.split_once("    pgp:\n").unwrap().1.split_once("    version").unwrap().0;
    let text = ours.replacen("    lastmodified:", &format!("    azure_kv:\n{azure}    gcp_kms:\n{clouds}    lastmodified:"), 1);
    let text = text.replacen("    unencrypted_suffix", &format!("    pgp:\n{pgp}    unencrypted_suffix"), 1);
    let identities = Identities::new(Environment::fixed([("SOPS_AGE_KEY", IDENTITY_1)])).without_commands();
    let format = kveil::document::format_by_name("yaml").unwrap();
    let opened = next::open(&text, format, &identities, &[], false).unwrap();
    let same = |next: &str| assert_eq!(entries(next), entries(&text));
    let changed = next::reseal(&opened, "a: another\n", |_| Ok(()), "2030-01-01T00:00:00Z").unwrap();
    assert!(changed.contains("2030-01-01") && !changed.contains("another"));
    same(&changed);
    let mut metadata = opened.metadata.clone();
    metadata.groups[0].entries.retain(|entry| entry.kind != "age");
    let without = next::with_metadata(&opened.document, &metadata).unwrap();
    assert_eq!(without.split_once("    azure_kv:\n").unwrap().1, text.split_once("    azure_kv:\n").unwrap().1);
    // Genuine sops reads the file, too.
    sandbox.write("changed.yaml", changed.as_bytes());
    if let Some(genuine) = sandbox.genuine(["decrypt", "changed.yaml"]) {
        assert_eq!(genuine.run().text(), "a: another\n");
    }
}
