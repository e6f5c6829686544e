//! The process's configuration: flags over environment over `coagent.toml` over defaults (docs/state-api.md §0).

mod live;

use std::ffi::OsStr;
use std::fmt;
use std::net::SocketAddr;
use std::num::ParseIntError;
use std::path::{Path, PathBuf};

use clap::builder::{BoolishValueParser, OsStringValueParser, TypedValueParser};
use clap::{Arg, Args, Command};
use serde::Deserialize;
use thiserror::Error;

pub use live::LiveLimits;

/// A path, or nothing, which the usual parser refuses before it can count as unset.
pub fn any_path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// A number, or nothing, which the usual parser refuses as well.
#[derive(Debug, Clone, Copy)]
pub struct Count(Option<usize>);

impl Count {
    fn parse(text: &str) -> Result<Self, ParseIntError> {
        if text.is_empty() { Ok(Self(None)) } else { text.parse().map(|count| Self(Some(count))) }
    }
}

/// Yes or no in the usual words, or nothing, which is no.
#[derive(Debug, Clone, Copy)]
struct Switch;

impl TypedValueParser for Switch {
    type Value = bool;

    fn parse_ref(&self, command: &Command, argument: Option<&Arg>, value: &OsStr) -> Result<bool, clap::Error> {
        if value.is_empty() { Ok(false) } else { BoolishValueParser::new().parse_ref(command, argument, value) }
    }
}

/// What can be given as flags and environment variables.
#[derive(Debug, Clone, Default, Args)]
pub struct Flags {
    /// Address to listen on; port 0 picks a free one and prints it [default: 127.0.0.1:7070]
    #[arg(long, env = "COAGENT_LISTEN", value_name = "ADDR")]
    pub listen: Option<String>,
    /// Folder with agent definitions [default: ./agents]
    #[arg(long, env = "COAGENT_AGENTS", value_name = "DIR", value_parser = any_path())]
    pub agents: Option<PathBuf>,
    /// Where threads and documents are kept: `sqlite:PATH` or `memory:` [default: sqlite:./data/coagent.db]
    #[arg(long, env = "COAGENT_STORE", value_name = "URL")]
    pub store: Option<String>,
    /// Path under which CopilotKit's routes are served [default: /api/copilotkit]
    #[arg(long, env = "COAGENT_BASE_PATH", value_name = "PATH")]
    pub base_path: Option<String>,
    /// Browser origins that may call, separated by commas, or `*` [default: loopback origins]
    #[arg(long, env = "COAGENT_CORS_ORIGINS", value_name = "LIST")]
    pub cors_origins: Option<String>,
    /// Connections that are served at a time; more are refused [default: 16384]
    #[arg(long, env = "COAGENT_MAX_CONNECTIONS", value_name = "N", value_parser = Count::parse)]
    pub max_connections: Option<Count>,
    /// Serve a copy of all events at `<base path>/cpk-debug-events`, for inspectors
    #[arg(long, env = "COAGENT_DEBUG_EVENTS", value_parser = Switch)]
    pub debug_events: bool,
    /// OpenAI-compatible API that turns speech into text, such as https://api.openai.com/v1; its key comes from
    /// COAGENT_TRANSCRIPTION_KEY
    #[arg(long, env = "COAGENT_TRANSCRIPTION_URL", value_name = "URL")]
    pub transcription_url: Option<String>,
    /// Model that transcribes [default: whisper-1]
    #[arg(long, env = "COAGENT_TRANSCRIPTION_MODEL", value_name = "NAME")]
    pub transcription_model: Option<String>,
    /// Configuration file; without this flag `./coagent.toml` is read when it exists
    #[arg(long, env = "COAGENT_CONFIG", value_name = "FILE", value_parser = any_path())]
    pub config: Option<PathBuf>,
}

impl Flags {
    /// A variable that is set to nothing is not set.
    fn without_empty_ones(self) -> Self {
        let text = |given: Option<String>| given.filter(|text| !text.is_empty());
        let path = |given: Option<PathBuf>| given.filter(|path| !path.as_os_str().is_empty());
        Self {
            listen: text(self.listen),
            agents: path(self.agents),
            store: text(self.store),
            base_path: text(self.base_path),
            cors_origins: text(self.cors_origins),
            max_connections: self.max_connections,
            debug_events: self.debug_events,
            transcription_url: text(self.transcription_url),
            transcription_model: text(self.transcription_model),
            config: path(self.config),
        }
    }
}

