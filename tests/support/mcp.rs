//! Fake servers of the Model Context Protocol: one over HTTP, one that is a script and talks over its pipes.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::upstream::read_request;

/// A server over streamable HTTP with the tools `add` and `hidden`, as long as the test runs.
pub(crate) struct McpServer {
    pub(crate) url: String,
    /// Heads and methods of what was asked.
    asked: Arc<Mutex<Vec<(String, String)>>>,
}

impl McpServer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/mcp", listener.local_addr().expect("an address"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let seen = Arc::clone(&seen);
                tokio::spawn(async move {
                    let Some((head, body)) = read_request(&mut socket).await else { return };
                    let request: Value = serde_json::from_str(&body).unwrap_or(Value::Null);
                    let method = request["method"].as_str().unwrap_or_default().to_owned();
                    seen.lock().expect("requests").push((head, method.clone()));
                    let answer = match answer(&method, &request) {
                        Some(result) => {
                            let body = json!({ "jsonrpc": "2.0", "id": request["id"], "result": result }).to_string();
                            format!(
                                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                                body.len()
                            )
                        }
                        None if method.is_empty() => {
                            "HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                                .to_owned()
                        }
                        None => "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned(),
                    };
                    // Who went away needs no answer.
                    drop(socket.write_all(answer.as_bytes()).await);
                });
            }
        });
        Self { url, asked }
    }

    /// How often a method was asked for.
    pub(crate) fn count(&self, method: &str) -> usize {
        self.asked.lock().expect("requests").iter().filter(|(_, asked)| asked == method).count()
    }

    /// The head of the last request for a method, in lower case.
    pub(crate) fn head(&self, method: &str) -> String {
        let asked = self.asked.lock().expect("requests");
        asked.iter().rev().find(|(_, asked)| asked == method).expect("it was asked for").0.to_lowercase()
    }
}

fn answer(method: &str, request: &Value) -> Option<Value> {
    let schema = json!({ "type": "object", "properties": { "a": { "type": "number" }, "b": { "type": "number" } } });
    let arguments = &request["params"]["arguments"];
    match method {
        "initialize" => Some(json!({
            "protocolVersion": "2025-03-26",
            "capabilities": { "tools": {} },
            "serverInfo": { "name": "fake", "version": "1" },
        })),
        "tools/list" => Some(json!({ "tools": [
            { "name": "add", "description": "Adds two numbers.", "inputSchema": schema },
            { "name": "hidden", "inputSchema": { "type": "object" } },
        ] })),
        "tools/call" if arguments["a"].is_number() => {
            let sum = arguments["a"].as_f64().unwrap_or(0.0) + arguments["b"].as_f64().unwrap_or(0.0);
            Some(json!({ "content": [{ "type": "text", "text": sum.to_string() }] }))
        }
        "tools/call" => Some(json!({ "content": [{ "type": "text", "text": "a is missing" }], "isError": true })),
        _ => None,
    }
}

/// A shell script that speaks MCP over its pipes. Each process of it writes a line into `starts`; the tool `echo` answers the
/// variable `WORD` and the text that it is called with, `end` ends the process without an answer, `hang` never answers.
pub(crate) const SCRIPT: &str = r#"#!/bin/sh
echo started >> "$STARTS"
echo "the fake is here" >&2
while IFS= read -r line; do
  id=$(printf '%s' "$line" | sed -n 's/.*"id":\([0-9][0-9]*\).*/\1/p')
  answer() { printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$id" "$1"; }
  case "$line" in
    *'"method":"initialize"'*)
      answer '{"protocolVersion":"2025-03-26","capabilities":{"tools":{}},"serverInfo":{"name":"fake","version":"1"}}' ;;
    *'"method":"tools/list"'*)
      answer '{"tools":[{"name":"echo","description":"Says it again.","inputSchema":{"type":"object","properties":{"text":{"type":"string"}}}},{"name":"end","inputSchema":{"type":"object"}},{"name":"hang","inputSchema":{"type":"object"}}]}' ;;
    *'"name":"end"'*) exit 1 ;;
    *'"name":"hang"'*) ;;
    *'"name":"echo"'*)
      text=$(printf '%s' "$line" | sed -n 's/.*"text":"\([^"]*\)".*/\1/p')
      answer "{\"content\":[{\"type\":\"text\",\"text\":\"$WORD $text\"}]}" ;;
  esac
done
"#;
