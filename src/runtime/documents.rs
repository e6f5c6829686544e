//! The front door to documents: what a principal may call anything by, read, write, list and follow.
//!
//! It finds whose a document is; what a change comes to is decided by the document's own task.

mod batch;
mod blame;
mod difference;
mod export;
mod history;
mod import;
mod list;
mod name;
mod subscribe;
mod tags;

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use crate::access::Principal;
use crate::state::history::Mark;
use crate::state::schema::View;
use crate::store::{Owner, StoreError, Tenant};

use super::document::{Accepted, Author, DocumentError, DocumentHandle, DocumentRef, Head, Kept, Reader, Write};
use super::types::Names;
use super::{Runtime, Services};

pub use batch::BatchAccepted;
pub use difference::Difference;
pub use export::Export;
pub use history::{History, HistoryCursor, HistoryQuery};
pub use import::{Existing, Import, ImportError, ImportRefused, Imported};
pub use list::{DocumentItem, DocumentPage, ListQuery};
pub use name::DocumentName;
pub use subscribe::{Since, SnapshotReason, Subscription, Update};
pub use tags::Tagged;

/// The documents that one principal can name.
#[derive(Debug)]
pub struct Documents<'r> {
    services: &'r Arc<Services>,
    principal: &'r Principal,
    /// Whether what is secret is shown.
    secrets: bool,
}

/// A document as it is or was.
#[derive(Debug, Clone)]
pub struct Document {
    pub epoch: Arc<str>,
    pub version: u64,
    pub data: Arc<RawValue>,
    /// RFC 3339; when this version was made.
    pub updated_at: String,
    /// Who made it.
    pub updated_by: String,
}

/// Where a document stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub epoch: Arc<str>,
    pub version: u64,
}

impl Runtime {
    /// The documents of a principal's tenant, its own among them.
    pub fn documents<'r>(&'r self, principal: &'r Principal) -> Documents<'r> {
        Documents { services: &self.services, principal, secrets: false }
    }
}

impl From<StoreError> for DocumentError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable { reason: error.to_string() }
    }
}

