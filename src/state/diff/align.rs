//! Which elements of one list are which elements of another: by key where they have keys, else by the fewest edits.

use std::collections::BTreeMap;

/// Beyond this many edits between two unkeyed lists, what differs is paired in order: bounds time and memory.
const MAX_EDITS: usize = 512;

/// Pairs `(from, to)` of indexes, increasing on both sides. Without a pair: removed from the one, added in the other.
///
/// `keys` are the elements' keys, unique on each side: equal keys are paired, as many as keep their order. Otherwise
/// `same` elements are paired, then the rest between them in order, as elements that changed.
pub(crate) fn align(
    lens: (usize, usize),
    keys: Option<(Vec<&str>, Vec<&str>)>,
    same: impl Fn(usize, usize) -> bool,
) -> Vec<(usize, usize)> {
    match keys {
        Some((from, to)) => by_key(&from, &to),
        None => by_edits(lens, same),
    }
}

fn by_key(from: &[&str], to: &[&str]) -> Vec<(usize, usize)> {
    if from == to {
        return (0..from.len()).map(|index| (index, index)).collect();
    }
    let places: BTreeMap<&str, usize> = to.iter().enumerate().map(|(index, key)| (*key, index)).collect();
    let common: Vec<(usize, usize)> =
        from.iter().enumerate().filter_map(|(index, key)| Some((index, *places.get(key)?))).collect();
    increasing(&common)
}

/// The longest subsequence whose second members increase (patience sorting).
pub(crate) fn increasing(pairs: &[(usize, usize)]) -> Vec<(usize, usize)> {
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(pairs.len());
    for (index, pair) in pairs.iter().enumerate() {
        let pile = ends.partition_point(|&end| pairs[end].1 < pair.1);
        before.push(pile.checked_sub(1).map(|pile| ends[pile]));
        if pile == ends.len() {
            ends.push(index);
        } else {
            ends[pile] = index;
        }
    }
    let mut chain = Vec::with_capacity(ends.len());
    let mut next = ends.last().copied();
    while let Some(index) = next {
        chain.push(pairs[index]);
        next = before[index];
    }
    chain.reverse();
    chain
}

fn by_edits((from, to): (usize, usize), same: impl Fn(usize, usize) -> bool) -> Vec<(usize, usize)> {
    let shorter = from.min(to);
    let prefix = (0..shorter).take_while(|&index| same(index, index)).count();
    let suffix = (1..=shorter - prefix).take_while(|&back| same(from - back, to - back)).count();
    let (from_end, to_end) = (from - suffix, to - suffix);

    let mut pairs: Vec<_> = (0..prefix).map(|index| (index, index)).collect();
    let middle = shortest_edit(from_end - prefix, to_end - prefix, |i, j| same(prefix + i, prefix + j));
    let anchors = middle.into_iter().map(|(i, j)| (prefix + i, prefix + j)).chain([(from_end, to_end)]);
    let (mut i, mut j) = (prefix, prefix);
    for (next_i, next_j) in anchors {
        // What stands between two anchors on both sides counts as changed, in order.
        pairs.extend((i..next_i).zip(j..next_j));
        if next_i < from_end && next_j < to_end {
            pairs.push((next_i, next_j));
        }
        (i, j) = (next_i + 1, next_j + 1);
    }
    pairs.extend((0..suffix).map(|index| (from_end + index, to_end + index)));
    pairs
}

