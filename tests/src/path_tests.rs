//! The path, between sockets of this machine.

use super::*;

const HOUR: Duration = Duration::from_secs(3600);
const SOON: Duration = Duration::from_millis(20);

fn socket(local: &str) -> UdpSocket {
    let socket = UdpSocket::bind(local).expect("a socket");
    // Only keeps a failing test from hanging.
    socket
        .set_read_timeout(Some(Duration::from_secs(30)))
        .expect("a time-out");
    socket
}

fn hear(socket: &UdpSocket) -> (String, SocketAddr) {
    let mut buffer = [0; 100];
    let (length, from) = socket.recv_from(&mut buffer).expect("a datagram");
    (
        String::from_utf8_lossy(&buffer[..length]).into_owned(),
        from,
    )
}

fn judge(fates: &'static [Fate]) -> Judge {
    Box::new(move |index, _| {
        let index = usize::try_from(index).expect("a small index");
        fates.get(index).copied().unwrap_or(Fate::Pass)
    })
}

/// What the server gets of `0`, `1`, ... when the first meet these fates.
fn arrivals(fates: &'static [Fate], sent: usize, arriving: usize) -> String {
    let (server, client) = (socket("127.0.0.1:0"), socket("127.0.0.1:0"));
    let server_addr = server.local_addr().expect("an address");
    let path = Path::new(server_addr, judge(fates), judge(&[])).expect("a path");
    for number in 0..sent {
        client
            .send_to(number.to_string().as_bytes(), path.addr())
            .expect("a datagram");
    }
    (0..arriving).map(|_| hear(&server).0).collect()
}

#[test]
fn fates() {
    use Fate::{AfterNext, Delay, Drop, Pass, Twice};
    assert_eq!(arrivals(&[], 3, 3), "012");
    assert_eq!(arrivals(&[Drop, Pass, Drop], 4, 2), "13");
    assert_eq!(arrivals(&[Twice, Pass, Twice], 3, 5), "00122");
    assert_eq!(arrivals(&[AfterNext], 3, 3), "102");
    assert_eq!(arrivals(&[AfterNext, AfterNext], 4, 4), "2103");
    assert_eq!(arrivals(&[AfterNext, Drop], 3, 2), "02");
    assert_eq!(arrivals(&[AfterNext, Twice], 3, 4), "1102");
    assert_eq!(arrivals(&[Delay(HOUR)], 3, 2), "12");
    assert_eq!(arrivals(&[Delay(HOUR), Delay(SOON)], 2, 1), "1");
    assert_eq!(arrivals(&[AfterNext, Delay(SOON)], 2, 2), "10");
}

#[test]
fn fates_of_answers() {
    let (server, client) = (socket("127.0.0.1:0"), socket("127.0.0.1:0"));
    let server_addr = server.local_addr().expect("an address");
    let back = judge(&[Fate::AfterNext, Fate::Twice, Fate::Drop]);
    let path = Path::new(server_addr, judge(&[]), back).expect("a path");
    client
        .send_to(b"question", path.addr())
        .expect("a datagram");
    let (question, upstream) = hear(&server);
    assert_eq!(question, "question");
    // A stranger is not heard.
    socket("127.0.0.1:0")
        .send_to(b"x", upstream)
        .expect("a datagram");
    for answer in ["0", "1", "2", "3"] {
        server
            .send_to(answer.as_bytes(), upstream)
            .expect("a datagram");
    }
    for answer in ["1", "1", "0", "3"] {
        assert_eq!(hear(&client), (answer.to_owned(), path.addr()));
    }
}

