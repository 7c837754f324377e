//! What a frame does: the session says what it means, and the output takes it.

use std::collections::VecDeque;
use std::io;

use hii_protocol::share::{
    Answer, Digest, Id, Kind, Problem, RequestBuf, Size, Start, Text, VERSION,
};
use hii_server::exit::{Exit, Failure};

use super::end::End;
use super::finisher::{MOST_WAITING, Placed};
use super::manifest::{Manifest, Offered};
use super::output::{Output, Verified};
use super::part::Part;
use super::plan::{Decision, OnExists};
use super::progress::Progress;
use super::session::{Session, Step};
use super::store::{Plan, StoreError};
use super::summary::Summary;

/// Files that are wanted ahead, so that small ones do not cost a round trip each.
const AHEAD: usize = 64;

/// Makes the output for what is offered.
pub type Open<'a> = dyn Fn(&Manifest) -> Result<Output, Failure> + 'a;

/// What has been received, and what is still wanted.
pub struct State<'a> {
    session: Session,
    open: &'a Open<'a>,
    on_exists: OnExists,
    output: Option<Output>,
    plan: Plan,
    /// The next entry to want.
    next: u64,
    /// Whether what comes is of a pipe or goes to one, so that nothing goes on with it.
    is_pipe: bool,
    /// What is there of the files that are wanted, in their order.
    prepared: VecDeque<Option<Part>>,
    /// Files on their way to their places.
    placing: usize,
    /// Files that stand in their places, and the sender is not told yet.
    got: Vec<Id>,
    has_said_done: bool,
    /// What became of it.
    pub summary: Summary,
    /// How far it is.
    pub progress: Progress,
}

impl<'a> State<'a> {
    /// Nothing has come.
    pub fn new(open: &'a Open<'a>, on_exists: OnExists, progress: Progress) -> Self {
        Self {
            session: Session::default(),
            open,
            on_exists,
            output: None,
            plan: Plan::default(),
            next: 1,
            is_pipe: false,
            prepared: VecDeque::new(),
            placing: 0,
            got: Vec::new(),
            has_said_done: false,
            summary: Summary::default(),
            progress,
        }
    }

    /// The first that is said.
    #[must_use]
    pub fn greeting() -> RequestBuf {
        RequestBuf::Hello(VERSION)
    }

    /// Octets that the sender has to look at before it can say anything.
    #[must_use]
    pub fn before_the_next(&self) -> u64 {
        self.session.before_the_next()
    }

    /// Whether files are being received, so that a later run goes on.
    #[must_use]
    pub fn is_resumable(&self) -> bool {
        self.output.as_ref().is_some_and(Output::is_resumable)
    }

