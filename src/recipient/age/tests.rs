use std::path::PathBuf;

use super::sources::MAX_SOURCE;
use super::*;
use crate::document::yaml;

const KEY: &str = "SOPS_AGE_KEY";
const KEY_FILE: &str = "SOPS_AGE_KEY_FILE";
const KEY_COMMAND: &str = "SOPS_AGE_KEY_CMD";
const SSH_FILE: &str = "SOPS_AGE_SSH_PRIVATE_KEY_FILE";
const SSH_COMMAND: &str = "SOPS_AGE_SSH_PRIVATE_KEY_CMD";
const KEY_1: &str = include_str!("../../../testdata/recipients/age1.txt");
const KEY_2: &str = include_str!("../../../testdata/recipients/age2.txt");
const POST_QUANTUM: &str = include_str!("../../../testdata/recipients/age/pq.txt");
const ED25519: &str = include_str!("../../../testdata/recipients/age/ed25519");
const RSA: &str = include_str!("../../../testdata/recipients/age/rsa");
const PEM_RSA: &str = include_str!("../../../testdata/recipients/age/pem_rsa");
const ECDSA: &str = include_str!("../../../testdata/recipients/age/ecdsa");
const LOCKED: &str = include_str!("../../../testdata/recipients/age/locked");
const LOCKED_KEYS: &str = include_str!("../../../testdata/recipients/age/keys.age");
/// The identity in `POST_QUANTUM`, as age-plugin-pq takes it.
const PLUGIN: &str = "AGE-PLUGIN-PQ-13MZ468MQQUZ0FAM3S74ZA90LLSCY7PUQYF2KC5US08AD44GRYPQSLLGKL2";
/// Of genuine sops: for ssh-ed25519, ssh-rsa, post-quantum, and the locked ssh key.
const GENUINE_VARIETIES: &str = include_str!("../../../testdata/recipients/age/genuine.yaml");
const RECIPIENT_1: &str = "age1av6p2hqexw2pns6mrpvn75e4a6rcfc8qqu4zt6eatgrz94744d2qxdhljc";
const RECIPIENT_2: &str = "age1ac76cl9nuzd96kdp6mvslh55wl74rt3sl3zfl9y4c6l99dltndqsxemwwp";
const GENUINE: &str = include_str!("../../../testdata/recipients/age-and-pgp.yaml");

fn entries(text: &str) -> Vec<Value> {
    let document = yaml::parse(text).unwrap();
    let sops = Value::of(&document, document.get(document.parts[0].root, "sops").unwrap()).unwrap();
    sops.get("age").unwrap().items().to_vec()
}

fn genuine_entry() -> Value {
    entries(GENUINE)[0].clone()
}

fn why(entry: &Value, identities: &Identities) -> String {
    match Age.unwrap(entry, identities) {
        Outcome::Opened(_) => "opened".to_owned(),
        Outcome::NotMine { why } => format!("not mine: {why}"),
        Outcome::Failed { why } | Outcome::Unreachable { why } => format!("failed: {why}"),
    }
}

fn with(variables: &[(&str, &str)]) -> Identities {
    Identities::new(Environment::fixed(variables.iter().copied().chain([("PATH", "/usr/bin:/bin")])))
}

fn key(file: &str) -> &str {
    file.lines().last().unwrap()
}

fn entry_for(recipient: &str) -> Value {
    Age.wrap(&Age.parse(recipient).unwrap(), b"a data key", &with(&[])).unwrap()
}

fn opens(identities: &Identities) -> bool {
    matches!(Age.unwrap(&entry_for(RECIPIENT_1), identities), Outcome::Opened(key) if key.as_slice() == b"a data key")
}

fn found(identities: &Identities, place: &str) -> String {
    assert!(!opens(identities));
    let looked = Age.looked(identities);
    looked.into_iter().find(|looked| looked.place.contains(place)).map(|looked| looked.found).expect("reported")
}

/// A folder of its own that is removed again.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("kveil-age-{}-{name}", std::process::id()));
        std::fs::create_dir_all(path.join("sops/age")).unwrap();
        Folder(path)
    }

    fn file(&self, name: &str, text: &[u8]) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_genuine_entry_opens() {
    let Outcome::Opened(data_key) = Age.unwrap(&genuine_entry(), &with(&[(KEY, KEY_1)])) else { panic!("not opened") };
    assert_eq!(data_key.len(), 32);
}

