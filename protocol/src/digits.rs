//! Numbers as digits, without `core::fmt`, which takes many times as long.

/// Digits of the longest number in decimal.
const MOST: usize = 20;

/// The smallest number of one digit more than its index. At 0 it is 0, which has one digit too.
const POWERS: [u64; MOST] = powers();

/// Every pair of decimal digits.
const PAIRS: [[u8; 2]; 100] = pairs();

/// A number in decimal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decimal {
    digits: [u8; MOST],
    len: usize,
}

impl Decimal {
    pub(crate) fn new(value: u64) -> Self {
        let mut digits = [0; MOST];
        let len = decimal_len(value);
        write_decimal(value, digits.get_mut(..len).unwrap_or_default());
        Self { digits, len }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.digits.get(..self.len).unwrap_or_default()
    }
}

/// Writes a number into room for just its digits.
#[inline]
pub(crate) fn write_decimal(value: u64, room: &mut [u8]) {
    // Two at a time from the right: half the divisions.
    let (first, places) = room.as_rchunks_mut::<2>();
    let mut left = value;
    for place in places.iter_mut().rev() {
        let pair = usize::try_from(left % 100).unwrap_or_default();
        *place = PAIRS.get(pair).copied().unwrap_or_default();
        left /= 100;
    }
    if let [first] = first {
        *first = b'0' + (left % 10) as u8;
    }
}

/// Digits of a number in decimal.
#[inline]
pub(crate) const fn decimal_len(value: u64) -> usize {
    // A bit is 0.3 digits (1233 / 4096), and the product is right or one too few. `ilog10` divides, and an answer has five
    // numbers whose length is asked for several times.
    let bits = u64::BITS - (value | 1).leading_zeros();
    let least = ((bits * 1233) >> 12) as usize;
    if value >= POWERS[least] {
        least + 1
    } else {
        least
    }
}

/// The last `N` hex digits of a number, in lower case.
#[inline]
pub(crate) fn hex<const N: usize>(value: u64) -> [u8; N] {
    let mut digits = [0; N];
    let halves = [value >> 32, value].map(eight_hex);
    let all = halves.as_flattened();
    // A number has 16.
    if let Some(last) = all
        .len()
        .checked_sub(N)
        .and_then(|skipped| all.get(skipped..))
    {
        digits.copy_from_slice(last);
    }
    digits
}

/// The last eight hex digits of a number: an octet of a word for each, all at once.
#[inline]
const fn eight_hex(value: u64) -> [u8; 8] {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let fours = (value << 16 | value & 0xffff) & 0x0000_ffff_0000_ffff;
    let pairs = (fours << 8 | fours) & 0x00ff_00ff_00ff_00ff;
    let nibbles = (pairs << 4 | pairs) & (0xf * ONES);
    // 6 more carries into the next nibble what is no decimal digit.
    let letters = (nibbles + 6 * ONES) >> 4 & ONES;
    let digits = nibbles + b'0' as u64 * ONES + letters * (b'a' - b'0' - 10) as u64;
    digits.to_be_bytes()
}

#[expect(clippy::cast_possible_truncation, reason = "digits are below 10")]
const fn pairs() -> [[u8; 2]; 100] {
    let mut pairs = [[0; 2]; 100];
    let mut value = 0;
    while value < 100 {
        pairs[value] = [b'0' + (value / 10) as u8, b'0' + (value % 10) as u8];
        value += 1;
    }
    pairs
}

const fn powers() -> [u64; MOST] {
    let mut powers = [0; MOST];
    powers[1] = 10;
    let mut digits = 2;
    while digits < MOST {
        powers[digits] = 10 * powers[digits - 1];
        digits += 1;
    }
    powers
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::string::String;

    fn decimal(value: u64) -> String {
        String::from_utf8(Decimal::new(value).as_bytes().to_vec()).unwrap()
    }

    /// Numbers of every length.
    fn numbers() -> impl Strategy<Value = u64> {
        (any::<u64>(), 0..64_u32).prop_map(|(value, shift)| value >> shift)
    }

    proptest! {
        #[test]
        fn are_what_the_standard_library_writes(value in numbers()) {
            prop_assert_eq!(decimal(value), std::format!("{value}"));
            prop_assert_eq!(decimal_len(value), std::format!("{value}").len());
            let sixteen = std::format!("{value:016x}");
            prop_assert_eq!(&hex::<16>(value)[..], sixteen.as_bytes());
            prop_assert_eq!(&hex::<8>(value)[..], &sixteen.as_bytes()[8..]);
        }
    }

    #[test]
    fn every_length_has_its_first_and_last_number() {
        for power in 0..20 {
            let value = 10_u64.pow(power);
            for value in [value - 1, value, value + 1] {
                assert_eq!(decimal(value), std::format!("{value}"));
                assert_eq!(decimal_len(value), decimal(value).len());
            }
        }
        assert_eq!(decimal(u64::MAX), std::format!("{}", u64::MAX));
    }
}
