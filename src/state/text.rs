//! Text that several edit at once: one edit carried over others, and the three-way merge of whole texts.
//!
//! Positions and lengths count Unicode code points.

use crate::state::diff::align::align;

/// `delete` code points at `pos` give way to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) pos: usize,
    pub(crate) delete: usize,
}

impl Range {
    /// The same range after another edit turned `old` into `new`: of two inserts at one place, this goes behind.
    pub(crate) fn over(self, old: &str, new: &str) -> Self {
        let (old, new): (Vec<char>, Vec<char>) = (old.chars().collect(), new.chars().collect());
        let hunks = hunks(&old, &new);
        let pos = carry(self.pos, &hunks, true);
        let end = if self.delete == 0 { pos } else { carry(self.pos + self.delete, &hunks, false).max(pos) };
        Self { pos, delete: end - pos }
    }
}

fn carry(place: usize, hunks: &[Hunk<'_, char>], behind: bool) -> usize {
    let mut shift = 0_isize;
    for hunk in hunks.iter().take_while(|hunk| hunk.start < place || hunk.start == place && behind) {
        if hunk.end > place {
            // Inside what was rewritten: behind or before the new text.
            return (hunk.start as isize + shift) as usize + if behind { hunk.new.len() } else { 0 };
        }
        shift += hunk.new.len() as isize - (hunk.end - hunk.start) as isize;
    }
    (place as isize + shift) as usize
}

/// What `own` and `theirs` make of `base` together; where both rewrote the same words, `own` stands and the second is true.
pub fn merge(base: &str, theirs: &str, own: &str) -> (String, bool) {
    let (base, theirs, own) = (words(base), words(theirs), words(own));
    let mut merged = String::new();
    let overlaps = woven(&base, &hunks(&base, &theirs), &hunks(&base, &own), &mut |piece| match piece {
        Piece::Same(words) => {
            merged.extend(words.iter().copied());
            false
        }
        Piece::Both { base, theirs, own } => {
            let (base, theirs, own) = (base.concat(), theirs.concat(), own.concat());
            let (inside, overlaps) = merge_letters(&base, &theirs, &own);
            merged.push_str(if overlaps { &own } else { &inside });
            overlaps
        }
    });
    (merged, overlaps)
}

fn merge_letters(base: &str, theirs: &str, own: &str) -> (String, bool) {
    let letters = |text: &str| text.chars().collect::<Vec<_>>();
    let (base, theirs, own) = (letters(base), letters(theirs), letters(own));
    let mut merged = String::new();
    let overlaps = woven(&base, &hunks(&base, &theirs), &hunks(&base, &own), &mut |piece| match piece {
        Piece::Same(letters) => {
            merged.extend(letters);
            false
        }
        Piece::Both { .. } => true,
    });
    (merged, overlaps)
}

/// What stands between `start` and `end` of the old becomes `new`.
struct Hunk<'n, T> {
    start: usize,
    end: usize,
    new: &'n [T],
}