#[test]
fn an_entry_looks_like_a_genuine_one() {
    let (ours, genuine) = (entry_for(RECIPIENT_1), genuine_entry());
    let fields = |entry: &Value| entry.entries().iter().map(|(field, _)| field.clone()).collect::<Vec<_>>();
    assert_eq!(fields(&ours), fields(&genuine));
    let enc = ours.get(ENC).unwrap().text().unwrap().into_owned();
    assert!(enc.starts_with("-----BEGIN AGE ENCRYPTED FILE-----\n") && enc.ends_with("\n-----END AGE ENCRYPTED FILE-----\n"));
    assert!(enc.lines().all(|line| line.len() <= 64) && !enc.contains('\r'));
    assert_eq!(Age.describe(&ours), RECIPIENT_1);
}

#[test]
fn every_source_opens() {
    let folder = Folder::new("sources");
    let config = folder.0.to_str().unwrap();
    folder.file("sops/age/keys.txt", KEY_1.as_bytes());
    let named = folder.file("named.txt", KEY_1.as_bytes());
    assert!(opens(&with(&[(KEY, KEY_1)])));
    assert!(opens(&with(&[(KEY_FILE, &named)])));
    assert!(opens(&with(&[("XDG_CONFIG_HOME", config), ("AppData", config)])));
    assert!(opens(&with(&[(KEY_COMMAND, &format!("cat '{named}'"))])));
    assert!(opens(&with(&[(KEY, KEY_2), (KEY_FILE, "/nowhere"), (KEY_COMMAND, &format!("cat '{named}'"))])));
    assert!(!opens(&with(&[])));
}

#[test]
fn key_files_are_read_as_sops_reads_them() {
    let folder = Folder::new("files");
    let try_file = |text: &str| opens(&with(&[(KEY_FILE, &folder.file("k", text.as_bytes()))]));
    let (one, two) = (key(KEY_1), key(KEY_2));
    assert!(try_file(&format!("# comment\r\n\r\n{one}\r\n")));
    assert!(try_file(&format!("{two}\n{one}")));
    assert!(try_file(&format!("{PLUGIN}\n{}\n{one}\n", key(POST_QUANTUM))));
    for refused in [
        format!(" {one}\n"),
        format!("{one} \n"),
        format!("{one}\ngarbage\n"),
        one.to_lowercase(),
        String::new(),
        format!("AGE-PLUGIN-X-1AAAA\n{one}\n"),
    ] {
        assert!(!try_file(&refused));
    }
}

#[test]
fn the_variable_is_split_at_blanks() {
    let (one, two) = (key(KEY_1), key(KEY_2));
    assert!(opens(&with(&[(KEY, &format!("  {two}  {one}\n"))])));
    assert!(!opens(&with(&[(KEY, &format!("{two},{one}"))])));
}

#[test]
fn a_broken_source_is_named_with_its_line_but_never_quoted() {
    let folder = Folder::new("broken");
    let report = |bytes: &[u8]| found(&with(&[(KEY_FILE, &folder.file("k", bytes))]), "SOPS_AGE_KEY_FILE (");
    let garbage = report(format!("# c\n{}\nAGE-SECRET-KEY-1OOPS\n", key(KEY_2)).as_bytes());
    assert_eq!(garbage, "line 3: not an age identity, so nothing in it is used");
    assert_eq!(report(b"\xff\xfe"), "not a text file");
    assert_eq!(report(b"# nothing\n"), "no identity in it");
    assert_eq!(report(b"-----BEGIN AGE ENCRYPTED FILE-----\n"), "not a whole age file");
    assert_eq!(report(b"age-encryption.org/v1\n"), "not a whole age file");
    assert!(report(b"-----BEGIN OPENSSH PRIVATE KEY-----\n").contains("an ssh key: name its file"));
    assert_eq!(report(PLUGIN.as_bytes()), "1 identity, plugin pq");
    assert!(report(&vec![b'#'; MAX_SOURCE as usize + 1]).contains("too long"));
    assert_eq!(report(KEY_2.as_bytes()), "1 identity, age1ac76…xemwwp");
    assert_eq!(found(&with(&[(KEY_FILE, "/nowhere/k")]), "SOPS_AGE_KEY_FILE (/nowhere/k)"), "no such file");
    assert!(found(&with(&[(KEY_FILE, folder.0.to_str().unwrap())]), "SOPS_AGE_KEY_FILE (").starts_with("can't be read"));
}

