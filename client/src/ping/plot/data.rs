//! What a picture shows, gathered from the verdicts of a run in bounded memory. No socket, no file.

use std::time::Duration;

use hii_protocol::Escaped;
use serde::ser::SerializeTuple as _;
use serde::{Serialize, Serializer};

use super::axis::Axis;
use super::distribution::{Bin, Distribution};
use super::dots::{Dot, Dots, Mark};
use crate::ping::ledger::Settled;
use crate::ping::output::Heading;
use crate::ping::seconds::{Second, Seconds};
use crate::ping::summary::Summary;

/// Characters of a line at most; a name may be far longer than a picture is wide.
const LONGEST_LINE: usize = 160;

/// Takes the verdicts of a run as they become final.
#[derive(Debug, Default)]
pub struct Collector {
    /// When the first probe was sent.
    start: Option<Duration>,
    end: Duration,
    dots: Dots,
    seconds: Seconds,
    distribution: Distribution,
}

/// All that a picture shows. Times are in milliseconds.
#[derive(Debug, Clone, Serialize)]
pub struct Picture {
    /// What was measured.
    pub title: String,
    /// How, and what came of it: a few lines.
    pub facts: Vec<String>,
    /// The whole summary.
    pub summary: Vec<String>,
    /// What the reader has to know about what is shown.
    pub notes: Vec<String>,
    /// How long the run was, in seconds.
    pub duration: f64,
    /// Answers after this are late; none where that changes from probe to probe.
    pub deadline: Option<f64>,
    /// The figures of each second.
    pub seconds: Vec<Second>,
    /// The probes.
    #[serde(serialize_with = "compact")]
    pub dots: Vec<Dot>,
    /// The axis of round-trip times; none without an answer.
    pub times: Option<Axis>,
    /// The distribution of round-trip times.
    pub bins: Vec<Bin>,
}

impl Collector {
    /// Adds a probe.
    pub fn add(&mut self, settled: &Settled) {
        let start = *self.start.get_or_insert(settled.sent);
        let Some(dot) = Dot::new(settled, start) else {
            return;
        };
        self.end = self.end.max(dot.at);
        self.dots.add(dot);
        let late = dot.mark == Mark::Late;
        self.seconds.add(dot.at, dot.rtt.filter(|_| !late));
        if let Some(rtt) = dot.rtt {
            self.distribution.add(rtt, late);
        }
    }

    /// The picture of the run.
    #[must_use]
    pub fn finish(self, heading: &Heading, summary: &Summary) -> Picture {
        let (dots, thinned) = self.dots.finish();
        let width = self.seconds.width();
        let merged = (width > 1).then(|| {
            format!("The run was long: throughput and delay are means over {width} seconds each.")
        });
        let whole = summary.to_string();
        let mut facts = vec![plain(&heading.plan())];
        facts.extend(heading.steps().map(|steps| plain(&steps)));
        facts.extend(whole.lines().next().map(plain));
        let mut times = None;
        let mut bins = Vec::new();
        if let Some(figures) = &summary.figures.rtt_ns {
            facts.push(format!("RTT: {figures}"));
            let [min, median, max] =
                [figures.min, figures.median, figures.max].map(|nanos| nanos as f64 / 1e6);
            let axis = Axis::of_times(min, median, max);
            bins = self.distribution.bins(&axis, min, max);
            times = Some(axis);
        }
        Picture {
            title: plain(&heading.subject()),
            facts,
            summary: whole.lines().map(plain).collect(),
            notes: thinned.into_iter().chain(merged).collect(),
            duration: self.end.as_secs_f64(),
            deadline: heading.deadline().map(millis),
            seconds: self.seconds.rows(heading.size()).collect(),
            dots,
            times,
            bins,
        }
    }
}

impl Picture {
    /// The time after which answers are late, when it is within what is shown.
    #[must_use]
    pub fn shown_deadline(&self) -> Option<f64> {
        let times = self.times?;
        self.deadline
            .filter(|deadline| (times.low..times.high).contains(deadline))
    }
}

/// A time in milliseconds.
pub(in crate::ping) fn millis(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1e6
}

/// A line without what a document or a reader could trip over: names come from the user and from the network.
pub(in crate::ping) fn plain(text: &str) -> String {
    // These two are in no XML document, not even escaped.
    let shown = Escaped(text.as_bytes()).to_string();
    let mut line: String = shown
        .chars()
        .map(|c| match c {
            '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
            c => c,
        })
        .take(LONGEST_LINE)
        .collect();
    if shown.chars().nth(LONGEST_LINE).is_some() {
        line.push('…');
    }
    line
}

