//! The clock, in the one form SOPS writes.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::document::time::Stamp;

/// The time now, RFC 3339 in UTC with seconds.
pub fn now() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
    // A time in UTC has this form always.
    Stamp::of_unix(seconds).to_rfc3339().unwrap_or_default()
}
