//! `ENC[AES256_GCM,data:…,iv:…,tag:…,type:…]`: one encrypted value (SOPS).

use aes_gcm::AesGcm;
use aes_gcm::aead::array::Array;
use aes_gcm::aead::consts::{U12, U16, U32};
use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::aes::Aes256;
use base64_simd::STANDARD;
use zeroize::Zeroizing;

use crate::document::resolve::Type;
use crate::error::{Error, Kind, Result};

/// Bytes of an IV as SOPS writes it: longer than GCM's usual 12.
pub const IV_LENGTH: usize = 32;
const TAG_LENGTH: usize = 16;

/// AES-256-GCM under one data key, set up once a file.
#[derive(Clone)]
pub struct Cipher {
    long: AesGcm<Aes256, U32>,
    key: Zeroizing<[u8; 32]>,
}

impl Cipher {
    /// The cipher of a 32-byte data key.
    pub fn new(key: &[u8; 32]) -> Cipher {
        Cipher { long: AesGcm::new(&Array::from(*key)), key: Zeroizing::new(*key) }
    }

    /// Appends the token of `plaintext` to `out`.
    ///
    /// # Errors
    /// None in practice: GCM refuses only texts of 64 GiB.
    pub fn encrypt(&self, plaintext: &[u8], kind: Type, additional_data: &[u8], iv: &[u8; IV_LENGTH], out: &mut String) -> Result<()> {
        let too_long = || Error::new(Kind::EncryptTree, "the value is too long to be encrypted");
        let mut hidden = vec![0; plaintext.len()];
        let buffers = InOutBuf::new(plaintext, &mut hidden).map_err(|_| too_long())?;
        let nonce = Array::<u8, U32>::from(*iv);
        let tag = self.long.encrypt_inout_detached(&nonce, additional_data, buffers).map_err(|_| too_long())?;
        out.push_str("ENC[AES256_GCM,data:");
        STANDARD.encode_append(&hidden, out);
        out.push_str(",iv:");
        STANDARD.encode_append(iv, out);
        out.push_str(",tag:");
        STANDARD.encode_append(&tag[..], out);
        out.push_str(",type:");
        out.push_str(kind.name());
        out.push(']');
        Ok(())
    }

    /// Opens a token.
    ///
    /// # Errors
    /// `DecryptTree` (25): wrong key, moved or changed value.
    pub fn decrypt(&self, token: &Token<'_>, additional_data: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let broken = || Error::new(Kind::DecryptTree, "a field of the encrypted value is not base64");
        let mut buffer = Zeroizing::new(STANDARD.decode_to_vec(token.data).map_err(|_| broken())?);
        let (mut iv, mut tag) = ([0; FIELD], [0; FIELD]);
        let iv = short_field(token.iv, &mut iv).ok_or_else(broken)?;
        let tag: [u8; TAG_LENGTH] = short_field(token.tag, &mut tag)
            .ok_or_else(broken)?
            .try_into()
            .map_err(|_| Error::new(Kind::DecryptTree, "the tag of the encrypted value is not 16 bytes"))?;
        self.open(iv, additional_data, &mut buffer, &Array::<u8, U16>::from(tag))?;
        Ok(buffer)
    }

    fn open(&self, iv: &[u8], additional_data: &[u8], buffer: &mut [u8], tag: &Array<u8, U16>) -> Result<()> {
        let failed =
            Error::new(Kind::DecryptTree, "the encrypted value doesn't fit its key path or the data key: it was changed, moved or renamed");
        let opened = match iv.len() {
            IV_LENGTH => {
                Array::<u8, U32>::try_from(iv).map(|nonce| self.long.decrypt_inout_detached(&nonce, additional_data, buffer.into(), tag))
            }
            12 => {
                let short = AesGcm::<Aes256, U12>::new(&Array::from(*self.key));
                Array::<u8, U12>::try_from(iv).map(|nonce| short.decrypt_inout_detached(&nonce, additional_data, buffer.into(), tag))
            }
            _ => return Err(Error::new(Kind::DecryptTree, format!("an IV of {} bytes, expected 32 or 12", iv.len()))),
        };
        match opened {
            Ok(Ok(())) => Ok(()),
            _ => Err(failed),
        }
    }
}

/// The longest IV or tag that is decoded: far beyond what either may be.
const FIELD: usize = 96;

/// An IV or a tag, decoded without memory of its own.
fn short_field<'b>(text: &str, buffer: &'b mut [u8; FIELD]) -> Option<&'b [u8]> {
    let fits = text.len() <= FIELD;
    fits.then(|| STANDARD.decode(text.as_bytes(), base64_simd::Out::from_slice(buffer)).ok()).flatten().map(|bytes| &*bytes)
}

/// The fields of a token, still in base64.
pub struct Token<'t> {
    data: &'t str,
    iv: &'t str,
    tag: &'t str,
    /// The type field; not authenticated.
    pub kind: &'t str,
}

