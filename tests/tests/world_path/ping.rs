//! What `hii ping` reports of a path, and what happened there.

use std::net::IpAddr;
use std::time::Duration;

use hii_tests::programs::count;
use hii_tests::tun_path::{
    Builder, Damage, Direction, End, Fate, Pick, Plan, Record, Reordering, Room,
};
use serde_json::Value;

use crate::outcomes::{Outcome, Truth};
use crate::{HII, HII_SERVER};

/// A measurement: what is reported, and what happened.
struct Measurement {
    document: Value,
    record: Record,
    truth: Truth,
}

impl Measurement {
    /// Measures a server at the end of this path with this many probes; `None` where a test may not.
    fn run(path: Builder, ip: impl Fn(End) -> IpAddr, probes: u64, args: &[&str]) -> Option<Self> {
        let path = path.start()?;
        let bind = ip(End::Server).to_string();
        let server = path
            .at(End::Server)
            .serve(HII_SERVER, &["ping", "-b", &bind]);
        let (target, probes_arg) = (server.address().to_string(), probes.to_string());
        let common = ["ping", &target, "-n", &probes_arg, "-W", "1", "--json"];
        let ended = path.at(End::Client).run(HII, &[&common, args].concat());
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let record = path.finish();
        Some(Self {
            document: ended.json(),
            truth: Truth::new(&record, probes),
            record,
        })
    }

    fn summary(&self, name: &str) -> usize {
        let value = &self.document["summary"][name];
        count(value).try_into().expect("a small count")
    }

    fn lost(&self, direction: &str) -> usize {
        let value = &self.document["summary"]["lost"][direction];
        count(value).try_into().expect("a small count")
    }

    /// The counts that do not depend on the direction of a loss are the record's.
    #[track_caller]
    fn assert_counts(&self) {
        let truth = &self.truth;
        let reordered = count(&self.document["summary"]["variation"]["reordered"]);
        let reported = [
            self.summary("sent"),
            self.summary("answered"),
            usize::try_from(reordered).expect("a small count"),
        ];
        let happened = [truth.outcomes.len(), truth.answered(), truth.reordered];
        assert_eq!(reported, happened, "sent, answered, reordered");
        let duplicates = self.summary("duplicates");
        assert!(
            truth.duplicates.contains(&duplicates),
            "{duplicates} {:?}",
            truth.duplicates
        );
        let uncounted = &self.document["summary"]["uncounted"];
        assert_eq!(count(&uncounted["sent"]), truth.uncounted as u64);
        for other in [
            "foreign",
            "wrong_length",
            "implausible",
            "forgotten",
            "ambiguous",
        ] {
            assert_eq!(self.summary(other), 0, "{other}");
        }
    }

    /// Each loss is in the right direction, or its direction is unknown.
    #[track_caller]
    fn assert_directions(&self) {
        let [forward, back, unknown, total] =
            ["there", "back", "unknown", "total"].map(|name| self.lost(name));
        let lost_forward = self.truth.count(Outcome::LostForward);
        let lost_return = self.truth.count(Outcome::LostReturn);
        assert_eq!(total, lost_forward + lost_return);
        assert!(
            forward <= lost_forward,
            "{forward} of {lost_forward} forward"
        );
        assert!(back <= lost_return, "{back} of {lost_return} on the return");
        assert_eq!(unknown, total - forward - back);
    }

    /// The outcome of each probe is the record's, where it is not `lost-unknown`. No round trip is shorter than the probe
    /// and its answer were on the path. Probes with one of the `others` are not compared.
    #[track_caller]
    fn assert_outcomes(&self, others: &[&str]) {
        let probes = self.document["probes"].as_array().expect("probes");
        for probe in probes {
            let outcome = self.truth.outcomes[&count(&probe["seq"])];
            let verdict = probe["verdict"].as_str().expect("a verdict");
            let is_true = match outcome {
                Outcome::Answered(_) => ["in-time", "late"].contains(&verdict),
                Outcome::LostForward => ["lost-there", "lost-unknown"].contains(&verdict),
                Outcome::LostReturn => ["lost-back", "lost-unknown"].contains(&verdict),
            };
            assert!(is_true || others.contains(&verdict), "{outcome:?}: {probe}");
            if let Outcome::Answered(on_path) = outcome {
                let on_path = u64::try_from(on_path.as_nanos()).expect("a short time");
                for rtt in ["rtt_ns", "kernel_rtt_ns"] {
                    let rtt = probe[rtt].as_u64();
                    assert!(rtt.is_none_or(|rtt| rtt >= on_path), "{on_path}: {probe}");
                }
            }
        }
    }

