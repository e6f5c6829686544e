//! What only shows when all definitions are known, or when a definition is held against its state's schema: types, paths,
//! template variables, the agents that triggers name.

use serde_json::Value;

use crate::agent::definition::{
    Definition, Documents, Kind, NamedTool, Problem, SchemaForm, StateTrigger, TriggerKind, glob, paths,
    refusal_of_beginning,
};
use crate::agent::filling;
use crate::agent::types::Types;
use crate::agent::variables::{is_built_in, variables};
use crate::state::limits::Limits;
use crate::state::schema::Schema;

/// What a template of instructions may name.
const ROOTS: [&str; 5] = ["state", "props", "context", "thread", "agent"];

/// Looks up the declared type of a state, and holds the definition against its schema.
pub(super) fn against_schema(definition: &mut Definition, types: &Types) -> Vec<Problem> {
    if let Some(form) = &mut definition.state.schema
        && let SchemaForm::Declared(name) = &form.form
    {
        let message = match types.get(name) {
            Some(spec) => {
                form.schema.clone_from(&spec.schema);
                if let Some((file, schema)) = spec.file.clone().zip(spec.schema.clone()) {
                    definition.is_made_of(file, &schema.source().to_string());
                }
                None
            }
            None if types.is_broken(name) => Some(format!("type `{name}` is declared, and its file cannot be used")),
            None => Some(format!(
                "type `{name}` is not declared: write _types/{name}.yaml, or name a file such as ./{name}.schema.json"
            )),
        };
        if let Some(message) = message {
            return vec![definition.problem("state.schema", message)];
        }
    }
    let mut problems = templates(definition);
    problems.extend(beginning(definition, types));
    problems.extend(documents(definition, types));
    problems.extend(predictions(definition));
    let Some(schema) = definition.state.schema.as_ref().and_then(|form| form.schema.clone()) else { return problems };
    if let Kind::Remote(_) = definition.kind
        && definition.state.write.is_none()
    {
        definition.state.write = properties(&schema);
    }
    for fault in schema.faults(&definition.state.initial) {
        let place = if fault.path.to_string().is_empty() { String::new() } else { format!(" at `{}`", fault.path) };
        let message = format!("`state.initial` does not fit `state.schema`{place}: {}", fault.message);
        problems.push(definition.problem_below("state.initial", &fault.path, message));
    }
    let mut pointer = |path: String, pointer: &str| {
        if !exists(&schema, pointer) {
            let message = format!("`{pointer}` does not exist in `state.schema`");
            problems.push(definition.problem(&path, message));
        }
    };
    for (field, pointers) in [("read", &definition.state.read), ("write", &definition.state.write)] {
        for (index, text) in pointers.iter().flatten().enumerate() {
            pointer(format!("state.{field}[{index}]"), text);
        }
    }
    for (index, predict) in definition.state.predict.iter().enumerate() {
        pointer(format!("state.predict[{index}].path"), &predict.path.to_string());
    }
    if let Kind::Llm(llm) = &definition.kind
        && let Some(write_to) = llm.output.as_ref().and_then(|output| output.write_to.as_ref())
    {
        pointer("agent.output.write_to".to_owned(), write_to);
    }
    problems
}

/// Whether a new document of the agent can begin as the definition says.
fn beginning(definition: &Definition, types: &Types) -> Option<Problem> {
    let kind = types.get(definition.state.scope.document_type());
    let limits = kind.map_or_else(Limits::default, |kind| kind.limits);
    let (pointer, message) = refusal_of_beginning(&definition.state.initial, &limits)?;
    Some(definition.problem_below("state.initial", &pointer, message))
}

/// Whether the agents that a definition asks exist.
pub(super) fn asked(definition: &Definition, known: &[&str]) -> Vec<Problem> {
    let tools = definition.tools.named.iter().filter_map(|(name, tool)| match tool {
        NamedTool::Agent(tool) => Some((format!("tools.{name}.agent"), tool.agent.as_str())),
        NamedTool::Http(_) | NamedTool::Mcp(_) => None,
    });
    let handoffs =
        definition.handoffs.iter().enumerate().map(|(index, agent)| (format!("handoffs[{index}]"), agent.as_str()));
    tools
        .chain(handoffs)
        .filter_map(|(path, agent)| {
            let message = if agent == definition.id {
                format!("agent `{agent}` cannot ask itself")
            } else if known.contains(&agent) {
                return None;
            } else {
                format!("agent `{agent}` does not exist")
            };
            Some(definition.problem(&path, message))
        })
        .collect()
}

