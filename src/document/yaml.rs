//! YAML: granit-parser's events become the node index. What genuine sops (yaml.v3) refuses is refused here.

use std::borrow::Cow;
use std::collections::HashSet;

use granit_parser::{Event as Granit, Options, Parser, ScalarStyle, ScanError, Span as GranitSpan, StructureStyle, Tag};

use super::block_scalar::BlockScalar;
use super::change::{self, Place};
use super::render::{self, Style};
use super::resolve::{self, ResolveError, Scalar, Type};
use super::value::Value;
use super::{Comment, Document, Event, Format, Kind, MAX_TEXT, NONE, Node, NodeId, Part, Props, Role, Span, Text};
use super::{comment, conflict, edit::Edits, second, yaml_block, yaml_lines, yaml_print, yaml_quirks};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::sorting;

/// The deepest nesting that is read; deeper files are taken for attacks.
pub const MAX_DEPTH: usize = 500;

/// The YAML format.
pub struct Yaml;

impl Format for Yaml {
    fn name(&self) -> &'static str {
        "yaml"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["yaml", "yml"]
    }

    fn parse<'s>(&self, source: &'s str) -> Result<Document<'s>> {
        conflict::named(parse(source), source)
    }

    fn resolve<'d>(&self, document: &'d Document<'_>, id: NodeId) -> std::result::Result<Scalar<'d>, ResolveError> {
        let node = document.node(id);
        let tag = document.props(id).tag.as_deref();
        resolve::resolve(document.text(id), node.style == Style::Plain, tag)
    }

    fn add_block(&self, document: &Document<'_>, metadata: &Value, indent: Option<usize>, edits: &mut Edits) {
        yaml_block::add(document, metadata, indent, edits);
    }

    fn replace_block(&self, document: &Document<'_>, metadata: &Value, edits: &mut Edits) {
        yaml_block::replace(document, metadata, edits);
    }

    fn block_indent(&self, document: &Document<'_>) -> Option<usize> {
        let root = document.parts.first()?.root;
        yaml_block::step_of(document, document.get(root, "sops")?)
    }

    fn block_span(&self, document: &Document<'_>) -> Option<Span> {
        yaml_block::span(document)
    }

    fn remove_block(&self, document: &Document<'_>, bare: &str, edits: &mut Edits) {
        yaml_block::remove(document, bare, edits);
    }

    fn refuse_plain(&self, source: &str) -> Result<()> {
        yaml_quirks::refuse_foreign_breaks(source)
    }

    fn without_repeats(&self, text: &str) -> Option<String> {
        yaml_block::without_repeats(text)
    }

    fn second_reading(&self, text: &str, receive: &mut dyn FnMut(Event)) -> std::result::Result<(), String> {
        second::yaml(text, receive)
    }

    fn put(&self, document: &Document<'_>, place: Place<'_>, value: &Value, edits: &mut Edits) -> Result<()> {
        change::yaml::put(document, place, value, edits)
    }

    fn take_out(&self, document: &Document<'_>, id: NodeId, edits: &mut Edits) -> Result<()> {
        change::yaml::take_out(document, id, edits)
    }

    fn print_fragment(&self, value: &Value, indent: Option<usize>) -> String {
        yaml_print::fragment(value, indent.unwrap_or(4))
    }

    fn print(&self, documents: &[Value], indent: Option<usize>) -> Result<String> {
        yaml_print::documents(documents, indent.unwrap_or(4))
    }
}

fn options() -> Options {
    let mut options = Options::default();
    options.emit_anchor_events = true;
    options.max_buffered_comment_events = 1 << 20;
    options.flow_nesting_limit = MAX_DEPTH;
    options.block_nesting_limit = MAX_DEPTH;
    options
}

/// Parses YAML into the node index.
///
/// # Errors
/// `Unreadable` (2) with line and column for what yaml.v3 refuses or would read as another value, duplicate keys and
/// top levels other than mappings; `EncryptTree` (23) for keys that aren't strings; `Empty` (92).
pub fn parse(source: &str) -> Result<Document<'_>> {
    if source.is_empty() {
        return Err(Error::new(ErrorKind::Empty, "the file is empty, there is nothing to encrypt or decrypt"));
    }
    if source.len() > MAX_TEXT {
        return Err(Error::new(ErrorKind::Unreadable, "the file is longer than 1 GiB"));
    }
    yaml_quirks::refuse_characters(source)?;
    if let Some(document) = yaml_lines::parse(source) {
        return Ok(document);
    }
    parse_events(source)
}

