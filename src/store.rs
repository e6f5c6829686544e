//! Durable streams behind one trait: ordered entries with a head, a snapshot and remembered results; and work that waits.
//!
//! It does not know what the bytes mean, who may see them, or when a stream is worth keeping.

mod batch;
mod clock;
mod error;
mod key;
mod lease;
mod memory;
mod record;
mod sqlite;
mod work;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;

pub use batch::{Append, Batch, Committed, NewEntry, Remember};
pub use error::{CommitError, OpenError, StoreError};
pub use key::{Kind, Owner, Scope, Seq, StreamKey, Tenant};
pub use lease::{Fence, Lease};
pub use memory::Memory;
pub use record::{Entry, Head, Limit, Listed, Snapshot};
pub use sqlite::{Options as SqliteOptions, Sqlite};
pub use work::{Settle, Waiting, WorkCursor, WorkItem, WorkKey};

/// An engine that keeps streams.
///
/// ```text
///   position   1   2   3   4   5   6   7   8   9
///              └─ trimmed ─┘   └span─┘          ^ head.seq; the next append expects it
///                        snapshot at 4 ^ replaces everything up to and including 4
/// ```
///
/// Every engine keeps these promises; each names the test in `tests/suite/store_contract.rs`, `tests/suite/store_leases.rs` or
/// `tests/suite/store_durability.rs` that checks it.
///
/// 1. A commit is atomic over all its streams: `a_refused_append_takes_the_whole_batch_with_it`,
///    `a_refused_batch_leaves_those_beside_it_alone`; those that it [deletes](Batch::delete) included:
///    `a_batch_deletes_with_what_it_appends_or_not_at_all`.
/// 2. A commit has survived a crash and a power cut when it returns (engines that have a disk):
///    `acknowledged_commits_survive_kill_9`, `acknowledged_commits_survive_a_power_cut`,
///    `nothing_is_acknowledged_before_its_sync`.
/// 3. A stale expectation is refused, names the position it met, and writes nothing:
///    `a_stale_expectation_is_refused_with_the_actual_position`; of several writers that expect the
///    same position exactly one wins: `of_concurrent_writers_exactly_one_wins_each_position`.
/// 4. The first append (`expected` 0) creates the stream and mints its epoch, which stays until the
///    stream is deleted: `the_first_append_creates_the_stream_and_mints_its_epoch`,
///    `a_deleted_stream_is_gone_and_comes_back_as_another_lineage`.
/// 5. An append without entries still sets summary, open, snapshot and trim, and what it leaves out
///    stays: `an_append_without_entries_sets_the_rest`.
/// 6. `touched` is a store-wide counter, set by every append to the stream, so it orders streams by
///    their last change: `touched_orders_streams_by_their_last_change`.
/// 7. A key in [`Batch::remember`] that is already remembered and has not expired refuses the whole
///    commit with its result, even when the commit is stale too (a retry is): `a_repeated_key_answers_its_first_result`,
///    `an_expired_key_is_forgotten`. A key that [overwrites](Remember::overwrites) is set instead:
///    `a_key_that_overwrites_is_set_anew`.
/// 8. Tenant, owner and kind are part of every key: the same id elsewhere is another stream:
///    `the_same_id_elsewhere_is_another_stream`, `keys_are_remembered_per_tenant`.
/// 9. Positions are contiguous, also under spans: `a_span_covers_several_positions`. A read begins with
///    the entry that holds position `after + 1` and returns at least one entry when there is one:
///    `a_read_is_bounded_but_never_empty_handed`.
/// 10. Trimmed positions are gone for good, the count goes on, and a read that would start among them is
///     refused, never silently shorter: `trimmed_positions_stay_gone`. Damage is found by checksums and
///     refused with the place: `damage_is_reported_with_its_place`.
/// 11. A newer snapshot replaces the older: `a_snapshot_replaces_the_one_before`.
/// 12. Listing shows one scope, newest first, and pages without gaps: `a_listing_pages_newest_first`; or by id, in the
///     order of its bytes, below a prefix: `a_listing_by_id_pages_in_order`; or back from its end:
///     `a_listing_back_pages_from_the_last_id`.
/// 13. Reads see only what is durable, and [`changed`](Store::changed) wakes after every durable commit:
///     `every_commit_wakes_those_who_wait`.
/// 14. A full disk refuses commits, writes nothing, goes on reading, and takes commits again once there is
///     room: `a_full_disk_refuses_commits_and_recovers`. After an IO error every later commit is
///     refused until restart: `nothing_is_acknowledged_after_a_failed_sync`.
/// 15. After [`close`](Store::close) commits are refused: `a_closed_store_refuses_commits`.
/// 16. Work is [put](Batch::put) and [settled](Batch::settle) with everything else of its batch or not at all, and survives
///     like it: `work_waits_until_the_commit_that_settles_it`,
///     `acknowledged_commits_survive_kill_9`. What is settled already, or was replaced since it was
///     read, refuses the whole batch: `work_is_settled_once`, `work_that_was_replaced_is_not_settled_for_what_it_was`.
///     What a batch settles it may put again.
/// 17. A queue is listed over all tenants, in the order of time due and then insertion, up to a time, in pages:
///     `work_is_listed_when_it_is_due_and_in_order`. A key names work in its tenant and queue only; putting it again replaces
///     what waits there and goes to the end: `work_put_again_replaces_what_waits`.
/// 18. Each lease has a greater fence than every one before it, also after the store was opened anew: `each_lease_has_a_greater_fence`,
///     `fences_go_on_after_a_restart`.
/// 19. A batch that [names](Batch::fence) a void lease is refused as a whole, whatever else is wrong with it; one that names
///     none, or one that is held, expired or not, is taken: `a_batch_of_a_void_lease_is_refused_as_a_whole`,
///     `every_write_of_a_paused_holder_is_refused`, `a_released_lease_writes_no_more`.
/// 20. Only a lease whose time is over can be fenced off; after that it is void for good, and everything that was written
///     under it can be read: `a_lease_is_fenced_off_only_when_its_time_is_over`, `what_a_fence_cuts_off_is_all_there_or_not_at_all`.
/// 21. An expired lease that nobody has fenced off can be renewed; of a renewal and a fencing off that race, one wins and the
///     other hears of it: `an_expired_lease_that_nobody_took_goes_on`, `a_renewal_or_a_fencing_off_wins`.
/// 22. An engine whose store one process has to itself may forget all leases with that process: whoever opens it next finds
///     their fences void: `leases_end_with_the_process_that_has_the_store_to_itself`.
#[async_trait]
pub trait Store: std::fmt::Debug + Send + Sync + 'static {
    /// Writes the whole batch or nothing, and returns once it is durable: one [`Committed`] per append, in order.
    ///
    /// A caller that drops the future does not know whether the batch was written.
    async fn commit(&self, batch: Batch) -> Result<Vec<Committed>, CommitError>;

    /// The stream's newest position and what is set beside it; `None` when it does not exist.
    async fn head(&self, stream: &StreamKey) -> Result<Option<Head>, StoreError>;

    /// Entries after a position, oldest first and without gaps; empty at the head and for an absent stream.
    ///
    /// When a span straddles `after` the whole entry is returned. [`StoreError::Trimmed`] when
    /// `after` is below [`Head::trimmed`].
    async fn read(&self, stream: &StreamKey, after: Seq, limit: Limit) -> Result<Vec<Entry>, StoreError>;

    /// The latest snapshot, if any was ever set.
    async fn snapshot(&self, stream: &StreamKey) -> Result<Option<Snapshot>, StoreError>;

    /// Up to `limit` streams of a scope, newest touched first; the next page has `before` = the last one's `touched`.
    async fn list(&self, scope: &Scope, before: Option<u64>, limit: usize) -> Result<Vec<Listed>, StoreError>;

    /// Up to `limit` streams of a scope whose ids begin with `prefix`, in the order of their bytes; the next page has
    /// `after` = the last one's id.
    async fn list_by_id(
        &self,
        scope: &Scope,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Listed>, StoreError>;

    /// As [`list_by_id`](Self::list_by_id), from the end: the next page has `before` = the last one's id.
    async fn list_back(
        &self,
        scope: &Scope,
        prefix: &str,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Listed>, StoreError>;

    /// Streams marked open in every tenant, oldest touched first: after a restart, what a crash cut off.
    async fn open_streams(&self, kind: Kind) -> Result<Vec<StreamKey>, StoreError>;

    /// The result stored under an idempotency key, while it has not expired.
    async fn remembered(&self, tenant: &Tenant, key: &str) -> Result<Option<Bytes>, StoreError>;

    /// Up to `limit` items of a queue, of every tenant, that are due at or before a time; the next page has `after` = the last
    /// one's cursor.
    async fn work(
        &self,
        queue: &str,
        due_by_ms: i64,
        after: Option<WorkCursor>,
        limit: usize,
    ) -> Result<Vec<Waiting>, StoreError>;

    /// One item, if it waits.
    async fn waiting(&self, key: &WorkKey) -> Result<Option<Waiting>, StoreError>;

    /// Removes a stream with all it holds; answers whether it existed. Keys remembered with it stay until they expire.
    async fn delete(&self, stream: &StreamKey) -> Result<bool, CommitError>;

    /// A new lease for a process, for so long unless it is renewed. `holder` says who it is, to people.
    ///
    /// On a full disk it is given all the same, and its fence stored with the first commit that there is room for: a process that has
    /// written nothing has left nothing to tell apart.
    async fn acquire(&self, holder: &str, time: Duration) -> Result<Fence, CommitError>;

    /// The lease lasts so long from now on; [`CommitError::Fenced`] when it is void.
    async fn renew(&self, fence: Fence, time: Duration) -> Result<(), CommitError>;

    /// Makes a lease void whose holder writes no more; one that is void already stays so.
    async fn release(&self, fence: Fence) -> Result<(), CommitError>;

    /// Makes a lease void whose time is over; answers whether it is void now. From then on no batch that names it is taken,
    /// and every batch that was taken before can be read.
    async fn fence_off(&self, fence: Fence) -> Result<bool, CommitError>;

    /// The leases that are not void, in the order of their fences.
    async fn leases(&self) -> Result<Vec<Lease>, StoreError>;

    /// A counter that moves after every durable change; wait on it instead of polling.
    fn changed(&self) -> watch::Receiver<u64>;

    /// Whether the engine can take commits and answer reads.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Finishes the commits already handed in, refuses further ones, and lets go of the files. Reads may be refused too.
    async fn close(&self) -> Result<(), StoreError>;
}

/// Opens the engine that a URL names: `memory:`, `sqlite:PATH` or `sqlite://PATH`.
///
/// # Errors
/// [`OpenError`] says what is accepted, or why the engine could not be opened.
pub fn open(url: &str) -> Result<Arc<dyn Store>, OpenError> {
    if url == "memory:" {
        return Ok(Arc::new(Memory::new()));
    }
    if let Some(path) = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:")) {
        if path.is_empty() || path.starts_with(':') || path.contains('?') {
            return Err(OpenError::Url(url.to_owned()));
        }
        return Ok(Arc::new(Sqlite::open(path.as_ref(), SqliteOptions::default())?));
    }
    if url.starts_with("postgres:") || url.starts_with("postgresql:") {
        return Err(OpenError::PostgresNotBuilt);
    }
    Err(OpenError::Url(url.to_owned()))
}
