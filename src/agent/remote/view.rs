//! What an endpoint believes the state to be, and what its snapshots therefore mean.
//!
//! A snapshot is not the truth but an opinion formed on what the endpoint was sent: only what it changed is proposed.

use serde_json::{Map, Value};

use crate::agent::context::{RunContext, Terms};
use crate::agent::definition::{ForwardState, Remote, StateMode, StateSpec};
use crate::agent::error::{AgentError, StateError};
use crate::agui::{Json, PatchOperation, read_json, to_json};
use crate::state::limits::Limits;
use crate::state::parts::{only, put};
use crate::state::patch::{self, Operation};
use crate::state::pointer::Pointer;

/// What the endpoint shares with the document.
pub(super) struct View {
    /// What it was sent, with what it wrote since. Of a write that was refused nothing is in it, so that a later snapshot, in
    /// which the effect still stands, brings it.
    shared: Value,
    mode: StateMode,
    /// Below which a snapshot may write; `None` is everywhere.
    write: Option<Vec<Pointer>>,
}

impl View {
    /// Reads the state that the endpoint is to be sent.
    pub(super) async fn open(cx: &RunContext, remote: &Remote, spec: &StateSpec) -> Result<Self, AgentError> {
        let head = cx.read_state(&Pointer::root()).await?;
        cx.show(None, head.version);
        let shared = match remote.forward_state {
            ForwardState::Nothing => Value::Object(Map::new()),
            ForwardState::Full | ForwardState::Read => {
                let whole = head.value.unwrap_or_else(|| Value::Object(Map::new()));
                match (remote.forward_state, &spec.read) {
                    (ForwardState::Read, Some(read)) => only(&whole, &pointers(read)),
                    (ForwardState::Full | ForwardState::Read | ForwardState::Nothing, _) => whole,
                }
            }
        };
        Ok(Self { shared, mode: remote.state_mode, write: spec.write.as_deref().map(pointers) })
    }

    /// The state as it is posted.
    pub(super) fn sent(&self) -> Json {
        to_json(&self.shared)
    }

    /// `STATE_SNAPSHOT`: carries what the endpoint changed over to the document.
    pub(super) async fn snapshot(&mut self, cx: &RunContext, snapshot: &Json) -> Result<(), AgentError> {
        let snapshot: Value = match read_json(snapshot.get()) {
            Ok(snapshot @ Value::Object(_)) => snapshot,
            Ok(_) | Err(_) => {
                tracing::warn!("a remote agent's snapshot of the state is not an object and was dropped");
                return Ok(());
            }
        };
        if self.mode == StateMode::DeltasOnly {
            return Ok(());
        }
        let head = cx.read_state(&Pointer::root()).await?;
        let current = head.value.unwrap_or_else(|| Value::Object(Map::new()));
        let before = match self.mode {
            StateMode::Replace => &current,
            StateMode::Merge | StateMode::DeltasOnly => &self.shared,
        };
        let proposed = carry(before, &snapshot, &current, self.write.as_deref());
        if proposed == current || outlived(cx.propose_state(proposed, head.version).await, "snapshot")? {
            self.shared = snapshot;
        }
        Ok(())
    }

    /// `STATE_DELTA`: applied as it is; one that does not apply is dropped, and the next snapshot repairs it.
    pub(super) async fn delta(&mut self, cx: &RunContext, delta: &[PatchOperation]) -> Result<(), AgentError> {
        let ops = match read_json::<Vec<Operation>>(to_json(delta).get()) {
            Ok(ops) => ops,
            Err(error) => {
                tracing::warn!(%error, "a remote agent's delta of the state cannot be read and was dropped");
                return Ok(());
            }
        };
        let terms = Terms { seen: cx.seen(None), creates: true, ..Terms::default() };
        if outlived(cx.write_document(None, ops.clone(), terms).await, "delta")? {
            self.share(&ops);
        }
        Ok(())
    }

    /// Each operation for itself: one that builds on what was refused before is what the next snapshot says.
    fn share(&mut self, ops: &[Operation]) {
        for op in ops {
            if let Err(error) = patch::apply(&mut self.shared, std::slice::from_ref(op), &Limits::default()) {
                tracing::debug!(%error, "a remote agent's delta does not fit what it was sent");
            }
        }
    }
}

