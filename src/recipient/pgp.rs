//! PGP: fingerprints, wrapped and unwrapped by the `gpg` program as SOPS does it, agents and smart cards included.
//!
//! `SOPS_GPG_EXEC` names another program, `GNUPGHOME` another keyring. What the entry says of its recipient isn't needed
//! to open it: the message itself names its key.

use std::collections::HashSet;
use std::io::{self, Read, Write as _};
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex};

use zeroize::Zeroizing;

use super::{CREATED_AT, ENC, Identities, Looked, Outcome, RecipientKind, RecipientSpec, created_at, held, wrapped_key};
use crate::document::value::Value;
use crate::error::{Error, Kind, Result, printable};

const FIELD: &str = "pgp";
const FINGERPRINT: &str = "fp";

const PROGRAM: &str = "SOPS_GPG_EXEC";
const DEFAULT_PROGRAM: &str = "gpg";
const KEYRING: &str = "GNUPGHOME";

/// Hexadecimal digits of a key id, and of fingerprints of version 4 and 5. gpg trusts no shorter id.
const LENGTHS: [usize; 3] = [16, 40, 64];
/// gpg's agent works on one private key at a time, and runs out of locked memory when too many wait.
const AT_ONCE: usize = 4;
/// No message with a data key or a share is longer, nor what comes out of one.
const MAX_OUTPUT: u64 = 1 << 16;

/// The kind `pgp`.
pub struct Pgp;

impl RecipientKind for Pgp {
    fn field(&self) -> &'static str {
        FIELD
    }

    fn parse(&self, text: &str) -> Result<RecipientSpec> {
        Ok(RecipientSpec { kind: FIELD, text: fingerprint(text)?, extra: Vec::new() })
    }

    fn describe(&self, entry: &Value) -> String {
        entry.get(FINGERPRINT).and_then(Value::text).map(|text| joined(&text)).unwrap_or_default()
    }

    /// Neither case nor `0x` makes another key of a fingerprint; a key id of 16 digits might be another's, too.
    fn same(&self, a: &str, b: &str) -> bool {
        digits(a).eq_ignore_ascii_case(digits(b))
    }

    fn is_local(&self) -> bool {
        true
    }

    fn short(&self, recipient: &str) -> String {
        long_key_id(recipient).to_owned()
    }

    fn wrap(&self, recipient: &RecipientSpec, data_key: &[u8], identities: &Identities) -> Result<Value> {
        let fingerprint = fingerprint(&recipient.text)?;
        let message = identities.gpg.encrypt(identities, &fingerprint, data_key).map_err(|why| cannot_wrap(&fingerprint, &why))?;
        let fields = [(CREATED_AT, created_at()), (ENC, Value::string(message)), (FINGERPRINT, Value::string(fingerprint))];
        Ok(Value::Map(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()))
    }

    fn unwrap(&self, entry: &Value, identities: &Identities) -> Outcome {
        match wrapped_key(entry) {
            Ok(message) => identities.gpg.decrypt(identities, &self.describe(entry), &message),
            Err(outcome) => outcome,
        }
    }

    fn looked(&self, identities: &Identities) -> Vec<Looked> {
        let keyring = identities.environment().path(KEYRING);
        let keyring = keyring.map_or_else(|| format!("its own, {KEYRING} isn't set"), |path| printable(&path.to_string_lossy()));
        let found = if identities.runs_commands() { format!("keyring: {keyring}") } else { "not run here".to_owned() };
        vec![Looked { place: printable(&program(identities).to_string_lossy()), found }]
    }

    fn next(&self) -> Option<&'static str> {
        Some("if you have the private key of one of these fingerprints: gpg --import KEYFILE, or name its keyring: export GNUPGHOME=/path")
    }
}

fn cannot_wrap(fingerprint: &str, why: &str) -> Error {
    Error::new(Kind::Generic, format!("the data key can't be encrypted for the PGP key {fingerprint}: {why}"))
        .hint(format!("its public key must be in gpg's keyring and not expired: gpg --list-keys {fingerprint}"))
        .hint(format!("{PROGRAM} names another program than gpg, {KEYRING} another keyring"))
}

/// A fingerprint as SOPS takes it: with `0x` or without, in either case, a `!` behind it for exactly this subkey. Blanks
/// are left out, all else stays as it is.
fn fingerprint(text: &str) -> Result<String> {
    let text = joined(text);
    let digits = digits(&text);
    let digits = digits.strip_suffix('!').unwrap_or(digits);
    if LENGTHS.contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(text);
    }
    Err(Error::new(Kind::Generic, format!("not a PGP fingerprint: {text}"))
        .hint("expected 40 hexadecimal digits, as gpg --fingerprint shows them, or the 16 digits of a long key id"))
}

