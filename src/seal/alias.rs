//! Aliases of encrypted values: a reader would take the token they stand for, so they are written out.

use super::encrypt::Sealer;
use crate::document::layout::{self, EntryKind};
use crate::document::{Kind, NodeId, Role};
use crate::error::Result;

impl Sealer<'_, '_> {
    /// A key that is an alias of an encrypted value is written out: it would be the token to a reader.
    pub(super) fn alias_keys(&mut self) {
        let document = self.document;
        if !document.nodes.iter().any(|node| node.kind == Kind::Alias && node.role == Role::Key) {
            return;
        }
        let tokens: std::collections::HashSet<NodeId> =
            (0..self.walk.leaves.len()).filter(|at| self.is_token(*at)).map(|at| self.walk.leaves[at].node).collect();
        for (id, node) in document.nodes.iter().enumerate() {
            if node.kind != Kind::Alias || node.role != Role::Key || !tokens.contains(&node.target()) {
                continue;
            }
            let id = id as NodeId;
            self.edits.write(node.span, |out| crate::document::yaml::write_name(document.key_text(id), out));
            self.record(id, EntryKind::Alias, document.slice(node.span));
            // The path of a key is that of its value; a last index 0 tells them apart.
            if let Some(entry) = self.entries.last_mut() {
                entry.path.push(layout::Step::Index(0));
            }
        }
    }

    /// An alias whose value is encrypted is written out, as a token or as a flow collection.
    pub(super) fn alias(&mut self, id: NodeId, leaves: std::ops::Range<usize>) -> Result<()> {
        if !leaves.clone().any(|at| self.is_token(at)) {
            return Ok(());
        }
        let (document, mut text, mut at) = (self.document, String::new(), leaves.start);
        let target = document.node(id).target();
        self.write_out(target, document.node(id).flow, &mut at, &mut text)?;
        self.edits.replace(document.node(id).span, &text);
        let merge = document.node(id).role == Role::Value && document.key_text(id - 1) == "<<";
        self.record(id, if merge { EntryKind::Merge } else { EntryKind::Alias }, document.slice(document.node(id).span));
        Ok(())
    }

    fn write_out(&mut self, id: NodeId, flow: bool, at: &mut usize, out: &mut String) -> Result<()> {
        let node = self.document.node(id);
        match node.kind {
            Kind::Alias => self.write_out(node.target(), flow, at, out),
            Kind::Scalar => {
                *at += 1;
                self.write_leaf(*at - 1, flow, out)
            }
            Kind::Sequence => {
                out.push('[');
                let items: Vec<NodeId> = self.document.children(id).collect();
                for (index, item) in items.into_iter().enumerate() {
                    out.push_str(if index > 0 { ", " } else { "" });
                    self.write_out(item, true, at, out)?;
                }
                out.push(']');
                Ok(())
            }
            Kind::Mapping => {
                out.push('{');
                let entries: Vec<_> = self.document.entries(id).collect();
                for (index, (key, value)) in entries.into_iter().enumerate() {
                    out.push_str(if index > 0 { ", " } else { "" });
                    crate::document::yaml::write_key(self.document.key_text(key), out);
                    self.write_out(value, true, at, out)?;
                }
                out.push('}');
                Ok(())
            }
        }
    }

    fn write_leaf(&mut self, at: usize, flow: bool, out: &mut String) -> Result<()> {
        use crate::document::render::{Style, quoted};
        let value = &self.values[at];
        if !self.is_token(at) {
            quoted(if flow { Style::Double } else { Style::Plain }, value, flow, out);
            return Ok(());
        }
        let mark = if flow { "\"" } else { "" };
        out.push_str(mark);
        let mut ivs = std::mem::take(&mut self.ivs);
        let written = self.token(at, &mut ivs, out);
        self.ivs = ivs;
        written?;
        out.push_str(mark);
        Ok(())
    }
}
