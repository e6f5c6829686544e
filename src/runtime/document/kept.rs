//! What is left of versions whose commits were dropped: bodies of those that are kept, and what the rest came to.
//!
//! ```text
//!   the log      ░░░░░░░░░░░░░░░░░░ 21 22 23 …      what is dropped is trimmed there
//!   kept         4 ─── 9 ───── 17                   entries: the version, and what differs from the one before
//!                                 └ 20              snapshot: the body there, and who wrote each leaf
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::json_text;
use crate::state::diff::diff;
use crate::state::document::{Commit, Document};
use crate::state::history::{Blame, Mark};
use crate::state::patch::{self, Operation};
use crate::state::pointer::Pointer;
use crate::store::{Append, Entry, Kind, Limit, NewEntry, Seq, StoreError, StreamKey};

use super::past::Log;

/// A whole body is stored when what leads there from the last one outgrows this, and twice the body.
const WHOLE_AFTER_BYTES: usize = 64 << 10;

/// A version that is kept though its commit is not.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) mark: Mark,
    pub(crate) deleted: bool,
    pub(crate) body: Value,
}

/// What everything that was dropped came to.
#[derive(Debug, Clone)]
pub(crate) struct Base {
    pub(crate) version: u64,
    pub(crate) body: Value,
    pub(crate) blame: Blame,
}

/// One kept version as it is stored.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    #[serde(flatten)]
    mark: Mark,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    deleted: bool,
    /// Where the way to its body begins: the entry with a whole one.
    whole: u64,
    /// Bytes of what leads here from there.
    bytes: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ops: Vec<Operation>,
}

/// The base as it is stored: each mark once, each leaf with the number of its mark.
#[derive(Debug, Serialize, Deserialize)]
struct StoredBase {
    version: u64,
    body: Value,
    marks: Vec<Mark>,
    leaves: Vec<(Pointer, usize)>,
}

/// Drops commits from a document's log, one after the other.
pub(super) struct Dropping {
    base: Base,
    /// The last kept version: its place, and its body.
    last: Option<(Seq, Stored, Value)>,
    count: Seq,
    entries: Vec<NewEntry>,
}

impl Log {
    fn kept_stream(&self) -> StreamKey {
        self.stream.of_kind(Kind::Kept)
    }

    /// What the dropped versions came to; `None` while none was dropped.
    pub(crate) async fn base(&self) -> Result<Option<Base>, StoreError> {
        let Some(snapshot) = self.store.snapshot(&self.kept_stream()).await? else { return Ok(None) };
        let damaged = |_| StoreError::Corrupt { stream: self.kept_stream(), seq: snapshot.seq };
        let stored: StoredBase = serde_json::from_slice(&snapshot.body).map_err(damaged)?;
        let StoredBase { version, body, marks, leaves } = stored;
        let leaves = leaves.into_iter().filter_map(|(place, mark)| Some((place, marks.get(mark)?.clone()))).collect();
        let blame = Blame::restored(&body, &leaves);
        Ok(Some(Base { version, body, blame }))
    }

