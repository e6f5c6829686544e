//! What every store engine promises, as functions over `&dyn Store`; the table below runs each on each engine.

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::sync::Arc;

use bytes::Bytes;
use coagent_runtime::store::{
    Append, Batch, CommitError, Committed, Entry, Kind, Limit, Memory, NewEntry, Owner, Remember, Scope, Seq, Settle,
    Sqlite, SqliteOptions, Store, StoreError, StreamKey, Tenant, Waiting, WorkItem, WorkKey,
};

macro_rules! every_engine_promises {
    ($($promise:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                super::$promise(super::Arc::new(super::Memory::new())).await;
            })*
        }
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                let directory = tempfile::tempdir().unwrap();
                let path = directory.path().join("store.db");
                let store = super::Sqlite::open(&path, super::SqliteOptions::default()).unwrap();
                super::$promise(super::Arc::new(store)).await;
            })*
        }
    };
}
pub(super) use every_engine_promises;

every_engine_promises! {
    a_refused_append_takes_the_whole_batch_with_it,
    a_refused_batch_leaves_those_beside_it_alone,
    a_batch_deletes_with_what_it_appends_or_not_at_all,
    a_stale_expectation_is_refused_with_the_actual_position,
    of_concurrent_writers_exactly_one_wins_each_position,
    the_first_append_creates_the_stream_and_mints_its_epoch,
    a_deleted_stream_is_gone_and_comes_back_as_another_lineage,
    an_append_without_entries_sets_the_rest,
    two_appends_to_one_stream_are_applied_in_order,
    touched_orders_streams_by_their_last_change,
    a_repeated_key_answers_its_first_result,
    a_key_twice_in_one_batch_is_refused,
    an_expired_key_is_forgotten,
    the_same_id_elsewhere_is_another_stream,
    keys_are_remembered_per_tenant,
    a_span_covers_several_positions,
    a_read_is_bounded_but_never_empty_handed,
    trimmed_positions_stay_gone,
    a_snapshot_replaces_the_one_before,
    a_listing_pages_newest_first,
    a_listing_by_id_pages_in_order,
    a_listing_back_pages_from_the_last_id,
    a_key_that_overwrites_is_set_anew,
    open_streams_are_found_across_tenants,
    every_commit_wakes_those_who_wait,
    bodies_come_back_byte_for_byte,
    an_absent_stream_reads_as_nothing,
    a_closed_store_refuses_commits,
    work_waits_until_the_commit_that_settles_it,
    work_is_settled_once,
    work_that_was_replaced_is_not_settled_for_what_it_was,
    work_is_listed_when_it_is_due_and_in_order,
    work_put_again_replaces_what_waits,
}

const ALL: Limit = Limit { entries: usize::MAX, bytes: usize::MAX };

fn scope(tenant: &str, owner: &str, kind: Kind) -> Scope {
    Scope { tenant: Tenant::new(tenant), owner: Owner::new(owner), kind }
}

fn stream(id: &str) -> StreamKey {
    scope("acme", "ada", Kind::Document).stream(id)
}

fn append(stream: &StreamKey, expected: u64, bodies: &[&str]) -> Append {
    let entries = bodies.iter().map(|body| NewEntry::one(Bytes::copy_from_slice(body.as_bytes()))).collect();
    Append { entries, ..Append::to(stream.clone(), Seq(expected)) }
}

fn spanning(span: u32, body: &'static str) -> NewEntry {
    NewEntry { span: NonZeroU32::new(span).unwrap(), body: Bytes::from_static(body.as_bytes()) }
}

fn batch(appends: impl IntoIterator<Item = Append>) -> Batch {
    Batch { appends: appends.into_iter().collect(), ..Batch::default() }
}

fn remember(tenant: &str, key: &str, result: &'static str) -> Remember {
    Remember {
        tenant: Tenant::new(tenant),
        key: key.to_owned(),
        result: result.into(),
        expires_at_ms: i64::MAX,
        overwrites: false,
    }
}

fn bodies(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| std::str::from_utf8(&entry.body).unwrap()).collect()
}

async fn commit(store: &dyn Store, append: Append) -> Committed {
    store.commit(append.into()).await.unwrap().remove(0)
}

/// Everything in a stream that exists, from where it was trimmed.
async fn contents(store: &dyn Store, stream: &StreamKey) -> Vec<String> {
    let head = store.head(stream).await.unwrap().unwrap();
    let entries = store.read(stream, head.trimmed, ALL).await.unwrap();
    bodies(&entries).into_iter().map(str::to_owned).collect()
}

