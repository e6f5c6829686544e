//! The one way in: every write of a document, whoever asks, is decided here on the copy in memory.
//!
//! [`append`](super::append) makes it durable and only then answers and shows it.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use tokio::sync::oneshot;

use crate::agent::types::{Put, TypeSpec};
use crate::state::document::{Commit, Decided, Document, Mutation, Refusal, Terms};
use crate::state::history::{Undo, undo_run};
use crate::state::json;
use crate::state::later::Later;
use crate::state::limits::Limits;
use crate::state::merge::Past;
use crate::state::pointer::Pointer;
use crate::state::schema::View;

use super::super::clock::shared_now;
use super::actor::Broken;
use super::append::{Decision, Pending, Reply};
use super::load::{Live, Stamp};
use super::past::{commits_back_to, undo};
use super::repeat::Known;
use super::write::{Accepted, DocumentError, Expects, Proposal, Write};
use super::{Author, Evidence};

/// A merge does not look further back than this.
pub(super) const FURTHEST: u64 = 4096;
/// Nor does what a run writes: it may write often, and all that it has not seen is looked at each time.
const FURTHEST_SEEN: u64 = 512;

impl Live {
    /// Decides a write; [`flush`](Self::flush) makes it durable and answers, also a refusal.
    pub(super) async fn take(&mut self, write: Box<Write>, author: Author, reply: Reply) -> Result<(), Broken> {
        let existed = self.document.exists();
        let (decided, is_repeated) = match self.decide_once(&write, &author).await {
            Ok((Ok(decided), is_repeated)) => (decided, is_repeated),
            Ok((Err(refused), is_repeated)) => (Decision::Refused(refused), is_repeated),
            Err(broken) => {
                reply.refuse(DocumentError::Unavailable { reason: broken.reason.clone() });
                return Err(broken);
            }
        };
        let text = write.wants_data.then(|| self.text_for(&author)).flatten();
        let is_dry = write.dry_run;
        let version = self.document.version();
        let skipped = std::mem::take(&mut self.skipped);
        self.pending.push(Pending { write, author, reply, decided, existed, is_repeated, version, text, skipped });
        if is_dry {
            self.take_dry_run_back();
        }
        Ok(())
    }

    /// The body as its author sees it.
    fn text_for(&self, author: &Author) -> Option<Arc<RawValue>> {
        let body = self.document.body();
        match self.view(&author.actor) {
            None => Some(text(body)),
            Some(view) => view.value(body).map(|body| text(&body)),
        }
    }

    /// As [`take`](Self::take) with everything before and this made durable.
    pub(super) async fn write(
        &mut self,
        write: Box<Write>,
        author: Author,
    ) -> Result<Result<Accepted, DocumentError>, Broken> {
        let (reply, mut answer) = oneshot::channel();
        self.take(write, author, Reply::Caller(reply)).await?;
        self.flush().await?;
        Ok(answer.try_recv().expect("a flush answers everything that waits"))
    }

    /// Finds the answer that a repeated write had, or decides; with whether it is repeated.
    async fn decide_once(
        &mut self,
        write: &Write,
        author: &Author,
    ) -> Result<(Result<Decision, DocumentError>, bool), Broken> {
        let mut is_repeated = false;
        if self.may_be_known(write, author) {
            match Box::pin(self.known(write, author)).await? {
                Known::Answered(accepted) => return Ok((Ok(Decision::Before(accepted)), true)),
                Known::Refused(error) => return Ok((Err(error), true)),
                Known::Anew => is_repeated = true,
                Known::No => {}
            }
        }
        Ok((self.decide(write, author).await?, is_repeated))
    }

    /// The latest decision was a dry run: what it would come to is its answer, and nothing of it stays.
    fn take_dry_run_back(&mut self) {
        let pending = self.pending.last().expect("it was decided just now");
        let accepted = self.accepted(pending);
        let pending = self.pending.last_mut().expect("it was decided just now");
        if let Decision::Changed { commit, trace, before, .. } = &mut pending.decided {
            self.document.revert_commit(commit, *trace);
            self.latest = std::mem::take(before);
            pending.decided = Decision::Dry(Box::new(accepted));
        }
    }

