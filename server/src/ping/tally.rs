//! What a ping server did, so that a client's figures can be checked against it.

use std::fmt;
use std::ops::AddAssign;

use serde::Serialize;

use super::budgets::{Kind, Over};
use crate::policy::source_validation::RefusedSources;

/// Counts of messages: datagrams, and what came over TCP connections. Every one received is in exactly one of the counts
/// from `answered` to `abandoned`; the two after these are about answers that are counted there already.
///
/// The `exit` that ends a classic connection has no answer and is not counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// All that came in.
    pub received: u64,
    /// Answered, refusals included.
    pub answered: u64,
    /// Not answered on purpose: the loss that was asked for.
    pub dropped: u64,
    /// Never answered: answers, datagrams of the server's own, senders below port 1024.
    pub ignored: u64,
    /// Never answered: their source address is invalid.
    pub refused_sources: RefusedSources,
    /// Probes over the rate allowed for one source.
    pub over_rate: u64,
    /// Probes of original clients over the rate allowed for one source.
    pub over_classic_rate: u64,
    /// Other messages over the rate allowed for one source.
    pub over_message_rate: u64,
    /// Not answered, since their source, or all together, had as many octets of answers as allowed.
    pub over_octets: u64,
    /// Not answered, since the answer would be longer than the message, and its source address may be forged.
    pub too_short: u64,
    /// Delayed, and without a place in the queue of delayed answers, or displaced from there.
    pub queue_full: u64,
    /// Answers that the network would not take.
    pub send_failed: u64,
    /// Answers still waiting for their time, or for room, when the server stopped or their connection ended.
    pub abandoned: u64,
    /// Of those over a limit: answered with a notice of that.
    pub notices: u64,
    /// Second copies that went out on purpose.
    pub duplicated: u64,
    /// Answers that let a later one to the same sender go first, on purpose.
    pub reordered: u64,
    /// How they came over TCP.
    pub tcp: Connections,
}

/// Counts of TCP connections, and of what came over them. The messages are in [`Tally::received`] as well.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Connections {
    /// Connections served.
    pub connections: u64,
    /// Of these, those without frames, as the originals have them.
    pub classic_connections: u64,
    /// Connections closed at once: their source address is invalid.
    pub refused_sources: RefusedSources,
    /// Connections closed at once: there were as many as allowed, and none of a larger holder than theirs.
    pub refused: u64,
    /// Connections closed at once: their source had as many as it may.
    pub over_source: u64,
    /// Connections closed to make room for another one: there were as many as allowed, and their holder had most.
    pub displaced: u64,
    /// Connections closed because nothing whole came for too long.
    pub idle: u64,
    /// Connections closed because their answers were not taken.
    pub unread: u64,
    /// Times that nothing was read from a connection, since its source was over a limit.
    pub held: u64,
    /// Messages.
    pub messages: u64,
    /// Of these, those on classic connections.
    pub classic_messages: u64,
}

impl Tally {
    /// Counts a datagram that is over a limit.
    pub fn count_over(&mut self, over: Over) {
        *match over {
            Over::Rate(Kind::Probe) => &mut self.over_rate,
            Over::Rate(Kind::Classic) => &mut self.over_classic_rate,
            Over::Rate(Kind::Control | Kind::Text) => &mut self.over_message_rate,
            Over::Octets => &mut self.over_octets,
        } += 1;
    }

    /// Datagrams and connections with an invalid source address.
    #[must_use]
    pub fn all_refused_sources(&self) -> RefusedSources {
        let mut sources = self.refused_sources;
        sources += self.tcp.refused_sources;
        sources
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        // A count that is added to the tally and forgotten here does not compile.
        let Self {
            received,
            answered,
            dropped,
            ignored,
            refused_sources,
            over_rate,
            over_classic_rate,
            over_message_rate,
            over_octets,
            too_short,
            queue_full,
            send_failed,
            abandoned,
            notices,
            duplicated,
            reordered,
            tcp,
        } = other;
        self.received += received;
        self.answered += answered;
        self.dropped += dropped;
        self.ignored += ignored;
        self.refused_sources += refused_sources;
        self.over_rate += over_rate;
        self.over_classic_rate += over_classic_rate;
        self.over_message_rate += over_message_rate;
        self.over_octets += over_octets;
        self.too_short += too_short;
        self.queue_full += queue_full;
        self.send_failed += send_failed;
        self.abandoned += abandoned;
        self.notices += notices;
        self.duplicated += duplicated;
        self.reordered += reordered;
        self.tcp += tcp;
    }
}

impl AddAssign for Connections {
    fn add_assign(&mut self, other: Self) {
        let Self {
            connections,
            classic_connections,
            refused_sources,
            refused,
            over_source,
            displaced,
            idle,
            unread,
            held,
            messages,
            classic_messages,
        } = other;
        self.connections += connections;
        self.classic_connections += classic_connections;
        self.refused_sources += refused_sources;
        self.refused += refused;
        self.over_source += over_source;
        self.displaced += displaced;
        self.idle += idle;
        self.unread += unread;
        self.held += held;
        self.messages += messages;
        self.classic_messages += classic_messages;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} received: {} answered, {} dropped on purpose, {} ignored, {} over rate",
            self.received, self.answered, self.dropped, self.ignored, self.over_rate,
        )?;
        if self.refused_sources.total() > 0 {
            write!(f, ", {}", self.refused_sources)?;
        }
        for (count, what) in [
            (self.over_classic_rate, "over the rate of original clients"),
            (self.over_message_rate, "over the rate of other messages"),
            (self.over_octets, "over the octets for answers"),
            (
                self.too_short,
                "not answered, being shorter than their answer",
            ),
            (self.queue_full, "over the delay queue's cap"),
            (self.send_failed, "not sent (network)"),
            (self.abandoned, "still waiting at the end"),
            (self.notices, "notices of a limit"),
            (self.duplicated, "answered twice on purpose"),
            (self.reordered, "overtaken on purpose"),
        ] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        let turned_away =
            self.tcp.refused_sources.total() + self.tcp.refused + self.tcp.over_source;
        if self.tcp.connections + turned_away > 0 {
            write!(f, "; {}", self.tcp)?;
        }
        Ok(())
    }
}

impl fmt::Display for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "over TCP {} of them on {} {}",
            self.messages,
            self.connections,
            if self.connections == 1 {
                "connection"
            } else {
                "connections"
            }
        )?;
        for (count, what) in [
            (self.classic_connections, "connections without frames"),
            (self.refused, "connections over the limit"),
            (self.over_source, "connections over the limit of one source"),
            (self.displaced, "connections displaced by others"),
            (self.idle, "connections idle too long"),
            (self.unread, "connections that took no answers"),
            (self.held, "times not read, being over a limit"),
        ] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        if self.refused_sources.total() > 0 {
            write!(f, ", connections: {}", self.refused_sources)?;
        }
        Ok(())
    }
}
