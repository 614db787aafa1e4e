//! Values that a text was printed from: encrypted, they are what they were, though the format has no form for them.

use super::resolve::Scalar;
use super::value::Value;
use super::{Document, Kind, NONE, NodeId, Role};
use crate::error::Result;

impl Document<'_> {
    /// The value to encrypt in a scalar's place: the one it was printed from, or what its text says.
    pub fn secret(&self, id: NodeId) -> Result<Scalar<'_>> {
        match self.given.get(&id).and_then(Value::as_scalar) {
            Some(scalar) => Ok(scalar),
            None => self.scalar(id),
        }
    }

    /// Says what the text was printed from. Encrypted, values then keep the type and the characters that the format has no
    /// form for. Nulls become text: in clear they would be another value to a reader.
    pub fn give(&mut self, documents: &[Value]) {
        let roots: Vec<NodeId> = self.parts.iter().map(|part| part.root).collect();
        for (root, value) in roots.into_iter().zip(documents).filter(|(root, _)| *root != NONE) {
            self.give_to(root, value);
        }
    }

    fn give_to(&mut self, id: NodeId, value: &Value) {
        match value {
            Value::Map(entries) if self.node(id).kind == Kind::Mapping => {
                let values: Vec<NodeId> =
                    self.entries(id).map(|(_, value)| value).filter(|id| self.node(*id).role != Role::Shadow).collect();
                let data = entries.iter().map(|(_, value)| value).filter(|value| !value.is_comment());
                values.into_iter().zip(data).for_each(|(id, value)| self.give_to(id, value));
            }
            Value::List(items) if self.node(id).kind == Kind::Sequence => {
                let children: Vec<NodeId> = self.children(id).collect();
                let data = items.iter().filter(|value| !value.is_comment());
                children.into_iter().zip(data).for_each(|(id, value)| self.give_to(id, value));
            }
            Value::Scalar(..) if self.node(id).kind == Kind::Scalar && !value.is_null() => {
                let same = self.scalar(id).is_ok_and(|there| value.as_scalar().is_some_and(|value| value == there));
                if !same {
                    self.given.insert(id, value.clone());
                }
            }
            _ => {}
        }
    }
}
