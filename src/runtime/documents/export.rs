//! Documents with their whole histories as JSON lines, to be kept elsewhere and imported again.
//!
//! ```text
//! {"coagent":"documents","format":1,"at":"…"}
//! {"document":{"name":"shared/a","epoch":"…","version":2,"tags":[…]}}     then its commits, version 1 first
//! {"commit":{"version":1,"ops":[…],"inverse":[…],"actor":"…","at":"…"}}
//! {"commit":{"version":2,…}}
//! {"document":{"name":"shared/b","version":9,"trimmed":7,…}}               a document that does not keep all its versions:
//! {"kept":{"version":3,"actor":"…","at":"…","data":{…}}}                  what it keeps of those, oldest first,
//! {"base":{"version":7,"data":{…},"blame":{"/a":{…}}}}                    what they came to, and then the commits after that
//! {"commit":{"version":8,…}}
//! {"end":{"documents":1,"commits":2}}                                     a file without this line is incomplete
//! ```

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::access::Principal;
use crate::json_text;
use crate::state::document::{Commit, Document};
use crate::state::history::Mark;
use crate::state::pointer::Pointer;
use crate::state::schema::View;
use crate::store::Seq;

use super::super::clock::now;
use super::super::document::{Base, DocumentError, Kept, Log};
use super::super::{Runtime, Services};
use super::{DocumentName, DocumentPage, Documents, ListQuery};

/// Pieces on their way to a reader; a slow one holds the export back.
const WAITING: usize = 4;
/// Documents listed at once.
const PAGE: usize = 200;

/// The lines of an export, in pieces.
#[derive(Debug)]
pub struct Export {
    pieces: mpsc::Receiver<Result<Bytes, DocumentError>>,
}

impl Export {
    /// The next piece; `None` at the end. After an error nothing more comes, and what came is incomplete.
    pub async fn next(&mut self) -> Option<Result<Bytes, DocumentError>> {
        self.pieces.recv().await
    }
}

/// A version that is kept though its commit is not.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct KeptLine {
    #[serde(flatten)]
    pub(super) mark: Mark,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) deleted: bool,
    pub(super) data: Value,
}

/// What the versions that are not kept came to.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct BaseLine {
    pub(super) version: u64,
    pub(super) data: Value,
    pub(super) blame: BTreeMap<Pointer, Mark>,
}

/// What has been written so far.
#[derive(Default)]
struct Written {
    documents: u64,
    commits: u64,
}

struct Exporting {
    services: Arc<Services>,
    principal: Principal,
    secrets: bool,
    out: mpsc::Sender<Result<Bytes, DocumentError>>,
}

impl Runtime {
    /// Every document that a principal can name, deleted ones too, each as it was at one moment and as they see it. What
    /// only the runtime writes no import takes: it is there when its type is asked for.
    ///
    /// What can be refused is refused before anything is written.
    pub async fn export_documents(
        &self,
        principal: &Principal,
        kind: Option<String>,
        prefix: String,
        secrets: bool,
    ) -> Result<Export, DocumentError> {
        let (out, pieces) = mpsc::channel(WAITING);
        let exporting = Exporting { services: Arc::clone(&self.services), principal: principal.clone(), secrets, out };
        let query = ListQuery { kind, prefix, after: None, limit: PAGE, with_deleted: true };
        let first = exporting.documents().list(&query).await?;
        tokio::spawn(async move {
            if let Err(error) = exporting.run(query, first).await {
                // Nobody hears it who has gone away.
                let _ = exporting.out.send(Err(error)).await;
            }
        });
        Ok(Export { pieces })
    }
}

