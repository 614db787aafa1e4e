//! Conflict markers: between two versions of a text, and as git itself would write them.

use std::ffi::OsString;
use std::ops::Range;
use std::path::Path;

use similar::DiffOp;
use zeroize::Zeroizing;

use crate::error::{Error, Kind, Result};
use crate::git::Repository;
use crate::git::alignment;

/// A text, and the bytes of it in which nothing is in conflict.
#[derive(Clone, Copy)]
pub(super) struct Part<'t> {
    /// All of it.
    pub text: &'t str,
    /// Blocks that are made for each version anew.
    pub quiet: &'t [Range<usize>],
}

impl<'t> Part<'t> {
    fn lines(&self) -> Vec<(usize, &'t str)> {
        let mut at = 0;
        let line = |line: &'t str| {
            at += line.len();
            (at - line.len(), line)
        };
        self.text.split_inclusive('\n').map(line).collect()
    }

    fn is_quiet(&self, lines: &[(usize, &str)]) -> bool {
        lines.iter().all(|(at, _)| self.quiet.iter().any(|span| span.contains(at)))
    }
}

/// `ours` with markers of `size` characters where `theirs` differs. What is quiet in both is ours, without markers.
pub(super) fn marked(ours: Part<'_>, theirs: Part<'_>, size: usize) -> Zeroizing<String> {
    let (old, new) = (ours.lines(), theirs.lines());
    let texts = |lines: &[(usize, &str)]| -> String { lines.iter().map(|(_, line)| *line).collect() };
    let (before, after): (Vec<&str>, Vec<&str>) = (old.iter().map(|line| line.1).collect(), new.iter().map(|line| line.1).collect());
    let mut out = Zeroizing::new(String::with_capacity(ours.text.len() + theirs.text.len()));
    for op in alignment::steps(&before, &after) {
        let (a, b) = (&old[op.old_range()], &new[op.new_range()]);
        if matches!(op, DiffOp::Equal { .. }) || (ours.is_quiet(a) && theirs.is_quiet(b)) {
            out.push_str(&texts(a));
        } else {
            conflict(&mut out, &texts(a), &texts(b), size);
        }
    }
    out
}

/// `text` with markers around the first line of `block` that speaks of the MAC: both sides have the same, and it fits
/// neither.
pub(super) fn marked_block(text: &str, block: &str, size: usize) -> Zeroizing<String> {
    let line = block.split_inclusive('\n').find(|line| line.trim_start().trim_start_matches('"').starts_with("mac"));
    let Some((before, after, line)) = line.and_then(|line| text.split_once(line).map(|(before, after)| (before, after, line))) else {
        return whole_files(text, text, size);
    };
    let mut out = Zeroizing::new(String::with_capacity(text.len() + 2 * line.len() + 64));
    out.push_str(before);
    conflict(&mut out, line, line, size);
    out.push_str(after);
    out
}

/// One conflict.
pub(super) fn conflict(out: &mut String, ours: &str, theirs: &str, size: usize) {
    let marker = |sign: &str| sign.repeat(size);
    let mut part = |head: &str, body: &str| {
        out.push_str(head);
        out.push('\n');
        out.push_str(body);
        if !body.is_empty() && !body.ends_with('\n') {
            out.push('\n');
        }
    };
    part(&format!("{} ours", marker("<")), ours);
    part(&marker("="), theirs);
    part(&format!("{} theirs", marker(">")), "");
}

/// The files that git hands to a merge driver.
#[derive(Clone, Copy)]
pub struct Files<'f> {
    /// The ancestor.
    pub base: &'f Path,
    /// Ours, which becomes the result.
    pub ours: &'f Path,
    /// Theirs.
    pub theirs: &'f Path,
}

impl Repository {
    /// git's own merge of three files by lines: the result, and whether it came out clean.
    ///
    /// # Errors
    /// `Unreadable` (2): git fails, or the files aren't text.
    pub fn merge_lines(&self, files: Files<'_>, marker_size: usize) -> Result<(Zeroizing<Vec<u8>>, bool)> {
        let size = format!("--marker-size={marker_size}");
        let mut arguments: Vec<OsString> =
            ["merge-file", &size, "-q", "-p", "-L", "ours", "-L", "base", "-L", "theirs", "--"].map(Into::into).into();
        for file in [files.ours, files.base, files.theirs] {
            arguments.push(std::path::absolute(file).unwrap_or_else(|_| file.to_owned()).into());
        }
        let output = self.run(&arguments, None)?;
        match output.status.code() {
            Some(code @ 0..=127) => Ok((Zeroizing::new(output.stdout), code == 0)),
            _ => Err(Error::new(Kind::Unreadable, "git can't merge the file by lines")),
        }
    }

    /// The marker size that attributes give a path.
    ///
    /// # Errors
    /// `Unreadable` (2): git fails.
    pub fn marker_size(&self, path: &str) -> Result<usize> {
        let answer = self.ask(&["check-attr", "-z", "conflict-marker-size", "--", path])?;
        let value = super::super::fields(&answer).nth(2).map(super::super::text);
        Ok(value.and_then(|value| value.parse().ok()).unwrap_or(MARKER_SIZE))
    }
}

/// git's default.
pub const MARKER_SIZE: usize = 7;

/// Both files whole, as one conflict: nothing is lost, and nobody takes it for merged.
pub fn whole_files(ours: &str, theirs: &str, size: usize) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(ours.len() + theirs.len() + 64));
    conflict(&mut out, ours, theirs, size);
    out
}
