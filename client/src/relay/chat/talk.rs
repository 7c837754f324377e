//! What a chat says and asks for: lines in, lines out, without terminal and socket.

use std::collections::{BTreeMap, VecDeque};

use hii_protocol::{Endpoint, Escaped};

use super::command::{COMMANDS, Command, parse};
use crate::relay::listen::octets;
use crate::relay::moment::Zone;
use crate::relay::told::{Event, Outcome, Relay, Stop, Ticket};
use crate::relay::words::{HERE_ONLY, is_of_this_host, took, trouble};

/// Messages that can be shown again.
const MOST_REMEMBERED: usize = 100;

/// Addresses that can be completed.
const MOST_ADDRESSES: usize = 100;

/// What a typed line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Show this line.
    Show(String),
    /// Send this text there, and tell the talk the ticket.
    Send(Endpoint, String),
    /// Greet the relay.
    Greet,
    /// Ask the relay to stop.
    StopRelay,
    /// End the chat.
    Leave,
}

/// A chat's memory.
#[derive(Debug)]
pub struct Talk {
    relay: String,
    zone: Zone,
    /// To whom everything goes.
    to: Option<Endpoint>,
    /// What has no answer yet.
    open: BTreeMap<Ticket, (Endpoint, String)>,
    /// What was told as unanswered, last.
    doubtful: Option<(Ticket, Endpoint)>,
    waits_for_relay: bool,
    stops_relay: bool,
    has_trouble: bool,
    messages: VecDeque<String>,
    /// The last one first.
    addresses: Vec<String>,
}

impl Talk {
    /// A talk by the relay of this name.
    #[must_use]
    pub fn new(relay: String, zone: Zone, to: Option<Endpoint>) -> Self {
        let mut talk = Self {
            relay,
            zone,
            to,
            open: BTreeMap::new(),
            doubtful: None,
            waits_for_relay: false,
            stops_relay: false,
            has_trouble: false,
            messages: VecDeque::new(),
            addresses: Vec::new(),
        };
        if let Some(to) = to {
            talk.remember(to);
        }
        talk
    }

    /// What stands before what is typed.
    #[must_use]
    pub fn prompt(&self) -> String {
        match self.to {
            Some(to) => format!("{to}> "),
            None => "hii> ".into(),
        }
    }

