//! The recent commits of a document, for readers that follow as cursors: each encoded once, whoever reads it.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock};

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::watch;
use utoipa::ToSchema;

use crate::agui::{Encoding, Event, PatchOperation, sse, to_json};
use crate::json_text;
use crate::state::document::Commit;
use crate::state::history::squash;
use crate::state::patch::{self, Operation};
use crate::state::pieces;
use crate::state::schema::View;

/// Commits beyond this many leave memory; a reader that is further behind reads the store.
const KEPT: usize = 1024;
/// Commits beyond this many bytes of log leave memory too, but for the newest one.
const KEPT_BYTES: usize = 4 << 20;

/// One committed version.
#[derive(Debug)]
pub struct Delta {
    commit: Arc<Commit>,
    /// Its size in the log.
    bytes: usize,
    /// Its operations as JSON text: a part of what was stored, or encoded when the first reader asks.
    ops: OnceLock<Bytes>,
    /// Boxed: mostly only those ask who are told frames.
    otherwise: OnceLock<Box<Otherwise>>,
}

/// A delta in other words than those of a frame, made when somebody asks and then shared by all.
#[derive(Debug, Default)]
struct Otherwise {
    protobuf: OnceLock<Bytes>,
    json: OnceLock<Bytes>,
    /// What readers see of it from whom something is hidden.
    /// A lock, because any number of them ask; held for a few comparisons and the making of one delta.
    seen: Mutex<Vec<(Arc<View>, Arc<Delta>)>>,
}

/// Views for which one delta is kept; what is made for further ones is not shared.
const SEEN: usize = 16;

impl Delta {
    pub(super) fn new(commit: Arc<Commit>, bytes: usize) -> Self {
        Self { commit, bytes, ops: OnceLock::new(), otherwise: OnceLock::new() }
    }

    /// Of a commit that was stored as this text.
    pub(super) fn of(commit: Arc<Commit>, text: &CommitText) -> Self {
        Self { ops: text.ops().into(), ..Self::new(commit, text.body.len()) }
    }

    /// As a reader may be told it: from what they saw to what they see.
    pub(crate) fn for_view(self: &Arc<Self>, view: Option<&Arc<View>>) -> Arc<Self> {
        let Some(view) = view.filter(|view| !view.sees_all()) else { return Arc::clone(self) };
        let mut seen = self.otherwise().seen.lock().expect("no code panics while it holds this lock");
        if let Some((_, delta)) = seen.iter().find(|(known, _)| Arc::ptr_eq(known, view) || known == view) {
            return Arc::clone(delta);
        }
        let delta = Arc::new(Self::new(Arc::new(view.commit(&self.commit).into_owned()), self.bytes));
        if seen.len() < SEEN {
            seen.push((Arc::clone(view), Arc::clone(&delta)));
        }
        delta
    }

    /// The version it made; it leads there from the version before.
    pub fn version(&self) -> u64 {
        self.commit.version
    }

    pub fn commit(&self) -> &Arc<Commit> {
        &self.commit
    }

    /// Appends the `STATE_DELTA` frame.
    pub(crate) fn write_frame(&self, out: &mut Vec<u8>, encoding: Encoding) {
        match encoding {
            Encoding::Sse if self.ops().len() <= pieces::MOST => sse::write_state_delta(out, self.ops()),
            Encoding::Sse => out.extend_from_slice(&frame(&self.commit.ops, encoding)),
            Encoding::Protobuf => {
                out.extend_from_slice(self.otherwise().protobuf.get_or_init(|| frame(&self.commit.ops, encoding)));
            }
        }
    }

    fn otherwise(&self) -> &Otherwise {
        self.otherwise.get_or_init(Box::default)
    }

    fn ops(&self) -> &Bytes {
        self.ops.get_or_init(|| text_of(&self.commit.ops).into())
    }

    /// `{"from","to","ops","actor","run_id"?,"origin"?,"at"}` (docs/state-api.md §3), on one line.
    pub fn json(&self) -> Bytes {
        self.otherwise().json.get_or_init(|| encoded(&self.commit).into()).clone()
    }
}

/// A commit as it is stored.
#[derive(Debug)]
pub(super) struct CommitText {
    pub(super) body: Bytes,
    ops: Range<usize>,
}

