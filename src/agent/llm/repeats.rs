//! A model that asks the same again and again is told so, and then its run is ended (docs/agents.md §8).

use super::tools::with_note;
use crate::agent::error::AgentError;

/// From this repetition on the model is told.
const TOLD: u32 = 3;
/// At this one the run ends.
const ENOUGH: u32 = 5;

/// The call that was made last, and how often in a row.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    /// Name, arguments, result.
    last: Option<(String, String, String)>,
    times: u32,
}

/// A result as the model is told it.
#[derive(Debug, PartialEq)]
pub(super) struct Noted {
    pub(super) text: String,
    /// The run ends after it.
    pub(super) enough: Option<AgentError>,
}

impl Repeats {
    /// Takes note of a call and its result.
    pub(super) fn note(&mut self, name: &str, arguments: &str, result: String) -> Noted {
        let same = self.last.as_ref().is_some_and(|last| last.0 == name && last.1 == arguments && last.2 == result);
        self.times = if same { self.times + 1 } else { 1 };
        if !same {
            self.last = Some((name.to_owned(), arguments.to_owned(), result.clone()));
        }
        let enough = (self.times >= ENOUGH).then(|| {
            let message =
                format!("the model called `{name}` {ENOUGH} times in a row and got the same result each time");
            AgentError::new("no_progress", message)
        });
        if self.times < TOLD {
            return Noted { text: result, enough };
        }
        let note = format!("the same call gave the same result {} times in a row: do something else", self.times);
        Noted { text: with_note(result, &note), enough }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_call_with_the_same_result_is_told_and_then_ends_the_run() {
        let mut repeats = Repeats::default();
        let mut call = |arguments: &str, result: &str| repeats.note("f", arguments, result.to_owned());
        let plain = |text: &str| Noted { text: text.to_owned(), enough: None };
        assert_eq!(call("{}", "a"), plain("a"));
        assert_eq!(call("{}", "a"), plain("a"));
        let third = call("{}", "a");
        assert!(third.text.contains("do something else") && third.enough.is_none(), "{third:?}");
        assert_eq!(call("{}", "b"), plain("b"), "another result is progress");
        assert_eq!(call("{\"n\":1}", "b"), plain("b"), "and so is another call");
        for _ in 0..3 {
            assert_eq!(call("{\"n\":1}", "b").enough, None);
        }
        assert_eq!(call("{\"n\":1}", "b").enough.expect("enough").code, "no_progress");
    }
}
