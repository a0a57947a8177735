//! Intervals, and values with the digits that their interval bears.

use scalelaw_fit::conclusion::Interval;

use super::numbers::{counted, fixed, si, significant};

/// A value with as many digits as its interval bears: two of the interval's half width; three of the value where
/// there is no interval.
pub fn estimate(value: f64, interval: Option<&Interval>) -> String {
    match interval {
        Some(interval) => in_step(value, interval.high - interval.low),
        None => significant(value, 3),
    }
}

/// `[low, high]` with as many digits as the width bears.
pub fn interval(interval: &Interval) -> String {
    ends([interval.low, interval.high], |x| in_step(x, interval.high - interval.low))
}

/// `[low, high]` of a count of parameters or tokens.
pub fn si_interval(interval: &Interval) -> String {
    ends([interval.low, interval.high], si)
}

/// `[low, high]`, each end as `show` writes it.
pub fn ends([low, high]: [f64; 2], show: impl Fn(f64) -> String) -> String {
    format!("[{}, {}]", show(low), show(high))
}

/// The same where the data bounds the value.
pub fn or_not_bounded(found: Option<[f64; 2]>, show: impl Fn(f64) -> String) -> String {
    found.map_or_else(|| "not bounded".to_string(), |found| ends(found, show))
}

/// How an interval was made, for a tooltip or a caption.
pub fn interval_method(interval: &Interval) -> String {
    let method = format!("{} % interval, {}", level(interval.level), interval.method);
    // Not every method resamples.
    match interval.resamples {
        0 => method,
        n => format!("{method}, {}", counted(n, "resample")),
    }
}

/// A level as a number of percent without idle zeros: `95`, `99.9`.
pub fn level(level: f64) -> String {
    let text = format!("{:.2}", 100.0 * level);
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

/// `x` rounded to two digits of half of `width`.
fn in_step(x: f64, width: f64) -> String {
    if !(width.is_finite() && width > 0.0 && (1e-3..1e5).contains(&x.abs())) {
        return significant(x, 3);
    }
    let decimals = 1 - (width / 2.0).log10().floor() as i32;
    // Below three digits of the number itself nothing is gained in shortness.
    let least = 2 - x.abs().log10().floor() as i32;
    fixed(x, decimals.max(least.min(1)).clamp(0, 6) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(low: f64, high: f64) -> Interval {
        Interval { low, high, level: 0.95, method: "bootstrap over runs".to_string(), resamples: 1000 }
    }

    #[test]
    fn an_estimate_has_the_digits_that_its_interval_bears() {
        for (value, low, high, expected) in [
            (0.46123, 0.41234, 0.52345, "0.461 [0.412, 0.523]"),
            (1.6934, 1.2, 2.1, "1.69 [1.20, 2.10]"),
            (406.4, 120.2, 1893.7, "406 [120, 1894]"),
            (21.37, 4.2, 88.9, "21.4 [4.2, 88.9]"),
        ] {
            let made = made(low, high);
            assert_eq!(format!("{} {}", estimate(value, Some(&made)), interval(&made)), expected);
        }
        assert_eq!(si_interval(&made(1.5e5, 2.3e5)), "[150K, 230K]");
    }

    #[test]
    fn an_interval_names_its_level_method_and_resamples() {
        assert_eq!(interval_method(&made(0.0, 1.0)), "95 % interval, bootstrap over runs, 1,000 resamples");
        let profile = Interval { method: "profile likelihood".to_string(), resamples: 0, ..made(0.0, 1.0) };
        assert_eq!(interval_method(&profile), "95 % interval, profile likelihood");
        assert_eq!((level(0.9), level(0.999), level(0.9875)), ("90".into(), "99.9".into(), "98.75".into()));
    }
}
