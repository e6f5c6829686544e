//! Many writers and readers on few documents, with cuts and kills: at rest everybody holds the same.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use coagent_runtime::state::limits::Limits;
use coagent_runtime::state::patch;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::support::chance::Chance;
use crate::support::linear::{self, Operation};
use crate::support::live::Socket;
use crate::support::server::Home;

const DOCUMENTS: u64 = 8;

/// Where the server is; empty while it is down.
type Address = watch::Receiver<String>;

async fn reconnect(address: &mut Address, client_id: &str) -> Socket {
    loop {
        let url = address.wait_for(|url| !url.is_empty()).await.expect("the test goes on").clone();
        if let Some(socket) = Socket::try_open(&url, client_id).await {
            return socket;
        }
        // Killed while we asked: the next address is another one.
        tokio::select! {
            changed = address.changed() => changed.expect("the test goes on"),
            () = tokio::time::sleep(Duration::from_millis(50)) => {}
        }
    }
}

/// Sends `count` mutations, each until it is answered; how much the counter must have grown.
async fn write(writer: u64, count: u64, mut address: Address, mut chance: Chance) -> u64 {
    let (client_id, doc) = (format!("writer-{writer}"), format!("shared/d{}", writer % DOCUMENTS));
    let mut counted = 0;
    let mut socket: Option<Socket> = None;
    for number in 1..=count {
        let by = chance.below(9) + 1;
        let change = match chance.below(4) {
            0 => {
                json!({"intents": [{"op": "inc", "path": "/count", "by": by}, {"op": "append", "path": "/log", "value": [writer, number]}]})
            }
            1 => {
                json!({"patch": [{"op": "add", "path": "/log/-", "value": [writer, number]}, {"op": "add", "path": format!("/own/w{writer}"), "value": number}]})
            }
            2 => {
                json!({"intents": [{"op": "insert", "path": "/list", "value": {"id": format!("{writer}-{number}")}}, {"op": "append", "path": "/log", "value": [writer, number]}]})
            }
            _ => {
                json!({"patch": [{"op": "add", "path": "/log/0", "value": [writer, number]}, {"op": "add", "path": "/last", "value": {"by": writer, "of": number}}]})
            }
        };
        if change["intents"][0]["op"] == "inc" {
            counted += by;
        }
        let mut frame = json!({"type": "mutate", "channel": 1, "mutation_id": number});
        frame.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        loop {
            let connected = match socket.take() {
                Some(connected) => connected,
                None => {
                    let mut fresh = reconnect(&mut address, &client_id).await;
                    fresh.try_say(&json!({"type": "subscribe", "channel": 1, "doc": doc})).await;
                    fresh
                }
            };
            if let Some(answered) = ask(connected, &frame, number, &mut chance).await {
                socket = Some(answered);
                break;
            }
        }
    }
    counted
}

/// Sends a mutation and reads its answer; `None` where the connection did not last, or was cut on purpose.
async fn ask(mut socket: Socket, frame: &Value, number: u64, chance: &mut Chance) -> Option<Socket> {
    if !socket.try_say(frame).await || chance.one_in(12) {
        return None;
    }
    loop {
        let heard = socket.hear_or_end().await?;
        match heard["type"].as_str() {
            Some("ack") if heard["mutation_id"] == number => return Some(socket),
            Some("reject") => panic!("{heard}"),
            Some("error") => panic!("{heard}"),
            _ => {}
        }
    }
}

