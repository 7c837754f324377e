//! What the commands of all services have in common: how they start, what they say, how they end.

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;

use hii_transport::{sampled, shutdown};
use serde::Serialize;

use crate::exit::{Exit, Failure, note};
use crate::logs::LogFormat;
use crate::metrics::Endpoint;
use crate::threads::current_thread_runtime;

/// Runs a service's command on a runtime of this thread. Reports at its end how many lines its log lacks.
///
/// # Errors
/// There is no memory for it, or the command's own.
pub(crate) fn block_on<T>(command: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = current_thread_runtime().map_err(|error| cannot_start(&error))?;
    let result = runtime.block_on(command);
    sampled::report_left_out();
    result
}

/// The same on a runtime of all cores. What still runs at its end is left behind.
///
/// # Errors
/// As [`block_on`].
pub(crate) fn block_on_all_cores<T>(
    command: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| cannot_start(&error))?;
    let result = runtime.block_on(command);
    runtime.shutdown_background();
    sampled::report_left_out();
    result
}

fn cannot_start(error: &io::Error) -> Failure {
    Failure::new(
        Exit::Unreachable,
        format_args!("cannot start: {error}"),
        "free some memory or files",
    )
}

/// Completes when somebody asks the program to stop.
///
/// # Errors
/// The signals cannot be caught.
pub(crate) fn asked_to_stop() -> Result<impl Future<Output = ()>, Failure> {
    let signal = shutdown::asked_to_stop().map_err(|error| {
        Failure::new(
            Exit::Unreachable,
            format_args!("cannot catch signals: {error}"),
            "free some files",
        )
    })?;
    Ok(async {
        // Outside of the log line, which is left out where nobody wants it.
        let reason = signal.await;
        tracing::info!(reason, "stopping");
    })
}

/// What ended a service that was to go on.
pub(crate) fn cannot_serve(error: &io::Error) -> Failure {
    let advice = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported => {
            "the sandbox has to allow recvmsg and poll"
        }
        _ => "free some memory or files",
    };
    Failure::new(
        Exit::Unreachable,
        format_args!("cannot serve: {error}"),
        advice,
    )
}

/// The address of `--metrics`.
///
/// # Errors
/// A sentence that says what is wrong with the text.
pub(crate) fn metrics_address(text: &str) -> Result<SocketAddr, String> {
    let address = text.parse();
    address.map_err(|_| "give an address with a port, such as 127.0.0.1:9100 or [::1]:9100".into())
}

/// Says where the metrics are.
pub(crate) fn tell_metrics(endpoint: &Endpoint, log: LogFormat) {
    let address = endpoint.address();
    match log {
        LogFormat::Text => note(format_args!("  metrics at http://{address}/metrics")),
        LogFormat::Json => tracing::info!(metrics = %address, "listening"),
    }
}

/// Prints what a service did, at its end.
///
/// # Errors
/// There is no room for it.
pub(crate) fn print(tally: &(impl Display + Serialize), json: bool) -> Result<(), Failure> {
    write(tally, json).map_err(|error| {
        Failure::new(
            Exit::Output,
            format_args!("cannot print the tally: {error}"),
            "give stdout room",
        )
    })
}

fn write(tally: &(impl Display + Serialize), json: bool) -> io::Result<()> {
    use std::io::Write as _;
    let mut out = io::stdout().lock();
    if json {
        serde_json::to_writer(&mut out, tally)?;
        writeln!(out)?;
    } else {
        writeln!(out, "{tally}")?;
    }
    out.flush()
}
