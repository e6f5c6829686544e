//! What every store engine promises of leases: whoever was fenced off writes nothing more.

use std::sync::Arc;
use std::time::Duration;

use coagent_runtime::store::{
    Append, Batch, CommitError, Fence, Kind, Limit, Memory, NewEntry, Owner, Remember, Scope, Seq, Sqlite,
    SqliteOptions, Store, StreamKey, Tenant, WorkItem, WorkKey,
};

use super::store_contract::every_engine_promises;

every_engine_promises! {
    each_lease_has_a_greater_fence,
    a_lease_that_is_held_writes,
    a_batch_of_a_void_lease_is_refused_as_a_whole,
    every_write_of_a_paused_holder_is_refused,
    a_released_lease_writes_no_more,
    a_lease_is_fenced_off_only_when_its_time_is_over,
    what_a_fence_cuts_off_is_all_there_or_not_at_all,
    an_expired_lease_that_nobody_took_goes_on,
    a_renewal_or_a_fencing_off_wins,
    leases_are_nothing_that_a_closed_store_gives,
}

const LONG: Duration = Duration::from_secs(600);
/// A lease whose time is over as soon as it is given.
const NONE: Duration = Duration::ZERO;

fn stream(id: &str) -> StreamKey {
    let (tenant, owner, kind) = (Tenant::new("acme"), Owner::new("ada"), Kind::Log);
    Scope { tenant, owner, kind }.stream(id)
}

/// One more entry of a stream, written under a lease.
fn write(fence: Fence, id: &str, expected: u64) -> Batch {
    let mut append = Append::to(stream(id), Seq(expected));
    append.entries = vec![NewEntry::one("x")];
    Batch { fence: Some(fence), ..append.into() }
}

fn fenced<T>(fence: Fence) -> Result<T, CommitError> {
    Err(CommitError::Fenced { fence })
}

async fn is_expired(store: &dyn Store, fence: Fence) -> Option<bool> {
    let leases = store.leases().await.unwrap();
    leases.into_iter().find(|lease| lease.fence == fence).map(|lease| lease.is_expired)
}

async fn each_lease_has_a_greater_fence(store: Arc<dyn Store>) {
    let mut given = Vec::new();
    for n in 0..5 {
        given.push(store.acquire(&format!("node {n}"), LONG).await.unwrap());
        if n % 2 == 0 {
            store.release(given[n]).await.unwrap();
        }
    }
    assert!(given.is_sorted_by(|one, next| one < next), "{given:?}");
    let leases = store.leases().await.unwrap();
    let listed: Vec<_> = leases.iter().map(|lease| (lease.fence, &*lease.holder, lease.is_expired)).collect();
    assert_eq!(listed, [(given[1], "node 1", false), (given[3], "node 3", false)]);
}

async fn a_lease_that_is_held_writes(store: Arc<dyn Store>) {
    let (mine, other) = (store.acquire("a", LONG).await.unwrap(), store.acquire("b", LONG).await.unwrap());
    store.commit(write(mine, "s", 0)).await.unwrap();
    store.commit(write(other, "s", 1)).await.unwrap();
    store.commit(Batch { fence: None, ..write(mine, "s", 2) }).await.unwrap();
    // A fence that nobody was ever given.
    let unknown = Fence(other.0 + 1);
    assert_eq!(store.commit(write(unknown, "s", 3)).await, fenced(unknown));
}

