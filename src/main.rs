//! The `coagent` binary: parses the command line and hands over.

use std::process::ExitCode;

use coagent_runtime::cli::Cli;

/// Runs allocate on one thread and free on another; the system's allocator spends a fifth of their time on that.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    rustls::crypto::ring::default_provider().install_default().expect("no other TLS provider is installed before main");
    Cli::run_from_environment()
}
