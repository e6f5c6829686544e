//! Reading one frame as an event, as tolerantly as AG-UI's own client and a little more.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::agui::event::{Event, EventType};
use crate::agui::json::without_lone_surrogates;
use crate::agui::legacy;
use crate::agui::read::{Peek, Reader, Unknown, message_of, peek};

/// What one frame turned out to be.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    Event(Event),
    /// A type that AG-UI 1.0 does not have: to be dropped and counted.
    Unknown {
        event_type: String,
    },
}

/// Why a frame is not an event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    #[error("invalid event: the frame is not JSON: {message}")]
    Malformed { message: String },
    #[error("invalid event: the frame is not a JSON object")]
    NotAnObject,
    #[error("invalid event: the frame carries no event type")]
    NoType,
    /// `path` is the JSON pointer of the value that cannot be read.
    #[error("invalid {event_type}: {path}: {message}")]
    Invalid { event_type: EventType, path: String, message: String },
}

impl Event {
    /// Reads one frame as tolerantly as the 1.0 client does and a little more: optional nulls are absent, unknown keys
    /// and unknown union members are dropped (section 3.1), `THINKING_*` and `binary` parts are upgraded (section 1.8),
    /// half characters become U+FFFD. `THINKING_*` carries no ids; its upgraded events have empty ones, which
    /// [`Admission`](crate::agui::Admission) fills in.
    pub fn read(json: &str) -> Result<Reading, ReadError> {
        match Self::read_exactly(json) {
            Err(error) => match without_lone_surrogates(json) {
                Some(repaired) => Self::read_exactly(&repaired),
                None => Err(error),
            },
            reading => reading,
        }
    }

    fn read_exactly(json: &str) -> Result<Reading, ReadError> {
        let name = match peek(json, "type") {
            Peek::Tag(name) if !name.is_empty() => name,
            Peek::Tag(_) | Peek::Missing => {
                check_json(json)?;
                return Err(ReadError::NoType);
            }
            Peek::NotAnObject => {
                check_json(json)?;
                return Err(ReadError::NotAnObject);
            }
        };
        let mut reader = Reader::new(Unknown::Dropped);
        let (event_type, result) = match EventType::parse(&name) {
            Some(event_type) => (event_type, Self::read_as(event_type, json, &mut reader)),
            None => match legacy::upgrade(&name, json, &mut reader) {
                Some(upgraded) => upgraded,
                None => {
                    check_json(json)?;
                    return Ok(Reading::Unknown { event_type: name.into_owned() });
                }
            },
        };
        result.map(Reading::Event).map_err(|error| {
            if error.is_data() {
                ReadError::Invalid { event_type, path: reader.pointer(), message: message_of(&error) }
            } else {
                ReadError::Malformed { message: error.to_string() }
            }
        })
    }
}

fn check_json(json: &str) -> Result<(), ReadError> {
    serde_json::from_str::<&RawValue>(json)
        .map(|_| ())
        .map_err(|error| ReadError::Malformed { message: error.to_string() })
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        match Self::read(<&'de RawValue>::deserialize(deserializer)?.get()).map_err(D::Error::custom)? {
            Reading::Event(event) => Ok(event),
            Reading::Unknown { event_type } => Err(D::Error::custom(format_args!("unknown event type {event_type:?}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_small_enough_to_be_moved_about() {
        assert!(size_of::<Event>() <= 200, "{} bytes", size_of::<Event>());
    }

    fn check(json: &str, expected: Result<&str, &str>) {
        match (Event::read(json), expected) {
            (Ok(Reading::Event(event)), Ok(expected)) => assert_eq!(event.to_json(), expected),
            (Ok(Reading::Unknown { event_type }), Ok(expected)) => assert_eq!(event_type, expected),
            (Err(error), Err(expected)) => assert_eq!(error.to_string(), expected),
            (reading, expected) => panic!("{json}: {reading:?} is not {expected:?}"),
        }
    }

    #[test]
    fn the_type_may_stand_anywhere_and_is_written_first() {
        let written = Ok(r#"{"type":"TEXT_MESSAGE_END","timestamp":7,"messageId":"m"}"#);
        check(r#"{"type":"TEXT_MESSAGE_END","messageId":"m","timestamp":7.0}"#, written);
        check(r#" { "messageId" : "m", "timestamp":7e0 , "type" : "TEXT_MESSAGE_END" } "#, written);
        check(r#"{"ty\u0070e":"TEXT_MESSAGE_END","messageId":"m","timestamp":7}"#, written);
    }

    #[test]
    fn a_time_may_have_fractions_of_a_millisecond_which_are_left_out() {
        for (sent, kept) in [("1795412890631.25", "1795412890631"), ("0.9", "0"), ("-0.5", "-1"), ("1.5e3", "1500")] {
            let sent = format!(r#"{{"type":"RUN_ERROR","timestamp":{sent},"message":"x"}}"#);
            check(&sent, Ok(&format!(r#"{{"type":"RUN_ERROR","timestamp":{kept},"message":"x"}}"#)));
        }
        for sent in ["1e300", "9007199254740993", "\"2026-11-28T00:00:00Z\"", "true"] {
            let refused = Event::read(&format!(r#"{{"type":"RUN_ERROR","timestamp":{sent},"message":"x"}}"#));
            let said = refused.expect_err("no time that clients can hold").to_string();
            assert!(said.starts_with("invalid RUN_ERROR: /timestamp: "), "{said}");
        }
    }

    #[test]
    fn a_refusal_names_the_field() {
        check(r#"{"type":"TEXT_MESSAGE_END"}"#, Err("invalid TEXT_MESSAGE_END: /messageId: is required"));
        check(
            r#"{"type":"STATE_DELTA","delta":[{"op":"add","path":"/a","value":1},{"op":"move","path":"/a","from":3}]}"#,
            Err("invalid STATE_DELTA: /delta/1/from: expected a string"),
        );
        check(
            r#"{"type":"MESSAGES_SNAPSHOT","messages":[{"id":"1","role":"assistant","toolCalls":[{"id":"t","type":"function","function":{"name":"f","arguments":{}}}]}]}"#,
            Err(
                "invalid MESSAGES_SNAPSHOT: /messages/0/toolCalls/0/function/arguments: invalid type: map, expected a string",
            ),
        );
    }

    #[test]
    fn what_is_no_event_says_why() {
        check("[]", Err("invalid event: the frame is not a JSON object"));
        check("{}", Err("invalid event: the frame carries no event type"));
        check(r#"{"type":7}"#, Err("invalid event: the frame carries no event type"));
        check(r#"{"type":""}"#, Err("invalid event: the frame carries no event type"));
        check(
            r#"{"type":"RAW","event":}"#,
            Err("invalid event: the frame is not JSON: expected value at line 1 column 23"),
        );
        check(r#"{"type":"NEW_IDEA"}"#, Ok("NEW_IDEA"));
        check(
            r#"{"type":"RUN_ERROR","message":"x","type":"RAW"}"#,
            Err(r#"invalid RUN_ERROR: /type: expected "RUN_ERROR", found "RAW""#),
        );
    }

    #[test]
    fn half_a_character_does_not_end_a_run() {
        check(
            r#"{"type":"TEXT_MESSAGE_CONTENT","messageId":"m","delta":"a\ud83c"}"#,
            Ok("{\"type\":\"TEXT_MESSAGE_CONTENT\",\"messageId\":\"m\",\"delta\":\"a\u{fffd}\"}"),
        );
    }
}
