use super::*;
use serde_json::json;

fn check_read(text: &str, expected: Result<Value, &str>) {
    let read = read(text, &Limits::of_bytes(1 << 20));
    match (read, expected) {
        (Ok(read), Ok(expected)) => assert_eq!(read, expected, "{text}"),
        (Err(error), Err(expected)) => {
            assert!(error.to_string().starts_with(expected), "{text}: {error}");
        }
        (read, expected) => panic!("{text}: {read:?} instead of {expected:?}"),
    }
}

#[test]
fn well_formed_texts_are_read() {
    check_read(" { \"a\" : [ 1 , -2.5e1 , true , null , \"x\" ] }\n", Ok(json!({"a": [1, -25.0, true, null, "x"]})));
    check_read("\"\\u00e9\\ud83d\\ude00\\/\\b\"", Ok(json!("é😀/\u{8}")));
    check_read("9007199254740991", Ok(json!(9_007_199_254_740_991_i64)));
    check_read("1e20", Ok(json!(1e20)));
    check_read("-0", Ok(json!(0)));
    check_read("0.30000000000000004", Ok(json!(0.1 + 0.2)));
    check_read("{\"prototype\":{\"constructor\":1}}", Ok(json!({"prototype": {"constructor": 1}})));
    check_read("{\"constructor\":[{\"prototype\":1}]}", Ok(json!({"constructor": [{"prototype": 1}]})));
}

#[test]
fn what_is_not_json_is_refused_with_its_place() {
    check_read("", Err("not JSON at byte 0"));
    check_read("{\"a\":[1,]}", Err("not JSON at byte 8 (in `/a/1`)"));
    for text in [
        "01",
        "1.",
        ".5",
        "+1",
        "-",
        "1e",
        "nul",
        "truex",
        "[1 2]",
        "{a:1}",
        "{\"a\"}",
        "{\"a\":1,}",
        "[",
        "\"",
        "\"\n\"",
        "\"\\x\"",
        "\"\\ud800\"",
        "\"\\ud800\\u0041\"",
        "\"\\u12\"",
        "\"\\udc00\"",
        "1 2",
        "\u{feff}1",
        "NaN",
        "Infinity",
        "'a'",
        "\"\\u00é\"",
        "\"\\",
    ] {
        check_read(text, Err("not JSON at byte"));
    }
    assert!(matches!(read(b"\"\xff\"", &Limits::default()), Err(JsonError::Syntax { offset: 1, .. })));
}

#[test]
fn ambiguous_values_are_refused_with_their_path() {
    check_read("{\"a\":{\"b\":1,\"b\":1}}", Err("duplicate key at `/a/b`"));
    check_read("{\"a\":1,\"\\u0061\":1}", Err("duplicate key at `/a`"));
    check_read("[{\"__proto__\":{}}]", Err("the key at `/0/__proto__`"));
    check_read("{\"constructor\":{\"prototype\":1}}", Err("the key at `/constructor/prototype`"));
    check_read("[9007199254740992]", Err("the integer at `/0`"));
    check_read("[-9007199254740992]", Err("the integer at `/0`"));
    check_read("{\"a/b\":123456789012345678901234567890}", Err("the integer at `/a~1b`"));
    check_read("[1e400]", Err("the number at `/0`"));
}

#[test]
fn depth_64_is_read_and_65_is_refused() {
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    assert!(read(nested(64), &Limits::default()).is_ok());
    assert!(matches!(read(nested(65), &Limits::default()), Err(JsonError::TooDeep { max_depth: 64, .. })));
}

#[test]
fn bombs_are_refused_at_once() {
    let limits = Limits::default();
    for bomb in ["[".repeat(1_000_000), "{\"a\":".repeat(1_000_000), "1".repeat(10_000_000)] {
        assert!(read(bomb, &limits).is_err());
    }
    assert_eq!(read("[1,2]", &Limits::of_bytes(4)), Err(JsonError::TooLarge { max_bytes: 4 }));
    let keys = |count: usize| (0..count).map(|n| (n.to_string(), json!(0))).collect::<Value>();
    assert!(read(keys(99_999).to_string(), &limits).is_ok());
    assert_eq!(read(keys(100_000).to_string(), &limits), Err(JsonError::TooManyValues { max_values: 100_000 }));
    let many = Limits { max_values: 3, ..limits };
    assert!(read("[1,2]", &many).is_ok());
    assert!(read("[1,2,3]", &many).is_err_and(|error| error.is_too_large()));
}

#[test]
fn a_key_has_at_most_1024_bytes() {
    let limits = Limits::default();
    let object = |length: usize| json!({ "a": [{ "k".repeat(length): 1 }] });
    assert!(read(object(1024).to_string(), &limits).is_ok() && check(&object(1024), &limits).is_ok());
    let refused = JsonError::KeyTooLong { path: Pointer::parse("/a/0").unwrap(), max_key_bytes: 1024 };
    assert_eq!(read(object(1025).to_string(), &limits), Err(refused.clone()));
    assert_eq!(check(&object(1025), &limits), Err(refused));
}

#[test]
fn a_tree_is_refused_for_what_its_text_would_be() {
    let limits = Limits::of_bytes(100);
    assert_eq!(check(&json!({"a": [1, "é"]}), &limits), Ok(json!({"a": [1, "é"]}).to_string().len()));
    let nested = |depth: usize| (0..depth).fold(json!(1), |inner, _| json!([inner]));
    assert!(check(&nested(64), &Limits::default()).is_ok());
    assert!(matches!(check(&nested(65), &Limits::default()), Err(JsonError::TooDeep { .. })));
    assert!(matches!(check(&json!([u64::MAX]), &limits), Err(JsonError::UnsafeInteger { .. })));
    assert!(matches!(check(&json!({"constructor": {"prototype": 1}}), &limits), Err(JsonError::PrototypeKey { .. })));
    assert!(matches!(check(&json!("x".repeat(99)), &limits), Err(JsonError::TooLarge { .. })));
    let at = Pointer::parse("/constructor").unwrap();
    assert!(matches!(check_at(&json!({"prototype": 1}), &at, &limits), Err(JsonError::PrototypeKey { .. })));
}

#[test]
fn doubles_survive_being_written_and_read() {
    let mut random = crate::state::random::Random::new(7);
    for _ in 0..20_000 {
        let number = f64::from_bits(random.next());
        if let Some(number) = serde_json::Number::from_f64(number) {
            let text = Value::Number(number.clone()).to_string();
            assert_eq!(read(&text, &Limits::default()), Ok(Value::Number(number)), "{text}");
        }
    }
}
