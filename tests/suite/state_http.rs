//! What routes under `/v1` answer when they refuse: problem details (RFC 9457).

use reqwest::Response;
use serde_json::{Value, json};

use crate::support::server::Home;

/// The body of a refusal, its form checked.
async fn problem(response: Response) -> Value {
    let status = response.status().as_u16();
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let body: Value = response.json().await.expect("a problem is JSON");
    assert_eq!(body["status"], json!(status), "{body}");
    for member in ["type", "title", "code", "detail"] {
        assert!(body[member].as_str().is_some_and(|text| !text.is_empty()), "`{member}` of {body}");
    }
    body
}

#[tokio::test]
async fn an_unknown_path_and_a_foreign_page_are_refused_as_problems() {
    let home = Home::with_agents(&[]);
    let server = home.serve_in_memory();
    let unknown = server.http().get(format!("{}/v1/nothing/here", server.url)).send().await.expect("an answer");
    assert_eq!(problem(unknown).await["code"], "not_found");
    for (header, value) in [("origin", "https://evil.example"), ("host", "evil.example")] {
        let request = server.http().get(format!("{}/v1/nothing", server.url)).header(header, value);
        let body = problem(request.send().await.expect("an answer")).await;
        assert_eq!((&body["code"], &body["status"]), (&json!("forbidden"), &json!(403)));
    }
}
