use serde_json::json;

use super::*;
use crate::agent::context::{Emission, StateRequest, StateWrite, Versioned};
use crate::agent::emissions::emissions;
use crate::agent::error::StateError;
use crate::agent::folder::Folder;
use crate::agent::native::rehearsal::{self, user};
use crate::agent::tools::Call;
use crate::agui::to_json;
use crate::state::limits::Limits;
use crate::state::patch;

/// An agent whose definition says this beside its model.
fn definition(rest: &str) -> Definition {
    let folder = tempfile::tempdir().expect("a folder");
    let text = format!("agent: {{ kind: llm, model: scripted/echo }}\n{rest}");
    std::fs::write(folder.path().join("helper.yaml"), text).expect("a file");
    let mut loaded = Folder::load(folder.path());
    assert_eq!(loaded.problems, []);
    loaded.definitions.pop().expect("a definition")
}

fn reach() -> Reach {
    Reach::of(&definition(""))
}

fn state_patch(reach: Reach) -> StatePatch {
    StatePatch::new(reach, Typed::default())
}

fn state_set() -> StateSet {
    StateSet::new(reach(), Typed::default())
}

/// Calls a tool on a document in memory; `meddle` sees the document before each write.
async fn call_with(
    tool: &dyn Tool,
    arguments: Value,
    mut document: Value,
    mut meddle: impl FnMut(&mut Value, &mut u64),
) -> (Value, Value) {
    let (out, mut requests) = emissions(1);
    let cx = RunContext::new(user("x"), out);
    let mut version = 1;
    let arguments = arguments.as_object().expect("arguments are an object").clone();
    let calling = async {
        let result = tool.call(&cx, Call { id: "c", arguments: &arguments }).await;
        drop(cx);
        result.expect("the run goes on")
    };
    let serving = async {
        while let Some(taken) = requests.take().await {
            for request in taken.into_iter().filter_map(asked) {
                match request {
                    StateRequest::Read { path, reply, .. } => {
                        drop(reply.send(Ok(Versioned { version, value: path.get(&document).cloned() })));
                    }
                    StateRequest::Patch { write: StateWrite { ops, if_version, .. }, reply } => {
                        meddle(&mut document, &mut version);
                        let refused = |code, message| Err(StateError::Refused { code, message, version });
                        let written = match if_version {
                            Some(expected) if expected != version => refused("version_conflict", "moved".to_owned()),
                            Some(_) | None => match patch::apply(&mut document, &ops, &Limits::default()) {
                                Ok(_) => {
                                    version += 1;
                                    Ok(version)
                                }
                                Err(error) => refused(error.code(), error.to_string()),
                            },
                        };
                        drop(reply.send(written));
                    }
                    StateRequest::Propose { .. } => panic!("tools propose nothing"),
                }
            }
        }
    };
    let (result, ()) = tokio::join!(calling, serving);
    (result, document)
}

fn asked(emission: Emission) -> Option<StateRequest> {
    match emission {
        Emission::State(request) => Some(*request),
        Emission::Event(_)
        | Emission::Document { .. }
        | Emission::Step(_)
        | Emission::Predict(_)
        | Emission::Agent(_) => None,
    }
}

async fn call(tool: &dyn Tool, arguments: Value, document: Value) -> (Value, Value) {
    call_with(tool, arguments, document, |_, _| {}).await
}

#[tokio::test]
async fn state_set_sets_whatever_was_there_before() {
    for (path, before, after) in [
        ("/a", json!({}), json!({ "a": 1 })),
        ("/a", json!({ "a": { "b": 2 } }), json!({ "a": 1 })),
        ("/a/b/c", json!({}), json!({ "a": { "b": { "c": 1 } } })),
        ("/a/b/c", json!({ "a": { "x": 2 } }), json!({ "a": { "x": 2, "b": { "c": 1 } } })),
        ("/list/1", json!({ "list": [7, 8, 9] }), json!({ "list": [7, 1, 9] })),
        ("/list/-", json!({ "list": [7] }), json!({ "list": [7, 1] })),
        ("/list/0/b", json!({ "list": [{}] }), json!({ "list": [{ "b": 1 }] })),
    ] {
        let (result, document) = call(&state_set(), json!({ "path": path, "value": 1 }), before).await;
        assert_eq!((&result, document), (&json!({ "ok": true, "version": 2 }), after), "{path}");
    }
    for (path, before) in [("/list/9", json!({ "list": [] })), ("/a/b", json!({ "a": "text" })), ("a", json!({}))] {
        let (result, document) = call(&state_set(), json!({ "path": path, "value": 1 }), before.clone()).await;
        assert_eq!((&result["ok"], document), (&json!(false), before), "{path}: {result}");
    }
}

