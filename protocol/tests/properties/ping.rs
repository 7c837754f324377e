//! What holds for probes and their answers.

use hii_protocol::ping;
use proptest::prelude::*;

use crate::cases;
use crate::frames::{numbers, probes, reports, runs, seqs};

proptest! {
    #![proptest_config(cases(256))]

    /// A server may leave out more than the size forces it to, so this is every probe answer there is.
    #[test]
    fn a_probe_answer_tells_its_fields_and_comes_back_as_it_stands(
        run in runs(), seq in seqs(), report in reports(), told in 0..=5_usize, padding in 0..200_usize,
    ) {
        let fields = [
            format!(" {}", report.count),
            format!(" {:016x}", report.window),
            format!(" {}", report.held),
            format!(" {}", report.received),
            format!(" {}", report.limited),
        ];
        let text = format!("A {:08x} {seq}{}{:padding$}", run.0, fields[..told].concat(), "");
        let Ok(ping::Answer::Probe(answer)) = ping::Answer::decode(text.as_bytes()) else {
            return Err(TestCaseError::fail(text));
        };
        prop_assert_eq!((answer.run(), answer.seq()), (run, seq));
        prop_assert_eq!(answer.size().get(), text.len());
        prop_assert_eq!(answer.count(), (told > 0).then_some(report.count));
        prop_assert_eq!(answer.window(), (told > 1).then_some(report.window));
        prop_assert_eq!(answer.held(), (told > 2).then_some(report.held));
        prop_assert_eq!(answer.received(), (told > 3).then_some(report.received));
        prop_assert_eq!(answer.limited(), (told > 4).then_some(report.limited));
        prop_assert_eq!(answer.to_string(), text);
    }

    /// As long as the probe, and of the fields, from the left, as many as fit.
    #[test]
    fn a_probe_answer_is_as_long_as_its_probe(probe in probes(), report in reports()) {
        let mut text = format!("A {:08x} {}", probe.run().0, probe.seq());
        let fields = [
            format!(" {}", report.count),
            format!(" {:016x}", report.window),
            format!(" {}", report.held),
            format!(" {}", report.received),
            format!(" {}", report.limited),
        ];
        let size = probe.size().get();
        for field in fields {
            if text.len() + field.len() > size {
                break;
            }
            text.push_str(&field);
        }
        prop_assert_eq!(probe.answer(&report).to_string(), format!("{text:size$}"));
    }

    /// At most as long as the probe, without padding, with the fields from the left that fit.
    #[test]
    fn a_limited_notice_is_never_longer_than_its_probe(
        probe in probes(), count in prop::option::of(seqs()), limited in numbers(),
    ) {
        let mut text = format!("L {:08x} {}", probe.run().0, probe.seq());
        let fields = count.map(|count| [format!(" {count}"), format!(" {limited}")]);
        let size = probe.size().get();
        for field in fields.into_iter().flatten() {
            if text.len() + field.len() > size {
                break;
            }
            text.push_str(&field);
        }
        let notice = probe.limited_notice(count, limited);
        prop_assert_eq!(notice.to_string(), &text[..]);
        prop_assert_eq!(notice.encoded_len(), text.len());
        prop_assert!(notice.encoded_len() <= size);
    }
}
