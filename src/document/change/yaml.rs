//! Changes of YAML: in brackets or in blocks.

use super::super::edit::Edits;
use super::super::value::Value;
use super::super::{Document, NodeId};
use super::detail::in_flow;
use super::{Place, block, flow};
use crate::error::Result;

/// See [`super::super::Format::put`].
pub(in crate::document) fn put(document: &Document<'_>, place: Place<'_>, value: &Value, edits: &mut Edits) -> Result<()> {
    match place {
        Place::Node(id) if in_flow(document, id) => flow::put(document, place, value, edits),
        // Brackets with something in them stay brackets.
        Place::Node(id) if is_filled_flow(document, id) && !matches!(value, Value::Scalar(..)) => flow::put(document, place, value, edits),
        Place::Node(id) => block::replace(document, id, value, edits),
        Place::Entry(id, _) | Place::Item(id) if is_filled_flow(document, id) || in_flow(document, id) && !is_root(document, id) => {
            flow::put(document, place, value, edits)
        }
        Place::Entry(id, key) if document.node(id).flow => {
            block::replace(document, id, &Value::Map(vec![(key.to_owned(), value.clone())]), edits)
        }
        Place::Item(id) if document.node(id).flow => block::replace(document, id, &Value::List(vec![value.clone()]), edits),
        Place::Entry(id, key) => block::append(document, id, Some(key), value, edits),
        Place::Item(id) => block::append(document, id, None, value, edits),
        Place::Top => {
            block::fill(document, value, edits);
            Ok(())
        }
    }
}

/// See [`super::super::Format::take_out`].
pub(in crate::document) fn take_out(document: &Document<'_>, id: NodeId, edits: &mut Edits) -> Result<()> {
    if in_flow(document, id) { flow::take_out(document, id, edits) } else { block::take_out(document, id, edits) }
}

fn is_root(document: &Document<'_>, id: NodeId) -> bool {
    document.node(id).parent == super::super::NONE
}

fn is_filled_flow(document: &Document<'_>, id: NodeId) -> bool {
    let node = document.node(id);
    node.flow && node.is_collection() && node.end > id + 1
}
