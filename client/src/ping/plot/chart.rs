//! The picture as SVG and as PNG, drawn by the same code.

use std::fmt::Display;
use std::io;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};

use super::data::Picture;
use super::panel::{self, Failed};
use super::{legend, panels};

/// The bundled font, for PNG and for measuring text. An SVG names the reader's own sans-serif.
const FONT: &[u8] = include_bytes!("../../../fonts/DejaVuSans.ttf");

/// Pixels of the picture; twice what it is meant to be seen at, so that lines are fine.
const SIZE: (u32, u32) = (2400, 1840);

/// The picture as an SVG document.
///
/// # Errors
/// The font cannot be used.
pub fn svg(picture: &Picture) -> io::Result<String> {
    let mut document = String::new();
    draw(
        &SVGBackend::with_string(&mut document, SIZE).into_drawing_area(),
        picture,
    )?;
    let (width, height) = SIZE;
    // Shown at half of its own units.
    Ok(document.replacen(
        &format!("width=\"{width}\" height=\"{height}\""),
        &format!("width=\"{}\" height=\"{}\"", width / 2, height / 2),
        1,
    ))
}

/// The picture as a PNG file.
///
/// # Errors
/// The font cannot be used.
pub fn png(picture: &Picture) -> io::Result<Vec<u8>> {
    let (width, height) = SIZE;
    let mut pixels = vec![0; width as usize * height as usize * 3];
    draw(
        &BitMapBackend::with_buffer(&mut pixels, SIZE).into_drawing_area(),
        picture,
    )?;
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(io::Error::other)?;
    writer.write_image_data(&pixels).map_err(io::Error::other)?;
    writer.finish().map_err(io::Error::other)?;
    Ok(file)
}

fn draw<B: DrawingBackend>(root: &DrawingArea<B, Shift>, picture: &Picture) -> io::Result<()> {
    register_font("sans-serif", FontStyle::Normal, FONT)
        .map_err(|_| io::Error::other("the bundled font is damaged"))?;
    sheet(root, picture).map_err(|error| other(&error))
}

/// What plotters says, without its type, which may borrow what is drawn on.
fn other(error: &impl Display) -> io::Error {
    io::Error::other(error.to_string())
}

fn sheet<B: DrawingBackend>(
    root: &DrawingArea<B, Shift>,
    picture: &Picture,
) -> Result<(), Failed<B>> {
    root.fill(&WHITE)?;
    let below = legend::heading(root, picture)?;
    let height = i32::try_from(SIZE.1).unwrap_or(i32::MAX);
    let footer = 44 * i32::try_from(picture.notes.len()).unwrap_or_default();
    let (_, rest) = root.split_vertically(below);
    let (body, notes) = rest.split_vertically(height - below - footer - 10);
    for (line, note) in (0..).zip(&picture.notes) {
        panel::text(&notes, note, (40, line * 44 + 6), panel::SMALL, panel::GREY)?;
    }
    let (top, bottom) = body.split_vertically(height * 2 / 5);
    let (left, right) = top.split_horizontally(1200);
    panels::throughput(&left, picture)?;
    panels::delay(&right, picture)?;
    let (left, right) = bottom.split_horizontally(1620);
    panels::probes(&left, picture)?;
    panels::distribution(&right, picture)?;
    root.present()
}

#[cfg(test)]
mod tests {
    use super::super::data::tests::{every_verdict, picture};
    use super::*;
    use crate::ping::verdict::Verdict;

    #[test]
    fn svg_shows_every_part_and_escapes_names() {
        let document = svg(&picture("<script>&\"", &every_verdict())).unwrap();
        for text in [
            "throughput",
            "mean delay",
            "second since the start",
            "round-trip time",
            "in time",
            "late",
            "lost there",
            "lost back",
            "cannot tell",
            "not sent",
            "&lt;script&gt;&amp;",
            "width=\"1200\"",
        ] {
            assert!(document.contains(text), "{text}");
        }
        assert!(!document.contains("<script") && !document.contains("<b>"));
        assert!(!document.chars().any(|c| c.is_control() && c != '\n'));
        assert!(!document.contains('\u{ffff}'));
        // Elements and the head of the document: all that begins with < is one of ours.
        for tag in document.split('<').skip(1) {
            let known = [
                "svg", "/svg", "?xml", "rect", "text", "/text", "polyline", "circle", "line",
                "polygon", "path",
            ];
            assert!(known.iter().any(|known| tag.starts_with(known)), "{tag}");
        }
    }

    #[test]
    fn names_of_rows_are_not_cut_at_the_edge() {
        let rtt = std::time::Duration::from_millis(5);
        let verdicts = [
            Verdict::InTime { rtt },
            Verdict::RateLimited,
            Verdict::LimitedOrLost,
        ];
        let document = svg(&picture("host", &verdicts)).unwrap();
        let lefts = document.split("<text x=\"").skip(1).map(|text| {
            let (left, _) = text.split_once('"').unwrap();
            left.parse::<i32>().unwrap()
        });
        assert!(
            lefts.clone().count() > 10 && lefts.min() >= Some(0),
            "{document}"
        );
    }

    #[test]
    fn png_is_as_large_as_it_says_and_not_blank() {
        let file = png(&picture("host", &every_verdict())).unwrap();
        let mut reader = png::Decoder::new(io::Cursor::new(file))
            .read_info()
            .unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height), SIZE);
        let inked = pixels.iter().filter(|octet| **octet < 128).count();
        assert!(inked > 10_000, "{inked}");
    }

    #[test]
    fn draws_whatever_there_is() {
        let rtt = std::time::Duration::from_nanos;
        for verdicts in [
            vec![],
            vec![Verdict::InFlight],
            vec![Verdict::LostUnknown; 3],
            vec![Verdict::InTime { rtt: rtt(0) }],
            vec![
                Verdict::InTime { rtt: rtt(1) },
                Verdict::Late { rtt: rtt(u64::MAX) },
            ],
        ] {
            let picture = picture("host", &verdicts);
            svg(&picture).unwrap();
        }
    }
}
