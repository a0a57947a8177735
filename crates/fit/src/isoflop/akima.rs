//! Akima's interpolation and its minimum (Akima 1970, J. ACM 17(4)).

/// The least point of the Akima interpolation of `y` at rising `x`, where it lies strictly inside.
/// `None` with fewer than five points, or where the least value is at an end.
pub(crate) fn minimum(x: &[f64], y: &[f64]) -> Option<f64> {
    let n = x.len();
    if n < 5 {
        return None;
    }
    let slopes = extended_slopes(x, y);
    let tangent = |i: usize| {
        // `slopes[i + 2]` is the slope of segment i.
        let (m1, m2, m3, m4) = (slopes[i], slopes[i + 1], slopes[i + 2], slopes[i + 3]);
        let (w1, w2) = ((m4 - m3).abs(), (m2 - m1).abs());
        if w1 + w2 <= 1e-9 * (m2.abs() + m3.abs()) {
            0.5 * (m2 + m3)
        } else {
            (w1 * m2 + w2 * m3) / (w1 + w2)
        }
    };
    let mut best = (f64::INFINITY, 0.0);
    let mut offer = |value: f64, at: f64| {
        if value < best.0 {
            best = (value, at);
        }
    };
    for i in 0..n - 1 {
        offer(y[i], x[i]);
        let h = x[i + 1] - x[i];
        let m = slopes[i + 2];
        let (t0, t1) = (tangent(i), tangent(i + 1));
        // y = y_i + t0·s + c2·s² + c3·s³.
        let c2 = (3.0 * m - 2.0 * t0 - t1) / h;
        let c3 = (t0 + t1 - 2.0 * m) / (h * h);
        for s in stationary(t0, c2, c3) {
            if s > 0.0 && s < h {
                offer(y[i] + s * (t0 + s * (c2 + s * c3)), x[i] + s);
            }
        }
    }
    offer(y[n - 1], x[n - 1]);
    (best.1 > x[0] && best.1 < x[n - 1]).then_some(best.1)
}

fn extended_slopes(x: &[f64], y: &[f64]) -> Vec<f64> {
    let inner: Vec<f64> = (0..x.len() - 1).map(|i| (y[i + 1] - y[i]) / (x[i + 1] - x[i])).collect();
    let last = inner.len() - 1;
    let mut slopes = vec![3.0 * inner[0] - 2.0 * inner[1], 2.0 * inner[0] - inner[1]];
    slopes.extend(&inner);
    slopes.extend([2.0 * inner[last] - inner[last - 1], 3.0 * inner[last] - 2.0 * inner[last - 1]]);
    slopes
}

/// Real roots of `t + 2·c2·s + 3·c3·s²`.
fn stationary(t: f64, c2: f64, c3: f64) -> Vec<f64> {
    if c3.abs() < 1e-300 {
        return if c2 == 0.0 { Vec::new() } else { vec![-t / (2.0 * c2)] };
    }
    let discriminant = c2 * c2 - 3.0 * c3 * t;
    if discriminant < 0.0 {
        return Vec::new();
    }
    // The stable pair of formulas: no difference of near numbers.
    let q = -(c2 + discriminant.sqrt().copysign(c2));
    let first = q / (3.0 * c3);
    if q == 0.0 { vec![first] } else { vec![first, t / q] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parabola_on_an_even_grid_has_its_own_minimum() {
        let x: Vec<f64> = (0..7).map(f64::from).collect();
        let y: Vec<f64> = x.iter().map(|x| (x - 2.5) * (x - 2.5)).collect();
        // Akima's tangents are exact for a parabola in the interior of an even grid.
        assert!((minimum(&x, &y).unwrap() - 2.5).abs() < 1e-12);
    }

    #[test]
    fn there_is_no_minimum_at_an_edge() {
        let x: Vec<f64> = (0..6).map(f64::from).collect();
        let y: Vec<f64> = x.iter().map(|x| -x).collect();
        assert_eq!(minimum(&x, &y), None);
        assert_eq!(minimum(&x[..4], &y[..4]), None);
    }
}
