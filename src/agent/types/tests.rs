use super::*;
use serde_json::json;
use std::fs;

/// The types of a folder with these files below `_types`, and the problems in it as they print, without the folder.
fn load(files: &[(&str, &str)]) -> (Types, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("_types")).unwrap();
    for (name, text) in files {
        fs::write(folder.path().join("_types").join(name), text).unwrap();
    }
    let (types, problems) = Types::load_with(folder.path(), &|name| (name == "WHO").then(|| "ann".to_owned()));
    let prefix = format!("{}/", folder.path().join("_types").display());
    (types, problems.iter().map(|problem| problem.to_string().replace(&prefix, "")).collect())
}

#[test]
fn the_built_in_types_are_there_without_a_folder() {
    let (types, problems) = Types::load(Path::new("/nowhere"));
    assert_eq!(problems, []);
    assert_eq!(
        types.all().map(|spec| spec.name.as_str()).collect::<Vec<_>>(),
        ["agent", "lifecycle", "shared", "task"]
    );
    assert!(types.get("trip").is_none() && types.get("shared").unwrap().schema.is_none());
    let task = types.get("task").unwrap();
    let schema = task.schema.as_ref().unwrap();
    assert!(schema.whole().is_empty(), "a task is judged where it is touched");
    assert_eq!(schema.faults(&task.born(json!({"title": "t"}))), []);
    assert_eq!(schema.faults(&task.born(json!({"title": "t", "status": "done", "extra": 1, "progress": 0.5}))), []);
    assert_eq!(schema.faults(&task.born(json!({}))).len(), 1);
    assert_eq!(schema.faults(&json!({"title": "t", "status": "idle", "progress": 2})).len(), 2);
    assert_eq!(task.born(json!({"status": "ready"})), json!({"status": "ready"}));
}

#[test]
fn a_file_declares_a_type() {
    let trip = "
schema:
  type: object
  properties:
    seats: { type: integer, x-merge: counter }
    code: { description: '${env:NOT}' }
put: merge
retention: { versions: 1000, days: 30 }
limits: { document_bytes: 1000, depth: 8, operations: 10 }
initial: { owner: '${env:WHO}', seats: 0 }
durability: sync
";
    let (types, problems) = load(&[("trip.yaml", trip), ("task.json", "{\"put\": \"merge\"}"), ("README.md", "")]);
    assert_eq!(problems, Vec::<String>::new());
    let spec = types.get("trip").unwrap();
    assert_eq!(spec.put, Put::Merge);
    assert_eq!(spec.retention, Retention { versions: Some(1000), days: Some(30) });
    assert_eq!((spec.limits.max_bytes, spec.limits.max_depth, spec.limits.max_ops), (1000, 8, 10));
    assert_eq!(spec.born(json!({"seats": 2})), json!({"owner": "ann", "seats": 2}));
    assert_eq!(spec.schema.as_ref().unwrap().faults(&json!({"seats": "two"})).len(), 1);
    assert!(types.get("task").unwrap().schema.is_none(), "a declaration replaces the built-in type whole");
}

#[test]
fn what_is_wrong_is_told_with_its_line_and_column() {
    let bad = "schema:\n  properties:\n    a:\n      x-merge: sum\n    b: { $ref: 'https://example.com/x' }\nput: both\nretension: 1\nlimits: { depth: 100 }\n";
    let (types, problems) = load(&[
        ("bad.yaml", bad),
        ("Trip.yaml", ""),
        ("lifecycle.yaml", ""),
        ("two.yaml", "put: merge"),
        ("two.json", "{}"),
        ("broken.yaml", "schema: ["),
    ]);
    assert!(
        types.get("bad").is_none() && types.is_broken("bad") && types.is_broken("broken") && !types.is_broken("two")
    );
    let told = |start: &str, words: &str| {
        let found = problems.iter().any(|problem| problem.starts_with(start) && problem.contains(words));
        assert!(found, "{start} {words} in {problems:#?}");
    };
    told("bad.yaml:4:16:", "is no merge rule");
    told("bad.yaml:6:6:", "put");
    told("bad.yaml:7:1:", "retension");
    told("bad.yaml:8:18:", "depth");
    told("Trip.yaml:", "cannot be a type");
    told("lifecycle.yaml:", "cannot be declared");
    told("two.yaml:", "declared twice");
    told("broken.yaml:", "");
}
