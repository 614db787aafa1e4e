//! Managed identities: what Azure lends to the machine, app or shell that this runs in. A server next door gives tokens to
//! whoever can reach it, so it is asked directly, never through a proxy.

use reqwest::{Client, RequestBuilder, Url};
use serde_json::Value as Json;

use super::super::http_service::Asked;
use super::super::network::METADATA;
use super::super::network::http::{self, Reply};
use super::super::refusal::Refusal;
use super::super::{Environment, Identities};
use super::challenge::Challenge;
use super::credentials::Given;
use super::service_principal::encoded;
use super::token::{self, Token};
use crate::error::printable;

const APP_ENDPOINT: &str = "IDENTITY_ENDPOINT";
const APP_HEADER: &str = "IDENTITY_HEADER";
const FABRIC: &str = "IDENTITY_SERVER_THUMBPRINT";
const SHELL_ENDPOINT: &str = "MSI_ENDPOINT";
const ML_SECRET: &str = "MSI_SECRET";
const ML_CLIENT: &str = "DEFAULT_IDENTITY_CLIENT_ID";
const ARC: &str = "IMDS_ENDPOINT";
const MACHINE_HOST: &str = "AZURE_POD_IDENTITY_AUTHORITY_HOST";
const MACHINE: &str = "http://169.254.169.254";
const MACHINE_PATH: &str = "/metadata/identity/oauth2/token";
/// A user-assigned identity; else the machine's own is meant.
const CLIENT: &str = "AZURE_CLIENT_ID";

/// Where the identity comes from.
enum Source {
    /// App Service, Functions, Container Apps.
    App { endpoint: String, header: String },
    /// Azure Machine Learning.
    Ml { endpoint: String, secret: String },
    /// Cloud Shell.
    Shell { endpoint: String },
    /// A virtual machine or a node: the instance metadata service.
    Machine { host: String },
    /// One that isn't supported.
    Other(&'static str),
}

impl Source {
    /// Told apart as Azure's own clients do.
    fn of(environment: &Environment) -> Source {
        let endpoint = environment.var(APP_ENDPOINT);
        match (&endpoint, environment.var(APP_HEADER), environment.var(SHELL_ENDPOINT), environment.var(ML_SECRET)) {
            (Some(_), Some(_), ..) if environment.var(FABRIC).is_some() => Source::Other("Service Fabric"),
            (Some(endpoint), Some(header), ..) => Source::App { endpoint: endpoint.clone(), header },
            (_, _, Some(endpoint), Some(secret)) => Source::Ml { endpoint, secret },
            (_, _, Some(endpoint), None) => Source::Shell { endpoint },
            (Some(_), ..) if environment.var(ARC).is_some() => Source::Other("Azure Arc"),
            _ => Source::Machine { host: environment.var(MACHINE_HOST).unwrap_or_else(|| MACHINE.to_owned()) },
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Source::App { .. } => "this app",
            Source::Ml { .. } => "this computation",
            Source::Shell { .. } => "this shell",
            Source::Machine { .. } => "this machine",
            Source::Other(name) => name,
        }
    }

    fn endpoint(&self) -> String {
        match self {
            Source::App { endpoint, .. } | Source::Ml { endpoint, .. } | Source::Shell { endpoint } => endpoint.clone(),
            Source::Machine { host } => format!("{}{MACHINE_PATH}", host.trim_end_matches('/')),
            Source::Other(_) => String::new(),
        }
    }

