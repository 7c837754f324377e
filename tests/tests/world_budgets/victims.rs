//! Datagrams forged with the address of a host do not prevent answers to that host.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use hii_protocol::relay::{Answer, Request};
use hii_tests::attack::{Host, Site, ask, at_once, probe, waiting};

use crate::HII_SERVER;

/// Datagrams between two synchronizations with the server.
const CHUNK: u16 = 100;

#[test]
#[ignore = "needs network namespaces"]
fn forged_texts_do_not_spend_the_probes_of_their_source() {
    let Some(site) = Site::new() else {
        return;
    };
    // A slow machine sends fewer than 25,000 a second.
    let server = site.serve(HII_SERVER, &["ping", "--rate", "1000"]);
    let attacker = site.attacker(Host::Near);
    for (ip, [near, to]) in [
        (Host::Honest.v4(), [Host::Near.v4(), Host::Server.v4()]),
        (Host::Honest.v6(), [Host::Near.v6(), Host::Server.v6()]),
    ] {
        let to = SocketAddr::new(to, server.address().port());
        let beside = site.udp(Host::Near, near, to);
        let victim = site.udp(Host::Honest, ip, to);
        let port = victim.local_addr().unwrap().port();
        let texts = [
            &b"Hello Server"[..],
            b"",
            b"anything",
            b"C 64",
            b"exit",
            b"Cat",
        ];
        for number in 0..25_000_u16 {
            // Its own port too.
            let source = if number % 2 == 0 { port } else { 1024 + number };
            let text = texts[usize::from(number) % texts.len()];
            attacker.send((ip, source).into(), to, text);
            if number % CHUNK == 0 {
                probe(&beside, 1);
            }
        }
        let mut answered = 0;
        let _ = waiting(&victim);
        for round in 0..5 {
            for number in 1..=100 {
                let seq = round * 100 + number;
                victim
                    .send(format!("P 00c0ffee {seq:<20}").as_bytes())
                    .unwrap();
            }
            probe(&beside, 2);
            probe(&beside, 3);
            let came = waiting(&victim);
            answered += came
                .iter()
                .filter(|answer| answer.starts_with(b"A 00c0ffee "))
                .count();
        }
        assert_eq!(answered, 500, "{ip}");
    }
}

/// Waits until a relay has handled what was sent before.
fn sync(site: &Site, to: SocketAddr) {
    let beside = site.udp(Host::Near, Host::Near.v4(), to);
    ask(&beside, b"hii", |answer| answer.starts_with(b"('"));
}

#[test]
#[ignore = "needs network namespaces"]
fn forged_token_requests_leave_the_victim_its_token() {
    let Some(site) = Site::new() else {
        return;
    };
    let relay = site.serve(HII_SERVER, &["relay"]);
    let to = SocketAddr::new(Host::Server.v4(), relay.address().port());
    let attacker = site.attacker(Host::Far);
    // Three seconds' worth at once.
    for port in 20_000..20_300 {
        let source = (Host::Honest.v4(), port).into();
        attacker.send(source, to, &Request::TokenRequest.to_vec());
    }
    sync(&site, to);
    let victim = site.udp(Host::Honest, Host::Honest.v4(), to);
    let request = Request::TokenRequest.to_vec();
    let came = at_once(&victim, &request, || sync(&site, to));
    let is_token = |answer: &Vec<u8>| matches!(Answer::decode(answer), Ok(Answer::Token(..)));
    assert!(came.iter().any(is_token), "no token: {came:?}");
}

#[test]
#[ignore = "needs network namespaces"]
fn forged_errors_do_not_mute_those_of_their_source() {
    let Some(site) = Site::new() else {
        return;
    };
    let relay = site.serve(HII_SERVER, &["relay"]);
    let to = SocketAddr::new(Host::Server.v4(), relay.address().port());
    let attacker = site.attacker(Host::Far);
    for port in 20_000..20_020 {
        let source = (Host::Honest.v4(), port).into();
        attacker.send(source, to, b"no request");
    }
    sync(&site, to);
    let victim = site.udp(Host::Honest, Host::Honest.v4(), to);
    let came = at_once(&victim, b"no request", || sync(&site, to));
    assert_eq!(came, [b"400"]);
}

#[test]
#[ignore = "needs network namespaces"]
fn forged_errors_do_not_mute_those_of_connections() {
    let Some(site) = Site::new() else {
        return;
    };
    let relay = site.serve(HII_SERVER, &["relay"]);
    let to = SocketAddr::new(Host::Server.v4(), relay.address().port());
    let attacker = site.attacker(Host::Far);
    for port in 20_000..20_200 {
        let source = (Host::Honest.v4(), port).into();
        attacker.send(source, to, b"no request");
    }
    sync(&site, to);
    let stream = site.at(Host::Honest).enter(|| TcpStream::connect(to));
    let mut stream = stream.unwrap();
    stream
        .set_read_timeout(Some(std::time::Duration::from_secs(30)))
        .unwrap();
    let framed = |text: &str| {
        let len = u32::try_from(text.len()).unwrap();
        [&len.to_be_bytes()[..], text.as_bytes()].concat()
    };
    // The second is always answered.
    stream
        .write_all(&[framed("no request"), framed("hii")].concat())
        .unwrap();
    let mut first = [0; 7];
    stream.read_exact(&mut first).unwrap();
    assert_eq!(&first[4..], b"400");
}
