//! The program as people and scripts meet it: files, streams, exit codes, environment, configuration.

mod sandbox;

use sandbox::{Call, Done, IDENTITY_1, RECIPIENT_1, RECIPIENT_2, Sandbox, key};

const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: database   # in clear\nstringData:\n  # rotated in spring\n  password: 'hunter2-hunter2'\n  user: admin-of-all\n";
const CONFIG: &str = "creation_rules:\n  - age: age1av6p2hqexw2pns6mrpvn75e4a6rcfc8qqu4zt6eatgrz94744d2qxdhljc\n";

/// A sandbox with an identity, `secret.yaml` and a configuration.
fn ready() -> Sandbox {
    let sandbox = Sandbox::with_identity();
    sandbox.write("secret.yaml", SECRET);
    sandbox.write(".sops.yaml", CONFIG);
    sandbox
}

/// `SECRET`, encrypted.
fn sealed(sandbox: &Sandbox) -> Vec<u8> {
    sandbox.kveil(["encrypt", "secret.yaml"]).run().ok()
}

fn is_sealed(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    text.contains("\nsops:") && text.contains("ENC[AES256_GCM,data:") && !text.contains("hunter2") && !text.contains("spring")
}

#[cfg(unix)]
mod files {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    #[test]
    fn in_place_and_back_leaves_the_same_bytes_mode_and_owner() {
        let sandbox = ready();
        let file = sandbox.path("secret.yaml");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        let before = std::fs::metadata(&file).unwrap();
        sandbox.kveil(["encrypt", "-i", "secret.yaml"]).run().ok();
        assert!(is_sealed(&sandbox.read("secret.yaml")));
        let after = std::fs::metadata(&file).unwrap();
        assert_eq!((after.mode(), after.uid(), after.gid()), (before.mode(), before.uid(), before.gid()));
        sandbox.kveil(["decrypt", "--in-place", "secret.yaml"]).run().ok();
        assert_eq!(sandbox.read("secret.yaml"), SECRET.as_bytes());
        assert_eq!(std::fs::metadata(&file).unwrap().mode(), before.mode());
        assert_eq!(sandbox.listing(), [".sops.yaml", "secret.yaml"]);
    }

    #[test]
    fn the_owner_stays_when_root_writes() {
        let sandbox = ready();
        let file = sandbox.path("secret.yaml");
        if std::os::unix::fs::chown(&file, Some(1234), Some(1234)).is_err() {
            println!("ignored: only root can give files away");
            return;
        }
        sandbox.kveil(["--config", ".sops.yaml", "encrypt", "-i", "secret.yaml"]).run().ok();
        let after = std::fs::metadata(&file).unwrap();
        assert_eq!((after.uid(), after.gid()), (1234, 1234));
        assert!(is_sealed(&sandbox.read("secret.yaml")));
    }

    #[test]
    fn a_symlink_is_followed_and_stays_one() {
        let sandbox = ready();
        sandbox.write("real/target.yaml", SECRET);
        sandbox::link(std::path::Path::new("real/target.yaml"), &sandbox.path("link.yaml"));
        sandbox.kveil(["encrypt", "-i", "link.yaml"]).run().ok();
        assert!(sandbox.path("link.yaml").is_symlink());
        assert!(is_sealed(&sandbox.read("real/target.yaml")));
        assert_eq!(sandbox.listing().len(), 5, "{:?}", sandbox.listing());
    }

    #[test]
    fn a_chain_of_links_to_a_file_that_is_not_there_yet_makes_that_file() {
        let sandbox = ready();
        let links = [("a.yaml", "sub/b.yaml"), ("sub/b.yaml", "../c.yaml"), ("x.yaml", "y.yaml"), ("y.yaml", "x.yaml")];
        std::fs::create_dir(sandbox.path("sub")).unwrap();
        for (name, target) in links {
            sandbox::link(std::path::Path::new(target), &sandbox.path(name));
        }
        sandbox.kveil(["encrypt", "--output", "a.yaml", "secret.yaml"]).run().ok();
        assert!(is_sealed(&sandbox.read("c.yaml")) && !sandbox.path("c.yaml").is_symlink());
        let refused = sandbox.kveil(["encrypt", "--output", "x.yaml", "secret.yaml"]).run().refused(3);
        assert!(refused.contains("symbolic links"), "{refused}");
        assert!(links.iter().all(|(name, _)| sandbox.path(name).is_symlink()), "{:?}", sandbox.listing());
    }