impl<'t> Token<'t> {
    /// Parses a token at the start of `text`; what follows the closing bracket is ignored, as genuine sops does.
    /// [`None`] if it isn't one. Fields are never empty and never span lines.
    pub fn parse(text: &'t str) -> Option<Token<'t>> {
        let inner = text.strip_prefix("ENC[AES256_GCM,data:")?;
        let inner = &inner[..memchr::memchr(b'\n', inner.as_bytes()).unwrap_or(inner.len())];
        let inner = &inner[..memchr::memrchr(b']', inner.as_bytes())?];
        // No field holds a comma: base64 has none.
        let (rest, kind) = last_field(inner, "type:")?;
        let (rest, tag) = last_field(rest, "tag:")?;
        let (data, iv) = last_field(rest, "iv:")?;
        let filled = [data, iv, tag, kind].iter().all(|field| !field.is_empty());
        filled.then_some(Token { data, iv, tag, kind })
    }

    /// Whether a text is a token that someone can open.
    pub fn is_whole(text: &str) -> bool {
        Token::parse(text).is_some_and(|token| token.is_sound())
    }

    /// How many bytes are encrypted: ciphertext is as long as what it hides.
    pub fn length(&self) -> usize {
        let padding = self.data.bytes().rev().take_while(|byte| *byte == b'=').count();
        (self.data.len() / 4 * 3).saturating_sub(padding)
    }

    /// The ciphertext, in base64.
    pub fn data(&self) -> &'t str {
        self.data
    }

    /// The IV, in base64.
    pub fn iv(&self) -> &'t str {
        self.iv
    }

    /// The tag, in base64.
    pub fn tag(&self) -> &'t str {
        self.tag
    }

    /// Whether all fields are what they must be for anyone to open it.
    pub fn is_sound(&self) -> bool {
        let length = |text: &str| STANDARD.decode_to_vec(text).map(|bytes| bytes.len()).ok();
        let iv = matches!(length(self.iv), Some(IV_LENGTH | 12));
        let known = Type::from_name(self.kind).is_some();
        iv && known && length(self.tag) == Some(TAG_LENGTH) && STANDARD.check(self.data.as_bytes()).is_ok()
    }
}

fn last_field<'t>(text: &'t str, name: &str) -> Option<(&'t str, &'t str)> {
    let comma = memchr::memrchr(b',', text.as_bytes())?;
    Some((&text[..comma], text[comma + 1..].strip_prefix(name)?))
}

/// Random IVs, fetched from the system in batches: one call each would cost more than the encryption.
pub struct Ivs {
    batch: Vec<[u8; IV_LENGTH]>,
}

const BATCH: usize = 256;

impl Ivs {
    /// An empty store; the first [`Ivs::take`] fills it.
    pub fn new() -> Ivs {
        Ivs { batch: Vec::new() }
    }

    /// A fresh random IV.
    ///
    /// # Errors
    /// The system has no random bytes.
    pub fn take(&mut self) -> Result<[u8; IV_LENGTH]> {
        if self.batch.is_empty() {
            let mut bytes = [0; BATCH * IV_LENGTH];
            getrandom::fill(&mut bytes).map_err(|_| Error::new(Kind::Generic, "the system gives no random bytes"))?;
            let (ivs, _) = bytes.as_chunks::<IV_LENGTH>();
            self.batch.extend_from_slice(ivs);
        }
        self.batch.pop().ok_or_else(|| Error::new(Kind::Generic, "the system gives no random bytes"))
    }
}

impl Default for Ivs {
    fn default() -> Ivs {
        Ivs::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [7; 32];

    fn token(plaintext: &[u8], aad: &[u8]) -> String {
        let mut out = String::new();
        Cipher::new(&KEY).encrypt(plaintext, Type::Str, aad, &[3; 32], &mut out).expect("short text");
        out
    }

    #[test]
    fn a_token_opens_at_its_own_key_path_only() {
        let text = token(b"secret", b"data:a:");
        let parsed = Token::parse(&text).expect("a token");
        assert_eq!(parsed.kind, "str");
        assert_eq!(Cipher::new(&KEY).decrypt(&parsed, b"data:a:").map(|bytes| bytes.to_vec()), Ok(b"secret".to_vec()));
        assert!(Cipher::new(&KEY).decrypt(&parsed, b"data:b:").is_err());
    }

    #[test]
    fn text_after_the_bracket_is_ignored_and_a_blank_before_is_refused() {
        let text = token(b"secret", b":");
        assert!(Token::parse(&format!("{text}\n")).is_some());
        assert!(Token::parse(&format!("{text} # x")).is_some());
        assert!(Token::parse(&format!(" {text}")).is_none());
        assert!(Token::parse("ENC[AES256_GCM,data:,iv:eA==,tag:eA==,type:str]").is_none());
    }
}
