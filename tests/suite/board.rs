//! The agents that ship in `agents/`: three of them work on a board with nobody watching.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::server::{Home, Server};

fn shipped() -> Home {
    let home = Home::with_agents(&[]);
    for agent in ["board-intake", "board-planner", "board-worker"] {
        for file in ["agent.md", "model.yaml"] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("agents").join(agent).join(file);
            let text = std::fs::read_to_string(path).expect("it is shipped");
            home.write_agent(&format!("{agent}/{file}"), &text);
        }
    }
    home
}

async fn until_done(server: &Server, task: &str) -> Value {
    for _ in 0..1200 {
        let task = server.data(&format!("task/{task}")).await;
        if task["status"] == "done" {
            return task;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("task/{task} does not get done");
}

#[tokio::test]
async fn three_agents_take_tasks_from_new_to_done_with_nobody_watching() {
    let home = shipped();
    let server = home.serve();
    let tasks: Vec<String> = (1..=4).map(|n| format!("t{n}")).collect();
    for task in &tasks {
        let made = server.put_document(&format!("task/{task}"), &json!({ "title": format!("Do {task}") }), &[]).await;
        assert_eq!(made.status, 201, "{made:?}");
    }
    for task in &tasks {
        let done = until_done(&server, task).await;
        assert_eq!((&done["assignee"], &done["progress"]), (&json!("planner"), &json!(1)), "{done}");
        assert!(done["result"].is_string() && done["input"]["steps"].as_array().is_some_and(|steps| steps.len() == 3));
        // Each hop has the one before as its cause: intake, planner, worker.
        let history = server.get_v1(&format!("/state/task/{task}/history")).await.body["commits"].clone();
        let commits = history.as_array().unwrap();
        let by: Vec<_> = commits.iter().map(|commit| commit["actor"].as_str().unwrap()).collect();
        let expected = [
            "user:local",
            "agent:board-intake",
            "agent:board-planner",
            "agent:board-planner",
            "agent:board-worker",
            "agent:board-worker",
        ];
        assert_eq!(by, expected);
        let run = server.record(commits[5]["run_id"].as_str().unwrap()).await;
        let chain = [&commits[1]["run_id"], &commits[2]["run_id"]];
        assert_eq!((&run["cause"]["chain"], &run["cause"]["depth"]), (&json!(chain), &json!(2)));
    }
    for _ in 0..400 {
        let log = server.data("shared/board").await["log"].as_array().unwrap().len();
        if log == 2 * tasks.len() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the board lacks lines: {}", server.data("shared/board").await);
}