    #[test]
    fn a_read_only_directory_is_an_error_and_the_file_stays() {
        let sandbox = ready();
        let file = sandbox.write("locked/secret.yaml", SECRET);
        let folder = file.parent().unwrap().to_owned();
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o555)).unwrap();
        // Root may write everywhere: then there is nothing to see.
        let binding = std::fs::write(folder.join("probe"), "").is_err();
        let done = sandbox.kveil(["encrypt", "-i", "locked/secret.yaml"]).run();
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
        if !binding {
            println!("ignored: this user may write into read-only directories");
            return;
        }
        let message = done.refused(3);
        assert!(message.contains("locked"), "{message}");
        assert_eq!(sandbox.read("locked/secret.yaml"), SECRET.as_bytes());
    }

    #[test]
    fn a_full_disk_is_an_error() {
        if !std::path::Path::new("/dev/full").exists() {
            println!("ignored: there is no /dev/full");
            return;
        }
        let sandbox = ready();
        sandbox.kveil(["encrypt", "--output", "/dev/full", "secret.yaml"]).run().refused(3);
        assert!(std::fs::metadata("/dev/full").unwrap().mode() & 0o170_000 == 0o020_000, "/dev/full is still a device");
        let done = sandbox.shell("kveil encrypt secret.yaml > /dev/full").run();
        assert_eq!(done.code, 3, "{}", done.err);
    }

    #[test]
    fn a_closed_pipe_is_no_error() {
        let sandbox = ready();
        let big: String = (0..20_000).map(|n| format!("key{n}: value-{n}\n")).collect();
        sandbox.write("big.yaml", big);
        let done = sandbox.shell("set -o pipefail; kveil encrypt big.yaml | head -c 10 >/dev/null; exit ${PIPESTATUS[0]}").run();
        assert_eq!(done.code, 0, "{}", done.err);
        assert!(!done.err.contains("panicked"), "{}", done.err);
    }

    #[test]
    fn a_device_as_output_is_written_and_not_replaced() {
        let sandbox = ready();
        sandbox.kveil(["encrypt", "--output", "/dev/null", "secret.yaml"]).run().ok();
        assert!(std::fs::metadata("/dev/null").unwrap().mode() & 0o170_000 == 0o020_000);
    }

    /// A build without optimisation would take minutes for all of it: there the part that is encrypted is smaller.
    #[test]
    fn a_file_of_200_mb_takes_a_few_times_its_size_in_memory() {
        const LARGE: u64 = 200 << 20;
        let sandbox = ready();
        let large = |name: &str, size: u64| std::fs::File::create(sandbox.path(name)).and_then(|file| file.set_len(size)).unwrap();
        let within =
            |size: u64, line: &str| sandbox.shell(&format!("ulimit -v {} 2>/dev/null; {line}", (1 << 20) + 15 * (size >> 10))).run();
        large("clear.bin", LARGE);
        assert!(within(LARGE / 4, "kveil decrypt clear.bin").refused(1).contains("clear.bin:1:1: "));
        let size = if cfg!(debug_assertions) { LARGE / 50 } else { LARGE };
        large("plain.bin", size);
        let line = "kveil encrypt --output e.bin plain.bin && kveil decrypt --output d.bin e.bin && cmp d.bin plain.bin";
        let done = within(size, line);
        assert_eq!((done.code, std::fs::metadata(sandbox.path("d.bin")).unwrap().len()), (0, size), "{}", done.err);
    }

    #[test]
    fn standard_output_by_its_path_keeps_what_is_before_and_behind_it() {
        let sandbox = ready();
        sandbox.write("e.yaml", sealed(&sandbox));
        let line = "{ echo before; kveil decrypt --output /dev/stdout e.yaml; echo behind; } > all";
        assert_eq!(sandbox.shell(line).run().code, 0);
        let plain = String::from_utf8(sandbox.read("secret.yaml")).unwrap();
        assert_eq!(String::from_utf8(sandbox.read("all")).unwrap(), format!("before\n{plain}behind\n"));
        assert_eq!(sandbox.shell("kveil decrypt --output /dev/stdout e.yaml | cat").run().text(), plain);
    }

    /// A file without a name, and one that others go on with.
    #[cfg(target_os = "linux")]
    #[test]
    fn what_a_descriptor_leads_to_is_written_and_not_replaced() {
        let sandbox = ready();
        sandbox.write("e.yaml", sealed(&sandbox));
        let plain = sandbox.read("secret.yaml");
        sandbox.shell("exec 3>gone; rm gone; kveil decrypt --output /dev/fd/3 e.yaml; cat /proc/self/fd/3 >was").run().ok();
        assert!(!sandbox.path("gone (deleted)").exists() && sandbox.read("was") == plain);
        sandbox.shell("exec 3>>log; echo before >&3; kveil decrypt --output /proc/self/fd/3 e.yaml; echo behind >&3").run().ok();
        assert_eq!(sandbox.read("log"), [b"before\n".as_slice(), &plain, b"behind\n"].concat());
    }

    #[test]
    fn in_place_on_a_pipe_is_refused() {
        let sandbox = ready();
        let done = sandbox.shell("mkfifo pipe.yaml; kveil encrypt -i pipe.yaml & p=$!; (printf 'a: 1\\n' > pipe.yaml) & w=$!; wait $p; c=$?; kill $w 2>/dev/null; exit $c").run();
        assert_eq!(done.code, 8, "{}", done.err);
    }

    /// The key command changes the file after it was read; a configuration in a pipe gives the time to do so to encrypt.
    #[test]
    fn a_file_that_others_change_meanwhile_is_left_to_them() {
        let sandbox = Sandbox::new();
        sandbox.write("secret.yaml", SECRET);
        sandbox.write(".sops.yaml", CONFIG);
        let sealed = sealed(&sandbox);
        sandbox.write("key.sh", format!("echo '# theirs' >> e.yaml\ncat '{}'\n", key("age1.txt").display()));
        for verb in
            [&["decrypt", "-i", "e.yaml"][..], &["rotate", "-i", "e.yaml"], &["set", "e.yaml", "[\"stringData\"][\"user\"]", "\"x\""]]
        {
            sandbox.write("e.yaml", &sealed);
            let call = sandbox.kveil(verb).env("SOPS_AGE_KEY_CMD", "sh key.sh");
            let message = call.run().refused(3);
            assert!(message.contains("it was changed since it was read, nothing was written"), "{verb:?}: {message}");
            assert_eq!(sandbox.read("e.yaml"), [&sealed[..], b"# theirs\n"].concat(), "{verb:?}");
        }
        let line = "mkfifo config; kveil --config config encrypt -i secret.yaml & p=$!; exec 3>config; echo '# theirs' >> secret.yaml; cat .sops.yaml >&3; exec 3>&-; wait $p";
        sandbox.shell(line).run().refused(3);
        assert_eq!(sandbox.read("secret.yaml"), [SECRET.as_bytes(), b"# theirs\n"].concat());
        assert_eq!(sandbox.listing(), [".sops.yaml", "config", "e.yaml", "key.sh", "secret.yaml"]);
    }

    /// TERM while the new file stands beside the old one: the moment is short, and on a busy machine easily missed.
    #[test]
    fn a_signal_in_the_write_leaves_nothing_beside_the_file() {
        let sandbox = Sandbox::with_identity();
        let big: String = (0..200).map(|n| format!("key{n}: hunter2-value-{n}\n")).collect();
        let mut met = 0;
        for _ in 0..400 {
            sandbox.write("big.yaml", &big);
            let mut command = sandbox.kveil(["encrypt", "-i", "--age", RECIPIENT_1, "big.yaml"]).into_command();
            command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
            let mut child = command.spawn().unwrap();
            let beside = || sandbox.listing().len() > 1;
            while child.try_wait().unwrap().is_none() && !beside() {}
            met += usize::from(beside());
            std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
            child.wait().unwrap();
            let now = sandbox.read("big.yaml");
            assert!(now == big.as_bytes() || is_sealed(&now), "neither the old file nor the new one");
            assert_eq!(sandbox.listing(), ["big.yaml"]);
            if met == 2 {
                return;
            }
        }
        assert!(met > 0, "the write was never met");
    }

    /// Whatever the moment: the file is the old one or the new one, and nothing lies beside it.
    #[test]
    fn a_signal_leaves_a_whole_file_and_nothing_beside_it() {
        let sandbox = Sandbox::with_identity();
        let big: String = (0..30_000).map(|n| format!("key{n}: hunter2-value-{n}\n")).collect();
        for (delay, signal) in [(5, "TERM"), (60, "INT"), (150, "TERM"), (300, "HUP"), (600, "TERM"), (900, "TERM")] {
            sandbox.write("big.yaml", &big);
            let mut command = sandbox.kveil(["encrypt", "-i", "--age", RECIPIENT_1, "big.yaml"]).into_command();
            command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
            let mut child = command.spawn().unwrap();
            std::thread::sleep(std::time::Duration::from_millis(delay));
            std::process::Command::new("kill").args([format!("-{signal}"), child.id().to_string()]).status().unwrap();
            child.wait().unwrap();
            let now = String::from_utf8(sandbox.read("big.yaml")).unwrap();
            assert!(now == big || is_sealed(now.as_bytes()), "after SIG{signal} at {delay} ms the file is neither the old nor the new one");
            assert_eq!(sandbox.listing(), ["big.yaml"], "after SIG{signal} at {delay} ms");
            assert_eq!(std::fs::read_dir(sandbox.tmp()).unwrap().count(), 0, "files left in the temporary directory");
        }
    }

    #[test]
    fn identities_are_written_for_their_owner_alone() {
        let sandbox = Sandbox::new();
        sandbox.kveil(["keygen", "-o", "id.txt"]).run().ok();
        assert_eq!(std::fs::metadata(sandbox.path("id.txt")).unwrap().mode() & 0o777, 0o600);
        assert!(String::from_utf8(sandbox.read("id.txt")).unwrap().contains("AGE-SECRET-KEY-1"));
        let before = sandbox.read("id.txt");
        assert_ne!(sandbox.kveil(["keygen", "-o", "id.txt"]).run().code, 0, "an identity is never overwritten");
        assert_eq!(sandbox.read("id.txt"), before);
    }

    #[test]
    fn a_file_of_another_owner_is_no_configuration() {
        let sandbox = ready();
        if std::os::unix::fs::chown(sandbox.path(".sops.yaml"), Some(4321), Some(4321)).is_err() {
            println!("ignored: only root can give files away");
            return;
        }
        sandbox.kveil(["encrypt", "secret.yaml"]).run().refused(1);
        sandbox.kveil(["encrypt", "--config", ".sops.yaml", "secret.yaml"]).run().ok();
    }
}