/// The same settings in `coagent.toml`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    listen: Option<String>,
    agents: Option<PathBuf>,
    store: Option<String>,
    base_path: Option<String>,
    cors_origins: Option<Origins>,
    max_connections: Option<usize>,
    debug_events: Option<bool>,
    transcription_url: Option<String>,
    transcription_model: Option<String>,
    #[serde(default)]
    live: live::File,
}

/// Origins, as a list or as the flag has them.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "expected a string or a list of strings")]
enum Origins {
    Text(String),
    List(Vec<String>),
}

impl Origins {
    fn text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::List(list) => list.join(","),
        }
    }
}

/// A complete, checked configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    pub listen: SocketAddr,
    pub agents: PathBuf,
    pub store: String,
    /// Begins with `/` and does not end with one, or is empty for the root.
    pub base_path: String,
    pub cors_origins: CorsOrigins,
    pub max_connections: usize,
    pub debug_events: bool,
    pub live: LiveLimits,
    /// Absent when speech is not transcribed.
    pub transcription: Option<Transcription>,
}

/// The API that turns speech into text.
#[derive(Clone, PartialEq, Eq)]
pub struct Transcription {
    /// What audio is posted to.
    pub endpoint: reqwest::Url,
    pub model: String,
    /// The bearer token, from the environment only: flags and files are seen by others.
    pub key: Option<String>,
}

impl fmt::Debug for Transcription {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transcription").field("endpoint", &self.endpoint.as_str()).field("model", &self.model).finish()
    }
}

/// Whose pages may call this server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CorsOrigins {
    /// Pages served from this machine.
    Loopback,
    /// Any page, without credentials.
    Any,
    /// Exactly these origins, lower-case.
    List(Vec<String>),
}

/// A setting that cannot be used; printed in one line, exit code 2.
#[derive(Debug, Error)]
pub enum ConfigError {
    #[error("{file}: {reason}")]
    File { file: String, reason: String },
    #[error("listen address `{given}` is not an address and port such as 127.0.0.1:7070")]
    Listen { given: String },
    #[error(
        "refusing to listen on {given}: this server has no authentication configured, so it listens on loopback addresses only (127.0.0.1 or [::1])"
    )]
    NotLoopback { given: SocketAddr },
    #[error("base path `{given}` must begin with `/` and hold only letters, digits, `-`, `_`, `.`, `~` and `/`")]
    BasePath { given: String },
    #[error("base path `{given}` holds `.` or `..`, which clients take out of a URL: write the path that is left")]
    BasePathDots { given: String },
    #[error(
        "base path `{given}` is taken: /v1, /hooks, /healthz, /readyz and /openapi.json, and what is below them, are the server's own; choose another one, such as /api/copilotkit"
    )]
    BasePathTaken { given: String },
    #[error(
        "CORS origin `{given}` is not an origin such as https://app.example.com (scheme, host and port, nothing after them, no pattern)"
    )]
    Origin { given: String },
    #[error("the number of connections must be at least 1")]
    NoConnections,
    #[error("live.{name} in coagent.toml must be at least {least}")]
    Live { name: &'static str, least: u64 },
    #[error("transcription URL `{given}` is not the http(s) base URL of an API, such as https://api.openai.com/v1")]
    Transcription { given: String },
    #[error("COAGENT_TRANSCRIPTION_KEY has characters that no header may have")]
    TranscriptionKey,
}

/// Where definitions are: as given, else as the configuration file says, else in `./agents`.
pub fn agents_folder(given: Option<PathBuf>) -> Result<PathBuf, ConfigError> {
    match given.filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => Ok(folder),
        None => Ok(File::find(None)?.agents.unwrap_or_else(|| PathBuf::from("./agents"))),
    }
}

impl Config {
    /// Puts the sources together and checks the result.
    pub fn load(flags: Flags) -> Result<Self, ConfigError> {
        let flags = flags.without_empty_ones();
        let file = File::find(flags.config.as_deref())?;
        let max_connections =
            flags.max_connections.and_then(|count| count.0).or(file.max_connections).unwrap_or(16_384);
        if max_connections == 0 {
            return Err(ConfigError::NoConnections);
        }
        let listen = flags.listen.or(file.listen).unwrap_or_else(|| "127.0.0.1:7070".to_owned());
        let cors_origins = flags.cors_origins.or(file.cors_origins.map(Origins::text));
        Ok(Self {
            listen: loopback(&listen)?,
            agents: flags.agents.or(file.agents).unwrap_or_else(|| PathBuf::from("./agents")),
            store: flags.store.or(file.store).unwrap_or_else(|| "sqlite:./data/coagent.db".to_owned()),
            base_path: base_path(flags.base_path.or(file.base_path).as_deref().unwrap_or("/api/copilotkit"))?,
            cors_origins: cors_origins.as_deref().map_or(Ok(CorsOrigins::Loopback), CorsOrigins::parse)?,
            max_connections,
            live: file.live.limits()?,
            debug_events: flags.debug_events || file.debug_events.unwrap_or(false),
            transcription: flags
                .transcription_url
                .or(file.transcription_url)
                .map(|url| Transcription::new(&url, flags.transcription_model.or(file.transcription_model)))
                .transpose()?,
        })
    }
}

