//! Service principals: an application that proves itself to Entra ID with a secret, a certificate, or a token that another
//! authority gave the workload (RFC 7523), and gets a token of its own (RFC 6749, client credentials).

use std::fs;
use std::path::PathBuf;

use reqwest::Url;
use zeroize::Zeroizing;

use super::super::http_service::Asked;
use super::super::network::http;
use super::super::refusal::{Refusal, own_words};
use super::super::{Environment, Identities};
use super::certificate;
use super::challenge::Challenge;
use super::token::{self, Token};
use crate::error::printable;

const TENANT: &str = "AZURE_TENANT_ID";
const CLIENT: &str = "AZURE_CLIENT_ID";
const SECRET: &str = "AZURE_CLIENT_SECRET";
const CERTIFICATE: &str = "AZURE_CLIENT_CERTIFICATE_PATH";
const SEND_CHAIN: &str = "AZURE_CLIENT_SEND_CERTIFICATE_CHAIN";
const FEDERATED: &str = "AZURE_FEDERATED_TOKEN_FILE";
const MORE_TENANTS: &str = "AZURE_ADDITIONALLY_ALLOWED_TENANTS";
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How it proves itself.
enum Proof {
    Secret(Zeroizing<String>),
    Certificate(certificate::Signer),
    /// The file of another authority's token, which may be renewed at any time.
    Federated(PathBuf),
}

/// A service principal.
pub struct Principal {
    tenant: String,
    client: String,
    proof: Proof,
    more_tenants: Vec<String>,
}

impl Principal {
    /// The one of variables; else why there is none.
    pub fn of_environment(environment: &Environment) -> Result<Principal, String> {
        let set = |name: &str| environment.var(name).ok_or_else(|| format!("{name} isn't set"));
        let (tenant, client) = (set(TENANT)?, set(CLIENT)?);
        let proof = if let Some(secret) = environment.var(SECRET) {
            Proof::Secret(Zeroizing::new(secret))
        } else if let Some(file) = environment.path(CERTIFICATE) {
            let chain = environment.var(SEND_CHAIN).is_some_and(|value| value == "1" || value.eq_ignore_ascii_case("true"));
            Proof::Certificate(certificate::Signer::read(&file, chain).map_err(|why| format!("{CERTIFICATE}: {why}"))?)
        } else {
            return Err(format!("neither {SECRET} nor {CERTIFICATE} is set"));
        };
        Ok(Principal { tenant, client, proof, more_tenants: more_tenants(environment) })
    }

    /// The one that Kubernetes gives a pod (workload identity); else why there is none.
    pub fn of_workload(environment: &Environment) -> Result<Principal, String> {
        let set = |name: &str| environment.var(name).ok_or_else(|| format!("{name} isn't set"));
        let (client, file) = (set(CLIENT)?, environment.path(FEDERATED).ok_or_else(|| format!("{FEDERATED} isn't set"))?);
        Ok(Principal { tenant: set(TENANT)?, client, proof: Proof::Federated(file), more_tenants: more_tenants(environment) })
    }

    /// For people.
    pub fn who(&self) -> String {
        let proof = match self.proof {
            Proof::Secret(_) => SECRET,
            Proof::Certificate(_) => CERTIFICATE,
            Proof::Federated(_) => FEDERATED,
        };
        printable(&format!("the service principal {} ({proof})", self.client))
    }

    /// Asks the authority for a token.
    pub async fn token(&self, challenge: &Challenge, identities: &Identities) -> Asked<Token> {
        let endpoint = format!("{}/{}/oauth2/v2.0/token", challenge.authority, self.tenant_for(challenge)?);
        let trouble = |trouble| Refusal::trouble(&challenge.authority, trouble);
        let form = self.form(&endpoint, challenge)?;
        let request = identities.network().client().map_err(trouble)?.post(&endpoint);
        let request = request.header("Content-Type", "application/x-www-form-urlencoded").body(form.to_string());
        let reply = http::send(request).await.map_err(trouble)?;
        let found = if reply.status.is_success() { Token::read(&mut reply.json(), &self.who()) } else { None };
        found.ok_or_else(|| token::refused(&challenge.authority, &self.who(), &reply, self.next()))
    }

