//! What is on the screen, at many sizes.

use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::Color;

use super::draw::Scene;
use super::look::Look;
use super::progress::Progress;
use super::samples::{in_time, ms, one_of_each, progress};
use crate::ping::verdict::Verdict;

fn drawn(runs: &[Progress], elapsed: Duration, look: &Look, (width, height): (u16, u16)) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let scene = Scene {
        targets: runs.iter().map(|run| (run, elapsed)).collect(),
        messages: 0,
        look,
    };
    let draw = |frame: &mut ratatui::Frame<'_>| scene.draw(frame.area(), frame.buffer_mut());
    terminal.draw(draw).unwrap().buffer.clone()
}

fn lines(buffer: &Buffer) -> Vec<String> {
    let area = buffer.area;
    let line = |y| {
        let symbols = (0..area.width).map(|x| buffer[(x, y)].symbol());
        symbols.collect::<String>().trim_end().to_owned()
    };
    (0..area.height).map(line).collect()
}

fn shown(runs: &[Progress], elapsed: Duration, size: (u16, u16)) -> String {
    lines(&drawn(runs, elapsed, &Look::PLAIN, size)).join("\n")
}

#[test]
fn every_fate_has_its_place_and_its_name() {
    let run = progress("host", Some(20), &one_of_each());
    let screen = shown(&[run], ms(1_950), (80, 24));
    let expected = "\
hii ping host (192.0.2.1:8080, Hii server)
20 probes of 128 octets, one every 100.0 ms

 lost there         │
  lost back            │
       lost                │
cannot tell                   │
   not sent                       │
     150 ms ┤
            │   ○
     100 ms ┤┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈
            │
            │                            ⡀  ⢀   ⡀  ⢀   ⡀  ⢀   ⡀  ⢀   ⡀  ⢀   ⡀  ⢀
      50 ms ┤⡀
            │
       0 ms ┤
            └┯━━━━━━━━━━━━━━━━┯━━━━━━━━━━━━━━━━━┯━━━━━━━━━━━━━━━━┯━━━━━━━━━━━━━━
             0 s            0.5 s              1 s             1.5 s

sent            19  answered        14  late             1  waiting          1
lost    3, 17-22 %  lost there       1  lost back        1  unknown          1
RTT min   40.00 ms  median    60.00 ms  p99       120.0 ms  max       120.0 ms
jitter    4.149 ms  reordered        0  probes/s      10.0  answers/s     10.0
0:01 elapsed, waiting for answers            ⠶ in time  ○ late  │ lost   q stops";
    assert_eq!(screen, expected);
}

#[test]
fn rate_limited_probes_have_their_own_row_and_are_no_loss() {
    let mut verdicts = vec![in_time(40), Verdict::RateLimited];
    let run = [progress("host", Some(20), &verdicts)];
    let screen = shown(&run, ms(1_950), (80, 24));
    assert!(screen.contains("rate-limited "), "{screen}");
    assert!(screen.contains(" 0, 0.0 %  limited          1"), "{screen}");
    assert!(
        screen.contains("  ○ late  │ lost  │ limited   q stops"),
        "{screen}"
    );
    verdicts.push(Verdict::LimitedOrLost);
    let run = [progress("host", Some(20), &verdicts)];
    let screen = shown(&run, ms(1_950), (80, 24));
    assert!(screen.contains("limited or lost "), "{screen}");
    assert!(
        screen.contains(" 0, 0-33 %  limited        1-2"),
        "{screen}"
    );
    for size in [(80, 14), (40, 12)] {
        let screen = shown(&run, ms(1_950), size);
        assert!(screen.contains("  limited"), "{screen}");
    }
}

#[test]
fn every_size_can_be_drawn() {
    let run = |name: &str, count| progress(name, count, &one_of_each());
    let long = "a-name-that-is-far-longer-than-any-screen-is-wide".repeat(9);
    for runs in [
        vec![],
        vec![progress("host", Some(3), &[])],
        vec![run("host", Some(20))],
        vec![run(&long, None), run("漢字", None)],
        vec![
            run("a", Some(1)),
            run("b", Some(1)),
            run("c", None),
            run(&long, None),
        ],
    ] {
        for look in [Look::COLOURED, Look::ASCII] {
            for width in (0..24).chain([40, 80, 200]) {
                for height in (0..14).chain([24, 50]) {
                    for elapsed in [Duration::ZERO, ms(2_000), Duration::from_secs(1 << 40)] {
                        drawn(&runs, elapsed, &look, (width, height));
                    }
                }
            }
        }
    }
}

