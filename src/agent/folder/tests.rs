use super::*;
use crate::agent::definition::{AskedModel, Kind};

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
        &["a/agent.yaml:1:1: agent `a` is defined twice", "a.yaml:1:1: agent `a` is defined twice"],
    );
    check(
        &[("a/agent.yaml", NATIVE), ("a/agent.toml", "")],
        &[],
        &["a/agent.toml:1:1: agent `a` is defined twice", "a/agent.yaml:1:1: agent `a` is defined twice"],
    );
}

#[test]
fn a_file_that_is_no_text_is_told_where_it_stops_being_one() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("a.yaml"), b"name: x\n# \xc3\xa9 \xff\n").expect("a file");
    let loaded = Folder::load_with(dir.path(), &|_| None);
    let printed: Vec<String> = loaded.problems.iter().map(ToString::to_string).collect();
    assert_eq!(printed.len(), 1, "{printed:?}");
    assert!(printed[0].contains("/a.yaml:2:5: is not UTF-8: invalid utf-8 sequence"), "{printed:?}");
}

#[test]
fn what_is_no_regular_file_is_told_and_not_waited_for() {
    let dir = tempfile::tempdir().expect("a folder");
    for pipe in ["pipe.yaml", "_types/task.yaml", "_shared/models.yaml"] {
        let path = dir.path().join(pipe);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        let made = std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo");
        assert!(made.success());
    }
    std::fs::create_dir(dir.path().join("linked")).expect("a folder");
    std::fs::write(dir.path().join("_elsewhere"), NATIVE).expect("a file");
    std::os::unix::fs::symlink("../_elsewhere", dir.path().join("linked/agent.yaml")).expect("a link");
    std::os::unix::fs::symlink("pipe.yaml", dir.path().join("link.yaml")).expect("a link");
    let (done, answer) = std::sync::mpsc::channel();
    let folder = dir.path().to_owned();
    std::thread::spawn(move || {
        let _ = done.send(Folder::load_with(&folder, &|_| None));
    });
    let loaded = answer.recv_timeout(std::time::Duration::from_secs(20)).expect("nobody waits for a writer");
    assert_eq!(loaded.definitions.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["linked"]);
    let prefix = format!("{}/", dir.path().display());
    let printed: Vec<String> = loaded.problems.iter().map(|problem| problem.to_string().replace(&prefix, "")).collect();
    let refusal = |name: &str| format!("{name}:1:1: cannot be read: it is no regular file");
    let expected = ["_shared/models.yaml", "_types/task.yaml", "link.yaml", "pipe.yaml"].map(refusal);
    assert_eq!(printed, expected);
}

#[test]
fn names_that_cannot_be_agents_are_told() {
    check(
        &[("Planner.yaml", NATIVE), ("a.b.yaml", NATIVE), ("empty/notes.txt", ""), ("good.yaml", NATIVE)],
        &["good"],
        &[
            "Planner.yaml:1:1: `Planner` cannot be an agent's id",
            "a.b.yaml:1:1: `a.b` cannot be an agent's id",
            "empty:1:1: holds no agent.md",
        ],
    );
}

/// The models that an agent asks, as `field provider/name at address with key at price`.
fn asked(loaded: &Loaded, id: &str) -> Vec<String> {
    let definition = loaded.definitions.iter().find(|definition| definition.id == id).expect("the agent is served");
    let Kind::Llm(llm) = &definition.kind else { panic!("not llm") };
    let told = |model: &AskedModel| {
        let settings = &model.settings;
        let at = settings.base_url.as_ref().map(|url| format!(" at {url}")).unwrap_or_default();
        let price = settings.price.map(|price| format!(" for {}", price.output)).unwrap_or_default();
        format!("{} {}/{}{at} {:?}{price}", model.field, model.provider, model.name, settings.api_key)
    };
    llm.asked.iter().map(told).collect()
}

