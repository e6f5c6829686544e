//! Work that waits, in the order in which it is to be done.

use std::collections::{BTreeMap, HashSet};

use ahash::HashMap;

use crate::store::{CommitError, Settle, Waiting, WorkCursor, WorkItem, WorkKey};

#[derive(Debug, Default)]
pub(super) struct Work {
    queues: HashMap<String, BTreeMap<WorkCursor, WorkItem>>,
    /// Where each item waits.
    places: HashMap<WorkKey, WorkCursor>,
    last_place: u64,
}

impl Work {
    pub(super) fn find(&self, key: &WorkKey) -> Option<Waiting> {
        let cursor = self.places.get(key)?;
        let item = self.queues.get(&key.queue)?.get(cursor)?.clone();
        Some(Waiting { item, place: cursor.place })
    }

    pub(super) fn due(&self, queue: &str, due_by_ms: i64, after: Option<WorkCursor>, limit: usize) -> Vec<Waiting> {
        let Some(queue) = self.queues.get(queue) else { return Vec::new() };
        let waiting = queue.iter().skip_while(|(at, _)| after.is_some_and(|after| **at <= after));
        let due = waiting.take_while(|(at, _)| at.due_at_ms <= due_by_ms).take(limit);
        due.map(|(at, item)| Waiting { item: item.clone(), place: at.place }).collect()
    }

    /// Refuses what is gone, also within one batch.
    pub(super) fn refuse_settled(&self, settle: &[Settle]) -> Result<(), CommitError> {
        let mut settled = HashSet::with_capacity(settle.len());
        for Settle { key, place } in settle {
            let found = self.places.get(key).filter(|at| place.is_none_or(|place| place == at.place));
            if !found.is_some_and(|at| settled.insert(at.place)) {
                return Err(CommitError::Settled { key: key.clone() });
            }
        }
        Ok(())
    }

    pub(super) fn settle(&mut self, settle: &[Settle]) {
        settle.iter().for_each(|settle| self.remove(&settle.key));
    }

    pub(super) fn put(&mut self, put: Vec<WorkItem>) {
        for item in put {
            self.last_place += 1;
            let at = WorkCursor { due_at_ms: item.due_at_ms, place: self.last_place };
            let replaced = self.places.insert(item.key.clone(), at);
            let queue = match self.queues.get_mut(&item.key.queue) {
                Some(known) => known,
                None => self.queues.entry(item.key.queue.clone()).or_default(),
            };
            queue.insert(at, item);
            if let Some(replaced) = replaced {
                queue.remove(&replaced);
            }
        }
    }

    fn remove(&mut self, key: &WorkKey) {
        if let Some(at) = self.places.remove(key)
            && let Some(queue) = self.queues.get_mut(&key.queue)
        {
            queue.remove(&at);
        }
    }
}
