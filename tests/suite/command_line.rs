//! The command line and the configuration as a person meets them: exit codes, and one line that says what is wrong.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::agents::DEMO;
use crate::support::crash::{Mount, run};
use crate::support::server::{Home, Server};

/// Runs `coagent` in a folder with nothing of this environment: exit code, standard output, standard error.
fn coagent(folder: &Path, arguments: &[&str], env: &[(&str, &str)]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coagent"));
    let ours = std::env::vars_os().map(|(name, _)| name).filter(|name| name.to_string_lossy().starts_with("COAGENT"));
    ours.for_each(|name| {
        command.env_remove(name);
    });
    let output = command.current_dir(folder).args(arguments).envs(env.iter().copied()).output().expect("it starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code().expect("a code"), text(output.stdout), text(output.stderr))
}

#[test]
fn whatever_cannot_be_used_is_said_in_one_line_with_exit_code_2() {
    let home = Home::with_agents(&[DEMO]);
    for (arguments, env, says) in [
        (&["--bogus"][..], &[][..], "unexpected argument '--bogus' found"),
        (&["fly"], &[], "unrecognized subcommand 'fly'"),
        (&["serve", "--listen"], &[], "a value is required for '--listen <ADDR>'"),
        (&["serve", "--listen", "0.0.0.0:0"], &[], "refusing to listen on 0.0.0.0:0"),
        (&["serve", "--max-connections", "many"], &[], "invalid value 'many' for '--max-connections <N>'"),
        (&["serve", "--max-connections", "0"], &[], "the number of connections must be at least 1"),
        (&["serve", "--base-path", "/v1/agents"], &[], "base path `/v1/agents` is taken: /v1, /hooks, /healthz, "),
        (
            &["serve", "--base-path", "/a/../b"],
            &[],
            "base path `/a/../b` holds `.` or `..`, which clients take out of a URL",
        ),
        (&["serve", "--base-path", "/./a"], &[], "base path `/./a` holds `.` or `..`"),
        (&["serve", "--base-path", "/v1"], &[], "choose another one, such as /api/copilotkit"),
        (&["serve", "--base-path", "/v1/"], &[], "base path `/v1/` is taken"),
        (&["serve", "--base-path", "/v1/state"], &[], "base path `/v1/state` is taken"),
        (&["serve", "--base-path", "/hooks"], &[], "base path `/hooks` is taken"),
        (&["serve", "--base-path", "/healthz"], &[], "base path `/healthz` is taken"),
        (&["serve", "--base-path", "/openapi.json"], &[], "base path `/openapi.json` is taken"),
        (
            &["serve", "--cors-origins", "https://*.example.com"],
            &[],
            "CORS origin `https://*.example.com` is not an origin such as https://app.example.com (scheme, host and port, \
             nothing after them, no pattern)",
        ),
        (&["serve", "--store", "redis://x"], &[], "expected memory:, sqlite:PATH or sqlite://PATH"),
        (&["serve", "--config", "absent.toml"], &[], "absent.toml: No such file"),
        (
            &["serve"],
            &[("COAGENT_LOG", "info,runtime=loud")],
            "COAGENT_LOG `info,runtime=loud` is not a filter such as info",
        ),
        (&["serve"], &[("COAGENT_LOG", "wran")], "`wran` is no level (error, warn, info, debug, trace or off)"),
        (&["serve"], &[("COAGENT_LOG", "loud,coagent_runtime=debug")], "`loud` is no level"),
        (&["serve"], &[("COAGENT_LISTEN", "nowhere")], "listen address `nowhere`"),
        (&["serve"], &[("COAGENT_MAX_CONNECTIONS", "many")], "invalid value 'many'"),
        (&[], &[("COAGENT_MAX_CONNECTIONS", "many")], "invalid value 'many'"),
        (&["serve"], &[("COAGENT_DEBUG_EVENTS", "perhaps")], "invalid value 'perhaps' for '--debug-events'"),
        (
            &["serve", "--transcription-url", "https://stt.test/v1"],
            &[("COAGENT_TRANSCRIPTION_KEY", "two words")],
            "COAGENT_TRANSCRIPTION_KEY has characters that no header may have",
        ),
        (&["check", "agents"], &[], "unexpected argument 'agents' found"),
        (&["schema"], &[], "required arguments were not provided: <OF>"),
        (&["schema", "poem"], &[], "[possible values: agent, openapi]"),
        (&["state"], &[], "requires a subcommand"),
        (&["state", "get"], &[], "required arguments were not provided: <DOCUMENT>"),
        (
            &["state", "get", "nope"],
            &[],
            "invalid value 'nope' for '<DOCUMENT>': write type/id, for example shared/board",
        ),
        (&["state", "watch", "shared/"], &[], "invalid value 'shared/' for '<DOCUMENTS>...': write type/id"),
        (
            &["state", "put", "shared/x", "{\"a\":1}"],
            &[],
            "No such file or directory (os error 2) (a file is read here; the JSON itself goes behind --data)",
        ),
        (
            &["state", "get", "shared/x"],
            &[("COAGENT_URL", "ftp://localhost:7070")],
            "write http://HOST:PORT or https://HOST",
        ),
        (&["runs"], &[("COAGENT_URL", "")], "write http://HOST:PORT or https://HOST"),
    ] {
        let (code, said, fault) = coagent(home.path(), arguments, env);
        assert_eq!((code, said.as_str(), fault.lines().count()), (2, "", 1), "{arguments:?} {env:?}: {fault}");
        assert!(fault.starts_with("coagent: ") && fault.contains(says), "{arguments:?} {env:?}: {fault}");
    }
}

#[test]
fn a_fault_of_the_configuration_file_is_told_with_its_place() {
    let home = Home::with_agents(&[DEMO]);
    for (file, says) in [
        ("store = \"memory:\"\nlisten = 3", "coagent.toml:2:10: invalid type: integer `3`, expected a string"),
        ("cors_origins = [1]", "coagent.toml:1:16: expected a string or a list of strings"),
        ("cors_origins = [\"https://a.test\", \"https://*\"]", "CORS origin `https://*` is not an origin"),
        ("stoer = 1", "coagent.toml:1:1: unknown field `stoer`, expected one of `listen`"),
        ("listen = \"x", "coagent.toml:1:12: invalid basic string"),
        ("[live]\nsessions = 0", "live.sessions in coagent.toml must be at least 1"),
        ("max_connections = 0", "the number of connections must be at least 1"),
    ] {
        std::fs::write(home.path().join("coagent.toml"), file).expect("a file");
        for command in ["serve", "check"] {
            let (code, _, fault) = coagent(home.path(), &[command], &[]);
            let is_setting = says.starts_with("live") || says.starts_with("CORS") || says.starts_with("the number");
            if command == "check" && is_setting {
                assert_eq!(code, 0, "a check needs to know the folder only: {fault}");
                continue;
            }
            assert_eq!((code, fault.lines().count()), (2, 1), "{command} {file}: {fault}");
            assert!(fault.starts_with("coagent: ") && fault.contains(says), "{command} {file}: {fault}");
        }
    }
}

#[tokio::test]
async fn origins_may_be_a_list_in_the_file_and_a_variable_that_is_set_to_nothing_is_not_set() {
    let home = Home::with_agents(&[DEMO]);
    let config = home.path().join("coagent.toml");
    std::fs::write(&config, "cors_origins = [\"https://a.test\", \"https://b.test\"]").expect("a file");
    let mut options = home.options();
    options.store = "memory:".to_owned();
    options.flags = vec!["--config".to_owned(), config.display().to_string()];
    options.env = ["COAGENT_BASE_PATH", "COAGENT_CORS_ORIGINS", "COAGENT_MAX_CONNECTIONS", "COAGENT_DEBUG_EVENTS"]
        .map(|name| (name.to_owned(), String::new()))
        .to_vec();
    let server = Server::start(options);
    for (origin, is_allowed) in [("https://a.test", true), ("https://b.test", true), ("https://c.test", false)] {
        let request = server.http().get(server.copilotkit("/info")).header("origin", origin);
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.headers().contains_key("access-control-allow-origin"), is_allowed, "{origin}");
    }
    let unset = [
        "COAGENT_LISTEN",
        "COAGENT_STORE",
        "COAGENT_AGENTS",
        "COAGENT_CONFIG",
        "COAGENT_CORS_ORIGINS",
        "COAGENT_MAX_CONNECTIONS",
        "COAGENT_DEBUG_EVENTS",
        "COAGENT_TRANSCRIPTION_URL",
        "COAGENT_TRANSCRIPTION_MODEL",
        "COAGENT_LOG",
    ]
    .map(|name| (name, ""));
    let (code, _, fault) = coagent(home.path(), &["serve", "--base-path", "/v1"], &unset);
    assert!(code == 2 && fault.contains("base path `/v1` is taken"), "nothing else is wrong: {fault}");
    assert_eq!(coagent(home.path(), &["check"], &unset).0, 0);
}

