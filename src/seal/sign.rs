//! What vouches for a file as a whole: its MAC and its layout record.

use super::keep::Earlier;
use super::value::{Cipher, Ivs};
use crate::document::layout::{self, Entry};
use crate::document::resolve::Type;
use crate::error::Result;
use crate::metadata::Metadata;

/// Additional data of the layout record.
pub const LAYOUT_DATA: &[u8] = b"kveil_layout:v1";

/// Writes MAC and record into the block.
pub(super) struct Signer<'r> {
    /// Under the file's data key.
    pub cipher: &'r Cipher,
    /// The version before.
    pub earlier: Option<&'r Earlier<'r>>,
    /// Whether every token is one of the earlier version.
    pub same_values: bool,
}

impl Signer<'_> {
    /// `metadata` with the MAC `mac` and the record of `entries` in it.
    pub fn finish(&self, mut metadata: Metadata, mac: &str, entries: &[Entry]) -> Result<Metadata> {
        let mut ivs = Ivs::new();
        match self.earlier.filter(|_| self.same_values).and_then(|earlier| Some((earlier, earlier.mac(mac)?))) {
            // Only layout or comments changed: the MAC covers neither.
            Some((earlier, token)) => {
                metadata.last_modified = earlier.metadata.last_modified.clone();
                metadata.mac = Some(token.to_owned());
            }
            None => metadata.mac = Some(self.token(mac, metadata.last_modified_aad()?.as_bytes(), &mut ivs)?),
        }
        metadata.layout = match self.earlier.and_then(|earlier| earlier.record(entries)) {
            _ if entries.is_empty() => None,
            Some(token) => Some(token.to_owned()),
            None => Some(self.token(&layout::to_json(entries), LAYOUT_DATA, &mut ivs)?),
        };
        Ok(metadata)
    }

    fn token(&self, text: &str, additional_data: &[u8], ivs: &mut Ivs) -> Result<String> {
        let mut token = String::new();
        self.cipher.encrypt(text.as_bytes(), Type::Str, additional_data, &ivs.take()?, &mut token)?;
        Ok(token)
    }
}
