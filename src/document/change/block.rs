//! Changes of block style: an entry a line, indentation for structure.

use zeroize::Zeroizing;

use super::super::edit::Edits;
use super::super::render::{self, Style};
use super::super::resolve::{Scalar, Type};
use super::super::value::Value;
use super::super::{Document, Kind, NONE, NodeId, Role, Span};
use super::detail::{Habits, after_colon, dash_of, end_of_lines, last_byte, quotes_of, start_of, starts_line};
use super::place::{fits_block, put_text};
use super::print::{Printer, yaml_scalar};
use crate::error::{Error, Kind as ErrorKind, Result};

fn printer<'d>(document: &'d Document<'_>, near: NodeId, collection: NodeId, role: Role, end: usize) -> Printer<'d> {
    let quotes = |role| if collection == NONE { Style::Plain } else { quotes_of(document, collection, role) };
    Printer {
        habits: Habits::near(document, near),
        quotes: quotes(role),
        key_quotes: if role == Role::Value { quotes(Role::Key) } else { Style::Plain },
        newline: document.newline(),
        open_end: end == document.source.len() && !document.source.ends_with('\n'),
    }
}

/// Puts `value` in the place of the node `id` of a block collection.
///
/// # Errors
/// A layout that isn't understood.
pub(super) fn replace(document: &Document<'_>, id: NodeId, value: &Value, edits: &mut Edits) -> Result<()> {
    let node = document.node(id);
    let block = node.is_collection() && !node.flow;
    drop_tag(document, id, value, edits);
    match value {
        Value::Map(entries) if !entries.is_empty() => replace_by_collection(document, id, value, edits),
        Value::List(items) if !items.is_empty() => replace_by_collection(document, id, value, edits),
        leaf if block => {
            // Comments below the last entry of the file are about the file.
            let root = node.role == Role::Root;
            let end = if root { document.line_end(last_byte(document, id)) } else { end_of_lines(document, id) };
            let text = leaf_text(document, id, leaf, end);
            replace_block(document, id, &text, "", end, edits)
        }
        leaf => {
            let text = leaf_text(document, id, leaf, document.line_end(last_byte(document, id)));
            if node.span.start == node.span.end {
                // An omitted null: the text goes behind the colon or dash, and the anchor.
                insert_behind(document, opening(document, id)?, &text, edits);
                return Ok(());
            }
            put(document, id, &text, edits);
            Ok(())
        }
    }
}

/// Puts `text` a blank behind `at`, the lines below the first one under what stands there.
fn insert_behind(document: &Document<'_>, at: usize, text: &str, edits: &mut Edits) {
    let (first, below) = split(text);
    edits.write(Span::new(at, at), |out| out.extend([" ", first]));
    let end = document.line_end(at);
    edits.replace(Span::new(end, end), below);
}

/// A flow collection is a token like a scalar, but its node says that it is in flow style.
fn put(document: &Document<'_>, id: NodeId, text: &str, edits: &mut Edits) {
    let node = document.node(id);
    if !node.flow {
        return put_text(document, id, text, edits);
    }
    let (first, below) = split(text);
    edits.replace(node.span, first);
    let end = document.line_end(node.span.end as usize);
    edits.replace(Span::new(end, end), below);
}

fn split(text: &str) -> (&str, &str) {
    text.split_at(text.find('\n').map_or(text.len(), |at| at - usize::from(text[..at].ends_with('\r'))))
}

/// Tags say what the old value was; one of the author's own stays on a string.
fn drop_tag(document: &Document<'_>, id: NodeId, value: &Value, edits: &mut Edits) {
    let props = document.props(id);
    let custom = props.tag.as_deref().is_some_and(|tag| !tag.starts_with("tag:yaml.org,2002:"));
    let string = matches!(value, Value::Scalar(Type::Str, _)) && document.node(id).kind == Kind::Scalar;
    if let (Some(tag), false) = (props.tag_span, custom && string) {
        let end = tag.end as usize;
        let blanks = document.source[end..].len() - document.source[end..].trim_start_matches(' ').len();
        edits.replace(Span::new(tag.start as usize, end + blanks), "");
    }
}

