//! Servers that answer what cannot be true, what nobody asked, or from where nobody asked: nothing that is measured
//! changes, and each such answer is counted.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use hii_protocol::ping::{Probe, ProbeSize, Report, Run, Seq};
use hii_tests::programs::run;
use hii_tests::script::{Memory, Received, Script};
use serde_json::{Value, json};

use crate::{HII, count, ping, server, verdicts};

/// Probes of a run, one every 5 ms.
const PROBES: u64 = 40;
const RUN: [&str; 4] = ["-n", "40", "-i", "5ms"];

/// An answer with something in it that cannot be true; each has its turn.
fn lie(received: &Received) -> Vec<u8> {
    let truth = received.report;
    let report = match received.seq() % 6 {
        0 => Report {
            window: truth.window & !1,
            ..truth
        },
        1 => Report {
            count: Seq::new(64).unwrap(),
            window: 1 << 63 | 1,
            ..truth
        },
        2 => Report {
            count: Seq::MIN,
            window: 0b11,
            ..truth
        },
        3 => Report {
            count: Seq::MAX,
            ..truth
        },
        4 => Report {
            held: 3_600_000_000_000,
            ..truth
        },
        _ => Report {
            received: u64::MAX,
            ..truth
        },
    };
    received.says(report)
}

/// Checks that all was answered and nothing else is said of the run but this many answers of this kind.
fn assert_all_answered_and(summary: &Value, kind: &str, number: u64) {
    assert_eq!(count(&summary["answered"]), PROBES, "{summary}");
    assert_eq!(summary["loss_percent"], 0.0, "{summary}");
    for other in [
        "duplicates",
        "foreign",
        "implausible",
        "wrong_length",
        "forgotten",
        "ambiguous",
        "server_forgot",
        "refused",
    ] {
        let expected = if other == kind { number } else { 0 };
        assert_eq!(count(&summary[other]), expected, "{other}: {summary}");
    }
}

#[test]
fn an_answer_that_cannot_be_true_leaves_its_place_to_the_true_one() {
    let server = Script::start(|received| vec![lie(&received), received.truth()]);
    let ended = ping(server.address(), &RUN);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let document = ended.json();
    assert_all_answered_and(&document["summary"], "implausible", PROBES);
    for probe in document["probes"].as_array().unwrap() {
        assert_eq!(probe["held_ns"], 0, "{probe}");
    }
}

