//! Letting go of versions that the document's type does not keep (`retention` in `agents/_types/<type>.yaml`).
//!
//! What is over is told to nobody from that moment on. It leaves the store when that is worth a write: in one commit with
//! what is kept of it ([`kept`](super::kept)).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;

use crate::agent::types::Retention;
use crate::json_text;
use crate::state::document::Commit;
use crate::store::{Append, Batch, CommitError, Seq, WorkItem, WorkKey};

use super::super::clock::now_ms;
use super::DocumentRef;
use super::actor::Broken;
use super::load::Live;

/// Documents with versions that will be over some day, due when the first of them is.
pub(crate) const QUEUE: &str = "retention";
/// Commits of fewer bytes, or of less than twice the document, are not dropped by the way.
const WORTH_BYTES: usize = 4 << 10;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// What is dropped of a document.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LetGo {
    /// Commits up to this version have left the store.
    pub(crate) dropped: u64,
    /// When the next version will be over by its age.
    pub(crate) next_ms: Option<i64>,
}

/// Which versions of one document are over.
#[derive(Debug, Default)]
pub(super) struct Horizon {
    /// Commits up to this version have left the store.
    pub(super) dropped: u64,
    /// Versions up to this one are known to be over by their age, where so many days are kept.
    over: u64,
    days: u64,
    /// When, in milliseconds since 1970, the oldest version that is not over by its age will be.
    next_ms: Option<i64>,
    /// When the oldest commit in the log was made, where that matters.
    pub(super) first_ms: Option<i64>,
    /// Bytes that were committed since commits were dropped last.
    pub(super) bytes: usize,
    /// Whether it is noted in the store when the next version is over.
    pub(super) is_noted: bool,
}

impl Horizon {
    /// Of a document whose commits up to this version are gone.
    pub(super) fn after(dropped: u64) -> Self {
        Self { dropped, ..Self::default() }
    }
}

impl Live {
    fn retention(&self) -> Retention {
        self.types.get(self.name.kind()).map(|spec| spec.retention).unwrap_or_default()
    }

    /// Versions up to the one answered are over: they are not kept, unless they have a name or are the last of a run.
    pub(super) async fn over(&mut self) -> Result<u64, Broken> {
        let Retention { versions, days } = self.retention();
        // The newest version is kept, however old it is.
        let newest = self.deltas.version();
        let Some(before) = newest.checked_sub(1) else { return Ok(0) };
        let by_count = versions.map_or(0, |versions| newest.saturating_sub(versions));
        let by_age = match days {
            Some(days) => self.over_by_age(before, days).await?,
            None => 0,
        };
        Ok(self.horizon.dropped.max(by_count).max(by_age).min(before))
    }