async fn a_batch_deletes_with_what_it_appends_or_not_at_all(store: Arc<dyn Store>) {
    let (kept, gone, fresh) = (stream("kept"), stream("gone"), stream("fresh"));
    commit(&*store, append(&kept, 0, &["a"])).await;
    commit(&*store, append(&gone, 0, &["x"])).await;
    let deleting = |expected| Batch {
        delete: vec![gone.clone(), stream("absent"), fresh.clone()],
        ..batch([append(&fresh, 0, &["z"]), append(&kept, expected, &["b"])])
    };

    assert!(matches!(store.commit(deleting(9)).await, Err(CommitError::Stale { .. })));
    assert_eq!(contents(&*store, &gone).await, ["x"], "what is refused deletes nothing");

    assert_eq!(store.commit(deleting(1)).await.unwrap().len(), 2);
    assert_eq!(contents(&*store, &kept).await, ["a", "b"]);
    assert_eq!(store.head(&gone).await.unwrap(), None);
    assert_eq!(store.head(&fresh).await.unwrap(), None, "deletions come after appends");
}

async fn a_refused_append_takes_the_whole_batch_with_it(store: Arc<dyn Store>) {
    let (first, second, fresh) = (stream("first"), stream("second"), stream("fresh"));
    commit(&*store, append(&first, 0, &["a"])).await;
    commit(&*store, append(&second, 0, &["x"])).await;
    let before = store.head(&first).await.unwrap();

    let mut stale = batch([
        Append {
            summary: Some("new".into()),
            open: Some(true),
            snapshot: Some("new".into()),
            trim: Some(Seq(1)),
            ..append(&first, 1, &["b"])
        },
        append(&fresh, 0, &["c"]),
        append(&second, 0, &["y"]),
    ]);
    stale.remember.push(remember("acme", "k", "r"));
    let refused = store.commit(stale).await.unwrap_err();

    assert_eq!(refused, CommitError::Stale { stream: second.clone(), expected: Seq(0), actual: Seq(1) });
    assert_eq!(store.head(&first).await.unwrap(), before);
    assert_eq!(contents(&*store, &first).await, ["a"]);
    assert_eq!(contents(&*store, &second).await, ["x"]);
    assert_eq!(store.head(&fresh).await.unwrap(), None);
    assert_eq!(store.snapshot(&first).await.unwrap(), None);
    assert_eq!(store.remembered(&Tenant::new("acme"), "k").await.unwrap(), None);
}

async fn a_refused_batch_leaves_those_beside_it_alone(store: Arc<dyn Store>) {
    commit(&*store, append(&stream("taken"), 0, &["x"])).await;
    // Handed in together, so that an engine that groups batches groups these.
    let commits: Vec<_> = (0..64)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                let fresh = append(&stream(&format!("fresh{n}")), 0, &["a"]);
                let second = if n % 2 == 0 { format!("other{n}") } else { "taken".to_owned() };
                let mut both = batch([fresh, append(&stream(&second), 0, &["b"])]);
                both.remember.push(remember("acme", &n.to_string(), "r"));
                store.commit(both).await.is_ok()
            })
        })
        .collect();
    for (n, commit) in commits.into_iter().enumerate() {
        let taken = commit.await.unwrap();
        assert_eq!(taken, n % 2 == 0);
        let fresh = store.head(&stream(&format!("fresh{n}"))).await.unwrap();
        assert_eq!(fresh.is_some(), taken, "batch {n}");
        let remembered = store.remembered(&Tenant::new("acme"), &n.to_string()).await.unwrap();
        assert_eq!(remembered.is_some(), taken, "batch {n}");
    }
    assert_eq!(contents(&*store, &stream("taken")).await, ["x"]);
}

async fn a_stale_expectation_is_refused_with_the_actual_position(store: Arc<dyn Store>) {
    let s = stream("s");
    let stale =
        |expected, actual| CommitError::Stale { stream: s.clone(), expected: Seq(expected), actual: Seq(actual) };
    assert_eq!(store.commit(append(&s, 1, &["a"]).into()).await.unwrap_err(), stale(1, 0));
    assert_eq!(store.head(&s).await.unwrap(), None);
    commit(&*store, append(&s, 0, &["a", "b"])).await;
    for expected in [0, 1, 3, u64::MAX] {
        assert_eq!(store.commit(append(&s, expected, &["c"]).into()).await.unwrap_err(), stale(expected, 2));
    }
    assert_eq!(contents(&*store, &s).await, ["a", "b"]);
}

