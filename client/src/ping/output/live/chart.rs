//! Round-trip times against time, and above them what was not answered: a row for each fate, as in the pictures.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Widget as _;

use super::look::Look;
use super::plane::{Plane, put};
use super::progress::{Progress, Span};
use crate::ping::plot::dots::Mark;

/// Rows of round-trip times at least, where fates have rows of their own.
const LEAST_ROWS: u16 = 3;

/// Columns of times at least, where there is a margin beside them.
const LEAST_COLUMNS: u16 = 16;

/// Columns from one value on the axis of time to the next, about.
const VALUE_COLUMNS: u16 = 12;

/// A chart with its axes.
pub(super) struct Chart<'a> {
    progress: &'a Progress,
    elapsed: Duration,
    look: &'a Look,
    /// The fates that have a row above the plane.
    lanes: Vec<Mark>,
    /// Columns for names and values on the left, the axis included.
    margin: u16,
    area: Rect,
    /// Answers against time.
    plane: Plane<'a>,
}

impl<'a> Chart<'a> {
    /// A chart of a run that has gone on for so long, as much of it as there is room for.
    pub(super) fn new(
        progress: &'a Progress,
        elapsed: Duration,
        look: &'a Look,
        area: Rect,
    ) -> Self {
        let mut lanes = fates(progress);
        let below = match area.height {
            0..4 => 0,
            4..6 => 1,
            _ => 2,
        };
        let above = u16::try_from(lanes.len()).unwrap_or(u16::MAX);
        if above.saturating_add(LEAST_ROWS + below) > area.height {
            lanes.clear();
        }
        let above = u16::try_from(lanes.len()).unwrap_or(u16::MAX);
        let inner = Rect {
            y: area.y + above,
            height: area.height - above - below,
            ..area
        };
        let mut plane = Plane::new(progress, elapsed, look, inner);
        let values = plane.values();
        let values = values.iter().map(|(_, value)| value.as_str());
        let names = lanes.iter().map(|mark| mark.label());
        let widest = values.chain(names).map(str::len).max().unwrap_or_default();
        let mut margin = u16::try_from(widest + 2).unwrap_or(u16::MAX);
        if area.width < margin.saturating_add(LEAST_COLUMNS) {
            margin = 0;
        }
        plane.area.x += margin;
        plane.area.width -= margin;
        Self {
            progress,
            elapsed,
            look,
            lanes,
            margin,
            area,
            plane,
        }
    }

    /// Draws the chart.
    pub(super) fn draw(&self, buffer: &mut Buffer) {
        if self.margin > 0 {
            self.draw_margin(buffer);
        }
        self.draw_time(buffer);
        self.plane.draw(buffer);
        if self.lanes.is_empty() {
            // Without rows of their own they stand in the uppermost one.
            for mark in fates(self.progress) {
                self.plane.draw_strokes(mark, self.plane.area.y, buffer);
            }
        }
        for (row, mark) in (self.area.y..).zip(&self.lanes) {
            self.plane.draw_strokes(*mark, row, buffer);
        }
    }

    /// Draws the upright axis with its values, and the names of the fates.
    fn draw_margin(&self, buffer: &mut Buffer) {
        let (plain, ticked) = self.look.symbols.upright;
        let Rect { x, y, .. } = self.plane.area;
        let beside = |row: u16| Rect::new(self.area.x, row, self.margin - 2, 1);
        for row in y..self.plane.area.bottom() {
            put(buffer, (x - 1, row), plain, Look::soft());
        }
        for (row, value) in self.plane.values() {
            put(buffer, (x - 1, y + row), ticked, Look::soft());
            let value = Line::styled(value, Look::soft()).right_aligned();
            value.render(beside(y + row), buffer);
        }
        for (row, mark) in (self.area.y..).zip(&self.lanes) {
            let name = Line::styled(mark.label(), self.look.of(*mark)).right_aligned();
            name.render(beside(row), buffer);
        }
    }

    /// Draws the axis of time with its values; of a run that is shown whole, what has passed of it stands out.
    fn draw_time(&self, buffer: &mut Buffer) {
        let symbols = &self.look.symbols;
        let Rect { x, width, .. } = self.plane.area;
        let row = self.plane.area.bottom();
        if row >= self.area.bottom() || width == 0 {
            return;
        }
        let across = self.plane.across();
        let passed = match self.progress.span() {
            Span::Whole(_) => across.cell(self.elapsed).unwrap_or(width),
            Span::Last(_) => 0,
        };
        let line = |column| {
            if column < passed {
                symbols.passed
            } else {
                symbols.level
            }
        };
        for column in 0..width {
            put(buffer, (x + column, row), line(column).0, Look::soft());
        }
        if self.margin > 0 {
            put(buffer, (x - 1, row), symbols.corner, Look::soft());
        }
        let has_values = row + 1 < self.area.bottom();
        let mut free = 0;
        for (column, value) in across.values(width / VALUE_COLUMNS) {
            put(buffer, (x + column, row), line(column).1, Look::soft());
            let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
            let begin = column.saturating_sub(length / 2);
            let begin = begin.min(width.saturating_sub(length));
            if has_values && begin >= free && length <= width {
                let place = Rect::new(x + begin, row + 1, length, 1);
                Line::styled(value, Look::soft()).render(place, buffer);
                free = begin + length + 1;
            }
        }
    }
}

/// The fates beside answers that there are.
pub(super) fn fates(progress: &Progress) -> Vec<Mark> {
    let is_some = |mark: &Mark| progress.fates().count(*mark) > 0;
    Mark::ALL.into_iter().skip(2).filter(is_some).collect()
}
