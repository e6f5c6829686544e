//! What the SQLite engine keeps through crashes, power cuts, failing syncs, full disks and damaged files.

use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use coagent_runtime::store::{
    Append, CommitError, Kind, Limit, NewEntry, OpenError, Owner, Scope, Seq, Sqlite, SqliteOptions, Store, StoreError,
    StreamKey, Tenant,
};

use crate::support::crash::{Acked, Mount, Trace, Worker, run, verify, work_if_asked};

/// Not a test: what the others run as a process of its own.
#[test]
fn child() {
    work_if_asked();
}

const ENDLESS: u64 = u64::MAX;

fn database(directory: &Path) -> PathBuf {
    directory.join("store.db")
}

fn open(path: &Path) -> Sqlite {
    Sqlite::open(path, SqliteOptions::default()).unwrap()
}

fn stream(id: &str) -> StreamKey {
    Scope { tenant: Tenant::new("acme"), owner: Owner::new("ada"), kind: Kind::Document }.stream(id)
}

fn append(id: &str, expected: u64, body: impl Into<Bytes>) -> Append {
    Append { entries: vec![NewEntry::one(body)], ..Append::to(stream(id), Seq(expected)) }
}

/// A few cycles want different moments; which ones they were is printed with a failure.
fn moments(count: usize) -> impl Iterator<Item = usize> {
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    (1..=count as u64).map(move |n| 20 + (seed.wrapping_mul(n).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 57) as usize)
}

#[test]
fn acknowledged_commits_survive_kill_9() {
    let directory = tempfile::tempdir().unwrap();
    let path = database(directory.path());
    let mut acked: Vec<Acked> = Vec::new();
    for (cycle, moment) in moments(10).enumerate() {
        let mut worker = Worker::start(&path, &cycle.to_string(), ENDLESS, &[]);
        worker.until_acked(moment * 4);
        worker.kill();
        acked.append(&mut worker.acked);
        verify(&path, &acked);
    }
    println!("{} acknowledged operations over 10 kills, none lost", acked.len());
}

#[test]
fn acknowledged_commits_survive_a_power_cut() {
    let directory = tempfile::tempdir().unwrap();
    let (image, at, cut) =
        <(PathBuf, PathBuf, PathBuf)>::from(["image", "mount", "godown"].map(|name| directory.path().join(name)));
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/godown.c");
    let prepared = run(Command::new("cc").arg("-o").arg(&cut).arg(source))
        .and_then(|()| run(Command::new("truncate").args(["-s", "64M"]).arg(&image)))
        .and_then(|()| run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image)));
    let mount = || Mount::new(&at, &["-o", "loop", image.to_str().unwrap()]);
    let mut mounted = match prepared.and_then(|()| mount()) {
        Ok(mounted) => mounted,
        Err(why) => return println!("skipped: no loop-mounted ext4 to cut the power of: {why}"),
    };
    let mut acked: Vec<Acked> = Vec::new();
    for (cycle, moment) in moments(4).enumerate() {
        let path = database(&mounted.at);
        let mut worker = Worker::start(&path, &cycle.to_string(), ENDLESS, &[]);
        worker.until_acked(moment);
        worker.freeze();
        run(Command::new(&cut).arg(&mounted.at)).unwrap();
        worker.kill();
        acked.append(&mut worker.acked);
        drop(worker);
        drop(mounted);
        mounted = mount().unwrap();
        verify(&path, &acked);
    }
    println!("{} acknowledged operations over 4 power cuts, none lost", acked.len());
}

/// Runs a worker under `strace` to its end; its trace, or why there is none.
fn traced(path: &Path, cycle: &str, operations: u64, options: &[&str]) -> Result<(Worker, Trace), String> {
    run(Command::new("strace").args(["-o", "/dev/null", "true"]))?;
    let log = path.with_extension("trace");
    let mut under: Vec<String> = ["strace", "-f", "-y", "-qq", "-s", "8192", "-o"].map(str::to_owned).into();
    under.push(log.to_str().unwrap().to_owned());
    under.extend(options.iter().map(|option| (*option).to_owned()));
    let mut worker = Worker::start(path, cycle, operations, &under);
    worker.finish();
    let trace = Trace::parse(&std::fs::read_to_string(&log).unwrap());
    Ok((worker, trace))
}