impl CommitText {
    pub(super) fn of(commit: &Commit) -> Self {
        let (text, ops) = commit.to_json();
        Self { body: text.into(), ops }
    }

    /// Its operations, shared with the rest.
    fn ops(&self) -> Bytes {
        self.body.slice(self.ops.clone())
    }
}

fn text_of(ops: &[Operation]) -> Vec<u8> {
    json_text::build(|out| patch::write_json(out, ops)).0
}

/// Safe operations as a `STATE_DELTA`, or as several where one is too large for clients.
pub(crate) fn frame(ops: &[Operation], encoding: Encoding) -> Bytes {
    let mut bytes = Vec::with_capacity(128);
    write_one(&mut bytes, ops, encoding);
    if bytes.len() > pieces::MOST {
        bytes.clear();
        pieces::of_delta(ops, pieces::MOST).iter().for_each(|ops| write_one(&mut bytes, ops, encoding));
    }
    bytes.into()
}

/// Safe operations as one `STATE_DELTA`.
pub(super) fn write_one(out: &mut Vec<u8>, ops: &[Operation], encoding: Encoding) {
    match encoding {
        Encoding::Sse => sse::write_state_delta(out, &text_of(ops)),
        Encoding::Protobuf => encoding.write_frame(out, &Event::state_delta(ops.iter().map(told).collect())),
    }
}

/// Consecutive versions as one delta without what is written over in it, in the same form; who made them last is said to have made it.
pub fn squashed(deltas: &[Arc<Delta>]) -> Vec<u8> {
    let (Some(first), Some(last)) = (deltas.first(), deltas.last()) else { return b"{}".to_vec() };
    let ops = squash(deltas.iter().map(|delta| delta.commit.ops.as_slice()));
    let (ops, from, commit) = (ops.iter().collect(), first.version() - 1, &last.commit);
    let told = Told { from, to: commit.version, ops, actor: &commit.actor, run_id: None, origin: None, at: &commit.at };
    json_text::encode(&told)
}

/// A delta on the wire (docs/state-api.md §3).
#[derive(Serialize, ToSchema)]
#[schema(as = DeltaEvent)]
pub struct Told<'c> {
    from: u64,
    to: u64,
    ops: Vec<&'c Operation>,
    actor: &'c str,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<&'c str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<Origin<'c>>,
    at: &'c str,
}

/// The mutation that it came of.
#[derive(Serialize, ToSchema)]
#[schema(as = DeltaOrigin)]
struct Origin<'c> {
    client_id: &'c str,
    mutation_id: u64,
}

fn encoded(commit: &Commit) -> Vec<u8> {
    let origin = commit.client_id.as_deref().zip(commit.mutation_id);
    let told = Told {
        from: commit.version - 1,
        to: commit.version,
        ops: commit.ops.iter().collect(),
        actor: &commit.actor,
        run_id: commit.run_id.as_deref(),
        origin: origin.map(|(client_id, mutation_id)| Origin { client_id, mutation_id }),
        at: &commit.at,
    };
    json_text::encode(&told)
}

/// A safe operation in the words of AG-UI.
fn told(op: &Operation) -> PatchOperation {
    match op {
        Operation::Add { path, value } => PatchOperation::add(path.to_string(), to_json(value)),
        Operation::Replace { path, value } => PatchOperation::replace(path.to_string(), to_json(value)),
        Operation::Remove { path } => PatchOperation::remove(path.to_string()),
        Operation::Move { .. } | Operation::Copy { .. } | Operation::Test { .. } => {
            unreachable!("commits hold safe operations only")
        }
    }
}

/// The end of a document's log in memory.
#[derive(Debug)]
pub(crate) struct DeltaTail {
    /// A lock, because the document's task appends while any number of readers copy handles out; never held across an await.
    ring: Mutex<Ring>,
    version: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Ring {
    deltas: VecDeque<Arc<Delta>>,
    bytes: usize,
}

impl DeltaTail {
    pub(crate) fn new() -> Self {
        Self { ring: Mutex::default(), version: watch::Sender::new(0) }
    }

    /// The newest durable version; 0 while the document does not exist.
    pub(crate) fn version(&self) -> u64 {
        *self.version.borrow()
    }

