//! Value → YAML text. A rendering is only used if SOPS's YAML library, the YAML 1.1 readers around Kubernetes and
//! YAML 1.2 readers all get the same typed value back from it; where a style cannot promise that, the next one is
//! taken (plain → single → double). Double quotes can hold every text.

use std::fmt::Write;

use super::resolve::{Scalar, Type, resolve, yaml_text};

/// How a scalar is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Style {
    /// No quotes.
    Plain,
    /// Single quotes.
    Single,
    /// Double quotes.
    Double,
    /// A block after `|`.
    Literal,
    /// A block after `>`.
    Folded,
}

/// What a block scalar does with the line breaks at its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Chomp {
    /// `-`: none is part of the value.
    Strip,
    /// Without an indicator: one is.
    Clip,
    /// `+`: all are.
    Keep,
}

/// Appends `value` on one line in the wanted style, or in the next one that can hold it. Non-string scalars are always
/// plain; a string that is not UTF-8 becomes `!!binary`. `Literal` and `Folded` have no one-line form and count as
/// `Plain`.
pub fn quoted(style: Style, value: &Scalar, flow: bool, out: &mut String) {
    if !matches!(value.kind, Type::Str | Type::Comment) {
        out.push_str(&yaml_text(value));
        return;
    }
    let Some(text) = value.as_text() else {
        binary(&value.bytes, out);
        return;
    };
    let plain = !matches!(style, Style::Single | Style::Double) && plain_safe(text, flow);
    if plain && reads_as_string(text) {
        out.push_str(text);
    } else if plain || text.is_empty() && style != Style::Single || style == Style::Double || !single_safe(text) {
        // Text that only its type keeps from being plain gets double quotes, as SOPS writes it; so does none at all.
        double_quoted(text, out);
    } else {
        single_quoted(text, out);
    }
}

/// Whether `text` may stand as a plain scalar on one line, as far as syntax goes; its type is another question.
pub fn plain_safe(text: &str, flow: bool) -> bool {
    let bytes = text.as_bytes();
    let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    if first.is_ascii_alphanumeric() && bytes.chunks(32).all(|chunk| chunk.iter().fold(true, |all, byte| all & is_word(*byte))) {
        return true;
    }
    let ends = |at: usize| bytes[..at].ends_with(b":") || bytes[at + 1..].starts_with(b"#");
    let refused = matches!(last, b' ' | b':')
        || memchr::memchr_iter(b' ', bytes).any(ends)
        || text.starts_with("---")
        || text.starts_with("...")
        // A last word `-` before a comma or bracket is an error to some readers.
        || flow && text.ends_with(" -");
    !refused
        && may_start_plain(first, bytes.get(1).copied(), flow)
        && text.chars().all(|c| is_printable(c) && c != '\t' && !(flow && ends_plain_in_flow(c)))
}

/// Characters without a meaning in YAML anywhere but at the start of a scalar: base64, names, paths (in few comparisons,
/// which are made for many bytes at once).
fn is_word(byte: u8) -> bool {
    let letter = (byte | 0x20).wrapping_sub(b'a') < 26;
    // `-`, `.`, `/` and the digits stand in a row.
    let digit = byte.wrapping_sub(b'-') <= b'9' - b'-';
    let sign = (byte == b'+') | (byte == b'=') | (byte == b'_') | (byte == b'@') | (byte == b'$') | (byte == b'%');
    letter | digit | sign
}

/// An indicator cannot start a plain scalar, except `-`, `?` and `:` before a non-space; in a flow collection SOPS's
/// YAML library takes `?` and `:` for indicators whatever follows.
fn may_start_plain(first: u8, second: Option<u8>, flow: bool) -> bool {
    match first {
        b'-' | b'?' | b':' if flow && first != b'-' => false,
        b'-' | b'?' | b':' => second.is_some_and(|b| b != b' '),
        b' ' | b',' | b'[' | b']' | b'{' | b'}' | b'#' | b'&' | b'*' | b'!' | b'|' | b'>' | b'\'' | b'"' | b'%' | b'@' | b'`' => false,
        _ => true,
    }
}

/// `?` is on the list because SOPS's YAML library ends a plain scalar there inside flow collections.
fn ends_plain_in_flow(c: char) -> bool {
    matches!(c, ',' | '[' | ']' | '{' | '}' | '?')
}

