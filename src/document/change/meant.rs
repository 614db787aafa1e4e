//! Whether a text says what a change of another one means, without a copy of the values of either.

use super::super::index_path::Index;
use super::super::value::Value;
use super::super::{Document, Kind, NONE, NodeId};
use super::tree::{self, is_step, itself, members};
use crate::error::Result;

/// A change of the first document: what stands at the path afterwards, or that nothing does.
pub(super) struct Meant {
    pub path: Vec<Index>,
    pub value: Option<Value>,
}

impl Meant {
    /// Whether `after` is `before` with this change and no other.
    ///
    /// # Errors
    /// A scalar that doesn't resolve.
    pub fn holds(&self, before: &Document<'_>, after: &Document<'_>) -> Result<bool> {
        let pair = Pair { before, after, value: self.value.as_ref() };
        if before.parts.len() != after.parts.len() {
            return Ok(false);
        }
        for (at, (old, new)) in before.parts.iter().zip(&after.parts).enumerate() {
            let same = if at == 0 { pair.first(old.root, new.root, &self.path)? } else { pair.same_roots(old.root, new.root)? };
            if !same {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Two documents, and what the one has where the path leads.
struct Pair<'p, 'b, 'a> {
    before: &'p Document<'b>,
    after: &'p Document<'a>,
    value: Option<&'p Value>,
}

impl Pair<'_, '_, '_> {
    fn first(&self, old: NodeId, new: NodeId, path: &[Index]) -> Result<bool> {
        if tree::is_empty(self.before, old)? || tree::is_empty(self.after, new)? {
            // One of them is next to nothing: its tree is as good.
            let mut wanted = tree::of_root(self.before, old)?;
            match self.value {
                Some(value) => tree::set(&mut wanted, path, value)?,
                None => drop(tree::unset(&mut wanted, path)?),
            }
            return Ok(tree::of_root(self.after, new)? == wanted);
        }
        self.changed(old, new, path)
    }

    fn same_roots(&self, old: NodeId, new: NodeId) -> Result<bool> {
        if tree::is_empty(self.before, old)? || tree::is_empty(self.after, new)? {
            return Ok(tree::of_root(self.before, old)? == tree::of_root(self.after, new)?);
        }
        self.same(old, new)
    }

    /// Whether the subtree `new` is `old` with the change at `path` below it.
    fn changed(&self, old: NodeId, new: NodeId, path: &[Index]) -> Result<bool> {
        let (old, new) = (itself(self.before, old), itself(self.after, new));
        let Some((step, rest)) = path.split_first() else { return self.is_value(&[], new) };
        let (before, after) = (self.before.node(old).kind, self.after.node(new).kind);
        if before == Kind::Scalar {
            return self.is_value(path, new);
        }
        if before != after {
            return Ok(false);
        }
        let (mut met, mut left) = (false, members(self.after, new));
        for (at, (key, value)) in members(self.before, old).enumerate() {
            let meant = !met && is_step(self.before, step, at, key);
            met |= meant;
            if meant && rest.is_empty() && self.value.is_none() {
                continue;
            }
            let Some((name, other)) = left.next() else { return Ok(false) };
            let same = self.same_key(key, name) && if meant { self.changed(value, other, rest)? } else { self.same(value, other)? };
            if !same {
                return Ok(false);
            }
        }
        if !met {
            let Some((name, other)) = left.next() else { return Ok(false) };
            let fits = match step {
                Index::Key(_) => is_step(self.after, step, 0, name),
                Index::Item(_) => name == NONE,
            };
            if !fits || !self.is_value(rest, other)? {
                return Ok(false);
            }
        }
        Ok(left.next().is_none())
    }

    /// Whether the subtree `new` is what is put at the path, in the mappings and lists of `path` that were missing.
    fn is_value(&self, path: &[Index], new: NodeId) -> Result<bool> {
        self.value.map_or(Ok(false), |value| tree::around(path, value).is_at(self.after, new))
    }

    fn same(&self, old: NodeId, new: NodeId) -> Result<bool> {
        let (old, new) = (itself(self.before, old), itself(self.after, new));
        match (self.before.node(old).kind, self.after.node(new).kind) {
            (Kind::Scalar, Kind::Scalar) => Ok(self.before.scalar(old)? == self.after.scalar(new)?),
            (one, other) if one != other => Ok(false),
            _ => {
                let (mut olds, mut news) = (members(self.before, old), members(self.after, new));
                loop {
                    match (olds.next(), news.next()) {
                        (None, None) => return Ok(true),
                        (Some((key, value)), Some((name, other))) if self.same_key(key, name) && self.same(value, other)? => {}
                        _ => return Ok(false),
                    }
                }
            }
        }
    }

    fn same_key(&self, old: NodeId, new: NodeId) -> bool {
        old == NONE && new == NONE || self.before.key_text(old) == self.after.key_text(new)
    }
}