#[test]
fn output_goes_to_a_file_that_is_replaced_whole() {
    let sandbox = ready();
    sandbox.write("out.yaml", "old, and longer than nothing\n".repeat(1000));
    let done = sandbox.kveil(["encrypt", "--output", "out.yaml", "secret.yaml"]).run();
    assert_eq!(done.ok(), b"");
    assert!(is_sealed(&sandbox.read("out.yaml")));
    assert_eq!(sandbox.read("secret.yaml"), SECRET.as_bytes());
    sandbox.kveil(["decrypt", "--output", "plain.yaml", "out.yaml"]).run().ok();
    assert_eq!(sandbox.read("plain.yaml"), SECRET.as_bytes());
}

#[test]
fn several_files_at_once() {
    let sandbox = ready();
    let names: Vec<String> = (0..20).map(|n| format!("secret{n}.yaml")).collect();
    for name in &names {
        sandbox.write(name, SECRET.replace("admin-of-all", name));
    }
    sandbox.kveil(["encrypt"]).args(&names).run().refused(8);
    std::fs::create_dir(sandbox.path("out")).unwrap();
    sandbox.kveil(["encrypt", "--output", "out/"]).args(&names).run().ok();
    sandbox.kveil(["encrypt", "-i"]).args(&names).run().ok();
    for name in &names {
        assert!(is_sealed(&sandbox.read(name)));
        assert!(is_sealed(&sandbox.read(&format!("out/{name}"))));
    }
    let all = sandbox.kveil(["decrypt"]).args(&names).run().text();
    let places: Vec<usize> = names.iter().map(|name| all.find(&format!("user: {name}\n")).unwrap()).collect();
    assert!(places.is_sorted(), "the order of the arguments");
    assert_eq!(all.matches("\n---\n").count(), names.len() - 1);
    sandbox.kveil(["decrypt", "-i"]).args(&names).run().ok();
    assert_eq!(sandbox.read("secret7.yaml"), SECRET.replace("admin-of-all", "secret7.yaml").as_bytes());
}

#[test]
fn one_bad_file_of_several_stops_no_other_and_fails_the_call() {
    let sandbox = ready();
    sandbox.write("bad.yaml", "a: [\n");
    let done = sandbox.kveil(["encrypt", "-i", "bad.yaml", "secret.yaml"]).run();
    assert_eq!(done.code, 2, "{}", done.err);
    assert!(is_sealed(&sandbox.read("secret.yaml")), "{}", done.err);
    assert_eq!(sandbox.read("bad.yaml"), b"a: [\n");
    let done = sandbox.kveil(["encrypt", "-i", "bad.yaml", "missing.yaml"]).run();
    assert_eq!(done.code, 1, "different codes become 1: {}", done.err);
}

#[test]
fn standard_input_goes_by_the_name_it_is_given() {
    let sandbox = ready();
    let sealed = sandbox.kveil(["encrypt", "--filename-override", "secret.yaml"]).stdin(SECRET).run().ok();
    assert!(is_sealed(&sealed));
    let opened = sandbox.kveil(["decrypt", "--input-type", "yaml", "-"]).stdin(sealed.clone()).run().ok();
    assert_eq!(opened, SECRET.as_bytes());
    assert_eq!(sandbox.kveil(["decrypt", "--filename-override", "x.yaml"]).stdin(sealed).run().ok(), SECRET.as_bytes());
    sandbox.sops(["encrypt", "--age", RECIPIENT_1]).stdin(SECRET).run().refused(8);
    sandbox.kveil(["encrypt", "-i", "-"]).stdin(SECRET).run().refused(8);
}

