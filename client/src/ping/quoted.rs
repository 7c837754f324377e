//! Which probe a packet holds that comes back from the kernel or from a router: headers may stand before it, and its end
//! may be cut off.

use hii_protocol::ping::{ProbeSize, Run};

/// The number of this run's probe in `octets`. None when it is not whole: a router need send back no more of a probe than
/// the UDP header.
#[must_use]
pub fn seq(run: Run, size: ProbeSize, octets: &[u8]) -> Option<u64> {
    let head = format!("P {run} ");
    let start = octets
        .windows(head.len())
        .position(|octets| octets == head.as_bytes())?;
    let probe = octets.get(start..)?;
    let number = probe.get(head.len()..)?;
    let len = number
        .iter()
        .take_while(|octet| octet.is_ascii_digit())
        .count();
    // A number that ends where the octets do may go on, unless the probe ends there too.
    if len == number.len() && probe.len() < size.get() {
        return None;
    }
    std::str::from_utf8(number.get(..len)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hii_protocol::ping::{Probe, Seq};
    use proptest::prelude::*;

    const RUN: Run = Run(0x00c0_ffee);

    fn probe(number: u64, size: usize) -> (ProbeSize, Vec<u8>) {
        let size = ProbeSize::new(size).unwrap();
        let probe = Probe::new(RUN, Seq::new(number).unwrap(), size).unwrap();
        let mut octets = vec![0; size.get()];
        probe.encode_into(&mut octets).unwrap();
        (size, octets)
    }

    #[test]
    fn headers_and_other_runs_are_passed_over() {
        let (size, octets) = probe(17, 32);
        let packet = [&b"\0\x45P P 00c0ffe"[..], &octets].concat();
        assert_eq!(seq(RUN, size, &packet), Some(17));
        assert_eq!(seq(Run(1), size, &packet), None);
        assert_eq!(seq(RUN, size, b""), None);
        assert_eq!(seq(RUN, size, b"P 00c0ffee "), None);
        assert_eq!(seq(RUN, size, b"P 00c0ffee x"), None);
    }

    #[test]
    fn octets_that_a_router_appends_are_no_part_of_the_number() {
        let (size, octets) = probe(17, 64);
        let padded = [&octets[..13], &[0; 20]].concat();
        assert_eq!(seq(RUN, size, &padded), Some(17));
    }

    proptest! {
        #[test]
        fn what_is_cut_off_names_its_probe_or_none(
            number in 1..=u64::MAX,
            padding in 0..40_usize,
            headers in prop::collection::vec(any::<u8>(), 0..60),
            cut in 0..100_usize,
        ) {
            let digits = number.to_string().len();
            let (size, octets) = probe(number, 11 + digits + padding);
            let kept = octets.len().saturating_sub(cut);
            let packet = [&headers, &octets[..kept]].concat();
            let whole = kept > 11 + digits || cut == 0;
            prop_assert_eq!(seq(RUN, size, &packet), whole.then_some(number));
        }
    }
}
