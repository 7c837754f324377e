use std::io::{self, Write};
use std::sync::Arc;

use serde_json::Value;
use tracing::level_filters::LevelFilter;

use super::*;

/// What a log holds that is written to memory.
#[derive(Debug, Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Write for Memory {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The fields of the lines that are logged meanwhile, at most at this level.
fn log(level: LevelFilter, events: impl FnOnce()) -> Vec<Value> {
    let memory = Memory::default();
    let writer = memory.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_max_level(level)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, events);
    let text = String::from_utf8(memory.0.lock().unwrap().clone()).unwrap();
    text.lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["fields"].clone())
        .collect()
}

fn left_out(lines: &[Value], what: &str) -> (u64, u64) {
    let of = |name| lines.iter().filter(move |line| line[name] == what);
    let sum = of("message").chain(of("of"));
    let sum = sum.filter_map(|line| line["left_out"].as_u64()).sum();
    (of("message").count() as u64, sum)
}

#[test]
fn each_second_has_its_lines_and_the_rest_is_counted() {
    let mut sampler = Sampler::new();
    let lines = (0..100).filter_map(|_| sampler.take(Duration::from_millis(1500)));
    assert_eq!(lines.collect::<Vec<_>>(), [0; 10]);
    assert_eq!(sampler.take(Duration::from_secs(2)), Some(90));
    assert_eq!(sampler.take(Duration::from_secs(2)), Some(0));
}

#[test]
fn many_events_are_few_lines_and_none_disappears() {
    const EVENTS: u64 = 30_000;
    let lines = log(LevelFilter::INFO, || {
        // Ten seconds of three kinds, one of which is off.
        for number in 0..EVENTS {
            let now = Duration::from_millis(number / 3);
            sampled!(at now, warn, "cannot send", number);
            sampled!(at now, info, "let in", from = %"192.0.2.1:7", number);
            sampled!(at now, debug, "unseen");
        }
        sampled!(info, "alone");
        report_left_out();
        // All was reported.
        report_left_out();
    });
    for what in ["cannot send", "let in"] {
        let (written, left_out) = left_out(&lines, what);
        assert_eq!(written, 10 * u64::from(MAX_LINES), "{what}");
        assert_eq!(written + left_out, EVENTS, "{what}");
    }
    assert_eq!(left_out(&lines, "unseen"), (0, 0));
    assert_eq!(left_out(&lines, "alone"), (1, 0));
    let lines_of_two = 2 * 10 * MAX_LINES as usize;
    assert_eq!(lines.len(), lines_of_two + 1 + 2, "{lines:?}");
    assert_eq!(lines[0]["left_out"], Value::Null);
    assert_eq!(lines[1]["from"], "192.0.2.1:7");
}