#[test]
fn flags_stand_anywhere() {
    let sandbox = Sandbox::with_identity();
    sandbox.write("a.yaml", "data: hidden-value\nother: 1\n");
    let words: [&[&str]; 4] = [
        &["--encrypted-regex", "^data$", "encrypt", "--age", RECIPIENT_1, "a.yaml"],
        &["encrypt", "a.yaml", "--age", RECIPIENT_1, "--encrypted-regex", "^data$"],
        &["--age", RECIPIENT_1, "--encrypted-regex=^data$", "encrypt", "a.yaml"],
        &["encrypt", "--age", RECIPIENT_1, "--mac-only-encrypted", "--encrypted-regex", "^data$", "a.yaml"],
    ];
    for line in words {
        // Before the verb sops hears only what is for all verbs.
        let sops = (line[0] == "encrypt").then(|| sandbox.sops(line).run());
        for done in std::iter::once(sandbox.kveil(line).run()).chain(sops) {
            let text = done.text();
            assert!(!text.contains("hidden-value") && text.contains("\nother: 1\n"), "{line:?}: {text}");
            assert_eq!(text.contains("mac_only_encrypted: true"), line.contains(&"--mac-only-encrypted"));
        }
    }
    let sealed = sandbox.sops(["--age", RECIPIENT_1, "--encrypted-regex", "^data$", "-e", "a.yaml"]).run().ok();
    sandbox.write("e.yaml", &sealed);
    assert_eq!(sandbox.sops(["-d", "e.yaml"]).run().ok(), b"data: hidden-value\nother: 1\n");
    assert_eq!(sandbox.sops(["-d", "-i", "e.yaml"]).run().ok(), b"");
    assert_eq!(sandbox.read("e.yaml"), b"data: hidden-value\nother: 1\n");
}

#[test]
fn exit_codes_are_those_of_sops() {
    let sandbox = ready();
    let sealed = sealed(&sandbox);
    sandbox.write("sealed.yaml", &sealed);
    sandbox.write("empty.yaml", "");
    sandbox.write("comments.yaml", "# hunter2-hunter2\n");
    sandbox.write("bad.yaml", "password: hunter2-hunter2\n  : [\n");
    sandbox.write("list.yaml", "- hunter2-hunter2\n");
    sandbox.write("twice.yaml", "password: hunter2-hunter2\npassword: other\n");
    sandbox.write("number.yaml", "1: hunter2-hunter2\n");
    sandbox.write("big.yaml", "password: hunter2-hunter2\npin: 18446744073709551615\n");
    sandbox.write("changed.yaml", String::from_utf8(sealed.clone()).unwrap().replace("name: database", "name: otherbase"));
    sandbox.write(
        "torn.yaml",
        String::from_utf8(sealed).unwrap().replacen("password: 'ENC[AES256_GCM,data:", "password: 'ENC[AES256_GCM,data:AAAA", 1),
    );
    let two = ["encrypt", "--encrypted-regex", "^a$", "--unencrypted-suffix", "_b", "secret.yaml"];
    let cases: [(&[&str], i32); 22] = [
        (&["encrypt", "missing.yaml"], 100),
        (&["decrypt", "missing.yaml"], 100),
        (&["encrypt", "empty.yaml"], 92),
        (&["encrypt", "comments.yaml"], 2),
        (&["encrypt", "bad.yaml"], 2),
        (&["encrypt", "list.yaml"], 2),
        (&["encrypt", "twice.yaml"], 2),
        (&["encrypt", "number.yaml"], 23),
        (&["encrypt", "--unencrypted-suffix", "_u", "big.yaml"], 23),
        (&["encrypt", "sealed.yaml"], 203),
        (&["encrypt", "-i", "sealed.yaml"], 203),
        (&two, 8),
        (&["encrypt", "--encrypted-regex", "(", "secret.yaml"], 1),
        (&["encrypt", "--age", "age1nonsense", "secret.yaml"], 1),
        (&["encrypt", "--no-such-flag", "secret.yaml"], 1),
        (&["no-such-verb", "secret.yaml"], 1),
        (&["decrypt", "secret.yaml"], 1),
        (&["decrypt", "changed.yaml"], 51),
        (&["decrypt", "torn.yaml"], 25),
        (&["decrypt", "--extract", "[\"nothing\"]", "sealed.yaml"], 1),
        (&["decrypt", "--extract", "nothing", "sealed.yaml"], 91),
        (&["filestatus", "missing.yaml"], 1),
    ];
    let before = sandbox.listing();
    for (line, code) in cases {
        // An unknown word is a file to edit under the name sops.
        let as_sops = (line[0] != "no-such-verb").then(|| ("sops", sandbox.sops(line)));
        for (name, call) in [Some(("kveil", sandbox.kveil(line))), as_sops].into_iter().flatten() {
            let done = call.run();
            if let Some(fault) = done.refusal_fault(Some(code)) {
                panic!("{name} {line:?}: {fault}");
            }
            for secret in ["hunter2", "admin-of-all", "spring", IDENTITY_1] {
                assert!(!done.err.contains(secret), "{name} {line:?} says a value: {}", done.err);
            }
        }
    }
    assert_eq!(sandbox.listing(), before);
    sandbox.kveil(["decrypt", "sealed.yaml"]).env("HOME", sandbox.tmp()).run().refused(128);
}

