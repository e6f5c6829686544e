//! The commits of a document, filtered and in pages.

use std::borrow::Cow;

use crate::state::document::Commit;
use crate::state::patch::Operation;
use crate::state::pointer::Pointer;
use crate::state::schema::View;
use crate::store::StoreError;

use super::super::document::{DocumentError, Head, Log};
use super::{DocumentName, Documents};

/// Which commits are wanted.
#[derive(Debug, Clone, Default)]
pub struct HistoryQuery {
    /// Exclusive versions. With `after` the page begins there, without it the page holds the latest ones.
    pub after: Option<u64>,
    pub before: Option<u64>,
    pub limit: usize,
    pub actor: Option<String>,
    pub run_id: Option<String>,
    /// Only commits that wrote at, above or below this place.
    pub path: Option<Pointer>,
    /// Where an earlier page ended.
    pub cursor: Option<HistoryCursor>,
}

/// Where a page ended, and which way it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryCursor {
    After(u64),
    Before(u64),
}

/// A page of commits, oldest first.
#[derive(Debug, Clone, Default)]
pub struct History {
    pub commits: Vec<Commit>,
    pub next: Option<HistoryCursor>,
    /// Commits up to this version are not kept any more.
    pub over: Option<u64>,
}

/// Commits looked at for one page, however few of them match.
const LOOKED_AT: u64 = 20_000;
/// Read at once on the way back.
const PAGE: u64 = 256;
/// Operations of one page: a page of large commits is shorter.
const PAGE_OPERATIONS: usize = 100_000;

impl Documents<'_> {
    /// A page of a document's history, also of one that was deleted.
    pub async fn history(&self, name: &DocumentName, query: &HistoryQuery) -> Result<History, DocumentError> {
        let live = self.live(name)?;
        let view = self.view(name);
        let of = Telling { log: live.log(), view: view.as_deref(), query };
        loop {
            let head = live.head(None).await?;
            if head.version == 0 {
                return Err(DocumentError::NotFound);
            }
            match page(&of, &head).await {
                // Some of it was dropped meanwhile.
                Err(StoreError::Trimmed { trimmed, .. }) if trimmed.0 > head.over => {}
                page => return Ok(History { over: Some(head.over).filter(|&over| over > 0), ..page? }),
            }
        }
    }
}

async fn page(of: &Telling<'_>, head: &Head) -> Result<History, StoreError> {
    let HistoryQuery { before, after, cursor, .. } = *of.query;
    let end = before.unwrap_or(u64::MAX).clamp(1, head.version + 1);
    let kept = |after: u64| after.max(head.over);
    match (cursor, after) {
        (Some(HistoryCursor::After(after)), _) => forward(of, kept(after), end).await,
        (Some(HistoryCursor::Before(before)), after) => backward(of, kept(after.unwrap_or(0)), end.min(before)).await,
        (None, Some(after)) => forward(of, kept(after), end).await,
        (None, None) => backward(of, kept(0), end).await,
    }
}

/// The oldest matches in `(after, end)`.
async fn forward(of: &Telling<'_>, mut after: u64, end: u64) -> Result<History, StoreError> {
    let mut history = History::default();
    let mut room = Room::new(of.query.limit);
    let last_looked_at = after.saturating_add(LOOKED_AT).min(end - 1);
    while after < last_looked_at {
        for commit in of.log.page(after, last_looked_at).await? {
            if room.is_full() {
                history.next = Some(HistoryCursor::After(after));
                return Ok(history);
            }
            after = commit.version;
            if let Some(commit) = of.told(&commit) {
                room.take(&commit);
                history.commits.push(commit);
            }
        }
    }
    history.next = (after < end - 1).then_some(HistoryCursor::After(after));
    Ok(history)
}

/// The newest matches in `(after, end)`, oldest first.
async fn backward(of: &Telling<'_>, after: u64, end: u64) -> Result<History, StoreError> {
    let mut history = History::default();
    let mut room = Room::new(of.query.limit);
    let mut before = end;
    let first_looked_at = after.max(end.saturating_sub(LOOKED_AT + 1));
    'pages: while before.saturating_sub(1) > first_looked_at {
        let from = first_looked_at.max(before.saturating_sub(PAGE + 1));
        for commit in of.log.between(from, before - 1).await?.iter().rev() {
            if room.is_full() {
                break 'pages;
            }
            before = commit.version;
            if let Some(commit) = of.told(commit) {
                room.take(&commit);
                history.commits.push(commit);
            }
        }
    }
    history.next = (before.saturating_sub(1) > after).then_some(HistoryCursor::Before(before));
    history.commits.reverse();
    Ok(history)
}

/// Whose history, to whom, and which of it.
struct Telling<'t> {
    log: &'t Log,
    view: Option<&'t View>,
    query: &'t HistoryQuery,
}

impl Telling<'_> {
    /// A commit as it may be told, if it is wanted. What is hidden does not show in what is found either.
    fn told(&self, commit: &Commit) -> Option<Commit> {
        let commit = match self.view {
            Some(view) => view.commit(commit),
            None => Cow::Borrowed(commit),
        };
        self.query.matches(&commit).then(|| Commit { mark: None, ..commit.into_owned() })
    }
}

/// How much more a page takes.
struct Room {
    commits: usize,
    operations: usize,
}

impl Room {
    fn new(limit: usize) -> Self {
        Self { commits: limit, operations: PAGE_OPERATIONS }
    }

    fn is_full(&self) -> bool {
        self.commits == 0 || self.operations == 0
    }

    fn take(&mut self, commit: &Commit) {
        self.commits -= 1;
        self.operations = self.operations.saturating_sub(commit.ops.len());
    }
}

impl HistoryQuery {
    fn matches(&self, commit: &Commit) -> bool {
        let touches = |path: &Pointer| commit.ops.iter().flat_map(Operation::writes).any(|at| at.overlaps(path));
        self.actor.as_ref().is_none_or(|actor| **actor == *commit.actor)
            && self.run_id.as_ref().is_none_or(|run_id| commit.run_id.as_deref() == Some(run_id))
            && self.path.as_ref().is_none_or(touches)
    }
}
