//! Documents of a running server, as an HTTP client sees them.

use reqwest::header::HeaderMap;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::server::Server;

/// An answer with its body read.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

pub(crate) const JSON_PATCH: &str = "application/json-patch+json";
pub(crate) const MERGE_PATCH: &str = "application/merge-patch+json";
pub(crate) const INTENTS: &str = "application/vnd.coagent.intents+json";

impl Answer {
    async fn of(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.expect("a body");
        let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).expect("JSON") };
        if status >= 400 {
            check_problem(status, &headers, &body);
        }
        Self { status, headers, body }
    }

    pub(crate) fn etag(&self) -> String {
        self.headers["etag"].to_str().expect("an entity tag").to_owned()
    }

    pub(crate) fn version(&self) -> u64 {
        self.body["version"].as_u64().unwrap_or_else(|| panic!("no version in {self:?}"))
    }

    /// Status and code of a refusal.
    pub(crate) fn refusal(&self) -> (u16, &str) {
        (self.status, self.body["code"].as_str().unwrap_or("no code"))
    }
}

/// RFC 9457, with every member a client may rely on.
fn check_problem(status: u16, headers: &HeaderMap, body: &Value) {
    assert_eq!(headers["content-type"], "application/problem+json", "{body}");
    assert_eq!(body["status"], json!(status), "{body}");
    for member in ["type", "title", "code", "detail"] {
        assert!(body[member].as_str().is_some_and(|text| !text.is_empty()), "`{member}` of {body}");
    }
}

impl Server {
    /// Any request under `/v1`.
    pub(crate) async fn v1(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> Answer {
        let mut request = self.http().request(method, format!("{}/v1{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        Answer::of(request.send().await.expect("an answer")).await
    }

    pub(crate) async fn get_v1(&self, path: &str) -> Answer {
        self.v1(Method::GET, path, &[], None).await
    }

    pub(crate) async fn put_document(&self, name: &str, body: &Value, headers: &[(&str, &str)]) -> Answer {
        self.send(Method::PUT, &format!("/state/{name}"), "application/json", body, headers).await
    }

    pub(crate) async fn patch_document(
        &self,
        name: &str,
        kind: &str,
        body: &Value,
        headers: &[(&str, &str)],
    ) -> Answer {
        self.send(Method::PATCH, &format!("/state/{name}"), kind, body, headers).await
    }

    pub(crate) async fn delete_document(&self, name: &str, headers: &[(&str, &str)]) -> Answer {
        self.v1(Method::DELETE, &format!("/state/{name}"), headers, None).await
    }

    pub(crate) async fn post_v1(&self, path: &str, body: &Value, headers: &[(&str, &str)]) -> Answer {
        self.send(Method::POST, path, "application/json", body, headers).await
    }

    async fn send(&self, method: Method, path: &str, kind: &str, body: &Value, headers: &[(&str, &str)]) -> Answer {
        let headers: Vec<_> = std::iter::once(("content-type", kind)).chain(headers.iter().copied()).collect();
        self.v1(method, path, &headers, Some(body.to_string())).await
    }

    /// The body of a document that exists.
    pub(crate) async fn data(&self, name: &str) -> Value {
        let mut read = self.get_v1(&format!("/state/{name}")).await;
        assert_eq!(read.status, 200, "{read:?}");
        read.body["data"].take()
    }
}
