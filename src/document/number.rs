//! Numbers as SOPS reads and writes them: the integer and float spellings YAML accepts, the float syntax accepted
//! inside an `ENC[…]` value, and the three output forms (canonical plaintext, YAML, JSON).

use std::borrow::Cow;

/// What a YAML scalar that starts with a digit, a sign or a dot stands for.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Number {
    /// Fits a signed 64-bit integer.
    Int(i64),
    /// An integer from 2^63 to 2^64−1, which SOPS cannot hold.
    Unsigned,
    /// A finite float.
    Float(f64),
}

/// Reads a YAML number that starts with a digit or a sign. Underscores are ignored wherever they stand; `0x`, `0o`,
/// `0b` and a leading `0` (octal) select the base; an integer too large for 64 bits becomes a float.
pub fn yaml_number(text: &str) -> Option<Number> {
    if !text.bytes().all(|byte| NUMERIC[byte as usize]) {
        return None;
    }
    let plain = without_underscores(text);
    let bytes = plain.as_bytes();
    if let Some(value) = signed(bytes, Base::FromPrefix) {
        return Some(Number::Int(value));
    }
    if unsigned(bytes, Base::FromPrefix).is_some() {
        return Some(Number::Unsigned);
    }
    yaml_float(&plain).map(Number::Float).or_else(|| sign_after_prefix(bytes).map(Number::Int))
}

/// Every byte a number may hold in any base; anything else ends the attempt before any real work.
const NUMERIC: [bool; 256] = {
    let mut table = [false; 256];
    let bytes = b"0123456789abcdefABCDEF_+-.xXoO";
    let mut at = 0;
    while at < bytes.len() {
        table[bytes[at] as usize] = true;
        at += 1;
    }
    table
};

fn without_underscores(text: &str) -> Cow<'_, str> {
    match text.contains('_') {
        true => Cow::Owned(text.replace('_', "")),
        false => Cow::Borrowed(text),
    }
}

/// The YAML float shape: sign, digits with at most one dot, optional exponent. A value out of range is no number.
fn yaml_float(plain: &str) -> Option<f64> {
    let unsigned = plain.strip_prefix(['+', '-']).unwrap_or(plain);
    let starts_right = match unsigned.as_bytes() {
        [b'.', next, ..] => next.is_ascii_digit(),
        [first, ..] => first.is_ascii_digit(),
        [] => false,
    };
    let decimal = |b: u8| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-');
    if !starts_right || !unsigned.bytes().all(decimal) {
        return None;
    }
    plain.parse().ok().filter(|value: &f64| value.is_finite())
}

/// `0b-101` and `0o+7`: a sign between the prefix and the digits is read as well (lower-case prefixes only).
fn sign_after_prefix(plain: &[u8]) -> Option<i64> {
    match plain {
        [b'0', b'b', rest @ ..] => signed(rest, Base::Two),
        [b'0', b'o', rest @ ..] => signed(rest, Base::Eight),
        _ => None,
    }
}

#[derive(Clone, Copy)]
enum Base {
    Two,
    Eight,
    Ten,
    FromPrefix,
}

/// An optionally signed integer within 64 bits.
fn signed(text: &[u8], base: Base) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let magnitude = unsigned(digits, base)?;
    match negative {
        true => 0i64.checked_sub_unsigned(magnitude),
        false => i64::try_from(magnitude).ok(),
    }
}

fn unsigned(text: &[u8], base: Base) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    let (radix, digits) = radix_of(text, base);
    digits.iter().try_fold(0u64, |sum, &byte| {
        let digit = char::from(byte).to_digit(radix)?;
        sum.checked_mul(u64::from(radix))?.checked_add(u64::from(digit))
    })
}

fn radix_of(text: &[u8], base: Base) -> (u32, &[u8]) {
    match (base, text) {
        (Base::Two, _) => (2, text),
        (Base::Eight, _) => (8, text),
        (Base::FromPrefix, [b'0', b'b' | b'B', rest @ ..]) if !rest.is_empty() => (2, rest),
        (Base::FromPrefix, [b'0', b'o' | b'O', rest @ ..]) if !rest.is_empty() => (8, rest),
        (Base::FromPrefix, [b'0', b'x' | b'X', rest @ ..]) if !rest.is_empty() => (16, rest),
        (Base::FromPrefix, [b'0', rest @ ..]) => (8, rest),
        _ => (10, text),
    }
}

/// A decimal integer within 64 bits, optional sign, nothing else.
pub fn decimal_int(text: &str) -> Option<i64> {
    signed(text.as_bytes(), Base::Ten)
}

