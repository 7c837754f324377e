//! What the panels of a drawn picture have in common: colours, text, and a frame with axes.

use std::ops::Range;

use plotters::chart::ChartContext;
use plotters::coord::Shift;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::prelude::*;

use super::axis::Axis;
use super::dots::Mark;

/// What drawing can fail with.
pub(super) type Failed<B> = DrawingAreaErrorKind<<B as DrawingBackend>::ErrorType>;

/// A panel that values can be drawn in.
pub(super) type Plane<'a, B> = ChartContext<'a, B, Cartesian2d<Rule, Rule>>;

/// Sizes of text in pixels.
pub(super) const TITLE: i32 = 44;
/// That of a panel's name.
pub(super) const NAME: i32 = 34;
/// That of everything else.
pub(super) const SMALL: i32 = 28;

/// Colours, which also differ in brightness for those who see few of them.
pub(super) const BLUE: RGBColor = RGBColor(0x1f, 0x6f, 0xb4);
/// The second curve's.
pub(super) const GREEN: RGBColor = RGBColor(0x1b, 0x7f, 0x5c);
/// That of what matters less.
pub(super) const GREY: RGBColor = RGBColor(0x55, 0x5b, 0x66);
/// That of the grid.
const GRID: RGBColor = RGBColor(0xe3, 0xe6, 0xea);

/// The colour of a mark.
pub(super) fn colour(mark: Mark) -> RGBColor {
    match mark {
        Mark::InTime => BLUE,
        Mark::Late => RGBColor(0xe0, 0x8a, 0x00),
        Mark::LostThere => RGBColor(0xa2, 0x1c, 0x8c),
        Mark::LostBack => RGBColor(0xd0, 0x21, 0x2b),
        Mark::Lost => RGBColor(0x22, 0x22, 0x22),
        Mark::RateLimited => RGBColor(0x5e, 0x3c, 0x99),
        Mark::LimitedOrLost => RGBColor(0x7a, 0x6a, 0x8f),
        Mark::DroppedLocally => RGBColor(0x8c, 0x51, 0x0a),
        Mark::Refused => RGBColor(0x00, 0x7f, 0x7a),
        Mark::Unknown | Mark::NotSent => GREY,
    }
}

/// A frame with a name, axes and a grid.
pub(super) struct Frame<'a> {
    /// What the panel shows.
    pub name: &'a str,
    /// The axes, with what they measure.
    pub x: (&'a Axis, &'a str),
    /// The upright one.
    pub y: (&'a Axis, &'a str),
    /// Whether only whole numbers are written along x, and along y.
    pub whole: (bool, bool),
    /// Pixels to leave free above.
    pub above: i32,
    /// Pixels for what is written to the left of the panel.
    pub beside: i32,
}

/// As many pixels as the values of an axis take, to the left of a panel.
pub(super) const BESIDE: i32 = 146;

/// Pixels to the left of those.
pub(super) const MARGIN: i32 = 34;

impl Frame<'_> {
    /// Draws the frame.
    pub(super) fn draw<'a, B: DrawingBackend>(
        &self,
        area: &'a DrawingArea<B, Shift>,
    ) -> Result<Plane<'a, B>, Failed<B>> {
        text(area, self.name, (40, 14), NAME, BLACK)?;
        let ((x, x_label), (y, y_label)) = (self.x, self.y);
        let (width, height) = area.dim_in_pixel();
        let mut across = x.ticks(width / 190);
        let mut up = y.ticks(height / 110);
        for (ticks, whole) in [(&mut across, self.whole.0), (&mut up, self.whole.1)] {
            ticks.retain(|tick| !whole || tick.fract().abs() < 1e-9);
        }
        let mut plane = ChartBuilder::on(area)
            .margin_top(74 + self.above)
            .margin_left(MARGIN)
            .margin_right(44)
            .margin_bottom(10)
            .set_label_area_size(LabelAreaPosition::Left, self.beside)
            .set_label_area_size(LabelAreaPosition::Bottom, 92)
            .build_cartesian_2d(
                Rule {
                    axis: *x,
                    ticks: across,
                },
                Rule {
                    axis: *y,
                    ticks: up,
                },
            )?;
        plane
            .configure_mesh()
            .set_all_tick_mark_size(10)
            .bold_line_style(GRID.stroke_width(2))
            .light_line_style(TRANSPARENT)
            .axis_style(GREY.stroke_width(2))
            .label_style(("sans-serif", SMALL).into_font().color(&GREY))
            .axis_desc_style(("sans-serif", SMALL).into_font().color(&BLACK))
            .x_desc(x_label)
            .y_desc(y_label)
            .draw()?;
        Ok(plane)
    }
}

/// An axis with the values that are written beside it.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    axis: Axis,
    ticks: Vec<f64>,
}

impl Ranged for Rule {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    #[expect(
        clippy::cast_possible_truncation,
        reason = "a share of the pixels between the limits"
    )]
    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let low = self.axis.place(self.axis.low);
        let high = self.axis.place(self.axis.high);
        let share = (self.axis.place(*value) - low) / (high - low);
        limit.0 + (f64::from(limit.1 - limit.0) * share.clamp(0.0, 1.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.axis.low..self.axis.high
    }
}

impl ValueFormatter<f64> for Rule {
    fn format_ext(&self, value: &f64) -> String {
        self.axis.label(*value)
    }
}

/// Writes a line; `at` is its upper left corner.
pub(super) fn text<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    line: &str,
    at: (i32, i32),
    size: i32,
    colour: RGBColor,
) -> Result<(), Failed<B>> {
    let style = ("sans-serif", size).into_font().color(&colour);
    let (width, _) = area.dim_in_pixel();
    let room = i64::from(width) - i64::from(at.0) - 20;
    let mut line = line.to_owned();
    // What does not fit is cut, and says so.
    while i64::from(area.estimate_text_size(&line, &style)?.0) > room && line.pop().is_some() {
        line.pop();
        line.push('…');
        if line == "…" {
            break;
        }
    }
    area.draw_text(&line, &style, at)
}

/// How wide a line of small text is.
pub(super) fn width<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    line: &str,
) -> Result<i32, Failed<B>> {
    let style = ("sans-serif", SMALL).into_font();
    let (width, _) = area.estimate_text_size(line, &style.into())?;
    Ok(i32::try_from(width).unwrap_or(i32::MAX))
}
