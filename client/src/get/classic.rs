//! The original hand-over (`WIRE.md` section 8.6): one file in plain text, with a key that everybody knows.

use std::fs::File;
use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hii_protocol::Escaped;
use hii_protocol::share::{Id, Mode, ModifiedAt, Size};
use hii_server::exit::{Exit, Failure};
use hii_transport::beneath::Folder;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::connect::{failed, stopped};
use super::destination::{Destination, There};
use super::finisher::{Finisher, Whole};
use super::plan::{Decision, decide};
use super::progress::Progress;
use super::stop::Stop;
use super::summary::Summary;
use super::{Args, names, part};
use crate::output;

/// What a client says.
const KEY: &[u8] = b"SECRET_KEY";

/// What it is answered.
const SUCCESS: &[u8] = b"AUTH_SUCCESS";
const ERROR: &[u8] = b"AUTH_ERROR";

/// The name that the original client gives the file, letter by letter.
pub const NAME: &str = "RECIEVED_FILE.txt";

/// How long a sender may say nothing.
const PATIENCE: Duration = Duration::from_secs(60);

/// Octets read at once.
const PIECE: usize = 128 * 1024;

/// What a sender's first octets mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// They may become an answer.
    Wait,
    /// The file follows, and begins with these octets.
    Granted(&'a [u8]),
    /// It wants another key.
    Refused,
    /// It is something else.
    Stranger,
}

/// Judges what a sender has said.
#[must_use]
pub fn judge(octets: &[u8]) -> Verdict<'_> {
    if let Some(rest) = octets.strip_prefix(SUCCESS) {
        Verdict::Granted(rest)
    } else if octets.starts_with(ERROR) {
        Verdict::Refused
    } else if SUCCESS.starts_with(octets) || ERROR.starts_with(octets) {
        Verdict::Wait
    } else {
        Verdict::Stranger
    }
}

/// The addresses that may be spoken to in plain text: this host's own, unless the user insists.
///
/// # Errors
/// There is none.
pub fn allowed(addresses: Vec<SocketAddr>, is_insecure: bool) -> Result<Vec<SocketAddr>, Failure> {
    let allowed: Vec<_> = addresses
        .into_iter()
        .filter(|address| is_insecure || address.ip().is_loopback())
        .collect();
    if allowed.is_empty() {
        return Err(Failure::new(
            Exit::Refused,
            "--classic is plain text, which others on the way can read and change: on this host only",
            "use `hii-server share` without --classic there, or say --classic-insecure",
        ));
    }
    Ok(allowed)
}

/// Where the file goes.
enum Sink {
    Stdout,
    File {
        file: File,
        folder: Arc<Folder>,
        name: String,
        replaces: bool,
        /// Whether the user gave the name, rather than a folder.
        is_one_name: bool,
    },
}

/// Receives the one file. It cannot be told whether it is whole.
///
/// # Errors
/// The sender refuses, the connection breaks, or the file cannot be written.
pub(super) async fn receive(
    args: &Args,
    stream: TcpStream,
    address: SocketAddr,
    stop: &Stop,
    summary: &mut Summary,
) -> Result<(), Failure> {
    let broken = |error: io::Error| failed(address, &error);
    stream.set_nonblocking(true).map_err(broken)?;
    let mut stream = tokio::net::TcpStream::from_std(stream).map_err(broken)?;
    stream.write_all(KEY).await.map_err(broken)?;
    let mut buffer = Vec::with_capacity(PIECE);
    loop {
        if read(&mut stream, &mut buffer, address, stop).await? == 0 {
            return Err(failed(address, &io::ErrorKind::UnexpectedEof.into()));
        }
        match judge(&buffer) {
            Verdict::Wait => {}
            Verdict::Granted(rest) => {
                let answer = buffer.len() - rest.len();
                buffer.drain(..answer);
                break;
            }
            Verdict::Refused => {
                return Err(Failure::new(
                    Exit::Refused,
                    format_args!("{address} has another key than the originals have"),
                    "it may be a sender of your own: this program knows the original key only",
                ));
            }
            Verdict::Stranger => {
                return Err(Failure::new(
                    Exit::Protocol,
                    format_args!(
                        "{address} is no original file server: it says {}",
                        output::said(&buffer)
                    ),
                    "leave out --classic for `hii-server share`, or give another port",
                ));
            }
        }
    }
    summary.offered = 1;
    let mut sink = open(args)?;
    let mut progress = Progress::new(args.progress, args.quiet);
    progress.start(None);
    progress.file(sink.name(), 0);
    let result = copy(&mut stream, buffer, &mut sink, address, stop, &mut progress).await;
    progress.end();
    match result {
        Ok(octets) => {
            summary.octets = octets;
            if let Some(name) = sink.keep(args)? {
                summary.placed_as(&name);
            }
            summary.received = 1;
            Ok(())
        }
        Err(failure) => {
            sink.discard();
            Err(failure)
        }
    }
}

async fn copy(
    stream: &mut tokio::net::TcpStream,
    mut buffer: Vec<u8>,
    sink: &mut Sink,
    address: SocketAddr,
    stop: &Stop,
    progress: &mut Progress,
) -> Result<u64, Failure> {
    let mut octets = 0;
    loop {
        sink.write(&buffer).map_err(cannot_write)?;
        octets += buffer.len() as u64;
        progress.advance(buffer.len() as u64);
        buffer.clear();
        if read(stream, &mut buffer, address, stop).await? == 0 {
            return Ok(octets);
        }
    }
}

