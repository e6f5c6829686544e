//! Looking at threads without running anything: lists, messages, events, state.

use std::sync::Arc;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::access::Principal;
use crate::agui::Message;
use crate::store::{Kind, Owner, Scope, Tenant};

use super::thread::{Summary, ThreadHandle};
use super::types::Names;
use super::{ReadError, Runtime, thread_ref};

/// One thread in a list.
#[derive(Debug, Clone)]
pub struct ThreadItem {
    pub id: String,
    pub name: Option<String>,
    /// The agent of the last run.
    pub agent: String,
    pub archived: bool,
    /// RFC 3339.
    pub created_at: String,
    pub updated_at: String,
}

impl ThreadItem {
    /// What a list shows of a thread; nothing while no run has begun on it.
    pub(super) fn of(id: &str, summary: Summary) -> Option<Self> {
        Some(Self {
            id: id.to_owned(),
            name: summary.name,
            agent: summary.agent?,
            archived: summary.archived,
            created_at: summary.created_at,
            updated_at: summary.updated_at,
        })
    }
}

/// One page of threads, last touched first.
#[derive(Debug, Default)]
pub struct ThreadPage {
    pub threads: Vec<ThreadItem>,
    /// Where the next page begins, when there is one.
    pub next: Option<u64>,
}

/// Read from the store at once while filtering.
const PAGE: usize = 200;

impl Runtime {
    /// The principal's threads, last touched first, from `before` on.
    pub async fn threads(
        &self,
        principal: &Principal,
        agent: Option<&str>,
        include_archived: bool,
        mut before: Option<u64>,
        limit: usize,
    ) -> Result<ThreadPage, ReadError> {
        let scope = Scope {
            tenant: Tenant::new(principal.tenant.as_str()),
            owner: Owner::new(principal.subject.as_str()),
            kind: Kind::Thread,
        };
        let mut page = ThreadPage::default();
        loop {
            let listed = self.services.store.list(&scope, before, PAGE).await?;
            let is_last_page = listed.len() < PAGE;
            for stream in listed {
                let previous = before.replace(stream.head.touched);
                let summary = stream.head.summary.as_deref().unwrap_or_default();
                let summary = Summary::decode(summary).map_err(|error| ReadError::Unavailable {
                    reason: format!("thread {} cannot be read: {error}", stream.key.id),
                })?;
                let Some(item) = ThreadItem::of(&stream.key.id, summary) else { continue };
                if agent.is_none_or(|agent| agent == item.agent) && (include_archived || !item.archived) {
                    if page.threads.len() == limit {
                        page.next = previous;
                        return Ok(page);
                    }
                    page.threads.push(item);
                }
            }
            if is_last_page {
                return Ok(page);
            }
        }
    }

    /// The transcript of a thread; empty when there is no such thread.
    pub async fn messages(&self, principal: &Principal, thread_id: &str) -> Result<Vec<Arc<Message>>, ReadError> {
        let Some(thread) = self.existing(principal, thread_id).await? else { return Ok(Vec::new()) };
        Ok(thread.view(None).await?.messages)
    }

    /// The state that an agent, by default the last one that ran, has on a thread, as streams show it; `None` of one that
    /// never ran there and has none.
    pub async fn thread_state(
        &self,
        principal: &Principal,
        thread_id: &str,
        agent: Option<&str>,
    ) -> Result<Option<Value>, ReadError> {
        let name = thread_ref(principal, thread_id).ok_or(ReadError::InvalidThreadId)?;
        let Some(thread) = self.existing(principal, thread_id).await? else { return Ok(None) };
        let asked = agent.and_then(|agent| self.agent_on(principal, agent, thread_id));
        if agent.is_some() && asked.is_none() {
            return Ok(None);
        }
        let view = thread.view(asked.as_ref().map(|agent| agent.id().to_owned())).await?;
        let has_run = view.document.is_some();
        let document = view.document.or_else(|| asked.map(|agent| agent.document(&name, None)));
        let Some(document) = document.map(|document| self.services.document(&document)) else { return Ok(None) };
        let state = document.body(document.view(&Names::of(principal))).await?;
        Ok((has_run || state.version > 0).then_some(state.value))
    }

    /// The events of a thread's finished runs, compacted.
    pub async fn events(&self, principal: &Principal, thread_id: &str) -> Result<Vec<Box<RawValue>>, ReadError> {
        let Some(thread) = self.existing(principal, thread_id).await? else { return Ok(Vec::new()) };
        let frames = thread.finished().await?;
        frames.iter().flat_map(|bytes| data_lines(bytes)).collect()
    }

    /// A thread that has been stored; looking does not create one.
    pub(super) async fn existing(
        &self,
        principal: &Principal,
        thread_id: &str,
    ) -> Result<Option<Arc<ThreadHandle>>, ReadError> {
        let thread = thread_ref(principal, thread_id).ok_or(ReadError::InvalidThreadId)?;
        self.services.existing(&thread).await
    }
}

/// The events in SSE bytes.
fn data_lines(bytes: &[u8]) -> impl Iterator<Item = Result<Box<RawValue>, ReadError>> {
    let lines = bytes.split(|&byte| byte == b'\n').filter_map(|line| line.strip_prefix(b"data: "));
    lines.map(|json| {
        serde_json::from_slice(json)
            .map_err(|error| ReadError::Unavailable { reason: format!("a stored event is damaged: {error}") })
    })
}
