//! Several documents at once, all or nothing.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::access::Principal;
use crate::runtime::{DocumentName, Runtime, Write};

use super::super::error::problem::{Code, Problem};
use super::super::v1::body::{BODY_BYTES, JSON, bytes, expect_type, parsed};
use super::mutation::{self, invalid};
use super::terms::{self, Common};

const MOST: usize = 1000;

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
    let writes = read(parsed(&body, BODY_BYTES)?, &common)?;
    let names: Vec<String> = writes.iter().map(|(name, _)| name.to_string()).collect();
    let written = runtime.documents(&principal).write_all(writes, once).await.map_err(|refused| {
        let problem = Problem::from(refused.error).in_batch();
        match refused.index {
            Some(index) => problem.with("index", index),
            None => problem,
        }
    })?;
    let results: Vec<Value> =
        names.iter().zip(&written.versions).map(|(doc, version)| json!({"doc": doc, "version": version})).collect();
    let mut answer = json!({"results": results});
    if written.duplicate {
        answer["duplicate"] = true.into();
    }
    Ok(Json(answer).into_response())
}

fn read(body: Value, common: &Common) -> Result<Vec<(DocumentName, Write)>, Problem> {
    let mutations = match body {
        Value::Object(mut members) => members.remove("mutations"),
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
    if write.dry_run {
        return Err(invalid("a batch has no `dry_run`"));
    }
    let reason = write.reason.clone().or_else(|| common.reason.clone());
    Ok((name, Write { reason, run_id: common.run_id.clone(), ..write }))
}