    /// Wakes at every version.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// The versions in `(after, to]` in order, or `None` when some of them have left memory.
    pub(crate) fn between(&self, after: u64, to: u64) -> Option<Vec<Arc<Delta>>> {
        if to <= after {
            return Some(Vec::new());
        }
        let ring = self.lock();
        let start = ring.deltas.partition_point(|delta| delta.version() <= after);
        let wanted: Vec<_> = ring.deltas.range(start..).take_while(|delta| delta.version() <= to).cloned().collect();
        // A version that was found in the store after a fault has no delta here.
        (wanted.len() as u64 == to - after).then_some(wanted)
    }

    /// The commits of `(since, to]` that are in memory and lie next to `to`, newest first.
    pub(super) fn commits(&self, since: u64, to: u64) -> Vec<Arc<Commit>> {
        let ring = self.lock();
        let end = ring.deltas.partition_point(|delta| delta.version() <= to);
        let newest_first = ring.deltas.range(..end).rev().take_while(|delta| delta.version() > since);
        let mut expected = to + 1;
        let contiguous = newest_first.take_while(|delta| {
            expected -= 1;
            delta.version() == expected
        });
        contiguous.map(|delta| Arc::clone(&delta.commit)).collect()
    }

    /// Shows durable versions, the last of them being `version`.
    pub(crate) fn publish(&self, version: u64, deltas: impl IntoIterator<Item = Delta>) {
        self.fill(deltas);
        self.version.send_replace(version);
    }

    /// Puts durable versions into memory without waking anybody.
    pub(super) fn fill(&self, deltas: impl IntoIterator<Item = Delta>) {
        let mut ring = self.lock();
        for delta in deltas {
            ring.bytes += delta.bytes;
            ring.deltas.push_back(Arc::new(delta));
        }
        while ring.deltas.len() > KEPT || ring.bytes > KEPT_BYTES && ring.deltas.len() > 1 {
            let oldest = ring.deltas.pop_front().expect("the loop's condition saw it");
            ring.bytes -= oldest.bytes;
        }
    }

    /// Forgets everything, for a document that is read anew from the store.
    pub(super) fn clear(&self) {
        let mut ring = self.lock();
        (ring.deltas, ring.bytes) = (VecDeque::new(), 0);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Ring> {
        self.ring.lock().expect("no code panics while it holds this lock")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::state::schema::{Reader, Schema};

    use super::*;

    fn delta(member: &str) -> Arc<Delta> {
        let ops = json!([{"op": "add", "path": format!("/{member}"), "value": 1}]);
        let commit = json!({"version": 2, "ops": ops, "inverse": [], "actor": "user:u", "at": "2026-01-01T00:00:00Z"});
        Arc::new(Delta::new(Arc::new(serde_json::from_value(commit).expect("a commit")), 100))
    }

    /// Where the bytes of each encoding lie that a reader with this view gets.
    fn encodings(delta: &Arc<Delta>, view: Option<&Arc<View>>) -> [*const u8; 3] {
        let seen = delta.for_view(view);
        seen.write_frame(&mut Vec::new(), Encoding::Protobuf);
        let protobuf = seen.otherwise().protobuf.get().expect("it was encoded a line above");
        [&seen.json(), seen.ops(), protobuf].map(|bytes| bytes.as_ptr())
    }

    #[test]
    fn a_delta_is_encoded_once_for_all_who_see_the_same_of_it() {
        let schema = Schema::compile(json!({"properties": {"secret": {"x-secret": true}}})).expect("a schema");
        let views = [0, 1].map(|_| Arc::new(schema.view(&Reader { names: &["user:u"], secrets: false })));
        let all = Arc::new(schema.view(&Reader { names: &["user:u"], secrets: true }));
        for member in ["open", "secret"] {
            let delta = delta(member);
            let first = encodings(&delta, None);
            let hidden = encodings(&delta, Some(&views[0]));
            for _ in 0..100 {
                assert_eq!(encodings(&delta, None), first);
                assert_eq!(encodings(&delta, Some(&all)), first);
                assert_eq!(encodings(&delta, Some(&views[1])), hidden);
            }
            assert_ne!(hidden, first);
        }
    }
}
