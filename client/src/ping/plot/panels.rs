//! The four panels of a drawn picture.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::axis::Axis;
use super::data::{Picture, millis};
use super::dots::Mark;
use super::panel::{BESIDE, BLUE, Failed, Frame, GREEN, GREY, MARGIN, SMALL, colour, text, width};

/// Points beyond which a curve shows only its line.
const MOST_POINTS: usize = 120;

/// The height of a row of losses.
const LANE: i32 = 34;

/// The original's first panel: bit/s against the second.
pub(super) fn throughput<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    picture: &Picture,
) -> Result<(), Failed<B>> {
    let most = picture.seconds.iter().map(|row| row.throughput);
    let (factor, label) = match most.fold(0.0, f64::max) {
        most if most < 1e4 => (1.0, "throughput (bit/s)"),
        most if most < 1e7 => (1e3, "throughput (kbit/s)"),
        most if most < 1e10 => (1e6, "throughput (Mbit/s)"),
        _ => (1e9, "throughput (Gbit/s)"),
    };
    let values = picture.seconds.iter().map(|row| row.throughput / factor);
    let frame = ("Throughput, there and back, of answers in time", label);
    curve(area, frame, picture, values.collect(), BLUE)
}

/// The original's second panel: mean delay against the second.
pub(super) fn delay<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    picture: &Picture,
) -> Result<(), Failed<B>> {
    let values = picture.seconds.iter().map(|row| row.delay_ns / 1e6);
    let frame = (
        "Mean delay of answers in time (0 where there were none)",
        "mean delay (ms)",
    );
    curve(area, frame, picture, values.collect(), GREEN)
}

fn curve<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    (name, label): (&str, &str),
    picture: &Picture,
    values: Vec<f64>,
    colour: RGBColor,
) -> Result<(), Failed<B>> {
    let last = picture.seconds.last();
    let last = last.map_or(1.0, |row| (row.second + row.covers - 1) as f64);
    let y = Axis::from_zero(values.iter().copied().fold(0.0, f64::max));
    let mut plane = Frame {
        name,
        x: (&Axis::from_zero(last), "second since the start"),
        y: (&y, label),
        whole: (true, false),
        above: 0,
        beside: BESIDE,
    }
    .draw(area)?;
    let seconds = picture.seconds.iter().map(|row| row.second as f64);
    let points: Vec<_> = seconds.zip(values).collect();
    plane.draw_series([PathElement::new(points.clone(), colour.stroke_width(4))])?;
    if points.len() <= MOST_POINTS {
        let dots = points.into_iter();
        plane.draw_series(dots.map(|point| Circle::new(point, 7, colour.filled())))?;
    }
    Ok(())
}

/// Every probe: answers by their time, above them the rest in a row for each fate.
pub(super) fn probes<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    picture: &Picture,
) -> Result<(), Failed<B>> {
    let shown = |mark: &Mark| picture.dots.iter().any(|dot| dot.mark == *mark);
    let lanes: Vec<Mark> = Mark::ALL.into_iter().skip(2).filter(shown).collect();
    let times = picture.times.unwrap_or(Axis::from_zero(0.0));
    let above = LANE * i32::try_from(lanes.len()).unwrap_or_default();
    let mut beside = BESIDE;
    for lane in &lanes {
        beside = beside.max(width(area, lane.label())?);
    }
    let x = Axis {
        log: false,
        low: 0.0,
        high: picture.duration.max(1e-3),
    };
    let mut plane = Frame {
        name: "Every probe, by when it was sent",
        x: (&x, "time since the start (s)"),
        y: (&times, of_times(&times)),
        whole: (false, false),
        above,
        beside,
    }
    .draw(area)?;
    let radius = match picture.dots.len() {
        0..200 => 7,
        200..2000 => 5,
        _ => 3,
    };
    if let Some(deadline) = picture.shown_deadline() {
        let line = vec![(x.low, deadline), (x.high, deadline)];
        plane.draw_series([PathElement::new(line, GREY.stroke_width(2))])?;
    }
    plane.draw_series(picture.dots.iter().filter_map(|dot| {
        let spot = (dot.at.as_secs_f64(), millis(dot.rtt?));
        Some(Circle::new(
            spot,
            radius,
            colour(dot.mark).mix(0.75).filled(),
        ))
    }))?;
    let (ground_x, _) = area.get_base_pixel();
    for (row, mark) in (0..).zip(lanes) {
        let y = 74 + row * LANE;
        let label = mark.label();
        text(
            area,
            label,
            (MARGIN + beside - 16 - width(area, label)?, y),
            SMALL,
            colour(mark),
        )?;
        for dot in picture.dots.iter().filter(|dot| dot.mark == mark) {
            let at = (dot.at.as_secs_f64(), times.low);
            let x = plane.backend_coord(&at).0 - ground_x;
            let stroke = [(x - 1, y + 2), (x + 2, y + LANE - 4)];
            area.draw(&Rectangle::new(stroke, colour(mark).filled()))?;
        }
    }
    Ok(())
}

/// How often each time occurred.
pub(super) fn distribution<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    picture: &Picture,
) -> Result<(), Failed<B>> {
    let times = picture.times.unwrap_or(Axis::from_zero(0.0));
    let most = picture.bins.iter().map(|bin| bin.in_time + bin.late).max();
    let y = Axis::from_zero(most.unwrap_or_default() as f64);
    let mut plane = Frame {
        name: "Distribution",
        x: (&times, of_times(&times)),
        y: (&y, "answers"),
        whole: (false, true),
        above: 0,
        beside: BESIDE,
    }
    .draw(area)?;
    for (mark, from, to) in [(Mark::InTime, 0, 1), (Mark::Late, 1, 2)] {
        plane.draw_series(picture.bins.iter().filter_map(|bin| {
            // Late answers stand on those in time.
            let heights = [0, bin.in_time, bin.in_time + bin.late];
            let (low, high) = (*heights.get(from)? as f64, *heights.get(to)? as f64);
            let corners = [(bin.from, low), (bin.to, high)];
            (high > low).then(|| {
                let mut bar = Rectangle::new(corners, colour(mark).filled());
                bar.set_margin(0, 0, 1, 2);
                bar
            })
        }))?;
    }
    Ok(())
}

fn of_times(axis: &Axis) -> &'static str {
    if axis.log {
        "round-trip time (ms, logarithmic)"
    } else {
        "round-trip time (ms)"
    }
}
