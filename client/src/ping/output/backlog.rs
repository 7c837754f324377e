//! Output that waits for its reader, on a thread of its own: whoever measures is never kept waiting by a terminal that is
//! stopped, or by a pipe that nobody reads.
//!
//! What waits is bounded. Beyond that, a line for people is left out, and how many were is said where they are missing;
//! a row for machines is not, so there the output has failed, and the run ends with its summary. Only a run in bursts,
//! which makes rows faster than anything reads them, waits for its reader.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::ping::events::{GLANCE, Interrupt};

/// What becomes of what is printed while more than so many octets wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// It is left out, and counted.
    Lines(usize),
    /// The output has failed.
    Rows(usize),
    /// Whoever prints it waits, as long as the run is not interrupted.
    Bursts(usize),
}

/// What waits for the reader. Clones share it.
///
/// What is written to it is put together first, and goes on its way with [`commit`](Self::commit).
#[derive(Debug, Clone)]
pub struct Backlog(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limit: Limit,
    interrupt: Interrupt,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// What is being put together.
    line: Vec<u8>,
    waiting: Vec<u8>,
    /// Octets that are being written.
    writing: usize,
    /// Lines left out since the last that was not.
    left_out: usize,
    failed: bool,
    /// Why, until somebody has been told.
    error: Option<io::Error>,
}

impl Backlog {
    /// Starts the thread that writes. A failure there interrupts the run.
    ///
    /// # Errors
    /// There is no memory for a thread.
    pub fn start(
        out: impl Write + Send + 'static,
        limit: Limit,
        interrupt: Interrupt,
    ) -> io::Result<Self> {
        let backlog = Self(Arc::new(Shared {
            limit,
            interrupt,
            state: Mutex::default(),
            changed: Condvar::new(),
        }));
        let writer = backlog.clone();
        thread::Builder::new()
            .name("output".into())
            .spawn(move || {
                if writer.write_all_that_comes(out).is_err() {
                    writer.0.interrupt.raise();
                }
            })?;
        Ok(backlog)
    }

