//! Which runs are at work in this process, and whose they are: a client may write on behalf of its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::access::Principal;

use super::thread::ThreadRef;

/// Runs by the runtime's id of them.
#[derive(Debug, Default)]
pub(crate) struct LiveRuns {
    /// A lock, because threads' tasks enter and any request asks; it is held for a map access.
    runs: Mutex<HashMap<String, Owner>>,
}

#[derive(Debug, PartialEq, Eq)]
struct Owner {
    tenant: String,
    subject: String,
}

/// Keeps a run among the live ones until it is dropped.
#[derive(Debug)]
pub(crate) struct Entered {
    runs: Arc<LiveRuns>,
    run_id: String,
}

impl LiveRuns {
    pub(crate) fn enter(self: &Arc<Self>, run_id: &str, thread: &ThreadRef) -> Entered {
        let owner = Owner { tenant: thread.tenant.clone(), subject: thread.owner.clone() };
        self.runs().insert(run_id.to_owned(), owner);
        Entered { runs: Arc::clone(self), run_id: run_id.to_owned() }
    }

    /// Whether this run is at work, for this principal.
    pub(crate) fn is_of(&self, run_id: &str, principal: &Principal) -> bool {
        let of = |owner: &Owner| owner.tenant == principal.tenant && owner.subject == principal.subject;
        self.runs().get(run_id).is_some_and(of)
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<String, Owner>> {
        self.runs.lock().expect("no code panics while it holds this lock")
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.runs.runs().remove(&self.run_id);
    }
}
