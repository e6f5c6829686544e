//! The HTTP side, below async-openai: status, headers and body are read here first, because what its parser cannot read
//! loses them. It sends once and repeats nothing.

use std::sync::{Arc, OnceLock};

use async_openai::error::OpenAIError;
use async_openai::middleware::HttpRequestFactory;
use bytes::Bytes;
use futures_util::StreamExt as _;
use hyper::http;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use reqwest::{Client, Response, StatusCode, Url};
use tower::Service;

use crate::agent::model::Fault;
use crate::agent::model::wire::{self, ANSWER_BYTES};

/// One server and what every request to it carries.
#[derive(Debug)]
pub(super) struct Transport {
    pub(super) client: Client,
    pub(super) endpoint: Url,
    pub(super) headers: HeaderMap,
    /// Without a key no `authorization` is sent, unless `headers` have one.
    pub(super) has_key: bool,
}

/// What a server of SSE may send before anything else.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

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
        let unreachable = |error| boxed(wire::unreachable(&error, &self.endpoint));
        let response = self.client.execute(request).await.map_err(unreachable)?;
        match wire::checked(response, &self.endpoint).await.map_err(boxed)? {
            wire::Body::Events(response) => Ok(bounded(response, cut_off)),
            // One event.
            wire::Body::Whole(whole) => Ok(answer(reqwest::Body::from(format!("data: {whole}\n\n")))),
        }
    }
}

fn boxed(fault: Fault) -> OpenAIError {
    OpenAIError::Boxed(Box::new(fault))
}

/// The same answer without the mark that a stream of events may begin with, on which async-openai's parser panics, and
/// cut off where it is longer than any answer should be: async-openai reads ahead of us without a bound of its own.
fn bounded(response: Response, cut_off: CutOff) -> Response {
    let mut left = ANSWER_BYTES;
    let mut mark = BYTE_ORDER_MARK;
    let pieces = response.bytes_stream().map(move |piece| {
        let piece = without_mark(piece.map_err(std::io::Error::other)?, &mut mark);
        match left.checked_sub(piece.len()) {
            Some(rest) => {
                left = rest;
                Ok(piece)
            }
            None => {
                let fault = wire::too_long();
                let error = std::io::Error::other(fault.clone());
                // Told once: the stream ends with its first error.
                let _ = cut_off.set(fault);
                Err(error)
            }
        }
    });
    answer(reqwest::Body::wrap_stream(pieces))
}

/// `mark` is what of the mark may still come.
fn without_mark(piece: Bytes, mark: &mut &[u8]) -> Bytes {
    let common = piece.iter().zip(*mark).take_while(|(byte, expected)| byte == expected).count();
    *mark = if common == piece.len() { &mark[common..] } else { &[] };
    piece.slice(common..)
}

fn answer(body: reqwest::Body) -> Response {
    let mut response = http::Response::new(body);
    *response.status_mut() = StatusCode::OK;
    response.into()
}
