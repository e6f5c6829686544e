//! Chat completions of OpenAI and of every server that speaks them, through async-openai with types of our own.

mod concessions;
mod messages;
mod pieces;
mod refusal;
mod request;
mod transport;

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::error::OpenAIError;
use async_trait::async_trait;
use futures_util::{Stream, StreamExt as _};
use reqwest::Url;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::{Answer, Fault, FaultKind, Model, ModelName, Piece, Request, open};
use crate::agent::definition::{AskedModel, ModelTimeouts};
use crate::agent::outbound;
use concessions::Concessions;
use pieces::Assembler;
use request::Shape;
use transport::{CutOff, Transport};

/// After the end of an answer, its usage is waited for this long at most.
const USAGE_WAIT: Duration = Duration::from_secs(5);
/// And the end of its stream this long: a connection that was read to its end can be used again.
const END_WAIT: Duration = Duration::from_millis(250);
const OPENAI_HOST: &str = "api.openai.com";

/// A model behind a chat completions endpoint.
pub struct OpenAi {
    name: ModelName,
    client: Client<OpenAIConfig>,
    transport: Arc<Transport>,
    shape: Shape,
    timeouts: ModelTimeouts,
    concessions: Concessions,
}

/// The members of `params.extra` that the runtime writes itself.
pub fn own_member(extra: &serde_json::Map<String, Value>) -> Option<&str> {
    extra.keys().map(String::as_str).find(|name| request::OWN_MEMBERS.contains(name))
}

impl OpenAi {
    /// A client of its own, from the definition alone: nothing of the environment is read. The error is a sentence.
    pub fn new(asked: &AskedModel, base: &Url) -> Result<Self, String> {
        let settings = &asked.settings;
        let timeouts = settings.timeouts.whole();
        let client = outbound::client(base, timeouts.connect)?;
        let key = open::key(settings)?;
        let is_openai = base.host_str() == Some(OPENAI_HOST);
        let config =
            OpenAIConfig::new().with_api_base(base.as_str()).with_api_key(key).with_org_id("").with_project_id("");
        let transport = Transport {
            client: client.clone(),
            endpoint: endpoint(base),
            headers: open::headers(settings),
            has_key: !key.is_empty(),
        };
        let client = Client::build(client, config);
        let transport = Arc::new(transport);
        let shape = Shape { model: asked.name.clone(), params: settings.params.clone(), is_openai };
        Ok(Self { name: ModelName::of(asked), client, transport, shape, timeouts, concessions: Concessions::default() })
    }

    async fn send(&self, request: &Request, deadline: Instant, cut_off: &CutOff) -> Result<Chunks, Fault> {
        let client = self.client.clone().with_http_service(self.transport.service(Arc::clone(cut_off)));
        loop {
            let made = self.concessions.made();
            let sent = async { client.chat().create_stream_byot(self.shape.body(request, made)).await };
            let fault = match timeout_at(deadline, sent).await {
                Ok(Ok(chunks)) => return Ok(chunks),
                Ok(Err(error)) => fault_of(error),
                Err(_) => return Err(too_late("did not begin to answer", self.timeouts.first_token)),
            };
            if !self.concessions.learn(made, &fault) {
                return Err(fault);
            }
        }
    }
}

#[async_trait]
impl Model for OpenAi {
    fn name(&self) -> &ModelName {
        &self.name
    }

    async fn answer(&self, request: &Request) -> Result<Answer, Fault> {
        let first_token = Instant::now() + self.timeouts.first_token;
        let cut_off = CutOff::default();
        let chunks = self.send(request, first_token, &cut_off).await?;
        let reading = Reading {
            chunks,
            cut_off,
            assembler: Assembler::default(),
            ready: VecDeque::new(),
            first_token,
            timeouts: self.timeouts,
            is_over: false,
        };
        Ok(Box::pin(futures_util::stream::unfold(reading, |mut reading| async move {
            reading.next().await.map(|piece| (piece, reading))
        })))
    }
}

