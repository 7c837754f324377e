//! The whole screen: a panel for each target, or a row each where there is no room for that, and a line about the run.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget as _;

use super::chart::Chart;
use super::figures::{self, Extent};
use super::look::Look;
use super::progress::{Left, Progress};
use super::table;
use super::words::{clock, cut, rounded_up};
use crate::ping::figures::Time;
use crate::ping::plot::data::plain;
use crate::ping::plot::dots::Mark;

/// A panel of several has so many rows at least; with fewer, each target has a row.
const LEAST_PANEL: u16 = 8;

/// A panel with so many rows has space between its parts.
const AIRY: u16 = 16;

/// What there is to draw.
pub(super) struct Scene<'a> {
    /// The targets, and how long the run of each has gone on.
    pub(super) targets: Vec<(&'a Progress, Duration)>,
    /// Messages that will be shown at the end.
    pub(super) messages: u64,
    pub(super) look: &'a Look,
}

impl Scene<'_> {
    /// Draws everything.
    pub(super) fn draw(&self, area: Rect, buffer: &mut Buffer) {
        let [body, footer] = split(area, area.height - u16::from(area.height > 1));
        let number = u16::try_from(self.targets.len()).unwrap_or(u16::MAX).max(1);
        let each = body.height / number;
        if number > 1 && each < LEAST_PANEL {
            table::draw(&self.targets, self.look, body, buffer);
        } else {
            let mut rest = body;
            for (index, (progress, elapsed)) in (0..).zip(&self.targets) {
                let height = each + u16::from(index < body.height % number);
                let [place, below] = split(rest, height);
                self.draw_panel(progress, *elapsed, place, buffer);
                rest = below;
            }
        }
        if footer.height > 0 {
            self.draw_footer(footer, buffer);
        }
    }

    /// Draws what is measured, the chart and the figures.
    fn draw_panel(&self, progress: &Progress, elapsed: Duration, area: Rect, buffer: &mut Buffer) {
        if area.is_empty() {
            return;
        }
        let extent = Extent::that_fits(area);
        let heading = self.heading(progress, area);
        let lines = u16::try_from(heading.len()).unwrap_or(u16::MAX);
        let [place, rest] = split(area, lines);
        for (y, line) in (place.y..place.bottom()).zip(heading) {
            let height = 1;
            line.render(Rect { y, height, ..place }, buffer);
        }
        if let Some(outage) = progress.outage(elapsed) {
            let text = format!(" no answer for {} s", outage.as_secs());
            let text = Line::styled(text, self.look.alarm()).right_aligned();
            text.render(split(area, 1)[0], buffer);
        }
        let air = u16::from(area.height >= AIRY);
        let [_, rest] = split(rest, air);
        let rows = extent.rows(area.width);
        let [chart, rest] = split(rest, rest.height.saturating_sub(rows + air));
        let [_, place] = split(rest, air);
        if chart.height > 0 {
            Chart::new(progress, elapsed, self.look, chart).draw(buffer);
        }
        figures::draw(progress, elapsed, extent, self.look, place, buffer);
    }

    /// What is measured, and how, in as many lines as there is room for.
    fn heading(&self, progress: &Progress, area: Rect) -> Vec<Line<'static>> {
        let heading = progress.heading();
        let fits = |text: &String| Line::raw(text.as_str()).width() <= usize::from(area.width);
        let title = Some(plain(&heading.subject())).filter(fits);
        let title = title.unwrap_or_else(|| plain(heading.target()));
        let title = cut(&title, area.width, self.look);
        let mut lines = vec![Line::styled(title, Look::strong())];
        for line in [Some(heading.plan()), heading.steps()]
            .into_iter()
            .flatten()
        {
            let line = cut(&plain(&line), area.width, self.look);
            lines.push(Line::styled(line, Look::soft()));
        }
        // The chart matters more.
        lines.truncate(usize::from(area.height / 6).max(1));
        lines
    }

    /// Draws how long the run has gone on and what is left, what the marks mean, and how to stop.
    fn draw_footer(&self, area: Rect, buffer: &mut Buffer) {
        let time = Line::raw(self.time());
        let used = time.width() + 3;
        time.render(area, buffer);
        let short = self.legend(false);
        // The marks of what went wrong matter more than that of answers in time, the first.
        let shorter = short.get(3..).map(<[_]>::to_vec).unwrap_or_default();
        let forms = [self.legend(true), short, shorter, Vec::new()].map(|mut spans| {
            spans.push(Span::raw("q stops"));
            Line::from(spans)
        });
        let fits = |line: &Line<'_>| used + line.width() <= usize::from(area.width);
        if let Some(line) = forms.into_iter().find(fits) {
            line.right_aligned().render(area, buffer);
        }
    }

    /// How long the run has gone on, and what is left.
    fn time(&self) -> String {
        let elapsed = self.targets.iter().map(|(_, elapsed)| *elapsed).max();
        let elapsed = clock(elapsed.unwrap_or_default());
        let left = self
            .targets
            .iter()
            .map(|(progress, elapsed)| progress.left(*elapsed));
        match left.max() {
            None | Some(Left::Nothing | Left::Endless) => format!("{elapsed} elapsed"),
            Some(Left::Waiting) => format!("{elapsed} elapsed, waiting for answers"),
            Some(Left::Probes(left)) => format!("{elapsed} elapsed, {left} probes left"),
            Some(Left::Sending(left)) => {
                format!("{elapsed} elapsed, {} left", clock(rounded_up(left)))
            }
        }
    }

    /// What the marks mean, or what has to be said now; in few words or with a time.
    fn legend(&self, has_time: bool) -> Vec<Span<'static>> {
        if self.messages > 0 {
            let s = if self.messages > 1 { "s" } else { "" };
            let text = format!("{} message{s}, shown at the end   ", self.messages);
            return vec![Span::raw(text)];
        }
        let symbols = &self.look.symbols;
        let deadline = self
            .targets
            .first()
            .and_then(|(progress, _)| progress.heading().deadline());
        let late = match deadline {
            Some(deadline) if has_time => format!(" late (over {})", Time::from(deadline)),
            _ => " late".to_owned(),
        };
        let gap = Span::raw("  ");
        let mut legend = vec![
            Span::styled(symbols.in_time.to_string(), self.look.of(Mark::InTime)),
            Span::styled(" in time", Look::soft()),
            gap.clone(),
            Span::styled(symbols.late.to_string(), self.look.of(Mark::Late)),
            Span::styled(late, Look::soft()),
            gap.clone(),
            Span::raw(symbols.lost.to_string()),
            Span::styled(" lost", Look::soft()),
        ];
        let has_limited = |(progress, _): &(&Progress, _)| progress.fates().limited().is_some();
        if self.targets.iter().any(has_limited) {
            let stroke = symbols.lost.to_string();
            legend.extend([
                gap,
                Span::styled(stroke, self.look.of(Mark::RateLimited)),
                Span::styled(" limited", Look::soft()),
            ]);
        }
        legend.push(Span::raw("   "));
        legend
    }
}

/// The first rows of an area, and the rest.
fn split(area: Rect, rows: u16) -> [Rect; 2] {
    let rows = rows.min(area.height);
    let upper = Rect {
        height: rows,
        ..area
    };
    let lower = Rect {
        y: area.y + rows,
        height: area.height - rows,
        ..area
    };
    [upper, lower]
}
