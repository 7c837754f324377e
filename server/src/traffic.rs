//! What a service's UDP sockets moved, as metrics.

use std::fmt;

use hii_transport::traffic::{BATCH_SIZES, Flow, Traffic};
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;

type Figure = fn(&Traffic) -> u64;

const BATCHES: [(&str, &str, Figure); 3] = [
    (
        "gso_datagrams",
        "Datagrams sent in batches, by segmentation offload",
        |traffic| traffic.batched,
    ),
    (
        "gso_fallbacks",
        "Batches that the kernel refused, and whose datagrams were sent one by one",
        |traffic| traffic.taken_apart,
    ),
    (
        "gso_pauses",
        "Pauses of sending in batches, after the kernel refused several in a row",
        |traffic| traffic.batch_pauses,
    ),
];

/// Encodes these counts.
pub(crate) fn encode(encoder: &mut DescriptorEncoder<'_>, traffic: &Traffic) -> fmt::Result {
    let count = |encoder: MetricEncoder<'_>, value| ConstCounter::new(value).encode(encoder);
    let help = "Datagrams moved, forwards and answers, by direction and family";
    let mut family = encoder.encode_descriptor("datagrams", help, None, MetricType::Counter)?;
    for (direction, flow) in directions(traffic) {
        for (ip, datagrams) in [("ipv4", flow.ipv4), ("ipv6", flow.ipv6)] {
            let labels = [("direction", direction), ("family", ip)];
            count(family.encode_family(&labels)?, datagrams)?;
        }
    }
    let help = "Datagrams moved by one system call, by direction";
    let mut family = encoder.encode_descriptor("batch_size", help, None, MetricType::Histogram)?;
    for (direction, flow) in directions(traffic) {
        histogram(family.encode_family(&[("direction", direction)])?, flow)?;
    }
    for (name, help, figure) in BATCHES {
        let counter = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        count(counter, figure(traffic))?;
    }
    Ok(())
}

fn directions(traffic: &Traffic) -> [(&'static str, Flow); 2] {
    [("in", traffic.received), ("out", traffic.sent)]
}

fn histogram(mut encoder: MetricEncoder<'_>, flow: Flow) -> fmt::Result {
    let bounds = BATCH_SIZES.map(|size| match size {
        u64::MAX => f64::INFINITY,
        size => size as f64,
    });
    let buckets: Vec<_> = bounds.into_iter().zip(flow.calls).collect();
    let calls = flow.calls.iter().sum();
    encoder.encode_histogram::<[(&str, &str); 0]>(flow.datagrams() as f64, calls, &buckets, None)
}
