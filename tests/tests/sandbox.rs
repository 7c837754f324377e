//! Servers in a sandbox that refuses system calls (seccomp).
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::thread;

use hii_tests::programs::{Server, run};
use nix::libc::{EPERM, SYS_recvmmsg, SYS_recvmsg};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};

const HII: &str = env!("CARGO_BIN_EXE_hii-under-test");
const HII_SERVER: &str = env!("CARGO_BIN_EXE_hii-server-under-test");

/// A service where these calls are not permitted.
fn serve(service: &'static str, calls: &[i64]) -> Server {
    let calls: BTreeMap<_, _> = calls.iter().map(|call| (*call, Vec::new())).collect();
    // A filter holds for its thread and the programs that this thread starts.
    let server = thread::spawn(move || {
        let filter = SeccompFilter::new(
            calls,
            SeccompAction::Allow,
            SeccompAction::Errno(EPERM.unsigned_abs()),
            std::env::consts::ARCH.try_into().unwrap(),
        );
        let filter: BpfProgram = filter.unwrap().try_into().unwrap();
        apply_filter(&filter).unwrap();
        Server::start(HII_SERVER, &[service, "-b", "127.0.0.1"])
    });
    server.join().unwrap()
}

#[test]
fn server_receives_one_by_one_where_batches_are_not_permitted() {
    let server = serve("ping", &[SYS_recvmmsg]);
    let address = server.address().to_string();
    let ended = run(HII, &["ping", &address, "-n", "30", "-i", "1ms", "--json"]);
    assert_eq!(ended.json()["summary"]["answered"], 30, "{ended:?}");
    assert_eq!(server.stop().code, Some(0));
}

#[test]
fn server_that_cannot_receive_ends_with_an_error() {
    for service in ["ping", "relay"] {
        let server = serve(service, &[SYS_recvmmsg, SYS_recvmsg]);
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.send_to(b"hii", server.address()).unwrap();
        assert_eq!(server.wait().code, Some(3), "{service}");
    }
}
