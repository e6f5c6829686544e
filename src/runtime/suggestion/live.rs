//! Which suggestions are being made, so that a page can stop the one it no longer wants.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio_util::sync::CancellationToken;

use super::super::thread::ThreadRef;

/// The suggestions that are being made, by the thread and run that their pages named: a page may stop one.
#[derive(Debug, Default)]
pub(crate) struct Suggestions {
    /// A lock, because a stop finds what another request put there; held for a look at a short list.
    live: Mutex<HashMap<ThreadRef, Vec<(String, CancellationToken)>>>,
}

impl Suggestions {
    /// Stops those of a thread, or the one of that run; whether there was any.
    pub(crate) fn stop(&self, thread: &ThreadRef, run_id: Option<&str>) -> bool {
        let live = self.live.lock().expect("no code panics while it holds this lock");
        let named = live.get(thread).into_iter().flatten();
        let stopped = named.filter(|(run, _)| run_id.is_none_or(|wanted| wanted == run));
        stopped.inspect(|(_, stop)| stop.cancel()).count() > 0
    }

    pub(super) fn enter(self: &Arc<Self>, thread: ThreadRef, run_id: &str, stop: CancellationToken) -> Entered {
        let mut live = self.live.lock().expect("no code panics while it holds this lock");
        live.entry(thread.clone()).or_default().push((run_id.to_owned(), stop));
        Entered { suggestions: Arc::clone(self), thread, run_id: run_id.to_owned() }
    }
}

/// A place among the suggestions; dropping it gives it up.
#[derive(Debug)]
pub(super) struct Entered {
    suggestions: Arc<Suggestions>,
    thread: ThreadRef,
    run_id: String,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut live = self.suggestions.live.lock().expect("no code panics while it holds this lock");
        let Some(named) = live.get_mut(&self.thread) else { return };
        if let Some(place) = named.iter().position(|(run, _)| *run == self.run_id) {
            named.swap_remove(place);
        }
        if named.is_empty() {
            live.remove(&self.thread);
        }
    }
}
