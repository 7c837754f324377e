//! One file to one receiver: encrypted and verified beside nginx and curl, in plain text beside a plain sendfile server.

use std::fs;

use super::super::series::borrow;
use super::super::servers::Server;
use super::super::table::{Goal, Row};
use super::super::text;
use super::super::trouble::{Outcome, Trouble};
use super::costs::{Both, Costs};
use super::{OCTETS, ShareBench};

/// For so many nanoseconds nothing follows the original answer, as the original client needs it.
const PAUSE: f64 = 0.5e9;

/// A throughput of at least 0.95 times the other's, turned over.
const CLASSIC: f64 = 1.053;

impl ShareBench {
    pub(super) fn encrypted(&self) -> Vec<Row> {
        let ours = |file: &str| {
            let sender = self.sender(file, &[])?;
            self.costs(&sender, |to| self.get(&sender, to))
        };
        let theirs = |_: &str| {
            let nginx = borrow(&self.nginx)?;
            let sender = nginx.start(&self.offered)?;
            self.costs(&sender, |to| nginx.get(&sender, to))
        };
        let both = self.rounds_of("encrypted", ours, theirs);
        let goal = Goal::AtMostTimes(1.0);
        let of = format!("share, {}, encrypted", self.size());
        both.rows(&of, &self.nginx_title(), goal, goal)
    }

    pub(super) fn classic(&self) -> Vec<Row> {
        let ours = |file: &str| {
            let args = ["share", "--classic", "--stay", "-b", "127.0.0.1", "-p", "0"];
            let args = [&args[..], &[file]].concat();
            let sender = Server::that_says_where(self.programs.server, &args)?;
            let address = text(sender.address());
            let get = |to: &str| {
                let args = [
                    self.programs.hii,
                    "get",
                    &address,
                    "--classic",
                    "-q",
                    "-o",
                    to,
                ];
                args.map(str::to_owned).into()
            };
            self.costs(&sender, get).map(|costs| costs.without(PAUSE))
        };
        let theirs = |file: &str| {
            let sender = Server::that_says_where(self.programs.plain, &["serve", file])?;
            let address = text(sender.address());
            let get = |to: &str| {
                let args = [self.programs.plain, "get", &address, to];
                args.map(str::to_owned).into()
            };
            self.costs(&sender, get)
        };
        let both = self.rounds_of("in plain text", ours, theirs);
        let of = format!("share --classic, {}, without its pause", self.size());
        let name = "plain sendfile server and client";
        both.rows(&of, name, Goal::AtMostTimes(CLASSIC), Goal::None)
    }

    /// How long the file is, to people.
    pub(super) fn size(&self) -> String {
        format!("{} MiB", self.octets(OCTETS) >> 20)
    }

    fn rounds_of(
        &self,
        what: &str,
        ours: impl Fn(&str) -> Outcome<Costs>,
        theirs: impl Fn(&str) -> Outcome<Costs>,
    ) -> Both {
        let file = self.file(self.octets(OCTETS));
        let mut both = Both::default();
        for round in 1..=self.options.rounds() {
            self.options.tell(round, what);
            let run = |act: &dyn Fn(&str) -> Outcome<Costs>| act(borrow(&file)?);
            both.add([run(&ours), run(&theirs)]);
        }
        both
    }

    /// What it costs to receive the file, which is gone afterwards.
    pub(super) fn costs(
        &self,
        sender: &Server,
        get: impl FnOnce(&str) -> Vec<String>,
    ) -> Outcome<Costs> {
        let to = self.received.path("file");
        let costs = Costs::of(self.programs.peak_memory, sender, &get(&to));
        let received = fs::metadata(&to).map_or(0, |metadata| metadata.len());
        self.received.empty()?;
        let costs = costs?;
        if received == fs::metadata(self.offered.path("file"))?.len() {
            Ok(costs)
        } else {
            Err(Trouble(format!("only {received} octets came")))
        }
    }
}
