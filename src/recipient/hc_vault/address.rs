//! Which servers may have the token: those of `SOPS_HC_VAULT_ALLOWLIST`; where that isn't set, `VAULT_ADDR` and those that
//! the committed configuration names. A file names a server, too, but whoever writes the file could name his own.

use reqwest::Url;

use super::super::refusal::Refusal;
use super::super::{Environment, Identities};
use crate::error::printable;

const ALLOWLIST: &str = "SOPS_HC_VAULT_ALLOWLIST";
const VAULT_ADDR: &str = "VAULT_ADDR";

/// Lets `address` pass if it may have the token.
pub fn admit(address: &str, identities: &Identities) -> Result<(), Refusal> {
    let environment = identities.environment();
    if let Some(list) = environment.var(ALLOWLIST) {
        return if allows(&list, address)? { Ok(()) } else { Err(not_listed(address)) };
    }
    if is_of_environment(address, environment) || identities.trust().recipients().iter().any(|recipient| same_server(recipient, address)) {
        return Ok(());
    }
    if identities.trust().is_everywhere() {
        identities
            .warn(format!("the Vault token goes to {}, which only the file names; {ALLOWLIST} limits where it may go", printable(address)));
        return Ok(());
    }
    Err(not_vouched_for(address))
}

/// Whether `address` is the one that the environment names.
pub fn is_of_environment(address: &str, environment: &Environment) -> bool {
    environment.var(VAULT_ADDR).is_some_and(|named| same_server(&named, address))
}

/// As sops reads its allowlist: `all`, `none`, or addresses with commas, each of which lets pass what begins like it.
fn allows(list: &str, address: &str) -> Result<bool, Refusal> {
    match list {
        "all" => return Ok(true),
        "none" => return Ok(false),
        _ => {}
    }
    let address = format!("{}/", address.trim_end_matches('/'));
    let entries: Vec<&str> = list.split(',').map(|entry| entry.trim_matches(' ')).collect();
    if let Some(at) = entries.iter().position(|entry| entry.is_empty()) {
        return Err(Refusal::no(format!("{ALLOWLIST}'s entry {} is empty", at + 1), "take out the comma that is too much"));
    }
    Ok(entries.iter().any(|entry| address.starts_with(&format!("{}/", entry.strip_suffix('/').unwrap_or(entry)))))
}

/// Scheme, host and port are the same; no scheme but those of the web has an origin.
fn same_server(a: &str, b: &str) -> bool {
    match (Url::parse(a), Url::parse(b)) {
        (Ok(a), Ok(b)) => a.origin().is_tuple() && a.origin() == b.origin(),
        _ => false,
    }
}

fn not_listed(address: &str) -> Refusal {
    let why = format!("the token isn't sent to {}: {ALLOWLIST} doesn't allow it", printable(address));
    Refusal::no(why, plain(address).map(|address| format!("if it is yours, add {address} to {ALLOWLIST}")).unwrap_or_default())
}

fn not_vouched_for(address: &str) -> Refusal {
    let why =
        format!("the token isn't sent to {}: only the file names it, neither {VAULT_ADDR} nor a committed .sops.yaml", printable(address));
    Refusal::no(why, plain(address).map(|address| format!("if it is yours: export {VAULT_ADDR}={address}")).unwrap_or_default())
}

/// The server in a form that can stand in a line to paste.
fn plain(address: &str) -> Option<String> {
    let origin = Url::parse(address).ok()?.origin().ascii_serialization();
    let plain = origin.chars().all(|c| c.is_ascii_alphanumeric() || ":/.-[]_".contains(c));
    plain.then_some(origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "https://vault.example.com:8200";

    fn admitted(variables: &[(&str, &str)], committed: &[&str], address: &str) -> bool {
        let committed: Vec<String> = committed.iter().map(|text| (*text).to_owned()).collect();
        let identities = Identities::new(Environment::fixed(variables.iter().copied())).trusting(false, move || committed.clone());
        admit(address, &identities).is_ok()
    }

    #[test]
    fn somebody_other_than_the_file_must_name_the_server() {
        assert!(!admitted(&[], &[], OURS));
        assert!(admitted(&[(VAULT_ADDR, "https://vault.example.com:8200/")], &[], OURS));
        assert!(admitted(&[], &["https://vault.example.com:8200/v1/transit/keys/k"], OURS));
        for other in [
            "http://vault.example.com:8200",
            "https://vault.example.com",
            "https://vault.example.com.evil:8200",
            "https://vault.example.com:8200@evil",
        ] {
            assert!(!admitted(&[(VAULT_ADDR, OURS)], &[OURS], other), "{other}");
        }
    }

    #[test]
    fn an_allowlist_decides_alone() {
        let listed = |list: &str, address: &str| admitted(&[(ALLOWLIST, list), (VAULT_ADDR, OURS)], &[OURS], address);
        assert!(listed("all", "http://anywhere") && !listed("none", OURS));
        assert!(listed("https://a, https://vault.example.com:8200", OURS) && listed("https://vault.example.com:8200/", OURS));
        assert!(!listed("https://vault", OURS) && !listed("https://vault.example.com:8200", "https://vault.example.com:82000"));
        assert!(!listed("https://vault.example.com:8200,", OURS), "an empty entry is a mistake, as in sops");
    }

    #[test]
    fn what_is_to_be_pasted_is_harmless() {
        assert_eq!(plain("https://v:8200/x").as_deref(), Some("https://v:8200"));
        assert_eq!(plain("https://v;rm"), None);
        assert_eq!(plain("https://$(x)"), None);
    }
}
