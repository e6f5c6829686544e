//! AG-UI over protobuf (section 2.2): a 4-byte big-endian length, then one `ag_ui.Event` (proto/ag_ui.proto). Each
//! event has exactly one encoding; it knows nothing of who asks for it.

mod frames;
mod read;
mod value;
#[rustfmt::skip]
mod wire;
mod write;

use prost::Message as _;

use crate::agui::event::{Event, EventType};

pub use frames::{Decoder, TooLarge};
pub use read::{DecodeError, read};

/// The media type; an answer's `Content-Type` must be exactly this.
pub const MEDIA_TYPE: &str = "application/vnd.ag-ui.event+proto";

/// Appends the event as one frame.
pub fn write_frame(out: &mut Vec<u8>, event: &Event) {
    let message = wire::Event::from(event);
    let length = u32::try_from(message.encoded_len()).expect("an event is bounded far below 4 GiB");
    out.extend_from_slice(&length.to_be_bytes());
    message.encode(out).expect("a vector takes every write");
}

/// Whether a frame of ours holds an event that the protobuf of 0.x has too: those that have come since got the numbers
/// after its 18 in the envelope. A client of 0.x fails on a frame with one of them.
pub fn is_known_to_legacy(frame: &[u8]) -> bool {
    const LAST_OF_LEGACY: u32 = 18;
    let mut message = frame.get(4..).unwrap_or_default();
    prost::encoding::decode_key(&mut message).is_ok_and(|(arm, _)| arm <= LAST_OF_LEGACY)
}

macro_rules! types {
    ($($event:ident)*) => {
        fn wire_type(event_type: EventType) -> wire::EventType {
            match event_type { $( EventType::$event => wire::EventType::$event, )* }
        }

        fn event_type(wire_type: wire::EventType) -> EventType {
            match wire_type { $( wire::EventType::$event => EventType::$event, )* }
        }
    };
}

types! {
    TextMessageStart TextMessageContent TextMessageEnd TextMessageChunk ToolCallStart ToolCallArgs ToolCallEnd
    ToolCallChunk ToolCallResult StateSnapshot StateDelta MessagesSnapshot ActivitySnapshot ActivityDelta Raw Custom
    RunStarted RunFinished RunError StepStarted StepFinished ReasoningStart ReasoningMessageStart
    ReasoningMessageContent ReasoningMessageEnd ReasoningMessageChunk ReasoningEnd ReasoningEncryptedValue
    SubagentStarted SubagentFinished SubagentError
}