async fn of_concurrent_writers_exactly_one_wins_each_position(store: Arc<dyn Store>) {
    const WRITERS: usize = 8;
    const WINS: usize = 12;
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                let (s, mut expected, mut won) = (stream("s"), Seq::ZERO, Vec::new());
                while won.len() < WINS {
                    let body = format!("{writer}/{}", won.len());
                    match store.commit(append(&s, expected.0, &[&body]).into()).await {
                        Ok(committed) => {
                            assert_eq!(committed[0].seq, expected.plus(1));
                            won.push((committed[0].seq.0, body));
                            expected = committed[0].seq;
                        }
                        Err(CommitError::Stale { actual, .. }) => expected = actual,
                        Err(other) => panic!("{other}"),
                    }
                }
                won
            })
        })
        .collect();
    let mut won = Vec::new();
    for writer in writers {
        won.extend(writer.await.unwrap());
    }
    won.sort();
    let entries = store.read(&stream("s"), Seq::ZERO, ALL).await.unwrap();
    let stored: Vec<_> =
        entries.iter().map(|entry| (entry.seq.0, bodies(std::slice::from_ref(entry))[0].to_owned())).collect();
    assert_eq!(won, stored);
    assert!(stored.iter().map(|(seq, _)| *seq).eq(1..=(WRITERS * WINS) as u64));
}

async fn the_first_append_creates_the_stream_and_mints_its_epoch(store: Arc<dyn Store>) {
    let (s, other) = (stream("s"), stream("other"));
    let first = commit(&*store, append(&s, 0, &["a"])).await;
    let second = commit(&*store, append(&s, 1, &["b"])).await;
    assert_eq!((first.seq, second.seq), (Seq(1), Seq(2)));
    assert_eq!(first.epoch, second.epoch);
    assert_eq!(store.head(&s).await.unwrap().unwrap().epoch, first.epoch);
    assert_ne!(commit(&*store, append(&other, 0, &["a"])).await.epoch, first.epoch);
    let empty = commit(&*store, append(&stream("empty"), 0, &[])).await;
    assert_eq!(empty.seq, Seq::ZERO);
    assert_eq!(commit(&*store, append(&stream("empty"), 0, &["a"])).await.epoch, empty.epoch);
}

async fn a_deleted_stream_is_gone_and_comes_back_as_another_lineage(store: Arc<dyn Store>) {
    let s = stream("s");
    let full = Append { open: Some(true), snapshot: Some("s".into()), ..append(&s, 0, &["a", "b"]) };
    let before = commit(&*store, full).await;
    let touched = store.head(&s).await.unwrap().unwrap().touched;
    assert!(store.delete(&s).await.unwrap());
    assert!(!store.delete(&s).await.unwrap());
    assert_eq!(store.head(&s).await.unwrap(), None);
    assert_eq!(store.snapshot(&s).await.unwrap(), None);
    assert_eq!(store.read(&s, Seq::ZERO, ALL).await.unwrap(), []);
    assert_eq!(store.list(&s.scope, None, 10).await.unwrap(), []);
    assert_eq!(store.open_streams(Kind::Document).await.unwrap(), []);
    let after = commit(&*store, append(&s, 0, &["z"])).await;
    assert_ne!(after.epoch, before.epoch);
    assert_eq!(contents(&*store, &s).await, ["z"]);
    assert!(store.head(&s).await.unwrap().unwrap().touched > touched);
}

async fn an_append_without_entries_sets_the_rest(store: Arc<dyn Store>) {
    let s = stream("s");
    commit(&*store, append(&s, 0, &["a", "b"])).await;
    let nothing = || Append::to(s.clone(), Seq(2));
    commit(&*store, Append { summary: Some("sum".into()), ..nothing() }).await;
    commit(&*store, Append { open: Some(true), ..nothing() }).await;
    commit(&*store, Append { snapshot: Some("snap".into()), ..nothing() }).await;
    let committed = commit(&*store, Append { trim: Some(Seq(1)), ..nothing() }).await;
    assert_eq!(committed.seq, Seq(2));
    let head = store.head(&s).await.unwrap().unwrap();
    assert_eq!(head.summary, Some(Bytes::from("sum")));
    assert!(head.open);
    assert_eq!((head.seq, head.snapshot, head.trimmed), (Seq(2), Some(Seq(2)), Seq(1)));
    commit(&*store, Append { open: Some(false), summary: Some("".into()), ..nothing() }).await;
    let head = store.head(&s).await.unwrap().unwrap();
    assert_eq!((head.open, head.summary), (false, Some(Bytes::new())));
}

async fn two_appends_to_one_stream_are_applied_in_order(store: Arc<dyn Store>) {
    let s = stream("s");
    let committed = store.commit(batch([append(&s, 0, &["a", "b"]), append(&s, 2, &["c"])])).await.unwrap();
    assert_eq!(committed.iter().map(|committed| committed.seq.0).collect::<Vec<_>>(), [2, 3]);
    let refused = store.commit(batch([append(&s, 3, &["d"]), append(&s, 3, &["e"])])).await.unwrap_err();
    assert_eq!(refused, CommitError::Stale { stream: s.clone(), expected: Seq(3), actual: Seq(4) });
    assert_eq!(contents(&*store, &s).await, ["a", "b", "c"]);
}

