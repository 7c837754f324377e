//! Whoever has no key, or misuses one, learns nothing and keeps nobody out.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::num::NonZeroU64;

use hii_protocol::share::{AnswerBuf, Digest, Id, Key, Problem, Request, Start, VERSION};
use hii_tests::share::Receiver;
use hii_transport::channel::ChannelError;

use crate::{Sender, directory, key, octets};

fn sender(name: &str, size: usize, args: &[&str]) -> Sender {
    let files = directory(name);
    fs::create_dir(files.path("folder")).unwrap();
    fs::write(files.path("folder/file"), octets(size)).unwrap();
    Sender::start(files, &["folder"], args)
}

fn connect(sender: &Sender) -> Receiver {
    Receiver::connect(sender.server.address(), &key()).unwrap()
}

fn problem(receiver: &mut Receiver) -> Problem {
    match receiver.hear() {
        AnswerBuf::Error(problem, _) => problem,
        other => panic!("{other:?}"),
    }
}

#[test]
fn another_key_is_told_and_this_host_is_never_barred() {
    let sender = sender("strangers-key", 1, &[]);
    for _ in 0..30 {
        let refused = Receiver::connect(sender.server.address(), &Key::new([7; 16]));
        assert!(matches!(refused, Err(ChannelError::Key)), "{refused:?}");
    }
    let (receiver, _) = sender.connect();
    receiver.done();
    let tally = sender.stop();
    let counts = ["wrong_key", "barred", "done"].map(|count| &tally[count]);
    assert_eq!(counts, [30, 0, 1]);
}

#[test]
fn whatever_else_comes_is_no_handshake() {
    let sender = sender("strangers-else", 1, &[]);
    for stranger in [
        &b"SECRET_KEY"[..],
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xff\xff\xff\xff",
        b"\0\0\0\x30012345678901234567890123456789012345678901234567",
    ] {
        let mut stream = TcpStream::connect(sender.server.address()).unwrap();
        stream.write_all(stranger).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert_eq!(answer, b"\0\0\0\x01E");
    }
    assert_eq!(sender.stop()["wrong_key"], 4);
}

#[test]
fn a_handshake_said_again_is_no_receiver() {
    let sender = sender("strangers-replay", 1, &["--max-receivers", "1"]);
    // What a receiver with the key says first, as it was recorded.
    let recorder = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = recorder.local_addr().unwrap();
    let honest = std::thread::spawn(move || Receiver::connect(to, &key()).map(|_| ()));
    let mut first = [0; 4 + 48];
    let (mut heard, _) = recorder.accept().unwrap();
    heard.read_exact(&mut first).unwrap();
    drop(heard);
    assert!(honest.join().unwrap().is_err());

    let mut stream = TcpStream::connect(sender.server.address()).unwrap();
    stream.write_all(&first).unwrap();
    stream.read_exact(&mut [0; 4 + 48]).unwrap();
    let mut silent = TcpStream::connect(sender.server.address()).unwrap();
    silent.write_all(&first).unwrap();
    silent.read_exact(&mut [0; 4 + 48]).unwrap();
    stream
        .write_all(b"\0\0\0\x17hello 1 and no such tag")
        .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, b"");
    // Neither takes the only place.
    let (receiver, _) = sender.connect();
    receiver.done();
    drop(silent);
    let tally = sender.stop();
    let counts = ["wrong_key", "receivers", "busy", "broken"].map(|count| &tally[count]);
    assert_eq!(counts, [1, 1, 0, 0]);
}

