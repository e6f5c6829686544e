//! Looking at runs without running anything.

use std::sync::Arc;

use crate::access::Principal;
use crate::agui::{Dialect, Encoding};
use crate::store::{Kind, Owner, Scope, Tenant};

use super::super::thread::Listening;
use super::super::{FrameStream, ReadError, Runtime, thread_ref};
use super::lifecycle::{Unreadable, name_of, of_head};
use super::record::{Lifecycle, RunStatus};

/// Which runs are wanted; what is absent is not asked.
#[derive(Debug, Clone, Default)]
pub struct RunQuery {
    pub agent: Option<String>,
    pub status: Option<RunStatus>,
    pub thread: Option<String>,
    /// The run before which, going back in time, the page begins.
    pub before: Option<String>,
    pub limit: usize,
}

/// A page of runs, the newest first.
#[derive(Debug, Default)]
pub struct RunPage {
    pub items: Vec<Lifecycle>,
    /// The run before which the next page begins. A page may be short and have a next one.
    pub next: Option<String>,
}

/// Read from the store at once.
const PAGE: usize = 200;
/// Runs looked at for one page, however few of them are wanted.
const LOOKED_AT: usize = 5_000;

const PREFIX: &str = "lifecycle/";

impl From<Unreadable> for ReadError {
    fn from(error: Unreadable) -> Self {
        Self::Unavailable { reason: error.to_string() }
    }
}

impl Runtime {
    /// A run of the principal's, as its lifecycle document has it.
    pub async fn run_record(&self, principal: &Principal, run_id: &str) -> Result<Option<Lifecycle>, ReadError> {
        let name = name_of(principal.tenant.as_str(), principal.subject.as_str(), run_id);
        let Some(head) = self.services.store.head(&name.stream()).await? else { return Ok(None) };
        Ok(of_head(run_id, &head)?)
    }

    /// The events of a run of the principal's, after a position of its thread's log: the live ones when there are, what is
    /// kept of them afterwards, and nothing of a run that never began. `None` when there is no such run.
    pub async fn run_events(
        &self,
        principal: &Principal,
        run_id: &str,
        after: Option<u64>,
    ) -> Result<Option<FrameStream>, ReadError> {
        let Some(record) = self.run_record(principal, run_id).await? else { return Ok(None) };
        let thread = thread_ref(principal, &record.thread_id).ok_or(ReadError::InvalidThreadId)?;
        let (services, queue, run_id) =
            (Arc::clone(&self.services), Arc::clone(&self.services.queue), run_id.to_owned());
        Ok(Some(FrameStream::later(async move {
            loop {
                let attempted = queue.attempted().notified();
                let mut attempted = std::pin::pin!(attempted);
                attempted.as_mut().enable();
                if !queue.has(&run_id) {
                    break;
                }
                tokio::select! {
                    () = attempted => {}
                    // It waits on in the store, and is followed again after the restart.
                    () = services.stopping.cancelled() => return Ok(FrameStream::whole(bytes::Bytes::new())),
                }
            }
            let stream = match services.existing(&thread).await? {
                Some(live) => {
                    live.run(run_id, after, Listening { dialect: Dialect::V1, encoding: Encoding::Sse }).await?
                }
                None => None,
            };
            Ok(stream.unwrap_or_else(|| FrameStream::whole(bytes::Bytes::new())))
        })))
    }

    /// The principal's runs, in the order in which they came to be, the newest first.
    pub async fn runs(&self, principal: &Principal, query: &RunQuery) -> Result<RunPage, ReadError> {
        let scope = Scope {
            tenant: Tenant::new(principal.tenant.as_str()),
            owner: Owner::new(principal.subject.as_str()),
            kind: Kind::Document,
        };
        let mut before = query.before.as_ref().map(|run_id| format!("{PREFIX}{run_id}"));
        let mut page = RunPage::default();
        let mut looked_at = 0;
        loop {
            let listed = self.services.store.list_back(&scope, PREFIX, before.as_deref(), PAGE).await?;
            let is_last = listed.len() < PAGE;
            looked_at += listed.len();
            for stream in listed {
                let run_id = stream.key.id.trim_start_matches(PREFIX);
                let Some(run) = of_head(run_id, &stream.head)? else { continue };
                if query.wants(&run) {
                    if page.items.len() == query.limit {
                        page.next = before.map(|name| name.trim_start_matches(PREFIX).to_owned());
                        return Ok(page);
                    }
                    page.items.push(run);
                }
                before = Some(stream.key.id.to_string());
            }
            if is_last {
                return Ok(page);
            }
            if looked_at >= LOOKED_AT {
                page.next = before.map(|name| name.trim_start_matches(PREFIX).to_owned());
                return Ok(page);
            }
        }
    }
}

impl RunQuery {
    fn wants(&self, run: &Lifecycle) -> bool {
        self.agent.as_ref().is_none_or(|agent| *agent == run.agent)
            && self.status.is_none_or(|status| status == run.status)
            && self.thread.as_ref().is_none_or(|thread| *thread == run.thread_id)
    }
}