    /// The vault's tenant, if the principal may ask there: it would prove itself to whom the vault names.
    fn tenant_for<'t>(&'t self, challenge: &'t Challenge) -> Asked<&'t str> {
        let wanted = &challenge.tenant;
        if self.tenant.eq_ignore_ascii_case(wanted)
            || self.more_tenants.iter().any(|tenant| tenant == "*" || tenant.eq_ignore_ascii_case(wanted))
        {
            return Ok(wanted);
        }
        let why = format!("the vault is of tenant {wanted}, and {} of {}", self.who(), own_words(&self.tenant));
        Err(Refusal::no(why, format!("set {TENANT} to the vault's tenant, or add that to {MORE_TENANTS}")))
    }

    fn form(&self, endpoint: &str, challenge: &Challenge) -> Asked<Zeroizing<String>> {
        let scope = challenge.scope();
        let given = [("client_id", self.client.as_str()), ("scope", scope.as_str()), ("grant_type", "client_credentials")];
        let assertion = match &self.proof {
            Proof::Secret(secret) => return Ok(encoded(given.into_iter().chain([("client_secret", secret.as_str())]))),
            Proof::Certificate(signer) => {
                signer.assertion(&self.client, endpoint).map_err(|why| Refusal::no(format!("{CERTIFICATE}: {why}"), ""))?
            }
            Proof::Federated(file) => fs::read_to_string(file).map(Zeroizing::new).map_err(|why| unread(file, &why))?,
        };
        let proof = [("client_assertion_type", ASSERTION), ("client_assertion", assertion.trim())];
        Ok(encoded(given.into_iter().chain(proof)))
    }

    fn next(&self) -> &'static str {
        match self.proof {
            Proof::Secret(_) => "az ad app credential list shows which secrets still hold",
            Proof::Certificate(_) => "az ad app credential list --cert shows which certificates are known",
            Proof::Federated(_) => "az ad app federated-credential list shows which issuers and subjects are trusted",
        }
    }
}

fn unread(file: &std::path::Path, why: &std::io::Error) -> Refusal {
    Refusal::no(format!("{FEDERATED}: {} can't be read: {why}", printable(&file.to_string_lossy())), "")
}

fn more_tenants(environment: &Environment) -> Vec<String> {
    let list = environment.var(MORE_TENANTS).unwrap_or_default();
    list.split(';').map(|tenant| tenant.trim().to_owned()).filter(|tenant| !tenant.is_empty()).collect()
}

/// Pairs as a form has them.
pub fn encoded<'p>(pairs: impl Iterator<Item = (&'p str, &'p str)>) -> Zeroizing<String> {
    let url = Url::parse_with_params("https://form/", pairs);
    Zeroizing::new(url.ok().and_then(|url| url.query().map(str::to_owned)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<Principal, String> {
        Principal::of_environment(&Environment::fixed(variables.iter().copied()))
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(of(&[]).err().unwrap(), "AZURE_TENANT_ID isn't set");
        assert_eq!(of(&[(TENANT, "t")]).err().unwrap(), "AZURE_CLIENT_ID isn't set");
        assert_eq!(
            of(&[(TENANT, "t"), (CLIENT, "c")]).err().unwrap(),
            "neither AZURE_CLIENT_SECRET nor AZURE_CLIENT_CERTIFICATE_PATH is set"
        );
        assert_eq!(of(&[(TENANT, "t"), (CLIENT, "c"), (SECRET, "s")]).unwrap().who(), "the service principal c (AZURE_CLIENT_SECRET)");
    }

    #[test]
    fn a_principal_asks_in_its_own_tenant_only() {
        let challenge =
            |tenant: &str| Challenge { authority: "https://login".to_owned(), tenant: tenant.to_owned(), resource: String::new() };
        let asks = |more: &str, tenant: &str| {
            of(&[(TENANT, "own"), (CLIENT, "c"), (SECRET, "s"), (MORE_TENANTS, more)]).unwrap().tenant_for(&challenge(tenant)).is_ok()
        };
        assert!(asks("", "OWN") && !asks("", "other") && asks("a; other", "other") && asks("*", "other") && !asks("a", "other"));
    }

    #[test]
    fn forms_are_encoded() {
        assert_eq!(*encoded([("a", "x y&z"), ("b", "ü=")].into_iter()), "a=x+y%26z&b=%C3%BC%3D");
    }
}
