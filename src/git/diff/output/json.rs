//! For programs: one JSON document, documented in `docs/review.md`. Never a value.

use serde_json::{Value, json};

use super::why;
use crate::git::diff::version::View;
use crate::git::diff::{Change, Differences, FileChange, ObjectChange, Seen};

/// Writes the differences. What is in `"version"` changes when a field's meaning does.
pub fn write(differences: &Differences, _colour: bool) -> String {
    let calls: Vec<Value> = differences.calls.iter().map(|call| json!({"id": call.id, "text": call.text, "files": call.files})).collect();
    let files: Vec<Value> = differences.files.iter().map(file).collect();
    let whole = json!({
        "version": 1,
        "old": differences.old,
        "new": differences.new,
        "call_outs": calls,
        "files": files,
        "passed_over": differences.passed_over,
    });
    whole.to_string()
}

fn file(file: &FileChange) -> Value {
    let view = match file.view {
        View::Clear => "clear",
        View::Opened => "opened",
        View::Keyless | View::NoIdentity | View::Damaged(_) => "keyless",
    };
    let block: Vec<Value> = file.block.iter().map(|change| json!({"change": change.id(), "text": change.text()})).collect();
    json!({
        "path": file.path,
        "old_path": file.old_path,
        "change": if file.is_layout_only() { "layout" } else { file.presence.id() },
        "view": view,
        "why_keyless": why(&file.view),
        "sops": block,
        "objects": file.objects.iter().map(object).collect::<Vec<_>>(),
    })
}

fn object(object: &ObjectChange) -> Value {
    let identity = object.identity.as_ref();
    json!({
        "kind": object.kind,
        "group": identity.map(|identity| &identity.group),
        "namespace": identity.and_then(|identity| identity.namespace.as_ref()),
        "name": identity.map(|identity| &identity.name),
        "document": object.place,
        "change": object.presence.id(),
        "moved_from": object.moved_from,
        "renamed_from": object.renamed_from.as_ref().map(|was| json!({"namespace": was.namespace, "name": was.name})),
        "values": object.changes.iter().map(change).collect::<Vec<_>>(),
    })
}

fn change(change: &Change) -> Value {
    json!({
        "path": change.path,
        "change": change.what.id(),
        "from": change.from,
        "old": change.old.as_ref().map(seen),
        "new": change.new.as_ref().map(seen),
        "inner": change.inner,
        "equals": change.equals,
    })
}

fn seen(seen: &Seen) -> Value {
    json!({"type": seen.kind.name(), "encrypted": seen.encrypted, "length": seen.length})
}
