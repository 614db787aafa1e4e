//! Who an object is, wherever it stands.

use super::Object;

/// Who an object is: what it is paired by.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Identity {
    /// The API group; versions of it aren't told apart.
    pub group: String,
    /// `kind`.
    pub kind: String,
    /// `metadata.namespace`.
    pub namespace: Option<String>,
    /// `metadata.name`.
    pub name: String,
}

impl Identity {
    /// The identity of an object; none without a name.
    pub fn of(object: &Object<'_>) -> Option<Identity> {
        let owned = str::to_owned;
        let (group, kind) = (owned(object.group()), owned(object.kind));
        Some(Identity { group, kind, namespace: object.namespace.map(owned), name: owned(object.name?) })
    }

    /// Kind, namespace and name for people: `Secret shop/web`.
    pub fn title(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{} {namespace}/{}", self.kind, self.name),
            None => format!("{} {}", self.kind, self.name),
        }
    }
}

/// Whether a text may be an object's name: a subdomain of DNS (RFC 1123), as the API server wants it of most kinds.
pub fn is_name(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(|label| is_label(label, 253))
}

/// Whether a text may be a label of DNS, as names of namespaces and volumes are, with at most so many characters (RFC 1123: 63).
pub fn is_label(text: &str, most: usize) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.len() <= most && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_dns() {
        assert!(["a", "sops-age", "a.b-c.1", "0"].into_iter().all(is_name));
        assert!(!["", ".", "a.", "-a", "a-", "A", "a_b", "a b", "a\nb", "ä", &"a".repeat(254)].into_iter().any(is_name));
        assert!(is_label("flux-system", 63) && !is_label("a.b", 63) && !is_label(&"a".repeat(64), 63));
    }
}
