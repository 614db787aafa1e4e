//! Flags as Go's `flag` package spells them: one dash or two, a value behind `=` or in the next argument, and truth values.

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
}
