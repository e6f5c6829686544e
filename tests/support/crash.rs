//! The crash rig: a worker process that commits under 16 writers and reports what was acknowledged, faults to
//! put it through, and the check of what must be there afterwards.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use bytes::Bytes;
use coagent_runtime::store::{
    Append, Batch, CommitError, Kind, Limit, NewEntry, Owner, Remember, Scope, Seq, Sqlite, SqliteOptions, Store,
    StreamKey, Tenant, WorkItem, WorkKey,
};

/// The database the worker opens; set only in a worker.
const DATABASE: &str = "COAGENT_STORE_WORKER";
/// What the ids of its operations begin with.
const CYCLE: &str = "COAGENT_STORE_CYCLE";
/// Operations per writer.
const OPERATIONS: &str = "COAGENT_STORE_OPERATIONS";

const WRITERS: usize = 16;
/// Two writers race for each.
const SHARED_STREAMS: usize = 8;
/// Every so many operations a writer also appends to its own stream, in the same batch.
const TWIN_EVERY: u64 = 4;
/// How long nothing may be heard of a worker.
const PATIENCE: Duration = Duration::from_secs(20);

/// One acknowledged operation, as the worker reported it.
#[derive(Clone, Debug)]
pub(crate) struct Acked {
    pub(crate) stream: String,
    pub(crate) seq: u64,
    pub(crate) operation: String,
}

fn stream(id: &str) -> StreamKey {
    Scope { tenant: Tenant::new("acme"), owner: Owner::shared(), kind: Kind::Log }.stream(id)
}

// ---- in the worker ----

