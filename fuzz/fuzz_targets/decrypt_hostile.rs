//! Encrypted files of anybody's making: an error or plain text, never a panic.
//!
//! The input is the encrypted file, opened with a real identity and with the data key that all seeds have. One that
//! brings no `sops` block gets one that opens, so that what follows the data key is reached, too. With a line `%%` in it,
//! its author holds the data key and lies: what stands above is sealed, and the file gets what stands below, the first line
//! in place of every value's type, the rest as the plaintext of the layout record.
#![no_main]

use kveil::document::resolve::Type;
use kveil::document::{FORMATS, Format, format_by_name};
use kveil::pipeline::{self, metadata_of};
use kveil::recipient::{Environment, Identities};
use kveil::seal::decrypt::decrypt;
use kveil::seal::sign::LAYOUT_DATA;
use kveil::seal::value::{Cipher, IV_LENGTH};
use kveil_fuzz::{KEY, seal, selections};
use libfuzzer_sys::fuzz_target;

const IDENTITY: &str = "AGE-SECRET-KEY-1F9GUPEV246P3K8YDDYMMXMXZQGWNT7KA2NFNVP2LCWZ0GFAH2YUS725UTY";
/// An encrypted file of genuine sops, opened by [`IDENTITY`].
const GENUINE: &str = include_str!("../../testdata/sops/3.13.3/fail_tampered_value/untampered.yaml");

fuzz_target!(|text: &str| {
    let cipher = Cipher::new(&KEY);
    for format in FORMATS {
        match text.split_once("\n%%\n") {
            None => open(*format, text, &cipher),
            Some((plain, lies)) => forged(*format, plain, lies, &cipher),
        }
    }
    if text.contains("%%") {
        return;
    }
    let identities = Identities::new(Environment::fixed([("SOPS_AGE_KEY", IDENTITY)])).without_commands();
    for format in FORMATS {
        let _ = pipeline::decrypt_text(text, *format, &identities, &[], true);
    }
    if !text.contains("sops") {
        let block = GENUINE.find("\nsops:").map_or("", |at| &GENUINE[at..]);
        let yaml = format_by_name("yaml").expect("YAML is a format");
        let whole = format!("{text}{block}");
        let _ = pipeline::decrypt_text(&whole, yaml, &identities, &[], true);
        let _ = pipeline::decrypt_text(&whole, yaml, &identities, &[], false);
    }
});

fn forged(format: &dyn Format, plain: &str, lies: &str, cipher: &Cipher) {
    let Ok(document) = format.parse_plain(plain) else { return };
    let (kind, record) = lies.split_once('\n').unwrap_or((lies, ""));
    for selection in selections() {
        let Ok(sealed) = seal(&document, &selection, cipher, false) else { continue };
        let text = if kind.is_empty() { sealed.text.to_string() } else { sealed.text.replace(",type:str]", &format!(",type:{kind}]")) };
        open(format, &with_record(&text, record, cipher), cipher);
    }
}

/// The file with this layout record, beside its MAC.
fn with_record(text: &str, record: &str, cipher: &Cipher) -> String {
    let mut token = String::new();
    if record.is_empty() || cipher.encrypt(record.as_bytes(), Type::Str, LAYOUT_DATA, &[7; IV_LENGTH], &mut token).is_err() {
        return text.to_owned();
    }
    let json = text.replace("\"mac\": ", &format!("\"kveil_layout\": \"{token}\",\n\"mac\": "));
    json.replace("\n    mac: ", &format!("\n    kveil_layout: {token}\n    mac: "))
}

fn open(format: &dyn Format, text: &str, cipher: &Cipher) {
    let shorter = format.without_repeats(text);
    for text in [shorter.as_deref(), Some(text)].into_iter().flatten() {
        let Ok(document) = format.parse(text) else { continue };
        let Ok(metadata) = metadata_of(&document) else { continue };
        for ignore_mac in [false, true] {
            if let Err(error) = decrypt(&document, &metadata, cipher, ignore_mac) {
                drop(error.to_string());
            }
        }
    }
}