/// Follows a document to a version, cut now and then; what it holds then.
async fn read(
    reader: u64,
    mut until: watch::Receiver<BTreeMap<String, u64>>,
    mut address: Address,
    mut chance: Chance,
) -> Value {
    let doc = format!("shared/d{}", reader % DOCUMENTS);
    let mut held: Option<(Value, u64, Value)> = None;
    loop {
        let mut socket = reconnect(&mut address, &format!("reader-{reader}")).await;
        let mut subscribe = json!({"type": "subscribe", "channel": 1, "doc": doc});
        if let Some((epoch, version, _)) = &held {
            subscribe["since"] = json!({"epoch": epoch, "version": version});
        }
        socket.try_say(&subscribe).await;
        loop {
            let target = until.borrow_and_update().get(&doc).copied();
            if let (Some((_, version, body)), Some(target)) = (&held, target) {
                assert!(*version <= target, "version {version} was never acknowledged or read: {target} is the head");
                if *version == target {
                    return body.clone();
                }
            }
            let heard = tokio::select! {
                heard = socket.hear_or_end() => heard,
                changed = until.changed() => {
                    changed.expect("the test goes on");
                    continue;
                }
            };
            let Some(heard) = heard else { break };
            match heard["type"].as_str() {
                Some("snapshot") => {
                    assert!(held.is_none(), "a resume sends deltas: {heard}");
                    held = Some((heard["epoch"].clone(), heard["version"].as_u64().unwrap(), heard["data"].clone()));
                }
                Some("delta") => {
                    let (_, version, body) = held.as_mut().expect("a snapshot comes first");
                    assert_eq!(heard["from"], *version, "no gap and no repetition");
                    let ops = patch::read(heard["ops"].clone(), &Limits::default()).expect("operations");
                    patch::apply(body, &ops, &Limits::default()).expect("a delta applies");
                    *version = heard["to"].as_u64().unwrap();
                }
                _ => {}
            }
            if chance.one_in(60) {
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_two_writers_and_readers_on_eight_documents_converge_through_cuts_and_kills() {
    let mut chance = Chance::seeded();
    let each: u64 = if std::env::var_os("COAGENT_TEST_LONG").is_some() { 400 } else { 30 };
    let home = Home::with_agents(&[]);
    let mut server = home.serve();
    for n in 0..DOCUMENTS {
        let body = json!({"count": 0, "log": [], "own": {}, "list": []});
        server.put_document(&format!("shared/d{n}"), &body, &[]).await;
    }
    let (moves, address) = watch::channel(server.url.clone());
    let (ends, until) = watch::channel(BTreeMap::new());
    let writers: Vec<_> = (0..32).map(|n| tokio::spawn(write(n, each, address.clone(), chance.branch()))).collect();
    let readers: Vec<_> =
        (0..32).map(|n| tokio::spawn(read(n, until.clone(), address.clone(), chance.branch()))).collect();
    for _ in 0..2 {
        // When about a third of the work is done each time.
        let version = server.get_v1("/state/shared/d0").await.version();
        while server.get_v1("/state/shared/d0").await.version() < version + each {}
        moves.send_replace(String::new());
        server = server.crash_and_restart();
        moves.send_replace(server.url.clone());
    }
    let mut counted = vec![0; DOCUMENTS as usize];
    for (n, writer) in writers.into_iter().enumerate() {
        counted[n % DOCUMENTS as usize] += writer.await.expect("a writer ends");
    }
    let mut heads = BTreeMap::new();
    let mut bodies = Vec::new();
    for n in 0..DOCUMENTS {
        let name = format!("shared/d{n}");
        let read = server.get_v1(&format!("/state/{name}")).await;
        assert_eq!(read.version(), 1 + 4 * each, "one version for each mutation of {name}");
        heads.insert(name, read.version());
        bodies.push(read.body["data"].clone());
    }
    ends.send_replace(heads);
    for (n, reader) in readers.into_iter().enumerate() {
        assert_eq!(reader.await.expect("a reader ends"), bodies[n % DOCUMENTS as usize], "reader {n}");
    }
    for (n, body) in bodies.iter().enumerate() {
        assert_eq!(body["count"], counted[n], "document {n}");
        let mut log: Vec<(u64, u64)> = serde_json::from_value(body["log"].clone()).expect("pairs");
        log.sort_unstable();
        let writers = (0..4).map(|k| n as u64 + k * DOCUMENTS);
        let expected: Vec<_> = writers.flat_map(|writer| (1..=each).map(move |number| (writer, number))).collect();
        assert_eq!(log, expected, "every mutation once");
    }
}

/// Compare-and-set writes and reads by one client, until it has done so many.
async fn compare_and_set(
    client: u64,
    count: u64,
    began: Instant,
    http: reqwest::Client,
    mut address: Address,
    mut chance: Chance,
) -> Vec<(u64, Operation)> {
    let now = || u64::try_from(began.elapsed().as_nanos()).expect("a test is short");
    let mut history = Vec::new();
    let mut seen = vec![1; DOCUMENTS as usize];
    let (mut socket, mut sockets): (Option<Socket>, u64) = (None, 0);
    let mut numbers = vec![0; DOCUMENTS as usize];
    for n in 0..count {
        let of = chance.below(DOCUMENTS);
        if chance.one_in(3) {
            let start = now();
            let url = address.wait_for(|url| !url.is_empty()).await.expect("the test goes on").clone();
            let answer = http.get(format!("{url}/v1/state/shared/d{of}")).send().await;
            // A read that was not answered tells nothing.
            let Ok(answer) = answer else { continue };
            let Ok(read) = answer.json::<Value>().await else { continue };
            let (version, value) = (read["version"].as_u64(), read["data"].as_u64().expect("a number"));
            seen[of as usize] = version.expect("a version");
            history.push((of, Operation { start, end: now(), is_write: false, expected: None, version, value }));
            continue;
        }
        if socket.is_none() {
            sockets += 1;
            let mut fresh = reconnect(&mut address, &format!("client-{client}-{sockets}")).await;
            for doc in 0..DOCUMENTS {
                fresh.try_say(&json!({"type": "subscribe", "channel": doc, "doc": format!("shared/d{doc}")})).await;
            }
            numbers.fill(0);
            socket = Some(fresh);
        }
        let mut connected = socket.take().expect("it was opened above");
        numbers[of as usize] += 1;
        let (value, number, start) = (client * 1_000_000 + n + 1, numbers[of as usize], now());
        let frame = json!({"type": "mutate", "channel": of, "mutation_id": number, "replace": value, "if_version": seen[of as usize]});
        let (expected, mut version) = (Some(seen[of as usize]), None);
        if connected.try_say(&frame).await && !chance.one_in(200) {
            while let Some(heard) = connected.hear_or_end().await {
                if heard["channel"] == of && heard["mutation_id"] == number {
                    version = heard["version"].as_u64();
                    let is_refused = heard["type"] == "reject";
                    assert!(!is_refused || heard["code"] == "version_conflict", "{heard}");
                    seen[of as usize] = version.expect("a version");
                    socket = Some(connected);
                    if !is_refused {
                        history.push((of, Operation { start, end: now(), is_write: true, expected, version, value }));
                    }
                    break;
                }
            }
        }
        if version.is_none() {
            history.push((of, Operation { start, end: u64::MAX, is_write: true, expected, version: None, value }));
        }
    }
    history
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compare_and_set_is_linearizable_through_kills() {
    let mut chance = Chance::seeded();
    let clients = 16;
    let each: u64 = if std::env::var_os("COAGENT_TEST_LONG").is_some() { 6_250 } else { 250 };
    let home = Home::with_agents(&[]);
    let mut server = home.serve();
    for n in 0..DOCUMENTS {
        server.put_document(&format!("shared/d{n}"), &json!(0), &[]).await;
    }
    let (moves, address) = watch::channel(server.url.clone());
    let (began, http) = (Instant::now(), server.http().clone());
    let running: Vec<_> = (0..clients)
        .map(|n| tokio::spawn(compare_and_set(n, each, began, http.clone(), address.clone(), chance.branch())))
        .collect();
    for _ in 0..2 {
        let version = server.get_v1("/state/shared/d0").await.version();
        while server.get_v1("/state/shared/d0").await.version() < version + each / 8
            && !running.iter().all(tokio::task::JoinHandle::is_finished)
        {}
        moves.send_replace(String::new());
        server = server.crash_and_restart();
        moves.send_replace(server.url.clone());
    }
    let mut histories = vec![Vec::new(); DOCUMENTS as usize];
    for client in running {
        for (of, operation) in client.await.expect("a client ends") {
            histories[of as usize].push(operation);
        }
    }
    let mut writes = 0;
    for (n, history) in histories.iter().enumerate() {
        linear::check(history, 1, 0).unwrap_or_else(|wrong| panic!("document {n}: {wrong}"));
        writes += history.iter().filter(|operation| operation.is_write && operation.version.is_some()).count();
    }
    assert!(writes as u64 > each, "{writes} writes were acknowledged");
}
