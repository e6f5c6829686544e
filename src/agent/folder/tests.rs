use super::*;

/// Names below the folder, and what is in them.
type Files<'a> = &'a [(&'a str, &'a str)];

const NATIVE: &str = "agent: { kind: native, name: x }\n";

/// Loads a folder of these files and compares the ids that are served and the problems, as they are printed.
fn check(files: Files<'_>, ids: &[&str], expected: &[&str]) -> Loaded {
    let dir = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }
    let loaded = Folder::load_with(dir.path(), &|_| None);
    let found: Vec<&str> = loaded.definitions.iter().map(|definition| definition.id.as_str()).collect();
    assert_eq!(found, ids, "{:#?}", loaded.problems);
    let prefix = format!("{}/", dir.path().display());
    let printed: Vec<String> = loaded.problems.iter().map(|problem| problem.to_string().replace(&prefix, "")).collect();
    assert_eq!(printed.len(), expected.len(), "{printed:#?}");
    for (printed, expected) in printed.iter().zip(expected) {
        assert!(printed.starts_with(expected), "found    {printed}\nexpected {expected}");
    }
    loaded
}

#[test]
fn an_agent_is_a_file_or_a_folder_with_one() {
    let md = format!("---\n{NATIVE}---\nNotes.\n");
    check(
        &[
            ("a.yaml", NATIVE),
            ("b.md", &md),
            ("c/agent.md", &md),
            ("c/state.schema.json", "{}"),
            ("d/agent.yml", NATIVE),
            ("e.json", r#"{"agent": {"kind": "native", "name": "x"}}"#),
            ("f/agent.toml", "agent = { kind = \"native\", name = \"x\" }"),
        ],
        &["a", "b", "c", "d", "e", "f"],
        &[],
    );
}

#[test]
fn what_is_set_aside_is_no_agent() {
    check(
        &[
            ("_draft.yaml", "broken: ["),
            (".hidden.yaml", "broken: ["),
            ("_parts/agent.yaml", "broken: ["),
            ("README.md", "# Agents"),
            ("a.yaml", NATIVE),
            ("a.yaml~", "broken: ["),
            ("notes.txt", "hello"),
        ],
        &["a"],
        &[],
    );
}

#[test]
fn one_bad_file_disables_that_agent_only() {
    let loaded = check(
        &[("bad.yaml", "agent: { kind: native }\n"), ("good.yaml", NATIVE), ("worse.json", "{")],
        &["good"],
        &["bad.yaml:1:8: `agent.name` is missing", "worse.json:1:"],
    );
    let agents: Vec<_> = loaded.problems.iter().map(|problem| problem.agent.as_deref()).collect();
    assert_eq!(agents, [Some("bad"), Some("worse")]);
}

#[test]
fn two_files_for_one_agent_are_an_error_on_both() {
    check(
        &[("a.yaml", NATIVE), ("a/agent.yaml", NATIVE), ("b.yaml", NATIVE)],
        &["b"],
        &["a/agent.yaml: agent `a` is defined twice", "a.yaml: agent `a` is defined twice"],
    );
    check(
        &[("a/agent.yaml", NATIVE), ("a/agent.toml", "")],
        &[],
        &["a/agent.toml: agent `a` is defined twice", "a/agent.yaml: agent `a` is defined twice"],
    );
}

#[test]
fn names_that_cannot_be_agents_are_told() {
    check(
        &[("Planner.yaml", NATIVE), ("a.b.yaml", NATIVE), ("empty/notes.txt", ""), ("good.yaml", NATIVE)],
        &["good"],
        &[
            "Planner.yaml: `Planner` cannot be an agent's id",
            "a.b.yaml: `a.b` cannot be an agent's id",
            "empty: holds no agent.md",
        ],
    );
}

#[test]
fn shared_files_that_this_version_does_not_read_are_told() {
    check(
        &[("_shared/models.yaml", ""), ("a.yaml", NATIVE)],
        &["a"],
        &["_shared: the folder `_shared` is not supported"],
    );
}

#[test]
fn a_state_may_be_of_a_declared_type() {
    let of = |name: &str| format!("{NATIVE}state: {{ schema: {name}, write: [/days] }}\n");
    let trip = "schema: { type: object, properties: { days: { type: array } } }\n";
    let (good, bad, none) = (of("trip"), of("trip").replace("/days", "/dyas"), of("nothing"));
    check(
        &[("_types/trip.yaml", trip), ("a.yaml", &good), ("b.yaml", &bad), ("c.yaml", &none)],
        &["a"],
        &["b.yaml:2:32: `/dyas` does not exist in `state.schema`", "c.yaml:2:18: type `nothing` is not declared"],
    );
    check(
        &[("_types/trip.yaml", "schema: { type: objekt }\n"), ("a.yaml", &good)],
        &[],
        &["_types/trip.yaml:1:", "a.yaml:2:18: type `trip` is declared, and its file cannot be used"],
    );
}

#[test]
fn a_missing_folder_is_a_problem_that_says_what_to_do() {
    let dir = tempfile::tempdir().expect("a folder");
    let loaded = Folder::load(&dir.path().join("agents"));
    assert_eq!(loaded.definitions, []);
    let message = &loaded.problems[0].message;
    assert!(message.contains("does not exist") && message.contains("--agents"), "{message}");
}

#[test]
fn the_default_agent_is_the_one_called_so_or_marked_so_or_the_first() {
    let marked = &format!("default: true\n{NATIVE}");
    let off = &format!("default: true\nenabled: false\n{NATIVE}");
    let cases: [(Files, Option<&str>); 5] = [
        (&[("a.yaml", NATIVE), ("b.yaml", marked), ("default.yaml", NATIVE)], Some("default")),
        (&[("a.yaml", NATIVE), ("b.yaml", marked), ("c.yaml", marked)], Some("b")),
        (&[("a.yaml", NATIVE), ("b.yaml", NATIVE)], Some("a")),
        (&[("a.yaml", off), ("b.yaml", NATIVE), ("default.yaml", off)], Some("b")),
        (&[], None),
    ];
    for (files, expected) in cases {
        let mut ids: Vec<&str> = files.iter().filter_map(|(name, _)| name.strip_suffix(".yaml")).collect();
        ids.sort_unstable();
        let loaded = check(files, &ids, &[]);
        assert_eq!(
            default_agent(&loaded.definitions.iter().collect::<Vec<_>>()).map(|definition| definition.id.as_str()),
            expected
        );
    }
}
