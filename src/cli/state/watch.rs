//! `coagent state watch`: every change as a line, over cuts and restarts of the server.

use std::time::Duration;

use serde_json::{Value, json};

use crate::agui::sse::Decoder;

use super::super::client::{Client, Failure, say};
use super::document::Document;

/// A snapshot may be as large as a document, and encoded.
const EVENT_BYTES: usize = 64 << 20;
/// After a cut it is tried again after this long, then twice as long, up to so long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

pub(super) async fn watch(
    client: &Client,
    documents: &[Document],
    mut after: Option<String>,
    count: Option<u64>,
) -> Result<(), Failure> {
    let path = match documents {
        [document] => document.path("/events"),
        several => {
            let list: Vec<_> = several.iter().map(Document::in_list).collect();
            format!("/v1/state/events?docs={}", list.join(","))
        }
    };
    let (mut left, mut pause, mut was_there) = (count.unwrap_or(u64::MAX), FIRST_PAUSE, false);
    loop {
        let mut request = client.get(&path, &[]);
        if let Some(id) = &after {
            request = request.header("last-event-id", id);
        }
        let broken = match client.send(request).await {
            Ok(mut response) => {
                (was_there, pause) = (true, FIRST_PAUSE);
                let mut events = Decoder::new(EVENT_BYTES);
                loop {
                    match response.chunk().await {
                        Ok(Some(bytes)) => events.push(&bytes),
                        Ok(None) => break Failure::Broken("the server ended the stream".to_owned()),
                        Err(error) => break client.broken(&error),
                    }
                    while let Some(Ok(event)) = events.next_frame() {
                        let data: Value = serde_json::from_str(&event.data).unwrap_or_default();
                        say(&json!({"event": event.event_name, "id": event.id, "data": data}).to_string())?;
                        after = event.id.or(after);
                        left -= 1;
                        if left == 0 {
                            return Ok(());
                        }
                    }
                }
            }
            // A server that was there comes back; one that never was is a mistake.
            Err(broken @ Failure::Broken(_)) if was_there => broken,
            Err(failure) => return Err(failure),
        };
        super::super::out::remark(&format!("coagent: {broken}; trying again"));
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
