//! Tools that are requests: made of arguments by templates, guarded, told with their real outcome; and limits of all tools.

use serde_json::{Value, json};

use crate::support::events::{results, text};
use crate::support::model::{call, called, definition, text as answer, whole};
use crate::support::server::{Home, Server, say};
use crate::support::upstream::{Answer, Then, Upstream, status};

/// An agent with this front matter, answered for by a fake with these answers.
async fn helper(tools: &str, answers: impl IntoIterator<Item = Answer>) -> (Upstream, Home, Server) {
    let model = Upstream::start_with(answers).await;
    let text = definition(&model, "", "").replacen("---\nname", &format!("---\n{tools}\nname"), 1);
    let home = Home::with_agents(&[("helper.md", &text), ("key.txt", "k")]);
    let server = home.serve_in_memory();
    (model, home, server)
}

/// What the run's tool calls came to, when the model makes these one after the other and then ends.
async fn outcomes(tools: &str, calls: impl IntoIterator<Item = Answer>) -> Vec<Value> {
    let (_model, _home, server) = helper(tools, calls.into_iter().chain([answer("done")])).await;
    let events = server.run_to_end("helper", &say("t", "u", "go")).await;
    assert_eq!(text(&events), "done", "the run goes on whatever a tool does");
    results(&events)
}

/// The part of the fake's address that ends with its port.
fn base(upstream: &Upstream) -> &str {
    upstream.url.trim_end_matches("/agent")
}