    /// Sends on its way what was put together; if there is no room, and it may be left out, it is.
    ///
    /// # Errors
    /// It was not, or the output has failed before.
    pub fn commit(&self, may_be_left_out: bool) -> io::Result<()> {
        let mut state = self.lock();
        if let Limit::Bursts(most) = self.0.limit {
            while state.waiting() > most && !state.failed && !self.0.interrupt.is_raised() {
                state = self.glance(state);
            }
        }
        let line = std::mem::take(&mut state.line);
        if state.failed {
            return Err(state.take_error());
        }
        let waiting = state.waiting();
        match self.0.limit {
            Limit::Lines(most) if may_be_left_out && waiting > most => {
                state.left_out += line.split_inclusive(|octet| *octet == b'\n').count();
                return Ok(());
            }
            Limit::Rows(most) if waiting > most => {
                state.failed = true;
                state.waiting.clear();
                self.0.changed.notify_all();
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("{waiting} octets wait, and nothing reads them"),
                ));
            }
            _ => {}
        }
        if line.is_empty() {
            return Ok(());
        }
        let left_out = std::mem::take(&mut state.left_out);
        if left_out > 0 {
            let told = format!("... {left_out} lines left out: nothing read them in time\n");
            state.waiting.extend_from_slice(told.as_bytes());
        }
        state.waiting.extend_from_slice(&line);
        self.0.changed.notify_all();
        Ok(())
    }

    /// Waits until everything is written, or the output has failed.
    pub fn drain(&self) {
        let mut state = self.lock();
        while !state.failed && state.waiting() > 0 {
            state = self.wait(state);
        }
    }

    /// Whether not everything could be written.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.lock().failed
    }

    /// Why not everything could be written, unless somebody has been told before.
    #[must_use]
    pub fn error(&self) -> Option<io::Error> {
        self.lock().error.take()
    }

    /// What the thread does, until the program ends.
    fn write_all_that_comes(&self, mut out: impl Write) -> Result<(), ()> {
        loop {
            let mut state = self.lock();
            while state.waiting.is_empty() {
                state = self.wait(state);
            }
            let octets = std::mem::take(&mut state.waiting);
            state.writing = octets.len();
            drop(state);
            let written = out.write_all(&octets).and_then(|()| out.flush());
            let mut state = self.lock();
            state.writing = 0;
            let failed = written.is_err();
            if let Err(error) = written {
                state.failed = true;
                state.error = Some(error);
            }
            self.0.changed.notify_all();
            if failed {
                return Err(());
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // It is whole between calls, whatever thread ended early.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits, but not so long that an interruption would not be noticed.
    fn glance<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let woken = self.0.changed.wait_timeout(state, GLANCE);
        woken.unwrap_or_else(PoisonError::into_inner).0
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let woken = self.0.changed.wait(state);
        woken.unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn waiting(&self) -> usize {
        self.waiting.len() + self.writing
    }

    fn take_error(&mut self) -> io::Error {
        let told = || io::Error::from(io::ErrorKind::BrokenPipe);
        self.error.take().unwrap_or_else(told)
    }
}

impl Write for Backlog {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.lock().line.extend_from_slice(octets);
        Ok(octets.len())
    }

    /// Does nothing: the other thread writes as fast as the reader reads.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// A reader that reads once it is let.
    struct Reader {
        gate: Receiver<()>,
        read: Sender<Vec<u8>>,
    }

    impl Write for Reader {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            // Once it is open it stays so.
            let _ = self.gate.recv();
            let _ = self.read.send(octets.to_vec());
            Ok(octets.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn start(limit: Limit) -> (Backlog, Interrupt, Sender<()>, Receiver<Vec<u8>>) {
        let (open, gate) = channel();
        let (read, seen) = channel();
        let interrupt = Interrupt::default();
        let backlog = Backlog::start(Reader { gate, read }, limit, interrupt.clone());
        (backlog.unwrap(), interrupt, open, seen)
    }

    /// A line of ten octets.
    fn line(backlog: &mut Backlog, number: u32, may_be_left_out: bool) -> io::Result<()> {
        write!(backlog, "line ")?;
        writeln!(backlog, "{number:04}")?;
        backlog.commit(may_be_left_out)
    }

    fn all(seen: &Receiver<Vec<u8>>) -> String {
        String::from_utf8(seen.try_iter().flatten().collect()).unwrap()
    }

    #[test]
    fn lines_that_nobody_reads_are_left_out_and_the_figures_are_not() {
        let (mut backlog, interrupt, open, seen) = start(Limit::Lines(50));
        for number in 0..1_000 {
            line(&mut backlog, number, true).unwrap();
        }
        writeln!(backlog, "the summary").unwrap();
        backlog.commit(false).unwrap();
        drop(open);
        backlog.drain();
        let text = all(&seen);
        let shown: Vec<_> = text.lines().collect();
        let [lines @ .., left_out, last] = shown.as_slice() else {
            panic!("{text}");
        };
        let first: Vec<_> = (0..6).map(|number| format!("line {number:04}")).collect();
        assert_eq!(lines, first);
        let told = "... 994 lines left out: nothing read them in time";
        assert_eq!((*left_out, *last), (told, "the summary"));
        // There is room again.
        line(&mut backlog, 7, true).unwrap();
        backlog.drain();
        assert_eq!(all(&seen), "line 0007\n");
        assert!(!interrupt.is_raised() && !backlog.has_failed());
    }

    #[test]
    fn rows_that_nobody_reads_end_the_run() {
        let (mut backlog, _, open, seen) = start(Limit::Rows(50));
        let failed = (0..1_000).find(|number| line(&mut backlog, *number, true).is_err());
        assert_eq!(failed, Some(6));
        assert!(backlog.has_failed());
        assert!(line(&mut backlog, 7, false).is_err());
        // Nobody waits for that reader any more.
        backlog.drain();
        drop((open, seen));
    }

    #[test]
    fn rows_of_bursts_wait_for_their_reader_until_the_run_is_interrupted() {
        let (mut backlog, interrupt, open, seen) = start(Limit::Bursts(50));
        let printing = thread::spawn(move || {
            for number in 0..100 {
                line(&mut backlog, number, true).unwrap();
            }
            backlog
        });
        open.send(()).unwrap();
        let first = seen.recv().unwrap();
        assert!(first.len() <= 60 && !printing.is_finished());
        interrupt.raise();
        let backlog = printing.join().unwrap();
        drop(open);
        backlog.drain();
        let rest = all(&seen);
        assert_eq!(first.len() + rest.len(), 1_000);
        assert!(rest.ends_with("line 0099\n"));
    }

    #[test]
    fn a_writer_s_failure_interrupts_and_is_told_once() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (wakes, woken) = channel();
        let interrupt = Interrupt::default();
        interrupt.wakes(wakes);
        let mut backlog = Backlog::start(Full, Limit::Lines(50), interrupt.clone()).unwrap();
        line(&mut backlog, 1, true).unwrap();
        woken.recv().unwrap();
        assert!(interrupt.is_raised() && backlog.has_failed());
        backlog.drain();
        let error = line(&mut backlog, 2, true).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(backlog.error().is_none());
    }
}
