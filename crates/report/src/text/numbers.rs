//! Numbers: digits, counts and plurals. What is not finite or not there is [`UNKNOWN`].

use scalelaw_schema::text;

/// What stands where a number is missing.
pub const UNKNOWN: &str = "not known";

/// `text(value)` where there is a finite value, else [`UNKNOWN`].
pub fn or_unknown(value: Option<f64>, text: impl Fn(f64) -> String) -> String {
    value.filter(|x| x.is_finite()).map_or_else(|| UNKNOWN.to_string(), text)
}

/// Counts of parameters and tokens in three digits: `166K`, `1.23M`.
pub fn si(x: f64) -> String {
    or_unknown(Some(x), text::si)
}

/// FLOPs in three digits, as the command line takes them: `2.70e12`.
pub fn flops(x: f64) -> String {
    or_unknown(Some(x), |x| if x == 0.0 { "0".to_string() } else { format!("{x:.2e}") })
}

/// Loss in nats per token where no interval says how many digits it bears: four after the point.
pub fn loss(x: f64) -> String {
    fixed(x, 4)
}

/// A fixed number of digits after the point.
pub fn fixed(x: f64, decimals: usize) -> String {
    or_unknown(Some(x), |x| format!("{x:.decimals$}"))
}

/// A share as percent with a fixed number of digits after the point: `percent(0.125, 1)` is `12.5 %`.
pub fn percent(share: f64, decimals: usize) -> String {
    or_unknown(Some(share), |share| format!("{:.decimals$} %", 100.0 * share))
}

/// `digits` significant digits without an exponent where the number is between 1e-3 and 1e6, else with one:
/// `significant(0.012345, 3)` is `0.0123`.
pub fn significant(x: f64, digits: usize) -> String {
    if !x.is_finite() {
        return UNKNOWN.to_string();
    }
    if x == 0.0 {
        return "0".to_string();
    }
    if !(1e-3..1e6).contains(&x.abs()) {
        return format!("{x:.decimals$e}", decimals = digits.saturating_sub(1));
    }
    let magnitude = x.abs().log10().floor() as i32;
    format!("{x:.decimals$}", decimals = (digits as i32 - 1 - magnitude).max(0) as usize)
}

/// A residual of log loss as a difference in percent with its sign: `+0.42 %`.
pub fn residual(log_ratio: f64) -> String {
    or_unknown(Some(100.0 * log_ratio.exp_m1()), |percent| format!("{percent:+.2} %"))
}

/// A whole number with commas between thousands.
pub fn count(x: u64) -> String {
    let digits = x.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (idx, digit) in digits.chars().enumerate() {
        if idx > 0 && (digits.len() - idx).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `noun` after a count, in the plural where needed: `1 run`, `1,500 runs`.
pub fn counted(x: usize, noun: &str) -> String {
    format!("{} {}", count(x as u64), plural(x, noun))
}

/// `noun` as `x` of them are called: runs, entries, minima.
pub fn plural(x: usize, noun: &str) -> String {
    let ends_in_ay = noun.ends_with("ay");
    match (noun.strip_suffix('y'), noun.strip_suffix("um")) {
        _ if x == 1 => noun.to_string(),
        (Some(stem), _) if !ends_in_ay => format!("{stem}ies"),
        (_, Some(stem)) => format!("{stem}a"),
        _ => format!("{noun}s"),
    }
}

/// `text` with its first letter large, to begin a sentence.
pub fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_known() {
        for (found, expected) in [
            (significant(0.012345, 3), "0.0123"),
            (significant(406.44, 4), "406.4"),
            (significant(-1234.5, 2), "-1234"),
            (significant(2.5e-7, 3), "2.50e-7"),
            (significant(f64::INFINITY, 3), "not known"),
            (flops(2.7e12), "2.70e12"),
            (si(166_000.0), "166K"),
            (si(f64::NAN), "not known"),
            (percent(0.125, 1), "12.5 %"),
            (residual(0.01_f64.ln_1p()), "+1.00 %"),
            (residual(-0.002), "-0.20 %"),
            (count(1234567), "1,234,567"),
            (counted(1, "run"), "1 run"),
            (counted(1500, "run"), "1,500 runs"),
            (counted(2, "entry"), "2 entries"),
            (counted(2, "day"), "2 days"),
            (counted(0, "optimum"), "0 optima"),
            (or_unknown(None, loss), "not known"),
            (or_unknown(Some(f64::NAN), loss), "not known"),
        ] {
            assert_eq!(found, expected);
        }
    }
}
