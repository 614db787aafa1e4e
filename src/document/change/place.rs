//! Putting text where a node stands: what follows on its line stays there.

use zeroize::Zeroizing;

use super::super::edit::Edits;
use super::super::render::{self, Style};
use super::super::resolve::{Scalar, Type};
use super::super::{Document, NodeId, Span, json};

/// Puts `text`, which may have several lines, in the place of the scalar or alias `id`. A comment beside it stays on
/// the first line.
pub fn put_text(document: &Document<'_>, id: NodeId, text: &str, edits: &mut Edits) {
    let node = document.node(id);
    if node.flow {
        return edits.replace(node.span, text);
    }
    let split = text.find('\n').map_or(text.len(), |at| at - usize::from(text[..at].ends_with('\r')));
    let (first, below) = text.split_at(split);
    let start = node.span.start as usize;
    let end = start + if node.is_block_scalar() { document.header(id).len() } else { node.span.end as usize - start };
    edits.replace(Span::new(start, end), first);
    let line_end = document.line_end(end);
    edits.replace(Span::new(line_end, (node.span.end as usize).max(line_end)), below);
}

/// The text that stands for `value` in the place of `id`: in `style` on one line, text of several lines as a literal
/// block where that is possible.
pub fn scalar_text(document: &Document<'_>, id: NodeId, style: Style, value: &Scalar<'_>) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::new());
    if document.is_json() {
        json::render(value, &mut out);
        return out;
    }
    let node = document.node(id);
    let column = document.parent_column(id);
    let open_end = document.source.len() == document.line_end(node.span.end as usize);
    let one_line = node.flow || open_end || !fits_block(value);
    if one_line {
        render::quoted(style, value, node.flow, &mut out);
    } else {
        render::canonical(value, column, document.step_inside(id, column), false, document.newline(), &mut out);
    }
    out
}

/// Whether `value` is better shown as a block. Line breaks at its end beyond one would depend on the blank lines that
/// follow.
pub fn fits_block(value: &Scalar<'_>) -> bool {
    let text = value.as_text().filter(|_| value.kind == Type::Str);
    text.is_some_and(|text| text.contains('\n') && !text.ends_with("\n\n") && text != "\n")
}
