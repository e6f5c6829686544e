//! What calls may be refused with, as `/openapi.json` declares it: one set for each kind of call.

use std::collections::BTreeMap;

use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

use super::Code;

/// RFC 9457, with a stable `code`. Further members say what it is about.
#[derive(ToSchema)]
#[schema(as = Problem)]
#[expect(dead_code, reason = "describes what `Problem::body` writes")]
pub(in crate::server) struct Problematic {
    /// `urn:coagent:problem:<code>`
    r#type: String,
    title: String,
    status: u16,
    /// What a client may decide by.
    code: String,
    /// What is wrong and what would be accepted.
    detail: String,
    /// The version the document is at.
    version: Option<u64>,
    /// The place that it is about.
    path: Option<String>,
    /// The places that collide.
    paths: Option<Vec<String>>,
    /// What is wrong, place by place.
    #[schema(value_type = Option<Vec<Object>>)]
    errors: Option<()>,
}

/// Calls that look something up.
pub(in crate::server) struct Asks;

/// Calls that read a document.
pub(in crate::server) struct Reads;

/// Calls that write documents.
pub(in crate::server) struct Writes;

/// Calls that start a run.
pub(in crate::server) struct Runs;

const ASKS: [Code; 5] = [Code::InvalidName, Code::InvalidQuery, Code::Forbidden, Code::NotFound, Code::Unavailable];
const READS: [Code; 6] =
    [Code::UnknownType, Code::VersionNotFound, Code::Deleted, Code::InvalidHeader, Code::RateLimited, Code::Conflict];
const WRITES: [Code; 18] = [
    Code::InvalidJson,
    Code::InvalidPatch,
    Code::InvalidBody,
    Code::ForbiddenPath,
    Code::Timeout,
    Code::Conflict,
    Code::TestFailed,
    Code::TargetGone,
    Code::BatchVersionConflict,
    Code::VersionConflict,
    Code::AlreadyExists,
    Code::TooLarge,
    Code::UnsupportedMediaType,
    Code::SchemaInvalid,
    Code::TransitionInvalid,
    Code::IdempotencyMismatch,
    Code::RateLimited,
    Code::StorageFull,
];
const RUNS: [Code; 9] = [
    Code::InvalidJson,
    Code::InvalidBody,
    Code::Timeout,
    Code::ThreadBusy,
    Code::AgentInvalid,
    Code::QueueFull,
    Code::StorageFull,
    Code::TooLarge,
    Code::UnsupportedMediaType,
];

impl IntoResponses for Asks {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        declared(&[&ASKS])
    }
}

impl IntoResponses for Reads {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        declared(&[&ASKS, &READS])
    }
}

impl IntoResponses for Writes {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        declared(&[&ASKS, &READS, &WRITES])
    }
}

impl IntoResponses for Runs {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        declared(&[&ASKS, &RUNS])
    }
}

/// One response for each status, which says the codes that come with it.
fn declared(codes: &[&[Code]]) -> BTreeMap<String, RefOr<Response>> {
    let mut said: BTreeMap<String, BTreeMap<&str, &str>> = BTreeMap::new();
    for (status, code, title) in codes.concat().into_iter().map(Code::row) {
        said.entry(status.as_str().to_owned()).or_default().insert(code, title);
    }
    let response = |codes: &BTreeMap<&str, &str>| {
        let codes: Vec<String> = codes.iter().map(|(code, title)| format!("`{code}`: {title}")).collect();
        let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        ResponseBuilder::new().description(codes.join("; ")).content("application/problem+json", problem).build()
    };
    said.iter().map(|(status, codes)| (status.clone(), response(codes).into())).collect()
}
