//! What live documents cost: thousands of WebSockets on one document with one writer, beside a bare broadcaster in the
//! same run; and how many commits a second are durable.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, accept_async_with_config, client_async_with_config};

use super::process::Process;

const BUFFER_BYTES: usize = 4 << 10;

type Socket = WebSocketStream<TcpStream>;

fn config() -> WebSocketConfig {
    WebSocketConfig::default().read_buffer_size(BUFFER_BYTES).write_buffer_size(BUFFER_BYTES)
}

/// Delivery, CPU and memory with so many sockets on one document.
pub(crate) async fn fan_out(sockets: usize, writes: usize) -> anyhow::Result<()> {
    println!("{sockets} WebSockets on one document, one writer, {writes} writes one after the other:");
    let bare = Process::broadcaster()?;
    measure("bare broadcaster", &bare, sockets, writes, false).await?;
    drop(bare);
    let coagent = Process::coagent("memory:")?;
    measure("coagent", &coagent, sockets, writes, true).await
}

async fn measure(name: &str, server: &Process, sockets: usize, writes: usize, speaks: bool) -> anyhow::Result<()> {
    let mut writer = connect(server.url()).await?;
    if speaks {
        greet(&mut writer, "writer").await?;
    }
    let before = server.resident_bytes();
    let (began, heard, all) = (Instant::now(), Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let mut readers = Vec::with_capacity(sockets);
    for n in 0..sockets {
        let mut socket = connect(server.url()).await?;
        if speaks {
            greet(&mut socket, &format!("reader-{n}")).await?;
        }
        let (heard, all) = (Arc::clone(&heard), Arc::clone(&all));
        readers.push(tokio::spawn(async move {
            let mut took = Vec::with_capacity(writes);
            while took.len() < writes {
                let Some(Ok(Message::Text(text))) = socket.next().await else { continue };
                let Some(sent) = stamp(&text) else { continue };
                took.push(began.elapsed().as_nanos() as u64 - sent);
                if (heard.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(sockets) {
                    all.notify_one();
                }
            }
            (took, socket)
        }));
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let memory = server.resident_bytes().saturating_sub(before) as f64 / 1024.0 / sockets as f64;
    let cpu = server.cpu();
    for n in 1..=writes {
        let value = began.elapsed().as_nanos();
        let frame = format!(
            r#"{{"type":"mutate","channel":1,"mutation_id":{n},"patch":[{{"op":"add","path":"/t","value":"stamp {value} end"}}]}}"#
        );
        writer.send(Message::text(frame)).await?;
        all.notified().await;
    }
    let cpu = (server.cpu() - cpu).as_secs_f64() * 1e6 / (sockets * writes) as f64;
    let mut took = Vec::with_capacity(sockets * writes);
    for reader in readers {
        took.extend(reader.await?.0);
    }
    took.sort_unstable();
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize] as f64 / 1e6;
    println!(
        "  {name:<17} delivery p50 {:.1} ms, p99 {:.1} ms; CPU {cpu:.2} µs a delivery; {memory:.1} KB a socket",
        at(0.5),
        at(0.99)
    );
    Ok(())
}

/// When a message was sent, wherever it is in the text.
fn stamp(text: &str) -> Option<u64> {
    text.split_once("stamp ")?.1.split_once(' ')?.0.parse().ok()
}

async fn connect(url: &str) -> anyhow::Result<Socket> {
    let address = url.strip_prefix("http://").expect("a plain address");
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(client_async_with_config(format!("ws://{address}/v1/ws"), stream, Some(config())).await?.0)
}

async fn greet(socket: &mut Socket, client: &str) -> anyhow::Result<()> {
    socket.send(Message::text(format!(r#"{{"type":"hello","client_id":"{client}"}}"#))).await?;
    subscribe(socket, "shared/board").await
}

async fn subscribe(socket: &mut Socket, document: &str) -> anyhow::Result<()> {
    let frame = format!(r#"{{"type":"subscribe","channel":1,"doc":"{document}","create":{{}}}}"#);
    socket.send(Message::text(frame)).await?;
    until(socket, r#""type":"live""#).await
}

async fn until(socket: &mut Socket, what: &str) -> anyhow::Result<()> {
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) if text.contains(what) => return Ok(()),
            Some(Ok(Message::Text(text)))
                if text.contains(r#""type":"reject""#) || text.contains(r#""type":"error""#) =>
            {
                anyhow::bail!("expected {what}, not {text}")
            }
            Some(Ok(_)) => {}
            other => anyhow::bail!("expected {what}, not {other:?}"),
        }
    }
}

/// Acknowledged commits a second of writers that each wait for their answer, on documents of their own.
pub(crate) async fn durable_commits(time: Duration) -> anyhow::Result<()> {
    println!("durable commits a second (sqlite, synced before each answer):");
    for writers in [1, 16, 64] {
        let folder = tempfile::tempdir()?;
        let server = Process::coagent(&format!("sqlite:{}", folder.path().join("bench.db").display()))?;
        let working = (0..writers).map(|n| {
            let url = server.url().to_owned();
            async move {
                let mut socket = connect(&url).await?;
                socket.send(Message::text(format!(r#"{{"type":"hello","client_id":"writer-{n}"}}"#))).await?;
                subscribe(&mut socket, &format!("shared/d{n}")).await?;
                let (began, mut id) = (Instant::now(), 0_u64);
                while began.elapsed() < time {
                    id += 1;
                    let frame = format!(
                        r#"{{"type":"mutate","channel":1,"mutation_id":{id},"patch":[{{"op":"add","path":"/n","value":{id}}}]}}"#
                    );
                    socket.send(Message::text(frame)).await?;
                    until(&mut socket, r#""type":"ack""#).await?;
                }
                anyhow::Ok(id as f64 / began.elapsed().as_secs_f64())
            }
        });
        let rates = futures_util::future::try_join_all(working).await?;
        println!("  {writers:>2} writers: {:.0}", rates.iter().sum::<f64>());
    }
    Ok(())
}

/// The floor: sends what any socket says to every socket, without looking at it.
pub(crate) fn broadcaster() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        eprintln!("listening on http://{}", listener.local_addr()?);
        let (said, _) = watch::channel(Utf8Bytes::default());
        let said = Arc::new(said);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let said = Arc::clone(&said);
            tokio::spawn(async move {
                let mut socket = accept_async_with_config(stream, Some(config())).await?;
                let mut heard = said.subscribe();
                loop {
                    tokio::select! {
                        message = socket.next() => match message {
                            Some(Ok(Message::Text(text))) => drop(said.send_replace(text)),
                            Some(Ok(_)) => {}
                            Some(Err(_)) | None => return anyhow::Ok(()),
                        },
                        changed = heard.changed() => {
                            changed?;
                            let text = heard.borrow_and_update().clone();
                            socket.send(Message::Text(text)).await?;
                        }
                    }
                }
            });
        }
    })
}
