//! Live clients of a running server: a WebSocket that speaks the state protocol, and a reader of documents over SSE.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Response;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::server::Server;

/// No step of a test takes longer, also on a slow machine; a hang becomes a failure.
const PATIENCE: Duration = Duration::from_secs(60);

/// One socket, with whatever it was told and nobody has asked for yet.
pub(crate) struct Socket {
    inner: WebSocketStream<TcpStream>,
    pub(crate) welcome: Value,
    pub(crate) headers: Response,
}

impl Socket {
    /// A handshake with these headers; the status and body of a refusal.
    pub(crate) async fn shake(url: &str, query: &str, headers: &[(&str, &str)]) -> Result<Self, (u16, String)> {
        Self::shake_over(connection(url).await, url, query, headers).await
    }

    pub(crate) async fn shake_over(
        stream: TcpStream,
        url: &str,
        query: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, (u16, String)> {
        let address = url.strip_prefix("http://").expect("a plain address");
        let mut request = format!("ws://{address}/v1/ws{query}").into_client_request().expect("a legal URL");
        for (name, value) in headers {
            let name: tokio_tungstenite::tungstenite::http::HeaderName = name.parse().expect("a header's name");
            request.headers_mut().append(name, HeaderValue::from_str(value).expect("a header's value"));
        }
        let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
        match client_async_with_config(request, stream, Some(config)).await {
            Ok((inner, headers)) => Ok(Self { inner, welcome: Value::Null, headers }),
            Err(Error::Http(answer)) => {
                let body = answer.body().clone().unwrap_or_default();
                Err((answer.status().as_u16(), String::from_utf8_lossy(&body).into_owned()))
            }
            Err(error) => panic!("the handshake broke off: {error}"),
        }
    }

    /// A socket without hello.
    pub(crate) async fn silent(server: &Server) -> Self {
        Self::shake(&server.url, "", &[("sec-websocket-protocol", "coagent.v1")]).await.expect("a socket")
    }

    /// A socket of this client, welcomed.
    pub(crate) async fn open(server: &Server, client_id: &str) -> Self {
        Self::silent(server).await.greeted(client_id).await
    }

    /// The same through a kernel that takes only so many bytes for a client that does not read.
    pub(crate) async fn narrow(server: &Server, client_id: &str) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4096).expect("a small buffer");
        let address = server.url.strip_prefix("http://").expect("a plain address").parse().expect("an address");
        let stream = socket.connect(address).await.expect("a connection");
        let shaken = Self::shake_over(stream, &server.url, "", &[("sec-websocket-protocol", "coagent.v1")]).await;
        shaken.expect("a socket").greeted(client_id).await
    }

    pub(crate) async fn greeted(mut self, client_id: &str) -> Self {
        self.say(&json!({"type": "hello", "client_id": client_id, "protocol": 1})).await;
        self.welcome = self.hear().await;
        assert_eq!(self.welcome["type"], "welcome", "{}", self.welcome);
        self
    }

    /// A welcomed socket to a server that may be going down.
    pub(crate) async fn try_open(url: &str, client_id: &str) -> Option<Self> {
        let stream = TcpStream::connect(url.strip_prefix("http://")?).await.ok()?;
        let request = format!("ws://{}/v1/ws", url.strip_prefix("http://")?).into_client_request().ok()?;
        let (inner, headers) = client_async_with_config(request, stream, None).await.ok()?;
        let mut socket = Self { inner, welcome: Value::Null, headers };
        socket.try_say(&json!({"type": "hello", "client_id": client_id, "protocol": 1})).await;
        socket.welcome = socket.hear_or_end().await?;
        Some(socket)
    }

    /// Whether the socket took a frame.
    pub(crate) async fn try_say(&mut self, frame: &Value) -> bool {
        self.inner.send(Message::text(frame.to_string())).await.is_ok()
    }

    pub(crate) async fn say(&mut self, frame: &Value) {
        self.send(Message::text(frame.to_string())).await;
    }

    pub(crate) async fn send(&mut self, message: Message) {
        self.inner.send(message).await.expect("the socket takes a message");
    }

    /// Several frames in one write.
    pub(crate) async fn say_all(&mut self, frames: &[Value]) {
        for frame in frames {
            self.inner.feed(Message::text(frame.to_string())).await.expect("the socket takes a message");
        }
        self.inner.flush().await.expect("the socket takes messages");
    }

    /// The next frame.
    pub(crate) async fn hear(&mut self) -> Value {
        match self.listen().await {
            Some(Message::Text(text)) => serde_json::from_str(&text).expect("a frame is JSON"),
            other => panic!("expected a frame, not {other:?}"),
        }
    }

    /// The next frame, or `None` when the connection is gone.
    pub(crate) async fn hear_or_end(&mut self) -> Option<Value> {
        match self.listen().await {
            Some(Message::Text(text)) => Some(serde_json::from_str(&text).expect("a frame is JSON")),
            Some(Message::Close(_)) | None => None,
            other => panic!("expected a frame, not {other:?}"),
        }
    }

    /// The next frame, which is of this type.
    pub(crate) async fn hear_a(&mut self, kind: &str) -> Value {
        let frame = self.hear().await;
        assert_eq!(frame["type"], kind, "{frame}");
        frame
    }

    /// The types of the next frames, and the frames.
    pub(crate) async fn hear_all(&mut self, kinds: &[&str]) -> Vec<Value> {
        let mut frames = Vec::new();
        for kind in kinds {
            frames.push(self.hear_a(kind).await);
        }
        frames
    }

    /// Reads on to a frame of this type.
    pub(crate) async fn until(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.hear().await;
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    /// The next message but answers to pings.
    pub(crate) async fn listen(&mut self) -> Option<Message> {
        let until = Instant::now() + PATIENCE;
        loop {
            match tokio::time::timeout_at(until, self.inner.next()).await.expect("a message in time") {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(message)) => return Some(message),
                Some(Err(_)) | None => return None,
            }
        }
    }

    /// The next message, whatever it is.
    pub(crate) async fn listen_raw(&mut self) -> Option<Message> {
        tokio::time::timeout(PATIENCE, self.inner.next()).await.expect("a message in time")?.ok()
    }

    /// The code with which the server closes, with whatever it said before.
    pub(crate) async fn closed(&mut self) -> (u16, Vec<Value>) {
        let mut said = Vec::new();
        loop {
            match self.listen().await {
                Some(Message::Close(Some(frame))) => return (frame.code.into(), said),
                Some(Message::Text(text)) => said.push(serde_json::from_str(&text).expect("a frame is JSON")),
                other => panic!("expected the end, not {other:?} after {} frames", said.len()),
            }
        }
    }

    /// Subscribes without a past; the snapshot.
    pub(crate) async fn subscribe(&mut self, channel: u64, doc: &str) -> Value {
        self.say(&json!({"type": "subscribe", "channel": channel, "doc": doc})).await;
        let snapshot = self.hear_a("snapshot").await;
        assert_eq!(
            self.hear_a("live").await,
            json!({"type": "live", "channel": channel, "version": snapshot["version"]})
        );
        snapshot
    }

    pub(crate) fn into_inner(self) -> WebSocketStream<TcpStream> {
        self.inner
    }
}

