//! Who asks: identities and clients, each made once a run and shared by all threads.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use aws_config::{Region, SdkConfig};
use aws_sdk_kms::Client;
use aws_sdk_kms::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_kms::config::timeout::TimeoutConfig;
use aws_sdk_kms::config::{Builder, ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_kms::error::BoxError;
use tokio::sync::OnceCell;

use super::refusal::{Asked, Refusal};
use super::{Key, credentials};
use crate::error::printable;
use crate::recipient::network::{CONNECT, Clock, REPLY};
use crate::recipient::{Identities, held};

/// Where no better name is known.
pub const MACHINE: &str = "this machine's own identity";
/// AWS's service for roles and tokens, among the counted calls.
const STS: &str = "AWS STS";

/// Where credentials come from.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// A profile, and nothing else.
    Profile(String),
    /// What the SDK finds: variables, profiles, web identity, container, instance.
    Machine,
}

/// One who can ask.
pub struct Identity {
    /// For people.
    pub name: String,
    /// The id of the access key that it all started with: the same one needn't be asked as twice.
    pub access_key: String,
    who: Who,
    config: SdkConfig,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Who {
    source: Source,
    role: Option<String>,
}

type Found = Result<Arc<Identity>, Refusal>;

/// Identities, and clients by identity and region. What couldn't be had isn't asked for again.
#[derive(Default)]
pub struct Clients {
    identities: Mutex<HashMap<Who, Arc<OnceCell<Found>>>>,
    clients: Mutex<HashMap<(Who, String), Client>>,
}

impl Clients {
    /// The identity of a source, in the role that the key names.
    pub async fn identity(&self, source: &Source, key: &Key, identities: &Identities) -> Found {
        let base = self.once(source, None, self::base(source, key, identities)).await?;
        match &key.role {
            None => Ok(base),
            Some(role) => self.once(source, Some(role), in_role(&base, role, key, identities)).await,
        }
    }

    async fn once(&self, source: &Source, role: Option<&String>, find: impl Future<Output = Found>) -> Found {
        let who = Who { source: source.clone(), role: role.cloned() };
        let cell = Arc::clone(held(&self.identities).entry(who).or_default());
        cell.get_or_init(|| find).await.clone()
    }

    /// The client for a region.
    pub fn client(&self, identity: &Identity, region: &str, clock: &Arc<Clock>) -> Client {
        let mut clients = held(&self.clients);
        clients.entry((identity.who.clone(), region.to_owned())).or_insert_with(|| client(&identity.config, region, clock)).clone()
    }
}

async fn base(source: &Source, key: &Key, identities: &Identities) -> Found {
    let environment = identities.environment();
    let (config, found) = match credentials::load(source, &Region::new(key.region.clone()), environment).await {
        Ok(found) => found,
        Err(error) => return Err(Refusal::of_credentials(&error, source, environment)),
    };
    let who = Who { source: source.clone(), role: None };
    let name = credentials::name(source, &found, environment);
    Ok(Arc::new(Identity { name, access_key: found.access_key_id().to_owned(), who, config }))
}

async fn in_role(base: &Identity, role: &str, key: &Key, identities: &Identities) -> Found {
    identities.network().count(STS, &base.name);
    let (config, _) = match credentials::assume(&base.config, role, &Region::new(key.region.clone())).await {
        Ok(found) => found,
        Err(error) => return Err(Refusal::of_role(&error, Asked::Role(role.to_owned()), &base.name)),
    };
    let who = Who { source: base.who.source.clone(), role: Some(role.to_owned()) };
    let name = format!("{}, assumed by {}", printable(role), base.name);
    Ok(Arc::new(Identity { name, access_key: base.access_key.clone(), who, config }))
}

/// A client with the bounds of all services; it shares credentials with those for other regions.
fn client(config: &SdkConfig, region: &str, clock: &Arc<Clock>) -> Client {
    let bounds = TimeoutConfig::builder().connect_timeout(CONNECT).read_timeout(REPLY).operation_attempt_timeout(CONNECT + REPLY);
    // What isn't set would stay as it is for signing in.
    let bounds = bounds.disable_operation_timeout().build();
    let config = Builder::from(config)
        .region(Region::new(region.to_owned()))
        .timeout_config(bounds)
        .retry_config(credentials::retries())
        .interceptor(Hearing(Arc::clone(clock)));
    Client::from_conf(config.build())
}

/// Notes what answers say of the time.
#[derive(Debug)]
struct Hearing(Arc<Clock>);

impl Intercept for Hearing {
    fn name(&self) -> &'static str {
        "clock"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(date) = context.response().headers().get("date") {
            self.0.heard(date);
        }
        Ok(())
    }
}