async fn touched_orders_streams_by_their_last_change(store: Arc<dyn Store>) {
    let touched = async |id| store.head(&stream(id)).await.unwrap().unwrap().touched;
    store.commit(batch(["a", "b", "c"].map(|id| append(&stream(id), 0, &["x"])))).await.unwrap();
    assert!(touched("a").await < touched("b").await && touched("b").await < touched("c").await);
    commit(&*store, append(&stream("a"), 1, &[])).await;
    assert!(touched("a").await > touched("c").await);
    let before = touched("b").await;
    store.commit(append(&stream("b"), 7, &["stale"]).into()).await.unwrap_err();
    assert_eq!(touched("b").await, before);
}

async fn a_repeated_key_answers_its_first_result(store: Arc<dyn Store>) {
    let s = stream("s");
    let once = || Batch {
        appends: vec![append(&s, 0, &["a"])],
        remember: vec![remember("acme", "k", "first")],
        ..Batch::default()
    };
    store.commit(once()).await.unwrap();
    let repeated = CommitError::Repeated { key: "k".to_owned(), result: "first".into() };
    assert_eq!(store.commit(once()).await.unwrap_err(), repeated);
    let other = Batch {
        appends: vec![append(&s, 1, &["b"])],
        remember: vec![remember("acme", "k", "second")],
        ..Batch::default()
    };
    assert_eq!(store.commit(other).await.unwrap_err(), repeated);
    assert_eq!(contents(&*store, &s).await, ["a"]);
    assert_eq!(store.remembered(&Tenant::new("acme"), "k").await.unwrap(), Some("first".into()));
}

async fn a_key_twice_in_one_batch_is_refused(store: Arc<dyn Store>) {
    let twice = Batch { remember: vec![remember("acme", "k", "1"), remember("acme", "k", "2")], ..Batch::default() };
    assert!(matches!(store.commit(twice).await.unwrap_err(), CommitError::Repeated { key, .. } if key == "k"));
    assert_eq!(store.remembered(&Tenant::new("acme"), "k").await.unwrap(), None);
}

async fn an_expired_key_is_forgotten(store: Arc<dyn Store>) {
    let acme = Tenant::new("acme");
    let expired = Remember { expires_at_ms: 1, ..remember("acme", "k", "old") };
    store.commit(Batch { remember: vec![expired], ..Batch::default() }).await.unwrap();
    assert_eq!(store.remembered(&acme, "k").await.unwrap(), None);
    for (key, result) in [("k", "new"), ("l", "other")] {
        store.commit(Batch { remember: vec![remember("acme", key, result)], ..Batch::default() }).await.unwrap();
    }
    assert_eq!(store.remembered(&acme, "k").await.unwrap(), Some("new".into()));
}

async fn the_same_id_elsewhere_is_another_stream(store: Arc<dyn Store>) {
    let scopes = [
        scope("acme", "ada", Kind::Document),
        scope("acme", "ada", Kind::Thread),
        scope("acme", "ada", Kind::Log),
        scope("acme", "bob", Kind::Document),
        Scope { owner: Owner::shared(), ..scope("acme", "", Kind::Document) },
        scope("globex", "ada", Kind::Document),
        // The walls are between the names and not somewhere in their concatenation.
        scope("acmea", "da", Kind::Document),
    ];
    for (n, scope) in scopes.iter().enumerate() {
        commit(&*store, append(&scope.stream("same"), 0, &[&n.to_string()])).await;
    }
    let mut epochs = HashSet::new();
    for (n, scope) in scopes.iter().enumerate() {
        assert_eq!(contents(&*store, &scope.stream("same")).await, [n.to_string()]);
        let listed = store.list(scope, None, 10).await.unwrap();
        assert_eq!(listed.len(), 1, "{scope:?}");
        assert_eq!(listed[0].key, scope.stream("same"));
        assert!(epochs.insert(listed[0].head.epoch.clone()));
    }
    assert!(store.delete(&scopes[0].stream("same")).await.unwrap());
    assert_eq!(contents(&*store, &scopes[3].stream("same")).await, ["3"]);
}

async fn keys_are_remembered_per_tenant(store: Arc<dyn Store>) {
    for (tenant, result) in [("acme", "a"), ("globex", "g")] {
        store.commit(Batch { remember: vec![remember(tenant, "k", result)], ..Batch::default() }).await.unwrap();
    }
    assert_eq!(store.remembered(&Tenant::new("acme"), "k").await.unwrap(), Some("a".into()));
    assert_eq!(store.remembered(&Tenant::new("globex"), "k").await.unwrap(), Some("g".into()));
    assert_eq!(store.remembered(&Tenant::new("initech"), "k").await.unwrap(), None);
}

