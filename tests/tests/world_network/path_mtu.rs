//! Probes that are too long for the path.

use hii_tests::network::{Host, Network, SERVER};
use hii_tests::programs::{Ended, Server, run};
use serde_json::Value;

use super::{HII, HII_SERVER};

/// A server on the network, at each of its addresses.
fn serve(network: &Network) -> Vec<Server> {
    let [program, command @ ..] = network.on(Host::Server);
    let command: Vec<_> = command.iter().map(String::as_str).collect();
    let serve = |address| {
        let server = [HII_SERVER, "ping", "-b", address];
        Server::start(&program, &[&command, &server[..]].concat())
    };
    SERVER.into_iter().map(serve).collect()
}

/// Measures it from the client.
fn ping(network: &Network, server: &Server, args: &[&str]) -> Ended {
    let [program, command @ ..] = network.on(Host::Client);
    let command: Vec<_> = command.iter().map(String::as_str).collect();
    let address = server.address().to_string();
    let ping = [HII, "ping", &address, "--json"];
    run(&program, &[&command, &ping[..], args].concat())
}

fn verdicts(document: &Value) -> Vec<&str> {
    let probes = document["probes"].as_array().expect("probes");
    let verdict = |probe: &Value| probe["verdict"] == "in-time" || probe["verdict"] == "late";
    probes
        .iter()
        .map(|probe| match probe["verdict"].as_str() {
            _ if verdict(probe) => "answered",
            verdict => verdict.expect("a verdict"),
        })
        .collect()
}

#[test]
#[ignore = "needs network namespaces"]
fn the_path_s_mtu_is_told_by_the_first_probe_that_must_not_be_cut() {
    let Some(network) = Network::new() else {
        return;
    };
    network.set_mtu(Host::Server, 1400);
    for server in serve(&network) {
        // What fits to the octet, with its headers.
        let headers = if server.address().is_ipv6() { 48 } else { 28 };
        let fits = (1400 - headers).to_string();
        let ended = ping(
            &network,
            &server,
            &["-n", "3", "-i", "10ms", "--df", "-s", &fits],
        );
        let document = ended.json();
        assert_eq!(verdicts(&document), ["answered"; 3], "{document}");
        assert_eq!(document["summary"]["path_mtu"], Value::Null);

        let over = (1400 - headers + 1).to_string();
        let ended = ping(
            &network,
            &server,
            &["-n", "20", "-i", "10ms", "--df", "-s", &over],
        );
        let document = ended.json();
        // The kernel remembers what the router said, as soon as that is there.
        let found = verdicts(&document);
        let sent = found.iter().take_while(|one| **one == "refused").count();
        assert!((1..20).contains(&sent), "{document}");
        assert_eq!(found[sent..], vec!["not-sent"; 20 - sent], "{document}");
        assert_eq!(document["probes"][0]["refused_by"], "too-big");
        let summary = &document["summary"];
        assert_eq!(summary["path_mtu"], 1400, "{summary}");
        assert_eq!(summary["sent"], sent, "{summary}");
        assert_eq!(ended.code, Some(3));

        // Cut into fragments they get through.
        let ended = ping(&network, &server, &["-n", "3", "-i", "10ms", "-s", &over]);
        let document = ended.json();
        assert_eq!(verdicts(&document), ["answered"; 3], "{document}");
    }
}

#[test]
#[ignore = "needs network namespaces"]
fn the_first_link_s_mtu_is_told_by_the_kernel() {
    let Some(network) = Network::new() else {
        return;
    };
    network.set_mtu(Host::Client, 1300);
    for server in serve(&network) {
        let args = ["-n", "3", "-i", "10ms", "--df", "-s", "1300"];
        let ended = ping(&network, &server, &args);
        let document = ended.json();
        assert_eq!(verdicts(&document), ["not-sent"; 3], "{document}");
        assert_eq!(document["summary"]["path_mtu"], 1300, "{document}");
        assert_eq!(document["summary"]["sent"], 0);
        assert_eq!(ended.code, Some(1));

        // A flood of such probes does not go round as fast as the processor can: it tries one every 2 ms.
        let args = ["-d", "0.2", "--flood", "--df", "-s", "1300"];
        let ended = ping(&network, &server, &args);
        let document = ended.json();
        let tried = document["summary"]["not_sent"].as_u64().expect("a count");
        assert!((1..=200).contains(&tried), "{document}");
        assert_eq!(document["summary"]["sent"], 0, "{document}");
    }
}
