//! A key of a transit engine: its URL as SOPS writes it, `ADDRESS/v1/ENGINE/keys/KEY`, and the paths of its operations.

use reqwest::Url;

use super::super::refusal::Refusal;
use crate::document::value::Value;
use crate::error::printable;

const EXPECTED: &str = "expected https://vault.example.com:8200/v1/transit/keys/KEY";

/// A key, in the three parts of an entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Key {
    /// Scheme, host and port, as written.
    pub address: String,
    /// Where the engine is mounted; may have several parts.
    pub engine: String,
    /// The key.
    pub name: String,
}

impl Key {
    /// Reads a URL as sops does: the last part is the key, the one before it is passed over, what stands between the API's
    /// version and that is the engine.
    pub fn parse(text: &str) -> Result<Key, Refusal> {
        let no = || Refusal::no(format!("{} is no key of a transit engine", printable(text)), EXPECTED);
        let start = text.find("://").ok_or_else(no)? + 3;
        let slash = text[start..].find('/').ok_or_else(no)? + start;
        let parts: Vec<&str> = text[slash..].trim_matches('/').split('/').collect();
        match parts.as_slice() {
            [version, engine @ .., _, name] if is_version(version) && !engine.is_empty() => {
                let key = Key { address: text[..slash].to_owned(), engine: engine.join("/"), name: (*name).to_owned() };
                key.checked()
            }
            [_, version, _, _, ..] if is_version(version) => {
                Err(Refusal::no(format!("{} has a path before /{version}/, which the API of Vault can't serve", printable(text)), EXPECTED))
            }
            _ => Err(no()),
        }
    }

    /// The key that an entry names.
    pub fn of_entry(entry: &Value) -> Result<Key, Refusal> {
        let text = |field: &str| entry.get(field).and_then(Value::text).unwrap_or_default().trim().to_owned();
        let address = text("vault_address").trim_end_matches('/').to_owned();
        Key { address, engine: text("engine_path").trim_matches('/').to_owned(), name: text("key_name") }.checked()
    }

    /// A file may hold anything: `..`, or what ends a path, would have the token's owner call something else.
    fn checked(self) -> Result<Key, Refusal> {
        let strange = |part: &str| part.is_empty() || part == "." || part == ".." || part.contains(['?', '#', '%', '\\']);
        if self.engine.split('/').chain([self.name.as_str()]).any(strange) || self.name.contains('/') {
            let path = printable(&format!("{}/keys/{}", self.engine, self.name));
            return Err(Refusal::no(format!("{path} isn't the path of a key in a transit engine"), EXPECTED));
        }
        self.url("encrypt").map(|_| self)
    }

    /// Where an operation of the key is asked for.
    pub fn url(&self, operation: &str) -> Result<Url, Refusal> {
        let no = || Refusal::no(format!("{} is no address of a Vault", printable(&self.address)), EXPECTED);
        let mut url = Url::parse(&self.address).map_err(|_| no())?;
        let plain = matches!(url.scheme(), "http" | "https") && url.host_str().is_some() && url.username().is_empty();
        if !plain || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err(no());
        }
        let parts = ["v1"].into_iter().chain(self.engine.split('/')).chain([operation, &self.name]);
        url.path_segments_mut().map_err(|()| no())?.pop_if_empty().extend(parts);
        Ok(url)
    }
}

/// `v1`, and as in sops any number.
fn is_version(part: &str) -> bool {
    part.strip_prefix('v').is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Option<(String, String, String)> {
        Key::parse(text).ok().map(|key| (key.address, key.engine, key.name))
    }

    #[test]
    fn urls_are_read_as_sops_reads_them() {
        let key = |address: &str, engine: &str, name: &str| Some((address.to_owned(), engine.to_owned(), name.to_owned()));
        assert_eq!(parts("https://v:8200/v1/transit/keys/k"), key("https://v:8200", "transit", "k"));
        assert_eq!(parts("https://v/v1/team/secrets/sops/keys/k2/"), key("https://v", "team/secrets/sops", "k2"));
        assert_eq!(parts("http://v/v1/transit/other/k"), key("http://v", "transit", "k"));
        for wrong in ["", "v/v1/transit/keys/k", "https://v", "https://v/v1/keys/k", "https://v/x/transit/keys/k", "ftp://v/v1/t/keys/k"] {
            assert_eq!(parts(wrong), None, "{wrong}");
        }
        let prefixed = Key::parse("https://v/vault/v1/transit/keys/k").unwrap_err();
        assert!(matches!(prefixed, Refusal::No { why, .. } if why.contains("before /v1/")));
    }

    #[test]
    fn no_entry_leads_to_another_part_of_the_api() {
        let entry = |address: &str, engine: &str, name: &str| {
            let fields = [("vault_address", address), ("engine_path", engine), ("key_name", name)];
            Key::of_entry(&Value::Map(fields.map(|(field, text)| (field.to_owned(), Value::string(text))).into()))
        };
        let url = entry("https://v/", "/team/sops/", "k k").unwrap().url("decrypt").unwrap();
        assert_eq!(url.as_str(), "https://v/v1/team/sops/decrypt/k%20k");
        for (engine, name) in
            [("transit", "../../sys/seal"), ("..", "k"), ("sys/seal?", "k"), ("sys/seal#", "k"), ("t", ""), ("", "k"), ("t", "%2e%2e")]
        {
            assert!(entry("https://v", engine, name).is_err(), "{engine} {name}");
        }
        for address in ["https://user@v", "https://v?x", "file:///etc", "v:8200", ""] {
            assert!(entry(address, "transit", "k").is_err(), "{address}");
        }
    }
}
