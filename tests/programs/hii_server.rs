//! The program `hii-server`.

use std::process::ExitCode;

fn main() -> ExitCode {
    hii_server::main()
}
