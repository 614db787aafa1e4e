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
