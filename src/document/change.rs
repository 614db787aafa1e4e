//! Changes of a plain document's text: only the lines that must change do, in the file's own layout.
//!
//! [`set`] and [`unset`] find the place that an index path means, as genuine sops does, and leave the writing to the
//! format ([`Format::put`], [`Format::take_out`]): a flat format has lines of its own. What
//! comes out is compared with the tree that was meant when it is read.

mod block;
mod detail;
mod flow;
mod meant;
pub mod place;
mod print;
mod tree;
pub(super) mod yaml;

pub(super) use flow::{put as put_flow, take_out as take_out_of_flow};

use super::edit::Edits;
use super::index_path::Index;
use super::value::Value;
use super::{Document, Format, Kind, NONE, NodeId, Role};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::secret::Secret;
use meant::Meant;
use tree::Found;

/// Where a value is put.
#[derive(Clone, Copy)]
pub enum Place<'p> {
    /// In the place of this node.
    Node(NodeId),
    /// A new entry with this key, at the end of this mapping.
    Entry(NodeId, &'p str),
    /// A new item at the end of this list.
    Item(NodeId),
    /// The content of a first document that has none.
    Top,
}

/// A text in which a value was set or unset.
pub struct Changed {
    text: Secret,
    /// What it must say; nothing where it is the text that was there.
    meant: Option<Meant>,
}

impl Changed {
    /// Whether the value was there already.
    pub fn is_nothing(&self) -> bool {
        self.meant.is_none()
    }

