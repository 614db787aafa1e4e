//! What a vault wants to see: a token of a tenant for a resource (`WWW-Authenticate` of its answer to those who show none).

use reqwest::header::WWW_AUTHENTICATE;
use reqwest::{StatusCode, Url};

use super::super::Environment;
use super::super::network::http::Reply;
use super::super::refusal::{Refusal, own_words};
use super::key::DOMAINS;
use super::token;

const AUTHORITY_HOST: &str = "AZURE_AUTHORITY_HOST";
/// Where Azure gives tokens, in all its clouds; nobody else is told who asks.
const LOGINS: [&str; 7] = [
    "login.microsoftonline.com",
    "login.microsoft.com",
    "login.windows.net",
    "login.chinacloudapi.cn",
    "login.partner.microsoftonline.cn",
    "login.microsoftonline.us",
    "login.microsoftonline.de",
];

/// A checked challenge.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Challenge {
    /// Who gives tokens: scheme and host.
    pub authority: String,
    /// The directory that the vault belongs to.
    pub tenant: String,
    /// What the token is for.
    pub resource: String,
}

impl Challenge {
    /// Reads the challenge of the vault at `url`.
    pub fn read(reply: &Reply, url: &Url, environment: &Environment) -> Result<Challenge, Refusal> {
        let host = url.host_str().unwrap_or_default();
        let text = reply.headers.get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if reply.status != StatusCode::UNAUTHORIZED || text.is_empty() {
            let why = format!("{host} doesn't say what token it wants: {}", token::words(reply));
            return Err(Refusal::no(why, "is there a proxy or firewall between this machine and the vault?"));
        }
        Challenge::parse(text, host, environment.var(AUTHORITY_HOST).as_deref())
    }

    fn parse(text: &str, host: &str, own_authority: Option<&str>) -> Result<Challenge, Refusal> {
        let no = |why: &str| Refusal::no(format!("{host} asks for a token in a way that isn't a vault's ({why}): {}", own_words(text)), "");
        let resource = field(text, "scope").or_else(|| field(text, "resource")).unwrap_or_default().trim_end_matches("/.default");
        let wanted = Url::parse(resource).ok().filter(|wanted| wanted.scheme() == "https");
        let domain = wanted.as_ref().and_then(Url::host_str).unwrap_or_default();
        if !DOMAINS.contains(&domain) || !host.ends_with(&format!(".{domain}")) {
            return Err(no("for another resource"));
        }
        let named = Url::parse(field(text, "authorization").or_else(|| field(text, "authorization_uri")).unwrap_or_default()).ok();
        let tenant = named.as_ref().and_then(|named| named.path_segments()?.next().map(str::to_owned)).unwrap_or_default();
        if !is_tenant(&tenant) {
            return Err(no("of no tenant"));
        }
        let authority = match own_authority {
            Some(own) => Url::parse(own).ok().filter(|own| own.scheme() == "https").ok_or_else(|| wrong_authority(own))?,
            None => named.filter(is_login).ok_or_else(|| no("from an unknown authority"))?,
        };
        Ok(Challenge { authority: authority.origin().ascii_serialization(), tenant, resource: resource.trim_end_matches('/').to_owned() })
    }

    /// What tokens are asked for in the newer protocol.
    pub fn scope(&self) -> String {
        format!("{}/.default", self.resource)
    }
}

/// A field of a challenge: `name="text"`.
fn field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let starts = format!("{name}=");
    let found = text.split([' ', ',']).find_map(|part| part.strip_prefix(starts.as_str()))?;
    Some(found.trim_matches('"')).filter(|found| !found.is_empty())
}

/// A tenant's id, or its domain. It becomes a part of addresses, and a word of a command line.
fn is_tenant(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-')
}

fn is_login(url: &Url) -> bool {
    url.scheme() == "https" && url.port().is_none() && url.host_str().is_some_and(|host| LOGINS.contains(&host))
}

fn wrong_authority(own: &str) -> Refusal {
    Refusal::no(format!("{AUTHORITY_HOST} is no https address: {}", own_words(own)), "")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: &str = "00000000-0000-0000-0000-000000000001";

    fn read(authority: &str, resource: &str, host: &str, own: Option<&str>) -> Option<Challenge> {
        let text = format!("Bearer authorization=\"{authority}/{TENANT}\", resource=\"{resource}\"");
        Challenge::parse(&text, host, own).ok()
    }

    #[test]
    fn a_vault_names_its_tenant_and_itself() {
        let (login, vault) = ("https://login.microsoftonline.com", "https://vault.azure.net");
        let challenge = read(login, vault, "v.vault.azure.net", None).unwrap();
        assert_eq!(challenge, Challenge { authority: login.to_owned(), tenant: TENANT.to_owned(), resource: vault.to_owned() });
        assert_eq!(challenge.scope(), "https://vault.azure.net/.default");
        let text = format!("Bearer authorization=\"{login}/{TENANT}\" scope=\"{vault}/.default\"");
        assert_eq!(Challenge::parse(&text, "v.vault.azure.net", None).ok(), Some(challenge));
        let own = read(login, vault, "v.vault.azure.net", Some("https://login.local/")).unwrap();
        assert_eq!(own.authority, "https://login.local");
    }

    #[test]
    fn a_challenge_cant_ask_for_what_is_of_others() {
        let (login, vault, host) = ("https://login.microsoftonline.com", "https://vault.azure.net", "v.vault.azure.net");
        for resource in [
            "https://management.azure.com",
            "https://net",
            "https://azure.net",
            "http://vault.azure.net",
            "https://v.vault.azure.net",
            "",
            "vault.azure.net",
        ] {
            assert_eq!(read(login, resource, host, None), None, "{resource}");
        }
        for authority in ["http://login.microsoftonline.com", "https://login.evil.example", "https://login.microsoftonline.com:8443", ""] {
            assert_eq!(read(authority, vault, host, None), None, "{authority}");
        }
        assert_eq!(read(login, "https://managedhsm.azure.net", host, None), None);
        assert_eq!(read(login, vault, host, Some("http://login.local")), None);
        assert!(
            Challenge::parse("Bearer authorization=\"https://login.windows.net/a?b\", resource=\"https://vault.azure.net\"", host, None)
                .is_ok()
        );
        assert!(
            Challenge::parse("Bearer authorization=\"https://login.windows.net/a%20b\", resource=\"https://vault.azure.net\"", host, None)
                .is_err()
        );
    }
}
