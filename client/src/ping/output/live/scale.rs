//! Where a time goes on the screen: across by when a probe was sent, up by how long its answer took.

use std::time::Duration;

use super::progress::Span;
use crate::ping::plot::axis::Axis;

/// The axis of time. A cell has as many dots as its characters tell apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Across {
    span: Span,
    width: u16,
    dots_per_cell: u16,
    /// Seconds.
    per_dot: f64,
    /// The dot on the left, counted from the start of the run. Dots stand still against the probes: the chart moves by
    /// whole ones.
    first: f64,
}

/// The axis of round-trip times.
#[derive(Debug, Clone, Copy)]
pub(super) struct Up<'a> {
    axis: &'a Axis,
    height: u16,
    dots_per_cell: u16,
}

impl Across {
    /// So many cells, of a run that has gone on for so long.
    pub(super) fn new(span: Span, elapsed: Duration, width: u16, dots_per_cell: u16) -> Self {
        let dots = f64::from(width) * f64::from(dots_per_cell);
        let length = span.length().as_secs_f64();
        let (per_dot, first) = match span {
            Span::Whole(_) => (length / (dots - 1.0).max(1.0), 0.0),
            Span::Last(_) => {
                let per_dot = length / dots.max(1.0);
                let now = (elapsed.as_secs_f64() / per_dot).floor();
                (per_dot, now - (dots - 1.0))
            }
        };
        Self {
            span,
            width,
            dots_per_cell,
            per_dot,
            first,
        }
    }

    /// The dot of a probe sent then, from the left; none when that is not shown.
    pub(super) fn dot(&self, at: Duration) -> Option<f64> {
        let place = at.as_secs_f64() / self.per_dot;
        let number = match self.span {
            Span::Whole(_) => place.round(),
            Span::Last(_) => place.floor(),
        };
        let dot = number - self.first;
        (0.0..=self.last()).contains(&dot).then_some(dot)
    }

    /// The cell of a probe sent then.
    pub(super) fn cell(&self, at: Duration) -> Option<u16> {
        self.dot(at)
            .map(|dot| whole(dot / f64::from(self.dots_per_cell)))
    }

    /// The first dot and the last.
    pub(super) fn bounds(&self) -> [f64; 2] {
        [0.0, self.last()]
    }

    fn last(&self) -> f64 {
        f64::from(self.width) * f64::from(self.dots_per_cell) - 1.0
    }

    /// The values below the axis and their cells, about `wanted` of them: seconds of a run that is shown whole, else how
    /// long ago it was.
    pub(super) fn values(&self, wanted: u16) -> Vec<(u16, String)> {
        let length = self.span.length().as_secs_f64();
        let (unit, name) = match length {
            ..=300.0 => (1.0, "s"),
            ..=18_000.0 => (60.0, "min"),
            ..=864_000.0 => (3600.0, "h"),
            _ => (86_400.0, "d"),
        };
        let (low, high) = match self.span {
            Span::Whole(_) => (0.0, length / unit),
            Span::Last(_) => (-length / unit, 0.0),
        };
        let log = false;
        let axis = Axis { log, low, high };
        let value = |tick: f64| {
            let share = (tick - low) / (high - low);
            let cell = whole((share * (f64::from(self.width) - 1.0)).round());
            let is_now = matches!(self.span, Span::Last(_)) && tick.abs() < 1e-9;
            let value = if is_now {
                "now".to_owned()
            } else {
                format!("{} {name}", axis.label(tick))
            };
            (cell, value)
        };
        let ticks = axis.ticks(u32::from(wanted).max(1));
        ticks.into_iter().map(value).collect()
    }
}

impl<'a> Up<'a> {
    /// So many cells for this axis.
    pub(super) fn new(axis: &'a Axis, height: u16, dots_per_cell: u16) -> Self {
        Self {
            axis,
            height,
            dots_per_cell,
        }
    }

    /// The dot of a time in milliseconds, from below; what is beyond the axis is at its end.
    pub(super) fn dot(&self, millis: f64) -> f64 {
        let place = |value| self.axis.place(value);
        let (low, high) = (place(self.axis.low), place(self.axis.high));
        let share = (place(millis) - low) / (high - low);
        (share.clamp(0.0, 1.0) * self.last()).round()
    }

