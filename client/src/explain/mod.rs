//! `hii explain`: what a frame means, or where exactly it is wrong.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;
use hii_server::exit::{Exit, FINE, Failure};
use serde::Serialize;

use crate::output::{cannot_print, json_line};

pub mod explanation;
mod hex;
mod input;
pub mod meaning;
mod text;

use explanation::{Explanation, explain};
use input::Input;

/// The command line of `hii explain`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    hii explain 'to:192.0.2.7/9000;content:good morning'\n  \
    hii explain 'to: 192.0.2.7/90x0; content: hello'    where it is wrong, and the code that it earns\n  \
    hii explain --service ping 'C 65508'\n  \
    hii explain --hex 746f3a00                          octets of a packet dump\n  \
    xxd datagram.bin | hii explain --hex                ... or of xxd, hexdump -Cv, tcpdump -X\n  \
    hii explain --file datagram.bin                     all of a file is one frame\n  \
    hii explain --json < frames.txt                     each line is a frame; an object for each\n\n\
    Without --service a frame is looked for in both services, requests and answers. To a ping service almost \
    everything is an ordinary message, so that is told only when it is asked about with --service ping.\n\n\
    Exit codes: 0 each frame has a meaning, 2 usage, 5 one has none, 7 output failed.")]
pub struct Args {
    /// The frame, exactly as it stands in a datagram [default: each line of stdin]
    #[arg(value_name = "FRAME", conflicts_with = "file")]
    frame: Option<OsString>,

    /// The service that it is for, or from [default: both]
    #[arg(long, value_enum)]
    service: Option<Service>,

    /// The frame is given in hex digits, as 686969, 0x68 0x69 0x69 or 68:69:69, or as xxd and hexdump -C print it; blanks
    /// between digits do not matter
    #[arg(long)]
    hex: bool,

    /// Take all of this file as one frame
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,

    /// Print a JSON object for each frame, one a line
    #[arg(long)]
    json: bool,
}

/// Whose frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Service {
    /// Answers every message
    Ping,
    /// Passes messages on
    Relay,
}

/// A frame's explanation in JSON.
#[derive(Serialize)]
struct Row<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    #[serde(flatten)]
    explanation: &'a Explanation,
}

/// Runs `hii explain`.
///
/// # Errors
/// The input cannot be read or is no hex, or the output cannot be written.
pub fn run(args: &Args) -> Result<ExitCode, Failure> {
    let mut out = io::stdout().lock();
    let mut all_fine = true;
    for frame in Input::open(args)? {
        let frame = frame?;
        let explanation = explain(&frame.octets, args.service);
        all_fine &= explanation.is_fine();
        let printed = if args.json {
            let row = Row {
                line: frame.line,
                explanation: &explanation,
            };
            json_line(&row).and_then(|row| writeln!(out, "{row}"))
        } else {
            text::write(&mut out, frame.line, &frame.octets, &explanation)
        };
        printed.map_err(cannot_print)?;
    }
    Ok(if all_fine {
        FINE
    } else {
        Exit::Protocol.into()
    })
}
