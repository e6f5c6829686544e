//! What stays in memory of a finished run.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::agent::cause::Cause;

use super::super::document::DocumentRef;
use super::audience::Audience;
use super::questions::Question;
use super::record::{LastWords, RunFacts};

/// A finished run, without what it told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct RunNote {
    #[serde(default)]
    pub(super) run_id: String,
    /// Of a run that is not the first of its chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cause: Option<Box<Cause>>,
    pub(super) agent: String,
    pub(super) document: DocumentRef,
    pub(super) unproven: bool,
    pub(super) last_words: Option<LastWords>,
    pub(super) state_end: u64,
    pub(super) first_position: u64,
    pub(super) last_position: u64,
    pub(super) superseded: bool,
    /// Whether it changed messages of runs before it.
    pub(super) edits: bool,
    /// Whether its own messages were changed since: they are not as its record has them.
    pub(super) edited: bool,
    pub(super) failed: bool,
    /// What it ended on, to be answered.
    pub(super) questions: Vec<Question>,
    /// Whether everybody who followed it is known to have heard its end.
    #[serde(default)]
    pub(super) heard: bool,
    /// Those who followed it, while that is not known.
    #[serde(skip)]
    pub(super) audience: Option<Arc<Audience>>,
}

impl RunNote {
    /// Whether whoever knows of this run has heard its end: nobody who followed it left early.
    pub(super) fn is_heard(&self) -> bool {
        self.heard || self.audience.as_ref().is_some_and(|audience| audience.heard_everything())
    }

    /// The same with what is known by now, to be kept.
    pub(super) fn settled(&self) -> Self {
        Self { heard: self.is_heard(), audience: None, ..self.clone() }
    }
}

impl From<&RunFacts> for RunNote {
    fn from(facts: &RunFacts) -> Self {
        Self {
            run_id: facts.start.run_id.clone(),
            cause: (!facts.start.cause.chain.is_empty()).then(|| Box::new(facts.start.cause.clone())),
            agent: facts.start.agent.clone(),
            document: facts.start.document.clone(),
            unproven: facts.start.unproven,
            last_words: facts.last_words.clone(),
            state_end: facts.state_end,
            first_position: facts.start.first_position,
            last_position: facts.last_position,
            superseded: false,
            edits: !facts.start.edits.is_empty(),
            edited: false,
            failed: facts.status.is_failure(),
            questions: facts.interrupts.iter().map(Question::from).collect(),
            heard: false,
            audience: None,
        }
    }
}