type Chunks = Pin<Box<dyn Stream<Item = Result<Value, OpenAIError>> + Send>>;

/// An answer that is being read; each wait has its bound.
struct Reading {
    chunks: Chunks,
    cut_off: CutOff,
    assembler: Assembler,
    ready: VecDeque<Piece>,
    first_token: Instant,
    timeouts: ModelTimeouts,
    is_over: bool,
}

impl Reading {
    async fn next(&mut self) -> Option<Result<Piece, Fault>> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Some(Ok(piece));
            }
            if self.is_over {
                return None;
            }
            if let Err(fault) = self.read().await {
                self.is_over = true;
                return Some(Err(fault));
            }
        }
    }

    async fn read(&mut self) -> Result<(), Fault> {
        let mut pieces = Vec::new();
        let deadline = match (self.assembler.has_finish(), self.assembler.has_begun) {
            _ if self.assembler.is_whole() => Instant::now() + END_WAIT,
            (true, _) => Instant::now() + self.timeouts.idle.min(USAGE_WAIT),
            (false, true) => Instant::now() + self.timeouts.idle,
            (false, false) => self.first_token,
        };
        let chunk = timeout_at(deadline, self.chunks.next()).await;
        let is_over = match chunk {
            Ok(Some(Ok(chunk))) => {
                self.assembler.take(&chunk, &mut pieces)?;
                false
            }
            // Some proxies keep a connection alive with empty events.
            Ok(Some(Err(OpenAIError::JSONDeserialize(_, text)))) if text.trim().is_empty() => false,
            // Nothing that comes after the end of an answer can spoil it.
            Ok(Some(Err(_)) | None) | Err(_) if self.assembler.has_finish() => true,
            Ok(Some(Err(error))) => return Err(self.cut_off.get().cloned().unwrap_or_else(|| fault_of(error))),
            Ok(None) => true,
            Err(_) if self.assembler.has_begun => {
                return Err(too_late("fell silent: nothing came", self.timeouts.idle));
            }
            Err(_) => return Err(too_late("did not begin to answer", self.timeouts.first_token)),
        };
        if is_over {
            self.assembler.end(&mut pieces)?;
            self.is_over = true;
        }
        self.ready.extend(pieces);
        Ok(())
    }
}

/// `…/chat/completions`, whatever the base ends with; its query stays.
fn endpoint(base: &Url) -> Url {
    let mut endpoint = base.clone();
    endpoint.set_path(&format!("{}/chat/completions", base.path().trim_end_matches('/')));
    endpoint
}

fn fault_of(error: OpenAIError) -> Fault {
    let broke_off = |reason: String| {
        tracing::warn!(reason, "a model server's answer broke off");
        Fault::new(FaultKind::Truncated, "the connection to the model server broke in the middle of its answer")
    };
    match error {
        OpenAIError::Boxed(error) => match error.downcast::<Fault>() {
            Ok(fault) => *fault,
            Err(error) => Fault::new(FaultKind::Provider, error.to_string()),
        },
        OpenAIError::StreamError(error) => broke_off(error.to_string()),
        OpenAIError::JSONDeserialize(error, _) => {
            Fault::new(FaultKind::Provider, format!("the model server sent something that is not JSON: {error}"))
        }
        // Everything that is sent goes through our own transport, which has faults of its own.
        other => Fault::new(FaultKind::Provider, other.to_string()),
    }
}

fn too_late(what: &str, limit: Duration) -> Fault {
    Fault::new(FaultKind::Timeout, format!("the model server {what} within {limit:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_follows_the_base_whatever_it_ends_with() {
        for (base, expected) in [
            ("http://x/v1", "http://x/v1/chat/completions"),
            ("http://x/v1/", "http://x/v1/chat/completions"),
            ("http://x", "http://x/chat/completions"),
            ("http://x/d?api-version=1", "http://x/d/chat/completions?api-version=1"),
        ] {
            assert_eq!(endpoint(&Url::parse(base).expect("an address")).as_str(), expected);
        }
    }
}
