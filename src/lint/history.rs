//! What older commits hold.

use super::{Level, Rule};

/// A value that was in clear in a commit.
pub static IN_HISTORY: Rule = Rule::new("KV116", "plaintext-in-history", Level::Error);

pub(super) const RULES: &[&Rule] = &[&IN_HISTORY];
