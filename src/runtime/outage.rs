//! A fault of the store meets everybody who writes: the log says it when it begins, and now and then how many it has met.

use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The same reason is said so often at most.
const PAUSE: Duration = Duration::from_secs(5);

/// A lock, because whoever loses the store comes here, and the process has one log; held to compare and to count.
static OUTAGE: Mutex<Outage> = Mutex::new(Outage { reason: String::new(), said: None, unsaid: 0 });

#[derive(Debug)]
struct Outage {
    /// Why the store was lost last.
    reason: String,
    said: Option<Instant>,
    /// How many have lost it for the same reason since that was said.
    unsaid: u64,
}

/// Whether losing the store for this reason is to be said now; with how many have lost it since that was said last.
pub(super) fn is_to_be_said(reason: &str) -> Option<u64> {
    OUTAGE.lock().expect("no code panics while it holds this lock").meets(reason, Instant::now())
}

impl Outage {
    fn meets(&mut self, reason: &str, now: Instant) -> Option<u64> {
        let is_known = self.reason == reason && self.said.is_some_and(|said| now.duration_since(said) < PAUSE);
        if is_known {
            self.unsaid += 1;
            return None;
        }
        if self.reason != reason {
            reason.clone_into(&mut self.reason);
        }
        self.said = Some(now);
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_said_at_once_and_then_now_and_then_with_a_count() {
        let mut outage = Outage { reason: String::new(), said: None, unsaid: 0 };
        let began = Instant::now();
        let after = |seconds| began + Duration::from_secs(seconds);
        assert_eq!(outage.meets("down", began), Some(0));
        assert_eq!((outage.meets("down", after(1)), outage.meets("down", after(4))), (None, None));
        assert_eq!(outage.meets("down", after(5)), Some(2));
        assert_eq!(outage.meets("down", after(6)), None);
        assert_eq!(outage.meets("damaged", after(6)), Some(1), "another reason is news");
        assert_eq!(outage.meets("down", after(7)), Some(0));
    }
}
