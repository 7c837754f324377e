//! The command line of `hii-server share`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::args::duration;

/// The command line of `hii-server share`.
#[derive(Debug, clap::Args)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own on the command line"
)]
#[command(after_help = "Examples:\n  \
    hii-server share photos notes.txt        a folder and a file, on port 8082, for whoever has the key that it shows\n  \
    hii-server share --once movie.mkv        end when somebody has it\n  \
    tar c project | hii-server share --once -   what comes from stdin, to one receiver\n  \
    hii-server share --key-file key photos   with the key of a file, or of the environment variable HII_KEY\n  \
    hii-server share --classic notes.txt     for an original client on this host, in plain text\n\n\
    What goes through is encrypted, and each file is verified. The key is 128 random bits; hii-server key FILE \
    makes a file with one.\n\n\
    Symbolic links, pipes and devices are left out and named. A file that changes while it is sent is reported to the \
    receiver as changed, as far as the file system tells (writes through a memory map may go unnoticed).\n\n\
    A file or folder that cannot be read refuses the start.\n\n\
    Ctrl-C tells the receivers that it stops, and prints what it did. Exit: 0 fine, 1 what came from stdin was not \
    confirmed by a receiver, 2 usage, 3 cannot listen, 4 --classic on an address that others reach, 7 a file cannot be \
    read: nothing was offered, 8 with --once: some files could not be sent, or were not confirmed, 130 with --once: \
    interrupted before somebody had it.")]
pub struct Args {
    /// Files and folders to offer, folders with all that is in them; - is stdin
    #[arg(required = true, value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,

    /// Port to listen on, TCP; 0 is any free one, and another for each address
    #[arg(short, long, default_value_t = 8082)]
    pub(super) port: u16,

    /// Address to listen on, may be given several times [default: every address, IPv4 and IPv6]
    #[arg(short, long, value_name = "IP")]
    pub(super) bind: Vec<IpAddr>,

    /// Take the key from this file [default: from the environment variable `HII_KEY`, else a new one, which is shown]
    #[arg(long, value_name = "FILE")]
    pub(super) key_file: Option<PathBuf>,

    /// End when a receiver has all it wanted
    #[arg(long)]
    pub(super) once: bool,

    /// Receivers at once, fewer where the limit of open files has no room for them; further ones are told to come later
    /// [default: 64; 1 with --once, --classic or stdin]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    max_receivers: Option<u32>,

    /// Let a receiver go that does nothing for so long
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "5m")]
    pub(super) idle: Duration,

    /// The name that what comes from stdin is offered by
    #[arg(long, value_name = "NAME", default_value = "stdin")]
    pub(super) stdin_name: String,

    /// Hand one file over as the original program does, in plain text: whoever reaches the port gets it, and a receiver cannot
    /// tell a file that was cut off from a whole one. On this host only; ends after one client
    #[arg(long, conflicts_with_all = ["key_file", "once"])]
    pub(super) classic: bool,

    /// Let --classic listen on addresses that others reach
    #[arg(long, requires = "classic")]
    pub(super) classic_insecure: bool,

    /// Let --classic go on after a client has the file
    #[arg(long, requires = "classic")]
    pub(super) stay: bool,

    /// Print what the sender did as JSON when it stops
    #[arg(long)]
    pub(super) json: bool,
}

impl Args {
    /// Whether it ends when a receiver has all it wanted.
    pub(super) fn is_for_one(&self) -> bool {
        self.once || self.classic && !self.stay
    }

    /// How many receivers there may be at once.
    pub(super) fn max_receivers(&self, is_for_one: bool) -> usize {
        let default = if is_for_one { 1 } else { 64 };
        let asked = self.max_receivers.unwrap_or(default);
        usize::try_from(asked).unwrap_or(usize::MAX)
    }
}
