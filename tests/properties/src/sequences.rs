//! A relay's rules, for frames of many senders at any time.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hii_protocol::relay::{Answer, Forward, Message, Payload, Request, Token};
use hii_protocol::relay::{Content, Raw};
use hii_protocol::{Code, Endpoint, is_answer};
use hii_server::allow_exit::AllowExit;
use hii_server::args::rate;
use hii_server::policy::local_addrs::LocalAddrs;
use hii_server::relay::access::network;
use hii_server::relay::{
    Access, Config, Decision, Delivery, Peer, Rules, Shared, Source, Standing, Train, Way,
};

use crate::origin::origin;

/// Senders and receivers of frames: ordinary addresses of both families, and special ones.
const PLACES: [&str; 16] = [
    "127.0.0.1:5000",
    "192.0.2.7:7000",
    "[2001:db8::9]:9000",
    "10.0.0.1:1000",
    "10.0.0.2:5000",
    "203.0.113.7:5000",
    "192.0.2.8:8000",
    "198.51.100.1:8081",
    "224.0.0.1:5000",
    "0.0.0.0:5000",
    "[2002:7f00:1::1]:5000",
    "[::1]:5000",
    "192.0.2.7:7001",
    "[fe80::1]:5000",
    "255.255.255.255:5000",
    "[64:ff9b::cb00:7107]:5000",
];

/// Nothing is ever sent to these places: the relay itself, multicast, unspecified, link-local, broadcast.
const NEVER: [usize; 5] = [7, 8, 9, 13, 14];
/// Nor to these, but for a sender that is one of the first two or the last of them.
const LOOPBACK: [usize; 3] = [0, 11, 10];
/// Nor to these, nor from them, when their network is denied.
const DENIED: [usize; 2] = [5, 15];
/// These are never answered: a low port, and the relay's own address.
const QUIET: [usize; 2] = [3, 7];
/// No single host sends from these.
const NO_HOST: [usize; 4] = [8, 9, 10, 14];
/// This one's network may be trusted.
const TRUSTED: usize = 4;

/// The longest answers of their kinds.
const LONGEST_ADDRESS: usize = 2 + 39 + 3 + 5 + 1;
const LONGEST_REFUSAL: usize = 56;

/// Peers over UDP at most, where that is to be tried.
const FEW: u32 = 3;

const EXPIRY: u64 = 300;

/// A sequence of events at a relay: the first octet is the configuration, each next one selects a place (low half) and an
/// event (high half), followed by what the event needs.
pub fn relay_sequences(octets: &[u8]) {
    let [how, rest @ ..] = octets else { return };
    let mut day = Day::new(*how);
    let mut rest = rest;
    while let [step, after @ ..] = rest {
        rest = after;
        let who = usize::from(step & 15);
        if NO_HOST.contains(&who) {
            continue;
        }
        match step >> 4 {
            0 => day.frame(who, false, take_some(&mut rest)),
            1 => day.frame(who, false, b"hii"),
            2 => day.frame(who, false, &Request::TokenRequest.to_vec()),
            3 => {
                let whose = usize::from(take(&mut rest) & 15);
                let token = day.tokens[whose].map_or(Token([0; 16]), |(token, _)| token);
                day.frame(who, false, &Request::TokenGreeting(token).to_vec());
            }
            kind @ (4 | 5 | 10) => {
                let to = PLACES[usize::from(take(&mut rest) & 15)];
                let frame = message(to, kind == 5, take_some(&mut rest));
                day.frame(who, kind == 10, &frame);
            }
            6 => day.now += Duration::from_secs(5 * u64::from(take(&mut rest))),
            7 => day.disconnect(who),
            8 => day.frame(who, false, b"exit server"),
            9 => day.frame(who, true, b"Hii"),
            11 => day.frame(who, true, take_some(&mut rest)),
            12 => {
                let to = PLACES[usize::from(take(&mut rest) & 15)];
                day.frame(who, true, &message(to, true, take_some(&mut rest)));
            }
            _ => day.now += Duration::from_millis(7),
        }
    }
    day.end();
}

fn take(rest: &mut &[u8]) -> u8 {
    let (first, after) = rest.split_first().unwrap_or((&0, &[]));
    *rest = after;
    *first
}

