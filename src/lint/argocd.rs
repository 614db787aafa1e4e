//! Secrets in which Argo CD keeps its repositories and clusters: most of what stands in them are settings, and only some
//! are secret (Argo CD, declarative setup).

use serde_json::Value;

use super::{Level, judge};
use crate::document::{Document, NodeId};
use crate::kubernetes::decoded;

/// The label by which Argo CD finds them.
const LABEL: &str = "argocd.argoproj.io/secret-type";
/// Keys that say where something is, and how it is used.
const SETTINGS: [&str; 20] = [
    "type",
    "url",
    "name",
    "project",
    "server",
    "username",
    "namespaces",
    "clusterResources",
    "shard",
    "enableOCI",
    "enableLfs",
    "insecure",
    "insecureIgnoreHostKey",
    "insecureOCIForceHttp",
    "forceHttpBasicAuth",
    "useAzureWorkloadIdentity",
    "githubAppID",
    "githubAppInstallationID",
    "githubAppEnterpriseBaseUrl",
    "noProxy",
];
/// How to reach a cluster, in JSON.
const CONFIG: &str = "config";
/// What is secret in that.
const SECRETS: [&str; 3] = ["password", "bearerToken", "keyData"];

/// Whether the Secret at `root` is one of them.
pub fn is_setup(document: &Document<'_>, root: NodeId) -> bool {
    let labels = document.get(root, "metadata").and_then(|metadata| document.get(metadata, "labels"));
    labels.is_some_and(|labels| document.get(labels, LABEL).is_some())
}

/// As [`judge::clear_value`], of a Secret that [`is_setup`].
pub fn clear_value(key: &str, value: &str, encoded: bool) -> Option<Level> {
    let bytes = if encoded { decoded::decode(value) } else { None };
    let text = bytes.as_deref().and_then(|bytes| decoded::as_text(bytes)).unwrap_or(value);
    if let Some(config) = serde_json::from_str(text).ok().filter(|_| key == CONFIG) {
        return Some(worst(&config));
    }
    let level = judge::clear_value(key, value, encoded)?;
    let harmless = SETTINGS.contains(&key) && !judge::has_login(text);
    Some(if harmless { Level::Note } else { level })
}

/// The level of the worst that a configuration holds.
fn worst(config: &Value) -> Level {
    let Value::Object(fields) = config else { return Level::Note };
    let level = |(key, value): (&String, &Value)| match value {
        // Variables of the program that fetches a token.
        Value::Object(variables) if key == "env" => variables.iter().filter_map(|(key, value)| of_text(key, value)).max(),
        Value::String(_) if SECRETS.contains(&key.as_str()) => of_text(key, value),
        nested => Some(worst(nested)),
    };
    fields.iter().filter_map(level).max().unwrap_or(Level::Note)
}

fn of_text(key: &str, value: &Value) -> Option<Level> {
    judge::clear_value(key, value.as_str()?, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_secret_in_a_configuration_counts() {
        let level = |text: &str| clear_value("config", text, false);
        assert_eq!(level(r#"{"tlsClientConfig": {"insecure": false, "caData": "Zm9v"}}"#), Some(Level::Note));
        assert_eq!(level(r#"{"awsAuthConfig": {"clusterName": "c", "roleARN": "arn:aws:iam::1:role/x"}}"#), Some(Level::Note));
        assert_eq!(level(r#"{"bearerToken": "${TOKEN}"}"#), Some(Level::Note));
        for secret in [
            r#"{"bearerToken": "hunter2"}"#,
            r#"{"username": "a", "password": "hunter2"}"#,
            r#"{"tlsClientConfig": {"keyData": "aHVudGVyMg=="}}"#,
            r#"{"execProviderConfig": {"command": "x", "env": {"TOKEN": "hunter2", "A": "true"}}}"#,
        ] {
            assert_eq!(level(secret), Some(Level::Error), "{secret}");
            assert_eq!(clear_value("config", &decoded::encode(secret.as_bytes()), true), Some(Level::Error), "{secret}");
        }
        assert_eq!(level("hunter2"), Some(Level::Error));
    }

    #[test]
    fn settings_are_no_secrets_unless_they_hold_a_login() {
        assert_eq!(clear_value("githubAppID", "1234567", false), Some(Level::Note));
        assert_eq!(clear_value("url", "https://bob:hunter2@git.example.org", false), Some(Level::Error));
        assert_eq!(clear_value("githubAppPrivateKey", "hunter2", false), Some(Level::Error));
        assert_eq!(clear_value("password", "", false), None);
    }
}