#[test]
fn a_command_whose_reader_has_gone_ends_without_a_word_and_one_that_cannot_print_says_so() {
    let home = Home::with_agents(&[DEMO]);
    for arguments in [&["schema", "agent"][..], &["schema", "openapi"], &["check"], &["--help"], &["serve", "--help"]] {
        let run = |out: Stdio| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_coagent"));
            let ended = command.current_dir(home.path()).args(arguments).stdout(out).stderr(Stdio::piped()).output();
            let ended = ended.expect("it starts");
            (ended.status.code(), String::from_utf8(ended.stderr).expect("text"))
        };
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        assert_eq!(run(writer.into()), (Some(0), String::new()), "{arguments:?}");
        let full = std::fs::File::options().write(true).open("/dev/full").expect("a device");
        let (code, fault) = run(full.into());
        assert_eq!((code, fault.lines().count()), (Some(1), 1), "{arguments:?}: {fault}");
        assert!(fault.starts_with("coagent: standard output: No space left"), "{arguments:?}: {fault}");
    }
}

#[test]
fn a_database_that_cannot_be_used_is_said_in_one_line_with_exit_code_2() {
    let home = Home::with_agents(&[DEMO]);
    let (disk, file) = (home.path().join("disk"), home.path().join("disk/a.db"));
    let serve = || {
        let arguments = ["serve", "--listen", "127.0.0.1:0", "--store", "sqlite:disk/a.db"];
        let (code, _, fault) = coagent(home.path(), &arguments, &[]);
        assert_eq!((code, fault.lines().count()), (2, 1), "{fault}");
        fault
    };
    std::fs::create_dir(&disk).expect("a folder");
    let hand_made = rusqlite::Connection::open(&file).expect("a database");
    hand_made.execute_batch("PRAGMA application_id = 1129267527; CREATE TABLE streams (a);").expect("a table");
    drop(hand_made);
    let fault = serve();
    assert!(fault.contains("a.db: it says that it has no tables (user_version 0) and has some"), "{fault}");
    std::fs::remove_file(&file).expect("the file is there");
    let _mounted = match Mount::new(&disk, &["-t", "tmpfs", "-o", "size=4m", "tmpfs"]) {
        Ok(mounted) => mounted,
        Err(why) => return println!("skipped: no disk that can be made read-only: {why}"),
    };
    rusqlite::Connection::open(&file).expect("a database").execute_batch("VACUUM").expect("it is written");
    let mount = |arguments: &[&str]| run(Command::new("mount").args(arguments).arg(&file)).expect("it can be mounted");
    mount(&["--bind", file.to_str().expect("text")]);
    mount(&["-o", "remount,bind,ro"]);
    let fault = serve();
    assert!(fault.contains("a.db cannot be written (") && fault.contains("choose another database"), "{fault}");
    run(Command::new("umount").arg(&file)).expect("it is mounted");
    run(Command::new("mount").args(["-o", "remount,ro"]).arg(&disk)).expect("it can be mounted");
    let fault = serve();
    assert!(fault.contains("disk/a.db.lock cannot be written (Read-only file system"), "{fault}");
}

