//! Anthropic's messages, natively: what its layer for other protocols leaves out (reasoning, what a cache saved) is here.

mod messages;
mod pieces;
mod request;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use futures_util::StreamExt as _;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, Response, Url};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::reading::{self, Events};
use super::wire::{self, ANSWER_BYTES, Body};
use super::{Answer, Fault, FaultKind, Model, ModelName, Request, open};
use crate::agent::definition::{AskedModel, ModelTimeouts, Price};
use crate::agent::outbound;
use crate::agui::sse::{Decoder, FrameError};
use pieces::Assembler;
pub(super) use request::OWN_MEMBERS;
use request::{Shape, Thinking};

/// The version of the API that is spoken.
const VERSION: &str = "2023-06-01";
const VERSION_HEADER: &str = "anthropic-version";
const KEY_HEADER: &str = "x-api-key";

/// A model behind an endpoint of messages.
pub(super) struct Anthropic {
    name: ModelName,
    price: Option<Price>,
    client: Client,
    endpoint: Url,
    headers: HeaderMap,
    shape: Shape,
    timeouts: ModelTimeouts,
    /// The model wants to be told how hard to think, not how long. Learned from a refusal; an atomic, because runs of an agent
    /// share it.
    thinks_by_effort: AtomicBool,
}

impl Anthropic {
    /// A client of its own, from the definition alone. The error is a sentence.
    pub(super) fn new(asked: &AskedModel, base: &Url) -> Result<Self, String> {
        let settings = &asked.settings;
        let timeouts = settings.timeouts.whole();
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(VERSION_HEADER, HeaderValue::from_static(VERSION));
        let key = open::key(settings)?;
        if !key.is_empty() {
            let mut key = HeaderValue::from_str(key).expect("a key is checked");
            key.set_sensitive(true);
            headers.insert(KEY_HEADER, key);
        }
        let own = open::headers(settings);
        if own.contains_key(AUTHORIZATION) {
            headers.remove(KEY_HEADER);
        }
        headers.extend(own);
        Ok(Self {
            name: ModelName::of(asked),
            price: settings.price,
            client: outbound::client(base, timeouts.connect)?,
            endpoint: wire::endpoint(base, "messages"),
            headers,
            shape: Shape { model: asked.name.clone(), params: settings.params.clone() },
            timeouts,
            thinks_by_effort: AtomicBool::new(false),
        })
    }

    async fn send(&self, request: &Request) -> Result<Body, Fault> {
        loop {
            let by_effort = self.thinks_by_effort.load(Ordering::Relaxed);
            let thinking = if by_effort { Thinking::ByEffort } else { Thinking::ByTokens };
            let body = self.shape.body(request, &self.name, thinking).to_string();
            let request = self.client.post(self.endpoint.clone()).headers(self.headers.clone()).body(body);
            let response = request.send().await.map_err(|error| wire::unreachable(&error, &self.endpoint))?;
            match wire::checked(response, &self.endpoint).await {
                Err(fault) if !by_effort && wants_effort(&fault) => {
                    tracing::info!(model = %self.name, "a model thinks by effort, not by tokens");
                    self.thinks_by_effort.store(true, Ordering::Relaxed);
                }
                answered => return answered,
            }
        }
    }
}

fn wants_effort(refusal: &Fault) -> bool {
    let said = refusal.message.to_lowercase();
    refusal.kind == FaultKind::Refused
        && ["adaptive", "budget_tokens", "thinking.type"].iter().any(|it| said.contains(it))
}

#[async_trait]
impl Model for Anthropic {
    fn name(&self) -> &ModelName {
        &self.name
    }

    fn price(&self) -> Option<Price> {
        self.price
    }

    async fn answer(&self, request: &Request) -> Result<Answer, Fault> {
        let first_token = Instant::now() + self.timeouts.first_token;
        let late = |_| reading::too_late(self.timeouts.first_token);
        let events: Events = match timeout_at(first_token, self.send(request)).await.map_err(late)?? {
            Body::Events(response) => events(response),
            Body::Whole(whole) => Box::pin(futures_util::stream::iter([Ok(whole)])),
        };
        Ok(reading::answer(events, Assembler::new(self.name.clone()), first_token, self.timeouts))
    }
}

/// The events of a stream, and where it breaks why.
fn events(response: Response) -> Events {
    struct Stream {
        bytes: futures_util::stream::BoxStream<'static, reqwest::Result<bytes::Bytes>>,
        decoder: Decoder,
        left: usize,
        ready: VecDeque<Result<Value, Fault>>,
        is_over: bool,
    }
    let bytes = response.bytes_stream().boxed();
    let decoder = Decoder::new(ANSWER_BYTES);
    let stream = Stream { bytes, decoder, left: ANSWER_BYTES, ready: VecDeque::new(), is_over: false };
    Box::pin(futures_util::stream::unfold(stream, |mut stream| async move {
        loop {
            if let Some(event) = stream.ready.pop_front() {
                return Some((event, stream));
            }
            if stream.is_over {
                return None;
            }
            match stream.bytes.next().await {
                Some(Ok(bytes)) => match stream.left.checked_sub(bytes.len()) {
                    Some(left) => {
                        stream.left = left;
                        stream.decoder.push(&bytes);
                    }
                    None => {
                        stream.is_over = true;
                        stream.ready.push_back(Err(wire::too_long()));
                    }
                },
                Some(Err(error)) => {
                    stream.is_over = true;
                    stream.ready.push_back(Err(wire::broke_off(&outbound::told(&error))));
                }
                None => stream.is_over = true,
            }
            while let Some(frame) = match stream.is_over {
                true => stream.decoder.finish(),
                false => stream.decoder.next_frame(),
            } {
                stream.ready.push_back(frame.map_err(|error| unusable(&error)).and_then(|frame| value(&frame.data)));
            }
        }
    }))
}

fn value(data: &str) -> Result<Value, Fault> {
    let unusable =
        |error| Fault::new(FaultKind::Provider, format!("the model server sent something that is not JSON: {error}"));
    serde_json::from_str(data).map_err(unusable)
}

fn unusable(error: &FrameError) -> Fault {
    Fault::new(FaultKind::Provider, format!("the model server sent something unusable: {error}"))
}