#[test]
fn a_model_may_have_a_name_of_the_applications_own() {
    let models = "fast: { model: local/small, base_url: \"http://127.0.0.1:1/v1\", params: { temperature: 0.1, max_output_tokens: 5 }, headers: { a: x, b: x }, timeouts: { idle: 1s }, price: { input: 1, output: 2 } }\n\
                  bad: { model: small, api_key: sk-1 }\n\
                  worse: { model: a/b, base_url: \"${env:NOBODY_SETS_THIS}\" }\n";
    let agent = "{ kind: llm, model: fast, fallback: [openai/gpt-5-mini, local/big, fast], params: { temperature: 0.2, extra: { seed: 1 } }, headers: { b: y } }";
    let of = |model: &str| format!("agent: {{ kind: llm, model: {model} }}\n");
    let (bad, worse, none) = (of("bad"), of("worse"), of("slow"));
    let loaded = check(
        &[
            ("_shared/models.yaml", models),
            ("a.yaml", &format!("agent: {agent}\n")),
            ("b.yaml", &bad),
            ("c.yaml", &worse),
            ("d.yaml", &none),
        ],
        &["a"],
        &[
            "_shared/models.yaml:2:15: `bad.model` must be provider/model, such as openai/gpt-5-mini, found `small`",
            "_shared/models.yaml:2:31: a secret is never written into a definition",
            "_shared/models.yaml:3:32: the environment variable `NOBODY_SETS_THIS` is not set",
            "b.yaml:1:28: the model `bad` of `_shared/models.yaml` cannot be used",
            "c.yaml:1:28: the model `worse` of `_shared/models.yaml` cannot be used",
            "d.yaml:1:28: there is no model `slow`: write provider/model, such as openai/gpt-5-mini, or a name of \
             `_shared/models.yaml` (fast)",
        ],
    );
    let key = "Some(Missing { name: \"OPENAI_API_KEY\" })";
    assert_eq!(
        asked(&loaded, "a"),
        [
            "agent.model local/small at http://127.0.0.1:1/v1 None for 2".to_owned(),
            format!("agent.fallback[0] openai/gpt-5-mini {key} for 2"),
            "agent.fallback[1] local/big at http://127.0.0.1:1/v1 None".to_owned(),
            "agent.fallback[2] local/small at http://127.0.0.1:1/v1 None for 2".to_owned(),
        ]
    );
    let Kind::Llm(llm) = &loaded.definitions[0].kind else { panic!("not llm") };
    let (first, second) = (&llm.asked[0].settings, &llm.asked[1].settings);
    assert_eq!((first.params.temperature, first.params.max_output_tokens), (Some(0.2), Some(5)), "its own word counts");
    assert_eq!(first.headers, [("b", "y"), ("a", "x")].map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(first.timeouts.idle, Some(std::time::Duration::from_secs(1)));
    assert_eq!((second.params.temperature, second.params.extra.len()), (Some(0.2), 0), "members are for one provider");
}

#[test]
fn a_definition_is_another_when_any_file_it_is_made_of_is() {
    let of = |files: Files<'_>| check(files, &["a"], &[]).definitions.remove(0);
    let (fast, typed) =
        ("agent: { kind: llm, model: fast }\n", "agent: { kind: native, name: x }\nstate: { schema: trip }\n");
    let filed = typed.replace("trip", "./s.json");
    let cases: [(&str, &str, &str, &str); 3] = [
        (fast, "_shared/models.yaml", "fast: { model: scripted/echo }\n", "fast: { model: scripted/echo } # edited\n"),
        (typed, "_types/trip.yaml", "schema: { type: object }\n", "schema: { type: object, title: Trip }\n"),
        (&filed, "s.json", "{\"type\":\"object\"}", "{\"type\":\"object\",\"title\":\"Trip\"}"),
    ];
    for (agent, file, before, after) in cases {
        // A schema beside a definition is in its folder.
        let (agent_file, file) =
            if file == "s.json" { ("a/agent.yaml", "a/s.json".to_owned()) } else { ("a.yaml", file.to_owned()) };
        let one = of(&[(agent_file, agent), (&file, before)]);
        let same = of(&[(agent_file, agent), (&file, before)]);
        let other = of(&[(agent_file, agent), (&file, after)]);
        assert_eq!(one.hash, same.hash, "{file}");
        assert_ne!(one.hash, other.hash, "{file}");
        assert_eq!(one.files.len(), 2, "{:?}", one.files);
    }
}

#[test]
fn the_folders_own_prices_stand_above_those_that_come_along() {
    let prices = "[\"openai/gpt-5-mini\"]\ninput = 1\noutput = 7\n[\"local/small\"]\ninput = 0\noutput = 0.5\n";
    let agent = "agent: { kind: llm, model: openai/gpt-5-mini, base_url: \"http://x/\", fallback: [local/small, openai/unknown, openai/gpt-5] }\n";
    let loaded = check(&[("_shared/prices.toml", prices), ("a.yaml", agent)], &["a"], &[]);
    let prices: Vec<_> = asked(&loaded, "a").iter().map(|told| told.split(" for ").nth(1).map(str::to_owned)).collect();
    assert_eq!(prices, [Some("7"), Some("0.5"), None, Some("10")].map(|price| price.map(str::to_owned)));
    check(
        &[("_shared/prices.toml", "[\"gpt-5\"]\ninput = 1\noutput = 7\n[\"a/b\"]\ninput = -1\n"), ("a.yaml", NATIVE)],
        &["a"],
        &[
            "_shared/prices.toml:1:2: `gpt-5` names no provider",
            "_shared/prices.toml:4:1: `a/b.output` is missing",
            "_shared/prices.toml:5:9: `a/b.input` must be a number from 0",
        ],
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
