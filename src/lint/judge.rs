//! Whether a value in clear is a secret: most clear Secrets in the wild hold placeholders, references and names only.

use std::sync::LazyLock;

use regex::Regex;

use super::Level;
use crate::kubernetes::decoded;

/// What stands for a value that comes from elsewhere: `${VAR}`, `$(VAR)`, `$VAR`, `{{ x }}`, `<path:…>`, `<placeholder>`, `%VAR%`,
/// `@VAR@`.
static PLACEHOLDER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"\$\{[^}]*\}|\$\([A-Za-z_][^)]*\)|^\$[A-Za-z_][[:word:]]*$|\{\{[^}]*\}\}|\{%[^%]*%\}|^<[^<>[:space:]]{1,200}>$|^<[A-Za-z][[:word:] .-]{0,60}>$|^%[A-Z_]+%$|^@[A-Z_]+@$").ok()
});

/// References that some other tool follows.
const REFERENCES: [&str; 14] = [
    "op://",
    "vault:",
    "ref+",
    "secretref+",
    "arn:aws:secretsmanager:",
    "arn:aws:ssm:",
    "awssm://",
    "gcpsm://",
    "akv://",
    "azurekeyvault://",
    "bao:",
    "bws://",
    "pass://",
    "doppler://",
];

/// What people write where a secret goes later.
const DUMMIES: [&str; 22] = [
    "changeme",
    "change-me",
    "change_me",
    "replaceme",
    "replace-me",
    "replace_me",
    "redacted",
    "todo",
    "tbd",
    "fixme",
    "placeholder",
    "dummy",
    "example",
    "none",
    "null",
    "nil",
    "n/a",
    "your-secret-here",
    "your-password-here",
    "insert-here",
    "unset",
    "empty",
];

/// Keys whose values are names and addresses rather than secrets. What they hold is judged all the same: an address with a
/// password in it is a secret.
const PUBLIC: [&str; 36] = [
    "type",
    "name",
    "project",
    "url",
    "uri",
    "host",
    "hostname",
    "port",
    "user",
    "username",
    "email",
    "mail",
    "enabled",
    "insecure",
    "database",
    "dbname",
    "db",
    "region",
    "endpoint",
    "server",
    "issuer",
    "clientid",
    "client_id",
    "client-id",
    "tenantid",
    "tenant_id",
    "tenant-id",
    "bucket",
    "namespace",
    "realm",
    "domain",
    "zone",
    "timezone",
    "enableoci",
    "schema",
    "login",
];

/// How bad it is that `value` stands under `key` in clear in a Secret; none if it says nothing. `encoded` says that it is
/// base64 of what counts.
pub fn clear_value(key: &str, value: &str, encoded: bool) -> Option<Level> {
    let bytes = if encoded { decoded::decode(value) } else { None };
    let inner = bytes.as_deref().and_then(|bytes| decoded::as_text(bytes));
    // What isn't base64 stands for itself; what is, and is no text, is a key or a certificate.
    match (encoded, bytes.is_some(), inner) {
        (true, true, None) => Some(Level::Error),
        (_, _, inner) => text(key, inner.unwrap_or(value)),
    }
}

fn text(key: &str, value: &str) -> Option<Level> {
    let value = value.trim();
    let lower = value.to_ascii_lowercase();
    let same = value.chars().next().is_some_and(|first| "xX*.-_?#".contains(first) && value.chars().all(|c| c == first));
    if value.is_empty() || same || DUMMIES.contains(&lower.as_str()) || is_reference(value) {
        return None;
    }
    if PLACEHOLDER.as_ref().is_some_and(|pattern| pattern.is_match(value)) {
        // A file with placeholders may hold other secrets, and nobody can tell from here.
        return value.contains('\n').then_some(Level::Note);
    }
    if is_public_certificate(value) {
        return Some(Level::Note);
    }
    let harmless = PUBLIC.contains(&key.to_ascii_lowercase().as_str()) && !value.contains('\n') && !has_login(value) || is_setting(&lower);
    Some(if harmless { Level::Note } else { Level::Error })
}

fn is_reference(value: &str) -> bool {
    !value.contains('\n') && REFERENCES.iter().any(|start| value.starts_with(start))
}

/// Certificates are public: a `tls.crt` or `ca.crt` in clear gives nothing away.
fn is_public_certificate(value: &str) -> bool {
    value.starts_with("-----BEGIN CERTIFICATE-----") && !value.contains("PRIVATE KEY")
}

/// `scheme://user:password@host`.
pub(super) fn has_login(value: &str) -> bool {
    let after = value.split_once("://").map(|(_, rest)| rest.split('/').next().unwrap_or(rest));
    after.is_some_and(|authority| authority.rsplit_once('@').is_some_and(|(login, _)| login.contains(':')))
}

/// Switches and small numbers.
fn is_setting(lower: &str) -> bool {
    matches!(lower, "true" | "false" | "yes" | "no" | "on" | "off") || lower.len() <= 5 && lower.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_templates_and_placeholders_are_no_secrets() {
        for harmless in [
            "",
            " ",
            "${DB_PASS}",
            "$(PASS)",
            "op://vault/item",
            "{{ .Values.x }}",
            "changeme",
            "xxxx",
            "<path:kv/x#y>",
            "postgres://u:${P}@h/d",
        ] {
            assert_eq!(clear_value("password", harmless, false), None, "{harmless}");
            let encoded = decoded::encode(harmless.as_bytes());
            assert_eq!(clear_value("password", &encoded, true), None, "{harmless}");
        }
    }

    #[test]
    fn values_are_judged_with_their_keys() {
        assert_eq!(clear_value("password", "hunter2", false), Some(Level::Error));
        assert_eq!(clear_value("password", "aHVudGVyMg==", true), Some(Level::Error));
        assert_eq!(clear_value("tls.key", "/+8B", true), Some(Level::Error));
        assert_eq!(clear_value("url", "https://git.example.org/x", false), Some(Level::Note));
        assert_eq!(clear_value("url", "https://bob:hunter2@git.example.org/x", false), Some(Level::Error));
        assert_eq!(clear_value("x", "true", false), Some(Level::Note));
        assert_eq!(clear_value("pin", "123456", false), Some(Level::Error));
        assert_eq!(clear_value("env", "A=${A}\nB=hunter2", false), Some(Level::Note));
    }
}