#[tokio::test]
async fn state_set_means_the_element_it_looked_at() {
    let mut is_first = true;
    let push_in_front = |document: &mut Value, version: &mut u64| {
        if std::mem::take(&mut is_first) {
            document["list"].as_array_mut().expect("a list").insert(0, json!("new"));
            *version += 1;
        }
    };
    let arguments = json!({ "path": "/list/1", "value": "x" });
    let (result, document) = call_with(&state_set(), arguments, json!({ "list": ["a", "b"] }), push_in_front).await;
    assert_eq!(result, json!({ "ok": true, "version": 3 }));
    assert_eq!(document, json!({ "list": ["new", "x", "b"] }), "it looked again");
}

#[tokio::test]
async fn operations_are_taken_as_models_write_them() {
    let add = json!({ "op": "add", "path": "/n", "value": 1 });
    for ops in [json!([add]), add.clone(), json!(json!([add]).to_string())] {
        let (result, document) = call(&state_patch(reach()), json!({ "ops": ops }), json!({})).await;
        assert_eq!((&result["ok"], document), (&json!(true), json!({ "n": 1 })), "{ops}");
    }
    for ops in [json!(3), json!("[{"), json!([{ "op": "put" }]), json!([{ "op": "add", "path": "n", "value": 1 }])] {
        let (result, _) = call(&state_patch(reach()), json!({ "ops": ops }), json!({})).await;
        assert_eq!((&result["ok"], &result["code"]), (&json!(false), &json!("invalid_patch")), "{ops}");
    }
}

#[tokio::test]
async fn a_refusal_shows_what_stands_there_now() {
    let arguments = json!({ "ops": [{ "op": "test", "path": "/n", "value": 1 }] });
    let (result, _) = call(&state_patch(reach()), arguments.clone(), json!({ "n": 2 })).await;
    assert_eq!((&result["code"], &result["version"], &result["value"]), (&json!("test_failed"), &json!(1), &json!(2)));
    let blind = Reach::of(&definition("state: { read: [/m] }"));
    let (result, _) = call(&state_patch(blind), arguments, json!({ "n": 2 })).await;
    assert_eq!(result.get("value"), None, "an agent is not shown what it may not read");
}

#[tokio::test]
async fn a_value_that_is_too_long_is_read_in_parts() {
    let document = json!({ "log": "x".repeat(100_000), "title": "t" });
    let (result, _) = call(&StateRead::new(reach()), json!({}), document.clone()).await;
    assert_eq!((&result["ok"], &result["code"]), (&json!(false), &json!("too_large")));
    let (result, _) = call(&StateRead::new(reach()), json!({ "path": "/title" }), document).await;
    assert_eq!(result, json!({ "ok": true, "version": 1, "value": "t" }));
}

#[tokio::test]
async fn a_run_that_has_to_call_a_tool_is_offered_nothing_else() {
    let toolbox = Toolbox::new(&definition(""), &Servers::default()).expect("its tools can be built");
    let offered = async |tools: &[&str], choice: Option<&str>| {
        let mut input = user("x");
        input.tools = tools.iter().map(|name| rehearsal::tool(name, &json!({}))).collect();
        input.forwarded_props = choice.map(|name| to_json(&json!({ "toolChoice": { "function": { "name": name } } })));
        let offer = toolbox.offer(&input).await;
        (offer.tools.into_iter().map(|tool| tool.name).collect::<Vec<_>>(), offer.required)
    };
    let own = ["state_read", "state_patch", "state_set"];
    assert_eq!(offered(&[], None).await, (own.map(str::to_owned).to_vec(), None));
    assert_eq!(offered(&["paint", "state_set"], None).await.0.len(), 4, "a name is offered once");
    assert_eq!(offered(&["paint", SUGGEST], Some(SUGGEST)).await, (vec![SUGGEST.to_owned()], Some(SUGGEST.to_owned())));
    assert_eq!(offered(&[SUGGEST], None).await.1, Some(SUGGEST.to_owned()));
    assert_eq!(
        offered(&["paint"], Some("state_set")).await.1,
        None,
        "only the browser's own tools can be required by it"
    );
}
