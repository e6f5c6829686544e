use std::sync::atomic::AtomicUsize;

use async_trait::async_trait;
use serde_json::json;

use super::*;
use crate::agent::native::rehearsal::{play_on, user};
use crate::agent::{Agent, Descriptor, RunOutcome};

/// Does three things, the second in parts, and says what came of them.
#[derive(Default)]
struct Worker(AtomicUsize);

impl Worker {
    async fn work(&self, what: u64) -> Result<u64, AgentError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(what)
    }
}

#[async_trait]
impl Agent for Worker {
    fn descriptor(&self) -> Descriptor {
        Descriptor::default()
    }

    async fn run(&self, cx: RunContext) -> Result<RunOutcome, AgentError> {
        let parts = async {
            let first = cx.step("part", self.work(2)).await?;
            Ok(first + cx.step("part", self.work(3)).await?)
        };
        let sum = cx.step("first", self.work(1)).await? + cx.step("second", parts).await?;
        cx.say(&sum.to_string()).await?;
        Ok(RunOutcome::default())
    }
}

/// Reads its state as a type of its own.
struct Reader;

#[async_trait]
impl Agent for Reader {
    fn descriptor(&self) -> Descriptor {
        Descriptor::default()
    }

    async fn run(&self, cx: RunContext) -> Result<RunOutcome, AgentError> {
        let seen = cx.state::<HashMap<String, u32>>().await?;
        cx.say(&format!("{:?}", seen.value)).await?;
        Ok(RunOutcome::default())
    }
}

#[tokio::test]
async fn an_agent_reads_its_state_as_a_type_of_its_own() {
    let play = |document| play_on(&Reader, user("go"), document, Past::default(), |_, _| {});
    assert_eq!(play(json!({ "a": 1 })).await.said(), [r#"{"a": 1}"#]);
    let refused = play(json!({ "a": "x" })).await;
    assert!(refused.error().message.contains("is not what it takes"), "{}", refused.error().message);
}

#[tokio::test]
async fn steps_that_are_done_answer_what_they_came_to_and_only_the_others_are_done() {
    for (done, worked) in [
        (&[][..], 3),
        (&[("/first", 10)], 2),
        (&[("/first", 10), ("/second/part", 20)], 1),
        (&[("/first", 10), ("/second/part", 20), ("/second/part#1", 30)], 0),
        (&[("/first", 10), ("/second/part", 20), ("/second/part#1", 30), ("/second", 50)], 0),
    ] {
        let worker = Worker::default();
        let value = |value: &u64| to_raw_value(value).expect("a number");
        let done: HashMap<_, _> = done.iter().map(|(path, came_to)| ((*path).to_owned(), value(came_to))).collect();
        let (count, second) = (done.len(), done.contains_key("/second"));
        let past = Past { done, ..Past::default() };
        let played = play_on(&worker, user("go"), json!({}), past, |_, _| {}).await;
        assert_eq!(worker.0.load(Ordering::Relaxed), worked, "{count} were done");
        let sum = [6, 15, 33, 60, 60][count];
        assert_eq!(played.said(), [sum.to_string()]);
        let started = played.events.iter().filter(|event| event["type"] == "STEP_STARTED").count();
        assert_eq!(started, worked + usize::from(!second), "what is done is not bracketed again");
    }
}

#[test]
fn a_step_is_named_by_its_key_its_place_and_its_round() {
    let whole = Scope::default();
    let first = whole.inner("a");
    assert_eq!(first.path, "/a");
    assert_eq!(whole.inner("b").path, "/b");
    assert_eq!(whole.inner("a").path, "/a#1");
    assert_eq!(whole.inner("a").path, "/a#2");
    assert_eq!((first.inner("a").path.as_str(), first.inner("a").path.as_str()), ("/a/a", "/a/a#1"));
}
