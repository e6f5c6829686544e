//! The maps of the memory engine and how they change: check everything, then apply what cannot fail.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use ahash::HashMap;
use bytes::Bytes;

use super::work::Work;
use crate::store::batch::mint_epoch;
use crate::store::clock::now_ms;
use crate::store::lease::Leases;
use crate::store::{
    Append, CommitError, Committed, Entry, Head, Kind, Limit, Remember, Scope, Seq, Snapshot, StreamKey, Tenant,
};

/// How many expired keys are cleared away for each new one.
const FORGET_PER_KEY: usize = 4;

#[derive(Debug, Default)]
pub(super) struct Shelves {
    pub(super) scopes: HashMap<Scope, HashMap<Arc<str>, Stream>>,
    pub(super) work: Work,
    remembered: HashMap<(Tenant, String), Remembered>,
    /// The same keys by expiry.
    expiring: BTreeSet<(i64, Tenant, String)>,
    pub(super) leases: Leases,
    /// The fence that was given last.
    pub(super) fence: u64,
    pub(super) touched: u64,
    pub(super) closed: bool,
}

#[derive(Debug)]
pub(super) struct Stream {
    epoch: Arc<str>,
    seq: Seq,
    pub(super) trimmed: Seq,
    open: bool,
    summary: Option<Bytes>,
    pub(super) snapshot: Option<Snapshot>,
    pub(super) touched: u64,
    entries: VecDeque<Entry>,
}

#[derive(Debug)]
struct Remembered {
    result: Bytes,
    expires_at_ms: i64,
}

impl Shelves {
    pub(super) fn stream(&self, key: &StreamKey) -> Option<&Stream> {
        self.scopes.get(&key.scope)?.get(&key.id)
    }

    pub(super) fn remove(&mut self, key: &StreamKey) -> bool {
        self.scopes.get_mut(&key.scope).is_some_and(|streams| streams.remove(&key.id).is_some())
    }

    /// Oldest touched first.
    pub(super) fn open_streams(&self, kind: Kind) -> Vec<StreamKey> {
        let scopes = self.scopes.iter().filter(|(scope, _)| scope.kind == kind);
        let mut open: Vec<_> = scopes
            .flat_map(|(scope, streams)| streams.iter().map(move |(id, stream)| (stream, scope, id)))
            .filter(|(stream, ..)| stream.open)
            .collect();
        open.sort_unstable_by_key(|(stream, ..)| stream.touched);
        open.into_iter().map(|(_, scope, id)| scope.stream(id.clone())).collect()
    }

    pub(super) fn recall(&self, tenant: &Tenant, key: &str, now_ms: i64) -> Option<&Bytes> {
        let found = self.remembered.get(&(tenant.clone(), key.to_owned()))?;
        (found.expires_at_ms > now_ms).then_some(&found.result)
    }

    pub(super) fn refuse_closed(&self) -> Result<(), CommitError> {
        match self.closed {
            true => Err(CommitError::Unavailable { reason: "the store is closed".to_owned() }),
            false => Ok(()),
        }
    }

    pub(super) fn refuse_repeated(&self, remember: &[Remember]) -> Result<(), CommitError> {
        if remember.is_empty() {
            return Ok(());
        }
        let now_ms = now_ms();
        let mut earlier: HashMap<(&Tenant, &str), &Bytes> = HashMap::default();
        for new in remember.iter().filter(|new| !new.overwrites) {
            let in_batch = earlier.insert((&new.tenant, &new.key), &new.result);
            if let Some(result) = in_batch.or_else(|| self.recall(&new.tenant, &new.key, now_ms)) {
                return Err(CommitError::Repeated { key: new.key.clone(), result: result.clone() });
            }
        }
        Ok(())
    }

    pub(super) fn refuse_stale(&self, appends: &[Append]) -> Result<(), CommitError> {
        for (index, append) in appends.iter().enumerate() {
            // Looked for and not kept in a map: batches are short, and to compare names costs less than to hash them.
            let earlier = appends[..index].iter().rfind(|earlier| earlier.stream == append.stream);
            let actual = match earlier {
                Some(earlier) => earlier.entries.iter().fold(earlier.expected, |seq, entry| seq.plus(entry.span.get())),
                None => self.stream(&append.stream).map_or(Seq::ZERO, |stream| stream.seq),
            };
            if actual != append.expected {
                return Err(CommitError::Stale { stream: append.stream.clone(), expected: append.expected, actual });
            }
        }
        Ok(())
    }

    pub(super) fn append(&mut self, append: Append) -> Committed {
        self.touched += 1;
        let StreamKey { scope, id } = append.stream;
        let stream = self.scopes.entry(scope).or_default().entry(id).or_insert_with(Stream::new);
        for new in append.entries {
            stream.seq = stream.seq.plus(new.span.get());
            stream.entries.push_back(Entry { seq: stream.seq, span: new.span.get(), body: new.body });
        }
        stream.touched = self.touched;
        stream.open = append.open.unwrap_or(stream.open);
        stream.summary = append.summary.or(stream.summary.take());
        if let Some(body) = append.snapshot {
            stream.snapshot = Some(Snapshot { seq: stream.seq, body });
        }
        if let Some(trim) = append.trim {
            while let Some(dropped) = stream.entries.pop_front_if(|entry| entry.seq <= trim) {
                stream.trimmed = dropped.seq;
            }
        }
        Committed { epoch: stream.epoch.clone(), seq: stream.seq }
    }

    pub(super) fn remember(&mut self, remember: Vec<Remember>) {
        if remember.is_empty() {
            return;
        }
        let now_ms = now_ms();
        for _ in 0..remember.len() * FORGET_PER_KEY {
            if self.expiring.first().is_none_or(|(expires_at_ms, ..)| *expires_at_ms > now_ms) {
                break;
            }
            if let Some((_, tenant, key)) = self.expiring.pop_first() {
                self.remembered.remove(&(tenant, key));
            }
        }
        for new in remember {
            let key = (new.tenant.clone(), new.key.clone());
            let kept = Remembered { result: new.result, expires_at_ms: new.expires_at_ms };
            if let Some(expired) = self.remembered.insert(key, kept) {
                self.expiring.remove(&(expired.expires_at_ms, new.tenant.clone(), new.key.clone()));
            }
            self.expiring.insert((new.expires_at_ms, new.tenant, new.key));
        }
    }
}

impl Stream {
    fn new() -> Self {
        Self {
            epoch: mint_epoch(),
            seq: Seq::ZERO,
            trimmed: Seq::ZERO,
            open: false,
            summary: None,
            snapshot: None,
            touched: 0,
            entries: VecDeque::new(),
        }
    }

    pub(super) fn head(&self) -> Head {
        Head {
            epoch: self.epoch.clone(),
            seq: self.seq,
            trimmed: self.trimmed,
            open: self.open,
            summary: self.summary.clone(),
            snapshot: self.snapshot.as_ref().map(|snapshot| snapshot.seq),
            touched: self.touched,
        }
    }

    pub(super) fn entries_after(&self, after: Seq, limit: Limit) -> Vec<Entry> {
        let start = self.entries.partition_point(|entry| entry.seq <= after);
        let mut page = Vec::new();
        let mut bytes = 0;
        for entry in self.entries.range(start..).take(limit.entries.max(1)) {
            bytes += entry.body.len();
            if bytes > limit.bytes && !page.is_empty() {
                break;
            }
            page.push(entry.clone());
        }
        page
    }
}
