//! Formats numbers for people: counts, bytes, rates, durations. Pure.

use std::time::Duration;

/// Formats `1234567` as `1,234,567`.
#[must_use]
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut words = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            words.push(',');
        }
        words.push(digit);
    }
    words
}

/// Formats a count with its noun, in the singular if the count is 1.
#[must_use]
pub fn counted(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(n), if n == 1 { "" } else { "s" })
}

/// Formats bytes in powers of 1024: `8.4 MiB`.
#[must_use]
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if n < 1024 {
        return format!("{n} B");
    }
    let mut value = n as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS.get(unit).unwrap_or(&""))
}

/// Formats events per second: `0.3/s`, `199/s`, `12.3k/s`, `4.1M/s`.
#[must_use]
pub fn rate(per_second: f64) -> String {
    match per_second {
        r if r < 0.05 => "0/s".to_owned(),
        r if r < 9.95 => format!("{r:.1}/s"),
        r if r < 9_999.5 => format!("{r:.0}/s"),
        r if r < 999_950.0 => format!("{:.1}k/s", r / 1e3),
        r => format!("{:.1}M/s", r / 1e6),
    }
}

/// Formats a duration with at most two units: `0.4s`, `3m12s`, `2h05m`, `4d07h`.
#[must_use]
pub fn duration(d: Duration) -> String {
    let s = d.as_secs();
    match s {
        0..10 => format!("{:.1}s", d.as_secs_f64()),
        10..60 => format!("{s}s"),
        60..3600 => format!("{}m{:02}s", s / 60, s % 60),
        3600..86_400 => format!("{}h{:02}m", s / 3600, s % 3600 / 60),
        _ => format!("{}d{:02}h", s / 86_400, s % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(
            [count(0), count(999), count(1000), count(12_345_678)],
            ["0", "999", "1,000", "12,345,678"]
        );
        assert_eq!([counted(1, "event"), counted(2, "event")], ["1 event", "2 events"]);
        assert_eq!(
            [bytes(1023), bytes(1024), bytes(8_808_038), bytes(1 << 40)],
            ["1023 B", "1.0 KiB", "8.4 MiB", "1.0 TiB"]
        );
        assert_eq!(bytes(1024 * 1024 - 1), "1.0 MiB");
        assert_eq!(
            [rate(0.0), rate(0.31), rate(199.4), rate(12_345.0), rate(4.1e6)],
            ["0/s", "0.3/s", "199/s", "12.3k/s", "4.1M/s"]
        );
    }

    #[test]
    fn durations_have_two_units_at_most() {
        let of = |s| duration(Duration::from_secs(s));
        assert_eq!(
            [of(9), of(59), of(192), of(7_500), of(370_800)],
            ["9.0s", "59s", "3m12s", "2h05m", "4d07h"]
        );
    }
}