impl Transcription {
    fn new(base: &str, model: Option<String>) -> Result<Self, ConfigError> {
        let refused = || ConfigError::Transcription { given: base.to_owned() };
        let endpoint = format!("{}/audio/transcriptions", base.trim_end_matches('/'));
        let endpoint = reqwest::Url::parse(&endpoint).map_err(|_| refused())?;
        if !matches!(endpoint.scheme(), "http" | "https") || endpoint.query().is_some() {
            return Err(refused());
        }
        // Keys are often read from files, which end with a line break.
        let key = std::env::var("COAGENT_TRANSCRIPTION_KEY").unwrap_or_default().trim().to_owned();
        if !key.chars().all(|c| c.is_ascii_graphic()) {
            return Err(ConfigError::TranscriptionKey);
        }
        let key = (!key.is_empty()).then_some(key);
        Ok(Self { endpoint, model: model.unwrap_or_else(|| "whisper-1".to_owned()), key })
    }
}

impl File {
    /// The file that is named, else `./coagent.toml` where there is one.
    fn find(named: Option<&Path>) -> Result<Self, ConfigError> {
        match named {
            Some(path) => Self::read(path),
            None if Path::new("coagent.toml").exists() => Self::read(Path::new("coagent.toml")),
            None => Ok(Self::default()),
        }
    }

    fn read(path: &Path) -> Result<Self, ConfigError> {
        let file = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::File { file: file.to_string(), reason: error.to_string() })?;
        toml::from_str(&text).map_err(|error| {
            let place = error.span().map_or_else(String::new, |span| line_and_column(&text, span.start));
            let reason = error.message().lines().collect::<Vec<_>>().join(" ");
            ConfigError::File { file: format!("{file}{place}"), reason }
        })
    }
}

/// `:line:column`, both from 1.
fn line_and_column(text: &str, offset: usize) -> String {
    let before = &text[..offset.min(text.len())];
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!(":{}:{column}", before.matches('\n').count() + 1)
}

fn loopback(given: &str) -> Result<SocketAddr, ConfigError> {
    let spelled = given.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let address: SocketAddr =
        spelled.as_deref().unwrap_or(given).parse().map_err(|_| ConfigError::Listen { given: given.to_owned() })?;
    if address.ip().is_loopback() { Ok(address) } else { Err(ConfigError::NotLoopback { given: address }) }
}

/// First segments of paths that mean something whatever the base path is.
const TAKEN: [&str; 5] = ["v1", "hooks", "healthz", "readyz", "openapi.json"];

fn base_path(given: &str) -> Result<String, ConfigError> {
    let legal = |c: char| c.is_ascii_alphanumeric() || "-_.~/".contains(c);
    if !given.starts_with('/') || !given.chars().all(legal) || given.contains("//") {
        return Err(ConfigError::BasePath { given: given.to_owned() });
    }
    if given.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err(ConfigError::BasePathDots { given: given.to_owned() });
    }
    if given.split('/').nth(1).is_some_and(|first| TAKEN.contains(&first)) {
        return Err(ConfigError::BasePathTaken { given: given.to_owned() });
    }
    Ok(given.trim_end_matches('/').to_owned())
}

impl CorsOrigins {
    fn parse(given: &str) -> Result<Self, ConfigError> {
        if given.trim() == "*" {
            return Ok(Self::Any);
        }
        // A variable that is set to nothing says nothing.
        if given.trim().is_empty() {
            return Ok(Self::Loopback);
        }
        let origins: Result<Vec<_>, _> =
            given.split(',').map(str::trim).filter(|origin| !origin.is_empty()).map(origin).collect();
        Ok(Self::List(origins?))
    }

    /// Whether a page of this origin may call.
    pub fn allows(&self, origin: &str) -> bool {
        let origin = origin.to_ascii_lowercase();
        match self {
            Self::Any => true,
            Self::List(list) => list.contains(&origin),
            Self::Loopback => {
                let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
                host.is_some_and(is_loopback_host)
            }
        }
    }
}

