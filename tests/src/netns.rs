//! A network namespace that exists as long as a file descriptor of this process.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::panic::resume_unwind;
use std::path::Path;
use std::process::{Child, Command, Stdio, id};
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};

use crate::programs::{self, Ended, Server};

/// A network namespace. It has no name in the file system: nothing but this descriptor and the processes in it hold it,
/// so it ends with the test in every case.
#[derive(Debug)]
pub struct Namespace {
    file: File,
}

impl Namespace {
    /// A new one, with its loopback interface up.
    ///
    /// # Errors
    /// This process may not make one.
    ///
    /// # Panics
    /// It was made, but cannot be configured.
    pub fn new() -> io::Result<Self> {
        let file = on_other_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            File::open("/proc/thread-self/ns/net")
        })?;
        let namespace = Self { file };
        namespace.ip("link set lo up");
        Ok(namespace)
    }

    /// Runs a function there, on a thread of its own. A socket that it opens stays there. A program is started with
    /// [`command`](Self::command) instead.
    ///
    /// # Panics
    /// It panics, or the namespace cannot be entered.
    pub fn enter<T: Send>(&self, run: impl FnOnce() -> T + Send) -> T {
        on_other_thread(|| {
            setns(&self.file, CloneFlags::CLONE_NEWNET).expect("a namespace of ours");
            run()
        })
    }

    /// The beginning of a command line whose rest runs there, and is killed when the thread that started it ends.
    #[must_use]
    pub fn command(&self) -> [String; 6] {
        let network = format!("--net={}", self.path());
        let words = ["nsenter", &network, "setpriv", "--pdeathsig", "KILL", "--"];
        words.map(ToOwned::to_owned)
    }

    /// Runs a program there to its end.
    ///
    /// # Panics
    /// It cannot be started, or hangs.
    pub fn run(&self, program: &str, args: &[&str]) -> Ended {
        self.with_command(program, args, programs::run)
    }

    /// Starts a program there with its output caught. It is killed when the thread that started it ends.
    ///
    /// # Panics
    /// It cannot be started.
    pub fn start(&self, program: &str, args: &[&str]) -> Child {
        self.with_command(program, args, programs::start)
    }

    /// The same, with its input to be written.
    ///
    /// # Panics
    /// It cannot be started.
    pub fn start_with_input(&self, program: &str, args: &[&str]) -> Child {
        self.with_command(program, args, programs::start_with_input)
    }

    /// Starts `hii-server` there.
    ///
    /// # Panics
    /// It does not say where it listens.
    #[must_use]
    pub fn serve(&self, program: &str, args: &[&str]) -> Server {
        self.with_command(program, args, Server::start)
    }

    /// Hands over the command line of a program that runs there.
    fn with_command<T>(
        &self,
        program: &str,
        args: &[&str],
        run: impl FnOnce(&str, &[&str]) -> T,
    ) -> T {
        let [first, command @ ..] = self.command();
        let command: Vec<_> = command.iter().map(String::as_str).collect();
        run(&first, &[&command, &[program][..], args].concat())
    }

    /// A path by which other programs find it, while this process runs.
    #[must_use]
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", id(), self.file.as_raw_fd())
    }

    /// Configures it with `ip`: a command a line.
    ///
    /// # Panics
    /// One of them fails.
    pub fn ip(&self, commands: &str) {
        self.enter(|| {
            let mut ip = Command::new("ip")
                .args(["-batch", "-"])
                .stdin(Stdio::piped())
                .spawn()
                .expect("ip is installed");
            let mut stdin = ip.stdin.take().expect("stdin is piped");
            stdin.write_all(commands.as_bytes()).expect("ip reads");
            drop(stdin);
            let status = ip.wait().expect("ip ends");
            assert!(status.success(), "ip: {commands}");
        });
    }

    /// Sets a variable below `/proc/sys/net`.
    ///
    /// # Panics
    /// There is no such variable, or it may not be set.
    pub fn set(&self, variable: &str, value: &str) {
        let path = Path::new("/proc/sys/net").join(variable);
        self.enter(|| fs::write(&path, value))
            .unwrap_or_else(|error| panic!("{variable}: {error}"));
    }
}

/// The namespaces of a thread are its own: the caller stays where it is.
fn on_other_thread<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(run).join()).unwrap_or_else(|panic| resume_unwind(panic))
}
