//! What encrypt accepts comes back byte for byte, and nothing of it is refused by the check of the output.
#![no_main]

use kveil::document::{Document, FORMATS};
use kveil::pipeline::metadata_of;
use kveil::seal::decrypt::decrypt;
use kveil::seal::value::Cipher;
use kveil::seal::verify;
use kveil::select::Selection;
use kveil_fuzz::{KEY, seal, selections};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for format in FORMATS {
        if format.refuse_plain(text).is_err() {
            continue;
        }
        let Ok(document) = format.parse_plain(text) else { continue };
        // Rules are nothing to a binary file: all of it is one value.
        let all = format.name() == "binary";
        for (at, selection) in
            selections().iter().enumerate().filter(|(_, selection)| !all || selection.encrypts(selection.matches_key("data")))
        {
            there_and_back(&document, selection, (at + text.len()) % 2 == 1);
        }
    }
});

fn there_and_back(document: &Document<'_>, selection: &Selection, odd: bool) {
    let cipher = Cipher::new(&KEY);
    let Ok(sealed) = seal(document, selection, &cipher, odd) else { return };
    if let Err(error) = verify::check(document, &sealed.text, &cipher, true, None, || ()) {
        // A refusal is safe, if unwelcome: only a hunt for such inputs stops at one.
        let hunting = std::env::var_os("KVEIL_FUZZ_STRICT").is_some();
        let (kind, pattern) = selection.parts();
        assert!(!hunting, "{} under {} {pattern}: {error}\n{}", document.format.name(), kind.name(), sealed.text.as_str());
        return;
    }
    let encrypted = document.format.parse(&sealed.text).expect("reads what it wrote");
    let metadata = metadata_of(&encrypted).expect("finds its block");
    let opened = decrypt(&encrypted, &metadata, &cipher, false).expect("opens what it wrote");
    assert_eq!(opened.text.as_str(), document.source, "other bytes came back");
}
