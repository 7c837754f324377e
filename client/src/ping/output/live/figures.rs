//! The figures below a chart: each with its title, in columns that do not move.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget as _;

use super::look::Look;
use super::progress::Progress;
use super::rates::Rate;
use super::words::{cut, frequency};
use crate::ping::figures::{Figures, Time};
use crate::ping::plot::dots::Mark;

/// A figure is at least so wide, with the space after it.
const LEAST_WIDTH: u16 = 19;

/// And at most.
const MOST_WIDTH: u16 = 26;

/// The space between two figures.
const GAP: u16 = 2;

/// What cannot be told.
const UNKNOWN: &str = "n/a";

/// How many figures there is room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// All sixteen.
    All,
    /// Eight.
    Most,
    /// Four, or two where each takes a row.
    Few,
    /// None.
    None,
}

/// A figure with its title.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cell {
    title: &'static str,
    value: String,
    /// The mark that it counts.
    mark: Option<Mark>,
}

impl Extent {
    /// As many as leave enough of a panel for the chart.
    pub(super) fn that_fits(panel: Rect) -> Self {
        let fits = |extent: &Self| {
            let above = panel.height.saturating_sub(extent.rows(panel.width));
            above >= extent.least_above()
        };
        let extents = [Self::All, Self::Most, Self::Few];
        extents.into_iter().find(fits).unwrap_or(Self::None)
    }

    /// How many rows it takes at this width.
    pub(super) fn rows(self, width: u16) -> u16 {
        let columns = columns(width);
        let count: u16 = match self {
            Self::All => 16,
            Self::Most => 8,
            Self::Few if columns > 1 => 4,
            Self::Few => 2,
            Self::None => 0,
        };
        count.div_ceil(columns)
    }

    /// How many rows have to be left above it for the chart and its heading.
    fn least_above(self) -> u16 {
        match self {
            Self::All => 12,
            Self::Most => 8,
            Self::Few => 5,
            Self::None => 0,
        }
    }
}

/// Draws as many figures as this.
pub(super) fn draw(
    progress: &Progress,
    elapsed: Duration,
    extent: Extent,
    look: &Look,
    area: Rect,
    buffer: &mut Buffer,
) {
    let columns = columns(area.width);
    let width = (area.width / columns).min(MOST_WIDTH);
    let cells = cells(progress, elapsed, extent);
    let shown = usize::from(columns) * usize::from(extent.rows(area.width));
    for (index, cell) in (0..).zip(cells).take(shown) {
        let place = Rect {
            x: area.x + index % columns * width,
            y: area.y + index / columns,
            width: width.saturating_sub(GAP),
            height: 1,
        };
        cell.draw(look, place.intersection(area), buffer);
    }
}

/// How many figures stand side by side: all of a row belong together.
fn columns(width: u16) -> u16 {
    let fits = |columns: &u16| columns * LEAST_WIDTH <= width + GAP;
    [8, 4, 2].into_iter().find(fits).unwrap_or(1)
}

fn cells(progress: &Progress, elapsed: Duration, extent: Extent) -> Vec<Cell> {
    let fates = progress.fates();
    let count = |title, count: u64| Cell::new(title, count.to_string());
    let of_mark = |title, mark: Mark| Cell {
        mark: (fates.count(mark) > 0).then_some(mark),
        ..count(title, fates.count(mark))
    };
    let directed = |title, mark| {
        if progress.heading().tells_direction() {
            of_mark(title, mark)
        } else {
            Cell::new(title, UNKNOWN.to_owned())
        }
    };
    let rtt = progress.rtt();
    let time = |title, of: fn(&Figures) -> u64| {
        let time = rtt.as_ref().map(|rtt| Time(of(rtt) as f64).to_string());
        Cell::new(title, time.unwrap_or_else(|| UNKNOWN.to_owned()))
    };
    let variation = progress.variation();
    let jitter = variation.and_then(|variation| variation.jitter_ns);
    let jitter = jitter.map_or(UNKNOWN.to_owned(), |jitter| Time(jitter).to_string());
    let lost = fates.lost();
    let lost = match fates.loss_percent() {
        None => lost.to_string(),
        Some((least, most)) if least < most => format!("{lost}, {least:.0}-{most:.0} %"),
        Some((percent, _)) => format!("{lost}, {percent:.1} %"),
    };

    // Takes the place of a figure where the server has met a limit.
    let limited = fates.limited().map(|(least, most)| Cell {
        mark: Some(Mark::RateLimited),
        ..Cell::new(
            "limited",
            if least < most {
                format!("{least}-{most}")
            } else {
                least.to_string()
            },
        )
    });

    let sent = count("sent", fates.all_sent());
    let answered = count("answered", fates.answered_in_all());
    let late = of_mark("late", Mark::Late);
    let lost = Cell::new("lost", lost);
    let min = time("RTT min", |rtt| rtt.min);
    let median = time("median", |rtt| rtt.median);
    let p99 = time("p99", |rtt| rtt.p99);
    let max = time("max", |rtt| rtt.max);
    let jitter = Cell::new("jitter", jitter);
    match extent {
        Extent::None => Vec::new(),
        Extent::Few => match limited {
            Some(limited) => vec![lost, limited, median, sent],
            None => vec![lost, median, p99, sent],
        },
        Extent::Most => match limited {
            Some(limited) => vec![sent, answered, lost, limited, late, median, p99, max],
            None => vec![sent, answered, late, lost, median, p99, max, jitter],
        },
        Extent::All => {
            let rate = progress.rate(elapsed);
            let rate = |of: fn(&Rate) -> f64| {
                let rate = rate.as_ref().map(|rate| frequency(of(rate)));
                rate.unwrap_or_else(|| UNKNOWN.to_owned())
            };
            let reordered = variation.map_or(0, |variation| variation.reordered);
            let there = directed("lost there", Mark::LostThere);
            let back = directed("lost back", Mark::LostBack);
            let [second, third, fourth] = match limited {
                Some(limited) => [limited, there, back],
                None => [there, back, directed("unknown", Mark::Lost)],
            };
            vec![
                sent,
                answered,
                late,
                count("waiting", fates.waiting()),
                lost,
                second,
                third,
                fourth,
                min,
                median,
                p99,
                max,
                jitter,
                count("reordered", reordered),
                Cell::new("probes/s", rate(|rate| rate.sent)),
                Cell::new("answers/s", rate(|rate| rate.answered)),
            ]
        }
    }
}

impl Cell {
    fn new(title: &'static str, value: String) -> Self {
        Self {
            title,
            value,
            mark: None,
        }
    }

    /// Draws the title on the left and the figure on the right; what does not fit is taken from the title.
    fn draw(&self, look: &Look, area: Rect, buffer: &mut Buffer) {
        let value = Line::raw(&self.value).right_aligned();
        let taken = u16::try_from(value.width() + 1).unwrap_or(u16::MAX);
        let title = cut(self.title, area.width.saturating_sub(taken), look);
        let style = self.mark.map_or(Look::soft(), |mark| look.of(mark));
        Line::from(Span::styled(title, style)).render(area, buffer);
        value.render(area, buffer);
    }
}