#[test]
fn a_thousand_half_open_connections_keep_nobody_out() {
    let sender = sender("strangers-half-open", 1, &[]);
    let mut half_open: Vec<_> = (0..1000)
        .map(|number| {
            let mut stream = TcpStream::connect(sender.server.address()).unwrap();
            // Some say a part of the handshake.
            stream
                .write_all(&b"\0\0\0\x30hello"[..number % 10])
                .unwrap();
            stream
        })
        .collect();
    let (mut receiver, offered) = sender.connect();
    let fetched = receiver.fetch(offered[1].id, Start::Beginning);
    assert_eq!(fetched.octets, octets(1));
    // Those that have sent something had to make room for others of that kind.
    let sent_something = |(number, _): &(usize, _)| number % 10 > 0;
    for (_, stream) in half_open[..700]
        .iter_mut()
        .enumerate()
        .filter(sent_something)
    {
        match stream.read(&mut [0; 16]) {
            Ok(0) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            other => panic!("{other:?}"),
        }
    }
    receiver.done();
    let tally = sender.stop();
    assert_eq!(
        (&tally["done"], &tally["connections"]),
        (&1.into(), &1001.into())
    );
}

#[test]
fn frames_out_of_turn_are_told_and_end_the_conversation() {
    let sender = sender("strangers-turn", 1, &[]);
    for frame in [
        &b"want 1"[..],
        b"done",
        b"got 1",
        b"page 1",
        b"\xff\0",
        &vec![b'x'; 65_507],
    ] {
        let mut receiver = connect(&sender);
        receiver.say_octets(frame).unwrap();
        assert_eq!(problem(&mut receiver), Problem::Frame);
        assert_eq!(receiver.try_hear().unwrap(), None);
    }
    for frame in [&b"hello 1"[..], b"got 2", b"want 0", b"data x"] {
        let (mut receiver, _) = sender.connect();
        receiver.say_octets(frame).unwrap();
        assert_eq!(problem(&mut receiver), Problem::Frame);
        assert_eq!(receiver.try_hear().unwrap(), None);
    }
    assert_eq!(sender.stop()["broken"], 10);
}

#[test]
fn another_version_is_answered_with_this_one() {
    let sender = sender("strangers-version", 1, &[]);
    let mut receiver = connect(&sender);
    receiver.say(&Request::Hello(NonZeroU64::new(2).unwrap()));
    assert_eq!(receiver.hear(), AnswerBuf::Hello(VERSION));
    assert_eq!(problem(&mut receiver), Problem::Version);
    assert_eq!(receiver.try_hear().unwrap(), None);
    sender.stop();
}

#[test]
fn what_is_not_there_is_failed_and_the_rest_goes_on() {
    let sender = sender("strangers-unknown", 5, &[]);
    let (mut receiver, _) = sender.connect();
    for number in [3, u64::MAX, 1] {
        let fetched = receiver.fetch(Id::new(number).unwrap(), Start::Beginning);
        assert!(fetched.end.unwrap_err().starts_with("unknown "));
    }
    let fetched = receiver.fetch(Id::new(2).unwrap(), Start::Beginning);
    assert_eq!(fetched.octets, octets(5));
    receiver.done();
    assert_eq!(sender.stop()["failed"], 3);
}

#[test]
fn wants_without_end_are_answered_one_after_the_other() {
    let sender = sender("strangers-flood", 5, &[]);
    let (mut receiver, offered) = sender.connect();
    let id = offered[1].id;
    // More than wait there, and not more than the network holds.
    for _ in 0..1000 {
        receiver.say(&Request::Want {
            id,
            start: Start::Beginning,
        });
    }
    for _ in 0..1000 {
        assert_eq!(receiver.fetched(id).octets, octets(5));
    }
    receiver.done();
    assert_eq!(sender.stop()["sent"], 1000);
}

