//! Numbers as short text: sizes, durations, bytes, plurals. Errors, terminal text and reports all write them so.

/// Three digits with K, M, B or T: `si(1_234_567.0)` is `1.23M`.
pub fn si(x: f64) -> String {
    let (scaled, unit) = [(1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")]
        .into_iter()
        .find(|(size, _)| x.abs() >= *size)
        .map_or((x, ""), |(size, unit)| (x / size, unit));
    let digits = match scaled.abs() {
        s if s >= 100.0 || unit.is_empty() && s.fract() == 0.0 => 0,
        s if s >= 10.0 => 1,
        _ => 2,
    };
    format!("{scaled:.digits$}{unit}")
}

/// Seconds as `12ms`, `0.2s`, `45s`, `12m30s`, `3h05m` or `2d04h`.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0 if seconds > 0.0 && seconds < 0.095 => format!("{:.0}ms", (seconds * 1e3).ceil()),
        0 => format!("{seconds:.1}s"),
        1..60 => format!("{whole}s"),
        60..3600 => format!("{}m{:02}s", whole / 60, whole % 60),
        3600..86400 => format!("{}h{:02}m", whole / 3600, whole % 3600 / 60),
        _ => format!("{}d{:02}h", whole / 86400, whole % 86400 / 3600),
    }
}

/// Bytes in decimal units: `12.3 MB`.
pub fn bytes(bytes: f64) -> String {
    let (scaled, unit) = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")]
        .into_iter()
        .find(|(size, _)| bytes >= *size)
        .map_or((bytes, "B"), |(size, unit)| (bytes / size, unit));
    let digits = if scaled >= 99.95 || unit == "B" { 0 } else { 1 };
    format!("{scaled:.digits$} {unit}")
}

/// `noun` in the number that `n` asks for: `run` for 1, else `runs`.
pub fn plural(n: usize, noun: &str) -> String {
    if n == 1 { noun.to_string() } else { format!("{noun}s") }
}

/// A count with its noun: `1 run`, `15 runs`.
pub fn counted(n: usize, noun: &str) -> String {
    format!("{n} {}", plural(n, noun))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn si_keeps_three_digits() {
        for (x, expected) in [
            (7.0, "7"),
            (0.5, "0.50"),
            (999.0, "999"),
            (1234.0, "1.23K"),
            (12_345.0, "12.3K"),
            (1_234_567.0, "1.23M"),
        ] {
            assert_eq!(si(x), expected);
        }
    }

    #[test]
    fn durations_bytes_and_counts_are_short() {
        for (seconds, expected) in [
            (0.0, "0.0s"),
            (0.0004, "1ms"),
            (0.012, "12ms"),
            (0.24, "0.2s"),
            (1.4, "1s"),
            (59.4, "59s"),
            (59.6, "1m00s"),
            (750.0, "12m30s"),
            (11_100.0, "3h05m"),
            (187_200.0, "2d04h"),
        ] {
            assert_eq!(duration(seconds), expected);
        }
        for (x, expected) in
            [(12.0, "12 B"), (1234.0, "1.2 kB"), (469e3, "469 kB"), (12.34e6, "12.3 MB"), (1.5e12, "1.5 TB")]
        {
            assert_eq!(bytes(x), expected);
        }
        assert_eq!(
            [counted(1, "run"), counted(0, "run"), counted(15, "run")],
            ["1 run", "0 runs", "15 runs"]
        );
    }
}