#[tokio::test]
async fn a_request_is_made_of_the_arguments_and_the_answer_is_told() {
    let api = Upstream::start_with([
        status("200 OK", r#"{"base":"EUR","rate":1.25}"#),
        status("201 Created", r#"{"id":7}"#),
        status("200 OK", "plain words"),
    ])
    .await;
    let (api_url, input) = (
        base(&api),
        "input: { type: object, properties: { ccy: { type: string, maxLength: 9 }, n: { type: integer } }, required: [ccy] }",
    );
    let tools = format!(
        r#"tools:
  rates: {{ type: http, description: "Rates of exchange.", url: "{api_url}/rates/{{{{ args.ccy }}}}?of={{{{ args.ccy }}}}", headers: {{ X-Key: "${{file:key.txt}}" }}, {input}, output_pointer: /rate, allow_private: [127.0.0.1] }}
  order: {{ type: http, method: POST, url: "{api_url}/orders", {input}, body: {{ currency: "{{{{ args.ccy }}}}", count: "{{{{ args.n }}}}", note: "for {{{{ args.ccy }}}}" }}, allow_private: true }}
  words: {{ type: http, url: "{api_url}/words", allow_private: true }}"#
    );
    let (model, _home, server) = helper(
        &tools,
        [
            call("c1", "rates", &json!({ "ccy": "a b/../é" })),
            call("c2", "order", &json!({ "ccy": "USD", "n": 3 })),
            call("c3", "words", &json!({})),
            answer("done"),
        ],
    )
    .await;
    let events = server.run_to_end("helper", &say("t", "u", "go")).await;
    let results = results(&events);
    assert_eq!(results[0], json!({ "ok": true, "status": 200, "value": 1.25 }));
    assert_eq!(results[1], json!({ "ok": true, "status": 201, "value": { "id": 7 } }));
    assert_eq!(results[2], json!({ "ok": true, "status": 200, "value": "plain words" }));
    let requests = api.requests();
    let head = |index: usize| requests[index].0.to_lowercase();
    assert!(head(0).starts_with("get /rates/a%20b%2f..%2f%c3%a9?of=a%20b%2f..%2f%c3%a9 "), "{}", head(0));
    assert!(head(0).contains("x-key: k\r\n") && !head(0).contains("idempotency-key"), "{}", head(0));
    assert!(
        head(1).starts_with("post /orders ") && head(1).contains("content-type: application/json\r\n"),
        "{}",
        head(1)
    );
    assert!(head(1).contains("idempotency-key: "), "a server can tell a second attempt: {}", head(1));
    let body: Value = serde_json::from_str(&requests[1].1).expect("JSON");
    assert_eq!(body, json!({ "currency": "USD", "count": 3, "note": "for USD" }));
    let offered = model.bodies()[0]["tools"].clone();
    let rates = offered.as_array().expect("tools").iter().find(|tool| tool["function"]["name"] == "rates");
    let rates = &rates.expect("it is offered")["function"];
    assert_eq!(rates["description"], "Rates of exchange.");
    assert_eq!(rates["parameters"]["properties"]["ccy"], json!({ "type": "string", "maxLength": 9 }));
}

#[tokio::test]
async fn what_goes_wrong_is_told_and_nothing_is_sent_that_the_schema_refuses() {
    let api = Upstream::start_with([
        status("404 Not Found", r#"{"detail":"no such currency"}"#),
        status("200 OK", r#"{"rate":1}"#),
        status("200 OK", &json!({ "long": "x".repeat(40_000) }).to_string()),
        status("200 OK", &"y".repeat(1_100_000)),
        Answer { then: Then::Hold, ..status("200 OK", "") },
    ])
    .await;
    let mut hanging = status("200 OK", "never");
    hanging.bytes.truncate(40);
    hanging.then = Then::Hold;
    let slow = Upstream::start(hanging).await;
    let gone = {
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        format!("http://{}", nobody.local_addr().expect("an address"))
    };
    let (api_url, slow_url) = (base(&api), base(&slow));
    let tools = format!(
        r#"tools:
  rates: {{ type: http, url: "{api_url}/{{{{ args.ccy }}}}", input: {{ properties: {{ ccy: {{ type: string }} }}, required: [ccy] }}, output_pointer: /nothing, allow_private: true }}
  long: {{ type: http, url: "{api_url}/long", allow_private: true }}
  slow: {{ type: http, url: "{slow_url}/slow", timeout: 300ms, allow_private: true }}
  gone: {{ type: http, url: "{gone}/", timeout: 5s, allow_private: true }}"#
    );
    let results = outcomes(
        &tools,
        [
            call("c1", "rates", &json!({ "ccy": 3 })),
            call("c2", "rates", &json!({ "ccy": "EUR" })),
            call("c3", "rates", &json!({ "ccy": "USD" })),
            call("c4", "long", &json!({})),
            call("c5", "long", &json!({})),
            call("c6", "slow", &json!({})),
        ],
    )
    .await;
    let codes: Vec<_> = results.iter().map(|result| (result["ok"].clone(), result["code"].clone())).collect();
    assert_eq!(codes[0], (json!(false), json!("invalid_arguments")), "{}", results[0]);
    assert_eq!((&results[1]["code"], &results[1]["status"]), (&json!("http_error"), &json!(404)));
    assert!(results[1]["body"].as_str().is_some_and(|body| body.contains("no such currency")), "{}", results[1]);
    assert_eq!(codes[2].1, json!("not_found"), "nothing is at the pointer: {}", results[2]);
    assert_eq!(codes[3].0, json!(true));
    let told = results[3]["truncated"].as_str().expect("what is cut off says so");
    assert!(told.contains("bytes") && results[3]["value"].as_str().expect("text").len() <= 32 * 1024, "{told}");
    assert_eq!(codes[4].1, json!("too_large"));
    assert_eq!(codes[5].1, json!("timeout"));
    assert_eq!(api.requests().len(), 4, "what the schema refuses is not sent");
    let results = outcomes(&tools, [call("c1", "gone", &json!({}))]).await;
    assert_eq!(results[0]["code"], "unreachable", "{}", results[0]);
}

#[tokio::test]
async fn an_encoded_answer_that_nobody_asked_for_is_named_and_not_read() {
    let encoded = |line: &str, encoding: &str| status(&format!("{line}\r\ncontent-encoding: {encoding}"), r#"{"n":1}"#);
    let api = Upstream::start_with([
        encoded("200 OK", "gzip"),
        encoded("404 Not Found", "br"),
        encoded("200 OK", "identity"),
    ])
    .await;
    let tools = format!("tools: {{ rates: {{ type: http, url: \"{}/\", allow_private: true }} }}", base(&api));
    let call = |id: &str| call(id, "rates", &json!({}));
    let results = outcomes(&tools, [call("c1"), call("c2"), call("c3")]).await;
    for (result, code, encoding) in [(&results[0], 200, "`gzip`"), (&results[1], 404, "`br`")] {
        assert_eq!((&result["code"], &result["status"]), (&json!("http_error"), &json!(code)));
        let error = result["error"].as_str().expect("a sentence");
        assert!(error.contains("Content-Encoding") && error.contains(encoding), "{error}");
    }
    assert_eq!(results[2], json!({ "ok": true, "status": 200, "value": { "n": 1 } }));
    assert!(!api.requests()[0].0.to_lowercase().contains("accept-encoding"));
}

#[tokio::test]
async fn addresses_of_this_machine_are_guarded_also_behind_redirects() {
    let api = Upstream::start(status("200 OK", "secret")).await;
    let port = base(&api).rsplit(':').next().expect("a port").to_owned();
    let moved = format!(
        "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:{port}/inside\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
    );
    let outside = Upstream::start(Answer { bytes: moved.into_bytes(), piece: 0, then: Then::Close }).await;
    let outside_port = base(&outside).rsplit(':').next().expect("a port").to_owned();
    let tools = format!(
        r#"tools:
  literal: {{ type: http, url: "http://127.0.0.1:{port}/" }}
  name: {{ type: http, url: "http://localhost:{port}/" }}
  metadata: {{ type: http, url: "http://169.254.169.254/latest/meta-data" }}
  argument: {{ type: http, url: "http://{{{{ args.host }}}}/" }}
  moved: {{ type: http, url: "http://localhost:{outside_port}/", allow_private: [localhost] }}
  allowed: {{ type: http, url: "http://localhost:{outside_port}/", allow_private: [localhost, 127.0.0.1] }}"#
    );
    let results = outcomes(
        &tools,
        [
            call("c1", "literal", &json!({})),
            call("c2", "name", &json!({})),
            call("c3", "metadata", &json!({})),
            call("c4", "argument", &json!({ "host": "0x7f000001" })),
            call("c5", "moved", &json!({})),
        ],
    )
    .await;
    for result in &results {
        assert_eq!((&result["ok"], &result["code"]), (&json!(false), &json!("forbidden_address")), "{result}");
        assert!(result["error"].as_str().is_some_and(|error| error.contains("allow_private")), "{result}");
    }
    assert!(api.requests().is_empty(), "nobody was asked");
    let results = outcomes(&tools, [call("c1", "allowed", &json!({}))]).await;
    assert_eq!(results[0]["value"], "secret", "{}", results[0]);
}

#[tokio::test]
async fn a_model_that_asks_the_same_again_and_again_is_told_and_then_ended() {
    let read = |id: &str| call(id, "state_read", &json!({}));
    let (_model, _home, server) =
        helper("", [read("a"), read("b"), read("c"), read("d"), read("e"), answer("never")]).await;
    let events = server.run_to_end("helper", &say("t", "u", "go")).await;
    let results = results(&events);
    assert_eq!(results.len(), 5);
    assert!(
        results[1].get("note").is_none() && results[2]["note"].as_str().is_some_and(|note| note.contains("3 times"))
    );
    let end = events.last().expect("a terminal");
    assert_eq!((&end["type"], &end["code"]), (&json!("RUN_ERROR"), &json!("no_progress")));
}

#[tokio::test]
async fn arguments_without_end_are_refused_and_the_run_goes_on() {
    let long = format!(r#"{{"path":"/x","value":"{}"}}"#, "x".repeat(300_000));
    let results = outcomes("", [whole(&[called(0, "c1", "state_set", &long)], "tool_calls")]).await;
    assert_eq!(results[0]["code"], "too_large");
}

#[tokio::test]
async fn a_browsers_tool_is_offered_only_when_it_is_allowed_and_a_browser_is_there() {
    let (model, _home, server) =
        helper("tools: { client: { type: client, allow: ['show_*'] } }", [answer("one"), answer("two")]).await;
    let mut input = say("t", "u", "go");
    let tool = |name: &str| json!({ "name": name, "description": "", "parameters": {} });
    input["tools"] = json!([tool("show_map"), tool("delete_all")]);
    server.run_to_end("helper", &input).await;
    server.run_to_end("helper", &say("t2", "u", "go")).await;
    let bodies = model.bodies();
    let offers = |index: usize, name: &str| bodies[index]["tools"].to_string().contains(name);
    assert!(offers(0, "show_map") && !offers(0, "delete_all") && !offers(1, "show_map"));
}

#[test]
fn a_tool_that_cannot_work_is_told_with_its_place() {
    let agent = |tool: &str| format!("agent: {{ kind: llm, model: scripted/echo }}\ntools:\n  x: {tool}\n");
    for (tool, refusal) in [
        (
            "{ type: http, url: \"https://x/{{ args.a }}\", input: { properties: { b: {} } } }",
            "`args.a` does not exist in `input`",
        ),
        ("{ type: http, url: \"https://x/{{ a }}\" }", "unknown variable `a`"),
        ("{ type: http, url: \"ftp://x/\" }", "must begin with http://"),
        ("{ type: http, url: \"https://x/\", input: { type: objet } }", "not a JSON Schema"),
        ("{ type: http, url: \"https://x/\", headers: { Host: y } }", "`host` is set by the runtime"),
        ("{ type: http, url: \"https://x/\", allow_private: 3 }", "must be true, false or a list of hosts"),
        ("{ type: mcp, url: \"https://x/\", command: [y] }", "needs one of `url`, `command` and `server`"),
        ("{ type: mcp, command: [] }", "the command is empty"),
    ] {
        let said = Home::with_agents(&[("helper.yaml", &agent(tool))]).check();
        assert!(said.contains("helper.yaml:3:") && said.contains(refusal), "{tool}: {said}");
    }
    let named = agent("{ type: http, url: \"https://x/\" }").replace("  x:", "  state_set:");
    let said = Home::with_agents(&[("helper.yaml", &named)]).check();
    assert!(said.contains("`state_set` is the name of a built-in tool"), "{said}");
}