    /// Addresses that were heard from or sent to.
    #[must_use]
    pub fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// Whether something that was asked for has not come yet.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.waits_for_relay || !self.open.is_empty()
    }

    /// Whether the relay was asked to stop, so that its end is no trouble.
    #[must_use]
    pub fn stops_relay(&self) -> bool {
        self.stops_relay
    }

    /// Whether something that was typed failed: a message was not passed on, as far as anybody knows, or a command was
    /// not understood or not obeyed.
    #[must_use]
    pub fn has_trouble(&self) -> bool {
        self.has_trouble
    }

    /// What the relay says at the beginning.
    #[must_use]
    pub fn welcome(&self, own: Endpoint, relay: Relay) -> Vec<String> {
        let mut lines = vec![self.registered(own, relay)];
        if is_of_this_host(own) {
            lines.push(HERE_ONLY.into());
        }
        // A line without a slash goes to the peer.
        let slash = self.to.map_or("", |_| "/");
        lines.push(format!(
            "others send to that address; `{slash}help` tells what you can type, Tab completes it"
        ));
        lines
    }

    /// Does what a line asks for.
    pub fn typed(&mut self, line: &str) -> Vec<Act> {
        match parse(line, self.to.is_some()) {
            Command::Nothing => Vec::new(),
            Command::Greet => {
                self.waits_for_relay = true;
                vec![Act::Greet]
            }
            Command::Send(to, text) => self.send(to, text),
            Command::Say(text) => match self.to {
                Some(to) => self.send(to, text),
                None => Vec::new(),
            },
            Command::Receive if self.messages.is_empty() => {
                vec![Act::Show(
                    "no messages so far; they show as they come".into(),
                )]
            }
            Command::Receive => self.messages.iter().cloned().map(Act::Show).collect(),
            Command::To(to) => {
                self.to = to;
                let line = to.map(|to| {
                    self.remember(to);
                    format!("lines go to {to} from now on; /to ends that, /exit leaves, /help lists the rest")
                });
                line.into_iter().map(Act::Show).collect()
            }
            Command::Exit => vec![Act::Leave],
            Command::ExitServer => {
                self.waits_for_relay = true;
                self.stops_relay = true;
                vec![Act::StopRelay]
            }
            Command::Help => help().map(Act::Show).collect(),
            Command::Wrong(why) => {
                self.has_trouble = true;
                vec![Act::Show(Escaped(why.as_bytes()).to_string())]
            }
        }
    }

    /// Notes what a message is called that was sent.
    pub fn sent(&mut self, ticket: Ticket, to: Endpoint, text: String) {
        self.open.insert(ticket, (to, text));
    }

    /// What to show of something that happened at this time.
    pub fn happened(&mut self, event: &Event, wall: u64) -> Vec<String> {
        let time = self.zone.time(wall);
        match event {
            Event::Registered(own, relay) => {
                self.waits_for_relay = false;
                vec![self.registered(*own, *relay)]
            }
            Event::Message(from, payload) => {
                self.remember(*from);
                let shown = Escaped(octets(payload.as_payload()));
                let line = format!("{time} {from}: {shown}");
                self.messages.push_back(line.clone());
                if self.messages.len() > MOST_REMEMBERED {
                    self.messages.pop_front();
                }
                vec![line]
            }
            Event::Settled(ticket, outcome) => match self.open.remove(ticket) {
                Some((to, text)) => self.settled(&time, *ticket, outcome, to, &text),
                None => Vec::new(),
            },
            Event::SettledLate(ticket, outcome) => {
                let late = self.doubtful.take_if(|(doubtful, _)| doubtful == ticket);
                let line = late.map(|(_, to)| match trouble(outcome, to) {
                    None => {
                        format!("{time} the answer came late: it was passed on to {to} after all")
                    }
                    Some(trouble) => format!("{time} the answer came late: {}", trouble.what),
                });
                line.into_iter().collect()
            }
            Event::Silent => self.lost(&time, "does not answer"),
            Event::Rejected => self.lost(&time, "refuses the tokens that it gives"),
            Event::Stop(stop) => {
                self.waits_for_relay = false;
                self.stops_relay = *stop == Stop::Stopped;
                self.has_trouble |= !self.stops_relay;
                let what = match stop {
                    Stop::Stopped => "the relay has stopped",
                    Stop::Refused => {
                        "the relay will not stop for you (its operator decides with --allow-exit)"
                    }
                    Stop::StillRuns => {
                        "the relay still answers: the request was lost, or it does not heed it"
                    }
                };
                vec![format!("{time} {what}")]
            }
            Event::Foreign(..) => Vec::new(),
        }
    }

    fn lost(&mut self, time: &str, why: &str) -> Vec<String> {
        // Not where nobody asked.
        self.has_trouble |= self.waits_for_relay;
        self.waits_for_relay = false;
        let relay = &self.relay;
        vec![format!(
            "{time} the relay at {relay} {why}; it is asked again and again"
        )]
    }

    fn send(&mut self, to: Endpoint, text: &str) -> Vec<Act> {
        self.remember(to);
        vec![Act::Send(to, text.to_owned())]
    }

    fn settled(
        &mut self,
        time: &str,
        ticket: Ticket,
        outcome: &Outcome,
        to: Endpoint,
        text: &str,
    ) -> Vec<String> {
        if let Outcome::Sent(_, after) = outcome {
            return vec![format!("{time} passed on to {to} in {}", took(*after))];
        }
        self.has_trouble = true;
        let text = Escaped(text.as_bytes());
        let mut lines = Vec::new();
        if let Some(trouble) = trouble(outcome, to) {
            let verdict = if trouble.is_doubtful {
                self.doubtful = Some((ticket, to));
                "perhaps sent"
            } else {
                "not sent"
            };
            lines.push(format!("{time} {verdict} to {to}: {text}"));
            lines.push(format!("  {}", trouble.what));
            lines.push(format!("  {}", trouble.advice));
        }
        lines
    }

    fn registered(&self, own: Endpoint, relay: Relay) -> String {
        let kind = match relay {
            Relay::Hii => "Hii relay",
            Relay::Original => "original relay",
        };
        format!("you are {own} ({kind} {})", self.relay)
    }

    fn remember(&mut self, address: Endpoint) {
        let address = address.to_string();
        self.addresses.retain(|known| *known != address);
        self.addresses.insert(0, address);
        self.addresses.truncate(MOST_ADDRESSES);
    }
}

