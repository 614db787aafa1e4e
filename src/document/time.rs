//! Timestamps: the four YAML spellings SOPS recognises, RFC 3339 inside an `ENC[…]` value, and the one output form.

/// A point in time with its own UTC offset, as written (no conversion between zones).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp {
    year: u32,
    month: u32,
    day: u32,
    hour: u32,
    minute: u32,
    second: u32,
    nanos: u32,
    offset_minutes: i32,
}

/// What may separate the date from the time of day.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Separator {
    /// Upper- or lower-case `t`; a zone must follow the time.
    AnyT,
    /// Only `T`; month, day, minute and second need two digits.
    Strict,
    /// One or more spaces; no zone may follow, the time is UTC.
    Spaces,
}

impl Stamp {
    /// Reads a YAML timestamp: a date, `dateTtime±zone` or `date time`; one-digit fields are accepted.
    pub fn from_yaml(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if !starts_like_a_date(bytes) {
            return None;
        }
        let separator = match bytes.iter().find(|b| matches!(b, b'T' | b't' | b' ')) {
            None => return Self::date_only(bytes),
            Some(b' ') => Separator::Spaces,
            Some(_) => Separator::AnyT,
        };
        Self::read(bytes, separator)
    }

    /// Reads an RFC 3339 timestamp as found inside an encrypted value; the hour may have one digit.
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        Self::read(text.as_bytes(), Separator::Strict)
    }

    /// The second `seconds` after the start of 1970, in UTC; days are those of the Gregorian calendar.
    pub fn of_unix(seconds: u64) -> Self {
        let (days, rest) = (seconds / 86_400, (seconds % 86_400) as u32);
        let (year, month, day) = civil(days);
        Stamp { year, month, day, hour: rest / 3600, minute: rest / 60 % 60, second: rest % 60, nanos: 0, offset_minutes: 0 }
    }

    fn date_only(text: &[u8]) -> Option<Self> {
        let mut cursor = Cursor(text);
        let (year, month, day) = cursor.date(false)?;
        let stamp = Stamp { year, month, day, hour: 0, minute: 0, second: 0, nanos: 0, offset_minutes: 0 };
        (cursor.0.is_empty() && stamp.is_valid()).then_some(stamp)
    }

    fn read(text: &[u8], separator: Separator) -> Option<Self> {
        let strict = separator == Separator::Strict;
        let mut cursor = Cursor(text);
        let (year, month, day) = cursor.date(strict)?;
        cursor.separator(separator)?;
        let hour = cursor.number(false)?;
        cursor.byte(b':')?;
        let minute = cursor.number(strict)?;
        cursor.byte(b':')?;
        let second = cursor.number(strict)?;
        let nanos = cursor.fraction();
        let offset_minutes = if separator == Separator::Spaces { 0 } else { cursor.zone()? };
        let stamp = Stamp { year, month, day, hour, minute, second, nanos, offset_minutes };
        (cursor.0.is_empty() && stamp.is_valid()).then_some(stamp)
    }

    fn is_valid(&self) -> bool {
        (1..=12).contains(&self.month)
            && (1..=days_in(self.month, self.year)).contains(&self.day)
            && self.hour < 24
            && self.minute < 60
            && self.second < 60
    }

    /// RFC 3339 with up to nine fractional digits, trailing zeros cut, `Z` for a zero offset. `None` for an offset of
    /// a day or more, which the format cannot express.
    pub fn to_rfc3339(self) -> Option<String> {
        let Stamp { year, month, day, hour, minute, second, .. } = self;
        let mut out = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
        if self.nanos != 0 {
            out.push_str(format!(".{:09}", self.nanos).trim_end_matches('0'));
        }
        let size = self.offset_minutes.unsigned_abs();
        match self.offset_minutes {
            0 => out.push('Z'),
            minutes => {
                let sign = if minutes < 0 { '-' } else { '+' };
                out.push_str(&format!("{sign}{:02}:{:02}", size / 60, size % 60));
            }
        }
        (size < 24 * 60).then_some(out)
    }
}

/// Cheap test: every timestamp starts with four digits and a hyphen.
pub fn starts_like_a_date(text: &[u8]) -> bool {
    matches!(text, [a, b, c, d, b'-', ..] if [a, b, c, d].iter().all(|byte| byte.is_ascii_digit()))
}

/// Days since 1970-01-01 as a date: counted in 400-year eras from 0000-03-01, so that a leap day is the last of its year.
fn civil(days: u64) -> (u32, u32, u32) {
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    ((era * 400 + year + u64::from(month <= 2)) as u32, month as u32, date as u32)
}

