//! Another version of the `sops` block in place of the one that is there: where only values differ, only their bytes
//! change.

use super::edit::Edits;
use super::value::Value;
use super::{Document, Kind, NONE, NodeId};

/// The name of the block's entry.
const BLOCK: &str = "sops";

/// The edits that make every block of `document` say `metadata` (a mapping with the one key `sops`); `print` writes a
/// whole block anew where another one has other fields.
pub(super) fn replace(document: &Document<'_>, metadata: &Value, edits: &mut Edits, print: impl Fn(NodeId, &Value, &mut Edits)) {
    let Some(wanted) = metadata.get(BLOCK) else { return };
    for part in document.parts.iter().filter(|part| part.root != NONE) {
        let Some(block) = document.get(part.root, BLOCK) else { continue };
        if same_shape(document, block, wanted) {
            patch(document, block, wanted, edits);
        } else {
            print(block, metadata, edits);
        }
    }
}

/// The edits that make one block say `wanted`, if it has the same fields.
pub(super) fn patched(document: &Document<'_>, block: NodeId, wanted: &Value, edits: &mut Edits) -> bool {
    let same = same_shape(document, block, wanted);
    if same {
        patch(document, block, wanted, edits);
    }
    same
}

fn same_shape(document: &Document<'_>, id: NodeId, wanted: &Value) -> bool {
    let count = document.children(id).count();
    match (document.node(id).kind, wanted) {
        (Kind::Scalar, Value::Scalar(..)) => document.props(id).tag.is_none() && document.props(id).anchor_span.is_none(),
        (Kind::Mapping, Value::Map(entries)) => {
            let known = |(key, value): &(String, Value)| document.get(id, key).is_some_and(|child| same_shape(document, child, value));
            count == entries.len() * 2 && entries.iter().all(known)
        }
        (Kind::Sequence, Value::List(items)) => {
            count == items.len() && document.children(id).zip(items).all(|(child, item)| same_shape(document, child, item))
        }
        _ => false,
    }
}

fn patch(document: &Document<'_>, id: NodeId, wanted: &Value, edits: &mut Edits) {
    match wanted {
        Value::Map(entries) => {
            let children = entries.iter().filter_map(|(key, value)| Some((document.get(id, key)?, value)));
            children.for_each(|(child, value)| patch(document, child, value, edits));
        }
        Value::List(items) => document.children(id).zip(items).for_each(|(child, item)| patch(document, child, item, edits)),
        Value::Scalar(..) => {
            let Some(scalar) = wanted.as_scalar() else { return };
            let there = document.scalar(id).is_ok_and(|there| there.kind == scalar.kind && there.bytes == scalar.bytes);
            if !there {
                document.put_value(id, &scalar, edits);
            }
        }
    }
}
