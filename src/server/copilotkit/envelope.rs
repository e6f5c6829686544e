//! The single-route form: one POST whose JSON says which call it is (docs/copilotkit §1.12).

use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Call, Problem};

#[derive(Debug, Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    method: Option<&'a RawValue>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

/// Only strings count; anything else is a missing parameter.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Params {
    agent_id: serde_json::Value,
    thread_id: serde_json::Value,
    path: serde_json::Value,
    http_method: serde_json::Value,
}

/// Reads an envelope into the call it stands for.
pub(super) fn open(headers: &HeaderMap, bytes: &[u8]) -> Result<Call, Problem> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !content_type.to_ascii_lowercase().contains("application/json") {
        let message = "Single-route endpoint expects JSON payloads";
        return Err(Problem::envelope(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    }
    let envelope: Envelope<'_> = serde_json::from_slice(bytes).map_err(|_| refused("Invalid JSON payload"))?;
    let method: Option<String> = envelope.method.and_then(|method| serde_json::from_str(method.get()).ok());
    let method = method.filter(|method| !method.is_empty()).ok_or_else(|| refused("Missing method field"))?;
    let params: Params = envelope.params.and_then(|params| serde_json::from_str(params.get()).ok()).unwrap_or_default();
    match method.as_str() {
        "info" => Ok(Call::Info),
        "agent/run" => Ok(Call::Run { agent: params.agent()?, body: required(envelope.body)? }),
        "agent/connect" => Ok(Call::Connect { agent: params.agent()?, body: required(envelope.body)? }),
        "agent/stop" => {
            let (agent, thread) = (params.agent()?, params.thread()?);
            Ok(Call::Stop { agent, thread, body: body(envelope.body).unwrap_or_default() })
        }
        "resource/request" => resource(&params),
        other => Err(refused(format!("Unsupported method '{other}'"))),
    }
}

/// A thread route, tunnelled: `params.path` is relative to the base path.
fn resource(params: &Params) -> Result<Call, Problem> {
    let path = string(&params.path).ok_or_else(|| missing("path"))?;
    let method = string(&params.http_method).ok_or_else(|| missing("httpMethod"))?;
    if !path.starts_with('/') || path.starts_with("//") {
        return Err(refused("Resource path must be Runtime-relative"));
    }
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let parts: Vec<_> = path[1..].split('/').collect();
    let decoded = |part: &str| decode(part).ok_or_else(Problem::not_found);
    let call = match parts.as_slice() {
        ["threads"] => Call::Threads { query: query.to_owned() },
        ["threads", thread, "messages"] => Call::Messages { thread: decoded(thread)? },
        ["threads", thread, "events"] => Call::Events { thread: decoded(thread)? },
        ["threads", thread, "state"] => Call::ThreadState { thread: decoded(thread)?, query: query.to_owned() },
        _ => return Err(Problem::not_found()),
    };
    if method != "GET" {
        return Err(Problem::method_not_allowed("GET"));
    }
    Ok(call)
}

impl Params {
    fn agent(&self) -> Result<String, Problem> {
        string(&self.agent_id).map(str::to_owned).ok_or_else(|| missing("agentId"))
    }

    fn thread(&self) -> Result<String, Problem> {
        string(&self.thread_id).map(str::to_owned).ok_or_else(|| missing("threadId"))
    }
}

fn string(value: &serde_json::Value) -> Option<&str> {
    value.as_str().filter(|text| !text.trim().is_empty())
}

fn required(value: Option<&RawValue>) -> Result<Bytes, Problem> {
    body(value).ok_or_else(|| refused("Missing request body for JSON handler"))
}

/// The body's text. One that is a JSON string holds the text itself.
fn body(value: Option<&RawValue>) -> Option<Bytes> {
    let text = value?.get();
    match serde_json::from_str::<String>(text) {
        Ok(inner) => Some(inner.into()),
        Err(_) if text == "null" => None,
        Err(_) => Some(Bytes::copy_from_slice(text.as_bytes())),
    }
}

/// Percent-decodes one path segment; `None` when it is malformed.
fn decode(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

fn missing(parameter: &str) -> Problem {
    refused(format!("Missing or invalid parameter '{parameter}'"))
}

fn refused(message: impl Into<String>) -> Problem {
    Problem::envelope(StatusCode::BAD_REQUEST, message)
}
