//! Secrets inside of other things: among values of Helm, in objects that make objects, in texts.

use crate::document::{Document, Kind, NodeId};
use crate::kubernetes::{self, Object, decoded};
use crate::lint::template;

/// All mappings that are Secrets, wherever they stand. Something that only names a Secret has no `metadata`.
pub(super) fn objects<'d>(document: &'d Document<'_>) -> impl Iterator<Item = Object<'d>> {
    let has_metadata = |object: &Object<'_>| document.get(object.root, "metadata").is_some_and(|id| document.node(id).is_collection());
    nodes(document, Kind::Mapping)
        .filter_map(|id| kubernetes::object(document, id))
        .filter(move |object| decoded::is_secret(object) && has_metadata(object))
}

/// The texts of several lines in which an object is called a Secret.
pub(super) fn texts<'d>(document: &'d Document<'_>) -> impl Iterator<Item = (NodeId, &'d str)> {
    nodes(document, Kind::Scalar)
        .map(|id| (id, document.text(id)))
        .filter(|(_, text)| text.contains('\n') && text.contains("Secret") && template::speaks_of_a_secret(text))
}

fn nodes(document: &Document<'_>, kind: Kind) -> impl Iterator<Item = NodeId> {
    (0..document.nodes.len() as NodeId).filter(move |id| document.node(*id).kind == kind)
}
