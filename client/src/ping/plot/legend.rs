//! The head of a drawn picture: what was measured, what came of it, and what the colours mean.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::data::Picture;
use super::dots::Mark;
use super::panel::{self, Failed, GREY, SMALL, TITLE, colour, text};
use crate::ping::figures::Time;

/// Draws the head; returns where it ends.
pub(super) fn heading<B: DrawingBackend>(
    root: &DrawingArea<B, Shift>,
    picture: &Picture,
) -> Result<i32, Failed<B>> {
    text(root, &picture.title, (40, 30), TITLE, BLACK)?;
    let mut y = 96;
    for fact in &picture.facts {
        text(root, fact, (40, y), SMALL, GREY)?;
        y += 42;
    }
    y += 10;
    let mut x = 40;
    for mark in Mark::ALL {
        let count = picture.dots.iter().filter(|dot| dot.mark == mark).count();
        if count == 0 {
            continue;
        }
        symbol(root, mark, (x + 12, y + 12))?;
        text(root, mark.label(), (x + 36, y), SMALL, BLACK)?;
        x += 36 + panel::width(root, mark.label())? + 50;
    }
    if let Some(deadline) = picture.shown_deadline() {
        let style = GREY.filled();
        root.draw(&Rectangle::new([(x, y + 11), (x + 40, y + 13)], style))?;
        let label = format!("late above {}", Time(deadline * 1e6));
        text(root, &label, (x + 54, y), SMALL, BLACK)?;
    }
    if !picture.dots.is_empty() {
        y += 48;
    }
    Ok(y)
}

/// Answers are dots, all else is a stroke.
fn symbol<B: DrawingBackend>(
    root: &DrawingArea<B, Shift>,
    mark: Mark,
    at: (i32, i32),
) -> Result<(), Failed<B>> {
    let style = colour(mark).filled();
    match mark {
        Mark::InTime | Mark::Late => root.draw(&Circle::new(at, 9, style)),
        _ => root.draw(&Rectangle::new(
            [(at.0 - 2, at.1 - 14), (at.0 + 2, at.1 + 14)],
            style,
        )),
    }
}
