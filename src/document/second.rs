//! Second readers, independent of the ones that made the index: every output is read by them too before it is written.

use yaml_rust2::parser::{Event as Rust2, EventReceiver, Parser};
use yaml_rust2::scanner::TScalarStyle;

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

/// yaml-rust2's view of `text`.
pub(super) fn yaml(text: &str, receive: &mut dyn FnMut(Event)) -> Result<(), String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    Parser::new(text.chars()).load(&mut Passer { receive }, true).map_err(|error| error.to_string())
}
