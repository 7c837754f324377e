//! Probes that routers send back.

use hii_tests::network::{Host, Network, SERVER};
use hii_tests::programs::{Ended, count, run};
use serde_json::Value;

use super::HII;

/// The verdict of each probe, in their order, with the reason of a refusal.
fn verdicts(document: &Value) -> Vec<String> {
    let probes = document["probes"].as_array().expect("probes");
    let verdict = |probe: &Value| match probe["refused_by"].as_str() {
        Some(reason) => reason.to_owned(),
        None => probe["verdict"].as_str().expect("a verdict").to_owned(),
    };
    probes.iter().map(verdict).collect()
}

/// Measures the server's address of each family over the network.
fn over(network: &Network, args: &[&str]) -> Vec<(&'static str, Ended)> {
    let [program, command @ ..] = network.on(Host::Client);
    let command: Vec<_> = command.iter().map(String::as_str).collect();
    SERVER
        .into_iter()
        .map(|address| {
            let ping = [HII, "ping", address, "--json"];
            (
                address,
                run(&program, &[&command, &ping[..], args].concat()),
            )
        })
        .collect()
}

#[test]
#[ignore = "needs network namespaces"]
fn routers_send_back_what_they_do_not_forward() {
    let Some(network) = Network::new() else {
        return;
    };
    // The detection's messages end at the router too, so the target is classified as silent.
    for (address, ended) in over(&network, &["--ttl", "1", "-n", "5", "-i", "10ms"]) {
        assert_eq!(ended.code, Some(3), "{address} {ended:?}");
        assert_eq!(verdicts(&ended.json()), ["time-exceeded"; 5], "{address}");
    }
    for address in SERVER {
        network.ip(Host::Router, &["route", "add", "unreachable", address]);
    }
    let reasons = ["host-unreachable", "network-unreachable"];
    for ((address, ended), reason) in over(&network, &["-n", "5", "-i", "10ms"])
        .into_iter()
        .zip(reasons)
    {
        assert_eq!(ended.code, Some(3), "{address} {ended:?}");
        let document = ended.json();
        // Linux limits the ICMP errors of a route.
        let refused = verdicts(&document)
            .iter()
            .filter(|one| *one == reason)
            .count();
        assert!(refused >= 1, "{address} {document}");
        let by = &document["summary"]["refused_by"];
        assert_eq!(count(&by[reason]), refused as u64, "{address} {document}");
    }
}
