//! A row for each target with a small chart, where there are more than there is room for panels.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Widget as _;

use super::chart::fates;
use super::look::Look;
use super::plane::Plane;
use super::progress::Progress;
use super::words::cut;
use crate::ping::figures::{Figures, Time};
use crate::ping::plot::data::plain;

/// Columns of a name at most.
const LONGEST_NAME: u16 = 30;

/// Columns of the small charts at least.
const LEAST_CHART: u16 = 8;

/// The columns of figures, with their widths. Where there is no room, the last go first.
const COLUMNS: [(&str, u16); 5] = [
    ("lost", 9),
    ("median", 10),
    ("p99", 10),
    ("answered", 10),
    ("sent", 9),
];

/// Draws a line of titles and a row for each target, as many as there is room for.
pub(super) fn draw(
    targets: &[(&Progress, Duration)],
    look: &Look,
    area: Rect,
    buffer: &mut Buffer,
) {
    let names: Vec<_> = targets
        .iter()
        .map(|(progress, _)| plain(progress.heading().target()))
        .collect();
    let longest = names.iter().map(|name| Line::raw(name.as_str()).width());
    let longest = u16::try_from(longest.max().unwrap_or_default()).unwrap_or(u16::MAX);
    let row = Row::new(longest.min(LONGEST_NAME), area);
    row.draw_figures(&COLUMNS.map(|(title, _)| title.to_owned()), look, buffer);

    let room = area.height.saturating_sub(1);
    let number = u16::try_from(targets.len()).unwrap_or(u16::MAX).max(1);
    let (shown, each) = match room / number {
        0 => (usize::from(room.saturating_sub(1)), 1),
        each => (targets.len(), each),
    };
    let lines = (area.y + 1..area.bottom()).step_by(usize::from(each));
    let mut rows = lines.map(|y| row.at(y, each));
    for (((progress, elapsed), name), row) in targets.iter().zip(&names).take(shown).zip(&mut rows)
    {
        let style = match progress.outage(*elapsed) {
            Some(_) => look.alarm(),
            None => Look::strong(),
        };
        Line::styled(cut(name, row.name.width, look), style).render(row.name, buffer);
        let plane = Plane::new(progress, *elapsed, look, row.chart);
        plane.draw(buffer);
        for mark in fates(progress) {
            plane.draw_strokes(mark, row.chart.y, buffer);
        }
        row.draw_figures(&figures(progress), look, buffer);
    }
    if let Some(row) = rows.next().filter(|_| shown < targets.len()) {
        let text = format!("and {} more", targets.len() - shown);
        Line::styled(text, Look::soft()).render(row.whole, buffer);
    }
}

/// The figures of a target, in the order of the columns.
fn figures(progress: &Progress) -> [String; COLUMNS.len()] {
    let rtt = progress.rtt();
    let time = |of: fn(&Figures) -> u64| {
        let time = rtt.as_ref().map(|rtt| Time(of(rtt) as f64).to_string());
        time.unwrap_or_else(|| "n/a".to_owned())
    };
    let loss = progress.fates().loss_percent();
    [
        loss.map_or("n/a".to_owned(), |(least, _)| format!("{least:.1} %")),
        time(|rtt| rtt.median),
        time(|rtt| rtt.p99),
        rtt.as_ref().map_or(0, |rtt| rtt.count).to_string(),
        progress.fates().all_sent().to_string(),
    ]
}

/// Where the parts of a row are.
#[derive(Debug, Clone, Copy)]
struct Row {
    whole: Rect,
    name: Rect,
    chart: Rect,
    figures: Rect,
    /// How many columns of figures there are.
    columns: usize,
}

impl Row {
    /// The first row of an area.
    fn new(longest_name: u16, area: Rect) -> Self {
        let whole = Rect {
            height: area.height.min(1),
            ..area
        };
        let width = |columns: usize| COLUMNS.iter().take(columns).map(|(_, width)| width).sum();
        let fits = |columns: &usize| {
            let needed: u16 = width(*columns);
            longest_name + 1 + LEAST_CHART + needed <= area.width
        };
        let columns = (0..=COLUMNS.len()).rev().find(fits).unwrap_or_default();
        let figures: u16 = width(columns);
        let name = longest_name.min(area.width);
        let taken = (name + 1 + figures).min(area.width);
        let part = |x, width| Rect { x, width, ..whole };
        Self {
            whole,
            name: part(area.x, name),
            chart: part(area.x + (name + 1).min(area.width), area.width - taken),
            figures: part(area.right() - figures, figures),
            columns,
        }
    }

    /// The same from this line on; the chart has so many lines, with one free below if there are enough.
    fn at(mut self, y: u16, lines: u16) -> Self {
        for part in [
            &mut self.whole,
            &mut self.name,
            &mut self.chart,
            &mut self.figures,
        ] {
            part.y = y;
        }
        self.chart.height = lines - u16::from(lines > 2);
        self
    }

    fn draw_figures(&self, values: &[String; COLUMNS.len()], look: &Look, buffer: &mut Buffer) {
        let mut x = self.figures.x;
        for ((_, width), value) in COLUMNS.iter().zip(values).take(self.columns) {
            let place = Rect {
                x,
                width: *width,
                ..self.figures
            };
            let value = cut(value, *width - 1, look);
            Line::raw(value).right_aligned().render(place, buffer);
            x += width;
        }
    }
}