fn days_in(month: u32, year: u32) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The unread rest of a timestamp.
struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn byte(&mut self, wanted: u8) -> Option<()> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        (*first == wanted).then_some(())
    }

    /// One or two digits, or exactly two if `fixed`.
    fn number(&mut self, fixed: bool) -> Option<u32> {
        let digit = |index: usize| self.0.get(index).filter(|b| b.is_ascii_digit()).map(|b| u32::from(b - b'0'));
        let (value, length) = match (digit(0)?, digit(1)) {
            (tens, Some(ones)) => (tens * 10 + ones, 2),
            (ones, None) if !fixed => (ones, 1),
            _ => return None,
        };
        self.0 = &self.0[length..];
        Some(value)
    }

    fn date(&mut self, fixed: bool) -> Option<(u32, u32, u32)> {
        let year = self.number(true)? * 100 + self.number(true)?;
        self.byte(b'-')?;
        let month = self.number(fixed)?;
        self.byte(b'-')?;
        Some((year, month, self.number(fixed)?))
    }

    fn separator(&mut self, wanted: Separator) -> Option<()> {
        match wanted {
            Separator::Strict => self.byte(b'T'),
            Separator::AnyT if self.0.starts_with(b"t") => self.byte(b't'),
            Separator::AnyT => self.byte(b'T'),
            Separator::Spaces => {
                self.byte(b' ')?;
                let spaces = self.0.iter().take_while(|b| **b == b' ').count();
                self.0 = &self.0[spaces..];
                Some(())
            }
        }
    }

    /// An optional fraction after a dot or a comma; digits past the ninth are dropped, not rounded.
    fn fraction(&mut self) -> u32 {
        let [b'.' | b',', digits @ ..] = self.0 else {
            return 0;
        };
        let count = digits.iter().take_while(|b| b.is_ascii_digit()).count();
        if count == 0 {
            return 0;
        }
        let (read, rest) = digits.split_at(count);
        self.0 = rest;
        let padded = read.iter().copied().chain(std::iter::repeat(b'0')).take(9);
        padded.fold(0, |sum, byte| sum * 10 + u32::from(byte - b'0'))
    }

    /// `Z` or `±hh:mm`, in minutes. 24 hours and 60 minutes pass here; only the output form refuses a whole day.
    fn zone(&mut self) -> Option<i32> {
        let (sign, rest) = self.0.split_first()?;
        self.0 = rest;
        let direction = match sign {
            b'Z' => return Some(0),
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        let hours = self.number(true)?;
        self.byte(b':')?;
        let minutes = self.number(true)?;
        let total = i32::try_from(hours * 60 + minutes).ok()?;
        (hours <= 24 && minutes <= 60).then_some(direction * total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn yaml(text: &str) -> Option<String> {
        Stamp::from_yaml(text).and_then(Stamp::to_rfc3339)
    }

    #[test]
    fn dates_of_seconds_are_those_of_the_calendar() {
        let text = |seconds| Stamp::of_unix(seconds).to_rfc3339();
        assert_eq!(text(0).as_deref(), Some("1970-01-01T00:00:00Z"));
        assert_eq!(text(951_782_400).as_deref(), Some("2000-02-29T00:00:00Z"));
        assert_eq!(text(1_700_000_000).as_deref(), Some("2023-11-14T22:13:20Z"));
        assert_eq!(text(4_107_542_399).as_deref(), Some("2100-02-28T23:59:59Z"));
    }

    fn rfc3339(text: &str) -> Option<String> {
        Stamp::from_rfc3339(text).and_then(Stamp::to_rfc3339)
    }

    #[test]
    fn yaml_spellings() {
        let cases = [
            ("2020-1-1", "2020-01-01T00:00:00Z"),
            ("2020-02-29", "2020-02-29T00:00:00Z"),
            ("2020-1-2T3:4:5Z", "2020-01-02T03:04:05Z"),
            ("2020-01-01t00:00:00,50+01:30", "2020-01-01T00:00:00.5+01:30"),
            ("2020-01-01T00:00:00.1234567899Z", "2020-01-01T00:00:00.123456789Z"),
            ("2020-01-01T00:00:00-00:00", "2020-01-01T00:00:00Z"),
            ("2020-01-01T00:00:00+00:60", "2020-01-01T00:00:00+01:00"),
            ("2020-01-01    2:3:4", "2020-01-01T02:03:04Z"),
        ];
        for (text, wanted) in cases {
            assert_eq!(yaml(text).as_deref(), Some(wanted), "{text}");
        }
    }

    #[test]
    fn not_yaml_timestamps() {
        let cases = [
            "2020-13-01",
            "2021-02-29",
            "1900-02-29",
            "2020-01-00",
            "2020-01-01T24:00:00Z",
            "2020-01-01T00:00:00",
            "2020-01-01T00:00:00z",
            "2020-01-01 00:00:00Z",
            "2020-01-01 ",
            "2020-01-01x",
            "2020-01-01T00:00:00.Z",
            "2020-01-01T00:00:00+25:00",
            "2020-01-01T00:00:00+1:00",
            "020-01-01",
        ];
        for text in cases {
            assert_eq!(Stamp::from_yaml(text), None, "{text}");
        }
    }

    #[test]
    fn whole_day_offsets_have_no_output_form() {
        assert!(Stamp::from_yaml("2020-01-01T00:00:00+24:00").is_some());
        assert_eq!(yaml("2020-01-01T00:00:00+24:00"), None);
        assert_eq!(yaml("2020-01-01T00:00:00-23:60"), None);
    }

    #[test]
    fn encrypted_timestamps() {
        assert_eq!(rfc3339("2020-01-01T1:02:03.10Z").as_deref(), Some("2020-01-01T01:02:03.1Z"));
        for text in ["2020-1-01T00:00:00Z", "2020-01-01t00:00:00Z", "2020-01-01T00:0:00Z", "2020-01-01", ""] {
            assert_eq!(rfc3339(text), None, "{text}");
        }
    }
}
