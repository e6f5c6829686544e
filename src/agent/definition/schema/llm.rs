//! `kind: llm`: a model, how to reach it and how to ask it.

use super::super::fields::Place;
use super::super::llm::{
    Api, ClientSystem, History, Instructions, Llm, ModelSettings, Output, Params, Price, SaidTimeouts,
};
use super::super::reader::{Fields, Reader};
use super::super::tree::{Node, Shape};
use super::remote::{headers, url};
use super::state::pointer;

const OUTPUT_TOKENS_RANGE: (usize, usize) = (1, 10_000_000);
const MESSAGES_RANGE: (usize, usize) = (1, 1_000_000);
const OUTPUT_RETRIES_RANGE: (usize, usize) = (0, 10);
const DEFAULT_OUTPUT_RETRIES: usize = 2;
/// The most that a million tokens can cost, in US dollars.
const DEAREST: f64 = 100_000.0;

pub(super) fn llm(
    reader: &mut Reader<'_>,
    root: &Fields<'_>,
    agent: &Fields<'_>,
    body: Option<Instructions>,
) -> Option<Llm> {
    reader.refuse_strangers(agent, Place::LlmAgent);
    let instructions = instructions(reader, root, body);
    let settings = settings(reader, agent);
    let fallback = fallback(reader, agent);
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
    Some(Llm { model, settings, fallback, asked: Vec::new(), output, history, instructions })
}

/// How to reach and to ask a model, in a definition or in the file of named ones.
pub(in super::super) fn settings(reader: &mut Reader<'_>, fields: &Fields<'_>) -> ModelSettings {
    let apis = [("chat", Api::Chat), ("responses", Api::Responses), ("anthropic", Api::Anthropic)];
    ModelSettings {
        base_url: if fields.get("base_url").is_some() { url(reader, fields, "base_url") } else { None },
        api_key: reader.secret(fields, "api_key"),
        api: reader.word(fields, "api", &apis),
        headers: headers(reader, fields),
        params: params(reader, fields),
        timeouts: timeouts(reader, fields),
        price: price(reader, fields, "price"),
    }
}

/// What a million tokens cost, in US dollars.
pub(in super::super) fn price(reader: &mut Reader<'_>, fields: &Fields<'_>, name: &str) -> Option<Price> {
    let fields = reader.below(fields, name, Place::Price)?;
    let mut amount = |name: &str| reader.number(&fields, name, (0.0, DEAREST));
    let (input, output) = (amount("input"), amount("output"));
    let (cached_input, cache_write) = (amount("cached_input"), amount("cache_write"));
    for (name, _) in [("input", input), ("output", output)].iter().filter(|(name, _)| fields.get(name).is_none()) {
        let path = fields.path_of(name);
        reader.note(fields.at, &path, format!("`{path}` is missing: US dollars for a million tokens"));
    }
    Some(Price { input: input?, output: output?, cached_input, cache_write })
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

fn timeouts(reader: &mut Reader<'_>, agent: &Fields<'_>) -> SaidTimeouts {
    let Some(fields) = reader.below(agent, "timeouts", Place::LlmTimeouts) else { return SaidTimeouts::default() };
    SaidTimeouts {
        connect: reader.duration(&fields, "connect"),
        first_token: reader.duration(&fields, "first_token"),
        idle: reader.duration(&fields, "idle"),
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
