//! The messages of a thread stand in the order in which clients have them, whoever reads it and whenever.

use serde_json::{Value, json};

use crate::support::events::messages;
use crate::support::server::{Home, Server, with_messages};
use crate::support::upstream::{Upstream, events};

/// Calls a tool of the browser and speaks on in another message; or just speaks.
const CALLER: (&str, &str) = (
    "caller.yaml",
    r#"
agent:
  kind: native
  name: scripted
  config:
    pace: 0ms
    turns:
      - when: { tool: paint }
        do: [ { say: "heard" } ]
      - when: { text: call }
        do:
          - raw: { type: TOOL_CALL_START, toolCallId: c, toolCallName: paint, parentMessageId: made }
          - raw: { type: TOOL_CALL_END, toolCallId: c }
          - raw: { type: TEXT_MESSAGE_START, messageId: on, role: assistant }
          - raw: { type: TEXT_MESSAGE_CONTENT, messageId: on, delta: "and on" }
          - raw: { type: TEXT_MESSAGE_END, messageId: on }
      - do: [ { say: "heard" } ]
"#,
);

fn user(id: &str, content: &str) -> Value {
    json!({ "id": id, "role": "user", "content": content })
}

fn ids(messages: &[Value]) -> Vec<String> {
    messages.iter().map(|message| message["id"].as_str().expect("an id").to_owned()).collect()
}

/// A page that holds messages as CopilotKit's does.
struct Page {
    server: Server,
    held: Vec<Value>,
}

impl Page {
    async fn runs(&mut self) -> Vec<Value> {
        let mut input = with_messages("t", &self.held);
        input["tools"] = json!([{ "name": "paint", "description": "", "parameters": { "type": "object" } }]);
        let run = self.server.run_to_end("caller", &input).await;
        let known = ids(&self.held);
        self.held.extend(messages(&run).into_iter().filter(|it| !known.iter().any(|id| it["id"] == id.as_str())));
        run
    }

    async fn says(&mut self, id: &str, content: &str) {
        self.held.push(user(id, content));
        self.runs().await;
    }

    /// Puts the result after its call and what it was said before.
    async fn answers(&mut self) {
        let made = self.held.iter().position(|message| message.get("toolCalls").is_some()).expect("a call");
        let call = self.held[made]["toolCalls"][0]["id"].clone();
        self.held.insert(made + 1, json!({ "id": "tr", "role": "tool", "toolCallId": call, "content": "painted" }));
        self.runs().await;
    }

    async fn is_what_a_reload_shows(&self) {
        let shown = messages(&self.server.replay("caller", "t").await);
        assert_eq!(ids(&shown), ids(&self.held), "a reload");
        let kept = self.server.get("/threads/t/messages").await;
        assert_eq!(ids(kept["messages"].as_array().expect("a list")), ids(&self.held), "the thread");
    }
}

#[tokio::test]
async fn a_result_stands_after_its_call_also_when_the_agent_has_spoken_since() {
    let home = Home::with_agents(&[CALLER]);
    let mut page = Page { server: home.serve(), held: Vec::new() };
    page.says("u1", "call").await;
    page.answers().await;
    assert_eq!((&page.held[2]["id"], &page.held[3]["content"]), (&json!("tr"), &json!("and on")));
    page.is_what_a_reload_shows().await;
    page.says("u2", "more").await;
    page.is_what_a_reload_shows().await;
    page.server = page.server.crash_and_restart();
    page.is_what_a_reload_shows().await;
}

#[tokio::test]
async fn a_result_before_the_message_that_is_asked_anew_is_kept() {
    let home = Home::with_agents(&[CALLER]);
    let mut page = Page { server: home.serve(), held: Vec::new() };
    page.says("u1", "call").await;
    page.says("u2", "more").await;
    page.answers().await;
    let asked = page.held.iter().position(|it| it["id"] == "u2").expect("it was said");
    page.held.truncate(asked + 1);
    page.runs().await;
    assert!(ids(&page.held).contains(&"tr".to_owned()));
    page.is_what_a_reload_shows().await;
}

#[tokio::test]
async fn what_an_old_client_cannot_hold_of_a_message_is_kept_when_it_posts_the_message_back() {
    let upstream = Upstream::start(events(&[
        r#"{"type":"RUN_STARTED","threadId":"x","runId":"y"}"#,
        r#"{"type":"RUN_FINISHED","threadId":"x","runId":"y"}"#,
    ]))
    .await;
    let agent = format!("agent: {{ kind: remote, url: \"{}\", protocol_version: \"1.0\" }}", upstream.url);
    let home = Home::with_agents(&[("remote.yaml", &agent)]);
    let server = home.serve();
    let posted = json!({ "id": "u1", "role": "user", "content": [
        { "type": "text", "text": "see", "id": "p1", "metadata": { "a": 1 } },
        { "type": "document", "id": "p2", "source": { "type": "file", "value": "f1", "provider": "x", "mimeType": "text/plain" } },
        { "type": "video", "source": { "type": "file", "value": "f2" } },
    ] });
    let mut first = with_messages("t", std::slice::from_ref(&posted));
    first["protocolVersion"] = json!("1.0");
    server.run_to_end("remote", &first).await;
    let held = json!({ "id": "u1", "role": "user", "content": [
        { "type": "text", "text": "see" },
        { "type": "binary", "mimeType": "text/plain", "id": "f1" },
    ] });
    server.run_to_end("remote", &with_messages("t", &[held, user("u2", "and?")])).await;
    assert_eq!(upstream.last_input()["messages"][0], posted);
    assert_eq!(server.get("/threads/t/messages").await["messages"][0], posted);
    let edited = json!({ "id": "u1", "role": "user", "content": [{ "type": "text", "text": "look" }] });
    server.run_to_end("remote", &with_messages("t", &[edited.clone(), user("u2", "and?"), user("u3", "so?")])).await;
    assert_eq!(server.get("/threads/t/messages").await["messages"][0], edited);
}
