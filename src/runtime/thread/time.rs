//! How long a run may take, for agents that do not look at the clock themselves (docs/agents.md §6).

use std::time::{Duration, Instant};

use crate::agent::AgentError;
use crate::agent::definition::RunBudget;

/// The time of a live run. A model agent keeps it itself, so that its end says what it used.
#[derive(Debug)]
pub(super) struct RunTime {
    bounds: Option<(Duration, Duration)>,
    began: Instant,
    progressed: Instant,
}

impl RunTime {
    /// Of a run that has been worked on so long already.
    pub(super) fn start(budget: &RunBudget, keeps_time_itself: bool, spent: Duration) -> Self {
        let now = Instant::now();
        let bounds = (!keeps_time_itself).then_some((budget.wall, budget.no_progress));
        Self { bounds, began: now.checked_sub(spent).unwrap_or(now), progressed: now }
    }

    /// Something came of the run.
    pub(super) fn progress(&mut self) {
        self.progressed = Instant::now();
    }

    /// When it is to be ended.
    pub(super) fn ends(&self) -> Option<Instant> {
        let (wall, no_progress) = self.bounds?;
        // What is too far away for the clock does not come.
        [self.began.checked_add(wall), self.progressed.checked_add(no_progress)].into_iter().flatten().min()
    }

    /// Why it was ended then.
    pub(super) fn why(&self) -> AgentError {
        let (wall, no_progress) = self.bounds.unwrap_or_default();
        match self.began.checked_add(wall).is_some_and(|ends| ends <= Instant::now()) {
            true => AgentError::new("budget_exceeded", format!("the run has used its time of {wall:?}")),
            false => {
                let message = format!("nothing came of the run for {no_progress:?}, so it was ended");
                AgentError::new("no_progress", message)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_that_comes_first_counts_and_says_why() {
        let second = Duration::from_secs(1);
        let budget = |wall, no_progress| RunBudget { wall, no_progress, ..RunBudget::default() };
        let stuck = RunTime::start(&budget(60 * second, second), false, Duration::ZERO);
        assert_eq!((stuck.ends(), stuck.why().code.as_str()), (Some(stuck.began + second), "no_progress"));
        let long = RunTime::start(&budget(Duration::ZERO, second), false, Duration::ZERO);
        assert_eq!((long.ends(), long.why().code.as_str()), (Some(long.began), "budget_exceeded"));
        assert_eq!(RunTime::start(&budget(second, second), true, Duration::ZERO).ends(), None);
    }
}
