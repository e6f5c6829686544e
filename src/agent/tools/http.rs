//! `type: http`: a request made of the arguments by templates, answered with what came back (docs/agents.md §8).

mod guard;
mod template;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::{Client, Method, Response, Url};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::input::Input;
use super::{Call, Tool, refused, spec};
use crate::agent::context::RunContext;
use crate::agent::definition::HttpTool;
use crate::agent::error::AgentError;
use crate::agent::outbound;
use crate::agui;
use guard::Guard;
use template::Templates;

/// As much of an answer is read.
const ANSWER_BYTES: usize = 1024 * 1024;
/// As much of a value is shown to the model.
const VALUE_BYTES: usize = 32 * 1024;
/// As much of an answer that says an error is shown to the model.
const ERROR_BYTES: usize = 2048;
const REDIRECTS: usize = 5;
const CONNECT: Duration = Duration::from_secs(5);

/// An endpoint as a tool.
pub(in crate::agent) struct Http {
    name: String,
    definition: HttpTool,
    input: Input,
    templates: Templates,
    guard: Arc<Guard>,
    client: Client,
}

/// What is to be sent.
struct Prepared {
    url: Url,
    headers: HeaderMap,
    body: Option<String>,
}

/// Why there is no answer, as the model is told it.
struct Failed {
    code: &'static str,
    error: String,
}

impl Failed {
    fn new(code: &'static str, error: impl Into<String>) -> Self {
        Self { code, error: error.into() }
    }
}

impl Http {
    /// The error names the field of the tool that is wrong with it.
    pub(in crate::agent) fn build(name: &str, definition: &HttpTool) -> Result<Self, (&'static str, String)> {
        let input = Input::compile(definition.input.as_ref()).map_err(|message| ("input", message))?;
        let templates = Templates::compile(definition, input.schema())?;
        let guard = Arc::new(Guard::new(definition.allow_private.clone()));
        let client = guarded(&guard).map_err(|message| ("url", message))?;
        Ok(Self { name: name.to_owned(), definition: definition.clone(), input, templates, guard, client })
    }

    fn prepare(&self, cx: &RunContext, call: Call<'_>) -> Result<Prepared, Failed> {
        let unusable = |error: String| Failed::new("invalid_arguments", error);
        let text = self.templates.url(call.arguments).map_err(unusable)?;
        let url = Url::parse(&text).map_err(|error| unusable(format!("the address `{text}` is none: {error}")))?;
        let mut headers = HeaderMap::new();
        for (name, value) in self.templates.headers(call.arguments).map_err(unusable)? {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a definition's headers are checked");
            let value = HeaderValue::from_str(&value)
                .map_err(|_| unusable(format!("the value of the header `{name}` has characters that no header has")))?;
            headers.insert(name, value);
        }
        let body = self.templates.body(call.arguments).map_err(unusable)?;
        if let Some((_, kind)) = &body {
            headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(kind));
        }
        if self.definition.method != Method::GET {
            let key = idempotency_key(&cx.input().run_id, call.id);
            headers.insert("idempotency-key", HeaderValue::from_str(&key).expect("hexadecimal digits"));
        }
        Ok(Prepared { url, headers, body: body.map(|(text, _)| text) })
    }

    /// Follows redirects of a GET itself, so that each address is looked at.
    async fn send(&self, prepared: Prepared) -> Result<Response, Failed> {
        let Prepared { mut url, mut headers, body } = prepared;
        for _ in 0..=REDIRECTS {
            self.guard.admit(&url).map_err(|error| Failed::new("forbidden_address", error))?;
            let mut request = self.client.request(self.definition.method.clone(), url.clone()).headers(headers.clone());
            if let Some(body) = &body {
                request = request.body(body.clone());
            }
            let response = request.send().await.map_err(|error| self.unreachable(&error))?;
            let follows = response.status().is_redirection() && self.definition.method == Method::GET;
            let Some(location) = response.headers().get(LOCATION).filter(|_| follows) else { return Ok(response) };
            let next = location.to_str().ok().and_then(|location| url.join(location).ok());
            let next = next.filter(|next| matches!(next.scheme(), "http" | "https"));
            let next = next.ok_or_else(|| Failed::new("http_error", "the answer redirects to no address"))?;
            if next.origin() != url.origin() {
                // What the definition sends may be a credential of the first server.
                headers.clear();
            }
            url = next;
        }
        Err(Failed::new("http_error", format!("the answer redirects more than {REDIRECTS} times")))
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failed {
        let told = outbound::told(error);
        match guard::refusal(error) {
            Some(refusal) => Failed::new("forbidden_address", refusal),
            None if error.is_timeout() => Failed::new("timeout", "the server did not answer in time"),
            None => Failed::new("unreachable", format!("the server cannot be reached: {told}")),
        }
    }

    async fn answer(&self, response: Response) -> Result<Value, Failed> {
        let status = response.status();
        if let Some(encoding) = encoding(&response) {
            let error = format!(
                "the answer ({status}) cannot be read: its Content-Encoding is `{encoding}`, which nobody asked for"
            );
            let mut told = refused("http_error", &error);
            told["status"] = status.as_u16().into();
            return Ok(told);
        }
        let text = read(response).await?;
        if !status.is_success() {
            let error = format!("the server answered {status}");
            let mut told = refused("http_error", &error);
            told["status"] = status.as_u16().into();
            told["body"] = beginning(&text, ERROR_BYTES).into();
            return Ok(told);
        }
        let parsed: Option<Value> = serde_json::from_str(&text).ok();
        let value = match (&self.definition.output_pointer, parsed) {
            (None, parsed) => parsed.unwrap_or(Value::String(text)),
            (Some(pointer), Some(parsed)) => match pointer.get(&parsed) {
                Some(value) => value.clone(),
                None => {
                    let error = format!("there is nothing at `{pointer}` of the answer");
                    return Err(Failed::new("not_found", error));
                }
            },
            (Some(pointer), None) => {
                let error = format!("the answer is not JSON, so there is nothing at `{pointer}` of it");
                return Err(Failed::new("not_found", error));
            }
        };
        let size = value.as_str().map_or_else(|| value.to_string().len(), str::len);
        if size <= VALUE_BYTES {
            return Ok(json!({ "ok": true, "status": status.as_u16(), "value": value }));
        }
        let shown = match &value {
            Value::String(text) => beginning(text, VALUE_BYTES).to_owned(),
            value => beginning(&value.to_string(), VALUE_BYTES).to_owned(),
        };
        Ok(json!({
            "ok": true,
            "status": status.as_u16(),
            "truncated": format!("the value has {size} bytes; this is its beginning, as text"),
            "value": shown,
        }))
    }
}