#[test]
fn a_check_looks_where_the_server_would() {
    let home = Home::with_agents(&[]);
    std::fs::create_dir(home.path().join("elsewhere")).expect("a folder");
    std::fs::write(home.path().join("elsewhere").join("a.yaml"), "agent: {}").expect("a file");
    std::fs::write(home.path().join("coagent.toml"), "agents = \"elsewhere\"").expect("a file");
    let (code, said, _) = coagent(home.path(), &["check"], &[]);
    assert!(code == 1 && said.contains("a.yaml:1:8: `agent.kind` is missing"), "{said}");
    assert_eq!(coagent(home.path(), &["check"], &[("COAGENT_AGENTS", "agents")]).0, 0, "the environment wins");
    assert_eq!(coagent(home.path(), &["check", "--agents", "agents"], &[("COAGENT_AGENTS", "elsewhere")]).0, 0);
}

#[test]
fn help_and_version_are_no_faults() {
    let home = Home::with_agents(&[]);
    let (code, said, fault) = coagent(home.path(), &["--version"], &[]);
    assert_eq!((code, said.as_str(), fault.as_str()), (0, "coagent 0.1.0\n", ""));
    for arguments in [&["--help"][..], &["serve", "--help"], &["state", "put", "-h"]] {
        let (code, said, fault) = coagent(home.path(), arguments, &[]);
        assert!(code == 0 && said.contains("Usage: coagent") && fault.is_empty(), "{arguments:?}: {said}{fault}");
    }
}

