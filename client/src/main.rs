//! `hii`: measures what a path does to UDP and TCP.

use std::process::ExitCode;

fn main() -> ExitCode {
    hii_client::main()
}
