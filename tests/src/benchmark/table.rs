//! The table of all figures, for people and as Markdown.

use std::fmt::Write as _;

use super::figures::{Ratio, Rounds, Unit};
use super::trouble::{Outcome, Trouble};

/// What a figure has to reach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// At most so many times the other's.
    AtMostTimes(f64),
    /// At least so many times the other's.
    AtLeastTimes(f64),
    /// At most this.
    AtMost(f64),
    /// At least this.
    AtLeast(f64),
    /// Nothing: it is there to be known.
    None,
}

/// One figure of ours, beside another program's.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    what: String,
    unit: Unit,
    ours: Outcome<Rounds>,
    other: Option<Other>,
    goal: Goal,
}

#[derive(Debug, Clone, PartialEq)]
struct Other {
    name: String,
    rounds: Outcome<Rounds>,
}

const HEADINGS: [&str; 7] = [
    "what",
    "Hii",
    "beside",
    "its figure",
    "ratio",
    "goal",
    "met",
];

impl Row {
    /// A figure of ours.
    #[must_use]
    pub fn new(what: impl Into<String>, unit: Unit, ours: Outcome<Rounds>) -> Self {
        Self {
            what: what.into(),
            unit,
            ours,
            other: None,
            goal: Goal::None,
        }
    }

    /// The same beside another program's.
    #[must_use]
    pub fn beside(mut self, name: impl Into<String>, rounds: Outcome<Rounds>) -> Self {
        let name = name.into();
        self.other = Some(Other { name, rounds });
        self
    }

    /// The same with a goal.
    #[must_use]
    pub fn goal(self, goal: Goal) -> Self {
        Self { goal, ..self }
    }

    /// What kept ours from being measured.
    #[must_use]
    pub fn trouble(&self) -> Option<&Trouble> {
        self.ours.as_ref().err()
    }

    fn our_median(&self) -> Option<f64> {
        self.ours.as_ref().ok()?.median()
    }

    fn ratio(&self) -> Option<f64> {
        let other = self.other.as_ref()?.rounds.as_ref().ok()?;
        self.ours.as_ref().ok()?.times(other)
    }

    /// Whether the goal is met; none where that cannot be told.
    #[must_use]
    pub fn is_met(&self) -> Option<bool> {
        match self.goal {
            Goal::AtMostTimes(most) => self.ratio().map(|ratio| ratio <= most),
            Goal::AtLeastTimes(least) => self.ratio().map(|ratio| ratio >= least),
            Goal::AtMost(most) => self.our_median().map(|ours| ours <= most),
            Goal::AtLeast(least) => self.our_median().map(|ours| ours >= least),
            Goal::None => None,
        }
    }

    fn cells(&self) -> [String; 7] {
        let show = |rounds: &Outcome<Rounds>| match rounds {
            Ok(rounds) => rounds.show(self.unit),
            Err(Trouble(why)) => why.clone(),
        };
        let (name, theirs) = match &self.other {
            Some(Other { name, rounds }) => (name.clone(), show(rounds)),
            None => (String::new(), String::new()),
        };
        let ratio = self.ratio().map(|ratio| Ratio(ratio).to_string());
        let goal = match self.goal {
            Goal::AtMostTimes(most) => format!("at most {most}x"),
            Goal::AtLeastTimes(least) => format!("at least {least}x"),
            Goal::AtMost(most) => format!("at most {}", self.unit.show(most)),
            Goal::AtLeast(least) => format!("at least {}", self.unit.show(least)),
            Goal::None => String::new(),
        };
        let met = match (self.goal, self.is_met()) {
            (Goal::None, _) => "",
            (_, Some(true)) => "yes",
            (_, Some(false)) => "NO",
            (_, None) => "n/a",
        };
        [
            self.what.clone(),
            show(&self.ours),
            name,
            theirs,
            ratio.unwrap_or_default(),
            goal,
            met.to_owned(),
        ]
    }
}

/// The table as Markdown.
#[must_use]
pub fn markdown(rows: &[Row]) -> String {
    let mut table = String::new();
    let mut line = |cells: &[String]| {
        let cells: Vec<_> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
        let _ = writeln!(table, "| {} |", cells.join(" | "));
    };
    line(&HEADINGS.map(str::to_owned));
    line(&HEADINGS.map(|_| "---".to_owned()));
    for row in rows {
        line(&row.cells());
    }
    table
}

/// The table in columns.
#[must_use]
pub fn columns(rows: &[Row]) -> String {
    let lines: Vec<_> = std::iter::once(HEADINGS.map(str::to_owned))
        .chain(rows.iter().map(Row::cells))
        .collect();
    let widths: [usize; 7] = std::array::from_fn(|column| {
        let widths = lines
            .iter()
            .map(|line: &[String; 7]| line[column].chars().count());
        widths.max().unwrap_or_default()
    });
    let mut table = String::new();
    for line in &lines {
        let cells = line.iter().zip(widths);
        let cells: Vec<_> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        let _ = writeln!(table, "{}", cells.join("  ").trim_end());
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(figure: f64) -> Rounds {
        [figure].into_iter().collect()
    }

    fn row(ours: f64, theirs: f64, goal: Goal) -> Row {
        Row::new("RTT", Unit::Time, Ok(rounds(ours)))
            .beside("sockperf", Ok(rounds(theirs)))
            .goal(goal)
    }

    #[test]
    fn goals_are_met_at_their_bounds_and_not_beyond() {
        for (goal, met) in [
            (Goal::AtMostTimes(2.0), true),
            (Goal::AtMostTimes(1.9), false),
            (Goal::AtLeastTimes(2.0), true),
            (Goal::AtLeastTimes(2.1), false),
            (Goal::AtMost(100.0), true),
            (Goal::AtMost(99.0), false),
            (Goal::AtLeast(100.0), true),
            (Goal::AtLeast(101.0), false),
        ] {
            assert_eq!(row(100.0, 50.0, goal).is_met(), Some(met), "{goal:?}");
        }
    }

    #[test]
    fn what_could_not_be_measured_is_told_and_is_not_met() {
        let missing = Row::new("RTT", Unit::Time, Ok(rounds(1.0)))
            .beside("sockperf", Err("not installed".into()))
            .goal(Goal::AtMostTimes(2.0));
        assert_eq!(missing.is_met(), None);
        let table = markdown(&[missing]);
        assert!(
            table.contains("| not installed |  | at most 2x | n/a |"),
            "{table}"
        );
    }

    #[test]
    fn both_tables_have_all_rows() {
        let rows = [
            row(1e3, 2e3, Goal::None),
            row(5e3, 2e3, Goal::AtMostTimes(1.0)),
        ];
        let table = markdown(&rows);
        assert_eq!(table.lines().count(), 4);
        assert!(
            table.contains("| RTT | 5.000 us | sockperf | 2.000 us | 2.5x | at most 1x | NO |")
        );
        let table = columns(&rows);
        assert_eq!(table.lines().count(), 3);
        assert!(table.lines().all(|line| line.contains("  ")));
    }
}
