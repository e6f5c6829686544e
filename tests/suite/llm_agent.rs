//! Agents that a model answers for, through the binary: prompts, tools, state, the browser's tools, accounts.

use serde_json::{Value, json};

use crate::support::events::{messages, results, state, text, types};
use crate::support::model::{
    KEY, call, called, conversation, definition, delta, helper, said, serve, text as answer, usage, whole,
};
use crate::support::server::{Server, say, with_messages};
use crate::support::upstream::{Then, Upstream};

fn user(id: &str, text: &str) -> Value {
    json!({ "id": id, "role": "user", "content": text })
}

/// The thread as a client that reloads it knows it.
async fn transcript(server: &Server) -> Vec<Value> {
    messages(&server.replay("helper", "t").await)
}

#[tokio::test]
async fn an_answer_streams_as_it_comes_and_says_what_it_cost() {
    let parts = [said("Hello"), said(", world"), usage(9, 2)];
    let (model, _home, server) = helper([whole(&parts, "stop")]).await;
    let events = server.run_to_end("helper", &say("t", "u", "hello")).await;
    let deltas: Vec<_> =
        events.iter().filter(|event| event["type"] == "TEXT_MESSAGE_CONTENT").map(|event| &event["delta"]).collect();
    assert_eq!(deltas, ["Hello", ", world"]);
    let expected =
        json!([{ "provider": "test", "model": "small", "inputTokens": 9, "outputTokens": 2, "totalTokens": 11 }]);
    assert_eq!(events.last().expect("a terminal")["usage"], expected);
    let head = model.last_head();
    assert!(head.starts_with("POST /v1/chat/completions "), "{head}");
    assert!(head.to_lowercase().contains(&format!("authorization: bearer {KEY}\r\n")), "the key is trimmed: {head}");
    let body = &model.bodies()[0];
    assert_eq!((&body["model"], &body["stream"]), (&json!("small"), &json!(true)));
}

#[tokio::test]
async fn the_first_words_are_shown_before_the_last_are_there() {
    let mut held = whole(&[said("early")], "stop");
    held.bytes.truncate(held.bytes.len() - 80);
    held.then = Then::Hold;
    let mut model = Upstream::start(held).await;
    let (_home, server) = serve(&definition(&model, "", ""));
    let mut stream = server.run("helper", &say("t", "u", "hello")).await;
    assert_eq!(stream.until("TEXT_MESSAGE_CONTENT").await["delta"], "early");
    server.stop("helper", "t").await;
    let rest = stream.rest().await;
    assert_eq!(types(&rest), ["TEXT_MESSAGE_END", "RUN_FINISHED"]);
    model.is_hung_up_on().await;
}