    /// Whether everything is there that is to come, but for the sender's last word.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.has_said_done
    }

    /// Takes a frame. Tells whether it was the last.
    ///
    /// # Errors
    /// It ends here.
    pub fn take(&mut self, frame: &[u8]) -> Result<bool, End> {
        let answer = Answer::decode(frame).map_err(End::malformed)?;
        match self.session.take(answer).map_err(End::violation)? {
            Step::Wait => {}
            Step::Offered => self.offered()?,
            Step::Begin { id, offset } => self.begin(id, offset)?,
            Step::Data(data) => {
                if let Some(output) = &mut self.output {
                    output.write(data).map_err(storage(self.is_pipe))?;
                }
                let octets = data.len() as u64;
                self.summary.octets += octets;
                self.progress.advance(octets);
            }
            Step::Whole { id, digest } => self.whole(id, digest)?,
            Step::Failed {
                id,
                has_begun,
                problem,
                text,
            } => self.failed(id, has_begun, problem, text),
            Step::Done => return Ok(true),
            // Everything is there, whatever becomes of the sender.
            Step::Cancelled(_) | Step::Refused(Problem::Stopping, _) if self.is_complete() => {
                return Ok(true);
            }
            Step::Cancelled(text) => return Err(End::cancelled(text, self.is_resumable())),
            Step::Refused(problem, text) => {
                return Err(End::refused(problem, text, self.is_resumable()));
            }
        }
        Ok(false)
    }

    fn offered(&mut self) -> Result<(), End> {
        let manifest = self.session.manifest();
        let mut output = (self.open)(manifest)?;
        self.plan = output.plan(manifest, self.on_exists)?;
        let is_one_name = output.is_one_name();
        self.output = Some(output);
        self.summary.offered = manifest.files().count() as u64;
        let mut total = 0_u64;
        for (entry, decision) in manifest.entries().zip(&self.plan.decisions) {
            match decision {
                Decision::Receive { .. } => {
                    if let Size::Known(octets) = entry.size() {
                        total = total.saturating_add(octets);
                    }
                }
                Decision::Present { name } => {
                    self.summary.present += 1;
                    if let Some(name) = name.as_deref().filter(|_| is_one_name) {
                        self.summary.placed_as(name);
                    }
                }
                Decision::Skip if entry.kind == Kind::Folder => {}
                Decision::Skip => self.summary.skipped += 1,
                Decision::Refuse(why) => self.summary.fail(entry.path, why, Exit::Output),
            }
        }
        self.progress.start(Some(total));
        Ok(())
    }

    fn begin(&mut self, id: Id, offset: u64) -> Result<(), End> {
        let prepared = self.prepared.pop_front().flatten();
        let (Some(entry), Some(decision), Some(output)) = (
            self.session.manifest().get(id),
            decision_of(&self.plan, id),
            &mut self.output,
        ) else {
            return Ok(());
        };
        self.is_pipe = entry.size() == Size::Unknown || !output.is_resumable();
        self.summary.resumed_octets += offset;
        self.progress.file(entry.path, offset);
        let begun = output.begin(&entry, decision, prepared, offset);
        not_had(begun, &entry, &mut self.summary)
    }

    fn whole(&mut self, id: Id, digest: Digest) -> Result<(), End> {
        let (Some(entry), Some(output)) = (self.session.manifest().get(id), &mut self.output)
        else {
            return Ok(());
        };
        // Standard output may take the last octets only now.
        let verified = output.finish(&entry, digest);
        match verified.map_err(storage(self.is_pipe))? {
            Verified::Placing => self.placing += 1,
            Verified::InPlace => self.in_place(id),
            Verified::Wrong => {
                let why = "its octets are not those that the sender has; they were thrown away";
                self.summary.fail(entry.path, why, Exit::Integrity);
            }
            Verified::Nothing => {}
        }
        Ok(())
    }

    fn failed(&mut self, id: Id, has_begun: bool, problem: Problem, text: Text<'_>) {
        let prepared = if has_begun {
            None
        } else {
            self.prepared.pop_front().flatten()
        };
        let is_changed = problem == Problem::Changed;
        if let Some(output) = &mut self.output
            && has_begun
        {
            output.stop(!is_changed);
        }
        match prepared {
            Some(part) if is_changed => part.discard(),
            Some(part) => part.keep(),
            None => {}
        }
        let exit = match problem {
            Problem::Changed => Exit::Integrity,
            _ => Exit::Partial,
        };
        let path = self
            .session
            .manifest()
            .get(id)
            .map_or("", |entry| entry.path);
        let why = match text.as_str() {
            "" => problem.to_string(),
            _ => format!("{problem}: {}", text.escaped()),
        };
        self.summary.fail(path, why, exit);
    }

    fn in_place(&mut self, id: Id) {
        self.summary.received += 1;
        self.progress.placed();
        self.got.push(id);
    }

    /// The next file that is in its place.
    pub async fn placed(&mut self) -> Placed {
        match &mut self.output {
            Some(output) => output.placed().await,
            None => std::future::pending().await,
        }
    }

    /// Notes what became of a file.
    pub fn note(&mut self, placed: Placed) {
        self.placing = self.placing.saturating_sub(1);
        let error = match placed.result {
            Ok(name) => {
                if self.output.as_ref().is_some_and(Output::is_one_name) {
                    self.summary.placed_as(&name);
                }
                return self.in_place(placed.id);
            }
            Err(error) => error,
        };
        let entry = self.session.manifest().get(placed.id);
        let path = entry.as_ref().map_or("", |entry| entry.path);
        let is_pipe = entry.is_some_and(|entry| entry.size() == Size::Unknown);
        match error.kind() {
            io::ErrorKind::AlreadyExists if self.on_exists == OnExists::Skip => {
                self.summary.skipped += 1;
            }
            io::ErrorKind::AlreadyExists => {
                let why = "another file took its name meanwhile, or has one that this file system holds for the same";
                self.summary.fail(path, why, Exit::Output);
            }
            _ if End::is_full(&error) && !is_pipe => {
                self.summary.fail(path, error, Exit::Partial);
            }
            _ => self.summary.fail(path, error, Exit::Output),
        }
    }

    /// What the sender is to be told and asked now.
    ///
    /// # Errors
    /// There is no room.
    pub fn requests(
        &mut self,
        mut say: impl FnMut(RequestBuf) -> Result<(), End>,
    ) -> Result<(), End> {
        for id in self.got.drain(..) {
            say(RequestBuf::Got(id))?;
        }
        let Some(output) = &mut self.output else {
            return Ok(());
        };
        while self.session.outstanding() < AHEAD
            && self.session.outstanding() + self.placing < MOST_WAITING
            && self.next <= self.session.manifest().len()
        {
            let id = Id::new(self.next);
            self.next += 1;
            let wanted = id.and_then(|id| {
                Some((
                    self.session.manifest().get(id)?,
                    decision_of(&self.plan, id)?,
                ))
            });
            let Some((entry, decision @ Decision::Receive { .. })) = wanted else {
                continue;
            };
            let id = entry.id;
            let prepared = match output.prepare(&entry, decision) {
                Ok(prepared) => prepared,
                Err(error) => {
                    not_had(Err(error), &entry, &mut self.summary)?;
                    continue;
                }
            };
            let (offset, start) = start_of(prepared.as_ref());
            self.prepared.push_back(prepared);
            self.session.want(id, offset);
            say(RequestBuf::Want { id, start })?;
        }
        let is_all = self.next > self.session.manifest().len();
        if is_all && self.session.outstanding() == 0 && self.placing == 0 && !self.has_said_done {
            // The sender may forget the files now, so the disk has to have their names.
            output.settle().map_err(End::storage)?;
            self.has_said_done = true;
            say(RequestBuf::Done)?;
        }
        Ok(())
    }

    /// Nothing more comes. What is verified goes to its place; what is not whole is kept, where that is of use.
    pub fn end(&mut self, is_well: bool, may_go_on: bool) -> Option<Failure> {
        self.progress.end();
        self.prepared.drain(..).flatten().for_each(Part::keep);
        let output = self.output.as_mut()?;
        output.stop(may_go_on);
        let placed = output.settle();
        let mut failure = None;
        match placed {
            Ok(placed) => placed.into_iter().for_each(|placed| self.note(placed)),
            Err(error) => failure = Some(End::storage(error).failure),
        }
        let is_complete = self.summary.failures.is_empty();
        if is_well
            && let Some(output) = &mut self.output
            && let Err(StoreError { path, error }) =
                output.finish_folders(self.session.manifest(), is_complete)
        {
            self.summary.fail(
                &path,
                format_args!("its time and permissions: {error}"),
                Exit::Output,
            );
        }
        failure
    }
}