pub(crate) async fn connection(url: &str) -> TcpStream {
    let address = url.strip_prefix("http://").expect("a plain address");
    let stream = TcpStream::connect(address).await.expect("a connection");
    stream.set_nodelay(true).expect("a TCP socket");
    stream
}

/// One server-sent event of a document.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Told {
    pub(crate) id: String,
    pub(crate) event: String,
    pub(crate) data: Value,
}

/// A document's events as they arrive.
pub(crate) struct Events {
    response: reqwest::Response,
    buffer: String,
}

impl Events {
    pub(crate) async fn open(server: &Server, path: &str, last_event_id: Option<&str>) -> Self {
        let mut request = server.http().get(format!("{}/v1/state/{path}", server.url));
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, buffer: String::new() }
    }

    pub(crate) async fn next(&mut self) -> Told {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(end) = self.buffer.find("\n\n") {
                let frame: String = self.buffer.drain(..end + 2).collect();
                assert!(!frame.contains('\r'), "frames use LF only: {frame:?}");
                if frame.starts_with(':') {
                    continue;
                }
                let field = |name: &str| {
                    let line = frame.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
                    line.unwrap_or_else(|| panic!("no `{name}` in {frame:?}")).to_owned()
                };
                let data = serde_json::from_str(&field("data")).expect("data is JSON");
                return Told { id: field("id"), event: field("event"), data };
            }
            let chunk = tokio::time::timeout_at(until, self.response.chunk()).await.expect("an event in time");
            let chunk = chunk.expect("the stream is not cut").expect("the stream goes on");
            self.buffer.push_str(std::str::from_utf8(&chunk).expect("events are cut between characters"));
        }
    }

    /// Reads whatever is left until the server ends the stream.
    pub(crate) async fn end(mut self) {
        let until = Instant::now() + PATIENCE;
        while tokio::time::timeout_at(until, self.response.chunk())
            .await
            .expect("an end in time")
            .expect("no cut")
            .is_some()
        {}
    }
}
