//! `strftime_now(format)`: the time as Python's `strftime` writes it in the C locale.

use crate::host::LocalTime;

const DAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Formats a time; a directive that is none stays as it is, as the C library leaves it.
pub(super) fn strftime(format: &str, time: &LocalTime) -> String {
    let mut out = String::new();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        // `%-d`: without filling up; `%_d`: with spaces.
        let flag = chars.next_if(|c| matches!(c, '-' | '_' | '0' | '^' | '#'));
        let Some(directive) = chars.next() else {
            out.push('%');
            out.extend(flag);
            break;
        };
        match written(directive, time) {
            Some(Part::Text(text)) => match flag {
                Some('^') => out.push_str(&text.to_uppercase()),
                _ => out.push_str(&text),
            },
            Some(Part::Number(value, width, fill)) => {
                let fill = match flag {
                    Some('-') => None,
                    Some('_') => Some(' '),
                    Some('0') => Some('0'),
                    _ => Some(fill),
                };
                let digits = value.to_string();
                if let Some(fill) = fill {
                    out.extend(std::iter::repeat_n(
                        fill,
                        width.saturating_sub(digits.len()),
                    ));
                }
                out.push_str(&digits);
            }
            None => {
                out.push('%');
                out.extend(flag);
                out.push(directive);
            }
        }
    }
    out
}

/// What a directive gives.
enum Part {
    Text(String),
    /// With its width and what fills it up.
    Number(i64, usize, char),
}

fn written(directive: char, time: &LocalTime) -> Option<Part> {
    let date = Date::of(time);
    let number = |value: i64, width: usize| Part::Number(value, width, '0');
    let again = |format: &str| Part::Text(strftime(format, time));
    let hour12 = (date.hour + 11) % 12 + 1;
    let half = if date.hour < 12 { "AM" } else { "PM" };
    let month = MONTHS[(date.month - 1) as usize % 12];
    let day = DAYS[date.weekday as usize % 7];
    Some(match directive {
        'Y' => number(date.year, 1),
        'C' => number(date.year.div_euclid(100), 2),
        'y' => number(date.year.rem_euclid(100), 2),
        'm' => number(date.month, 2),
        'd' => number(date.day, 2),
        'e' => Part::Number(date.day, 2, ' '),
        'H' => number(date.hour, 2),
        'k' => Part::Number(date.hour, 2, ' '),
        'I' => number(hour12, 2),
        'l' => Part::Number(hour12, 2, ' '),
        'M' => number(date.minute, 2),
        'S' => number(date.second, 2),
        'f' => number(i64::from(time.microsecond), 6),
        'p' => Part::Text(half.into()),
        'P' => Part::Text(half.to_lowercase()),
        'A' => Part::Text(day.into()),
        'a' => Part::Text(day[..3].into()),
        'B' => Part::Text(month.into()),
        'b' | 'h' => Part::Text(month[..3].into()),
        'j' => number(date.day_of_year + 1, 3),
        'u' => number((date.weekday + 6) % 7 + 1, 1),
        'w' => number(date.weekday, 1),
        'U' => number((date.day_of_year + 7 - date.weekday) / 7, 2),
        'W' => number((date.day_of_year + 7 - (date.weekday + 6) % 7) / 7, 2),
        'V' => number(date.iso_week().1, 2),
        'G' => number(date.iso_week().0, 1),
        'g' => number(date.iso_week().0.rem_euclid(100), 2),
        's' => number(
            time.seconds
                .saturating_sub(i64::from(time.offset_minutes) * 60),
            1,
        ),
        'c' => again("%a %b %e %H:%M:%S %Y"),
        'x' | 'D' => again("%m/%d/%y"),
        'X' | 'T' => again("%H:%M:%S"),
        'R' => again("%H:%M"),
        'r' => again("%I:%M:%S %p"),
        'F' => again("%Y-%m-%d"),
        'n' => Part::Text("\n".into()),
        't' => Part::Text("\t".into()),
        // `datetime.now()` knows no zone.
        'z' | 'Z' => Part::Text(String::new()),
        '%' => Part::Text("%".into()),
        _ => return None,
    })
}

/// A day of the Gregorian calendar and a time of it.
struct Date {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    /// From Sunday.
    weekday: i64,
    /// From 0.
    day_of_year: i64,
}

impl Date {
    fn of(time: &LocalTime) -> Self {
        let (days, rest) = (
            time.seconds.div_euclid(86_400),
            time.seconds.rem_euclid(86_400),
        );
        // Years that begin in March have their leap day at the end; an era of 400 of them has 146,097 days.
        let shifted = days + 719_468;
        let (era, in_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let year = (in_era - in_era / 1_460 + in_era / 36_524 - in_era / 146_096) / 365;
        let from_march = in_era - (365 * year + year / 4 - year / 100);
        let shifted_month = (5 * from_march + 2) / 153;
        let day = from_march - (153 * shifted_month + 2) / 5 + 1;
        let month = (shifted_month + 2) % 12 + 1;
        let year = year + era * 400 + i64::from(month <= 2);
        let before_march = 59 + i64::from(is_leap(year));
        Self {
            year,
            month,
            day,
            hour: rest / 3600,
            minute: rest / 60 % 60,
            second: rest % 60,
            weekday: (days + 4).rem_euclid(7),
            day_of_year: match month {
                1 | 2 => from_march - 306,
                _ => from_march + before_march,
            },
        }
    }

    /// The ISO year and week: the week of a Thursday belongs to that day's year.
    fn iso_week(&self) -> (i64, i64) {
        let thursday = self.day_of_year + 3 - (self.weekday + 6) % 7;
        let length = |year| 365 + i64::from(is_leap(year));
        match thursday {
            before if before < 0 => (self.year - 1, (before + length(self.year - 1)) / 7 + 1),
            after if after >= length(self.year) => (self.year + 1, 1),
            day => (self.year, day / 7 + 1),
        }
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}
