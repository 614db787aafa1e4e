//! A second reader of JSON, independent of the scanner: serde_json. It reads 127 levels of nesting.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::super::Event;

/// serde_json's view of `text`.
pub(super) fn read(text: &str) -> Result<Vec<Event>, String> {
    let (mut events, mut numbers) = (Vec::with_capacity(text.len() / 16), Numbers { text, at: 0 });
    let mut reader = serde_json::Deserializer::from_str(text);
    let read = Collector { events: &mut events, numbers: &mut numbers }.deserialize(&mut reader);
    read.and_then(|_| reader.end()).map_err(|error| error.to_string())?;
    if numbers.next().is_some() { Err("more numbers than values".to_owned()) } else { Ok(events) }
}

/// Pushes the events of one value.
struct Collector<'e, 's> {
    events: &'e mut Vec<Event>,
    numbers: &'e mut Numbers<'s>,
}

/// What was read.
#[derive(PartialEq, Eq)]
enum Seen {
    Value,
    /// The inside of a number: with `arbitrary_precision`, serde_json shows those beyond 64-bit integers as a map whose
    /// one value is owned text, which text of the file never is.
    Number,
}

impl<'s> Collector<'_, 's> {
    fn inside(&mut self) -> Collector<'_, 's> {
        Collector { events: self.events, numbers: self.numbers }
    }

    fn scalar<E>(self, text: &str, plain: bool) -> Result<Seen, E> {
        self.events.push(Event::Scalar(text.to_owned(), plain));
        Ok(Seen::Value)
    }

    fn number<E: Error>(self) -> Result<Seen, E> {
        let spelling = self.numbers.next().ok_or_else(|| E::custom("more values than numbers"))?;
        self.scalar(spelling, true)
    }
}

impl<'de> DeserializeSeed<'de> for Collector<'_, '_> {
    type Value = Seen;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Seen, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Collector<'_, '_> {
    type Value = Seen;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Seen, E> {
        self.scalar("null", true)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Seen, E> {
        self.scalar(if value { "true" } else { "false" }, true)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Seen, E> {
        self.scalar(text, false)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Seen, E> {
        self.number()
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Seen, E> {
        self.number()
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Seen, E> {
        self.number()
    }

    fn visit_string<E: Error>(self, _: String) -> Result<Seen, E> {
        // The map and its key stood for nothing but this number.
        self.events.truncate(self.events.len().saturating_sub(2));
        self.number::<E>().map(|_| Seen::Number)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Seen, A::Error> {
        self.events.push(Event::Sequence);
        while items.next_element_seed(self.inside())?.is_some() {}
        self.events.push(Event::Close);
        Ok(Seen::Value)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<Seen, A::Error> {
        self.events.push(Event::Mapping);
        while entries.next_key_seed(self.inside())?.is_some() {
            if entries.next_value_seed(self.inside())? == Seen::Number {
                return Ok(Seen::Value);
            }
        }
        self.events.push(Event::Close);
        Ok(Seen::Value)
    }
}

/// The spellings of a text's numbers in order: serde_json doesn't keep them (`1E5` becomes `1e+5`).
struct Numbers<'s> {
    text: &'s str,
    at: usize,
}

impl<'s> Iterator for Numbers<'s> {
    type Item = &'s str;

    fn next(&mut self) -> Option<&'s str> {
        let bytes = self.text.as_bytes();
        loop {
            let start = self.at + bytes[self.at..].iter().position(|byte| matches!(byte, b'"' | b'-' | b'0'..=b'9'))?;
            if bytes[start] == b'"' {
                self.at = past_string(bytes, start);
                continue;
            }
            let inside = |byte: &&u8| matches!(**byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
            self.at = start + bytes[start..].iter().take_while(inside).count();
            return Some(&self.text[start..self.at]);
        }
    }
}

/// Past the string that opens at `start`.
fn past_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}
