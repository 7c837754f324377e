//! Figures of several rounds, and how they are shown.

use std::fmt;

use hii_client::ping::figures::Time;

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Nanoseconds.
    Time,
    /// So many a second.
    Rate,
    /// So many octets a second.
    OctetRate,
    /// Of a hundred.
    Percent,
    /// Memory.
    Kibibytes,
    /// Memory of something small.
    Octets,
}

impl Unit {
    /// The figure with its unit.
    #[must_use]
    pub fn show(self, figure: f64) -> String {
        match self {
            Self::Time => Time(figure).to_string(),
            Self::Rate if figure >= 1e6 => format!("{:.2} M/s", figure / 1e6),
            Self::Rate if figure >= 1e3 => format!("{:.1} k/s", figure / 1e3),
            Self::Rate => format!("{figure:.0}/s"),
            Self::OctetRate => format!("{:.0} MiB/s", figure / f64::from(1 << 20)),
            Self::Percent => format!("{figure:.2} %"),
            Self::Octets => format!("{figure:.1} octets"),
            Self::Kibibytes => format!("{:.1} MiB", figure / 1024.0),
        }
    }
}

/// The figure of each round.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rounds(Vec<f64>);

impl Rounds {
    /// Adds a round's.
    pub fn push(&mut self, figure: f64) {
        self.0.push(figure);
    }

    /// The median; none without a round.
    #[must_use]
    pub fn median(&self) -> Option<f64> {
        median(&self.0)
    }

    /// How many times another program's figures these are, in the median of the rounds: what disturbs a round disturbs both,
    /// which are measured in it one after the other. None without a round of both.
    #[must_use]
    pub fn times(&self, other: &Self) -> Option<f64> {
        let ratios = self.0.iter().zip(&other.0).map(|(one, other)| one / other);
        median(&ratios.collect::<Vec<_>>())
    }

    /// The median, and between what the rounds were.
    #[must_use]
    pub fn show(&self, unit: Unit) -> String {
        let Some(median) = self.median() else {
            return "n/a".into();
        };
        let least = self.0.iter().copied().fold(f64::INFINITY, f64::min);
        let most = self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let [median, least, most] = [median, least, most].map(|figure| unit.show(figure));
        if least == most {
            median
        } else {
            format!("{median} ({least} to {most})")
        }
    }
}

impl FromIterator<f64> for Rounds {
    fn from_iter<I: IntoIterator<Item = f64>>(figures: I) -> Self {
        Self(figures.into_iter().collect())
    }
}

/// The value in the middle, between the two where there is an even number.
#[must_use]
pub fn median(figures: &[f64]) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = sorted.get(sorted.len() / 2)?;
    let lower = sorted.get((sorted.len() - 1) / 2)?;
    Some(f64::midpoint(*lower, *upper))
}

/// How many times `of` a figure is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratio(
    /// How many times.
    pub f64,
);

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            many if many >= 10.0 => write!(f, "{many:.0}x"),
            some if some >= 2.0 => write!(f, "{some:.1}x"),
            few => write!(f, "{few:.2}x"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn a_disturbed_round_disturbs_both_and_not_their_ratio() {
        let ours: Rounds = [10.0, 5.0, 2.0].into_iter().collect();
        let theirs: Rounds = [20.0, 10.0, 1.0].into_iter().collect();
        assert_eq!(ours.times(&theirs), Some(0.5));
        assert_eq!(ours.times(&Rounds::default()), None);
    }

    #[test]
    fn rounds_show_their_median_and_spread() {
        let rounds: Rounds = [3e3, 1e3, 2e3].into_iter().collect();
        assert_eq!(rounds.show(Unit::Time), "2.000 us (1.000 us to 3.000 us)");
        assert_eq!(Rounds::default().show(Unit::Time), "n/a");
        let same: Rounds = [100.0, 100.0].into_iter().collect();
        assert_eq!(same.show(Unit::Percent), "100.00 %");
    }
}
