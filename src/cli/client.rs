//! Requests to a running server, and what can go wrong with them.

use std::process::ExitCode;

use clap::Args;
use reqwest::{Method, RequestBuilder, Response, Url};
use serde_json::Value;
use thiserror::Error;

use super::out;

/// Which server.
#[derive(Debug, Args)]
pub(super) struct At {
    /// The server
    #[arg(
        long,
        env = "COAGENT_URL",
        value_name = "URL",
        default_value = "http://127.0.0.1:7070",
        value_parser = address,
        global = true
    )]
    pub(super) url: Url,
}

/// The address of a server; one that names no scheme is meant as `http`.
fn address(text: &str) -> Result<Url, String> {
    let usual = || "write http://HOST:PORT or https://HOST".to_owned();
    let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let url = Url::parse(&whole).map_err(|error| format!("{error}: {}", usual()))?;
    if matches!(url.scheme(), "http" | "https") { Ok(url) } else { Err(usual()) }
}

/// Why a command did not do what it was asked.
#[derive(Debug, Error)]
pub(super) enum Failure {
    #[error("{code}: {detail}")]
    Refused { code: String, detail: String },
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Broken(String),
    #[error("standard output: {0}")]
    Output(#[from] std::io::Error),
}

impl Failure {
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Refused { .. } => 1,
            Self::Usage(_) => super::BAD_CONFIGURATION,
            Self::Output(_) if self.is_reader_gone() => 0,
            Self::Broken(_) | Self::Output(_) => 3,
        }
    }

    /// Whoever read what is printed has seen enough.
    fn is_reader_gone(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe)
    }
}

/// Percent-encoded, so that it is one segment of a path and one item of a list.
pub(super) fn encoded(text: &str) -> String {
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
        for name in ["line", "paths", "errors", "version"] {
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

/// Does what was asked of a server, and says what went wrong; the exit code is what was done's or the failure's.
pub(super) fn told_by(work: impl Future<Output = Result<u8, Failure>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("this process can have one more thread of control");
    match runtime.block_on(work) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            if !failure.is_reader_gone() {
                out::remark(&format!("coagent: {failure}"));
            }
            ExitCode::from(failure.exit_code())
        }
    }
}

pub(super) fn show(value: &Value) -> Result<(), Failure> {
    say(&serde_json::to_string_pretty(value).expect("a value is JSON"))
}

/// One line of what was asked for.
pub(super) fn say(line: &str) -> Result<(), Failure> {
    Ok(out::print(&format!("{line}\n"))?)
}
