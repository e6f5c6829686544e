//! Definitions that the suite runs: scripted agents for every kind of ending.

/// Talks, works, fails, waits and asks, depending on what the user says.
pub(crate) const DEMO: (&str, &str) = (
    "demo.yaml",
    r#"
name: Demo
description: Answers by script
agent:
  kind: native
  name: scripted
  config:
    pace: 0ms
    turns:
      - when: { resumed: true }
        do: [ { say: "resumed with {status} {payload}" } ]
      - when: { tool: set_theme_color }
        do: [ { say: "the browser said {result}" } ]
      - when: { text: slow }
        do: [ { repeat: { times: 200, do: [ { say: "tick" }, { wait: 50ms } ] } } ]
      - when: { text: long message }
        do: [ { raw: { type: TEXT_MESSAGE_START, messageId: long } }, { repeat: { times: 400, do: [ { raw: { type: TEXT_MESSAGE_CONTENT, messageId: long, delta: "word " } }, { wait: 20ms } ] } } ]
      - when: { text: fail }
        do: [ { say: "partial" }, { fail: { message: "the demo failed", code: demo_failed } } ]
      - when: { text: count }
        do: [ { patch: [ { op: add, path: /count, value: 1 } ] }, { say: "counted" } ]
      - when: { text: colour }
        do: [ { call: { name: set_theme_color, args: { color: teal } } } ]
      - when: { text: approve }
        do: [ { interrupt: { id: approve-1, reason: confirmation, message: "Ship it?" } } ]
      - when: { text: weather }
        do: [ { step: { name: look, do: [ { tool: { name: get_weather, args: { city: Rome }, result: { temperature: 21 } } } ] } }, { reason: "sunny" }, { say: "It is 21 degrees" } ]
      - when: { text: illegal }
        do: [ { say: "before" }, { raw: { type: TEXT_MESSAGE_CONTENT, messageId: nobody, delta: x } } ]
      - when: { text: open }
        do: [ { raw: { type: TEXT_MESSAGE_START, messageId: left-open } }, { raw: { type: TEXT_MESSAGE_CONTENT, messageId: left-open, delta: "half" } } ]
      - do: [ { say: "You said: {message}" } ]
"#,
);

/// The same, with runs that do not outlive their process.
pub(crate) fn fleeting() -> String {
    format!("{}run: {{ durable: off }}\n", DEMO.1)
}

/// Several agents and threads on one document.
pub(crate) const BOARD: (&str, &str) = (
    "board.yaml",
    r#"
name: Board
state: { scope: shared/board, initial: { items: [], owner: nobody } }
agent:
  kind: native
  name: scripted
  config:
    pace: 0ms
    turns:
      - when: { text: add }
        do: [ { patch: [ { op: add, path: /items/-, value: "from the agent" } ] }, { say: "added" } ]
      - when: { text: wait }
        do: [ { repeat: { times: 200, do: [ { wait: 50ms } ] } } ]
      - do: [ { say: "nothing to do" } ]
"#,
);
