//! The `coagent` binary: parses the command line and hands over.

use std::process::ExitCode;

use coagent_runtime::cli::Cli;

fn main() -> ExitCode {
    rustls::crypto::ring::default_provider().install_default().expect("no other TLS provider is installed before main");
    Cli::run_from_environment()
}
