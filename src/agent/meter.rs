//! What a run has done so far, counted where it is done and read by whoever hosts the run.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

/// The counters of one run.
#[derive(Debug, Default)]
pub struct Meter {
    steps: AtomicU64,
    tool_calls: AtomicU64,
    /// A lock, because tools may spend in tasks of their own; held for a look at a few entries.
    costs: Mutex<Vec<(String, f64)>>,
}

impl Meter {
    /// One more answer of a model, or one more step of an agent that says what its steps are.
    pub fn step(&self) {
        self.steps.fetch_add(1, Ordering::Relaxed);
    }

    pub fn tool_call(&self) {
        self.tool_calls.fetch_add(1, Ordering::Relaxed);
    }

    /// What an answer of `model` (`provider/model`) cost, in US dollars.
    pub fn cost(&self, model: &str, usd: f64) {
        let mut costs = self.costs_so_far();
        match costs.iter_mut().find(|(known, _)| known == model) {
            Some((_, total)) => *total += usd,
            None => costs.push((model.to_owned(), usd)),
        }
    }

    pub fn steps(&self) -> u64 {
        self.steps.load(Ordering::Relaxed)
    }

    pub fn tool_calls(&self) -> u64 {
        self.tool_calls.load(Ordering::Relaxed)
    }

    /// By model, in US dollars; a model without a price is not among them.
    pub fn costs(&self) -> Vec<(String, f64)> {
        self.costs_so_far().clone()
    }

    fn costs_so_far(&self) -> MutexGuard<'_, Vec<(String, f64)>> {
        self.costs.lock().expect("no code panics while it holds this lock")
    }
}