impl Documents<'_> {
    /// With what is secret: for callers with the right `admin`, who asked for it.
    pub fn with_secrets(self) -> Self {
        Self { secrets: true, ..self }
    }

    /// The document as it is.
    pub async fn read(&self, name: &DocumentName) -> Result<Document, DocumentError> {
        let head = self.live(name)?.head(Some(self.reader(name))).await?;
        // What is hidden as a whole is not there.
        let hidden = || if head.exists { DocumentError::NotFound } else { absence(&head) };
        let data = head.data.clone().ok_or_else(hidden)?;
        let Head { epoch, version, latest, .. } = head;
        let (updated_at, updated_by) = (latest.at.to_string(), latest.by.to_string());
        Ok(Document { epoch, version, data, updated_at, updated_by })
    }

    /// The epoch and version of a document that exists.
    pub async fn standing(&self, name: &DocumentName) -> Result<Standing, DocumentError> {
        let head = self.live(name)?.head(None).await?;
        match head.exists {
            true => Ok(Standing { epoch: head.epoch, version: head.version }),
            false => Err(absence(&head)),
        }
    }

    /// The document as it was at a version, also when it was deleted since.
    pub async fn read_version(&self, name: &DocumentName, version: u64) -> Result<Document, DocumentError> {
        let live = self.live(name)?;
        let head = had_version(&live, version).await?;
        let Kept { mark, deleted, body } = match version <= head.over {
            true => live.log().kept(version).await?.ok_or_else(|| unknown(version, &head))?,
            false => {
                let commit = live.log().at(version).await?.ok_or_else(|| unknown(version, &head))?;
                Kept { mark: Mark::from(&commit), deleted: commit.deleted, body: live.log().body_at(version).await? }
            }
        };
        if deleted {
            return Err(DocumentError::Deleted { version });
        }
        let body = self.seen(name, body).ok_or(DocumentError::NotFound)?;
        let data = to_raw_value(&body).expect("a value is JSON").into();
        Ok(Document { epoch: head.epoch, version, data, updated_at: mark.at, updated_by: mark.actor })
    }

    /// Changes the document; on return the change is durable, or refused.
    pub async fn write(&self, name: &DocumentName, write: Write) -> Result<Accepted, DocumentError> {
        self.admit(name, &write)?;
        let accepted = self.live(name)?.write(write, self.author()).await?;
        let Some(view) = self.view(name).filter(|view| !view.sees_all()) else { return Ok(accepted) };
        Ok(Accepted {
            conflicts: view.conflicts(&accepted.conflicts).into_owned(),
            commit: accepted.commit.map(|commit| Arc::new(view.commit(&commit).into_owned())),
            ..accepted
        })
    }

    fn admit(&self, name: &DocumentName, write: &Write) -> Result<(), DocumentError> {
        if name.is_record() {
            return Err(DocumentError::ReadOnly);
        }
        match &write.run_id {
            Some(run_id) if !self.services.live_runs.is_of(run_id, self.principal) => {
                Err(DocumentError::ForeignRun { run_id: run_id.clone() })
            }
            Some(_) | None => Ok(()),
        }
    }

    fn author(&self) -> Author {
        Author::new(self.principal.actor())
    }

    /// The schema of a document as the principal meets it.
    fn view(&self, name: &DocumentName) -> Option<Arc<View>> {
        self.services.types.view(&name.to_string(), &self.names())
    }

    fn names(&self) -> Names {
        let names = Names::of(self.principal);
        if self.secrets { names.with_secrets() } else { names }
    }

    fn reader(&self, name: &DocumentName) -> Reader {
        Reader { actor: self.principal.actor(), view: self.view(name) }
    }

    /// A body as the principal sees it; `None` when all of it is hidden.
    fn seen(&self, name: &DocumentName, body: Value) -> Option<Value> {
        match self.view(name).filter(|view| !view.sees_all()) {
            None => Some(body),
            Some(view) => view.value(&body).map(Cow::into_owned),
        }
    }

    fn live(&self, name: &DocumentName) -> Result<Arc<DocumentHandle>, DocumentError> {
        Ok(self.services.named_document(&self.resolve(name)?)?)
    }

    /// Whose document a name means. State that an agent keeps for one thread belongs to the thread's owner, and so do
    /// the records of runs; everything else belongs to the tenant.
    fn resolve(&self, name: &DocumentName) -> Result<DocumentRef, DocumentError> {
        if self.services.types.get(name.kind()).is_none() {
            return Err(DocumentError::UnknownType { kind: name.kind().to_owned() });
        }
        let owner = if name.is_owned() { Owner::new(self.principal.subject.as_str()) } else { Owner::shared() };
        Ok(DocumentRef { tenant: Tenant::new(self.principal.tenant.as_str()), owner, name: name.to_string().into() })
    }
}

/// Why there is nothing to read.
fn absence(head: &Head) -> DocumentError {
    match head.version {
        0 => DocumentError::NotFound,
        version => DocumentError::Deleted { version },
    }
}

/// The head of a document that has or had this version.
async fn had_version(live: &DocumentHandle, version: u64) -> Result<Head, DocumentError> {
    let head = live.head(None).await?;
    match head.version {
        0 => Err(DocumentError::NotFound),
        newest if version == 0 || version > newest => Err(unknown(version, &head)),
        newest if version <= head.over => {
            // What is kept of versions that are over is known once they are dropped.
            let over = live.let_go().await?.dropped;
            let is_kept = version > over || live.log().kept(version).await?.is_some();
            let refusal = DocumentError::VersionOver { version, over, head: newest };
            if is_kept { Ok(head) } else { Err(refusal) }
        }
        _ => Ok(head),
    }
}

fn unknown(version: u64, head: &Head) -> DocumentError {
    DocumentError::VersionNotFound { version, head: head.version }
}
