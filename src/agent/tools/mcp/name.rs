//! Names of tools as every provider takes them: 1 to 64 of letters, digits, `_` and `-`.

use sha2::{Digest, Sha256};

const LONGEST: usize = 64;

/// `<server>__<tool>` of each tool. What is too long, or without the characters that no provider takes is the name of
/// another tool too, ends with a hash of all of it, so that names stay apart.
pub(super) fn of_all(server: &str, tools: &[&str]) -> Vec<String> {
    let plain: Vec<_> = tools.iter().map(|tool| of(server, tool)).collect();
    let is_taken = |at: usize| plain.iter().enumerate().any(|(other, name)| other != at && *name == plain[at]);
    let named = tools.iter().zip(&plain).enumerate();
    named
        .map(|(at, (tool, name))| match whole(server, tool) {
            whole if whole != *name && is_taken(at) => hashed(name.clone(), &whole),
            _ => name.clone(),
        })
        .collect()
}

fn of(server: &str, tool: &str) -> String {
    let whole = whole(server, tool);
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let name: String = whole.chars().map(|c| if legal(c) { c } else { '_' }).collect();
    if name.len() > LONGEST { hashed(name, &whole) } else { name }
}

fn whole(server: &str, tool: &str) -> String {
    format!("{server}__{tool}")
}

fn hashed(mut name: String, whole: &str) -> String {
    name.truncate(LONGEST - 9);
    name.push('_');
    name.extend(Sha256::digest(whole.as_bytes()).iter().take(4).map(|byte| format!("{byte:02x}")));
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

    #[test]
    fn tools_whose_names_differ_in_what_no_provider_takes_stay_apart() {
        let names = of_all("t", &["a.b", "a_b", "a b", "c.d"]);
        assert_eq!((names[1].as_str(), names[3].as_str()), ("t__a_b", "t__c_d"));
        assert!(
            names[0].starts_with("t__a_b_") && names[2].starts_with("t__a_b_") && names[0] != names[2],
            "{names:?}"
        );
    }
}
