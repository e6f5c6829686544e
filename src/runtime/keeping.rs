//! Keeping threads: their names, the archive, and their end.

use thiserror::Error;

use crate::access::Principal;

use super::thread::ThreadHandle;
use super::view::ThreadItem;
use super::{ReadError, Runtime, thread_ref};

/// What is to change about a thread; the default changes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Amendment {
    pub name: Naming,
    pub archived: Option<bool>,
}

/// What becomes of a thread's name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Naming {
    #[default]
    Keep,
    Clear,
    Set(String),
}

/// Why a thread was not changed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeepingError {
    #[error("there is no such thread")]
    UnknownThread,
    #[error("a thread id has 1 to 190 characters, no control characters among them, and is not `.` or `..`")]
    InvalidThreadId,
    #[error("run {run_id} is live on this thread")]
    Busy { run_id: String },
    #[error("{reason}")]
    Unavailable { reason: String },
}

impl From<ReadError> for KeepingError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Unavailable { reason } => Self::Unavailable { reason },
            ReadError::InvalidThreadId => Self::InvalidThreadId,
        }
    }
}

/// Threads are cleared away in pages of this size.
const PAGE: usize = 200;

impl Runtime {
    /// Renames, archives or brings back a thread; answers what lists show of it then.
    pub async fn amend_thread(
        &self,
        principal: &Principal,
        thread_id: &str,
        amendment: Amendment,
    ) -> Result<ThreadItem, KeepingError> {
        let thread = self.existing(principal, thread_id).await?.ok_or(KeepingError::UnknownThread)?;
        thread.amend(amendment).await
    }

    /// Removes a thread with its runs, and the state that was its own.
    ///
    /// # Errors
    /// [`KeepingError::Busy`] while a run is live on it: stop that first.
    pub async fn delete_thread(&self, principal: &Principal, thread_id: &str) -> Result<(), KeepingError> {
        let thread = self.existing(principal, thread_id).await?.ok_or(KeepingError::UnknownThread)?;
        thread.delete(principal.actor()).await
    }

    /// Removes every thread of the principal on which no run is live.
    pub async fn clear_threads(&self, principal: &Principal) -> Result<(), KeepingError> {
        let mut before = None;
        loop {
            let page = self.threads(principal, None, true, before, PAGE).await?;
            for item in page.threads {
                let Some(name) = thread_ref(principal, &item.id) else { continue };
                let thread = ThreadHandle::open(&self.services, &name).map_err(ReadError::from)?;
                match thread.delete(principal.actor()).await {
                    Ok(()) | Err(KeepingError::UnknownThread | KeepingError::Busy { .. }) => {}
                    Err(error @ (KeepingError::Unavailable { .. } | KeepingError::InvalidThreadId)) => {
                        return Err(error);
                    }
                }
            }
            before = page.next;
            if before.is_none() {
                return Ok(());
            }
        }
    }
}