/// Whether every prediction is of a place that the agent may write, and of an argument that the tool has.
fn predictions(definition: &Definition) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, predict) in definition.state.predict.iter().enumerate() {
        let mut refuse = |field: &str, message: String| {
            problems.push(definition.problem(&format!("state.predict[{index}].{field}"), message));
        };
        let path = predict.path.to_string();
        let may_write = definition.state.write.as_ref().is_none_or(|write| {
            write.iter().any(|allowed| path == *allowed || path.starts_with(&format!("{allowed}/")))
        });
        if !may_write {
            refuse("path", format!("`{path}` is not this agent's to write"));
        }
        let named = definition.tools.named.iter().find(|(name, _)| *name == predict.tool).map(|(_, tool)| tool);
        if let Some(NamedTool::Http(tool)) = named
            && let Some(properties) = tool.input.as_ref().and_then(|input| input.get("properties")?.as_object())
            && !properties.contains_key(&predict.argument)
        {
            refuse("argument", format!("`{}` is not among the arguments of `{}`", predict.argument, predict.tool));
        }
    }
    problems
}

/// Looks up the types of the other documents an agent uses, and holds the paths it may write against their schemas.
fn documents(definition: &mut Definition, types: &Types) -> Vec<Problem> {
    let mut found = Vec::new();
    let Documents { read, write } = &mut definition.documents;
    for (field, places) in [("read", read), ("write", write)] {
        for (index, place) in places.iter_mut().enumerate() {
            let Some(kind) = place.kind().map(str::to_owned) else { continue };
            let path = format!("documents.{field}[{index}]");
            match types.get(&kind) {
                Some(spec) => place.schema.clone_from(&spec.schema),
                None => found.push((path, no_type(&kind, types))),
            }
            if field == "write" && kind == "lifecycle" {
                let message = "`lifecycle` documents are written by the runtime only";
                found.push((format!("documents.write[{index}]"), message.to_owned()));
            } else if let Some(schema) = &place.schema
                && !exists(schema, &place.path.to_string())
            {
                let message = format!("`{}` does not exist in the schema of type `{kind}`", place.path);
                found.push((format!("documents.{field}[{index}]"), message));
            }
        }
    }
    found.into_iter().map(|(path, message)| definition.problem(&path, message)).collect()
}

/// Why documents of a type can be neither read nor watched.
fn no_type(kind: &str, types: &Types) -> String {
    match types.is_broken(kind) {
        true => format!("type `{kind}` is declared, and its file cannot be used"),
        false => format!("type `{kind}` is not declared: write _types/{kind}.yaml"),
    }
}

/// Holds the triggers of a definition against all others: agents they name, types and paths they watch.
pub(super) fn triggers(definition: &Definition, all: &[Definition], known: &[&str], types: &Types) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, trigger) in definition.triggers.iter().enumerate() {
        let field = |name: &str| format!("triggers[{index}].{name}");
        match &trigger.kind {
            TriggerKind::Agent { agent, .. } if !known.contains(&agent.as_str()) => {
                problems.push(definition.problem(&field("agent"), format!("agent `{agent}` does not exist")));
            }
            TriggerKind::State(StateTrigger { doc, path, when, from, .. }) => {
                for (place, actor) in from.iter().flatten().enumerate() {
                    if let Some(agent) = actor.strip_prefix("agent:").filter(|agent| !known.contains(agent)) {
                        let message = format!("agent `{agent}` does not exist");
                        problems.push(definition.problem(&field(&format!("from[{place}]")), message));
                    }
                }
                if let Some(kind) = glob::kind(doc)
                    && types.get(kind).is_none()
                {
                    problems.push(definition.problem(&field("doc"), no_type(kind, types)));
                }
                let schemas = watched_schemas(doc, all, types);
                let mut missing = |name: &str, what: String| {
                    let message = format!("`{what}` does not exist in the schema of `{doc}`");
                    problems.push(definition.problem(&field(name), message));
                };
                if let Some(path) = path.as_ref().map(ToString::to_string)
                    && !schemas.is_empty()
                    && !schemas.iter().any(|schema| exists(schema, &path))
                {
                    missing("path", path);
                }
                for members in when.iter().flat_map(|when| members_of_state(when)) {
                    let tokens: Vec<&str> = members.iter().map(String::as_str).collect();
                    if !schemas.is_empty() && !schemas.iter().any(|schema| paths::exists(schema.source(), &tokens)) {
                        missing("when", format!("state.{}", members.join(".")));
                    }
                }
            }
            TriggerKind::Agent { .. }
            | TriggerKind::Cron { .. }
            | TriggerKind::Interval { .. }
            | TriggerKind::Webhook(_)
            | TriggerKind::Start => {}
        }
    }
    problems
}

