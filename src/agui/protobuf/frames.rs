//! Messages out of bytes that arrive in pieces of any size.

/// A frame is larger than its reader allows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stream sent a frame of more than {max_frame_bytes} bytes")]
pub struct TooLarge {
    max_frame_bytes: usize,
}

/// Cuts a stream of frames into their messages.
#[derive(Debug)]
pub struct Decoder {
    max_frame_bytes: usize,
    buffer: Vec<u8>,
    /// `buffer[..consumed]` is done with.
    consumed: usize,
}

impl Decoder {
    /// A decoder that refuses frames of more than this many bytes.
    pub fn new(max_frame_bytes: usize) -> Self {
        Self { max_frame_bytes, buffer: Vec::new(), consumed: 0 }
    }

    /// Takes in what arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..std::mem::take(&mut self.consumed));
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message, without its length, or `None` until more arrives.
    pub fn next_message(&mut self) -> Option<Result<&[u8], TooLarge>> {
        let (length, rest) = self.buffer[self.consumed..].split_first_chunk::<4>()?;
        let bytes = usize::try_from(u32::from_be_bytes(*length)).ok().filter(|bytes| {
            length.len().checked_add(*bytes).is_some_and(|frame_bytes| frame_bytes <= self.max_frame_bytes)
        });
        let Some(bytes) = bytes else { return Some(Err(TooLarge { max_frame_bytes: self.max_frame_bytes })) };
        let message = rest.get(..bytes)?;
        self.consumed += length.len() + bytes;
        Some(Ok(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_whatever_the_pieces_they_come_in() {
        let bytes = b"\0\0\0\x02ab\0\0\0\0\0\0\0\x01c\0\0\0\x05cut";
        for size in 1..=bytes.len() {
            let mut decoder = Decoder::new(9);
            let mut messages = Vec::new();
            for piece in bytes.chunks(size) {
                decoder.push(piece);
                while let Some(message) = decoder.next_message() {
                    messages.push(message.expect("it is small enough").to_vec());
                }
            }
            assert_eq!(messages, [&b"ab"[..], b"", b"c"], "pieces of {size}");
        }
    }

    #[test]
    fn a_frame_that_is_too_large_is_refused_at_its_length() {
        for (length, refused) in [(5_u32, false), (6, true), (u32::MAX, true)] {
            let mut decoder = Decoder::new(9);
            decoder.push(&length.to_be_bytes());
            assert_eq!(decoder.next_message().is_some_and(|message| message.is_err()), refused, "{length}");
        }
    }
}
