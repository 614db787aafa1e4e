//! The `sops` block of a YAML file: where it goes in each document, and what is taken out again.

use super::edit::Edits;
use super::value::{self, Layout, Value};
use super::yaml_print::Printer;
use super::{Document, Kind, NONE, NodeId, Part, Span};

/// Columns a level where neither flag nor configuration says otherwise, as in genuine sops.
const INDENT: usize = 4;

/// Adds the block to document 0 and to every other document with content (kustomize splits files, and a document
/// without its block can't be decrypted).
pub(super) fn add(document: &Document<'_>, metadata: &Value, indent: Option<usize>, edits: &mut Edits) {
    // Documents of one file have the same block, unless their root is indented.
    let mut blocks: Vec<(usize, String)> = Vec::new();
    for (at, part) in document.parts.iter().enumerate() {
        let mapping = part.root != NONE && document.node(part.root).kind == Kind::Mapping;
        if !mapping && at > 0 {
            continue;
        }
        if mapping && document.node(part.root).flow {
            add_to_flow(document, part.root, metadata, edits);
            continue;
        }
        let base = if mapping { document.column(document.node(part.root).span.start as usize) } else { 0 };
        if !blocks.iter().any(|(column, _)| *column == base) {
            let mut block = String::new();
            Printer { step: indent.filter(|step| *step > 0).unwrap_or(INDENT), newline: document.newline(), base }
                .root(metadata, &mut block);
            blocks.push((base, block));
        }
        let end = part.end as usize;
        let open = end > 0 && !document.source[..end].ends_with('\n');
        edits.write(Span::new(end, end), |out| {
            out.push_str(if open { document.newline() } else { "" });
            out.extend(blocks.iter().filter(|(column, _)| *column == base).map(|(_, block)| block.as_str()));
        });
    }
}

/// A flow-style root gets the block inside, as JSON on one line.
fn add_to_flow(document: &Document<'_>, root: NodeId, metadata: &Value, edits: &mut Edits) {
    let mut block = String::new();
    value::json(metadata, Layout::OneLine, &mut block);
    let entry = &block[1..block.len() - 1];
    let last = document.children(root).last();
    let at = match last {
        Some(last) => end_of(document, last),
        None => document.node(root).span.start as usize + 1,
    };
    let separator = if last.is_some() { ", " } else { "" };
    edits.write(Span::new(at, at), |out| {
        out.push_str(separator);
        out.push_str(entry);
    });
}

/// Where the text of a node ends; an omitted null ends at its colon.
fn end_of(document: &Document<'_>, id: NodeId) -> usize {
    let node = document.node(id);
    let end = node.span.end as usize;
    let omitted = node.span.start == node.span.end;
    let colon = omitted && document.source[end..].starts_with(':');
    if colon { end + 1 } else { end }
}

/// Takes the block out of every document. A document 0 that holds nothing else becomes `bare`.
pub(super) fn remove(document: &Document<'_>, bare: &str, edits: &mut Edits) {
    for (at, part) in document.parts.iter().enumerate() {
        let Some((key, block)) = block_of(document, part) else { continue };
        if document.node(part.root).flow {
            remove_from_flow(document, key, block, edits);
            continue;
        }
        let lines = lines_of(document, key, block);
        let only = document.node(part.root).end == document.node(block).end && key == part.root + 1;
        let left = match (only, at) {
            (true, 0) => bare,
            (true, _) => "{}\n",
            (false, _) => "",
        };
        edits.replace(lines, left);
    }
}

/// The lines of a block, the last line break included.
fn lines_of(document: &Document<'_>, key: NodeId, block: NodeId) -> Span {
    let start = document.line_start(document.node(key).span.start as usize);
    let end = document.line_end(last_byte(document, block));
    let after = document.source[end..].find('\n').map_or(document.source.len(), |newline| end + newline + 1);
    Span::new(start, after)
}

/// The bytes of the first document's block.
pub(super) fn span(document: &Document<'_>) -> Option<Span> {
    let part = document.parts.first()?;
    let (key, block) = block_of(document, part)?;
    if document.node(part.root).flow {
        return Some(Span { start: document.node(key).span.start, end: document.node(block).span.end });
    }
    Some(lines_of(document, key, block))
}

