//! What a change means for the values alone, as genuine sops's tree has it.

use super::super::index_path::Index;
use super::super::resolve::Type;
use super::super::value::Value;
use super::super::{Document, Kind, NONE, NodeId, Role};
use crate::error::{Error, Kind as ErrorKind, Result};

/// The values of a document; one without content is an empty mapping, as in sops.
pub(super) fn of_root(document: &Document<'_>, root: NodeId) -> Result<Value> {
    if is_empty(document, root)? { Ok(Value::Map(Vec::new())) } else { Value::of(document, root) }
}

/// Whether a document has no content.
pub(super) fn is_empty(document: &Document<'_>, root: NodeId) -> Result<bool> {
    Ok(root == NONE || document.node(root).kind == Kind::Scalar && document.scalar(root)?.kind == Type::Null)
}

/// What a path meets in the first document.
pub(super) enum Found<'p> {
    /// A value at its end.
    Value,
    /// A mapping or list that hasn't the entry or item.
    Nothing,
    /// A scalar on the way.
    Scalar,
    /// A mapping where the step is a number, or a list where it is a key.
    Misfit(Kind, &'p Index),
}

/// Follows `path` in the first document.
///
/// # Errors
/// A scalar that doesn't resolve.
pub(super) fn look<'p>(document: &Document<'_>, path: &'p [Index]) -> Result<Found<'p>> {
    let mut at = document.parts.first().map_or(NONE, |part| part.root);
    if is_empty(document, at)? {
        let number = path.first().filter(|step| matches!(step, Index::Item(_)));
        return Ok(number.map_or(Found::Nothing, |step| Found::Misfit(Kind::Mapping, step)));
    }
    for step in path {
        at = itself(document, at);
        let kind = document.node(at).kind;
        match (kind, step) {
            (Kind::Mapping, Index::Key(_)) | (Kind::Sequence, Index::Item(_)) => {}
            (Kind::Mapping | Kind::Sequence, _) => return Ok(Found::Misfit(kind, step)),
            _ => return Ok(Found::Scalar),
        }
        match members(document, at).enumerate().find(|(at, (key, _))| is_step(document, step, *at, *key)) {
            Some((_, (_, value))) => at = value,
            None => return Ok(Found::Nothing),
        }
    }
    Ok(Found::Value)
}

/// What an alias stands for.
pub(super) fn itself(document: &Document<'_>, mut id: NodeId) -> NodeId {
    while document.node(id).kind == Kind::Alias {
        id = document.node(id).target();
    }
    id
}

/// The keys and values of a mapping, the items of a list (with no key).
pub(super) fn members(document: &Document<'_>, id: NodeId) -> impl Iterator<Item = (NodeId, NodeId)> {
    let keyed = document.node(id).kind == Kind::Mapping;
    let mut children = document.children(id);
    let pairs = std::iter::from_fn(move || {
        let first = children.next()?;
        if keyed { Some((first, children.next()?)) } else { Some((NONE, first)) }
    });
    pairs.filter(|(_, value)| document.node(*value).role != Role::Shadow)
}

/// Whether `step` means this member.
pub(super) fn is_step(document: &Document<'_>, step: &Index, at: usize, key: NodeId) -> bool {
    match step {
        Index::Key(name) => key != NONE && document.key_text(key) == name,
        Index::Item(item) => key == NONE && usize::try_from(*item) == Ok(at),
    }
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
        (Value::Map(_), Index::Item(_)) => return Err(misfit(Kind::Mapping, step)),
        (Value::List(_), Index::Key(_)) => return Err(misfit(Kind::Sequence, step)),
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
        (Value::List(_), Index::Key(_)) => return Err(misfit(Kind::Sequence, step)),
        (Value::Scalar(..), _) => return Err(below_scalar()),
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

pub(super) fn below_scalar() -> Error {
    let error = Error::new(ErrorKind::Generic, "unsupported type: the index goes on below a single value");
    error.hint("shorten the index")
}

pub(super) fn misfit(kind: Kind, step: &Index) -> Error {
    let message = match (kind, step) {
        (Kind::Sequence, Index::Key(key)) => format!("the index has the key {key} where a list is, expected a number"),
        (_, Index::Item(at)) => format!("the index has the number {at} where a mapping is, expected a quoted key"),
        _ => "the index doesn't fit what is there".to_owned(),
    };
    Error::new(ErrorKind::BadIndex, message)
}
