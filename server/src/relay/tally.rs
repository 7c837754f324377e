//! What a relay did.

use std::fmt;
use std::ops::AddAssign;

use hii_protocol::Code;
use serde::{Serialize, Serializer};

use crate::exit::count;
use crate::policy::source_validation::RefusedSources;

/// Counts of frames, over both transports. Every one received is in exactly one of the counts from `addresses` to
/// `exits`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// All that came in.
    pub received: u64,
    /// Greetings answered with the sender's address.
    pub addresses: u64,
    /// Token requests answered.
    pub tokens: u64,
    /// Messages passed on, and their senders told.
    pub forwarded: u64,
    /// Refused, by code.
    pub refused: Refused,
    /// Never answered: answers, datagrams of the relay's own, senders below port 1024.
    pub ignored: u64,
    /// Not answered, since the answer would be longer than the datagram, and its source address may be forged.
    pub too_short: u64,
    /// Never answered: their source address is invalid.
    pub refused_sources: RefusedSources,
    /// From a network that the operator denies.
    pub denied: u64,
    /// Not answered, since a peer or a connection, or all peers of an address, sent more than they may.
    pub over_rate: u64,
    /// Not answered, since the source had as many answers of that kind as it may: it is no peer, or makes errors.
    pub over_error_rate: u64,
    /// The `exit server` that was obeyed.
    pub exits: u64,
    /// Of those refused with 405: the network would not take it.
    pub send_failed: u64,
    /// Of those refused with 405: the receiver was sent as much as it may, by all or by that source.
    pub over_receiver: u64,
    /// Of those refused with 405: the receiver's connection had as much waiting as it may.
    pub queue_full: u64,
    /// Of those answered: answers that the network would not take.
    pub answer_failed: u64,
    /// Of those passed on: messages that waited for a connection when it ended.
    pub abandoned: u64,
    /// Greetings that made a peer.
    pub registered: u64,
    /// Peers that made room for another one of these.
    pub displaced: u64,
    /// Greetings that did not, for lack of room.
    pub no_room: u64,
    /// Greetings that did not, since another peer has the address.
    pub taken: u64,
    /// How they came over TCP.
    pub tcp: Connections,
}

/// Counts of TCP connections. What came over them is in the other counts as well.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Connections {
    /// Connections served.
    pub connections: u64,
    /// Of these, those that have ended.
    pub ended: u64,
    /// Frames that came over them.
    pub frames: u64,
    /// Times that nothing was read from a connection, since its source was over a rate.
    pub held: u64,
    /// Messages that went to them.
    pub forwarded: u64,
    /// Connections closed at once: their source address is invalid.
    pub refused_sources: RefusedSources,
    /// Connections closed at once: there were as many as allowed, and none of a larger holder than theirs.
    pub refused: u64,
    /// Connections closed at once: their source had as many as it may.
    pub over_source: u64,
    /// Connections closed to make room for another one: there were as many as allowed, and their holder had most.
    pub displaced: u64,
    /// Connections closed at once: nothing may come from there.
    pub denied: u64,
    /// Connections closed because nothing whole came for too long.
    pub idle: u64,
    /// Connections closed because they did not take what was sent to them.
    pub unread: u64,
}

/// Counts of refusals, by code.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Refused([u64; Code::ALL.len()]);

impl Refused {
    /// One more with this code.
    pub fn add(&mut self, code: Code) {
        let counts = Code::ALL.iter().zip(&mut self.0);
        for (_, count) in counts.filter(|(of, _)| **of == code) {
            *count += 1;
        }
    }

    /// Each code and how often it was given.
    pub fn by_code(&self) -> impl Iterator<Item = (Code, u64)> {
        Code::ALL.into_iter().zip(self.0)
    }

    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

impl Serialize for Refused {
    /// `{"400":1,...}`
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.by_code().map(|(code, count)| (code.number(), count)))
    }
}

impl AddAssign for Refused {
    fn add_assign(&mut self, other: Self) {
        for (count, other) in self.0.iter_mut().zip(other.0) {
            *count += other;
        }
    }
}

impl Tally {
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
        let Self {
            received,
            addresses,
            tokens,
            forwarded,
            refused,
            ignored,
            too_short,
            refused_sources,
            denied,
            over_rate,
            over_error_rate,
            exits,
            send_failed,
            over_receiver,
            queue_full,
            answer_failed,
            abandoned,
            registered,
            displaced,
            no_room,
            taken,
            tcp,
        } = other;
        self.received += received;
        self.addresses += addresses;
        self.tokens += tokens;
        self.forwarded += forwarded;
        self.refused += refused;
        self.ignored += ignored;
        self.too_short += too_short;
        self.refused_sources += refused_sources;
        self.denied += denied;
        self.over_rate += over_rate;
        self.over_error_rate += over_error_rate;
        self.exits += exits;
        self.send_failed += send_failed;
        self.over_receiver += over_receiver;
        self.queue_full += queue_full;
        self.answer_failed += answer_failed;
        self.abandoned += abandoned;
        self.registered += registered;
        self.displaced += displaced;
        self.no_room += no_room;
        self.taken += taken;
        self.tcp += tcp;
    }
}

impl AddAssign for Connections {
    fn add_assign(&mut self, other: Self) {
        let Self {
            connections,
            ended,
            frames,
            held,
            forwarded,
            refused_sources,
            refused,
            over_source,
            displaced,
            denied,
            idle,
            unread,
        } = other;
        self.connections += connections;
        self.ended += ended;
        self.frames += frames;
        self.held += held;
        self.forwarded += forwarded;
        self.refused_sources += refused_sources;
        self.refused += refused;
        self.over_source += over_source;
        self.displaced += displaced;
        self.denied += denied;
        self.idle += idle;
        self.unread += unread;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} received: {} passed on, {} greetings, {} tokens, {} refused",
            self.received,
            self.forwarded,
            self.addresses,
            self.tokens,
            self.refused.total()
        )?;
        for (code, count) in self.refused.by_code().filter(|(_, count)| *count > 0) {
            write!(f, ", {count} with {}", code.number())?;
        }
        for (count, what) in [
            (self.ignored, "ignored"),
            (self.too_short, "too short for their answer"),
            (self.denied, "from denied networks"),
            (self.over_rate, "over a sender's rate"),
            (
                self.over_error_rate,
                "over the rate for strangers and errors",
            ),
            (self.send_failed, "that the network refused"),
            (self.over_receiver, "over a receiver's rate"),
            (self.queue_full, "that a connection had no room for"),
            (self.answer_failed, "answers not sent (network)"),
            (self.abandoned, "left over when a connection ended"),
            (self.displaced, "peers displaced by others"),
            (self.no_room, "greetings without room for a peer"),
            (self.taken, "greetings for an address that was taken"),
        ] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        if self.refused_sources.total() > 0 {
            write!(f, ", {}", self.refused_sources)?;
        }
        write!(f, "; {} peers registered", self.registered)?;
        let turned_away = self.tcp.refused_sources.total()
            + self.tcp.refused
            + self.tcp.over_source
            + self.tcp.denied;
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
            "over TCP {} of them on {}, {} to these",
            self.frames,
            count(self.connections, "connection"),
            count(self.forwarded, "message")
        )?;
        for (count, what) in [
            (self.refused, "connections over the limit"),
            (self.over_source, "connections over the limit of one source"),
            (self.displaced, "connections displaced by others"),
            (self.denied, "connections denied"),
            (self.idle, "connections idle too long"),
            (self.unread, "connections that took nothing"),
            (self.held, "times not read, being over a rate"),
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
