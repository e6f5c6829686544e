//! Which documents there are.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::store::{Kind, Listed, Owner, Scope, Store, Tenant};

use super::super::document::{DocumentError, Stamp};
use super::{DocumentName, Documents};

/// Which documents are wanted.
#[derive(Debug, Clone, Default)]
pub struct ListQuery {
    pub kind: Option<String>,
    /// What their ids begin with.
    pub prefix: String,
    /// The name after which the page begins.
    pub after: Option<String>,
    pub limit: usize,
    /// Whether deleted documents are among them.
    pub with_deleted: bool,
}

/// A document in a list.
#[derive(Debug, Clone)]
pub struct DocumentItem {
    pub name: DocumentName,
    pub epoch: Arc<str>,
    pub version: u64,
    /// RFC 3339.
    pub updated_at: String,
    pub updated_by: String,
}

/// A page of documents, by name.
#[derive(Debug, Clone, Default)]
pub struct DocumentPage {
    pub items: Vec<DocumentItem>,
    /// The name after which the next page begins.
    pub next: Option<String>,
}

/// Read from the store at once.
const PAGE: usize = 200;
/// Names looked at for one page, however few of them are listed.
const LOOKED_AT: usize = 10_000;

impl Documents<'_> {
    /// The tenant's documents and the principal's own, in the order of their names, without deleted ones.
    pub async fn list(&self, query: &ListQuery) -> Result<DocumentPage, DocumentError> {
        if let Some(kind) = query.kind.as_ref().filter(|kind| self.services.types.get(kind).is_none()) {
            DocumentName::new(kind, "x")?;
            return Err(DocumentError::UnknownType { kind: kind.clone() });
        }
        let scope = |owner: &str| Scope {
            tenant: Tenant::new(self.principal.tenant.as_str()),
            owner: Owner::new(owner),
            kind: Kind::Document,
        };
        let prefix = query.kind.as_ref().map(|kind| format!("{kind}/{}", query.prefix)).unwrap_or_default();
        let store = self.services.store.as_ref();
        let mut shared = Names::new(store, scope(""), &prefix, query.after.as_deref());
        let mut own = Names::new(store, scope(&self.principal.subject), &prefix, query.after.as_deref());
        let mut page = DocumentPage::default();
        let mut last = None;
        for _ in 0..LOOKED_AT {
            let own_is_next = match (shared.peek().await?, own.peek().await?) {
                (None, None) => return Ok(page),
                (Some(shared), Some(own)) => own.key.id < shared.key.id,
                (shared, _) => shared.is_none(),
            };
            if page.items.len() == query.limit {
                page.next = last;
                return Ok(page);
            }
            let listed = if own_is_next { own.next() } else { shared.next() };
            last = Some(listed.key.id.to_string());
            page.items.extend(item(&listed, own_is_next, query)?);
        }
        page.next = last;
        Ok(page)
    }
}

/// The document of a stream, unless it is not to be listed.
fn item(listed: &Listed, is_own: bool, query: &ListQuery) -> Result<Option<DocumentItem>, DocumentError> {
    let Ok(name) = listed.key.id.parse::<DocumentName>() else { return Ok(None) };
    let Some(summary) = &listed.head.summary else { return Ok(None) };
    let stamp: Stamp = serde_json::from_slice(summary)
        .map_err(|error| DocumentError::Unavailable { reason: format!("{name} cannot be read: {error}") })?;
    let is_listed =
        (query.with_deleted || !stamp.deleted) && name.is_owned() == is_own && name.id().starts_with(&query.prefix);
    Ok(is_listed.then(|| DocumentItem {
        name,
        epoch: Arc::clone(&listed.head.epoch),
        version: listed.head.seq.0,
        updated_at: stamp.at.to_string(),
        updated_by: stamp.by.to_string(),
    }))
}

/// The streams of one scope by name, read in pages.
struct Names<'s> {
    store: &'s dyn Store,
    scope: Scope,
    prefix: &'s str,
    after: Option<String>,
    page: VecDeque<Listed>,
    is_last: bool,
}

impl<'s> Names<'s> {
    fn new(store: &'s dyn Store, scope: Scope, prefix: &'s str, after: Option<&str>) -> Self {
        Self { store, scope, prefix, after: after.map(str::to_owned), page: VecDeque::new(), is_last: false }
    }

    async fn peek(&mut self) -> Result<Option<&Listed>, DocumentError> {
        if self.page.is_empty() && !self.is_last {
            let page = self.store.list_by_id(&self.scope, self.prefix, self.after.as_deref(), PAGE).await?;
            self.is_last = page.len() < PAGE;
            self.after = page.last().map(|listed| listed.key.id.to_string());
            self.page = page.into();
        }
        Ok(self.page.front())
    }

    fn next(&mut self) -> Listed {
        self.page.pop_front().expect("it was looked at just now")
    }
}
