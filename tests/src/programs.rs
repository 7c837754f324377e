//! Starting the built programs and reading what they say.

use std::io::{self, BufRead, BufReader, Read, Write as _};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::process::{self, Child, Command, Stdio};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::schema;

/// Guards against a program that hangs; no test depends on how long it is.
const WATCHDOG: Duration = Duration::from_secs(120);

/// What a program left when it ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; none when a signal killed it.
    pub code: Option<i32>,
    /// All of its standard output.
    pub stdout: String,
    /// All of its standard error.
    pub stderr: String,
}

impl Ended {
    /// The standard output as JSON; a document of `hii ping` has to be as its schema says.
    ///
    /// # Panics
    /// It is not.
    pub fn json(&self) -> Value {
        let json: Value =
            serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        if json.get("version").is_some() {
            schema::check(&json);
        }
        json
    }
}

/// Runs a program to its end.
///
/// # Panics
/// It cannot be started, or hangs.
pub fn run(program: &str, args: &[&str]) -> Ended {
    finish(start(program, args))
}

/// Runs a program with this on its standard input to its end.
///
/// # Panics
/// It cannot be started, does not read, or hangs.
pub fn run_with_input(program: &str, args: &[&str], input: &[u8]) -> Ended {
    let mut child = start_with_input(program, args);
    let mut stdin = child.stdin.take().expect("stdin is piped");
    stdin.write_all(input).expect("the program reads");
    drop(stdin);
    finish(child)
}

/// Starts a program with its output caught.
///
/// # Panics
/// It cannot be started.
pub fn start(program: &str, args: &[&str]) -> Child {
    spawn(program, args, Stdio::null())
}

/// Starts a program with its output caught, and its input to be written.
///
/// # Panics
/// It cannot be started.
pub fn start_with_input(program: &str, args: &[&str]) -> Child {
    spawn(program, args, Stdio::piped())
}

fn spawn(program: &str, args: &[&str], stdin: Stdio) -> Child {
    Command::new(program)
        .args(args)
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"))
}

/// Runs a command to its end as a user to whom permissions mean something, which they do not to root. The folders are that
/// user's. None where such a user may not run it.
///
/// # Panics
/// It cannot be started, or hangs.
#[cfg(target_os = "linux")]
pub fn run_as_nobody(command: &mut Command, folders: &[&str]) -> Option<Ended> {
    use std::os::unix::fs::{MetadataExt as _, chown};
    use std::os::unix::process::CommandExt as _;
    const NOBODY: u32 = 65_534;
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|this| this.uid() == 0);
    if is_root {
        for folder in folders {
            chown(folder, Some(NOBODY), None).expect("a folder of ours");
        }
        command.uid(NOBODY);
    }
    command.stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    match command.spawn() {
        Ok(child) => Some(finish(child)),
        Err(error) if is_root && error.kind() == io::ErrorKind::PermissionDenied => {
            eprintln!("skipped: nobody but root may run the program");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// Waits for a program's end.
///
/// # Panics
/// It hangs.
pub fn finish(child: Child) -> Ended {
    let id = child.id();
    let (done, ended) = mpsc::channel();
    let waiter = thread::spawn(move || {
        let _ = done.send(child.wait_with_output());
    });
    let Ok(ended) = ended.recv_timeout(WATCHDOG) else {
        signal(id, Signal::SIGKILL);
        panic!("the program hangs");
    };
    waiter.join().expect("the waiter only waits");
    let process::Output {
        status,
        stdout,
        stderr,
    } = ended.expect("the program's output can be read");
    let text = |octets: Vec<u8>| String::from_utf8(octets).expect("programs print UTF-8");
    Ended {
        code: status.code(),
        stdout: text(stdout),
        stderr: text(stderr),
    }
}

/// A running program's output, read as it comes.
pub type Output<R> = BufReader<Watched<R>>;

/// What a program prints there, to be read by lines.
pub fn output<R: Read + AsFd>(pipe: R) -> Output<R> {
    BufReader::new(Watched(pipe))
}

/// A pipe on which nothing may come for long: that is an error, where a test would otherwise hang.
#[derive(Debug)]
pub struct Watched<R>(R);

impl<R> Watched<R> {
    /// The pipe itself, for whoever waits for the program's end.
    pub fn into_pipe(self) -> R {
        self.0
    }
}

impl<R: Read + AsFd> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let timeout = PollTimeout::try_from(WATCHDOG).map_err(io::Error::other)?;
        let came = poll(
            &mut [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)],
            timeout,
        )?;
        if came == 0 {
            let what = "the program prints nothing more, and does not end";
            return Err(io::Error::new(io::ErrorKind::TimedOut, what));
        }
        self.0.read(buffer)
    }
}

