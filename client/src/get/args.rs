//! The command line of `hii get`.

use std::path::PathBuf;

use hii_server::exit::{Exit, Failure};

use super::plan::OnExists;
use crate::target::{Family, Target};

#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own on the command line"
)]
/// Fetches the files and folders that `hii-server share` offers.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    hii get 192.0.2.7                          into this folder; asks for the key\n  \
    hii get 192.0.2.7 -o backup/ --key-file k  into a folder, made if need be\n  \
    hii get 192.0.2.7 -o notes.txt             the only file, under this name\n  \
    hii get 192.0.2.7 -o - | tar x             the only file to standard output\n  \
    hii get 127.0.0.1 --classic -o notes.txt   from an original server\n\n\
    The key is asked for on the terminal, or taken from --key-file or the variable HII_KEY. All that comes is \
    verified before it gets its name; times and permissions are kept. After an interruption the same command \
    goes on where it stopped: a file that is there with its size and time is not fetched again, and of a large \
    one only the rest (its parts are hidden files that end in .hii-part and .hii-journal). A sender that was \
    started again may have another key.\n\n\
    --classic speaks to the original file server: anybody on the way can read and change what comes, and a \
    file that was cut off cannot be told from a whole one.\n\n\
    Exit codes: 0 all is there, 2 usage, 3 cannot reach, 4 wrong key or refused, 5 not a sender of files, \
    6 a file changed or came damaged, 7 cannot write, or something is in the way, 8 something is missing and \
    the same command goes on, 130 interrupted (so does it then).")]
pub struct Args {
    /// The sender, as host, host:port or [ipv6]:port
    #[arg(value_name = "SERVER", value_parser = Target::share)]
    pub(super) server: Target,

    /// Where to: a folder, told by a / at its end or being there; where one file alone is offered else the file's name; or -
    /// for standard output [default: this folder; with --classic `RECIEVED_FILE.txt`, as the original spells it]
    #[arg(short, long, value_name = "DIR|FILE|-")]
    pub(super) output: Option<PathBuf>,

    /// Take the key from the first line of this file
    #[arg(long, value_name = "FILE", conflicts_with = "classic")]
    pub(super) key_file: Option<PathBuf>,

    /// What to do where another file has the name
    #[arg(long, value_name = "WHAT", value_enum, default_value_t)]
    pub(super) on_exists: OnExists,

    /// Use IPv4 only
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    ipv4: bool,

    /// Use IPv6 only
    #[arg(short = '6', long)]
    ipv6: bool,

    /// How to show how far it is: a bar when stderr is a terminal, or a JSON object a line on stderr
    #[arg(long, value_name = "FORM", value_enum, default_value_t)]
    pub(super) progress: ProgressForm,

    /// Say nothing but errors
    #[arg(short, long, conflicts_with = "progress")]
    pub(super) quiet: bool,

    /// Print the summary as a JSON document on standard output
    #[arg(long)]
    pub(super) json: bool,

    /// Speak to the original file server, in plain text
    #[arg(long)]
    pub(super) classic: bool,

    /// With --classic, speak to other hosts than this one too
    #[arg(long, requires = "classic")]
    pub(super) classic_insecure: bool,
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum ProgressForm {
    /// A bar on a terminal, else nothing
    #[default]
    Bar,
    /// A JSON object a line
    Json,
}

impl Args {
    /// Refuses what does not go together.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let is_stdout = self
            .output
            .as_ref()
            .is_some_and(|path| path.as_os_str() == "-");
        if is_stdout && self.json {
            return Err(Failure::new(
                Exit::Usage,
                "--json and -o - both take standard output",
                "leave out one of them; --progress json is on stderr",
            ));
        }
        Ok(())
    }

    /// Which of the sender's addresses are used.
    pub(super) fn family(&self) -> Family {
        match (self.ipv4, self.ipv6) {
            (true, _) => Family::V4,
            (_, true) => Family::V6,
            _ => Family::Any,
        }
    }
}
