//! When a timer fires, and what becomes of firings that were missed.

use std::time::Duration;

use jiff::Timestamp;

use crate::agent::definition::TriggerKind;

/// A firing this late was not missed: a process that is busy or starts again fires it all the same.
const GRACE: Duration = Duration::from_secs(5);
/// Times of timers are whole milliseconds.
const MILLISECOND: Duration = Duration::from_millis(1);

/// What a timer does at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tick {
    /// Whether it fires now; not when it was missed longer ago than it may be caught up.
    pub fires: bool,
    /// When it is due next; `None` when there is no next time.
    pub next: Option<Timestamp>,
}

/// When a timer that is new at `now` fires first; `None` for a trigger that is no timer, or never fires.
pub fn first(kind: &TriggerKind, now: Timestamp) -> Option<Timestamp> {
    match kind {
        TriggerKind::Cron { schedule, .. } => schedule.next_after(now),
        TriggerKind::Interval { every, .. } => now.checked_add(*every).ok(),
        TriggerKind::State(_) | TriggerKind::Webhook(_) | TriggerKind::Agent { .. } | TriggerKind::Start => None,
    }
}

/// What a timer does that was due at `due`, now that it is `now`. Of several firings that were missed one is caught up, if
/// the last of them is not too long ago.
pub fn tick(kind: &TriggerKind, due: Timestamp, now: Timestamp) -> Tick {
    let after = |at: Timestamp| match kind {
        TriggerKind::Cron { schedule, .. } => schedule.next_after(at),
        TriggerKind::Interval { every, .. } => following(due, *every, at),
        TriggerKind::State(_) | TriggerKind::Webhook(_) | TriggerKind::Agent { .. } | TriggerKind::Start => None,
    };
    let catchup = match kind {
        TriggerKind::Cron { catchup, .. } | TriggerKind::Interval { catchup, .. } => *catchup,
        TriggerKind::State(_) | TriggerKind::Webhook(_) | TriggerKind::Agent { .. } | TriggerKind::Start => {
            return Tick { fires: false, next: None };
        }
    };
    let too_long_ago = now.checked_sub(catchup.max(GRACE) + MILLISECOND).unwrap_or(Timestamp::MIN);
    let fires = due > too_long_ago || after(too_long_ago).is_some_and(|missed| missed <= now);
    Tick { fires, next: after(now) }
}

/// The first time after `at` that is a whole number of intervals from `due`.
fn following(due: Timestamp, every: Duration, at: Timestamp) -> Option<Timestamp> {
    let (every_ms, late_ms) =
        (i64::try_from(every.as_millis()).ok()?.max(1), at.as_millisecond() - due.as_millisecond());
    let steps = late_ms / every_ms + 1;
    Timestamp::from_millisecond(due.as_millisecond().checked_add(every_ms.checked_mul(steps)?)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::definition::Overlap;
    use crate::agent::definition::schedule::Cron;

    fn at(time: &str) -> Timestamp {
        format!("2026-03-27T{time}Z").parse().expect("a time")
    }

    fn interval(every: u64, catchup: u64) -> TriggerKind {
        let (every, catchup) = (Duration::from_secs(every), Duration::from_secs(catchup));
        TriggerKind::Interval { every, overlap: Overlap::Skip, catchup }
    }

    fn cron(expression: &str, catchup: u64) -> TriggerKind {
        let schedule = Box::new(Cron::parse(expression).expect("an expression"));
        TriggerKind::Cron { schedule, overlap: Overlap::Skip, catchup: Duration::from_secs(catchup) }
    }

    #[track_caller]
    fn check(kind: &TriggerKind, due: &str, now: &str, fires: bool, next: &str) {
        assert_eq!(tick(kind, at(due), at(now)), Tick { fires, next: Some(at(next)) });
    }

    #[test]
    fn an_interval_counts_from_its_last_firing() {
        check(&interval(30, 0), "12:00:00", "12:00:00", true, "12:00:30");
        check(&interval(30, 0), "12:00:00", "12:00:02", true, "12:00:30");
        assert_eq!(first(&interval(30, 0), at("12:00:00")), Some(at("12:00:30")));
    }

    #[test]
    fn what_was_missed_is_left_out_unless_it_may_be_caught_up_and_then_once() {
        check(&interval(30, 0), "12:00:00", "12:10:10", false, "12:10:30");
        check(&interval(30, 3600), "12:00:00", "12:10:10", true, "12:10:30");
        check(&cron("0 * * * *", 0), "08:00:00", "09:30:00", false, "10:00:00");
        check(&cron("0 * * * *", 7200), "08:00:00", "09:30:00", true, "10:00:00");
        check(&cron("0 * * * *", 0), "08:00:00", "08:00:01", true, "09:00:00");
        check(&cron("0 * * * *", 1800), "06:00:00", "09:30:00", true, "10:00:00");
        check(&cron("0 * * * *", 1799), "06:00:00", "09:30:00", false, "10:00:00");
        check(&interval(60, 20), "12:00:00", "12:10:20", true, "12:11:00");
        check(&interval(60, 19), "12:00:00", "12:10:20", false, "12:11:00");
    }
}
