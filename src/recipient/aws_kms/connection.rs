//! How AWS is reached: by the SDK's own HTTP client, with one difference. A service that isn't there isn't asked again, be
//! it the one for keys or those for roles and tokens, whose tries can't be bounded otherwise.

use aws_sdk_kms::config::{HttpClient, RuntimeComponents, SharedHttpClient};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, ConnectorBuilder};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;

use super::refusal::nobody_there;

/// A client that gives up where nobody is there; certificates and proxies are those that the SDK would find.
pub fn client() -> SharedHttpClient {
    let inner = Builder::new().build_with_connector_fn(|settings, components| {
        let tls = Provider::Rustls(CryptoMode::AwsLc);
        let mut connector = ConnectorBuilder::default().tls_provider(tls).proxy_config(ProxyConfig::from_env());
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        connector.build()
    });
    SharedHttpClient::new(StayAway(inner))
}

#[derive(Debug)]
struct StayAway<T>(T);

impl HttpClient for StayAway<SharedHttpClient> {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(StayAway(self.0.http_connector(settings, components)))
    }
}

impl HttpConnector for StayAway<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let answer = self.0.call(request);
        HttpConnectorFuture::new(async move { answer.await.map_err(final_if_nobody_is_there) })
    }
}

/// An error of no kind is tried again by none of the SDK's clients.
fn final_if_nobody_is_there(error: ConnectorError) -> ConnectorError {
    if nobody_there(&error).is_some() { ConnectorError::other(error.into(), None) } else { error }
}