#[test]
fn wrong_usage_names_the_flag_and_what_was_expected() {
    let sandbox = ready();
    let cases: [(&[&str], i32, &str); 13] = [
        (&["decrypt", "--indent", "x", "f"], 1, "--indent is x, expected a whole number"),
        (
            &["encrypt", "--shamir-secret-sharing-threshold", "two", "f"],
            1,
            "--shamir-secret-sharing-threshold is two, expected a whole number",
        ),
        (&["decrypt", "--output", "", "f"], 1, "--output is empty, expected a value"),
        (&["--output", "", "decrypt", "f"], 1, "--output is empty, expected a value"),
        (&["rotate", "--output=", "f"], 1, "--output is empty, expected a value"),
        (&["encrypt", "--age"], 1, "--age is empty, expected a value"),
        (&["decrypt", "--report", "xml"], 1, "--report is xml, expected json"),
        (&["check", "--format", "xml"], 2, "--format is xml, expected text, json, sarif or github"),
        (&["encrypt", "--outptu=x"], 1, "there is no flag --outptu"),
        (&["view"], 1, "FILE is missing"),
        (&["recipients", "frob"], 1, "kveil recipients has no command frob"),
        (&["updatekeys", "--check", "--yes"], 8, "exclude each other"),
        (&["rotate", "-i", "-i", "f"], 1, "--in-place is given twice"),
    ];
    for (arguments, code, message) in cases {
        let refusal = sandbox.kveil(arguments).run().refused(code);
        assert!(refusal.contains(message) && refusal.contains(" --help shows how it is called"), "{arguments:?}: {refusal}");
    }
    assert!(sandbox.kveil(["encrypt", "--outptu=x"]).run().err.contains("did you mean --output?"));
    // A word in a wrong place may be a secret.
    let refusal = sandbox.kveil(["view", "f", "hunter2"]).run().refused(1);
    assert!(refusal.contains("a word too many") && !refusal.contains("hunter2"), "{refusal}");
    // Genuine sops takes an empty output for none.
    assert_eq!(sandbox.sops(["encrypt", "--output", "", "secret.yaml"]).run().code, 0);
}

#[test]
fn messages_keep_the_phrases_that_tools_match_on() {
    let sandbox = ready();
    let sealed = sealed(&sandbox);
    sandbox.write("sealed.yaml", &sealed);
    sandbox.write("changed.yaml", String::from_utf8(sealed).unwrap().replace("name: database", "name: otherbase"));
    sandbox.write("elsewhere/.sops.yaml", "creation_rules:\n  - path_regex: nothing$\n    age: ".to_owned() + RECIPIENT_1 + "\n");
    sandbox.write("elsewhere/a.yaml", "a: 1\n");
    let first = |done: Done| done.err.lines().next().unwrap_or_default().to_owned();
    assert!(first(sandbox.sops(["decrypt", "secret.yaml"]).run()).contains("sops metadata not found"));
    assert!(first(sandbox.sops(["decrypt", "changed.yaml"]).run()).contains("MAC mismatch"));
    assert!(
        first(sandbox.sops(["encrypt", "a.yaml"]).within(sandbox.path("elsewhere")).run()).contains("no matching creation rules found")
    );
    let locked_out = sandbox.sops(["decrypt", "sealed.yaml"]).env("HOME", sandbox.tmp()).run();
    assert!(locked_out.err.contains("Failed to get the data key required to decrypt the SOPS file."), "{}", locked_out.err);
    let bare = Sandbox::new();
    bare.write("a.yaml", "a: 1\n");
    let done = bare.sops(["encrypt", "a.yaml"]).run();
    assert!(first(done.clone()).contains("config file not found"), "{}", done.err);
}

/// helm-secrets and text conversions run `sops … 2>&1` and take all of it as the file.
#[test]
fn under_the_name_sops_success_is_silent() {
    let sandbox = ready();
    sandbox.write("sealed.yaml", sealed(&sandbox));
    for line in [
        "sops decrypt sealed.yaml 2>&1",
        "sops -d sealed.yaml 2>&1",
        "sops decrypt sealed.yaml",
        "cat sealed.yaml | sops decrypt --input-type yaml /dev/stdin 2>&1",
    ] {
        assert_eq!(sandbox.shell(line).run().ok(), SECRET.as_bytes(), "{line}");
    }
    for line in [
        "sops encrypt secret.yaml",
        "sops -e secret.yaml",
        "sops encrypt --output o.yaml secret.yaml",
        "sops encrypt -i secret.yaml",
        "sops filestatus sealed.yaml",
        "sops decrypt -i sealed.yaml",
    ] {
        assert_eq!(sandbox.shell(line).run().err, "", "{line}");
    }
    let version = sandbox.sops(["--version"]).run().text();
    assert!(version.starts_with("sops 3.13.3"), "{version}");
    assert_eq!(version.lines().count(), 2, "{version}");
}

#[test]
fn filestatus_says_it_in_json() {
    let sandbox = ready();
    sandbox.write("sealed.yaml", sealed(&sandbox));
    for (file, encrypted) in [("sealed.yaml", true), ("secret.yaml", false)] {
        let said: serde_json::Value = serde_json::from_slice(&sandbox.kveil(["filestatus", file]).run().ok()).unwrap();
        assert_eq!(said, serde_json::json!({ "encrypted": encrypted }));
    }
}

#[test]
fn extract_prints_one_part() {
    let sandbox = Sandbox::with_identity();
    let plain = "a:\n  b: [x, {c: 'hunter2'}]\n  n: 5\n  text: |\n    two\n    lines\n";
    sandbox.write("p.yaml", plain);
    sandbox.write("e.yaml", sandbox.sops(["encrypt", "--age", RECIPIENT_1, "p.yaml"]).run().ok());
    for path in [r#"["a"]["b"][1]["c"]"#, r#"["a"]["n"]"#, r#"["a"]["text"]"#, "['a']['b'][0]"] {
        let ours = sandbox.kveil(["decrypt", "--extract", path, "e.yaml"]).run().ok();
        let Some(genuine) = sandbox.genuine(["decrypt", "--extract", path, "e.yaml"]) else { return };
        assert_eq!(sandbox::shown(&ours), sandbox::shown(&genuine.run().ok()), "{path}");
    }
}

