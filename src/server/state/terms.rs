//! The headers of a write: preconditions, base, idempotency key, reason, preference (docs/state-api.md §2).

use axum::http::{HeaderMap, HeaderName, Method, header};
use sha2::{Digest, Sha256};
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};

use crate::access::Principal;
use crate::runtime::{Expects, Once, Proposal, Write};

use super::super::error::problem::{Code, Problem};
use super::super::stream::position;

const BASE_VERSION: HeaderName = HeaderName::from_static("base-version");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const PREFER: HeaderName = HeaderName::from_static("prefer");
const REASON: HeaderName = HeaderName::from_static("x-reason");
const RUN_ID: HeaderName = HeaderName::from_static("x-run-id");

const KEY_BYTES: usize = 512;
const REASON_BYTES: usize = 1024;

/// The headers of any write, for the description of the API.
pub(super) struct Terms;

const SAID_OF: [(&str, &str); 7] = [
    ("if-match", "The write happens only if the document is at one of these entity tags; `*`: if it exists"),
    ("if-none-match", "`*`: the document is created, or nothing happens"),
    ("base-version", "The version the writer saw: what others wrote since is merged, not overwritten"),
    ("idempotency-key", "The same request with the same key happens once within 24 hours"),
    ("prefer", "`return=representation`: the answer holds the body"),
    ("x-reason", "Why; stored with the commit"),
    ("x-run-id", "The run on whose behalf this is written"),
];

impl IntoParams for Terms {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let header = |(name, said): (&str, &str)| {
            let text = ObjectBuilder::new().schema_type(Type::String);
            let header = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Header);
            header.description(Some(said)).schema(Some(text)).build()
        };
        SAID_OF.map(header).to_vec()
    }
}

/// The terms that several writes of one request have in common.
pub(super) fn common(headers: &HeaderMap) -> Result<Common, Problem> {
    Ok(Common { reason: text(headers, &REASON, REASON_BYTES)?, run_id: text(headers, &RUN_ID, KEY_BYTES)? })
}

/// Why, and on behalf of which run.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) reason: Option<String>,
    pub(super) run_id: Option<String>,
}

/// A write on the terms of a request's headers.
pub(super) fn write(headers: &HeaderMap, proposal: Proposal) -> Result<Write, Problem> {
    let Common { reason, run_id } = common(headers)?;
    Ok(Write {
        base: base(headers)?,
        expects: expects(headers)?,
        wants_data: wants_data(headers),
        reason,
        run_id,
        ..Write::new(proposal)
    })
}

/// The promise that comes with an `Idempotency-Key`: one effect per principal, method, what it is about, and key.
pub(super) fn once(
    headers: &HeaderMap,
    principal: &Principal,
    method: &Method,
    about: &str,
    body: &[u8],
) -> Result<Option<Once>, Problem> {
    let Some(key) = text(headers, &IDEMPOTENCY_KEY, KEY_BYTES)? else { return Ok(None) };
    if key.is_empty() {
        return Err(refused(&IDEMPOTENCY_KEY, "not empty"));
    }
    let scope = [&principal.subject, method.as_str(), about, &key];
    let content_type = headers.get(header::CONTENT_TYPE).map(|value| value.as_bytes()).unwrap_or_default();
    Ok(Some(Once { key: format!("once:{}", digest(scope)), fingerprint: digest([content_type, body]) }))
}

/// Of parts with their lengths, so that no two lists of parts have the same.
fn digest<const N: usize>(parts: [impl AsRef<[u8]>; N]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        let part = part.as_ref();
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn base(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get(&BASE_VERSION) else { return Ok(None) };
    let version = value.to_str().ok().and_then(|value| value.trim().parse().ok()).filter(|version| *version > 0);
    version.map(Some).ok_or_else(|| refused(&BASE_VERSION, "a version, a number from 1"))
}

fn expects(headers: &HeaderMap) -> Result<Expects, Problem> {
    let of = |name| headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("?"));
    let (mut expected, mut unexpected) = (of(header::IF_MATCH).peekable(), of(header::IF_NONE_MATCH).peekable());
    match (expected.peek(), unexpected.peek()) {
        (None, None) => Ok(Expects::Anything),
        (Some(_), Some(_)) => Err(refused(&header::IF_NONE_MATCH, "not sent together with `If-Match`")),
        (None, Some(&"*")) => Ok(Expects::Absent),
        (None, Some(_)) => Err(refused(&header::IF_NONE_MATCH, "`*` in a write")),
        (Some(&"*"), None) => Ok(Expects::Present),
        (Some(_), None) => {
            let tags = expected.flat_map(|list| list.split(',')).map(str::trim);
            let parsed: Option<Vec<_>> = tags.map(tag).collect();
            let parsed = parsed.ok_or_else(|| refused(&header::IF_MATCH, "`*` or entity tags of this document"))?;
            // A weak tag matches nothing here (RFC 9110 §13.1.1).
            Ok(Expects::OneOf(parsed.into_iter().flatten().collect()))
        }
    }
}

/// Whether a read's `If-None-Match` names this entity tag.
pub(super) fn is_known(headers: &HeaderMap, current: &str) -> bool {
    let lists = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = lists.flat_map(|list| list.split(',')).map(str::trim);
    tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == current)
}

/// The epoch and version of an entity tag; `Some(None)` for one that names none of ours.
fn tag(text: &str) -> Option<Option<(String, u64)>> {
    if text.starts_with("W/\"") && text.ends_with('"') {
        return Some(None);
    }
    let opaque = text.strip_prefix('"')?.strip_suffix('"')?;
    let parsed = opaque.rsplit_once('.').and_then(|(epoch, version)| Some((epoch.to_owned(), position(version)?)));
    Some(parsed)
}

fn wants_data(headers: &HeaderMap) -> bool {
    let preferences = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
    preferences.flat_map(|list| list.split([',', ';'])).filter_map(|preference| preference.split_once('=')).any(
        |(name, value)| {
            name.trim().eq_ignore_ascii_case("return")
                && value.trim().trim_matches('"').eq_ignore_ascii_case("representation")
        },
    )
}

/// A header's text, UTF-8 as curl and browsers' `fetch` send it.
fn text(headers: &HeaderMap, name: &HeaderName, most: usize) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let text = std::str::from_utf8(value.as_bytes()).map_err(|_| refused(name, "UTF-8"))?;
    match text.len() <= most {
        true => Ok(Some(text.to_owned())),
        false => Err(refused(name, &format!("at most {most} bytes"))),
    }
}

fn refused(name: &HeaderName, expected: &str) -> Problem {
    Problem::new(Code::InvalidHeader, format!("the header `{name}` must be {expected}")).with("header", name.as_str())
}
