//! Durations, sizes in bytes, and rates of computing.

use super::numbers::{UNKNOWN, si};

/// `1.4s`, `45s`, `12m30s`, `3h05m`, `2d04h`.
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return UNKNOWN.to_string();
    }
    let whole = seconds.round() as u64;
    match whole {
        0..10 => format!("{seconds:.1}s"),
        10..60 => format!("{whole}s"),
        60..3600 => format!("{}m{:02}s", whole / 60, whole % 60),
        3600..86400 => format!("{}h{:02}m", whole / 3600, whole % 3600 / 60),
        _ => format!("{}d{:02}h", whole / 86400, whole % 86400 / 3600),
    }
}

/// Decimal units: `12.3 MB`.
pub fn bytes(bytes: f64) -> String {
    if !bytes.is_finite() {
        return UNKNOWN.to_string();
    }
    let (scaled, unit) = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")]
        .into_iter()
        .find(|(size, _)| bytes >= *size)
        .map_or((bytes, "B"), |(size, unit)| (bytes / size, unit));
    let digits = if scaled >= 99.95 || unit == "B" { 0 } else { 1 };
    format!("{scaled:.digits$} {unit}")
}

/// A rate of computing in decimal units: `120 GFLOP/s`.
pub fn flop_rate(flops_per_second: f64) -> String {
    let (scaled, unit) = [(1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M")]
        .into_iter()
        .find(|(size, _)| flops_per_second >= *size)
        .map_or((flops_per_second, ""), |(size, unit)| (flops_per_second / size, unit));
    format!("{} {unit}FLOP/s", si(scaled))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_bytes_are_short() {
        for (seconds, expected) in [
            (0.25, "0.2s"),
            (1.4, "1.4s"),
            (41.0, "41s"),
            (744.0, "12m24s"),
            (11_100.0, "3h05m"),
            (187_200.0, "2d04h"),
            (f64::NAN, "not known"),
        ] {
            assert_eq!(duration(seconds), expected);
        }
        for (size, expected) in [
            (12.0, "12 B"),
            (1.5e6, "1.5 MB"),
            (3.1e9, "3.1 GB"),
            (250e9, "250 GB"),
            (f64::INFINITY, "not known"),
        ] {
            assert_eq!(bytes(size), expected);
        }
    }

    #[test]
    fn rates_have_three_digits() {
        assert_eq!((flop_rate(1.2e11), flop_rate(2.34e12)), ("120 GFLOP/s".into(), "2.34 TFLOP/s".into()));
    }
}