#[test]
fn identities_are_found_where_sops_looks_for_them() {
    let sandbox = Sandbox::new();
    sandbox.write("p.yaml", "a: hidden-value\n");
    let sealed = sandbox.kveil(["encrypt", "--age", RECIPIENT_1, "p.yaml"]).run().ok();
    sandbox.write("e.yaml", sealed);
    sandbox.write("dir/keys.txt", std::fs::read(key("age1.txt")).unwrap());
    let many = format!("{}\n{IDENTITY_1}\n", std::fs::read_to_string(key("agewrong.txt")).unwrap().lines().last().unwrap());
    let file = key("age1.txt");
    let config = sandbox.path("config");
    sandbox.write("config/sops/age/keys.txt", std::fs::read(&file).unwrap());
    let decrypt = || sandbox.kveil(["decrypt", "e.yaml"]);
    let ways: Vec<(&str, Call)> = vec![
        ("SOPS_AGE_KEY", decrypt().env("SOPS_AGE_KEY", IDENTITY_1)),
        ("SOPS_AGE_KEY with several", decrypt().env("SOPS_AGE_KEY", many)),
        ("SOPS_AGE_KEY_FILE", decrypt().env("SOPS_AGE_KEY_FILE", &file)),
        ("SOPS_AGE_KEY_CMD", decrypt().env("SOPS_AGE_KEY_CMD", "cat dir/keys.txt")),
        ("XDG_CONFIG_HOME", decrypt().env("XDG_CONFIG_HOME", config)),
        ("the right one of two sources", decrypt().env("SOPS_AGE_KEY_FILE", key("agewrong.txt")).env("SOPS_AGE_KEY", IDENTITY_1)),
    ];
    for (way, call) in ways {
        let done = call.run();
        assert_eq!(done.code, 0, "{way}: {}", done.err);
        assert_eq!(done.out, b"a: hidden-value\n", "{way}");
    }
    for (way, call) in [
        ("none", decrypt()),
        ("wrong", decrypt().env("SOPS_AGE_KEY_FILE", key("agewrong.txt"))),
        ("broken command", decrypt().env("SOPS_AGE_KEY_CMD", "false")),
    ] {
        let message = call.run().refused(128);
        assert!(message.contains("age1av6p"), "{way}: names the recipient: {message}");
        assert!(message.contains("SOPS_AGE_KEY"), "{way}: says where it looked: {message}");
    }
}

#[test]
fn recipients_come_from_flags_environment_and_configuration() {
    let sandbox = Sandbox::with_identity();
    sandbox.write("p.yaml", "a: hidden-value\n");
    sandbox.kveil(["encrypt", "p.yaml"]).run().refused(1);
    let by_environment = sandbox.kveil(["encrypt", "p.yaml"]).env("SOPS_AGE_RECIPIENTS", RECIPIENT_1).run().text();
    assert!(by_environment.contains(RECIPIENT_1));
    let two = sandbox.kveil(["encrypt", "--age", &format!("{RECIPIENT_1},{RECIPIENT_2}"), "p.yaml"]).run().text();
    assert!(two.contains(RECIPIENT_1) && two.contains(RECIPIENT_2));
    sandbox.write(".sops.yaml", CONFIG);
    let refusal = sandbox.kveil(["encrypt", "--age", RECIPIENT_2, "p.yaml"]).run().refused(1);
    assert!(refusal.contains("--allow-recipient"), "{refusal}");
    let replaced = sandbox.kveil(["encrypt", "--age", RECIPIENT_2, "--allow-recipient", RECIPIENT_2, "p.yaml"]).run().text();
    assert!(replaced.contains(RECIPIENT_2) && !replaced.contains(RECIPIENT_1), "a flag replaces the rule's recipients");
}

#[test]
fn the_configuration_is_looked_up_from_the_file_upward() {
    let sandbox = Sandbox::with_identity();
    let rule =
        |recipient: &str| format!("creation_rules:\n  - path_regex: deep/.*[.]yaml$\n    age: {recipient}\n    encrypted_regex: ^only$\n");
    sandbox.write("tree/.sops.yaml", rule(RECIPIENT_1));
    sandbox.write("tree/deep/er/a.yaml", "only: hidden-value\nother: clear-value\n");
    sandbox.write("tree/a.yaml", "only: hidden-value\n");
    sandbox.write("other/.sops.yaml", rule(RECIPIENT_2));
    // From a directory that has a configuration of its own.
    let text = sandbox.kveil(["encrypt", "../tree/deep/er/a.yaml"]).within(sandbox.path("other")).run().text();
    assert!(text.contains(RECIPIENT_1) && !text.contains(RECIPIENT_2), "{text}");
    assert!(text.contains("other: clear-value") && !text.contains("hidden-value") && text.contains("encrypted_regex: ^only$"), "{text}");
    sandbox.kveil(["encrypt", "tree/a.yaml"]).run().refused(1);
    let by_flag = sandbox.kveil(["encrypt", "--config", "../other/.sops.yaml", "deep/er/a.yaml"]).within(sandbox.path("tree")).run();
    assert!(by_flag.code != 0 || String::from_utf8_lossy(&by_flag.out).contains(RECIPIENT_2), "--config is taken instead");
    sandbox.write("any.yaml", CONFIG.replace(RECIPIENT_1, RECIPIENT_2));
    let by_variable = sandbox.kveil(["encrypt", "tree/a.yaml"]).env("SOPS_CONFIG", sandbox.path("any.yaml")).run().text();
    assert!(by_variable.contains(RECIPIENT_2), "{by_variable}");
}

#[test]
fn a_configuration_with_a_mistake_is_an_error_with_its_line() {
    let rule = format!("creation_rules:\n  - age: {RECIPIENT_1}\n");
    let mistakes = [
        (format!("{rule}    encrypted_regexp: ^data$\n"), "3", "encrypted_regex"),
        (format!("{rule}    encrypted_regex: ^a$\n    unencrypted_suffix: _b\n"), "", ""),
        (format!("{rule}    encrypted_regex: '('\n"), "3", ""),
        (format!("{rule}    path_regex: '['\n"), "3", ""),
        ("creation_rules:\n  - path_regex: .*\n".to_owned(), "2", ""),
        (format!("{rule}  - path_regex: never$\n    age: {RECIPIENT_1}\n"), "3", ""),
        ("creation_rules:\n  - age: [\n".to_owned(), "", ""),
        ("creation_rules: []\n".to_owned(), "", ""),
    ];
    for (config, line, suggestion) in mistakes {
        let sandbox = Sandbox::with_identity();
        sandbox.write("p.yaml", "a: hidden-value\n");
        sandbox.write(".sops.yaml", &config);
        let done = sandbox.kveil(["encrypt", "p.yaml"]).run();
        let fault = done.refusal_fault(None);
        assert_eq!(fault, None, "{config}");
        assert!(
            line.is_empty() || done.err.contains(&format!(".sops.yaml:{line}")) || done.err.contains(&format!("line {line}")),
            "line {line} in {}\n{config}",
            done.err
        );
        assert!(done.err.contains(suggestion), "{suggestion} in {}", done.err);
        // In place nothing is written in clear or half.
        sandbox.kveil(["encrypt", "-i", "p.yaml"]).run();
        assert_eq!(sandbox.read("p.yaml"), b"a: hidden-value\n");
    }
}