#[cfg(unix)]
#[test]
fn commands_run_without_a_shell_and_once_a_recipient() {
    let folder = Folder::new("command");
    let log = folder.0.join("log").to_str().unwrap().to_owned();
    let one = key(KEY_1);
    let command = format!("sh -c \"echo '# \\$SOPS_AGE_RECIPIENT' >> {log}; echo \\$SOPS_AGE_RECIPIENT >> {log}; echo {one}\"");
    let identities = with(&[(KEY_COMMAND, &command)]);
    assert!(opens(&identities) && opens(&identities));
    assert_eq!(std::fs::read_to_string(&log).unwrap(), format!("# $SOPS_AGE_RECIPIENT\n{RECIPIENT_1}\n"));
    let other = with(&[(KEY_COMMAND, &command)]).without_commands();
    assert_eq!(found(&other, KEY_COMMAND), "not run here");
}

#[cfg(unix)]
#[test]
fn a_failing_command_says_why_but_prints_no_key() {
    let report = |command: &str| found(&with(&[(KEY_COMMAND, command)]), KEY_COMMAND);
    assert_eq!(report("sh -c 'echo not signed in >&2; exit 3'"), "failed with exit status: 3: not signed in");
    assert_eq!(report(&format!("sh -c 'echo {} >&2; exit 3'", key(KEY_1))), "failed with exit status: 3");
    assert_eq!(report("sh -c 'open"), "a quote or backslash at its end isn't closed");
    assert_eq!(report("#"), "names no command");
    assert!(report("/nowhere/at/all").starts_with("can't be run"));
    assert_eq!(report(&format!("echo {}", key(KEY_2))), "1 identity, age1ac76…xemwwp");
}

#[test]
fn command_lines_are_split_like_a_shell_would() {
    let words = |line: &str| command::split_words(line).map(|words| words.join("|"));
    assert_eq!(words("a  'b c' d\"e \\\"f\"  g\\ h").as_deref(), Some("a|b c|de \"f|g h"));
    assert_eq!(words("a '' # rest 'x\nb#c").as_deref(), Some("a||b#c"));
    assert_eq!(words("a 'b\\'").as_deref(), Some("a|b\\"));
    assert!(words("a 'b").is_none() && words("a \\").is_none() && words("a \"b\\\"").is_none());
}

#[cfg(unix)]
#[test]
fn a_key_file_that_others_can_read_is_warned_about_once() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new("mode");
    let path = folder.file("k", KEY_1.as_bytes());
    for (mode, warnings) in [(0o600, 0), (0o644, 1), (0o640, 1)] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let identities = with(&[(KEY_FILE, &path)]);
        assert!(opens(&identities) && opens(&identities));
        assert_eq!((identities.take_warnings().len(), identities.take_warnings().len()), (warnings, 0));
    }
}

/// A Secret of Kubernetes in its mount is root's: nobody could follow the advice.
#[cfg(unix)]
#[test]
fn a_key_file_of_somebody_else_is_not_warned_about() {
    let folder = Folder::new("owner");
    let own = folder.file("k", KEY_1.as_bytes());
    let is_root = rustix::process::geteuid().is_root();
    let path = if is_root { own } else { "/etc/passwd".to_owned() };
    if is_root {
        std::os::unix::fs::chown(&path, Some(999), None).unwrap();
    }
    let identities = with(&[(KEY_FILE, &path)]);
    assert_eq!(opens(&identities), is_root);
    assert!(identities.take_warnings().is_empty());
}

