//! Shamir secret sharing in the layout of HashiCorp Vault, as sops uses it for key groups.
//!
//! Every secret byte is the constant term of its own random polynomial of degree
//! `threshold - 1` over GF(2^8) with the polynomial x^8 + x^4 + x^3 + x + 1. A share is one
//! y-byte per secret byte, followed by its x-coordinate. The x-coordinates are 1, 2, ..., n.

use std::fmt;

use zeroize::Zeroizing;

/// The low byte of the field polynomial 0x11B; the x^8 term falls out of the byte.
const REDUCTION: u8 = 0x1b;

/// Why a secret could not be split or put together again. Holds no secret bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShamirError {
    /// The secret has no bytes.
    EmptySecret,
    /// The threshold is below 2; a single share would be the secret itself.
    ThresholdTooSmall,
    /// More shares are required than are made.
    ThresholdAboveShares,
    /// Fewer than two shares were given.
    TooFewShares,
    /// A share is too short to hold a y-byte and an x-coordinate.
    ShareTooShort,
    /// The shares differ in length, so they belong to different secrets.
    LengthMismatch,
    /// A share has the x-coordinate 0, the place of the secret itself.
    ZeroCoordinate,
    /// Two shares have the same x-coordinate.
    DuplicateCoordinate,
    /// The operating system gave no random bytes.
    NoRandomness,
}

impl fmt::Display for ShamirError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EmptySecret => "cannot split an empty secret",
            Self::ThresholdTooSmall => "the Shamir threshold must be at least 2",
            Self::ThresholdAboveShares => "the Shamir threshold is larger than the number of shares",
            Self::TooFewShares => "at least two shares are needed",
            Self::ShareTooShort => "a share must have at least two bytes",
            Self::LengthMismatch => "the shares have different lengths",
            Self::ZeroCoordinate => "a share has the x-coordinate 0",
            Self::DuplicateCoordinate => "two shares have the same x-coordinate",
            Self::NoRandomness => "the system has no random bytes",
        })
    }
}

impl std::error::Error for ShamirError {}

/// Splits `secret` into `shares` shares, any `threshold` of which give it back.
///
/// The share at index i has the x-coordinate i + 1.
pub fn split(secret: &[u8], shares: u8, threshold: u8) -> Result<Vec<Zeroizing<Vec<u8>>>, ShamirError> {
    check_split(secret, shares, threshold)?;
    let mut out: Vec<_> = (0..shares).map(|_| Zeroizing::new(Vec::with_capacity(secret.len() + 1))).collect();
    let mut polynomial = Zeroizing::new(vec![0; usize::from(threshold)]);
    for &byte in secret {
        getrandom::fill(&mut polynomial).map_err(|_| ShamirError::NoRandomness)?;
        polynomial[0] = byte;
        for (share, x) in out.iter_mut().zip(1..=shares) {
            share.push(evaluate(&polynomial, x));
        }
    }
    for (share, x) in out.iter_mut().zip(1..=shares) {
        share.push(x);
    }
    Ok(out)
}

/// Puts a secret together from all the given shares.
///
/// Fewer shares than the threshold give other bytes, not an error: the shares do not
/// tell the threshold.
pub fn join(shares: &[impl AsRef<[u8]>]) -> Result<Zeroizing<Vec<u8>>, ShamirError> {
    let xs = coordinates(shares)?;
    let weights: Vec<u8> = (0..xs.len()).map(|i| weight_at_zero(&xs, i)).collect();
    let length = shares[0].as_ref().len() - 1;
    let mut secret = Zeroizing::new(vec![0; length]);
    for (share, &weight) in shares.iter().zip(&weights) {
        for (byte, &y) in secret.iter_mut().zip(share.as_ref()) {
            *byte ^= multiply(y, weight);
        }
    }
    Ok(secret)
}

fn check_split(secret: &[u8], shares: u8, threshold: u8) -> Result<(), ShamirError> {
    if secret.is_empty() {
        return Err(ShamirError::EmptySecret);
    }
    if threshold < 2 {
        return Err(ShamirError::ThresholdTooSmall);
    }
    if threshold > shares {
        return Err(ShamirError::ThresholdAboveShares);
    }
    Ok(())
}

/// The x-coordinates of the shares, after checking that they belong together.
fn coordinates(shares: &[impl AsRef<[u8]>]) -> Result<Vec<u8>, ShamirError> {
    if shares.len() < 2 {
        return Err(ShamirError::TooFewShares);
    }
    let length = shares[0].as_ref().len();
    let mut seen = [false; 256];
    let mut xs = Vec::with_capacity(shares.len());
    for share in shares {
        let x = coordinate(share.as_ref(), length)?;
        if std::mem::replace(&mut seen[usize::from(x)], true) {
            return Err(ShamirError::DuplicateCoordinate);
        }
        xs.push(x);
    }
    Ok(xs)
}

fn coordinate(share: &[u8], length: usize) -> Result<u8, ShamirError> {
    if share.len() != length {
        return Err(ShamirError::LengthMismatch);
    }
    match share {
        [] | [_] => Err(ShamirError::ShareTooShort),
        [.., 0] => Err(ShamirError::ZeroCoordinate),
        [.., x] => Ok(*x),
    }
}

/// The Lagrange basis polynomial of point `index`, at 0: the product of x_j / (x_j - x_i).
fn weight_at_zero(xs: &[u8], index: usize) -> u8 {
    let own = xs[index];
    let others = xs.iter().filter(|&&x| x != own);
    others.fold(1, |product, &x| multiply(product, multiply(x, invert(x ^ own))))
}

/// The value of the polynomial at `x`, by Horner's rule; coefficients start with the constant.
fn evaluate(coefficients: &[u8], x: u8) -> u8 {
    let highest_first = coefficients.iter().rev();
    highest_first.fold(0, |value, &coefficient| multiply(value, x) ^ coefficient)
}

