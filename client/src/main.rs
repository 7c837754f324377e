//! `hii`: measures what a path does to UDP.

use std::process::ExitCode;

fn main() -> ExitCode {
    hii_client::main()
}
