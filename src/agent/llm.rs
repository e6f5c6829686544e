//! Agents that a model answers for: the loop of answers and tool calls, and what a run may use of it.

mod answer;
mod budget;
mod history;
mod models;
mod output;
mod predict;
mod prompt;
mod repeats;
mod retry;
mod speech;
mod state;
#[cfg(test)]
mod tests;
mod tools;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::definition::{Definition, History, Llm, Problem, RunBudget};
use super::model::usage::Tally;
use super::model::{self, ModelName, Request};
use super::tools::mcp::Servers;
use super::{Agent, AgentError, Descriptor, RunContext, RunOutcome};
use crate::agui::{
    AgentCapabilities, AssistantMessage, Event, Execution, Identity, Json, Message, ReasoningCapabilities,
    StateCapabilities, TokenUsage, ToolCall, ToolCapabilities, ToolItem,
};
use answer::Asking;
use budget::Budget;
use history::INTERRUPTED;
use models::{Chosen, Models};
use output::Judged;
use predict::Predictions;
use prompt::Prompt;
use repeats::Repeats;
use speech::CallIds;
use state::Scope;
use tools::Toolbox;

/// An agent and its model.
struct LlmAgent {
    /// What they miss is said when somebody runs the agent: until then it is listed like any other.
    models: Models,
    /// What the last answer has to look like.
    output: Option<output::Shape>,
    prompt: Prompt,
    history: History,
    scope: Scope,
    tools: Toolbox,
    predictions: Predictions,
    bounds: RunBudget,
}

/// The agent of a definition of kind `llm`. Opens no connection.
pub fn build(definition: &Definition, llm: &Llm, servers: &Servers) -> Result<Box<dyn Agent>, Box<Problem>> {
    let problem = |path: &str, message: String| Box::new(definition.problem(path, message));
    let folder = definition.source.parent().unwrap_or_else(|| Path::new("."));
    let mut models = Vec::with_capacity(llm.asked.len());
    for asked in &llm.asked {
        let opened = model::open(asked, folder).map_err(|(field, message)| {
            let path = match field {
                Some(field) if asked.field == "agent.model" => format!("agent.{field}"),
                Some(_) | None => asked.field.clone(),
            };
            problem(&path, message)
        })?;
        models.push((ModelName::of(asked), opened));
    }
    let models = Models::new(models);
    let output = llm.output.as_ref().map(output::Shape::new).transpose();
    let output = output.map_err(|message| problem("agent.output.schema", message))?;
    let instructions = &llm.instructions;
    let prompt = Prompt::new(definition, &instructions.text, instructions.first_line)
        .map_err(|(message, at)| Box::new(definition.instructions_problem(at, message)))?;
    let scope = Scope::of(&definition.state);
    let tools = Toolbox::new(definition, servers).map_err(|(path, message)| problem(&path, message))?;
    let predictions = Predictions::of(&definition.state.predict);
    let (history, bounds) = (llm.history, definition.run.budget.clone());
    Ok(Box::new(LlmAgent { models, output, prompt, history, scope, tools, predictions, bounds }))
}

/// A whole answer, as a run's journal has it.
#[derive(Debug, Serialize, Deserialize)]
struct Answered {
    /// `None` when the model had nothing to say.
    message: Option<Message>,
    /// What it cost, attempts that broke off included.
    usage: Vec<TokenUsage>,
    /// The version of the state that the model was shown, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seen: Option<u64>,
}

#[async_trait]
impl Agent for LlmAgent {
    fn descriptor(&self) -> Descriptor {
        let item = |tool: &crate::agui::Tool| ToolItem {
            name: tool.name.clone(),
            description: tool.description.clone(),
            parameters: tool.parameters.as_ref().and_then(|schema| serde_json::from_str(schema.get()).ok()),
            metadata: None,
        };
        let capabilities = AgentCapabilities {
            identity: Some(Identity {
                kind: Some("llm".to_owned()),
                provider: Some(self.models.first().provider.clone()),
                ..Identity::default()
            }),
            tools: Some(ToolCapabilities {
                supported: Some(true),
                items: Some(self.tools.specs().map(item).collect()),
                client_provided: Some(true),
                ..ToolCapabilities::default()
            }),
            state: Some(StateCapabilities {
                deltas: Some(true),
                persistent_state: Some(true),
                ..StateCapabilities::default()
            }),
            reasoning: Some(ReasoningCapabilities { streaming: Some(true), ..ReasoningCapabilities::default() }),
            execution: Some(Execution {
                max_iterations: Some(self.bounds.steps.into()),
                max_execution_time: u64::try_from(self.bounds.wall.as_millis()).ok(),
                ..Execution::default()
            }),
            ..AgentCapabilities::default()
        };
        Descriptor { description: format!("Answers with {}", self.models.first().name), capabilities }
    }

