//! Kubernetes objects in a file: who they are (KRM), and which of their values are secret.

pub mod decoded;
pub mod identity;
pub mod secret;

use std::collections::HashSet;

use crate::document::resolve::Type;
use crate::document::{Document, Kind, NONE, NodeId};

pub use identity::Identity;
pub use secret::{Default, default_selection};

/// An object by its type and name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Object<'d> {
    /// `apiVersion`, such as `v1` or `apps/v1`.
    pub api_version: &'d str,
    /// `kind`.
    pub kind: &'d str,
    /// `metadata.namespace`.
    pub namespace: Option<&'d str>,
    /// `metadata.name`.
    pub name: Option<&'d str>,
    /// Its mapping.
    pub root: NodeId,
}

impl<'d> Object<'d> {
    /// The API group: `apps` of `apps/v1`, empty for the core group.
    pub fn group(&self) -> &'d str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }

    /// Kind and name for people: `Secret web`, at most 80 characters of each.
    pub fn title(&self) -> String {
        let short = |text: &str| text.chars().take(80).collect::<String>();
        self.name.map_or_else(|| short(self.kind), |name| format!("{} {}", short(self.kind), short(name)))
    }
}

/// The object at `root`: a mapping with strings as `apiVersion` and `kind`. None for anything else.
pub fn object<'d>(document: &'d Document<'_>, root: NodeId) -> Option<Object<'d>> {
    let api_version = string(document, root, "apiVersion")?;
    let kind = string(document, root, "kind")?;
    let metadata = document.get(root, "metadata").map(|id| followed(document, id));
    let of_metadata = |key| metadata.and_then(|metadata| string(document, metadata, key));
    Some(Object { api_version, kind, namespace: of_metadata("namespace"), name: of_metadata("name"), root })
}

/// The node itself, or the one that an alias stands for.
fn followed(document: &Document<'_>, id: NodeId) -> NodeId {
    let node = document.node(id);
    if node.kind == Kind::Alias { node.target() } else { id }
}

/// A string at `key` that isn't empty.
fn string<'d>(document: &'d Document<'_>, mapping: NodeId, key: &str) -> Option<&'d str> {
    let id = followed(document, document.get(mapping, key)?);
    let is_string = document.node(id).kind == Kind::Scalar && document.scalar(id).is_ok_and(|scalar| scalar.kind == Type::Str);
    let text = document.text(id);
    (is_string && !text.is_empty()).then_some(text)
}

/// The first key below `root`, aliases followed, for which `stop` says yes; nothing is searched below keys for which
/// `skip` does.
fn find_key(document: &Document<'_>, root: NodeId, skip: impl Fn(&str) -> bool, stop: impl Fn(&str) -> bool) -> Option<NodeId> {
    let mut open = vec![root];
    // An anchored node is searched once, however many aliases stand for it.
    let mut seen = HashSet::new();
    while let Some(id) = open.pop() {
        let id = followed(document, id);
        match document.node(id).kind {
            Kind::Sequence if seen.insert(id) => open.extend(document.children(id)),
            Kind::Mapping if seen.insert(id) => {
                for (key, value) in document.entries(id).filter(|(key, _)| !skip(document.key_text(*key))) {
                    if stop(document.key_text(key)) {
                        return Some(key);
                    }
                    open.push(value);
                }
            }
            _ => {}
        }
    }
    None
}

/// Custom resources whose schema lists the fields of the `sops` block would refuse one more.
pub fn lists_sops_fields(document: &Document<'_>) -> bool {
    let roots = document.parts.iter().map(|part| part.root).filter(|root| *root != NONE);
    roots.filter_map(|root| object(document, root)).any(|object| object.kind == "SopsSecret")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::yaml;

    #[test]
    fn an_object_is_known_by_type_and_name() {
        let text = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: shop}\n";
        let document = yaml::parse(text).unwrap();
        let object = object(&document, document.parts[0].root).unwrap();
        assert_eq!((object.api_version, object.kind, object.group()), ("apps/v1", "Deployment", "apps"));
        assert_eq!((object.namespace, object.name), (Some("shop"), Some("web")));
        assert_eq!(object.title(), "Deployment web");
    }

    #[test]
    fn names_are_read_through_aliases_and_may_be_missing() {
        let text = "x: &m {name: &n web}\napiVersion: v1\nkind: Secret\nmetadata: *m\n";
        let document = yaml::parse(text).unwrap();
        assert_eq!(object(&document, document.parts[0].root).unwrap().name, Some("web"));
        let document = yaml::parse("apiVersion: v1\nkind: Secret\nmetadata: 3\n").unwrap();
        let object = object(&document, document.parts[0].root).unwrap();
        assert_eq!((object.name, object.group(), object.title().as_str()), (None, "", "Secret"));
    }

    #[test]
    fn other_mappings_are_no_objects() {
        for text in [
            "a: 1\n",
            "apiVersion: v1\n",
            "kind: Secret\n",
            "apiVersion: 1\nkind: Secret\n",
            "apiVersion: v1\nkind: [a]\n",
            "apiVersion: v1\nkind: ''\n",
        ] {
            let document = yaml::parse(text).unwrap();
            assert_eq!(object(&document, document.parts[0].root), None, "{text}");
        }
    }
}
