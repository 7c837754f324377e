//! Times and lines as the chart writes them.

use std::time::Duration;

use ratatui::text::Line;

use super::look::Look;

/// A time by the clock, to whole seconds: `0:07`, `12:07`, `3:12:07`.
pub(super) fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let [hours, minutes, seconds] = [seconds / 3600, seconds / 60 % 60, seconds % 60];
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

/// What is left of a time, so that it ends at zero and not before.
pub(super) fn rounded_up(time: Duration) -> Duration {
    Duration::from_secs(time.as_secs() + u64::from(time.subsec_nanos() > 0))
}

/// How often in a second.
pub(super) fn frequency(per_second: f64) -> String {
    let digits = match per_second {
        v if v >= 99.95 => 0,
        v if v >= 9.995 => 1,
        _ => 2,
    };
    format!("{per_second:.digits$}")
}

/// A line, cut to this width where it is longer, and then it says so.
pub(super) fn cut(text: &str, width: u16, look: &Look) -> String {
    let width = usize::from(width);
    if Line::raw(text).width() <= width {
        return text.to_owned();
    }
    let mut line = String::new();
    for c in text.chars() {
        line.push(c);
        if Line::raw(&line).width() >= width {
            line.pop();
            break;
        }
    }
    if width > 0 {
        line.push(look.symbols.cut);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_a_clock_is() {
        let shown = |millis| clock(Duration::from_millis(millis));
        assert_eq!(shown(0), "0:00");
        assert_eq!(shown(67_999), "1:07");
        assert_eq!(shown(3_600_000 * 49 + 61_000), "49:01:01");
        let left = |millis| clock(rounded_up(Duration::from_millis(millis)));
        assert_eq!([left(0), left(1), left(1_000)], ["0:00", "0:01", "0:01"]);
    }

    #[test]
    fn frequencies_have_three_digits() {
        let shown = [0.0, 1.0, 9.99, 9.996, 99.9, 99.96, 12_345.6].map(frequency);
        assert_eq!(
            shown,
            ["0.00", "1.00", "9.99", "10.0", "99.9", "100", "12346"]
        );
    }

    #[test]
    fn a_line_is_cut_by_its_width_on_the_screen() {
        let cut = |text, width| cut(text, width, &Look::PLAIN);
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "ab…");
        assert_eq!(cut("abcd", 1), "…");
        assert_eq!(cut("abcd", 0), "");
        // Each of these is two columns wide.
        assert_eq!(cut("漢字漢字", 8), "漢字漢字");
        assert_eq!(cut("漢字漢字", 7), "漢字漢…");
        assert_eq!(cut("漢字漢字", 6), "漢字…");
        assert_eq!(cut("漢字漢字", 2), "…");
    }
}
