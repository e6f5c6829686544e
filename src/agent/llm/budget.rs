//! What a run may use before it is ended: steps, tool calls, time, and time without progress (docs/agents.md §6).

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::agent::definition::RunBudget;
use crate::agent::error::AgentError;

/// What is left of them.
#[derive(Debug)]
pub(super) struct Budget {
    bounds: RunBudget,
    steps: u32,
    tool_calls: u32,
    ends: Instant,
    progressed: Instant,
}

impl Budget {
    /// Of a run that has been worked on so long already.
    pub(super) fn start(bounds: RunBudget, spent: Duration) -> Self {
        let now = Instant::now();
        let ends = now + bounds.wall.saturating_sub(spent);
        Self { bounds, steps: 0, tool_calls: 0, ends, progressed: now }
    }

    /// Takes one step, or ends the run.
    pub(super) fn step(&mut self) -> Result<(), AgentError> {
        self.steps += 1;
        if self.steps > self.bounds.steps {
            let message = format!("the run has used its {} steps", self.bounds.steps);
            return Err(AgentError::new("budget_exceeded", message));
        }
        Ok(())
    }

    /// Takes one tool call, or ends the run.
    pub(super) fn tool_call(&mut self) -> Result<(), AgentError> {
        self.tool_calls += 1;
        if self.tool_calls > self.bounds.tool_calls {
            let message = format!("the run has used its {} tool calls", self.bounds.tool_calls);
            return Err(AgentError::new("budget_exceeded", message));
        }
        Ok(())
    }

    /// Ends the run when what it has used so far is more than it may: what an answer costs is known when it is there.
    pub(super) fn used(&self, tokens: u64, cost_usd: f64) -> Result<(), AgentError> {
        if let Some(most) = self.bounds.tokens.filter(|most| tokens > *most) {
            let message = format!("the run has used {tokens} tokens, and may use {most}");
            return Err(AgentError::new("budget_exceeded", message));
        }
        if let Some(most) = self.bounds.cost_usd.filter(|most| cost_usd > *most) {
            let message = format!("the run has cost {cost_usd:.4} US dollars, and may cost {most}");
            return Err(AgentError::new("budget_exceeded", message));
        }
        Ok(())
    }

    /// Something came of the run.
    pub(super) fn progress(&mut self) {
        self.progressed = Instant::now();
    }

    /// Waits for `work` as long as the run has time.
    pub(super) async fn within<T>(&self, work: impl Future<Output = T>) -> Result<T, AgentError> {
        let stuck = self.progressed + self.bounds.no_progress;
        let is_over = Instant::now() >= self.ends;
        match timeout_at(self.ends.min(stuck), work).await {
            Ok(done) if !is_over => Ok(done),
            Err(_) if stuck < self.ends => {
                let limit = self.bounds.no_progress;
                Err(AgentError::new("no_progress", format!("nothing came of the run for {limit:?}, so it was ended")))
            }
            Ok(_) | Err(_) => {
                let limit = self.bounds.wall;
                Err(AgentError::new("budget_exceeded", format!("the run has used its time of {limit:?}")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code<T>(ended: Result<T, AgentError>) -> String {
        ended.err().expect("the budget is used up").code
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_ends_when_its_budget_is_used_up() {
        let bounds =
            RunBudget { steps: 2, tool_calls: 1, tokens: Some(10), cost_usd: Some(0.5), ..RunBudget::default() };
        let mut budget = Budget::start(bounds, Duration::ZERO);
        assert!(budget.step().is_ok() && budget.step().is_ok() && budget.tool_call().is_ok());
        assert_eq!(code(budget.step()), "budget_exceeded");
        assert_eq!(code(budget.tool_call()), "budget_exceeded");
        assert!(budget.used(10, 0.5).is_ok());
        assert_eq!(code(budget.used(11, 0.0)), "budget_exceeded");
        assert_eq!(code(budget.used(0, 0.51)), "budget_exceeded");
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_that_gets_nowhere_ends_before_its_time() {
        let budget = Budget::start(RunBudget::default(), Duration::ZERO);
        assert_eq!(code(budget.within(std::future::pending::<()>()).await), "no_progress");
        assert_eq!(budget.progressed.elapsed(), Duration::from_secs(120));
    }

    #[tokio::test(start_paused = true)]
    async fn progress_keeps_a_run_going_until_its_time_is_up() {
        let mut budget = Budget::start(RunBudget::default(), Duration::ZERO);
        let began = Instant::now();
        let ended = loop {
            match budget.within(tokio::time::sleep(Duration::from_secs(100))).await {
                Ok(()) => budget.progress(),
                ended => break ended,
            }
        };
        assert_eq!(code(ended), "budget_exceeded");
        assert_eq!(began.elapsed(), Duration::from_secs(600));
        assert_eq!(
            code(budget.within(std::future::ready(())).await),
            "budget_exceeded",
            "also for what is there at once"
        );
    }
}