#[test]
fn a_secret_has_its_data_encrypted_by_default_and_the_file_says_so() {
    let sandbox = ready();
    let text = String::from_utf8(sealed(&sandbox)).unwrap();
    assert!(text.contains("encrypted_regex: ^(data|stringData)$"), "{text}");
    assert!(text.contains("kind: Secret\n") && text.contains("name: database   # in clear\n"), "{text}");
    let under_sops = sandbox.sops(["encrypt", "secret.yaml"]).run().text();
    assert!(
        !under_sops.contains("kind: Secret") && under_sops.contains("unencrypted_suffix: _unencrypted"),
        "sops's own default: {under_sops}"
    );
}

#[test]
fn other_kinds_are_refused_with_the_flag_that_helps() {
    let sandbox = ready();
    let refused = [
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: x\nspec:\n  password: hunter2-hunter2\n",
        "apiVersion: v1\nkind: List\nitems:\n  - apiVersion: v1\n    kind: Secret\n    stringData:\n      password: hunter2-hunter2\n",
        "apiVersion: v1\nkind: Secret\nstringData:\n  password: hunter2-hunter2\n---\napiVersion: apps/v1\nkind: Deployment\nspec: {}\n",
    ];
    for manifest in refused {
        sandbox.write("m.yaml", manifest);
        let message = sandbox.kveil(["encrypt", "m.yaml"]).run().refused(1);
        assert!(message.contains("--encrypted-regex") || message.contains("encrypted_regex"), "{message}");
        assert!(!message.contains("hunter2"), "{message}");
        sandbox.kveil(["encrypt", "--encrypted-regex", "^password$", "m.yaml"]).run().ok();
    }
}

#[test]
fn a_value_in_clear_here_and_encrypted_there_is_refused() {
    let sandbox = ready();
    sandbox.write(
        "leak.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata:\n  annotations: {a: &p hunter2-hunter2}\nstringData:\n  password: *p\n",
    );
    for done in
        [sandbox.kveil(["encrypt", "leak.yaml"]).run(), sandbox.sops(["encrypt", "--encrypted-regex", "^stringData$", "leak.yaml"]).run()]
    {
        let message = done.refused(23);
        assert!(message.contains("leak.yaml:6:13") && !message.contains("hunter2"), "{message}");
    }
}

