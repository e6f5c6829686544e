//! Submitted runs of a running server, and their records as they change.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::documents::Answer;
use super::events::EventStream;
use super::server::Server;

/// No document takes longer to become what a test waits for; a hang becomes a failure.
const PATIENCE: Duration = Duration::from_secs(60);

impl Server {
    /// Submits a run that is taken; answers its id.
    pub(crate) async fn submit(&self, agent: &str, body: &Value) -> String {
        let answer = self.try_submit(agent, body).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        assert_eq!(answer.body["accepted"], true, "{answer:?}");
        answer.body["run_id"].as_str().expect("a run id").to_owned()
    }

    pub(crate) async fn try_submit(&self, agent: &str, body: &Value) -> Answer {
        self.post_v1(&format!("/agents/{agent}/runs"), body, &[]).await
    }

    /// The record of a run that exists.
    pub(crate) async fn record(&self, run_id: &str) -> Value {
        let answer = self.get_v1(&format!("/runs/{run_id}")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let mut record = answer.body;
        record.as_object_mut().expect("an object").remove("step_list");
        record
    }

    /// The events of a run, after a position.
    pub(crate) async fn events_of(&self, run_id: &str, after: Option<u64>) -> EventStream {
        let mut request = self.http().get(format!("{}/v1/runs/{run_id}/events", self.url));
        if let Some(after) = after {
            request = request.header("last-event-id", after.to_string());
        }
        EventStream::new(request.send().await.expect("an answer"))
    }

    /// Follows a run's lifecycle document until its status is one of these; answers the document then.
    pub(crate) async fn until_status(&self, run_id: &str, wanted: &[&str]) -> Value {
        let is_wanted = |document: &Value| document["status"].as_str().is_some_and(|status| wanted.contains(&status));
        self.until_document(&format!("lifecycle/{run_id}"), is_wanted).await
    }

    /// Follows a document until it is as wanted; answers it then.
    pub(crate) async fn until_document(&self, name: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let url = format!("{}/v1/state/{name}/events", self.url);
        let mut response = self.http().get(url).send().await.expect("an answer");
        assert_eq!(response.status(), 200);
        let (mut buffer, mut document) = (String::new(), Value::Null);
        // Keep-alives arrive whatever becomes of the document.
        let until = Instant::now() + PATIENCE;
        loop {
            while let Some(end) = buffer.find("\n\n") {
                let frame: String = buffer.drain(..end + 2).collect();
                follow(&mut document, &frame);
            }
            if is_wanted(&document) {
                return document;
            }
            let chunk = tokio::time::timeout_at(until, response.chunk()).await;
            let chunk = chunk.unwrap_or_else(|_| panic!("{name} does not become what is wanted: {document}"));
            let chunk = chunk.expect("the stream is not cut").expect("a document's stream does not end");
            buffer.push_str(std::str::from_utf8(&chunk).expect("frames are text"));
        }
    }

    /// The record of a run when it is over.
    pub(crate) async fn until_over(&self, run_id: &str) -> Value {
        const OVER: [&str; 7] =
            ["succeeded", "failed", "cancelled", "budget_exceeded", "superseded", "dead", "waiting"];
        self.until_status(run_id, &OVER).await
    }
}

/// Takes one frame of a document's stream.
fn follow(document: &mut Value, frame: &str) {
    let line = |name: &str| frame.lines().find_map(|line| line.strip_prefix(name));
    let Some(data) = line("data: ") else { return };
    let data: Value = serde_json::from_str(data).expect("JSON");
    match line("event: ") {
        Some("snapshot") => *document = data["data"].clone(),
        Some("delta") => {
            let delta = [
                json!({ "type": "STATE_SNAPSHOT", "snapshot": document.clone() }),
                json!({ "type": "STATE_DELTA", "delta": data["ops"] }),
            ];
            *document = super::events::state(&delta);
        }
        other => panic!("a frame of another kind: {other:?}"),
    }
}