    /// The clocks of both ends are one, so that the offset found is not over its bound.
    #[track_caller]
    fn assert_clock_offset(&self) {
        let one_way = &self.document["summary"]["one_way_ns"];
        let offset = one_way["clock_offset"].as_i64().expect("an offset");
        let bound = one_way["bound"].as_u64().expect("a bound");
        assert!(offset.unsigned_abs() <= bound, "{one_way}");
    }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A path with the same plan in both directions.
fn both(plan: impl Fn() -> Plan) -> Builder {
    Builder::default()
        .plan(Direction::Forward, plan())
        .plan(Direction::Return, plan())
}

#[test]
#[ignore = "needs network namespaces and a TUN device"]
fn report_is_what_happened_on_a_bad_path() {
    let plan = || {
        Plan::default()
            .delay(ms(20))
            .jitter(ms(30))
            .loss(Pick::Share(0.05))
            .duplication(Pick::Share(0.05))
            .reordering(Pick::Share(0.05), Reordering::WithoutDelay)
    };
    for (ip, seed) in [(End::v4 as fn(End) -> IpAddr, 1), (End::v6, 2)] {
        let path = both(plan).seed(seed);
        let Some(measurement) = Measurement::run(path, ip, 500, &["-i", "10ms"]) else {
            return;
        };
        measurement.assert_counts();
        measurement.assert_directions();
        measurement.assert_outcomes(&[]);
        measurement.assert_clock_offset();
        let truth = &measurement.truth;
        let lost = [Outcome::LostForward, Outcome::LostReturn].map(|way| truth.count(way));
        let all = [lost[0], lost[1], *truth.duplicates.start(), truth.reordered];
        assert!(all.iter().all(|count| *count > 10), "{all:?}");
    }
}

#[test]
#[ignore = "needs network namespaces and a TUN device"]
fn outage_longer_than_a_window_is_lost_in_no_wrong_direction() {
    // Of 150 probes each.
    for (forward, back) in [(true, false), (false, true), (true, true)] {
        let plan = |is_cut| {
            let plan = Plan::default().delay(ms(20));
            if is_cut {
                plan.blackout(ms(1000)..ms(2500))
            } else {
                plan
            }
        };
        let path = Builder::default()
            .plan(Direction::Forward, plan(forward))
            .plan(Direction::Return, plan(back));
        let Some(measurement) = Measurement::run(path, End::v4, 350, &["-i", "10ms"]) else {
            return;
        };
        measurement.assert_counts();
        measurement.assert_directions();
        measurement.assert_outcomes(&[]);
        measurement.assert_clock_offset();
        assert!(
            measurement.truth.answered() < 350,
            "{:?}",
            measurement.truth
        );
    }
}

#[test]
#[ignore = "needs network namespaces and a TUN device"]
fn full_queue_loses_in_its_direction() {
    // 156 bytes of a probe take 3 ms.
    let slow = || {
        Plan::default()
            .delay(ms(20))
            .rate(416_000, Room::Packets(10))
    };
    for direction in [Direction::Forward, Direction::Return] {
        let path = Builder::default().plan(direction, slow());
        let Some(measurement) = Measurement::run(path, End::v4, 1000, &["-i", "1ms"]) else {
            return;
        };
        measurement.assert_counts();
        measurement.assert_directions();
        measurement.assert_outcomes(&[]);
        let full = measurement.record.count(direction, Fate::QueueFull);
        assert!(full > 100, "{full}");
    }
}

#[test]
#[ignore = "needs network namespaces and a TUN device"]
fn counts_at_a_high_rate_are_what_happened() {
    let plan = || {
        Plan::default()
            .delay(ms(20))
            .jitter(ms(10))
            .loss(Pick::Share(0.05))
            .duplication(Pick::Share(0.05))
            .damage(Pick::Share(0.05), Damage::Checksum)
    };
    for gso in [&[][..], &["--no-gso"]] {
        let args = [&["--rate", "2000/s"], gso].concat();
        let Some(measurement) = Measurement::run(both(plan), End::v6, 6000, &args) else {
            return;
        };
        measurement.assert_counts();
        measurement.assert_directions();
        measurement.assert_clock_offset();
    }
}

#[test]
#[ignore = "needs network namespaces and a TUN device"]
fn counts_are_what_happened_where_probes_are_overtaken_by_more_than_a_window() {
    // An answer reports on 64 probes, and 200 are on the path in each direction, in any order.
    let plan = || Plan::default().jitter(ms(200)).loss(Pick::Share(0.05));
    let Some(measurement) = Measurement::run(both(plan), End::v4, 3000, &["-i", "1ms"]) else {
        return;
    };
    measurement.assert_counts();
    let lost = [Outcome::LostForward, Outcome::LostReturn].map(|way| measurement.truth.count(way));
    assert_eq!(measurement.lost("total"), lost[0] + lost[1]);
}

#[test]
#[ignore = "needs network namespaces and a TUN device"]
fn damaged_probes_are_lost_forward_and_damaged_answers_are_not_answers() {
    let plan = || {
        Plan::default()
            .delay(ms(20))
            .damage(Pick::Share(0.1), Damage::Payload)
    };
    for ip in [End::v4 as fn(End) -> IpAddr, End::v6] {
        let Some(measurement) = Measurement::run(both(plan), ip, 300, &["-i", "10ms"]) else {
            return;
        };
        measurement.assert_counts();
        // This host drops damaged answers, and counts them with those that it had no room for.
        measurement.assert_outcomes(&["dropped-locally"]);
        let truth = &measurement.truth;
        let dropped = measurement.summary("dropped_locally");
        let lost_return = truth.count(Outcome::LostReturn);
        assert_eq!(
            measurement.lost("total") + dropped,
            truth.count(Outcome::LostForward) + lost_return
        );
        assert!(dropped <= lost_return, "{dropped} of {lost_return}");
        let damaged = measurement.record.count(Direction::Return, Fate::Damaged);
        let dropped_here = measurement.summary("dropped_here");
        assert!(dropped_here <= damaged, "{dropped_here} of {damaged}");
        assert!(measurement.record.count(Direction::Forward, Fate::Damaged) > 10);
        assert!(damaged > 10, "{damaged}");
    }
}