/// Parses any YAML, through the parser.
pub(super) fn parse_events(source: &str) -> Result<Document<'_>> {
    let mut builder = Builder::new(source, Vec::new());
    if let Err(error) = builder.read(source) {
        let Some(normal) = yaml_quirks::normalise(source) else { return Err(scan_error(source, &error)) };
        builder = Builder::new(source, normal.shifts);
        builder.read(&normal.text).map_err(|_| scan_error(source, &error))?;
        if !builder.indents_quotes_only() {
            return Err(scan_error(source, &error));
        }
    }
    if !builder.split.is_empty() && builder.shifts.is_empty() && builder.failure.is_none() {
        let normal = yaml_quirks::split_anchors(source, &builder.split);
        builder = Builder::new(source, normal.shifts);
        builder.read(&normal.text).map_err(|error| scan_error(source, &error))?;
    }
    builder.finish()
}

fn scan_error(source: &str, error: &ScanError) -> Error {
    let marker = error.marker();
    let offset = marker.byte_offset().unwrap_or(0);
    let info = error.info();
    // The parser's own words may quote the text that it stumbled on; only its fixed phrases are passed on.
    let words = if info.contains(['\'', '"', '`']) { "syntax error" } else { info.as_str() };
    let mut error = Error::new(ErrorKind::Unreadable, format!("not valid YAML: {words}")).at(source, offset);
    if info.contains("nesting") || info.contains("recursion") || info.contains("depth") {
        error.message = format!("nested deeper than {MAX_DEPTH} levels, the most that is read");
    }
    // Genuine sops takes both; YAML has neither.
    if info.contains("unknown anchor") {
        return error.hint("an alias stands for an anchor above it in its own document: repeat the anchor there");
    }
    if info.contains("before directive") {
        return error.hint("end the document before it with a line `...`");
    }
    error
}

/// A collection whose end hasn't been seen yet.
struct Open {
    id: NodeId,
    /// In a mapping: a key was read, its value comes next.
    value_next: bool,
}

struct Builder<'s> {
    document: Document<'s>,
    open: Vec<Open>,
    anchors: Vec<NodeId>,
    part_start: usize,
    cursor: usize,
    /// Where the parsed text differs in length from the source.
    shifts: Vec<yaml_quirks::Shift>,
    /// Anchors that run into their value, as yaml.v3 reads them.
    split: Vec<usize>,
    failure: Option<Error>,
}