/// As browsers send it: lower-case, without a default port, names of other alphabets encoded.
fn origin(given: &str) -> Result<String, ConfigError> {
    let refused = || ConfigError::Origin { given: given.to_owned() };
    let url = reqwest::Url::parse(given).map_err(|_| refused())?;
    let is_one_host = url.host_str().is_some_and(|host| !host.contains('*'));
    let ends_there = url.path() == "/" && !given.ends_with(['/', '\\']) && url.query().or(url.fragment()).is_none();
    let names_nobody = url.username().is_empty() && url.password().is_none();
    if !matches!(url.scheme(), "http" | "https") || !is_one_host || !ends_there || !names_nobody {
        return Err(refused());
    }
    Ok(url.origin().ascii_serialization())
}

/// Whether `host[:port]` names this machine: `localhost`, a 127.x address or `[::1]`.
pub fn is_loopback_host(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((name, port)) if port.is_empty() || is_port(port) => name,
            _ => return false,
        },
        None => match host.split_once(':') {
            Some((name, port)) if port.parse::<u16>().is_ok() => name,
            Some(_) => return false,
            None => host,
        },
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn is_port(text: &str) -> bool {
    text.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_pass_as_hosts() {
        for host in ["localhost", "LOCALHOST:7070", "127.0.0.1", "127.0.0.1:80", "127.1.2.3:1", "[::1]", "[::1]:7070"] {
            assert!(is_loopback_host(host), "{host}");
        }
        for host in [
            "localhost.evil.example",
            "evil.example",
            "127.0.0.1.evil.example",
            "[::1].evil",
            "localhost:x",
            "::1:",
            "0.0.0.0",
            "",
        ] {
            assert!(!is_loopback_host(host), "{host}");
        }
    }

    #[test]
    fn origins_are_compared_whole() {
        let list = CorsOrigins::parse("https://app.example.com, http://localhost:3000").expect("a good list");
        assert!(list.allows("https://app.example.com") && list.allows("HTTP://localhost:3000"));
        for origin in
            ["https://app.example.com.evil", "https://app.example.com:444", "http://app.example.com", "null", ""]
        {
            assert!(!list.allows(origin), "{origin}");
        }
        assert!(
            CorsOrigins::Loopback.allows("http://localhost:5173") && CorsOrigins::Loopback.allows("http://[::1]:1")
        );
        assert!(!CorsOrigins::Loopback.allows("null") && !CorsOrigins::Loopback.allows("http://localhost.evil"));
    }

    #[test]
    fn an_origin_is_kept_as_browsers_send_it_and_one_that_none_sends_is_refused() {
        for (given, sent) in [
            ("https://app.example.com:443", "https://app.example.com"),
            ("HTTP://App.Example.com:80", "http://app.example.com"),
            ("http://app.example.com:443", "http://app.example.com:443"),
            ("https://bücher.example", "https://xn--bcher-kva.example"),
            ("http://[0:0:0:0:0:0:0:1]:3000", "http://[::1]:3000"),
        ] {
            let list = CorsOrigins::parse(given).expect("an origin");
            assert_eq!(list, CorsOrigins::List(vec![sent.to_owned()]), "{given}");
        }
        for given in [
            "https://*.example.com",
            "https://*",
            "http://localhost:*",
            "https://app.example.com/",
            "https://app.example.com#top",
            "https://app.example.com?",
            "https://:secret@app.example.com",
            "null",
            "*, https://app.example.com",
        ] {
            assert!(CorsOrigins::parse(given).is_err(), "{given}");
        }
    }

    #[test]
    fn a_bad_setting_is_said_in_one_line() {
        for flags in [
            Flags { listen: Some("0.0.0.0:7070".to_owned()), ..Flags::default() },
            Flags { listen: Some("nowhere".to_owned()), ..Flags::default() },
            Flags { base_path: Some("api".to_owned()), ..Flags::default() },
            Flags { cors_origins: Some("https://x/y".to_owned()), ..Flags::default() },
            Flags { transcription_url: Some("api.openai.com".to_owned()), ..Flags::default() },
            Flags { config: Some(PathBuf::from("/nonexistent/coagent.toml")), ..Flags::default() },
        ] {
            let error = Config::load(flags).expect_err("a bad setting").to_string();
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_base_path_loses_its_trailing_slash() {
        assert_eq!(base_path("/api/copilotkit/").expect("legal"), "/api/copilotkit");
        assert_eq!(base_path("/").expect("legal"), "");
    }
}
