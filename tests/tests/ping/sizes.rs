//! Probes of all sizes.

use serde_json::Value;

use crate::{count, ping, server};

#[test]
fn a_size_too_small_for_numbers_is_measured_by_port() {
    let server = server(&[]);
    let ended = ping(server.address(), &["-n", "10", "-i", "0.01", "-s", "5"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let summary = &ended.json()["summary"];
    assert_eq!(count(&summary["answered"]), 10);
    assert_eq!(summary["lost"]["there"], Value::Null);
}

#[test]
fn the_largest_size_goes_both_ways() {
    let server = server(&[]);
    let ended = ping(server.address(), &["-n", "3", "-i", "0.01", "-s", "65507"]);
    assert_eq!(count(&ended.json()["summary"]["answered"]), 3, "{ended:?}");
}
