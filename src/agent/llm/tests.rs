use std::time::Duration;

use serde_json::json;

use super::*;
use crate::agent::model::{Answer, Fault, FaultKind, Finish, Model, Piece};
use crate::agent::native::rehearsal::{Played, play, play_on, user};
use crate::agent::steps::Past;

/// A model whose answers are these pieces, each after a wait.
struct Slow {
    name: ModelName,
    pieces: fn() -> Pieces,
}

/// Each with the wait before it.
type Pieces = Vec<(Duration, Result<Piece, Fault>)>;

#[async_trait]
impl Model for Slow {
    fn name(&self) -> &ModelName {
        &self.name
    }

    async fn answer(&self, _: &Request) -> Result<Answer, Fault> {
        Ok(Box::pin(futures_util::stream::unfold((self.pieces)().into_iter(), |mut pieces| async move {
            let (wait, piece) = pieces.next()?;
            tokio::time::sleep(wait).await;
            Some((piece, pieces))
        })))
    }
}

async fn run(pieces: fn() -> Pieces) -> Played {
    play(&agent(pieces), user("hello"), json!({})).await
}

fn agent(pieces: fn() -> Pieces) -> LlmAgent {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("helper.yaml"), "agent: { kind: llm, model: scripted/echo }").expect("a file");
    let definition = crate::agent::folder::Folder::load(folder.path()).definitions.pop().expect("a definition");
    let name = ModelName { provider: "test".to_owned(), name: "slow".to_owned() };
    let scope = Scope::of(&definition.state);
    LlmAgent {
        models: Models::new(vec![(name.clone(), Ok(Arc::new(Slow { name, pieces })))]),
        output: None,
        prompt: Prompt::new(&definition, "", 0).expect("no instructions are a template"),
        history: History::default(),
        predictions: Predictions::of(&[]),
        tools: Toolbox::new(&definition, &Servers::default()).expect("its tools can be built"),
        scope,
        bounds: RunBudget::default(),
    }
}

fn word() -> Result<Piece, Fault> {
    Ok(Piece::Text("word ".to_owned()))
}

#[tokio::test(start_paused = true)]
async fn a_run_from_which_nothing_comes_is_ended() {
    let played = run(|| vec![(Duration::from_secs(90), word()), (Duration::from_secs(3600), word())]).await;
    assert_eq!((played.error().code.as_str(), played.said()), ("no_progress", vec!["word ".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_goes_on_and_on_is_ended() {
    let played = run(|| (0..100).map(|_| (Duration::from_secs(60), word())).collect()).await;
    assert_eq!(played.error().code, "budget_exceeded");
    assert_eq!(played.said()[0].split_whitespace().count(), 10, "a word a minute, ten minutes long");
}

#[tokio::test(start_paused = true)]
async fn a_model_that_forgets_its_end_is_asked_four_times() {
    let began = tokio::time::Instant::now();
    let played = run(|| vec![(Duration::ZERO, word())]).await;
    assert_eq!((played.error().code.as_str(), played.said().len()), ("truncated", 4));
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_a_provider_holds_back_is_an_error() {
    let played = run(|| vec![(Duration::ZERO, word()), (Duration::ZERO, Ok(Piece::Finished(Finish::Filtered)))]).await;
    assert_eq!(played.error().code, "provider_error");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_ran_into_its_limit_is_no_success_and_is_not_asked_for_again() {
    let played = run(|| vec![(Duration::ZERO, word()), (Duration::ZERO, Ok(Piece::Finished(Finish::Length)))]).await;
    assert_eq!((played.error().code.as_str(), played.said()), ("truncated", vec!["word ".to_owned()]));
    assert!(played.error().message.contains("max_output_tokens"), "{}", played.error().message);
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_nothing_can_mend_ends_the_run_at_once() {
    let played = run(|| vec![(Duration::ZERO, Err(Fault::new(FaultKind::Auth, "no")))]).await;
    assert_eq!((played.error().code.as_str(), played.events.len()), ("auth", 0));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_had_begun_and_must_not_be_made_twice_is_answered_as_interrupted() {
    let call = |id: &str| json!({ "id": id, "type": "function", "function": { "name": "pay", "arguments": "{}" } });
    let message = json!({ "id": "a", "role": "assistant", "toolCalls": [call("c1"), call("c2"), call("c3")] });
    let answered = json!({ "message": message, "usage": [] });
    let raw = |value: &serde_json::Value| serde_json::value::to_raw_value(value).expect("JSON");
    let mut past = Past::default();
    past.done.insert("/answer".to_owned(), raw(&answered));
    past.done.insert("/call c1".to_owned(), raw(&json!(["r1", "paid"])));
    past.begun.extend(["/call c1".to_owned(), "/call c2".to_owned()]);
    let agent = agent(|| vec![(Duration::ZERO, word()), (Duration::ZERO, Ok(Piece::Finished(Finish::Complete)))]);
    let played = play_on(&agent, user("hello"), json!({}), past, |_, _| {}).await;
    assert!(played.ended.is_ok(), "{:?}", played.ended);
    let results = played.events.iter().filter(|event| event["type"] == "TOOL_CALL_RESULT");
    let results: Vec<_> = results.map(|event| (event["toolCallId"].clone(), event["content"].clone())).collect();
    assert_eq!(results.len(), 2, "the first has its result: {results:?}");
    assert_eq!(results[0], (json!("c2"), json!(INTERRUPTED)));
    assert_eq!(results[1].0, "c3");
    assert!(results[1].1.as_str().is_some_and(|told| told.contains("unknown_tool")), "it had not begun: {results:?}");
    assert_eq!(played.said(), ["word "]);
}
