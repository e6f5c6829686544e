//! The single-route form: one POST whose JSON says which call it is (docs/copilotkit.md §1).

use std::collections::HashMap;

use axum::body::Body;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::agui::read_json;

use super::extract::json;
use super::{Call, Problem};

/// The members of an envelope or of its parameters, as JavaScript has them: of a name given twice the last counts.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
struct Members<'a>(#[serde(borrow)] HashMap<String, &'a RawValue>);

/// The methods of envelopes.
#[derive(Debug, Clone, Copy)]
enum Known {
    Info,
    Run,
    Connect,
    Suggest,
    Stop,
    Transcribe,
    InspectorMetadata,
    InspectorLearning,
    Resource,
}

impl Known {
    fn of(method: &str) -> Option<Self> {
        Some(match method {
            "info" => Self::Info,
            "agent/run" => Self::Run,
            "agent/connect" => Self::Connect,
            "agent/suggest" => Self::Suggest,
            "agent/stop" => Self::Stop,
            "transcribe" => Self::Transcribe,
            "inspector/metadata" => Self::InspectorMetadata,
            "inspector/learning" => Self::InspectorLearning,
            "resource/request" => Self::Resource,
            _ => return None,
        })
    }
}

/// What an envelope stands for.
#[derive(Debug)]
pub(super) enum Enveloped {
    Call(Call),
    Resource(Resource),
}

/// A request to a resource route, tunnelled.
#[derive(Debug)]
pub(super) struct Resource {
    method: Method,
    /// Path and query below the base path.
    uri: Uri,
    body: Bytes,
}

/// Reads an envelope.
pub(super) fn open(headers: &HeaderMap, bytes: &[u8]) -> Result<Enveloped, Problem> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !content_type.to_ascii_lowercase().contains("application/json") {
        let message = "Single-route endpoint expects JSON payloads";
        return Err(Problem::envelope(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    }
    let payload: &RawValue = json(bytes).map_err(|_| refused("Invalid JSON payload"))?;
    // JSON that is no object names no method.
    let envelope = Members::of(payload);
    let method = envelope.text("method").filter(|method| !method.is_empty());
    let method = method.ok_or_else(|| refused("Missing method field"))?;
    let params = envelope.get("params").map(Members::of).unwrap_or_default();
    let known = Known::of(&method).ok_or_else(|| refused(format!("Unsupported method '{method}'")))?;
    let call = match known {
        Known::Info => Call::Info,
        Known::Run => Call::Run { agent: params.required("agentId")?, body: required(envelope.get("body"))? },
        Known::Connect => Call::Connect { agent: params.required("agentId")?, body: required(envelope.get("body"))? },
        Known::Suggest => Call::Suggest { agent: params.required("agentId")?, body: required(envelope.get("body"))? },
        Known::Stop => {
            let (agent, thread) = (params.required("agentId")?, params.required("threadId")?);
            Call::Stop { agent, thread, body: body(envelope.get("body")).unwrap_or_default() }
        }
        Known::Transcribe => {
            Call::Transcribe { content_type: "application/json".to_owned(), body: required(envelope.get("body"))? }
        }
        Known::InspectorMetadata => Call::InspectorMetadata,
        Known::InspectorLearning => Call::InspectorLearning,
        Known::Resource => return resource(&params, envelope.get("body")).map(Enveloped::Resource),
    };
    Ok(Enveloped::Call(call))
}

/// The method of a body that is an envelope and names a known one.
pub(super) fn method(bytes: &[u8]) -> Option<String> {
    let method = json::<Members<'_>>(bytes).ok()?.text("method")?;
    Known::of(&method).is_some().then_some(method)
}

fn resource(params: &Members<'_>, body_of: Option<&RawValue>) -> Result<Resource, Problem> {
    let path = params.required("path")?;
    let method = params.required("httpMethod")?;
    // A second slash, either way round, would make the rest of it a host.
    if !path.starts_with('/') || path[1..].starts_with(['/', '\\']) {
        return Err(refused("Resource path must be Runtime-relative"));
    }
    let url = reqwest::Url::parse(&format!("http://resource{path}")).map_err(|_| Problem::not_found())?;
    let query = url.query().map_or_else(String::new, |query| format!("?{query}"));
    let uri = format!("{}{query}", url.path()).parse().map_err(|_| Problem::not_found())?;
    let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes()).map_err(|_| missing("httpMethod"))?;
    let has_body = method != Method::GET && method != Method::HEAD;
    Ok(Resource { method, uri, body: body(body_of).filter(|_| has_body).unwrap_or_default() })
}

impl Resource {
    /// The same caller's request, as it would have come by REST.
    pub(super) fn into_request(self, mut outer: Parts) -> Request {
        outer.headers.remove(header::CONTENT_LENGTH);
        (outer.method, outer.uri) = (self.method, self.uri);
        Request::from_parts(outer, Body::from(self.body))
    }
}

impl<'a> Members<'a> {
    /// None of what is no object.
    fn of(value: &'a RawValue) -> Self {
        serde_json::from_str(value.get()).unwrap_or_default()
    }

    fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.get(name).copied()
    }

    /// A member that is a string.
    fn text(&self, name: &str) -> Option<String> {
        read_json(self.get(name)?.get()).ok()
    }

    /// A parameter that has to be a string with something in it.
    fn required(&self, name: &str) -> Result<String, Problem> {
        self.text(name).filter(|text| !text.trim().is_empty()).ok_or_else(|| missing(name))
    }
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

fn missing(parameter: &str) -> Problem {
    refused(format!("Missing or invalid parameter '{parameter}'"))
}

fn refused(message: impl Into<String>) -> Problem {
    Problem::envelope(StatusCode::BAD_REQUEST, message)
}
