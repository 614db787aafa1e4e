//! Verify before write: the output is read by a second reader, decrypted in memory, and compared with the input.

use std::sync::{LazyLock, OnceLock, mpsc};

use memchr::memmem::Finder;

use super::decrypt;
use super::keep::Earlier;
use super::value::Cipher;
use crate::document::render::Style;
use crate::document::value::Value;
use crate::document::{Document, Event, Kind, NONE, NodeId};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::metadata::Metadata;
use crate::secret::Secret;

/// Checks that `output` is a file that every reader sees alike, and that decrypting it gives `source` back, byte for
/// byte. The second reader's refusal counts only if it could read the source. Of an `earlier` version under the same data
/// key, tokens that stand where they stood aren't decrypted again. `meanwhile` runs before the second reader is waited for.
///
/// # Errors
/// `Generic` (1): nothing may be written.
pub fn check(
    plain: &Document<'_>,
    output: &str,
    cipher: &Cipher,
    exact: bool,
    earlier: Option<&Earlier<'_>>,
    meanwhile: impl FnOnce(),
) -> Result<()> {
    let shorter = plain.format.without_repeats(output);
    let output = shorter.as_deref().unwrap_or(output);
    let parsed = OnceLock::new();
    std::thread::scope(|scope| {
        // Nothing is told if it can't be read.
        let (tell, told) = mpsc::channel();
        let second = scope.spawn(|| {
            let short = shortened(output);
            told.into_iter().next().and_then(|()| parsed.get()).map_or(Ok(()), |document| compare_readers(plain, document, &short))
        });
        let document = plain.format.parse_encrypted(output).map_err(|error| doubt(&format!("the output can't be read back ({error})")))?;
        let document = parsed.get_or_init(|| document);
        let _ = tell.send(());
        decrypts_to(document, cipher, plain, exact, earlier)?;
        meanwhile();
        second.join().map_err(|_| doubt("the second reader failed"))?
    })
}

fn decrypts_to(document: &Document<'_>, cipher: &Cipher, plain: &Document<'_>, exact: bool, earlier: Option<&Earlier<'_>>) -> Result<()> {
    let source = plain.source;
    let block = document.block()?.ok_or_else(|| doubt("the output has no sops block"))?;
    let metadata = Metadata::read(&block)?;
    let text = decrypt::text_of_next(document, &metadata, cipher, earlier);
    let text = Secret::from(text.map_err(|error| doubt(&format!("the output doesn't decrypt ({})", error.message)))?);
    if !exact && text.as_str() != source {
        return same_values(plain, &text);
    }
    if text.as_str() != source {
        let at = text.bytes().zip(source.bytes()).take_while(|(a, b)| a == b).count();
        return Err(doubt("decrypting the output doesn't give the input back").at(source, at));
    }
    Ok(())
}

