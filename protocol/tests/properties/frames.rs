//! All frames of the ping service and of the relay, the odd ones too.
//!
//! Strategies of strategies are boxed: as plain values they are moved about until the stack is too small.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hii_protocol::ping::{self, LimitedNotice, Probe, ProbeSize, Report, Run, Seq};
use hii_protocol::relay::{
    self, AnswerBuf, Content, Forward, Message, Payload, PayloadBuf, Raw, RequestBuf, Token,
};
use hii_protocol::{Code, Endpoint};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::BLANKS;

pub(crate) fn runs() -> impl Strategy<Value = Run> {
    prop_oneof![Just(0), Just(u32::MAX), any::<u32>()].prop_map(Run)
}

pub(crate) fn numbers() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..200_u64,
        any::<u64>(),
        // The edges of each length in digits.
        (0..20_u32, 0..3_u64).prop_map(|(power, step)| (10_u64.pow(power) - 1).wrapping_add(step)),
        Just(u64::MAX),
    ]
}

pub(crate) fn seqs() -> impl Strategy<Value = Seq> {
    numbers().prop_map(|number| Seq::new(number).unwrap_or(Seq::MIN))
}

pub(crate) fn probes() -> BoxedStrategy<Probe> {
    let spare = prop_oneof![
        20 => 0..90_usize,
        1 => 0..70_000_usize,
    ];
    (runs(), seqs(), spare)
        .prop_map(|(run, seq, spare)| {
            let size = (Probe::smallest(seq) + spare).min(ProbeSize::MAX.get());
            Probe::new(run, seq, ProbeSize::new(size).unwrap()).unwrap()
        })
        .boxed()
}

pub(crate) fn reports() -> BoxedStrategy<Report> {
    (seqs(), any::<u64>(), numbers(), numbers(), numbers())
        .prop_map(|(count, window, held, received, limited)| Report {
            count,
            window: window | 1,
            held,
            received,
            limited,
        })
        .boxed()
}

pub(crate) fn ping_requests() -> BoxedStrategy<ping::RequestBuf> {
    prop_oneof![
        1 => (1..=ProbeSize::MAX.get())
            .prop_map(|size| ping::RequestBuf::Calibrate(ProbeSize::new(size).unwrap())),
        1 => Just(ping::RequestBuf::Exit),
        3 => probes().prop_map(ping::RequestBuf::Probe),
        4 => ping_messages(),
    ]
    .boxed()
}

fn ping_messages() -> BoxedStrategy<ping::RequestBuf> {
    let octets = prop_oneof![
        3 => vec(any::<u8>(), 0..60),
        1 => Just(b"Hello Server".to_vec()),
        1 => Just(Vec::new()),
        3 => nearly_text(&["P", "A", "L", " ", "  ", "00c0ffee", "00C0FFEE", "7", "07", "exit", "Exit", "\n", "c 5"]),
        // An answer is a message like any other to who decodes it as a request.
        1 => ping_answers().prop_map(|answer| answer.to_vec()),
        1 => relay_answers().prop_map(|answer| answer.to_vec()),
    ];
    octets
        .prop_filter_map("another request", |octets| {
            let message = ping::Message::new(&octets).ok()?;
            Some(ping::RequestBuf::Message(message.into()))
        })
        .boxed()
}

pub(crate) fn ping_answers() -> BoxedStrategy<ping::Answer> {
    prop_oneof![
        1 => Just(ping::Answer::Calibrated),
        1 => Just(ping::Answer::Stopping),
        1 => Just(ping::Answer::PacketAcknowledged),
        1 => Just(ping::Answer::Acknowledgement),
        1 => select(&Code::ALL[..]).prop_map(ping::Answer::Refused),
        6 => (probes(), reports())
            .prop_map(|(probe, report)| ping::Answer::Probe(probe.answer(&report))),
        2 => (probes(), seqs())
            .prop_map(|(probe, count)| ping::Answer::Probe(probe.answer_with_count(count))),
        3 => limited_notices().prop_map(ping::Answer::LimitedNotice),
    ]
    .boxed()
}

pub(crate) fn limited_notices() -> BoxedStrategy<LimitedNotice> {
    (probes(), prop::option::of(seqs()), numbers())
        .prop_map(|(probe, count, limited)| probe.limited_notice(count, limited))
        .boxed()
}