async fn a_span_covers_several_positions(store: Arc<dyn Store>) {
    let s = stream("s");
    let entries = vec![spanning(1, "a"), spanning(3, "bcd"), spanning(1, "e")];
    assert_eq!(commit(&*store, Append { entries, ..append(&s, 0, &[]) }).await.seq, Seq(5));
    commit(&*store, append(&s, 5, &["f"])).await;
    for (after, expected) in [
        (0, vec!["a", "bcd", "e", "f"]),
        (1, vec!["bcd", "e", "f"]),
        (2, vec!["bcd", "e", "f"]),
        (3, vec!["bcd", "e", "f"]),
        (4, vec!["e", "f"]),
        (5, vec!["f"]),
        (6, vec![]),
        (u64::MAX, vec![]),
    ] {
        let entries = store.read(&s, Seq(after), ALL).await.unwrap();
        assert_eq!(bodies(&entries), expected, "after {after}");
    }
    let entries = store.read(&s, Seq(1), ALL).await.unwrap();
    assert_eq!((entries[0].first(), entries[0].seq, entries[0].span), (Seq(2), Seq(4), 3));
}

async fn a_read_is_bounded_but_never_empty_handed(store: Arc<dyn Store>) {
    let s = stream("s");
    commit(&*store, append(&s, 0, &["0123456789", "1", "2", "3"])).await;
    for (after, entries, bytes, expected) in [
        (0, 2, 1000, vec!["0123456789", "1"]),
        (0, 10, 11, vec!["0123456789", "1"]),
        (0, 10, 10, vec!["0123456789"]),
        (0, 10, 1, vec!["0123456789"]),
        (0, 0, 0, vec!["0123456789"]),
        (1, 10, 2, vec!["1", "2"]),
        (4, 10, 1000, vec![]),
    ] {
        let page = store.read(&s, Seq(after), Limit { entries, bytes }).await.unwrap();
        assert_eq!(bodies(&page), expected, "after {after}, {entries} entries, {bytes} bytes");
    }
}

async fn trimmed_positions_stay_gone(store: Arc<dyn Store>) {
    let s = stream("s");
    let entries = vec![spanning(2, "ab"), spanning(2, "cd"), spanning(1, "e")];
    commit(&*store, Append { entries, ..append(&s, 0, &[]) }).await;
    let trimmed = async |expected: u64, position: u64| {
        commit(&*store, Append { trim: Some(Seq(position)), ..append(&s, expected, &[]) }).await;
        store.head(&s).await.unwrap().unwrap().trimmed.0
    };
    assert_eq!(trimmed(5, 1).await, 0, "an entry goes only as a whole");
    assert_eq!(trimmed(5, 3).await, 2);
    assert_eq!(trimmed(5, 1).await, 2, "trimming never takes back");
    let refused = store.read(&s, Seq(1), ALL).await.unwrap_err();
    assert_eq!(refused, StoreError::Trimmed { stream: s.clone(), trimmed: Seq(2) });
    assert_eq!(bodies(&store.read(&s, Seq(2), ALL).await.unwrap()), ["cd", "e"]);
    let with_own = Append { trim: Some(Seq(u64::MAX)), ..append(&s, 5, &["f"]) };
    assert_eq!(commit(&*store, with_own).await.seq, Seq(6));
    assert_eq!(store.head(&s).await.unwrap().unwrap().trimmed, Seq(6));
    assert_eq!(commit(&*store, append(&s, 6, &["g"])).await.seq, Seq(7), "positions go on");
    assert_eq!(contents(&*store, &s).await, ["g"]);
}

async fn a_snapshot_replaces_the_one_before(store: Arc<dyn Store>) {
    let s = stream("s");
    commit(&*store, append(&s, 0, &["a"])).await;
    assert_eq!(store.snapshot(&s).await.unwrap(), None);
    for (expected, body) in [(1, "one"), (2, "two")] {
        commit(&*store, Append { snapshot: Some(body.into()), ..append(&s, expected, &["x"]) }).await;
        let snapshot = store.snapshot(&s).await.unwrap().unwrap();
        assert_eq!((snapshot.seq, snapshot.body), (Seq(expected + 1), Bytes::from(body)));
        assert_eq!(store.head(&s).await.unwrap().unwrap().snapshot, Some(Seq(expected + 1)));
    }
}

async fn a_listing_pages_newest_first(store: Arc<dyn Store>) {
    let here = scope("acme", "ada", Kind::Thread);
    for n in 0..7 {
        let summary = Some(Bytes::from(format!("summary {n}")));
        commit(&*store, Append { summary, ..append(&here.stream(n.to_string()), 0, &["x"]) }).await;
    }
    commit(&*store, append(&here.stream("2"), 1, &["touched again"])).await;
    let (mut ids, mut before) = (Vec::new(), None);
    loop {
        let page = store.list(&here, before, 3).await.unwrap();
        assert!(page.len() <= 3);
        let Some(last) = page.last() else { break };
        before = Some(last.head.touched);
        for listed in page {
            assert_eq!(store.head(&listed.key).await.unwrap().as_ref(), Some(&listed.head));
            ids.push(listed.key.id.to_string());
        }
    }
    assert_eq!(ids, ["2", "6", "5", "4", "3", "1", "0"]);
    assert_eq!(store.list(&scope("acme", "bob", Kind::Thread), None, 3).await.unwrap(), []);
}

