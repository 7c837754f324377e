//! Runs a program and says at its end how much processor time it took, in microseconds, in the last line but one of
//! stderr, and how much memory it had at its peak (maximum resident set size), in KiB, in the last. A process of its own, since the kernel tells the peak of all of a process's children together,
//! and counts what a child was before it became its program: that is as small as this one.

use std::io::{self, Write as _};
use std::process::{Command, ExitCode};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;

fn main() -> io::Result<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    let program = args.next().ok_or(io::ErrorKind::InvalidInput)?;
    let status = Command::new(program).args(args).status()?;
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let time = usage.user_time() + usage.system_time();
    writeln!(io::stderr(), "{}", time.num_microseconds())?;
    writeln!(io::stderr(), "{}", usage.max_rss())?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
