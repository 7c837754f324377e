//! A receiver that is killed when it has nine tenths of the file, and runs again.

use std::thread;
use std::time::{Duration, Instant};

use super::super::figures::Unit;
use super::super::processes::Process;
use super::super::series::{Series, borrow};
use super::super::servers::Server;
use super::super::table::{Goal, Row};
use super::super::trouble::Outcome;
use super::{OCTETS, ShareBench};

/// How the name of an unfinished file ends.
const PART: &str = ".hii-part";

/// How often a receiver may be faster than who looks how far it is.
const TRIES: u32 = 5;

/// How often that is looked at.
const LOOKS: Duration = Duration::from_micros(500);

/// How long a receiver may take to get there.
const LIMIT: Duration = Duration::from_secs(300);

impl ShareBench {
    pub(super) fn resume(&self) -> Row {
        let file = self.file(self.octets(OCTETS));
        let (mut rest, mut whole) = (Series::new(), Series::new());
        for round in 1..=self.options.rounds() {
            self.options.tell(round, "cut and resumed");
            let sender = borrow(&file).and_then(|file| self.sender(file, &[]));
            let get = || {
                let sender = borrow(&sender)?;
                self.costs(sender, |to| self.get(sender, to))
            };
            whole.add(|| Ok(get()?.time()));
            rest.add(|| {
                self.cut(borrow(&sender)?)?;
                Ok(get()?.time())
            });
        }
        let what = format!("share, {}: the rest after a cut at 90 %", self.size());
        Row::new(what, Unit::Time, rest.rounds())
            .beside("the whole", whole.rounds())
            .goal(Goal::AtMostTimes(0.3))
    }

    /// Leaves a file of which nine tenths have come.
    fn cut(&self, sender: &Server) -> Outcome<()> {
        let enough = self.octets(OCTETS) / 10 * 9;
        let command = self.get(sender, &self.received.path("file"));
        let args: Vec<_> = command.iter().skip(1).map(String::as_str).collect();
        for _ in 0..TRIES {
            let receiver = Process::start_silent(self.programs.hii, &args)?;
            let start = Instant::now();
            let there = || self.received.octets_of(PART).unwrap_or_default();
            let is_whole = || self.received.octets_of("file").is_some();
            while there() < enough && !is_whole() && start.elapsed() < LIMIT {
                thread::sleep(LOOKS);
            }
            drop(receiver);
            if there() >= enough {
                return Ok(());
            }
            self.received.empty()?;
        }
        Err("it was over before it was cut".into())
    }
}