fn decision_of(plan: &Plan, id: Id) -> Option<&Decision> {
    plan.decisions.get(usize::try_from(id.get() - 1).ok()?)
}

fn start_of(part: Option<&Part>) -> (u64, Start) {
    let there = part.and_then(Part::there);
    match there.and_then(|(octets, digest)| Some((octets.try_into().ok()?, digest))) {
        Some((offset, digest)) => {
            let offset: std::num::NonZeroU64 = offset;
            (offset.get(), Start::After { offset, digest })
        }
        None => (0, Start::Beginning),
    }
}

/// What it means that something cannot be written, where that comes of a pipe or goes to one, or not.
fn storage(is_pipe: bool) -> fn(io::Error) -> End {
    if is_pipe {
        End::storage_of_pipe
    } else {
        End::storage
    }
}

/// A file that cannot be had is not received, and the others are; without room nothing is.
fn not_had(
    result: Result<(), StoreError>,
    entry: &Offered<'_>,
    summary: &mut Summary,
) -> Result<(), End> {
    match result {
        Err(StoreError { error, .. }) if End::is_full(&error) => {
            Err(storage(entry.size() == Size::Unknown)(error))
        }
        Err(StoreError { error, .. }) => {
            summary.fail(entry.path, error, Exit::Output);
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::args::ProgressForm;
    use super::*;

    #[test]
    fn a_sender_that_stops_after_everything_is_there_is_the_end() {
        for (said, is_end) in [
            ("done", true),
            ("cancel x", true),
            ("error stopping x", true),
            ("error frame x", false),
        ] {
            let open = |_: &Manifest| Ok(Output::Stdout(Box::default()));
            let progress = Progress::new(ProgressForm::Bar, true);
            let mut state = State::new(&open, OnExists::Fail, progress);
            for frame in ["hello 1", "end 0 0"] {
                assert!(!state.take(frame.as_bytes()).unwrap(), "{frame}");
            }
            assert!(!state.is_complete());
            state.requests(|_| Ok(())).unwrap();
            assert!(state.is_complete());
            let is_last = state.take(said.as_bytes());
            assert_eq!(matches!(is_last, Ok(true)), is_end, "{said}");
        }
    }
}