/// Puts other metadata into every block.
pub(super) fn replace(document: &Document<'_>, metadata: &Value, edits: &mut Edits) {
    super::block::replace(document, metadata, edits, |block, metadata, edits| print(document, block, metadata, edits));
}

/// Writes a block anew in its place, in its own indentation.
fn print(document: &Document<'_>, block: NodeId, metadata: &Value, edits: &mut Edits) {
    let (key, node) = (block - 1, document.node(block));
    if document.node(node.parent).flow {
        let mut text = String::new();
        value::json(metadata.get("sops").unwrap_or(metadata), Layout::OneLine, &mut text);
        return edits.replace(node.span, &text);
    }
    let base = document.column(document.node(key).span.start as usize);
    let mut text = String::new();
    Printer { step: step_of(document, block).unwrap_or(INDENT), newline: document.newline(), base }.root(metadata, &mut text);
    edits.replace(lines_of(document, key, block), &text);
}

/// The columns a level of a block.
pub(super) fn step_of(document: &Document<'_>, block: NodeId) -> Option<usize> {
    let node = document.node(block);
    let column = document.column(document.children(block).next().map(|first| document.node(first).span.start as usize)?);
    let step = column.checked_sub(document.column(document.node(node.parent).span.start as usize))?;
    (!node.flow && (2..=9).contains(&step)).then_some(step)
}

/// Key and value of the top-level `sops` entry.
fn block_of(document: &Document<'_>, part: &Part) -> Option<(NodeId, NodeId)> {
    let block = document.get(part.root, "sops")?;
    Some((block - 1, block))
}

fn last_byte(document: &Document<'_>, id: NodeId) -> usize {
    let last = document.node(id).end - 1;
    (document.node(last).span.end).max(document.node(id).span.end) as usize
}

fn remove_from_flow(document: &Document<'_>, key: NodeId, block: NodeId, edits: &mut Edits) {
    let root = document.node(key).parent;
    let end = document.node(block).span.end as usize;
    let previous = document.children(root).take_while(|child| *child != key).last();
    let span = match previous {
        Some(previous) => Span::new(end_of(document, previous), end),
        None => Span::new(document.node(key).span.start as usize, after_comma(document.source, end)),
    };
    edits.replace(span, "");
}

/// Past the comma that follows, if entries follow the block.
fn after_comma(source: &str, end: usize) -> usize {
    let rest = &source[end..];
    let blanks = rest.len() - rest.trim_start().len();
    if !rest[blanks..].starts_with(',') {
        return end;
    }
    let rest = &rest[blanks + 1..];
    end + blanks + 1 + (rest.len() - rest.trim_start_matches(' ').len())
}

/// `text` without the `sops` blocks that repeat, byte by byte, the one of the first document: readers look at that one
/// only, and in a file of many small documents the copies are most of it. [`None`] if there are none.
pub(super) fn without_repeats(text: &str) -> Option<String> {
    let start = memchr::memmem::find(text.as_bytes(), b"\nsops:\n")? + 1;
    let end = end_of_block(text, start);
    let block = &text[start..end];
    if !block.ends_with('\n') {
        return None;
    }
    let (mut out, mut done) = (String::with_capacity(text.len()), 0);
    for found in memchr::memmem::find_iter(&text.as_bytes()[end..], block.as_bytes()) {
        let (at, after) = (end + found, end + found + block.len());
        let rest = &text[after..];
        let closed = rest.is_empty() || rest.starts_with("---") || rest.starts_with("...");
        if closed && follows_content(&text[..at]) {
            out.push_str(&text[done..at]);
            done = after;
        }
    }
    if done == 0 {
        return None;
    }
    out.push_str(&text[done..]);
    Some(out)
}

/// Whether the line before is part of a document's content: a document of nothing but its block becomes `{}`.
fn follows_content(before: &str) -> bool {
    let Some(line) = before.strip_suffix('\n').and_then(|before| before.rsplit('\n').next()) else { return false };
    !line.trim().is_empty() && !line.trim_start().starts_with('#') && !line.starts_with("---")
}

/// The first line below the block that isn't indented.
fn end_of_block(text: &str, start: usize) -> usize {
    let body = start + text[start..].find('\n').map_or(text.len() - start, |newline| newline + 1);
    let lines = text[body..].split_inclusive('\n').take_while(|line| line.starts_with([' ', '\n', '\r']));
    body + lines.map(str::len).sum::<usize>()
}