impl<'s> Builder<'s> {
    fn new(source: &'s str, shifts: Vec<yaml_quirks::Shift>) -> Builder<'s> {
        Builder {
            document: Document::empty(source, &Yaml),
            open: Vec::new(),
            anchors: Vec::new(),
            part_start: 0,
            cursor: 0,
            shifts,
            split: Vec::new(),
            failure: None,
        }
    }

    fn read(&mut self, text: &str) -> std::result::Result<(), ScanError> {
        for event in Parser::new_from_str_with_options(text, options()) {
            let (event, span) = event?;
            if let Err(error) = self.event(event, &span) {
                self.failure = Some(error);
                return Ok(());
            }
        }
        Ok(())
    }

    /// Whether lines were indented for the parser only where they continue quoted scalars: elsewhere the blanks would
    /// have changed what is read.
    fn indents_quotes_only(&self) -> bool {
        let quoted = |at: usize| {
            let next = self.document.nodes.partition_point(|node| (node.span.start as usize) < at);
            let node = next.checked_sub(1).map(|id| &self.document.nodes[id]);
            node.is_some_and(|node| matches!(node.style, Style::Single | Style::Double) && at < node.span.end as usize)
        };
        let indents = self.shifts.iter().filter(|shift| shift.bytes < 0);
        indents.map(|shift| yaml_quirks::original_offset(&self.shifts, shift.at)).all(quoted)
    }

    fn event(&mut self, event: Granit<'_>, span: &GranitSpan) -> Result<()> {
        match event {
            Granit::StreamStart | Granit::StreamEnd => Ok(()),
            Granit::DocumentStart(explicit, version) => self.document_start(explicit, version.is_some(), span),
            Granit::DocumentEnd => self.document_end(),
            Granit::Comment(..) => self.comment(span),
            Granit::Anchor(id, _) => self.anchor(id, span),
            Granit::Alias(target) => self.alias(target, span),
            Granit::UnresolvedAlias(_) => Err(self.refuse(span, "alias without an anchor before it")),
            Granit::Scalar(text, style, _, tag) => self.scalar(&text, style, tag, span),
            Granit::SequenceStart(style, _, tag) => self.collection(Kind::Sequence, style, tag, span),
            Granit::MappingStart(style, _, tag) => self.collection(Kind::Mapping, style, tag, span),
            Granit::SequenceEnd | Granit::MappingEnd => self.close(span),
            _ => Ok(()),
        }
    }

    /// Byte offset in the source of a parser mark.
    fn offset(&self, mark: &granit_parser::Marker) -> usize {
        yaml_quirks::original_offset(&self.shifts, mark.byte_offset().unwrap_or(0))
    }

    fn span(&self, span: &GranitSpan) -> Span {
        Span::new(self.offset(&span.start), self.offset(&span.end))
    }

    fn refuse(&self, span: &GranitSpan, message: &str) -> Error {
        Error::new(ErrorKind::Unreadable, message).at(self.document.source, self.offset(&span.start))
    }

    fn document_start(&mut self, explicit: bool, version: bool, span: &GranitSpan) -> Result<()> {
        let start = self.offset(&span.start);
        if version {
            yaml_quirks::refuse_version(self.document.source, start)?;
        }
        let before = self.document.parts.last().map_or(0, |part| part.end as usize).min(start);
        yaml_quirks::refuse_directives(self.document.source, before, start)?;
        yaml_quirks::refuse_bare_document(self.document.source, before, start, explicit, !self.document.parts.is_empty())?;
        self.part_start = start + if explicit { 3 } else { 0 };
        self.cursor = self.part_start;
        self.document.parts.push(Part { root: NONE, end: 0 });
        Ok(())
    }

    fn document_end(&mut self) -> Result<()> {
        let from = self.cursor.max(self.part_start);
        let end = end_of_part(self.document.source, from);
        if let Some(part) = self.document.parts.last_mut() {
            part.end = end as u32;
        }
        self.anchors.clear();
        Ok(())
    }

    fn comment(&mut self, span: &GranitSpan) -> Result<()> {
        let mut span = self.span(span);
        if self.document.slice(span).ends_with('\r') {
            span.end -= 1;
        }
        let document = self.document.parts.len().saturating_sub(1) as u32;
        let comment = Comment { span, document, container: NONE, element: NONE, inline: false, certain: false };
        self.document.comments.push(comment);
        Ok(())
    }

    fn anchor(&mut self, id: usize, span: &GranitSpan) -> Result<()> {
        let node = self.document.nodes.len() - 1;
        if self.anchors.len() <= id {
            self.anchors.resize(id + 1, NONE);
        }
        self.anchors[id] = node as NodeId;
        let anchor = self.span(span);
        self.split.extend(yaml_quirks::end_of_anchor(self.document.source, anchor)?);
        let props = self.props_of(node);
        self.document.props[props].anchor_span = Some(anchor);
        Ok(())
    }

    fn props_of(&mut self, node: usize) -> usize {
        if self.document.nodes[node].props == 0 {
            self.document.nodes[node].props = self.document.props.len() as u32;
            self.document.props.push(Props::default());
        }
        self.document.nodes[node].props as usize
    }

    fn alias(&mut self, target: usize, span: &GranitSpan) -> Result<()> {
        let node = self.anchors.get(target).copied().unwrap_or(NONE);
        if node == NONE || self.open.iter().any(|open| open.id == node) {
            return Err(self.refuse(span, "an alias inside the node that it stands for never ends"));
        }
        let text = Text::default();
        self.node(Kind::Alias, Style::Plain, self.span(span), text, node)?;
        self.cursor = self.offset(&span.end);
        Ok(())
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<Cow<'_, Tag>>, span: &GranitSpan) -> Result<()> {
        let mut range = self.span(span);
        let (mut aux, mut unterminated) = (0, false);
        let style = match style {
            ScalarStyle::Plain => Style::Plain,
            ScalarStyle::SingleQuoted => Style::Single,
            ScalarStyle::DoubleQuoted => Style::Double,
            ScalarStyle::Literal => Style::Literal,
            ScalarStyle::Folded => Style::Folded,
        };
        let omitted = range.start == range.end && style == Style::Plain;
        if omitted {
            range = Span { start: range.start.max(self.cursor as u32), end: range.start.max(self.cursor as u32) };
        }
        let mut cursor = range.end as usize;
        if matches!(style, Style::Literal | Style::Folded) {
            let block = BlockScalar::find(self.document.source, self.cursor, range, self.parent_column());
            yaml_quirks::refuse_block(self.document.source, &block)?;
            unterminated = block.unterminated && text.ends_with('\n');
            (range, aux, cursor) = (block.span, block.body, block.after);
        } else {
            yaml_quirks::refuse_scalar(self.document.source, range, style)?;
        }
        // yaml.v3 adds no line break to a block scalar that ends with the file.
        let text = if unterminated { &text[..text.len() - 1] } else { text };
        let text = if omitted { Text::default() } else { self.document.keep(text) };
        self.tagged(Kind::Scalar, style, range, text, aux, tag, span)?;
        self.cursor = cursor;
        Ok(())
    }

    /// The column of the collection that holds the next node.
    fn parent_column(&self) -> usize {
        self.open.last().map_or(0, |open| self.document.column(self.document.node(open.id).span.start as usize))
    }

    fn collection(&mut self, kind: Kind, style: StructureStyle, tag: Option<Cow<'_, Tag>>, span: &GranitSpan) -> Result<()> {
        if self.open.len() >= MAX_DEPTH {
            return Err(self.refuse(span, &format!("nested deeper than {MAX_DEPTH} levels, the most that is read")));
        }
        let mut range = self.span(span);
        if kind == Kind::Sequence && style == StructureStyle::Block {
            range.start = self.dash(range.start as usize) as u32;
        }
        let text = Text::default();
        let id = self.tagged(kind, Style::Plain, range, text, 0, tag, span)?;
        let inherited = self.document.nodes[id as usize].flow;
        self.document.nodes[id as usize].flow = inherited || style == StructureStyle::Flow;
        self.open.push(Open { id, value_next: false });
        if style == StructureStyle::Flow {
            self.cursor = range.end as usize;
        }
        Ok(())
    }

    /// Where the first `-` of a block sequence stands: for one at its key's column the parser gives its first item.
    fn dash(&self, start: usize) -> usize {
        let source = self.document.source;
        let is_dash = |at: usize| source[at..].starts_with('-') && source[at + 1..].chars().next().is_none_or(char::is_whitespace);
        // Only a mapping's value can stand at the key's column; its first item may be a list of its own.
        let in_mapping = self.open.last().is_some_and(|open| self.document.node(open.id).kind == Kind::Mapping);
        if is_dash(start) && !in_mapping {
            return start;
        }
        let (mut end, mut dash) = (start, start);
        while end > self.cursor {
            let line = self.document.line_start(end);
            let first = line + (source[line..].len() - source[line..].trim_start_matches(' ').len());
            if first < end && first >= self.cursor && is_dash(first) {
                dash = first;
            }
            end = line.saturating_sub(1);
        }
        dash
    }

    #[allow(clippy::too_many_arguments)]
    fn tagged(
        &mut self,
        kind: Kind,
        style: Style,
        range: Span,
        text: Text,
        aux: u32,
        tag: Option<Cow<'_, Tag>>,
        span: &GranitSpan,
    ) -> Result<NodeId> {
        let id = self.node(kind, style, range, text, aux)?;
        let node = &self.document.nodes[id as usize];
        if node.flow && kind == Kind::Scalar {
            let tag = span.tag_span().map(|tag| self.span(&tag));
            yaml_quirks::refuse_in_flow(self.document.source, range, style, node.role == Role::Key, tag)?;
        }
        if let (Some(tag), Some(tag_span)) = (tag, span.tag_span()) {
            let tag_span = self.span(&tag_span);
            let props = self.props_of(id as usize);
            self.document.props[props].tag = Some(format!("{}{}", tag.handle(), tag.suffix()));
            self.document.props[props].tag_span = Some(tag_span);
        }
        Ok(id)
    }

    fn node(&mut self, kind: Kind, style: Style, span: Span, text: Text, aux: u32) -> Result<NodeId> {
        let id = self.document.nodes.len() as NodeId;
        let parent = self.open.last().map_or(NONE, |open| open.id);
        let (role, flow) = self.role();
        if role == Role::Root
            && let Some(part) = self.document.parts.last_mut()
        {
            part.root = id;
        }
        let document = self.document.parts.len().saturating_sub(1) as u32;
        let node = Node { kind, style, flow, role, document, parent, end: id + 1, span, aux, text, props: 0 };
        Ok(self.document.push(node))
    }

    /// The role of the node that comes next, and whether it stands in a flow collection.
    fn role(&mut self) -> (Role, bool) {
        let Some(open) = self.open.last_mut() else { return (Role::Root, false) };
        let collection = &self.document.nodes[open.id as usize];
        if collection.kind == Kind::Sequence {
            return (Role::Item, collection.flow);
        }
        let role = if open.value_next { Role::Value } else { Role::Key };
        open.value_next = !open.value_next;
        (role, collection.flow)
    }

    fn close(&mut self, span: &GranitSpan) -> Result<()> {
        let Some(Open { id, .. }) = self.open.pop() else { return Ok(()) };
        let end = self.document.nodes.len() as NodeId;
        let at = self.offset(&span.end);
        let node = &mut self.document.nodes[id as usize];
        node.end = end;
        let flow = node.flow && self.document.source.as_bytes().get(at.wrapping_sub(1)).is_some_and(|byte| matches!(byte, b']' | b'}'));
        self.document.nodes[id as usize].span.end = if flow { at } else { self.cursor } as u32;
        if flow {
            self.cursor = at;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Document<'s>> {
        if let Some(error) = self.failure.take() {
            return Err(error);
        }
        sorting::by_key(&mut self.document.comments, |comment| comment.span.start);
        self.refuse_roots()?;
        yaml_quirks::refuse_tabs(&self.document)?;
        refuse_keys(&self.document)?;
        comment::place(&mut self.document);
        Ok(self.document)
    }

    /// Only mappings, and empty documents, may stand at the top (sops reads nothing else).
    fn refuse_roots(&self) -> Result<()> {
        if self.document.parts.is_empty() {
            return Err(Error::new(ErrorKind::Unreadable, "the file holds only comments or blank lines, there is nothing to encrypt"));
        }
        for part in &self.document.parts {
            if part.root == NONE {
                continue;
            }
            let root = self.document.node(part.root);
            let null = root.kind == Kind::Scalar && self.document.scalar(part.root).is_ok_and(|scalar| scalar.kind == Type::Null);
            if root.kind != Kind::Mapping && !null {
                let what = if root.kind == Kind::Sequence { "a list" } else { "a single value" };
                let error = Error::new(ErrorKind::Unreadable, format!("the top level is {what}, expected a mapping of keys to values"));
                return Err(error.at(self.document.source, root.span.start as usize));
            }
        }
        Ok(())
    }
}

/// Where the text of a document ends that has its last node before `from`: at the next `---` or `...` line.
fn end_of_part(source: &str, from: usize) -> usize {
    let at_line = from == 0 || source.as_bytes()[from - 1] == b'\n';
    let mut line = match source[from..].find('\n') {
        _ if at_line => from,
        Some(newline) => from + newline + 1,
        None => return source.len(),
    };
    while line < source.len() {
        if is_marker(&source.as_bytes()[line..]) {
            return line;
        }
        match source[line..].find('\n') {
            Some(newline) => line += newline + 1,
            None => return source.len(),
        }
    }
    source.len()
}

fn is_marker(line: &[u8]) -> bool {
    (line.starts_with(b"---") || line.starts_with(b"...")) && line.get(3).is_none_or(|byte| byte.is_ascii_whitespace())
}

/// Refuses keys that aren't strings (sops has no place for them in its key paths) and keys given twice.
fn refuse_keys(document: &Document<'_>) -> Result<()> {
    let mut seen: HashSet<&str, foldhash::fast::RandomState> = HashSet::default();
    for (id, node) in document.nodes.iter().enumerate() {
        if node.kind != Kind::Mapping {
            continue;
        }
        seen.clear();
        for (key, _) in document.entries(id as NodeId) {
            refuse_key(document, key)?;
            if !seen.insert(document.key_text(key)) {
                return Err(document.error(
                    key,
                    ErrorKind::Unreadable,
                    "this key stands twice in the same mapping, only one value could be kept",
                ));
            }
        }
    }
    Ok(())
}

fn refuse_key(document: &Document<'_>, key: NodeId) -> Result<()> {
    let node = document.node(key);
    let target = if node.kind == Kind::Alias { document.node(node.target()) } else { node };
    if target.kind != Kind::Scalar {
        return Err(Error::new(ErrorKind::Unreadable, "a list or mapping as a key, expected a string")
            .at(document.source, node.span.start as usize));
    }
    let scalar = document.scalar(key)?;
    if scalar.kind != Type::Str {
        let message = format!("this key is of type {}, expected a string", scalar.kind.name());
        return Err(document.error(key, ErrorKind::EncryptTree, message).hint("quote the key"));
    }
    Ok(())
}

/// Writes `key: ` for a flow mapping that is written out in place of an alias.
pub fn write_key(key: &str, out: &mut String) {
    write_name(key, out);
    out.push_str(": ");
}

/// Writes a key in double quotes; `<<` stays plain, as sops keeps it as a literal key.
pub fn write_name(key: &str, out: &mut String) {
    if key == "<<" {
        return out.push_str(key);
    }
    let scalar = Scalar { kind: Type::Str, bytes: Cow::Borrowed(key.as_bytes()) };
    render::quoted(Style::Double, &scalar, true, out);
}
