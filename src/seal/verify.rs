//! Verify before write: the output is read by a second reader, decrypted in memory, and compared with the input.

use super::decrypt;
use super::value::Cipher;
use crate::document::render::Style;
use crate::document::value::Value;
use crate::document::{Document, Event, Kind, NodeId};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::metadata::Metadata;

/// Checks that `output` is a file that every reader sees alike, and that decrypting it gives `source` back, byte for
/// byte. `own_reader` is what the second reader says of the source: its refusal counts only if it could read that.
///
/// # Errors
/// `Generic` (1): nothing may be written.
pub fn check(plain: &Document<'_>, output: &str, cipher: &Cipher, exact: bool) -> Result<()> {
    let shorter = plain.format.without_repeats(output);
    let output = shorter.as_deref().unwrap_or(output);
    let document = plain.format.parse(output).map_err(|error| doubt(&format!("the output can't be read back ({error})")))?;
    std::thread::scope(|scope| {
        let second = scope.spawn(|| compare_readers(plain, &document));
        decrypts_to(&document, cipher, plain, exact)?;
        second.join().map_err(|_| doubt("the second reader failed"))?
    })
}

fn decrypts_to(document: &Document<'_>, cipher: &Cipher, plain: &Document<'_>, exact: bool) -> Result<()> {
    let source = plain.source;
    let root = document.parts.first().map(|part| part.root).and_then(|root| document.get(root, "sops"));
    let block = root.ok_or_else(|| doubt("the output has no sops block"))?;
    let metadata = Metadata::read(&Value::of(document, block)?)?;
    let opened = decrypt::decrypt(document, &metadata, cipher, false)
        .map_err(|error| doubt(&format!("the output doesn't decrypt ({})", error.message)))?;
    if !exact && opened.text.as_str() != source {
        return same_values(plain, &opened.text);
    }
    if opened.text.as_str() != source {
        let at = opened.text.bytes().zip(source.bytes()).take_while(|(a, b)| a == b).count();
        return Err(doubt("decrypting the output doesn't give the input back").at(source, at));
    }
    Ok(())
}

/// Without a layout record styles may differ, values never.
fn same_values(plain: &Document<'_>, text: &str) -> Result<()> {
    let opened = plain.format.parse(text)?;
    let values = |document: &Document<'_>| -> Result<Vec<Value>> {
        let roots = document.parts.iter().map(|part| part.root).filter(|root| *root != crate::document::NONE);
        roots.map(|root| Value::of(document, root)).collect()
    };
    if values(plain)? == values(&opened)? { Ok(()) } else { Err(doubt("decrypting the output gives other values")) }
}

fn doubt(why: &str) -> Error {
    let error = Error::new(ErrorKind::Generic, format!("refused to write: {why}"));
    error.hint("nothing was changed; please report this with a file of the same shape and no secrets in it")
}

/// The second reader's view of the output must be ours. What it refuses or reads differently in the author's own file
/// can't count against the output.
fn compare_readers(plain: &Document<'_>, output: &Document<'_>) -> Result<()> {
    match same_reading(output).or_else(|error| same_reading(plain).map_or(Ok(()), |()| Err(error))) {
        Ok(()) => Ok(()),
        Err(why) => Err(doubt(why)),
    }
}

fn same_reading(document: &Document<'_>) -> std::result::Result<(), &'static str> {
    let events = document.format.second_reading(&shortened(document.source)).map_err(|_| "a second reader can't read the output")?;
    let mut reading = Reading { document, events: events.iter() };
    let same = document.parts.iter().all(|part| part.root == crate::document::NONE && reading.empty() || reading.node(part.root));
    if same && reading.events.next().is_none() { Ok(()) } else { Err("a second reader sees other values in the output") }
}

/// `text` with the fields of every token left out. They hold base64 and names, nothing that has a meaning to a reader,
/// and they decrypt, or nothing is written; without them the second reader has a tenth to read.
fn shortened(text: &str) -> String {
    let (mut out, mut done) = (String::with_capacity(text.len() / 2), 0);
    for start in memchr::memmem::find_iter(text.as_bytes(), TOKEN.as_bytes()) {
        let inner = start + TOKEN.len();
        let Some(length) = memchr::memchr(b']', &text.as_bytes()[inner..]) else { break };
        if start < done
            || !text.as_bytes()[inner..inner + length].chunks(64).all(|chunk| chunk.iter().fold(true, |all, byte| all & in_token(*byte)))
        {
            continue;
        }
        out.push_str(&text[done..inner]);
        done = inner + length;
    }
    out.push_str(&text[done..]);
    out
}

/// Characters of a token's fields.
fn in_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() | matches!(byte, b'+' | b'/' | b'=' | b',' | b':' | b'_')
}

const TOKEN: &str = "ENC[AES256_GCM,";

struct Reading<'e, 'd, 's> {
    document: &'d Document<'s>,
    events: std::slice::Iter<'e, Event>,
}

impl Reading<'_, '_, '_> {
    fn empty(&mut self) -> bool {
        matches!(self.events.next(), Some(Event::Scalar(text, true)) if text.is_empty() || text == "~")
    }

    fn node(&mut self, id: NodeId) -> bool {
        let node = self.document.node(id);
        match node.kind {
            Kind::Alias => self.events.next() == Some(&Event::Alias),
            Kind::Scalar => self.scalar(id),
            Kind::Mapping => self.collection(id, &Event::Mapping),
            Kind::Sequence => self.collection(id, &Event::Sequence),
        }
    }

    fn scalar(&mut self, id: NodeId) -> bool {
        let Some(Event::Scalar(text, plain)) = self.events.next() else { return false };
        let node = self.document.node(id);
        let full = self.document.text(id);
        let short = full.contains(TOKEN).then(|| shortened(full));
        let ours = short.as_deref().unwrap_or(full);
        let omitted = node.span.start == node.span.end && (text.is_empty() || text == "~");
        // The break that a reader adds to a block scalar at the end of a file is the one difference that is known.
        let same = text == ours || omitted || node.is_block_scalar() && text.strip_suffix('\n') == Some(ours);
        same && *plain == (node.style == Style::Plain)
    }

    fn collection(&mut self, id: NodeId, opening: &Event) -> bool {
        let document = self.document;
        self.events.next() == Some(opening)
            && document.children(id).all(|child| self.node(child))
            && self.events.next() == Some(&Event::Close)
    }
}
