//! `/openapi.json`: every route is in it, every path and method of it is answered as it says, and the committed copy is
//! what the server serves.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::agents::DEMO;
use crate::support::live::Socket;
use crate::support::server::{Home, Server};

const HOW_TO_ADD: &str = "\nA route is described beside its handler: `#[utoipa::path(…)]` with an example for each parameter and \
    body, listed in `paths(…)` of src/server/openapi.rs. Then run\n\
    REGENERATE=1 cargo test --test all the_committed_description_is_the_served_one";

/// Methods in the order in which they are tried: what deletes comes last.
const METHODS: [&str; 6] = ["get", "put", "patch", "post", "options", "delete"];

async fn described(server: &Server) -> Value {
    let answer = server.http().get(format!("{}/openapi.json", server.url)).send().await.expect("an answer");
    assert_eq!(answer.headers()["content-type"], "application/json");
    answer.json().await.expect("JSON")
}

#[tokio::test]
async fn the_committed_description_is_the_served_one() {
    let output = Command::new(env!("CARGO_BIN_EXE_coagent")).args(["schema", "openapi"]).output();
    let printed = String::from_utf8(output.expect("the binary runs").stdout).expect("text");
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json");
    if std::env::var_os("REGENERATE").is_some() {
        std::fs::write(&target, &printed).expect("the folder is writable");
    }
    let committed = std::fs::read_to_string(&target).expect("the description is readable");
    assert!(
        committed == printed,
        "docs/openapi.json is not what `coagent schema openapi` prints; run\n\
         REGENERATE=1 cargo test --test all the_committed_description_is_the_served_one"
    );
    let server = Home::with_agents(&[]).serve_in_memory();
    assert_eq!(described(&server).await, serde_json::from_str::<Value>(&printed).expect("JSON"));
}

/// The paths of `.route("…", …)` in a source file.
fn routed(file: &str, prefix: &str) -> BTreeSet<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = std::fs::read_to_string(&file).expect("a source file is readable");
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let after = code.split(".route(").skip(1);
    let paths = after.filter_map(|rest| rest.trim_start().strip_prefix('"')?.split_once('"'));
    paths.map(|(path, _)| format!("{prefix}{path}")).collect()
}

#[tokio::test]
async fn every_route_is_described_and_every_described_path_is_routed() {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve_in_memory();
    let description = described(&server).await;
    let paths = description["paths"].as_object().expect("paths");
    let described: BTreeSet<String> = paths.keys().cloned().collect();
    let mut routed = &routed("src/server/v1.rs", "/v1") | &routed("src/server/pages.rs", "");
    assert!(routed.remove("/"), "the start page is for people");
    let missing: Vec<_> = routed.difference(&described).collect();
    assert!(missing.is_empty(), "routes that /openapi.json does not describe: {missing:?}{HOW_TO_ADD}");
    let gone: Vec<_> = described.difference(&routed).collect();
    assert!(gone.is_empty(), "/openapi.json describes what no route answers: {gone:?}");

    let other = Method::from_bytes(b"PROPFIND").expect("a method");
    for (path, operations) in paths {
        let url = format!("{}{}", server.url, url_of(path, operations.as_object().expect("operations")));
        let answer = server.http().request(other.clone(), &url).send().await.expect("an answer");
        assert_eq!(answer.status(), 405, "{path}");
        let allow = answer.headers()["allow"].to_str().expect("text").to_lowercase();
        let allowed: BTreeSet<&str> = allow.split(',').map(str::trim).filter(|method| *method != "head").collect();
        let operations = operations.as_object().expect("operations");
        let described: BTreeSet<&str> = METHODS.into_iter().filter(|method| operations.contains_key(*method)).collect();
        assert_eq!(allowed, described, "methods of {path}: routed (left), described (right){HOW_TO_ADD}");
    }
}

