//! What a change means for the values alone, as genuine sops's tree has it.

use super::super::index_path::Index;
use super::super::value::Value;
use super::super::{Document, NONE};
use crate::error::{Error, Kind as ErrorKind, Result};

/// The values of all documents; one without content is an empty mapping, as in sops.
pub(super) fn documents(document: &Document<'_>) -> Result<Vec<Value>> {
    let empty = || Value::Map(Vec::new());
    let of_root = |root| if root == NONE { Ok(empty()) } else { Value::of(document, root) };
    document.parts.iter().map(|part| of_root(part.root).map(|value| if value.is_null() { empty() } else { value })).collect()
}

/// Whether these are the values of all documents, as [`documents`] has them.
pub(super) fn are(wanted: &[Value], document: &Document<'_>) -> Result<bool> {
    if wanted.len() != document.parts.len() {
        return Ok(false);
    }
    for (wanted, part) in wanted.iter().zip(&document.parts) {
        let empty = matches!(wanted, Value::Map(entries) if entries.is_empty());
        let is_there = part.root != NONE && !(empty && Value::of(document, part.root)?.is_null());
        if !(if is_there { wanted.is_at(document, part.root)? } else { empty }) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// `leaf` inside the mappings and lists that `path` names; a new list has one item, whatever its index.
pub(super) fn around(path: &[Index], leaf: &Value) -> Value {
    path.iter().rev().fold(leaf.clone(), |inner, step| match step {
        Index::Key(key) => Value::Map(vec![(key.clone(), inner)]),
        Index::Item(_) => Value::List(vec![inner]),
    })
}

/// Puts `value` at `path`.
///
/// # Errors
/// `BadIndex` (7) for an index into a mapping or a key of a list.
pub(super) fn set(tree: &mut Value, path: &[Index], value: &Value) -> Result<()> {
    let Some((step, rest)) = path.split_first() else {
        *tree = value.clone();
        return Ok(());
    };
    match (&mut *tree, step) {
        (Value::Map(entries), Index::Key(key)) => match entries.iter_mut().find(|(name, _)| name == key) {
            Some((_, child)) => return set(child, rest, value),
            None => entries.push((key.clone(), around(rest, value))),
        },
        (Value::List(items), Index::Item(at)) => match usize::try_from(*at).ok().and_then(|at| items.get_mut(at)) {
            Some(child) => return set(child, rest, value),
            None => items.push(around(rest, value)),
        },
        (Value::Scalar(..), _) => *tree = around(path, value),
        _ => return Err(wrong_kind(tree, step)),
    }
    Ok(())
}

/// Takes out what is at `path`; `false` if there is nothing.
///
/// # Errors
/// `BadIndex` (7) for a key of a list, `Generic` (1) below a scalar.
pub(super) fn unset(tree: &mut Value, path: &[Index]) -> Result<bool> {
    let Some((step, rest)) = path.split_first() else { return Ok(false) };
    let at = match (&*tree, step) {
        (Value::Map(entries), Index::Key(key)) => entries.iter().position(|(name, _)| name == key),
        (Value::List(items), Index::Item(at)) => usize::try_from(*at).ok().filter(|at| *at < items.len()),
        (Value::Map(_), Index::Item(_)) => None,
        (Value::List(_), Index::Key(_)) => return Err(wrong_kind(tree, step)),
        (Value::Scalar(..), _) => {
            let error = Error::new(ErrorKind::Generic, "unsupported type: the index goes on below a single value");
            return Err(error.hint("shorten the index"));
        }
    };
    match (tree, at) {
        (_, None) => Ok(false),
        (Value::Map(entries), Some(at)) if rest.is_empty() => {
            entries.remove(at);
            Ok(true)
        }
        (Value::List(items), Some(at)) if rest.is_empty() => {
            items.remove(at);
            Ok(true)
        }
        (Value::Map(entries), Some(at)) => unset(&mut entries[at].1, rest),
        (Value::List(items), Some(at)) => unset(&mut items[at], rest),
        (Value::Scalar(..), _) => Ok(false),
    }
}

/// What is at `path`.
pub(super) fn get<'v>(tree: &'v Value, path: &[Index]) -> Option<&'v Value> {
    path.iter().try_fold(tree, |value, step| match step {
        Index::Key(key) => value.get(key),
        Index::Item(at) => value.items().get(usize::try_from(*at).ok()?),
    })
}

fn wrong_kind(tree: &Value, step: &Index) -> Error {
    let message = match (tree, step) {
        (Value::List(_), Index::Key(key)) => format!("the index has the key {key} where a list is, expected a number"),
        (_, Index::Item(at)) => format!("the index has the number {at} where a mapping is, expected a quoted key"),
        _ => "the index doesn't fit what is there".to_owned(),
    };
    Error::new(ErrorKind::BadIndex, message)
}