fn help() -> impl Iterator<Item = String> {
    COMMANDS.iter().map(|(word, follows, does)| {
        let usage = format!("{word} {follows}");
        format!("  {usage:<14} {does}")
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hii_protocol::Code;
    use hii_protocol::relay::{Content, Payload};

    use super::*;
    use crate::relay::compose::Form;

    const WALL: u64 = 1_789_000_000_000_000_000;

    fn peer() -> Endpoint {
        "192.0.2.8/9000".parse().unwrap()
    }

    fn talk() -> Talk {
        Talk::new("192.0.2.1:8081".into(), Zone::utc(), None)
    }

    fn came(text: &str) -> Event {
        let payload = Payload::Content(Content::new(text).unwrap());
        Event::Message(peer(), payload.into())
    }

    #[test]
    fn a_message_shows_who_and_when_and_nothing_that_acts_on_a_terminal() {
        let mut talk = talk();
        let shown = talk.happened(&came("a\x1b[2Jb"), WALL);
        assert_eq!(shown, [r"00:26:40 192.0.2.8/9000: a\u{1b}[2Jb"]);
        assert_eq!(talk.typed("receive"), [Act::Show(shown[0].clone())]);
        assert_eq!(talk.addresses(), ["192.0.2.8/9000"]);
        for _ in 0..2 * MOST_REMEMBERED {
            talk.happened(&came("more"), WALL);
        }
        assert_eq!(talk.typed("3").len(), MOST_REMEMBERED);
    }

    #[test]
    fn lines_go_to_somebody_until_that_ends() {
        let mut talk = talk();
        assert_eq!(talk.prompt(), "hii> ");
        talk.typed("to 192.0.2.8/9000");
        assert_eq!(talk.prompt(), "192.0.2.8/9000> ");
        assert_eq!(talk.typed("exit"), [Act::Send(peer(), "exit".into())]);
        talk.typed("/to");
        assert_eq!(talk.typed("exit"), [Act::Leave]);
    }

    #[test]
    fn what_is_asked_for_is_waited_for_until_it_is_told() {
        let mut talk = talk();
        let ticket = Ticket(1);
        talk.sent(ticket, peer(), "hello".into());
        assert!(talk.is_waiting());
        // A message of somebody else's settles nothing.
        talk.happened(&came("200, UDP Packet Sent Successfully"), WALL);
        assert!(talk.is_waiting());
        let sent = Outcome::Sent(Form::Content, Duration::from_millis(2));
        let shown = talk.happened(&Event::Settled(ticket, sent), WALL);
        assert_eq!(shown, ["00:26:40 passed on to 192.0.2.8/9000 in 2.0 ms"]);
        assert!(!talk.is_waiting() && !talk.has_trouble());

        assert_eq!(talk.typed("exit server"), [Act::StopRelay]);
        assert!(talk.is_waiting() && talk.stops_relay());
        talk.happened(&Event::Stop(Stop::Refused), WALL);
        assert!(!talk.is_waiting() && !talk.stops_relay());
        assert_eq!(talk.typed("1"), [Act::Greet]);
        assert!(talk.is_waiting());
        let shown = talk.happened(&Event::Registered(peer(), Relay::Hii), WALL);
        assert_eq!(shown, ["you are 192.0.2.8/9000 (Hii relay 192.0.2.1:8081)"]);
        assert!(!talk.is_waiting());
    }

    #[test]
    fn what_was_not_passed_on_is_shown_with_the_reason_and_a_late_answer_too() {
        let mut talk = talk();
        let ticket = Ticket(1);
        talk.sent(ticket, peer(), "hello".into());
        let unanswered = Outcome::Unanswered(Form::Content, Duration::from_secs(3));
        let shown = talk.happened(&Event::Settled(ticket, unanswered), WALL);
        assert_eq!(shown[0], "00:26:40 perhaps sent to 192.0.2.8/9000: hello");
        assert!(shown.len() == 3 && talk.has_trouble());
        let refused = Outcome::Refused(Form::Content, Code::Undeliverable);
        let late = Event::SettledLate(ticket, refused);
        assert!(talk.happened(&late, WALL)[0].contains("405"));
        assert!(talk.happened(&late, WALL).is_empty());
    }

    #[test]
    fn a_command_that_failed_is_trouble_and_what_nobody_asked_for_is_none() {
        for line in ["nonsense", "send", "send 192.0.2.8/9000", "to nobody"] {
            let mut talk = talk();
            assert!(matches!(talk.typed(line)[..], [Act::Show(_)]), "{line}");
            assert!(talk.has_trouble(), "{line}");
        }
        let after = |line: &str, event: &Event| {
            let mut talk = talk();
            talk.typed(line);
            talk.happened(event, WALL);
            talk.has_trouble()
        };
        assert!(after("hii", &Event::Silent) && !after("", &Event::Silent));
        assert!(after("exit server", &Event::Stop(Stop::Refused)));
        assert!(!after("exit server", &Event::Stop(Stop::Stopped)));
    }

    #[test]
    fn who_is_reached_by_this_host_alone_is_told_so() {
        let talk = talk();
        let told = |own: &str| {
            let lines = talk.welcome(own.parse().unwrap(), Relay::Hii);
            lines.iter().any(|line| line == HERE_ONLY)
        };
        assert!(told("127.0.0.1/9") && told("[::1]/9"));
        assert!(!told("192.0.2.7/9") && !told("[2001:db8::7]/9"));
    }

    #[test]
    fn the_way_to_help_is_told_as_it_has_to_be_typed() {
        let peer = "192.0.2.7/9".parse().unwrap();
        for (to, command) in [(None, " `help` "), (Some(peer), " `/help` ")] {
            let talk = Talk::new("relay".into(), Zone::utc(), to);
            let lines = talk.welcome(peer, Relay::Hii);
            assert!(lines.iter().any(|line| line.contains(command)), "{lines:?}");
        }
    }
}