const CALLS: &str = "trace=fsync,fdatasync,write,pwrite64";

#[test]
fn nothing_is_acknowledged_before_its_sync() {
    let directory = tempfile::tempdir().unwrap();
    let path = database(directory.path());
    let (worker, trace) = match traced(&path, "t", 12, &["-e", CALLS]) {
        Ok(traced) => traced,
        Err(why) => return println!("skipped: no system call trace: {why}"),
    };
    assert_eq!(worker.acked.len(), 16 * 12);
    assert_eq!(trace.acked.len(), worker.acked.len(), "every acknowledgement is in the trace");
    for (operation, at) in &trace.acked {
        assert!(trace.is_synced(operation, *at), "{operation} was acknowledged before its sync");
    }
    let (syncs, acked) = (trace.syncs.len(), worker.acked.len());
    println!("{acked} acknowledgements after {syncs} syncs");
    assert!(syncs < acked / 2, "writers that wait together share a sync: {syncs} syncs for {acked} commits");
    verify(&path, &worker.acked);
}

#[test]
fn nothing_is_acknowledged_after_a_failed_sync() {
    // Only one fails, and would have hidden the loss had it been tried again; and all fail from there on.
    for (cycle, when) in ["3", "6", "4+", "9+"].into_iter().enumerate() {
        let directory = tempfile::tempdir().unwrap();
        let path = database(directory.path());
        verify(&path, &[]);
        let inject = format!("inject=fsync,fdatasync:error=EIO:when={when}");
        let (worker, trace) = match traced(&path, &cycle.to_string(), 20, &["-e", CALLS, "-e", &inject]) {
            Ok(traced) => traced,
            Err(why) => return println!("skipped: no failing syncs: {why}"),
        };
        let failed = trace.injected.expect("a sync failed");
        for (operation, at) in &trace.acked {
            assert!(trace.is_synced(operation, failed.min(*at)), "{operation} was acknowledged after a failed sync");
        }
        assert!(!worker.refused.is_empty() && worker.refused.iter().all(|line| line.contains("until a restart")));
        verify(&path, &worker.acked);
    }
}

#[test]
fn a_crash_at_any_sync_leaves_every_acknowledged_commit() {
    for sync in 1..=12 {
        let directory = tempfile::tempdir().unwrap();
        let path = database(directory.path());
        let inject = format!("inject=fsync,fdatasync:signal=SIGKILL:when={sync}");
        match traced(&path, "k", 8, &["-e", CALLS, "-e", &inject]) {
            Ok((worker, _)) => verify(&path, &worker.acked),
            Err(why) => return println!("skipped: no crash at a chosen sync: {why}"),
        };
    }
}

#[tokio::test]
async fn a_full_disk_refuses_commits_and_recovers() {
    let directory = tempfile::tempdir().unwrap();
    let mounted = match Mount::new(&directory.path().join("small"), &["-t", "tmpfs", "-o", "size=4m", "tmpfs"]) {
        Ok(mounted) => mounted,
        Err(why) => return println!("skipped: no small disk to fill: {why}"),
    };
    let (path, ballast) = (database(&mounted.at), mounted.at.join("ballast"));
    std::fs::write(&ballast, vec![0; 1 << 20]).unwrap();
    let store = open(&path);
    let mut taken = 0;
    let body = |n: u64| Bytes::from(vec![n as u8; 50_000]);
    let refused = loop {
        match store.commit(append("s", taken, body(taken)).into()).await {
            Ok(_) => taken += 1,
            Err(refused) => break refused,
        }
    };
    assert_eq!(refused, CommitError::Full);
    assert!(taken > 5, "{taken}");
    let all_there = async |store: &Sqlite, count: u64| {
        let mut after = Seq::ZERO;
        while let Some(entry) = store.read(&stream("s"), after, Limit { entries: 1, bytes: 0 }).await.unwrap().pop() {
            assert_eq!(entry.body, body(after.0));
            after = entry.seq;
        }
        assert_eq!(after.0, count);
    };
    for _ in 0..3 {
        assert_eq!(store.commit(append("s", taken, vec![0; 3 << 20]).into()).await.unwrap_err(), CommitError::Full);
        all_there(&store, taken).await;
        store.ping().await.unwrap();
    }
    std::fs::remove_file(&ballast).unwrap();
    store.commit(append("s", taken, body(taken)).into()).await.unwrap();
    all_there(&store, taken + 1).await;
    store.close().await.unwrap();
    let store = open(&path);
    all_there(&store, taken + 1).await;
    store.close().await.unwrap();
}

