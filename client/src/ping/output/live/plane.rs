//! Answers and losses against time, without axes around them.

use std::time::Duration;

use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::symbols::Marker;
use ratatui::text::Line;
use ratatui::widgets::Widget as _;
use ratatui::widgets::canvas::{Canvas, Points};

use super::look::Look;
use super::progress::{Progress, Span};
use super::scale::{Across, Up};
use super::words::cut;
use crate::ping::plot::axis::Axis;
use crate::ping::plot::data::millis;
use crate::ping::plot::dots::Mark;

/// Where answers are drawn.
pub(super) struct Plane<'a> {
    progress: &'a Progress,
    elapsed: Duration,
    look: &'a Look,
    /// The axis of round-trip times in milliseconds, once there is one.
    times: Option<Axis>,
    pub(super) area: Rect,
}

impl<'a> Plane<'a> {
    /// For a run that has gone on for so long.
    pub(super) fn new(
        progress: &'a Progress,
        elapsed: Duration,
        look: &'a Look,
        area: Rect,
    ) -> Self {
        Self {
            progress,
            elapsed,
            look,
            times: times(progress, elapsed),
            area,
        }
    }

    /// The axis of time.
    pub(super) fn across(&self) -> Across {
        let dots = if self.look.symbols.is_fine { 2 } else { 1 };
        Across::new(self.progress.span(), self.elapsed, self.area.width, dots)
    }

    fn up<'b>(&self, axis: &'b Axis) -> Up<'b> {
        let dots = if self.look.symbols.is_fine { 4 } else { 1 };
        Up::new(axis, self.area.height, dots)
    }

    /// The values beside the upright axis and their rows.
    pub(super) fn values(&self) -> Vec<(u16, String)> {
        let Some(axis) = self.times.filter(|_| self.area.height > 1) else {
            return Vec::new();
        };
        let up = self.up(&axis);
        let value = |tick| (up.cell(tick), format!("{} ms", axis.label(tick)));
        // One in two or three rows.
        let ticks = axis.ticks((u32::from(self.area.height) * 2 / 5).max(1));
        let mut values: Vec<_> = ticks.into_iter().map(value).collect();
        values.dedup_by_key(|(row, _)| *row);
        values
    }

    /// Draws the answers, and behind them the line above which they are late.
    pub(super) fn draw(&self, buffer: &mut Buffer) {
        let Some(axis) = self.times else {
            return self.draw_nothing(buffer);
        };
        let symbols = &self.look.symbols;
        let (across, up) = (self.across(), self.up(&axis));
        let answers = || self.progress.recent().answers();
        let in_time = answers().filter(|answer| !answer.is_late);
        let style = self.look.of(Mark::InTime);
        let cell = |at, rtt| {
            let (column, row) = (across.cell(at)?, up.cell(millis(rtt)));
            Some((self.area.x + column, self.area.y + row))
        };
        if symbols.is_fine {
            let spot = |at, rtt| Some((across.dot(at)?, up.dot(millis(rtt))));
            let dots = in_time.filter_map(|answer| spot(answer.at, answer.rtt));
            let dots: Vec<_> = dots.collect();
            Canvas::default()
                .marker(Marker::Braille)
                .x_bounds(across.bounds())
                .y_bounds(up.bounds())
                .paint(|context| context.draw(&Points::new(&dots, style.fg.unwrap_or_default())))
                .render(self.area, buffer);
        } else {
            for place in in_time.filter_map(|answer| cell(answer.at, answer.rtt)) {
                put(buffer, place, symbols.in_time, style);
            }
        }
        let late = answers().filter(|answer| answer.is_late);
        for place in late.filter_map(|answer| cell(answer.at, answer.rtt)) {
            put(buffer, place, symbols.late, self.look.of(Mark::Late));
        }
        self.draw_deadline(&axis, buffer);
    }

    /// Draws a stroke in a row for each probe that came to this.
    pub(super) fn draw_strokes(&self, mark: Mark, row: u16, buffer: &mut Buffer) {
        let across = self.across();
        let sent = self.progress.recent().marks(mark);
        for column in sent.filter_map(|at| across.cell(at)) {
            let place = (self.area.x + column, row);
            put(buffer, place, self.look.symbols.lost, self.look.of(mark));
        }
    }

    fn draw_deadline(&self, axis: &Axis, buffer: &mut Buffer) {
        let deadline = self.progress.heading().deadline().map(millis);
        let is_shown = |deadline: &f64| (axis.low..axis.high).contains(deadline);
        let Some(deadline) = deadline.filter(is_shown).filter(|_| self.area.height > 1) else {
            return;
        };
        let row = self.area.y + self.up(axis).cell(deadline);
        for column in self.area.left()..self.area.right() {
            let is_free = |cell: &Cell| cell.symbol() == " ";
            if buffer.cell((column, row)).is_some_and(is_free) {
                let symbol = self.look.symbols.deadline;
                put(buffer, (column, row), symbol, Look::soft());
            }
        }
    }

    fn draw_nothing(&self, buffer: &mut Buffer) {
        let text = cut("no answer so far", self.area.width, self.look);
        let middle = Rect {
            y: self.area.y + self.area.height / 2,
            height: self.area.height.min(1),
            ..self.area
        };
        let text = Line::styled(text, Look::soft()).centered();
        text.render(middle, buffer);
    }
}

/// The axis for the answers that are shown.
fn times(progress: &Progress, elapsed: Duration) -> Option<Axis> {
    let since = match progress.span() {
        Span::Whole(_) => Duration::ZERO,
        Span::Last(length) => elapsed.saturating_sub(length),
    };
    let answers = progress.recent().answers();
    let shown = answers.filter(|answer| answer.at >= since);
    let mut times: Vec<_> = shown.map(|answer| answer.rtt).collect();
    times.sort_unstable();
    let [min, median, max] = [times.first()?, times.get(times.len() / 2)?, times.last()?];
    Some(Axis::of_times(millis(*min), millis(*median), millis(*max)).rounded())
}

/// Puts a character somewhere, if that is on the screen.
pub(super) fn put(buffer: &mut Buffer, place: (u16, u16), symbol: char, style: Style) {
    if let Some(cell) = buffer.cell_mut(place) {
        cell.reset();
        cell.set_char(symbol).set_style(style);
    }
}