async fn a_listing_by_id_pages_in_order(store: Arc<dyn Store>) {
    let here = scope("acme", "ada", Kind::Document);
    for id in ["task/b", "task/a", "taskb/x", "shared/z", "task/ä", "task/B", "task/\u{10FFFF}"] {
        commit(&*store, append(&here.stream(id), 0, &["x"])).await;
    }
    let (mut ids, mut after) = (Vec::new(), None::<String>);
    loop {
        let page = store.list_by_id(&here, "task/", after.as_deref(), 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.key.id.to_string());
        for listed in page {
            assert_eq!(store.head(&listed.key).await.unwrap().as_ref(), Some(&listed.head));
            ids.push(listed.key.id.to_string());
        }
    }
    assert_eq!(ids, ["task/B", "task/a", "task/b", "task/ä", "task/\u{10FFFF}"]);
    assert_eq!(store.list_by_id(&here, "", None, 100).await.unwrap().len(), 7);
    assert_eq!(store.list_by_id(&scope("acme", "bob", Kind::Document), "", None, 3).await.unwrap(), []);
}

async fn a_listing_back_pages_from_the_last_id(store: Arc<dyn Store>) {
    let here = scope("acme", "ada", Kind::Document);
    for id in ["task/b", "task/a", "taskb/x", "shared/z", "task/ä", "task/B", "task/\u{10FFFF}"] {
        commit(&*store, append(&here.stream(id), 0, &["x"])).await;
    }
    let (mut ids, mut before) = (Vec::new(), None::<String>);
    loop {
        let page = store.list_back(&here, "task/", before.as_deref(), 2).await.unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.key.id.to_string());
        for listed in page {
            assert_eq!(store.head(&listed.key).await.unwrap().as_ref(), Some(&listed.head));
            ids.push(listed.key.id.to_string());
        }
    }
    assert_eq!(ids, ["task/\u{10FFFF}", "task/ä", "task/b", "task/a", "task/B"]);
    assert_eq!(store.list_back(&here, "", None, 100).await.unwrap().len(), 7);
    assert_eq!(store.list_back(&here, "task/\u{10FFFF}", Some("zzz"), 9).await.unwrap().len(), 1);
    assert_eq!(store.list_back(&scope("acme", "bob", Kind::Document), "", None, 3).await.unwrap(), []);
}

async fn a_key_that_overwrites_is_set_anew(store: Arc<dyn Store>) {
    let acme = Tenant::new("acme");
    for result in ["first", "second"] {
        let new = Remember { overwrites: true, ..remember("acme", "k", result) };
        store.commit(Batch { remember: vec![new], ..Batch::default() }).await.unwrap();
        assert_eq!(store.remembered(&acme, "k").await.unwrap(), Some(result.into()));
    }
    let plain = Batch { remember: vec![remember("acme", "k", "third")], ..Batch::default() };
    assert!(matches!(store.commit(plain).await, Err(CommitError::Repeated { .. })));
}

fn work_key(tenant: &str, key: &str) -> WorkKey {
    WorkKey { tenant: Tenant::new(tenant), queue: "runs".to_owned(), key: key.to_owned() }
}

fn work(tenant: &str, key: &str, due_at_ms: i64, body: &'static str) -> WorkItem {
    WorkItem { key: work_key(tenant, key), due_at_ms, body: body.into() }
}

fn putting(items: impl IntoIterator<Item = WorkItem>) -> Batch {
    Batch { put: items.into_iter().collect(), ..Batch::default() }
}

fn settling(settle: impl Into<Settle>) -> Batch {
    Batch { settle: vec![settle.into()], ..Batch::default() }
}

async fn queue(store: &dyn Store) -> Vec<Waiting> {
    store.work("runs", i64::MAX, None, 100).await.unwrap()
}

async fn keys(store: &dyn Store) -> Vec<String> {
    queue(store).await.into_iter().map(|waiting| waiting.item.key.key).collect()
}

