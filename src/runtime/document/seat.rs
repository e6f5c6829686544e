//! The seat of a document's owner: whoever sits in it owns the document for one batch of commands.
//!
//! Mostly that is the thread whose agent asks: it takes the free seat and commits at once, without a wake-up there and
//! one back. Who finds the seat taken queues up with the document's task, so that what waits together is committed
//! together. There is one owner at a time, one way to commit, and one order, whoever sits here.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::state::schema::View;

use super::super::outage;
use super::super::triggers::Watchers;
use super::super::types::{DocumentTypes, Names};
use super::actor::{Broken, lend, refuse};
use super::deltas::DeltaTail;
use super::load::Live;
use super::past::Log;
use super::write::DocumentError;
use super::{Command, DocumentRef};

pub(super) struct Seat {
    name: DocumentRef,
    log: Log,
    deltas: Arc<DeltaTail>,
    types: Arc<DocumentTypes>,
    watchers: Arc<Watchers>,
    /// Commands that are queued and not obeyed yet; those who come later may not overtake them.
    queued: AtomicUsize,
    /// A lock, because there is one owner at a time; an asynchronous one, because an owner waits for the store.
    /// Shared, because whoever sits for longer than a batch takes the lock along.
    owner: Arc<Mutex<Owner>>,
}

pub(super) struct Owner {
    /// `None` when the document was not read yet, after a fault of the store, and after an owner that was cut off: the
    /// store knows what it is.
    live: Option<Box<Live>>,
    last_used: Instant,
}

impl Owner {
    pub(super) fn take_back(&mut self, live: Box<Live>) {
        self.live = Some(live);
        self.last_used = Instant::now();
    }
}

impl std::fmt::Debug for Seat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seat").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Seat {
    pub(super) fn new(name: DocumentRef, log: Log, types: Arc<DocumentTypes>, watchers: Arc<Watchers>) -> Self {
        let owner = Arc::new(Mutex::new(Owner { live: None, last_used: Instant::now() }));
        let (deltas, queued) = (Arc::new(DeltaTail::new()), AtomicUsize::new(0));
        Self { name, log, deltas, types, watchers, queued, owner }
    }

    pub(super) fn deltas(&self) -> &DeltaTail {
        &self.deltas
    }

    pub(super) fn view(&self, names: &Names) -> Option<Arc<View>> {
        self.types.view(&self.name.name, names)
    }

    /// Its commits in the store.
    pub(super) fn log(&self) -> &Log {
        &self.log
    }

    /// Obeys a command in the caller's task, or gives it back when the seat is taken or others wait for it.
    ///
    /// A caller must not be cancelled meanwhile: a commit might stand that nobody is shown before the next one.
    pub(super) async fn obey(&self, command: Command) -> Result<(), Box<Command>> {
        let Some(owner) = self.if_free() else { return Err(Box::new(command)) };
        // Boxed, so that the caller's task stays small.
        Box::pin(async move { self.sit(owner, &mut VecDeque::from([command])).await }).await;
        Ok(())
    }

    /// Obeys commands that were queued.
    pub(super) async fn obey_queued(&self, commands: &mut VecDeque<Command>) {
        let owner = Arc::clone(&self.owner).lock_owned().await;
        let count = commands.len();
        self.sit(owner, commands).await;
        self.queued.fetch_sub(count, Ordering::AcqRel);
    }

    pub(super) fn is_idle(&self, time: Duration) -> bool {
        self.owner.try_lock().is_ok_and(|owner| owner.last_used.elapsed() >= time)
    }

    /// Takes the document out of the seat and keeps the seat; `None` when it is taken or others wait for it.
    pub(super) async fn take(&self) -> Option<Result<(Box<Live>, OwnedMutexGuard<Owner>), Broken>> {
        let mut owner = self.if_free()?;
        let live = self.live(&mut owner).await;
        if let Err(broken) = &live {
            self.is_lost(broken);
        }
        Some(live.map(|live| (live, owner)))
    }

    fn if_free(&self) -> Option<OwnedMutexGuard<Owner>> {
        let nobody_waits = self.queued.load(Ordering::Acquire) == 0;
        nobody_waits.then(|| Arc::clone(&self.owner).try_lock_owned().ok()).flatten()
    }

    /// The document is taken out of the seat meanwhile: whatever cuts this off, the next owner asks the store. After a
    /// fault of the store too, so that whoever holds the handle need not know.
    async fn sit(&self, mut owner: OwnedMutexGuard<Owner>, commands: &mut VecDeque<Command>) {
        let served = match self.live(&mut owner).await {
            Ok(live) => self.serve(live, commands).await,
            Err(broken) => Err(broken),
        };
        match served {
            Ok(live) => owner.take_back(live),
            Err(broken) => {
                self.is_lost(&broken);
                commands.drain(..).for_each(|command| refuse(command, &broken.reason));
            }
        }
    }

    async fn live(&self, owner: &mut Owner) -> Result<Box<Live>, Broken> {
        owner.last_used = Instant::now();
        match owner.live.take() {
            Some(live) => Ok(live),
            None => {
                let rules = (Arc::clone(&self.types), Arc::clone(&self.watchers));
                let loading = Live::load(self.name.clone(), self.log.clone(), rules, Arc::clone(&self.deltas));
                Box::pin(loading).await.map(Box::new)
            }
        }
    }

    fn is_lost(&self, broken: &Broken) {
        if let Some(others) = outage::is_to_be_said(&broken.reason) {
            tracing::error!(document = %self.name.name, reason = %broken.reason, others, "a document lost its store");
        }
    }

    async fn serve(&self, mut live: Box<Live>, commands: &mut VecDeque<Command>) -> Result<Box<Live>, Broken> {
        loop {
            match live.obey_all(commands).await {
                Ok(None) => {
                    live.drop_some().await?;
                    return Ok(live);
                }
                Ok(Some(borrower)) => live = Box::pin(lend(live, borrower)).await?,
                Err(broken) => {
                    live.take_back(&DocumentError::Unavailable { reason: broken.reason.clone() });
                    return Err(broken);
                }
            }
        }
    }
}

/// A place in the queue of those who found the seat taken. Given back when its command was not queued after all.
pub(super) struct Queued<'s>(Option<&'s Seat>);

impl<'s> Queued<'s> {
    pub(super) fn up(seat: &'s Seat) -> Self {
        seat.queued.fetch_add(1, Ordering::AcqRel);
        Self(Some(seat))
    }

    /// The command is in the queue; the document's task gives the place back.
    pub(super) fn stays(mut self) {
        self.0 = None;
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        if let Some(seat) = self.0 {
            seat.queued.fetch_sub(1, Ordering::AcqRel);
        }
    }
}