#[tokio::test]
async fn operations_have_names_of_their_own_and_examples_that_fit() {
    let home = Home::with_agents(&[]);
    let description = described(&home.serve_in_memory()).await;
    let (mut names, mut wrong) = (BTreeSet::new(), Vec::new());
    for (path, method, operation) in operations(&description) {
        let name = operation["operationId"].as_str().unwrap_or_default();
        assert!(names.insert(name.to_owned()), "{method} {path}: a second `{name}`");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            if parameter["required"] == true && parameter["example"].is_null() {
                wrong.push(format!("{method} {path}: no example for `{}`", parameter["name"]));
            }
        }
        let bodies = operation["requestBody"]["content"].as_object();
        for (kind, body) in bodies.into_iter().flatten().filter(|(kind, _)| is_json(kind)) {
            match body.get("example") {
                None => wrong.push(format!("{method} {path}: no example of {kind}")),
                Some(example) => {
                    let faults = faults(&description, &body["schema"], example);
                    wrong
                        .extend(faults.into_iter().map(|fault| format!("{method} {path}: example of {kind}: {fault}")));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn the_server_answers_every_described_operation_as_described() {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve_in_memory();
    let description = described(&server).await;
    for name in ["shared/board", "task/first"] {
        let body = json!({"title": "Plan"});
        assert_eq!(server.put_document(name, &body, &[]).await.status, 201);
        assert_eq!(server.patch_document(name, "application/merge-patch+json", &body, &[]).await.status, 200);
    }
    let exported = server.http().get(format!("{}/v1/state:export", server.url)).send().await.expect("an answer");
    let exported = exported.text().await.expect("text");
    let submitted = server.post_v1("/agents/demo/runs", &json!({"prompt": "hello"}), &[]).await;
    let run_id = submitted.body["run_id"].as_str().expect("a run").to_owned();
    // What the server names itself no example can know.
    let real =
        |path: &str, url: String| if path.starts_with("/v1/runs/{id}") { path.replace("{id}", &run_id) } else { url };
    let mut operations = operations(&description);
    operations.sort_by_key(|(_, method, _)| METHODS.iter().position(|known| known == method));
    for (path, method, operation) in operations {
        let walk = Walk { server: &server, description: &description, path, method, operation };
        let url = real(path, url_of(path, &[(method.to_owned(), operation.clone())].into_iter().collect()));
        let bodies = operation["requestBody"]["content"].as_object();
        let mut succeeded = false;
        match bodies {
            None => succeeded |= walk.ask(&url, None, "").await,
            Some(bodies) => {
                for (kind, body) in bodies {
                    let example = body.get("example").map_or_else(|| exported.clone(), ToString::to_string);
                    let query = if path == "/v1/state:import" { "?existing=skip" } else { "" };
                    succeeded |= walk.ask(&format!("{url}{query}"), Some(kind), &example).await;
                    // What is broken is answered as described too.
                    walk.ask(&url, Some(kind), "{").await;
                    walk.ask(&url, Some(kind), "[{\"op\": 1}]").await;
                    walk.ask(&url, Some("text/plain"), &example).await;
                }
            }
        }
        if path == "/v1/ws" {
            Socket::open(&server, "walker").await;
            succeeded = operation["responses"]["101"].is_object();
        }
        // No run of the walk is dead.
        assert!(succeeded || path.starts_with("/v1/dead-letters/"), "{method} {path}: no example succeeds");
        for strange in ["%FF", "nothing-like-it", "UPPER", "%00"] {
            if let Some((start, _)) = path.split_once('{') {
                let rest = path.rsplit_once('}').map_or("", |(_, rest)| rest);
                let between =
                    if path.contains("{type}/{id}") { format!("shared/{strange}") } else { strange.to_owned() };
                let (kind, example) = bodies
                    .and_then(|bodies| bodies.iter().next())
                    .map_or((None, String::new()), |body| (Some(body.0.as_str()), body.1["example"].to_string()));
                // A document of any name may be created.
                if method != "put" {
                    walk.ask(&format!("{start}{between}{rest}"), kind, &example).await;
                }
            }
        }
    }
}

fn is_json(kind: &str) -> bool {
    kind == "application/json" || kind.ends_with("+json")
}

/// Path, method and operation of everything described.
fn operations(description: &Value) -> Vec<(&str, &str, &Value)> {
    let paths = description["paths"].as_object().expect("paths").iter();
    let all = paths.flat_map(|(path, operations)| {
        let operations = operations.as_object().expect("operations").iter();
        operations.map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
    });
    all.collect()
}

/// The path with the examples of its parameters, and of queries that are required.
fn url_of(path: &str, operations: &serde_json::Map<String, Value>) -> String {
    let (mut url, mut query) = (path.to_owned(), Vec::new());
    let parameters = operations.values().flat_map(|operation| operation["parameters"].as_array()).flatten();
    let mut told = BTreeMap::new();
    for parameter in parameters {
        let name = parameter["name"].as_str().expect("a name");
        let example = &parameter["example"];
        told.insert(name, example.as_str().map_or_else(|| example.to_string(), str::to_owned));
        if parameter["in"] == "query" && parameter["required"] == true {
            query.push(format!("{name}={}", told[name]));
        }
    }
    for (name, example) in &told {
        url = url.replace(&format!("{{{name}}}"), example);
    }
    match query.is_empty() {
        true => url,
        false => format!("{url}?{}", query.join("&")),
    }
}

/// One operation that is held against its description.
struct Walk<'w> {
    server: &'w Server,
    description: &'w Value,
    path: &'w str,
    method: &'w str,
    operation: &'w Value,
}

impl Walk<'_> {
    /// Sends a request and checks the answer; whether it was a success.
    async fn ask(&self, url: &str, kind: Option<&str>, body: &str) -> bool {
        let about = format!("{} {} ({url}, {kind:?})", self.method, self.path);
        let method = Method::from_bytes(self.method.to_uppercase().as_bytes()).expect("a method");
        let mut request = self.server.http().request(method, format!("{}{url}", self.server.url));
        if let Some(kind) = kind {
            request = request.header("content-type", kind).body(body.to_owned());
        }
        let mut answer = request.send().await.expect("an answer");
        let status = answer.status();
        let declared = &self.operation["responses"][status.as_str()];
        if !declared.is_object() {
            panic!("{about}: {status} is not described: {}", answer.text().await.unwrap_or_default());
        }
        let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().expect("text").to_owned());
        for name in declared["headers"].as_object().into_iter().flat_map(|headers| headers.keys()) {
            assert!(header(name).is_some(), "{about}: no header `{name}`");
        }
        let given = header("content-type").unwrap_or_default();
        let essence = given.split(';').next().unwrap_or_default().to_owned();
        let Some(contents) = declared["content"].as_object() else {
            assert_eq!(answer.text().await.expect("a body"), "", "{about}: a body that is not described");
            return status.is_success();
        };
        let content = contents.get(&essence).unwrap_or_else(|| panic!("{about}: `{essence}` is not described"));
        if essence == "text/event-stream" {
            let first = answer.chunk().await.expect("an event").expect("an event");
            self.check_event(&about, &first);
        } else if is_json(&essence) {
            let body: Value = answer.json().await.expect("JSON");
            let faults = faults(self.description, &content["schema"], &body);
            assert!(faults.is_empty(), "{about}: {status} {body} is not as described: {faults:#?}");
        } else {
            assert!(!answer.text().await.expect("text").is_empty(), "{about}: an empty body");
        }
        status.is_success()
    }

    fn check_event(&self, about: &str, bytes: &[u8]) {
        let text = std::str::from_utf8(bytes).expect("text");
        if text.contains("event: snapshot") {
            let data = text.split("data: ").nth(1).and_then(|rest| rest.split('\n').next()).expect("data");
            let data: Value = serde_json::from_str(data).expect("JSON");
            let schema = json!({"$ref": "#/components/schemas/SnapshotEvent"});
            let faults = faults(self.description, &schema, &data);
            assert!(faults.is_empty(), "{about}: {data}: {faults:#?}");
        }
    }
}

/// What a value has that its schema does not say. Members that are not described count.
fn faults(description: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut components = description["components"].clone();
    for (name, schema) in components["schemas"].as_object_mut().expect("schemas") {
        // What extends another one, and problems, may have more.
        let is_open = ["Problem", "Mutation", "BatchItem"].contains(&name.as_str());
        if !is_open && schema["properties"].is_object() && schema.get("additionalProperties").is_none() {
            schema["additionalProperties"] = false.into();
        }
    }
    let mut whole = json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "components": components});
    whole["allOf"] = json!([schema]);
    let validator = jsonschema::validator_for(&whole).expect("a JSON schema");
    validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}