#[test]
fn not_mine_and_broken_differ() {
    let one = with(&[(KEY, KEY_1)]);
    let entry = |enc: &str| Value::Map(vec![(ENC.to_owned(), Value::string(enc)), (RECIPIENT.to_owned(), Value::string(RECIPIENT_1))]);
    assert_eq!(why(&entry_for(RECIPIENT_2), &one), "not mine: the one age identity at hand doesn't fit");
    assert_eq!(why(&entry_for(RECIPIENT_1), &with(&[])), "not mine: no age identity was found");
    assert_eq!(why(&entry(""), &one), "failed: the entry holds no wrapped key");
    assert!(why(&entry("QUJD"), &one).starts_with("failed: the wrapped key is damaged"));
    let whole = entry_for(RECIPIENT_1).get(ENC).unwrap().text().unwrap().into_owned();
    assert!(why(&entry(&whole[..whole.len() / 2]), &one).starts_with("failed: the wrapped key is damaged"));
}

#[test]
fn what_is_no_recipient_is_refused_by_name_and_secrets_are_not_repeated() {
    let refusal = |text: &str| Age.parse(text).unwrap_err().message.clone();
    assert_eq!(Age.parse(&format!(" {RECIPIENT_1}\n")).unwrap().text, RECIPIENT_1);
    assert_eq!(refusal("age1xyz"), "not an age recipient: age1xyz");
    assert_eq!(refusal("hunter2"), "not an age recipient");
    assert!(refusal(&RECIPIENT_1.to_uppercase()).starts_with("not an age recipient"));
    assert_eq!(refusal("ssh-ed25519 AAAA"), "not an ssh public key: ssh-ed25519 AAAA");
    assert_eq!(refusal("age1pq1xyz"), "not a post-quantum age recipient: age1pq1xyz");
    assert_eq!(refusal("age1yubikey1qxyz"), "not a recipient of an age plugin: age1yubikey1qxyz");
    assert_eq!(refusal("age1tag1xyz"), "not a tagged age recipient: age1tag1xyz");
    for secret in [key(KEY_1).to_owned(), key(KEY_1).to_lowercase()] {
        assert!(!format!("{:?}", Age.parse(&secret).unwrap_err()).to_uppercase().contains(&key(KEY_1)[20..]));
    }
}

#[test]
fn a_new_identity_opens_what_is_wrapped_for_its_recipient() {
    let (identity, recipient) = generate();
    assert_eq!(recipient_of(&identity).unwrap(), recipient);
    let identities = with(&[(KEY, &identity)]);
    assert!(matches!(Age.unwrap(&entry_for(&recipient), &identities), Outcome::Opened(_)));
    assert_eq!(own_recipients(&identities).collect::<Vec<_>>(), [recipient]);
    assert!(!recipient_of("AGE-SECRET-KEY-1OOPS").unwrap_err().message.contains("OOPS"));
}

#[test]
fn genuine_entries_of_every_variety_open() {
    let folder = Folder::new("varieties");
    let all = entries(GENUINE_VARIETIES);
    let ssh = |text: &str| with(&[(SSH_FILE, folder.file(&text.len().to_string(), text.as_bytes()).as_str())]);
    for (at, identities) in [(0, ssh(ED25519)), (1, ssh(RSA)), (1, ssh(PEM_RSA)), (2, with(&[(KEY, POST_QUANTUM.lines().last().unwrap())]))]
    {
        let opened: Vec<usize> = (0..all.len()).filter(|at| why(&all[*at], &identities) == "opened").collect();
        assert_eq!(opened, [at]);
        let expected: Vec<usize> = (0..all.len()).filter(|at| Age.expects(&all[*at], &identities)).collect();
        assert_eq!(expected, [at]);
    }
    assert_eq!(why(&all[0], &with(&[(SSH_COMMAND, &format!("cat '{}'", folder.file("key", ED25519.as_bytes())))])), "opened");
}

#[test]
fn keys_in_the_home_folder_open() {
    let folder = Folder::new("home");
    std::fs::create_dir(folder.0.join(".ssh")).unwrap();
    folder.file(".ssh/id_ed25519", ED25519.as_bytes());
    folder.file(".ssh/id_rsa", b"garbage");
    let identities = with(&[("HOME", folder.0.to_str().unwrap()), ("USERPROFILE", folder.0.to_str().unwrap())]);
    let all = entries(GENUINE_VARIETIES);
    assert_eq!((why(&all[0], &identities).as_str(), why(&all[1], &identities).starts_with("not mine")), ("opened", true));
    assert_eq!(found(&identities, "id_ed25519"), "1 identity, ssh-ed25519 …funqCh");
    assert!(found(&identities, "id_rsa").starts_with("not an ssh private key"));
}

