//! What a step of GitHub Actions says to its runner, and what it must know before it opens a file: the commands of a
//! workflow, masks, who triggered the run, and findings as annotations. Source: the runner's own source code.

pub mod commands;
pub mod findings;
pub mod masks;
pub mod trust;
