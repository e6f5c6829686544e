//! Names of tools as every provider takes them: 1 to 64 of letters, digits, `_` and `-`.

use sha2::{Digest, Sha256};

const LONGEST: usize = 64;

/// `<server>__<tool>`. What is too long ends with a hash of all of it, so that names stay apart.
pub(super) fn of(server: &str, tool: &str) -> String {
    let whole = format!("{server}__{tool}");
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let mut name: String = whole.chars().map(|c| if legal(c) { c } else { '_' }).collect();
    if name.len() > LONGEST {
        let digest = Sha256::digest(whole.as_bytes());
        name.truncate(LONGEST - 9);
        name.push('_');
        name.extend(digest.iter().take(4).map(|byte| format!("{byte:02x}")));
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_that_every_provider_takes() {
        assert_eq!(of("fs", "read_file"), "fs__read_file");
        assert_eq!(of("fs", "read.file é"), "fs__read_file__");
        let (one, other) = (of("fs", &"a".repeat(80)), of("fs", &format!("{}b", "a".repeat(79))));
        assert_eq!((one.len(), other.len()), (64, 64));
        assert_ne!(one, other);
    }
}