    fn missing(&self) -> Option<String> {
        self.models.choose().err().map(|missing| missing.message)
    }

    async fn run(&self, cx: RunContext) -> Result<RunOutcome, AgentError> {
        let mut models = self.models.choose()?;
        let mut tally = Tally::default();
        let ended = self.converse(&cx, &mut models, &mut tally).await;
        let usage = tally.entries().to_vec();
        match ended {
            Ok(result) => Ok(RunOutcome { result, usage, ..RunOutcome::default() }),
            Err(error) => Err(AgentError { usage, ..error }),
        }
    }
}

impl LlmAgent {
    /// Answers until the model has nothing more to do here; what the last answer comes to, where it has to have a shape.
    async fn converse(
        &self,
        cx: &RunContext,
        models: &mut Chosen<'_>,
        tally: &mut Tally,
    ) -> Result<Option<Json>, AgentError> {
        let input = cx.input();
        let offer = self.tools.offer(input).await;
        let mut budget = Budget::start(self.bounds.clone(), cx.past().spent);
        let mut conversation = history::conversation(&input.messages, &self.history);
        let mut ids = CallIds::of(&input.messages);
        // Who has to call a certain tool has no words to shape.
        let shape = self.output.as_ref().filter(|_| offer.required.is_none());
        let mut judged = 0;
        let mut repeats = Repeats::default();
        loop {
            budget.step()?;
            cx.meter().step();
            let step = cx.open_step("answer");
            let answer = match step.recall::<Answered>()? {
                Some(answered) => {
                    tally.add_all(&answered.usage);
                    count_again(cx, &answered.usage);
                    answered.seen.into_iter().for_each(|version| cx.show(None, version));
                    answered.message
                }
                None => {
                    let request = self.request(cx, &conversation, &offer, shape).await?;
                    let mut spent = Tally::default();
                    let mut asking = Asking {
                        cx,
                        models: &mut *models,
                        budget: &mut budget,
                        tally: &mut spent,
                        ids: &mut ids,
                        predictions: &self.predictions,
                    };
                    let answered = asking.answer(&request).await;
                    tally.add_all(spent.entries());
                    let (message, closing) = answered?;
                    let (message, usage) = (message.map(Message::Assistant), spent.entries().to_vec());
                    let answered = Answered { message, usage, seen: cx.seen(None) };
                    // What is done next rests on it; the end of the run becomes durable with it.
                    match answered.message.as_ref().is_some_and(|message| !message.tool_calls().is_empty()) {
                        true => step.done(&answered, closing).await?,
                        false => step.settle(&answered, closing).await?,
                    }
                    answered.message
                }
            };
            budget.used(tally.total_tokens(), cx.meter().costs().iter().map(|(_, usd)| usd).sum())?;
            let silence = || shape.map(|_| Message::Assistant(silence()));
            let Some(answer) = answer.or_else(silence) else { return Ok(None) };
            let calls = answer.tool_calls().to_vec();
            ids.know(&calls);
            let said = answer.text();
            conversation.push(Arc::new(answer));
            let (mut waits_for_browser, mut is_handed_over) = (false, false);
            let mut shown = Vec::new();
            for call in &calls {
                budget.tool_call()?;
                cx.meter().tool_call();
                if offer.is_browsers(&call.function.name) {
                    waits_for_browser = true;
                } else {
                    let result = self.work(cx, &offer, &budget, &mut repeats, call).await?;
                    shown.extend(tools::shown(call, &result));
                    is_handed_over |= offer.is_handoff(&call.function.name) && is_ok(&result);
                    conversation.push(result);
                    budget.progress();
                }
            }
            if waits_for_browser || is_handed_over {
                return Ok(None);
            }
            // The model made all its calls before it was told what came of the first.
            for (document, version) in shown {
                cx.show(document.as_deref(), version);
            }
            if calls.is_empty() {
                let Some(shape) = shape else { return Ok(None) };
                match shape.judge(cx, &self.scope, &said, judged).await? {
                    Judged::Fits(result) => return Ok(Some(result)),
                    Judged::Again(complaint) => conversation.push(Arc::new(complaint)),
                }
                judged += 1;
            }
        }
    }

