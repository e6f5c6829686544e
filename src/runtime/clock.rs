//! The time, as logs and answers write it.

use std::cell::RefCell;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::rfc2822;
use jiff::fmt::temporal::DateTimePrinter;
use jiff::tz::TimeZone;

const WITH_MILLISECONDS: DateTimePrinter = DateTimePrinter::new().precision(Some(3));

/// A millisecond since 1970, and how it is written.
struct Written {
    ms: i64,
    text: Arc<str>,
}

thread_local! {
    /// The latest that this thread wrote. A busy one asks many times within a millisecond.
    static LATEST: RefCell<Option<Written>> = const { RefCell::new(None) };
}

/// Now, RFC 3339 in UTC with milliseconds.
pub(crate) fn now() -> String {
    shared_now()[..].to_owned()
}

/// The same as a text that all who ask within a millisecond share.
pub(crate) fn shared_now() -> Arc<str> {
    let now = Timestamp::now();
    let ms = now.as_millisecond();
    LATEST.with_borrow_mut(|latest| match latest {
        Some(written) if written.ms == ms => Arc::clone(&written.text),
        _ => {
            let text: Arc<str> = WITH_MILLISECONDS.timestamp_to_string(&now).into();
            *latest = Some(Written { ms, text: Arc::clone(&text) });
            text
        }
    })
}

/// Now, in milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// Whether a moment is past; one that cannot be read never is.
pub(crate) fn is_past(moment: &str) -> bool {
    read(moment).is_some_and(|moment| moment < Timestamp::now())
}

/// A moment as AG-UI's client reads it, with JavaScript's `Date.parse`: a date of ISO 8601 with or without a time, or one
/// of RFC 2822. What names no offset is in UTC here, where the client takes its own.
fn read(moment: &str) -> Option<Timestamp> {
    let (date, time) = moment.split_once(['T', 't', ' ']).unwrap_or((moment, ""));
    let is_hyphenated = matches!(date.as_bytes(), [.., b'-', _, _, b'-', _, _]);
    // Not as jiff, which also reads hours alone and names of zones.
    let is_time = time.is_empty() || (time.contains(':') && !time.contains('['));
    if !is_hyphenated || !is_time {
        return rfc2822::parse(moment).ok().map(|moment| moment.timestamp());
    }
    let in_utc = |moment: DateTime| TimeZone::UTC.to_timestamp(moment).ok();
    moment.parse().ok().or_else(|| in_utc(moment.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_the_client_reads_them() {
        for (moment, expected) in [
            ("2020-01-01T00:00:00Z", Some("2020-01-01T00:00:00Z")),
            ("2020-01-01T00:00:00+02:00", Some("2019-12-31T22:00:00Z")),
            ("2020-01-01T00:00:00.123456Z", Some("2020-01-01T00:00:00.123456Z")),
            ("2020-01-01T00:00:00", Some("2020-01-01T00:00:00Z")),
            ("2020-01-01T00:00:00.123456", Some("2020-01-01T00:00:00.123456Z")),
            ("2020-01-01T00:00", Some("2020-01-01T00:00:00Z")),
            ("2020-01-01 00:00:00", Some("2020-01-01T00:00:00Z")),
            ("2020-01-01 00:00:00+02:00", Some("2019-12-31T22:00:00Z")),
            ("2020-01-01", Some("2020-01-01T00:00:00Z")),
            ("+002020-01-01T00:00:00Z", Some("2020-01-01T00:00:00Z")),
            ("Wed, 01 Jan 2020 00:00:00 GMT", Some("2020-01-01T00:00:00Z")),
            ("20200101T000000Z", None),
            ("20200101", None),
            ("2020-W01-1", None),
            ("2020-01-01T00Z", None),
            ("2020-01-01T00:00:00Z[UTC]", None),
            ("1577836800000", None),
            ("2020-13-01", None),
            ("not a date", None),
            ("", None),
        ] {
            assert_eq!(read(moment).map(|read| read.to_string()).as_deref(), expected, "{moment}");
        }
        assert!(is_past("2020-01-01") && !is_past("2999-01-01") && !is_past("soon"));
    }
}