    /// Decides on the copy in memory.
    pub(super) async fn decide(
        &mut self,
        write: &Write,
        author: &Author,
    ) -> Result<Result<Decision, DocumentError>, Broken> {
        let (head, existed) = (self.document.version(), self.document.exists());
        if let Err(refused) = self.expected(write, existed) {
            return Ok(Err(refused));
        }
        if let Some(version) = write.base.filter(|&base| base > head) {
            return Ok(Err(DocumentError::VersionNotFound { version, head }));
        }
        let is_delete = matches!(write.proposal, Proposal::Delete);
        let Some(rules) = self.rules(&author.actor) else {
            return Ok(Err(DocumentError::UnknownType { kind: self.name.kind().to_owned() }));
        };
        let terms = Terms {
            allowed: author.may_write.as_deref(),
            view: rules.view.as_deref().filter(|_| !is_delete),
            always: !existed,
            limits: rules.spec.limits,
            ..Terms::default()
        };
        let change = match self.propose(write, author, &rules.spec, &terms).await? {
            Ok(Decided::Unchanged) => return Ok(Ok(Decision::Unchanged)),
            Ok(Decided::Changed(change)) => change,
            Err(refused) => return Ok(Err(refused)),
        };
        let is_object = write.is_bound || self.name.holds_objects();
        if is_object && !self.document.body().is_object() {
            self.document.revert(&change);
            return Ok(Err(DocumentError::NotAnObject { head }));
        }
        let trace = change.trace();
        let mut commit = Commit::of(change, Arc::clone(&author.actor), shared_now());
        commit.base = write.base;
        commit.run_id = write.run_id.as_deref().map(Arc::from).or_else(|| author.run_id.clone());
        commit.mark.clone_from(&write.mark);
        commit.reason.clone_from(&write.reason);
        commit.deleted = is_delete;
        if let Some(origin) = &write.origin {
            commit.client_id = Some(origin.client_id.clone());
            commit.mutation_id = Some(origin.mutation_id);
        }
        let before = std::mem::replace(&mut self.latest, Stamp::of(&commit));
        let fired = self.watchers.set_off(&self.name, &commit, self.document.body());
        Ok(Ok(Decision::Changed { commit: Arc::new(commit), trace, before, fired }))
    }

    fn expected(&self, write: &Write, existed: bool) -> Result<(), DocumentError> {
        let head = self.document.version();
        let conflict = Err(DocumentError::VersionConflict { head });
        match &write.expects {
            Expects::Absent if existed => return Err(DocumentError::AlreadyExists { head }),
            Expects::Present if !existed => return conflict,
            Expects::Version(version) if *version != head => return conflict,
            Expects::OneOf(versions) => {
                let epoch = self.epoch.as_deref().unwrap_or_default();
                if head == 0 || !versions.iter().any(|(of, version)| of == epoch && *version == head) {
                    return conflict;
                }
            }
            Expects::Anything | Expects::Absent | Expects::Present | Expects::Version(_) => {}
        }
        match existed || write.creates {
            true => Ok(()),
            false if head > 0 => Err(DocumentError::Deleted { version: head }),
            false => Err(DocumentError::NotFound),
        }
    }

