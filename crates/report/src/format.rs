//! Numbers as text: units, digits, intervals. What is missing or not finite is [`UNKNOWN`].

use scalelaw_fit::conclusion::Interval;
use scalelaw_schema::text;
pub use scalelaw_schema::text::{bytes, si};

/// Shown in place of a missing number.
pub const UNKNOWN: &str = "not known";

/// `text(value)` where there is a finite value, else [`UNKNOWN`].
pub fn or_unknown(value: Option<f64>, text: impl Fn(f64) -> String) -> String {
    value.filter(|x| x.is_finite()).map_or_else(|| UNKNOWN.to_string(), text)
}

/// `digits` significant digits without an exponent where the number is between 1e-3 and 1e6, else as a
/// power of ten: `significant(0.012345, 3)` is `0.0123`.
pub fn significant(x: f64, digits: usize) -> String {
    if !x.is_finite() {
        return UNKNOWN.to_string();
    }
    if x == 0.0 {
        return "0".to_string();
    }
    if !(1e-3..1e6).contains(&x.abs()) {
        return power(x, digits.saturating_sub(1));
    }
    let magnitude = x.abs().log10().floor() as i32;
    minus(&format!("{x:.decimals$}", decimals = (digits as i32 - 1 - magnitude).max(0) as usize))
}

/// A power of ten with a factor: `power(2.7e12, 2)` is `2.70×10¹²`, `power(1e12, 0)` is `10¹²`.
pub fn power(x: f64, decimals: usize) -> String {
    if !x.is_finite() {
        return UNKNOWN.to_string();
    }
    if x == 0.0 {
        return "0".to_string();
    }
    let scientific = format!("{x:.decimals$e}");
    let (factor, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let factor = minus(factor);
    let exponent = superscript(exponent);
    if factor == "1" { format!("10{exponent}") } else { format!("{factor}×10{exponent}") }
}

/// FLOPs with three digits: `2.70×10¹²`.
pub fn flops(x: f64) -> String {
    power(x, 2)
}

/// Loss in nats per token with four digits after the point.
pub fn loss(x: f64) -> String {
    fixed(x, 4)
}

/// A fixed number of digits after the point.
pub fn fixed(x: f64, decimals: usize) -> String {
    if x.is_finite() { minus(&format!("{x:.decimals$}")) } else { UNKNOWN.to_string() }
}

/// A residual of log loss as a difference in percent with its sign: `+0.42 %`.
pub fn residual(log_ratio: f64) -> String {
    let percent = 100.0 * log_ratio.exp_m1();
    if percent.is_finite() { minus(&format!("{percent:+.2} %")) } else { UNKNOWN.to_string() }
}

/// Seconds as `45s`, `12m30s`, `3h05m` or `2d04h`.
pub fn duration(seconds: f64) -> String {
    if seconds.is_finite() { text::duration(seconds) } else { UNKNOWN.to_string() }
}

/// A rate of computing in decimal units: `120 GFLOP/s`.
pub fn flop_rate(flops_per_second: f64) -> String {
    let (scaled, unit) = [(1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M")]
        .into_iter()
        .find(|(size, _)| flops_per_second >= *size)
        .map_or((flops_per_second, ""), |(size, unit)| (flops_per_second / size, unit));
    format!("{} {unit}FLOP/s", si(scaled))
}

/// A whole number with thin spaces between thousands.
pub fn count(x: u64) -> String {
    let digits = x.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (idx, digit) in digits.chars().enumerate() {
        if idx > 0 && (digits.len() - idx).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A count with its noun: `1 run`, `15 runs`.
pub fn counted(x: usize, noun: &str) -> String {
    format!("{} {}", count(x as u64), text::plural(x, noun))
}

/// A value with as many digits as its interval bears: two of the interval's half width, at least three of
/// the value where there is no interval.
pub fn estimate(value: f64, interval: Option<&Interval>) -> String {
    match interval {
        Some(interval) => in_step(value, interval.high - interval.low),
        None => significant(value, 3),
    }
}

/// `[low, high]` with as many digits as the width bears.
pub fn interval(interval: &Interval) -> String {
    let width = interval.high - interval.low;
    format!("[{}, {}]", in_step(interval.low, width), in_step(interval.high, width))
}

/// How an interval was made, for a tooltip or a caption.
pub fn interval_method(interval: &Interval) -> String {
    let method = format!("{} % interval, {}", percent_level(interval.level), interval.method);
    // Not every method resamples.
    match interval.resamples {
        0 => method,
        n => format!("{method}, {}", counted(n, "resample")),
    }
}

/// A level as a number of percent without idle zeros: `95`, `99.9`.
pub fn percent_level(level: f64) -> String {
    format!("{:.1}", 100.0 * level).trim_end_matches(".0").to_string()
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

/// The typographic minus sign, which is as wide as a plus.
fn minus(text: &str) -> String {
    text.replace('-', "\u{2212}")
}

fn superscript(exponent: &str) -> String {
    exponent
        .chars()
        .map(|c| match c {
            '-' => '⁻',
            '1' => '¹',
            '2' => '²',
            '3' => '³',
            digit => char::from_u32('⁰' as u32 + digit.to_digit(10).unwrap_or(0)).unwrap_or('⁰'),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(low: f64, high: f64) -> Interval {
        Interval { low, high, level: 0.95, method: "bootstrap over runs".to_string(), resamples: 1000 }
    }

    #[test]
    fn numbers_are_written_as_known() {
        for (found, expected) in [
            (significant(0.012345, 3), "0.0123"),
            (significant(406.44, 4), "406.4"),
            (significant(-1234.5, 2), "\u{2212}1234"),
            (significant(2.5e-7, 3), "2.50×10⁻⁷"),
            (power(2.7e12, 2), "2.70×10¹²"),
            (power(1e12, 0), "10¹²"),
            (residual(0.01_f64.ln_1p()), "+1.00 %"),
            (residual(-0.002), "\u{2212}0.20 %"),
            (duration(0.25), "0.2s"),
            (duration(41.0), "41s"),
            (duration(744.0), "12m24s"),
            (duration(86_400.0), "1d00h"),
            (duration(f64::NAN), "not known"),
            (bytes(1.5e6), "1.5 MB"),
            (flop_rate(1.2e11), "120 GFLOP/s"),
            (flop_rate(2.34e12), "2.34 TFLOP/s"),
            (count(1234567), "1\u{202f}234\u{202f}567"),
            (counted(1, "run"), "1 run"),
            (counted(15, "run"), "15 runs"),
            (or_unknown(None, loss), "not known"),
            (or_unknown(Some(f64::NAN), loss), "not known"),
            (significant(f64::INFINITY, 3), "not known"),
        ] {
            assert_eq!(found, expected);
        }
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
        assert_eq!(
            interval_method(&made(0.0, 1.0)),
            "95 % interval, bootstrap over runs, 1\u{202f}000 resamples"
        );
        let profile = Interval { method: "profile likelihood".to_string(), resamples: 0, ..made(0.0, 1.0) };
        assert_eq!(interval_method(&profile), "95 % interval, profile likelihood");
    }
}
