//! Agents that are started by triggers, and what sets those off.

use std::time::Duration;

use serde_json::{Value, json};

use super::server::{Home, Server};

/// An agent of this id that answers at once, with these triggers.
pub(crate) fn answering(id: &str, triggers: &str) -> (String, String) {
    scripted(id, triggers, "{ say: done }")
}

/// An agent of this id that does this whatever it is asked, with these triggers.
pub(crate) fn scripted(id: &str, triggers: &str, act: &str) -> (String, String) {
    let text = format!(
        "agent: {{ kind: native, name: scripted, config: {{ pace: 0ms, turns: [ {{ do: [ {act} ] }} ] }} }}\ntriggers:\n{triggers}\n"
    );
    (format!("{id}.yaml"), text)
}

pub(crate) fn home(agents: &[(String, String)]) -> Home {
    let files: Vec<_> = agents.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    Home::with_agents(&files)
}

impl Server {
    /// The agent's runs, the oldest first, when there are this many of them and all are over.
    pub(crate) async fn until_runs(&self, agent: &str, count: usize) -> Vec<Value> {
        for _ in 0..1200 {
            let mut runs = self.get_v1(&format!("/runs?agent={agent}")).await.body["items"].as_array().unwrap().clone();
            assert!(runs.len() <= count, "more runs than expected: {runs:#?}");
            if runs.len() == count && runs.iter().all(|run| run["finished_at"].is_string()) {
                runs.reverse();
                return runs;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("{agent} does not come to {count} runs");
    }

    pub(crate) async fn set(&self, document: &str, path: &str, value: Value) {
        let ops = json!([{ "op": "add", "path": path, "value": value }]);
        let answer = self.patch_document(document, "application/json-patch+json", &ops, &[]).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    pub(crate) async fn deliver(&self, path: &str, body: &str, headers: &[(&str, &str)]) -> (u16, Value) {
        let mut request = self.http().post(format!("{}/hooks/{path}", self.url)).body(body.to_owned());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.expect("an answer");
        let status = response.status().as_u16();
        (status, response.json().await.expect("JSON"))
    }

    /// What each run of a thread was told by its trigger, one message after the other.
    pub(crate) async fn told(&self, agent: &str, thread: &str) -> Vec<Vec<Value>> {
        let replay = self.replay(agent, thread).await;
        let started = replay.iter().filter(|event| event["type"] == "RUN_STARTED");
        let read = |message: &Value| {
            let text = message["content"].as_str().expect("a text");
            serde_json::from_str(text.split_once("\n\n").expect("a sentence and what happened").1).expect("JSON")
        };
        started.map(|run| run["input"]["messages"].as_array().unwrap().iter().map(read).collect()).collect()
    }
}
