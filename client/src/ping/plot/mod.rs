//! A picture of a run: throughput and delay per second, every probe, and the distribution of round-trip times.

use std::io;

use hii_server::exit::{Failure, note};

pub mod axis;
pub mod chart;
pub mod data;
pub mod distribution;
pub mod dots;
pub mod file;
pub mod html;
mod legend;
mod panel;
mod panels;

use data::Picture;
use file::{Form, PlotFile};

/// Draws the picture into each file.
///
/// # Errors
/// The first that could not be written; the others have been, all the same.
pub fn write(files: &[PlotFile], picture: &Picture) -> Result<(), Failure> {
    let mut result = Ok(());
    for file in files {
        let written = draw(file.form(), picture)
            .map_err(|error| file.failure(&error))
            .and_then(|octets| file.write(&octets));
        match written {
            Ok(()) => note(format_args!("hii: the picture is in {file}")),
            Err(failure) => result = result.and(Err(failure)),
        }
    }
    result
}

/// The octets of the picture in this form.
///
/// # Errors
/// There is no way to draw it, which a test would have seen.
pub fn draw(form: Form, picture: &Picture) -> io::Result<Vec<u8>> {
    match form {
        Form::Svg => chart::svg(picture).map(String::into_bytes),
        Form::Png => chart::png(picture),
        Form::Html => html::page(picture).map(String::into_bytes),
    }
}