/// Whether `text` fits single quotes on one line: nothing in it needs an escape.
pub fn single_safe(text: &str) -> bool {
    text.chars().all(is_printable)
}

/// Characters every YAML reader takes unescaped, except line feed: no control characters, no byte order mark, none of
/// the line breaks of YAML 1.1 (NEL, LS, PS).
fn is_printable(c: char) -> bool {
    match c {
        '\t' | ' '..='~' => true,
        '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => false,
        _ => c >= '\u{a0}',
    }
}

/// Whether a plain `text` is a string to SOPS, to YAML 1.1 readers (`yes`, `1:30`, `<<`, …) and to YAML 1.2 readers.
fn reads_as_string(text: &str) -> bool {
    let Some(&first) = text.as_bytes().first() else {
        return false;
    };
    match first {
        b'0'..=b'9' | b'+' | b'-' | b'.' => is_str(text) && (!looks_numeric(text) || beyond_floats(text)),
        b'=' => text != "=",
        b'<' => text != "<<",
        b'~' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'y' | b'Y' | b'o' | b'O' => !is_reserved_word(text) && is_str(text),
        _ => true,
    }
}

fn is_str(text: &str) -> bool {
    matches!(resolve(text, true, None), Ok(Scalar { kind: Type::Str, .. }))
}

/// Booleans and null of YAML 1.1 and 1.2, in any case: readers differ in the spellings they accept.
fn is_reserved_word(text: &str) -> bool {
    const WORDS: [&str; 10] = ["~", "null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    text.len() <= 5 && WORDS.iter().any(|word| word.eq_ignore_ascii_case(text))
}

/// The number shapes of any reader, in range or not: bases, underscores, exponents, sexagesimals, infinities.
fn looks_numeric(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    match unsigned.as_bytes() {
        [b'0', b'x' | b'X', rest @ ..] => rest.iter().all(|b| b.is_ascii_hexdigit() || b"_.pP+-".contains(b)),
        [b'0', b'o' | b'O', rest @ ..] => rest.iter().all(|b| matches!(b, b'0'..=b'7' | b'_')),
        [b'0', b'b' | b'B', rest @ ..] => rest.iter().all(|b| matches!(b, b'0' | b'1' | b'_')),
        _ if unsigned.eq_ignore_ascii_case(".inf") || unsigned.eq_ignore_ascii_case(".nan") => true,
        _ => looks_decimal(unsigned),
    }
}

/// `1e400`: too large for a float, so SOPS and kubectl take it as text.
fn beyond_floats(text: &str) -> bool {
    text.contains(['e', 'E']) && text.parse::<f64>().is_ok_and(f64::is_infinite)
}

/// Digits, underscores and colons (base 60) with at most one dot, and optionally an exponent.
fn looks_decimal(unsigned: &str) -> bool {
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let digits = |text: &str, others: &[u8]| {
        text.bytes().any(|b| b.is_ascii_digit()) && text.bytes().all(|b| b.is_ascii_digit() || others.contains(&b))
    };
    digits(mantissa, b"_:.") && digits(exponent, b"_") && mantissa.matches('.').count() <= 1
}

fn single_quoted(text: &str, out: &mut String) {
    out.push('\'');
    for (index, part) in text.split('\'').enumerate() {
        out.push_str(if index > 0 { "''" } else { "" });
        out.push_str(part);
    }
    out.push('\'');
}

fn double_quoted(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match short_escape(c) {
            Some(escape) => {
                out.push('\\');
                out.push(escape);
            }
            None if is_printable(c) => out.push(c),
            None => long_escape(c, out),
        }
    }
    out.push('"');
}

/// The one-letter escapes; `\/` is missing because SOPS's YAML library refuses it.
fn short_escape(c: char) -> Option<char> {
    Some(match c {
        '"' | '\\' => c,
        '\0' => '0',
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{b}' => 'v',
        '\u{c}' => 'f',
        '\r' => 'r',
        '\u{1b}' => 'e',
        '\u{85}' => 'N',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        _ => return None,
    })
}

fn long_escape(c: char, out: &mut String) {
    let code = u32::from(c);
    // Writing to a String cannot fail.
    let _ = if code <= 0xff { write!(out, "\\x{code:02X}") } else { write!(out, "\\u{code:04X}") };
}

