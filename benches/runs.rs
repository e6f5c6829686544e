//! What runs cost the server: CPU and memory of the real binary, beside a minimal axum handler that sends the same
//! events pre-encoded. Figures are the kernel's accounting of each server process; rounds are interleaved, medians shown.
//!
//! `cargo bench`, or `cargo bench -- quick` for one short round. `cpu`, `memory`, `length`, `state`, `steps`, `live` and
//! `commits` choose what is measured.

mod live;
mod process;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use process::{Process, READING};

const WORKERS: usize = 8;

fn main() -> anyhow::Result<()> {
    if std::env::args().any(|argument| argument == "--pre-encoded") {
        return process::pre_encoded();
    }
    if std::env::args().any(|argument| argument == "--broadcaster") {
        return live::broadcaster();
    }
    rustls::crypto::ring::default_provider().install_default().expect("no other TLS provider is installed before main");
    let quick = std::env::args().any(|argument| argument == "quick");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let parts = ["cpu", "memory", "length", "state", "steps", "live", "commits"];
        let chosen: Vec<String> = std::env::args().filter(|argument| parts.contains(&argument.as_str())).collect();
        let wants = |part: &str| chosen.is_empty() || chosen.iter().any(|chosen| chosen == part);
        let rounds = if quick { 1 } else { 3 };
        if wants("cpu") {
            cpu_per_run(rounds, if quick { 2_000 } else { 10_000 }).await?;
        }
        if wants("memory") {
            memory_per_held_stream(if quick { 200 } else { 1_000 }).await?;
        }
        if wants("length") {
            thread_length(if quick { 200 } else { 1_000 }).await?;
        }
        if wants("state") {
            state_size(rounds, if quick { 100 } else { 400 }).await?;
        }
        if wants("steps") {
            ten_steps(rounds, if quick { 80 } else { 400 }).await?;
        }
        if wants("live") {
            live::fan_out(if quick { 500 } else { 5_000 }, 20).await?;
        }
        if wants("commits") {
            live::durable_commits(Duration::from_secs(if quick { 1 } else { 5 })).await?;
        }
        Ok(())
    })
}

/// CPU for a run of 225 and of 15 events.
async fn cpu_per_run(rounds: usize, runs: usize) -> anyhow::Result<()> {
    for (agent, events) in [("run_225", 225), ("run_15", 15)] {
        let memory = Process::coagent("memory:")?;
        let folder = tempfile::tempdir()?;
        let sqlite = Process::coagent(&format!("sqlite:{}", folder.path().join("bench.db").display()))?;
        let frames = frames_of_one_run(&memory, agent).await?;
        assert_eq!(count(&frames), events, "the bench sends the run that it says");
        let handler = Process::pre_encoded(&frames)?;
        let mut micros = [Vec::new(), Vec::new(), Vec::new()];
        for _ in 0..rounds {
            for (server, micros) in [&handler, &memory, &sqlite].into_iter().zip(&mut micros) {
                // A durable run waits for the disk several times: fewer of them take the same time.
                let runs = if std::ptr::eq(server, &sqlite) { runs / 10 } else { runs };
                let before = server.cpu();
                many_runs(server, agent, runs).await?;
                micros.push((server.cpu() - before).as_secs_f64() * 1e6 / runs as f64);
            }
        }
        let [handler, memory, sqlite] = micros.map(median);
        println!("CPU per run of {events} events: pre-encoded handler {handler:.0} µs");
        println!("  memory:  {memory:.0} µs  ({:.1} × the handler)", memory / handler);
        println!("  sqlite:  {sqlite:.0} µs  ({:.1} × the handler)", sqlite / handler);
    }
    Ok(())
}

/// Resident memory of a run that has said something and waits.
async fn memory_per_held_stream(streams: usize) -> anyhow::Result<()> {
    let server = Process::coagent("memory:")?;
    many_runs(&server, "run_15", 100).await?;
    let before = server.resident_bytes();
    let mut held = Vec::with_capacity(streams);
    for n in 0..streams {
        let mut response = server.post("held", &input(&format!("held-{n}"), &[user(0)])).await?;
        response.chunk().await?;
        held.push(response);
    }
    let grown = server.resident_bytes().saturating_sub(before);
    println!("memory per held stream ({streams} held): {:.1} KB", grown as f64 / 1024.0 / streams as f64);
    Ok(())
}

