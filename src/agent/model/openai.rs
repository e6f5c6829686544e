//! Chat completions and responses of OpenAI and of every server that speaks them, through async-openai with types of our
//! own.

mod concessions;
mod messages;
mod pieces;
mod request;
mod responses;
mod transport;

use std::sync::Arc;

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::error::OpenAIError;
use async_trait::async_trait;
use futures_util::{Stream, StreamExt as _};
use reqwest::Url;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::reading::{self, Events};
use super::{Answer, Fault, FaultKind, Model, ModelName, Request, open, wire};
use crate::agent::definition::{AskedModel, ModelTimeouts, Price};
use crate::agent::outbound;
use concessions::Concessions;
pub(super) use request::OWN_MEMBERS;
use request::Shape;
use transport::{CutOff, Transport};

const OPENAI_HOST: &str = "api.openai.com";

/// What is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Chat completions.
    Chat,
    Responses,
}

/// A model behind an endpoint of chat completions or of responses.
pub(super) struct OpenAi {
    name: ModelName,
    dialect: Dialect,
    price: Option<Price>,
    client: Client<OpenAIConfig>,
    transport: Arc<Transport>,
    shape: Shape,
    timeouts: ModelTimeouts,
    concessions: Concessions,
}

impl OpenAi {
    /// A client of its own, from the definition alone: nothing of the environment is read. The error is a sentence.
    pub(super) fn new(asked: &AskedModel, base: &Url, dialect: Dialect) -> Result<Self, String> {
        let settings = &asked.settings;
        let timeouts = settings.timeouts.whole();
        let client = outbound::client(base, timeouts.connect)?;
        let key = open::key(settings)?;
        let is_openai = base.host_str() == Some(OPENAI_HOST);
        let config =
            OpenAIConfig::new().with_api_base(base.as_str()).with_api_key(key).with_org_id("").with_project_id("");
        let transport = Transport {
            client: client.clone(),
            endpoint: wire::endpoint(base, if dialect == Dialect::Chat { "chat/completions" } else { "responses" }),
            headers: open::headers(settings),
            has_key: !key.is_empty(),
        };
        let client = Client::build(client, config);
        let transport = Arc::new(transport);
        let shape = Shape { model: asked.name.clone(), params: settings.params.clone(), is_openai };
        Ok(Self {
            name: ModelName::of(asked),
            dialect,
            price: settings.price,
            client,
            transport,
            shape,
            timeouts,
            concessions: Concessions::default(),
        })
    }

    async fn send(&self, request: &Request, deadline: Instant, cut_off: &CutOff) -> Result<Events, Fault> {
        let client = self.client.clone().with_http_service(self.transport.service(Arc::clone(cut_off)));
        loop {
            let made = self.concessions.made();
            let body = match self.dialect {
                Dialect::Chat => serde_json::to_value(self.shape.body(request, made)),
                Dialect::Responses => serde_json::to_value(responses::body(&self.shape, &self.name, request, made)),
            };
            let body = body.expect("a request has string keys and finite numbers");
            // Both dialects are one request and a stream of events; the transport knows the address.
            let sent = async { client.chat().create_stream_byot(body).await };
            let fault = match timeout_at(deadline, sent).await {
                Ok(Ok(chunks)) => return Ok(events(chunks, Arc::clone(cut_off))),
                Ok(Err(error)) => fault_of(error),
                Err(_) => return Err(reading::too_late(self.timeouts.first_token)),
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

    fn price(&self) -> Option<Price> {
        self.price
    }

    async fn answer(&self, request: &Request) -> Result<Answer, Fault> {
        let first_token = Instant::now() + self.timeouts.first_token;
        let cut_off = CutOff::default();
        let events = self.send(request, first_token, &cut_off).await?;
        Ok(match self.dialect {
            Dialect::Chat => reading::answer(events, pieces::Assembler::default(), first_token, self.timeouts),
            Dialect::Responses => {
                let assembler = responses::Assembler::new(self.name.clone());
                reading::answer(events, assembler, first_token, self.timeouts)
            }
        })
    }
}

fn events(chunks: impl Stream<Item = Result<Value, OpenAIError>> + Send + 'static, cut_off: CutOff) -> Events {
    Box::pin(chunks.filter_map(move |chunk| {
        let event = match chunk {
            Ok(chunk) => Some(Ok(chunk)),
            // Some proxies keep a connection alive with empty events.
            Err(OpenAIError::JSONDeserialize(_, text)) if text.trim().is_empty() => None,
            Err(error) => Some(Err(cut_off.get().cloned().unwrap_or_else(|| fault_of(error)))),
        };
        std::future::ready(event)
    }))
}

fn fault_of(error: OpenAIError) -> Fault {
    match error {
        OpenAIError::Boxed(error) => match error.downcast::<Fault>() {
            Ok(fault) => *fault,
            Err(error) => Fault::new(FaultKind::Provider, error.to_string()),
        },
        OpenAIError::StreamError(error) => wire::broke_off(&error),
        OpenAIError::JSONDeserialize(error, _) => {
            Fault::new(FaultKind::Provider, format!("the model server sent something that is not JSON: {error}"))
        }
        // Everything that is sent goes through our own transport, which has faults of its own.
        other => Fault::new(FaultKind::Provider, other.to_string()),
    }
}
