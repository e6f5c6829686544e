//! What the runs of an agent came to since the process started.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use utoipa::ToSchema;

use crate::agui::TokenUsage;

/// Counters of one agent, whichever version of its definition ran.
#[derive(Debug, Default)]
pub(crate) struct Used {
    runs: AtomicU64,
    input_tokens: AtomicU64,
    output_tokens: AtomicU64,
    total_tokens: AtomicU64,
}

/// `usage` of docs/agents.md §6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct UsageView {
    /// Runs that ended.
    pub runs: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub total_tokens: u64,
}

impl Used {
    /// Counts one run that ended.
    pub(super) fn count(&self, usage: &[TokenUsage]) {
        let sum = |tokens: fn(&TokenUsage) -> Option<u64>| usage.iter().filter_map(tokens).sum();
        let total = |usage: &TokenUsage| {
            usage.total_tokens.or_else(|| Some(usage.input_tokens.unwrap_or(0) + usage.output_tokens.unwrap_or(0)))
        };
        self.runs.fetch_add(1, Ordering::Relaxed);
        self.input_tokens.fetch_add(sum(|usage| usage.input_tokens), Ordering::Relaxed);
        self.output_tokens.fetch_add(sum(|usage| usage.output_tokens), Ordering::Relaxed);
        self.total_tokens.fetch_add(sum(total), Ordering::Relaxed);
    }

    pub(super) fn view(&self) -> UsageView {
        UsageView {
            runs: self.runs.load(Ordering::Relaxed),
            input_tokens: self.input_tokens.load(Ordering::Relaxed),
            output_tokens: self.output_tokens.load(Ordering::Relaxed),
            total_tokens: self.total_tokens.load(Ordering::Relaxed),
        }
    }
}
