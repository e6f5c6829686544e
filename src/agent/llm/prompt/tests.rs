use serde_json::json;

use super::*;
use crate::agent::definition::Kind;
use crate::agent::native::rehearsal::user;

/// The definition that a file of this text is.
fn definition(text: &str) -> Definition {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("helper.md");
    std::fs::write(&file, text).expect("a file");
    let folder = crate::agent::folder::Folder::load(folder.path());
    folder.definitions.into_iter().next().unwrap_or_else(|| panic!("{:?}", folder.problems))
}

fn prompt(template: &str) -> Prompt {
    let definition = definition(&format!("---\nname: Helper\nagent: {{ kind: llm, model: a/b }}\n---\n{template}"));
    let Kind::Llm(llm) = &definition.kind else { panic!("it is of kind llm") };
    let (text, line) = (llm.instructions.text.clone(), llm.instructions.first_line);
    Prompt::new(&definition, &text, line).unwrap_or_else(|(message, _)| panic!("{message}"))
}

fn opening(template: &str, state: &Value) -> Result<String, AgentError> {
    let opening = prompt(template).opening(&user("hello"), state)?;
    Ok(opening.map(|message| message.text()).unwrap_or_default())
}

#[test]
fn what_the_state_holds_is_never_read_as_a_template() {
    let state = json!({ "name": "{{ agent }}{% raw %}" });
    assert_eq!(opening("Hello {{ state.name }}", &state), Ok("Hello {{ agent }}{% raw %}".to_owned()));
}

#[test]
fn a_template_may_ask_for_what_may_be_absent() {
    let template = "{% if state.trip is defined %}trip{% else %}none{% endif %} {{ props.team | default('nobody') }} {{ agent.id }}";
    assert_eq!(opening(template, &json!({})), Ok("none nobody helper".to_owned()));
    let error = opening("\n\n{{ state.usr.name }}", &json!({})).expect_err("nothing is there");
    assert!(error.message.contains("(line 7)"), "{error}");
}

#[test]
fn a_template_that_never_ends_is_ended() {
    let error = opening("{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}", &json!({}));
    assert_eq!(error.expect_err("it has no fuel left").code, "internal");
}

#[test]
fn no_instructions_and_no_context_are_no_message() {
    assert_eq!(opening("", &json!({})), Ok(String::new()));
    assert!(prompt("").opening(&user("x"), &json!({})).expect("nothing to fill in").is_none());
}

#[test]
fn a_state_that_is_too_long_is_named_and_not_shown() {
    let seen = |value: Value| Visible { version: 7, value: Some(value) };
    let long = closing(&seen(json!({ "log": "x".repeat(STATE_BYTES), "title": "t" })), "").expect("a message").text();
    assert!(long.contains("too long") && long.contains("log, title") && long.len() < 1000, "{long}");
    let short = closing(&seen(json!({ "title": "t" })), "Change it.").expect("a message").text();
    assert!(
        short.contains("version 7") && short.contains("Change it.") && short.contains(r#"{"title":"t"}"#),
        "{short}"
    );
    assert!(
        closing(&Visible { version: 7, value: None }, "").is_none(),
        "an agent that may read nothing is told nothing"
    );
}
