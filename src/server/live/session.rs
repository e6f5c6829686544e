//! The session itself: a loop over what can happen, and how it ends.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message};
use futures_util::future::FutureExt;
use futures_util::stream::FusedStream;
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;

use crate::access::Principal;
use crate::runtime::Runtime;

use super::super::error::close;
use super::feed::{Feeds, Piece};
use super::frame::{self, Frame, Misread};
use super::mutations::{Answered, Mutations};
use super::outbox::Outbox;
use super::subscriptions::Channel;
use super::told::Told;
use super::{Drained, Place};

/// What waits is written at the latest when it is this much.
const GATHERED: usize = 64 << 10;
/// Heartbeats that may stay without any answer.
const MISSED: u32 = 2;
/// How long live runs and answers to mutations are waited for when the server stops.
const DRAINING: Duration = Duration::from_secs(3);
/// How long a client has to take the closing frame and to answer it.
const GOODBYE: Duration = Duration::from_secs(2);
/// Frames of any kind for each mutation that is allowed.
const FRAMES_PER_MUTATION: u64 = 10;

/// One client's session over a transport.
pub(in crate::server) struct Session<S> {
    socket: S,
    pub(super) runtime: Arc<Runtime>,
    place: Place,
    pub(super) principal: Principal,
    pub(super) connection_id: String,
    /// Who the client says it is; nothing but `hello` is heard before.
    pub(super) client_id: Option<String>,
    pub(super) channels: HashMap<u64, Channel>,
    pub(super) feeds: Feeds,
    pub(super) mutations: Mutations,
    pub(super) outbox: Outbox,
    timer: Pin<Box<Sleep>>,
    last_heard: Instant,
    /// Second of the session, and frames heard in it.
    heard: (u64, u64),
    began: Instant,
    stopping: Pin<Box<WaitForCancellationFutureOwned>>,
    drains: bool,
}

/// How a session ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::server) enum End {
    /// The client is gone, or said so.
    Gone,
    /// It sent what is no frame.
    BadFrame(&'static str),
    /// It did not say hello in time.
    NoHello,
    /// It took no byte, or answered nothing, for too long.
    Stalled,
    /// It sends more than anybody may.
    TooMany,
    /// The server stops.
    Draining,
}

/// What can happen.
enum Happening {
    Said(Option<Result<Message, axum::Error>>),
    Answered(Box<Answered>),
    Fed(u64, Piece),
    Tick,
    Stop,
}

