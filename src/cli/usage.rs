//! What is wrong with a command line, in one line as every other configuration error.

/// The words of the parser without its layout: the fault, what is accepted, and how the command is used.
pub(super) fn in_one_line(error: &clap::Error) -> String {
    let rendered = error.to_string();
    let (fault, rest) = rendered.split_once("\n\nUsage: ").unwrap_or((&rendered, ""));
    let fault = fault.split("\n\nFor more information").next().unwrap_or(fault);
    let fault = fault.trim_start_matches("error: ").split_whitespace().collect::<Vec<_>>().join(" ");
    match rest.lines().next() {
        Some(usage) if !usage.is_empty() => format!("{fault} (usage: {usage}; see --help)"),
        Some(_) | None => format!("{fault} (see --help)"),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::Cli;
    use super::*;

    #[test]
    fn a_fault_keeps_what_would_be_accepted() {
        for (given, said) in [
            (&["--bogus"][..], "unexpected argument '--bogus' found (usage: coagent [COMMAND]; see --help)"),
            (&["serve", "--listen"], "a value is required for '--listen <ADDR>' but none was supplied (see --help)"),
            (
                &["schema"],
                "the following required arguments were not provided: <OF> (usage: coagent schema <OF>; see --help)",
            ),
            (&["schema", "poem"], "invalid value 'poem' for '<OF>' [possible values: agent, openapi] (see --help)"),
        ] {
            let command_line = ["coagent"].iter().chain(given);
            let error = Cli::try_parse_from(command_line).expect_err("a bad command line");
            assert_eq!(in_one_line(&error), said);
        }
    }
}
