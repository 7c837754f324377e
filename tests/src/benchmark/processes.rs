//! Programs that the benchmark starts. Each is a process group of its own, so that whatever it started ends with it;
//! none outlives the benchmark, however that ends.

use std::collections::BTreeSet;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::mpsc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

use super::folders;
use super::trouble::{Outcome, Trouble};

/// The groups that run, by their first process.
static GROUPS: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

fn groups() -> MutexGuard<'static, BTreeSet<i32>> {
    // The set is whole between calls.
    GROUPS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the benchmark with all that it started, when it is interrupted or told to end.
///
/// # Errors
/// Signals cannot be caught.
pub fn end_with_the_benchmark() -> Outcome<()> {
    const INTERRUPTED: i32 = 130;
    ctrlc::set_handler(|| {
        // Nothing more is started, since the lock is never given back.
        let groups = groups();
        for group in groups.iter().map(|group| Pid::from_raw(*group)) {
            let _ = killpg(group, Signal::SIGKILL);
            let _ = waitpid(group, None);
        }
        folders::remove_all();
        std::process::exit(INTERRUPTED);
    })
    .map_err(|error| Trouble(format!("signals cannot be caught: {error}")))
}

/// A program that runs. It is killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    group: i32,
    /// Until it is waited for.
    child: Option<Child>,
}

/// What a program left.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Process {
    /// Starts a program; its output is caught.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(program: &str, args: &[&str]) -> Outcome<Self> {
        Self::spawn(program, args, Stdio::piped)
    }

    /// Starts a program whose output nobody needs.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start_silent(program: &str, args: &[&str]) -> Outcome<Self> {
        Self::spawn(program, args, Stdio::null)
    }

    fn spawn(program: &str, args: &[&str], output: fn() -> Stdio) -> Outcome<Self> {
        let cannot = |error| Trouble(format!("cannot start {program}: {error}"));
        let mut groups = groups();
        let child = Command::new(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(output())
            .stderr(output())
            .process_group(0)
            .spawn()
            .map_err(cannot)?;
        let group = i32::try_from(child.id()).map_err(|error| Trouble(error.to_string()))?;
        groups.insert(group);
        Ok(Self {
            name: program.rsplit('/').next().unwrap_or(program).to_owned(),
            group,
            child: Some(child),
        })
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> i32 {
        self.group
    }

    /// Its standard error, once.
    pub fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.child.as_mut()?.stderr.take()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// It takes longer than `limit`, or fails.
    pub fn finish(mut self, limit: Duration) -> Outcome<Ended> {
        let Some(child) = self.child.take() else {
            return Err("it was waited for before".into());
        };
        let (done, ended) = mpsc::channel();
        let waiter = thread::spawn(move || {
            let _ = done.send(child.wait_with_output());
        });
        let output = ended.recv_timeout(limit);
        if output.is_err() {
            self.kill();
        }
        // It has ended now, so the wait is over.
        let _ = waiter.join();
        let Output {
            status,
            stdout,
            stderr,
        } = output.map_err(|_| Trouble(format!("{} took too long", self.name)))??;
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        let (stdout, stderr) = (text(&stdout), text(&stderr));
        if status.success() {
            return Ok(Ended { stdout, stderr });
        }
        let said = stderr.lines().chain(stdout.lines());
        let said = said.map(str::trim).find(|line| !line.is_empty());
        Err(Trouble(format!(
            "{} failed ({status}): {}",
            self.name,
            said.unwrap_or("it says nothing")
        )))
    }

    fn kill(&self) {
        let _ = killpg(Pid::from_raw(self.group), Signal::SIGKILL);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            self.kill();
            let _ = child.wait();
        }
        groups().remove(&self.group);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longer than a test that works takes.
    const FOR_EVER: &str = "600";

    #[test]
    fn a_program_that_takes_too_long_is_killed_with_all_that_it_started() {
        let script = format!("sleep {FOR_EVER} & sleep {FOR_EVER}");
        let process = Process::start("sh", &["-c", &script]).unwrap();
        // This returns once what it started has closed its end of the pipes too.
        let trouble = process.finish(Duration::from_millis(50)).unwrap_err();
        assert_eq!(trouble.to_string(), "sh took too long");
    }

    #[test]
    fn what_a_failed_program_said_is_told() {
        let run = |script| Process::start("sh", &["-c", script]).unwrap();
        let failed = run("echo; echo no such thing >&2; exit 2").finish(Duration::from_secs(60));
        let trouble = failed.unwrap_err().to_string();
        assert!(trouble.contains("no such thing"), "{trouble}");
        let ended = run("echo yes").finish(Duration::from_secs(60)).unwrap();
        assert_eq!(ended.stdout, "yes\n");
    }

    #[test]
    fn a_dropped_program_is_gone() {
        let process = Process::start_silent("sleep", &[FOR_EVER]).unwrap();
        let id = Pid::from_raw(process.id());
        assert!(killpg(id, None).is_ok());
        drop(process);
        assert!(killpg(id, None).is_err());
    }
}
