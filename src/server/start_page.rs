//! The start page: which agents there are, which of them cannot run and why, and how to try the others.
//!
//! What is known is written into the page when it is asked for, so that it never tells of agents that were.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::response::{Html, IntoResponse};
use serde::Serialize;

use crate::runtime::{Hosted, Runtime};

const PAGE: &str = include_str!("start_page.html");

/// What the page shows.
#[derive(Debug, Serialize)]
struct Known {
    /// Those that are served, by id.
    agents: Vec<KnownAgent>,
    /// The id of the one that answers for `default`.
    default: Option<String>,
    problems: Vec<KnownProblem>,
}

#[derive(Debug, Serialize)]
struct KnownAgent {
    id: String,
    name: String,
    kind: &'static str,
    description: String,
    /// What has to be configured before it can run.
    missing: Option<String>,
}

#[derive(Debug, Serialize)]
struct KnownProblem {
    /// `file:line:column`
    place: String,
    message: String,
}

/// Shows the page of a server whose CopilotKit routes are below `base_path`.
pub(super) async fn show(base_path: Arc<str>, State(runtime): State<Arc<Runtime>>) -> impl IntoResponse {
    let known = serde_json::to_string(&Known::of(&runtime)).expect("what is known is plain data");
    // Nothing in it ends the element that it stands in.
    let known = known.replace('<', "\\u003c");
    let page = PAGE.replace("{{base_path}}", &base_path).replacen("{{known}}", &known, 1);
    ([(CACHE_CONTROL, "no-cache")], Html(page))
}

impl Known {
    fn of(runtime: &Runtime) -> Self {
        let agents = runtime.agents();
        Self {
            agents: agents.all().iter().map(|agent| KnownAgent::of(agent)).collect(),
            default: agents.find("default").map(|agent| agent.id().to_owned()),
            problems: agents
                .problems()
                .into_iter()
                .map(|problem| KnownProblem { place: problem.place(), message: problem.message })
                .collect(),
        }
    }
}

impl KnownAgent {
    fn of(agent: &Hosted) -> Self {
        Self {
            id: agent.id().to_owned(),
            name: agent.name().to_owned(),
            kind: agent.kind(),
            description: agent.description(),
            missing: agent.missing(),
        }
    }
}
