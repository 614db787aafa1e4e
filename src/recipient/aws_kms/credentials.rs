//! Credentials: how the SDK is told to find them, and how long it may take.

use std::time::{Duration, SystemTime};

use aws_config::identity::IdentityCache;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::credential_feature::AwsCredentialFeature as Feature;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_sdk_kms::config::SharedHttpClient;

use super::identity::Source;
use super::surroundings::CONTAINER;
use super::{connection, session};
use crate::error::printable;
use crate::recipient::Environment;
use crate::recipient::network::{CONNECT, PAUSE, TRIES};

/// A call that gets credentials from AWS, all its tries included: with a metadata server that isn't there it is over
/// within 5 s. KMS itself has longer.
const SIGN_IN: Duration = Duration::from_secs(4);
/// A command for credentials may ask a person.
const PATIENCE: Duration = Duration::from_secs(300);
const OF_CONTAINER: &str = "the role of the container";
/// Credentials that expire within this time aren't used any more.
const MARGIN: Duration = Duration::from_secs(60);

/// The settings and credentials of a source, with the first credentials that it gave. The latest behaviour of the SDK
/// is asked for: earlier ones know no proxies.
pub async fn load(source: &Source, region: &Region, environment: &Environment) -> Result<(SdkConfig, Credentials), CredentialsError> {
    let client = connection::client();
    let loader = aws_config::defaults(BehaviorVersion::latest()).region(region.clone()).retry_config(retries()).timeout_config(bounds());
    let loader = loader.http_client(client.clone());
    let config = match source {
        Source::Machine => loader.load().await,
        Source::Profile(name) => loader.profile_name(name).credentials_provider(of_profile(name, region, client)).load().await,
    };
    let provider = config.credentials_provider().ok_or_else(|| CredentialsError::not_loaded("none is set up"))?;
    // The SDK holds tries at a container's endpoint to no bound of ours.
    let in_container = CONTAINER.iter().any(|variable| environment.var(variable).is_some());
    let patience = if in_container { SIGN_IN } else { PATIENCE };
    tokio::time::timeout(patience, keep(config, provider)).await.unwrap_or_else(|_| Err(CredentialsError::provider_timed_out(patience)))
}

/// The same as `role`, which `base` may take.
pub async fn assume(base: &SdkConfig, role: &str, region: &Region) -> Result<(SdkConfig, Credentials), CredentialsError> {
    let provider = AssumeRoleProvider::builder(role).session_name(session::name()).region(region.clone()).configure(base).build().await;
    keep(base.clone(), SharedCredentialsProvider::new(provider)).await
}

/// The profile alone. The SDK's chain would prefer variables to it, unlike SOPS.
fn of_profile(name: &str, region: &Region, client: SharedHttpClient) -> ProfileFileCredentialsProvider {
    let config = ProviderConfig::without_region()
        .with_behavior_version(Some(BehaviorVersion::latest()))
        .with_region(Some(region.clone()))
        .with_http_client(client)
        .with_retry_config(retries())
        .with_timeout_config(bounds());
    ProfileFileCredentialsProvider::builder().configure(&config).profile_name(name).build()
}

fn bounds() -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(CONNECT).operation_timeout(SIGN_IN).build()
}

/// Tries and pauses as with all other services.
pub fn retries() -> RetryConfig {
    RetryConfig::standard().with_max_attempts(TRIES).with_initial_backoff(PAUSE)
}

/// Asks once now, so that a failure is told apart from one of KMS; what comes is used until it expires.
async fn keep(config: SdkConfig, provider: SharedCredentialsProvider) -> Result<(SdkConfig, Credentials), CredentialsError> {
    let credentials = provider.provide_credentials().await?;
    let kept = Kept { first: credentials.clone(), provider };
    let config = config
        .into_builder()
        .credentials_provider(SharedCredentialsProvider::new(kept))
        .identity_cache(IdentityCache::lazy().load_timeout(PATIENCE).build())
        .build();
    Ok((config, credentials))
}

#[derive(Debug)]
struct Kept {
    first: Credentials,
    provider: SharedCredentialsProvider,
}

impl ProvideCredentials for Kept {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        match self.first.expiry() {
            Some(end) if end < SystemTime::now() + MARGIN => self.provider.provide_credentials(),
            _ => future::ProvideCredentials::ready(Ok(self.first.clone())),
        }
    }
}

/// Whose credentials they are, for people.
pub fn name(source: &Source, credentials: &Credentials, environment: &Environment) -> String {
    let features = credentials.get_property::<Vec<Feature>>();
    let has = |feature: &Feature| features.is_some_and(|features| features.contains(feature));
    let variable = |name: &str| environment.var(name).map(|value| printable(&value));
    match source {
        Source::Profile(name) => format!("profile {}", printable(name)),
        Source::Machine if has(&Feature::CredentialsProfile) => {
            format!("profile {}", variable("AWS_PROFILE").unwrap_or_else(|| "default".to_owned()))
        }
        Source::Machine if has(&Feature::CredentialsEnvVars) => "environment variables".to_owned(),
        Source::Machine if has(&Feature::CredentialsProfileStsWebIdToken) => web_identity(environment),
        Source::Machine if has(&Feature::CredentialsHttp) => OF_CONTAINER.to_owned(),
        Source::Machine if has(&Feature::CredentialsImds) => "the role of the instance".to_owned(),
        Source::Machine => super::identity::MACHINE.to_owned(),
    }
}

/// Who it would have been, where credentials couldn't be had. The SDK doesn't say which of its ways failed; those that are
/// set up here are likely.
pub fn likely(source: &Source, environment: &Environment) -> String {
    match source {
        Source::Profile(name) => format!("profile {}", printable(name)),
        Source::Machine if environment.var("AWS_WEB_IDENTITY_TOKEN_FILE").is_some() => web_identity(environment),
        Source::Machine if CONTAINER.iter().any(|variable| environment.var(variable).is_some()) => OF_CONTAINER.to_owned(),
        Source::Machine => super::identity::MACHINE.to_owned(),
    }
}

/// The role that a token of the platform stands for (IRSA, GitHub's OIDC).
fn web_identity(environment: &Environment) -> String {
    format!("web identity ({})", environment.var("AWS_ROLE_ARN").map_or_else(|| "no role".to_owned(), |role| printable(&role)))
}
