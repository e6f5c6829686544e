use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use super::placeholder::Surroundings;
use super::*;
use crate::state::pointer::Pointer;
use crate::state::watch::Place;

/// Reads `text` as the file `name`, with `HOST` and `KEY` as the only environment variables.
fn read(name: &str, text: &str) -> Result<Definition, Vec<Problem>> {
    let variable = |name: &str| match name {
        "HOST" => Some("http://upstream.test:9000".to_owned()),
        "KEY" => Some("s3cret".to_owned()),
        _ => None,
    };
    let from = Surroundings { variable: &variable, folder: PathBuf::new() };
    Source { id: "a".to_owned(), path: PathBuf::from(name) }.check(text, &from)
}

/// What the reader accepts, the schema for editors accepts too.
fn accepted(name: &str, text: &str) -> Definition {
    let source = Source { id: "a".to_owned(), path: PathBuf::from(name) };
    if let Ok((root, _)) = source.parse(text) {
        let faults: Vec<_> = editors().iter_errors(&root.to_value()).map(|error| error.to_string()).collect();
        assert!(faults.is_empty(), "{text}\n{faults:#?}");
    }
    read(name, text).unwrap_or_else(|problems| panic!("{name}: {text}\n{problems:#?}"))
}

fn editors() -> jsonschema::Validator {
    let schema = serde_json::from_str(&schema_of_the_format()).expect("a schema is JSON");
    jsonschema::validator_for(&schema).expect("a schema")
}

/// Checks the problems of a file, as they are printed.
fn check(name: &str, text: &str, expected: &[&str]) {
    let problems = match read(name, text) {
        Ok(definition) => panic!("accepted: {text}\n{definition:?}"),
        Err(problems) => problems,
    };
    let printed: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(printed.len(), expected.len(), "{text}\n{printed:#?}");
    for (printed, expected) in printed.iter().zip(expected) {
        assert!(printed.starts_with(expected), "{text}\nfound    {printed}\nexpected {expected}");
    }
    assert!(problems.iter().all(|problem| problem.agent.as_deref() == Some("a")), "{problems:?}");
}

#[test]
fn a_field_that_is_written_as_nothing_is_absent() {
    let text = "name:\ndescription: ~\nagent: { kind: native, name: planner, config: }\nstate: { read: }\n";
    let definition = read("a.yaml", text).unwrap_or_else(|problems| panic!("{problems:?}"));
    assert_eq!((definition.name.as_str(), definition.description.as_str()), ("a", ""));
}

#[test]
fn a_run_has_the_bounds_of_the_format_unless_the_file_names_others() {
    let run = read("a.yaml", "agent: { kind: native, name: planner }\n").expect("a definition").run;
    let budget = (run.budget.steps, run.budget.tool_calls, run.budget.wall, run.budget.no_progress);
    assert_eq!(budget, (20, 50, Duration::from_secs(600), Duration::from_secs(120)));
    assert_eq!((run.concurrency.per_agent, run.concurrency.queue_max), (8, 100));
    assert_eq!((run.chain.max_depth, run.chain.max_runs), (8, 32));
}

fn remote(definition: &Definition) -> &Remote {
    match &definition.kind {
        Kind::Remote(remote) => remote,
        other => panic!("not remote: {other:?}"),
    }
}

fn llm(definition: &Definition) -> &Llm {
    match &definition.kind {
        Kind::Llm(llm) => llm,
        other => panic!("not llm: {other:?}"),
    }
}

#[test]
fn the_smallest_definitions_have_the_documented_defaults() {
    let text = "agent: { kind: remote, url: http://127.0.0.1:9000/researcher }";
    let definition = accepted("a.yaml", text);
    assert_eq!((definition.name.as_str(), definition.description.as_str()), ("a", ""));
    assert_eq!((definition.enabled, definition.default), (true, false));
    assert_eq!(
        definition.state,
        StateSpec {
            scope: Scope::Thread,
            schema: None,
            initial: json!({}),
            read: None,
            write: None,
            predict: Vec::new()
        }
    );
    assert_eq!(
        remote(&definition),
        &Remote {
            url: "http://127.0.0.1:9000/researcher".parse().expect("an address"),
            headers: Vec::new(),
            forward_headers: ForwardHeaders::Usual,
            forward_state: ForwardState::Full,
            state_mode: StateMode::Merge,
            timeouts: Timeouts {
                connect: Duration::from_secs(5),
                first_byte: Duration::from_secs(30),
                idle: Duration::from_secs(120),
            },
            max_event_bytes: 9 * 1024 * 1024,
            strip_raw: true,
            protocol_version: None,
        }
    );
    assert_eq!(definition.hash.len(), 64);
    assert_ne!(definition.hash, accepted("a.yaml", &format!("{text}\n")).hash, "the hash is that of the file");

    let native = accepted("a.yaml", "agent: { kind: native, name: counter }");
    let Kind::Native(native) = native.kind else { panic!("not native") };
    assert_eq!((native.name.as_str(), native.config), ("counter", json!({})));
}

