//! Private keys in a tree: whoever reads them reads every file that they open.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::{Level, Rule, Sheet, Subject};
use crate::document::Span;

/// An age identity.
pub static AGE_IDENTITY: Rule = Rule::new("KV109", "age-identity", Level::Error);
/// A private key in PEM.
pub static PRIVATE_KEY: Rule = Rule::new("KV110", "private-key", Level::Error);

pub(super) const RULES: &[&Rule] = &[&AGE_IDENTITY, &PRIVATE_KEY];

static IDENTITY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("AGE-SECRET-KEY-"));
static KEY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("PRIVATE KEY"));

/// Digits of an identity; less is prose.
const DIGITS: usize = 50;
/// How an OpenSSH key without a passphrase begins: the cipher `none`.
const OPENSSH_BARE: &str = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmU";
/// Base64 that makes a body; less is prose.
const BODY: usize = 40;

pub(super) fn look(subject: &Subject<'_>, sheet: &mut Sheet<'_>) {
    let text = subject.text;
    for at in IDENTITY.find_iter(text.as_bytes()).filter(|at| is_identity(&text[*at..])) {
        let message = "a private age identity: whoever reads this reads every file that it opens";
        let next = "take it out, rotate those files for another recipient, and change their values at their source";
        sheet.at(&AGE_IDENTITY, Span::new(at, at + DIGITS), message, next);
    }
    for at in KEY.find_iter(text.as_bytes()) {
        let Some(start) = armour(text, at) else { continue };
        if !sheet.covers(start) {
            let message = "a private key in clear";
            sheet.at(&PRIVATE_KEY, Span::new(start, at), message, "take it out, and replace the key where it is used");
        }
    }
}

/// `AGE-SECRET-KEY-1…` and `AGE-SECRET-KEY-PQ-1…` are keys; those of plugins only point at one.
fn is_identity(text: &str) -> bool {
    let rest = text.trim_start_matches("AGE-SECRET-KEY-");
    let rest = rest.strip_prefix("PQ-").unwrap_or(rest);
    let digits = rest.strip_prefix('1').unwrap_or_default();
    digits.bytes().take_while(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()).take(DIGITS).count() == DIGITS
}

/// Where the armour of a private key in clear begins, whose label holds the byte `at`.
fn armour(text: &str, at: usize) -> Option<usize> {
    let before = &text.as_bytes()[at.saturating_sub(40)..at];
    let start = at - (before.len() - memchr::memmem::rfind(before, b"-----BEGIN ")?);
    let label = text.get(start + "-----BEGIN ".len()..at)?;
    let rest = text.get(at + "PRIVATE KEY".len()..)?;
    let rest = rest.strip_prefix(" BLOCK").unwrap_or(rest).strip_prefix("-----")?;
    let plain_label = label.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b' ');
    if !plain_label || label.contains("ENCRYPTED") {
        return None;
    }
    let body = body(rest);
    let sealed = rest.get(..200).unwrap_or(rest).contains("Proc-Type: 4,ENCRYPTED");
    let locked = label == "OPENSSH " && !body.starts_with(OPENSSH_BARE);
    (body.len() >= BODY && !sealed && !locked).then_some(start)
}

/// The first digits of the body; line breaks may be written `\n`.
fn body(rest: &str) -> String {
    let mut body = String::new();
    let mut chars = rest.chars().take(4096).peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.next_if(|next| matches!(next, 'n' | 'r')).is_some() => {}
            c if c.is_whitespace() => {}
            c if c.is_ascii_alphanumeric() || "+/=".contains(c) => body.push(c),
            // Headers of PGP's armour: `Version: …`.
            ':' | '.' if body.len() < BODY => body.clear(),
            _ => break,
        }
        if body.len() >= BODY {
            break;
        }
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGITS_64: &str = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj";

    fn found(text: &str) -> bool {
        KEY.find_iter(text.as_bytes()).any(|at| armour(text, at).is_some())
    }

    #[test]
    fn keys_in_clear_are_found_and_locked_ones_are_not() {
        assert!(found(&format!("-----BEGIN PRIVATE KEY-----\n{DIGITS_64}\n")));
        assert!(found(&format!("  -----BEGIN RSA PRIVATE KEY-----\n  {DIGITS_64}\n")));
        assert!(found(&format!("{{\"private_key\": \"-----BEGIN PRIVATE KEY-----\\n{DIGITS_64}\\n\"}}")));
        assert!(!found(&format!("-----BEGIN ENCRYPTED PRIVATE KEY-----\n{DIGITS_64}\n")));
        assert!(!found(&format!("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\n{DIGITS_64}\n")));
        assert!(!found("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABAx\n"));
        assert!(!found("look for -----BEGIN PRIVATE KEY----- in files, and for more words after it, of which none is base64\n"));
        assert!(!found("PRIVATE KEY"));
    }

    #[test]
    fn identities_are_known_by_their_length() {
        assert!(is_identity("AGE-SECRET-KEY-1F9GUPEV246P3K8YDDYMMXMXZQGWNT7KA2NFNVP2LCWZ0GFAH2YUS725UTY"));
        assert!(!is_identity("AGE-SECRET-KEY-1… in the prose of a page") && !is_identity("AGE-SECRET-KEY-"));
    }
}
