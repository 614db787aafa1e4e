//! Where the parts of a literal or folded scalar are: the parser's span covers the content only, and ends past it.

use super::Span;

/// The parts of a block scalar.
pub(super) struct BlockScalar {
    /// From the header's `|` or `>` to the last byte that belongs to the value, its last line break left out.
    pub span: Span,
    /// Where the line after the header starts.
    pub body: u32,
    /// Where the parser went on.
    pub after: usize,
    /// Whether it ends with the file, without a line break.
    pub unterminated: bool,
    /// The column of its lines.
    pub indent: usize,
}

impl BlockScalar {
    /// Finds the header between `from`, the end of what stands before, and the parser's content span.
    pub fn find(source: &str, from: usize, content: Span, parent_column: usize) -> BlockScalar {
        let bytes = source.as_bytes();
        let header = skip_to_header(bytes, from);
        let token = header_token(bytes, header);
        let body = next_line(bytes, header);
        let after = line_boundary(bytes, body, (content.end as usize).clamp(body, bytes.len()));
        let indent = explicit_indent(token).map_or_else(|| first_indent(&bytes[body..after]), |digit| parent_column + digit);
        let end = if token.contains(&b'+') { kept_end(bytes, body, after) } else { content_end(bytes, body, after, indent) };
        let unterminated = end == Some(bytes.len()) && !source.ends_with('\n');
        let end = end.unwrap_or(header + token.len());
        BlockScalar { span: Span::new(header, end), body: body as u32, after: after.max(end), unterminated, indent }
    }
}

/// The bytes of a block header such as `|2-`, without what follows on its line.
pub(super) fn header_token(bytes: &[u8], header: usize) -> &[u8] {
    let rest = &bytes[header..];
    let len = 1 + rest.iter().skip(1).take_while(|byte| matches!(byte, b'+' | b'-' | b'0'..=b'9')).count();
    &rest[..len.min(rest.len())]
}

/// The indentation indicator of a header token.
pub(super) fn explicit_indent(token: &[u8]) -> Option<usize> {
    token.iter().find(|byte| byte.is_ascii_digit()).map(|digit| usize::from(digit - b'0'))
}

/// Indentation of the first line that isn't blank; 0 if all are.
pub(super) fn first_indent(body: &[u8]) -> usize {
    let first = body.iter().position(|byte| !matches!(byte, b' ' | b'\n' | b'\r')).unwrap_or(0);
    body[..first].iter().rev().take_while(|byte| **byte == b' ').count()
}

/// Skips key indicators, tags, anchors, comments and blanks up to a block scalar's `|` or `>`.
fn skip_to_header(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while at < bytes.len() {
        match bytes[at] {
            b'|' | b'>' => return at,
            b'#' => at += bytes[at..].iter().take_while(|byte| **byte != b'\n').count(),
            b'!' | b'&' => at += bytes[at..].iter().take_while(|byte| !byte.is_ascii_whitespace()).count(),
            _ => at += 1,
        }
    }
    from
}

/// The parser goes on at the next token, past that line's indentation: the scalar ended before the line.
fn line_boundary(bytes: &[u8], body: usize, after: usize) -> usize {
    let blanks = bytes[body..after].iter().rev().take_while(|byte| **byte == b' ').count();
    let start = after - blanks;
    let at_line = start == body || bytes[start - 1] == b'\n';
    if after < bytes.len() && bytes[after] != b'\n' && at_line { start } else { after }
}

fn next_line(bytes: &[u8], from: usize) -> usize {
    bytes[from..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |newline| from + newline + 1)
}

/// With `+` every line up to the next node belongs to the value, the last line break left out.
fn kept_end(bytes: &[u8], body: usize, after: usize) -> Option<usize> {
    let mut end = after;
    while end > body && bytes[end - 1] != b'\n' {
        if !matches!(bytes[end - 1], b' ' | b'\t' | b'\r') {
            return Some(after);
        }
        end -= 1;
    }
    if end > body && (end == after || after < bytes.len()) {
        end -= 1;
        return Some(if end > body && bytes[end - 1] == b'\r' { end - 1 } else { end });
    }
    (after > body).then_some(after)
}

/// The end of the last line with content: text, or blanks beyond the indentation.
fn content_end(bytes: &[u8], body: usize, after: usize, indent: usize) -> Option<usize> {
    let (mut line, mut end) = (body, None);
    while line < after {
        let next = next_line(bytes, line);
        let mut stop = if bytes[next - 1] == b'\n' { next - 1 } else { next };
        if stop > line && bytes[stop - 1] == b'\r' {
            stop -= 1;
        }
        let content = &bytes[line..stop];
        if content.iter().any(|byte| *byte != b' ') || content.len() > indent && indent > 0 {
            end = Some(stop);
        }
        line = next;
    }
    end
}