#[test]
fn judges_see_index_and_octets() {
    let (server, client) = (socket("127.0.0.1:0"), socket("127.0.0.1:0"));
    let server_addr = server.local_addr().expect("an address");
    let (seen, sight) = mpsc::channel();
    let there = move |index, octets: &[u8]| {
        seen.send((index, octets.to_vec())).expect("somebody looks");
        Fate::Pass
    };
    let path = Path::new(server_addr, Box::new(there), judge(&[])).expect("a path");
    for octets in [&b"a"[..], b"", b"\xff"] {
        client.send_to(octets, path.addr()).expect("a datagram");
    }
    for expected in [(0, b"a".to_vec()), (1, Vec::new()), (2, vec![0xff])] {
        assert_eq!(sight.recv(), Ok(expected));
    }
}

#[test]
fn each_client_gets_its_own_answer() {
    // As many as fit a limit of 1,024 open files, at both ends of the path.
    let clients: Vec<UdpSocket> = (0..300).map(|_| socket("127.0.0.1:0")).collect();
    let server = socket("127.0.0.1:0");
    let server_addr = server.local_addr().expect("an address");
    let path = Path::new(server_addr, judge(&[]), judge(&[])).expect("a path");
    let mut upstreams = std::collections::HashSet::new();
    for round in 0..2 {
        // A few at a time, so that no socket's buffer overflows.
        for some in clients.chunks(20) {
            for client in some {
                let text = format!("{round} {:?}", client.local_addr());
                client
                    .send_to(text.as_bytes(), path.addr())
                    .expect("a datagram");
            }
            for _ in some {
                let (text, from) = hear(&server);
                upstreams.insert(from);
                server.send_to(text.as_bytes(), from).expect("a datagram");
            }
            for client in some {
                assert_eq!(hear(client).0, format!("{round} {:?}", client.local_addr()));
            }
        }
    }
    assert_eq!(upstreams.len(), clients.len());
}

#[test]
fn speaks_ipv6() {
    if UdpSocket::bind("[::1]:0").is_err() {
        return; // This machine has no IPv6.
    }
    let (server, client) = (socket("[::1]:0"), socket("[::1]:0"));
    let server_addr = server.local_addr().expect("an address");
    let path = Path::new(server_addr, judge(&[]), judge(&[])).expect("a path");
    client
        .send_to(b"question", path.addr())
        .expect("a datagram");
    let (question, upstream) = hear(&server);
    server
        .send_to(question.as_bytes(), upstream)
        .expect("a datagram");
    assert_eq!(hear(&client), (question, path.addr()));
}

#[test]
fn ends_when_dropped() {
    let (server, client) = (socket("127.0.0.1:0"), socket("127.0.0.1:0"));
    let server_addr = server.local_addr().expect("an address");
    let (alive, end) = mpsc::channel();
    let there = move |_, _: &[u8]| {
        alive.send(()).expect("somebody looks");
        Fate::Delay(HOUR)
    };
    let path = Path::new(server_addr, Box::new(there), judge(&[])).expect("a path");
    client.send_to(b"x", path.addr()).expect("a datagram");
    assert_eq!(end.recv(), Ok(()));
    drop(path);
    assert_eq!(end.recv(), Err(mpsc::RecvError));
}

#[test]
fn reader_ends_when_dropped() {
    let (events, _inbox) = mpsc::channel();
    let server = (Ipv4Addr::LOCALHOST, 9).into();
    let reader = Reader::start(server, None, events).expect("a reader");
    let socket = Arc::downgrade(&reader.socket);
    drop(reader);
    assert!(socket.upgrade().is_none());
}

#[test]
#[should_panic(expected = "not this one")]
fn panic_in_a_judge_comes_up() {
    let (server, client) = (socket("127.0.0.1:0"), socket("127.0.0.1:0"));
    let server_addr = server.local_addr().expect("an address");
    let there = |_, _: &[u8]| panic!("not this one");
    let path = Path::new(server_addr, Box::new(there), judge(&[])).expect("a path");
    client.send_to(b"x", path.addr()).expect("a datagram");
    while !path.hub.as_ref().is_none_or(JoinHandle::is_finished) {
        thread::yield_now();
    }
}
