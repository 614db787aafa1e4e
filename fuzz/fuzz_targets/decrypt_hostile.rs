//! Encrypted files of anybody's making, opened with a real identity: an error or plain text, never a panic.
//!
//! A file that doesn't bring a `sops` block gets one that opens, so that what follows the data key is reached, too.
#![no_main]

use kveil::document::{FORMATS, format_by_name};
use kveil::pipeline;
use kveil::recipient::{Environment, Identities};
use libfuzzer_sys::fuzz_target;

const IDENTITY: &str = "AGE-SECRET-KEY-1F9GUPEV246P3K8YDDYMMXMXZQGWNT7KA2NFNVP2LCWZ0GFAH2YUS725UTY";
/// An encrypted file of genuine sops, opened by [`IDENTITY`].
const GENUINE: &str = include_str!("../../testdata/sops/3.13.3/fail_tampered_value/untampered.yaml");

fuzz_target!(|text: &str| {
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
