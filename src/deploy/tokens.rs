//! Encrypted values that are carried from file to object: a token (`ENC[…]`) and the key path it stands at lead to what it
//! says, wherever its object went.

use std::collections::HashMap;

use zeroize::Zeroizing;

use crate::document::resolve::Type;
use crate::document::value::Value;
use crate::document::{Format, bytes};
use crate::error::Result;
use crate::pipeline::next;
use crate::recipient::Identities;
use crate::seal::value::Token;

/// An encrypted text: a file, a value of an object, or an object.
pub struct Sealed {
    /// What it is, for messages.
    pub name: String,
    /// As it stands.
    pub text: Zeroizing<String>,
    /// Its format.
    pub format: &'static dyn Format,
    /// Whether the MAC isn't compared.
    pub ignore_mac: bool,
}

/// What it says.
pub struct Unsealed {
    /// The plain bytes.
    pub plain: Zeroizing<Vec<u8>>,
    /// Things worth a line on stderr.
    pub notes: Vec<String>,
    values: HashMap<(String, String), Value>,
}

impl Sealed {
    /// Decrypts it.
    ///
    /// # Errors
    /// As [`next::open`], with its name.
    pub fn open(&self, identities: &Identities, order: &[String]) -> Result<Unsealed> {
        let shorter = self.format.without_repeats(&self.text).map(Zeroizing::new);
        let opened = |text: &str| next::open(text, self.format, identities, order, self.ignore_mac).map(|opened| self.unsealed(&opened));
        let unsealed = match shorter {
            // Positions in errors are those of the whole file.
            Some(shorter) => opened(&shorter).or_else(|_| opened(&self.text)),
            None => opened(&self.text),
        };
        unsealed.map_err(|error| error.in_file(&self.name))
    }

    fn unsealed(&self, opened: &next::Opened<'_>) -> Unsealed {
        let value = |kind, bytes: &[u8]| Value::Scalar(kind, bytes.to_vec());
        let values = opened.tokens().map(|(path, token, kind, bytes)| ((path, token.to_owned()), value(kind, bytes))).collect();
        let plain = if self.format.is_bytes() { bytes::of_text(&opened.plain) } else { self.format.plain_bytes(&opened.plain) };
        let notes = opened.notes.iter().map(|note| format!("{}: {note}", self.name)).collect();
        Unsealed { plain: Zeroizing::new(plain.into_owned()), notes, values }
    }
}

impl Unsealed {
    /// What a token at a key path says.
    pub fn value(&self, path: &str, token: &str) -> Option<&Value> {
        self.values.get(&(path.to_owned(), token.to_owned()))
    }

    /// Puts what they say in the place of all tokens below `value`, which stands at `path`; gives the key path of the first
    /// one that isn't known.
    ///
    /// # Errors
    /// The key path of a token that isn't of this file.
    pub fn put_into(&self, value: &mut Value, path: &str) -> std::result::Result<(), String> {
        match value {
            Value::Map(entries) => {
                let at = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
                entries.iter_mut().try_for_each(|(name, value)| self.put_into(value, &at(name)))
            }
            Value::List(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.put_into(item, &format!("{path}[{index}]"))?;
                }
                // Comments within lists are carried as items.
                items.retain(|item| !item.is_comment());
                Ok(())
            }
            Value::Scalar(Type::Str, bytes) => {
                let Some(token) = std::str::from_utf8(bytes).ok().filter(|text| Token::parse(text).is_some()) else { return Ok(()) };
                *value = self.value(path, token).ok_or_else(|| path.to_owned())?.clone();
                Ok(())
            }
            Value::Scalar(..) => Ok(()),
        }
    }
}
