//! A fitted law as a surface: the loss at any N and D, and the band of its resamples there.

use scalelaw_fit::conclusion::Fit;

/// Below this number of usable resamples there is no interval: its ends would be single resamples.
pub const LEAST_RESAMPLES: usize = 40;

/// Loss of `fit`'s law, nats per token, with the parameters `theta` in the order of the keys of
/// `fit.params`, which is also that of `fit.resamples`. None where the law is not known here.
pub fn loss(fit: &Fit, theta: &[f64], n: f64, d: f64) -> Option<f64> {
    let get = |name: &str| fit.params.keys().position(|key| key == name).and_then(|i| theta.get(i)).copied();
    match fit.law.as_str() {
        "chinchilla" => {
            Some(get("E")? + get("A")? / n.powf(get("alpha")?) + get("B")? / d.powf(get("beta")?))
        }
        _ => None,
    }
}

/// Loss of the fitted parameters.
pub fn fitted_loss(fit: &Fit, n: f64, d: f64) -> Option<f64> {
    let theta: Vec<f64> = fit.params.values().copied().collect();
    loss(fit, &theta, n, d).filter(|loss| loss.is_finite())
}

/// The middle `level` of the resamples' losses: where the law lies, not where a single run would.
pub fn band(fit: &Fit, n: f64, d: f64, level: f64) -> Option<(f64, f64)> {
    middle(fit.resamples.iter().filter_map(|theta| loss(fit, theta, n, d)).collect(), level)
}

/// Ends of the middle `level` of `values`, interpolated between neighbours; none for too few of them.
pub(crate) fn middle(mut values: Vec<f64>, level: f64) -> Option<(f64, f64)> {
    values.retain(|x| x.is_finite());
    if values.len() < LEAST_RESAMPLES {
        return None;
    }
    values.sort_by(f64::total_cmp);
    let quantile = |p: f64| {
        let at = p * (values.len() - 1) as f64;
        let (below, above) = (values[at.floor() as usize], values[at.ceil() as usize]);
        below + (above - below) * at.fract()
    };
    Some((quantile((1.0 - level) / 2.0), quantile((1.0 + level) / 2.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_0_to_100_is_known() {
        let values: Vec<f64> = (0..=100).rev().map(f64::from).collect();
        let (low, high) = middle(values, 0.9).unwrap();
        assert!((low - 5.0).abs() < 1e-9 && (high - 95.0).abs() < 1e-9, "{low} {high}");
        assert_eq!(middle(vec![1.0; LEAST_RESAMPLES - 1], 0.9), None);
    }
}
