//! What becomes of a submitted run that failed: tried again later, kept as a dead letter, or failed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::agent::definition::{Retry, RunSpec};

use super::record::{RunError, RunStatus};
use super::ticket::Ticket;

/// What a run that waited brings along in case that it fails.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RetryPlan {
    pub(crate) ticket: Ticket,
    /// Which attempt this is.
    attempt: u32,
    attempts: u32,
    base_ms: u64,
    max_ms: u64,
    dead_letter: bool,
}

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It waits again, this long.
    Again(Duration),
    /// It is kept.
    Dead,
    /// It is as it ended.
    Final,
}

impl RetryPlan {
    /// `None` where a failure is simply that, and the run was never over before.
    pub(crate) fn new(ticket: &Ticket, attempt: u32, spec: &RunSpec) -> Option<Self> {
        let Retry { attempts, base, max } = &spec.retry;
        let narrow = |time: &Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        (*attempts > 1 || spec.dead_letter || ticket.is_counted).then(|| Self {
            ticket: ticket.clone(),
            attempt,
            attempts: *attempts,
            base_ms: narrow(base),
            max_ms: narrow(max),
            dead_letter: spec.dead_letter,
        })
    }

    pub(crate) fn verdict(&self, status: RunStatus, error: Option<&RunError>) -> Verdict {
        if status != RunStatus::Failed {
            return Verdict::Final;
        }
        if self.attempt < self.attempts && error.is_none_or(|error| may_pass(&error.code)) {
            let (base, max) = (Duration::from_millis(self.base_ms), Duration::from_millis(self.max_ms));
            let retry = Retry { attempts: self.attempts, base, max };
            return Verdict::Again(retry.before(self.attempt + 1));
        }
        if self.dead_letter { Verdict::Dead } else { Verdict::Final }
    }
}

/// Whether what ended a run may be gone by the next attempt.
fn may_pass(code: &str) -> bool {
    !matches!(code, "auth" | "missing_configuration" | "context_overflow" | "invalid_sequence" | "invalid_resume")
}

#[cfg(test)]
mod tests {
    use crate::agent::cause::Cause;
    use crate::agui::RunAgentInput;
    use crate::store::{Owner, Tenant};

    use super::super::super::thread::ThreadRef;
    use super::*;

    #[test]
    fn a_failure_that_may_pass_is_tried_again_and_then_kept_if_the_definition_says_so() {
        let thread = ThreadRef { tenant: Tenant::new("t"), owner: Owner::new("o"), id: "id".into() };
        let ticket = Ticket::new("r", &thread, "a", &RunAgentInput::default(), Cause::user(), (true, false));
        let verdict = |attempt: u32, attempts: u32, dead_letter: bool, status: RunStatus, code: &str| {
            let mut spec = RunSpec { dead_letter, ..RunSpec::default() };
            spec.retry.attempts = attempts;
            let error = RunError { code: code.to_owned(), message: String::new() };
            RetryPlan::new(&ticket, attempt, &spec).map(|plan| plan.verdict(status, Some(&error)))
        };
        use RunStatus::{BudgetExceeded, Cancelled, Failed, Succeeded};
        let again = |seconds| Some(Verdict::Again(Duration::from_secs(seconds)));
        assert_eq!(verdict(1, 3, true, Failed, "provider_error"), again(2));
        assert_eq!(verdict(2, 3, true, Failed, "upstream_lost"), again(4));
        assert_eq!(verdict(3, 3, true, Failed, "provider_error"), Some(Verdict::Dead));
        assert_eq!(verdict(3, 3, false, Failed, "provider_error"), Some(Verdict::Final));
        assert_eq!(verdict(1, 3, true, Failed, "auth"), Some(Verdict::Dead));
        for status in [Succeeded, Cancelled, BudgetExceeded] {
            assert_eq!(verdict(1, 3, true, status, "x"), Some(Verdict::Final));
        }
        assert_eq!(verdict(1, 1, false, Failed, "x"), None, "a failure is simply that");
    }
}