/// A scalar in the style of the one that it replaces, where that can hold it.
fn leaf_text(document: &Document<'_>, id: NodeId, value: &Value, end: usize) -> Zeroizing<String> {
    let node = document.node(id);
    let mut out = Zeroizing::new(String::new());
    let Some(scalar) = value.as_scalar() else {
        out.push_str(if matches!(value, Value::Map(_)) { "{}" } else { "[]" });
        return out;
    };
    let open_end = end == document.source.len() && !document.source.ends_with('\n');
    if !open_end && node.is_block_scalar() && fits_block(&scalar) && in_block_style(document, id, &scalar, &mut out) {
        return out;
    }
    let style = if node.kind == Kind::Scalar { node.style } else { quotes_of(document, node.parent, node.role) };
    if fits_block(&scalar) && !open_end && style != Style::Double {
        let column = document.parent_column(id);
        let step = Habits::near(document, id).step;
        render::canonical(&scalar, column, step, false, document.newline(), &mut out);
    } else {
        yaml_scalar(style, &scalar, false, &mut out);
    }
    out
}

fn in_block_style(document: &Document<'_>, id: NodeId, scalar: &Scalar<'_>, out: &mut String) -> bool {
    let mut body = Zeroizing::new(String::new());
    if document.render_value(id, scalar, &mut body).is_none() {
        return false;
    }
    out.push_str(document.header(id));
    out.push_str(document.newline());
    out.push_str(&body);
    true
}

/// Where a value's text may begin: behind the colon or the dash, and behind the anchor.
fn opening(document: &Document<'_>, id: NodeId) -> Result<usize> {
    let found = match document.node(id).role {
        Role::Value => after_colon(document, id),
        Role::Item => dash_of(document, id).map(|dash| dash + 1),
        Role::Root | Role::Key | Role::Shadow => None,
    };
    let at = found.ok_or_else(|| {
        document.error(id, ErrorKind::Generic, "the layout around this value isn't understood").hint("change it with edit")
    })?;
    let anchor = document.props(id).anchor_span.map_or(at, |anchor| anchor.end as usize);
    Ok(anchor.max(at))
}

/// Puts `first` behind the opening and `below` on the lines under it, in the place of a block collection that ends at
/// `end`.
fn replace_block(document: &Document<'_>, id: NodeId, first: &str, below: &str, end: usize, edits: &mut Edits) -> Result<()> {
    let start = document.node(id).span.start as usize;
    if document.node(id).role == Role::Root {
        edits.write(Span::new(start, end), |out| out.extend([first, below]));
        return Ok(());
    }
    let opening = opening(document, id)?;
    let (head, tail) = split(first);
    let line_end = document.line_end(opening);
    if start < line_end {
        edits.write(Span::new(start, end), |out| out.extend([first, below]));
    } else {
        let blank = if head.is_empty() { "" } else { " " };
        edits.write(Span::new(opening, opening), |out| out.extend([blank, head]));
        edits.write(Span::new(line_end, end), |out| out.extend([tail, below]));
    }
    Ok(())
}

fn replace_by_collection(document: &Document<'_>, id: NodeId, value: &Value, edits: &mut Edits) -> Result<()> {
    let node = document.node(id);
    let block = node.is_collection() && !node.flow;
    let end = if block { end_of_lines(document, id) } else { document.line_end(last_byte(document, id)) };
    let inside = if node.is_collection() { id } else { NONE };
    let printer = printer(document, id, inside, Role::Value, end);
    let mut text = Zeroizing::new(String::new());
    match node.role {
        Role::Root => {
            if node.kind == Kind::Scalar {
                edits.replace(node.span, "");
                fill(document, value, edits);
            } else {
                printer.inline(value, 0, 0, &mut text);
                edits.replace(node.span, &text);
            }
            return Ok(());
        }
        Role::Item => {
            item_by_collection(document, id, value, &printer, &mut text);
        }
        _ => printer.after_key(value, document.parent_column(id), &mut text),
    }
    if block {
        let (first, below) = split(&text);
        return replace_block(document, id, first, below, end, edits);
    }
    replace_token(document, id, &text, edits)
}