/// Does the worker's work when this process is one, and returns at once when it is not.
pub(crate) fn work_if_asked() {
    let Ok(database) = std::env::var(DATABASE) else { return };
    let cycle = std::env::var(CYCLE).unwrap();
    let operations = std::env::var(OPERATIONS).unwrap().parse().unwrap();
    // The parent holds the other end: when it is gone, however it went, so is the worker.
    std::thread::spawn(|| {
        std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
        std::process::exit(3);
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    say("");
    runtime.block_on(async {
        let store = Arc::new(Sqlite::open(Path::new(&database), SqliteOptions::default()).unwrap());
        say("ready");
        let writers: Vec<_> =
            (0..WRITERS).map(|writer| tokio::spawn(write(store.clone(), writer, cycle.clone(), operations))).collect();
        for writer in writers {
            writer.await.unwrap();
        }
        match store.close().await {
            Ok(()) => say("closed"),
            Err(error) => say(&format!("not closed: {error}")),
        }
    });
}

async fn write(store: Arc<Sqlite>, writer: usize, cycle: String, operations: u64) {
    let shared = format!("shared{}", writer % SHARED_STREAMS);
    let own = format!("own{writer}");
    let seq = async |id: &str| store.head(&stream(id)).await.unwrap().map_or(Seq::ZERO, |head| head.seq);
    let (mut expected, mut own_expected) = (seq(&shared).await, seq(&own).await);
    let mut before: Option<String> = None;
    for number in 0..operations {
        let operation = format!("{cycle}.{writer}.{number}");
        let twin = number % TWIN_EVERY == 0;
        loop {
            let twin = twin.then_some((own.as_str(), own_expected));
            match store.commit(batch(&operation, (&shared, expected), twin, before.as_deref())).await {
                Ok(committed) => {
                    expected = committed[0].seq;
                    own_expected = committed.get(1).map_or(own_expected, |committed| committed.seq);
                    say(&format!("ack {shared} {expected} {operation}"));
                    before = Some(operation);
                    break;
                }
                Err(CommitError::Stale { actual, .. }) => expected = actual,
                Err(refused) => {
                    say(&format!("refused {operation}: {refused}"));
                    break;
                }
            }
        }
    }
}

/// Each operation puts itself in the queue, and takes out the writer's one before.
fn batch(operation: &str, shared: (&str, Seq), own: Option<(&str, Seq)>, before: Option<&str>) -> Batch {
    let body = Bytes::from(format!("op:{operation};{:100}", ' '));
    let appends = std::iter::once(shared).chain(own).map(|(id, expected)| Append {
        entries: vec![NewEntry::one(body.clone())],
        ..Append::to(stream(id), expected)
    });
    let (tenant, key) = (Tenant::new("acme"), operation.to_owned());
    let remember = vec![Remember { tenant, key, result: body.clone(), expires_at_ms: i64::MAX, overwrites: false }];
    let put = vec![WorkItem { key: work(operation), due_at_ms: 0, body: body.clone() }];
    let settle = before.map(|before| work(before).into()).into_iter().collect();
    Batch { appends: appends.collect(), remember, put, settle, ..Batch::default() }
}

fn work(operation: &str) -> WorkKey {
    WorkKey { tenant: Tenant::new("acme"), queue: "operations".to_owned(), key: operation.to_owned() }
}

/// One write per line, so that a line is there whole or not at all.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

// ---- in the test ----

/// A running worker; killed when dropped.
pub(crate) struct Worker {
    process: std::process::Child,
    lines: Receiver<String>,
    pub(crate) acked: Vec<Acked>,
    pub(crate) refused: Vec<String>,
}

impl Worker {
    /// Starts one on a database; `under` is a command that runs it, such as a tracer.
    pub(crate) fn start(database: &Path, cycle: &str, operations: u64, under: &[String]) -> Self {
        let me = std::env::current_exe().unwrap();
        let mut command = match under.split_first() {
            None => Command::new(&me),
            Some((tracer, arguments)) => {
                let mut command = Command::new(tracer);
                command.args(arguments).arg(&me);
                command
            }
        };
        command.args(["--exact", "suite::store_durability::child", "--nocapture"]);
        command.env(DATABASE, database).env(CYCLE, cycle).env(OPERATIONS, operations.to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        let (send, lines) = channel();
        let out = BufReader::new(process.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        Self { process, lines, acked: Vec::new(), refused: Vec::new() }
    }

    /// Its process id, as text.
    pub(crate) fn id(&self) -> String {
        self.process.id().to_string()
    }

    /// Waits until it acknowledged so many operations.
    pub(crate) fn until_acked(&mut self, count: usize) {
        while self.acked.len() < count {
            let line = self.lines.recv_timeout(PATIENCE).expect("the worker goes on acknowledging");
            self.note(&line);
        }
    }

    /// Stops it where it stands, as a power cut stops the processor: what it asked of the kernel goes on, but it
    /// acknowledges nothing more. Without this a sync that is under way while the file system is shut down can
    /// answer success for bytes that are gone, which no machine without power could hear.
    pub(crate) fn freeze(&self) {
        run(Command::new("kill").args(["-STOP", &self.id()])).unwrap();
    }

    /// Kills it as kill -9 does; everything it acknowledged is in `acked` afterwards.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.finish();
    }

    /// Waits for its own end.
    pub(crate) fn finish(&mut self) -> ExitStatus {
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.note(&line);
        }
        drop(self.process.stdin.take());
        self.process.wait().unwrap()
    }

    fn note(&mut self, line: &str) {
        if let Some(acked) = line.strip_prefix("ack ") {
            self.acked.push(parse_acked(acked));
        } else if line.starts_with("refused ") {
            self.refused.push(line.to_owned());
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        // Both fail only when it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn parse_acked(text: &str) -> Acked {
    let mut words = text.split_whitespace().map(str::to_owned);
    let mut word = || words.next().expect("an acknowledgement has three words");
    Acked { stream: word(), seq: word().parse().unwrap(), operation: word() }
}

/// What a database must look like whatever happened: everything acknowledged is there, once, where it was
/// acknowledged; streams have no gaps; batches are there whole. Answers how many operations it holds.
pub(crate) fn verify(database: &Path, acked: &[Acked]) -> usize {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Sqlite::open(database, SqliteOptions::default()).unwrap();
        let mut found: BTreeMap<String, (String, u64)> = BTreeMap::new();
        for id in (0..SHARED_STREAMS).map(|n| format!("shared{n}")) {
            for (operation, seq) in operations(&store, &id).await {
                let earlier = found.insert(operation.clone(), (id.clone(), seq));
                assert_eq!(earlier, None, "{operation} is there twice");
            }
        }
        let lost: Vec<_> = acked
            .iter()
            .filter(|acked| found.get(&acked.operation) != Some(&(acked.stream.clone(), acked.seq)))
            .collect();
        assert!(lost.is_empty(), "{} of {} acknowledged operations are lost: {lost:?}", lost.len(), acked.len());
        for Acked { operation, .. } in acked {
            let remembered = store.remembered(&Tenant::new("acme"), operation).await.unwrap();
            assert!(remembered.is_some(), "the result of {operation} is lost");
        }
        let mut twins = 0;
        for writer in 0..WRITERS {
            for (operation, _) in operations(&store, &format!("own{writer}")).await {
                assert!(found.contains_key(&operation), "only half of {operation} is there");
                twins += 1;
            }
        }
        let number = |operation: &str| split(operation).1;
        let waiting = store.work("operations", i64::MAX, None, usize::MAX).await.unwrap();
        let waiting: BTreeMap<_, _> = waiting.iter().map(|it| split(&it.item.key.key)).collect();
        let mut last: BTreeMap<String, u64> = BTreeMap::new();
        for (writer, number) in found.keys().map(|operation| split(operation)) {
            let newest = last.entry(writer).or_default();
            *newest = (*newest).max(number);
        }
        assert_eq!(waiting, last, "the last operation of each writer waits, and no other");
        assert_eq!(twins, found.keys().filter(|operation| number(operation) % TWIN_EVERY == 0).count());
        store.close().await.unwrap();
        found.len()
    })
}

/// The writer and the number of an operation.
fn split(operation: &str) -> (String, u64) {
    let (writer, number) = operation.rsplit_once('.').unwrap();
    (writer.to_owned(), number.parse().unwrap())
}

async fn operations(store: &Sqlite, id: &str) -> Vec<(String, u64)> {
    let (mut all, mut after) = (Vec::new(), Seq::ZERO);
    loop {
        let page = store.read(&stream(id), after, Limit::default()).await.unwrap();
        let Some(last) = page.last() else { return all };
        assert!(page.iter().map(|entry| entry.seq.0).eq(after.0 + 1..=last.seq.0), "{id} has a gap");
        after = last.seq;
        for entry in page {
            let body = String::from_utf8(entry.body.to_vec()).unwrap();
            let (operation, _) = body.strip_prefix("op:").unwrap().split_once(';').unwrap();
            all.push((operation.to_owned(), entry.seq.0));
        }
    }
}

/// A file system of its own under a directory; unmounted when dropped.
pub(crate) struct Mount {
    pub(crate) at: PathBuf,
}

impl Mount {
    /// `mount ARGUMENTS at`; why not, where that is not possible.
    pub(crate) fn new(at: &Path, arguments: &[&str]) -> Result<Self, String> {
        std::fs::create_dir_all(at).unwrap();
        run(Command::new("mount").args(arguments).arg(at))?;
        Ok(Self { at: at.to_owned() })
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily when something still has files open, so that nothing is left behind in any case.
        if run(Command::new("umount").arg(&self.at)).is_err() {
            let _ = run(Command::new("umount").arg("-l").arg(&self.at));
        }
    }
}

/// Runs a command to its end; what it complained of when it failed or does not exist.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}

/// What a system call trace (`strace -f -y -s 8192 -o FILE`) says about a worker: when each operation was first
/// written to the log, which syncs of the log covered it, and when it was acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    written: HashMap<String, usize>,
    /// First and last line of each sync that succeeded.
    pub(crate) syncs: Vec<(usize, usize)>,
    pub(crate) acked: Vec<(String, usize)>,
    /// The line of the first failure that the tracer injected.
    pub(crate) injected: Option<usize>,
}

impl Trace {
    pub(crate) fn parse(trace: &str) -> Self {
        let mut parsed = Self::default();
        let mut syncing: HashMap<&str, usize> = HashMap::new();
        for (at, line) in trace.lines().enumerate() {
            let Some((thread, call)) = line.split_once(' ') else { continue };
            let call = call.trim_start();
            let is_sync = ["fsync", "fdatasync"].iter().any(|name| {
                call.strip_prefix(name).is_some_and(|rest| rest.starts_with('('))
                    || call.starts_with(&format!("<... {name} resumed>"))
            });
            if line.contains("(INJECTED)") {
                parsed.injected.get_or_insert(at);
            }
            if is_sync {
                let start = syncing.remove(thread);
                if call.contains("<unfinished ...>") {
                    syncing.insert(thread, at);
                } else if call.trim_end().ends_with("= 0") && (call.contains("-wal>") || start.is_some()) {
                    parsed.syncs.push((start.unwrap_or(at), at));
                }
            } else if call.starts_with("pwrite64(") && call.contains("-wal>") {
                for operation in call.split("op:").skip(1).filter_map(|rest| rest.split_once(';')) {
                    parsed.written.entry(operation.0.to_owned()).or_insert(at);
                }
            } else if let Some(acked) = call.strip_prefix("write(1<").and_then(|call| call.split_once("\"ack ")) {
                let (words, _) = acked.1.split_once("\\n").expect("a line ends");
                parsed.acked.push((parse_acked(words).operation, at));
            }
        }
        parsed
    }

    /// Whether some sync began after the operation was written and ended before line `end`.
    pub(crate) fn is_synced(&self, operation: &str, end: usize) -> bool {
        let written = self.written.get(operation).copied();
        written.is_some_and(|written| self.syncs.iter().any(|(first, last)| written < *first && *last < end))
    }
}