    /// The text, read.
    ///
    /// # Errors
    /// `Generic` (1) if the file's layout can't take the change.
    pub fn read(&self, format: &'static dyn Format) -> Result<Document<'_>> {
        format.parse_opened(&self.text).map_err(|_| unfit())
    }

    /// Compares the text, read, with what was meant: of no other value of `before` is anything changed.
    ///
    /// # Errors
    /// `Generic` (1) if the file's layout can't take the change.
    pub fn check(&self, before: &Document<'_>, after: &Document<'_>) -> Result<()> {
        let meant = self.meant.as_ref().map_or(Ok(true), |meant| meant.holds(before, after));
        if meant.map_err(|_| unfit())? { Ok(()) } else { Err(unfit()) }
    }
}

fn unfit() -> Error {
    let error = Error::new(ErrorKind::Generic, "the layout around this place can't take the change without touching other values");
    error.hint("change it with edit")
}

/// The text of `document` with `value` at `path` of its first document. Mappings and lists that are missing on the way
/// are made, a scalar on the way gives way to them, and an index at or past the end appends. A value that is there
/// already gives the text unchanged.
///
/// # Errors
/// `BadIndex` (7) for an empty path, a negative index, an index into a mapping or a key of a list; `AlreadyEncrypted`
/// (203) for a top-level `sops`; `Generic` (1) if the file's layout can't take the change.
pub fn set(document: &Document<'_>, path: &[Index], value: &Value) -> Result<Changed> {
    refuse_path(path)?;
    if matches!(path.first(), Some(Index::Key(key)) if key == "sops") {
        let error = Error::new(ErrorKind::AlreadyEncrypted, "a top-level `sops` entry is the file's metadata");
        return Err(error.hint("a key of your own needs another name"));
    }
    let value = document.format.held(value.clone())?;
    if document.parts.is_empty() {
        return Err(nowhere());
    }
    if let Found::Misfit(kind, step) = tree::look(document, path)? {
        return Err(tree::misfit(kind, step));
    }
    let (place, depth) = find(document, path);
    // What is put there: the value, in the mappings and lists of the path that are missing.
    let put = match place {
        Place::Node(id) if document.node(id).kind == Kind::Alias => {
            let mut copy = Value::of(document, id)?;
            tree::set(&mut copy, &path[depth..], &value)?;
            copy
        }
        _ => tree::around(&path[depth..], &value),
    };
    if let Place::Node(id) = place
        && Value::of(document, id)? == put
    {
        return Ok(Changed { text: document.source.to_owned().into(), meant: None });
    }
    let mut edits = Edits::default();
    document.format.put(document, place, &put, &mut edits)?;
    write_out_aliases(document, place, &mut edits)?;
    let meant = Meant { path: path.to_vec(), value: Some(value) };
    Ok(Changed { text: edits.apply(document.source).into(), meant: Some(meant) })
}

/// The text of `document` without the entry or item at `path` of its first document; [`None`] if there is none.
/// Comments beside the entry and inside it go, comments above it stay.
///
/// # Errors
/// `BadIndex` (7) for an empty path, a negative index or a key of a list; `Generic` (1) if the path leads through a
/// scalar, or the file's layout can't take the change.
pub fn unset(document: &Document<'_>, path: &[Index]) -> Result<Option<Changed>> {
    refuse_path(path)?;
    match tree::look(document, path)? {
        Found::Value => {}
        Found::Scalar => return Err(tree::below_scalar()),
        Found::Misfit(Kind::Sequence, step) => return Err(tree::misfit(Kind::Sequence, step)),
        Found::Nothing | Found::Misfit(..) => return Ok(None),
    }
    let (place, depth) = find(document, path);
    let Place::Node(id) = place else { return Ok(None) };
    let mut edits = Edits::default();
    if depth < path.len() {
        // The path goes on behind an alias: this place gets its own copy, without the entry.
        let mut copy = Value::of(document, id)?;
        tree::unset(&mut copy, &path[depth..])?;
        document.format.put(document, place, &copy, &mut edits)?;
    } else {
        document.format.take_out(document, id, &mut edits)?;
    }
    write_out_aliases(document, place, &mut edits)?;
    let meant = Meant { path: path.to_vec(), value: None };
    Ok(Some(Changed { text: edits.apply(document.source).into(), meant: Some(meant) }))
}

fn refuse_path(path: &[Index]) -> Result<()> {
    let bad =
        |message| Err(Error::new(ErrorKind::BadIndex, message).hint("expected a form like [\"data\"][\"password\"] or [\"list\"][0]"));
    if path.is_empty() {
        return bad("the index is empty");
    }
    if path.iter().any(|step| matches!(step, Index::Item(at) if *at < 0)) {
        return bad("an index can't be negative");
    }
    Ok(())
}

/// For formats whose files are changed as a whole.
pub(super) fn unchangeable(format: &str) -> Error {
    Error::new(ErrorKind::Generic, format!("single values of {format} files can't be set or unset")).hint("change the file with edit")
}

fn nowhere() -> Error {
    Error::new(ErrorKind::Generic, "the first document has no place for this index")
}

/// The place in the first document that `path` leads to, and how many steps were taken to it: fewer than all where an
/// alias, a scalar or the end of what is there stands on the way. Kinds must have been checked (see [`tree::look`]).
fn find<'p>(document: &Document<'_>, path: &'p [Index]) -> (Place<'p>, usize) {
    let mut at = document.parts.first().map_or(NONE, |part| part.root);
    if at == NONE {
        return (Place::Top, 0);
    }
    for (depth, step) in path.iter().enumerate() {
        let next = match (document.node(at).kind, step) {
            (Kind::Mapping, Index::Key(key)) => document.get(at, key).ok_or(Place::Entry(at, key)),
            (Kind::Sequence, Index::Item(index)) => {
                let item = usize::try_from(*index).ok().and_then(|index| document.children(at).nth(index));
                item.ok_or(Place::Item(at))
            }
            _ => return (Place::Node(at), depth),
        };
        match next {
            Ok(child) => at = child,
            Err(place) => return (place, depth + 1),
        }
    }
    (Place::Node(at), path.len())
}

/// Genuine sops knows no aliases: each place has its own copy, and a change is one of this place only. So aliases that
/// would change with it, or lose their anchor, are written out.
fn write_out_aliases(document: &Document<'_>, place: Place<'_>, edits: &mut Edits) -> Result<()> {
    let (changed, gone) = match place {
        Place::Node(id) => (id, id..document.node(id).end),
        Place::Entry(id, _) | Place::Item(id) => (id, id..id),
        Place::Top => return Ok(()),
    };
    let affected = |target: NodeId| gone.contains(&target) || (target..document.node(target).end).contains(&changed);
    for id in 0..document.nodes.len() as NodeId {
        let node = document.node(id);
        if node.kind != Kind::Alias || gone.contains(&id) || !affected(node.target()) {
            continue;
        }
        if node.role == Role::Key {
            return Err(document.error(
                id,
                ErrorKind::Generic,
                "an alias that is a key depends on what would change, expected a key of its own",
            ));
        }
        let copy = Value::of(document, id)?;
        document.format.put(document, Place::Node(id), &copy, edits)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