#[test]
fn a_server_that_only_lies_has_answered_nothing() {
    let server = Script::start(|received| vec![lie(&received)]);
    let target = server.address().to_string();
    let ended = run(HII, &["ping", &target, "-n", "6", "-i", "5ms"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let out = &ended.stdout;
    assert!(
        out.contains("6 sent, 0 answered (0 in time, 0 late), 6 lost (100.0 %): 0 there, 0 back"),
        "{out}"
    );
    // The closing probes are lied to as well.
    assert!(
        out.contains("answers that cannot be true, and not counted: 9\n"),
        "{out}"
    );
    assert!(!out.contains("nothing answered"), "{out}");
}

#[test]
fn a_lie_over_tcp_is_none_the_less_one() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serving = std::thread::spawn(move || {
        let (mut stream, from) = listener.accept().unwrap();
        let mut memory = Memory::new();
        while let Some(probe) = read_frame(&mut stream) {
            let received = memory.receive(&probe, from).unwrap();
            if probe.len() == 128 {
                write_frame(&mut stream, &lie(&received));
            }
            write_frame(&mut stream, &received.truth());
        }
    });
    let ended = ping(format!("tcp://{address}"), &RUN);
    serving.join().unwrap();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_all_answered_and(&ended.json()["summary"], "implausible", PROBES);
}

/// The next frame's payload; none at the end of the stream.
fn read_frame(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut len = [0; 4];
    stream.read_exact(&mut len).ok()?;
    let mut payload = vec![0; u32::from_be_bytes(len) as usize];
    stream.read_exact(&mut payload).ok()?;
    Some(payload)
}

fn write_frame(stream: &mut TcpStream, payload: &[u8]) {
    let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
    // The client may have all it waited for, and be gone.
    let _ = stream.write_all(&[&len, payload].concat());
}

#[test]
fn what_answers_nothing_that_was_sent_is_foreign() {
    let server = Script::start(|received| {
        let other = |run: u32, seq: u64| {
            let size = ProbeSize::new(128).unwrap();
            let probe = Probe::new(Run(run), Seq::new(seq).unwrap(), size).unwrap();
            probe.answer(&received.report).to_vec()
        };
        let run = received.probe.run().0;
        // Not sent yet: the first probe has come, and the last one is a second away.
        let early = (received.seq() == 1).then(|| other(run, PROBES));
        let others = [
            // Of a closing probe before there is one; never sent; of another run; no answer at all.
            other(run, PROBES + 1),
            other(run, u64::MAX),
            other(run ^ 1, received.seq()),
            b"Packet Acknowledged".to_vec(),
            vec![0xff; 128],
            Vec::new(),
            received.truth(),
        ];
        early.into_iter().chain(others).collect()
    });
    let ended = ping(server.address(), &["-n", "40", "-i", "25ms"]);
    assert_all_answered_and(&ended.json()["summary"], "foreign", 6 * PROBES + 1);
}

#[test]
fn answers_that_are_longer_or_shorter_than_their_probe_are_counted_apart() {
    let server = Script::start(|received| {
        let truth = received.truth();
        let longer = [&truth[..], b" "].concat();
        let shorter = truth[..127].to_vec();
        vec![longer, shorter, truth]
    });
    let ended = ping(server.address(), &RUN);
    assert_all_answered_and(&ended.json()["summary"], "wrong_length", 2 * PROBES);
}

#[test]
fn an_answer_that_is_cut_is_none() {
    let server = Script::start(|received| vec![received.truth()[..100].to_vec()]);
    let ended = ping(server.address(), &["-n", "3", "-i", "5ms"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let document = ended.json();
    assert_eq!(verdicts(&document), ["lost-unknown"; 3]);
    // The closing probes' as well.
    assert_eq!(count(&document["summary"]["wrong_length"]), 6);
}

#[test]
fn every_further_answer_is_a_duplicate() {
    let server = Script::start(|received| {
        let truth = received.truth();
        // The run ends with the answer to its last probe, and whatever comes after that may be too late.
        let copies = if received.seq() < PROBES { 3 } else { 1 };
        vec![truth; copies]
    });
    let ended = ping(server.address(), &RUN);
    assert_all_answered_and(&ended.json()["summary"], "duplicates", 2 * (PROBES - 1));
}

#[test]
fn an_answer_from_another_port_counts_for_nothing() {
    for args in [&RUN[..], &["-n", "40", "--rate", "200/s"]] {
        let beside = UdpSocket::bind("127.0.0.1:0").unwrap();
        let from = beside.local_addr().unwrap();
        let server = Script::start(move |received| {
            // The truth, and before it a lie, from where nobody asked.
            for answer in [lie(&received), received.truth()] {
                let _ = beside.send_to(&answer, received.from);
            }
            if received.seq() % 4 == 0 {
                Vec::new()
            } else {
                vec![received.truth()]
            }
        });
        let ended = ping(server.address(), args);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let document = ended.json();
        let summary = &document["summary"];
        let lost = PROBES / 4;
        assert_eq!(count(&summary["answered"]), PROBES - lost, "{summary}");
        assert_eq!(count(&summary["lost"]["back"]), lost, "{summary}");
        for beside in ["duplicates", "foreign", "implausible", "wrong_length"] {
            assert_eq!(count(&summary[beside]), 0, "{beside}: {summary}");
        }
        // The probe that settles which way the last one was lost is answered as well.
        let strays = json!({"count": 2 * (PROBES + 1), "may_be_more": false, "first": from});
        assert_eq!(summary["from_elsewhere"], strays, "{summary}");
    }
}

#[test]
fn of_a_server_that_answers_from_another_port_only_just_that_is_known() {
    for args in [&["-i", "5ms"][..], &["--rate", "200/s"]] {
        let beside = UdpSocket::bind("127.0.0.1:0").unwrap();
        let from = beside.local_addr().unwrap();
        let mut memory = Memory::new();
        let server = Script::start_raw(move |datagram, from| {
            if let Some(received) = memory.receive(datagram, from) {
                let _ = beside.send_to(&received.truth(), from);
            }
            Vec::new()
        });
        let target = server.address().to_string();
        let ended = run(HII, &[&["ping", &target, "-n", "3"], args].concat());
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let out = &ended.stdout;
        assert!(out.contains("3 sent, 0 answered"), "{out}");
        // The closing probes' as well.
        let told = format!(
            "6 datagrams came from elsewhere, the first from {from}, and count for nothing\n"
        );
        assert!(out.contains(&told), "{out}");
        assert!(out.contains("answers from another address"), "{out}");
    }
}

#[test]
fn what_comes_from_elsewhere_is_not_told_where_it_is_not_heard() {
    let server = server(&[]);
    let original = Script::start_raw(|_, _| vec![b"Packet Acknowledged".to_vec()]);
    for (target, is_heard) in [
        (server.address().to_string(), true),
        (format!("tcp://{}", server.address()), false),
        (original.address().to_string(), false),
    ] {
        let ended = ping(target, &["-n", "3", "-i", "5ms"]);
        let document = ended.json();
        let strays = &document["summary"]["from_elsewhere"];
        let none = json!({"count": 0, "may_be_more": false, "first": null});
        let expected = if is_heard { none } else { Value::Null };
        assert_eq!(*strays, expected, "{document}");
    }
}

#[test]
fn garbage_is_shown_for_what_it_is_and_measured_as_nothing() {
    let mut number = 0_u64;
    let server = Script::start_raw(move |_, _| {
        number += 1;
        vec![format!("garbage \x1b[2J {number}\u{202e}").into_bytes()]
    });
    let target = server.address().to_string();
    let ended = run(HII, &["ping", &target, "-n", "3", "-i", "5ms"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let out = &ended.stdout;
    assert!(out.contains("3 sent, 0 answered"), "{out}");
    assert!(out.contains("datagrams that answer no probe: 3"), "{out}");
    let is_plain = |c: char| c == '\n' || !c.is_control() && c != '\u{202e}';
    assert!(
        ended
            .stdout
            .chars()
            .chain(ended.stderr.chars())
            .all(is_plain),
        "{ended:?}"
    );
}

#[test]
fn a_stranger_s_answer_to_the_first_question_does_not_tell_the_server() {
    let mut memory = Memory::new();
    let server = Script::start_raw(move |datagram, from| {
        let Some(received) = memory.receive(datagram, from) else {
            return Vec::new();
        };
        let probe = Probe::new(
            Run(!received.probe.run().0),
            Seq::MIN,
            received.probe.size(),
        );
        let other = probe.unwrap().answer(&received.report).to_vec();
        vec![other, received.truth()]
    });
    let ended = ping(server.address(), &RUN);
    let document = ended.json();
    assert_eq!(document["server"], "hii");
    assert_all_answered_and(&document["summary"], "foreign", PROBES);
}

#[test]
fn a_server_that_forgets_is_no_witness_for_what_was_before() {
    let mut memory = Memory::new();
    let mut forgot = false;
    let server = Script::start_raw(move |datagram, from| {
        let Some(mut received) = memory.receive(datagram, from) else {
            return Vec::new();
        };
        if received.seq() == 20 && datagram.len() == 128 && !forgot {
            // Started anew: this is the first probe that it knows of.
            memory = Memory::new();
            forgot = true;
            received = memory.receive(datagram, from).unwrap();
        }
        // What was not answered before that cannot be told; afterwards it can.
        if [15, 16, 30].contains(&received.seq()) && datagram.len() == 128 {
            return Vec::new();
        }
        vec![received.truth()]
    });
    let ended = ping(server.address(), &RUN);
    let document = ended.json();
    let summary = &document["summary"];
    assert_eq!(count(&summary["server_forgot"]), 1, "{summary}");
    let verdicts = verdicts(&document);
    // 17 to 19 were answered before, and say what was received of those.
    let lost: Vec<_> = [15, 16, 30].map(|seq| verdicts[seq - 1].as_str()).into();
    assert_eq!(lost, ["lost-back"; 3], "{document}");
    assert_eq!(count(&summary["answered"]), PROBES - 3, "{summary}");
    assert_eq!(count(&summary["implausible"]), 0, "{summary}");
}

#[test]
fn a_server_s_clock_that_is_set_during_the_run_is_told_and_moves_no_figure() {
    const HOUR: u64 = 3_600_000_000_000;
    for back in [false, true] {
        let server = Script::start(move |mut received| {
            if received.seq() > 20 {
                let clock = &mut received.report.received;
                *clock = if back { *clock - HOUR } else { *clock + HOUR };
            }
            vec![received.truth()]
        });
        let target = server.address().to_string();
        let ended = ping(&target, &RUN);
        let document = ended.json();
        let summary = &document["summary"];
        assert_all_answered_and(summary, "none", 0);
        let one_way = &summary["one_way_ns"];
        let moved = one_way["clock_moved"].as_u64().unwrap();
        // Less what the answers may have been under way.
        assert!((HOUR / 2..=HOUR + HOUR / 2).contains(&moved), "{one_way}");
        let longest = summary["rtt_ns"]["max"].as_f64().unwrap();
        for way in ["there", "back"] {
            for end in ["min", "mean", "max"] {
                let time = one_way[way][end].as_f64().unwrap();
                assert!(time.abs() <= longest * 2.0, "{way} {end}: {one_way}");
            }
        }
        let ended = run(HII, &[&["ping", &target, "-q"], &RUN[..]].concat());
        assert!(ended.stdout.contains("moved apart by"), "{ended:?}");
    }
}

#[test]
fn an_answer_long_after_its_probe_was_given_up_changes_nothing() {
    // Probes are remembered for 10 s.
    const LONG: Duration = Duration::from_millis(11_500);
    let mut kept = None;
    let server = Script::start(move |received| {
        if received.seq() == 1 {
            kept = Some((Instant::now(), received.truth()));
            return Vec::new();
        }
        let is_past = |(since, _): &mut (Instant, _)| since.elapsed() > LONG;
        let late = kept.take_if(is_past).map(|(_, answer)| answer);
        late.into_iter().chain([received.truth()]).collect()
    });
    let ended = ping(server.address(), &["-d", "13", "-i", "100ms"]);
    let document = ended.json();
    let verdicts = verdicts(&document);
    assert_eq!(verdicts[0], "lost-back", "{verdicts:?}");
    let summary = &document["summary"];
    assert_eq!(count(&summary["forgotten"]), 1, "{summary}");
    assert_eq!(count(&summary["lost"]["total"]), 1, "{summary}");
}
