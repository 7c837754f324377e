//! The program `hii`.

use std::process::ExitCode;

fn main() -> ExitCode {
    hii_client::main()
}
