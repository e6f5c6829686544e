//! Types of documents: their schemas, and what clients generate from them.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::runtime::{DocumentName, Runtime, TypeSpec};
use crate::state::codegen;
use crate::state::schema::Schema;

use super::super::error::problem::{Asks, Code, Problem, Reads};

type Shared = State<Arc<Runtime>>;
type Named = Result<Path<String>, PathRejection>;

#[derive(Serialize, ToSchema)]
pub(in crate::server) struct Types {
    items: Vec<TypeItem>,
}

#[derive(Serialize, ToSchema)]
struct TypeItem {
    #[serde(rename = "type")]
    kind: String,
    /// JSON Schema; a type without one has the empty one.
    schema: Value,
}

/// Lists types
///
/// Built-in and declared ones, with their schemas.
#[utoipa::path(
    get, path = "/v1/types", tag = "types", operation_id = "list_types",
    responses((status = 200, description = "All types", body = Types), Asks),
)]
pub(in crate::server) async fn list(State(runtime): Shared) -> Response {
    let item = |spec: &Arc<TypeSpec>| TypeItem { kind: spec.name.clone(), schema: source(spec) };
    Json(Types { items: runtime.types().all().iter().map(item).collect() }).into_response()
}

/// Reads a type's schema
#[utoipa::path(
    get, path = "/v1/types/{type}/schema", tag = "types", operation_id = "read_schema",
    params(("type" = String, Path, description = "A type", example = "task")),
    responses(
        (status = 200, description = "JSON Schema", body = Value, content_type = "application/schema+json"),
        Reads,
    ),
)]
pub(in crate::server) async fn schema(State(runtime): Shared, kind: Named) -> Result<Response, Problem> {
    let mut response = Json(source(&*find(&runtime, kind)?)).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/schema+json"));
    Ok(response)
}

/// Writes a type in TypeScript
#[utoipa::path(
    get, path = "/v1/types/{type}/types.ts", tag = "types", operation_id = "read_typescript",
    params(("type" = String, Path, description = "A type", example = "task")),
    responses(
        (status = 200, description = "Declarations", body = String, content_type = "application/typescript"),
        Reads,
    ),
)]
pub(in crate::server) async fn typescript(State(runtime): Shared, kind: Named) -> Result<Response, Problem> {
    let spec = find(&runtime, kind)?;
    Ok(text("application/typescript; charset=utf-8", codegen::typescript(&spec.name, &described(&spec))))
}

/// Writes a type as a pydantic model
#[utoipa::path(
    get, path = "/v1/types/{type}/types.py", tag = "types", operation_id = "read_pydantic",
    params(("type" = String, Path, description = "A type", example = "task")),
    responses((status = 200, description = "A module", body = String, content_type = "text/x-python"), Reads),
)]
pub(in crate::server) async fn pydantic(State(runtime): Shared, kind: Named) -> Result<Response, Problem> {
    let spec = find(&runtime, kind)?;
    Ok(text("text/x-python; charset=utf-8", codegen::pydantic(&spec.name, &described(&spec))))
}

fn find(runtime: &Runtime, kind: Named) -> Result<Arc<TypeSpec>, Problem> {
    let Path(kind) = kind.map_err(|_| Problem::new(Code::InvalidName, "the path is not percent-encoded UTF-8"))?;
    DocumentName::check_kind(&kind)?;
    let unknown = || Problem::new(Code::UnknownType, format!("no type `{kind}` is declared"));
    runtime.types().get(&kind).ok_or_else(unknown)
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
