//! Statuses, bodies and headers of CopilotKit's routes (docs/copilotkit.md).

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::agents::DEMO;
use crate::support::events::{EventStream, types};
use crate::support::server::{HalfSent, Home, Server, say};

fn demo() -> (Home, Server) {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve_in_memory();
    (home, server)
}

#[tokio::test]
async fn refusals_have_the_statuses_and_bodies_of_the_contract() {
    let (_home, server) = demo();
    let run = say("t", "u", "hello").to_string();
    let cases = [
        (Method::GET, "/nothing", "", 404, json!({"error": "Not found"})),
        (Method::POST, "/agent/%zz/run", "{}", 404, json!({"error": "Not found"})),
        (Method::POST, "/agent/demo/stop/a%2", "", 404, json!({"error": "Not found"})),
        (Method::GET, "/threads/%ff/messages", "", 404, json!({"error": "Not found"})),
        (Method::GET, "/agent/%zz/run", "", 404, json!({"error": "Not found"})),
        (Method::GET, "/agent/demo/stop/%ff", "", 404, json!({"error": "Not found"})),
        (Method::POST, "/threads/%zz/messages", "", 404, json!({"error": "Not found"})),
        (Method::PUT, "/threads/%", "", 404, json!({"error": "Not found"})),
        (Method::GET, "/agent/demo/run", "", 405, json!({"error": "Method not allowed"})),
        (Method::POST, "/info", "", 405, json!({"error": "Method not allowed"})),
        (Method::GET, "", "", 405, json!({"error": "Method not allowed"})),
        (
            Method::POST,
            "/agent/nope/run",
            "{",
            404,
            json!({"error": "Agent not found", "message": "Agent 'nope' does not exist"}),
        ),
        (
            Method::POST,
            "/agent/nope/stop/t",
            "",
            404,
            json!({"error": "Agent not found", "message": "Agent 'nope' does not exist"}),
        ),
        (Method::POST, "/agent/demo/stop/t", "[]", 400, json!({"error": "Invalid stop request"})),
        (Method::POST, "/agent/demo/stop/t", r#"{"a":1}"#, 400, json!({"error": "Invalid stop request"})),
        (Method::POST, "/agent/demo/stop/t", r#"{"runId":" "}"#, 400, json!({"error": "Invalid runId"})),
        (
            Method::POST,
            "/agent/demo/stop/t",
            "",
            200,
            json!({"stopped": false, "message": "No active run for thread 't'."}),
        ),
        (Method::POST, "", "{", 400, json!({"error": "invalid_request", "message": "Invalid JSON payload"})),
        (Method::POST, "", "{}", 400, json!({"error": "invalid_request", "message": "Missing method field"})),
        (Method::POST, "", "[]", 400, json!({"error": "invalid_request", "message": "Missing method field"})),
        (Method::POST, "", "null", 400, json!({"error": "invalid_request", "message": "Missing method field"})),
        (
            Method::POST,
            "",
            r#"{"method":"foo"}"#,
            400,
            json!({"error": "invalid_request", "message": "Unsupported method 'foo'"}),
        ),
        (
            Method::POST,
            "",
            r#"{"method":"agent/run"}"#,
            400,
            json!({"error": "invalid_request", "message": "Missing or invalid parameter 'agentId'"}),
        ),
        (
            Method::POST,
            "",
            r#"{"method":"agent/run","params":{"agentId":"demo"}}"#,
            400,
            json!({"error": "invalid_request", "message": "Missing request body for JSON handler"}),
        ),
        (
            Method::POST,
            "",
            r#"{"method":"resource/request","params":{"path":"//x","httpMethod":"GET"}}"#,
            400,
            json!({"error": "invalid_request", "message": "Resource path must be Runtime-relative"}),
        ),
    ];
    for (method, path, body, status, expected) in cases {
        let (got, answer, headers) = server.ask(method.clone(), path, body).await;
        assert_eq!((got, &answer), (status, &expected), "{method} {path} {body}");
        assert_eq!(headers["content-type"], "application/json");
        assert_eq!(got == 405, headers.contains_key("allow"), "{method} {path}");
    }
    let (status, body, _) = server.ask(Method::POST, "/agent/demo/run", "{").await;
    assert_eq!((status, &body["error"]), (400, &json!("Invalid request body")));
    let (status, body, _) = server
        .ask(
            Method::POST,
            "/agent/demo/run",
            r#"{"threadId":"t","runId":"r","messages":[{"id":"1","role":"narrator"}]}"#,
        )
        .await;
    assert_eq!(status, 400);
    assert!(body["details"].as_str().unwrap().contains("messages"), "{body}");
    let bad_thread = run.replace(r#""threadId":"t""#, r#""threadId":"""#);
    assert_eq!(server.ask(Method::POST, "/agent/demo/run", &bad_thread).await.0, 400);
}

#[tokio::test]
async fn every_route_names_the_methods_it_takes() {
    let (_home, server) = demo();
    for (path, allow) in [
        ("/info", "GET"),
        ("/inspector-metadata", "GET"),
        ("/inspector-learning", "GET"),
        ("/cpk-debug-events", "GET"),
        ("/threads", "GET"),
        ("/threads/t/messages", "GET"),
        ("/threads/t/events", "GET"),
        ("/threads/t/state", "GET"),
        ("", "POST"),
        ("/agent/demo/run", "POST"),
        ("/agent/demo/connect", "POST"),
        ("/agent/demo/suggest", "POST"),
        ("/agent/demo/stop/t", "POST"),
        ("/transcribe", "POST"),
        ("/threads/clear", "POST"),
        ("/threads/subscribe", "POST"),
        ("/threads/t/archive", "POST"),
        ("/annotate", "POST"),
        ("/threads/t", "PATCH, DELETE"),
    ] {
        for method in
            [Method::HEAD, Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::TRACE]
        {
            if allow.split(", ").any(|allowed| allowed == method.as_str()) {
                continue;
            }
            let (status, body, headers) = server.ask(method.clone(), path, "{}").await;
            assert_eq!((status, &headers["allow"]), (405, &allow.parse().unwrap()), "{method} {path}");
            let said = if method == Method::HEAD { json!("") } else { json!({"error": "Method not allowed"}) };
            assert_eq!(body, said, "{method} {path}");
        }
    }
    for path in ["/memories", "/memories/m", "/memories/recall", "/memories/subscribe", "/info/", "/x/info", "/Info"] {
        for method in [Method::GET, Method::POST, Method::PATCH, Method::DELETE] {
            let (status, body, _) = server.ask(method.clone(), path, "{}").await;
            assert_eq!((status, body), (404, json!({"error": "Not found"})), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn what_needs_copilotkits_platform_answers_as_without_one() {
    let (_home, server) = demo();
    let missing = |requires: &str| {
        let error = format!(
            "Missing CopilotKitIntelligence configuration. {requires} a CopilotKitIntelligence instance to be provided in CopilotRuntime options."
        );
        json!({"error": error})
    };
    for (path, expected) in
        [("/annotate", missing("annotate requires")), ("/threads/subscribe", missing("Thread operations require"))]
    {
        let (status, body, _) = server.ask(Method::POST, path, "{}").await;
        assert_eq!((status, &body), (422, &expected));
        assert_eq!(server.tunnel("POST", path, json!({})).await, (422, expected));
    }
    let single = |method: &str| json!({"method": method}).to_string();
    for (method, path, body) in
        [(Method::GET, "/inspector-metadata", String::new()), (Method::POST, "", single("inspector/metadata"))]
    {
        let (status, body, headers) = server.ask(method, path, &body).await;
        assert_eq!((status, body, &headers["cache-control"]), (204, json!(""), &"no-store, private".parse().unwrap()));
    }
    for (method, path, body) in [
        (Method::GET, "/inspector-learning?agentId=demo", String::new()),
        (Method::POST, "", single("inspector/learning")),
    ] {
        let (status, body, headers) = server.ask(method, path, &body).await;
        assert_eq!((status, body), (404, json!({"error": "Not found"})));
        assert_eq!(headers["cache-control"], "no-store, private");
    }
}

#[tokio::test]
async fn info_names_the_agents_and_tells_the_truth() {
    let (_home, server) = demo();
    let info = server.get("/info").await;
    assert_eq!(info["mode"], "sse");
    assert_eq!(info["agents"]["demo"]["description"], "Answers by script");
    assert!(info["agents"]["default"].is_object(), "clients ask for `default`");
    assert_eq!(
        info["threadEndpoints"],
        json!({"list": true, "inspect": true, "mutations": true, "realtimeMetadata": false})
    );
    assert_eq!(info["singleRoute"], json!({"resourceOperations": true, "threadEndpoints": info["threadEndpoints"]}));
    assert_eq!((&info["suggestions"], &info["telemetryDisabled"]), (&json!(true), &json!(true)));
    assert_eq!(info["audioFileTranscriptionEnabled"], false, "nothing transcribes here");
}

#[tokio::test]
async fn a_single_route_client_gets_the_same_as_a_rest_client() {
    let (_home, server) = demo();
    let envelope = |method: &str, params: Value, body: Value| json!({"method": method, "params": params, "body": body});
    let info: Value = server.post("", &json!({"method": "info"})).await.json().await.unwrap();
    assert_eq!(info, server.get("/info").await);
    let run = envelope("agent/run", json!({"agentId": "demo"}), say("t", "u", "hello"));
    let events = EventStream::new(server.post("", &run).await).rest().await;
    assert_eq!(types(&events).last(), Some(&"RUN_FINISHED"));
    let connect = envelope("agent/connect", json!({"agentId": "demo"}), say("t", "x", ""));
    assert_eq!(EventStream::new(server.post("", &connect).await).rest().await, server.replay("demo", "t").await);
    let stop = envelope("agent/stop", json!({"agentId": "demo", "threadId": "t"}), Value::Null);
    let stopped: Value = server.post("", &stop).await.json().await.unwrap();
    assert_eq!(stopped["stopped"], false);
    let list = json!({"method": "resource/request", "params": {"path": "/threads?agentId=demo", "httpMethod": "GET"}});
    let listed: Value = server.post("", &list).await.json().await.unwrap();
    assert_eq!(listed, server.get("/threads?agentId=demo").await);
    let text = server.http().post(server.copilotkit("")).header("content-type", "text/plain").body("{}");
    assert_eq!(text.send().await.unwrap().status(), 415);
}

#[tokio::test]
async fn an_envelope_is_read_as_javascript_reads_it() {
    let (_home, server) = demo();
    let input = say("t", "u", "hello");
    for (envelope, reaches) in [
        (r#"{"method":"nothing","method":"info"}"#.to_owned(), "agents"),
        (
            format!(r#"{{"method":"agent/run","params":{{"agentId":"no","agentId":"demo"}},"body":1,"body":{input}}}"#),
            "",
        ),
        (r#"{"method":"agent/stop","params":{"agentId":"demo","threadId":"cut \ud83d"}}"#.to_owned(), "stopped"),
        (r#"{"method":"info","params":{"path":"\ud83d"},"note":"\ud83d"}"#.to_owned(), "agents"),
    ] {
        let request = server.http().post(server.copilotkit("")).header("content-type", "application/json");
        let answer = request.body(envelope.clone()).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{envelope}");
        if reaches.is_empty() {
            assert_eq!(types(&EventStream::new(answer).rest().await).last(), Some(&"RUN_FINISHED"));
        } else {
            assert!(answer.json::<Value>().await.unwrap().get(reaches).is_some(), "{envelope}");
        }
    }
    let misdirected = server.ask(Method::POST, "/foo", r#"{"method":"no","method":"info"}"#).await;
    assert!(misdirected.1["code"].is_string(), "{misdirected:?}");
}

#[tokio::test]
async fn an_envelope_that_misses_the_mount_is_told_where_to_go() {
    let (home, server) = demo();
    let code = "single_route_envelope_against_multi_route_runtime";
    for (method, path) in [
        ("info", "/foo"),
        ("agent/run", "/agent/demo"),
        ("agent/connect", "/a/b/c/d"),
        ("agent/suggest", "/agent/demo/suggest/"),
        ("agent/stop", "/runs"),
        ("transcribe", "//"),
        ("inspector/metadata", "/Info"),
        ("inspector/learning", "/threads/t/nothing"),
        ("resource/request", "/copilotkit"),
    ] {
        let envelope = json!({"method": method, "params": {}}).to_string();
        let (status, body, _) = server.ask(Method::POST, path, &envelope).await;
        assert_eq!((status, &body["error"], &body["code"]), (404, &json!("Not found"), &json!(code)), "{path}");
        let says = body["message"].as_str().expect("a message");
        let begins = format!("Received a single-route request envelope (`{method}`) at /api/copilotkit{path}");
        assert!(says.starts_with(&begins) && says.ends_with("post it to /api/copilotkit"), "{says}");
    }
    for (method, path, body) in [
        (Method::POST, "/foo", r#"{"method":"fly"}"#),
        (Method::POST, "/foo", r#"{"method":1}"#),
        (Method::POST, "/foo", "[]"),
        (Method::POST, "/foo", "{"),
        (Method::POST, "/foo", ""),
        (Method::PUT, "/foo", r#"{"method":"info"}"#),
        (Method::GET, "/foo", r#"{"method":"info"}"#),
        (Method::POST, "-of-another/foo", r#"{"method":"info"}"#),
    ] {
        let (status, answer, headers) = server.ask(method.clone(), path, body).await;
        assert_eq!((status, answer), (404, json!({"error": "Not found"})), "{method} {path} {body}");
        assert!(!headers.contains_key("allow"), "{method} {path}");
    }
    let mut options = home.options();
    options.store = "memory:".to_owned();
    options.flags = ["--base-path", "/"].map(str::to_owned).to_vec();
    let at_the_root = Server::start(options);
    for method in [Method::PUT, Method::DELETE, Method::PATCH] {
        let (status, answer, headers) = at_the_root.ask_at(method.clone(), "/").await;
        assert_eq!((status, answer), (405, json!({"error": "Method not allowed"})), "{method}");
        assert_eq!(headers["allow"], "GET, HEAD, POST", "{method}");
    }
    assert_eq!(at_the_root.ask_at(Method::GET, "/").await.0, 200, "the start page");
    assert_eq!(at_the_root.ask_at(Method::HEAD, "/").await.0, 200);
    for (path, expected) in [("/foo", json!(code)), ("/v1/foo", json!("not_found"))] {
        let request = at_the_root.http().post(format!("{}{path}", at_the_root.url)).json(&json!({"method": "info"}));
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["code"], expected, "{path}: {answer}");
    }
}

#[tokio::test]
async fn foreign_pages_and_names_are_refused_and_local_ones_are_not() {
    let (_home, server) = demo();
    for (header, value, status) in [
        ("origin", "http://localhost:5173", 200),
        ("origin", "http://127.0.0.1:1", 200),
        ("origin", "https://evil.example", 403),
        ("origin", "null", 403),
        ("origin", "http://localhost.evil.example", 403),
        ("host", "evil.example", 403),
        ("host", "localhost", 200),
    ] {
        let request = server.http().get(server.copilotkit("/info")).header(header, value);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), status, "{header}: {value}");
        let allowed = response.headers().get("access-control-allow-origin").map(|origin| origin.to_str().unwrap());
        assert_eq!(allowed, (header == "origin" && status == 200).then_some(value));
    }
    let post = server.http().post(server.copilotkit("/agent/demo/run")).header("origin", "https://evil.example");
    assert_eq!(post.json(&say("t", "u", "hello")).send().await.unwrap().status(), 403);
    assert_eq!(server.get("/threads").await["threads"], json!([]), "a refused page starts nothing");
}

#[tokio::test]
async fn a_preflight_names_the_headers_that_were_asked_for() {
    let (_home, server) = demo();
    let preflight = server
        .http()
        .request(Method::OPTIONS, server.copilotkit("/agent/demo/run"))
        .header("origin", "http://localhost:5173")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type,x-team");
    let response = preflight.send().await.unwrap();
    assert_eq!(response.status(), 204);
    assert_eq!(response.headers()["access-control-allow-headers"], "authorization,content-type,x-team");
    assert_eq!(response.headers()["access-control-allow-origin"], "http://localhost:5173");
    assert!(response.headers().contains_key("access-control-max-age"));
    assert!(response.headers()["vary"].to_str().unwrap().contains("Origin"));
}

#[tokio::test]
async fn every_options_is_a_preflight_and_only_a_405_names_methods() {
    let (_home, server) = demo();
    let ask = |method: Method, path: &str, header: (&str, &str)| {
        let request = server.http().request(method, format!("{}{path}", server.url)).header(header.0, header.1);
        async move { request.send().await.expect("an answer") }
    };
    let (without, ours) = (("x-page", "none"), ("origin", "http://localhost:5173"));
    let (foreign, elsewhere) = (("origin", "https://evil.example"), ("host", "evil.example"));
    let base = "/api/copilotkit";
    for path in ["/info", "/agent/demo/run", "/threads/t", "/nothing", "", "/agent/%zz/run"] {
        for (header, status) in [(without, 204), (ours, 204), (foreign, 403), (elsewhere, 403)] {
            let answer = ask(Method::OPTIONS, &format!("{base}{path}"), header).await;
            assert_eq!(answer.status(), status, "{path} {header:?}");
            assert!(!answer.headers().contains_key("allow"), "{path} {header:?}");
            assert_eq!(answer.headers().contains_key("access-control-allow-methods"), status == 204, "{path}");
        }
    }
    for (method, path, header, status) in [
        (Method::OPTIONS, "/", without, 204),
        (Method::OPTIONS, "/healthz", without, 204),
        (Method::OPTIONS, "/hooks/demo/x", without, 204),
        (Method::OPTIONS, "/v1/agents", ours, 204),
        (Method::HEAD, "/api/copilotkit/info", foreign, 403),
        (Method::POST, "/v1/agents", elsewhere, 403),
        (Method::GET, "/api/copilotkit/agent/%zz/run", without, 404),
        (Method::PUT, "/api/copilotkit/threads/%zz", without, 404),
    ] {
        let answer = ask(method.clone(), path, header).await;
        assert_eq!(answer.status(), status, "{method} {path} {header:?}");
        assert!(!answer.headers().contains_key("allow"), "{method} {path} {header:?}");
    }
    let of_a_document = ask(Method::OPTIONS, "/v1/state/shared/x", without).await;
    assert!(of_a_document.headers().contains_key("accept-patch"), "a document tells what it takes");
}

#[tokio::test]
async fn a_page_can_read_every_answer_also_refusals_and_streams() {
    let (_home, server) = demo();
    let origin = "http://localhost:5173";
    let run = say("t", "u", "hello").to_string();
    for (method, path, body, status) in [
        (Method::GET, "/info", "", 200),
        (Method::GET, "/nothing", "", 404),
        (Method::GET, "/agent/demo/run", "", 405),
        (Method::POST, "/agent/nope/run", "{}", 404),
        (Method::POST, "/agent/demo/run", "{", 400),
        (Method::POST, "/agent/demo/run", &run, 200),
        (Method::POST, "/agent/demo/connect", &run, 200),
        (Method::POST, "/agent/demo/suggest", &run, 200),
        (Method::POST, "/transcribe", "{}", 503),
        (Method::POST, "/annotate", "{}", 422),
        (Method::DELETE, "/threads/nobody", "", 404),
        (Method::POST, "", "{", 400),
        (Method::OPTIONS, "/whatever/there/is", "", 204),
    ] {
        let request = server.http().request(method.clone(), server.copilotkit(path)).header("origin", origin);
        let response = request.header("content-type", "application/json").body(body.to_owned()).send().await.unwrap();
        assert_eq!(response.status(), status, "{method} {path}");
        let headers = response.headers();
        assert_eq!(headers["access-control-allow-origin"], origin, "{method} {path}");
        assert_eq!(headers["access-control-allow-credentials"], "true", "{method} {path}");
        assert!(headers["vary"].to_str().unwrap().starts_with("Origin"), "{method} {path}");
    }
    let without = server.http().get(server.copilotkit("/info")).send().await.unwrap();
    assert!(without.headers()["vary"].to_str().unwrap().starts_with("Origin"), "a cache must not mix the two up");
    assert!(!without.headers().contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn any_origin_may_be_allowed_without_credentials() {
    let home = Home::with_agents(&[DEMO]);
    let mut options = home.options();
    options.flags = ["--cors-origins", "*"].map(str::to_owned).to_vec();
    let server = Server::start(options);
    let request = server.http().get(server.copilotkit("/info")).header("origin", "https://app.example.com");
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    assert!(!response.headers().contains_key("access-control-allow-credentials"));
}

#[tokio::test]
async fn streams_say_what_proxies_need_to_know() {
    let (_home, server) = demo();
    let response = server.post("/agent/demo/run", &say("t", "u", "hello")).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(response.headers()["cache-control"], "no-cache");
    let body = response.text().await.unwrap();
    assert!(body.ends_with("\n\n") && !body.contains("null"), "{body}");
}

#[tokio::test]
async fn the_start_page_and_the_health_routes_answer() {
    let (_home, server) = demo();
    for (path, contains) in [("/", "/api/copilotkit"), ("/healthz", "ok"), ("/readyz", "ready")] {
        let response = server.http().get(format!("{}{path}", server.url)).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(response.text().await.unwrap().contains(contains));
    }
}

/// What the start page is told.
async fn known(server: &Server) -> Value {
    let page = server.http().get(&server.url).send().await.unwrap().text().await.unwrap();
    let (_, known) = page.split_once(r#"<script type="application/json" id="known">"#).expect("it is told something");
    serde_json::from_str(known.split_once("</script>").expect("it ends").0).expect("JSON")
}

#[tokio::test]
async fn the_start_page_knows_who_answers_for_default_who_cannot_run_yet_and_what_is_wrong() {
    let keyless = "agent: { kind: llm, model: openai/x, api_key: \"${env:NOBODY_SETS_THIS}\" }\ndescription: \"</script>{{known}}\"\n";
    let planner = "default: true\nagent: { kind: native, name: planner }\n";
    let home = Home::with_agents(&[("assistant.yaml", keyless), ("planner.yaml", planner), ("bad.yaml", "agnt: 1\n")]);
    let server = home.serve_in_memory();
    let known = known(&server).await;
    let text = known.to_string();
    assert_eq!(known["default"], "planner", "{text}");
    assert_eq!(known["agents"][0]["description"], "</script>{{known}}");
    assert!(known["agents"][0]["missing"].as_str().is_some_and(|said| said.contains("NOBODY_SETS_THIS")), "{text}");
    assert_eq!((&known["agents"][1]["id"], &known["agents"][1]["missing"]), (&json!("planner"), &Value::Null));
    assert!(known["problems"][0]["place"].as_str().is_some_and(|place| place.ends_with("bad.yaml:1:1")), "{text}");
    let ready = server.http().get(format!("{}/readyz", server.url)).send().await.unwrap();
    assert_eq!(ready.status(), 200, "a broken file disables its own agent only");
}

#[tokio::test]
async fn a_server_without_its_folder_of_agents_is_not_ready() {
    let home = Home::with_agents(&[]);
    let folder = home.path().join("agents");
    std::fs::remove_dir(&folder).unwrap();
    let server = home.serve_in_memory();
    let ready = async || {
        let response = server.http().get(format!("{}/readyz", server.url)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    let (status, said) = ready().await;
    assert_eq!(status, 503, "{said}");
    assert!(said.contains("the folder of agents does not exist: create it"), "{said}");
    assert_eq!(known(&server).await["agents"], json!([]));
    std::fs::create_dir(&folder).unwrap();
    while ready().await.0 != 200 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn more_connections_than_the_server_takes_are_refused_and_told_so() {
    let home = Home::with_agents(&[DEMO]);
    let mut options = home.options();
    options.flags = ["--max-connections", "2"].map(str::to_owned).to_vec();
    let server = Server::start(options);
    let held = [HalfSent::new(&server, "POST", "/agent/demo/run", &say("a", "u", "hello")).await, {
        HalfSent::new(&server, "POST", "/agent/demo/run", &say("b", "u", "hello")).await
    }];
    let (status, body) =
        HalfSent::announced(&server, "POST", "/agent/demo/run", &say("c", "u", "hello")).await.answer().await;
    assert_eq!((status, &body["code"], &body["error"]), (503, &json!("overloaded"), &json!("Service unavailable")));
    let refused = reqwest::get(format!("{}/v1/state/shared/a", server.url)).await.expect("an answer");
    let headers = refused.headers().clone();
    assert_eq!((refused.status().as_u16(), headers["retry-after"].as_bytes()), (503, &b"1"[..]));
    assert_eq!(headers["content-type"], "application/problem+json");
    let problem: Value = refused.json().await.expect("a problem");
    assert_eq!(
        (&problem["type"], &problem["status"], &problem["code"], &problem["detail"]),
        (
            &json!("urn:coagent:problem:overloaded"),
            &json!(503),
            &json!("overloaded"),
            &json!("too many connections are open")
        )
    );
    for connection in held {
        let (status, _) = connection.finish().await;
        assert_eq!(status, 200, "who has a place is served");
    }
    let (status, _) = HalfSent::new(&server, "POST", "/agent/demo/run", &say("d", "u", "hello")).await.finish().await;
    assert_eq!(status, 200, "a place that is left is free");
}

#[tokio::test]
async fn a_byte_order_mark_before_json_is_read_over_on_every_route() {
    let (_home, server) = demo();
    let run = say("t", "u", "hello").to_string();
    for (method, path, body) in [
        (Method::POST, "/agent/demo/run", run.as_str()),
        (Method::POST, "/agent/demo/connect", &run),
        (Method::POST, "/agent/demo/stop/t", "{}"),
        (Method::PATCH, "/threads/t", r#"{"name":"n"}"#),
        (Method::POST, "", r#"{"method":"info"}"#),
    ] {
        let (status, answer, _) = server.ask(method.clone(), path, &format!("\u{feff}{body}")).await;
        assert_eq!(status, 200, "{method} {path}: {answer}");
    }
    let misdirected = "\u{feff}{\"method\":\"info\"}";
    let (_, answer, _) = server.ask(Method::POST, "/nothing", misdirected).await;
    assert_eq!(answer["code"], "single_route_envelope_against_multi_route_runtime");
}

#[tokio::test]
async fn origins_that_are_set_to_nothing_are_those_of_this_machine() {
    let home = Home::with_agents(&[DEMO]);
    let mut options = home.options();
    options.env.push(("COAGENT_CORS_ORIGINS".to_owned(), String::new()));
    let server = Server::start(options);
    for (origin, status) in [("http://localhost:5173", 200), ("https://app.example.com", 403)] {
        let request = server.http().get(server.copilotkit("/info")).header("origin", origin);
        assert_eq!(request.send().await.unwrap().status(), status, "{origin}");
    }
}