    /// The newest version up to `before` that is older than so many days.
    async fn over_by_age(&mut self, before: u64, days: u64) -> Result<u64, Broken> {
        if self.horizon.days != days {
            (self.horizon.days, self.horizon.over, self.horizon.next_ms) = (days, 0, None);
        }
        if self.horizon.next_ms.is_some_and(|next_ms| next_ms > now_ms()) {
            return Ok(self.horizon.over);
        }
        let (mut low, mut high) = (self.horizon.over.max(self.horizon.dropped), before);
        let mut next_ms = None;
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            let over_ms = self.made_at(middle).await?.map_or(i64::MIN, |at_ms| at_ms.saturating_add(age_ms(days)));
            match over_ms <= now_ms() {
                true => low = middle,
                false => (high, next_ms) = (middle - 1, Some(over_ms)),
            }
        }
        (self.horizon.over, self.horizon.next_ms) = (low, next_ms);
        Ok(low)
    }

    async fn made_at(&self, version: u64) -> Result<Option<i64>, Broken> {
        let commit = self.log.at(version).await?;
        Ok(commit.and_then(|commit| made_ms(&commit)))
    }

    /// Drops what is over when it is worth it.
    pub(super) async fn drop_some(&mut self) -> Result<(), Broken> {
        let is_worth_it = self.horizon.bytes > WORTH_BYTES.max(2 * self.document.size());
        if !is_worth_it || self.retention().is_endless() {
            return Ok(());
        }
        Box::pin(self.drop_over()).await.map(drop)
    }

    /// Drops everything that is over; the version up to which nothing is in the log.
    pub(super) async fn drop_over(&mut self) -> Result<u64, Broken> {
        let over = self.over().await?;
        if over <= self.horizon.dropped {
            return Ok(over);
        }
        let mut dropping = self.log.dropping().await?;
        let commits = self.log.between(dropping.version(), over).await?;
        let kept = self.to_be_kept(&commits).await?;
        for commit in &commits {
            let taken = dropping.take(commit, kept.contains(&commit.version));
            taken.map_err(|error| Broken::new(format!("{} cannot be replayed: {error}", self.log.stream)))?;
        }
        let mut trimmed = Append::to(self.log.stream.clone(), Seq(self.deltas.version()));
        trimmed.trim = Some(Seq(over));
        let mut appends = vec![trimmed, self.log.dropped(dropping)];
        appends.extend(self.log.without_bodies_before(&self.checkpoints, over));
        match self.log.store.commit(Batch { appends, ..Batch::default() }).await {
            Ok(_) => {
                (self.horizon.dropped, self.horizon.bytes) = (over, 0);
                self.note_first().await?;
                Ok(over)
            }
            Err(CommitError::Stale { .. } | CommitError::Repeated { .. } | CommitError::Settled { .. }) => {
                Err(Broken::new("another node wrote here: the document is read again".to_owned()))
            }
            Err(CommitError::Full) => {
                tracing::warn!(document = %self.name.name, "versions that are over cannot be dropped: the disk is full");
                Ok(self.horizon.dropped)
            }
            Err(error @ (CommitError::Unavailable { .. } | CommitError::Fenced { .. })) => {
                Err(Broken::new(error.to_string()))
            }
        }
    }

    /// Drops everything that is over, for the runtime that was reminded of it; says when there is more.
    pub(super) async fn let_go(&mut self) -> Result<LetGo, Broken> {
        let dropped = self.drop_over().await?;
        let has_more = dropped + 1 < self.deltas.version();
        let days = self.retention().days;
        let next_ms = days.zip(self.horizon.first_ms).filter(|_| has_more);
        let next_ms = next_ms.map(|(days, first_ms)| first_ms.saturating_add(age_ms(days)));
        self.horizon.is_noted = next_ms.is_some();
        Ok(LetGo { dropped, next_ms })
    }

    /// Looks when the oldest commit was made, where the type keeps commits for some time.
    pub(super) async fn note_first(&mut self) -> Result<(), Broken> {
        self.horizon.first_ms = None;
        if self.retention().days.is_some() && self.horizon.dropped < self.deltas.version() {
            self.horizon.first_ms = self.made_at(self.horizon.dropped + 1).await?;
        }
        Ok(())
    }

    /// Named versions, and the last one of each run as far as it is here.
    async fn to_be_kept(&self, commits: &[Arc<Commit>]) -> Result<HashSet<u64>, Broken> {
        let mut last_of_run: HashMap<&str, u64> = HashMap::new();
        for commit in commits {
            if let Some(run_id) = &commit.run_id {
                last_of_run.insert(run_id, commit.version);
            }
        }
        let named = self.log.tags().await?.into_iter().map(|tag| tag.version);
        Ok(last_of_run.into_values().chain(named).collect())
    }

    /// Commits of so many bytes are durable, with the reminder that came with them.
    pub(super) fn noted(&mut self, bytes: usize) {
        if bytes == 0 {
            return;
        }
        self.horizon.bytes += bytes;
        if self.retention().days.is_some() {
            self.horizon.first_ms = self.first_ms();
            self.horizon.is_noted = true;
        }
    }

    fn first_ms(&self) -> Option<i64> {
        let pending = || self.pending.iter().find_map(|pending| pending.decided.commit());
        self.horizon.first_ms.or_else(|| pending().and_then(|commit| made_ms(commit)))
    }

    /// What reminds the runtime to drop versions that nobody's write will drop.
    pub(super) fn reminder(&self) -> Option<WorkItem> {
        let days = self.retention().days.filter(|_| !self.horizon.is_noted)?;
        Some(reminder(&self.name, self.first_ms()?.saturating_add(age_ms(days))))
    }

    /// The same for a history whose first commit is this one.
    pub(super) fn reminder_of(&self, first: Option<&Commit>) -> Option<WorkItem> {
        let days = self.retention().days?;
        Some(reminder(&self.name, made_ms(first?)?.saturating_add(age_ms(days))))
    }
}

/// A note that versions of a document are over from then on.
pub(crate) fn reminder(document: &DocumentRef, due_at_ms: i64) -> WorkItem {
    let tenant = document.tenant.clone();
    let key = format!("{}/{}", document.owner, document.name);
    let body = Bytes::from(json_text::encode(document));
    WorkItem { key: WorkKey { tenant, queue: QUEUE.to_owned(), key }, due_at_ms, body }
}

pub(super) fn made_ms(commit: &Commit) -> Option<i64> {
    commit.at.parse::<Timestamp>().ok().map(|at| at.as_millisecond())
}

fn age_ms(days: u64) -> i64 {
    i64::try_from(days).unwrap_or(i64::MAX).saturating_mul(DAY_MS)
}