#[test]
fn colours_are_those_of_the_pictures_and_can_be_left_out() {
    let run = progress("host", Some(20), &one_of_each());
    let colours = |look: &Look, symbol: &str| {
        let buffer = drawn(std::slice::from_ref(&run), ms(2_000), look, (80, 24));
        let of_symbol = buffer.content.iter().filter(|cell| cell.symbol() == symbol);
        of_symbol.map(|cell| cell.fg).collect::<Vec<_>>()
    };
    // In the chart and in the legend.
    assert_eq!(colours(&Look::COLOURED, "○"), [Color::Yellow; 2]);
    assert_eq!(colours(&Look::COLOURED, "⡀")[..1], [Color::LightBlue]);
    let strokes = colours(&Look::COLOURED, "│");
    assert_eq!(strokes[..2], [Color::Magenta, Color::Red]);
    let buffer = drawn(
        std::slice::from_ref(&run),
        ms(2_000),
        &Look::PLAIN,
        (80, 24),
    );
    assert!(buffer.content.iter().all(|cell| cell.fg == Color::Reset));
    let buffer = drawn(
        std::slice::from_ref(&run),
        ms(2_000),
        &Look::ASCII,
        (80, 24),
    );
    assert!(buffer.content.iter().all(|cell| cell.symbol().is_ascii()));
    assert!(lines(&buffer).join("\n").contains('*'));
}

#[test]
fn a_long_run_moves_by_whole_dots_and_is_still_between() {
    let run = progress("host", None, &one_of_each());
    let chart = |elapsed| {
        let lines = lines(&drawn(
            std::slice::from_ref(&run),
            elapsed,
            &Look::PLAIN,
            (73, 24),
        ));
        lines[8..18].join("\n")
    };
    // 60 columns or 120 dots for 60 s.
    let before = chart(ms(9_000));
    assert_eq!(chart(ms(9_450)), before);
    let after = chart(ms(9_500));
    assert_ne!(after, before);
    assert!(
        before.contains('○') && after.contains('○'),
        "{before}\n{after}"
    );
    // It goes on though nothing happens, until nothing of the run is left.
    assert!(!chart(ms(70_000)).contains('○'));
}

#[test]
fn what_comes_from_elsewhere_is_escaped() {
    let run = progress("ho\u{1b}[2Jst\u{202e}", Some(20), &[]);
    let screen = shown(&[run], ms(0), (80, 24));
    assert!(
        screen.contains(r"hii ping ho\u{1b}[2Jst\u{202e} ("),
        "{screen}"
    );
}

#[test]
fn an_outage_and_the_end_are_told() {
    let run = progress("host", Some(20), &one_of_each()[..8]);
    let at = |elapsed, size| shown(std::slice::from_ref(&run), elapsed, size);
    assert!(!at(ms(1_500), (80, 24)).contains("no answer for"));
    let screen = at(ms(3_800), (80, 24));
    assert!(screen.contains("no answer for 3 s"), "{screen}");
    assert!(
        screen.contains("0:03 elapsed, waiting for answers"),
        "{screen}"
    );
    assert!(at(ms(100), (80, 24)).contains("0:00 elapsed, 0:02 left"));
    assert!(at(ms(3_800), (20, 5)).contains("no answer for 3 s"));
    let endless = progress("host", None, &[in_time(1)]);
    let screen = shown(&[endless], ms(61_000), (80, 24));
    assert!(screen.contains("1:01 elapsed  "), "{screen}");
    let silent = progress("host", None, &[Verdict::LostUnknown; 3]);
    let screen = shown(&[silent], ms(1_000), (80, 24));
    assert!(screen.contains("no answer so far"), "{screen}");
}

#[test]
fn several_targets_have_a_panel_each_or_a_row_each() {
    let runs: Vec<_> = (1..=12)
        .map(|number| progress(&format!("host-{number}"), Some(20), &one_of_each()))
        .collect();
    let panels = shown(&runs[..2], ms(2_000), (80, 24));
    for name in ["hii ping host-1 (", "hii ping host-2 ("] {
        assert!(panels.contains(name), "{panels}");
    }
    assert_eq!(panels.matches("median").count(), 2);
    let rows = shown(&runs[..3], ms(2_000), (80, 14));
    for name in ["host-1 ", "host-2 ", "host-3 "] {
        assert!(rows.contains(name), "{rows}");
    }
    assert_eq!(rows.matches("median").count(), 1);
    assert_eq!(rows.matches("16.7 %").count(), 3);
    let few = shown(&runs, ms(2_000), (80, 8));
    assert!(
        few.contains("host-5 ") && few.contains("and 7 more"),
        "{few}"
    );
    assert!(!few.contains("host-6 "), "{few}");
}

#[test]
fn messages_kept_for_the_end_are_counted() {
    let run = progress("host", Some(20), &[]);
    let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
    let scene = Scene {
        targets: vec![(&run, ms(0))],
        messages: 2,
        look: &Look::PLAIN,
    };
    let draw = |frame: &mut ratatui::Frame<'_>| scene.draw(frame.area(), frame.buffer_mut());
    let buffer = terminal.draw(draw).unwrap().buffer.clone();
    assert!(lines(&buffer)[23].ends_with("2 messages, shown at the end   q stops"));
}