impl<S> Session<S>
where
    S: Stream<Item = Result<Message, axum::Error>> + FusedStream + Sink<Message> + Unpin,
{
    pub(in crate::server) fn new(
        socket: S,
        runtime: Arc<Runtime>,
        principal: Principal,
        place: Place,
        drained: Drained,
    ) -> Self {
        let limits = place.limits();
        let now = Instant::now();
        Self {
            socket,
            principal,
            connection_id: uuid::Uuid::now_v7().to_string(),
            client_id: None,
            channels: HashMap::new(),
            feeds: Feeds::default(),
            mutations: Mutations::new(limits),
            outbox: Outbox::new(drained, limits.stalled_after),
            timer: Box::pin(sleep(limits.hello_within)),
            last_heard: now,
            heard: (0, 0),
            began: now,
            stopping: Box::pin(runtime.stopping().cancelled_owned()),
            drains: false,
            runtime,
            place,
        }
    }

    /// Serves the client until it leaves or has to.
    pub(in crate::server) async fn run(mut self) {
        let end = loop {
            if let Err(end) = self.turn().await {
                break end;
            }
        };
        if end == End::Draining {
            let retry_ms = 250 + u64::from(uuid::Uuid::new_v4().as_bytes()[0]) * 8;
            self.outbox.push(Told::Goaway { reason: "draining", retry_ms }.message());
        }
        // Nobody reads what is not written by now, and what it was read from need not stay in memory.
        let Self { mut socket, mut outbox, channels, place, .. } = self;
        drop(channels);
        let patience = if end == End::Stalled { place.limits().stalled_after } else { GOODBYE };
        let goodbye = async {
            if let Some((code, reason)) = close::code(&end) {
                if !matches!(end, End::Stalled) && outbox.send(&mut socket).await.is_err() {
                    return;
                }
                let frame = CloseFrame { code, reason: reason.into() };
                if socket.send(Message::Close(Some(frame))).await.is_err() {
                    return;
                }
            }
            while let Some(Ok(_)) = socket.next().await {}
        };
        if tokio::time::timeout(patience, goodbye).await.is_err() {
            tracing::debug!(?end, "a client did not take its closing frame");
        }
    }

    /// Waits until something happens, deals with it and with whatever else is there, and writes once.
    async fn turn(&mut self) -> Result<(), End> {
        let happening = self.happening().await;
        self.deal_with(happening).await?;
        while self.outbox.bytes() < GATHERED
            && let Some(happening) = self.happening().now_or_never()
        {
            self.deal_with(happening).await?;
        }
        self.outbox.send(&mut self.socket).await?;
        let has_runs = self.channels.values().any(Channel::is_run);
        if self.drains && !has_runs && self.mutations.in_flight() == 0 { Err(End::Draining) } else { Ok(()) }
    }

    async fn happening(&mut self) -> Happening {
        tokio::select! {
            answered = self.mutations.next() => Happening::Answered(Box::new(answered)),
            (channel, piece) = self.feeds.next() => Happening::Fed(channel, piece),
            said = self.socket.next(), if !self.drains => Happening::Said(said),
            () = &mut self.timer => Happening::Tick,
            () = &mut self.stopping, if !self.drains => Happening::Stop,
        }
    }

    async fn deal_with(&mut self, happening: Happening) -> Result<(), End> {
        match happening {
            Happening::Said(Some(Ok(message))) => self.hear(message).await,
            // What the transport could not read is no frame, unless the connection is gone altogether.
            Happening::Said(Some(Err(error))) if close::is_gone(&error) => Err(End::Gone),
            Happening::Said(Some(Err(_))) => Err(End::BadFrame("not a legal message")),
            Happening::Said(None) => Err(End::Gone),
            Happening::Answered(answered) => {
                self.answer(&answered);
                Ok(())
            }
            Happening::Fed(channel, piece) => {
                self.feed(channel, piece).await;
                Ok(())
            }
            Happening::Tick => self.tick(),
            Happening::Stop => {
                self.drains = true;
                self.timer.as_mut().reset(Instant::now() + DRAINING);
                Ok(())
            }
        }
    }

    fn tick(&mut self) -> Result<(), End> {
        if self.drains {
            return Err(End::Draining);
        }
        if self.client_id.is_none() {
            return Err(End::NoHello);
        }
        let heartbeat = self.place.limits().heartbeat;
        if self.last_heard.elapsed() > heartbeat * MISSED + heartbeat / 4 {
            return Err(End::Stalled);
        }
        self.timer.as_mut().reset(Instant::now() + heartbeat);
        self.outbox.push(Message::Ping(bytes::Bytes::new()));
        Ok(())
    }

    async fn hear(&mut self, message: Message) -> Result<(), End> {
        self.last_heard = Instant::now();
        let second = self.began.elapsed().as_secs();
        self.heard = if self.heard.0 == second { (second, self.heard.1 + 1) } else { (second, 1) };
        if self.heard.1 > FRAMES_PER_MUTATION * u64::from(self.place.limits().mutations_per_second) {
            return Err(End::TooMany);
        }
        let text = match message {
            Message::Text(text) => text,
            Message::Binary(_) => return Err(End::BadFrame("frames are text")),
            Message::Ping(_) | Message::Pong(_) => {
                self.outbox.owe();
                return Ok(());
            }
            Message::Close(_) => {
                self.outbox.owe();
                return Err(End::Gone);
            }
        };
        if text.len() > self.place.limits().frame_bytes {
            return Err(End::BadFrame("the frame is larger than `limits.frame_bytes`"));
        }
        let frame = match frame::read(&text) {
            Ok(frame) => frame,
            Err(Misread::NotJson) => return Err(End::BadFrame("not JSON")),
            Err(Misread::Refused { code, message, channel }) => {
                self.complain(code, &message, channel);
                return Ok(());
            }
        };
        match frame {
            Frame::Hello { client_id, protocol } => return self.welcome(client_id, protocol),
            _ if self.client_id.is_none() => return Err(End::NoHello),
            // Without configured authentication every credential stands for the local principal.
            Frame::Auth => {}
            Frame::Subscribe(subscribe) => self.subscribe(*subscribe).await,
            Frame::Unsubscribe { channel } => self.unsubscribe(channel),
            Frame::Mutate(mutate) => self.mutate(*mutate),
            Frame::Presence { channel, data } => self.sit(channel, data),
            Frame::Run { channel, agent, input } => self.start_run(channel, &agent, &input).await,
            Frame::Follow { channel, thread, agent, after } => self.follow(channel, thread, &agent, after).await,
            Frame::Stop { thread, agent, run_id } => self.stop_run(&thread, &agent, run_id).await,
            Frame::Ping => self.outbox.push(Told::Pong {}.message()),
        }
        Ok(())
    }

    fn welcome(&mut self, client_id: String, protocol: u64) -> Result<(), End> {
        if protocol != 1 {
            self.complain("invalid_body", "this server speaks protocol 1", None);
            return Err(End::BadFrame("this server speaks protocol 1"));
        }
        if self.client_id.is_some() {
            self.complain("invalid_body", "hello was said already", None);
            return Ok(());
        }
        self.client_id = Some(client_id);
        let limits = self.place.limits();
        self.timer.as_mut().reset(Instant::now() + limits.heartbeat);
        let heartbeat_ms = u64::try_from(limits.heartbeat.as_millis()).expect("a heartbeat is a matter of seconds");
        let welcome = Told::Welcome {
            connection_id: &self.connection_id,
            heartbeat_ms,
            limits: limits.into(),
            protocol: 1,
            principal: &self.principal.actor(),
        };
        self.outbox.push(welcome.message());
        Ok(())
    }

    async fn feed(&mut self, channel: u64, piece: Piece) {
        match piece {
            Piece::Update(following, update) => self.update(channel, following, update).await,
            Piece::Frames(running, frames) => self.events(channel, running, frames),
            Piece::Peers(room, changes) => self.peers(channel, room, changes),
        }
    }
}

impl<S> Session<S> {
    /// Whether one more channel would be too many.
    pub(super) fn is_full(&self, channel: u64) -> bool {
        self.channels.len() >= self.place.limits().subscriptions && !self.channels.contains_key(&channel)
    }

    pub(super) fn complain(&mut self, code: &str, message: &str, channel: Option<u64>) {
        self.outbox.push(Told::Error { code, message, channel, run_id: None }.message());
    }
}
