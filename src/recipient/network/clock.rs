//! How far this machine's clock is off, by the `Date` of what services answer: signatures and tokens hold for minutes.

use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use super::held;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// What services said of the time.
#[derive(Default, Debug)]
pub struct Clock(Mutex<Option<i64>>);

impl Clock {
    /// Takes a `Date` header that came just now.
    pub fn heard(&self, date: &str) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok().and_then(|elapsed| i64::try_from(elapsed.as_secs()).ok());
        if let (Some(now), Some(said)) = (now, seconds(date)) {
            *held(&self.0) = Some(now - said);
        }
    }

    /// Seconds that this machine's clock is ahead of the service that answered last; negative if it is behind.
    pub fn ahead(&self) -> Option<i64> {
        *held(&self.0)
    }
}

/// Seconds since 1970 of `Sun, 06 Nov 1994 08:49:37 GMT`, the one form that senders may use (RFC 9110, 5.6.7).
fn seconds(date: &str) -> Option<i64> {
    let (_, rest) = date.split_once(", ")?;
    let words: Vec<&str> = rest.split(' ').collect();
    let [day, month, year, time, "GMT"] = words[..] else { return None };
    let month = MONTHS.iter().position(|name| *name == month)?;
    let number = |text: &str| text.parse::<u32>().ok();
    let clock: Vec<u32> = time.split(':').filter_map(number).collect();
    let [hour, minute, second] = clock[..] else { return None };
    let days = days(i64::from(number(year)?), i64::try_from(month).ok()? + 1, i64::from(number(day)?));
    Some(days * 86_400 + i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second))
}

/// Days since 1970 in the Gregorian calendar; years are counted from March, so that a leap day is the last of its year.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let since_march = (month + 9) % 12;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (since_march * 153 + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_answers_are_read() {
        assert_eq!(seconds("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(seconds("Thu, 29 Feb 2024 23:59:59 GMT"), Some(1_709_251_199));
        assert_eq!(seconds("Fri, 01 Mar 2024 00:00:00 GMT"), Some(1_709_251_200));
        for odd in ["", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "Sun, 06 Nov 1994 08:49 GMT"] {
            assert_eq!(seconds(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_clock_that_is_ahead_is_told_by_how_much() {
        let clock = Clock::default();
        clock.heard("no date");
        assert_eq!(clock.ahead(), None);
        clock.heard("Thu, 01 Jan 1970 00:00:00 GMT");
        assert!(clock.ahead().unwrap() > 1_700_000_000);
    }
}
