//! What everybody can see of a run: the body of its lifecycle document, and the items of `GET /v1/runs`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::agent::cause::Cause;
use crate::agui::TokenUsage;

/// Where a run stands (docs/agents.md §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    Queued,
    Running,
    /// Ended on interrupts that a person has to answer.
    Waiting,
    Succeeded,
    Failed,
    Cancelled,
    BudgetExceeded,
    /// Ended because another run took its thread.
    Superseded,
    /// Failed as often as it is tried, or was never started because its chain is too long; kept to be tried again.
    Dead,
}

impl RunStatus {
    pub const ALL: [Self; 9] = [
        Self::Queued,
        Self::Running,
        Self::Waiting,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
        Self::BudgetExceeded,
        Self::Superseded,
        Self::Dead,
    ];

    /// As the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::BudgetExceeded => "budget_exceeded",
            Self::Superseded => "superseded",
            Self::Dead => "dead",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }

    /// Whether nothing comes after it by itself.
    pub fn is_over(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }

    /// Whether the run ended short of what it was asked to do.
    pub(crate) fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::BudgetExceeded | Self::Dead)
    }
}

/// A run as its lifecycle document has it (docs/state-api.md §1, docs/agents.md §6).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Lifecycle {
    pub run_id: String,
    pub agent: String,
    pub thread_id: String,
    pub status: RunStatus,
    pub cause: Cause,
    /// RFC 3339; of runs that waited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queued_at: Option<String>,
    /// Of the latest attempt; absent while it never started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<String>,
    /// Which attempt it is, from 1.
    pub attempt: u32,
    pub steps: u64,
    pub usage: RunUsage,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<RunError>,
    /// Calls that the browser is to answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending_tool_calls: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunError {
    /// One of docs/agents.md §6.
    pub code: String,
    pub message: String,
}

/// What a run used, over all its attempts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RunUsage {
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub total_tokens: u64,
    /// Absent when no price is known for any of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    pub by_model: Vec<ModelUsage>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelUsage {
    /// `provider/model`, as far as it is known.
    pub model: String,
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub total_tokens: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
}

impl RunUsage {
    pub(crate) fn add(&mut self, usage: &[TokenUsage]) {
        for entry in usage {
            let (input, output) = (entry.input_tokens.unwrap_or(0), entry.output_tokens.unwrap_or(0));
            let total = entry.total_tokens.unwrap_or(input + output);
            let named = [entry.provider.as_deref(), entry.model.as_deref()];
            let model = named.into_iter().flatten().collect::<Vec<_>>().join("/");
            self.add_model(&ModelUsage {
                model: if model.is_empty() { "unknown".to_owned() } else { model },
                input_tokens: input,
                output_tokens: output,
                total_tokens: total,
                cost_usd: None,
            });
        }
    }

    pub(crate) fn add_model(&mut self, used: &ModelUsage) {
        self.input_tokens += used.input_tokens;
        self.output_tokens += used.output_tokens;
        self.total_tokens += used.total_tokens;
        self.cost_usd = sum(self.cost_usd, used.cost_usd);
        match self.by_model.iter_mut().find(|known| known.model == used.model) {
            Some(known) => {
                known.input_tokens += used.input_tokens;
                known.output_tokens += used.output_tokens;
                known.total_tokens += used.total_tokens;
                known.cost_usd = sum(known.cost_usd, used.cost_usd);
            }
            None => self.by_model.push(used.clone()),
        }
    }
}

pub(super) fn sum(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one + other),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_run_used_is_summed_by_model() {
        let used = |model: &str, input, output| TokenUsage {
            provider: Some("openai".to_owned()),
            model: Some(model.to_owned()),
            input_tokens: Some(input),
            output_tokens: Some(output),
            total_tokens: None,
            reasoning_tokens: None,
            cached_input_tokens: None,
            cache_write_input_tokens: None,
            cost_usd: None,
        };
        let mut usage = RunUsage::default();
        usage.add(&[used("a", 10, 1), used("b", 5, 5)]);
        usage.add(&[used("a", 1, 1)]);
        assert_eq!((usage.input_tokens, usage.output_tokens, usage.total_tokens), (16, 7, 23));
        let models: Vec<_> = usage.by_model.iter().map(|used| (used.model.as_str(), used.total_tokens)).collect();
        assert_eq!(models, [("openai/a", 13), ("openai/b", 10)]);
        assert_eq!(usage.cost_usd, None);
    }

    #[test]
    fn every_status_has_a_word_that_is_read_back() {
        for status in RunStatus::ALL {
            assert_eq!(RunStatus::parse(status.as_str()), Some(status));
            assert_eq!(serde_json::to_value(status).expect("a word"), status.as_str());
        }
        assert_eq!(RunStatus::parse("done"), None);
    }
}
