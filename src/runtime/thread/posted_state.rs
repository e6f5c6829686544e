//! The state that a client posts with a run: what is in it, and what it proves of what the client saw (design §5).

use serde_json::Value;

use crate::agui::{Event, Json, RunAgentInput};
use crate::state::json;
use crate::state::limits::Limits;

use super::super::client_props::ClientProps;
use super::super::document::{DocumentRef, Evidence, Refused};
use super::actor::Thread;
use super::transcript::Resolved;

impl Thread {
    /// Which version of the document the client saw at least.
    ///
    /// A client that was cut in a run sends back what it asked there, and what it had before. So a run's end counts as seen
    /// where nobody left the run early; where somebody did, only the agent's last words prove something, sent back whole:
    /// the version they were said at.
    pub(super) fn evidence(&self, input: &RunAgentInput, resolved: &Resolved, document: &DocumentRef) -> Evidence {
        if let Some(exact) = ClientProps::of(input).state_version {
            return Evidence::Exact(exact);
        }
        let seen = || resolved.seen.iter().map(|seen| (seen, &self.runs[seen.run]));
        let on_document = || seen().filter(|(_, note)| note.document == *document);
        let heard = on_document().filter_map(|(seen, note)| {
            let words = note.last_words.as_ref().filter(|words| seen.whole && words.message_id == seen.message.id());
            if note.is_heard() { Some(note.state_end) } else { words.map(|words| words.version) }
        });
        if let Some(version) = heard.max() {
            return Evidence::AtLeast(version);
        }
        let was_sent = self.runs.iter().any(|note| note.document == *document);
        let only_unproven = on_document().next().is_some() && on_document().all(|(_, note)| note.unproven);
        if !was_sent || only_unproven {
            return Evidence::Unknown;
        }
        // Some version, perhaps none: nothing that ever stood there is an edit, and nothing that is missing a deletion.
        Evidence::AtLeast(0)
    }
}

/// The posted state, when there is something in it, or why it cannot be read.
pub(super) fn posted_state(state: Option<Json>) -> (Option<Value>, Option<Refused>) {
    let Some(state) = state else { return (None, None) };
    match json::read(state.get().as_bytes(), &Limits::default()) {
        Ok(Value::Null) => (None, None),
        Ok(Value::Object(members)) if members.is_empty() => (None, None),
        Ok(state) => (Some(state), None),
        Err(error) => {
            let code = if error.is_too_large() { "too_large" } else { "invalid_json" };
            (None, Some(Refused { code, message: error.to_string(), path: None, version: 0 }))
        }
    }
}

/// Tells the browser that its edit was not taken; the run goes on from the head.
pub(super) fn state_rejected(refused: Refused) -> Event {
    let path = refused.path.unwrap_or_default();
    let value = serde_json::json!({"code": refused.code, "errors": [{"path": path, "message": refused.message}]});
    Event::custom("coagent.state_rejected", serde_json::value::to_raw_value(&value).expect("a value is JSON"))
}