fn digits(fingerprint: &str) -> &str {
    fingerprint.strip_prefix("0x").unwrap_or(fingerprint)
}

/// Fingerprints are often copied with blanks.
fn joined(text: &str) -> String {
    text.split_whitespace().collect()
}

/// The last 16 digits, with the `!` behind them if there is one.
fn long_key_id(fingerprint: &str) -> &str {
    let length = 16 + usize::from(fingerprint.ends_with('!'));
    fingerprint.len().checked_sub(length).and_then(|start| fingerprint.get(start..)).unwrap_or(fingerprint)
}

fn program(identities: &Identities) -> PathBuf {
    identities.environment().path(PROGRAM).unwrap_or_else(|| PathBuf::from(DEFAULT_PROGRAM))
}

/// The fingerprints of the secret keys in gpg's keyring, subkeys included: any of them may be named by a recipient.
///
/// # Errors
/// Why gpg says nothing, in one line.
pub fn secret_keys(identities: &Identities) -> std::result::Result<Vec<String>, String> {
    let listed = identities.gpg.run(identities, &["--batch", "--list-secret-keys", "--with-colons"], b"")?;
    let fingerprint =
        |line: &str| line.strip_prefix("fpr:").map(|fields| fields.trim_matches(':').split(':').next_back().unwrap_or_default().to_owned());
    Ok(String::from_utf8_lossy(&listed).lines().filter_map(fingerprint).collect())
}

/// The calls of gpg in this run.
#[derive(Default)]
pub struct Gpg {
    running: Mutex<usize>,
    ended: Condvar,
    /// Held by a call that may ask for a passphrase, so that one prompt serves all who wait.
    asking: Mutex<()>,
    opened: AtomicBool,
    cancelled: Mutex<HashSet<String>>,
}

impl Gpg {
    /// The armored message for a fingerprint; the arguments are those of SOPS.
    fn encrypt(&self, identities: &Identities, fingerprint: &str, data_key: &[u8]) -> std::result::Result<String, String> {
        let id = long_key_id(fingerprint);
        let arguments = ["--no-default-recipient", "--yes", "--encrypt", "-a", "-r", fingerprint, "--trusted-key", id, "--no-encrypt-to"];
        let message = self.run(identities, &arguments, data_key)?;
        // gpg ends lines as the system does; the format of SOPS has line feeds everywhere.
        let message = String::from_utf8_lossy(&message).replace("\r\n", "\n").trim().to_owned();
        if message.is_empty() { Err("gpg gave no message".to_owned()) } else { Ok(message) }
    }

    /// What a message holds. Until one opens, messages are tried one after the other: each may prompt for a passphrase that
    /// the agent then has for all others. A prompt that was cancelled isn't repeated for the same recipient.
    fn decrypt(&self, identities: &Identities, recipient: &str, message: &str) -> Outcome {
        let _alone = (!self.opened.load(Ordering::Acquire)).then(|| held(&self.asking));
        if held(&self.cancelled).contains(recipient) {
            return Outcome::Failed { why: "gpg's prompt was cancelled before".to_owned() };
        }
        match self.run(identities, &["-d"], message.as_bytes()) {
            // Old versions end like this, with success, on messages of newer ones (SOPS).
            Ok(nothing) if nothing.is_empty() => {
                Outcome::Failed { why: "gpg gave zero bytes: the message may be of a newer version".to_owned() }
            }
            Ok(plaintext) => {
                self.opened.store(true, Ordering::Release);
                Outcome::Opened(plaintext)
            }
            Err(why) if lacks_the_key(&why) => Outcome::NotMine { why: "its secret key isn't in gpg's keyring".to_owned() },
            Err(why) => {
                if why.to_ascii_lowercase().contains("cancel") {
                    held(&self.cancelled).insert(recipient.to_owned());
                }
                Outcome::Failed { why }
            }
        }
    }

