//! What a sender did.

use std::fmt;

use serde::Serialize;

use crate::exit::count;
use crate::policy::source_validation::RefusedSources;

/// Counts of connections and files. Every receiver that was let in and has left is in exactly one of the counts from `done`
/// to `stopped`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Connections, those that were closed unread included.
    pub connections: u64,
    /// Closed unread, since their source address is invalid.
    pub refused_sources: RefusedSources,
    /// Closed unread, since their source had failed too often.
    pub barred: u64,
    /// With another key, or with something else than a handshake.
    pub wrong_key: u64,
    /// That took too long to say what they want, or made room for others, or broke off.
    pub unfinished: u64,
    /// That had the key and were turned away: as many receivers as may be were there.
    pub busy: u64,
    /// Receivers that were let in.
    pub receivers: u64,
    /// That have what they wanted.
    pub done: u64,
    /// Whose user wanted no more.
    pub cancelled: u64,
    /// That gave up with an error of theirs.
    pub gave_up: u64,
    /// That broke the rules.
    pub broken: u64,
    /// Whose connection was cut off.
    pub cut_off: u64,
    /// That did nothing for too long.
    pub idle: u64,
    /// That were there when the sender stopped.
    pub stopped: u64,
    /// Files sent to their end.
    pub sent: u64,
    /// Of these, those that the receivers have verified and put in their place.
    pub confirmed: u64,
    /// Files that could not be sent, or no further.
    pub failed: u64,
    /// Octets of files that were sent.
    pub octets: u64,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, {} with all they wanted; {} sent, {} confirmed, {}",
            count(self.receivers, "receiver"),
            self.done,
            count(self.sent, "file"),
            self.confirmed,
            count(self.octets, "octet")
        )?;
        let (file, receiver) = ("file", "receiver");
        for (number, who, what) in [
            (self.failed, file, "failed"),
            (self.cancelled, receiver, "wanted no more"),
            (self.gave_up, receiver, "gave up"),
            (self.broken, receiver, "broke the rules"),
            (self.cut_off, receiver, "cut off"),
            (self.idle, receiver, "idle too long"),
            (self.stopped, receiver, "there at the end"),
        ] {
            if number > 0 {
                write!(f, ", {} {what}", count(number, who))?;
            }
        }
        for (number, what) in [
            (self.busy, "turned away (busy)"),
            (self.wrong_key, "without the key"),
            (self.unfinished, "unfinished in the handshake"),
            (self.barred, "barred unread"),
        ] {
            if number > 0 {
                write!(f, ", {number} {what}")?;
            }
        }
        if self.refused_sources.total() > 0 {
            write!(f, ", {}", self.refused_sources)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular() {
        let mut tally = Tally {
            receivers: 1,
            sent: 1,
            octets: 1,
            failed: 1,
            cut_off: 2,
            ..Tally::default()
        };
        assert_eq!(
            tally.to_string(),
            "1 receiver, 0 with all they wanted; 1 file sent, 0 confirmed, 1 octet, 1 file failed, 2 receivers cut off"
        );
        tally.sent = 0;
        assert!(tally.to_string().contains("0 files sent"));
    }
}
