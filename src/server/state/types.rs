//! Types of documents: their schemas, and what clients generate from them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::runtime::{Runtime, TypeSpec};
use crate::state::codegen;
use crate::state::schema::Schema;

use super::super::error::problem::{Code, Problem};

type Shared = State<Arc<Runtime>>;

pub(in crate::server) async fn list(State(runtime): Shared) -> Response {
    let items: Vec<Value> =
        runtime.types().all().iter().map(|spec| json!({"type": spec.name, "schema": source(spec)})).collect();
    Json(json!({"items": items})).into_response()
}

pub(in crate::server) async fn schema(State(runtime): Shared, Path(kind): Path<String>) -> Result<Response, Problem> {
    let mut response = Json(source(&*find(&runtime, &kind)?)).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/schema+json"));
    Ok(response)
}

pub(in crate::server) async fn typescript(
    State(runtime): Shared,
    Path(kind): Path<String>,
) -> Result<Response, Problem> {
    let spec = find(&runtime, &kind)?;
    Ok(text("application/typescript; charset=utf-8", codegen::typescript(&spec.name, &described(&spec))))
}

pub(in crate::server) async fn pydantic(State(runtime): Shared, Path(kind): Path<String>) -> Result<Response, Problem> {
    let spec = find(&runtime, &kind)?;
    Ok(text("text/x-python; charset=utf-8", codegen::pydantic(&spec.name, &described(&spec))))
}

fn find(runtime: &Runtime, kind: &str) -> Result<Arc<TypeSpec>, Problem> {
    let unknown = || Problem::new(Code::UnknownType, format!("no type `{kind}` is declared"));
    runtime.types().get(kind).ok_or_else(unknown)
}

/// A type without a schema takes anything, which is the empty schema.
fn source(spec: &TypeSpec) -> Value {
    spec.schema.as_ref().map_or_else(|| json!({}), |schema| schema.source().clone())
}

fn described(spec: &TypeSpec) -> Schema {
    spec.schema.clone().unwrap_or_else(|| Schema::compile(json!({})).expect("the empty schema compiles"))
}

fn text(kind: &'static str, text: String) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static(kind))], text).into_response()
}