#[test]
fn genuine_sops_edits_and_kveil_reads_on() {
    let sandbox = ready();
    sandbox.write("words.yaml", "stringData:\n  changed: 'before'\n  yes: \"yes\"\n  octal: '0777'\n  day: '2020-01-01'\n  on: 'on'\n  folded: >-\n    two\n    lines\n");
    let sealed = sandbox.kveil(["encrypt", "--encrypted-regex", "^stringData$", "words.yaml"]).run().ok();
    sandbox.write("e.yaml", sealed);
    let Some(set) = sandbox.genuine(["set", "e.yaml", r#"["stringData"]["changed"]"#, r#""off""#]) else { return };
    set.run().ok();
    let opened = sandbox.kveil(["decrypt", "e.yaml"]).run().text();
    let yaml = sandbox::tree::read("yaml", opened.as_bytes()).unwrap();
    let want = sandbox::tree::read(
        "yaml",
        b"stringData:\n  changed: 'off'\n  'yes': 'yes'\n  octal: '0777'\n  day: '2020-01-01'\n  'on': 'on'\n  folded: 'two lines'\n",
    )
    .unwrap();
    assert_eq!(yaml, want, "{opened}");
    // kubectl reads YAML 1.1, in which bare words are booleans, octal numbers and dates.
    for bare in ["changed: off", "yes: yes", "octal: 0777", "day: 2020-01-01", "on: on"] {
        assert!(!opened.contains(bare), "{bare} needs quotes:\n{opened}");
    }
}

#[test]
fn an_altered_layout_record_changes_no_value() {
    let sandbox = ready();
    sandbox.write("a.yaml", "a: 0x10\nb: \"x\\u0041\"\n");
    let sealed = sandbox.sops(["encrypt", "--age", RECIPIENT_1, "a.yaml"]).run().text();
    let without: String = sealed.lines().filter(|line| !line.contains("kveil_layout:")).map(|line| format!("{line}\n")).collect();
    assert_ne!(sealed, without);
    sandbox.write("e.yaml", without);
    let opened = sandbox.kveil(["decrypt", "e.yaml"]).run().ok();
    assert_eq!(sandbox::tree::same("yaml", &opened, b"a: 16\nb: xA\n"), Ok(()));
}

#[test]
fn output_types_are_those_of_sops() {
    let sandbox = Sandbox::with_identity();
    sandbox.write("p.yaml", "b: 1\na: [x, 1.5, true, null]\nc: '<&>'\n");
    sandbox.write("e.yaml", sandbox.sops(["encrypt", "--age", RECIPIENT_1, "p.yaml"]).run().ok());
    let ours = sandbox.sops(["decrypt", "--output-type", "json", "e.yaml"]).run().ok();
    let Some(genuine) = sandbox.genuine(["decrypt", "--output-type", "json", "e.yaml"]) else { return };
    assert_eq!(sandbox::shown(&ours), sandbox::shown(&genuine.run().ok()));
    sandbox.write("p.json", "{\n  \"a\": \"hidden-value\",\n  \"n\": 1.50\n}\n");
    let sealed = sandbox.kveil(["encrypt", "--age", RECIPIENT_1, "p.json"]).run().text();
    assert!(sealed.contains("\"mac\": \"ENC[") && !sealed.contains("hidden-value"), "{sealed}");
    sandbox.write("e.json", sealed);
    assert_eq!(sandbox.kveil(["decrypt", "e.json"]).run().ok(), sandbox.read("p.json"));
    sandbox.genuine(["decrypt", "e.json"]).unwrap().run().ok();
}

#[test]
fn metadata_reads_as_flux_looks_for_it() {
    let sandbox = ready();
    let text = String::from_utf8(sealed(&sandbox)).unwrap();
    assert!(text.contains("\n    mac: ENC[AES256_GCM,data:"), "{text}");
    assert!(text.contains("\n    lastmodified: \"20"), "{text}");
    assert!(text.contains("\n    version: 3.13.3"), "{text}");
    let keys: Vec<&str> =
        text.split("\nsops:\n").nth(1).unwrap().lines().filter(|line| line.starts_with("    ") && !line.starts_with("     ")).collect();
    assert!(keys.is_sorted(), "{keys:?}");
}

#[test]
fn init_makes_an_identity_and_a_configuration_once() {
    let sandbox = Sandbox::new();
    sandbox.write("secret.yaml", SECRET);
    sandbox.kveil(["init"]).run().ok();
    let (config, identity) = (sandbox.read(".sops.yaml"), std::fs::read(sandbox.home().join(".config/sops/age/keys.txt")).unwrap());
    sandbox.kveil(["init"]).run().ok();
    assert_eq!(sandbox.read(".sops.yaml"), config);
    assert_eq!(std::fs::read(sandbox.home().join(".config/sops/age/keys.txt")).unwrap(), identity);
    sandbox.kveil(["encrypt", "-i", "secret.yaml"]).run().ok();
    assert_eq!(sandbox.kveil(["decrypt", "secret.yaml"]).run().ok(), SECRET.as_bytes());
    if let Some(genuine) = sandbox.genuine(["decrypt", "secret.yaml"]) {
        genuine.run().ok();
    }
}

#[test]
fn config_explain_names_rule_values_and_recipients() {
    let sandbox = ready();
    let text = sandbox.kveil(["config", "explain", "secret.yaml"]).run().text();
    for part in [".sops.yaml", "stringData", "age1av6p"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("hunter2") && !text.contains("admin-of-all"), "{text}");
    let json: serde_json::Value =
        serde_json::from_slice(&sandbox.kveil(["config", "explain", "--format", "json", "secret.yaml"]).run().ok()).unwrap();
    assert!(json.is_object());
}

#[test]
fn completion_and_manual_pages_name_every_verb() {
    let sandbox = Sandbox::new();
    let manual = sandbox.kveil(["man"]).run().text();
    for shell in ["bash", "zsh", "fish"] {
        let script = sandbox.kveil(["completion", shell]).run().text();
        for verb in ["encrypt", "decrypt", "filestatus", "init", "keygen"] {
            assert!(script.contains(verb), "{verb} in the script for {shell}");
            assert!(manual.contains(verb), "{verb} in the manual");
        }
    }
}

#[test]
fn no_colour_reaches_a_pipe() {
    let sandbox = ready();
    for done in
        [sandbox.kveil(["encrypt", "missing.yaml"]).run(), sandbox.kveil(["--help"]).run(), sandbox.kveil(["encrypt", "secret.yaml"]).run()]
    {
        assert!(!done.err.contains('\u{1b}') && !done.out.contains(&0x1b));
    }
}

/// A file that no program wrote: every verb ends as genuine sops does.
#[test]
fn hostile_files_have_the_exit_codes_of_sops() {
    let sandbox = Sandbox::with_identity();
    sandbox.write("p.yaml", "a: hello\n");
    let good = sandbox.kveil(["encrypt", "--age", RECIPIENT_1, "p.yaml"]).run().ok();
    let not_text = [good.as_slice(), b"c: \xff\xfe\n"].concat();
    let ten = |name: &str| [name; 10].join(",");
    let lines = (1..8).map(|at| format!("z{at}: &z{at} [{}]\n", ten(&format!("*z{}", at - 1)))).collect::<String>();
    let bomb = [format!("z0: &z0 [{}]\n{lines}", ten("x")).as_bytes(), &good].concat();
    let verbs: [&[&str]; 6] = [
        &["decrypt", "h.yaml"],
        &["rotate", "h.yaml"],
        &["set", "h.yaml", "[\"a\"]", "\"x\""],
        &["unset", "h.yaml", "[\"a\"]"],
        &["exec-env", "h.yaml", "true"],
        &["edit", "h.yaml"],
    ];
    for (bytes, reason) in [(not_text, "UTF-8"), (bomb, "aliases stand for")] {
        for arguments in verbs {
            sandbox.write("h.yaml", &bytes);
            let said = sandbox.sops(arguments).env("EDITOR", "true").run().refused(1);
            assert!(said.contains(reason), "{arguments:?}: {said}");
            if let Some(genuine) = sandbox.genuine(arguments) {
                assert_eq!(genuine.env("EDITOR", "true").run().code, 1, "{arguments:?}");
            }
        }
    }
}

/// Genuine sops reads these; docs/format.md says why kveil doesn't.
#[test]
fn what_is_refused_beyond_sops_has_its_place_and_a_way_out() {
    let sandbox = Sandbox::with_identity();
    let cases = [
        ("y.yaml", "a: 1\nb: [c, ?d]\n", "y.yaml:2:8: ", "quote the value"),
        ("y.yaml", "a: 1\n%YAML 1.1\n---\nb: 2\n", "y.yaml:2:1: ", "a line `...`"),
        ("y.yaml", "a: &x v\n---\nb: *x\n", "y.yaml:3:4: ", "repeat the anchor"),
        ("y.json", r#"{"a": "b\ud800"}"#, "y.json:1:9: ", "write both halves"),
    ];
    for (name, text, place, way) in cases {
        sandbox.write(name, text);
        let reason = sandbox.kveil(["encrypt", "--age", RECIPIENT_1, name]).run().refused(2);
        assert!(reason.contains(place) && reason.contains(way), "{reason}");
        if let Some(genuine) = sandbox.genuine(["encrypt", "--age", RECIPIENT_1, name]) {
            assert_eq!(genuine.run().code, 0, "{text}");
        }
    }
}

#[test]
fn the_table_of_the_documentation_has_every_command() {
    let sandbox = Sandbox::new();
    let help = sandbox.kveil(["help"]).run().text();
    let page = std::fs::read_to_string(sandbox::root().join("docs/cli.md")).unwrap();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| [`")).collect();
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names: Vec<&str> = commands.filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).filter(|name| !name.is_empty()).collect();
    assert!(names.len() > 15, "{help}");
    for name in names.into_iter().filter(|name| *name != "help") {
        let quoted = [format!("`{name}`"), format!("`{name} ")];
        assert!(rows.iter().any(|row| quoted.iter().any(|quoted| row.contains(quoted))), "docs/cli.md lacks {name}");
    }
}