    /// Runs gpg; what it prints, or why there is nothing.
    fn run(&self, identities: &Identities, arguments: &[&str], input: &[u8]) -> std::result::Result<Zeroizing<Vec<u8>>, String> {
        if !identities.runs_commands() {
            return Err("gpg isn't run here".to_owned());
        }
        let _turn = self.turn();
        let program = program(identities);
        let mut command = identities.environment().command(&program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().map_err(|error| {
            format!("{} can't be run ({error}): install GnuPG, or name its program in {PROGRAM}", printable(&program.to_string_lossy()))
        })?;
        let (status, output, complaint) = exchange(child, input).map_err(|error| format!("gpg can't be talked to: {error}"))?;
        match status.success() {
            true => Ok(output),
            false if complaint.is_empty() => Err(format!("gpg failed with {status}")),
            false => Err(complaint),
        }
    }

    /// Waits until fewer than [`AT_ONCE`] calls run.
    fn turn(&self) -> Turn<'_> {
        let mut running = held(&self.running);
        while *running >= AT_ONCE {
            running = self.ended.wait(running).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        *running += 1;
        Turn(self)
    }
}

/// The right to run gpg now.
struct Turn<'g>(&'g Gpg);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *held(&self.0.running) -= 1;
        self.0.ended.notify_one();
    }
}

/// Gives `input` to a program and takes what it prints, both at once: either side may fill its pipe first.
fn exchange(mut child: Child, input: &[u8]) -> io::Result<(ExitStatus, Zeroizing<Vec<u8>>, String)> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (output, complaint) = std::thread::scope(|scope| {
        // One that ends before it has read all closes the pipe; what it says then counts.
        scope.spawn(move || stdin.map(|mut pipe| pipe.write_all(input)));
        let complaint = scope.spawn(move || stderr.map(complaint).unwrap_or_default());
        let output = stdout.map_or_else(|| Ok(Zeroizing::default()), read_output);
        (output, complaint.join().unwrap_or_default())
    });
    let status = child.wait()?;
    Ok((status, output?, complaint))
}

/// Reads up to a limit, in a buffer that needn't grow: a growing one would leave copies behind. A program with more to say
/// finds its pipe closed.
fn read_output(stdout: impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut output = Zeroizing::new(Vec::with_capacity(MAX_OUTPUT as usize));
    stdout.take(MAX_OUTPUT).read_to_end(&mut output)?;
    Ok(output)
}

/// Whether nothing but the secret key is missing; the same words also follow a prompt that failed.
fn lacks_the_key(why: &str) -> bool {
    why.ends_with("decryption failed: No secret key") && !why.contains("public key decryption failed")
}

/// What gpg complains of, on one line: without its name, and without the lines that only describe the message.
fn complaint(mut stderr: impl Read) -> String {
    let mut text = Vec::new();
    // The rest is read and dropped, so that gpg doesn't wait for it.
    let read = stderr.by_ref().take(MAX_OUTPUT).read_to_end(&mut text).and_then(|_| io::copy(&mut stderr, &mut io::sink()));
    if read.is_err() {
        return String::new();
    }
    condensed(&String::from_utf8_lossy(&text))
}

