//! The time, as logs and answers write it.

use std::cell::RefCell;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;

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

/// Whether a moment in RFC 3339 is past; one that cannot be read never is.
pub(crate) fn is_past(moment: &str) -> bool {
    moment.parse::<Timestamp>().is_ok_and(|moment| moment < Timestamp::now())
}