/// A stretch of a merge: settled, or rewritten by both.
enum Piece<'n, T> {
    Same(&'n [T]),
    Both { base: &'n [T], theirs: Vec<T>, own: Vec<T> },
}

/// Walks both sides' hunks in order; says whether `take` said so of any piece.
fn woven<'n, T: Copy + PartialEq>(
    base: &'n [T],
    theirs: &[Hunk<'n, T>],
    own: &[Hunk<'n, T>],
    take: &mut dyn FnMut(Piece<'n, T>) -> bool,
) -> bool {
    let mut told = false;
    let (mut t, mut o, mut at) = (0, 0, 0);
    loop {
        let (next_theirs, next_own) = (theirs.get(t), own.get(o));
        let (start, mut end) = match (next_theirs, next_own) {
            (None, None) => break,
            (Some(hunk), None) | (None, Some(hunk)) => (hunk.start, hunk.end),
            (Some(left), Some(right)) if (left.start, left.end) <= (right.start, right.end) => (left.start, left.end),
            (Some(_), Some(right)) => (right.start, right.end),
        };
        told |= take(Piece::Same(&base[at..start]));
        let (first_t, first_o) = (t, o);
        let reaches = |hunk: &Hunk<'n, T>, end: usize| hunk.start < end || hunk.start == start;
        loop {
            if let Some(hunk) = theirs.get(t).filter(|hunk| reaches(hunk, end)) {
                (end, t) = (end.max(hunk.end), t + 1);
            } else if let Some(hunk) = own.get(o).filter(|hunk| reaches(hunk, end)) {
                (end, o) = (end.max(hunk.end), o + 1);
            } else {
                break;
            }
        }
        let (left, right) = (&theirs[first_t..t], &own[first_o..o]);
        match (left, right) {
            ([left], []) => told |= take(Piece::Same(left.new)),
            ([], [right]) => told |= take(Piece::Same(right.new)),
            ([left], [right]) if left.new == right.new && (left.start, left.end) == (right.start, right.end) => {
                told |= take(Piece::Same(left.new));
            }
            // Two inserts at one place, or an insert before what the other rewrote: both stand, theirs first.
            ([left], [right]) if left.start == left.end => {
                told |= take(Piece::Same(left.new));
                told |= take(Piece::Same(right.new));
            }
            ([left], [right]) if right.start == right.end && right.start == left.start => {
                told |= take(Piece::Same(right.new));
                told |= take(Piece::Same(left.new));
            }
            (left, right) => {
                let side = |hunks: &[Hunk<'n, T>]| applied(base, hunks, (start, end));
                told |= take(Piece::Both { base: &base[start..end], theirs: side(left), own: side(right) });
            }
        }
        at = end;
    }
    told |= take(Piece::Same(&base[at..]));
    told
}

fn applied<T: Copy>(base: &[T], hunks: &[Hunk<'_, T>], (start, end): (usize, usize)) -> Vec<T> {
    let mut side = Vec::new();
    let mut at = start;
    for hunk in hunks {
        side.extend_from_slice(&base[at..hunk.start]);
        side.extend_from_slice(hunk.new);
        at = hunk.end;
    }
    side.extend_from_slice(&base[at..end]);
    side
}

fn hunks<'n, T: PartialEq>(old: &[T], new: &'n [T]) -> Vec<Hunk<'n, T>> {
    let same = |i: usize, j: usize| old[i] == new[j];
    let pairs = align((old.len(), new.len()), None, same).into_iter().filter(|&(i, j)| same(i, j));
    let mut hunks = Vec::new();
    let (mut i, mut j) = (0, 0);
    for (next_i, next_j) in pairs.chain([(old.len(), new.len())]) {
        if next_i > i || next_j > j {
            hunks.push(Hunk { start: i, end: next_i, new: &new[j..next_j] });
        }
        (i, j) = (next_i + 1, next_j + 1);
    }
    hunks
}

/// Runs of letters and digits, and each other character for itself.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut start = 0;
    for (at, letter) in text.char_indices() {
        if !letter.is_alphanumeric() {
            words.extend((start < at).then(|| &text[start..at]));
            start = at + letter.len_utf8();
            words.push(&text[at..start]);
        }
    }
    words.extend((start < text.len()).then(|| &text[start..]));
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::random::Random;

    fn check(base: &str, theirs: &str, own: &str, then: (&str, bool)) {
        assert_eq!(merge(base, theirs, own), (then.0.to_owned(), then.1), "{base:?}: {theirs:?} and {own:?}");
    }

    #[test]
    fn edits_of_different_words_both_stand() {
        check("hello world", "hello brave world", "hello world!", ("hello brave world!", false));
        check("a b c", "x b c", "a b y", ("x b y", false));
        check("a b c", "a c", "a b c d", ("a c d", false));
        check("", "one", "two", ("onetwo", false));
        check("same", "other", "other", ("other", false));
        check("colour", "colours", "color", ("colors", false));
        check("é😀", "é😀!", "ü😀", ("ü😀!", false));
    }

    #[test]
    fn where_both_rewrote_the_same_the_later_stands() {
        check("the cat sat", "the dog sat", "the cow sat", ("the cow sat", true));
        check("a b c", "a x c", "a c", ("a c", true));
    }

    #[test]
    fn a_range_follows_its_text() {
        let over = |pos, delete, old, new| {
            let Range { pos, delete } = Range { pos, delete }.over(old, new);
            (pos, delete)
        };
        assert_eq!(over(3, 0, "abc", "abc!"), (4, 0));
        assert_eq!(over(0, 0, "abc", "_abc"), (1, 0));
        assert_eq!(over(1, 1, "abc", "xxabc"), (3, 1));
        assert_eq!(over(1, 1, "abc", "ac"), (1, 0));
        assert_eq!(over(0, 3, "abc", "ac"), (0, 2));
        assert_eq!(over(2, 1, "äöü", "äöü€"), (2, 1));
    }

    #[test]
    fn a_merge_with_one_side_unchanged_is_the_other() {
        for seed in 0..3_000 {
            let mut random = Random::new(seed);
            let mut text = || (0..random.below(12)).map(|_| ["a", "b", " ", "é"][random.below(4)]).collect::<String>();
            let (base, other) = (text(), text());
            assert_eq!(merge(&base, &base, &other), (other.clone(), false), "seed {seed}");
            assert_eq!(merge(&base, &other, &base), (other.clone(), false), "seed {seed}");
            assert_eq!(merge(&base, &other, &other), (other.clone(), false), "seed {seed}");
        }
    }
}
