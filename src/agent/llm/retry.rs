//! How often a model is asked again after a fault, and how long one waits before it. The only retries there are.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use crate::agent::model::Fault;

/// How often one answer is asked for.
const TRIES: u32 = 4;
/// Before the second try; doubled for each one after it.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// The longest wait, also when a provider asks for more: a person is watching.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// The wait before the next try; `None` when `fault` is final. `tried` counts the tries so far.
pub(super) fn wait(fault: &Fault, tried: u32) -> Option<Duration> {
    if !fault.is_retryable() || tried >= TRIES {
        return None;
    }
    let own = FIRST_WAIT * 2u32.pow(tried - 1);
    let asked = fault.retry_after.unwrap_or_default().min(LONGEST_WAIT);
    // Runs that failed together do not come back together.
    let jitter = 0.5 + RandomState::new().hash_one(tried) as f64 / u64::MAX as f64 / 2.0;
    Some(asked.max(own.mul_f64(jitter)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::model::FaultKind;

    #[test]
    fn a_fault_is_tried_again_three_times_and_never_for_long() {
        let fault = Fault::new(FaultKind::Provider, "x");
        for (tried, longest) in [(1, 250), (2, 500), (3, 1000)] {
            let wait = wait(&fault, tried).expect("another try").as_millis();
            assert!((longest / 2..=longest).contains(&wait), "{wait} ms before try {}", tried + 1);
        }
        assert_eq!(wait(&fault, 4), None);
        assert_eq!(wait(&Fault::new(FaultKind::Auth, "x"), 1), None);
        let asked = |seconds| Fault { retry_after: Some(Duration::from_secs(seconds)), ..fault.clone() };
        assert_eq!(wait(&asked(2), 1), Some(Duration::from_secs(2)));
        assert_eq!(wait(&asked(3600), 1), Some(LONGEST_WAIT));
    }

    #[test]
    fn waits_differ() {
        let fault = Fault::new(FaultKind::Provider, "x");
        let waits: std::collections::HashSet<_> = (0..16).map(|_| wait(&fault, 1)).collect();
        assert!(waits.len() > 8, "{waits:?}");
    }
}