    async fn propose(
        &mut self,
        write: &Write,
        author: &Author,
        spec: &TypeSpec,
        terms: &Terms<'_>,
    ) -> Result<Result<Decided, DocumentError>, Broken> {
        let head = self.document.version();
        self.skipped.clear();
        if !self.document.exists()
            && let Some(body) = born(&write.proposal, spec, terms)
        {
            let decided = body.and_then(|body| self.bear(&body, spec, terms));
            return Ok(decided.map_err(|refusal| DocumentError::Refused { refusal, head }));
        }
        let commits = match write.base {
            Some(base) if head - base > FURTHEST || !self.reaches(base) => {
                return Ok(Err(DocumentError::BaseTooOld { base, head }));
            }
            Some(base) => Box::pin(self.commits_after(base)).await?,
            None => Box::pin(self.unseen(write, author)).await?,
        };
        let mut since: Vec<Later<'_>> = commits.iter().map(|commit| commit.as_ref().into()).collect();
        if write.base.is_none() {
            for (later, commit) in since.iter_mut().zip(&commits) {
                later.is_own = is_of_run(commit, author);
            }
        }
        let since = since.as_slice();
        let decided = match &write.proposal {
            Proposal::Patch(ops) => self.document.decide(Mutation::Patch { ops, since }, terms),
            Proposal::Merge(patch) => self.document.decide(Mutation::Merge { patch, since }, terms),
            Proposal::Intents(intents) => self.document.decide(Mutation::Intents { intents, since }, terms),
            Proposal::Replace(body) if write.base.is_none() => self.document.decide(Mutation::Replace(body), terms),
            Proposal::Replace(body) => self.document.decide(Mutation::Rewrite { body, since }, terms),
            Proposal::Posted { state, evidence } => return Box::pin(self.take_posted(state, *evidence, terms)).await,
            Proposal::Put(body) if spec.put == Put::Merge && self.document.exists() => {
                let evidence =
                    self.last_read.get(&*author.actor).map_or(Evidence::Unknown, |&read| Evidence::Exact(read));
                return Box::pin(self.take_posted(body, evidence, terms)).await;
            }
            Proposal::Put(body) => self.document.decide(Mutation::Replace(body), terms),
            Proposal::UndoRun { run_id } => return Box::pin(self.undo_run(run_id, terms)).await,
            Proposal::Delete => Ok(Decided::Changed(self.document.end())),
            Proposal::Unreadable(rejection) => {
                return Ok(Err(DocumentError::Unreadable(Box::new(rejection.clone()))));
            }
            Proposal::Rollback { to } => match Box::pin(self.body_to_go_back_to(*to)).await? {
                Ok(body) => self.document.decide(Mutation::Replace(&body), terms),
                Err(refused) => return Ok(Err(refused)),
            },
        };
        Ok(decided.map_err(|refusal| DocumentError::Refused { refusal, head }))
    }

    /// The commits since the version that a run acts on; none where nobody else wrote, or where it is too far back.
    async fn unseen(&self, write: &Write, author: &Author) -> Result<Vec<Arc<Commit>>, Broken> {
        let head = self.document.version();
        let is_near = |seen: &u64| head.checked_sub(*seen).is_some_and(|back| back <= FURTHEST_SEEN);
        let Some(seen) = write.seen.filter(is_near).filter(|&seen| self.reaches(seen)) else { return Ok(Vec::new()) };
        let commits = self.commits_after(seen).await?;
        let is_news = commits.iter().any(|commit| !is_of_run(commit, author));
        Ok(if is_news { commits } else { Vec::new() })
    }

    async fn body_to_go_back_to(&mut self, version: u64) -> Result<Result<Value, DocumentError>, Broken> {
        let head = self.document.version();
        if head == 0 {
            return Ok(Err(DocumentError::NotFound));
        }
        if version == 0 || version > head {
            return Ok(Err(DocumentError::VersionNotFound { version, head }));
        }
        if version <= self.over().await? {
            return self.kept(version).await;
        }
        if self.commit_at(version).await?.deleted {
            return Ok(Err(DocumentError::Deleted { version }));
        }
        Ok(Ok(self.body_at(version).await?))
    }

    /// The first version: what differs from what the type begins with is its author's.
    fn bear(&mut self, body: &Value, spec: &TypeSpec, terms: &Terms<'_>) -> Result<Decided, Refusal> {
        let Some(view) = terms.view else { return self.document.decide(Mutation::Replace(body), terms) };
        if let Some(path) = view.barred(&Pointer::root(), Some(&spec.initial), Some(body)) {
            return Err(Refusal::ForbiddenPath { path });
        }
        let open = view.schema().unrestricted();
        self.document.decide(Mutation::Replace(body), &Terms { view: Some(&open), ..*terms })
    }