fn take_some<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let len = usize::from(take(rest)).min(rest.len());
    let (some, after) = rest.split_at(len);
    *rest = after;
    some
}

/// A message in canonical form, raw where its content cannot be.
fn message(to: &str, raw: bool, octets: &[u8]) -> Vec<u8> {
    let to = Endpoint::try_from(to.parse::<SocketAddr>().unwrap()).unwrap();
    let text = str::from_utf8(octets).ok();
    let content = text.and_then(|text| Content::new(text).ok());
    let payload = match content {
        Some(content) if !raw => Payload::Content(content),
        _ => Payload::Raw(Raw::new(octets).unwrap()),
    };
    Request::Send(Message::new(to, payload).unwrap()).to_vec()
}

/// A relay, and a model of its state.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one way to set a relay up"
)]
struct Day {
    rules: Rules,
    shared: Arc<Shared>,
    now: Duration,
    open: bool,
    trusts_loopback: bool,
    trusts_ten: bool,
    denies: bool,
    is_small: bool,
    is_limited: bool,
    /// The peers, whether over a connection, with their standing and registration time. A small table displaces peers, and
    /// this does not: there it holds all that ever were peers.
    peers: BTreeMap<(usize, bool), (Standing, u64)>,
    tokens: [Option<(Token, u64)>; PLACES.len()],
    /// The last train.
    train: Option<Train>,
    /// The last datagram's message that was passed on: from whom, to whom, how, and whether it was raw.
    passed_on: Option<(Source, Endpoint, Option<Peer>, bool)>,
}

impl Day {
    fn new(how: u8) -> Self {
        let bit = |n: u8| how >> n & 1 == 1;
        let networks = |names: &[&str], wanted| {
            let names = names.iter().filter(|_| wanted);
            names.map(|name| network(name).unwrap()).collect()
        };
        let config = Config {
            access: Access {
                open: bit(0),
                distrusts_loopback: bit(1),
                trust: networks(&["10.0.0.0/8"], bit(4)),
                deny: networks(&["203.0.113.0/24"], bit(5)),
            },
            rate: rate(if bit(3) { "10/s" } else { "0" }).unwrap(),
            error_rate: rate(if bit(3) { "3/s" } else { "0" }).unwrap(),
            allow_exit: AllowExit::Loopback,
            peers: if bit(2) { FEW } else { 1000 },
        };
        let sockets = ["[::]:8081", "198.51.100.1:8081"].map(|socket| socket.parse().unwrap());
        let local = LocalAddrs::fixed(&sockets, Vec::new());
        let draw = Box::new(hii_server::relay::keys([7; 16]));
        let shared = Arc::new(Shared::new(&config, local, draw));
        Self {
            rules: Rules::new(Arc::clone(&shared)),
            shared,
            now: Duration::ZERO,
            open: bit(0),
            trusts_loopback: !bit(1),
            trusts_ten: bit(4),
            denies: bit(5),
            is_small: bit(2),
            is_limited: bit(3),
            peers: BTreeMap::new(),
            tokens: [None; PLACES.len()],
            train: None,
            passed_on: None,
        }
    }

    /// Each place has one connection, of its own number.
    fn source(who: usize, is_connected: bool) -> Source {
        Source {
            origin: origin(PLACES[who].parse().unwrap()),
            way: Way {
                socket: u32::try_from(who).unwrap(),
                asked: None,
            },
            is_connected,
        }
    }

    /// The standing of a place as a peer, over a connection or not.
    fn live(&self, who: usize, is_connected: bool) -> Option<Standing> {
        let (standing, since) = self.peers.get(&(who, is_connected))?;
        let is_old = *standing == Standing::Proven && self.now.as_secs() - since >= EXPIRY;
        (self.is_small || !is_old).then_some(*standing)
    }

    /// All standings of a place.
    fn ways(&self, who: usize) -> Vec<Standing> {
        let ways = [false, true].map(|is_connected| self.live(who, is_connected));
        ways.into_iter().flatten().collect()
    }

    fn is_denied(&self, who: usize) -> bool {
        self.denies && DENIED.contains(&who)
    }