#[test]
fn every_field_that_is_served_is_read() {
    let definition = accepted(
        "a.yaml",
        r#"
version: 1
name: Trip planner
description: Plans trips
enabled: false
default: true
agent:
  kind: remote
  url: ${env:HOST}/plan
  headers: { X-Team: travel, Authorization: "Bearer ${env:KEY}" }
  forward_headers: [X-Tenant, authorization]
  forward_state: read
  state_mode: deltas_only
  timeouts: { connect: 500ms, first_byte: 2m, idle: 1h }
  max_event_bytes: 2048
  strip_raw: false
  protocol_version: "1.0"
state:
  scope: "shared/board-{{ thread }}"
  initial: { trip: { days: [] } }
  read: [/trip, "", /a~1b]
  write: [/trip]
"#,
    );
    assert_eq!((definition.name.as_str(), definition.description.as_str()), ("Trip planner", "Plans trips"));
    assert_eq!((definition.enabled, definition.default), (false, true));
    let remote = remote(&definition);
    assert_eq!(remote.url.as_str(), "http://upstream.test:9000/plan");
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(remote.headers, [header("x-team", "travel"), header("authorization", "Bearer s3cret")]);
    let only = ForwardHeaders::Only(vec!["x-tenant".to_owned(), "authorization".to_owned()]);
    assert_eq!(remote.forward_headers, only);
    assert_eq!((remote.forward_state, remote.state_mode), (ForwardState::Read, StateMode::DeltasOnly));
    assert_eq!(remote.timeouts.connect, Duration::from_millis(500));
    assert_eq!(remote.timeouts.first_byte, Duration::from_secs(120));
    assert_eq!(remote.timeouts.idle, Duration::from_secs(3600));
    assert_eq!((remote.max_event_bytes, remote.strip_raw), (2048, false));
    assert_eq!(remote.protocol_version.as_deref(), Some("1.0"));
    assert_eq!(definition.state.scope, Scope::Shared("board-{{thread}}".to_owned()));
    assert_eq!(definition.state.initial, json!({"trip": {"days": []}}));
    let texts = |texts: &[&str]| Some(texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>());
    assert_eq!(definition.state.read, texts(&["/trip", "", "/a~1b"]));
    assert_eq!(definition.state.write, texts(&["/trip"]));
    assert!(!format!("{definition:?}").contains("s3cret"), "secrets are not printed");
}