/// Without a layout record styles may differ, values never.
fn same_values(plain: &Document<'_>, text: &str) -> Result<()> {
    let opened = plain.format.parse_opened(text)?;
    let values = |document: &Document<'_>| -> Result<Vec<Value>> {
        let roots = document.parts.iter().map(|part| part.root).filter(|root| *root != NONE);
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
fn compare_readers(plain: &Document<'_>, output: &Document<'_>, short: &str) -> Result<()> {
    match same_reading(output, short).or_else(|error| same_reading(plain, &shortened(plain.source)).map_or(Ok(()), |()| Err(error))) {
        Ok(()) => Ok(()),
        Err(why) => Err(doubt(why)),
    }
}

/// Whether the second reader sees in `short`, the shortened text of `document`, what we see.
fn same_reading(document: &Document<'_>, short: &str) -> std::result::Result<(), &'static str> {
    let mut reading = Reading::new(document);
    let mut receive = |event| match event {
        Event::Again => reading = Reading::new(document),
        event => reading.same = reading.same && reading.event(&event),
    };
    let read = document.format.second_reading(short, &mut receive);
    read.map_err(|_| "a second reader can't read the output")?;
    if reading.same && reading.is_over() { Ok(()) } else { Err("a second reader sees other values in the output") }
}

/// `text` with the fields of every token left out, its algorithm among them. They hold base64 and names, nothing that has a
/// meaning to a reader, and they decrypt, or nothing is written; without them the second reader has a tenth to read.
fn shortened(text: &str) -> Secret {
    let (mut out, mut done) = (Secret::with_capacity(text.len() / 2), 0);
    for fields in fields_of_tokens(text) {
        out.push_str(&text[done..fields.start]);
        done = fields.end;
    }
    out.push_str(&text[done..]);
    out
}

/// Whether `short` is what [`shortened`] makes of `text`.
fn is_shortened(text: &str, short: &str) -> bool {
    // Nearly always a token and nothing else.
    let fields = text.strip_prefix(TOKEN).and_then(|rest| rest.strip_suffix(']'));
    if fields.is_some_and(|fields| short == SHORT && are_fields(fields.as_bytes())) {
        return true;
    }
    let (mut rest, mut done) = (short, 0);
    for fields in fields_of_tokens(text) {
        match rest.strip_prefix(&text[done..fields.start]) {
            Some(after) => rest = after,
            None => return false,
        }
        done = fields.end;
    }
    rest == &text[done..]
}

/// Where the fields of each token in `text` are.
fn fields_of_tokens(text: &str) -> impl Iterator<Item = std::ops::Range<usize>> {
    let (bytes, mut done) = (text.as_bytes(), 0);
    TOKENS.find_iter(bytes).filter_map(move |start| {
        let inner = start + TOKEN.len();
        let end = inner + memchr::memchr(b']', &bytes[inner..])?;
        (start >= done && are_fields(&bytes[inner..end])).then(|| {
            done = end;
            start + OPENING..end
        })
    })
}

fn are_fields(bytes: &[u8]) -> bool {
    bytes.chunks(64).all(|chunk| chunk.iter().fold(true, |all, byte| all & in_token(*byte)))
}

/// Characters of a token's fields (with `-` and `.`, in few comparisons: this is most of the work on a large value).
fn in_token(byte: u8) -> bool {
    (byte | 0x20).wrapping_sub(b'a') < 26 || byte.wrapping_sub(b'+') <= b':' - b'+' || byte == b'=' || byte == b'_'
}

const TOKEN: &str = "ENC[AES256_GCM,";
/// What is left of a token, and how much of it stands before the fields.
const SHORT: &str = "ENC[]";
const OPENING: usize = 4;
static TOKENS: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(TOKEN));

/// Our own index, walked along with the second reader's events.
struct Reading<'d, 's> {
    document: &'d Document<'s>,
    /// The documents that are over.
    part: usize,
    /// The node that comes next inside the open collections.
    next: NodeId,
    /// Where the open collections end.
    open: Vec<NodeId>,
    same: bool,
}

impl<'d, 's> Reading<'d, 's> {
    fn new(document: &'d Document<'s>) -> Reading<'d, 's> {
        Reading { document, part: 0, next: NONE, open: Vec::new(), same: true }
    }

    fn is_over(&self) -> bool {
        self.open.is_empty() && self.part == self.document.parts.len()
    }

    /// Whether the event is what the index says.
    fn event(&mut self, event: &Event) -> bool {
        if *event == Event::Close {
            let closes = self.open.pop() == Some(self.next);
            self.close_part();
            return closes;
        }
        if self.open.is_empty() {
            let Some(part) = self.document.parts.get(self.part) else { return false };
            if part.root == NONE {
                self.part += 1;
                return matches!(event, Event::Scalar(text, true) if text.is_empty() || text == "~");
            }
            self.next = part.root;
        }
        let same = self.open.last().is_none_or(|end| self.next < *end) && self.node(event);
        self.next += 1;
        self.close_part();
        same
    }

    fn close_part(&mut self) {
        if self.open.is_empty() {
            self.part += 1;
        }
    }

    fn node(&mut self, event: &Event) -> bool {
        let node = self.document.node(self.next);
        match (node.kind, event) {
            (Kind::Alias, Event::Alias) => true,
            (Kind::Scalar, Event::Scalar(text, plain)) => self.scalar(text, *plain),
            (Kind::Mapping, Event::Mapping) | (Kind::Sequence, Event::Sequence) => {
                self.open.push(node.end);
                true
            }
            _ => false,
        }
    }

    fn scalar(&self, text: &str, plain: bool) -> bool {
        let node = self.document.node(self.next);
        let ours = self.document.text(self.next);
        let omitted = node.span.start == node.span.end && (text.is_empty() || text == "~");
        // The break that a reader adds to a block scalar at the end of a file is the one difference that is known.
        let added = || node.is_block_scalar() && text.strip_suffix('\n').is_some_and(|text| is_shortened(ours, text));
        plain == (node.style == Style::Plain) && (omitted || text == ours || is_shortened(ours, text) || added())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_fields_of_tokens_are_left_out() {
        let cases = [
            ("a: ENC[AES256_GCM,data:aB+/9==,iv:x_,type:str] # b", "a: ENC[] # b"),
            ("ENC[AES256_GCM,a]ENC[AES256_GCM,b]", "ENC[]ENC[]"),
            ("ENC[AES256_GCM,a b]", "ENC[AES256_GCM,a b]"),
            ("ENC[AES256_GCM,a\n]", "ENC[AES256_GCM,a\n]"),
            ("ENC[AES256_GCM,a", "ENC[AES256_GCM,a"),
            ("ENC[AES256_GCM,ENC[AES256_GCM,a]", "ENC[AES256_GCM,ENC[]"),
            ("none", "none"),
            ("", ""),
        ];
        for (text, wanted) in cases {
            assert_eq!(shortened(text).as_str(), wanted);
            assert!(is_shortened(text, wanted));
            assert!(!is_shortened(text, &format!("{wanted}.")) && !is_shortened(text, &format!(".{wanted}")));
        }
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b',' | b':' | b'_' | b'-' | b'.');
        assert!((0..=255).all(|byte| in_token(byte) == allowed(byte)));
    }

    #[test]
    fn every_difference_between_two_readings_is_seen() {
        let yaml = crate::document::format_by_name("yaml").expect("YAML");
        let text = "a: &x 1\nb: [c, {d: 'e'}, *x]\nf:\n---\n---\ng: |\n  h\n";
        let document = yaml.parse(text).expect("readable");
        let mut events = Vec::new();
        yaml.second_reading(text, &mut |event| events.push(event)).expect("readable");
        let same = |events: &[Event]| {
            let mut reading = Reading::new(&document);
            events.iter().all(|event| reading.event(event)) && reading.is_over()
        };
        assert!(same(&events));
        for at in 0..events.len() {
            let (mut fewer, mut more) = (events.clone(), events.clone());
            fewer.remove(at);
            more.insert(at, Event::Scalar("z".into(), true));
            assert!(!same(&fewer) && !same(&more), "{at}");
            for other in [Event::Mapping, Event::Sequence, Event::Close, Event::Alias, Event::Scalar("z".into(), true)] {
                let mut changed = events.clone();
                if changed[at] != other {
                    changed[at] = other;
                    assert!(!same(&changed), "{at}");
                }
            }
        }
    }
}
