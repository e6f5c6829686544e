//! Text that is too long for one event goes out in several: clients end a stream with a frame of more than 10 MiB
//! (section 2.1).

use std::mem;

use crate::agui::compact::MAX_DELTA_BYTES;
use crate::agui::event::Event;

/// Pushes an event, or the pieces of it that a client takes. Only the first of them has its metadata and the provider's event.
pub(super) fn push(mut event: Event, out: &mut Vec<Event>) {
    let Some(text) = text_of(&mut event).filter(|text| text.len() > MAX_DELTA_BYTES).map(mem::take) else {
        return out.push(event);
    };
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(MAX_DELTA_BYTES));
        let mut part = event.clone();
        text_of(&mut part).expect("it is a piece of text as the whole is").push_str(piece);
        out.push(part);
        if !event.base().is_empty() {
            let base = event.base_mut();
            (base.metadata, base.raw_event) = (None, None);
        }
        rest = after;
    }
}

/// The streamed text of an event that has any.
fn text_of(event: &mut Event) -> Option<&mut String> {
    match event {
        Event::TextMessageContent(event) => Some(&mut event.delta),
        Event::ReasoningMessageContent(event) => Some(&mut event.delta),
        Event::ToolCallArgs(event) => Some(&mut event.delta),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agui::{Object, to_json};

    #[test]
    fn a_text_that_is_too_long_goes_out_in_pieces_that_end_between_characters() {
        let text = format!("a{}", "é".repeat(MAX_DELTA_BYTES));
        for mut event in [
            Event::text_content("m", text.as_str()),
            Event::reasoning_message_content("m", text.as_str()),
            Event::tool_call_args("c", text.as_str()),
        ] {
            event.base_mut().timestamp = Some(1);
            event.base_mut().metadata = Some(Object::empty());
            event.base_mut().raw_event = Some(to_json(&1));
            event.base_mut().subagent_run_id = Some("s".to_owned());
            let mut out = Vec::new();
            push(event.clone(), &mut out);
            assert_eq!(out.len(), 3);
            let joined: String = out.iter_mut().map(|event| text_of(event).expect("text").clone()).collect();
            assert!(joined == text, "nothing is lost");
            for (place, piece) in out.iter().enumerate() {
                assert_eq!(piece.event_type(), event.event_type());
                assert_eq!(piece.message_id().or(piece.tool_call_id()), event.message_id().or(event.tool_call_id()));
                let base = piece.base();
                assert_eq!((base.timestamp, base.subagent_run_id.as_deref()), (Some(1), Some("s")));
                assert_eq!((base.metadata.is_some(), base.raw_event.is_some()), (place == 0, place == 0));
            }
        }
    }

    #[test]
    fn what_fits_into_an_event_stays_one() {
        let mut out = Vec::new();
        push(Event::text_content("m", "x".repeat(MAX_DELTA_BYTES)), &mut out);
        push(Event::text_content("m", ""), &mut out);
        assert_eq!(out.len(), 2);
    }
}
