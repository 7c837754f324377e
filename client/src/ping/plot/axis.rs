//! Where a value goes on an axis, and which values are written beside it.

use serde::Serialize;

/// A range of an axis, from `low` to `high`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Axis {
    /// Whether the axis is logarithmic; `low` is above 0 then.
    pub log: bool,
    /// Its lower end.
    pub low: f64,
    /// Its upper end, above `low`.
    pub high: f64,
}

impl Axis {
    /// From 0 to a little more than `high`.
    #[must_use]
    pub fn from_zero(high: f64) -> Self {
        Self {
            log: false,
            low: 0.0,
            high: if high > 0.0 { high * 1.05 } else { 1.0 },
        }
    }

    /// For times between `min` and `max`: logarithmic when a few are far longer than most, not from 0 when all are about
    /// the same.
    #[must_use]
    pub fn of_times(min: f64, median: f64, max: f64) -> Self {
        if min > 0.0 && max > 50.0 * median {
            return Self {
                log: true,
                low: min / 1.2,
                high: max * 1.2,
            };
        }
        if min < max / 2.0 {
            return Self::from_zero(max);
        }
        // All alike still need a width.
        let margin = ((max - min) * 0.1).max(max * 1e-3).max(1e-6);
        Self {
            log: false,
            low: (min - margin).max(0.0),
            high: max + margin,
        }
    }

    /// A little longer, from one round value to another, so that it stays the same while what it shows changes a little.
    #[must_use]
    pub fn rounded(self) -> Self {
        if self.log {
            let power = |value: f64| 10_f64.powf(value.log10().floor());
            let fits = |power: f64, step: &f64| step * power <= self.low;
            let unit = power(self.low);
            let low = [5.0, 2.0].into_iter().find(|step| fits(unit, step));
            return Self {
                low: low.unwrap_or(1.0) * unit,
                high: round_step(self.high),
                ..self
            };
        }
        let step = round_step((self.high - self.low) / 5.0);
        Self {
            low: (self.low / step).floor() * step,
            high: (self.high / step).ceil() * step,
            ..self
        }
    }

    /// Where a value goes, in units that are even along the axis.
    #[must_use]
    pub fn place(&self, value: f64) -> f64 {
        if self.log {
            value.max(self.low).log10()
        } else {
            value
        }
    }

    /// The value at a place.
    #[must_use]
    pub fn value(&self, place: f64) -> f64 {
        if self.log { 10_f64.powf(place) } else { place }
    }

    /// The values to write, about `wanted` of them.
    #[must_use]
    pub fn ticks(&self, wanted: u32) -> Vec<f64> {
        if self.log {
            let decades = self.decades();
            // Too short for powers of ten alone.
            let steps: &[f64] = match decades.len() {
                0..=3 => &[1.0, 2.0, 5.0],
                _ => &[1.0],
            };
            let values = decades
                .iter()
                .flat_map(|decade| steps.iter().map(move |step| decade * step));
            return values
                .filter(|value| (self.low..=self.high).contains(value))
                .collect();
        }
        // A narrow axis may lie between two round values: finer ones, then.
        let finer = (0..4).map(|power| wanted.max(1) << power);
        finer
            .map(|wanted| self.multiples(round_step((self.high - self.low) / f64::from(wanted))))
            .find(|ticks| ticks.len() > 1)
            .unwrap_or_default()
    }

    /// The multiples of a step on the axis.
    fn multiples(&self, step: f64) -> Vec<f64> {
        let first = (self.low / step).ceil();
        (0..100)
            .map(|index| (first + f64::from(index)) * step)
            .take_while(|value| *value <= self.high)
            .collect()
    }

    fn decades(&self) -> Vec<f64> {
        (-12..=12)
            .map(|power| 10_f64.powi(power))
            .filter(|decade| *decade * 10.0 > self.low && *decade <= self.high)
            .collect()
    }

