//! The arrows of ARCHITECTURE.md: which layer may use which, read from the sources.

use std::fs;
use std::path::{Path, PathBuf};

/// Each layer with the layers it may name; lowest first.
const MAY_USE: [(&str, &[&str]); 8] = [
    ("json_text", &[]),
    ("agui", &["json_text"]),
    ("state", &["json_text"]),
    ("store", &["json_text", "agui", "state"]),
    ("access", &["json_text", "state"]),
    ("agent", &["json_text", "agui", "state"]),
    ("runtime", &["json_text", "agui", "state", "store", "access", "agent"]),
    ("server", &["json_text", "agui", "state", "access", "runtime", "config"]),
];

#[test]
fn arrows_between_layers_point_down_only() {
    let mut wrong = Vec::new();
    for (layer, allowed) in MAY_USE {
        for file in sources(layer) {
            let text = fs::read_to_string(&file).expect("a source file is readable");
            for (number, line) in text.lines().enumerate() {
                for used in layers_named(line) {
                    if used != layer && !allowed.contains(&used) {
                        wrong.push(format!("{}:{}: {layer} uses {used}", file.display(), number + 1));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that point the wrong way (ARCHITECTURE.md):\n{}", wrong.join("\n"));
}

#[test]
fn no_import_hides_its_layer_in_a_group() {
    let mut hidden = Vec::new();
    for (layer, _) in MAY_USE {
        for file in sources(layer) {
            let text = fs::read_to_string(&file).expect("a source file is readable");
            let grouped = text.lines().filter(|line| line.contains("crate::{") || line.contains("crate::*"));
            hidden.extend(grouped.map(|line| format!("{}: {line}", file.display())));
        }
    }
    assert!(
        hidden.is_empty(),
        "write one `use crate::<layer>::…` per layer, so that arrows can be read:\n{}",
        hidden.join("\n")
    );
}

#[test]
fn pure_layers_do_no_io_and_read_no_clock() {
    let forbidden =
        ["std::fs", "std::net", "std::time", "std::env", "tokio", "Uuid", "SystemTime", "Instant", "rand::"];
    for layer in ["agui", "state"] {
        for file in sources(layer) {
            let text = fs::read_to_string(&file).expect("a source file is readable");
            let code = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]") && !line.starts_with("//!"));
            for line in code.filter(|line| line.trim_start().starts_with("use ") || line.contains("::")) {
                let found = forbidden.iter().find(|word| {
                    line.split(|c: char| !c.is_alphanumeric() && c != ':' && c != '_')
                        .any(|token| token.starts_with(**word))
                });
                assert!(found.is_none(), "{}: a pure layer names {}: {line}", file.display(), found.expect("checked"));
            }
        }
    }
}

/// The layers that a line names as `crate::<layer>`.
fn layers_named(line: &str) -> impl Iterator<Item = &str> {
    line.split("crate::").skip(1).filter_map(|rest| {
        let name = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
        MAY_USE.iter().map(|(layer, _)| *layer).find(|layer| *layer == name).or((name == "config").then_some("config"))
    })
}

/// `src/<layer>.rs` and every file below `src/<layer>/`.
fn sources(layer: &str) -> Vec<PathBuf> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![src.join(format!("{layer}.rs"))];
    let mut folders = vec![src.join(layer)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.expect("a folder is readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files
}
