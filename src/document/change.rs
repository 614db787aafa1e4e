//! Changes of a plain document's text: only the lines that must change do, in the file's own layout.

pub(crate) mod place;