/// The only YAML form of bytes that are not text.
fn binary(bytes: &[u8], out: &mut String) {
    out.push_str("!!binary ");
    out.push_str(&base64_simd::STANDARD.encode_to_string(bytes));
}

/// Appends the lines of a block scalar whose header the caller has written, line break included. Every line ends with
/// `newline`, the last one too unless `at_eof_without_newline`. Returns `false`, with `out` unchanged, if a scalar with
/// such a header cannot be certain to hold `value`: `explicit_indent` says whether the header names the indentation,
/// `indent` is the column of the content.
#[allow(clippy::too_many_arguments)] // the header's properties, each of them independent
pub fn block_body(
    folded: bool,
    chomp: Chomp,
    explicit_indent: bool,
    indent: usize,
    value: &str,
    newline: &str,
    at_eof_without_newline: bool,
    out: &mut impl Sink,
) -> bool {
    let (text, breaks) = split_trailing_breaks(value);
    let Some(blank_lines) = trailing_blank_lines(chomp, breaks, at_eof_without_newline) else {
        return false;
    };
    let fits_style = if folded { can_fold(text) } else { first_line_fits(text, explicit_indent) };
    if text.is_empty() || indent == 0 || !fits_style || !block_printable(text) {
        return false;
    }
    body_lines(folded, indent, text, newline, out);
    for _ in 0..blank_lines {
        out.put(newline);
    }
    out.put(if at_eof_without_newline { "" } else { newline });
    true
}

fn split_trailing_breaks(value: &str) -> (&str, usize) {
    let text = value.trim_end_matches('\n');
    (text, value.len() - text.len())
}

/// Blank lines to write after the last line so that the chomping leaves exactly `breaks` line breaks. A missing final
/// line break is missing from the value as well.
fn trailing_blank_lines(chomp: Chomp, breaks: usize, at_eof: bool) -> Option<usize> {
    match (chomp, at_eof) {
        (Chomp::Strip, _) | (Chomp::Clip | Chomp::Keep, true) => (breaks == 0).then_some(0),
        (Chomp::Clip, false) => (breaks == 1).then_some(0),
        (Chomp::Keep, false) => breaks.checked_sub(1),
    }
}

/// Without an indicator the first line that is not empty sets the indentation, so it must not start with white space.
/// SOPS's YAML library refuses a tab there.
fn first_line_fits(text: &str, explicit_indent: bool) -> bool {
    explicit_indent || !text.trim_start_matches('\n').starts_with([' ', '\t'])
}

/// Lines that start with white space are exempt from folding by rules that readers do not share; they are left alone.
fn can_fold(text: &str) -> bool {
    text.split('\n').all(|line| !line.starts_with([' ', '\t']) && !line.ends_with([' ', '\t']))
}

fn block_printable(text: &str) -> bool {
    let plain = |byte: &u8| matches!(byte, b'\n' | b'\t' | b' '..=b'~');
    // Whole chunks at a time: the compiler makes vector code of it.
    let ascii = text.as_bytes().chunks(64).all(|chunk| chunk.iter().fold(true, |all, byte| all & plain(byte)));
    ascii || text.chars().all(|c| c == '\n' || is_printable(c))
}

/// Between two lines of a folded scalar one line break reads as a space, so a line break takes an empty line.
fn body_lines(folded: bool, indent: usize, text: &str, newline: &str, out: &mut impl Sink) {
    let indentation = " ".repeat(indent);
    let (mut start, mut after_content) = (0, false);
    for end in memchr::memchr_iter(b'\n', text.as_bytes()).chain([text.len()]) {
        let line = &text[start..end];
        out.put(if start > 0 { newline } else { "" });
        start = end + 1;
        if line.is_empty() {
            continue;
        }
        out.put(if folded && after_content { newline } else { "" });
        out.put(&indentation);
        out.put(line);
        after_content = true;
    }
}

/// Where the lines of a block go.
pub trait Sink {
    /// Adds `text`.
    fn put(&mut self, text: &str);
}

impl Sink for String {
    fn put(&mut self, text: &str) {
        self.push_str(text);
    }
}

/// Compares lines with those that stand somewhere, instead of writing them.
pub struct Comparison<'t> {
    rest: &'t str,
    /// The line break behind `rest`.
    last: &'t str,
    same: bool,
}