/// The members of the document that a condition looks at.
fn members_of_state(condition: &str) -> Vec<Vec<String>> {
    let variables = variables(&minijinja::Environment::new(), &format!("{{{{ {condition} }}}}")).unwrap_or_default();
    variables
        .into_iter()
        .filter(|names| names[0] == "state" && names.len() > 1)
        .map(|names| names[1..].to_vec())
        .collect()
}

/// What a remote agent may write where its definition says nothing: the properties of its schema, so that what it keeps for
/// itself beside them stays its own. `None`, which is everything, where the schema names none.
fn properties(schema: &Schema) -> Option<Vec<String>> {
    let properties = schema.source().get("properties")?.as_object()?;
    let pointer = |name: &String| format!("/{}", name.replace('~', "~0").replace('/', "~1"));
    (!properties.is_empty()).then(|| properties.keys().map(pointer).collect())
}

/// Marks of agents that do not answer for `default`, because another one does.
pub(super) fn marked_in_vain(definitions: &[Definition]) -> Vec<Problem> {
    let mut marked = definitions.iter().filter(|one| one.enabled && one.default);
    let Some(first) = marked.next() else { return Vec::new() };
    let message = |one: &Definition| one.problem("default", format!("agent `{}` is the default already", first.id));
    marked.map(message).collect()
}

/// The schemas of all documents that a pattern means, as far as they are known.
fn watched_schemas(pattern: &str, all: &[Definition], types: &Types) -> Vec<Schema> {
    let states = all.iter().filter(|other| glob::overlap(pattern, &other.state.scope.document_pattern(&other.id)));
    let mut schemas: Vec<Schema> =
        states.filter_map(|other| other.state.schema.as_ref().and_then(|form| form.schema.clone())).collect();
    schemas.extend(pattern.split_once('/').and_then(|(name, _)| types.get(name)?.schema.clone()));
    schemas
}

fn exists(schema: &Schema, pointer: &str) -> bool {
    let unescaped: Vec<String> =
        pointer.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~")).collect();
    paths::exists(schema.source(), &unescaped.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Every variable of the instructions, held against what they may name, and what they ask of the template engine. That they are a template at all is the agent's own
/// check.
fn templates(definition: &Definition) -> Vec<Problem> {
    let Kind::Llm(llm) = &definition.kind else { return Vec::new() };
    let Ok(variables) = variables(&minijinja::Environment::new(), &llm.instructions.text) else { return Vec::new() };
    let schema: Option<&Value> =
        definition.state.schema.as_ref().and_then(|form| form.schema.as_ref()).map(Schema::source);
    let mut problems = Vec::new();
    for variable in variables {
        let names: Vec<&str> = variable.iter().map(String::as_str).collect();
        let shown = names.join(".");
        let refusal = match names.as_slice() {
            ["state", below @ ..] => match schema {
                Some(schema) if !paths::exists(schema, below) => {
                    format!("`{shown}` does not exist in `state.schema`")
                }
                Some(_) | None => continue,
            },
            [root, ..] if ROOTS.contains(root) || is_built_in(root) => continue,
            _ => format!("unknown variable `{shown}`: instructions see {}", ROOTS.join(", ")),
        };
        problems.push(definition.variable_problem(&variable, refusal));
    }
    for fault in filling::faults(&llm.instructions.text, &ROOTS).unwrap_or_default() {
        let message = format!("the instructions cannot be filled in: {}", fault.message);
        problems.push(definition.instructions_problem(fault.at, message));
    }
    problems
}