#[test]
fn who_wants_much_and_hangs_up_makes_room_before_all_of_it_was_read() {
    let files = directory("strangers-hung-up");
    // Far more than can be hashed while this test runs, and no octet of it on the disk.
    let size = 1 << 42;
    let sparse = fs::File::create(files.path("sparse")).unwrap();
    sparse.set_len(size).unwrap();
    let sender = Sender::start(files, &["sparse"], &["--max-receivers", "1"]);
    let (mut receiver, offered) = sender.connect();
    let start = Start::After {
        offset: NonZeroU64::new(size).unwrap(),
        digest: Digest([7; 32]),
    };
    for _ in 0..1000 {
        let id = offered[0].id;
        receiver.say(&Request::Want { id, start });
    }
    drop(receiver);
    drop(crate::changes::start_when_free(sender.server.address()));
    assert_eq!(sender.stop()["receivers"], 2);
}

#[test]
fn who_never_reads_and_who_never_speaks_is_let_go() {
    let sender = sender("strangers-idle", 60_000_000, &["--idle", "200ms"]);
    let (mut silent, _) = sender.connect();
    let (mut deaf, offered) = sender.connect();
    deaf.say(&Request::Want {
        id: offered[1].id,
        start: Start::Beginning,
    });
    assert!(matches!(silent.hear(), AnswerBuf::Cancel(_)));
    assert_eq!(silent.try_hear().unwrap(), None);
    // It sends no more than a word now and then, until it is told that nobody listens.
    while deaf.say_octets(b"cancel ").is_ok() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    // What there was room for, and then nothing more.
    let mut octets = 0;
    loop {
        match deaf.try_hear() {
            Ok(Some(AnswerBuf::Data(data))) => octets += data.as_data().as_bytes().len(),
            Ok(Some(AnswerBuf::File { .. })) => {}
            Ok(Some(other)) => panic!("{other:?}"),
            Ok(None) | Err(_) => break,
        }
    }
    assert!(octets < 60_000_000);
    assert_eq!(sender.stop()["idle"], 2);
}

#[test]
fn one_too_many_is_told_to_come_later() {
    let sender = sender("strangers-busy", 1, &["--max-receivers", "2"]);
    let (first, _) = sender.connect();
    let (second, _) = sender.connect();
    let mut third = connect(&sender);
    third.say(&Request::Hello(VERSION));
    assert_eq!(third.hear(), AnswerBuf::Hello(VERSION));
    assert_eq!(problem(&mut third), Problem::Busy);
    assert_eq!(third.try_hear().unwrap(), None);
    first.done();
    second.done();
    let tally = sender.stop();
    assert_eq!((&tally["busy"], &tally["done"]), (&1.into(), &2.into()));
}

#[test]
fn a_user_who_wants_no_more_is_heard_in_the_middle_of_a_file() {
    let sender = sender("strangers-cancel", 60_000_000, &[]);
    let (mut receiver, offered) = sender.connect();
    receiver.say(&Request::Want {
        id: offered[1].id,
        start: Start::Beginning,
    });
    receiver.say(&Request::Cancel(hii_protocol::share::Text::cut("\x1b[2J")));
    let mut octets = 0;
    while let Ok(Some(frame)) = receiver.try_hear() {
        if let AnswerBuf::Data(data) = frame {
            octets += data.as_data().as_bytes().len();
        }
    }
    assert!(octets < 60_000_000);
    assert_eq!(sender.stop()["cancelled"], 1);
}

#[test]
fn a_connection_that_ends_anywhere_harms_nobody_else() {
    let sender = sender("strangers-cut", 500_000, &[]);
    for frames in 0..4 {
        let mut receiver = connect(&sender);
        if frames > 0 {
            receiver.say(&Request::Hello(VERSION));
        }
        for _ in 1..frames {
            receiver.hear();
        }
        drop(receiver);
        let (mut receiver, offered) = sender.connect();
        receiver.say(&Request::Want {
            id: offered[1].id,
            start: Start::Beginning,
        });
        for _ in 0..frames {
            receiver.hear();
        }
    }
    let (mut receiver, offered) = sender.connect();
    let fetched = receiver.fetch(offered[1].id, Start::Beginning);
    assert!(fetched.octets == octets(500_000));
    receiver.done();
    assert_eq!(sender.stop()["done"], 1);
}
