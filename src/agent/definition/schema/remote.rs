//! `kind: remote`: an endpoint and how to talk to it. Addresses and headers are read here for the other kinds too.

use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};

use super::super::fields::Place;
use super::super::reader::{Fields, Reader};
use super::super::{ForwardHeaders, ForwardState, Remote, StateMode, Timeouts};

/// Clients take events of less than 10 MiB (AG-UI, section 2.1); this leaves room for what is put around one.
const DEFAULT_MAX_EVENT_BYTES: usize = 9 * 1024 * 1024;
const EVENT_BYTES_RANGE: (usize, usize) = (1024, 64 * 1024 * 1024);
/// Headers that belong to the request itself.
const RESERVED_HEADERS: &[&str] =
    &["accept", "connection", "content-length", "content-type", "host", "transfer-encoding", "upgrade"];

pub(super) fn remote(reader: &mut Reader<'_>, agent: &Fields<'_>) -> Option<Remote> {
    reader.refuse_strangers(agent, Place::RemoteAgent);
    let headers = headers(reader, agent);
    let forward_headers = forward_headers(reader, agent);
    let forward_state = reader.word_or(
        agent,
        "forward_state",
        &[("full", ForwardState::Full), ("read", ForwardState::Read), ("none", ForwardState::Nothing)],
        ForwardState::Full,
    );
    let state_mode = reader.word_or(
        agent,
        "state_mode",
        &[("merge", StateMode::Merge), ("replace", StateMode::Replace), ("deltas_only", StateMode::DeltasOnly)],
        StateMode::Merge,
    );
    let timeouts = timeouts(reader, agent);
    let max_event_bytes = reader.count_or(agent, "max_event_bytes", DEFAULT_MAX_EVENT_BYTES, EVENT_BYTES_RANGE);
    let strip_raw = reader.bool_or(agent, "strip_raw", true);
    let protocol_version = protocol_version(reader, agent);
    if agent.get("url").is_none() {
        reader.note(agent.at, "agent.url", "`agent.url` is missing: the address of an AG-UI endpoint");
    }
    let url = url(reader, agent, "url")?;
    Some(Remote {
        url,
        headers,
        forward_headers,
        forward_state,
        state_mode,
        timeouts,
        max_event_bytes,
        strip_raw,
        protocol_version,
    })
}

fn protocol_version(reader: &mut Reader<'_>, agent: &Fields<'_>) -> Option<String> {
    let (text, at) = reader.text(agent, "protocol_version")?;
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    if text.split_once('.').is_some_and(|(major, minor)| is_number(major) && is_number(minor)) {
        return Some(text.to_owned());
    }
    let path = agent.path_of("protocol_version");
    reader.note(at, &path, format!("`{path}` must be a version of AG-UI such as \"1.0\""));
    None
}

/// The address in a field. Absence is not noted.
pub(super) fn url(reader: &mut Reader<'_>, agent: &Fields<'_>, name: &str) -> Option<Url> {
    let (text, at) = reader.text(agent, name)?;
    let path = agent.path_of(name);
    let refusal = match Url::parse(text) {
        Ok(url) if !matches!(url.scheme(), "http" | "https") => format!("`{path}` must begin with http:// or https://"),
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            format!("`{path}` must not contain a user name or password: put an `authorization` header under `headers`")
        }
        Ok(url) => return Some(url),
        Err(error) => format!("`{path}` is not an address: {error}"),
    };
    reader.note(at, &path, refusal);
    None
}

pub(super) fn headers(reader: &mut Reader<'_>, agent: &Fields<'_>) -> Vec<(String, String)> {
    let mut headers: Vec<(String, String)> = Vec::new();
    for (key, value, at) in reader.named_texts(agent, "headers") {
        let path = format!("{}.{}", agent.path_of("headers"), key.name);
        let name = key.name.to_ascii_lowercase();
        if HeaderName::from_bytes(name.as_bytes()).is_err() {
            reader.note(key.at, &path, format!("`{}` is not the name of a header", key.name));
        } else if RESERVED_HEADERS.contains(&name.as_str()) {
            reader.note(key.at, &path, format!("the header `{name}` is set by the runtime itself"));
        } else if headers.iter().any(|(earlier, _)| *earlier == name) {
            reader.note(key.at, &path, format!("the header `{name}` is given twice"));
        } else if HeaderValue::from_str(value).is_err() {
            reader.note(at, &path, format!("the value of the header `{name}` has characters that no header may have"));
        } else {
            headers.push((name, value.to_owned()));
        }
    }
    headers
}

fn forward_headers(reader: &mut Reader<'_>, agent: &Fields<'_>) -> ForwardHeaders {
    use super::super::tree::Shape;
    match agent.get("forward_headers").map(|node| (node, &node.shape)) {
        None | Some((_, Shape::Bool(true))) => ForwardHeaders::Usual,
        Some((_, Shape::Bool(false))) => ForwardHeaders::Nothing,
        Some((_, Shape::List(_))) => {
            let mut only = Vec::new();
            for (name, at, path) in reader.texts(agent, "forward_headers").unwrap_or_default() {
                let name = name.trim().to_ascii_lowercase();
                if name == "authorization" || name.starts_with("x-") {
                    only.push(name);
                } else {
                    let message = format!("the header `{name}` is never forwarded: only authorization and x-* are");
                    reader.note(at, &path, message);
                }
            }
            ForwardHeaders::Only(only)
        }
        Some((node, _)) => reader
            .expected("true, false or a list of header names", node, "agent.forward_headers")
            .unwrap_or(ForwardHeaders::Nothing),
    }
}

fn timeouts(reader: &mut Reader<'_>, agent: &Fields<'_>) -> Timeouts {
    let default = Timeouts::default();
    let Some(fields) = reader.below(agent, "timeouts", Place::RemoteTimeouts) else { return default };
    Timeouts {
        connect: reader.duration_or(&fields, "connect", default.connect),
        first_byte: reader.duration_or(&fields, "first_byte", default.first_byte),
        idle: reader.duration_or(&fields, "idle", default.idle),
    }
}