#[tokio::test]
async fn damage_is_reported_with_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let path = database(directory.path());
    let all = Limit { entries: usize::MAX, bytes: usize::MAX };
    for (damage, after, expected) in [
        ("UPDATE entries SET body = CAST('e7X' AS BLOB) WHERE seq = 7", 0, Some(7)),
        ("UPDATE entries SET body = CAST('e7X' AS BLOB) WHERE seq = 7", 7, None),
        ("UPDATE entries SET crc = crc + 1 WHERE seq = 7", 3, Some(7)),
        ("UPDATE entries SET span = 2 WHERE seq = 7", 3, Some(7)),
        ("DELETE FROM entries WHERE seq = 1", 0, Some(1)),
        ("DELETE FROM entries WHERE seq = 4", 0, Some(4)),
        ("DELETE FROM entries WHERE seq > 8", 0, Some(9)),
        ("DELETE FROM entries", 0, Some(1)),
        ("UPDATE streams SET seq = 5", 0, Some(5)),
        ("UPDATE streams SET trimmed = 3", 3, Some(10)),
        ("UPDATE streams SET epoch = 'other'", 0, Some(10)),
        ("UPDATE snapshots SET body = CAST('other' AS BLOB)", 0, None),
    ] {
        let store = open(&path);
        store.delete(&stream("s")).await.unwrap();
        let entries = (1..=10).map(|n| NewEntry::one(format!("e{n}"))).collect();
        let whole = Append { entries, snapshot: Some("snapshot".into()), ..Append::to(stream("s"), Seq::ZERO) };
        store.commit(whole.into()).await.unwrap();
        store.close().await.unwrap();
        assert!(rusqlite::Connection::open(&path).unwrap().execute(damage, []).unwrap() > 0);

        let store = open(&path);
        let corrupt = |seq| StoreError::Corrupt { stream: stream("s"), seq: Seq(seq) };
        let read = store.read(&stream("s"), Seq(after), all).await;
        match expected {
            Some(seq) => assert_eq!(read.unwrap_err(), corrupt(seq), "{damage}"),
            None => assert_eq!(read.unwrap().len() as u64, 10 - after, "{damage}"),
        }
        if damage.contains("snapshots") {
            assert_eq!(store.snapshot(&stream("s")).await.unwrap_err(), corrupt(10));
        }
        if damage.contains("streams") {
            assert!(store.head(&stream("s")).await.is_err() && store.list(&stream("s").scope, None, 9).await.is_err());
            let refused = store.commit(append("s", 10, "x").into()).await.unwrap_err();
            assert!(matches!(refused, CommitError::Unavailable { reason } if reason.contains("damaged")));
        }
        store.commit(append("other", 0, "the rest goes on").into()).await.unwrap();
        store.delete(&stream("other")).await.unwrap();
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = database(directory.path());
    let store = open(&path);
    let mut everything: coagent_runtime::store::Batch = Append {
        summary: Some("summary".into()),
        open: Some(true),
        snapshot: Some("snapshot".into()),
        ..append("s", 0, "body")
    }
    .into();
    everything.remember.push(coagent_runtime::store::Remember {
        tenant: Tenant::new("acme"),
        key: "k".to_owned(),
        result: "r".into(),
        expires_at_ms: i64::MAX,
        overwrites: false,
    });
    store.commit(everything).await.unwrap();
    store.commit(append("newest", 0, "x").into()).await.unwrap();
    store.delete(&stream("newest")).await.unwrap();
    let (head, changed) = (store.head(&stream("s")).await.unwrap(), *store.changed().borrow());
    store.close().await.unwrap();

    let store = open(&path);
    assert_eq!(store.head(&stream("s")).await.unwrap(), head);
    assert_eq!(store.read(&stream("s"), Seq::ZERO, Limit::default()).await.unwrap()[0].body, "body");
    assert_eq!(store.snapshot(&stream("s")).await.unwrap().unwrap().body, "snapshot");
    assert_eq!(store.open_streams(Kind::Document).await.unwrap(), [stream("s")]);
    assert_eq!(store.remembered(&Tenant::new("acme"), "k").await.unwrap(), Some("r".into()));
    store.commit(append("s", 1, "next").into()).await.unwrap();
    let touched = store.head(&stream("s")).await.unwrap().unwrap().touched;
    assert!(touched >= changed, "the counter goes on where it was: {touched} after {changed}");
    store.close().await.unwrap();
}