/// Whether it was written. A refusal does not end the run: the agent's words are worth more than one of its writes.
fn outlived<T>(written: Result<T, StateError>, what: &str) -> Result<bool, AgentError> {
    match written {
        Ok(_) => Ok(true),
        Err(StateError::Refused { code, message, .. }) => {
            tracing::warn!(code, message, "a remote agent's {what} of the state was refused and dropped");
            Ok(false)
        }
        Err(error @ (StateError::Unavailable { .. } | StateError::RunIsOver)) => Err(error.into()),
    }
}

fn pointers(paths: &[String]) -> Vec<Pointer> {
    paths
        .iter()
        .map(|path| Pointer::parse(path).expect("a definition's pointers are checked when it is read"))
        .collect()
}

/// `onto` with every difference between `before` and `after` that lies below one of `write`. Lists are whole values.
fn carry(before: &Value, after: &Value, onto: &Value, write: Option<&[Pointer]>) -> Value {
    let mut result = onto.clone();
    carry_below(Some(before), Some(after), &mut result, &Pointer::root(), write);
    result
}

fn carry_below(
    before: Option<&Value>,
    after: Option<&Value>,
    document: &mut Value,
    at: &Pointer,
    write: Option<&[Pointer]>,
) {
    if before == after || write.is_some_and(|write| !write.iter().any(|path| path.overlaps(at))) {
        return;
    }
    let empty = Map::new();
    let members = |value: Option<&'_ Value>| value.and_then(Value::as_object).cloned();
    let is_allowed_whole = write.is_none_or(|write| write.iter().any(|path| at.starts_with(path)));
    match (members(before), members(after)) {
        (Some(old), Some(new)) => {
            let gone = old.keys().filter(|key| !new.contains_key(*key));
            for key in new.keys().chain(gone) {
                carry_below(old.get(key), new.get(key), document, &at.join(key.as_str()), write);
            }
        }
        // Not allowed as a whole, but perhaps parts of it: those that are objects on one side only.
        (None, Some(new)) if !is_allowed_whole => {
            for key in new.keys() {
                carry_below(empty.get(key), new.get(key), document, &at.join(key.as_str()), write);
            }
        }
        _ if is_allowed_whole => put(document, at, after.cloned()),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(before: Value, after: Value, onto: Value, write: Option<&[&str]>, expected: Value) {
        let write: Option<Vec<Pointer>> =
            write.map(|paths| pointers(&paths.iter().map(|&path| path.to_owned()).collect::<Vec<_>>()));
        assert_eq!(carry(&before, &after, &onto, write.as_deref()), expected, "{before} -> {after} onto {onto}");
    }

    #[test]
    fn only_what_the_endpoint_changed_is_carried_over() {
        let sent = json!({"count": 40, "who": "ann", "old": 1, "deep": {"a": 1, "b": 1}});
        let snapshot = json!({"count": 41, "who": "ann", "deep": {"a": 1, "b": 2}, "new": [1]});
        let head = json!({"count": 40, "who": "bob", "old": 1, "deep": {"a": 9, "b": 1}, "mine": true});
        let merged = json!({"count": 41, "who": "bob", "deep": {"a": 9, "b": 2}, "mine": true, "new": [1]});
        check(sent, snapshot, head, None, merged);
    }

    #[test]
    fn a_snapshot_writes_only_where_the_definition_allows() {
        let snapshot = json!({"count": 41, "secret": "internal", "messages": [], "trip": {"days": 2, "by": "x"}});
        let sent = json!({"count": 40});
        check(sent.clone(), snapshot.clone(), sent.clone(), Some(&["/count"]), json!({"count": 41}));
        check(
            sent.clone(),
            snapshot.clone(),
            sent.clone(),
            Some(&["/trip/days"]),
            json!({"count": 40, "trip": {"days": 2}}),
        );
        check(sent.clone(), snapshot.clone(), sent.clone(), Some(&[]), sent.clone());
        check(sent.clone(), json!({}), sent.clone(), Some(&["/trip"]), sent);
    }

    #[test]
    fn what_the_endpoint_was_not_sent_is_not_missing_from_its_snapshot() {
        let whole = json!({"trip": {"days": 1, "cost": 3}, "private": 1});
        let sent = only(&whole, &pointers(&["/trip/days".to_owned(), "/nowhere".to_owned()]));
        assert_eq!(sent, json!({"trip": {"days": 1}}));
        let expected = json!({"trip": {"days": 2, "cost": 3}, "private": 1});
        check(sent, json!({"trip": {"days": 2}}), whole, None, expected);
    }
}
