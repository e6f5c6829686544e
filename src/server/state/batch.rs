//! Several documents at once, all or nothing.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::access::Principal;
use crate::runtime::{DocumentName, Runtime, Write};

use super::super::error::problem::{Code, Problem, Writes};
use super::super::v1::body::{BODY_BYTES, JSON, bytes, expect_type, unwrapped};
use super::mutation::{self, Mutation, invalid};
use super::terms::{self, Common, Terms};

const MOST: usize = 1000;
/// The batch, its list, a mutation, a patch and an operation.
const WRAPPING: usize = 5;

/// What to do.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `read` takes apart")]
pub(in crate::server) struct Batch {
    mutations: Vec<BatchItem>,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `one` takes apart")]
struct BatchItem {
    /// `type/id`
    doc: String,
    #[serde(flatten)]
    mutation: Mutation,
}

/// Where each document stands then, in the order asked.
#[derive(Serialize, ToSchema)]
#[schema(as = BatchWritten)]
pub(in crate::server) struct Results {
    results: Vec<Reached>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    duplicate: bool,
}

#[derive(Serialize, ToSchema)]
#[schema(as = BatchResult)]
struct Reached {
    /// `type/id`
    doc: String,
    version: u64,
}

/// Writes several documents
///
/// All of it or nothing; a refusal names the `index` of the mutation.
#[utoipa::path(
    post, path = "/v1/state:batch", tag = "documents", operation_id = "write_documents",
    params(Terms),
    request_body(content = Batch, example = json!({"mutations": [
        {"doc": "shared/board", "merge": {"title": "Plan"}}, {"doc": "task/first", "merge": {"title": "Begin"}},
    ]})),
    responses((status = 200, description = "All written", body = Results), Writes),
)]
pub(in crate::server) async fn batch(
    State(runtime): State<Arc<Runtime>>,
    method: Method,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    expect_type(&headers, &[JSON])?;
    let body = bytes(body, BODY_BYTES).await?;
    let principal = Principal::local();
    let once = terms::once(&headers, &principal, &method, "state:batch", &body)?;
    let common = terms::common(&headers)?;
    let writes = read(unwrapped(&body, BODY_BYTES, WRAPPING)?, &common)?;
    let names: Vec<String> = writes.iter().map(|(name, _)| name.to_string()).collect();
    let written = runtime.documents(&principal).write_all(writes, once).await.map_err(|refused| {
        let problem = Problem::from(refused.error).in_batch();
        match refused.index {
            Some(index) => problem.with("index", index),
            None => problem,
        }
    })?;
    let reached = names.into_iter().zip(written.versions).map(|(doc, version)| Reached { doc, version });
    Ok(Json(Results { results: reached.collect(), duplicate: written.duplicate }).into_response())
}

fn read(body: Value, common: &Common) -> Result<Vec<(DocumentName, Write)>, Problem> {
    let mutations = match body {
        Value::Object(mut members) => {
            let mutations = members.remove("mutations");
            mutation::nothing_left(&members)?;
            mutations
        }
        _ => None,
    };
    let Some(Value::Array(mutations)) = mutations else {
        return Err(invalid("a batch is `{\"mutations\": [{\"doc\": \"type/id\", …}]}`"));
    };
    if mutations.len() > MOST {
        return Err(Problem::new(Code::TooLarge, format!("a batch holds at most {MOST} mutations")));
    }
    let read_one = |(index, mutation)| one(mutation, common).map_err(|problem: Problem| problem.with("index", index));
    mutations.into_iter().enumerate().map(read_one).collect()
}

fn one(mutation: Value, common: &Common) -> Result<(DocumentName, Write), Problem> {
    let Value::Object(mut members) = mutation else { return Err(invalid("a mutation is an object")) };
    let Some(Value::String(doc)) = members.remove("doc") else {
        return Err(invalid("a mutation names its document: `\"doc\": \"type/id\"`"));
    };
    let name = doc.parse()?;
    let write = mutation::take(&mut members)?;
    // They have no meaning here (docs/state-api.md §8).
    members.retain(|member, _| !matches!(member.as_str(), "mutation_id" | "channel"));
    mutation::nothing_left(&members)?;
    if write.dry_run {
        return Err(invalid("a batch has no `dry_run`"));
    }
    let reason = write.reason.clone().or_else(|| common.reason.clone());
    let run_id = write.run_id.clone().or_else(|| common.run_id.clone());
    Ok((name, Write { reason, run_id, ..write }))
}
