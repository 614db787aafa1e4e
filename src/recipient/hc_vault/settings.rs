//! What the environment says about Vault, as Vault's own client reads it: the token, certificates, time-outs, a proxy.

use std::fs;
use std::path::Path;
use std::time::Duration;

use reqwest::header::HeaderValue;
use reqwest::{Certificate, Client, ClientBuilder, Identity, Proxy};
use zeroize::Zeroizing;

use super::super::network::Trouble;
use super::super::refusal::Refusal;
use super::super::{Environment, Identities, Looked};
use crate::error::printable;

const TOKEN: &str = "VAULT_TOKEN";
const TOKEN_FILE: &str = ".vault-token";
const CA_FILE: &str = "VAULT_CACERT";
const CA_TEXT: &str = "VAULT_CACERT_BYTES";
const CA_FOLDER: &str = "VAULT_CAPATH";
const CLIENT_CERT: &str = "VAULT_CLIENT_CERT";
const CLIENT_KEY: &str = "VAULT_CLIENT_KEY";
const SKIP_VERIFY: &str = "VAULT_SKIP_VERIFY";
const TIMEOUT: &str = "VAULT_CLIENT_TIMEOUT";
const PROXIES: [&str; 2] = ["VAULT_PROXY_ADDR", "VAULT_HTTP_PROXY"];

/// The token, and for people where it comes from or why there is none.
pub struct Token {
    /// Marked as sensitive, so that it isn't shown.
    pub value: Option<HeaderValue>,
    /// The place.
    pub place: String,
}

/// The token of the environment, else of the file that `vault login` writes.
pub fn token(environment: &Environment) -> Result<Token, Refusal> {
    if let Some(text) = environment.var(TOKEN) {
        return header(&Zeroizing::new(text), format!("the token of {TOKEN}"));
    }
    let file = environment.home().map(|home| home.join(TOKEN_FILE)).filter(|file| file.exists());
    let Some(file) = file else {
        return Ok(Token { value: None, place: format!("{TOKEN} isn't set and there is no ~/{TOKEN_FILE}") });
    };
    let text = fs::read_to_string(file).map(Zeroizing::new);
    let text = text.map_err(|why| Refusal::no(format!("~/{TOKEN_FILE} can't be read: {why}"), "run vault login"))?;
    if text.trim().is_empty() {
        return Ok(Token { value: None, place: format!("{TOKEN} isn't set and ~/{TOKEN_FILE} is empty") });
    }
    header(&text, format!("the token of ~/{TOKEN_FILE}"))
}

fn header(text: &str, place: String) -> Result<Token, Refusal> {
    let strange = || Refusal::no(format!("{place} holds characters that no token has"), "run vault login");
    let mut value = HeaderValue::from_str(text.trim()).map_err(|_| strange())?;
    value.set_sensitive(true);
    Ok(Token { value: Some(value), place })
}

/// Where tokens are looked for, without asking anybody.
pub fn looked(environment: &Environment) -> Vec<Looked> {
    let token = match token(environment) {
        Ok(token) => token.place,
        Err(Refusal::No { why, .. }) => why,
        Err(_) => String::new(),
    };
    let address = environment.var("VAULT_ADDR").map_or_else(|| "not set".to_owned(), |address| printable(&address));
    [("token", token), ("VAULT_ADDR", address)].map(|(place, found)| Looked { place: place.to_owned(), found }).into()
}

/// The client for all servers of the run.
pub fn client(identities: &Identities) -> Result<Client, Trouble> {
    let skip = is_true(identities.environment(), SKIP_VERIFY);
    if skip {
        identities.warn(format!("{SKIP_VERIFY} is set: whoever answers for the Vault gets the token"));
    }
    identities.network().own_client(|builder| configured(builder.tls_danger_accept_invalid_certs(skip), identities.environment()))
}

