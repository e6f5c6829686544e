//! What a finished run is told again as: its compacted events, encoded.

use std::sync::Arc;

use bytes::Bytes;

use crate::agui::{Compacted, Dialect, Event, Message, Reading, echoed, sse};

use super::RecordError;

/// About what a frame takes whose text is short.
const FRAME_BYTES: usize = 192;

/// The frames of a finished run in one dialect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Retelling {
    pub(super) bytes: Bytes,
    /// Where the last frame (the terminal) begins.
    terminal: usize,
}

impl Retelling {
    /// `opening` is the frame of `RUN_STARTED`, if this dialect's is there already.
    pub(super) fn encode(events: &[Compacted], dialect: Dialect, epoch: &str, opening: Option<&Bytes>) -> Self {
        let ids = sse::Ids::of(epoch);
        let (mut bytes, mut terminal) = (Vec::with_capacity(events.len() * FRAME_BYTES), 0);
        for item in events {
            let said = item.event.for_dialect(dialect);
            if said.is_none() && item.cut.is_none() {
                continue;
            }
            terminal = bytes.len();
            item.cut.iter().for_each(|position| ids.write(&mut bytes, *position));
            match (said.as_deref(), opening) {
                (Some(Event::RunStarted(_)), Some(opening)) => bytes.extend_from_slice(opening),
                (Some(event), _) => sse::write_frame(&mut bytes, event, None),
                (None, _) => sse::write_gap(&mut bytes, None),
            }
        }
        Self { bytes: bytes.into(), terminal }
    }

    pub(super) fn locate(bytes: Bytes) -> Self {
        let before_last = bytes.len().saturating_sub(2);
        let terminal = bytes[..before_last].windows(2).rposition(|pair| pair == b"\n\n").map_or(0, |at| at + 2);
        Self { bytes, terminal }
    }

    /// Everything up to the terminal.
    pub(crate) fn body(&self) -> Bytes {
        self.bytes.slice(..self.terminal)
    }

    /// The same, its opening with these messages in place of those with their ids.
    pub(crate) fn body_with(&self, edited: &[Arc<Message>]) -> Result<Bytes, RecordError> {
        let body = self.body();
        let end = body.windows(2).position(|pair| pair == b"\n\n").ok_or(RecordError::CutShort)?;
        let start = body[..end].windows(6).position(|bytes| bytes == b"data: ").ok_or(RecordError::CutShort)? + 6;
        let text = str::from_utf8(&body[start..end]).map_err(|_| RecordError::CutShort)?;
        let Ok(Reading::Event(mut event)) = Event::read(text) else { return Err(RecordError::CutShort) };
        if let Event::RunStarted(started) = &mut event
            && let Some(input) = &mut started.input
        {
            for message in &mut input.messages {
                if let Some(edited) = edited.iter().find(|edited| edited.id() == message.id()) {
                    *message = Message::clone(edited);
                }
            }
            input.messages = echoed(std::mem::take(&mut input.messages));
        }
        let mut changed = body[..start].to_vec();
        event.write_json(&mut changed);
        changed.extend_from_slice(&body[end..]);
        Ok(changed.into())
    }

    pub(crate) fn terminal(&self) -> Bytes {
        self.bytes.slice(self.terminal..)
    }
}

/// Takes these messages out of what `RUN_STARTED` brings and puts them after it as results, those that events can tell
/// whole; answers whether there are any.
pub(super) fn tell_as_results(events: &mut Vec<Compacted>, answers: &[Arc<Message>]) -> bool {
    let results: Vec<_> = answers.iter().filter_map(|answer| Event::result_of(answer)).collect();
    if let Some(Event::RunStarted(started)) = events.first_mut().map(|item| &mut item.event)
        && let Some(input) = &mut started.input
    {
        let is_result = |message: &Message| results.iter().any(|event| event.message_id() == Some(message.id()));
        input.messages.retain(|message| !is_result(message));
        // Nothing that a reader has seen of the log is between them and `RUN_STARTED`.
        let cut = events[0].cut.take();
        let last = results.len();
        let items = results.into_iter().map(|event| Compacted { event, cut: None });
        events.splice(1..1, items);
        events[last].cut = cut;
        return last > 0;
    }
    false
}
