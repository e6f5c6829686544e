//! The lifecycle document of a run: `lifecycle/<run_id>`, written with the run's own commits and by nobody else.
//!
//! Whoever hosts the run appends its next version in the batch that makes the run's step true, so no crash can part them.
//! While somebody looks, the live document is told to read on.

mod body;
mod version;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;

use crate::json_text;
use crate::store::{Append, Batch, Head, NewEntry, Owner, Seq, Store, StoreError, Tenant, WorkItem};

use super::super::Services;
use super::super::clock::shared_now;
use super::super::document::DocumentRef;
use super::super::thread::ThreadRef;
use super::super::triggers::Watchers;
use super::record::Lifecycle;
use body::Body;
use version::Version;

/// Who writes it.
const ACTOR: &str = "system";
/// What a summary takes beside the record.
const STAMP_BYTES: usize = 64;

/// A run's lifecycle document in the hands of whoever hosts the run.
#[derive(Debug, Clone)]
pub(crate) struct Life {
    name: DocumentRef,
    /// 0 while nothing is stored.
    version: u64,
    /// The body as that version has it.
    body: Option<Body>,
    pub(crate) told: Lifecycle,
    /// Whether its latest version sets something off.
    sets_off: bool,
}

/// The summary of the document's stream as far as it is this document's own: beside what lists show of any document, all
/// of it.
#[derive(Debug, Deserialize)]
struct Summary<'s> {
    #[serde(borrow)]
    run: &'s RawValue,
}

/// Why a run's document cannot be read.
#[derive(Debug, Error)]
pub(crate) enum Unreadable {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the record of run {run_id} is damaged: {error}")]
    Damaged { run_id: String, error: serde_json::Error },
}

/// The document of a run that belongs to this owner.
pub(crate) fn name_of(tenant: impl Into<Tenant>, owner: impl Into<Owner>, run_id: &str) -> DocumentRef {
    DocumentRef { tenant: tenant.into(), owner: owner.into(), name: ["lifecycle/", run_id].concat().into() }
}

/// What the head of a document's stream says of the run; `None` for a document that no runtime wrote.
pub(crate) fn of_head(run_id: &str, head: &Head) -> Result<Option<Lifecycle>, Unreadable> {
    let damaged = |error| Unreadable::Damaged { run_id: run_id.to_owned(), error };
    text_of(head).map(|text| serde_json::from_str(text.get()).map_err(damaged)).transpose()
}

fn text_of(head: &Head) -> Option<&RawValue> {
    serde_json::from_slice::<Summary<'_>>(head.summary.as_deref()?).ok().map(|summary| summary.run)
}

impl Life {
    /// Of a run that nothing is stored of.
    pub(crate) fn new(thread: &ThreadRef, told: Lifecycle) -> Self {
        let name = name_of(thread.tenant.clone(), thread.owner.clone(), &told.run_id);
        Self { name, version: 0, body: None, told, sets_off: false }
    }

    /// As it is stored.
    pub(crate) async fn read(store: &dyn Store, name: DocumentRef) -> Result<Option<Self>, Unreadable> {
        let Some(head) = store.head(&name.stream()).await? else { return Ok(None) };
        let run_id = name.name.trim_start_matches("lifecycle/").to_owned();
        let Some(told) = of_head(&run_id, &head)? else { return Ok(None) };
        let body = text_of(&head).map(Body::read).transpose();
        let body = body.map_err(|error| Unreadable::Damaged { run_id, error })?;
        Ok(Some(Self { name, version: head.seq.0, body, told, sets_off: false }))
    }

    pub(crate) fn tenant(&self) -> &str {
        self.name.tenant.as_str()
    }

    /// What `batch` does, with `told` as the document's next version and all that this sets off. Once it is stored,
    /// [`show`](Self::show) it.
    pub(crate) fn next_with(&mut self, mut batch: Batch, watchers: &Watchers) -> Batch {
        let append = self.next();
        let set_off = self.set_off(&append, watchers);
        batch.appends.insert(0, append);
        self.sets_off = !set_off.is_empty();
        batch.put.extend(set_off);
        batch
    }

    /// The same, which sets nothing off.
    pub(crate) fn next_quietly_with(&mut self, mut batch: Batch) -> Batch {
        batch.appends.insert(0, self.next());
        batch
    }

    /// The append that makes `told` the next version, also if nothing differs.
    fn next(&mut self) -> Append {
        let body = Body::of(&self.told);
        let mut append = Append::to(self.name.stream(), Seq(self.version));
        self.version += 1;
        let at = shared_now();
        let commit = Version::new(self.version, (self.body.as_ref(), &body), (&self.told.run_id, &at));
        append.entries = vec![NewEntry::one(commit.encode())];
        append.summary = Some(summary(&at, &body));
        append.open = Some(!self.told.status.is_over());
        self.body = Some(body);
        append
    }

    /// What the version in this append sets off. Mostly nothing watches such a document, and nothing is read for it.
    fn set_off(&self, append: &Append, watchers: &Watchers) -> Vec<WorkItem> {
        if !watchers.watch(&self.name) {
            return Vec::new();
        }
        let [NewEntry { body: commit, .. }] = append.entries.as_slice() else { return Vec::new() };
        let commit = serde_json::from_slice(commit).expect("it was written as a commit");
        let body = self.body.as_ref().expect("a version was made");
        let body = serde_json::from_str(body.text()).expect("a body is JSON");
        watchers.set_off(&self.name, &commit, &body)
    }

    /// What was appended is stored: those who look at the document see it, and what it set off happens.
    pub(crate) fn show(&self, services: &Services) {
        if let Some(live) = services.documents.get(&self.name) {
            live.read_on();
        }
        if self.sets_off {
            services.watchers.ring();
        }
    }
}

/// Begins as that of any document, with its [`Stamp`](super::super::document::Stamp).
fn summary(at: &str, body: &Body) -> Bytes {
    let mut text = Vec::with_capacity(body.text().len() + STAMP_BYTES);
    text.extend_from_slice(br#"{"at":"#);
    json_text::write(&mut text, at);
    text.extend_from_slice(br#","by":"#);
    json_text::write(&mut text, ACTOR);
    text.extend_from_slice(br#","run":"#);
    text.extend_from_slice(body.text().as_bytes());
    text.push(b'}');
    text.into()
}
