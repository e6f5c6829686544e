//! Requests to a server's state API, and what can go wrong with them.

use std::convert::Infallible;
use std::str::FromStr;

use reqwest::{Method, RequestBuilder, Response, Url};
use serde_json::Value;
use thiserror::Error;

use super::Terms;

/// Why a command did not do what it was asked.
#[derive(Debug, Error)]
pub(super) enum Failure {
    #[error("{code}: {detail}")]
    Refused { code: String, detail: String },
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Broken(String),
}

impl Failure {
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Refused { .. } => 1,
            Self::Usage(_) => super::super::BAD_CONFIGURATION,
            Self::Broken(_) => 3,
        }
    }
}

/// A document as it was named; the server says what is wrong with the name.
#[derive(Debug, Clone)]
pub(super) struct Document {
    kind: String,
    id: String,
}

impl FromStr for Document {
    type Err = Infallible;

    fn from_str(name: &str) -> Result<Self, Infallible> {
        let (kind, id) = name.split_once('/').unwrap_or((name, ""));
        Ok(Self { kind: kind.to_owned(), id: id.to_owned() })
    }
}

impl Document {
    pub(super) fn path(&self, below: &str) -> String {
        format!("/v1/state/{}/{}{below}", encoded(&self.kind), encoded(&self.id))
    }

    pub(super) fn in_list(&self) -> String {
        format!("{}/{}", encoded(&self.kind), encoded(&self.id))
    }
}

/// Percent-encoded, so that it is one segment of a path and one item of a list.
fn encoded(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~:".contains(&byte);
    let encode = |byte: u8| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(encode).collect()
}

/// A server.
#[derive(Debug)]
pub(super) struct Client {
    url: Url,
    http: reqwest::Client,
}

impl Client {
    pub(super) fn new(url: Url) -> Self {
        Self { url, http: reqwest::Client::new() }
    }

    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let base = self.url.as_str().trim_end_matches('/');
        self.http.request(method, format!("{base}{path}"))
    }

    pub(super) fn get(&self, path: &str, query: &[(&str, String)]) -> RequestBuilder {
        query.iter().fold(self.request(Method::GET, path), |request, pair| request.query(&[pair]))
    }

    /// A write on these terms.
    pub(super) async fn write(
        &self,
        method: Method,
        document: &Document,
        terms: &Terms,
    ) -> Result<RequestBuilder, Failure> {
        let mut request = self.request(method, &document.path(""));
        if let Some(version) = terms.if_version {
            // An entity tag names the lineage too, and the server knows which.
            let found = self.send(self.request(Method::GET, &document.path(""))).await?;
            let tag = found.headers().get("etag").and_then(|tag| tag.to_str().ok()).unwrap_or_default();
            let epoch = tag.trim_matches('"').rsplit_once('.').map_or("", |(epoch, _)| epoch);
            request = request.header("if-match", format!("\"{epoch}.{version}\""));
        }
        if let Some(base) = terms.base {
            request = request.header("base-version", base);
        }
        if let Some(reason) = &terms.reason {
            request = request.header("x-reason", reason.as_bytes());
        }
        Ok(request)
    }

    /// Sends a request; what the server refuses is a failure.
    pub(super) async fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let response = request.send().await.map_err(|error| self.broken(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let text = response.text().await.map_err(|error| self.broken(&error))?;
        let problem: Value = serde_json::from_str(&text).unwrap_or_default();
        let member = |name: &str| problem[name].as_str().map(str::to_owned);
        let code = member("code").unwrap_or_else(|| status.as_u16().to_string());
        let mut detail = member("detail").unwrap_or_else(|| status.to_string());
        for name in ["paths", "errors", "version"] {
            if let Some(more) = problem.get(name) {
                detail.push_str(&format!("; {name}: {more}"));
            }
        }
        Err(Failure::Refused { code, detail })
    }

    pub(super) async fn json(&self, request: RequestBuilder) -> Result<Value, Failure> {
        self.send(request).await?.json().await.map_err(|error| self.broken(&error))
    }

    pub(super) fn broken(&self, error: &reqwest::Error) -> Failure {
        let mut reason: &dyn std::error::Error = error;
        while let Some(source) = reason.source() {
            reason = source;
        }
        let what = if error.is_connect() { "cannot be reached" } else { "broke off" };
        Failure::Broken(format!("{} {what}: {reason}", self.url.as_str().trim_end_matches('/')))
    }
}
