//! Logging: one line an event on standard error, filtered by `COAGENT_LOG`.

mod lines;

use std::io::IsTerminal;
use std::sync::OnceLock;
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use lines::Lines;

/// It logs what it cannot read, which is what people and models say to each other; we log the fault without it.
const SILENCED: &str = "async_openai=off";
/// The parts that are ours.
const OWN: [&str; 2] = ["coagent_runtime", "coagent"];
/// How long the end of the process waits for a reader of standard error.
const PATIENCE: Duration = Duration::from_secs(1);

/// One, as the process has one standard error.
static LINES: OnceLock<Lines> = OnceLock::new();

/// `COAGENT_LOG` cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("COAGENT_LOG `{given}` is not a filter such as info or warn,coagent_runtime=debug: {reason}")]
pub struct BadFilter {
    given: String,
    reason: String,
}

/// Writes what still waits when it is dropped, as long as somebody reads.
#[derive(Debug)]
pub struct Log;

impl Drop for Log {
    fn drop(&mut self) {
        if let Some(lines) = LINES.get() {
            lines.flush(PATIENCE);
        }
    }
}

/// Starts logging. The default level is `info`; `COAGENT_LOG` takes `tracing` filter directives.
pub fn init() -> (Log, Result<(), BadFilter>) {
    let lines = LINES.get_or_init(|| Lines::to(std::io::stderr()));
    let (filter, fault) = match filter() {
        Ok(filter) => (filter, Ok(())),
        Err(bad) => (EnvFilter::new("info"), Err(bad)),
    };
    let filter = filter.add_directive(SILENCED.parse().expect("a constant is a directive"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| lines.clone())
        // It would say so on standard error, and panic where that cannot be written.
        .log_internal_errors(false)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    (Log, fault)
}

/// A line beside the log and in order with it.
pub fn say(line: &str) {
    let lines = LINES.get_or_init(|| Lines::to(std::io::stderr()));
    lines.say(format!("{line}\n").into_bytes());
}

fn filter() -> Result<EnvFilter, BadFilter> {
    let given = std::env::var_os("COAGENT_LOG").unwrap_or_default().to_string_lossy().into_owned();
    if given.trim().is_empty() {
        return Ok(EnvFilter::new("info"));
    }
    if let Some(word) = given.split(',').map(str::trim).find(|directive| is_no_directive(directive)) {
        let reason = format!(
            "`{word}` is no level (error, warn, info, debug, trace or off); what is logged of a part is written \
             part=level, such as hyper=debug"
        );
        return Err(BadFilter { given, reason });
    }
    EnvFilter::builder().parse(&given).map_err(|error| BadFilter { given, reason: error.to_string() })
}

/// Whether it is a word that says neither how much is logged nor of what: a level with a slip of the pen would be the name
/// of a part that does not exist, of which everything is logged, and of all others nothing.
fn is_no_directive(directive: &str) -> bool {
    let says_more = directive.contains(['=', '[', ']', '{', '}', '"']) || directive.contains("::");
    !says_more && !directive.is_empty() && !OWN.contains(&directive) && directive.parse::<LevelFilter>().is_err()
}

#[cfg(test)]
mod tests {
    use super::is_no_directive;

    #[test]
    fn a_word_that_is_neither_a_level_nor_a_part_of_ours_is_no_directive() {
        for good in
            ["info", "WARN", "off", "2", "coagent_runtime", "coagent_runtime::store", "hyper=debug", "[run]", ""]
        {
            assert!(!is_no_directive(good), "{good}");
        }
        for bad in ["wran", "loud", "hyper"] {
            assert!(is_no_directive(bad), "{bad}");
        }
    }
}