impl<'t> Comparison<'t> {
    /// With the lines of `text`, the last of which lacks its line break `last`.
    pub fn new(text: &'t str, last: &'t str) -> Comparison<'t> {
        Comparison { rest: text, last, same: true }
    }

    /// Whether all was the same.
    pub fn is_same(&self) -> bool {
        self.same && self.rest.is_empty() && self.last.is_empty()
    }
}

impl Sink for Comparison<'_> {
    fn put(&mut self, text: &str) {
        match self.rest.strip_prefix(text) {
            Some(rest) => self.rest = rest,
            None if self.rest.is_empty() && self.last == text => self.last = "",
            None => self.same = false,
        }
    }
}

/// Appends `value` in the form used where no original style is known: text of several lines as a literal block scalar,
/// everything else on one line. A block ends without a line break; the one that ends the line in the file completes
/// it. If anything else follows on the line (a comment, or the end of a file without a line break), pass `flow`.
/// `parent_indent` is the column of the collection that holds the value, `step` the indentation inside it.
pub fn canonical(value: &Scalar, parent_indent: usize, step: usize, flow: bool, newline: &str, out: &mut String) {
    let text = value.as_text().filter(|text| value.kind == Type::Str && text.contains('\n'));
    let Some(text) = text else {
        return quoted(Style::Plain, value, flow, out);
    };
    if flow || !literal(text, parent_indent, step, newline, out) {
        double_quoted(text, out);
    }
}

