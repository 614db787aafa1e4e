//! The style of an encrypted value is the style of the scalar that carries its ENC token: readers of SOPS files ignore
//! it, so it brings the author's quotes and block headers back at no cost.

use super::block_scalar::{explicit_indent, first_indent, header_token};
use super::edit::Edits;
use super::render::{self, Chomp, Comparison, Sink, Style};
use super::resolve::Scalar;
use super::{Document, NodeId, Span, json};
use crate::secret::Secret;

/// Columns a level where the file doesn't say.
const STEP: usize = 2;

impl Document<'_> {
    /// The bytes of a scalar that are exchanged between value and token: of a block scalar its lines, else all of it.
    pub fn carried(&self, id: NodeId) -> Span {
        let node = self.node(id);
        if !node.is_block_scalar() {
            return node.span;
        }
        let body = node.body().min(self.source.len());
        Span::new(body, (node.span.end as usize).max(body))
    }

    /// The header of a block scalar, such as `>2-`.
    pub fn header(&self, id: NodeId) -> &str {
        let token = header_token(self.source.as_bytes(), self.node(id).span.start as usize);
        std::str::from_utf8(token).unwrap_or("|")
    }

    /// Where the lines of a block scalar end, before the last line break: blank lines are its own if it keeps them.
    pub fn lines_end(&self, id: NodeId) -> usize {
        let end = self.node(id).span.end as usize;
        if !self.header(id).contains('+') {
            return end;
        }
        let rest = &self.source[end..];
        let content = rest.find(|c: char| !c.is_ascii_whitespace()).unwrap_or(rest.len());
        rest[..content].rfind('\n').map_or(end, |newline| end + newline)
    }

    /// The column of a block scalar's lines.
    pub fn body_indent(&self, id: NodeId) -> usize {
        let node = self.node(id);
        let parent = self.parent_column(id);
        let found = match explicit_indent(self.header(id).as_bytes()) {
            Some(digit) => parent + digit,
            None => first_indent(self.slice(self.carried(id)).as_bytes()),
        };
        if found == 0 && node.parent != super::NONE { parent + STEP } else { found }
    }

    /// The column of the collection that holds a node.
    pub fn parent_column(&self, id: NodeId) -> usize {
        let parent = self.node(id).parent;
        if parent == super::NONE { 0 } else { self.column(self.node(parent).span.start as usize) }
    }

    /// Writes the token that `write` appends in the style of the scalar `id`, for [`Document::carried`].
    pub fn write_token<R>(&self, id: NodeId, out: &mut String, write: impl FnOnce(&mut String) -> R) -> R {
        if let Some(flat) = self.format.flat() {
            let (before, after) = flat.around_token(self, id);
            out.push_str(before);
            let written = write(out);
            out.push_str(&after);
            return written;
        }
        let node = self.node(id);
        let mark = match node.style {
            Style::Literal | Style::Folded => {
                // A header at the very end of the file has no line to put the token on.
                if !self.source[..node.body().min(self.source.len())].ends_with('\n') {
                    out.push_str(self.newline());
                }
                out.extend(std::iter::repeat_n(' ', self.body_indent(id)));
                ""
            }
            _ if self.is_json() => "\"",
            Style::Plain if !node.flow => "",
            Style::Single => "'",
            // A plain scalar can't hold a token inside brackets.
            Style::Plain | Style::Double => "\"",
        };
        out.push_str(mark);
        let written = write(out);
        out.push_str(mark);
        written
    }

    /// The text that stands for `value` where the scalar `id` carries (or, while encrypting, will carry) its token:
    /// what [`Document::carried`] is replaced by.
    /// [`None`] if the style can't hold the value.
    pub fn render_value(&self, id: NodeId, value: &Scalar<'_>, out: &mut String) -> Option<()> {
        if let Some(flat) = self.format.flat() {
            flat.render(self, id, value, out);
            return Some(());
        }
        let node = self.node(id);
        if self.is_json() {
            json::render(value, out);
            return Some(());
        }
        if node.is_block_scalar() {
            return self.render_block(id, value, out);
        }
        let style = if node.flow && node.style == Style::Plain { Style::Double } else { node.style };
        render::quoted(style, value, node.flow, out);
        Some(())
    }

    /// Whether [`Document::render_value`] would give the very bytes that stand there; `scratch` is for its use.
    pub fn renders_as_written(&self, id: NodeId, value: &Scalar<'_>, scratch: &mut Secret) -> bool {
        let original = self.slice(self.carried(id));
        if self.node(id).is_block_scalar() && !self.is_json() {
            let mut comparison = Comparison::new(original, self.newline());
            return self.block_lines(id, value, &mut comparison).is_some() && comparison.is_same();
        }
        let rendered = self.render_value(id, value, scratch).is_some() && scratch.as_str() == original;
        scratch.empty();
        rendered
    }

    fn render_block(&self, id: NodeId, value: &Scalar<'_>, out: &mut String) -> Option<()> {
        self.block_lines(id, value, out)?;
        out.truncate(out.len() - self.newline().len());
        Some(())
    }

    /// The lines of a block scalar, each with its line break.
    fn block_lines(&self, id: NodeId, value: &Scalar<'_>, out: &mut impl Sink) -> Option<()> {
        let header = self.header(id);
        let chomp = if header.contains('-') {
            Chomp::Strip
        } else if header.contains('+') {
            Chomp::Keep
        } else {
            Chomp::Clip
        };
        let explicit = explicit_indent(header.as_bytes()).is_some();
        let folded = self.node(id).style == Style::Folded;
        let text = value.as_text().filter(|_| value.kind == super::resolve::Type::Str)?;
        render::block_body(folded, chomp, explicit, self.body_indent(id), text, self.newline(), false, out).then_some(())
    }

    /// The edits that put `value` where the scalar `id` carries its token.
    pub fn put_value(&self, id: NodeId, value: &Scalar<'_>, edits: &mut Edits) {
        let node = self.node(id);
        let foreign = node.style == Style::Plain && !node.flow && value.bytes.contains(&b'\n');
        if foreign && self.is_yaml() {
            return self.put_lines(id, value, edits);
        }
        if edits.try_write(self.carried(id), |out| self.render_value(id, value, out)).is_some() {
            return;
        }
        // The header doesn't fit the value (someone changed one of them): quotes hold anything.
        let mut text = zeroize::Zeroizing::new(String::new());
        render::quoted(Style::Double, value, node.flow, &mut text);
        let header = Span::new(node.span.start as usize, node.span.start as usize + self.header(id).len());
        edits.replace(header, &text);
        let end = self.line_end(header.end as usize);
        edits.replace(Span::new(end, (node.span.end as usize).max(end)), "");
    }

    /// Text of several lines from a plain token, as genuine sops writes it: a literal block. A comment beside the
    /// token stays beside the header.
    fn put_lines(&self, id: NodeId, value: &Scalar<'_>, edits: &mut Edits) {
        let node = self.node(id);
        let end = self.line_end(node.span.end as usize);
        let column = self.parent_column(id);
        let step = self.step_inside(id, column);
        let mut text = zeroize::Zeroizing::new(String::new());
        let last = end == self.source.len() && !self.source.ends_with('\n');
        render::canonical(value, column, step, last, self.newline(), &mut text);
        match text.split_once('\n') {
            Some((header, body)) if end > node.span.end as usize => {
                edits.replace(node.span, header.trim_end_matches('\r'));
                edits.replace(Span::new(end, end), &format!("{}{body}", self.newline()));
            }
            _ => edits.replace(node.span, &text),
        }
    }

    /// The indentation step of the file: that of the first nested block collection.
    pub(super) fn step_inside(&self, id: NodeId, column: usize) -> usize {
        let root = self.parts[self.node(id).document as usize].root;
        let nested = self.children(root).find(|child| {
            let node = self.node(*child);
            node.is_collection() && !node.flow && self.column(node.span.start as usize) > 0
        });
        let step = nested.map_or(STEP, |child| self.column(self.node(child).span.start as usize)).clamp(1, 9);
        step * ((column + step) / step) - column
    }
}
