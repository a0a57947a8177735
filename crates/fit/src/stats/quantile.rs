//! Quantiles of samples and of the normal, Student and Fisher distributions.

/// Quantile of a sorted sample by linear interpolation (type 7, as in NumPy); `None` when empty.
pub fn of_sorted(sorted: &[f64], p: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let position = p.clamp(0.0, 1.0) * last as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(last);
    Some(sorted[below] + (position - below as f64) * (sorted[above] - sorted[below]))
}

/// Median; `None` when empty.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    of_sorted(&sorted, 0.5)
}

/// The quantiles of a sorted sample at `tail` and `1 − tail`; `None` when empty.
pub fn between_tails(sorted: &[f64], tail: f64) -> Option<(f64, f64)> {
    Some((of_sorted(sorted, tail)?, of_sorted(sorted, 1.0 - tail)?))
}

/// Distribution function of the standard normal, from the continued fraction and series of the
/// incomplete gamma function; absolute error below 1e-14.
pub fn normal_cdf(x: f64) -> f64 {
    let upper = 0.5 * gamma_q_half(x * x / 2.0);
    if x > 0.0 { 1.0 - upper } else { upper }
}

/// Quantile of the standard normal, by bisection on [`normal_cdf`].
pub fn normal(p: f64) -> f64 {
    invert(p, -40.0, 40.0, normal_cdf)
}

/// Distribution function of Student's t with `df` degrees of freedom.
pub fn student_cdf(t: f64, df: f64) -> f64 {
    let tail = 0.5 * beta_regularised(df / (df + t * t), df / 2.0, 0.5);
    if t > 0.0 { 1.0 - tail } else { tail }
}

/// Quantile of Student's t with `df` degrees of freedom.
pub fn student(p: f64, df: f64) -> f64 {
    // |t| at p = 1e-6 and one degree of freedom is 3e5.
    invert(p, -1e7, 1e7, |t| student_cdf(t, df))
}

/// Half width of a two-sided interval at `level` in standard errors: Student's t with `df` degrees of freedom.
pub fn student_at(level: f64, df: f64) -> f64 {
    student(0.5 + 0.5 * level, df)
}

/// Quantile of Fisher's F with `df1` and `df2` degrees of freedom.
pub fn fisher(p: f64, df1: f64, df2: f64) -> f64 {
    invert(p, 0.0, 1e7, |f| 1.0 - beta_regularised(df2 / (df2 + df1 * f), df2 / 2.0, df1 / 2.0))
}

fn invert(p: f64, mut low: f64, mut high: f64, cdf: impl Fn(f64) -> f64) -> f64 {
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if cdf(middle) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

/// Upper regularised incomplete gamma function Q(1/2, x) = erfc(√x).
fn gamma_q_half(x: f64) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    let a = 0.5;
    let front = (-x + a * x.ln() - ln_gamma(a)).exp();
    if x < 1.5 {
        let (mut term, mut sum, mut k) = (1.0 / a, 1.0 / a, a);
        for _ in 0..500 {
            k += 1.0;
            term *= x / k;
            sum += term;
        }
        1.0 - front * sum
    } else {
        let mut b = x + 1.0 - a;
        let mut c = 1e300;
        let mut d = 1.0 / b;
        let mut fraction = d;
        for i in 1..500 {
            let an = -f64::from(i) * (f64::from(i) - a);
            b += 2.0;
            d = 1.0 / (an * d + b);
            c = b + an / c;
            fraction *= d * c;
        }
        front * fraction
    }
}

/// Regularised incomplete beta function I_x(a, b), by Lentz's continued fraction.
fn beta_regularised(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - beta_regularised(1.0 - x, b, a);
    }
    let front = (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (1.0 - x).ln()).exp() / a;
    let (mut c, mut d) = (1.0, 1.0 / (1.0 - (a + b) * x / (a + 1.0)));
    let mut fraction = d;
    for m in 1..300 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / (1.0 + even * d);
        c = 1.0 + even / c;
        fraction *= c * d;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / (1.0 + odd * d);
        c = 1.0 + odd / c;
        fraction *= c * d;
    }
    front * fraction
}

/// ln Γ(x) for x > 0 (Lanczos, g = 7, nine terms).
fn ln_gamma(x: f64) -> f64 {
    const COEFFICIENTS: [f64; 9] = [
        0.999_999_999_999_809_9,
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    if x < 0.5 {
        let pi = std::f64::consts::PI;
        return (pi / (pi * x).sin()).ln() - ln_gamma(1.0 - x);
    }
    let x = x - 1.0;
    let t = x + 7.5;
    let sum = COEFFICIENTS[1..]
        .iter()
        .enumerate()
        .fold(COEFFICIENTS[0], |sum, (idx, coefficient)| sum + coefficient / (x + idx as f64 + 1.0));
    0.5 * (2.0 * std::f64::consts::PI).ln() + (x + 0.5) * t.ln() - t + sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_equal_the_printed_tables() {
        let cases = [
            (normal(0.975), 1.959_963_984_540),
            (normal(0.5), 0.0),
            (normal(0.001), -3.090_232_306_168),
            (student(0.975, 10.0), 2.228_138_851_965),
            (student(0.95, 1.0), 6.313_751_514_675),
            (student(0.025, 30.0), -2.042_272_456_301),
            (fisher(0.95, 1.0, 10.0), 4.964_602_743_730),
            (fisher(0.95, 4.0, 20.0), 2.866_081_402),
        ];
        for (found, expected) in cases {
            assert!((found - expected).abs() < 1e-8, "{found} {expected}");
        }
    }

    #[test]
    fn sample_quantiles_interpolate() {
        assert_eq!(of_sorted(&[1.0, 2.0, 4.0], 0.75), Some(3.0));
        assert_eq!(of_sorted(&[], 0.5), None);
        assert_eq!(median(&[5.0, 1.0, 2.0]), Some(2.0));
    }
}
