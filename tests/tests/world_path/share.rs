//! Files over a bad path.

use std::fs;
use std::net::IpAddr;
use std::time::Duration;

use hii_tests::scratch::Directory;
use hii_tests::sender::{KEY, octets};
use hii_tests::tun_path::{
    Builder, Damage, Direction, End, Fate, Pick, Plan, Reordering, Transport,
};

use crate::{HII, HII_SERVER};

/// Fetches a file over this path, where some packets meet this fate.
fn fetch(name: &str, ip: impl Fn(End) -> IpAddr, plan: impl Fn() -> Plan, fate: Fate) {
    let path = Builder::default()
        .plan(Direction::Forward, plan())
        .plan(Direction::Return, plan())
        .start();
    let Some(path) = path else {
        return;
    };
    let directory = Directory::new(name);
    let [key, file, received] = ["key", "file", "received"].map(|name| directory.path(name));
    let content = octets(3_000_000);
    fs::write(&key, format!("{KEY}\n")).unwrap();
    fs::write(&file, &content).unwrap();
    let bind = ip(End::Server).to_string();
    let args = ["share", "-b", &bind, "--key-file", &key, &file];
    let server = path.at(End::Server).serve(HII_SERVER, &args);
    let address = server.address().to_string();
    let args = ["get", &address, "-o", &received, "--key-file", &key];
    let ended = path.at(End::Client).run(HII, &args);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(fs::read(&received).unwrap() == content);
    let record = path.finish();
    let mut packets = record.passages(Direction::Return);
    let is_met = packets.any(|packet| packet.fate == fate && packet.transport == Transport::Tcp);
    assert!(is_met, "no packet was {fate:?}");
}

#[test]
#[ignore = "needs network namespaces and a TUN device"]
fn file_arrives_whole_over_loss_and_delay() {
    let plan = || {
        Plan::default()
            .delay(Duration::from_millis(10))
            .jitter(Duration::from_millis(5))
            .loss(Pick::Share(0.02))
            .duplication(Pick::Share(0.02))
            .reordering(Pick::Share(0.02), Reordering::WithoutDelay)
    };
    fetch("path-loss", End::v4, plan, Fate::Lost);
}

#[test]
#[ignore = "needs network namespaces and a TUN device"]
fn file_arrives_whole_although_packets_are_damaged() {
    let plan = || {
        Plan::default()
            .delay(Duration::from_millis(10))
            .damage(Pick::Share(0.02), Damage::Payload)
    };
    fetch("path-damage", End::v6, plan, Fate::Damaged);
}
