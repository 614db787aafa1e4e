//! Who this machine is for Azure: the ways to a token, in the order of Azure's own clients for Go.
//!
//! A way that isn't set up is passed over; one that is set up and refused ends the search, so that nobody acts as someone
//! else by mistake. `AZURE_TOKEN_CREDENTIALS` chooses among them.

use super::super::http_service::Asked;
use super::super::refusal::{Refusal, own_words};
use super::super::{Environment, Identities, Looked};
use super::challenge::Challenge;
use super::service_principal::Principal;
use super::token::Token;
use super::{azure_cli, managed_identity};

const CHOICE: &str = "AZURE_TOKEN_CREDENTIALS";

/// What a way gives that isn't refused.
pub enum Given {
    /// A token.
    Token(Token),
    /// It isn't set up here: why.
    Nothing(String),
}

/// A way to a token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    Environment,
    WorkloadIdentity,
    ManagedIdentity,
    AzureCli,
    AzureDeveloperCli,
    AzurePowerShell,
}

/// By their names, in the order they are tried in.
const WAYS: [(&str, Way); 6] = [
    ("EnvironmentCredential", Way::Environment),
    ("WorkloadIdentityCredential", Way::WorkloadIdentity),
    ("ManagedIdentityCredential", Way::ManagedIdentity),
    ("AzureCLICredential", Way::AzureCli),
    ("AzureDeveloperCLICredential", Way::AzureDeveloperCli),
    ("AzurePowerShellCredential", Way::AzurePowerShell),
];
/// Those that people have, not machines.
const DEVELOPERS: usize = 3;

/// The ways that the environment leaves open.
fn chosen(environment: &Environment) -> Asked<&'static [(&'static str, Way)]> {
    let Some(choice) = environment.var(CHOICE) else { return Ok(&WAYS) };
    let (machines, people) = WAYS.split_at(WAYS.len() - DEVELOPERS);
    match choice.as_str() {
        "prod" => return Ok(machines),
        "dev" => return Ok(people),
        _ => {}
    }
    let found = WAYS.iter().position(|(name, _)| name.eq_ignore_ascii_case(&choice));
    found.and_then(|at| WAYS.get(at..=at)).ok_or_else(|| {
        let names: Vec<&str> = WAYS.iter().map(|(name, _)| *name).collect();
        Refusal::no(format!("{CHOICE} can't be {}", own_words(&choice)), format!("expected dev, prod, or one of {}", names.join(", ")))
    })
}

/// A token for what a vault wants.
pub async fn token(challenge: &Challenge, identities: &Identities) -> Asked<Token> {
    let ways = chosen(identities.environment())?;
    let mut missing = Vec::new();
    for (name, way) in ways {
        match way.token(challenge, identities, ways.len() == 1).await? {
            Given::Token(token) => return Ok(token),
            Given::Nothing(why) => missing.push(format!("{name}: {why}")),
        }
    }
    Err(Refusal::NoIdentity(format!("no identity of Azure is at hand ({})", missing.join("; "))))
}

impl Way {
    /// `alone`: there is no other way to go on with.
    async fn token(self, challenge: &Challenge, identities: &Identities, alone: bool) -> Asked<Given> {
        let environment = identities.environment();
        match self {
            Way::Environment => of_principal(Principal::of_environment(environment), challenge, identities).await,
            Way::WorkloadIdentity => of_principal(Principal::of_workload(environment), challenge, identities).await,
            Way::ManagedIdentity => managed_identity::token(challenge, identities, alone).await,
            Way::AzureCli => azure_cli::token(challenge, identities).await,
            Way::AzureDeveloperCli | Way::AzurePowerShell => Ok(Given::Nothing("not supported".to_owned())),
        }
    }

    /// What is set up of it, without asking anybody.
    fn looked(self, identities: &Identities) -> String {
        let environment = identities.environment();
        let principal = |principal: Result<Principal, String>| principal.map_or_else(|why| why, |principal| principal.who());
        match self {
            Way::Environment => principal(Principal::of_environment(environment)),
            Way::WorkloadIdentity => principal(Principal::of_workload(environment)),
            Way::ManagedIdentity => managed_identity::looked(environment),
            Way::AzureCli => azure_cli::looked(identities),
            Way::AzureDeveloperCli | Way::AzurePowerShell => "not supported".to_owned(),
        }
    }
}

async fn of_principal(principal: Result<Principal, String>, challenge: &Challenge, identities: &Identities) -> Asked<Given> {
    match principal {
        Ok(principal) => principal.token(challenge, identities).await.map(Given::Token),
        Err(why) => Ok(Given::Nothing(why)),
    }
}

/// What is set up, way by way.
pub fn looked(identities: &Identities) -> Vec<Looked> {
    match chosen(identities.environment()) {
        Ok(ways) => ways.iter().map(|(name, way)| Looked { place: (*name).to_owned(), found: way.looked(identities) }).collect(),
        Err(_) => vec![Looked { place: CHOICE.to_owned(), found: "names no way to a token".to_owned() }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_choice_is_read_as_by_azures_clients() {
        let chosen =
            |choice: &str| chosen(&Environment::fixed([(CHOICE, choice)])).map(|ways| ways.iter().map(|(_, way)| *way).collect::<Vec<_>>());
        assert_eq!(chosen("").unwrap().len(), WAYS.len());
        assert_eq!(chosen("prod").unwrap(), [Way::Environment, Way::WorkloadIdentity, Way::ManagedIdentity]);
        assert_eq!(chosen("dev").unwrap(), [Way::AzureCli, Way::AzureDeveloperCli, Way::AzurePowerShell]);
        assert_eq!(chosen("azurecliCREDENTIAL").unwrap(), [Way::AzureCli]);
        assert!(chosen("Dev").is_err() && chosen("none").is_err());
    }
}