    /// Takes back what a run did where nobody wrote since; what stays is in `skipped`. A document that the run deleted
    /// lives again, unless it was the run that made it; one that somebody else deleted stays deleted.
    async fn undo_run(&mut self, run_id: &str, terms: &Terms<'_>) -> Result<Result<Decided, DocumentError>, Broken> {
        let head = self.document.version();
        if self.horizon.dropped > 0 && self.log.has_dropped_of(run_id).await? {
            return Ok(Err(DocumentError::RunOver { run_id: run_id.to_owned(), head }));
        }
        let commits = self.commits_after(head.saturating_sub(FURTHEST).max(self.horizon.dropped)).await?;
        let is_of_run = |commit: &Arc<Commit>| commit.run_id.as_deref() == Some(run_id);
        let Some(first) = commits.iter().position(is_of_run) else {
            return Ok(Err(DocumentError::RunNotHere { run_id: run_id.to_owned() }));
        };
        if !self.document.exists() {
            match (commits.last().is_some_and(is_of_run), would_exist(&commits, is_of_run)) {
                (true, true) => {}
                (true, false) => return Ok(Ok(Decided::Unchanged)),
                (false, _) => return Ok(Err(DocumentError::Deleted { version: head })),
            }
        }
        let of_run: HashSet<u64> =
            commits.iter().filter(|commit| is_of_run(commit)).map(|commit| commit.version).collect();
        let since: Vec<Later<'_>> = commits[first..].iter().map(|commit| commit.as_ref().into()).collect();
        let schema = terms.view.map(View::schema);
        let undone = undo_run(self.document.body(), &since, |later| of_run.contains(&later.version), schema);
        let damaged = || Broken::new(format!("the commits of run {run_id} cannot be taken back"));
        let Undo { ops, skipped } = undone.ok_or_else(damaged)?;
        self.skipped = skipped;
        let limits = Limits { max_ops: usize::MAX, ..terms.limits };
        let decided = self.document.decide(Mutation::Patch { ops: &ops, since: &[] }, &Terms { limits, ..*terms });
        Ok(decided.map_err(|refusal| DocumentError::Refused { refusal, head }))
    }

    async fn take_posted(
        &mut self,
        state: &Value,
        evidence: Evidence,
        terms: &Terms<'_>,
    ) -> Result<Result<Decided, DocumentError>, Broken> {
        let head = self.document.version();
        if let Err(error) = json::check(state, &Limits::default()) {
            return Ok(Err(DocumentError::InvalidJson { error, head }));
        }
        let commits = match evidence {
            Evidence::Exact(since) | Evidence::AtLeast(since)
                if head.checked_sub(since).is_some_and(|back| back <= FURTHEST) && self.reaches(since) =>
            {
                Some(self.commits_after(since).await?)
            }
            Evidence::Exact(_) | Evidence::AtLeast(_) | Evidence::Unknown => None,
        };
        let since: Option<Vec<Later<'_>>> =
            commits.as_ref().map(|commits| commits.iter().map(|commit| commit.as_ref().into()).collect());
        let past = match (evidence, since.as_deref()) {
            (_, None) | (Evidence::Unknown, _) => Past::Unknown,
            (Evidence::AtLeast(_), Some(since)) => Past::Since(since),
            (Evidence::Exact(_), Some(since)) => Past::Exact(since),
        };
        let decided = self.document.decide(Mutation::Posted { state, past }, terms);
        Ok(decided.map_err(|refusal| DocumentError::Refused { refusal, head }))
    }

    /// Whether all commits after a version are still there.
    fn reaches(&self, base: u64) -> bool {
        let durable = self.deltas.version();
        base >= self.horizon.dropped || self.deltas.commits(base, durable).len() as u64 == durable - base
    }