fn condensed(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.starts_with(char::is_whitespace) && !line.contains("encrypted with "));
    let lines: Vec<&str> = lines.map(|line| line.strip_prefix("gpg: ").unwrap_or(line).trim()).filter(|line| !line.is_empty()).collect();
    let last = lines[lines.len().saturating_sub(3)..].join("; ");
    printable(&last.chars().take(300).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipient::Environment;

    const FPR: &str = "97C5A80A0101996640EFAD0FEF8D840356324056";

    #[test]
    fn fingerprints_are_read_as_people_copy_them() {
        let read = |text: &str| Pgp.parse(text).map(|spec| spec.text).map_err(|error| error.message.clone());
        assert_eq!(read(" 97C5 A80A 0101 9966 40EF  AD0F EF8D 8403 5632 4056 ").as_deref(), Ok(FPR));
        let as_they_are = [FPR, &FPR.to_lowercase(), &format!("0x{FPR}"), &format!("{FPR}!"), "EF8D840356324056", "0xEF8D840356324056!"];
        for text in as_they_are {
            assert_eq!(read(text).as_deref(), Ok(text));
        }
        for text in ["", "56324056", "alice@example.com", &format!("X{FPR}"), &FPR[..20], &format!("{FPR}-"), &format!("{FPR}!!")] {
            assert_eq!(read(text), Err(format!("not a PGP fingerprint: {text}")));
        }
    }

    #[test]
    fn case_and_prefix_make_no_other_recipient() {
        for other in [FPR.to_lowercase(), format!("0x{FPR}"), FPR.to_owned()] {
            assert!(Pgp.same(&other, FPR), "{other}");
        }
        for other in ["EF8D840356324056", &format!("{FPR}!"), ""] {
            assert!(!Pgp.same(other, FPR), "{other}");
        }
    }

    #[test]
    fn the_key_id_keeps_the_mark_of_a_subkey() {
        assert_eq!(long_key_id(FPR), "EF8D840356324056");
        assert_eq!(long_key_id(&format!("{FPR}!")), "EF8D840356324056!");
        assert_eq!(long_key_id("0xEF8D840356324056"), "EF8D840356324056");
        assert_eq!(long_key_id("ABCD"), "ABCD");
        assert_eq!(long_key_id("ü"), "ü");
    }

    #[test]
    fn complaints_are_condensed_to_what_went_wrong() {
        let text = "gpg: encrypted with 3072-bit RSA key, ID CE1D19FA5091CD0D, created 2026-11-20\n      \"Ana <ana@example.invalid>\"\n\
                    gpg: public key decryption failed: Operation cancelled\ngpg: decryption failed: No secret key\n";
        assert_eq!(condensed(text), "public key decryption failed: Operation cancelled; decryption failed: No secret key");
        assert_eq!(condensed("gpg: a\u{1b}[31m\n"), "a\\u{1b}[31m");
        assert_eq!(condensed(""), "");
        assert_eq!(condensed(&"x".repeat(1000)).len(), 300);
    }

    fn entry(enc: &str) -> Value {
        Value::Map(vec![(ENC.to_owned(), Value::string(enc)), (FINGERPRINT.to_owned(), Value::string(FPR))])
    }

    fn why(outcome: Outcome) -> String {
        match outcome {
            Outcome::Opened(_) => panic!("opened"),
            Outcome::NotMine { why } | Outcome::Failed { why } | Outcome::Unreachable { why } => why,
        }
    }

    #[test]
    fn without_commands_gpg_is_never_run() {
        let identities = Identities::new(Environment::fixed([("SOPS_GPG_EXEC", "/bin/false")])).without_commands();
        assert_eq!(why(Pgp.unwrap(&entry("x"), &identities)), "gpg isn't run here");
        assert!(Pgp.wrap(&Pgp.parse(FPR).unwrap(), &[7; 32], &identities).err().unwrap().message.ends_with("gpg isn't run here"));
        assert_eq!(Pgp.looked(&identities)[0].found, "not run here");
    }

    #[test]
    fn a_missing_program_is_named_with_the_variable() {
        let identities = Identities::new(Environment::fixed([("SOPS_GPG_EXEC", "/nowhere/gpg2")]));
        let answers = [
            why(Pgp.unwrap(&entry("x"), &identities)),
            Pgp.wrap(&Pgp.parse(FPR).unwrap(), &[7; 32], &identities).err().unwrap().message.clone(),
        ];
        for answer in answers {
            assert!(answer.contains("/nowhere/gpg2 can't be run") && answer.contains("SOPS_GPG_EXEC"), "{answer}");
        }
        assert_eq!(why(Pgp.unwrap(&entry(""), &identities)), "the entry holds no wrapped key");
    }

    #[cfg(unix)]
    #[test]
    fn silence_is_an_error_and_a_flood_ends() {
        let identities = |program: &str| Identities::new(Environment::fixed([("SOPS_GPG_EXEC", program), ("PATH", "/usr/bin:/bin")]));
        assert!(why(Pgp.unwrap(&entry("x"), &identities("true"))).contains("zero bytes"));
        let error = Pgp.wrap(&Pgp.parse(FPR).unwrap(), &[7; 32], &identities("true")).err().unwrap();
        assert!(error.message.ends_with("gpg gave no message"));
        assert!(why(Pgp.unwrap(&entry("x"), &identities("false"))).starts_with("gpg failed with exit status: 1"));
        // More than fits into a pipe goes in and comes out at the same time, and is cut off.
        let folder = tempfile::tempdir().unwrap();
        let copies = folder.path().join("copies");
        std::fs::write(&copies, "#!/bin/sh\nexec cat\n").unwrap();
        std::fs::set_permissions(&copies, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        let copies = identities(copies.to_str().unwrap());
        let length = |outcome| matches!(outcome, Outcome::Opened(output) if output.len() as u64 == MAX_OUTPUT);
        let outcome = Pgp.unwrap(&entry(&"y".repeat(1 << 20)), &copies);
        assert!(length(outcome) || why(Pgp.unwrap(&entry(&"y".repeat(1 << 20)), &copies)).contains("signal"));
        assert!(matches!(Pgp.unwrap(&entry("y"), &copies), Outcome::Opened(output) if *output == *b"y"));
    }
}
