//! The agent of a live run among the peers at its document: who it is, its run, and the place it works on.

use serde_json::{Value, json};

use crate::agent::context::StateRequest;
use crate::state::patch::Operation;
use crate::state::pointer::Pointer;

use super::super::document::DocumentHandle;
use super::super::presence::Presence;
use super::record::RunStart;

/// An agent's seat, left when its run ends.
#[derive(Debug)]
pub(super) struct Peer {
    seat: Presence,
    run_id: String,
    path: Option<Pointer>,
}

impl Peer {
    /// Sits down at the document under the run's id. A room that is full does without: no run depends on it.
    pub(super) fn enter(start: &RunStart, document: &DocumentHandle) -> Option<Self> {
        let principal = ["agent:", &start.agent].concat();
        let seat = document.room().enter(&start.run_id, 0, &principal, data(&start.run_id, None)).ok()?;
        Some(Self { seat, run_id: start.run_id.clone(), path: None })
    }

    /// Says where the agent writes, if that is another place than before.
    pub(super) fn works_at(&mut self, request: &StateRequest) {
        let path = match request {
            StateRequest::Patch { write, .. } if self.is_at(&write.ops) => return,
            StateRequest::Patch { write, .. } => common(&write.ops),
            StateRequest::Propose { .. } => Pointer::root(),
            StateRequest::Read { .. } => return,
        };
        if self.path.as_ref() != Some(&path) {
            self.seat.update(data(&self.run_id, Some(&path)));
            self.path = Some(path);
        }
    }

    /// Whether all of these write where it is.
    fn is_at(&self, ops: &[Operation]) -> bool {
        !ops.is_empty() && ops.iter().all(|op| Some(op.path()) == self.path.as_ref())
    }
}

fn data(run_id: &str, path: Option<&Pointer>) -> Value {
    match path {
        Some(path) => json!({"run_id": run_id, "path": path.to_string()}),
        None => json!({"run_id": run_id}),
    }
}

/// The place that holds all that is written.
fn common(ops: &[Operation]) -> Pointer {
    let mut paths = ops.iter().map(Operation::path);
    let mut shared = paths.next().map(|path| path.tokens().to_vec()).unwrap_or_default();
    for path in paths {
        let same = shared.iter().zip(path.tokens()).take_while(|(one, other)| one == other).count();
        shared.truncate(same);
    }
    Pointer::from_tokens(shared)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_works_where_all_its_writes_are() {
        for (paths, expected) in [
            (vec!["/items/3"], "/items/3"),
            (vec!["/items/3/title", "/items/3/done"], "/items/3"),
            (vec!["/items/3", "/title"], ""),
            (vec!["/items", "/items/0"], "/items"),
            (vec![], ""),
        ] {
            let remove = |path: &&str| Operation::Remove { path: path.parse().expect("a pointer") };
            let ops: Vec<_> = paths.iter().map(remove).collect();
            assert_eq!(common(&ops).to_string(), expected, "{paths:?}");
        }
    }
}
