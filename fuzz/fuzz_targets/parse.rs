//! Any text, read as every format: an error or a document, never a panic; and spans lie inside the text, on characters.
#![no_main]

use kveil::document::{FORMATS, Format};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for format in FORMATS {
        read(*format, text);
    }
});

fn read(format: &dyn Format, text: &str) {
    let Ok(document) = format.parse(text) else { return };
    let _ = format.refuse_plain(text);
    for part in &document.parts {
        if part.root != kveil::document::NONE {
            let _ = document.text(part.root);
            let _ = kveil::document::value::Value::of(&document, part.root);
        }
    }
    let _ = format.without_repeats(text);
    let _ = format.second_reading(text, &mut |_| {});
}