async fn a_batch_of_a_void_lease_is_refused_as_a_whole(store: Arc<dyn Store>) {
    let acme = Tenant::new("acme");
    let key = |key: &str| WorkKey { tenant: acme.clone(), queue: "runs".to_owned(), key: key.to_owned() };
    let item = |name: &str| WorkItem { key: key(name), due_at_ms: 1, body: "x".into() };
    let mine = store.acquire("a", NONE).await.unwrap();
    store.commit(Batch { put: vec![item("waits")], ..write(mine, "doomed", 0) }).await.unwrap();
    assert!(store.fence_off(mine).await.unwrap());
    let remember = |key: &str| Remember {
        tenant: acme.clone(),
        key: key.to_owned(),
        result: "done".into(),
        expires_at_ms: i64::MAX,
        overwrites: false,
    };
    let everything = || Batch {
        remember: vec![remember("k")],
        put: vec![item("new")],
        settle: vec![key("waits").into()],
        delete: vec![stream("doomed")],
        ..write(mine, "s", 0)
    };
    let mut changed = store.changed();
    changed.borrow_and_update();
    assert_eq!(store.commit(everything()).await, fenced(mine));
    assert!(!changed.has_changed().unwrap());
    assert_eq!(store.head(&stream("s")).await.unwrap(), None);
    assert!(store.head(&stream("doomed")).await.unwrap().is_some());
    assert_eq!(store.remembered(&acme, "k").await.unwrap(), None);
    let waiting = store.work("runs", i64::MAX, None, 9).await.unwrap();
    assert_eq!(waiting.iter().map(|it| it.item.key.key.as_str()).collect::<Vec<_>>(), ["waits"]);
    // Whatever else is wrong with it: a stale position, a repeated key.
    store.commit(Batch { fence: None, remember: vec![remember("k")], ..Batch::default() }).await.unwrap();
    assert_eq!(store.commit(Batch { settle: Vec::new(), ..everything() }).await, fenced(mine));
    assert_eq!(store.commit(write(mine, "s", 9)).await, fenced(mine));
    // Only the lease is in the way.
    let fence = Some(store.acquire("b", LONG).await.unwrap());
    store.commit(Batch { fence, remember: Vec::new(), ..everything() }).await.unwrap();
}

/// It slept past its lease, another took over, and it wakes up in the middle of a hundred writes.
async fn every_write_of_a_paused_holder_is_refused(store: Arc<dyn Store>) {
    let paused = store.acquire("paused", NONE).await.unwrap();
    store.commit(write(paused, "s", 0)).await.unwrap();
    let other = store.acquire("other", LONG).await.unwrap();
    assert!(store.fence_off(paused).await.unwrap());
    let writes = (0..100).map(|n| {
        let store = store.clone();
        // To the stream it knows, exactly where that is; and to streams of its own.
        let batch = if n % 2 == 0 { write(paused, "s", 1) } else { write(paused, &format!("own {n}"), 0) };
        tokio::spawn(async move { store.commit(batch).await })
    });
    let mut refused = 0;
    for written in writes.collect::<Vec<_>>() {
        assert_eq!(written.await.unwrap(), fenced(paused));
        refused += 1;
    }
    assert_eq!(refused, 100);
    store.commit(write(other, "s", 1)).await.unwrap();
    assert_eq!(store.list(&stream("s").scope, None, 9).await.unwrap().len(), 1, "no stream of its own exists");
    assert_eq!(store.renew(paused, LONG).await, fenced(paused));
}

async fn a_released_lease_writes_no_more(store: Arc<dyn Store>) {
    let mine = store.acquire("a", LONG).await.unwrap();
    store.commit(write(mine, "s", 0)).await.unwrap();
    store.release(mine).await.unwrap();
    assert_eq!(store.commit(write(mine, "s", 1)).await, fenced(mine));
    assert_eq!(store.renew(mine, LONG).await, fenced(mine));
    store.release(mine).await.unwrap();
    assert!(store.fence_off(mine).await.unwrap(), "it is void");
}

async fn a_lease_is_fenced_off_only_when_its_time_is_over(store: Arc<dyn Store>) {
    let mine = store.acquire("a", LONG).await.unwrap();
    assert_eq!(is_expired(&*store, mine).await, Some(false));
    assert!(!store.fence_off(mine).await.unwrap());
    store.commit(write(mine, "s", 0)).await.unwrap();
    // A renewal may also shorten it, to nothing.
    store.renew(mine, NONE).await.unwrap();
    assert_eq!(is_expired(&*store, mine).await, Some(true));
    assert!(store.fence_off(mine).await.unwrap());
    assert_eq!(is_expired(&*store, mine).await, None);
    assert!(store.fence_off(mine).await.unwrap(), "it stays void");
    assert_eq!(store.commit(write(mine, "s", 1)).await, fenced(mine));
    let short = store.acquire("b", Duration::from_millis(20)).await.unwrap();
    let wait = async { while is_expired(&*store, short).await != Some(true) {} };
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect("its time passes");
}