async fn work_waits_until_the_commit_that_settles_it(store: Arc<dyn Store>) {
    let mut put = batch([append(&stream("s"), 0, &["asked"])]);
    put.put.push(work("acme", "a", 5, "body"));
    let mut changed = store.changed();
    changed.borrow_and_update();
    store.commit(put.clone()).await.unwrap();
    assert!(changed.has_changed().unwrap());
    let waiting = queue(&*store).await;
    assert_eq!(waiting.iter().map(|it| it.item.clone()).collect::<Vec<_>>(), [work("acme", "a", 5, "body")]);
    assert_eq!(store.waiting(&work_key("acme", "a")).await.unwrap().as_ref(), waiting.first());
    assert_eq!(store.waiting(&work_key("globex", "a")).await.unwrap(), None);

    // A refused batch neither puts nor settles.
    let stale = Batch { put: vec![work("acme", "b", 5, "x")], ..put };
    let stale = Batch { settle: vec![work_key("acme", "a").into()], ..stale };
    assert!(matches!(store.commit(stale).await, Err(CommitError::Stale { .. })));
    assert_eq!(keys(&*store).await, ["a"]);

    changed.borrow_and_update();
    let mut done = batch([append(&stream("s"), 1, &["answered"])]);
    done.settle.push(waiting[0].settled());
    store.commit(done).await.unwrap();
    assert!(changed.has_changed().unwrap());
    assert_eq!(queue(&*store).await, []);
    changed.borrow_and_update();
    store.commit(putting([work("acme", "c", 5, "x")])).await.unwrap();
    assert!(changed.has_changed().unwrap(), "a batch of nothing but work wakes, too");
}

async fn work_is_settled_once(store: Arc<dyn Store>) {
    store.commit(putting([work("acme", "a", 5, "x")])).await.unwrap();
    let commits: Vec<_> = (0..8)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut done = batch([append(&stream(&format!("by{n}")), 0, &["done"])]);
                done.settle.push(work_key("acme", "a").into());
                store.commit(done).await
            })
        })
        .collect();
    let mut done = 0;
    for commit in commits {
        match commit.await.unwrap() {
            Ok(_) => done += 1,
            Err(refused) => assert_eq!(refused, CommitError::Settled { key: work_key("acme", "a") }),
        }
    }
    assert_eq!(done, 1);
    let here = scope("acme", "ada", Kind::Document);
    assert_eq!(store.list_by_id(&here, "by", None, 100).await.unwrap().len(), 1, "the others wrote nothing at all");
    let twice = Batch { settle: vec![work_key("acme", "b").into(), work_key("acme", "b").into()], ..Batch::default() };
    store.commit(putting([work("acme", "b", 5, "x")])).await.unwrap();
    assert!(matches!(store.commit(twice).await, Err(CommitError::Settled { .. })));
    assert_eq!(keys(&*store).await, ["b"]);
}

async fn work_that_was_replaced_is_not_settled_for_what_it_was(store: Arc<dyn Store>) {
    store.commit(putting([work("acme", "a", 5, "old")])).await.unwrap();
    let old = queue(&*store).await.remove(0);
    store.commit(putting([work("acme", "a", 5, "new")])).await.unwrap();
    let refused = store.commit(settling(old.settled())).await.unwrap_err();
    assert_eq!(refused, CommitError::Settled { key: work_key("acme", "a") });
    let new = queue(&*store).await.remove(0);
    assert_eq!(&new.item.body[..], b"new");
    // Done for now, and to be done again later.
    let again = Batch { put: vec![work("acme", "a", 9, "again")], ..settling(new.settled()) };
    store.commit(again).await.unwrap();
    assert_eq!(&queue(&*store).await[0].item.body[..], b"again");
    store.commit(settling(work_key("acme", "a"))).await.unwrap();
    assert_eq!(keys(&*store).await, [""; 0]);
}

async fn work_is_listed_when_it_is_due_and_in_order(store: Arc<dyn Store>) {
    let other =
        WorkItem { key: WorkKey { queue: "timers".to_owned(), ..work_key("acme", "x") }, ..work("acme", "x", 1, "x") };
    store.commit(putting([work("acme", "late", 9, "x"), work("acme", "second", 5, "x"), other])).await.unwrap();
    store.commit(putting([work("globex", "third", 5, "x"), work("acme", "first", -3, "x")])).await.unwrap();
    assert_eq!(keys(&*store).await, ["first", "second", "third", "late"]);
    let (mut paged, mut after) = (Vec::new(), None);
    loop {
        let page = store.work("runs", 5, after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.cursor());
        paged.extend(page.into_iter().map(|waiting| waiting.item.key.key));
    }
    assert_eq!(paged, ["first", "second", "third"]);
    assert_eq!(store.work("runs", -4, None, 9).await.unwrap(), []);
    assert_eq!(store.work("timers", i64::MAX, None, 9).await.unwrap().len(), 1);
    assert_eq!(store.work("nothing", i64::MAX, None, 9).await.unwrap(), []);
}

async fn work_put_again_replaces_what_waits(store: Arc<dyn Store>) {
    store.commit(putting([work("acme", "a", 5, "old"), work("acme", "b", 5, "x")])).await.unwrap();
    store.commit(putting([work("globex", "a", 5, "x")])).await.unwrap();
    store.commit(putting([work("acme", "a", 5, "new")])).await.unwrap();
    let found = queue(&*store).await;
    let shown: Vec<_> = found.iter().map(|it| (it.item.key.tenant.as_str(), it.item.key.key.as_str())).collect();
    assert_eq!(shown, [("acme", "b"), ("globex", "a"), ("acme", "a")]);
    assert_eq!(&found[2].item.body[..], b"new");
    assert!(found.windows(2).all(|pair| pair[0].place < pair[1].place));
}

