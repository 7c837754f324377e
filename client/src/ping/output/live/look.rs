//! What a terminal can show: colours, and characters beyond ASCII. The colours are those of a picture by name, in the
//! shades of the reader's own palette; every mark has its own shape or place too.

use ratatui::style::{Color, Modifier, Style};

use crate::ping::plot::dots::Mark;

/// How the chart is drawn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    is_coloured: bool,
    pub(super) symbols: Symbols,
}

/// The characters of the chart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Symbols {
    /// Whether answers in time are dots of Braille cells, which are eight times finer.
    pub(super) is_fine: bool,
    /// An answer in time, in words about it.
    pub(super) in_time: char,
    /// A late answer.
    pub(super) late: char,
    /// A probe that was not answered.
    pub(super) lost: char,
    /// Above this, answers are late.
    pub(super) deadline: char,
    /// The upright axis, without and with a value beside it.
    pub(super) upright: (char, char),
    /// Where the axes meet.
    pub(super) corner: char,
    /// The axis of time, without and with a value below it.
    pub(super) level: (char, char),
    /// The same, of the part of the run that has passed.
    pub(super) passed: (char, char),
    /// Where a line is cut.
    pub(super) cut: char,
}

impl Symbols {
    const UNICODE: Self = Self {
        is_fine: true,
        in_time: '⠶',
        late: '○',
        lost: '│',
        deadline: '┈',
        upright: ('│', '┤'),
        corner: '└',
        level: ('─', '┬'),
        passed: ('━', '┯'),
        cut: '…',
    };

    const ASCII: Self = Self {
        is_fine: false,
        in_time: '*',
        late: 'o',
        lost: '|',
        deadline: '.',
        upright: ('|', '+'),
        corner: '+',
        level: ('-', '+'),
        passed: ('=', '+'),
        cut: '~',
    };
}

impl Look {
    /// What the environment says of the terminal.
    pub(super) fn of_environment() -> Self {
        Self::new(|name| std::env::var_os(name)?.into_string().ok())
    }

    fn new(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name| variable(name).filter(|value| !value.is_empty());
        // The first that is set counts (POSIX).
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
        let locale = locale.unwrap_or_default().to_ascii_lowercase();
        let is_unicode = ["utf-8", "utf8"].iter().any(|name| locale.contains(name));
        // The console of Linux has no font with Braille.
        let is_console = set("TERM").is_some_and(|terminal| terminal == "linux");
        Self {
            is_coloured: set("NO_COLOR").is_none(),
            symbols: if is_unicode && !is_console {
                Symbols::UNICODE
            } else {
                Symbols::ASCII
            },
        }
    }

    /// For what matters less. Not grey, which some palettes have for their background.
    pub(super) fn soft() -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// For a name.
    pub(super) fn strong() -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// For what is out of order.
    pub(super) fn alarm(&self) -> Style {
        self.of(Mark::LostBack).add_modifier(Modifier::BOLD)
    }

    /// For a mark and its name.
    pub(super) fn of(&self, mark: Mark) -> Style {
        let colour = match mark {
            Mark::InTime => Color::LightBlue,
            Mark::Late => Color::Yellow,
            Mark::LostThere => Color::Magenta,
            Mark::LostBack => Color::Red,
            Mark::DroppedLocally => Color::LightRed,
            Mark::Refused => Color::Cyan,
            Mark::RateLimited => Color::LightMagenta,
            // Black on a white page: the colour of text.
            Mark::Lost => return Style::new(),
            Mark::LimitedOrLost | Mark::Unknown | Mark::NotSent => return Self::soft(),
        };
        if self.is_coloured {
            Style::new().fg(colour)
        } else {
            Style::new()
        }
    }
}

#[cfg(test)]
impl Look {
    pub(super) const PLAIN: Self = Self {
        is_coloured: false,
        symbols: Symbols::UNICODE,
    };
    pub(super) const COLOURED: Self = Self {
        is_coloured: true,
        symbols: Symbols::UNICODE,
    };
    pub(super) const ASCII: Self = Self {
        is_coloured: false,
        symbols: Symbols::ASCII,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(variables: &[(&str, &str)]) -> (bool, bool) {
        let look = Look::new(|wanted| {
            let found = variables.iter().find(|(name, _)| *name == wanted);
            found.map(|(_, value)| (*value).to_owned())
        });
        (look.is_coloured, look.symbols.is_fine)
    }

    #[test]
    fn follows_what_the_environment_says() {
        assert_eq!(look(&[]), (true, false));
        assert_eq!(look(&[("LANG", "de_CH.UTF-8")]), (true, true));
        assert_eq!(look(&[("LANG", "C.utf8"), ("NO_COLOR", "")]), (true, true));
        assert_eq!(
            look(&[("LANG", "C.utf8"), ("NO_COLOR", "1")]),
            (false, true)
        );
        assert_eq!(look(&[("LC_ALL", "C"), ("LANG", "C.UTF-8")]), (true, false));
        assert_eq!(look(&[("LC_ALL", ""), ("LANG", "C.UTF-8")]), (true, true));
        assert_eq!(
            look(&[("LANG", "C.UTF-8"), ("TERM", "linux")]),
            (true, false)
        );
    }

    #[test]
    fn without_colours_there_are_none() {
        for mark in Mark::ALL {
            assert_eq!(Look::PLAIN.of(mark).fg, None);
        }
        assert_eq!(Look::PLAIN.alarm().fg, None);
        assert_eq!(Look::COLOURED.of(Mark::LostBack).fg, Some(Color::Red));
    }
}
