//! Second readers, independent of the ones that made the index: every output is read by them too before it is written.

use yaml_rust2::parser::{Event as Rust2, EventReceiver, Parser};
use yaml_rust2::scanner::TScalarStyle;

use super::yaml_quirks;
use crate::secret::Secret;

/// What a second reader sees: enough to compare two readings.
#[derive(Clone, PartialEq, Eq, zeroize::Zeroize, zeroize::ZeroizeOnDrop)]
pub enum Event {
    /// A mapping opens.
    Mapping,
    /// A sequence opens.
    Sequence,
    /// The open collection closes.
    Close,
    /// A scalar's decoded text, and whether it was plain.
    Scalar(String, bool),
    /// An alias.
    Alias,
    /// The reader begins again.
    Again,
}

struct Passer<'r> {
    receive: &'r mut dyn FnMut(Event),
}

impl EventReceiver for Passer<'_> {
    fn on_event(&mut self, event: Rust2) {
        let event = match event {
            Rust2::Alias(_) => Event::Alias,
            Rust2::Scalar(text, style, ..) => Event::Scalar(text, style == TScalarStyle::Plain),
            Rust2::SequenceStart(..) => Event::Sequence,
            Rust2::MappingStart(..) => Event::Mapping,
            Rust2::SequenceEnd | Rust2::MappingEnd => Event::Close,
            _ => return,
        };
        (self.receive)(event);
    }
}

/// yaml-rust2's view of `text`. What it refuses is read once more, eased: [`Event::Again`].
pub(super) fn yaml(text: &str, receive: &mut dyn FnMut(Event)) -> Result<(), String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let refusal = match read(text, receive) {
        Ok(()) => return Ok(()),
        Err(refusal) => refusal,
    };
    let eased = eased(text).ok_or(refusal)?;
    receive(Event::Again);
    read(&eased, receive)
}

fn read(text: &str, receive: &mut dyn FnMut(Event)) -> Result<(), String> {
    Parser::new(text.chars()).load(&mut Passer { receive }, true).map_err(|error| error.to_string())
}

/// Deeper than files are.
const DEEP: &str = "                                        ";

/// What yaml-rust2 alone refuses, written so that it reads it, and means the same: a tab behind a colon, closing brackets
/// and what continues quotes at the column of the parent. Where the change meets text of a value instead, the value is
/// another, and so is the reading.
fn eased(text: &str) -> Option<Secret> {
    let normal = yaml_quirks::normalise(text).map(|normal| Secret::from(normal.text));
    let text = normal.as_deref().map_or(text, |normal| normal.as_str());
    let mut out = Secret::with_capacity(text.len() * 2);
    for line in text.split_inclusive('\n') {
        let content = line.trim_start_matches([' ', '\t']);
        let (indentation, closes) = (&line[..line.len() - content.len()], content.starts_with([']', '}']));
        out.make_room(line.len() + DEEP.len());
        out.push_str(indentation);
        out.push_str(if closes { DEEP } else { "" });
        let mut rest = content;
        while let Some((before, after)) = rest.split_once(":\t") {
            out.push_str(before);
            out.push_str(": ");
            rest = after.trim_start_matches('\t');
        }
        out.push_str(rest);
    }
    (normal.is_some() || out.as_str() != text).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(text: &str) -> Option<(usize, bool)> {
        let (mut count, mut again) = (0, false);
        let read = yaml(text, &mut |event| match event {
            Event::Again => (count, again) = (0, true),
            _ => count += 1,
        });
        read.is_ok().then_some((count, again))
    }

    #[test]
    fn what_it_alone_refuses_is_read_in_another_way() {
        assert_eq!(seen("a:\tx\nb:\t \ty\n"), Some((6, true)));
        assert_eq!(seen("a:\n  - [\"1\"\n  ]\n"), Some((8, true)));
        assert_eq!(seen("a: [\n"), None);
        assert_eq!(seen("\t[\n"), None);
    }
}
