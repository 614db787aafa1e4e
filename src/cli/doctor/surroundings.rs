//! What in the environment decides how services are reached, and what age's sources say.

use crate::diagnosis::Setting;
use crate::error::printable;
use crate::recipient::{Environment, Looked};

/// What a variable holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    /// An address, perhaps with a password in it.
    Address,
    /// A file of certificates.
    Certificates,
    /// Something that is shown as it is.
    Plain,
}

/// Those that are read, in the order in which they are shown.
const VARIABLES: [(&str, Holds); 27] = [
    ("HTTPS_PROXY", Holds::Address),
    ("https_proxy", Holds::Address),
    ("HTTP_PROXY", Holds::Address),
    ("http_proxy", Holds::Address),
    ("ALL_PROXY", Holds::Address),
    ("all_proxy", Holds::Address),
    ("NO_PROXY", Holds::Plain),
    ("no_proxy", Holds::Plain),
    ("VAULT_PROXY_ADDR", Holds::Address),
    ("VAULT_HTTP_PROXY", Holds::Address),
    ("SSL_CERT_FILE", Holds::Certificates),
    ("SSL_CERT_DIR", Holds::Plain),
    ("VAULT_CACERT", Holds::Certificates),
    ("VAULT_CAPATH", Holds::Plain),
    ("VAULT_SKIP_VERIFY", Holds::Plain),
    ("AWS_ENDPOINT_URL", Holds::Address),
    ("AWS_ENDPOINT_URL_KMS", Holds::Address),
    ("AWS_ENDPOINT_URL_STS", Holds::Address),
    ("SOPS_GCP_KMS_ENDPOINT", Holds::Plain),
    ("SOPS_GCP_KMS_UNIVERSE_DOMAIN", Holds::Plain),
    ("GCE_METADATA_HOST", Holds::Plain),
    ("AZURE_AUTHORITY_HOST", Holds::Address),
    ("AZURE_TOKEN_CREDENTIALS", Holds::Plain),
    ("VAULT_ADDR", Holds::Address),
    ("VAULT_NAMESPACE", Holds::Plain),
    ("SOPS_HC_VAULT_ALLOWLIST", Holds::Plain),
    ("SOPS_DECRYPTION_ORDER", Holds::Plain),
];

/// The variables that are set.
pub fn settings(environment: &Environment) -> Vec<Setting> {
    let setting = |(name, holds): &(&'static str, Holds)| {
        let value = environment.var(name)?;
        let trouble = match holds {
            Holds::Certificates => environment.broken_certificates(name),
            Holds::Address | Holds::Plain => None,
        };
        let value = if *holds == Holds::Address { without_password(&value) } else { value };
        Some(Setting { name, value: printable(&value), trouble })
    };
    VARIABLES.iter().filter_map(setting).collect()
}

/// `https://user:password@host` as `https://…@host`.
fn without_password(address: &str) -> String {
    let (scheme, rest) = address.split_once("://").map_or(("", address), |(scheme, rest)| (scheme, rest));
    let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let Some(at) = rest[..authority].rfind('@') else { return address.to_owned() };
    let scheme = if scheme.is_empty() { String::new() } else { format!("{scheme}://") };
    format!("{scheme}…{}", &rest[at..])
}

/// Whether identities may lie behind a passphrase, or with a command that wasn't run.
pub fn may_be_locked(looked: &[Looked]) -> bool {
    looked.iter().any(|looked| ["passphrase", "not run here"].iter().any(|word| looked.found.contains(word)))
}

/// Whether a recipient's identity is a plugin's: `age1NAME1…`.
pub fn is_of_plugin(recipient: &str) -> bool {
    let name = recipient.strip_prefix("age1").and_then(|rest| rest.rsplit_once('1')).map(|(name, _)| name);
    name.is_some_and(|name| !name.is_empty() && name != "pq")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_of_proxies_arent_shown() {
        assert_eq!(without_password("http://ana:p@ss@proxy:3128/x"), "http://…@proxy:3128/x");
        assert_eq!(without_password("ana:pass@proxy:3128"), "…@proxy:3128");
        assert_eq!(without_password("https://vault/a@b"), "https://vault/a@b");
        let found = settings(&Environment::fixed([("HTTPS_PROXY", "http://u:secret@p"), ("SSL_CERT_FILE", "/nowhere")]));
        assert_eq!(found.iter().map(|setting| setting.value.as_str()).collect::<Vec<_>>(), ["http://…@p", "/nowhere"]);
        assert!(found[0].trouble.is_none() && found[1].trouble.as_ref().unwrap().contains("can't be read"));
    }

    #[test]
    fn plugins_are_known_by_their_recipients() {
        assert!(is_of_plugin("age1yubikey1qabc") && is_of_plugin("age1tag1qabc"));
        assert!(!is_of_plugin("age1pq1qabc") && !is_of_plugin("age1ac76cl9nuzd96kdp6mvslh55wl74rt3sl3zfl9y4c6l99dltndqsxemwwp"));
    }
}