/// A float in the syntax accepted inside an `ENC[…]` value: decimal or hexadecimal, underscores between digits,
/// `inf`, `infinity` and `nan` in any case (a sign only before the infinities). Out of range is refused.
pub fn float(text: &str) -> Option<f64> {
    if text.contains('_') && !underscores_separate_digits(text.as_bytes()) {
        return None;
    }
    let plain = without_underscores(text);
    let unsigned = plain.strip_prefix(['+', '-']).unwrap_or(&plain);
    if let [b'0', b'x' | b'X', rest @ ..] = unsigned.as_bytes() {
        return hex_float(rest).map(|value| if plain.starts_with('-') { -value } else { value });
    }
    let value: f64 = plain.parse().ok()?;
    let named = unsigned.starts_with(|c: char| c.is_ascii_alphabetic());
    match (named, value.is_nan()) {
        (true, true) => (unsigned.len() == plain.len()).then_some(value),
        (true, false) => Some(value),
        (false, _) => value.is_finite().then_some(value),
    }
}

/// An underscore must stand between two digits; one more may follow a base prefix.
fn underscores_separate_digits(text: &[u8]) -> bool {
    let unsigned = text.strip_prefix(b"+").or(text.strip_prefix(b"-")).unwrap_or(text);
    let (hex, digits, mut before) = match unsigned {
        [b'0', b'x' | b'X', rest @ ..] => (true, rest, b'0'),
        _ => (false, unsigned, b'!'),
    };
    for &byte in digits {
        let class = match byte {
            b'_' => b'_',
            _ if byte.is_ascii_digit() || hex && byte.is_ascii_hexdigit() => b'0',
            _ => b'!',
        };
        if class == b'_' && before != b'0' || before == b'_' && class == b'!' {
            return false;
        }
        before = class;
    }
    before != b'_'
}

/// The part after `0x` of a hexadecimal float; the binary exponent is mandatory.
fn hex_float(text: &[u8]) -> Option<f64> {
    let split = text.iter().position(|b| matches!(b, b'p' | b'P'))?;
    let mantissa = HexMantissa::read(&text[..split])?;
    let exponent = signed_clamped(&text[split + 1..])?;
    compose(&mantissa, mantissa.exponent + exponent)
}

struct HexMantissa {
    bits: u64,
    sticky: bool,
    exponent: i64,
}

impl HexMantissa {
    /// Keeps 64 significant bits; the rest only matters for rounding and is remembered as `sticky`.
    fn read(text: &[u8]) -> Option<Self> {
        let mut mantissa = HexMantissa { bits: 0, sticky: false, exponent: 0 };
        let (mut after_dot, mut digits) = (false, 0usize);
        for &byte in text {
            if byte == b'.' && !after_dot {
                after_dot = true;
                continue;
            }
            mantissa.push(char::from(byte).to_digit(16)?, after_dot);
            digits += 1;
        }
        (digits > 0).then_some(mantissa)
    }

    fn push(&mut self, digit: u32, after_dot: bool) {
        if self.bits >> 60 == 0 {
            self.bits = self.bits << 4 | u64::from(digit);
            self.exponent -= if after_dot { 4 } else { 0 };
        } else {
            self.sticky |= digit != 0;
            self.exponent += if after_dot { 0 } else { 4 };
        }
    }
}

/// A decimal exponent, held at a bound far outside the range of a float.
fn signed_clamped(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"+").or(text.strip_prefix(b"-")).unwrap_or(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let size = digits.iter().fold(0i64, |sum, b| (sum * 10 + i64::from(b - b'0')).min(100_000));
    Some(if text.starts_with(b"-") { -size } else { size })
}

/// mantissa × 2^exponent, rounded to the nearest float (ties to even); `None` on overflow.
fn compose(mantissa: &HexMantissa, exponent: i64) -> Option<f64> {
    if mantissa.bits == 0 {
        return Some(0.0);
    }
    let shift = mantissa.bits.leading_zeros();
    let wide = u128::from(mantissa.bits << shift);
    let power = exponent - i64::from(shift) + 63;
    let precision = if power >= -1022 { 53 } else { power + 1075 };
    if power > 1023 || precision < 0 {
        return (power < 0).then_some(0.0);
    }
    let drop = u32::try_from(64 - precision).ok()?;
    let kept = u64::try_from(wide >> drop).ok()?;
    let (rest, half) = (wide & ((1 << drop) - 1), 1u128 << (drop - 1));
    let up = rest > half || rest == half && (mantissa.sticky || kept & 1 == 1);
    let biased = u64::try_from((power + 1022).max(0)).ok()?;
    // The hidden bit of a normal number adds one to the exponent field; so does a carry out of the rounding.
    let value = f64::from_bits((biased << 52) + kept + u64::from(up));
    value.is_finite().then_some(value)
}

/// The canonical plaintext of a float: shortest round-trip decimal, never an exponent.
pub fn float_plaintext(value: f64) -> String {
    match value {
        _ if value.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        _ => value.to_string(),
    }
}

/// A float as SOPS prints it in YAML: shortest digits, with an exponent below 1e-4 and from 1e6 on.
pub fn float_yaml(value: f64) -> String {
    match value {
        _ if value.is_nan() => ".nan".to_owned(),
        f64::INFINITY => ".inf".to_owned(),
        f64::NEG_INFINITY => "-.inf".to_owned(),
        _ => finite_yaml(value),
    }
}

