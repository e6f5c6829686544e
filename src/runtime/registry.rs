//! Which documents or threads are live in this process: at most one owner each.

use std::hash::Hash;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard};

use ahash::HashMap;
use futures_util::FutureExt;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Live owners by key.
#[derive(Debug)]
pub(crate) struct Registry<K, H> {
    /// A lock, because a look-up that starts an owner must be one step for all callers; it is held for a map
    /// access and a task spawn, never across an await.
    live: Mutex<Live<K, H>>,
    bound: usize,
    /// A lock, because all owners that are at work are cut off as one; held to clone what is in it.
    at_work: Mutex<AtWork>,
    /// Asks idle owners to leave before there is no room.
    crowded: Notify,
}

/// As many owners are live as there is room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoRoom;

#[derive(Debug)]
struct Live<K, H> {
    owners: HashMap<K, (OwnerId, Arc<H>)>,
    last: OwnerId,
}

/// The tasks of owners that are cut off together.
#[derive(Debug, Clone, Default)]
struct AtWork {
    cut: CancellationToken,
    tasks: TaskTracker,
}

/// Tells an owner from the one that comes after it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct OwnerId(u64);

impl<K: Eq + Hash + Clone, H> Registry<K, H> {
    /// With room for so many.
    pub(crate) fn bounded(bound: usize) -> Self {
        let live = Live { owners: HashMap::default(), last: OwnerId::default() };
        Self { live: Mutex::new(live), bound, at_work: Mutex::default(), crowded: Notify::new() }
    }

    /// The handle of the live owner of `key`, if there is one.
    pub(crate) fn get(&self, key: &K) -> Option<Arc<H>> {
        self.live().owners.get(key).map(|(_, handle)| Arc::clone(handle))
    }

    /// As [`get_or_start`](Self::get_or_start), unless that would be one owner too many.
    pub(crate) fn get_or_start_within(&self, key: &K, start: impl FnOnce(OwnerId) -> H) -> Result<Arc<H>, NoRoom> {
        let mut live = self.live();
        if let Some((_, handle)) = live.owners.get(key) {
            return Ok(Arc::clone(handle));
        }
        let count = live.owners.len();
        if count >= self.bound / 4 * 3 {
            self.crowded.notify_waiters();
        }
        if count >= self.bound { Err(NoRoom) } else { Ok(live.start(key, start)) }
    }

    /// Waits until room becomes scarce; an owner that is idle then had better leave.
    pub(crate) async fn crowded(&self) {
        self.crowded.notified().await;
    }

    /// The handle of the live owner of `key`, started now if there is none.
    pub(crate) fn get_or_start(&self, key: &K, start: impl FnOnce(OwnerId) -> H) -> Arc<H> {
        let mut live = self.live();
        if let Some((_, handle)) = live.owners.get(key) {
            return Arc::clone(handle);
        }
        live.start(key, start)
    }

