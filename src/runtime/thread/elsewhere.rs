//! What a run asks of documents other than its own state: allowed by its definition, then passed on to the document.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::oneshot;

use crate::agent::StateError;
use crate::agent::context::{StateRequest, StateWrite, Versioned};
use crate::agent::definition::{DocumentPlace, Documents};
use crate::state::parts::only;
use crate::state::pointer::Pointer;
use crate::store::Owner;

use super::super::document::{Author, DocumentHandle, DocumentRef, Proposal, Write};
use super::super::documents::DocumentName;
use super::super::{DocumentError, Services};
use super::ThreadRef;

/// A document that a run names, and what its definition allows there.
pub(super) struct Elsewhere<'a> {
    pub(super) services: &'a Arc<Services>,
    pub(super) thread: &'a ThreadRef,
    pub(super) allowed: &'a Documents,
    pub(super) author: Author,
}

impl Elsewhere<'_> {
    /// Answers the agent itself. The caller must not be cancelled meanwhile.
    pub(super) async fn serve(self, name: &str, request: StateRequest) {
        let document = match self.find(name) {
            Ok(document) => document,
            Err(error) => return refuse(request, error.into()),
        };
        match request {
            StateRequest::Read { path, reply, .. } => {
                let readable = self.allowed.readable(name);
                let answer = if readable.is_empty() {
                    Err(forbidden("forbidden", name, "read", &self.allowed.read))
                } else {
                    read(&document, path, &readable, self.author).await
                };
                drop(reply.send(answer));
            }
            StateRequest::Patch { write, reply } => {
                let written = match self.terms(name, write) {
                    Ok((write, author)) => document.write(write, author).await.map_err(StateError::from),
                    Err(refusal) => Err(refusal),
                };
                drop(reply.send(written.map(|accepted| accepted.version)));
            }
            StateRequest::Propose { reply, .. } => {
                let message = "a whole state is proposed to the agent's own document only".to_owned();
                drop(reply.send(Err(StateError::Refused { code: "forbidden", message, version: 0 })));
            }
        }
    }

    /// The document and the terms of a write that the definition allows.
    pub(super) fn allow(
        self,
        name: &str,
        write: StateWrite,
    ) -> Result<(Arc<DocumentHandle>, Write, Author), StateError> {
        let document = self.find(name)?;
        let (write, author) = self.terms(name, write)?;
        Ok((document, write, author))
    }

    fn terms(self, name: &str, write: StateWrite) -> Result<(Write, Author), StateError> {
        let StateWrite { ops, if_version, seen, creates, mark, .. } = write;
        let writable = self.allowed.writable(name);
        if writable.is_empty() {
            return Err(forbidden("forbidden", name, "write", &self.allowed.write));
        }
        if name.starts_with("lifecycle/") {
            return Err(DocumentError::ReadOnly.into());
        }
        if creates && !is_everything(&writable) {
            return Err(forbidden("forbidden", name, "create", &self.allowed.write));
        }
        let author = Author { may_write: Some(writable.into()), ..self.author };
        let write = Write { expects: if_version.into(), seen, creates, mark, ..Write::new(Proposal::Patch(ops)) };
        Ok((write, author))
    }

    /// What an agent keeps for one thread is that of the thread's owner; everything else is the tenant's.
    fn find(&self, name: &str) -> Result<Arc<DocumentHandle>, DocumentError> {
        let parsed: DocumentName = name.parse()?;
        if self.services.types.get(parsed.kind()).is_none() {
            return Err(DocumentError::UnknownType { kind: parsed.kind().to_owned() });
        }
        let owner = if parsed.is_owned() { self.thread.owner.clone() } else { Owner::shared() };
        let name = DocumentRef { tenant: self.thread.tenant.clone(), owner, name: name.into() };
        Ok(self.services.named_document(&name)?)
    }
}

/// The value at a path; above the readable places it is made of these.
async fn read(
    document: &DocumentHandle,
    path: Pointer,
    readable: &[Pointer],
    author: Author,
) -> Result<Versioned<Option<Value>>, StateError> {
    let is_shown = readable.iter().any(|place| path.starts_with(place));
    let asked = if is_shown { path.clone() } else { Pointer::root() };
    let (reply, answer) = oneshot::channel();
    document.serve(StateRequest::Read { path: asked, in_step: false, reply }, author).await;
    let unavailable = |_| StateError::Unavailable { reason: "the document's owner has stopped; try again".to_owned() };
    let Versioned { version, value } = answer.await.map_err(unavailable)??;
    if is_shown {
        return Ok(Versioned { version, value });
    }
    if !readable.iter().any(|place| place.starts_with(&path)) {
        let message = format!("`{path}` of the document is not this agent's to read");
        return Err(StateError::Refused { code: "forbidden_path", message, version });
    }
    let parts = value.map(|body| only(&body, readable));
    Ok(Versioned { version, value: parts.and_then(|parts| path.get(&parts).cloned()) })
}

fn is_everything(paths: &[Pointer]) -> bool {
    paths.iter().any(|path| *path == Pointer::root())
}

fn refuse(request: StateRequest, error: StateError) {
    match request {
        StateRequest::Read { reply, .. } => drop(reply.send(Err(error))),
        StateRequest::Patch { reply, .. } | StateRequest::Propose { reply, .. } => drop(reply.send(Err(error))),
    }
}

fn forbidden(code: &'static str, name: &str, verb: &str, places: &[DocumentPlace]) -> StateError {
    let places: Vec<String> = places.iter().map(ToString::to_string).collect();
    let message = match places.as_slice() {
        [] => format!("this agent may not {verb} `{name}`: its definition allows no other documents"),
        places => format!("this agent may not {verb} `{name}`: its definition allows {}", places.join(", ")),
    };
    StateError::Refused { code, message, version: 0 }
}
