//! A key of a vault: its URL as SOPS writes it, `VAULT/keys/NAME` or `VAULT/keys/NAME/VERSION`.

use reqwest::Url;

use super::super::refusal::Refusal;
use crate::document::value::Value;
use crate::error::printable;

/// That of Azure's own clients.
const API_VERSION: &str = "2025-07-01";
const EXPECTED: &str = "expected https://NAME.vault.azure.net/keys/KEY or …/keys/KEY/VERSION";
/// Where vaults and HSMs of Azure are, in all its clouds; nobody else gets a token.
pub const DOMAINS: [&str; 7] = [
    "vault.azure.net",
    "managedhsm.azure.net",
    "vault.azure.cn",
    "managedhsm.azure.cn",
    "vault.usgovcloudapi.net",
    "managedhsm.usgovcloudapi.net",
    "vault.microsoftazure.de",
];

/// A key, in the three parts of an entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Key {
    /// The URL of the vault, as written.
    pub vault: String,
    /// The key.
    pub name: String,
    /// Empty for the newest.
    pub version: String,
}

impl Key {
    /// Reads a URL.
    pub fn parse(text: &str) -> Result<Key, Refusal> {
        let no = || Refusal::no(format!("{} is no key of a vault", printable(text)), EXPECTED);
        let (vault, path) = text.trim().split_once("/keys/").ok_or_else(no)?;
        let (name, version) = path.split_once('/').unwrap_or((path, ""));
        Key { vault: vault.to_owned(), name: name.to_owned(), version: version.to_owned() }.checked()
    }

    /// The key that an entry names.
    pub fn of_entry(entry: &Value) -> Result<Key, Refusal> {
        let text = |field: &str| entry.get(field).and_then(Value::text).unwrap_or_default().trim().to_owned();
        Key { vault: text("vault_url"), name: text("name"), version: text("version") }.checked()
    }

    /// A file may hold anything: the token's owner shall call nothing but a key's operations.
    fn checked(self) -> Result<Key, Refusal> {
        let name = !self.name.is_empty() && self.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !name || !(self.version.is_empty() || is_version(&self.version)) {
            let path = printable(&format!("{}/{}", self.name, self.version));
            return Err(Refusal::no(format!("{path} isn't the name of a key in a vault"), EXPECTED));
        }
        self.url("").map(|_| self)
    }

    /// The vault without a slash at its end.
    pub fn bare_vault(&self) -> &str {
        self.vault.trim_end_matches('/')
    }

    /// Where an operation of the key is asked for; an empty one gives the key itself.
    pub fn url(&self, operation: &str) -> Result<Url, Refusal> {
        let no = || Refusal::no(format!("{} isn't a vault of Azure, and gets no token", printable(&self.vault)), EXPECTED);
        let mut url = Url::parse(&self.vault).map_err(|_| no())?;
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.port().is_none();
        let domain = url.host_str().and_then(|host| host.split_once('.')).map(|(_, domain)| domain.to_owned());
        let known = domain.is_some_and(|domain| DOMAINS.contains(&domain.as_str()));
        if url.scheme() != "https" || !bare || !known || !url.username().is_empty() || url.password().is_some() {
            return Err(no());
        }
        let parts = ["keys", &self.name, &self.version, operation];
        url.path_segments_mut().map_err(|()| no())?.clear().extend(parts.iter().filter(|part| !part.is_empty()));
        url.query_pairs_mut().append_pair("api-version", API_VERSION);
        Ok(url)
    }
}

/// Whether this can be the version of a key.
pub fn is_version(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_a_version_or_none() {
        let url = |text: &str, operation: &str| Key::parse(text).and_then(|key| key.url(operation)).map(|url| url.to_string()).ok();
        let at = |path: &str| Some(format!("https://v.vault.azure.net/keys/{path}?api-version={API_VERSION}"));
        assert_eq!(url("https://v.vault.azure.net/keys/n", ""), at("n"));
        assert_eq!(url(" https://v.vault.azure.net/keys/n/ ", ""), at("n"));
        assert_eq!(url("https://v.vault.azure.net//keys/n/a1", "decrypt"), at("n/a1/decrypt"));
        assert!(url("https://v.managedhsm.usgovcloudapi.net/keys/n/a1", "encrypt").is_some());
    }

    #[test]
    fn nobody_but_a_vault_of_azure_is_asked() {
        for vault in [
            "http://v.vault.azure.net",
            "https://vault.azure.net",
            "https://a.b.vault.azure.net",
            "https://v.vault.azure.net.evil.example",
            "https://evil.example/v.vault.azure.net",
            "https://v.vault.azure.net@evil.example",
            "https://user@v.vault.azure.net",
            "https://v.vault.azure.net:8443",
            "https://v.vault.azure.net?x",
            "https://evilvault.azure.net",
        ] {
            assert!(Key::parse(&format!("{vault}/keys/n/a1")).is_err(), "{vault}");
        }
        for path in ["", "n/a/b", "../secrets/s", "n?x", "n#x", "n/%2e"] {
            assert!(Key::parse(&format!("https://v.vault.azure.net/keys/{path}")).is_err(), "{path}");
        }
    }
}