#[tokio::test]
async fn the_log_starts_over_under_constant_reading() {
    let directory = tempfile::tempdir().unwrap();
    let path = database(directory.path());
    let store = std::sync::Arc::new(open(&path));
    store.commit(append("s", 0, vec![7; 100_000]).into()).await.unwrap();
    let reading = tokio::spawn({
        let store = store.clone();
        async move {
            loop {
                store.read(&stream("s"), Seq::ZERO, Limit::default()).await.unwrap();
            }
        }
    });
    for written in 1..300 {
        store.commit(append("s", written, vec![7; 100_000]).into()).await.unwrap();
    }
    reading.abort();
    let log = std::fs::metadata(directory.path().join("store.db-wal")).unwrap().len();
    assert!(log < 20 << 20, "the log is {log} bytes after 30 MB of commits");
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_second_process_is_refused_and_told_by_whom() {
    let directory = tempfile::tempdir().unwrap();
    let path = database(directory.path());
    let mut worker = Worker::start(&path, "w", ENDLESS, &[]);
    worker.until_acked(1);
    let refused = Sqlite::open(&path, SqliteOptions::default()).unwrap_err();
    assert!(matches!(&refused, OpenError::InUse { holder, .. } if *holder == worker.id()), "{refused}");
    worker.kill();
    let store = open(&path);
    let alias = directory.path().join("x/../store.db");
    std::fs::create_dir(directory.path().join("x")).unwrap();
    assert!(matches!(Sqlite::open(&alias, SqliteOptions::default()), Err(OpenError::InUse { .. })));
    store.close().await.unwrap();
    open(&path).close().await.unwrap();
}

#[test]
fn a_database_of_another_release_or_program_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let refused = |sql: &str| {
        let path = directory.path().join(format!("{}.db", sql.len()));
        rusqlite::Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        let before = std::fs::read(&path).unwrap();
        let message = Sqlite::open(&path, SqliteOptions::default()).unwrap_err().to_string();
        assert_eq!(std::fs::read(&path).unwrap(), before);
        message
    };
    let newer = refused("PRAGMA application_id = 0x434f4147; PRAGMA user_version = 7; CREATE TABLE streams (x)");
    assert!(newer.contains("has schema 7, this release knows up to 2: use a newer release"), "{newer}");
    assert!(refused("CREATE TABLE theirs (x)").contains("belongs to another program"));
    assert!(refused("PRAGMA user_version = 1").contains("belongs to another program"));
    let text = directory.path().join("notes.txt");
    std::fs::write(&text, "not a database, but long enough to be read as the header of one. ".repeat(20)).unwrap();
    let message = Sqlite::open(&text, SqliteOptions::default()).unwrap_err().to_string();
    assert!(message.contains("file is not a database"), "{message}");
}
