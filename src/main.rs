//! The `kveil` binary; under the name `sops` it takes sops's command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(kveil::cli::run(std::env::args_os()))
}
