//! Messages as `RUN_STARTED` tells them again. Clients die of an event of more than 10 MiB (section 2.1), so of messages that
//! are larger they are told how they begin, and what is left out. The thread and its agents have them whole.

use serde::Serialize;

use crate::agui::content::{Content, ContentPart, Source};
use crate::agui::message::Message;

/// Bytes of JSON that all messages of an event may take.
const MOST: usize = 8 << 20;
/// No list whose strings come to less than this can take more than [`MOST`]: JSON writes a byte in six at most.
const SURELY_SMALL: usize = 1 << 20;
/// What a shortened message keeps of its content.
const KEPT: usize = 64 << 10;

/// The messages, the largest shortened if together they are too large for an event.
pub fn echoed(mut messages: Vec<Message>) -> Vec<Message> {
    if messages.iter().map(weight).sum::<usize>() < SURELY_SMALL {
        return messages;
    }
    let mut sizes: Vec<(usize, usize)> = messages.iter().map(size).zip(0..).collect();
    let mut left = sizes.iter().map(|(size, _)| size).sum::<usize>();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    for (size_before, at) in sizes {
        if left <= MOST {
            break;
        }
        if let Some(short) = messages[at].shortened() {
            left = left - size_before + size(&short);
            messages[at] = short;
        }
    }
    messages
}

impl Message {
    /// The message as a client holds it that was told too large a one; `None` of those that are not shortened.
    pub fn shortened(&self) -> Option<Self> {
        let mut short = self.clone();
        let content = match &mut short {
            Self::User(message) => {
                (message.metadata, message.encrypted_value) = (None, None);
                &mut message.content
            }
            Self::Tool(message) => {
                (message.metadata, message.encrypted_value) = (None, None);
                &mut message.content
            }
            Self::Developer(_) | Self::System(_) | Self::Assistant(_) | Self::Activity(_) | Self::Reasoning(_) => {
                return None;
            }
        };
        *content = match content {
            Content::Text(text) => Content::Text(beginning(text, KEPT)),
            Content::Parts(parts) => Content::Parts(first(parts)),
        };
        Some(short)
    }
}

/// Parts as long as there is room, and a line for each of the others.
fn first(parts: &[ContentPart]) -> Vec<ContentPart> {
    let (mut told, mut room) = (Vec::new(), KEPT);
    for (place, part) in parts.iter().enumerate() {
        let whole = size(part);
        if whole <= room {
            room -= whole;
            told.push(part.clone());
            continue;
        }
        let line = match part.text() {
            Some(text) => beginning(text, room / 2),
            None => format!("[{} of {}, not sent back]", media(part), in_words(whole)),
        };
        let Some(left) = room.checked_sub(size(&line)) else {
            told.push(ContentPart::of_text(format!("[{} more parts, not sent back]", parts.len() - place)));
            break;
        };
        room = left;
        told.push(ContentPart::of_text(line));
    }
    told
}

fn beginning(text: &str, most: usize) -> String {
    let kept = &text[..text.floor_char_boundary(most)];
    if kept.len() == text.len() {
        return text.to_owned();
    }
    format!("{kept} […{} not sent back]", in_words(text.len() - kept.len()))
}

fn media(part: &ContentPart) -> &str {
    match part.source() {
        Some(Source::Data(data)) => &data.mime_type,
        Some(Source::Url(_) | Source::File(_)) | None => "part",
    }
}

fn in_words(bytes: usize) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}

/// About how many bytes its strings have.
fn weight(message: &Message) -> usize {
    let content = match message {
        Message::User(message) => &message.content,
        Message::Tool(message) => &message.content,
        Message::Developer(_)
        | Message::System(_)
        | Message::Assistant(_)
        | Message::Activity(_)
        | Message::Reasoning(_) => return 0,
    };
    match content {
        Content::Text(text) => text.len(),
        Content::Parts(parts) => parts.iter().map(|part| part.text().unwrap_or_else(|| value(part)).len()).sum(),
    }
}

/// The media itself, or where it is.
fn value(part: &ContentPart) -> &str {
    match part.source() {
        Some(Source::Data(data)) => &data.value,
        Some(Source::Url(url)) => &url.value,
        Some(Source::File(file)) => &file.value,
        None => "",
    }
}

/// Bytes of its JSON.
fn size(value: &impl Serialize) -> usize {
    crate::json_text::encode(value).len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(bytes: usize) -> Message {
        let data = "A".repeat(bytes);
        Message::read(&format!(
            r#"{{"id":"i","role":"user","content":[{{"type":"text","text":"look"}},{{"type":"image","source":{{"type":"data","value":"{data}","mimeType":"image/png"}}}}]}}"#
        ))
        .expect("a message")
    }

    #[test]
    fn what_fits_is_told_as_it_was_posted() {
        let messages = vec![image(4 << 20), Message::user("u", "x".repeat(3 << 20))];
        assert_eq!(echoed(messages.clone()), messages);
    }

    #[test]
    fn of_what_does_not_the_largest_is_shortened_first() {
        let told = echoed(vec![Message::user("u", "x".repeat(3 << 20)), image(12 << 20)]);
        assert_eq!(told[0].text().len(), 3 << 20);
        assert_eq!(told[1].text(), "look[image/png of 12 MiB, not sent back]");
        assert_eq!(Some(&told[1]), image(12 << 20).shortened().as_ref());
    }

    #[test]
    fn many_are_shortened_until_they_fit_and_no_character_is_cut() {
        let told = echoed((0..12).map(|n| Message::user(n.to_string(), "é\u{1}".repeat(500 << 10))).collect());
        assert!(size(&told) <= MOST + 1024, "{}", size(&told));
        let short = told.iter().find(|message| message.text().ends_with("not sent back]")).expect("one was shortened");
        assert!(short.text().starts_with("é\u{1}é"));
    }

    #[test]
    fn a_shortened_message_is_small_whatever_it_was_made_of() {
        let parts = r#"{"type":"text","text":"a"}"#.to_owned() + &r#",{"type":"text","text":"b"}"#.repeat(300_000);
        let many = Message::read(&format!(r#"{{"id":"m","role":"user","content":[{parts}]}}"#)).expect("a message");
        for message in
            [image(12 << 20), Message::user("u", "é\u{1}".repeat(1 << 20)), many, Message::user("u", "short")]
        {
            let short = message.shortened().expect("a user's");
            assert!(size(&short) < 8 * KEPT, "{}", size(&short));
        }
    }
}
