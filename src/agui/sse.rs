//! AG-UI over server-sent events (section 2.1): strict writing (LF only, one event per frame) and tolerant reading of
//! whatever upstream servers frame. It knows frames, not what their data means.

use std::str::Utf8Error;

use serde_json::Value;

use crate::agui::event::Event;
use crate::json_text;

/// A comment frame: keeps an idle connection open, ignored by every client.
pub const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";

/// Appends `id: <epoch>.<position>\n` if there is one, then `data: <json>\n\n`.
pub fn write_frame(out: &mut Vec<u8>, event: &Event, id: Option<(&str, u64)>) {
    write_optional_id(out, id);
    out.extend_from_slice(b"data: ");
    event.write_json(out);
    out.extend_from_slice(b"\n\n");
}

/// As [`write_frame`] for a `STATE_SNAPSHOT` without id; a state can be large, and is written straight from its tree.
pub fn write_state_snapshot(out: &mut Vec<u8>, snapshot: &Value) {
    out.extend_from_slice(br#"data: {"type":"STATE_SNAPSHOT","snapshot":"#);
    json_text::write(out, snapshot);
    out.extend_from_slice(b"}\n\n");
}

/// As [`write_frame`] for a `STATE_DELTA` without id, of operations that are JSON text already, on one line.
pub fn write_state_delta(out: &mut Vec<u8>, delta: &[u8]) {
    out.extend_from_slice(br#"data: {"type":"STATE_DELTA","delta":"#);
    out.extend_from_slice(delta);
    out.extend_from_slice(b"}\n\n");
}

/// A frame with an id and no data: the position is taken, and this reader is told nothing.
pub fn write_gap(out: &mut Vec<u8>, id: Option<(&str, u64)>) {
    write_optional_id(out, id);
    out.push(b'\n');
}

/// Writes the lines `id: <epoch>.<position>` of one log.
#[derive(Debug)]
pub struct Ids {
    /// What all of them begin with.
    head: String,
}

impl Ids {
    /// Of the log with this epoch.
    pub fn of(epoch: &str) -> Self {
        Self { head: ["id: ", epoch, "."].concat() }
    }

    /// Appends the line of a position.
    pub fn write(&self, out: &mut Vec<u8>, position: u64) {
        out.extend_from_slice(self.head.as_bytes());
        json_text::write(out, &position);
        out.push(b'\n');
    }
}

fn write_optional_id(out: &mut Vec<u8>, id: Option<(&str, u64)>) {
    if let Some((epoch, position)) = id {
        Ids::of(epoch).write(out, position);
    }
}

/// One frame that carries data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// The frame's `id:`.
    pub id: Option<String>,
    /// The frame's `event:`; AG-UI uses none.
    pub event_name: Option<String>,
    /// The `data:` lines, joined by LF.
    pub data: String,
}

/// Why no further frame can be read from a stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("the stream sent a frame of more than {max_frame_bytes} bytes")]
    TooLarge { max_frame_bytes: usize },
    #[error("the stream sent a line that is not UTF-8: {0}")]
    NotUtf8(#[from] Utf8Error),
}

/// Reads frames out of bytes that arrive in pieces of any size. Ends of line may be LF, CRLF or CR; comments, unknown
/// fields and frames without data are skipped. Every byte is looked at once.
#[derive(Debug)]
pub struct Decoder {
    max_frame_bytes: usize,
    /// What arrived and belongs to no finished line; `buffer[..consumed]` is done with.
    buffer: Vec<u8>,
    consumed: usize,
    /// No end of line before this index.
    scanned: usize,
    /// The last line ended with CR: an LF that follows belongs to it.
    after_cr: bool,
    at_start: bool,
    frame: Frame,
    has_data: bool,
    failure: Option<FrameError>,
}

impl Decoder {
    /// A decoder that refuses frames of more than this many bytes.
    pub fn new(max_frame_bytes: usize) -> Self {
        Self {
            max_frame_bytes,
            buffer: Vec::new(),
            consumed: 0,
            scanned: 0,
            after_cr: false,
            at_start: true,
            frame: Frame::default(),
            has_data: false,
            failure: None,
        }
    }

    /// Takes in what arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.failure.is_some() {
            return;
        }
        if self.consumed == self.buffer.len() || self.consumed > self.buffer.len() / 2 {
            self.buffer.drain(..self.consumed);
            self.scanned -= self.consumed;
            self.consumed = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next complete frame, or `None` until more arrives. After an error there is nothing more.
    pub fn next_frame(&mut self) -> Option<Result<Frame, FrameError>> {
        loop {
            if self.failure.is_some() {
                return None;
            }
            let Some(line) = self.next_line() else {
                return (self.buffer.len() - self.consumed + self.frame.data.len() > self.max_frame_bytes)
                    .then(|| self.fail(FrameError::TooLarge { max_frame_bytes: self.max_frame_bytes }));
            };
            if line.is_empty() {
                if let Some(frame) = self.take_frame() {
                    return Some(Ok(frame));
                }
            } else if let Err(error) = self.field(line) {
                return Some(self.fail(error));
            }
        }
    }

    /// The last frame of a stream that ended without a blank line.
    pub fn finish(&mut self) -> Option<Result<Frame, FrameError>> {
        if let Some(frame) = self.next_frame() {
            return Some(frame);
        }
        if self.failure.is_some() {
            return None;
        }
        let rest = self.consumed..self.buffer.len();
        (self.consumed, self.scanned) = (rest.end, rest.end);
        match self.field(rest) {
            Ok(()) => self.take_frame().map(Ok),
            Err(error) => Some(self.fail(error)),
        }
    }

    fn fail(&mut self, error: FrameError) -> Result<Frame, FrameError> {
        self.buffer = Vec::new();
        self.failure = Some(error.clone());
        Err(error)
    }

    /// Where the next line is, without its end.
    fn next_line(&mut self) -> Option<std::ops::Range<usize>> {
        if self.at_start {
            const BOM: &[u8] = b"\xef\xbb\xbf";
            if self.buffer.starts_with(BOM) {
                (self.consumed, self.scanned) = (BOM.len(), BOM.len());
            } else if BOM.starts_with(&self.buffer) {
                return None;
            }
            self.at_start = false;
        }
        if self.after_cr && self.consumed < self.buffer.len() {
            self.after_cr = false;
            if self.buffer[self.consumed] == b'\n' {
                self.consumed += 1;
                self.scanned = self.consumed;
            }
        }
        match self.buffer[self.scanned..].iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            Some(offset) => {
                let end = self.scanned + offset;
                let line = self.consumed..end;
                self.after_cr = self.buffer[end] == b'\r';
                (self.consumed, self.scanned) = (end + 1, end + 1);
                Some(line)
            }
            None => {
                self.scanned = self.buffer.len();
                None
            }
        }
    }

    fn field(&mut self, line: std::ops::Range<usize>) -> Result<(), FrameError> {
        let line = std::str::from_utf8(&self.buffer[line])?;
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "data" => {
                if self.frame.data.len() + value.len() > self.max_frame_bytes {
                    return Err(FrameError::TooLarge { max_frame_bytes: self.max_frame_bytes });
                }
                if self.has_data {
                    self.frame.data.push('\n');
                }
                self.frame.data.push_str(value);
                self.has_data = true;
            }
            "id" => self.frame.id = Some(value.to_owned()),
            "event" => self.frame.event_name = Some(value.to_owned()),
            _ => {}
        }
        Ok(())
    }

    fn take_frame(&mut self) -> Option<Frame> {
        let frame = std::mem::take(&mut self.frame);
        std::mem::take(&mut self.has_data).then_some(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agui::PatchOperation;

    #[test]
    fn a_state_snapshot_is_written_as_its_event_is() {
        let snapshot = serde_json::json!({"a": [1, "two\n"]});
        let (mut as_event, mut short) = (Vec::new(), Vec::new());
        write_frame(&mut as_event, &Event::state_snapshot(crate::agui::to_json(&snapshot)), None);
        write_state_snapshot(&mut short, &snapshot);
        assert_eq!(short, as_event);
    }

    #[test]
    fn a_state_delta_is_written_as_its_event_is() {
        let (path, value) = ("/a~1b", serde_json::json!("two\n"));
        let (mut as_event, mut short) = (Vec::new(), Vec::new());
        let ops = vec![
            PatchOperation::add(path.to_owned(), crate::agui::to_json(&value)),
            PatchOperation::remove("/c".to_owned()),
        ];
        write_frame(&mut as_event, &Event::state_delta(ops), None);
        let ops = serde_json::json!([{"op": "add", "path": path, "value": value}, {"op": "remove", "path": "/c"}]);
        write_state_delta(&mut short, ops.to_string().as_bytes());
        assert_eq!(short, as_event);
    }

    fn decode(stream: &[u8], piece: usize) -> Vec<Result<Frame, FrameError>> {
        let mut decoder = Decoder::new(64);
        let mut frames = Vec::new();
        for bytes in stream.chunks(piece) {
            decoder.push(bytes);
            frames.extend(std::iter::from_fn(|| decoder.next_frame()));
        }
        frames.extend(std::iter::from_fn(|| decoder.finish()));
        frames
    }

    /// Frames are written `id|event|data`; an error is the last one.
    fn check(stream: &[u8], expected: &[&str]) {
        for piece in [1, 2, 3, 7, 1000] {
            let frames: Vec<String> = decode(stream, piece)
                .into_iter()
                .map(|frame| match frame {
                    Ok(frame) => {
                        let or_dash = |part: Option<String>| part.unwrap_or_else(|| "-".to_owned());
                        format!("{}|{}|{}", or_dash(frame.id), or_dash(frame.event_name), frame.data)
                    }
                    Err(error) => error.to_string(),
                })
                .collect();
            assert_eq!(frames, expected, "in pieces of {piece}: {:?}", String::from_utf8_lossy(stream));
        }
    }

    #[test]
    fn every_way_to_end_a_line_is_read_in_pieces_of_any_size() {
        check(b"data: a\n\ndata: b\n\n", &["-|-|a", "-|-|b"]);
        check(b"data: a\r\n\r\ndata: b\r\n\r\n", &["-|-|a", "-|-|b"]);
        check(b"data: a\r\rdata: b\r\r", &["-|-|a", "-|-|b"]);
        check(b"data: a\r\n\ndata: b\n\r\n", &["-|-|a", "-|-|b"]);
        check(b"data: a\r\ndata: b\r\n\r\n", &["-|-|a\nb"]);
    }

    #[test]
    fn comments_other_fields_and_frames_without_data_are_skipped() {
        check(b": hi\n\nid: 1\n\nretry: 5\nid: e.2\nevent: x\ndata: a\nfoo: bar\n\n", &["e.2|x|a"]);
    }

    #[test]
    fn data_lines_are_joined_and_lose_one_space() {
        check(b"data:a\ndata:  b\ndata\ndata:\n\n", &["-|-|a\n b\n\n"]);
        check(b"data\n\n", &["-|-|"]);
    }

    #[test]
    fn characters_and_marks_may_be_cut_anywhere() {
        check("\u{feff}data: 日本🍗\n\n".as_bytes(), &["-|-|日本🍗"]);
        check("\u{feff}\u{feff}data: x\n\ndata: y\n\n".as_bytes(), &["-|-|y"]);
        check(b"", &[]);
        check(b"\xef\xbb", &["the stream sent a line that is not UTF-8: incomplete utf-8 byte sequence from index 0"]);
    }

    #[test]
    fn a_last_frame_needs_no_blank_line() {
        check(b"data: a\n\ndata: b", &["-|-|a", "-|-|b"]);
        check(b"data: a\n\ndata: b\n", &["-|-|a", "-|-|b"]);
        check(b"data: a\n\n: bye", &["-|-|a"]);
    }

    #[test]
    fn a_frame_without_end_is_refused() {
        let mut long = b"data: ok\n\ndata: ".to_vec();
        long.extend([b'x'; 100]);
        check(&long, &["-|-|ok", "the stream sent a frame of more than 64 bytes"]);
        let many = [b"data: 0123456789012345678901234567890\n".as_slice(); 3].concat();
        check(&many, &["the stream sent a frame of more than 64 bytes"]);
        check(&[many.as_slice(), b"\n"].concat(), &["the stream sent a frame of more than 64 bytes"]);
    }

    #[test]
    fn a_long_frame_that_arrives_byte_by_byte_is_looked_at_once() {
        let mut decoder = Decoder::new(1 << 20);
        decoder.push(b"data: ");
        for _ in 0..300_000 {
            decoder.push(b"x");
            assert!(decoder.next_frame().is_none());
        }
        decoder.push(b"\n\n");
        assert_eq!(decoder.next_frame().unwrap().unwrap().data.len(), 300_000);
    }

    #[test]
    fn bytes_that_are_no_text_are_refused_and_end_the_stream() {
        check(
            b"data: a\n\ndata: \xff\n\ndata: b\n\n",
            &["-|-|a", "the stream sent a line that is not UTF-8: invalid utf-8 sequence of 1 bytes from index 6"],
        );
    }

    #[test]
    fn a_written_frame_is_read_back() {
        let event = Event::text_content("m", "line\nline\r\u{2028}");
        let mut out = Vec::new();
        write_frame(&mut out, &event, Some(("k3", 17)));
        write_frame(&mut out, &event, None);
        assert!(out.starts_with(b"id: k3.17\ndata: {\"type\":"));
        let mut decoder = Decoder::new(1000);
        decoder.push(&out);
        let frame = decoder.next_frame().unwrap().unwrap();
        assert_eq!((frame.id.as_deref(), frame.data), (Some("k3.17"), event.to_json()));
        assert_eq!(decoder.next_frame().unwrap().unwrap().id, None);
        assert!(decoder.next_frame().is_none());
    }
}