fn literal(text: &str, parent_indent: usize, step: usize, newline: &str, out: &mut String) -> bool {
    let (chomp, sign) = match split_trailing_breaks(text).1 {
        0 => (Chomp::Strip, "-"),
        1 => (Chomp::Clip, ""),
        _ => (Chomp::Keep, "+"),
    };
    let explicit = text.starts_with([' ', '\n']);
    let digit = u32::try_from(step).ok().and_then(|step| char::from_digit(step, 10)).filter(|c| *c != '0');
    // A leading tab is read back by SOPS, but lost when SOPS writes the value as a block again.
    let (Some(digit), false) = (digit, text.trim_start_matches([' ', '\n']).starts_with('\t')) else {
        return false;
    };
    let start = out.len();
    out.push('|');
    out.extend(explicit.then_some(digit));
    out.push_str(sign);
    out.push_str(newline);
    let written = block_body(false, chomp, explicit, parent_indent + step, text, newline, false, out);
    // On success the last line break is left to the file; on failure nothing is left.
    out.truncate(if written { out.len() - newline.len() } else { start });
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use granit_parser::{Event, Parser};
    use proptest::prelude::*;
    use yaml_rust2::parser as other;

    struct Scalars(Vec<String>);

    impl other::EventReceiver for Scalars {
        fn on_event(&mut self, event: other::Event) {
            if let other::Event::Scalar(text, ..) = event {
                self.0.push(text);
            }
        }
    }

    /// All scalars of a document as two independent parsers read them.
    fn scalars(source: &str) -> [Result<Vec<String>, String>; 2] {
        let first = Parser::new_from_str(source)
            .filter_map(|event| match event {
                Ok((Event::Scalar(text, ..), _)) => Some(Ok(text.to_string())),
                Ok(_) => None,
                Err(error) => Some(Err(format!("{error:?}"))),
            })
            .collect();
        let mut second = Scalars(Vec::new());
        let loaded = other::Parser::new_from_str(source).load(&mut second, true);
        [first, loaded.map(|()| second.0).map_err(|error| error.to_string())]
    }

    fn reads_back(source: &str, value: &str) -> Result<(), TestCaseError> {
        for found in scalars(source) {
            let same = found.as_ref().is_ok_and(|all| all.iter().any(|text| text == value) && all.last().is_some_and(|text| text == "end"));
            prop_assert!(same, "{source:?} reads as {found:?}");
        }
        Ok(())
    }

    fn rendered(style: Style, text: &str, flow: bool) -> String {
        let mut out = String::new();
        quoted(style, &Scalar::text(text), flow, &mut out);
        out
    }

    fn in_canonical_form(text: &str, flow: bool) -> String {
        let mut out = String::new();
        canonical(&Scalar::text(text), 2, 2, flow, "\n", &mut out);
        out
    }

    fn body(folded: bool, chomp: Chomp, explicit: bool, value: &str) -> Option<String> {
        let mut out = String::new();
        block_body(folded, chomp, explicit, 2, value, "\n", false, &mut out).then_some(out)
    }

    #[test]
    fn words_have_no_sign_with_a_meaning() {
        let words = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=_.-@$%";
        assert!((0..=255).all(|byte| is_word(byte) == words.contains(&byte)));
    }

    #[test]
    fn ordinary_strings_stay_plain() {
        let texts = [
            "hello world",
            "aGVsbG8=",
            "10.0.0.1",
            "4f3c2a10",
            "a:b",
            "a#b",
            "-a",
            "?a",
            ":a",
            "c:\\dir",
            "user@host",
            "x{{ y }}",
            "🔑",
            "2020-01",
            "1.2.3",
            "v1",
            "http://h/p?q=1",
            "none",
            "nay",
            "0b3f9c",
            "a=b",
        ];
        for text in texts {
            assert_eq!(rendered(Style::Plain, text, false), text);
        }
    }

    #[test]
    fn strings_some_reader_takes_for_another_type_are_quoted() {
        let texts = [
            "",
            "~",
            "null",
            "nULL",
            "yes",
            "No",
            "on",
            "OFF",
            "y",
            "N",
            "tRue",
            "12",
            "+1",
            "0777",
            "0o17",
            "0x1F",
            "0b1",
            "1_000",
            "1e5",
            ".5",
            ".inf",
            "-.INF",
            ".nan",
            "1:30",
            "190:20:30",
            "2020-01-01",
            "=",
            "<<",
            "18446744073709551615",
            "0x1p-2",
            "08",
        ];
        for text in texts {
            // SOPS writes double quotes where only the type of a text keeps it from being plain, and where there is none.
            let expected = if plain_safe(text, false) || text.is_empty() { format!("\"{text}\"") } else { format!("'{text}'") };
            assert_eq!(rendered(Style::Plain, text, false), expected);
        }
    }

    #[test]
    fn syntax_decides_the_quotes() {
        let cases = [
            ("a: b", "'a: b'"),
            ("a #b", "'a #b'"),
            (" a", "' a'"),
            ("it's: so", "'it''s: so'"),
            ("*x", "'*x'"),
            ("---", "'---'"),
            ("a\tb", "'a\tb'"),
            ("a\nb", "\"a\\nb\""),
            ("\0\u{1}\u{7f}\u{85}\u{2028}\u{feff}", "\"\\0\\x01\\x7F\\N\\L\\uFEFF\""),
            ("\"\\/\r", "\"\\\"\\\\/\\r\""),
        ];
        for (text, wanted) in cases {
            assert_eq!(rendered(Style::Plain, text, false), wanted);
        }
        assert_eq!(rendered(Style::Plain, "a,b", true), "'a,b'");
        assert_eq!(rendered(Style::Plain, "a?b", true), "'a?b'");
        assert_eq!(rendered(Style::Double, "a", false), "\"a\"");
        assert_eq!(rendered(Style::Single, "a", false), "'a'");
    }

    #[test]
    fn other_types_are_plain_and_bytes_are_tagged() {
        let mut out = String::new();
        quoted(Style::Double, &Scalar { kind: Type::Bool, bytes: b"True".into() }, false, &mut out);
        out.push(' ');
        quoted(Style::Single, &Scalar { kind: Type::Float, bytes: b"1000000.5".into() }, true, &mut out);
        out.push(' ');
        quoted(Style::Plain, &Scalar { kind: Type::Str, bytes: b"\xff".into() }, false, &mut out);
        assert_eq!(out, "true 1.0000005e+06 !!binary /w==");
    }

    #[test]
    fn block_bodies_match_their_header() {
        let literal = |chomp, value| body(false, chomp, false, value);
        assert_eq!(literal(Chomp::Clip, "a\n b\n").as_deref(), Some("  a\n   b\n"));
        assert_eq!(literal(Chomp::Strip, "a\n\nb").as_deref(), Some("  a\n\n  b\n"));
        assert_eq!(literal(Chomp::Keep, "a\n\n").as_deref(), Some("  a\n\n"));
        assert_eq!(body(false, Chomp::Clip, true, " a\n").as_deref(), Some("   a\n"));
        assert_eq!(body(true, Chomp::Strip, false, "a\n\nb c").as_deref(), Some("  a\n\n\n  b c\n"));
        let refused = [(Chomp::Clip, "a"), (Chomp::Clip, "a\n\n"), (Chomp::Strip, "a\n"), (Chomp::Keep, "a")];
        for (chomp, value) in refused {
            assert_eq!(literal(chomp, value), None);
        }
        for value in ["", "\n", " a\n", "\ta\n", "\n a\n", "a\rb\n", "a\u{85}b\n", "\u{feff}\n"] {
            assert_eq!(literal(Chomp::Clip, value), None);
        }
        assert_eq!(body(true, Chomp::Strip, false, "a\n b"), None);
    }

    #[test]
    fn a_block_that_ends_the_file_without_a_line_break_has_none_in_its_value() {
        let mut out = String::new();
        assert!(block_body(false, Chomp::Clip, false, 2, "a\nb", "\r\n", true, &mut out));
        assert_eq!(out, "  a\r\n  b");
        assert!(!block_body(false, Chomp::Clip, false, 2, "a\n", "\n", true, &mut out));
        assert_eq!(out, "  a\r\n  b");
    }

    #[test]
    fn canonical_forms() {
        let cases = [
            ("a\nb", "|-\n    a\n    b"),
            ("a\n", "|\n    a"),
            ("a\n\n", "|+\n    a\n"),
            (" a\nb", "|2-\n     a\n    b"),
            ("\na\n", "|2\n\n    a"),
            ("\ta\n", "\"\\ta\\n\""),
            ("\n", "\"\\n\""),
            ("a\r\n", "\"a\\r\\n\""),
            ("true", "\"true\""),
        ];
        for (text, wanted) in cases {
            assert_eq!(in_canonical_form(text, false), wanted);
        }
        assert_eq!(in_canonical_form("a\nb", true), "\"a\\nb\"");
    }

    fn nasty_text() -> impl Strategy<Value = String> {
        const PARTS: [&str; 48] = [
            " ",
            "  ",
            "\t",
            "#",
            " #",
            ":",
            ": ",
            "-",
            "- ",
            "?",
            "? ",
            "'",
            "\"",
            "\n",
            "\n\n",
            "\n ",
            "\\",
            "a",
            "b c",
            "é",
            "yes",
            "null",
            "~",
            "0",
            "12",
            "0x1f",
            "1e5",
            ".",
            "2020-01-01",
            "=",
            "<<",
            "🔑",
            "\u{85}",
            "\u{2028}",
            "\u{feff}",
            "\u{a0}",
            "\r\n",
            "\u{7f}",
            "\0",
            ",",
            "[",
            "}",
            "&a",
            "*",
            "!",
            "|",
            "%",
            "---",
        ];
        prop::collection::vec(prop::sample::select(&PARTS[..]), 0..7).prop_map(|parts| parts.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]

        #[test]
        fn one_line_forms_read_back(text in nasty_text()) {
            for style in [Style::Plain, Style::Single, Style::Double] {
                let (block, flow) = (rendered(style, &text, false), rendered(style, &text, true));
                reads_back(&format!("k: {block} # c\nz: end\n"), &text)?;
                reads_back(&format!("- {block}\n- end\n"), &text)?;
                reads_back(&format!("k: [{flow}, end]\n"), &text)?;
                reads_back(&format!("k: {{x: {flow}, z: end}}\n"), &text)?;
            }
        }

        #[test]
        fn canonical_forms_read_back(text in nasty_text()) {
            let form = in_canonical_form(&text, false);
            reads_back(&format!("m:\n  k: {form}\n  z: end\n"), &text)?;
            reads_back(&format!("m:\n  - {form}\n  - end\n"), &text)?;
        }

        #[test]
        fn block_bodies_read_back(text in nasty_text(), folded: bool, explicit: bool, which in 0usize..3) {
            let (chomp, sign) = [(Chomp::Strip, "-"), (Chomp::Clip, ""), (Chomp::Keep, "+")][which];
            let Some(lines) = body(folded, chomp, explicit, &text) else { return Ok(()) };
            let (style, digit) = (if folded { '>' } else { '|' }, if explicit { "2" } else { "" });
            reads_back(&format!("k: {style}{digit}{sign} # c\n{lines}z: end\n"), &text)?;
        }

        #[test]
        fn plain_means_the_same_string(text in "[-+0-9._:eExobTtZ ~a-fNny=<]{1,10}") {
            if rendered(Style::Plain, &text, false) == text {
                prop_assert!(matches!(resolve(&text, true, None), Ok(s) if s == Scalar::text(&text)));
            }
        }
    }
}