/// Equal pairs of a shortest edit script (Myers 1986, greedy), or none if that takes over [`MAX_EDITS`] edits.
fn shortest_edit(from: usize, to: usize, same: impl Fn(usize, usize) -> bool) -> Vec<(usize, usize)> {
    if from == 0 || to == 0 || from.abs_diff(to) > MAX_EDITS {
        return Vec::new();
    }
    let bound = (from + to).min(MAX_EDITS);
    // reach[k + bound]: how far into `from` the diagonal k = i − j gets with the edits so far.
    let mut reach = vec![0_usize; 2 * bound + 2];
    let mut trace: Vec<Vec<usize>> = Vec::new();
    for edits in 0..=bound {
        trace.push(reach[bound - edits..=bound + edits].to_vec());
        for diagonal in (bound - edits..=bound + edits).step_by(2) {
            let down =
                diagonal == bound - edits || (diagonal != bound + edits && reach[diagonal - 1] < reach[diagonal + 1]);
            let mut i = if edits == 0 {
                0
            } else if down {
                reach[diagonal + 1]
            } else {
                reach[diagonal - 1] + 1
            };
            let Some(mut j) = (i + bound).checked_sub(diagonal) else { continue };
            while i < from && j < to && same(i, j) {
                i += 1;
                j += 1;
            }
            reach[diagonal] = i;
            if i >= from && j >= to {
                return walk_back(&trace, (from, to), bound);
            }
        }
    }
    Vec::new()
}

fn walk_back(trace: &[Vec<usize>], end: (usize, usize), bound: usize) -> Vec<(usize, usize)> {
    let (mut i, mut j) = end;
    let mut pairs = Vec::new();
    for (edits, reach) in trace.iter().enumerate().skip(1).rev() {
        let low = bound - edits;
        let at = |diagonal: usize| reach[diagonal - low];
        let diagonal = i + bound - j;
        let down = diagonal == low || (diagonal != bound + edits && at(diagonal - 1) < at(diagonal + 1));
        let before = if down { diagonal + 1 } else { diagonal - 1 };
        let start = (at(before), at(before) + bound - before);
        while i > start.0 && j > start.1 {
            (i, j) = (i - 1, j - 1);
            pairs.push((i, j));
        }
        (i, j) = start;
    }
    while i > 0 && j > 0 {
        (i, j) = (i - 1, j - 1);
        pairs.push((i, j));
    }
    pairs.reverse();
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(from: &str, to: &str, expected: &[(usize, usize)]) {
        let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
        assert_eq!(align((from.len(), to.len()), None, |i, j| from[i] == to[j]), expected);
    }

    #[test]
    fn unkeyed_elements_are_paired_by_the_fewest_edits() {
        check("abc", "abc", &[(0, 0), (1, 1), (2, 2)]);
        check("abc", "xabc", &[(0, 1), (1, 2), (2, 3)]);
        check("abc", "ac", &[(0, 0), (2, 1)]);
        check("abc", "axc", &[(0, 0), (1, 1), (2, 2)]);
        check("abcd", "xbycz", &[(0, 0), (1, 1), (2, 3), (3, 4)]);
        check("", "ab", &[]);
        check("aa", "a", &[(0, 0)]);
    }

    #[test]
    fn shortest_edits_are_shortest() {
        for seed in 0..2_000 {
            let mut random = crate::state::random::Random::new(seed);
            let mut list = || (0..random.below(9)).map(|_| random.below(3)).collect::<Vec<_>>();
            let (from, to) = (list(), list());
            let pairs = shortest_edit(from.len(), to.len(), |i, j| from[i] == to[j]);
            assert!(pairs.iter().all(|&(i, j)| from[i] == to[j]), "seed {seed}");
            assert!(pairs.windows(2).all(|two| two[0].0 < two[1].0 && two[0].1 < two[1].1), "seed {seed}");
            let mut longest = vec![vec![0; to.len() + 1]; from.len() + 1];
            for i in 0..from.len() {
                for j in 0..to.len() {
                    longest[i + 1][j + 1] =
                        if from[i] == to[j] { longest[i][j] + 1 } else { longest[i][j + 1].max(longest[i + 1][j]) };
                }
            }
            assert_eq!(pairs.len(), longest[from.len()][to.len()], "seed {seed}: {from:?} {to:?}");
        }
    }

    #[test]
    fn keyed_elements_are_paired_by_key_as_far_as_order_allows() {
        let keyed = |from: &[&'static str], to: &[&'static str]| {
            align((from.len(), to.len()), Some((from.to_vec(), to.to_vec())), |_, _| unreachable!())
        };
        assert_eq!(keyed(&["a", "b", "c"], &["c", "a", "b"]), [(0, 1), (1, 2)]);
        assert_eq!(keyed(&["a", "b"], &["x", "y"]), []);
    }
}
