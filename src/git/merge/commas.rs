//! Commas between entries that stand on lines of their own: which entry is the last one is known once all are merged.

use zeroize::Zeroizing;

/// `text` with a comma behind every line that another entry follows, and none where the collection ends. Lines that open a
/// collection, and blank ones, stay as they are.
pub(super) fn set(text: &str) -> Zeroizing<String> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut out = Zeroizing::new(String::with_capacity(text.len() + lines.len()));
    for (at, line) in lines.iter().enumerate() {
        let body = line.trim_end();
        let next = lines[at + 1..].iter().map(|line| line.trim()).find(|line| !line.is_empty());
        let entry = body.strip_suffix(',').unwrap_or(body);
        let opens = entry.is_empty() || entry.ends_with(['{', '[', ':']);
        let comma = match next {
            _ if opens => body.len() > entry.len(),
            Some(next) => !next.starts_with(['}', ']', ',', ':']),
            None => false,
        };
        out.push_str(entry);
        if comma {
            out.push(',');
        }
        out.push_str(&line[body.len()..]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_parted_by_commas_and_the_last_one_has_none() {
        let merged = "{\n  \"a\": 1\n  \"b\": [\n    1,\n    2,\n  ]\n  \"c\": {}\n\n  \"d\": \"x,\",\n}\n";
        let wanted = "{\n  \"a\": 1,\n  \"b\": [\n    1,\n    2\n  ],\n  \"c\": {},\n\n  \"d\": \"x,\"\n}\n";
        assert_eq!(*set(merged), wanted);
        assert_eq!(*set(wanted), wanted);
        assert_eq!(*set("{\"a\": 1, \"b\": 2}"), "{\"a\": 1, \"b\": 2}");
    }
}
