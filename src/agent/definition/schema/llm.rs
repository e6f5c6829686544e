//! `kind: llm`: a model, how to reach it and how to ask it.

use super::super::fields::Place;
use super::super::llm::{Api, ClientSystem, History, Instructions, Llm, ModelTimeouts, Output, Params};
use super::super::reader::{Fields, Reader};
use super::super::tree::{Node, Shape};
use super::remote::{headers, url};
use super::state::pointer;

const OUTPUT_TOKENS_RANGE: (usize, usize) = (1, 10_000_000);
const MESSAGES_RANGE: (usize, usize) = (1, 1_000_000);
const OUTPUT_RETRIES_RANGE: (usize, usize) = (0, 10);
const DEFAULT_OUTPUT_RETRIES: usize = 2;

pub(super) fn llm(
    reader: &mut Reader<'_>,
    root: &Fields<'_>,
    agent: &Fields<'_>,
    body: Option<Instructions>,
) -> Option<Llm> {
    reader.refuse_strangers(agent, Place::LlmAgent);
    let instructions = instructions(reader, root, body);
    let base_url = if agent.get("base_url").is_some() { url(reader, agent, "base_url") } else { None };
    let api_key = reader.secret(agent, "api_key");
    let apis = [("chat", Api::Chat), ("responses", Api::Responses), ("anthropic", Api::Anthropic)];
    let api = reader.word(agent, "api", &apis);
    let headers = headers(reader, agent);
    let params = params(reader, agent);
    let fallback = fallback(reader, agent);
    let timeouts = timeouts(reader, agent);
    let output = output(reader, agent);
    let history = history(reader, agent);
    if agent.get("model").is_none() {
        let message = "`agent.model` is missing: write provider/model, such as openai/gpt-5-mini";
        reader.note(agent.at, "agent.model", message);
    }
    let (model, at) = reader.text(agent, "model")?;
    if model.trim().is_empty() {
        reader.note(at, "agent.model", "`agent.model` is empty: write provider/model, such as openai/gpt-5-mini");
    }
    let model = model.trim().to_owned();
    Some(Llm { model, base_url, api_key, api, headers, params, fallback, timeouts, output, history, instructions })
}

/// The body of a Markdown file, else the field `instructions`; both at once is one too many.
fn instructions(reader: &mut Reader<'_>, root: &Fields<'_>, body: Option<Instructions>) -> Instructions {
    let body = body.filter(|body| !body.text.trim().is_empty());
    let Some((text, at)) = reader.text(root, "instructions") else { return body.unwrap_or_default() };
    if body.is_some() {
        let message = "`instructions` are given twice: keep them here or below the front matter";
        reader.note(at, "instructions", message);
    }
    Instructions { text: text.to_owned(), first_line: at.line }
}

fn params(reader: &mut Reader<'_>, agent: &Fields<'_>) -> Params {
    let Some(fields) = reader.below(agent, "params", Place::LlmParams) else { return Params::default() };
    let temperature = reader.number(&fields, "temperature", (0.0, 2.0));
    let max_output_tokens = reader.count(&fields, "max_output_tokens", OUTPUT_TOKENS_RANGE);
    Params {
        temperature,
        max_output_tokens: max_output_tokens.and_then(|tokens| u32::try_from(tokens).ok()),
        reasoning_effort: reader.text(&fields, "reasoning_effort").map(|(effort, _)| effort.to_owned()),
        parallel_tool_calls: reader.bool(&fields, "parallel_tool_calls"),
        extra: reader.object(&fields, "extra").unwrap_or_default(),
    }
}

fn fallback(reader: &mut Reader<'_>, agent: &Fields<'_>) -> Vec<String> {
    let mut models = Vec::new();
    for (model, at, path) in reader.texts(agent, "fallback").unwrap_or_default() {
        if model.trim().is_empty() {
            reader.note(at, &path, "the name of a model is empty: write provider/model");
        } else {
            models.push(model.trim().to_owned());
        }
    }
    models
}

fn timeouts(reader: &mut Reader<'_>, agent: &Fields<'_>) -> ModelTimeouts {
    let default = ModelTimeouts::default();
    let Some(fields) = reader.below(agent, "timeouts", Place::LlmTimeouts) else { return default };
    ModelTimeouts {
        connect: reader.duration_or(&fields, "connect", default.connect),
        first_token: reader.duration_or(&fields, "first_token", default.first_token),
        idle: reader.duration_or(&fields, "idle", default.idle),
    }
}

fn output(reader: &mut Reader<'_>, agent: &Fields<'_>) -> Option<Output> {
    let fields = reader.below(agent, "output", Place::LlmOutput)?;
    let write_to = pointer(reader, &fields, "write_to");
    let retries = reader.count_or(&fields, "retries", DEFAULT_OUTPUT_RETRIES, OUTPUT_RETRIES_RANGE);
    let Some(schema) = fields.get("schema") else {
        let message = "`agent.output.schema` is missing: the JSON Schema of the answer";
        reader.note(fields.at, "agent.output.schema", message);
        return None;
    };
    if !matches!(schema.shape, Shape::Map(_) | Shape::Bool(_)) {
        return reader.expected("a JSON Schema (a mapping)", schema, "agent.output.schema");
    }
    let retries = u32::try_from(retries).expect("the range is small");
    Some(Output { schema: Node::to_value(schema), write_to, retries })
}

fn history(reader: &mut Reader<'_>, agent: &Fields<'_>) -> History {
    let Some(fields) = reader.below(agent, "history", Place::LlmHistory) else { return History::default() };
    let words = [("drop", ClientSystem::Drop), ("keep", ClientSystem::Keep)];
    History {
        max_messages: reader.count(&fields, "max_messages", MESSAGES_RANGE),
        client_system: reader.word(&fields, "client_system", &words).unwrap_or_default(),
    }
}