#[test]
fn help_describes_every_argument() {
    let home = Home::with_agents(&[]);
    let commands: [&[&str]; 18] = [
        &["serve"],
        &["check"],
        &["run"],
        &["runs"],
        &["runs", "show"],
        &["runs", "cancel"],
        &["agents"],
        &["agents", "pause"],
        &["agents", "resume"],
        &["state", "get"],
        &["state", "put"],
        &["state", "patch"],
        &["state", "watch"],
        &["state", "history"],
        &["state", "rollback"],
        &["state", "export"],
        &["state", "import"],
        &["schema"],
    ];
    for command in commands {
        let (_, help, _) = coagent(home.path(), &[command, &["-h"]].concat(), &[]);
        let listed = help.lines().filter(|line| line.trim_start().starts_with(['-', '<', '[']));
        let bare: Vec<&str> = listed.filter(|line| !line.trim().contains("  ")).collect();
        assert!(bare.is_empty() && help.contains("Usage: "), "{command:?}: {bare:?}\n{help}");
    }
}

#[tokio::test]
async fn a_server_may_be_named_without_its_scheme() {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve_in_memory();
    let address = server.url.strip_prefix("http://").expect("plain HTTP");
    let (code, said, fault) = coagent(home.path(), &["agents"], &[("COAGENT_URL", address)]);
    assert!(code == 0 && said.contains("demo"), "{code} {said} {fault}");
}

#[tokio::test]
async fn a_switch_in_the_environment_may_be_a_number() {
    let home = Home::with_agents(&[DEMO]);
    for (value, status) in [("1", 200), ("true", 200), ("0", 404), ("false", 404)] {
        let mut options = home.options();
        options.store = "memory:".to_owned();
        options.env = vec![("COAGENT_DEBUG_EVENTS".to_owned(), value.to_owned())];
        let server = Server::start(options);
        let feed = server.http().get(server.copilotkit("/cpk-debug-events")).send().await.expect("an answer");
        assert_eq!(feed.status(), status, "{value}");
    }
}
