//! Questions that a run ended on, and whether a resume answers them: all of them, none that nobody asked, none too late.

use serde::{Deserialize, Serialize};

use crate::agent::AgentError;
use crate::agui::{Interrupt, ResumeEntry, ResumeStatus};

use super::super::clock;

/// What a thread remembers of an interrupt.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Question {
    pub(super) id: String,
    expires_at: Option<String>,
}

impl From<&Interrupt> for Question {
    fn from(interrupt: &Interrupt) -> Self {
        Self { id: interrupt.id.clone(), expires_at: interrupt.expires_at.clone() }
    }
}

/// Why a resume cannot be taken, if it cannot: the agent is not asked then, and the questions stay open.
pub(super) fn refusal(waiting: &[Question], resume: &[ResumeEntry]) -> Option<AgentError> {
    if resume.is_empty() {
        return None;
    }
    let refused = |message: String| Some(AgentError::new("invalid_resume", message));
    for (place, answer) in resume.iter().enumerate() {
        let id = &answer.interrupt_id;
        if resume[..place].iter().any(|earlier| earlier.interrupt_id == *id) {
            return refused(format!("interrupt `{id}` is answered twice: say once what it comes to"));
        }
        let Some(question) = waiting.iter().find(|question| question.id == *id) else {
            return refused(format!("the thread does not wait for an answer to interrupt `{id}`"));
        };
        let too_late = question.expires_at.as_deref().filter(|moment| clock::is_past(moment));
        if let (Some(moment), ResumeStatus::Resolved) = (too_late, answer.status) {
            return refused(format!("interrupt `{id}` expired at {moment}: cancel it to go on"));
        }
    }
    let left = waiting.iter().find(|question| !resume.iter().any(|answer| answer.interrupt_id == question.id))?;
    refused(format!("interrupt `{}` has no answer; one resume answers every interrupt of the thread", left.id))
}