/// A collection behind a dash: where the old item began, on lines of its own if that did or has an anchor.
fn item_by_collection(document: &Document<'_>, id: NodeId, value: &Value, printer: &Printer<'_>, text: &mut String) {
    let node = document.node(id);
    let dash = dash_of(document, id).unwrap_or_default();
    let column = document.column(dash);
    let start = start_of(document, id);
    let anchored = document.props(id).anchor_span.is_some();
    let below = node.is_collection() && document.source[dash..start.max(dash)].contains('\n');
    if anchored || below {
        let inside = if below && !anchored { document.column(start) } else { column + printer.habits.item };
        text.push_str(printer.newline);
        text.extend(std::iter::repeat_n(' ', inside));
        return printer.inline(value, column, inside, text);
    }
    // An omitted item is filled one blank behind its dash.
    let omitted = node.span.start == node.span.end || start <= dash;
    printer.inline(value, column, if omitted { column + 2 } else { document.column(start) }, text);
}

/// Puts a collection's lines in the place of a scalar, an alias or brackets.
fn replace_token(document: &Document<'_>, id: NodeId, text: &str, edits: &mut Edits) -> Result<()> {
    let (first, _) = split(text);
    let opening = opening(document, id)?;
    let node = document.node(id);
    let (start, end) = (node.span.start as usize, last_byte(document, id));
    if !first.is_empty() {
        if start == end {
            insert_behind(document, opening, text, edits);
        } else {
            put(document, id, text, edits);
        }
        return Ok(());
    }
    if document.line_start(start) > opening {
        // The value has lines of its own.
        edits.replace(Span::new(document.line_end(opening), document.line_end(end)), text);
        return Ok(());
    }
    let head = if node.is_block_scalar() { start + document.header(id).len() } else { end.max(opening) };
    edits.replace(Span::new(opening, head), "");
    let line_end = document.line_end(head);
    edits.replace(Span::new(line_end, end.max(line_end)), text);
    Ok(())
}

/// Adds an entry (with a key) or an item at the end of a block collection.
///
/// # Errors
/// A layout that isn't understood.
pub(super) fn append(document: &Document<'_>, collection: NodeId, key: Option<&str>, value: &Value, edits: &mut Edits) -> Result<()> {
    let end = end_of_lines(document, collection);
    let role = if key.is_some() { Role::Value } else { Role::Item };
    let printer = printer(document, document.node(collection).end, collection, role, end);
    let column = column_of(document, collection);
    let mut text = Zeroizing::new(String::new());
    text.push_str(printer.newline);
    text.extend(std::iter::repeat_n(' ', column));
    match key {
        Some(key) => printer.entry(key, value, column, &mut text),
        None => printer.item(value, column, &mut text),
    }
    close_last_block(document, collection, end, edits);
    edits.replace(Span::new(end, end), &text);
    Ok(())
}

/// The column of a collection's entries: that of the last one that starts its line.
fn column_of(document: &Document<'_>, collection: NodeId) -> usize {
    let firsts = document.children(collection).filter(|child| document.node(*child).role == Role::Key);
    let line = firsts.map(|key| start_of(document, key)).filter(|start| starts_line(document, *start)).last();
    line.map_or_else(|| document.column_of(collection), |start| document.column(start))
}

/// A block scalar that ends with the file, without a line break, would get one from the line that follows.
fn close_last_block(document: &Document<'_>, collection: NodeId, end: usize, edits: &mut Edits) {
    let last = document.node(collection).end - 1;
    let node = document.node(last);
    let open = end == document.source.len() && !document.source.ends_with('\n') && node.is_block_scalar();
    if open && !document.text(last).ends_with('\n') && !document.header(last).contains('-') {
        let header = document.header(last);
        let start = node.span.start as usize;
        edits.replace(Span::new(start, start + header.len()), &format!("{}-", header.trim_end_matches('+')));
    }
}

/// The content of a first document that has none.
pub(super) fn fill(document: &Document<'_>, value: &Value, edits: &mut Edits) {
    let end = document.parts.first().map_or(0, |part| part.end as usize);
    let printer = printer(document, 0, NONE, Role::Value, usize::MAX);
    let mut text = Zeroizing::new(String::new());
    if end > 0 && !document.source[..end].ends_with('\n') {
        text.push_str(printer.newline);
    }
    printer.inline(value, 0, 0, &mut text);
    text.push_str(printer.newline);
    edits.replace(Span::new(end, end), &text);
}

