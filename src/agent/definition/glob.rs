//! Patterns in which `*` stands for any characters, none included.

/// Whether the whole of `text` fits `pattern`.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in middle.split('*').filter(|part| !part.is_empty()) {
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
    }
    text.ends_with(last)
}

/// The type of all documents, `type/id`, that fit a pattern, unless it leaves the type open.
pub(crate) fn kind(pattern: &str) -> Option<&str> {
    let (kind, _) = pattern.split_once('/')?;
    (!kind.contains('*')).then_some(kind)
}

/// Whether some text fits both patterns.
pub(crate) fn overlap(one: &str, other: &str) -> bool {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    // `reachable[j]`: the part of `one` so far and the first `j` of `other` can mean the same text.
    let mut reachable = vec![false; other.len() + 1];
    reachable[0] = true;
    for j in 0..other.len() {
        reachable[j + 1] = reachable[j] && other[j] == '*';
    }
    for here in &one {
        let mut next = vec![false; other.len() + 1];
        next[0] = reachable[0] && *here == '*';
        for (j, there) in other.iter().enumerate() {
            next[j + 1] = match (*here, *there) {
                // A star takes nothing, or one more character of the other side.
                ('*', _) | (_, '*') => next[j] || reachable[j + 1],
                (here, there) => reachable[j] && here == there,
            };
        }
        reachable = next;
    }
    reachable[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_patterns_overlap_where_one_text_fits_both() {
        for (one, other, expected) in [
            ("task/*", "task/1", true),
            ("task/*", "agent/1", false),
            ("*", "anything", true),
            ("agent/a:*", "agent/*", true),
            ("agent/a:*", "agent/b:*", false),
            ("a*c", "ab*", true),
            ("a*c", "ab*d", false),
            ("", "", true),
            ("", "*", true),
            ("*a", "b*", true),
            ("shared/board", "shared/board", true),
            ("shared/board", "shared/boar", false),
        ] {
            assert_eq!((overlap(one, other), overlap(other, one)), (expected, expected), "{one} {other}");
        }
    }

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, text, expected) in [
            ("task/*", "task/1", true),
            ("task/*", "task/", true),
            ("task/*", "tasks/1", false),
            ("*", "", true),
            ("a", "a", true),
            ("a", "ab", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("*b*", "abc", true),
            ("", "", true),
            ("", "x", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
