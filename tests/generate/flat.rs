//! Dotenv and INI files of odd spacing, quotes and comments, and files of any bytes.

use proptest::prelude::*;

fn word() -> impl Strategy<Value = String> {
    "[a-z]{5,9}"
}

fn any_of(parts: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    proptest::sample::select(parts)
}

fn joined(lines: Vec<String>, open: bool, crlf: bool) -> Vec<u8> {
    let mut text = lines.concat();
    if open && text.ends_with('\n') {
        text.pop();
    }
    if crlf { text.replace('\n', "\r\n") } else { text }.into_bytes()
}

/// A dotenv file.
pub fn dotenv() -> impl Strategy<Value = Vec<u8>> {
    let key = any_of(&["A", "B", "export C", " D", "", "E_unencrypted", "sops", "ü.x"]);
    let value =
        (any_of(&["", "\"", "'", " ", "\\n", "=", "\t", "\\", "ENC["]), word(), any_of(&["", "\"", "'", " # c", "\\n", "\r", "\0"]));
    let entry = (key, prop_oneof![Just(String::new()), value.prop_map(|(a, b, c)| format!("{a}{b}{c}"))]);
    let line = prop_oneof![
        5 => entry.prop_map(|(key, value)| format!("{key}={value}\n")),
        1 => (any_of(&["#", "# ", "##"]), word()).prop_map(|(mark, text)| format!("{mark}{text}\n")),
        1 => Just("\n".to_owned()),
    ];
    (proptest::collection::vec(line, 0..8), any::<bool>()).prop_map(|(lines, open)| joined(lines, open, false))
}

/// An INI file.
pub fn ini() -> impl Strategy<Value = Vec<u8>> {
    let space = || any_of(&["", "", " ", "  ", "\t"]);
    let value = (
        any_of(&["", "", "\"", "'", "`", "\"\"\""]),
        word(),
        any_of(&["", "", ";x", "\\\n  ", " ", "\n", "\\", "=", "`"]),
        word(),
        any::<bool>(),
    );
    let value = value.prop_map(|(mark, left, middle, right, closed)| match (mark, middle) {
        ("`" | "\"\"\"", _) => format!("{mark}{left}{middle}{right}{mark}"),
        (_, "\n" | "`") => format!("{mark}{left}{right}{mark}"),
        _ => format!("{mark}{left}{middle}{right}{}", if closed { mark } else { "" }),
    });
    let key = any_of(&["a", "b", "key name", "`c:d`", "\"e=f\"", "g_unencrypted", "-", "ü"]);
    let comment = || {
        (any_of(&["", "", " ; ", "#", " ;; "]), word())
            .prop_map(|(mark, text)| if mark.is_empty() { String::new() } else { format!("{mark}{text}") })
    };
    let entry = (space(), key, space(), any_of(&["=", "=", ":"]), space(), prop_oneof![5 => value, 1 => Just(String::new())], comment());
    let line = prop_oneof![
        6 => entry.prop_map(|(a, key, b, mark, c, value, comment)| format!("{a}{key}{b}{mark}{c}{value}{comment}\n")),
        2 => (space(), any_of(&["s", "t", "DEFAULT", "s.t"]), comment()).prop_map(|(a, name, comment)| format!("{a}[{name}]{comment}\n")),
        2 => (space(), any_of(&[";", "# ", ";;"]), word()).prop_map(|(a, mark, text)| format!("{a}{mark}{text}\n")),
        1 => Just("\n".to_owned()),
    ];
    (any_of(&["", "", "\u{feff}"]), proptest::collection::vec(line, 0..10), any::<bool>(), any::<bool>()).prop_map(
        |(mark, lines, open, crlf)| {
            let mut lines = lines;
            lines.insert(0, mark.to_owned());
            joined(lines, open, crlf)
        },
    )
}

/// Any bytes.
pub fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..60),
        "\\PC{0,20}\n?".prop_map(String::into_bytes),
        Just("\u{10FFFE}x".as_bytes().to_vec())
    ]
}
