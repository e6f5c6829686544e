//! Questions that a run ended on, and whether a resume answers them: all of them, none that nobody asked, none too late.

use serde::{Deserialize, Serialize};

use crate::agent::AgentError;
use crate::agui::{Interrupt, ResumeEntry, ResumeStatus};

use super::super::clock;
use super::note::RunNote;

/// What a thread remembers of an interrupt.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Question {
    pub(super) id: String,
    expires_at: Option<String>,
    /// The call that it is about, which has no result as long as it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    call: Option<String>,
}

/// What a thread waits for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Waiting<'t> {
    /// The place of the run that asked.
    pub(super) run: usize,
    pub(super) agent: &'t str,
    pub(super) questions: &'t [Question],
}

impl<'t> Waiting<'t> {
    /// The last run that did not fail decides: one that went on without the answers has given them up.
    pub(super) fn of(runs: &'t [RunNote]) -> Self {
        let decides = |note: &RunNote| !note.superseded && !note.failed;
        match runs.iter().rposition(decides) {
            Some(run) => Self { run, agent: &runs[run].agent, questions: &runs[run].questions },
            None => Self::default(),
        }
    }

    /// Whether there are questions, and all of them have expired.
    pub(super) fn is_too_late(self) -> bool {
        !self.questions.is_empty() && self.questions.iter().all(Question::is_too_late)
    }

    pub(super) fn calls(self) -> impl Iterator<Item = &'t str> {
        self.questions.iter().filter_map(|question| question.call.as_deref())
    }
}

impl Question {
    fn is_too_late(&self) -> bool {
        self.expires_at.as_deref().is_some_and(clock::is_past)
    }
}

impl From<&Interrupt> for Question {
    fn from(interrupt: &Interrupt) -> Self {
        Self {
            id: interrupt.id.clone(),
            expires_at: interrupt.expires_at.clone(),
            call: interrupt.tool_call_id.clone(),
        }
    }
}

/// Why this agent cannot be resumed with these answers, if it cannot: it is not asked then, and the questions stay open.
pub(super) fn refusal(waiting: Waiting<'_>, agent: &str, resume: &[ResumeEntry]) -> Option<AgentError> {
    if resume.is_empty() {
        return None;
    }
    let refused = |message: String| Some(AgentError::new("invalid_resume", message));
    let Waiting { agent: asked_by, questions: waiting, .. } = waiting;
    if asked_by != agent && !waiting.is_empty() {
        return refused(format!("agent `{asked_by}` waits for the answer, not `{agent}`: post it there"));
    }
    for (place, answer) in resume.iter().enumerate() {
        let id = &answer.interrupt_id;
        if resume[..place].iter().any(|earlier| earlier.interrupt_id == *id) {
            return refused(format!("interrupt `{id}` is answered twice: say once what it comes to"));
        }
        let Some(question) = waiting.iter().find(|question| question.id == *id) else {
            return refused(format!("the thread does not wait for an answer to interrupt `{id}`"));
        };
        if question.is_too_late() && answer.status == ResumeStatus::Resolved {
            let moment = question.expires_at.as_deref().unwrap_or_default();
            return refused(format!("interrupt `{id}` expired at {moment}: cancel it to go on"));
        }
    }
    let left = waiting.iter().find(|question| !resume.iter().any(|answer| answer.interrupt_id == question.id))?;
    refused(format!("interrupt `{}` has no answer; one resume answers every interrupt of the thread", left.id))
}
