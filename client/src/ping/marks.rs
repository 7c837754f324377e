//! Marks on the latest of a run's numbers, as bits: there may be a million numbers a second.

/// Which of the last 64 numbers up to the highest are marked. Bit k is that of `top - k`.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Marks {
    top: u64,
    bits: u64,
}

impl Marks {
    /// The marks as bits of the numbers up to this one.
    pub(super) fn up_to(self, seq: u64) -> u64 {
        match seq.checked_sub(self.top) {
            Some(ahead) => shifted_left(self.bits, ahead),
            None => shifted_right(self.bits, self.top - seq),
        }
    }

    /// Marks those of the numbers up to this one.
    pub(super) fn add(&mut self, seq: u64, bits: u64) {
        if seq > self.top {
            self.bits = self.up_to(seq);
            self.top = seq;
        }
        self.bits |= shifted_left(bits, self.top - seq);
    }
}

pub(super) fn shifted_left(bits: u64, by: u64) -> u64 {
    let by = u32::try_from(by).unwrap_or(u32::MAX);
    bits.checked_shl(by).unwrap_or(0)
}

fn shifted_right(bits: u64, by: u64) -> u64 {
    let by = u32::try_from(by).unwrap_or(u32::MAX);
    bits.checked_shr(by).unwrap_or(0)
}

/// The bits of the numbers from `first` to `seq`.
pub(super) fn bits_from(first: u64, seq: u64) -> u64 {
    match seq.checked_sub(first) {
        Some(behind) => !shifted_left(u64::MAX - 1, behind),
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_keep_their_numbers_whichever_come_first() {
        let mut marks = Marks::default();
        marks.add(10, 0b101);
        assert_eq!(marks.up_to(12), 0b1_0100);
        assert_eq!(marks.up_to(9), 0b10);
        marks.add(9, 0b1);
        assert_eq!((marks.top, marks.bits), (10, 0b111));
        marks.add(80, 0b1);
        assert_eq!((marks.top, marks.bits), (80, 0b1));
        // Too far back to be known.
        marks.add(10, 0b1);
        assert_eq!((marks.up_to(80), marks.up_to(10)), (0b1, 0));
        assert_eq!(bits_from(1, 3), 0b111);
        assert_eq!((bits_from(4, 3), bits_from(1, 99)), (0, u64::MAX));
    }
}