    fn live(&self) -> MutexGuard<'_, Live<K, H>> {
        self.live.lock().expect("no code panics while it holds this lock")
    }

    /// Runs an owner's task; one that panics is taken out, so that the next caller starts a fresh one from the store.
    pub(crate) fn spawn_owner(self: &Arc<Self>, key: &K, id: OwnerId, owner: impl Future<Output = ()> + Send + 'static)
    where
        K: Send + Sync + 'static,
        H: Send + Sync + 'static,
    {
        let (registry, key) = (Arc::clone(self), key.clone());
        let AtWork { cut, tasks } = self.at_work().clone();
        tasks.spawn(async move {
            match cut.run_until_cancelled(AssertUnwindSafe(owner).catch_unwind()).await {
                Some(Ok(())) => return,
                Some(Err(_)) => {
                    tracing::error!("the owner of a thread or document panicked; it starts again from the store");
                }
                // It was cut off.
                None => {}
            }
            registry.discard(&key, id);
        });
    }

    /// Takes an idle owner out, unless somebody holds its handle; the caller is that owner and ends on `true`.
    pub(crate) fn retire(&self, key: &K, id: OwnerId) -> bool {
        let mut live = self.live();
        let idle = live.owners.get(key).is_some_and(|(owner, handle)| *owner == id && Arc::strong_count(handle) == 1);
        if idle {
            live.owners.remove(key);
        }
        idle
    }

    /// Takes those out that nobody holds and that are idle as `is_idle` has it; for owners that have no task to leave by.
    pub(crate) fn retire_those(&self, is_idle: impl Fn(&H) -> bool) {
        self.live().owners.retain(|_, (_, handle)| Arc::strong_count(handle) > 1 || !is_idle(handle));
    }

    /// Takes an owner out that failed, so that the next caller starts a new one; one that has started already stays.
    pub(crate) fn discard(&self, key: &K, id: OwnerId) {
        let mut live = self.live();
        if live.owners.get(key).is_some_and(|(owner, _)| *owner == id) {
            live.owners.remove(key);
        }
    }

    /// Takes an owner out whose memory is of no use any more; it ends when nobody asks it anything.
    pub(crate) fn forget(&self, key: &K) {
        self.live().owners.remove(key);
    }

    /// Cuts off every owner wherever it waits, and drops what it has in memory; answers how many there were. They are gone when
    /// [`cut_is_over`](Self::cut_is_over).
    pub(crate) fn cut(&self) -> usize {
        let owners = std::mem::take(&mut self.live().owners);
        self.at_work().cut.cancel();
        owners.len()
    }

    /// Waits for the owners that are cut off; those that start from now on are others.
    pub(crate) async fn cut_is_over(&self) {
        let before = std::mem::take(&mut *self.at_work());
        before.cut.cancel();
        before.tasks.close();
        before.tasks.wait().await;
    }

    fn at_work(&self) -> MutexGuard<'_, AtWork> {
        self.at_work.lock().expect("no code panics while it holds this lock")
    }

    pub(crate) fn handles(&self) -> Vec<Arc<H>> {
        self.live().owners.values().map(|(_, handle)| Arc::clone(handle)).collect()
    }
}

impl<K: Eq + Hash + Clone, H> Live<K, H> {
    /// Starts the owner of a key that has none.
    fn start(&mut self, key: &K, start: impl FnOnce(OwnerId) -> H) -> Arc<H> {
        self.last.0 += 1;
        let owner = self.last;
        let handle = Arc::new(start(owner));
        self.owners.insert(key.clone(), (owner, Arc::clone(&handle)));
        handle
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_that_failed_takes_only_itself_out() {
        let registry: Registry<&str, u32> = Registry::bounded(8);
        let mut owners = Vec::new();
        let mut open = |number: u32| {
            *registry.get_or_start(&"key", |owner| {
                owners.push(owner);
                number
            })
        };
        assert_eq!((open(1), open(2)), (1, 1), "one owner at a time");
        let first = registry.live().last;
        registry.discard(&"key", first);
        assert_eq!(open(3), 3);
        registry.discard(&"key", first);
        assert!(!registry.retire(&"key", first));
        assert_eq!(open(4), 3, "the newer owner stays");
        assert!(registry.retire(&"key", owners[1]), "an idle owner leaves");
        assert_eq!(owners.len(), 2);
    }

    #[tokio::test]
    async fn idle_owners_are_asked_to_leave_before_there_is_no_room() {
        let registry: Registry<u32, u32> = Registry::bounded(4);
        let mut held: Vec<_> = (0..3).map(|key| registry.get_or_start_within(&key, |_| key).expect("room")).collect();
        let asked = registry.crowded();
        let (_, last) = tokio::join!(biased; asked, async { registry.get_or_start_within(&3, |_| 3) });
        held.push(last.expect("the last place"));
        assert_eq!(registry.get_or_start_within(&4, |_| 4), Err(NoRoom));
        assert_eq!(registry.get_or_start_within(&0, |_| 9), Ok(Arc::new(0)), "who is live is found");
        held.remove(0);
        assert!(registry.retire(&0, OwnerId(1)));
        assert_eq!(registry.get_or_start_within(&4, |_| 4), Ok(Arc::new(4)));
    }
}
