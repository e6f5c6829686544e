//! Definitions as the people who write them meet them: what the binary accepts, refuses, and makes of each field.

use serde_json::json;

use crate::support::server::{Home, say};
use crate::support::upstream::{Upstream, events};

const FINISHED: &str = concat!(
    r#"{"type":"RUN_STARTED","threadId":"x","runId":"y"}"#,
    "\n",
    r#"{"type":"RUN_FINISHED","threadId":"x","runId":"y"}"#
);

#[tokio::test]
async fn an_agent_is_told_only_of_the_browser_tools_its_definition_allows() {
    let upstream = Upstream::start(events(&FINISHED.lines().collect::<Vec<_>>())).await;
    let text = format!(
        "agent: {{ kind: remote, url: {} }}\ntools: {{ client: {{ type: client, allow: [set_*] }} }}\n",
        upstream.url
    );
    let home = Home::with_agents(&[("remote.yaml", &text)]);
    let server = home.serve_in_memory();
    let mut input = say("t1", "u1", "hello");
    let tool = |name: &str| json!({"name": name, "description": "", "parameters": {"type": "object"}});
    input["tools"] = json!([tool("set_theme"), tool("delete_everything"), tool("set_page")]);
    server.run_to_end("remote", &input).await;
    let told = upstream.last_input();
    let names: Vec<_> = told["tools"].as_array().expect("a list").iter().map(|tool| &tool["name"]).collect();
    assert_eq!(names, ["set_theme", "set_page"]);
}
