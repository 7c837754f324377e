//! Lines of a log in bounded number, whatever comes.

use std::time::Duration;

/// Lines a second. Those of a quiet relay are all there; those of a busy one are a sample.
const LINES: u32 = 10;

/// Lets some through, and counts the others.
#[derive(Debug, Default)]
pub(super) struct Sampler {
    second: u64,
    lines: u32,
    left_out: u64,
}

impl Sampler {
    /// Whether something at this time is to be told, and how much was not told before it.
    pub(super) fn take(&mut self, now: Duration) -> Option<u64> {
        if now.as_secs() != self.second {
            self.second = now.as_secs();
            self.lines = 0;
        }
        if self.lines >= LINES {
            self.left_out += 1;
            return None;
        }
        self.lines += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_second_has_its_lines_and_the_rest_is_counted() {
        let mut sampler = Sampler::default();
        let told = (0..100).filter_map(|_| sampler.take(Duration::from_millis(1500)));
        assert_eq!(told.collect::<Vec<_>>(), [0; 10]);
        assert_eq!(sampler.take(Duration::from_secs(2)), Some(90));
        assert_eq!(sampler.take(Duration::from_secs(2)), Some(0));
    }
}