    /// Instructions, conversation, and the state as it is now.
    async fn request(
        &self,
        cx: &RunContext,
        conversation: &[Arc<Message>],
        offer: &tools::Offer,
        shape: Option<&output::Shape>,
    ) -> Result<Request, AgentError> {
        let seen = self.scope.look(cx).await?;
        let nothing = serde_json::Value::Object(serde_json::Map::new());
        let opening = self.prompt.opening(cx.input(), seen.value.as_ref().unwrap_or(&nothing))?;
        let closing = prompt::closing(&seen, &self.how_to_write(offer));
        if prompt::is_whole(&seen) {
            cx.show(None, seen.version);
        }
        let instruction = shape.map(|shape| Message::developer("coagent-output", shape.instruction()));
        let messages = opening.into_iter().chain(instruction).map(Arc::new).chain(conversation.iter().cloned());
        Ok(Request {
            messages: messages.chain(closing.map(Arc::new)).collect(),
            tools: offer.tools.clone(),
            required_tool: offer.required.clone(),
            output: shape.map(|shape| shape.schema().clone()),
        })
    }

    fn how_to_write(&self, offer: &tools::Offer) -> String {
        if !offer.tools.iter().any(|tool| tool.name == "state_patch") {
            return "You cannot change it.".to_owned();
        }
        match self.scope.writable() {
            Some(paths) => format!("You change it with state_patch and state_set, at and below: {paths}."),
            None => "You change it with state_patch and state_set.".to_owned(),
        }
    }

    /// Runs one of the agent's own tools and shows its result.
    async fn work(
        &self,
        cx: &RunContext,
        offer: &tools::Offer,
        budget: &Budget,
        repeats: &mut Repeats,
        call: &ToolCall,
    ) -> Result<Arc<Message>, AgentError> {
        let (name, arguments) = (&call.function.name, &call.function.arguments);
        let step = cx.open_step(&format!("call {}", call.id));
        if let Some((id, told)) = step.recall::<(String, String)>()? {
            let noted = repeats.note(name, arguments, told);
            return match noted.enough {
                Some(enough) => Err(enough),
                None => Ok(Arc::new(Message::tool(id, call.id.as_str(), noted.text))),
            };
        }
        let is_idempotent = offer.is_idempotent(name);
        let told = if step.is_begun() {
            INTERRUPTED.to_owned()
        } else {
            if !is_idempotent {
                step.begin().await?;
            }
            step.within(async {
                let before = self.predictions.before(cx, name).await?;
                let outcome = budget.within(offer.call(cx, call)).await??;
                match before {
                    Some(before) => before.settle(cx, arguments, outcome).await,
                    None => Ok(outcome),
                }
            })
            .await?
            .text
        };
        let noted = repeats.note(name, arguments, told.clone());
        let result = noted.text;
        let id = cx.new_id();
        let shown = Event::tool_call_result(id.as_str(), call.id.as_str(), result.as_str());
        match is_idempotent {
            true => step.settle(&(&id, &told), vec![shown]).await?,
            false => step.done(&(&id, &told), vec![shown]).await?,
        }
        if let Some(enough) = noted.enough {
            return Err(enough);
        }
        Ok(Arc::new(Message::tool(id, call.id.as_str(), result)))
    }
}

/// What answers of an earlier process cost; a meter is new in each.
fn count_again(cx: &RunContext, usage: &[TokenUsage]) {
    for entry in usage {
        if let (Some(provider), Some(model), Some(usd)) = (&entry.provider, &entry.model, entry.cost_usd) {
            cx.meter().cost(&format!("{provider}/{model}"), usd);
        }
    }
}

/// An answer that says nothing.
fn silence() -> AssistantMessage {
    AssistantMessage::empty("coagent-silence")
}

/// Whether a tool says that it did what it was asked to.
fn is_ok(result: &Message) -> bool {
    serde_json::from_str::<serde_json::Value>(&result.text()).is_ok_and(|result| result["ok"] == true)
}