/// Writers go on while they are cut off: what was acknowledged is there, and what is there afterwards stays all there is.
async fn what_a_fence_cuts_off_is_all_there_or_not_at_all(store: Arc<dyn Store>) {
    let mine = store.acquire("a", NONE).await.unwrap();
    let writers: Vec<_> = (0..8)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                for expected in 0.. {
                    if let Err(refused) = store.commit(write(mine, &format!("s{n}"), expected)).await {
                        assert_eq!(refused, CommitError::Fenced { fence: mine });
                        return expected;
                    }
                    // An engine that never waits could not be cut off when this test fails.
                    tokio::task::yield_now().await;
                }
                unreachable!("it is fenced off at some time")
            })
        })
        .collect();
    let reached = async { while store.head(&stream("s0")).await.unwrap().is_none_or(|head| head.seq < Seq(5)) {} };
    tokio::time::timeout(Duration::from_secs(20), reached).await.expect("the writers write");
    assert!(store.fence_off(mine).await.unwrap());
    let mut found = Vec::new();
    for n in 0..8 {
        let all = Limit { entries: usize::MAX, bytes: usize::MAX };
        found.push(store.read(&stream(&format!("s{n}")), Seq::ZERO, all).await.unwrap().len() as u64);
    }
    for (writer, found) in writers.into_iter().zip(found) {
        let written = tokio::time::timeout(Duration::from_secs(20), writer).await.expect("it is refused");
        assert_eq!(written.unwrap(), found, "what was acknowledged is what was found");
    }
}

async fn an_expired_lease_that_nobody_took_goes_on(store: Arc<dyn Store>) {
    let mine = store.acquire("a", NONE).await.unwrap();
    assert_eq!(is_expired(&*store, mine).await, Some(true));
    store.commit(write(mine, "s", 0)).await.unwrap();
    store.renew(mine, LONG).await.unwrap();
    assert_eq!(is_expired(&*store, mine).await, Some(false));
    assert!(!store.fence_off(mine).await.unwrap());
    store.commit(write(mine, "s", 1)).await.unwrap();
}

async fn a_renewal_or_a_fencing_off_wins(store: Arc<dyn Store>) {
    for n in 0..50 {
        let mine = store.acquire("a", NONE).await.unwrap();
        let (renewing, fencing) = (store.clone(), store.clone());
        let renewed = tokio::spawn(async move { renewing.renew(mine, LONG).await });
        let taken = tokio::spawn(async move { fencing.fence_off(mine).await.unwrap() });
        let (renewed, taken) = (renewed.await.unwrap(), taken.await.unwrap());
        assert_eq!(renewed.is_ok(), !taken, "{renewed:?}");
        assert_eq!(store.commit(write(mine, &format!("s{n}"), 0)).await.is_ok(), !taken);
    }
}

async fn leases_are_nothing_that_a_closed_store_gives(store: Arc<dyn Store>) {
    let mine = store.acquire("a", NONE).await.unwrap();
    store.close().await.unwrap();
    let refused = [
        store.acquire("b", LONG).await.map(drop),
        store.renew(mine, LONG).await,
        store.release(mine).await,
        store.fence_off(mine).await.map(drop),
    ];
    for refused in refused {
        assert!(matches!(refused, Err(CommitError::Unavailable { reason }) if reason.contains("closed")));
    }
}

#[tokio::test]
async fn fences_go_on_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let mut last = Fence(0);
    for is_closed in [true, false, true] {
        let store = Sqlite::open(&path, SqliteOptions::default()).unwrap();
        for _ in 0..3 {
            let fence = store.acquire("a", LONG).await.unwrap();
            assert!(fence > last, "{fence} after {last}");
            last = fence;
        }
        if is_closed {
            store.close().await.unwrap();
        }
    }
}

#[tokio::test]
async fn leases_end_with_the_process_that_has_the_store_to_itself() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let store = Sqlite::open(&path, SqliteOptions::default()).unwrap();
    let before = store.acquire("a", LONG).await.unwrap();
    store.commit(write(before, "s", 0)).await.unwrap();
    drop(store);
    let store = Sqlite::open(&path, SqliteOptions::default()).unwrap();
    assert_eq!(store.leases().await.unwrap(), []);
    assert_eq!(store.commit(write(before, "s", 1)).await, fenced(before));
    assert_eq!(store.renew(before, LONG).await, fenced(before));
    let after = store.acquire("a", LONG).await.unwrap();
    store.commit(write(after, "s", 1)).await.unwrap();
    assert_eq!(store.commit(write(before, "s", 2)).await, fenced(before));
}
