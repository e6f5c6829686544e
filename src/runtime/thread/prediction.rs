//! What the arguments that a model is writing will probably make of the state: shown on the run's own streams while it
//! writes, never stored and never committed.
//!
//! A prediction lies on one version of the document and can be taken back to exactly that version, so that a reader shows
//! commits only on what they were made for.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::watch;

use crate::agui::Encoding;
use crate::state::diff;
use crate::state::limits::Limits;
use crate::state::patch::{self, Operation};
use crate::state::pointer::Pointer;

use super::super::document::{DocumentHandle, delta_frame};
use super::ghosts::Ghosts;

/// Documents beyond this many bytes are not predicted on: the prediction works on a copy.
const DOCUMENT_BYTES: usize = 1 << 20;

/// Makes a run's predictions, and holds the one that is shown now.
#[derive(Debug)]
pub(super) struct Predictor {
    board: watch::Sender<Option<Arc<Prediction>>>,
    /// The document that the next prediction lies on, and its version.
    base: Option<(u64, Value)>,
    /// What the latest prediction puts where.
    values: Vec<(Pointer, Value)>,
    number: u64,
    ghosts: Ghosts,
}

/// One prediction.
#[derive(Debug)]
pub(super) struct Prediction {
    /// Counts up within the run.
    pub(super) number: u64,
    /// The version of the document that it lies on.
    pub(super) version: u64,
    pub(super) show: Frame,
    /// From the prediction before on the same version.
    pub(super) step: Option<Frame>,
    pub(super) withdraw: Frame,
}

/// Operations that are encoded once for each encoding, whoever reads them.
#[derive(Debug)]
pub(super) struct Frame {
    ops: Vec<Operation>,
    sse: OnceLock<Bytes>,
    protobuf: OnceLock<Bytes>,
}

impl Default for Predictor {
    fn default() -> Self {
        Self { board: watch::Sender::new(None), base: None, values: Vec::new(), number: 0, ghosts: Ghosts::default() }
    }
}

impl Predictor {
    /// All that was shown.
    pub(super) fn take_ghosts(&mut self) -> Ghosts {
        std::mem::take(&mut self.ghosts)
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Option<Arc<Prediction>>> {
        self.board.subscribe()
    }

    /// Shows nothing any more.
    pub(super) fn clear(&mut self) {
        (self.base, self.values) = (None, Vec::new());
        self.board.send_if_modified(|shown| shown.take().is_some());
    }

    /// Shows these values at their places. What cannot be shown is not: the truth comes with the
    /// commit.
    pub(super) async fn predict(&mut self, values: Vec<(Pointer, Value)>, document: &DocumentHandle) {
        if self.board.receiver_count() == 0 {
            return;
        }
        let version = document.deltas().version();
        if self.base.as_ref().is_none_or(|(of, _)| *of != version) {
            self.values.clear();
            self.base = match document.body(None).await {
                Ok(body) if crate::state::value::size(&body.value) <= DOCUMENT_BYTES => {
                    Some((body.version, body.value))
                }
                Ok(_) | Err(_) => None,
            };
        }
        let Some((version, body)) = &mut self.base else { return };
        let Some((show, withdraw)) = laid_on(body, &values) else { return };
        self.number += 1;
        self.ghosts.remember(&values);
        let step = step(&self.values, &values).map(Frame::new);
        let (number, version) = (self.number, *version);
        let prediction = Prediction { number, version, show: Frame::new(show), step, withdraw: Frame::new(withdraw) };
        self.values = values;
        self.board.send_replace(Some(Arc::new(prediction)));
    }
}

/// What puts the values into the body, and what takes exactly that back. The body stays as it is.
fn laid_on(body: &mut Value, values: &[(Pointer, Value)]) -> Option<(Vec<Operation>, Vec<Operation>)> {
    let is_member = |path: &Pointer| {
        let parent = path.parent().and_then(|parent| parent.get(body).map(Value::is_object));
        *path != Pointer::root() && parent != Some(false)
    };
    if !values.iter().all(|(path, _)| is_member(path)) {
        return None;
    }
    let ops: Vec<Operation> =
        values.iter().map(|(path, value)| Operation::Add { path: path.clone(), value: value.clone() }).collect();
    let applied = patch::apply_creating(body, &ops, &Limits::default()).ok()?;
    patch::replay(body, &applied.inverse).expect("what was done a line above can be taken back");
    Some((applied.effects, applied.inverse))
}

/// From one prediction to the next on the same version, if they are about the same places.
fn step(from: &[(Pointer, Value)], to: &[(Pointer, Value)]) -> Option<Vec<Operation>> {
    let same_places = from.len() == to.len() && from.iter().zip(to).all(|((from, _), (to, _))| from == to);
    if !same_places || from.is_empty() {
        return None;
    }
    Some(from.iter().zip(to).flat_map(|((path, from), (_, to))| diff::fine(from, to, path, false)).collect())
}

impl Frame {
    fn new(ops: Vec<Operation>) -> Self {
        Self { ops, sse: OnceLock::new(), protobuf: OnceLock::new() }
    }

    /// The `STATE_DELTA`; nothing where nothing changes.
    pub(super) fn encoded(&self, encoding: Encoding) -> Bytes {
        if self.ops.is_empty() {
            return Bytes::new();
        }
        let frame = match encoding {
            Encoding::Sse => &self.sse,
            Encoding::Protobuf => &self.protobuf,
        };
        frame.get_or_init(|| delta_frame(&self.ops, encoding)).clone()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn values(values: &[(&str, Value)]) -> Vec<(Pointer, Value)> {
        values.iter().map(|(path, value)| (Pointer::parse(path).expect("a pointer"), value.clone())).collect()
    }

    #[test]
    fn a_prediction_can_be_taken_back_exactly() {
        for body in [json!({}), json!({ "trip": { "days": [1] } }), json!({ "trip": {} }), json!({ "x": null })] {
            let first = values(&[("/trip/days", json!(["a"])), ("/trip/title", json!("R"))]);
            let then = values(&[("/trip/days", json!(["a", { "b": "c" }])), ("/trip/title", json!("Rome"))]);
            let mut shown = body.clone();
            let (show, _) = laid_on(&mut shown, &first).expect("it can be shown");
            assert_eq!(shown, body, "the body stays as it is");
            let (again, withdraw) = laid_on(&mut shown, &then).expect("it can be shown");
            patch::replay(&mut shown, &show).expect("it applies");
            patch::replay(&mut shown, &step(&first, &then).expect("the same places")).expect("it applies");
            let mut direct = body.clone();
            patch::replay(&mut direct, &again).expect("it applies");
            assert_eq!(shown, direct, "step by step or at once");
            patch::replay(&mut shown, &withdraw).expect("it applies");
            assert_eq!(shown, body);
        }
    }

    #[test]
    fn what_no_object_member_is_cannot_be_predicted() {
        for (path, body) in [("", json!({})), ("/list/0", json!({ "list": [1] })), ("/a/b", json!({ "a": "text" }))] {
            assert_eq!(laid_on(&mut body.clone(), &values(&[(path, json!(1))])), None, "{path}");
        }
    }
}
