//! `GET /info`: what CopilotKit's client discovers (docs/copilotkit.md §1).

use std::collections::BTreeMap;

use axum::Json;
use axum::response::IntoResponse;
use serde::Serialize;

use crate::agui::AgentCapabilities;
use crate::runtime::Runtime;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    version: &'static str,
    agents: BTreeMap<String, AgentInfo>,
    audio_file_transcription_enabled: bool,
    mode: &'static str,
    thread_endpoints: ThreadEndpoints,
    single_route: SingleRoute,
    suggestions: bool,
    a2ui_enabled: bool,
    #[serde(rename = "openGenerativeUIEnabled")]
    open_generative_ui_enabled: bool,
    telemetry_disabled: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AgentInfo {
    name: String,
    description: String,
    class_name: &'static str,
    capabilities: AgentCapabilities,
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
struct ThreadEndpoints {
    list: bool,
    inspect: bool,
    mutations: bool,
    realtime_metadata: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SingleRoute {
    resource_operations: bool,
    thread_endpoints: ThreadEndpoints,
}

pub(super) fn answer(runtime: &Runtime) -> impl IntoResponse {
    let thread_endpoints = ThreadEndpoints { list: true, inspect: true, mutations: true, realtime_metadata: false };
    let agents = runtime.agents().listed().into_iter().map(|(id, agent)| {
        let info = AgentInfo {
            name: id.to_owned(),
            description: agent.description(),
            class_name: agent.kind(),
            capabilities: agent.capabilities(),
        };
        (id.to_owned(), info)
    });
    Json(Info {
        version: env!("CARGO_PKG_VERSION"),
        agents: agents.collect(),
        audio_file_transcription_enabled: runtime.transcribes(),
        mode: "sse",
        thread_endpoints,
        single_route: SingleRoute { resource_operations: true, thread_endpoints },
        suggestions: true,
        a2ui_enabled: false,
        open_generative_ui_enabled: false,
        telemetry_disabled: true,
    })
}