    fn frame(&mut self, who: usize, is_connected: bool, frame: &[u8]) {
        let source = Self::source(who, is_connected);
        let train = self.train(source);
        let decision = match self.rules.alike(frame, &train) {
            Some(payload) => self.like_the_last(source, payload),
            None => self.rules.decide(frame, &train),
        };
        let is_quiet = !is_connected && (QUIET.contains(&who) || is_answer(frame));
        if is_quiet || self.is_denied(who) {
            assert_eq!(decision, Decision::Silence);
            return;
        }
        let request = Request::decode(frame);
        let is_refused = |code| decision == Decision::Reply(Answer::Refused(code));
        match request {
            Ok(Request::ExitServer) if LOOPBACK[..2].contains(&who) => {
                assert_eq!(decision, Decision::Stop);
            }
            Ok(Request::Send(message)) => self.sends(who, is_connected, message, &decision),
            // An address and port has few of these answers, whatever the rates.
            _ if decision == Decision::Silence => {}
            Err(error) => assert!(is_refused(error.code())),
            Ok(Request::Greeting | Request::TokenGreeting(_) | Request::TokenRequest) => {}
            Ok(Request::ExitServer) => assert!(is_refused(Code::NotARequest)),
        }
        self.registers(who, is_connected, request.ok(), &decision);
        let answer = match decision {
            Decision::Reply(answer) => Some(answer),
            Decision::Forward { .. } => Some(self.is_passed_on()),
            Decision::Silence | Decision::Stop => None,
        };
        if let Some(answer) = answer {
            self.answered(who, frame, answer);
        }
        let connections = self.peers.keys().filter(|(_, is_connected)| *is_connected);
        let most = FEW as usize + connections.count();
        assert!(!self.is_small || self.shared.peers() <= most);
    }

    /// The train of a frame from this source: the last one if it can continue.
    fn train(&mut self, source: Source) -> Train {
        let last = self
            .train
            .filter(|last| last.from == source && last.now == self.now);
        let train = last.unwrap_or_else(|| self.rules.train(source, self.now));
        self.train = Some(train);
        train
    }