async fn open_streams_are_found_across_tenants(store: Arc<dyn Store>) {
    let streams = ["acme", "globex", "initech"].map(|tenant| scope(tenant, "ada", Kind::Thread).stream("t"));
    for (stream, open) in streams.iter().zip([Some(true), None, Some(true)]) {
        commit(&*store, Append { open, ..append(stream, 0, &["x"]) }).await;
    }
    commit(&*store, Append { open: Some(true), ..append(&stream("document"), 0, &["x"]) }).await;
    let open = || store.open_streams(Kind::Thread);
    assert_eq!(open().await.unwrap(), [streams[0].clone(), streams[2].clone()]);
    commit(&*store, Append { open: Some(false), ..append(&streams[0], 1, &[]) }).await;
    assert_eq!(open().await.unwrap(), [streams[2].clone()]);
}

async fn every_commit_wakes_those_who_wait(store: Arc<dyn Store>) {
    let mut changed = store.changed();
    for expected in 0..3 {
        changed.borrow_and_update();
        let committing = tokio::spawn({
            let store = store.clone();
            async move { commit(&*store, append(&stream("s"), expected, &["x"])).await }
        });
        changed.changed().await.unwrap();
        // Whoever is woken finds what woke it.
        let head = store.head(&stream("s")).await.unwrap().unwrap();
        assert_eq!(head.seq, Seq(expected + 1));
        assert!(*changed.borrow() >= head.touched);
        committing.await.unwrap();
    }
}

async fn bodies_come_back_byte_for_byte(store: Arc<dyn Store>) {
    let s = scope("tenant\u{0}\u{1F980}", "o'wner", Kind::Log).stream("id/with\nanything%_\"");
    let bodies = [vec![], vec![0; 3], (0..=255).collect(), vec![0xff; 3 << 20]].map(Bytes::from);
    let entries = bodies.iter().cloned().map(NewEntry::one).collect();
    let everything = Append {
        entries,
        summary: Some(bodies[2].clone()),
        snapshot: Some(bodies[3].clone()),
        ..Append::to(s.clone(), Seq::ZERO)
    };
    commit(&*store, everything).await;
    let read = store.read(&s, Seq::ZERO, ALL).await.unwrap();
    assert!(read.iter().map(|entry| &entry.body).eq(&bodies));
    let head = store.head(&s).await.unwrap().unwrap();
    assert_eq!(head.summary.as_ref(), Some(&bodies[2]));
    assert_eq!(store.snapshot(&s).await.unwrap().unwrap().body, bodies[3]);
    assert_eq!(store.list(&s.scope, None, 1).await.unwrap()[0].key, s);
}

async fn an_absent_stream_reads_as_nothing(store: Arc<dyn Store>) {
    let absent = stream("absent");
    assert_eq!(store.head(&absent).await.unwrap(), None);
    assert_eq!(store.read(&absent, Seq(3), ALL).await.unwrap(), []);
    assert_eq!(store.snapshot(&absent).await.unwrap(), None);
    assert_eq!(store.list(&absent.scope, None, 3).await.unwrap(), []);
    assert!(!store.delete(&absent).await.unwrap());
    store.ping().await.unwrap();
}

async fn a_closed_store_refuses_commits(store: Arc<dyn Store>) {
    commit(&*store, append(&stream("s"), 0, &["a"])).await;
    store.close().await.unwrap();
    let refused = store.commit(append(&stream("s"), 1, &["b"]).into()).await.unwrap_err();
    assert!(matches!(refused, CommitError::Unavailable { reason } if reason.contains("closed")));
    assert!(store.ping().await.is_err());
    store.close().await.unwrap();
}

#[test]
fn a_store_url_says_what_is_accepted() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new/folder/store.db");
    for accepted in ["memory:".to_owned(), format!("sqlite:{}", path.display())] {
        assert!(coagent_runtime::store::open(&accepted).is_ok(), "{accepted}");
    }
    assert!(path.exists());
    for refused in [
        "",
        "data.db",
        "memory",
        "sqlite:",
        "sqlite::memory:",
        "sqlite://x.db?mode=rwc",
        "redis://h",
        "postgres://h/db",
    ] {
        let message = coagent_runtime::store::open(refused).err().unwrap().to_string();
        assert!(message.contains("expected memory:, sqlite:PATH or sqlite://PATH"), "{refused}: {message}");
        assert_eq!(message.contains("no postgres engine yet"), refused.starts_with("postgres"));
    }
}
