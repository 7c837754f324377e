//! `hii-server`: the Hii services.

use std::process::ExitCode;

fn main() -> ExitCode {
    hii_server::main()
}
