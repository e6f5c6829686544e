//! A fake server, of an AG-UI agent or of a model: a raw socket that answers each POST with bytes the test chose, at the
//! pace it chose.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

/// In an answer: the rest of it comes when the test says so ([`Upstream::goes_on`]). A comment, as far as SSE goes.
pub(crate) const WAIT: &str = ": the test is awaited\n\n";

/// How a request is answered.
#[derive(Clone)]
pub(crate) struct Answer {
    pub(crate) bytes: Vec<u8>,
    /// Bytes a write; 0 = all at once.
    pub(crate) piece: usize,
    /// What happens after the bytes.
    pub(crate) then: Then,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Then {
    Close,
    /// Keeps the connection open until the other side closes it.
    Hold,
}

/// The fake, as long as the test runs.
pub(crate) struct Upstream {
    pub(crate) url: String,
    /// What the next requests get; the last one stays.
    answers: Arc<Mutex<VecDeque<Answer>>>,
    /// Heads and bodies.
    requests: Arc<Mutex<Vec<(String, String)>>>,
    /// Bytes of answers that the other side, or the system in between, has taken.
    sent: Arc<AtomicUsize>,
    turns: Arc<Semaphore>,
    hung_up: watch::Receiver<usize>,
}

impl Upstream {
    pub(crate) async fn start(answer: Answer) -> Self {
        Self::start_with([answer]).await
    }

    /// Answers the first request with the first of these, and so on; the last answers all that follow.
    pub(crate) async fn start_with(answers: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/agent", listener.local_addr().expect("an address"));
        let answers: VecDeque<Answer> = answers.into_iter().collect();
        let (answers, requests) = (Arc::new(Mutex::new(answers)), Arc::new(Mutex::new(Vec::new())));
        let (gone, hung_up) = watch::channel(0);
        let sent = Arc::new(AtomicUsize::new(0));
        let taken = Arc::clone(&sent);
        let turns = Arc::new(Semaphore::new(0));
        let awaited = Arc::clone(&turns);
        let (current, seen) = (Arc::clone(&answers), Arc::clone(&requests));
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let (current, seen, taken, awaited, gone) =
                    (Arc::clone(&current), Arc::clone(&seen), Arc::clone(&taken), Arc::clone(&awaited), gone.clone());
                tokio::spawn(async move {
                    let Some(request) = read_request(&mut socket).await else { return };
                    seen.lock().expect("requests").push(request);
                    let answer = {
                        let mut answers = current.lock().expect("answers");
                        if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() }
                    };
                    let answer = answer.expect("the last answer stays");
                    serve(socket, answer, &taken, &awaited, gone).await;
                });
            }
        });
        Self { url, answers, requests, sent, turns, hung_up }
    }

    pub(crate) fn answers(&self, answer: Answer) {
        *self.answers.lock().expect("answers") = VecDeque::from([answer]);
    }

    /// What comes after the next [`WAIT`] of an answer may come.
    pub(crate) fn goes_on(&self) {
        self.turns.add_permits(1);
    }

    /// The bodies of all requests so far, as JSON.
    pub(crate) fn bodies(&self) -> Vec<Value> {
        let requests = self.requests.lock().expect("requests");
        requests.iter().map(|(_, body)| serde_json::from_str(body).expect("a request is JSON")).collect()
    }

    /// Heads and bodies of all requests so far.
    pub(crate) fn requests(&self) -> Vec<(String, String)> {
        self.requests.lock().expect("requests").clone()
    }

    /// The head of the last request.
    pub(crate) fn last_head(&self) -> String {
        self.last_request().0
    }

    /// The run input that the last request posted.
    pub(crate) fn last_input(&self) -> Value {
        serde_json::from_str(&self.last_request().1).expect("a run input is JSON")
    }

    /// Head and body of the last request.
    pub(crate) fn last_request(&self) -> (String, String) {
        self.requests.lock().expect("requests").last().cloned().expect("a request came")
    }

    /// Waits until nothing more of an answer is taken; how many bytes were by then.
    pub(crate) async fn is_held_up(&self) -> usize {
        let mut before = usize::MAX;
        loop {
            let sent = self.sent.load(Ordering::Relaxed);
            if sent == before {
                return sent;
            }
            before = sent;
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
    }

    /// Waits until the runtime closed a held connection.
    pub(crate) async fn is_hung_up_on(&mut self) {
        let waited = tokio::time::timeout(Duration::from_secs(10), self.hung_up.wait_for(|gone| *gone > 0));
        waited.await.expect("the connection is closed in time").expect("the fake lives");
    }
}

async fn serve(
    mut socket: TcpStream,
    answer: Answer,
    sent: &AtomicUsize,
    turns: &Semaphore,
    gone: watch::Sender<usize>,
) {
    // Pieces are to arrive as pieces.
    socket.set_nodelay(true).expect("a socket takes its options");
    let piece = if answer.piece == 0 { answer.bytes.len().max(1) } else { answer.piece };
    let mut left = answer.bytes.as_slice();
    while !left.is_empty() {
        if let Some(rest) = left.strip_prefix(WAIT.as_bytes()) {
            turns.acquire().await.expect("nobody closes it").forget();
            left = rest;
            continue;
        }
        let until_wait = left.windows(WAIT.len()).position(|bytes| bytes == WAIT.as_bytes()).unwrap_or(left.len());
        let (now, rest) = left.split_at(until_wait);
        for bytes in now.chunks(piece) {
            if socket.write_all(bytes).await.is_err() {
                break;
            }
            sent.fetch_add(bytes.len(), Ordering::Relaxed);
        }
        left = rest;
    }
    if answer.then == Then::Hold {
        let mut rest = [0];
        while matches!(socket.read(&mut rest).await, Ok(1..)) {}
        gone.send_modify(|gone| *gone += 1);
    }
}

pub(crate) async fn read_request(socket: &mut TcpStream) -> Option<(String, String)> {
    let mut bytes = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let read = socket.read(&mut piece).await.ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            return Some((head.to_owned(), body.to_owned()));
        }
    }
}

/// An SSE answer with these frames; it says no length, so that its end is the connection's.
pub(crate) fn events(frames: &[&str]) -> Answer {
    let body: String = frames.iter().map(|frame| format!("data: {frame}\n\n")).collect();
    sse(&body)
}

pub(crate) fn sse(body: &str) -> Answer {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    Answer { bytes: format!("{head}{body}").into_bytes(), piece: 0, then: Then::Close }
}

pub(crate) fn status(line: &str, body: &str) -> Answer {
    let head = format!(
        "HTTP/1.1 {line}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    Answer { bytes: format!("{head}{body}").into_bytes(), piece: 0, then: Then::Close }
}
