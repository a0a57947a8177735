//! Durations, sizes in bytes and rates of computing. What is not finite is [`UNKNOWN`].

use scalelaw_schema::text;

use super::numbers::{UNKNOWN, si};

/// `45s`, `12m30s`, `3h05m` or `2d04h`.
pub fn duration(seconds: f64) -> String {
    if seconds.is_finite() { text::duration(seconds) } else { UNKNOWN.to_string() }
}

/// Decimal units: `12.3 MB`.
pub fn bytes(bytes: f64) -> String {
    if bytes.is_finite() { text::bytes(bytes) } else { UNKNOWN.to_string() }
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
    fn units_are_short_and_what_is_not_finite_is_not_known() {
        for (found, expected) in [
            (duration(41.0), "41s"),
            (duration(744.0), "12m24s"),
            (duration(86_400.0), "1d00h"),
            (duration(f64::NAN), "not known"),
            (bytes(1.5e6), "1.5 MB"),
            (bytes(f64::INFINITY), "not known"),
            (flop_rate(1.2e11), "120 GFLOP/s"),
            (flop_rate(2.34e12), "2.34 TFLOP/s"),
        ] {
            assert_eq!(found, expected);
        }
    }
}