/// CPU of late runs of one thread beside early ones; the client sends its whole history with each, as AG-UI clients do.
/// The handler gets the same bodies and reads them as JSON: what no server that is sent a history gets around.
async fn thread_length(last: usize) -> anyhow::Result<()> {
    let server = Process::coagent("memory:")?;
    let mut messages = Vec::new();
    let handler = Process::pre_encoded(&frames_of_one_run(&server, "run_15").await?)?;
    let mut blocks = Vec::new();
    for block in 0..last / 50 {
        let before = (server.cpu(), handler.cpu());
        for n in 0..50 {
            messages.push(user(block * 50 + n));
            let input = input("long", &messages);
            handler.drain(READING, &input).await?;
            let events = events_of(&server, "run_15", &input).await?;
            let said = events.iter().find(|event| event["type"] == "TEXT_MESSAGE_START").expect("the agent speaks");
            messages.push(json!({"id": said["messageId"], "role": "assistant", "content": "word ".repeat(10)}));
        }
        let micros = |now: Duration, before: Duration| (now - before).as_secs_f64() * 1e6 / 50.0;
        blocks.push((micros(server.cpu(), before.0), micros(handler.cpu(), before.1)));
    }
    let kilobytes = serde_json::to_vec(&messages)?.len() as f64 / 1024.0;
    let (early, late) = (blocks[0], blocks[blocks.len() - 1]);
    println!("CPU per run, runs 1–50 of one thread: {:.0} µs; runs {}–{last}: {:.0} µs", early.0, last - 49, late.0);
    println!(
        "  {:.2} µs per posted KB ({kilobytes:.0} KB with the last run); a handler that only reads them: {:.2} µs",
        (late.0 - early.0) / kilobytes,
        (late.1 - early.1) / kilobytes,
    );
    Ok(())
}

/// CPU that 20 more deltas add to a run that makes one, by the size of the state they change. The first one of each run
/// makes the next run's snapshot a new one, which is as long as the state.
async fn state_size(rounds: usize, runs: usize) -> anyhow::Result<()> {
    for kilobytes in [1, 100, 1024] {
        let server = Process::coagent("memory:")?;
        let state: Value = (0..kilobytes).map(|n| (format!("k{n}"), Value::from("x".repeat(1000)))).collect();
        let mut seed = input("state", &[user(0)]);
        seed["state"] = state;
        events_of(&server, "deltas_20", &seed).await?;
        let mut micros = [Vec::new(), Vec::new()];
        for round in 0..rounds {
            for (texts, micros) in [&["even", "odd"][..], &["deltas"]].into_iter().zip(&mut micros) {
                let before = server.cpu();
                for n in 0..runs {
                    let text = texts[n % texts.len()];
                    let id = format!("{text}-{round}-{n}");
                    let message = json!({"id": id, "role": "user", "content": text});
                    server.drain("deltas_20", &input("state", &[message])).await?;
                }
                micros.push((server.cpu() - before).as_secs_f64() * 1e6 / runs as f64);
            }
        }
        let [one, with] = micros.map(median);
        println!(
            "20 deltas on a {kilobytes} KB state: {:.1} µs a delta (a run with one: {one:.0} µs)",
            (with - one) / 20.0
        );
    }
    Ok(())
}

/// Runs of ten steps a second (two answers of a model, eight calls between them), with their steps journaled and without.
async fn ten_steps(rounds: usize, runs: usize) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let store = |name: &str| format!("sqlite:{}", folder.path().join(name).display());
    for (engine, stores) in
        [("memory", ["memory:".to_owned(), "memory:".to_owned()]), ("sqlite", ["on.db", "off.db"].map(store))]
    {
        let servers = [Process::coagent(&stores[0])?, Process::coagent(&stores[1])?];
        let mut per_second = [Vec::new(), Vec::new()];
        for _ in 0..rounds {
            for ((server, agent), per_second) in servers.iter().zip(["steps", "steps_off"]).zip(&mut per_second) {
                let began = std::time::Instant::now();
                many_runs(server, agent, runs).await?;
                per_second.push(runs as f64 / began.elapsed().as_secs_f64());
            }
        }
        let [on, off] = per_second.map(median);
        println!("ten-step runs a second, {engine}: {on:.0} journaled, {off:.0} not ({:.2} ×)", on / off);
    }
    Ok(())
}

async fn many_runs(server: &Process, agent: &str, runs: usize) -> anyhow::Result<()> {
    let agent: Arc<str> = agent.into();
    let workers = (0..WORKERS).map(|worker| {
        let agent = Arc::clone(&agent);
        async move {
            for n in 0..runs / WORKERS {
                let thread = format!("{}-{worker}-{n}", uuid::Uuid::now_v7());
                server.drain(&agent, &input(&thread, &[user(0)])).await?;
            }
            anyhow::Ok(())
        }
    });
    futures_util::future::try_join_all(workers).await?;
    Ok(())
}

async fn frames_of_one_run(server: &Process, agent: &str) -> anyhow::Result<Vec<u8>> {
    let response = server.post(agent, &input("sample", &[user(0)])).await?;
    Ok(tokio::time::timeout(Duration::from_secs(10), response.bytes()).await??.to_vec())
}

async fn events_of(server: &Process, agent: &str, input: &Value) -> anyhow::Result<Vec<Value>> {
    let bytes = server.post(agent, input).await?.bytes().await?;
    let lines = bytes.split(|&byte| byte == b'\n').filter_map(|line| line.strip_prefix(b"data: "));
    Ok(lines.map(serde_json::from_slice).collect::<Result<_, _>>()?)
}

fn count(frames: &[u8]) -> usize {
    frames.split(|&byte| byte == b'\n').filter(|line| line.starts_with(b"data: ")).count()
}

fn user(n: usize) -> Value {
    json!({"id": format!("user-{n}"), "role": "user", "content": "go on"})
}

fn input(thread: &str, messages: &[Value]) -> Value {
    json!({
        "threadId": thread, "runId": uuid::Uuid::now_v7().to_string(), "tools": [], "context": [],
        "forwardedProps": {}, "state": {}, "messages": messages,
    })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