    /// The body at a version that is over, where it is kept.
    async fn kept(&mut self, version: u64) -> Result<Result<Value, DocumentError>, Broken> {
        self.flush().await?;
        let (over, head) = (self.drop_over().await?, self.document.version());
        Ok(match self.log.kept(version).await? {
            Some(kept) if kept.deleted => Err(DocumentError::Deleted { version }),
            Some(kept) => Ok(kept.body),
            None => Err(DocumentError::VersionOver { version, over, head }),
        })
    }

    /// The commits of `(base, head]`, oldest first.
    async fn commits_after(&self, base: u64) -> Result<Vec<Arc<Commit>>, Broken> {
        let mut commits = self.commits_back_to(base).await?;
        commits.reverse();
        Ok(commits)
    }

    /// The commits of `(since, head]`, newest first, those that are not stored yet included.
    pub(super) async fn commits_back_to(&self, since: u64) -> Result<Vec<Arc<Commit>>, Broken> {
        let undurable = self.pending.iter().rev().filter_map(|pending| pending.decided.commit());
        let mut newest_first: Vec<_> = undurable.filter(|commit| commit.version > since).cloned().collect();
        let durable = newest_first.last().map_or(self.document.version(), |commit| commit.version - 1);
        newest_first.extend(commits_back_to(since.min(durable), durable, &self.deltas, &self.log).await?);
        Ok(newest_first)
    }

    pub(super) async fn commit_at(&self, version: u64) -> Result<Arc<Commit>, Broken> {
        let mut commits = self.commits_back_to(version - 1).await?;
        commits.pop().ok_or_else(|| Broken::new(format!("version {version} is missing")))
    }

    /// The body at a version up to the head.
    pub(super) async fn body_at(&self, version: u64) -> Result<Value, Broken> {
        let head = self.document.version();
        if head - version > FURTHEST || version < self.horizon.dropped {
            return Ok(self.log.body_at(version).await?);
        }
        let mut body = self.document.body().clone();
        for commit in self.commits_back_to(version).await? {
            undo(&mut body, &commit.inverse);
        }
        Ok(body)
    }
}

/// Whether the run that writes made a commit itself.
fn is_of_run(commit: &Commit, author: &Author) -> bool {
    commit.run_id.is_some() && commit.run_id == author.run_id && commit.actor == author.actor
}

/// The first body of a document whose type gives it something to begin with; `None` where it gives nothing.
fn born(proposal: &Proposal, spec: &TypeSpec, terms: &Terms<'_>) -> Option<Result<Value, Refusal>> {
    if spec.initial.as_object().is_none_or(|initial| initial.is_empty()) {
        return None;
    }
    let mut scratch = Document::absent();
    let of_creation = Terms { view: None, always: true, ..*terms };
    let since = &[];
    let decided = match proposal {
        Proposal::Replace(body) | Proposal::Put(body) => return Some(Ok(spec.born(body.clone()))),
        Proposal::Patch(ops) => scratch.decide(Mutation::Patch { ops, since }, &of_creation),
        Proposal::Merge(patch) => scratch.decide(Mutation::Merge { patch, since }, &of_creation),
        Proposal::Intents(intents) => scratch.decide(Mutation::Intents { intents, since }, &of_creation),
        Proposal::Posted { .. }
        | Proposal::Delete
        | Proposal::Rollback { .. }
        | Proposal::UndoRun { .. }
        | Proposal::Unreadable(_) => {
            return None;
        }
    };
    Some(decided.map(|_| spec.born(scratch.into_body())))
}

/// Whether the document would be there without the commits of a run, by the latest one that is not the run's.
fn would_exist(commits: &[Arc<Commit>], is_of_run: impl Fn(&Arc<Commit>) -> bool) -> bool {
    let before = || commits.first().is_some_and(|first| first.version > 1);
    commits.iter().rev().find(|commit| !is_of_run(commit)).map_or_else(before, |commit| !commit.deleted)
}

/// A body as JSON text.
pub(super) fn text(body: &Value) -> Arc<RawValue> {
    to_raw_value(body).expect("a value is JSON").into()
}
