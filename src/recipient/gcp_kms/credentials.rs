//! As whom GCP is asked: identities in SOPS's order, `GOOGLE_CREDENTIALS` (a file or its text), `GOOGLE_OAUTH_ACCESS_TOKEN`, then
//! Google's application default credentials.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value as Json;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::{metadata_server, token};
use crate::error::printable;
use crate::recipient::refusal::Refusal;
use crate::recipient::{Environment, Identities, Looked};

const CREDENTIALS: &str = "GOOGLE_CREDENTIALS";
const TOKEN: &str = "GOOGLE_OAUTH_ACCESS_TOKEN";
const DEFAULT: &str = "GOOGLE_APPLICATION_CREDENTIALS";

/// An identity with a token of its own.
pub struct Session {
    /// Whose it is, for people.
    pub identity: String,
    /// The project that pays for the calls, if it isn't the key's.
    pub quota_project: Option<String>,
    /// The cloud that the identity belongs to, if it says so.
    pub universe: Option<String>,
    pub token: Zeroizing<String>,
    renewable: bool,
}

impl Session {
    #[cfg(test)]
    pub fn of_token(token: &str, universe: Option<&str>) -> Session {
        let (token, universe) = (Zeroizing::new(token.to_owned()), universe.map(str::to_owned));
        Session { identity: TOKEN.to_owned(), quota_project: None, universe, token, renewable: false }
    }

    /// Whether there may be another token for the same identity.
    pub fn is_renewable(&self) -> bool {
        self.renewable
    }
}

/// The session of a run, or why there is none: looked for once, however many ask.
#[derive(Default)]
pub struct Sessions(Mutex<Option<Result<Arc<Session>, Refusal>>>);

impl Sessions {
    /// The session, begun by the first who asks.
    pub async fn current(&self, identities: &Identities) -> Result<Arc<Session>, Refusal> {
        let mut held = self.0.lock().await;
        match held.as_ref() {
            Some(known) => known.clone(),
            None => held.insert(begin(identities).await.map(Arc::new)).clone(),
        }
    }

    /// One with a newer token than `old`: the one that another has begun meanwhile, or a new one.
    pub async fn renewed(&self, old: &Arc<Session>, identities: &Identities) -> Result<Arc<Session>, Refusal> {
        let mut held = self.0.lock().await;
        match held.as_ref() {
            Some(Ok(current)) if !Arc::ptr_eq(current, old) => Ok(Arc::clone(current)),
            _ => held.insert(begin(identities).await.map(Arc::new)).clone(),
        }
    }
}

/// Where an identity comes from.
enum Source {
    Token(Zeroizing<String>),
    /// The place for people, and the credentials.
    Json(String, Json),
    Metadata,
}

async fn begin(identities: &Identities) -> Result<Session, Refusal> {
    let environment = identities.environment();
    let payer = environment.var("GOOGLE_CLOUD_QUOTA_PROJECT");
    match source(environment)? {
        Source::Token(token) => Ok(Session { identity: TOKEN.to_owned(), quota_project: payer, universe: None, token, renewable: false }),
        Source::Json(place, json) => {
            let text = |name: &str| json.get(name).and_then(Json::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
            let (identity, quota_project, universe) =
                (named(&json, &place), payer.or_else(|| text("quota_project_id")), text("universe_domain"));
            let token = token::of(json, &identity, &place, identities).await?;
            Ok(Session { identity, quota_project, universe, token, renewable: true })
        }
        Source::Metadata => {
            let (identity, token) = metadata_server::token(identities).await?;
            Ok(Session { identity, quota_project: payer, universe: None, token, renewable: true })
        }
    }
}

fn source(environment: &Environment) -> Result<Source, Refusal> {
    if let Some(set) = environment.var(CREDENTIALS) {
        let file = Path::new(&set);
        return if file.is_file() { read(file, CREDENTIALS) } else { parse(CREDENTIALS.to_owned(), &set) };
    }
    if let Some(token) = environment.var(TOKEN) {
        return Ok(Source::Token(Zeroizing::new(token.trim().to_owned())));
    }
    match (environment.path(DEFAULT), default_file(environment).filter(|file| file.is_file())) {
        (Some(file), _) => read(&file, DEFAULT),
        (None, Some(file)) => read(&file, "application default credentials"),
        (None, None) => Ok(Source::Metadata),
    }
}

/// What `gcloud auth application-default login` writes.
fn default_file(environment: &Environment) -> Option<PathBuf> {
    let folder = if cfg!(windows) { environment.path("APPDATA")? } else { environment.home()?.join(".config") };
    Some(folder.join("gcloud/application_default_credentials.json"))
}

fn read(file: &Path, place: &str) -> Result<Source, Refusal> {
    let place = format!("{place} ({})", file.display());
    match std::fs::read_to_string(file).map(Zeroizing::new) {
        Ok(text) => parse(place, &text),
        Err(why) => Err(Refusal::no(format!("{place} can't be read: {why}"), "name a file with credentials, or unset the variable")),
    }
}

/// The position of a mistake is named, never the text.
fn parse(place: String, text: &str) -> Result<Source, Refusal> {
    match serde_json::from_str::<Json>(text) {
        Ok(json) if json.is_object() => Ok(Source::Json(place, json)),
        _ => Err(Refusal::no(
            format!("{place} holds no credentials"),
            "expected the JSON of a service account, a user or an external account, or the path of a file with it",
        )),
    }
}

/// Whose credentials these are, for people.
fn named(json: &Json, place: &str) -> String {
    let text = |name: &str| json.get(name).and_then(Json::as_str).filter(|text| !text.is_empty());
    let impersonated = text("service_account_impersonation_url").and_then(|url| url.rsplit('/').next()?.split(':').next());
    let account = text("client_email").or(impersonated).or_else(|| text("account")).map(str::to_owned);
    let federated =
        || text("audience").map(|audience| format!("workload identity {}", audience.trim_start_matches("//iam.googleapis.com/")));
    printable(&account.or_else(federated).unwrap_or_else(|| format!("the user of {place}")))
}

/// What is there, place by place; nothing is asked.
pub fn looked(environment: &Environment) -> Vec<Looked> {
    let found = |place: &str| match source(environment) {
        Ok(Source::Json(from, json)) if from.starts_with(place) => Some(named(&json, &from)),
        Err(refusal) => Some(refusal.to_string()),
        _ => None,
    };
    let variable = |name: &str, found: Option<String>| {
        let found = environment.var(name).map_or_else(|| "not set".to_owned(), |_| found.unwrap_or_else(|| "set".to_owned()));
        Looked { place: name.to_owned(), found }
    };
    let file = default_file(environment).map(|file| {
        let found = if file.is_file() { "there" } else { "not there" };
        Looked { place: file.display().to_string(), found: found.to_owned() }
    });
    let mut looked = vec![variable(CREDENTIALS, found(CREDENTIALS)), variable(TOKEN, None), variable(DEFAULT, found(DEFAULT))];
    looked.extend(file);
    looked.push(Looked {
        place: "metadata server".to_owned(),
        found: format!("asked at {} when nothing else is there", metadata_server::host(environment)),
    });
    looked
}

/// Nothing at all was found, and no metadata server either.
pub fn nothing(metadata_server: &str) -> Refusal {
    Refusal::NoIdentity(format!("no Google credentials on this machine, and no metadata server: {metadata_server}"))
}
