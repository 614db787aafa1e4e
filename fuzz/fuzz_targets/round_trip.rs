//! What encrypt accepts comes back byte for byte, and nothing of it is refused by the check of the output.
#![no_main]

use kveil::document::FORMATS;
use kveil::metadata::SelectorKind;
use kveil::pipeline::{self, Plan};
use kveil::recipient::{Environment, Identities, RecipientSpec};
use kveil::select::Selection;
use libfuzzer_sys::fuzz_target;

const RECIPIENT: &str = "age1av6p2hqexw2pns6mrpvn75e4a6rcfc8qqu4zt6eatgrz94744d2qxdhljc";
const IDENTITY: &str = "AGE-SECRET-KEY-1F9GUPEV246P3K8YDDYMMXMXZQGWNT7KA2NFNVP2LCWZ0GFAH2YUS725UTY";

/// The first byte chooses the rule; the rest is the file.
fn selection(choice: u8) -> Selection {
    let (kind, text) = match choice % 4 {
        0 => (SelectorKind::EncryptedRegex, "^(data|stringData)$"),
        1 => (SelectorKind::EncryptedSuffix, "_s"),
        2 => (SelectorKind::UnencryptedRegex, "^[a-d]$"),
        _ => (SelectorKind::UnencryptedSuffix, "_unencrypted"),
    };
    Selection::new(kind, text).expect("a pattern")
}

fuzz_target!(|input: (u8, &str)| {
    let (choice, text) = input;
    for format in FORMATS {
        if format.refuse_plain(text).is_err() {
            continue;
        }
        let Ok(document) = format.parse(text) else { continue };
        let plan = Plan {
            groups: vec![vec![RecipientSpec { kind: "age", text: RECIPIENT.to_owned(), extra: Vec::new() }]],
            threshold: None,
            selection: selection(choice),
            mac_only_encrypted: choice & 64 != 0,
            indent: None,
            layout: true,
            lenient: choice & 128 != 0,
            now: "2026-01-01T00:00:00Z".to_owned(),
        };
        let identities = Identities::new(Environment::fixed([("SOPS_AGE_KEY", IDENTITY)])).without_commands();
        let sealed = match pipeline::encrypt(&document, &plan, &identities) {
            Ok(sealed) => sealed,
            Err(error) => {
                // A refusal is safe, if unwelcome: only a hunt for such inputs stops at one.
                let hunting = std::env::var_os("KVEIL_FUZZ_STRICT").is_some();
                assert!(!hunting || !error.message.contains("refused to write"), "refused its own output: {error}");
                continue;
            }
        };
        let opened = pipeline::decrypt_text(&sealed.text, *format, &identities, &[], false).expect("opens what it wrote");
        assert_eq!(opened.text.as_str(), text, "other bytes came back");
    }
});
