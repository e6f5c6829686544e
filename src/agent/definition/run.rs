//! How runs of an agent queue, what they may cost, and how they are tried again (docs/agents.md §1, `run`).

use std::time::Duration;

/// `run` of a definition.
#[derive(Debug, Clone, PartialEq)]
pub struct RunSpec {
    pub concurrency: Concurrency,
    pub budget: RunBudget,
    pub daily: Daily,
    pub chain: Chain,
    pub retry: Retry,
    /// Whether steps are journaled, so that a run that was cut off goes on.
    pub durable: bool,
    /// Whether a run that failed for good is kept to be tried again by hand.
    pub dead_letter: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concurrency {
    /// How many runs of the agent the queue lets be at work; runs of people count, and begin at once.
    pub per_agent: usize,
    pub on_conflict: OnConflict,
    /// How many runs of the agent may wait.
    pub queue_max: usize,
}

/// What becomes of a run whose thread is busy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnConflict {
    Reject,
    /// It waits.
    Enqueue,
    /// It takes the place of the run at work, and of those that wait.
    Supersede,
    /// It waits; what it was asked is added to what waits already.
    Coalesce,
}

/// What one run may use.
#[derive(Debug, Clone, PartialEq)]
pub struct RunBudget {
    /// How often the model is asked for another answer.
    pub steps: u32,
    pub tool_calls: u32,
    pub tokens: Option<u64>,
    pub cost_usd: Option<f64>,
    pub wall: Duration,
    /// How long nothing may come of it.
    pub no_progress: Duration,
}

/// What all runs of a day (UTC) may come to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Daily {
    pub runs: Option<u64>,
    pub cost_usd: Option<f64>,
}

impl Daily {
    pub fn is_limited(&self) -> bool {
        self.runs.is_some() || self.cost_usd.is_some()
    }
}

/// How far a run may be from what a person or the API started, and how many runs may come of that in all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    pub max_depth: u32,
    pub max_runs: u64,
}

/// How often a submitted run that failed is tried, and when again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    pub attempts: u32,
    /// Before the second attempt; twice that before the third, and so on.
    pub base: Duration,
    pub max: Duration,
}

impl Default for RunSpec {
    fn default() -> Self {
        Self {
            concurrency: Concurrency { per_agent: 8, on_conflict: OnConflict::Reject, queue_max: 100 },
            budget: RunBudget::default(),
            daily: Daily::default(),
            chain: Chain { max_depth: 8, max_runs: 32 },
            retry: Retry { attempts: 1, base: Duration::from_secs(2), max: Duration::from_secs(300) },
            durable: true,
            dead_letter: false,
        }
    }
}

impl Default for RunBudget {
    fn default() -> Self {
        Self {
            steps: 20,
            tool_calls: 50,
            tokens: None,
            cost_usd: None,
            wall: Duration::from_secs(600),
            no_progress: Duration::from_secs(120),
        }
    }
}

impl Retry {
    /// How long to wait before an attempt, the second being number 2.
    pub fn before(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(2).min(31);
        self.base.saturating_mul(1_u32 << doublings).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_further_and_further_apart_up_to_a_limit() {
        let retry = Retry { attempts: 9, base: Duration::from_secs(2), max: Duration::from_secs(9) };
        let waits: Vec<_> = (2..7).map(|attempt| retry.before(attempt).as_secs()).collect();
        assert_eq!(waits, [2, 4, 8, 9, 9]);
        assert_eq!(retry.before(u32::MAX), retry.max);
    }
}
