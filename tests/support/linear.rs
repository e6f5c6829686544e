//! Whether a history of compare-and-set writes and reads of one document could have happened one after the other.
//!
//! Versions give the order, so that it takes a sort: a write replaces the version it expected, no two acknowledged writes share a version, versions are missing only
//! for writes whose answer was lost, nothing older is seen after something newer was, and a read shows what was written.

use std::collections::HashMap;

/// One operation as its client saw it. Times are nanoseconds on one clock.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) is_write: bool,
    /// The version that a write expected to replace.
    pub(crate) expected: Option<u64>,
    /// The version that was written or read; `None` for a write whose answer was lost.
    pub(crate) version: Option<u64>,
    /// What was written or read: a write's value is its own.
    pub(crate) value: u64,
}

/// Checks a history that begins with version `first` holding `initial`; what is wrong with it.
pub(crate) fn check(history: &[Operation], first: u64, initial: u64) -> Result<(), String> {
    let mut written: HashMap<u64, &Operation> = HashMap::new();
    for write in history.iter().filter(|operation| operation.is_write) {
        let Some(version) = write.version else { continue };
        if write.expected.is_some_and(|expected| version != expected + 1) {
            return Err(format!("{write:?} overwrote what it had not seen"));
        }
        if let Some(other) = written.insert(version, write) {
            return Err(format!("version {version} was given to {} and {}", other.value, write.value));
        }
    }
    let newest = written.keys().copied().max().unwrap_or(first);
    let missing = (first + 1..=newest).filter(|version| !written.contains_key(version)).count();
    let lost: Vec<_> = history.iter().filter(|operation| operation.is_write && operation.version.is_none()).collect();
    if missing > lost.len() {
        return Err(format!("{missing} versions are missing, but only {} answers were lost", lost.len()));
    }
    let mut by_start: Vec<_> = history.iter().filter(|operation| operation.version.is_some()).collect();
    let mut by_end = by_start.clone();
    by_start.sort_by_key(|operation| operation.start);
    by_end.sort_by_key(|operation| operation.end);
    let (mut ended, mut visible) = (by_end.iter().peekable(), first);
    for operation in by_start {
        while let Some(before) = ended.next_if(|before| before.end < operation.start) {
            visible = visible.max(before.version.expect("these have one"));
        }
        let version = operation.version.expect("these have one");
        if version < visible || operation.is_write && version == visible {
            return Err(format!("{operation:?} came after version {visible} had been seen"));
        }
        if operation.is_write {
            continue;
        }
        match written.get(&version) {
            Some(write) if write.value != operation.value => {
                return Err(format!(
                    "version {version} was written as {} and read as {}",
                    write.value, operation.value
                ));
            }
            Some(write) if write.start > operation.end => {
                return Err(format!("version {version} was read before it was written"));
            }
            Some(_) => {}
            None if version == first && operation.value == initial => {}
            None if lost.iter().any(|write| write.value == operation.value && write.start < operation.end) => {}
            None => return Err(format!("version {version} holds {}, which nobody wrote", operation.value)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Alternating writes and reads that overlap.
    fn history(length: u64) -> Vec<Operation> {
        let operation = |n: u64| {
            let (is_write, version) = (n.is_multiple_of(2), n / 2 + 1);
            let expected = is_write.then_some(version - 1);
            let end = n * 10 + 10 + n * 7 % 9;
            Operation { start: n * 10, end, is_write, expected, version: Some(version), value: version * 3 }
        };
        (0..length).map(operation).collect()
    }

    #[test]
    fn a_history_that_could_have_been_passes_and_every_wrong_one_is_found() {
        let good = history(100_000);
        check(&good, 0, 0).expect("a good history");
        let spoilt = |at: usize, spoil: fn(&mut Operation)| {
            let mut history = good.clone();
            spoil(&mut history[at]);
            check(&history, 0, 0).expect_err("a spoilt history")
        };
        let stale = |read: &mut Operation| read.version = read.version.map(|version| version - 30);
        assert!(spoilt(50_001, stale).contains("had been seen"));
        let lost_update = |write: &mut Operation| write.expected = write.expected.map(|version| version - 1);
        assert!(spoilt(50_000, lost_update).contains("had not seen"));
        let twice = |write: &mut Operation| {
            (write.version, write.expected) = (write.version.map(|version| version - 1), None);
        };
        assert!(spoilt(50_000, twice).contains("was given to"));
        let skipped = |write: &mut Operation| {
            (write.version, write.expected) = (write.version.map(|version| version + 1_000_000), None);
        };
        assert!(spoilt(50_000, skipped).contains("missing"));
        assert!(spoilt(50_001, |read| read.value += 1).contains("was written as"));
        let mut unknown = good.clone();
        unknown[50_000].version = None;
        check(&unknown, 0, 0).expect("a lost answer may have been a success");
    }
}
