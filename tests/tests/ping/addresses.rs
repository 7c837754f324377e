//! Which address is measured, which one answers, and both families.

use hii_tests::programs::{Server, run};

use crate::{HII, HII_SERVER, count, ping};

#[test]
fn every_address_of_a_server_answers_from_itself() {
    let everywhere = Server::start(HII_SERVER, &["ping", "--json"]);
    let port = everywhere.address().port();
    // An address that the routing table would not choose as a source.
    let ended = ping(format!("127.0.0.2:{port}"), &["-n", "3", "-i", "0.01"]);
    assert_eq!(count(&ended.json()["summary"]["answered"]), 3, "{ended:?}");
}

#[test]
fn several_addresses_are_served_at_once() {
    let server = Server::start(
        HII_SERVER,
        &["ping", "-b", "::1", "-b", "127.0.0.1", "--json"],
    );
    let ended = ping(server.address(), &["-n", "3", "-i", "0.01"]);
    assert_eq!(count(&ended.json()["summary"]["answered"]), 3, "{ended:?}");
}

#[test]
fn without_a_target_the_server_is_inside() {
    let ended = run(HII, &["ping", "-n", "5", "-i", "0.02", "--json"]);
    let document = ended.json();
    let summary = &document["summary"];
    assert_eq!(count(&summary["sent"]), 5);
    assert!(count(&summary["server"]["received"]) >= 5, "{summary}");
    let answered = count(&summary["answered"]);
    assert_eq!(answered + count(&summary["lost"]["total"]), 5);
    assert_eq!(ended.code, Some(i32::from(answered == 0)));
}

#[test]
fn both_families_reach_a_server_on_all_addresses() {
    let server = Server::start(HII_SERVER, &["ping", "--json"]);
    let port = server.address().port();
    let hosts = if server.address().is_ipv6() {
        &["127.0.0.1", "[::1]"][..]
    } else {
        &["127.0.0.1"]
    };
    for host in hosts {
        let ended = ping(format!("{host}:{port}"), &["-n", "3", "-i", "0.01"]);
        assert_eq!(
            count(&ended.json()["summary"]["answered"]),
            3,
            "{host}: {ended:?}"
        );
    }
    let ended = ping(format!("localhost:{port}"), &["-4", "-n", "1"]);
    assert!(
        ended.json()["address"]
            .as_str()
            .unwrap()
            .starts_with("127.0.0.1:")
    );
    assert_eq!(ping("127.0.0.1", &["-6"]).code, Some(3));
}