pub(crate) fn ips() -> BoxedStrategy<IpAddr> {
    let sparse_group = prop_oneof![3 => Just(0), 1 => any::<u16>(), 1 => 1..16_u16];
    prop_oneof![
        4 => any::<[u8; 4]>().prop_map(|octets| IpAddr::from(Ipv4Addr::from(octets))),
        1 => Just(IpAddr::from(Ipv4Addr::UNSPECIFIED)),
        1 => Just(IpAddr::from(Ipv6Addr::UNSPECIFIED)),
        4 => [(); 8].map(|()| sparse_group.clone())
            .prop_map(|groups| IpAddr::from(Ipv6Addr::from(groups))),
        1 => any::<[u8; 4]>()
            .prop_map(|octets| IpAddr::from(Ipv4Addr::from(octets).to_ipv6_mapped())),
    ]
    .boxed()
}

pub(crate) fn ports() -> impl Strategy<Value = u16> {
    prop_oneof![1..=u16::MAX, 1..12_u16, Just(u16::MAX)]
}

fn endpoints() -> BoxedStrategy<Endpoint> {
    (ips(), ports())
        .prop_map(|(ip, port)| Endpoint::new(ip, port).unwrap())
        .boxed()
}

pub(crate) fn tokens() -> impl Strategy<Value = Token> {
    any::<[u8; 16]>().prop_map(Token)
}

/// Texts of these pieces and of any others.
fn nearly_text(pieces: &'static [&'static str]) -> BoxedStrategy<Vec<u8>> {
    let piece = prop_oneof![
        6 => select(pieces).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    vec(piece, 0..10)
        .prop_map(|pieces| pieces.concat().into_bytes())
        .boxed()
}

fn contents() -> BoxedStrategy<String> {
    let text = nearly_text(&[
        ";",
        "/",
        " ",
        "\t",
        "\n",
        "a",
        "Zz",
        "to",
        "raw ",
        "content",
        "\u{a0}",
        "\u{85}",
        "\x1c",
        "ü",
        "\0",
        "192.0.2.7",
    ]);
    text.prop_map(|text| {
        let text = String::from_utf8(text).unwrap().replace(':', ";");
        text.trim_matches(|c| u8::try_from(c).is_ok_and(|c| BLANKS.contains(&c)))
            .to_owned()
    })
    .boxed()
}

pub(crate) fn payloads() -> BoxedStrategy<PayloadBuf> {
    let raw = prop_oneof![
        vec(any::<u8>(), 0..40),
        nearly_text(&[":", ";", "/", " ", "\t", "raw : ", "content:", "a", "B"]),
    ];
    prop_oneof![
        contents().prop_map(|text| Payload::Content(Content::new(&text).unwrap()).into()),
        raw.prop_map(|octets| Payload::Raw(Raw::new(&octets).unwrap()).into()),
    ]
    .boxed()
}

fn sends() -> BoxedStrategy<RequestBuf> {
    (endpoints(), payloads())
        .prop_map(|(to, payload)| {
            let payload = payload.as_payload();
            relay::Request::Send(Message::new(to, payload).unwrap()).into_owned()
        })
        .boxed()
}

pub(crate) fn relay_requests() -> BoxedStrategy<RequestBuf> {
    prop_oneof![
        1 => Just(RequestBuf::Greeting),
        1 => Just(RequestBuf::TokenRequest),
        1 => Just(RequestBuf::ExitServer),
        2 => tokens().prop_map(RequestBuf::TokenGreeting),
        6 => sends(),
    ]
    .boxed()
}

pub(crate) fn relay_answers() -> BoxedStrategy<AnswerBuf> {
    prop_oneof![
        2 => endpoints().prop_map(AnswerBuf::Address),
        2 => (endpoints(), tokens()).prop_map(|(own, token)| AnswerBuf::Token(own, token)),
        1 => Just(AnswerBuf::Sent),
        1 => select(&Code::ALL[..]).prop_map(AnswerBuf::Refused),
        6 => (endpoints(), payloads()).prop_map(|(from, payload)| {
            let payload = payload.as_payload();
            relay::Answer::Forward(Forward::new(from, payload).unwrap()).into_owned()
        }),
    ]
    .boxed()
}
