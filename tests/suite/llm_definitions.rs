//! What a definition of kind `llm` may say, and what it says when something is missing.

use serde_json::json;

use crate::support::events::{state, text};
use crate::support::model::{definition, serve, text as answer};
use crate::support::server::{Home, Server, say, with_messages};
use crate::support::upstream::Upstream;

#[tokio::test]
async fn an_agent_without_its_key_is_listed_and_a_run_names_the_variable() {
    let home = Home::with_agents(&[(
        "helper.md",
        "---\nagent: { kind: llm, model: openai/gpt-5-mini, api_key: \"${env:COAGENT_TEST_KEY_NOBODY_SETS}\" }\n---\nHelp.",
    )]);
    let server = home.serve_in_memory();
    let info = server.get("/info").await;
    assert!(info["agents"]["helper"].is_object(), "{info}");
    let events = server.run_to_end("helper", &say("t", "u", "hello")).await;
    let end = events.last().expect("a terminal");
    assert_eq!((&end["type"], &end["code"]), (&json!("RUN_ERROR"), &json!("missing_configuration")));
    assert!(end["message"].as_str().expect("a message").contains("COAGENT_TEST_KEY_NOBODY_SETS"), "{end}");
}

#[tokio::test]
async fn an_agent_that_names_no_key_at_all_is_told_how() {
    let home = Home::with_agents(&[("helper.yaml", "agent: { kind: llm, model: openai/gpt-5-mini }")]);
    let server = home.serve_in_memory();
    let events = server.run_to_end("helper", &say("t", "u", "hello")).await;
    let end = events.last().expect("a terminal");
    assert_eq!(end["code"], "missing_configuration");
    assert!(end["message"].as_str().expect("a message").contains("set `OPENAI_API_KEY`"), "{end}");
}

#[tokio::test]
async fn a_known_provider_is_asked_with_the_key_of_its_usual_variable() {
    let home = Home::with_agents(&[
        ("a.yaml", "agent: { kind: llm, model: anthropic/claude-haiku-4-5 }"),
        ("b.yaml", "agent: { kind: llm, model: anthropic/claude-haiku-4-5, fallback: [scripted/echo] }"),
    ]);
    let mut options = home.options();
    options.env = vec![("ANTHROPIC_API_KEY".to_owned(), String::new())];
    let server = Server::start(options);
    let end = server.run_to_end("a", &say("t", "u", "hello")).await.pop().expect("a terminal");
    assert_eq!(end["code"], "missing_configuration");
    assert!(end["message"].as_str().expect("a message").contains("`ANTHROPIC_API_KEY`"), "{end}");
    let events = server.run_to_end("b", &say("t2", "u", "hello")).await;
    assert_eq!(text(&events), "You said: hello", "who has no key is passed over");
    assert_eq!(events.last().expect("a terminal")["usage"][0]["provider"], "scripted");
}

#[tokio::test]
async fn a_server_on_this_machine_needs_no_key() {
    let model = Upstream::start(answer("hi")).await;
    let keyless = definition(&model, "", "").replace("  api_key: ${file:key.txt}\n", "");
    let (_home, server) = serve(&keyless);
    assert_eq!(text(&server.run_to_end("helper", &say("t", "u", "hello")).await), "hi");
    assert!(!model.last_head().to_lowercase().contains("authorization"), "{}", model.last_head());
}

#[tokio::test]
async fn nothing_of_the_environment_reaches_a_server_that_the_definition_does_not_name() {
    let model = Upstream::start(answer("hi")).await;
    let elsewhere = Upstream::start(answer("wrong")).await;
    let home =
        Home::with_agents(&[("helper.md", &definition(&model, "", "").replace("  api_key: ${file:key.txt}\n", ""))]);
    let mut options = home.options();
    let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    options.env = vec![
        set("OPENAI_API_KEY", "key-of-somebody-else"),
        set("OPENAI_BASE_URL", &elsewhere.url),
        set("OPENAI_ORG_ID", "org-of-somebody-else"),
        set("OPENAI_PROJECT_ID", "project-of-somebody-else"),
    ];
    let server = Server::start(options);
    assert_eq!(text(&server.run_to_end("helper", &say("t", "u", "hello")).await), "hi");
    let head = model.last_head().to_lowercase();
    assert!(!head.contains("somebody-else") && !head.contains("authorization"), "{head}");
}

#[tokio::test]
async fn the_agents_that_come_along_work_without_a_key_or_say_what_they_miss() {
    let home = Home::with_agents(&[]);
    let agents = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("agents");
    let mut options = home.options();
    options.agents = agents;
    // An empty variable is one that is not set, whatever the machine has.
    options.env = vec![("OPENAI_API_KEY".to_owned(), String::new())];
    let server = Server::start(options);
    let events = server.run_to_end("scribe", &say("t", "u", "Please add milk")).await;
    assert_eq!(text(&events), "I write it down. It is on the list, which is at version 2 now.");
    assert_eq!(state(&events)["steps"], json!([{ "title": "milk", "status": "pending" }]));
    let events = server.run_to_end("assistant", &say("t2", "u", "hello")).await;
    let end = events.last().expect("a terminal");
    assert_eq!(end["code"], "missing_configuration");
    assert!(end["message"].as_str().expect("a message").contains("`OPENAI_API_KEY`"), "{end}");
}

