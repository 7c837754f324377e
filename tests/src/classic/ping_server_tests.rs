//! The double of the original ping server, over sockets of this machine.

use super::*;

const HOUR: Duration = Duration::from_secs(3600);
const SOON: Duration = Duration::from_millis(20);

fn start(blocking: bool, acts: &'static [Act]) -> PingServer {
    let script = move |index: u64, _: &[u8], _| {
        let index = usize::try_from(index).expect("a small index");
        acts.get(index)
            .cloned()
            .unwrap_or(Act::Text(format!("{index}").into_bytes()))
    };
    let options = Options {
        blocking,
        ..Options::default()
    };
    PingServer::start(options, Box::new(script)).expect("a server")
}

struct Client(UdpSocket, SocketAddr);

impl Client {
    fn new(server: &PingServer) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        // Only keeps a failing test from hanging.
        socket
            .set_read_timeout(Some(Duration::from_secs(30)))
            .expect("a time-out");
        Self(socket, server.addr())
    }

    fn say(&self, messages: &[&str]) {
        for message in messages {
            self.0
                .send_to(message.as_bytes(), self.1)
                .expect("a message");
        }
    }

    fn hear(&self) -> String {
        let mut buffer = [0; 100];
        let (length, from) = self.0.recv_from(&mut buffer).expect("an answer");
        assert_eq!(from, self.1);
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }
}

#[test]
fn classic_answers() {
    let server = start(true, &[Act::Answer, Act::Answer, Act::Answer]);
    let client = Client::new(&server);
    for message in ["C 64", "C", "Cat"] {
        client.say(&[message]);
        assert_eq!(client.hear(), "Buffer Size Calibrated at Server.");
    }
    for message in ["Hello Server", "", "exit "] {
        client.say(&[message]);
        assert_eq!(client.hear(), "Packet Acknowledged");
    }
    client.say(&["exit"]);
    assert_eq!(client.hear(), "Stopping the Server.");

    let log = server.log();
    let octets: Vec<&[u8]> = log.iter().map(|received| &received.octets[..]).collect();
    assert_eq!(
        octets,
        [
            &b"C 64"[..],
            b"C",
            b"Cat",
            b"Hello Server",
            b"",
            b"exit ",
            b"exit"
        ]
    );
    let from = client.0.local_addr().expect("an address");
    assert!(log.iter().all(|received| received.from == from));
}

#[test]
fn drops_repeats_and_reorders() {
    use Act::{AnswerTwice, Drop, HoldUntilNext};
    let server = start(
        true,
        &[Drop, AnswerTwice, HoldUntilNext, HoldUntilNext, Drop],
    );
    let client = Client::new(&server);
    client.say(&["0", "1"]);
    assert_eq!([client.hear(), client.hear()], ["Packet Acknowledged"; 2]);

    // Both held answers go out although the next message has none.
    client.say(&["2", "3", "4"]);
    assert_eq!([client.hear(), client.hear()], ["Packet Acknowledged"; 2]);
    client.say(&["5"]);
    assert_eq!(client.hear(), "5");
    assert_eq!(server.log().len(), 6);
}

#[test]
fn held_answer_follows_the_next_to_its_own_sender() {
    let server = start(false, &[Act::HoldUntilNext]);
    let (first, second) = (Client::new(&server), Client::new(&server));
    first.say(&["0"]);
    second.say(&["1"]);
    assert_eq!(second.hear(), "1");
    assert_eq!(first.hear(), "Packet Acknowledged");
}

#[test]
fn held_answer_follows_that_to_exit() {
    let server = start(true, &[Act::HoldUntilNext]);
    let client = Client::new(&server);
    client.say(&["0", "exit"]);
    assert_eq!(client.hear(), "Stopping the Server.");
    assert_eq!(client.hear(), "Packet Acknowledged");
}

#[test]
fn blocking_delay_delays_all() {
    let server = start(true, &[Act::AnswerAfter(SOON)]);
    let client = Client::new(&server);
    client.say(&["0", "1", "exit"]);
    assert_eq!(client.hear(), "Packet Acknowledged");
    assert_eq!(client.hear(), "1");
    assert_eq!(client.hear(), "Stopping the Server.");
}

#[test]
fn other_delays_delay_nobody_else() {
    let server = start(false, &[Act::AnswerAfter(HOUR), Act::AnswerAfter(SOON)]);
    let client = Client::new(&server);
    client.say(&["0", "1"]);
    assert_eq!(client.hear(), "Packet Acknowledged");
    client.say(&["2"]);
    assert_eq!(client.hear(), "2");
}

#[test]
fn held_answer_follows_a_delayed_one() {
    let server = start(false, &[Act::HoldUntilNext, Act::AnswerAfter(SOON)]);
    let client = Client::new(&server);
    client.say(&["0", "1"]);
    assert_eq!([client.hear(), client.hear()], ["Packet Acknowledged"; 2]);
}

#[test]
fn stops_within_a_blocking_delay() {
    let (alive, end) = mpsc::channel();
    let script = move |_, _: &[u8], _| {
        alive.send(()).expect("somebody looks");
        Act::AnswerAfter(HOUR)
    };
    let mut server = PingServer::start(Options::default(), Box::new(script)).expect("a server");
    Client::new(&server).say(&["0"]);
    assert_eq!(end.recv(), Ok(()));
    server.stop();
    assert_eq!(end.recv(), Err(mpsc::RecvError));
    server.stop();
    assert_eq!(server.log().len(), 1);
}

#[test]
fn ends_when_dropped() {
    let (alive, end) = mpsc::channel::<()>();
    let script = move |_, _: &[u8], _| {
        let _ = &alive;
        Act::Answer
    };
    drop(PingServer::start(Options::default(), Box::new(script)).expect("a server"));
    assert_eq!(end.recv(), Err(mpsc::RecvError));
}

#[test]
fn calibration_can_be_refused() {
    let options = Options {
        calibrates: false,
        ..Options::default()
    };
    let server = PingServer::start(options, Box::new(|_, _, _| Act::Answer)).expect("a server");
    let client = Client::new(&server);
    client.say(&["C 64", "Hello Server"]);
    assert_eq!(client.hear(), "Packet Acknowledged");
    assert_eq!(server.log().len(), 2);
}

#[test]
fn any_address_is_reached_at_loopback() {
    let bind = (Ipv4Addr::UNSPECIFIED, 0).into();
    let options = Options {
        bind,
        ..Options::default()
    };
    let server = PingServer::start(options, Box::new(|_, _, _| Act::Answer)).expect("a server");
    assert!(server.addr().ip().is_loopback());
}

#[test]
#[should_panic(expected = "not this one")]
fn panic_in_the_script_comes_up() {
    let script = |_, _: &[u8], _| panic!("not this one");
    let mut server = PingServer::start(Options::default(), Box::new(script)).expect("a server");
    Client::new(&server).say(&["0"]);
    while !server.thread.as_ref().is_none_or(JoinHandle::is_finished) {
        thread::yield_now();
    }
    server.stop();
}
