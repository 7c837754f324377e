//! Many receivers at once, each a program of its own.

use std::time::Instant;

use super::super::figures::Unit;
use super::super::processes::Process;
use super::super::series::{Series, borrow};
use super::super::servers::Server;
use super::super::table::Row;
use super::super::trouble::{Outcome, Trouble};
use super::super::usage;
use super::{LIMIT, ShareBench};

/// So many.
const RECEIVERS: u32 = 64;

/// Octets of the file that each fetches.
const OCTETS: u64 = 16 << 20;

impl ShareBench {
    pub(super) fn receivers(&self) -> Vec<Row> {
        let octets = self.octets(OCTETS);
        let file = self.file(octets);
        let mut series: [[Series; 2]; 2] = Default::default();
        for round in 1..=self.options.rounds() {
            self.options.tell(round, "many receivers");
            let ours = || {
                let sender = self.sender(borrow(&file)?, &[])?;
                self.crowd(&sender, octets, |to| self.get(&sender, to))
            };
            let theirs = || {
                borrow(&file)?;
                let nginx = borrow(&self.nginx)?;
                let sender = nginx.start(&self.offered)?;
                self.crowd(&sender, octets, |to| nginx.get(&sender, to))
            };
            let [rates, peaks] = &mut series;
            for (side, figures) in [ours(), theirs()].into_iter().enumerate() {
                rates[side].add(|| Ok(borrow(&figures)?.0));
                peaks[side].add(|| Ok(borrow(&figures)?.1));
            }
        }
        let [rates, peaks] = series.map(|both| both.map(Series::rounds));
        let of = format!(
            "share, {RECEIVERS} receivers of {} MiB at once",
            octets >> 20
        );
        let row = |what, unit, [ours, theirs]: [Outcome<_>; 2]| {
            Row::new(format!("{of}: {what}"), unit, ours).beside(self.nginx_title(), theirs)
        };
        vec![
            row("all together", Unit::OctetRate, rates),
            row("the sender's peak memory", Unit::Kibibytes, peaks),
        ]
    }

    /// Octets a second that all receivers together got, and the sender's peak memory in KiB.
    fn crowd(
        &self,
        sender: &Server,
        octets: u64,
        get: impl Fn(&str) -> Vec<String>,
    ) -> Outcome<(f64, f64)> {
        let names = (0..RECEIVERS).map(|number| self.received.path(&number.to_string()));
        let commands: Vec<_> = names.map(|name| get(&name)).collect();
        let start = Instant::now();
        let receivers = commands.iter().map(|command| {
            let command: Vec<_> = command.iter().map(String::as_str).collect();
            let (program, args) = command.split_first().ok_or("no command")?;
            Process::start(program, args)
        });
        let receivers: Vec<_> = receivers.collect::<Outcome<_>>()?;
        let ended = receivers.into_iter().map(|receiver| receiver.finish(LIMIT));
        let ended: Outcome<Vec<_>> = ended.collect();
        let time = start.elapsed().as_secs_f64();
        let received = self.received.octets()?;
        self.received.empty()?;
        ended?;
        let all = octets * u64::from(RECEIVERS);
        if received != all {
            return Err(Trouble(format!("only {received} octets came")));
        }
        Ok((all as f64 / time, usage::peak(sender.process())?))
    }
}
