//! What a program that runs has used.

use std::fs;

use super::processes::Process;
use super::trouble::{Outcome, Trouble};

/// The memory that a program has in use, in KiB.
///
/// # Errors
/// It has ended.
pub fn resident(process: &Process) -> Outcome<f64> {
    memory(process, "VmRSS:")
}

/// The most memory that a program has had in use, in KiB.
///
/// # Errors
/// It has ended.
pub fn peak(process: &Process) -> Outcome<f64> {
    memory(process, "VmHWM:")
}

fn memory(process: &Process, field: &str) -> Outcome<f64> {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id()))?;
    kibibytes(&status, field).ok_or_else(|| "it has ended early".into())
}

fn kibibytes(status: &str, field: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// The processor time that a program has had, threads that have ended included, in nanoseconds. Its clock is exact, where
/// `/proc/PID/stat` counts hundredths of a second.
///
/// # Errors
/// It has ended.
#[cfg(target_os = "linux")]
pub fn processor_time(process: &Process) -> Outcome<f64> {
    use nix::time::{clock_getcpuclockid, clock_gettime};
    use nix::unistd::Pid;

    let time = clock_getcpuclockid(Pid::from_raw(process.id())).and_then(clock_gettime);
    let time = time.map_err(|error| Trouble(format!("its processor time is not told: {error}")))?;
    Ok(std::time::Duration::from(time).as_nanos() as f64)
}

/// The same.
///
/// # Errors
/// It is not told here.
#[cfg(not(target_os = "linux"))]
pub fn processor_time(_: &Process) -> Outcome<f64> {
    Err("its processor time is not told here".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_found_in_the_status() {
        let status = "Name:\ta\nVmHWM:\t    5120 kB\nVmRSS:\t    4096 kB\n";
        assert_eq!(kibibytes(status, "VmRSS:"), Some(4096.0));
        assert_eq!(kibibytes(status, "VmHWM:"), Some(5120.0));
        assert_eq!(kibibytes("Name:\tzombie\n", "VmRSS:"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn processor_time_is_that_of_the_program() {
        let process = Process::start_silent("sleep", &["600"]).unwrap();
        let begin = std::time::Instant::now();
        // It may not have had any yet.
        while processor_time(&process).unwrap() <= 0.0 {
            assert!(begin.elapsed().as_secs() < 60, "it has none");
            std::thread::yield_now();
        }
    }
}
