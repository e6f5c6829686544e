//! Threads renamed, archived, deleted (docs/copilotkit.md §1 and §6).

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde_json::{Map, Value, json};

use crate::access::Principal;
use crate::runtime::{Amendment, Naming};
use crate::state;
use crate::state::limits::Limits;

use super::extract::{Named, Whole, json as read, without_mark};
use super::{Answer, Problem, Shared, threads};

const NAME_CHARACTERS: usize = 200;

pub(super) async fn amend(State(mount): Shared, Named(thread): Named<String>, Whole(_, body): Whole) -> Answer {
    let mut body = members(&body)?;
    let amendment = Amendment { name: name(body.remove("name"))?, archived: flag(body.remove("archived"))? };
    let item = mount.runtime.amend_thread(&Principal::local(), &thread, amendment).await?;
    Ok(Json(threads::item(item)).into_response())
}

pub(super) async fn archive(State(mount): Shared, Named(thread): Named<String>, Whole(_, body): Whole) -> Answer {
    optional(&body)?;
    let amendment = Amendment { archived: Some(true), ..Amendment::default() };
    mount.runtime.amend_thread(&Principal::local(), &thread, amendment).await?;
    Ok(Json(json!({"threadId": thread, "archived": true})).into_response())
}

pub(super) async fn delete(State(mount): Shared, Named(thread): Named<String>, Whole(_, body): Whole) -> Answer {
    optional(&body)?;
    mount.runtime.delete_thread(&Principal::local(), &thread).await?;
    Ok(Json(json!({"threadId": thread, "deleted": true})).into_response())
}

pub(super) async fn clear(State(mount): Shared) -> Answer {
    mount.runtime.clear_threads(&Principal::local()).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Clients name their agent in the body of every change; a thread's id says enough.
fn members(body: &[u8]) -> Result<Map<String, Value>, Problem> {
    let body: Map<String, Value> = read(body).map_err(|_| unread(body))?;
    match body.get("agentId") {
        None | Some(Value::String(_)) => Ok(body),
        Some(_) => Err(bad("/agentId: must be a string")),
    }
}

/// What is wrong with a body, in the words of the strict reader, which sees a surrogate without its pair for what it is.
fn unread(body: &[u8]) -> Problem {
    let text = without_mark(body);
    match state::json::read(text, &Limits::of_bytes(text.len())) {
        Err(error) if !text.is_empty() => bad(&error.to_string()),
        _ => bad("the body is a JSON object"),
    }
}

fn optional(body: &[u8]) -> Result<(), Problem> {
    if body.iter().all(u8::is_ascii_whitespace) { Ok(()) } else { members(body).map(drop) }
}

fn name(given: Option<Value>) -> Result<Naming, Problem> {
    match given {
        None => Ok(Naming::Keep),
        Some(Value::Null) => Ok(Naming::Clear),
        Some(Value::String(name)) if name.chars().count() <= NAME_CHARACTERS => match name.trim() {
            "" => Ok(Naming::Clear),
            name => Ok(Naming::Set(name.to_owned())),
        },
        Some(_) => Err(bad("/name: must be a string of at most 200 characters, or null")),
    }
}

fn flag(given: Option<Value>) -> Result<Option<bool>, Problem> {
    match given {
        None => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(flag)),
        Some(_) => Err(bad("/archived: must be true or false")),
    }
}

fn bad(details: &str) -> Problem {
    Problem::invalid_body(details)
}
