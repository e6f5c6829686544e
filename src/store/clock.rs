//! The wall clock, read for one purpose: to let remembered results expire.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970; 0 when the clock stands before it, so that nothing expires early.
pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
