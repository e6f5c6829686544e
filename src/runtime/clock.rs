//! The time, as logs and answers write it.

use jiff::Timestamp;

/// Now, RFC 3339 in UTC with milliseconds.
pub(crate) fn now() -> String {
    format!("{:.3}", Timestamp::now())
}
