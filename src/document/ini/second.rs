//! A second reader of INI, independent of the scanner: one line after the other. Values of several lines and keys that
//! stand there twice are beyond it.

use std::collections::HashSet;

use super::super::Event;
use super::DEFAULT;

/// This reader's view of `text`.
pub(super) fn read(text: &str) -> Result<Vec<Event>, String> {
    let mut sections: Vec<(String, Vec<(String, String)>)> = vec![(DEFAULT.to_owned(), Vec::new())];
    let mut known = HashSet::new();
    let mut count = 0;
    for line in text.trim_start_matches('\u{feff}').lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';']))
    {
        if let Some(header) = line.strip_prefix('[') {
            let (name, _) = header.rsplit_once(']').ok_or("a section that isn't closed")?;
            sections.push((name.to_owned(), Vec::new()));
            known.clear();
            count = 0;
            continue;
        }
        let (key, rest) = key(line)?;
        let key = if key == "-" { counted(&mut count) } else { key.to_owned() };
        let section = sections.last_mut().map(|(_, entries)| entries).ok_or("no section")?;
        if !known.insert(key.clone()) {
            return Err("a key that stands there twice".to_owned());
        }
        section.push((key, value(rest.trim())?.to_owned()));
    }
    Ok(events(sections))
}

fn counted(count: &mut usize) -> String {
    *count += 1;
    format!("#{count}")
}

fn key(line: &str) -> Result<(&str, &str), String> {
    for quote in ["\"\"\"", "\"", "`"] {
        if let Some(inner) = line.strip_prefix(quote) {
            let (name, rest) = inner.split_once(quote).ok_or("a key in open quotes")?;
            let (_, value) = rest.split_once(['=', ':']).ok_or("a line without =")?;
            return Ok((name.trim(), value));
        }
    }
    let (name, value) = line.split_once(['=', ':']).ok_or("a line without =")?;
    Ok((name.trim(), value))
}

fn value(text: &str) -> Result<&str, String> {
    for quote in ["\"\"\"", "`"] {
        if let Some(inner) = text.strip_prefix(quote) {
            let closed = inner.rsplit_once(quote).map(|(value, _)| value);
            return closed.ok_or_else(|| "a value of several lines".to_owned());
        }
    }
    if text.ends_with('\\') {
        return Err("a value of several lines".to_owned());
    }
    let own = text.split(['#', ';']).next().unwrap_or_default().trim();
    for quote in ['"', '\''] {
        if let Some(inner) = own.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)).filter(|inner| !inner.contains(quote)) {
            return Ok(inner);
        }
    }
    Ok(own)
}

fn events(sections: Vec<(String, Vec<(String, String)>)>) -> Vec<Event> {
    let mut events = vec![Event::Mapping];
    for (name, entries) in sections {
        events.push(Event::Scalar(name, true));
        events.push(Event::Mapping);
        events.extend(entries.into_iter().flat_map(|(key, value)| [Event::Scalar(key, true), Event::Scalar(value, true)]));
        events.push(Event::Close);
    }
    events.push(Event::Close);
    events
}
