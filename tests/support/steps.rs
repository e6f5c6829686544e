//! A model server that answers by how far the conversation is, so that it does not matter who asks or how often; it counts
//! who asked for what, and can stop in the middle of things until the test goes on.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures_util::StreamExt as _;
use serde_json::Value;
use tokio::sync::watch;

use super::model::finish;

/// Where it stops, the first time it comes there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Asked for this answer, before it says anything.
    Before(usize),
    /// In the middle of this answer.
    During(usize),
    /// When all of this answer was said but that it is over.
    Unfinished(usize),
}

pub(crate) struct Steps {
    pub(crate) url: String,
    fake: Arc<Fake>,
}

struct Fake {
    /// The chunks of each answer.
    answers: Vec<Vec<Value>>,
    stop: Mutex<Option<Stop>>,
    stopped: watch::Sender<bool>,
    asked: Mutex<Vec<usize>>,
    /// The instructions of each request.
    instructions: Mutex<Vec<String>>,
}

impl Steps {
    /// Gives these answers, and stops once.
    pub(crate) async fn start(answers: Vec<Vec<Value>>, stop: Option<Stop>) -> Self {
        let (stop, stopped) = (Mutex::new(stop), watch::Sender::new(false));
        let fake = Arc::new(Fake { answers, stop, stopped, asked: Mutex::default(), instructions: Mutex::default() });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let routes = Router::new().route("/v1/chat/completions", post(answer)).with_state(Arc::clone(&fake));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { url, fake }
    }

    /// A definition of an agent that asks it.
    pub(crate) fn agent(&self, rest: &str) -> String {
        let url = &self.url;
        format!("---\nagent: {{ kind: llm, model: test/small, base_url: \"{url}/v1\" }}\n{rest}\n---\nBe brief.\n")
    }

    /// Waits until it stopped.
    pub(crate) async fn has_stopped(&self) {
        let mut stopped = self.fake.stopped.subscribe();
        let waited = tokio::time::timeout(Duration::from_secs(20), stopped.wait_for(|stopped| *stopped));
        waited.await.expect("the model is asked in time").expect("the fake lives");
    }

    /// Stops once more.
    pub(crate) fn stops(&self, stop: Stop) {
        self.fake.stopped.send_replace(false);
        *self.fake.stop.lock().expect("the stop") = Some(stop);
    }

    /// Says the rest of an answer in which it stopped.
    pub(crate) fn goes_on(&self) {
        self.fake.stopped.send_replace(false);
    }

    /// Counts anew.
    pub(crate) fn forget(&self) {
        self.fake.asked.lock().expect("requests").clear();
    }

    /// What each request began with.
    pub(crate) fn instructions(&self) -> Vec<String> {
        self.fake.instructions.lock().expect("instructions").clone()
    }

    /// Which answer each request asked for.
    pub(crate) fn asked(&self) -> Vec<usize> {
        self.fake.asked.lock().expect("requests").clone()
    }
}

async fn answer(State(fake): State<Arc<Fake>>, body: Bytes) -> Response {
    let body: Value = serde_json::from_slice(&body).expect("a request is JSON");
    police(&body);
    let messages = body["messages"].as_array().expect("messages");
    let step = messages.iter().filter(|message| message["role"] == "assistant").count();
    fake.asked.lock().expect("requests").push(step);
    let instructions = messages[0]["content"].as_str().unwrap_or_default().to_owned();
    fake.instructions.lock().expect("instructions").push(instructions);
    let answer = fake.answers.get(step).unwrap_or_else(|| panic!("nobody expects an answer {step}"));
    let mut frames: Vec<String> = answer.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
    let calls = answer.iter().any(|chunk| chunk["choices"][0]["delta"]["tool_calls"].is_array());
    frames.push(format!("data: {}\n\ndata: [DONE]\n\n", finish(if calls { "tool_calls" } else { "stop" })));
    let said = match fake.stops_at(step) {
        None => return ([(CONTENT_TYPE, "text/event-stream")], frames.concat()).into_response(),
        Some(Stop::Before(_)) => {
            fake.stopped.send_replace(true);
            return std::future::pending().await;
        }
        Some(Stop::During(_)) => frames.len() / 2,
        Some(Stop::Unfinished(_)) => frames.len() - 1,
    };
    let half = futures_util::stream::iter([Ok::<_, std::io::Error>(frames[..said].concat())]);
    let then = futures_util::stream::once(async move {
        let mut stopped = fake.stopped.subscribe();
        fake.stopped.send_replace(true);
        stopped.wait_for(|stopped| !stopped).await.expect("the fake lives");
        Ok(frames[said..].concat())
    });
    ([(CONTENT_TYPE, "text/event-stream")], Body::from_stream(half.chain(then))).into_response()
}

impl Fake {
    fn stops_at(&self, step: usize) -> Option<Stop> {
        let mut stop = self.stop.lock().expect("the stop");
        let (Stop::Before(at) | Stop::During(at) | Stop::Unfinished(at)) = (*stop)?;
        if at == step { stop.take() } else { None }
    }
}

/// Refuses what a model's server would refuse: a call without its result, or a result without its call.
fn police(body: &Value) {
    let messages = body["messages"].as_array().expect("messages");
    let mut open: Vec<&str> = Vec::new();
    for message in messages {
        match message["role"].as_str() {
            Some("tool") => {
                let call = message["tool_call_id"].as_str().expect("a result names its call");
                let at = open.iter().position(|open| *open == call);
                open.remove(at.unwrap_or_else(|| panic!("a result without a call: {message}")));
            }
            _ => {
                assert!(open.is_empty(), "calls without results: {open:?}");
                let calls = message["tool_calls"].as_array().into_iter().flatten();
                open = calls.map(|call| call["id"].as_str().expect("a call has an id")).collect();
            }
        }
    }
    assert!(open.is_empty(), "calls without results: {open:?}");
}
