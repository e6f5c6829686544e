//! Which documents or threads are live in this process: at most one owner each.

use std::collections::HashMap;
use std::hash::Hash;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};

use futures_util::FutureExt;

/// Live owners by key.
#[derive(Debug)]
pub(crate) struct Registry<K, H> {
    /// A lock, because a look-up that starts an owner must be one step for all callers; it is held for a map
    /// access and a task spawn, never across an await.
    live: Mutex<HashMap<K, Arc<H>>>,
}

impl<K: Eq + Hash + Clone, H> Registry<K, H> {
    pub(crate) fn new() -> Self {
        Self { live: Mutex::new(HashMap::new()) }
    }

    /// The handle of the live owner of `key`, started now if there is none.
    pub(crate) fn get_or_start(&self, key: &K, start: impl FnOnce() -> H) -> Arc<H> {
        let mut live = self.live.lock().expect("no code panics while it holds this lock");
        match live.get(key) {
            Some(handle) => Arc::clone(handle),
            None => {
                let handle = Arc::new(start());
                live.insert(key.clone(), Arc::clone(&handle));
                handle
            }
        }
    }

    /// Runs an owner's task; one that panics is taken out, so that the next caller starts a fresh one from the store.
    pub(crate) fn spawn_owner(self: &Arc<Self>, key: &K, owner: impl Future<Output = ()> + Send + 'static)
    where
        K: Send + Sync + 'static,
        H: Send + Sync + 'static,
    {
        let (registry, key) = (Arc::clone(self), key.clone());
        tokio::spawn(async move {
            if AssertUnwindSafe(owner).catch_unwind().await.is_err() {
                tracing::error!("the owner of a thread or document panicked; it starts again from the store");
                registry.discard(&key);
            }
        });
    }

    /// Takes an idle owner out, unless somebody holds its handle; the caller is that owner and ends on `true`.
    pub(crate) fn retire(&self, key: &K) -> bool {
        let mut live = self.live.lock().expect("no code panics while it holds this lock");
        let idle = live.get(key).is_some_and(|handle| Arc::strong_count(handle) == 1);
        if idle {
            live.remove(key);
        }
        idle
    }

    /// Takes an owner out that failed, so that the next caller starts a new one.
    pub(crate) fn discard(&self, key: &K) {
        self.live.lock().expect("no code panics while it holds this lock").remove(key);
    }

    pub(crate) fn handles(&self) -> Vec<Arc<H>> {
        self.live.lock().expect("no code panics while it holds this lock").values().cloned().collect()
    }
}