    /// Checks a payload that is forwarded like the last datagram's message.
    fn like_the_last<'a>(&self, source: Source, payload: Payload<'a>) -> Decision<'a> {
        let (from, to, way, is_raw) = self.passed_on.expect("no message before");
        assert_eq!(from, source);
        assert_eq!(is_raw, matches!(payload, Payload::Raw(_)));
        let from = Endpoint::try_from(from.address()).unwrap();
        let forward = Forward::new(from, payload).unwrap();
        Decision::Forward { to, way, forward }
    }

    /// Checks that a message goes only from an allowed sender to an allowed receiver.
    fn sends(
        &mut self,
        who: usize,
        is_connected: bool,
        message: Message<'_>,
        decision: &Decision<'_>,
    ) {
        let place = |endpoint: Endpoint| {
            let address = SocketAddr::new(endpoint.ip(), endpoint.port());
            PLACES.iter().position(|place| place.parse() == Ok(address))
        };
        let is_peer = self.live(who, is_connected).is_some();
        let to = place(message.to());
        let ways = to.map(|to| self.ways(to)).unwrap_or_default();
        let is_allowed = to.is_none_or(|to| {
            let is_local = LOOPBACK[..2].contains(&who);
            !NEVER.contains(&to) && !self.is_denied(to) && (is_local || !LOOPBACK.contains(&to))
        });
        let is_raw = matches!(message.payload(), Payload::Raw(_));
        let takes = !is_raw || ways.iter().any(|by| *by != Standing::Greeted);
        let may = (self.open || is_peer && !ways.is_empty()) && is_allowed && takes;
        match decision {
            Decision::Forward { to, way, forward } => {
                if !is_connected {
                    self.passed_on = Some((Self::source(who, false), *to, *way, is_raw));
                }
                assert!(may, "{} to {to}", PLACES[who]);
                assert_eq!(*to, message.to());
                if let Some(way) = way {
                    assert!(self.is_small || ways == [way.standing]);
                }
                assert_eq!(forward.payload(), message.payload());
                let from = Endpoint::try_from(PLACES[who].parse::<SocketAddr>().unwrap());
                assert_eq!(Ok(forward.from()), from);
            }
            Decision::Reply(Answer::Refused(Code::Undeliverable)) => {
                // A small table displaces peers, and the destination policy covers more places than these.
                assert!(!may || self.is_small || to.is_none(), "refused");
            }
            // A message over a rate, or one too many that is refused.
            Decision::Silence => {
                let is_refused = !may || self.is_small || to.is_none();
                assert!(self.is_limited || is_refused, "no answer");
            }
            other => panic!("{other:?}"),
        }
    }

    /// Updates the model of the peers.
    fn registers(
        &mut self,
        who: usize,
        is_connected: bool,
        request: Option<Request<'_>>,
        decision: &Decision<'_>,
    ) {
        let standing = match request {
            Some(Request::Greeting) if is_connected => Standing::Connected,
            Some(Request::Greeting) if self.trusts(who) => Standing::Greeted,
            Some(Request::TokenGreeting(token)) => {
                let slot = |at: u64| at / 60;
                let now = slot(self.now.as_secs());
                let is_good = self.tokens[who].is_some_and(|(own, at)| {
                    own == token && (slot(at) == now || slot(at) + 1 == now)
                });
                if !is_good {
                    let is_answered = matches!(decision, Decision::Reply(Answer::Address(_)));
                    assert!(!is_answered, "a token that proves nothing");
                    return;
                }
                if is_connected {
                    Standing::Connected
                } else {
                    Standing::Proven
                }
            }
            _ => return,
        };
        // The first registration keeps the address.
        if !self.is_small && self.live(who, !is_connected).is_some() {
            return;
        }
        // A plain greeting does not replace a proof.
        if standing != Standing::Greeted || self.live(who, is_connected).is_none() {
            let now = self.now.as_secs();
            self.peers.insert((who, is_connected), (standing, now));
        }
    }

    fn trusts(&self, who: usize) -> bool {
        self.trusts_loopback && LOOPBACK[..2].contains(&who) || self.trusts_ten && who == TRUSTED
    }

    /// The network accepts the forwarded message; the sender gets an answer.
    fn is_passed_on(&mut self) -> Answer<'static> {
        match self.rules.forwarded(Delivery::Sent) {
            Decision::Reply(answer) => {
                assert_eq!(answer, Answer::Sent);
                answer
            }
            other => panic!("{other:?}"),
        }
    }

    /// Checks that an answer is within its maximum length, has its receiver's address, and is never answered.
    fn answered(&mut self, who: usize, frame: &[u8], answer: Answer<'static>) {
        let own = Endpoint::try_from(PLACES[who].parse::<SocketAddr>().unwrap()).unwrap();
        let octets = answer.to_vec();
        match answer {
            Answer::Address(endpoint) => {
                assert_eq!(endpoint, own);
                assert!(octets.len() <= LONGEST_ADDRESS);
            }
            Answer::Token(endpoint, token) => {
                assert_eq!(endpoint, own);
                assert!(octets.len() <= frame.len(), "longer than the request");
                self.tokens[who] = Some((token, self.now.as_secs()));
            }
            Answer::Refused(_) => assert!(octets.len() <= LONGEST_REFUSAL),
            Answer::Sent => {}
            Answer::Forward(_) => panic!("a forward is no answer"),
        }
        for other in [1, 2, 7] {
            let train = self.rules.train(Self::source(other, false), self.now);
            let back = self.rules.decide(&octets, &train);
            assert_eq!(back, Decision::Silence, "an answer was answered");
        }
    }

    fn disconnect(&mut self, who: usize) {
        self.rules.disconnected(Self::source(who, true));
        self.peers.remove(&(who, true));
    }

    /// Checks that every frame is in exactly one count.
    fn end(self) {
        let tally = self.rules.tally();
        let sum = tally.addresses
            + tally.tokens
            + tally.forwarded
            + tally.refused.total()
            + tally.ignored
            + tally.too_short
            + tally.denied
            + tally.over_rate
            + tally.over_error_rate
            + tally.exits;
        assert_eq!(tally.received, sum);
    }
}