impl Exporting {
    fn documents(&self) -> Documents<'_> {
        Documents { services: &self.services, principal: &self.principal, secrets: self.secrets }
    }

    /// `page` is the first one that `query` leads to.
    async fn run(&self, mut query: ListQuery, mut page: DocumentPage) -> Result<(), DocumentError> {
        let documents = self.documents();
        let mut written = Written::default();
        self.line(&json!({"coagent": "documents", "format": 1, "at": now()})).await?;
        loop {
            let asked = |name: &DocumentName| query.kind.is_some() || !name.is_record();
            for item in page.items.into_iter().filter(|item| asked(&item.name)) {
                self.document(&documents, &item.name, &mut written).await?;
            }
            match page.next {
                Some(next) => query.after = Some(next),
                None => break,
            }
            page = documents.list(&query).await?;
        }
        self.line(&json!({"end": {"documents": written.documents, "commits": written.commits}})).await
    }

    async fn document(
        &self,
        documents: &Documents<'_>,
        name: &DocumentName,
        written: &mut Written,
    ) -> Result<(), DocumentError> {
        let live = documents.live(name)?;
        live.let_go().await?;
        let base = live.log().base().await?;
        let head = live.head(None).await?;
        let tags: Vec<_> = documents.tags(name).await?.into_iter().filter(|tag| tag.version <= head.version).collect();
        let mut of = json!({"name": name.to_string(), "epoch": &*head.epoch, "version": head.version, "tags": tags});
        let dropped = base.as_ref().map_or(0, |base| base.version);
        if dropped > 0 {
            of["trimmed"] = dropped.into();
        }
        self.line(&json!({"document": of})).await?;
        let view = documents.view(name);
        let view = view.as_deref().filter(|view| !view.sees_all());
        if let Some(base) = base {
            self.older(live.log(), base, view).await?;
        }
        self.commits(live.log(), dropped, head.version, view).await?;
        written.documents += 1;
        written.commits += head.version - dropped;
        Ok(())
    }

    /// What is left of versions that were dropped.
    async fn older(&self, log: &Log, base: Base, view: Option<&View>) -> Result<(), DocumentError> {
        let nothing = || Document::absent().into_body();
        let told = |body: Value| match view {
            None => body,
            Some(view) => view.value(&body).map_or_else(nothing, Cow::into_owned),
        };
        let (mut after, mut body) = (Seq::ZERO, nothing());
        loop {
            let page = log.kept_after(after, body).await?;
            let Some((last, kept)) = page.last() else { break };
            (after, body) = (*last, kept.body.clone());
            for (_, Kept { mark, deleted, body }) in
                page.into_iter().filter(|(_, kept)| kept.mark.version <= base.version)
            {
                let data = told(body);
                self.line(&json!({"kept": KeptLine { mark, deleted, data }})).await?;
            }
        }
        let leaves = base.blame.leaves(&Pointer::root());
        let blame = match view {
            None => leaves,
            Some(view) => view.entries(leaves),
        };
        let line = BaseLine { version: base.version, data: told(base.body), blame };
        self.line(&json!({"base": line})).await
    }

    /// The log's entries are the commits' JSON: they are copied, and read only to leave out what is hidden.
    async fn commits(&self, log: &Log, mut after: u64, head: u64, view: Option<&View>) -> Result<(), DocumentError> {
        while after < head {
            let mut piece = BytesMut::new();
            for (version, commit) in log.texts_after(after).await? {
                if version > head {
                    break;
                }
                piece.put_slice(b"{\"commit\":");
                match view {
                    None => piece.put_slice(&commit),
                    Some(view) => piece.put_slice(&told(view, &commit)?),
                }
                piece.put_slice(b"}\n");
                after = version;
            }
            self.send(piece.freeze()).await?;
        }
        Ok(())
    }

    async fn line(&self, value: &Value) -> Result<(), DocumentError> {
        self.send(format!("{value}\n").into()).await
    }

    async fn send(&self, piece: Bytes) -> Result<(), DocumentError> {
        let gone = |_| DocumentError::Unavailable { reason: "the reader of the export has gone away".to_owned() };
        self.out.send(Ok(piece)).await.map_err(gone)
    }
}

fn told(view: &View, commit: &[u8]) -> Result<Vec<u8>, DocumentError> {
    let damaged =
        |error: serde_json::Error| DocumentError::Unavailable { reason: format!("a commit is damaged: {error}") };
    let commit: Commit = serde_json::from_slice(commit).map_err(damaged)?;
    Ok(json_text::encode(view.commit(&commit).as_ref()))
}
