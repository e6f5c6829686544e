//! Threads without running anything: lists, messages, events, state (docs/copilotkit.md §1, §6).

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::IntoResponse;
use serde_json::{Value, json};

use crate::access::Principal;
use crate::agui::Message;
use crate::runtime::ThreadItem;

use super::extract::Named;
use super::{Answer, Problem, Shared};

const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 200;

pub(super) async fn list(State(mount): Shared, RawQuery(query): RawQuery) -> Answer {
    let query = Query(query.unwrap_or_default());
    // The alias is resolved before anything is stored, so lists know the agent's own id.
    let asked = query.get("agentId").filter(|agent| !agent.is_empty());
    let agent = asked.map(|asked| mount.runtime.agents().find(&asked).map_or(asked, |agent| agent.id().to_owned()));
    let limit = match query.get("limit").as_deref().map(str::parse) {
        None => DEFAULT_LIMIT,
        Some(Ok(limit)) if limit >= 1 => MAX_LIMIT.min(limit),
        Some(_) => return Err(Problem::bad_query("limit is a number from 1 to 200")),
    };
    let before = match query.get("cursor").as_deref().map(str::parse) {
        None => None,
        Some(Ok(cursor)) => Some(cursor),
        Some(Err(_)) => return Err(Problem::bad_query("cursor is the nextCursor of an earlier answer")),
    };
    let archived = query.get("includeArchived").as_deref() == Some("true");
    let page = mount.runtime.threads(&Principal::local(), agent.as_deref(), archived, before, limit).await?;
    let threads: Vec<Value> = page.threads.into_iter().map(item).collect();
    let next = page.next.map(|next| next.to_string());
    Ok(Json(json!({"threads": threads, "nextCursor": next})).into_response())
}

pub(super) async fn messages(State(mount): Shared, Named(thread): Named<String>) -> Answer {
    let messages = mount.runtime.messages(&Principal::local(), &thread).await?;
    let flat: Vec<Value> = messages.iter().map(|message| flattened(message)).collect();
    Ok(Json(json!({"messages": flat})).into_response())
}

pub(super) async fn events(State(mount): Shared, Named(thread): Named<String>) -> Answer {
    #[derive(serde::Serialize)]
    struct Events {
        events: Vec<Box<serde_json::value::RawValue>>,
    }
    let events = mount.runtime.events(&Principal::local(), &thread).await?;
    Ok(Json(Events { events }).into_response())
}

pub(super) async fn state(State(mount): Shared, Named(thread): Named<String>, RawQuery(query): RawQuery) -> Answer {
    let agent = Query(query.unwrap_or_default()).get("agentId");
    let state = mount.runtime.thread_state(&Principal::local(), &thread, agent.as_deref()).await?;
    Ok(Json(json!({"state": state.filter(Value::is_object)})).into_response())
}

/// A thread as lists show it.
pub(super) fn item(thread: ThreadItem) -> Value {
    json!({
        "id": thread.id,
        "name": thread.name,
        "agentId": thread.agent,
        "organizationId": "",
        "createdById": "",
        "archived": thread.archived,
        "createdAt": thread.created_at,
        "updatedAt": thread.updated_at,
    })
}

/// The shape CopilotKit's inspector reads: tool calls as `{id, name, args}`.
fn flattened(message: &Message) -> Value {
    let mut flat = serde_json::to_value(message).expect("a message is plain data");
    let calls: Vec<Value> = message
        .tool_calls()
        .iter()
        .map(|call| json!({"id": call.id, "name": call.function.name, "args": call.function.arguments}))
        .collect();
    if !calls.is_empty() {
        flat["toolCalls"] = calls.into();
    }
    flat
}

/// A query string; a name given twice counts once.
struct Query(String);

impl Query {
    fn get(&self, name: &str) -> Option<String> {
        let url = reqwest::Url::parse(&format!("query:?{}", self.0)).ok()?;
        url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}