    /// The cell of a time in milliseconds, from above.
    pub(super) fn cell(&self, millis: f64) -> u16 {
        let from_above = self.last() - self.dot(millis);
        whole(from_above / f64::from(self.dots_per_cell))
    }

    /// The first dot and the last.
    pub(super) fn bounds(&self) -> [f64; 2] {
        [0.0, self.last()]
    }

    fn last(&self) -> f64 {
        (f64::from(self.height) * f64::from(self.dots_per_cell) - 1.0).max(0.0)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a place on a screen; what lies beyond saturates"
)]
fn whole(place: f64) -> u16 {
    place as u16
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_whole_run_goes_from_edge_to_edge() {
        let across = Across::new(Span::Whole(MINUTE), Duration::ZERO, 40, 2);
        assert_eq!(across.dot(Duration::ZERO), Some(0.0));
        assert_eq!(across.dot(MINUTE), Some(79.0));
        assert_eq!(across.cell(MINUTE), Some(39));
        assert_eq!(across.dot(2 * MINUTE), None);
        let values = across.values(4);
        assert_eq!(values.first(), Some(&(0, "0 s".to_owned())));
        assert_eq!(values.last(), Some(&(39, "60 s".to_owned())));
    }

    #[test]
    fn of_a_long_run_the_last_while_is_shown_and_moves_by_whole_dots() {
        let at = |millis| Duration::from_millis(millis);
        let dots = |elapsed: u64| {
            let across = Across::new(Span::Last(MINUTE), at(elapsed), 40, 2);
            [300_100, 300_900, 304_000].map(|sent| across.dot(at(sent)))
        };
        // A dot is 750 ms.
        assert_eq!(dots(310_000), [66.0, 67.0, 71.0].map(Some));
        assert_eq!(dots(310_400), [66.0, 67.0, 71.0].map(Some));
        assert_eq!(dots(310_600), [65.0, 66.0, 70.0].map(Some));
        assert_eq!(dots(304_000)[2], Some(79.0));
        assert_eq!(dots(303_000)[2], None);
        assert_eq!(dots(370_000)[0], None);
        let across = Across::new(Span::Last(10 * MINUTE), at(0), 40, 2);
        let values = across.values(2);
        assert_eq!(values.first(), Some(&(0, "-10 min".to_owned())));
        assert_eq!(values.last(), Some(&(39, "now".to_owned())));
    }

    #[test]
    fn times_go_up() {
        let axis = Axis {
            log: false,
            low: 0.0,
            high: 100.0,
        };
        let up = Up::new(&axis, 10, 4);
        assert_eq!(
            [0.0, 50.0, 100.0, 500.0].map(|ms| up.dot(ms).to_string()),
            ["0", "20", "39", "39"]
        );
        assert_eq!(
            [0.0, 50.0, 100.0, 500.0].map(|ms| up.cell(ms)),
            [9, 4, 0, 0]
        );
    }

    proptest! {
        #[test]
        fn all_places_are_on_the_screen(
            width in 0..300_u16, height in 0..100_u16, dots in 1..5_u16,
            elapsed in 0..10_000_000_u64, at in 0..10_000_000_u64, whole in any::<bool>(), wanted in 0..30_u16,
            low in 0.0..1e6_f64, length in 1e-6..1e6_f64, millis in 0.0..1e7_f64,
        ) {
            let span = if whole { Span::Whole(MINUTE) } else { Span::Last(MINUTE) };
            let across = Across::new(span, Duration::from_millis(elapsed), width, dots);
            if let Some(cell) = across.cell(Duration::from_millis(at)) {
                prop_assert!(cell < width);
            }
            for (cell, _) in across.values(wanted) {
                prop_assert!(cell <= width.saturating_sub(1));
            }
            let axis = Axis { log: false, low, high: low + length };
            let up = Up::new(&axis, height, dots);
            prop_assert!(up.cell(millis) <= height.saturating_sub(1));
        }
    }
}