#[tokio::test]
async fn the_prompt_is_instructions_then_context_then_history_and_the_state_last() {
    let template = "You help {{ state.user.name }} of {{ props.team }} on {{ thread }} as {{ agent }} ({{ agent.name }}): \
                    {{ context[0].value }}.";
    let model = Upstream::start(answer("fine")).await;
    let rest = "state:\n  initial: { user: { name: Ann }, trip: { days: [] } }\n";
    let definition = definition(&model, "", template).replacen("---\nname", &format!("---\n{rest}name"), 1);
    let (_home, server) = serve(&definition);
    let mut input = say("t", "u", "hello");
    input["context"] =
        json!([{ "description": "The page", "value": "a map" }, { "description": "Time", "value": "noon" }]);
    input["forwardedProps"] = json!({ "team": "travel" });
    server.run_to_end("helper", &input).await;
    let body = &model.bodies()[0];
    let messages = body["messages"].as_array().expect("messages");
    assert_eq!(messages.len(), 3, "{messages:#?}");
    let expected = "You help Ann of travel on t as helper (Helper): a map.\n\n## Context from the application\n\nThe page: a map\n\nTime: noon";
    assert_eq!(messages[0], json!({ "role": "system", "content": expected }));
    assert_eq!(messages[1], json!({ "role": "user", "content": "hello" }));
    let state = messages[2]["content"].as_str().expect("text");
    assert!(state.contains("version 1") && state.contains(r#"{"trip":{"days":[]},"user":{"name":"Ann"}}"#), "{state}");
    let tools: Vec<_> = body["tools"].as_array().expect("tools").iter().map(|tool| &tool["function"]["name"]).collect();
    assert_eq!(tools, ["state_read", "state_patch", "state_set"]);
}

#[tokio::test]
async fn a_template_that_names_what_is_not_there_fails_with_its_line() {
    let model = Upstream::start(answer("never")).await;
    let (_home, server) = serve(&definition(&model, "", "One.\nYou help {{ state.usr.name }}."));
    let events = server.run_to_end("helper", &say("t", "u", "hello")).await;
    let end = events.last().expect("a terminal");
    assert_eq!((&end["type"], &end["code"]), (&json!("RUN_ERROR"), &json!("internal")));
    let line = definition(&model, "", "").lines().count() + 2;
    assert!(end["message"].as_str().expect("a message").contains(&format!("line {line}")), "{end}");
    assert!(model.bodies().is_empty(), "nobody was asked");
}

#[tokio::test]
async fn a_model_edits_the_shared_state_and_is_told_the_truth() {
    let patch = json!({ "ops": [{ "op": "add", "path": "/list/-", "value": "milk" }] });
    let gone = json!({ "ops": [{ "op": "remove", "path": "/nothing" }] });
    let stale = json!({ "ops": [{ "op": "replace", "path": "/title", "value": "x" }], "if_version": 1 });
    let (model, _home, server) = helper([
        call("c0", "state_set", &json!({ "path": "/list", "value": [] })),
        call("c1", "state_patch", &patch),
        call("c2", "state_patch", &gone),
        call("c3", "state_patch", &stale),
        call("c4", "state_set", &json!({ "path": "/deep/er/title", "value": "Trip" })),
        call("c5", "state_set", &json!({ "path": "/list/0", "value": "bread" })),
        call("c6", "state_read", &json!({ "path": "/list" })),
        call("c7", "state_read", &json!({ "path": "/absent" })),
        call("c8", "nonsense", &json!({})),
        whole(&[called(0, "c9", "state_set", "{\"path\":")], "tool_calls"),
        answer("done"),
    ])
    .await;
    let events = server.run_to_end("helper", &say("t", "u", "plan")).await;
    assert_eq!(text(&events), "done");
    assert_eq!(state(&events), json!({ "list": ["bread"], "deep": { "er": { "title": "Trip" } } }));
    let results = results(&events);
    assert_eq!(results[0], json!({ "ok": true, "version": 1 }));
    assert_eq!(results[1], json!({ "ok": true, "version": 2 }));
    assert_eq!(
        (&results[2]["ok"], &results[2]["code"], &results[2]["version"]),
        (&json!(false), &json!("target_gone"), &json!(2))
    );
    assert_eq!((&results[3]["code"], &results[3]["version"]), (&json!("version_conflict"), &json!(2)));
    assert_eq!(results[4], json!({ "ok": true, "version": 3 }));
    assert_eq!(results[5], json!({ "ok": true, "version": 4 }));
    assert_eq!(results[6], json!({ "ok": true, "version": 4, "value": ["bread"] }));
    assert_eq!((&results[7]["ok"], &results[7]["code"]), (&json!(false), &json!("not_found")));
    assert_eq!(results[8]["code"], "unknown_tool");
    assert_eq!(results[9]["code"], "invalid_arguments");
    for result in &results[2..4] {
        assert!(result["error"].as_str().is_some_and(|error| !error.is_empty()), "{result}");
    }
    let bodies = model.bodies();
    assert_eq!(bodies.len(), 11, "the model is asked again after each result");
    let second = bodies[1]["messages"].as_array().expect("messages");
    assert_eq!(second[second.len() - 2]["content"], r#"{"ok":true,"version":1}"#);
    assert!(
        second.last().expect("the state")["content"].as_str().expect("text").contains("version 1"),
        "the state is as new as the last write"
    );
}

#[tokio::test]
async fn an_agent_reads_and_writes_only_where_its_definition_says() {
    let model = Upstream::start_with([
        call("c1", "state_set", &json!({ "path": "/user/name", "value": "Eve" })),
        call("c2", "state_set", &json!({ "path": "/trip/title", "value": "Rome" })),
        call("c3", "state_read", &json!({ "path": "/secret" })),
        call("c4", "state_read", &json!({})),
        answer("done"),
    ])
    .await;
    let rest =
        "state:\n  initial: { user: { name: Ann }, trip: {}, secret: 7 }\n  read: [/trip, /user]\n  write: [/trip]\n";
    let definition = definition(&model, "", "").replacen("---\nname", &format!("---\n{rest}name"), 1);
    let (_home, server) = serve(&definition);
    let events = server.run_to_end("helper", &say("t", "u", "plan")).await;
    let results = results(&events);
    assert_eq!(
        results[0],
        json!({
            "ok": false, "code": "forbidden_path", "error": results[0]["error"], "version": 1, "value": "Ann",
        })
    );
    assert_eq!(results[1], json!({ "ok": true, "version": 2 }));
    assert_eq!((&results[2]["code"], results[2].get("value")), (&json!("forbidden_path"), None));
    assert_eq!(results[3]["value"], json!({ "user": { "name": "Ann" }, "trip": { "title": "Rome" } }));
    assert_eq!(state(&events)["user"]["name"], "Ann");
    let told = model.bodies()[0]["messages"].to_string();
    assert!(told.contains("/trip") && !told.contains("secret"), "{told}");
}

#[tokio::test]
async fn an_edit_of_the_application_is_in_the_next_step_of_a_live_run() {
    let scope = "state: { scope: shared/board, initial: { n: 0 } }\n";
    let mut slow = call("c1", "state_set", &json!({ "path": "/mine", "value": 1 }));
    slow.piece = 8;
    let model = Upstream::start_with([slow, answer("done")]).await;
    let definition = definition(&model, "", "").replacen("---\nname", &format!("---\n{scope}name"), 1);
    let (_home, server) = serve(&definition);
    let mut stream = server.run("helper", &say("t", "u", "go")).await;
    stream.until("TOOL_CALL_START").await;
    let mut other = say("other", "u2", "mine too");
    other["state"] = json!({ "n": 0, "theirs": 2 });
    other["forwardedProps"] = json!({ "coagent": { "stateVersion": 1 } });
    server.run_to_end("helper", &other).await;
    let events = stream.rest().await;
    let result = events.iter().find(|event| event["type"] == "TOOL_CALL_RESULT");
    if let Some(result) = result {
        assert!(result["content"].as_str().expect("text").contains("\"ok\":true"));
    }
    let thread = server.get("/threads/t/state").await;
    assert_eq!(thread["state"], json!({ "n": 0, "mine": 1, "theirs": 2 }));
}

#[tokio::test]
async fn a_browsers_tool_ends_the_run_and_its_result_is_in_the_next() {
    let paint = call("c1", "paint", &json!({ "color": "teal" }));
    let (model, _home, server) = helper([paint, answer("it is teal")]).await;
    let mut input = say("t", "u", "paint it");
    input["tools"] = json!([{ "name": "paint", "description": "Paints", "parameters": { "type": "object", "properties": { "color": { "type": "string" } } } }]);
    let first = server.run_to_end("helper", &input).await;
    let kinds = types(&first);
    assert_eq!(kinds[kinds.len() - 2..], ["TOOL_CALL_END", "RUN_FINISHED"]);
    assert!(!kinds.contains(&"TOOL_CALL_RESULT"));
    let offered = &model.bodies()[0]["tools"][3]["function"];
    assert_eq!((&offered["name"], &offered["description"]), (&json!("paint"), &json!("Paints")));

    let mut messages = transcript(&server).await;
    messages.push(json!({ "id": "r1", "role": "tool", "toolCallId": "c1", "content": "painted" }));
    let second = server.run_to_end("helper", &with_messages("t", &messages)).await;
    assert_eq!(text(&second), "it is teal");
    let told = conversation(&model.bodies()[1]);
    let roles: Vec<_> = told.iter().map(|message| message["role"].as_str().expect("a role")).collect();
    assert_eq!(roles, ["user", "assistant", "tool"]);
    assert_eq!((&told[2]["tool_call_id"], &told[2]["content"]), (&json!("c1"), &json!("painted")));
}

#[tokio::test]
async fn of_a_mixed_answer_the_servers_tools_run_and_the_browsers_stay_pending() {
    let mixed = whole(
        &[
            said("I do both."),
            called(0, "c1", "paint", r#"{"color":"teal"}"#),
            called(1, "c2", "state_set", r#"{"path":"/done","value":true}"#),
        ],
        "tool_calls",
    );
    let (model, _home, server) = helper([mixed, answer("both are done")]).await;
    let mut input = say("t", "u", "do both");
    input["tools"] = json!([{ "name": "paint", "description": "", "parameters": {} }]);
    input["protocolVersion"] = json!("1.0");
    let first = server.run_to_end("helper", &input).await;
    assert_eq!(state(&first), json!({ "done": true }));
    let result = first.iter().find(|event| event["type"] == "TOOL_CALL_RESULT").expect("the server's result");
    assert_eq!(result["toolCallId"], "c2");
    let starts: Vec<_> = first.iter().filter(|event| event["type"] == "TOOL_CALL_START").collect();
    let said = first.iter().find(|event| event["type"] == "TEXT_MESSAGE_START").expect("a text");
    assert!(
        starts.iter().all(|start| start["parentMessageId"] == said["messageId"]),
        "one message holds text and calls"
    );
    assert_eq!(
        first.last().expect("a terminal")["outcome"],
        json!({ "type": "success", "pendingToolCallIds": ["c1"] })
    );

    let mut messages = transcript(&server).await;
    messages.push(json!({ "id": "r1", "role": "tool", "toolCallId": "c1", "content": "painted" }));
    let second = server.run_to_end("helper", &with_messages("t", &messages)).await;
    assert_eq!(text(&second), "both are done");
    let told = conversation(&model.bodies()[1]);
    let answered: Vec<_> =
        told.iter().filter(|message| message["role"] == "tool").map(|message| &message["tool_call_id"]).collect();
    assert_eq!(answered, ["c1", "c2"]);
}

#[tokio::test]
async fn only_the_browsers_tools_that_the_definition_allows_are_offered() {
    let model = Upstream::start(answer("fine")).await;
    let rest = "state: { initial: { a: 1 } }\ntools: { state: { read: true, patch: false }, browser: { type: client, allow: [\"set_*\"] } }\n";
    let (_home, server) = serve(&definition(&model, "", "").replacen("---\nname", &format!("---\n{rest}name"), 1));
    let mut input = say("t", "u", "hello");
    let tool = |name: &str| json!({ "name": name, "description": "", "parameters": {} });
    input["tools"] = json!([tool("set_color"), tool("delete_all"), tool("state_read")]);
    server.run_to_end("helper", &input).await;
    let tools: Vec<_> = model.bodies()[0]["tools"]
        .as_array()
        .expect("tools")
        .iter()
        .map(|tool| tool["function"]["name"].clone())
        .collect();
    assert_eq!(tools, ["state_read", "set_color"]);
    let told = model.bodies()[0]["messages"].to_string();
    assert!(told.contains("You cannot change it."), "{told}");
}

#[tokio::test]
async fn a_model_that_never_comes_to_an_end_uses_up_its_steps() {
    let write = |n: usize| call(&format!("c{n}"), "state_set", &json!({ "path": "/n", "value": n }));
    let (model, _home, server) = helper((0..21).map(write)).await;
    let events = server.run_to_end("helper", &say("t", "u", "go on")).await;
    let end = events.last().expect("a terminal");
    assert_eq!((&end["type"], &end["code"]), (&json!("RUN_ERROR"), &json!("budget_exceeded")));
    assert_eq!(model.bodies().len(), 20);
    assert_eq!(results(&events).len(), 20);
}

#[tokio::test]
async fn a_model_that_calls_without_measure_uses_up_its_calls() {
    let read = |n: u64| called(n, &format!("c{n}"), "state_read", &json!({ "path": format!("/{n}") }).to_string());
    let many: Vec<_> = (0..30).map(read).collect();
    let (model, _home, server) = helper([whole(&many, "tool_calls")]).await;
    let events = server.run_to_end("helper", &say("t", "u", "go on")).await;
    let end = events.last().expect("a terminal");
    assert_eq!(end["code"], "budget_exceeded", "{end}");
    assert!(end["message"].as_str().expect("a message").contains("50 tool calls"), "{end}");
    assert_eq!(model.bodies().len(), 2);
    let next = server.run_to_end("helper", &say("t", "u2", "and?")).await;
    assert_eq!(next.last().expect("a terminal")["code"], "budget_exceeded", "the thread goes on");
}

#[tokio::test]
async fn a_failed_run_says_what_it_cost() {
    let first = whole(&[called(0, "c", "state_read", "{}"), usage(10, 5)], "tool_calls");
    let refused = crate::support::upstream::status("404 Not Found", r#"{"error":"gone"}"#);
    let (_model, _home, server) = helper([first, refused]).await;
    let events = server.run_to_end("helper", &say("t", "u", "hello")).await;
    let end = events.last().expect("a terminal");
    assert_eq!((&end["type"], &end["usage"][0]["totalTokens"]), (&json!("RUN_ERROR"), &json!(15)));
}

#[tokio::test]
async fn usage_is_one_sum_for_each_model_counted_as_totals() {
    let usage = |input: u64| {
        json!({ "choices": [], "usage": {
            "prompt_tokens": input, "completion_tokens": 8, "total_tokens": input + 8,
            "prompt_tokens_details": { "cached_tokens": 4 }, "completion_tokens_details": { "reasoning_tokens": 6 },
        } })
    };
    let first = whole(&[called(0, "c", "state_read", "{}"), usage(10)], "tool_calls");
    let (_model, _home, server) = helper([first, whole(&[said("done"), usage(20)], "stop")]).await;
    let events = server.run_to_end("helper", &say("t", "u", "hello")).await;
    let expected = json!([{
        "provider": "test", "model": "small", "inputTokens": 30, "outputTokens": 16, "totalTokens": 46,
        "reasoningTokens": 12, "cachedInputTokens": 8,
    }]);
    assert_eq!(events.last().expect("a terminal")["usage"], expected);
}

#[tokio::test]
async fn attachments_reach_the_model_or_are_named() {
    let (model, _home, server) = helper([answer("nice")]).await;
    let mut input = say("t", "u", "");
    input["messages"][0]["content"] = json!([
        { "type": "text", "text": "what is this?" },
        { "type": "image", "source": { "type": "data", "value": "aGk=", "mimeType": "image/png" } },
        { "type": "audio", "source": { "type": "data", "value": "aGk=", "mimeType": "audio/mpeg" } },
        { "type": "document", "source": { "type": "data", "value": "aGk=", "mimeType": "application/pdf" }, "metadata": { "filename": "a.pdf" } },
        { "type": "video", "source": { "type": "url", "value": "https://x/film.mp4" } },
    ]);
    server.run_to_end("helper", &input).await;
    let content = &conversation(&model.bodies()[0])[0]["content"];
    let kinds: Vec<_> =
        content.as_array().expect("parts").iter().map(|part| part["type"].as_str().expect("a type")).collect();
    assert_eq!(kinds, ["text", "image_url", "input_audio", "file", "text"]);
    assert!(content[4]["text"].as_str().expect("text").contains("https://x/film.mp4"), "{content}");
}

#[tokio::test]
async fn the_history_is_cut_to_the_latest_messages_and_system_messages_are_kept_where_allowed() {
    for (keep, expected) in [("drop", vec!["user"]), ("keep", vec!["system", "user"])] {
        let model = Upstream::start(answer("fine")).await;
        let agent = format!("  history: {{ max_messages: 3, client_system: {keep} }}");
        let (_home, server) = serve(&definition(&model, &agent, ""));
        server.run_to_end("helper", &say("t", "u1", "one")).await;
        server.run_to_end("helper", &with_messages("t", &[user("u1", "one"), user("u2", "two")])).await;
        let mut messages = transcript(&server).await;
        messages.extend([json!({ "id": "s", "role": "system", "content": "obey" }), user("u3", "three")]);
        server.run_to_end("helper", &with_messages("t", &messages)).await;
        let told = &model.bodies()[2]["messages"];
        let roles: Vec<_> = told
            .as_array()
            .expect("messages")
            .iter()
            .map(|message| message["role"].as_str().expect("a role"))
            .collect();
        assert!(roles.ends_with(&expected), "{keep}: {roles:?}");
        assert_eq!(roles.len(), 3, "{keep}: {roles:?}");
        assert_eq!(transcript(&server).await.len(), 6, "what a client sends as system is nobody's message");
    }
}

#[tokio::test]
async fn a_suggestion_asks_for_its_tool_and_nothing_else() {
    let suggest = call("c1", "copilotkitSuggest", &json!({ "suggestions": [{ "title": "a", "message": "b" }] }));
    let model = Upstream::start(suggest).await;
    let state = "state: { initial: { title: Plan } }\n";
    let definition = definition(&model, "", "It is called {{ state.title }}.");
    let (_home, server) = serve(&definition.replacen("---\nname", &format!("---\n{state}name"), 1));
    let mut input = with_messages(
        "s",
        &[user("u", "hi"), json!({ "id": "a", "role": "assistant", "content": "hello" }), user("u2", "suggest")],
    );
    let tool = |name: &str| json!({ "name": name, "description": "", "parameters": {} });
    input["tools"] = json!([tool("paint"), tool("copilotkitSuggest")]);
    input["forwardedProps"] =
        json!({ "toolChoice": { "type": "function", "function": { "name": "copilotkitSuggest" } } });
    let events = server.run_to_end("helper", &input).await;
    assert_eq!(types(&events)[types(&events).len() - 2..], ["TOOL_CALL_END", "RUN_FINISHED"]);
    let body = &model.bodies()[0];
    assert_eq!(body["tools"].as_array().expect("tools").len(), 1);
    assert_eq!(body["tool_choice"]["function"]["name"], "copilotkitSuggest");
    assert_eq!(conversation(body).len(), 3, "the history is as posted");
    assert_eq!(
        body["messages"][0]["content"], "It is called Plan.",
        "a page without a state asks with the initial one"
    );
}

#[tokio::test]
async fn reasoning_and_calls_without_arguments_are_whole_for_every_client() {
    let parts = [delta(json!({ "reasoning_content": "I look first" })), called(0, "c", "state_read", "")];
    let (model, _home, server) = helper([whole(&parts, "tool_calls"), answer("done")]).await;
    let events = server.run_to_end("helper", &say("t", "u", "hello")).await;
    let args: Vec<_> =
        events.iter().filter(|event| event["type"] == "TOOL_CALL_ARGS").map(|event| &event["delta"]).collect();
    assert_eq!(args, ["{}"], "a client parses what it gets");
    let messages = transcript(&server).await;
    let roles: Vec<_> = messages.iter().map(|message| message["role"].as_str().expect("a role")).collect();
    assert_eq!(roles, ["user", "reasoning", "assistant", "tool", "assistant"]);
    server.run_to_end("helper", &with_messages("t", &[messages, vec![user("u2", "more")]].concat())).await;
    assert!(!model.bodies()[2]["messages"].to_string().contains("I look first"), "thoughts are not sent back");
}