#[test]
fn ssh_keys_that_cant_be_used_say_why() {
    let folder = Folder::new("unusable");
    let report = |text: &str| found(&with(&[(SSH_FILE, &folder.file("k", text.as_bytes()))]), SSH_FILE);
    assert_eq!(report(ECDSA), "an ssh key that can't decrypt (ecdsa-sha2-nistp256), expected ssh-ed25519 or ssh-rsa");
    assert!(report(KEY_1).starts_with("not an ssh private key"));
    assert_eq!(
        report("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA"),
        "not an ssh private key (BEGIN OPENSSH PRIVATE KEY, BEGIN RSA PRIVATE KEY)"
    );
    let command = format!("cat '{}'", folder.file("k", LOCKED.as_bytes()));
    assert_eq!(found(&with(&[(SSH_COMMAND, &command)]), SSH_COMMAND), "it printed an ssh key that is locked with a passphrase");
}

#[test]
fn nobody_is_asked_where_nothing_may_be_run() {
    let folder = Folder::new("quiet");
    let (locked, keys) = (folder.file("locked", LOCKED.as_bytes()), folder.file("keys", LOCKED_KEYS.as_bytes()));
    let all = entries(GENUINE_VARIETIES);
    let quiet = |variables: &[(&str, &str)]| with(variables).without_commands();
    assert!(!Age.expects(&all[3], &quiet(&[(SSH_FILE, &locked)])));
    let refusal = why(&all[3], &quiet(&[(SSH_FILE, &locked)]));
    assert!(refusal.ends_with("locked): locked with a passphrase, and none is asked for here"), "{refusal}");
    // Another key's entry is no reason to ask.
    assert_eq!(why(&all[0], &quiet(&[(SSH_FILE, &locked)])), "not mine: the one age identity at hand doesn't fit");
    assert!(why(&entry_for(RECIPIENT_1), &quiet(&[(KEY_FILE, &keys)])).ends_with("and none is asked for here"));
    assert!(why(&all[2], &quiet(&[(KEY, PLUGIN)])).ends_with("age-plugin-pq isn't run here"));
    assert_eq!(found(&quiet(&[(SSH_FILE, &locked)]), SSH_FILE), "1 identity, ssh-ed25519 …RMoQxD (locked)");
}

#[test]
fn ssh_recipients_keep_their_line_and_are_matched_by_their_key() {
    let line = include_str!("../../../testdata/recipients/age/rsa.pub").trim();
    assert_eq!(Age.parse(&format!("{line}\n")).unwrap().text, line);
    let entry = entry_for(line);
    assert_eq!(Age.describe(&entry), line);
    let folder = Folder::new("comment");
    let identities = with(&[(SSH_FILE, &folder.file("k", RSA.as_bytes()))]);
    assert!(Age.expects(&entry, &identities) && why(&entry, &identities) == "opened");
    assert!(Age.short(line).starts_with("ssh-rsa …") && Age.short(line).ends_with(" a comment of several words"));
    let refusal = |text: &str| Age.parse(text).unwrap_err().message.clone();
    assert!(Age.same(line, &line.replace("several", "other")) && !Age.same(line, &line.replacen("AAAAB3", "AAAAB4", 1)));
    assert!(refusal(&format!("{line}\n{line}")).starts_with("not an ssh public key"));
    assert!(refusal(&line.replacen(" a comment", "x a comment", 1)).starts_with("not an ssh public key"));
    let ecdsa = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBHFliOyIZs1gxGF3fmDxFykQhE88wy6AKDGFBfn0R6ZuvRmENABZQa9+pj9hMki+LX0qDJbmHTiWDbYv/cmFt/Q=";
    assert_eq!(refusal(ecdsa), "not an age recipient");
    assert_eq!(refusal(RSA), "an age identity (a secret key) stands where a recipient is expected");
}

