//! The HTTP side, below async-openai: status, headers and body are read here first, because what its parser cannot read
//! loses them. It sends once and repeats nothing.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_openai::error::OpenAIError;
use async_openai::middleware::HttpRequestFactory;
use futures_util::StreamExt as _;
use hyper::http;
use jiff::Timestamp;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url};
use tower::Service;

use super::refusal;
use crate::agent::model::{Fault, FaultKind};
use crate::agent::outbound;

/// How much of a body that is no answer is read, in bytes.
const REFUSAL_BYTES: usize = 64 * 1024;
/// The longest answer, in bytes of its stream: async-openai reads ahead of us without a bound of its own.
const ANSWER_BYTES: usize = 8 * 1024 * 1024;

/// One server and what every request to it carries.
#[derive(Debug)]
pub(super) struct Transport {
    pub(super) client: Client,
    pub(super) endpoint: Url,
    pub(super) headers: HeaderMap,
    /// Without a key no `authorization` is sent, unless `headers` have one.
    pub(super) has_key: bool,
}

/// Why we ended an answer ourselves: async-openai only tells that it ended.
pub(super) type CutOff = Arc<OnceLock<Fault>>;

impl Transport {
    /// The service that async-openai sends one request through.
    pub(super) fn service(
        self: &Arc<Self>,
        cut_off: CutOff,
    ) -> impl Service<HttpRequestFactory, Response = Response, Error = OpenAIError, Future: Send + 'static>
    + Clone
    + Send
    + Sync
    + 'static {
        let transport = Arc::clone(self);
        tower::service_fn(move |request: HttpRequestFactory| {
            let (transport, cut_off) = (Arc::clone(&transport), Arc::clone(&cut_off));
            async move { transport.send(&request, cut_off).await }
        })
    }

    async fn send(&self, request: &HttpRequestFactory, cut_off: CutOff) -> Result<Response, OpenAIError> {
        let mut request = request.build().await?;
        *request.url_mut() = self.endpoint.clone();
        if !self.has_key {
            request.headers_mut().remove(AUTHORIZATION);
        }
        for (name, value) in &self.headers {
            request.headers_mut().insert(name, value.clone());
        }
        let response = self.client.execute(request).await.map_err(|error| boxed(self.unreachable(&error)))?;
        self.checked(response, cut_off).await.map_err(boxed)
    }

    /// The answer as a stream of events, or why it is none.
    async fn checked(&self, response: Response, cut_off: CutOff) -> Result<Response, Fault> {
        let status = response.status();
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if !status.is_success() {
            let wait = wait_asked_for(response.headers());
            let body = read(response, REFUSAL_BYTES).await;
            let fault = refusal::of_status(status, &body);
            let body = String::from_utf8_lossy(&body);
            tracing::warn!(server = %self.endpoint.authority(), %status, %body, "a model server refused a request");
            return Err(Fault { retry_after: wait, ..fault });
        }
        match kind.as_str() {
            // A server that does not stream: its whole answer is one event.
            "application/json" => {
                let body = read(response, ANSWER_BYTES).await;
                let whole: serde_json::Value = serde_json::from_slice(&body)
                    .map_err(|_| Fault::new(FaultKind::Truncated, "the model server's answer is not whole JSON"))?;
                Ok(answer(reqwest::Body::from(format!("data: {whole}\n\n"))))
            }
            "text/html" => {
                let message = format!("{} answered with a web page: check `agent.base_url`", self.endpoint.authority());
                Err(Fault::new(FaultKind::Refused, message))
            }
            _ => Ok(bounded(response, cut_off)),
        }
    }

    fn unreachable(&self, error: &reqwest::Error) -> Fault {
        let server = self.endpoint.authority();
        let reason = outbound::told(error);
        tracing::warn!(server, reason, "a model server cannot be reached");
        let (kind, what) = match (error.is_connect(), error.is_timeout()) {
            (_, true) => (FaultKind::ConnectTimeout, "takes no connection in time"),
            (true, false) => (FaultKind::Unreachable, "cannot be reached"),
            (false, false) => (FaultKind::Unreachable, "broke off before it answered"),
        };
        Fault::new(kind, format!("the model server {server} {what}: {reason}"))
    }
}

fn boxed(fault: Fault) -> OpenAIError {
    OpenAIError::Boxed(Box::new(fault))
}

/// The same answer, cut off where it is longer than any answer should be.
fn bounded(response: Response, cut_off: CutOff) -> Response {
    let mut left = ANSWER_BYTES;
    let pieces = response.bytes_stream().map(move |piece| {
        let piece = piece.map_err(std::io::Error::other)?;
        match left.checked_sub(piece.len()) {
            Some(rest) => {
                left = rest;
                Ok(piece)
            }
            None => {
                let fault = Fault::new(FaultKind::Refused, format!("the answer is longer than {ANSWER_BYTES} bytes"));
                let error = std::io::Error::other(fault.clone());
                // Told once: the stream ends with its first error.
                let _ = cut_off.set(fault);
                Err(error)
            }
        }
    });
    answer(reqwest::Body::wrap_stream(pieces))
}

fn answer(body: reqwest::Body) -> Response {
    let mut response = http::Response::new(body);
    *response.status_mut() = StatusCode::OK;
    response.into()
}

async fn read(mut response: Response, limit: usize) -> Vec<u8> {
    let mut body = Vec::new();
    while body.len() < limit
        && let Ok(Some(bytes)) = response.chunk().await
    {
        body.extend_from_slice(&bytes);
    }
    body.truncate(limit);
    body
}

/// `retry-after-ms`, or `Retry-After` in seconds or as a date.
fn wait_asked_for(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
    if let Some(millis) = text("retry-after-ms").and_then(number) {
        return Duration::try_from_secs_f64(millis / 1000.0).ok();
    }
    let asked = text(RETRY_AFTER.as_str())?;
    match number(asked) {
        Some(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        None => {
            let date = jiff::fmt::rfc2822::parse(asked).ok()?.timestamp();
            Some(Duration::try_from(date.duration_since(Timestamp::now())).unwrap_or(Duration::ZERO))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &'static str, value: &str, expected: Option<Duration>) {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().expect("a header's value"));
        assert_eq!(wait_asked_for(&headers), expected, "{name}: {value}");
    }

    #[test]
    fn the_wait_a_server_asks_for_is_read_in_every_form() {
        check("retry-after", "2", Some(Duration::from_secs(2)));
        check("retry-after", "0.5", Some(Duration::from_millis(500)));
        check("retry-after-ms", "250", Some(Duration::from_millis(250)));
        check("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT", Some(Duration::ZERO));
        check("retry-after", "soon", None);
        check("retry-after", "-1", None);
    }
}
