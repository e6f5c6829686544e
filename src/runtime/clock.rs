//! The time, as logs and answers write it.

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;

const WITH_MILLISECONDS: DateTimePrinter = DateTimePrinter::new().precision(Some(3));

/// Now, RFC 3339 in UTC with milliseconds.
pub(crate) fn now() -> String {
    WITH_MILLISECONDS.timestamp_to_string(&Timestamp::now())
}

/// Now, in milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// Whether a moment in RFC 3339 is past; one that cannot be read never is.
pub(crate) fn is_past(moment: &str) -> bool {
    moment.parse::<Timestamp>().is_ok_and(|moment| moment < Timestamp::now())
}