/// Multiplies in GF(2^8). No table is indexed and no branch taken by a factor, so that
/// neither the cache nor the time tells anything about a secret byte.
fn multiply(a: u8, b: u8) -> u8 {
    let (mut a, mut product) = (a, 0);
    for bit in 0..8 {
        product ^= a & mask(b >> bit);
        a = (a << 1) ^ (REDUCTION & mask(a >> 7));
    }
    product
}

/// All ones if the lowest bit is set, otherwise all zeros.
fn mask(bit: u8) -> u8 {
    (bit & 1).wrapping_neg()
}

/// The multiplicative inverse, as a^254; 0 gives 0.
fn invert(a: u8) -> u8 {
    // 254 = 2 + 4 + ... + 128: the product of the seven squarings.
    let (mut square, mut product) = (a, 1);
    for _ in 0..7 {
        square = multiply(square, square);
        product = multiply(product, square);
    }
    product
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_field_is_that_of_aes() {
        // The products are examples of FIPS 197, section 4.2.
        assert_eq!(multiply(0x57, 0x83), 0xc1);
        assert_eq!(multiply(0x57, 0x13), 0xfe);
        assert_eq!(multiply(0x53, 0xca), 0x01);
        assert_eq!(multiply(0x80, 0x02), 0x1b);
        assert_eq!(invert(0x53), 0xca);
        assert_eq!(invert(0), 0);
    }

    #[test]
    fn every_element_but_zero_has_an_inverse() {
        for a in 1..=255 {
            assert_eq!(multiply(a, invert(a)), 1, "{a}");
            assert_eq!(multiply(a, 0), 0);
            assert_eq!(multiply(a, 1), a);
        }
    }

    #[test]
    fn polynomials_take_known_values() {
        // 7 + 3x + x^2 at 2: 7 ^ 6 ^ 4.
        assert_eq!(evaluate(&[7, 3, 1], 2), 5);
        assert_eq!(evaluate(&[7, 3, 1], 0), 7);
    }

    #[test]
    fn known_shares_join() {
        // The line 0x2a + 0x15 x, worked out by hand at 1, 2 and 3.
        let shares = [[0x3f, 1], [0x00, 2], [0x15, 3]];
        for pair in [[0, 1], [1, 2], [2, 0]] {
            let chosen = pair.map(|i| shares[i]);
            assert_eq!(*join(&chosen).unwrap(), [0x2a]);
        }
        assert_eq!(*join(&shares).unwrap(), [0x2a]);
    }

    #[test]
    fn shares_have_the_coordinate_last() {
        let shares = split(&[9; 32], 5, 3).unwrap();
        let tails: Vec<_> = shares.iter().map(|s| (s.len(), s[32])).collect();
        assert_eq!(tails, [(33, 1), (33, 2), (33, 3), (33, 4), (33, 5)]);
    }

    #[test]
    fn any_threshold_of_shares_joins() {
        let secret: Vec<u8> = (100..132).collect();
        for (n, t) in [(2, 2), (3, 2), (3, 3), (5, 3), (10, 7), (255, 2), (255, 255)] {
            let mut shares = split(&secret, n, t).unwrap();
            assert_eq!(*join(&shares).unwrap(), secret, "{n} {t}, all");
            shares.reverse();
            shares.truncate(usize::from(t));
            assert_eq!(*join(&shares).unwrap(), secret, "{n} {t}, last");
        }
    }

    #[test]
    fn too_few_shares_give_other_bytes() {
        let secret = [0x5a; 32];
        let shares = split(&secret, 5, 4).unwrap();
        for count in 2..4 {
            assert_ne!(*join(&shares[..count]).unwrap(), secret);
        }
    }

    #[test]
    fn bad_thresholds_are_refused() {
        assert_eq!(split(&[], 2, 2), Err(ShamirError::EmptySecret));
        assert_eq!(split(&[1], 2, 0), Err(ShamirError::ThresholdTooSmall));
        assert_eq!(split(&[1], 2, 1), Err(ShamirError::ThresholdTooSmall));
        assert_eq!(split(&[1], 2, 3), Err(ShamirError::ThresholdAboveShares));
        assert_eq!(split(&[1], 0, 2), Err(ShamirError::ThresholdAboveShares));
    }

    #[test]
    fn bad_shares_are_refused() {
        let none: [&[u8]; 0] = [];
        assert_eq!(join(&none), Err(ShamirError::TooFewShares));
        let cases: [(&[&[u8]], ShamirError); 6] = [
            (&[&[1, 1]], ShamirError::TooFewShares),
            (&[&[1, 1], &[1, 1, 2]], ShamirError::LengthMismatch),
            (&[&[1], &[2]], ShamirError::ShareTooShort),
            (&[&[], &[]], ShamirError::ShareTooShort),
            (&[&[1, 1], &[2, 0]], ShamirError::ZeroCoordinate),
            (&[&[1, 1], &[2, 1]], ShamirError::DuplicateCoordinate),
        ];
        for (shares, error) in cases {
            assert_eq!(join(shares), Err(error), "{shares:?}");
        }
    }

    proptest! {
        #[test]
        fn split_then_join_gives_the_secret_back(
            secret in prop::collection::vec(any::<u8>(), 1..64),
            threshold in 2u8..20,
            extra in 0u8..20,
            skip in 0u8..20,
        ) {
            let shares = split(&secret, threshold + extra, threshold).unwrap();
            let from = usize::from(skip.min(extra));
            let chosen = &shares[from..from + usize::from(threshold)];
            prop_assert_eq!(&*join(chosen).unwrap(), &secret);
        }
    }
}