#[tokio::test]
async fn headers_and_parameters_of_a_definition_reach_the_server() {
    let model = Upstream::start(answer("hi")).await;
    let agent = "  headers: { X-Team: travel }\n  params: { temperature: 0.2, max_output_tokens: 40, reasoning_effort: low, parallel_tool_calls: false, extra: { seed: 7, metadata: { a: 1 } } }";
    let (_home, server) = serve(&definition(&model, agent, ""));
    server.run_to_end("helper", &say("t", "u", "hello")).await;
    assert!(model.last_head().to_lowercase().contains("x-team: travel\r\n"), "{}", model.last_head());
    let body = &model.bodies()[0];
    let sent = json!([
        body["temperature"],
        body["max_tokens"],
        body["reasoning_effort"],
        body["parallel_tool_calls"],
        body["seed"],
        body["metadata"]
    ]);
    assert_eq!(sent, json!([0.2, 40, "low", false, 7, { "a": 1 }]));
}

#[test]
fn what_cannot_be_asked_is_refused_by_name_and_place() {
    for (agent, place, said) in [
        ("  fallback: [nobody/x]", ":6:", "nothing is known of the provider `nobody`"),
        ("  output: { schema: { type: nonsense } }", ":6:", "not a JSON Schema that can be used"),
        (
            "  api: anthropic\n  params: { extra: { system: x } }",
            ":7:",
            "`agent.params.extra.system` is set by the runtime",
        ),
        ("  params: { extra: { stream: false } }", ":6:", "`agent.params.extra.stream` is set by the runtime"),
    ] {
        let home = Home::with_agents(&[(
            "helper.md",
            &format!("---\nagent:\n  kind: llm\n  model: openai/x\n  api_key: ${{env:X}}\n{agent}\n---\n"),
        )]);
        let problems = home.check();
        assert!(problems.contains(place) && problems.contains(said), "{agent}: {problems}");
    }
    for (file, said) in [
        ("agent: { kind: llm, model: fast }", "names no provider"),
        ("agent: { kind: llm, model: nobody/x }", "write the address of its API into `base_url`"),
        ("agent: { kind: llm, model: scripted/nothing }", "there is no script `nothing`"),
        (
            "agent: { kind: llm, model: scripted/echo }\ninstructions: \"{{ state.x\"",
            "the instructions are no template",
        ),
    ] {
        let home = Home::with_agents(&[("helper.yaml", file)]);
        let problems = home.check();
        assert!(problems.contains("helper.yaml:") && problems.contains(said), "{file}: {problems}");
    }
}

#[test]
fn a_broken_template_is_placed_where_it_breaks() {
    let home = Home::with_agents(&[(
        "helper.md",
        "---\nagent: { kind: llm, model: scripted/echo }\n---\nFine.\n\nBad {% if %}.\n",
    )]);
    let problems = home.check();
    assert!(problems.contains("helper.md:6:11: the instructions are no template"), "{problems}");
}

#[tokio::test]
async fn a_scripted_model_answers_without_a_key_and_polices_what_it_is_asked() {
    let script = "pace: 0ms\nturns:\n  - when: { tool: state_set, ok: true }\n    answer: [ { say: \"version {result:/version}\" } ]\n  - when: { text: note }\n    answer: [ { reason: hm }, { call: { name: state_set, args: { path: /note, value: \"{rest}\" } } } ]\n  - answer: [ { call: { name: nobody } } ]\n";
    let home = Home::with_agents(&[]);
    std::fs::create_dir(home.path().join("agents/noter")).expect("a folder");
    home.write_agent("noter/agent.md", "---\nagent: { kind: llm, model: scripted/model.yaml }\n---\n");
    home.write_agent("noter/model.yaml", script);
    let server = home.serve_in_memory();
    let events = server.run_to_end("noter", &say("t", "u", "Note: buy milk")).await;
    assert_eq!(text(&events), "version 1");
    assert_eq!(state(&events), json!({ "note": ": buy milk" }));
    assert_eq!(events.last().expect("a terminal")["usage"][0]["provider"], "scripted");
    let wrong = server.run_to_end("noter", &say("t2", "u", "something else")).await;
    assert_eq!(wrong.last().expect("a terminal")["code"], "provider_error", "it calls what nobody offers");
}

#[tokio::test]
async fn instructions_of_a_client_are_told_in_their_place_where_the_definition_says_so_and_dropped_elsewhere() {
    let posted = [
        json!({ "id": "s", "role": "system", "content": "Speak Latin." }),
        json!({ "id": "u1", "role": "user", "content": "one" }),
        json!({ "id": "d", "role": "developer", "content": "Rhyme." }),
        json!({ "id": "u2", "role": "user", "content": "two" }),
    ];
    for (terms, expected) in [
        ("  history: { client_system: keep }", json!(["Be brief.", "Speak Latin.", "one", "Rhyme.", "two"])),
        ("  history: { client_system: drop }", json!(["Be brief.", "one", "two"])),
        ("", json!(["Be brief.", "one", "two"])),
    ] {
        let model = Upstream::start(answer("fine")).await;
        let (_home, server) = serve(&definition(&model, terms, "Be brief."));
        server.run_to_end("helper", &with_messages("t", &posted)).await;
        let told = &model.bodies()[0]["messages"];
        let texts: Vec<_> = told.as_array().expect("messages").iter().map(|message| &message["content"]).collect();
        assert_eq!(json!(texts), expected, "{terms}");
        let stored = server.get("/threads/t/messages").await;
        let roles: Vec<_> = stored["messages"].as_array().expect("a list").iter().map(|m| &m["role"]).collect();
        assert_eq!(json!(roles), json!(["user", "user", "assistant"]), "{terms}: they are for this run only");
    }
}