#[test]
fn a_new_post_quantum_identity_opens_what_is_wrapped_for_its_recipient() {
    let (identity, recipient) = generate_post_quantum();
    assert_eq!((recipient_of(&identity).unwrap(), recipient.len()), (recipient.clone(), 1959));
    let identities = with(&[(KEY, &identity)]);
    let entry = entry_for(&recipient);
    assert_eq!((why(&entry, &identities).as_str(), Age.expects(&entry, &identities)), ("opened", true));
    assert_eq!(why(&entry, &with(&[(KEY, key(POST_QUANTUM))])), "not mine: the one age identity at hand doesn't fit");
    assert_eq!(recipient_of(key(POST_QUANTUM)).unwrap(), POST_QUANTUM.lines().nth(1).unwrap().trim_start_matches("# public key: "));
    assert_eq!(Age.short(&recipient).chars().count(), 15);
}

#[test]
fn names_of_plugins_are_plain() {
    let encode = |prefix: &str| age_core::primitives::bech32_encode(bech32::Hrp::parse_unchecked(prefix), b"x");
    assert!(Age.parse(&encode("age1a-b2")).is_ok());
    for name in ["age1a.b", "age1a_b", "age1+", "age1../x"] {
        let message = Age.parse(&encode(name)).unwrap_err().message.clone();
        assert!(message.contains("the name of its plugin") || message.starts_with("not a recipient of an age plugin"), "{message}");
    }
    let quiet = Age.wrap(&Age.parse(&encode("age1nowhere")).unwrap(), b"k", &with(&[]).without_commands()).err().unwrap().message.clone();
    assert!(quiet.ends_with("age-plugin-nowhere isn't run here"), "{quiet}");
    let missing = Age.wrap(&Age.parse(&encode("age1nowhere")).unwrap(), b"k", &with(&[])).err().unwrap().message.clone();
    assert!(missing.ends_with("age-plugin-nowhere isn't in PATH") || missing.contains(".exe"), "{missing}");
    let line = encode("AGE-PLUGIN-NOWHERE-").to_uppercase();
    assert!(why(&entry_for(RECIPIENT_1), &with(&[(KEY, &line)])).contains("age-plugin-nowhere"));
    assert!(keyfile::identity(&encode("AGE-PLUGIN-A.B-").to_uppercase()).is_none());
}

/// What a tagged key's plugin would be handed.
struct Handed(std::cell::RefCell<Vec<Stanza>>);

impl age::Identity for Handed {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<std::result::Result<FileKey, DecryptError>> {
        self.0.borrow_mut().push(Stanza { tag: stanza.tag.clone(), args: stanza.args.clone(), body: stanza.body.clone() });
        None
    }
}

#[test]
fn tagged_recipients_are_wrapped_for_without_a_plugin() {
    use hpke::{Deserializable as _, Kem as _, Serializable as _};
    type P256 = hpke::kem::DhP256HkdfSha256;
    let (secret, public) = P256::gen_keypair(&mut hpke::rand_core::OsRng);
    let point = public.to_bytes();
    let compressed: Vec<u8> = std::iter::once(2 + (point[64] & 1)).chain(point[1..33].iter().copied()).collect();
    let recipient = age_core::primitives::bech32_encode(bech32::Hrp::parse_unchecked("age1tag"), &compressed);
    let enc = entry_for(&recipient).get(ENC).unwrap().text().unwrap().into_owned();
    let handed = Handed(Default::default());
    let file = age::Decryptor::new_buffered(age::armor::ArmoredReader::new(enc.as_bytes())).unwrap();
    assert!(file.decrypt(std::iter::once(&handed as &dyn age::Identity)).is_err());
    let stanzas = handed.0.into_inner();
    let stanza = stanzas.iter().find(|stanza| stanza.tag == "p256tag").unwrap();
    let sent = base64_simd::STANDARD_NO_PAD.decode_to_vec(&stanza.args[1]).unwrap();
    let sent = <P256 as hpke::Kem>::EncappedKey::from_bytes(&sent).unwrap();
    let opened = age_core::primitives::hpke_open::<P256>(&sent, &secret, b"age-encryption.org/p256tag", &stanza.body);
    assert_eq!(opened.unwrap().len(), 16);
    assert!(Age.parse(&format!("{recipient}q")).unwrap_err().message.starts_with("not a tagged age recipient"));
}