#[async_trait]
impl Tool for Http {
    fn spec(&self) -> agui::Tool {
        let description = match self.definition.description.as_str() {
            "" => format!("Asks {} by {}.", self.templates.host(), self.definition.method),
            description => description.to_owned(),
        };
        spec(&self.name, description, self.input.schema())
    }

    fn is_idempotent(&self) -> bool {
        self.definition.idempotent
    }

    fn timeout(&self) -> Duration {
        self.definition.timeout
    }

    async fn call(&self, cx: &RunContext, call: Call<'_>) -> Result<Value, AgentError> {
        if let Some(fault) = self.input.fault(call.arguments) {
            return Ok(refused("invalid_arguments", &fault));
        }
        let asked = async {
            let prepared = self.prepare(cx, call)?;
            let response = self.send(prepared).await?;
            self.answer(response).await
        };
        Ok(asked.await.unwrap_or_else(|failed| refused(failed.code, &failed.error)))
    }
}

/// A client whose every look-up of a name passes the guard. Proxies of the environment would look names up themselves, so
/// they are used only where everything is allowed.
fn guarded(guard: &Arc<Guard>) -> Result<Client, String> {
    outbound::make(|client| {
        let client = client.connect_timeout(CONNECT).dns_resolver(Arc::clone(guard));
        if guard.allows_everything() { client } else { client.no_proxy() }
    })
}

/// The same for every attempt at one call: a server that knows it does nothing twice.
fn idempotency_key(run_id: &str, call: &str) -> String {
    let digest = Sha256::digest(format!("{run_id} {call}").as_bytes());
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// How the body is encoded, if it is not as it is.
fn encoding(response: &Response) -> Option<String> {
    let encoding = response.headers().get(CONTENT_ENCODING)?;
    let encoding = String::from_utf8_lossy(encoding.as_bytes()).trim().to_ascii_lowercase();
    (!encoding.is_empty() && encoding != "identity").then_some(encoding)
}

async fn read(response: Response) -> Result<String, Failed> {
    let mut bytes = Vec::new();
    let mut pieces = response.bytes_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece
            .map_err(|error| Failed::new("unreachable", format!("the answer broke off: {}", outbound::told(&error))))?;
        bytes.extend_from_slice(&piece);
        if bytes.len() > ANSWER_BYTES {
            return Err(Failed::new("too_large", format!("the answer is longer than {ANSWER_BYTES} bytes")));
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The beginning of a text, whole characters.
fn beginning(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}