/// Reads lines until what was read is enough, and returns it.
///
/// # Panics
/// The output ends before that, or nothing more comes.
pub fn read_until(lines: &mut impl BufRead, is_enough: impl Fn(&str) -> bool) -> String {
    let mut text = String::new();
    while !is_enough(&text) {
        match lines.read_line(&mut text) {
            Ok(0) => panic!("the output ends: {text}"),
            Ok(_) => {}
            Err(error) => panic!("{error}: {text}"),
        }
    }
    text
}

/// Sends a signal to a program.
///
/// # Panics
/// There is no such program.
pub fn signal(id: u32, signal: Signal) {
    let id = Pid::from_raw(i32::try_from(id).expect("process ids are small"));
    kill(id, signal).expect("the program is there");
}

/// A count in a program's JSON.
///
/// # Panics
/// It is none.
#[track_caller]
pub fn count(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| panic!("{value} is no count"))
}

/// A running `hii-server`.
#[derive(Debug)]
pub struct Server {
    child: Option<Child>,
    address: SocketAddr,
    /// What it has written to stderr.
    stderr: Option<JoinHandle<String>>,
}

impl Server {
    /// Starts a server with these arguments and `-p 0`, and waits until it listens.
    ///
    /// # Panics
    /// It does not say where it listens.
    pub fn start(program: &str, args: &[&str]) -> Self {
        let mut child = start(program, &[args, &["-p", "0"]].concat());
        let stderr = child.stderr.take().expect("stderr is piped");
        let mut lines = output(stderr);
        let mut line = String::new();
        lines
            .read_line(&mut line)
            .expect("the server says where it listens");
        let address = line
            .split_whitespace()
            .find_map(|word| word.parse().ok())
            .unwrap_or_else(|| panic!("no address in {line:?}"));
        // The rest is read too, or the server would one day wait for room.
        let stderr = thread::spawn(move || {
            // What was buffered with the first line comes first.
            line.push_str(&String::from_utf8_lossy(lines.buffer()));
            let _ = lines.into_inner().into_pipe().read_to_string(&mut line);
            line
        });
        Self {
            child: Some(child),
            address,
            stderr: Some(stderr),
        }
    }

    /// Where it listens, as it said.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process.
    ///
    /// # Panics
    /// Never: it runs until it is stopped.
    pub fn id(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// Stops it as an operator does, and returns what it left.
    ///
    /// # Panics
    /// It hangs.
    pub fn stop(self) -> Ended {
        signal(self.id(), Signal::SIGTERM);
        self.wait()
    }

    /// Waits until it has stopped by itself.
    ///
    /// # Panics
    /// It hangs.
    pub fn wait(mut self) -> Ended {
        let mut ended = finish(self.child.take().expect("it runs"));
        let stderr = self.stderr.take().expect("it is read once");
        ended.stderr = stderr.join().expect("it can be read");
        ended
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Stops a `hii-server ping --json` and returns its tally, in which every message is in one of the counts.
///
/// # Panics
/// It hangs or fails, or a message is in none.
pub fn ping_tally(server: Server) -> Value {
    let ended = server.stop();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let tally = ended.json();
    let parts = [
        "answered",
        "dropped",
        "ignored",
        "over_rate",
        "over_classic_rate",
        "over_message_rate",
        "over_octets",
        "too_short",
        "queue_full",
        "send_failed",
        "abandoned",
    ];
    let sum: u64 = parts.iter().map(|part| count(&tally[part])).sum();
    let refused = tally["refused_sources"].as_object().expect("counts");
    let sum = sum + refused.values().map(count).sum::<u64>();
    assert_eq!(count(&tally["received"]), sum, "{tally}");
    tally
}
