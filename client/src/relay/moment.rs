//! When something came, by the clock on the user's wall.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Where the user is.
#[derive(Debug, Clone)]
pub struct Zone(TimeZone);

impl Zone {
    /// As the system says; UTC where it does not.
    #[must_use]
    pub fn of_the_system() -> Self {
        Self(TimeZone::try_system().unwrap_or(TimeZone::UTC))
    }

    #[cfg(test)]
    pub(super) fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// Hours, minutes and seconds, of nanoseconds since the Unix epoch.
    #[must_use]
    pub fn time(&self, wall: u64) -> String {
        self.show("%H:%M:%S", wall)
    }

    /// The same with the day before it.
    #[must_use]
    pub fn day_and_time(&self, wall: u64) -> String {
        self.show("%Y-%m-%d %H:%M:%S", wall)
    }

    fn show(&self, format: &str, wall: u64) -> String {
        let moment = Timestamp::from_nanosecond(i128::from(wall)).unwrap_or_default();
        moment.to_zoned(self.0.clone()).strftime(format).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_the_time_where_the_user_is() {
        let wall = 1_789_000_000_000_000_000;
        let utc = Zone::utc();
        assert_eq!(utc.day_and_time(wall), "2026-09-10 00:26:40");
        let east = Zone(TimeZone::fixed(jiff::tz::offset(2)));
        assert_eq!(east.time(wall), "02:26:40");
    }
}