/// `[seq, seconds, milliseconds or null, mark]` each, since there are many.
fn compact<S: Serializer>(dots: &[Dot], serializer: S) -> Result<S::Ok, S::Error> {
    struct Compact<'a>(&'a Dot);
    impl Serialize for Compact<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut tuple = serializer.serialize_tuple(4)?;
            tuple.serialize_element(&self.0.seq)?;
            tuple.serialize_element(&self.0.at.as_secs_f64())?;
            tuple.serialize_element(&self.0.rtt.map(millis))?;
            tuple.serialize_element(&self.0.mark)?;
            tuple.end()
        }
    }
    serializer.collect_seq(dots.iter().map(Compact))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::ping::ledger::Answered;
    use crate::ping::method::{Known, ServerKind};
    use crate::ping::refusal::Refusal;
    use crate::ping::schedule::Schedule;
    use crate::ping::statistics::Statistics;
    use crate::ping::verdict::{Counts, Verdict};

    /// A picture of a run against `target`, one probe every 100 ms.
    pub(in crate::ping::plot) fn picture(target: &str, verdicts: &[Verdict]) -> Picture {
        let mut collector = Collector::default();
        let mut statistics = Statistics::new(0);
        for (seq, verdict) in (1..).zip(verdicts.iter().copied()) {
            if let Verdict::InTime { rtt } | Verdict::Late { rtt } = verdict {
                statistics.answered(&Answered {
                    seq,
                    verdict,
                    sent: Duration::ZERO,
                    rtt,
                    from_due: rtt,
                    report: None,
                });
            }
            collector.add(&Settled::of(
                seq,
                // The clock ran before the first probe.
                Duration::from_millis(500 + seq * 100),
                verdict,
            ));
        }
        let known = Known {
            address: "192.0.2.1:8080".parse().unwrap(),
            kind: ServerKind::Original,
            text: b"<b>]]>&\"'\x01\xef\xbf\xbf</script>".to_vec(),
        };
        let schedule = Schedule::fixed(Some(verdicts.len() as u64), Duration::from_millis(100));
        let heading = Heading::new(target.to_owned(), &known, false, schedule, 128);
        let summary = Summary::new(&Counts::default(), statistics.figures(), true);
        collector.finish(&heading, &summary)
    }

    /// One of each.
    pub(in crate::ping::plot) fn every_verdict() -> Vec<Verdict> {
        let rtt = Duration::from_millis(40);
        vec![
            Verdict::InTime { rtt },
            Verdict::Late { rtt: 9 * rtt },
            Verdict::LostThere,
            Verdict::LostBack,
            Verdict::LostUnknown,
            Verdict::RateLimited,
            Verdict::LimitedOrLost,
            Verdict::DroppedLocally,
            Verdict::Refused(Refusal::PortUnreachable),
            Verdict::Unknown,
            Verdict::NotSent,
            Verdict::InFlight,
        ]
    }

    #[test]
    fn times_count_from_the_first_probe() {
        let fast = Verdict::InTime {
            rtt: Duration::from_millis(40),
        };
        let picture = picture("host", &[fast; 21]);
        assert!((picture.duration - 2.0).abs() < 1e-9);
        let rows: Vec<_> = picture
            .seconds
            .iter()
            .map(|row| (row.second, row.throughput, row.delay_ns))
            .collect();
        assert_eq!(
            rows,
            [(1, 20480.0, 40e6), (2, 20480.0, 40e6), (3, 2048.0, 40e6)]
        );
    }

    #[test]
    fn late_answers_are_dots_at_their_send_time_and_no_throughput() {
        let picture = picture("host", &every_verdict());
        assert_eq!(picture.dots.len(), Mark::ALL.len());
        let late = picture.dots[1];
        assert_eq!(late.mark, Mark::Late);
        assert_eq!(late.at, Duration::from_millis(100));
        assert_eq!(picture.seconds.len(), 2);
        assert!((picture.seconds[0].throughput - 2048.0).abs() < 1e-9);
        assert!((picture.seconds[0].delay_ns - 40e6).abs() < 1e-9);
        assert_eq!(picture.bins.iter().map(|bin| bin.late).sum::<u64>(), 1);
    }

    #[test]
    fn nothing_answered_is_a_picture_too() {
        let picture = picture("host", &[Verdict::LostUnknown; 3]);
        assert_eq!((picture.times, picture.bins.len()), (None, 0));
        assert_eq!(picture.dots.len(), 3);
    }

    #[test]
    fn lines_are_of_bounded_length_and_show_what_they_hide() {
        let picture = picture(&"x\u{202e}\u{ffff}".repeat(500), &[]);
        assert!(picture.title.chars().count() <= LONGEST_LINE + 1);
        assert!(picture.title.contains(r"x\u{202e}"), "{}", picture.title);
        assert!(!picture.title.contains('\u{ffff}'));
    }
}