    /// The request for a token, and who asks.
    fn request(&self, client: &Client, resource: &str, environment: &Environment) -> Option<RequestBuilder> {
        let id = environment.var(CLIENT);
        let url = |version: &str, id_name: &str, id: Option<String>| {
            let given = [("api-version", version), ("resource", resource)].into_iter();
            Url::parse_with_params(&self.endpoint(), given.chain(id.as_deref().map(|id| (id_name, id)))).ok()
        };
        Some(match self {
            Source::App { header, .. } => client.get(url("2019-08-01", "client_id", id)?).header("X-IDENTITY-HEADER", header),
            Source::Ml { secret, .. } => {
                client.get(url("2017-09-01", "clientid", id.or_else(|| environment.var(ML_CLIENT)))?).header("secret", secret)
            }
            Source::Shell { endpoint } => client
                .post(Url::parse(endpoint).ok()?)
                .header("Metadata", "true")
                .header("Content-Type", "application/x-www-form-urlencoded")
                .body(encoded([("resource", resource)].into_iter()).to_string()),
            Source::Machine { .. } => client.get(url("2018-02-01", "client_id", id)?).header("Metadata", "true"),
            Source::Other(_) => return None,
        })
    }
}

/// A token of the identity; nothing if there is none here. `alone`: no other way comes after it, so it isn't only probed.
pub async fn token(challenge: &Challenge, identities: &Identities, alone: bool) -> Asked<Given> {
    let source = Source::of(identities.environment());
    let client = identities.network().direct_client().map_err(|why| Refusal::trouble(&source.endpoint(), why))?;
    let Some(request) = source.request(client, &challenge.resource, identities.environment()) else {
        return Ok(Given::Nothing(match source {
            Source::Other(name) => format!("the identity of {name} isn't supported"),
            _ => format!("{} is no address", printable(&source.endpoint())),
        }));
    };
    if matches!(source, Source::Machine { .. }) {
        // It answers all who ask it, be it with a complaint.
        if let Err(trouble) = http::probe(client.get(source.endpoint()), METADATA).await {
            return Ok(Given::Nothing(format!("no metadata server: {}", trouble.why())));
        }
    }
    let who = who(&source, identities.environment());
    let reply = http::send(request).await.map_err(|trouble| Refusal::trouble(&source.endpoint(), trouble))?;
    read(&source, &reply, &who, alone, identities.environment())
}

fn read(source: &Source, reply: &Reply, who: &str, alone: bool, environment: &Environment) -> Asked<Given> {
    let mut json = reply.json();
    if let Some(token) = Token::read(&mut json, who).filter(|_| reply.status.is_success()) {
        return Ok(Given::Token(token));
    }
    let nobodys = match reply.status.as_u16() {
        _ if !matches!(source, Source::Machine { .. }) || alone => false,
        // Something else at that address, such as the proxy of containers on a desktop.
        _ if json == Json::Null => true,
        // A machine without an identity, unless one was asked for by name.
        400 => environment.var(CLIENT).is_none(),
        _ => false,
    };
    if nobodys {
        return Ok(Given::Nothing(format!("{}: {}", printable(&source.endpoint()), token::words(reply))));
    }
    let next = format!("az identity list shows what can be assigned to {}; {CLIENT} names one of several", source.name());
    Err(token::refused(&printable(&source.endpoint()), who, reply, &next))
}

fn who(source: &Source, environment: &Environment) -> String {
    let id = environment.var(CLIENT).filter(|_| !matches!(source, Source::Shell { .. })).map(|id| format!(" {}", printable(&id)));
    format!("the managed identity{} of {}", id.unwrap_or_default(), source.name())
}

/// What is set up, without asking anybody.
pub fn looked(environment: &Environment) -> String {
    match Source::of(environment) {
        Source::Other(name) => format!("the identity of {name} isn't supported"),
        source @ Source::Machine { .. } => format!("{}, if {} answers", who(&source, environment), printable(&source.endpoint())),
        source => format!("{} at {}", who(&source, environment), printable(&source.endpoint())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_told_apart_as_by_azures_clients() {
        let name = |variables: &[(&str, &str)]| Source::of(&Environment::fixed(variables.iter().copied())).name();
        assert_eq!(name(&[]), "this machine");
        assert_eq!(name(&[(APP_ENDPOINT, "http://e"), (APP_HEADER, "h")]), "this app");
        assert_eq!(name(&[(APP_ENDPOINT, "http://e"), (APP_HEADER, "h"), (FABRIC, "f")]), "Service Fabric");
        assert_eq!(name(&[(SHELL_ENDPOINT, "http://e")]), "this shell");
        assert_eq!(name(&[(SHELL_ENDPOINT, "http://e"), (ML_SECRET, "s")]), "this computation");
        assert_eq!(name(&[(APP_ENDPOINT, "http://e"), (ARC, "http://i")]), "Azure Arc");
    }
}