/// Reads more; nothing at the end.
async fn read(
    stream: &mut tokio::net::TcpStream,
    buffer: &mut Vec<u8>,
    address: SocketAddr,
    stop: &Stop,
) -> Result<usize, Failure> {
    let mut stream = stream.take(PIECE as u64);
    tokio::select! {
        biased;
        () = stop.asked() => Err(stopped()),
        read = timeout(PATIENCE, stream.read_buf(buffer)) => match read {
            Ok(Ok(len)) => Ok(len),
            Ok(Err(error)) => Err(failed(address, &error)),
            Err(_) => Err(Failure::new(
                Exit::Unreachable,
                format_args!("{address} says nothing for {} s", PATIENCE.as_secs()),
                "it may be no original file server, or be busy with another client",
            )),
        },
    }
}

/// Opens what takes the file.
fn open(args: &Args) -> Result<Sink, Failure> {
    let output = args.output.as_deref().unwrap_or(Path::new(NAME));
    let destination = Destination::new(output, There::at(output), true)?;
    let (folder, name, is_one_name): (PathBuf, String, bool) = match destination {
        Destination::Stdout => return Ok(Sink::Stdout),
        Destination::Folder(folder) => (folder, NAME.into(), false),
        Destination::File(folder, name) => (folder, name, true),
    };
    std::fs::create_dir_all(&folder).map_err(cannot_write)?;
    let folder = Arc::new(Folder::open(&folder).map_err(cannot_write)?);
    let look = |name: &str| folder.look(name);
    let decision = decide(&name, Size::Unknown, now(), args.on_exists, look, |_| false);
    let (name, replaces) = match decision.map_err(cannot_write)? {
        Decision::Receive {
            name: other,
            replaces,
        } => (other.map_or(name, String::from), replaces),
        _ => {
            return Err(Failure::new(
                Exit::Output,
                format_args!("another file has the name {}", Escaped(name.as_bytes())),
                "give another one with -o, or --on-exists rename or overwrite",
            ));
        }
    };
    let file = part::own(&folder, &names::part(&name)).map_err(cannot_write)?;
    file.set_len(0).map_err(cannot_write)?;
    Ok(Sink::File {
        file,
        folder,
        name,
        replaces,
        is_one_name,
    })
}

impl Sink {
    fn name(&self) -> &str {
        match self {
            Self::Stdout => "-",
            Self::File { name, .. } => name,
        }
    }

    fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout => io::stdout().write_all(octets),
            Self::File { file, .. } => file.write_all(octets),
        }
    }

    /// The file gets its name, which is told where the user gave one.
    fn keep(self, args: &Args) -> Result<Option<String>, Failure> {
        let Self::File {
            file,
            folder,
            name,
            replaces,
            is_one_name,
        } = self
        else {
            return io::stdout().flush().map(|()| None).map_err(cannot_write);
        };
        let finisher = Finisher::start(args.on_exists).map_err(cannot_write)?;
        let whole = Whole {
            id: Id::FIRST,
            folder,
            file,
            part: names::part(&name),
            journal: None,
            name,
            replaces,
            mode: Mode::new(0o644),
            modified: now(),
        };
        finisher.place(whole).map_err(cannot_write)?;
        let mut placed = finisher.end().into_iter().map(|placed| placed.result);
        let name = placed.next().transpose().map_err(cannot_write)?;
        Ok(name.filter(|_| is_one_name))
    }

    fn discard(self) {
        if let Self::File { folder, name, .. } = self {
            let _ = folder.remove(&names::part(&name));
        }
    }
}

/// No time of its own comes with the file.
fn now() -> ModifiedAt {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or_default();
    ModifiedAt::new(seconds, since.subsec_nanos()).unwrap_or_default()
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "it is handed over by map_err"
)]
fn cannot_write(error: io::Error) -> Failure {
    Failure::new(
        Exit::Output,
        format_args!("cannot write what comes: {error}"),
        "free some space, or give another file with -o",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_exactly_so_long_and_the_rest_is_the_file() {
        for (octets, wanted) in [
            (&b""[..], Verdict::Wait),
            (b"AUTH_", Verdict::Wait),
            (b"AUTH_S", Verdict::Wait),
            (b"AUTH_SUCCESS", Verdict::Granted(b"")),
            (b"AUTH_SUCCESSAUTH_", Verdict::Granted(b"AUTH_")),
            (b"AUTH_ERRO", Verdict::Wait),
            (b"AUTH_ERROR", Verdict::Refused),
            (b"AUTH_X", Verdict::Stranger),
            (b"\0\0\0\x01E", Verdict::Stranger),
        ] {
            assert_eq!(judge(octets), wanted);
        }
    }

    #[test]
    fn plain_text_stays_on_this_host_unless_the_user_insists() {
        let parse = |texts: &[&str]| -> Vec<SocketAddr> {
            texts.iter().map(|text| text.parse().unwrap()).collect()
        };
        let all = parse(&["127.0.0.2:1", "192.0.2.1:1", "[::1]:1"]);
        let own = parse(&["127.0.0.2:1", "[::1]:1"]);
        assert_eq!(allowed(all.clone(), false), Ok(own));
        assert_eq!(allowed(all.clone(), true), Ok(all));
        let failure = allowed(parse(&["192.0.2.1:1"]), false).unwrap_err();
        assert_eq!(failure.exit(), Exit::Refused);
    }
}