/// Takes an entry or item out of a block collection.
///
/// # Errors
/// A layout that isn't understood.
pub(super) fn take_out(document: &Document<'_>, id: NodeId, edits: &mut Edits) -> Result<()> {
    let node = document.node(id);
    let (first, start) = entry_start(document, id)?;
    let collection = document.node(node.parent);
    let only = first == node.parent + 1 && node.end == collection.end;
    if only {
        let empty = if collection.kind == Kind::Mapping { Value::Map(Vec::new()) } else { Value::List(Vec::new()) };
        return replace(document, node.parent, &empty, edits);
    }
    let end = end_of_lines(document, id);
    if starts_line(document, start) {
        let lines = Lines { document, first, start: document.line_start(start), end };
        edits.replace(lines.span(), "");
        return Ok(());
    }
    // The first entry, behind the dash of the item that the collection is: what follows takes its place.
    let next = document.children(node.parent).find(|child| *child >= node.end);
    let next = next.ok_or_else(|| Error::new(ErrorKind::Generic, "the layout around this value isn't understood"))?;
    let (_, next) = entry_start(document, if collection.kind == Kind::Mapping { next + 1 } else { next })?;
    let comment = document.comments.iter().map(|comment| comment.span.start as usize).find(|at| (end..next).contains(at));
    edits.replace(Span::new(start, comment.unwrap_or(next)), "");
    Ok(())
}

/// The first node of an entry, and where it begins: at its dash, its `?`, its anchor or its key.
fn entry_start(document: &Document<'_>, id: NodeId) -> Result<(NodeId, usize)> {
    if document.node(id).role == Role::Item {
        let dash = dash_of(document, id);
        return dash.map(|dash| (id, dash)).ok_or_else(|| {
            document.error(id, ErrorKind::Generic, "the layout around this value isn't understood").hint("change it with edit")
        });
    }
    let start = start_of(document, id - 1);
    let before = document.source[document.line_start(start)..start].trim_end();
    let explicit = before.ends_with('?');
    Ok((id - 1, if explicit { document.line_start(start) + before.len() - 1 } else { start }))
}

/// Lines to take out.
struct Lines<'d, 's> {
    document: &'d Document<'s>,
    /// The first node on them.
    first: NodeId,
    start: usize,
    end: usize,
}

impl Lines<'_, '_> {
    /// With one line break; of blank lines on both sides one stays.
    fn span(&self) -> Span {
        let source = self.document.source;
        let after = source[self.end..].find('\n').map(|newline| self.end + newline + 1);
        let Some(after) = after else { return self.at_the_end() };
        let mut end = after;
        if self.follows_kept_lines() || self.follows_blank() {
            while let Some(next) = blank_line(source, end) {
                end = next;
                if !self.follows_kept_lines() {
                    break;
                }
            }
        }
        Span::new(self.start, end)
    }

    /// At the end of a file without a line break the one before goes, unless it belongs to a value.
    fn at_the_end(&self) -> Span {
        let before = &self.document.source[..self.start];
        let kept = before.strip_suffix('\n').map_or(before, |before| before.strip_suffix('\r').unwrap_or(before));
        Span::new(if self.follows_block() { self.start } else { kept.len() }, self.end)
    }

    /// The leaf before these lines, if it is a block scalar.
    fn block_before(&self) -> Option<NodeId> {
        let leaf = self.first.checked_sub(1)?;
        self.document.node(leaf).is_block_scalar().then_some(leaf)
    }

    fn follows_block(&self) -> bool {
        self.block_before().is_some()
    }

    /// Whether blank lines that follow would become part of the value before.
    fn follows_kept_lines(&self) -> bool {
        self.block_before().is_some_and(|leaf| self.document.header(leaf).contains('+'))
    }

    fn follows_blank(&self) -> bool {
        let before = self.document.source[..self.start].trim_end_matches([' ', '\t']);
        let line = before.strip_suffix('\n').map(|before| before.strip_suffix('\r').unwrap_or(before));
        line.is_some_and(|line| line.is_empty() || line.ends_with('\n'))
    }
}

/// The start of the line after a blank one at `at`.
fn blank_line(source: &str, at: usize) -> Option<usize> {
    let rest = &source[at..];
    let newline = rest.find('\n')?;
    rest[..newline].trim().is_empty().then_some(at + newline + 1)
}