fn configured(mut builder: ClientBuilder, environment: &Environment) -> Result<ClientBuilder, String> {
    if let Some(certificates) = authorities(environment)? {
        builder = builder.tls_certs_only(certificates);
    }
    if let Some(identity) = own_certificate(environment)? {
        builder = builder.identity(identity);
    }
    if let Some(time) = environment.var(TIMEOUT) {
        builder = builder.timeout(duration(&time).ok_or_else(|| format!("{TIMEOUT} is no time: expected seconds, or 500ms, 30s, 2m"))?);
    }
    if let Some((name, url)) = PROXIES.iter().find_map(|name| Some((name, environment.var(name)?))) {
        builder = builder.proxy(Proxy::all(url).map_err(|_| format!("{name} is no address of a proxy"))?);
    }
    Ok(builder)
}

/// The authorities that alone count, if the environment names any: a file, a text, a folder of files.
fn authorities(environment: &Environment) -> Result<Option<Vec<Certificate>>, String> {
    if let Some(file) = environment.path(CA_FILE) {
        return certificates(CA_FILE, &read(CA_FILE, &file)?).map(Some);
    }
    if let Some(text) = environment.var(CA_TEXT) {
        return certificates(CA_TEXT, text.as_bytes()).map(Some);
    }
    let Some(folder) = environment.path(CA_FOLDER) else { return Ok(None) };
    if folder.is_file() {
        return certificates(CA_FOLDER, &read(CA_FOLDER, &folder)?).map(Some);
    }
    let files = fs::read_dir(&folder).map_err(|why| format!("{CA_FOLDER} can't be read: {why}"))?;
    let files = files.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_file());
    let text = files.map(|file| read(CA_FOLDER, &file)).collect::<Result<Vec<_>, _>>()?.concat();
    certificates(CA_FOLDER, &text).map(Some)
}

fn certificates(name: &str, pem: &[u8]) -> Result<Vec<Certificate>, String> {
    let found = Certificate::from_pem_bundle(pem).map_err(|_| format!("{name} holds a broken PEM certificate"))?;
    if found.is_empty() { Err(format!("{name} holds no PEM certificate")) } else { Ok(found) }
}

/// What the caller shows of himself, where the server asks for a certificate.
fn own_certificate(environment: &Environment) -> Result<Option<Identity>, String> {
    let (Some(certificate), Some(key)) = (environment.path(CLIENT_CERT), environment.path(CLIENT_KEY)) else { return Ok(None) };
    let mut pem = Zeroizing::new(read(CLIENT_CERT, &certificate)?);
    pem.push(b'\n');
    pem.extend_from_slice(&Zeroizing::new(read(CLIENT_KEY, &key)?));
    Identity::from_pem(&pem).map(Some).map_err(|_| format!("{CLIENT_CERT} and {CLIENT_KEY} don't hold a PEM certificate and its key"))
}

fn read(name: &str, file: &Path) -> Result<Vec<u8>, String> {
    fs::read(file).map_err(|why| format!("{name}: {} can't be read: {why}", printable(&file.to_string_lossy())))
}

/// As Go reads a truth value.
fn is_true(environment: &Environment, name: &str) -> bool {
    environment.var(name).is_some_and(|value| ["1", "t", "T", "true", "TRUE", "True"].contains(&value.as_str()))
}

/// Seconds, or a number with its unit.
fn duration(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: f64 = digits.parse().ok().filter(|number: &f64| *number > 0.0)?;
    let unit = match &text[digits.len()..] {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number * unit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_or_have_a_unit() {
        let seconds = |text: &str| duration(text).map(|time| time.as_secs_f64());
        assert_eq!([seconds("60"), seconds("500ms"), seconds("2m")], [Some(60.0), Some(0.5), Some(120.0)]);
        assert_eq!([seconds("0"), seconds("x"), seconds("-1s"), seconds("5 parsecs"), seconds("1e400")], [None; 5]);
    }

    #[test]
    fn a_token_is_never_shown() {
        let token = token(&Environment::fixed([(TOKEN, "hvs.secret\n")])).ok().unwrap();
        assert_eq!((format!("{:?}", token.value), token.place.as_str()), ("Some(Sensitive)".to_owned(), "the token of VAULT_TOKEN"));
        let strange = token_refused("hvs.se\ncret");
        assert!(strange.contains("characters") && !strange.contains("cret"));
    }

    fn token_refused(text: &str) -> String {
        match token(&Environment::fixed([(TOKEN, text)])) {
            Err(Refusal::No { why, .. }) => why,
            _ => String::new(),
        }
    }
}
