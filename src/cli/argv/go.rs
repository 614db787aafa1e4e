//! Flags as Go's `flag` package spells them: one dash or two, a value behind `=` or in the next argument, truth values and
//! whole numbers.

use std::ffi::{OsStr, OsString};

/// One argument.
#[derive(Debug, PartialEq, Eq)]
pub enum Token {
    /// `-name`, `--name`, `-name=value`.
    Flag(String, Option<OsString>),
    /// `--`: operands follow.
    End,
    /// Anything else; `-` alone too.
    Operand,
}

/// What an argument is.
pub fn token(arg: &OsStr) -> Token {
    let text = arg.to_string_lossy();
    let Some(name) = text.strip_prefix("--").or_else(|| text.strip_prefix('-')) else { return Token::Operand };
    match name.split_once('=') {
        _ if text == "--" => Token::End,
        _ if text == "-" => Token::Operand,
        Some((name, value)) => Token::Flag(name.to_owned(), Some(value.into())),
        None => Token::Flag(name.to_owned(), None),
    }
}

/// The truth values that Go reads.
pub fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// A text that is no number, or none that the flag can hold.
#[derive(Debug, PartialEq, Eq)]
pub struct NotWhole;

impl std::error::Error for NotWhole {}

impl std::fmt::Display for NotWhole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("expected a whole number")
    }
}

/// A whole number as Go reads it: with a sign, in the base that its prefix says (`0x`, `0o` or `0`, `0b`), `_` between digits.
///
/// # Errors
/// [`NotWhole`].
pub fn whole<N: TryFrom<i64>>(text: &str) -> Result<N, NotWhole> {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("+", text.strip_prefix('+').unwrap_or(text)),
    };
    let (base, digits) = based(rest);
    // One may stand behind a prefix, too.
    let separated = if base == 10 { digits } else { digits.strip_prefix('_').unwrap_or(digits) };
    if separated.split('_').any(str::is_empty) {
        return Err(NotWhole);
    }
    let number = i64::from_str_radix(&format!("{sign}{}", separated.replace('_', "")), base).map_err(|_| NotWhole)?;
    N::try_from(number).map_err(|_| NotWhole)
}

/// The base of a number without its sign, and its digits.
fn based(text: &str) -> (u32, &str) {
    let bases = [("0x", 16), ("0X", 16), ("0o", 8), ("0O", 8), ("0b", 2), ("0B", 2)];
    let prefixed = bases.iter().find_map(|(prefix, base)| Some((*base, text.strip_prefix(prefix)?)));
    let octal = || Some((8, text.strip_prefix('0').filter(|digits| !digits.is_empty())?));
    prefixed.or_else(octal).unwrap_or((10, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_dash_is_two_dashes() {
        let flag = |text: &str| token(OsStr::new(text));
        assert_eq!(flag("-in-place"), flag("--in-place"));
        assert_eq!(flag("-a=x=y"), Token::Flag("a".to_owned(), Some("x=y".into())));
        assert_eq!((flag("-"), flag("--"), flag("x-y")), (Token::Operand, Token::End, Token::Operand));
    }

    /// Tried with genuine sops 3.13.3 and `--indent`.
    #[test]
    fn a_number_may_have_a_base() {
        let read = [("3", 3), ("+3", 3), ("-1", -1), ("0x3", 3), ("0X1f", 31), ("0b11", 3), ("0o7", 7), ("010", 8), ("0", 0), ("-0x1", -1)];
        let apart = [("1_0", 10), ("0x_3", 3), ("0_7", 7), ("9223372036854775807", i64::MAX), ("-9223372036854775808", i64::MIN)];
        for (text, number) in read.into_iter().chain(apart) {
            assert_eq!(whole(text), Ok(number), "{text}");
        }
        let none =
            ["", "-", "+", "_3", "3_", "1__0", "0x", "0x__3", "0x-3", "--3", "08", "0b2", " 3", "3.0", "3e0", "9223372036854775808", "x"];
        for text in none {
            assert_eq!(whole::<i64>(text), Err(NotWhole), "{text}");
        }
        assert_eq!((whole::<usize>("0x2"), whole::<usize>("-1")), (Ok(2), Err(NotWhole)));
    }
}
