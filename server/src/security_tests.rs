//! `SECURITY.md` against the code: its figures, and the tests that it names.

use std::fs;
use std::path::Path;

use crate::policy::Limit;
use crate::policy::fair_share::allowances;
use crate::policy::limits::{
    ANSWER_OCTETS, CLASSIC_PROBES, CONTROL_OF_ADDRESS, CONTROL_OF_ENDPOINT, ERRORS_OF_ADDRESS,
    ERRORS_OF_ENDPOINT, MESSAGES_OF_PEER, NOTICES_OF_ADDRESS, NOTICES_OF_ENDPOINT,
    PEERS_OF_ADDRESS, PEERS_OF_RECEIVER, PROBES, SOURCES_OF_RECEIVER, TEXTS_OF_ADDRESS,
    TEXTS_OF_ENDPOINT, TOKENS_OF_ADDRESS, TOKENS_OF_ENDPOINT,
};

const DOCUMENT: &str = include_str!("../../SECURITY.md");

/// The rows of the table whose header begins with these cells, without backquotes.
pub(crate) fn table(header: &[&str]) -> Vec<Vec<String>> {
    let cells = |line: &str| -> Vec<String> {
        let line = line
            .strip_prefix('|')
            .and_then(|line| line.strip_suffix('|'));
        let cells = line.into_iter().flat_map(|line| line.split('|'));
        cells.map(|cell| cell.trim().replace('`', "")).collect()
    };
    let mut lines = DOCUMENT.lines().map(cells);
    let is_found = lines.any(|line| line.len() >= header.len() && line[..header.len()] == *header);
    assert!(is_found, "SECURITY.md has no table {header:?}");
    // The line of dashes.
    lines.skip(1).take_while(|line| !line.is_empty()).collect()
}

/// `20,000/s`, or `1/s, burst 10` where the burst is not one second's worth.
fn text(limit: Limit) -> String {
    match limit {
        Limit::Unlimited => "none".into(),
        Limit::Rate { per_second, burst } if burst == per_second => {
            format!("{}/s", grouped(per_second))
        }
        Limit::Rate { per_second, burst } => {
            format!("{}/s, burst {}", grouped(per_second), grouped(burst))
        }
        Limit::Nothing => "0".into(),
    }
}

fn grouped(number: u64) -> String {
    match number / 1000 {
        0 => number.to_string(),
        thousands => format!("{},{:03}", grouped(thousands), number % 1000),
    }
}

#[test]
fn budgets_of_security_md_are_the_default_limits() {
    let messages = |times, parts| MESSAGES_OF_PEER.scaled(times, parts);
    let peer = MESSAGES_OF_PEER;
    let address = messages(PEERS_OF_ADDRESS, 1);
    let receiver = messages(PEERS_OF_RECEIVER, 1);
    let pair = messages(PEERS_OF_RECEIVER, SOURCES_OF_RECEIVER);
    let limits = [
        ("ping", Limit::Unlimited, PROBES, "--rate"),
        ("ping", Limit::Unlimited, ANSWER_OCTETS, "--octet-rate"),
        ("ping", Limit::Unlimited, CLASSIC_PROBES, "--classic-rate"),
        ("ping", CONTROL_OF_ENDPOINT, CONTROL_OF_ADDRESS, ""),
        (
            "ping",
            TEXTS_OF_ENDPOINT,
            TEXTS_OF_ADDRESS,
            "--message-rate",
        ),
        ("ping", NOTICES_OF_ENDPOINT, NOTICES_OF_ADDRESS, ""),
        (
            "relay",
            ERRORS_OF_ENDPOINT,
            ERRORS_OF_ADDRESS,
            "--error-rate",
        ),
        ("relay", TOKENS_OF_ENDPOINT, TOKENS_OF_ADDRESS, ""),
        ("relay", peer, address, "--rate"),
        ("relay", peer, address, "--rate"),
        ("relay", peer, address, "--rate"),
        ("relay", receiver, pair, "--rate"),
    ];
    let expected = limits.map(|(service, endpoint, address, option)| {
        [service.into(), text(endpoint), text(address), option.into()]
    });
    let rows = table(&["service", "budget", "address and port", "address", "option"]);
    let found: Vec<_> = rows
        .iter()
        .map(|row| [0, 2, 3, 4].map(|column| row[column].clone()))
        .collect();
    assert_eq!(found, expected);
}

/// The default of an option.
fn default_of<A: clap::Args>(option: &str) -> u32 {
    let command = A::augment_args(clap::Command::new("server"));
    let option = command
        .get_arguments()
        .find(|arg| arg.get_long() == Some(option));
    let default = option.and_then(|option| option.get_default_values().first());
    default.unwrap().to_str().unwrap().parse().unwrap()
}

#[test]
fn fair_shares_of_security_md_are_those_of_the_pools() {
    let connections = default_of::<crate::ping::Args>("max-connections");
    assert_eq!(
        connections,
        default_of::<crate::relay::Args>("max-connections")
    );
    let [runs, waiting, held] = crate::ping::PLACES;
    let handshakes = u32::try_from(crate::share::HANDSHAKES).unwrap();
    let pools = [
        ("ping", runs),
        ("ping", waiting),
        ("ping", held),
        ("relay", default_of::<crate::relay::Args>("peers")),
        ("ping, relay", connections),
        ("share", handshakes),
        ("share", handshakes),
    ];
    let expected = pools.map(|(service, places)| {
        let allowed = allowances(places).map(|places| grouped(u64::from(places)));
        [
            service.into(),
            grouped(u64::from(places)),
            allowed.join(", "),
        ]
    });
    let rows = table(&[
        "service",
        "what",
        "places",
        "option",
        "overloaded with more than",
    ]);
    let found: Vec<_> = rows
        .iter()
        .map(|row| [0, 2, 4].map(|column| row[column].clone()))
        .collect();
    assert_eq!(found, expected);
}

/// All Rust sources beneath a directory.
fn sources(directory: &Path, into: &mut String) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|end| end == "rs") {
            *into += &fs::read_to_string(path).unwrap();
        }
    }
}

#[test]
fn tests_that_security_md_names_exist() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut code = String::new();
    for directory in ["server/src", "client/src", "transport/src", "tests/tests"] {
        sources(&project.join(directory), &mut code);
    }
    let is_test = |word: &&str| {
        let is_name = word
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        is_name && word.bytes().filter(|byte| *byte == b'_').count() >= 3
    };
    let named: Vec<_> = DOCUMENT.split('`').filter(is_test).collect();
    assert!(named.len() > 10, "{named:?}");
    for name in named {
        assert!(code.contains(&format!("fn {name}(")), "no test {name}");
    }
}