fn finite_yaml(value: f64) -> String {
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let power: i32 = exponent.parse().unwrap_or(0);
    match YAML_DECIMAL_POWERS.contains(&power) {
        true => value.to_string(),
        false => {
            let sign = if power < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", power.unsigned_abs())
        }
    }
}

/// Powers of ten that YAML output writes without an exponent.
const YAML_DECIMAL_POWERS: std::ops::RangeInclusive<i32> = -4..=5;

/// A float as SOPS prints it in JSON; `None` for infinities and NaN, which JSON cannot hold.
pub fn float_json(value: f64) -> Option<String> {
    let size = value.abs();
    match value.is_finite() {
        false => None,
        true if size != 0.0 && size < 1e-6 => Some(format!("{value:e}")),
        true if size >= 1e21 => Some(format!("{value:e}").replace('e', "e+")),
        true => Some(value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn floats_inside_encrypted_values() {
        let accepted = [
            (".5_0", "0.5"),
            ("1_23.5", "123.5"),
            ("1e1_0", "10000000000"),
            ("1e3", "1000"),
            ("inFinity", "+Inf"),
            ("-inf", "-Inf"),
            ("NaN", "NaN"),
            ("-0", "-0"),
            ("0x_1p4", "16"),
            ("-0X1P3", "-8"),
            ("0x.8p1", "1"),
            ("0x1.8p+0_1", "3"),
            ("0x1.00000000000008p0", "1"),
            ("0x1.000000000000080000000001p0", "1.0000000000000002"),
            ("0x1.00000000000018p0", "1.0000000000000004"),
            ("0x1p-99999999999", "0"),
            ("0x0.8p-1074", "0"),
        ];
        for (text, plaintext) in accepted {
            assert_eq!(float(text).map(float_plaintext).as_deref(), Some(plaintext), "{text}");
        }
        let smallest = f64::from_bits(1);
        assert_eq!(float("0x1p-1074"), Some(smallest));
        assert_eq!(float("0x0.80001p-1074"), Some(smallest));
        assert_eq!(float("0x1.fffffffffffffp-1023"), Some(f64::MIN_POSITIVE));
        assert_eq!(float("0x1.fffffffffffff7p1023"), Some(f64::MAX));
    }

    #[test]
    fn refused_floats() {
        let refused = [
            "",
            ".",
            "-nan",
            "infi",
            "1e400",
            "0x1",
            "0x.p1",
            "0b1",
            "1e_1",
            "0x1_p4",
            "1__0",
            "1_",
            "_1",
            "1._5",
            "1_.5",
            "1e5_",
            "0x",
            "0xp1",
            "0x1p",
            "0x1.fffffffffffff8p1023",
            " 1",
            "1 ",
        ];
        for text in refused {
            assert_eq!(float(text), None, "{text}");
        }
    }

    #[test]
    fn yaml_integers_in_every_base() {
        let cases = [("0b-101", -5), ("0o+7", 7), ("+_1", 1), ("-0X_f", -15), ("0", 0), ("-9223372036854775808", i64::MIN)];
        for (text, value) in cases {
            assert_eq!(yaml_number(text), Some(Number::Int(value)), "{text}");
        }
        assert_eq!(yaml_number("01777777777777777777777"), Some(Number::Unsigned));
        assert_eq!(yaml_number("+18446744073709551615"), Some(Number::Float(18446744073709551615.0)));
        for text in ["0x", "-", "+", "--1", "1-1", "e5", "0b2", "1e400", "0x1p4"] {
            assert_eq!(yaml_number(text), None, "{text}");
        }
    }

    #[test]
    fn output_forms() {
        let cases = [
            (999_999.0, "999999", "999999"),
            (1e6, "1e+06", "1000000"),
            (1.5e-5, "1.5e-05", "0.000015"),
            (1e-4, "0.0001", "0.0001"),
            (1e-7, "1e-07", "1e-7"),
            (1e21, "1e+21", "1e+21"),
            (-0.0, "-0", "-0"),
            (1.23e-18, "1.23e-18", "1.23e-18"),
        ];
        for (value, yaml, json) in cases {
            assert_eq!((float_yaml(value).as_str(), float_json(value).as_deref()), (yaml, Some(json)));
        }
        assert_eq!(float_json(f64::NAN), None);
        assert_eq!(float_yaml(f64::NEG_INFINITY), "-.inf");
    }

    proptest! {
        #[test]
        fn every_float_survives_its_plaintext(bits: u64) {
            let value = f64::from_bits(bits);
            let back = float(&float_plaintext(value));
            prop_assert!(back.is_some_and(|b| b.to_bits() == bits || b.is_nan() && value.is_nan()));
            let yaml = float_yaml(value);
            prop_assert!(!value.is_finite() || yaml.parse() == Ok(value));
        }

        #[test]
        fn hex_floats_are_exact(mantissa in 0u64..1 << 53, exponent in -1000i32..900) {
            let wanted = mantissa as f64 * 2f64.powi(exponent);
            prop_assert_eq!(float(&format!("0x{mantissa:x}p{exponent}")), Some(wanted));
        }
    }
}