    /// A value as it is written beside the axis.
    #[must_use]
    pub fn label(&self, value: f64) -> String {
        let step = if self.log {
            value
        } else {
            (self.high - self.low) / 20.0
        };
        let decimals = (0..9).find(|decimals| step * 10_f64.powi(*decimals) >= 0.99);
        let text = format!(
            "{value:.*}",
            usize::try_from(decimals.unwrap_or(9)).unwrap_or(9)
        );
        if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            text
        }
    }
}

/// The next 1, 2 or 5 times a power of ten.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.max(1e-12).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0];
    let step = steps.into_iter().find(|step| step * power >= least * 0.999);
    step.unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ticks_are_few_and_within(
            min in 1e-6..1e6_f64, median in 0.0..1.0_f64, max in 0.0..1e5_f64, wanted in 2..12_u32,
        ) {
            let max = min + max;
            let axis = Axis::of_times(min, min + (max - min) * median, max);
            prop_assert!(axis.low < axis.high && axis.low <= min && axis.high >= max);
            let ticks = axis.ticks(wanted);
            prop_assert!(ticks.len() <= 30, "{:?}", ticks);
            prop_assert!(!ticks.is_empty(), "{:?}", axis);
            prop_assert!(ticks.is_sorted());
            for tick in ticks {
                prop_assert!((axis.low..=axis.high * 1.000_001).contains(&tick));
                let back = axis.value(axis.place(tick));
                prop_assert!((back - tick).abs() <= tick.abs() * 1e-9);
                let read: f64 = axis.label(tick).parse().unwrap();
                prop_assert!((read - tick).abs() <= (axis.high - axis.low) / 10.0, "{} {}", read, tick);
            }
        }
    }

    proptest! {
        #[test]
        fn a_rounded_axis_holds_the_other_and_is_not_much_longer(
            min in 1e-6..1e6_f64, median in 0.0..1.0_f64, max in 0.0..1e5_f64,
        ) {
            let max = min + max;
            let axis = Axis::of_times(min, min + (max - min) * median, max);
            let rounded = axis.rounded();
            let slack = 1e-9 * axis.high;
            prop_assert!(rounded.low <= axis.low + slack && rounded.high >= axis.high - slack, "{:?} {:?}", axis, rounded);
            if axis.log {
                prop_assert!(rounded.low > 0.0);
                prop_assert!(rounded.low >= axis.low / 2.6 && rounded.high <= axis.high * 2.6, "{:?} {:?}", axis, rounded);
            } else {
                prop_assert!(rounded.high - rounded.low <= (axis.high - axis.low) * 2.1, "{:?} {:?}", axis, rounded);
            }
        }
    }

    #[test]
    fn a_rounded_axis_stays_while_values_change_a_little() {
        let ends = |axis: Axis| {
            let axis = axis.rounded();
            [axis.low, axis.high].map(|end| format!("{end:.6}"))
        };
        assert_eq!(ends(Axis::from_zero(210.0)), ends(Axis::from_zero(230.0)));
        assert_eq!(ends(Axis::from_zero(230.0)), ["0.000000", "250.000000"]);
        assert_eq!(
            ends(Axis::of_times(0.05, 0.1, 80.0)),
            ["0.020000", "100.000000"]
        );
    }

    #[test]
    fn labels_are_short() {
        let ticks = |axis: Axis| {
            let label = |tick: &f64| axis.label(*tick);
            axis.ticks(5)
                .iter()
                .map(label)
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(ticks(Axis::from_zero(10.0)), "0 5 10");
        assert_eq!(ticks(Axis::from_zero(0.37)), "0 0.1 0.2 0.3");
        assert_eq!(ticks(Axis::from_zero(2048.0)), "0 500 1000 1500 2000");
        assert_eq!(ticks(Axis::of_times(0.05, 0.1, 80.0)), "0.1 1 10");
        assert_eq!(ticks(Axis::of_times(20.0, 20.1, 20.3)), "20 20.1 20.2 20.3");
        assert_eq!(ticks(Axis::from_zero(0.0)), "0 0.2 0.4 0.6 0.8 1");
    }
}
