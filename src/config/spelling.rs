//! Guesses which name was meant.

/// Longer words are no typo of a name of ours.
const LONGEST: usize = 64;

/// The candidate that `word` was most likely meant to be: the same but for case, `-` and `_`; a part of it or the other
/// way round (`gcp` for `gcp_kms`); or a few letters away.
pub fn did_you_mean<'c>(word: &str, candidates: &[&'c str]) -> Option<&'c str> {
    if word.is_empty() || word.len() > LONGEST {
        return None;
    }
    let word = normal(word);
    let shortest = |fits: &dyn Fn(&str) -> bool| candidates.iter().copied().filter(|name| fits(name)).min_by_key(|name| name.len());
    let same = shortest(&|name| normal(name) == word);
    let nearest = || candidates.iter().copied().map(|name| (distance(&word, &normal(name)), name)).min_by_key(|(edits, _)| *edits);
    let near = || nearest().filter(|(edits, _)| *edits <= (word.chars().count() / 4).max(1)).map(|(_, name)| name);
    same.or_else(near).or_else(|| shortest(&|name| is_part(&word, &normal(name)) || is_part(&normal(name), &word)))
}

/// Lower case with `_` between words: `pathRegex` and `path-regex` are `path_regex`.
fn normal(word: &str) -> String {
    let mut normal = String::with_capacity(word.len() + 4);
    for c in word.chars() {
        if c.is_uppercase() && normal.ends_with(|before: char| before.is_lowercase()) {
            normal.push('_');
        }
        normal.extend(if matches!(c, '-' | '.' | ' ') { '_' } else { c }.to_lowercase());
    }
    normal
}

/// Whether `part` is one or more whole words at the start or the end of `name`.
fn is_part(part: &str, name: &str) -> bool {
    part.len() > 2
        && (name.strip_prefix(part).is_some_and(|rest| rest.starts_with('_'))
            || name.strip_suffix(part).is_some_and(|rest| rest.ends_with('_')))
}

/// The number of letters to insert, remove or replace, or of neighbours to swap (Levenshtein; optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut above: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, to) in b.iter().enumerate() {
            let replaced = row[j] + usize::from(from != to);
            let swapped = i > 0 && j > 0 && a[i - 1] == *to && b[j - 1] == *from;
            let swap = if swapped { above[j - 1] + 1 } else { usize::MAX };
            next.push(replaced.min(row[j + 1] + 1).min(next[j] + 1).min(swap));
        }
        above = std::mem::replace(&mut row, next);
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 8] =
        ["path_regex", "gcp_kms", "kms", "hc_vault_transit_uri", "unencrypted_regex", "encrypted_regex", "shamir_threshold", "age"];

    #[test]
    fn typos_hyphens_case_and_halves_are_recognised() {
        let meant = [
            ("unencrypted-regex", "unencrypted_regex"),
            ("encrypted_regexp", "encrypted_regex"),
            ("pathRegex", "path_regex"),
            ("gcp", "gcp_kms"),
            ("aws_kms", "kms"),
            ("hc_vault", "hc_vault_transit_uri"),
            ("threshold", "shamir_threshold"),
            ("shamir_treshold", "shamir_threshold"),
            ("ages", "age"),
            ("mks", "kms"),
        ];
        for (word, name) in meant {
            assert_eq!(did_you_mean(word, &NAMES), Some(name), "{word}");
        }
    }

    #[test]
    fn nothing_near_is_no_guess() {
        for word in ["input_type", "", "recipients", "comment", &"age".repeat(50)] {
            assert_eq!(did_you_mean(word, &NAMES), None, "{word}");
        }
    }
}