    /// A version that is kept though its commit was dropped.
    pub(crate) async fn kept(&self, version: u64) -> Result<Option<Kept>, StoreError> {
        let head = self.store.head(&self.kept_stream()).await?;
        let (mut low, mut high) = (0, head.map_or(0, |head| head.seq.0));
        while low < high {
            let middle = low + (high - low) / 2;
            let stored = self.kept_at(Seq(middle + 1)).await?;
            match stored.mark.version.cmp(&version) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => {
                    let body = self.kept_body(Seq(middle + 1), stored.whole).await?;
                    return Ok(Some(Kept { mark: stored.mark, deleted: stored.deleted, body }));
                }
            }
        }
        Ok(None)
    }

    /// A page of kept versions after a place, where `body` is the one kept there; oldest first.
    pub(crate) async fn kept_after(&self, after: Seq, mut body: Value) -> Result<Vec<(Seq, Kept)>, StoreError> {
        let mut page = Vec::new();
        for entry in self.store.read(&self.kept_stream(), after, Limit::default()).await? {
            let Stored { mark, deleted, body: whole, ops, .. } = self.stored(&entry)?;
            body = self.followed(body, whole, &ops, entry.seq)?;
            page.push((entry.seq, Kept { mark, deleted, body: body.clone() }));
        }
        Ok(page)
    }

    /// Whether commits of a run were dropped.
    pub(super) async fn has_dropped_of(&self, run_id: &str) -> Result<bool, StoreError> {
        let mut after = Seq::ZERO;
        loop {
            let page = self.store.read(&self.kept_stream(), after, Limit::default()).await?;
            let Some(last) = page.last() else { return Ok(false) };
            after = last.seq;
            for entry in &page {
                if self.stored(entry)?.mark.run_id.as_deref() == Some(run_id) {
                    return Ok(true);
                }
            }
        }
    }

    fn followed(&self, mut body: Value, whole: Option<Value>, ops: &[Operation], at: Seq) -> Result<Value, StoreError> {
        let damaged = |_| StoreError::Corrupt { stream: self.kept_stream(), seq: at };
        match whole {
            Some(whole) => Ok(whole),
            None => patch::replay(&mut body, ops).map_err(damaged).map(|()| body),
        }
    }

    async fn kept_at(&self, position: Seq) -> Result<Stored, StoreError> {
        let one = Limit { entries: 1, bytes: 0 };
        let page = self.store.read(&self.kept_stream(), Seq(position.0 - 1), one).await?;
        let entry = page.first().ok_or_else(|| StoreError::Corrupt { stream: self.kept_stream(), seq: position })?;
        self.stored(entry)
    }

    async fn kept_body(&self, position: Seq, whole: u64) -> Result<Value, StoreError> {
        let mut body = Document::absent().into_body();
        let mut after = Seq(whole - 1);
        while after < position {
            for entry in self.store.read(&self.kept_stream(), after, Limit::default()).await? {
                if entry.seq > position {
                    break;
                }
                let stored = self.stored(&entry)?;
                body = self.followed(body, stored.body, &stored.ops, entry.seq)?;
                after = entry.seq;
            }
        }
        Ok(body)
    }

    fn stored(&self, entry: &Entry) -> Result<Stored, StoreError> {
        let damaged = |_| StoreError::Corrupt { stream: self.kept_stream(), seq: entry.seq };
        serde_json::from_slice(&entry.body).map_err(damaged)
    }

    /// Goes on dropping after what was dropped before.
    pub(super) async fn dropping(&self) -> Result<Dropping, StoreError> {
        let base = self.base().await?.unwrap_or_else(|| {
            let body = Document::absent().into_body();
            let blame = Blame::restored(&body, &BTreeMap::new());
            Base { version: 0, body, blame }
        });
        let count = self.store.head(&self.kept_stream()).await?.map_or(Seq::ZERO, |head| head.seq);
        let last = match count {
            Seq::ZERO => None,
            last => {
                let stored = self.kept_at(last).await?;
                let body = self.kept_body(last, stored.whole).await?;
                Some((last, stored, body))
            }
        };
        Ok(Dropping { base, last, count, entries: Vec::new() })
    }

    /// What makes it durable.
    pub(super) fn dropped(&self, dropping: Dropping) -> Append {
        let Dropping { base, entries, count, .. } = dropping;
        let mut append = Append::to(self.kept_stream(), count);
        append.entries = entries;
        append.snapshot = Some(json_text::encode(&StoredBase::from(base)).into());
        append
    }
}

impl Dropping {
    /// For a document that begins with what its older versions came to.
    pub(super) fn begun(base: Base, kept: &[Kept]) -> Self {
        let mut dropping = Self { base, last: None, count: Seq::ZERO, entries: Vec::new() };
        kept.iter().for_each(|Kept { mark, deleted, body }| dropping.keep(mark.clone(), *deleted, body));
        dropping
    }

    /// The version up to which everything is dropped.
    pub(super) fn version(&self) -> u64 {
        self.base.version
    }

    /// Drops the next commit; its version stays readable if it is to be kept.
    pub(super) fn take(&mut self, commit: &Commit, is_kept: bool) -> Result<(), patch::PatchError> {
        patch::replay(&mut self.base.body, &commit.ops)?;
        self.base.blame.commit(commit);
        self.base.version = commit.version;
        if is_kept {
            let body = self.base.body.clone();
            self.keep(Mark::from(commit), commit.deleted, &body);
        }
        Ok(())
    }

    fn keep(&mut self, mark: Mark, deleted: bool, body: &Value) {
        let position = Seq(self.count.0 + self.entries.len() as u64 + 1);
        let whole =
            |mark| Stored { mark, deleted, whole: position.0, bytes: 0, body: Some(body.clone()), ops: Vec::new() };
        let stored = match &self.last {
            None => whole(mark),
            Some((_, last, before)) => {
                let ops = diff(before, body);
                let bytes = last.bytes + json_text::encode(&ops).len();
                match bytes > WHOLE_AFTER_BYTES.max(2 * crate::state::value::size(body)) {
                    true => whole(mark),
                    false => Stored { mark, deleted, whole: last.whole, bytes, body: None, ops },
                }
            }
        };
        self.entries.push(NewEntry::one(json_text::encode(&stored)));
        self.last = Some((position, stored, body.clone()));
    }
}

impl From<Base> for StoredBase {
    fn from(base: Base) -> Self {
        let Base { version, body, blame } = base;
        let mut marks: Vec<Mark> = Vec::new();
        let mut numbers: BTreeMap<u64, usize> = BTreeMap::new();
        let number = |mark: Mark| {
            *numbers.entry(mark.version).or_insert_with(|| {
                marks.push(mark);
                marks.len() - 1
            })
        };
        let leaves = blame.leaves(&Pointer::root()).into_iter();
        let leaves = leaves.map({
            let mut number = number;
            move |(place, mark)| (place, number(mark))
        });
        let leaves = leaves.collect();
        Self { version, body, marks, leaves }
    }
}
