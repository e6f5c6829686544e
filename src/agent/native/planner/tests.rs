use serde_json::{Value, json};

use super::Planner;
use super::list::{Request, request, titles};
use crate::agent::native::rehearsal::{BEFORE_PATCH, play, play_with, tool, user};

fn planner() -> Planner {
    Planner::new(&json!({ "pace": "0ms" })).expect("a good configuration")
}

fn statuses(document: &Value) -> Vec<String> {
    let steps = document["steps"].as_array().expect("a list");
    steps
        .iter()
        .map(|step| format!("{} {}", step["title"].as_str().unwrap(), step["status"].as_str().unwrap()))
        .collect()
}

#[tokio::test]
async fn a_goal_becomes_a_list_that_is_worked_through_step_by_step() {
    let played = play(&planner(), user("plan shop, cook, eat"), json!({ "goal": "", "steps": [] })).await;
    assert_eq!(played.document["goal"], "shop, cook, eat");
    assert_eq!(statuses(&played.document), ["shop done", "cook done", "eat done"]);
    let steps = played.events.iter().filter(|event| event["type"] == "STEP_FINISHED");
    assert_eq!(steps.count(), 3);
    assert_eq!(played.said().last().map(String::as_str), Some("The list is done."));
    played.ended.expect("it ends well");
}

#[tokio::test]
async fn edits_that_people_make_meanwhile_are_respected() {
    let list = json!({ "steps": [
        { "id": "1", "title": "a", "status": "pending" },
        { "id": "2", "title": "b", "status": "pending" },
        { "id": "3", "title": "c", "status": "pending" },
    ] });
    let mut edited = false;
    let played = play_with(&planner(), user("continue"), list, |event, document| {
        if event["type"] == "TEXT_MESSAGE_CONTENT" && !edited {
            edited = true;
            let steps = document["steps"].as_array_mut().expect("a list");
            steps[2]["status"] = json!("done");
            steps.remove(0);
            steps.insert(0, json!({ "title": "first", "status": "pending" }));
        }
    })
    .await;
    assert_eq!(statuses(&played.document), ["first done", "b done", "c done"]);
    assert!(played.said().iter().any(|text| text == "Somebody settled “a” while I was at it."), "{:?}", played.said());
    let worked: Vec<&Value> =
        played.events.iter().filter(|event| event["type"] == "STEP_STARTED").map(|event| &event["stepName"]).collect();
    assert_eq!(worked, ["a", "first", "b"], "what was ticked is skipped, what was added is done");
}

#[tokio::test]
async fn an_item_that_moves_just_before_a_write_is_marked_where_it_stands_then() {
    let list = json!({ "steps": [{ "id": "1", "title": "a", "status": "pending" }] });
    let mut patches = 0;
    let played = play_with(&planner(), user("continue"), list, |event, document| {
        patches += usize::from(event["type"] == BEFORE_PATCH);
        if event["type"] == BEFORE_PATCH && patches == 2 {
            let steps = document["steps"].as_array_mut().expect("a list");
            steps.insert(0, json!({ "id": "0", "title": "note", "status": "done", "by": "ann" }));
            steps.insert(0, json!({ "id": "9", "title": "late", "status": "pending" }));
        }
    })
    .await;
    assert_eq!(statuses(&played.document), ["late done", "note done", "a done"]);
    let started: Vec<&Value> =
        played.events.iter().filter(|event| event["type"] == "STEP_STARTED").map(|event| &event["stepName"]).collect();
    assert_eq!(started, ["a", "late"], "the moved item is finished, not begun again");
}

#[tokio::test]
async fn what_is_not_a_plan_gets_an_explanation() {
    for (text, answer) in [("hello", "Write “plan” and a goal"), ("continue", "There is no list yet")] {
        let played = play(&planner(), user(text), json!({})).await;
        assert!(played.said()[0].starts_with(answer), "{text}: {:?}", played.said());
    }
}

#[test]
fn requests_are_understood_as_people_write_them() {
    for (text, expected) in [
        ("plan a picnic", Request::Plan("a picnic".to_owned())),
        (" Plan:  a picnic ", Request::Plan("a picnic".to_owned())),
        ("plan", Request::Other),
        ("planes", Request::Other),
        ("Continue!", Request::Continue),
        ("continue please", Request::Continue),
    ] {
        assert_eq!(request(text), expected, "{text}");
    }
    assert_eq!(titles("a; b"), ["a", "b"]);
    assert_eq!(titles("a picnic").len(), 5);
}

#[tokio::test]
async fn asked_what_to_say_next_it_offers_what_fits_the_list_and_plans_nothing() {
    let open = json!({ "steps": [{ "id": "a", "title": "a", "status": "pending" }] });
    for (state, offered) in [(json!({}), "plan a picnic"), (open, "continue")] {
        let mut input = user("Suggest what the user could say next: plan something");
        input.tools = vec![tool("copilotkitSuggest", &json!({}))];
        let played = play(&planner(), input, state.clone()).await;
        assert_eq!(played.types(), ["TOOL_CALL_START", "TOOL_CALL_ARGS", "TOOL_CALL_END"]);
        assert!(played.arguments()[0].contains(offered), "{:?}", played.arguments());
        assert_eq!(played.document, state);
    }
}
