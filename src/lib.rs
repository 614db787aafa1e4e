//! kveil keeps Kubernetes Secrets encrypted in git, in the SOPS file format, byte-exact: only value bytes change.
//!
//! ```text
//! source ─► document ─► select ─► datakey (recipient, metadata) ─► seal (value, mac) ─► document::edit ─► source
//!  read      parse       which      wrap / unwrap the 32-byte         encrypt / decrypt     splice the       atomic,
//!  bytes     spans       values     data key                          the chosen values     new bytes        verified write
//! ```
//!
//! Non-goals: kveil doesn't store keys, doesn't talk to a cluster, and doesn't hide key names, sizes or recipients.

pub use kveil_program::*;