#[test]
fn every_field_of_a_model_agent_is_read() {
    let definition = accepted(
        "a.md",
        r#"---
agent:
  kind: llm
  model: openai/gpt-5-mini
  base_url: ${env:BASE:-https://api.openai.com/v1}
  api_key: ${env:KEY}
  api: chat
  headers: { X-Team: travel }
  params: { temperature: 0.2, max_output_tokens: 4000, reasoning_effort: low, parallel_tool_calls: true, extra: { top_k: 3 } }
  fallback: [anthropic/claude-haiku-4-5]
  timeouts: { connect: 1s, first_token: 2s, idle: 3s }
  output: { schema: { type: object }, write_to: /trip/summary, retries: 1 }
  history: { max_messages: 40, client_system: keep }
---
You plan trips for {{ state.user.name }} on ${env:HOST}.
"#,
    );
    let llm = llm(&definition);
    assert_eq!(llm.model, "openai/gpt-5-mini");
    assert_eq!(llm.settings.base_url.as_ref().map(Url::as_str), Some("https://api.openai.com/v1"));
    assert_eq!(llm.settings.api_key, Some(Secret::Present("s3cret".to_owned())));
    assert_eq!(llm.settings.api, Some(Api::Chat));
    assert_eq!(llm.settings.headers, [("x-team".to_owned(), "travel".to_owned())]);
    let extra = json!({"top_k": 3}).as_object().cloned().expect("an object");
    assert_eq!((llm.settings.params.temperature, llm.settings.params.max_output_tokens), (Some(0.2), Some(4000)));
    assert_eq!(
        (llm.settings.params.reasoning_effort.as_deref(), llm.settings.params.parallel_tool_calls),
        (Some("low"), Some(true))
    );
    assert_eq!(llm.settings.params.extra, extra);
    assert_eq!(llm.fallback, ["anthropic/claude-haiku-4-5"]);
    let seconds = Duration::from_secs;
    let timeouts = ModelTimeouts { connect: seconds(1), first_token: seconds(2), idle: seconds(3) };
    assert_eq!(llm.settings.timeouts.whole(), timeouts);
    let output = Output { schema: json!({"type": "object"}), write_to: Some("/trip/summary".to_owned()), retries: 1 };
    assert_eq!(llm.output, Some(output));
    assert_eq!(llm.history, History { max_messages: Some(40), client_system: ClientSystem::Keep });
    let text = "You plan trips for {{ state.user.name }} on http://upstream.test:9000.\n".to_owned();
    assert_eq!(llm.instructions, Instructions { text, first_line: 15 });
    assert!(!format!("{definition:?}").contains("s3cret"), "secrets are not printed");
}

#[test]
fn the_smallest_model_agent_leaves_the_rest_to_the_provider() {
    let definition = accepted("a.yaml", "agent: { kind: llm, model: openai/gpt-5-mini }\ninstructions: Be brief.\n");
    let llm = llm(&definition);
    assert_eq!(
        (&llm.settings.base_url, &llm.settings.api_key, llm.settings.api, &llm.output),
        (&None, &None, None, &None)
    );
    assert_eq!((llm.settings.params.clone(), llm.history), (Params::default(), History::default()));
    assert_eq!(llm.settings.timeouts.whole(), ModelTimeouts::default());
    assert_eq!((llm.instructions.text.as_str(), llm.instructions.first_line), ("Be brief.", 2));
}

#[test]
fn built_in_and_browser_tools_are_on_unless_the_file_says_otherwise() {
    let agent = "agent: { kind: llm, model: m }";
    let tools = |rest: &str| accepted("a.yaml", &format!("{agent}\n{rest}")).tools;
    assert_eq!(tools(""), Tools::default());
    assert!(tools("").state.read && tools("").state.patch && tools("").client.allows("anything"));
    let some = tools("tools: { state: { patch: false }, client: { type: client, allow: [set_*, ask] } }");
    assert_eq!(some.state, StateTools { read: true, patch: false });
    let allowed = ["set_theme", "set_", "ask"].map(|name| some.client.allows(name));
    let refused = ["asks", "reset_theme", ""].map(|name| some.client.allows(name));
    assert_eq!((allowed, refused), ([true; 3], [false; 3]));
    assert!(!tools("tools: { client: { type: client, allow: [] } }").client.allows("ask"));
}

#[test]
fn a_key_that_is_not_there_disables_no_agent() {
    let definition = accepted("a.yaml", "agent: { kind: llm, model: m, api_key: \"${env:NO_KEY}\" }");
    assert_eq!(llm(&definition).settings.api_key, Some(Secret::Missing { name: "NO_KEY".to_owned() }));
}

#[test]
fn instructions_are_given_once() {
    let fields = "agent: { kind: llm, model: m }\ninstructions: x\n";
    check("a.md", &format!("---\n{fields}---\nBe brief.\n"), &["a.md:3:15: `instructions` are given twice"]);
    accepted("a.md", &format!("---\n{fields}---\n\n"));
}

#[test]
fn all_four_formats_say_the_same() {
    let yaml = "name: N\nagent:\n  kind: native\n  name: counter\n  config: { step: 2 }\n";
    let json = r#"{"name": "N", "agent": {"kind": "native", "name": "counter", "config": {"step": 2}}}"#;
    let toml = "name = \"N\"\n[agent]\nkind = \"native\"\nname = \"counter\"\nconfig = { step = 2 }\n";
    let plain = |name: &str, text: &str| {
        let definition = accepted(name, text);
        let Kind::Native(native) = definition.kind else { panic!("not native") };
        (definition.name, native.name, native.config, definition.state)
    };
    let expected = plain("a.yaml", yaml);
    assert_eq!(plain("a.yml", yaml), expected);
    assert_eq!(plain("a.json", json), expected);
    assert_eq!(plain("a.toml", toml), expected);
    assert_eq!(plain("a.md", &format!("---\n{yaml}---\nHow to use it.\n")), expected);
    assert_eq!(plain("a.md", &format!("---\r\n{}---\r\n", yaml.replace('\n', "\r\n"))), expected);
}

#[test]
fn a_document_is_named_by_its_scope() {
    let key = |scope: Scope| scope.document_key("planner", "t1", Some("task/1"));
    assert_eq!(key(Scope::Thread), "agent/planner:t1");
    assert_eq!(key(Scope::Agent), "agent/planner");
    assert_eq!(key(Scope::Shared("board-{{thread}}".to_owned())), "shared/board-t1");
    assert_eq!(key(Scope::Trigger), "task/1");
    for nothing in [None, Some("lifecycle/r1")] {
        assert_eq!(Scope::Trigger.document_key("planner", "t1", nothing), "agent/planner:t1");
    }
}

#[test]
fn a_broken_file_is_told_with_its_line_and_column() {
    check("a.yaml", "name: x\nagent: [\n", &["a.yaml:"]);
    check("a.yaml", "name: a\nname: b\nagent: { kind: native, name: x }", &["a.yaml:2:1: duplicate key `name`"]);
    let twice = "agent: { kind: native, name: x }\n---\nagent: { kind: native, name: x }";
    check("a.yaml", twice, &["a.yaml:2:1: a second document begins here: a file holds one"]);
    let nine = |of: &str| [of; 9].join(", ");
    let unfolds = ["x", "*a", "*b", "*c", "*d", "*e"]
        .iter()
        .zip('a'..)
        .fold(String::new(), |text, (of, name)| format!("{text}{name}: &{name} [{}]\n", nine(of)));
    check("a.yaml", &unfolds, &["a.yaml:6:8: the file holds, or its aliases unfold to, more than a definition needs"]);
    check("a.json", "{\"name\": 1,\n}", &["a.json:2:1: "]);
    check("a.json", "name: not json\n", &["a.json:1:2: expected"]);
    check("a.toml", "name = \"x\"\nagent = \n", &["a.toml:2:9: "]);
    check("a.md", "# Planner\n", &["a.md:1:1: has no front matter"]);
    check("a.md", "---\nname: x\n", &["a.md:1:1: the front matter is not closed"]);
    check("a.md", "---\nname: x\nagent: [\n---\n", &["a.md:3:8: unclosed"]);
    check("a.yaml", "", &["a.yaml:1:1: `agent` is missing"]);
    check("a.yaml", "- x\n", &["a.yaml:1:1: the file must be a mapping, found a list"]);
}

#[test]
fn an_unknown_field_is_told_with_what_is_accepted() {
    let at_root = "unknown field `nmae`: accepted here are version, name, description, enabled, default, agent, state";
    check("a.yaml", "nmae: x\nagent: { kind: native, name: x }", &[&format!("a.yaml:1:1: {at_root}")]);
    check(
        "a.json",
        "{\"agent\": {\"kind\": \"native\", \"name\": \"x\"},\n \"nmae\": 1}",
        &[&format!("a.json:2:2: {at_root}")],
    );
    check("a.toml", "nmae = 1\nagent = { kind = \"native\", name = \"x\" }", &[&format!("a.toml:1:1: {at_root}")]);
    check("a.md", "---\nagent: { kind: native, name: x }\nnmae: x\n---\n", &[&format!("a.md:3:1: {at_root}")]);
    let remote = "agent: { kind: remote, url: http://x/, ";
    check(
        "a.yaml",
        &format!("{remote} retries: 3 }}"),
        &["a.yaml:1:41: unknown field `agent.retries`: accepted here are kind, url,"],
    );
    check(
        "a.yaml",
        &format!("{remote} timeouts: {{ total: 3s }} }}"),
        &["a.yaml:1:53: unknown field `agent.timeouts.total`"],
    );
    check(
        "a.yaml",
        "agent: { kind: native, name: x }\nstate: { skope: thread }",
        &["a.yaml:2:10: unknown field `state.skope`"],
    );
}

#[test]
fn runs_are_durable_unless_the_definition_says_otherwise() {
    for (line, durable) in
        [("", true), ("run: {}", true), ("run: { durable: steps }", true), ("run: { durable: off }", false)]
    {
        let definition = accepted("a.yaml", &format!("agent: {{ kind: native, name: x }}\n{line}"));
        assert_eq!(definition.run.durable, durable, "{line}");
    }
    let refusal = "a.yaml:2:17: `run.durable` cannot be `always`: write steps";
    check("a.yaml", "agent: { kind: native, name: x }\nrun: { durable: always }", &[refusal]);
}

#[test]
fn what_this_version_does_not_serve_is_refused_by_name() {
    let native = "agent: { kind: native, name: x }";
    for (kind, more) in [
        ("mcp", "url: https://mcp.example/mcp, allow: [search], timeout: 20s"),
        ("mcp", "command: [npx, -y, server-fs], env: {}"),
        ("agent", "agent: critic, input: {}, state: isolated"),
        ("http", "method: GET, url: \"https://api.example/{{ args.ccy }}\", input: {}, output_pointer: /rate"),
    ] {
        let refusal = "a.yaml:2:13: `tools.x` belongs to agents of kind llm, not to one of kind native";
        check("a.yaml", &format!("{native}\ntools: {{ x: {{ type: {kind}, {more} }} }}"), &[refusal]);
        let llm = "agent: { kind: llm, model: scripted/echo }";
        accepted("a.yaml", &format!("{llm}\ntools: {{ x: {{ type: {kind}, {more} }} }}"));
    }
    check(
        "a.yaml",
        &format!("{native}\nstate: {{ predict: [{{ tool: write_plan, argument: days, path: /trip/days }}] }}"),
        &["a.yaml:2:19: `state.predict` belongs to agents of kind llm"],
    );
    let refusal = "a.yaml:1:16: kind `attached` is not supported by this version yet";
    check(
        "a.yaml",
        "agent: { kind: attached, token: \"${env:KEY}\", max_inflight: 4, lease: 30s, absent: queue }",
        &[refusal],
    );
    check(
        "a.yaml",
        &format!("{native}\nstate: {{ scope: trigger }}"),
        &["a.yaml:2:17: the scope `trigger` is the document that fired: a trigger of type state has to name it"],
    );
    check(
        "a.yaml",
        &format!("{native}\ninstructions: x"),
        &["a.yaml:2:1: `instructions` belong to agents of kind llm"],
    );
    check("a.yaml", &format!("version: 2\n{native}"), &["a.yaml:1:10: `version` must be 1, found 2"]);
    check(
        "a.yaml",
        "agent: { kind: remote, url: http://x/, model: m }",
        &["a.yaml:1:40: `agent.model` belongs to agents of kind llm"],
    );
    check(
        "a.yaml",
        "agent: { kind: native, name: x, url: y }",
        &["a.yaml:1:33: `agent.url` belongs to agents of kind remote"],
    );
}

#[test]
fn a_value_of_the_wrong_kind_is_told_with_what_is_expected() {
    let native = "agent: { kind: native, name: x }";
    for (line, refusal) in [
        ("name: 3", "a.yaml:2:7: `name` must be a text, found a number 3"),
        ("enabled: \"yes\"", "a.yaml:2:10: `enabled` must be true or false, found a text"),
        ("state: thread", "a.yaml:2:8: `state` must be a mapping, found a text"),
        ("state: { scope: room }", "a.yaml:2:17: unknown scope `room`: write thread, agent, trigger or shared/<id>"),
        ("state: { scope: shared/ }", "a.yaml:2:17: the id after `shared/`"),
        ("state: { scope: \"shared/{{user}}\" }", "a.yaml:2:17: unknown placeholder `user`"),
        ("state: { initial: [] }", "a.yaml:2:19: `state.initial` must be a mapping, found a list"),
        (
            "tools: { state: { write: true } }",
            "a.yaml:2:19: unknown field `tools.state.write`: accepted here are read, patch",
        ),
        ("tools: { state: { read: 1 } }", "a.yaml:2:25: `tools.state.read` must be true or false"),
        ("tools: { x: { allow: [] } }", "a.yaml:2:13: `tools.x.type` is missing: write mcp, http, agent or client"),
        (
            "tools: { x: { type: shell } }",
            "a.yaml:2:21: `tools.x.type` cannot be `shell`: write mcp, http, agent, client",
        ),
        ("tools: { a: { type: client }, b: { type: client } }", "a.yaml:2:31: the tools of the client are given twice"),
        ("state: { read: /a }", "a.yaml:2:16: `state.read` must be a list of texts, found a text"),
        ("state: { write: [/a, b] }", "a.yaml:2:22: `b` is not a JSON Pointer"),
        ("state: { write: [/a~2] }", "a.yaml:2:18: `/a~2` is not a JSON Pointer"),
    ] {
        check("a.yaml", &format!("{native}\n{line}"), &[refusal]);
    }
    for (agent, refusal) in [
        ("remote", "a.yaml:1:8: `agent` must be a mapping, found a text"),
        ("{ url: http://x }", "a.yaml:1:8: `agent.kind` is missing"),
        ("{ kind: robot }", "a.yaml:1:16: unknown kind `robot`"),
        ("{ kind: native }", "a.yaml:1:8: `agent.name` is missing"),
        ("{ kind: native, name: x, config: [] }", "a.yaml:1:41: `agent.config` must be a mapping"),
        ("{ kind: remote }", "a.yaml:1:8: `agent.url` is missing"),
        ("{ kind: remote, url: ftp://x/ }", "a.yaml:1:29: `agent.url` must begin with http:// or https://"),
        ("{ kind: remote, url: localhost }", "a.yaml:1:29: `agent.url` is not an address"),
        ("{ kind: remote, url: http://u:p@x/ }", "a.yaml:1:29: `agent.url` must not contain a user name"),
        (
            "{ kind: remote, url: http://x/, timeouts: { idle: 5 } }",
            "a.yaml:1:58: `agent.timeouts.idle` must be a duration",
        ),
        ("{ kind: remote, url: http://x/, timeouts: { idle: 5d } }", "a.yaml:1:58: `5d` is not a duration"),
        (
            "{ kind: remote, url: http://x/, timeouts: { idle: 0s } }",
            "a.yaml:1:58: `agent.timeouts.idle` must be longer",
        ),
        (
            "{ kind: remote, url: http://x/, max_event_bytes: 0 }",
            "a.yaml:1:57: `agent.max_event_bytes` must be a whole number from 1024",
        ),
        (
            "{ kind: remote, url: http://x/, protocol_version: 1.0 }",
            "a.yaml:1:58: `agent.protocol_version` must be a text",
        ),
        (
            "{ kind: remote, url: http://x/, protocol_version: \"1\" }",
            "a.yaml:1:58: `agent.protocol_version` must be a version of AG-UI such as \"1.0\"",
        ),
        (
            "{ kind: remote, url: http://x/, state_mode: x }",
            "a.yaml:1:52: `agent.state_mode` cannot be `x`: write merge, replace, deltas_only",
        ),
        ("{ kind: remote, url: http://x/, headers: { host: x } }", "a.yaml:1:51: the header `host` is set by"),
        ("{ kind: remote, url: http://x/, headers: { A: x, a: y } }", "a.yaml:1:57: the header `a` is given twice"),
        ("{ kind: remote, url: http://x/, headers: { a: \"x\\ny\" } }", "a.yaml:1:54: the value of the header `a`"),
        (
            "{ kind: remote, url: http://x/, forward_headers: [cookie] }",
            "a.yaml:1:58: the header `cookie` is never forwarded",
        ),
        (
            "{ kind: remote, url: http://x/, forward_headers: all }",
            "a.yaml:1:57: `agent.forward_headers` must be true, false or a list",
        ),
        ("{ kind: remote, url: \"${env:NOWHERE}\" }", "a.yaml:1:29: the environment variable `NOWHERE` is not set"),
        ("{ kind: llm }", "a.yaml:1:8: `agent.model` is missing: write provider/model"),
        ("{ kind: llm, model: \" \" }", "a.yaml:1:28: `agent.model` is empty"),
        ("{ kind: llm, model: m, url: x }", "a.yaml:1:31: `agent.url` belongs to agents of kind remote"),
        ("{ kind: llm, model: m, base_url: x }", "a.yaml:1:41: `agent.base_url` is not an address"),
        (
            "{ kind: llm, model: m, api: grpc }",
            "a.yaml:1:36: `agent.api` cannot be `grpc`: write chat, responses, anthropic",
        ),
        ("{ kind: llm, model: m, api_key: sk-1 }", "a.yaml:1:40: a secret is never written into a definition"),
        (
            "{ kind: llm, model: m, params: { temperature: 3 } }",
            "a.yaml:1:54: `agent.params.temperature` must be a number from 0 to 2, found a number 3",
        ),
        (
            "{ kind: llm, model: m, params: { max_output_tokens: 0 } }",
            "a.yaml:1:60: `agent.params.max_output_tokens` must be a whole number from 1",
        ),
        (
            "{ kind: llm, model: m, params: { extra: [] } }",
            "a.yaml:1:48: `agent.params.extra` must be a mapping, found a list",
        ),
        ("{ kind: llm, model: m, params: { top: 1 } }", "a.yaml:1:41: unknown field `agent.params.top`"),
        (
            "{ kind: llm, model: m, timeouts: { first_byte: 1s } }",
            "a.yaml:1:43: `agent.timeouts.first_byte` belongs to agents of kind remote",
        ),
        ("{ kind: llm, model: m, fallback: [\"\"] }", "a.yaml:1:42: the name of a model is empty"),
        ("{ kind: llm, model: m, output: { retries: 2 } }", "a.yaml:1:39: `agent.output.schema` is missing"),
        ("{ kind: llm, model: m, output: { schema: {}, write_to: x } }", "a.yaml:1:63: `x` is not a JSON Pointer"),
        (
            "{ kind: llm, model: m, history: { client_system: ask } }",
            "a.yaml:1:57: `agent.history.client_system` cannot be `ask`",
        ),
    ] {
        check("a.yaml", &format!("agent: {agent}"), &[refusal]);
    }
}

#[test]
fn all_problems_of_a_file_are_told_at_once_in_order() {
    check(
        "a.yaml",
        "nmae: x\nagent: { kind: remote, url: ftp://x/, modle: y }\nstate: { read: 3 }\n",
        &["a.yaml:1:1: unknown", "a.yaml:2:29: `agent.url`", "a.yaml:2:39: unknown", "a.yaml:3:16: `state.read`"],
    );
}

#[test]
fn a_problem_of_the_configuration_is_told_where_it_stands() {
    let definition =
        accepted("a.md", "---\nagent:\n  kind: native\n  name: x\n  config:\n    turns:\n      - do: []\n---\n");
    let problem = definition.config_problem("turns[0].do", "must not be empty");
    assert_eq!(problem.to_string(), "a.md:7:13: must not be empty");
    assert_eq!(problem.path.as_deref(), Some("agent.config.turns[0].do"));
}

#[test]
fn an_id_has_at_most_64_small_letters_digits_and_dashes() {
    for id in ["a", "0", "trip-planner_2", &"x".repeat(64)] {
        assert!(is_id(id), "{id}");
    }
    for id in ["", "-a", "_a", "A", "a.b", "é", "a b", &"x".repeat(65)] {
        assert!(!is_id(id), "{id}");
    }
}

#[test]
fn every_part_is_held_against_the_format() {
    let native = "agent: { kind: native, name: x }";
    for (line, refusals) in [
        ("documents: { read: [task] }", &["a.yaml:2:21: `task` is not a place of documents"][..]),
        ("documents: { write: [\"task/*#x\"] }", &["a.yaml:2:22: `task/*#x` is not a place of documents"]),
        ("handoffs: [A]", &["a.yaml:2:11: `handoffs` belong to agents of kind llm", "a.yaml:2:12: `A` is not an id"]),
        ("run: { budget: { step: 3 } }", &["a.yaml:2:18: unknown field `run.budget.step`: accepted here are steps,"]),
        ("run: { budget: { wall: 0s } }", &["a.yaml:2:24: `run.budget.wall` must be longer than nothing"]),
        ("run: { budget: { cost_usd: -1 } }", &["a.yaml:2:28: `run.budget.cost_usd` must be a number from 0"]),
        (
            "run: { concurrency: { on_conflict: wait } }",
            &["a.yaml:2:36: `run.concurrency.on_conflict` cannot be `wait`: write reject, enqueue"],
        ),
        ("tools: { x: { type: http } }", &["a.yaml:2:13: `tools.x.url` is missing"]),
        ("tools: { x: { type: mcp } }", &["a.yaml:2:13: `tools.x` belongs to agents of kind llm"]),
        (
            "state: { predict: [{ tool: t, argument: a }] }",
            &["a.yaml:2:20: `state.predict[0].path` is missing: it is a JSON Pointer"],
        ),
    ] {
        check("a.yaml", &format!("{native}\n{line}"), refusals);
    }
    for (trigger, refusal) in [
        ("{}", "a.yaml:2:13: `triggers[0].type` is missing: write state, cron"),
        ("{ type: alarm }", "a.yaml:2:21: `triggers[0].type` cannot be `alarm`"),
        ("{ type: state }", "a.yaml:2:13: `triggers[0].doc` is missing"),
        ("{ type: state, doc: task }", "a.yaml:2:33: `task` is not a document"),
        ("{ type: state, doc: \"task/*\", path: status }", "a.yaml:2:49: `status` is not a JSON Pointer"),
        ("{ type: state, doc: \"task/*\", when: \"new ==\" }", "a.yaml:2:49: `new ==` is not an expression"),
        (
            "{ type: state, doc: \"task/*\", when: \"nwe == 'ready'\" }",
            "a.yaml:2:49: `nwe == 'ready'` is not an expression such as \"new == 'ready'\": unknown variable `nwe`: it sees \
             old, new, state, doc, actor",
        ),
        (
            "{ type: webhook, name: a, map: { /inbox/-: \"state.x\" } }",
            "a.yaml:2:56: `state.x` is not an expression such as \"body.issue\": unknown variable `state`: it sees body, headers",
        ),
        ("{ type: state, doc: \"task/*\", from: [robot] }", "a.yaml:2:50: `robot` is not a writer"),
        ("{ type: state, doc: \"task/*\", debounce: 5 }", "a.yaml:2:53: `triggers[0].debounce` must be a duration"),
        (
            "{ type: cron, expr: \"0 8 * *\" }",
            "a.yaml:2:33: `0 8 * *` is not a cron expression such as \"0 8 * * 1-5\": Invalid pattern",
        ),
        ("{ type: cron, expr: \"0 8 * * *\", tz: Mars }", "a.yaml:2:50: unknown time zone `Mars`"),
        ("{ type: webhook, name: a, idempotency: once }", "a.yaml:2:52: `once` is no key: write header:NAME or"),
        ("{ type: webhook, name: a, map: { inbox: body } }", "a.yaml:2:46: `inbox` is not a JSON Pointer"),
        ("{ type: webhook, name: a, map: { /a: \"body ==\" } }", "a.yaml:2:50: `body ==` is not an expression"),
        ("{ type: webhook, name: a }, { type: webhook, name: a }", "a.yaml:2:41: the agent has a webhook `a` already"),
        ("{ type: interval, every: 0s }", "a.yaml:2:38: `triggers[0].every` must be 1s or longer"),
        (
            "{ type: webhook, name: github, verify: { hmac_sha256: literal, header: X } }",
            "a.yaml:2:67: a secret is never written",
        ),
        ("{ type: agent, agent: intake, outcome: maybe }", "a.yaml:2:52: `triggers[0].outcome` cannot be `maybe`"),
        ("{ type: start, every: 5s }", "a.yaml:2:28: unknown field `triggers[0].every`"),
    ] {
        check("a.yaml", &format!("{native}\ntriggers: [ {trigger} ]"), &[refusal]);
    }
}

#[test]
fn every_trigger_is_read() {
    let definition = accepted(
        "a.yaml",
        r#"
agent: { kind: native, name: x }
triggers:
  - { type: state, doc: "task/*", path: /status, when: "new == 'ready'", debounce: 500ms, from: [user, "agent:intake"] }
  - { type: cron, expr: "0 8 * * 1-5", tz: Europe/Paris, overlap: skip, catchup: 1h, prompt: "Morning check." }
  - { type: interval, every: 30s, overlap: skip, catchup: 0 }
  - { type: webhook, name: github, verify: { hmac_sha256: "${env:KEY}", header: X-Hub-Signature-256 }, idempotency: "header:X-GitHub-Delivery", map: { /inbox/-: body } }
  - { type: agent, agent: intake, outcome: success }
  - { type: start }
"#,
    );
    let [state, cron, interval, webhook, agent, start] = definition.triggers.as_slice() else {
        panic!("six were written: {:?}", definition.triggers);
    };
    let from = Some(vec!["user".to_owned(), "agent:intake".to_owned()]);
    assert_eq!(
        state.kind,
        TriggerKind::State(StateTrigger {
            doc: "task/*".to_owned(),
            path: Some("/status").map(|path| Place::parse(path).expect("a place")),
            when: Some("new == 'ready'".to_owned()),
            debounce: Duration::from_millis(500),
            from,
        })
    );
    let TriggerKind::Cron { schedule, overlap: Overlap::Skip, catchup } = &cron.kind else { panic!("{cron:?}") };
    assert_eq!((*catchup, cron.prompt.as_deref()), (Duration::from_secs(3600), Some("Morning check.")));
    let friday: jiff::Timestamp = "2026-03-27T12:00:00Z".parse().expect("a time");
    // The clock in Paris goes forward on that weekend.
    assert_eq!(schedule.next_after(friday), Some("2026-03-30T06:00:00Z".parse().expect("a time")));
    let every = Duration::from_secs(30);
    assert_eq!(interval.kind, TriggerKind::Interval { every, overlap: Overlap::Skip, catchup: Duration::ZERO });
    assert_eq!(
        webhook.kind,
        TriggerKind::Webhook(Webhook {
            name: "github".to_owned(),
            verify: Some(Verify {
                hmac_sha256: Secret::Present("s3cret".to_owned()),
                header: "x-hub-signature-256".to_owned()
            }),
            idempotency: Some(Idempotency::Header("x-github-delivery".to_owned())),
            map: vec![(Pointer::parse("/inbox/-").expect("a pointer"), "body".to_owned())],
        })
    );
    assert_eq!(agent.kind, TriggerKind::Agent { agent: "intake".to_owned(), outcome: Outcome::Success });
    assert_eq!(start.kind, TriggerKind::Start);
    assert!(state.id.starts_with("state-") && state.id != cron.id, "{} {}", state.id, cron.id);
    assert_eq!(definition.triggers[3].written["verify"]["hmac_sha256"], "${env:KEY}", "secrets stay placeholders");
}

#[test]
fn an_agent_may_ask_people_unless_its_definition_denies_it() {
    let native = "agent: { kind: native, name: x }";
    for (text, asks) in [("", true), ("hitl: interrupt", true), ("hitl: deny", false)] {
        assert_eq!(accepted("a.yaml", &format!("{native}\n{text}")).asks_people, asks, "{text}");
    }
    check("a.yaml", &format!("{native}\nhitl: ask"), &["a.yaml:2:7: `hitl` cannot be `ask`: write deny, interrupt"]);
}

#[test]
fn a_schema_that_cannot_be_used_is_told_where_it_stands() {
    let native = "agent: { kind: native, name: x }";
    for (schema, refusal) in [
        ("3", "a.yaml:2:18: `state.schema` must be a JSON Schema, the name of a file or a type, found a number 3"),
        ("{ type: objet }", "a.yaml:2:26: not a JSON Schema that can be used"),
        ("./nowhere.json", "a.yaml:2:18: `./nowhere.json`: cannot be read"),
        ("schema.txt", "a.yaml:2:18: `schema.txt`: write .json, .yaml or .toml"),
        ("\"rust:Trip\"", "a.yaml:2:18: no built-in agent has a state `Trip`: there are rust:Plan"),
    ] {
        check("a.yaml", &format!("{native}\nstate: {{ schema: {schema} }}"), &[refusal]);
    }
}

#[test]
fn editors_know_every_field_of_the_format_and_no_other() {
    let everything = r#"
version: 1
name: Trip planner
description: Plans trips
enabled: true
default: false
agent: { kind: llm, model: m, base_url: http://x, api_key: "${env:KEY}", api: chat, headers: {}, params: {}, fallback: [], timeouts: {}, output: { schema: {} }, history: {} }
state: { scope: thread, schema: {}, initial: {}, read: [], write: [], predict: [{ tool: t, argument: a, path: /p }] }
documents: { read: ["task/*"], write: ["task/*#/status"] }
tools:
  state: { read: true, patch: true }
  web: { type: mcp, url: https://mcp.example/mcp, headers: {}, allow: [search], timeout: 20s }
  fs: { type: mcp, command: [npx, -y, server-fs, ./data], env: {} }
  rates: { type: http, method: GET, url: "https://api.example/rates/{{ args.ccy }}", input: {}, output_pointer: /rate }
  critic: { type: agent, agent: critic, input: {}, state: isolated }
  client: { type: client, allow: ["*"] }
handoffs: [booker]
triggers:
  - { type: state, doc: "task/*", path: /status, when: "new == 'ready'", debounce: 500ms, from: [user, "agent:intake"] }
  - { type: cron, expr: "0 8 * * 1-5", tz: Europe/Paris, overlap: skip, catchup: 1h, prompt: "Morning check." }
  - { type: interval, every: 30s, overlap: skip, catchup: 0 }
  - { type: webhook, name: github, verify: { hmac_sha256: "${env:HOOK}", header: X-Hub-Signature-256 }, idempotency: "header:X", map: { /inbox/-: body } }
  - { type: agent, agent: intake, outcome: success }
  - { type: start }
run:
  concurrency: { per_thread: 1, per_agent: 8, on_conflict: reject, queue_max: 100 }
  budget: { steps: 20, tool_calls: 50, tokens: 200000, cost_usd: 0.50, wall: 10m, no_progress: 2m }
  daily: { runs: 500, cost_usd: 20 }
  chain: { max_depth: 8, max_runs: 32 }
  retry: { attempts: 3, base: 2s, max: 5m }
  durable: steps
  dead_letter: keep
hitl: deny
instructions: You plan trips.
"#;
    let source = Source { id: "a".to_owned(), path: PathBuf::from("a.yaml") };
    let (root, _) = source.parse(everything).expect("YAML");
    let faults: Vec<_> = editors().iter_errors(&root.to_value()).map(|error| error.to_string()).collect();
    assert!(faults.is_empty(), "{faults:#?}");
    assert_eq!(read("a.yaml", everything).expect("everything is served").name, "Trip planner");

    let native = "agent: { kind: native, name: x }";
    for wrong in [
        "nmae: x",
        "state: { skope: thread }",
        "tools: { x: { type: shell } }",
        "triggers: [ { type: start, every: 5s } ]",
        "run: { budget: { step: 3 } }",
        "hitl: ask",
        "version: 2",
    ] {
        let text = format!("{native}\n{wrong}");
        let (root, _) = source.parse(&text).expect("YAML");
        assert!(!editors().is_valid(&root.to_value()), "editors accept {wrong}");
        assert!(read("a.yaml", &text).is_err(), "the reader accepts {wrong}");
    }
    for agent in
        ["{ kind: llm }", "{ kind: llm, model: m, api_key: sk-1 }", "{ kind: remote, url: http://x, model: m }"]
    {
        let (root, _) = source.parse(&format!("agent: {agent}")).expect("YAML");
        assert!(!editors().is_valid(&root.to_value()), "editors accept {agent}");
    }
}

#[test]
fn a_state_may_be_that_of_a_built_in_agent() {
    let native = "agent: { kind: native, name: planner }";
    let definition =
        accepted("a.yaml", &format!("{native}\nstate: {{ schema: \"rust:Plan\", initial: {{ goal: x, steps: [] }} }}"));
    let schema = definition.state.schema.expect("a schema").schema.expect("it is compiled");
    assert_eq!(schema.faults(&serde_json::json!({ "goal": "x", "steps": [{ "title": "a", "status": "done" }] })), []);
    assert_eq!(
        schema.faults(&serde_json::json!({ "goal": 1, "steps": [{ "title": "a", "status": "perhaps" }] })).len(),
        2
    );
}
